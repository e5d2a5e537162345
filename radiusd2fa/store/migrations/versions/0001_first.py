"""The first schema."""

from alembic import op
from sqlalchemy import text

from radiusd2fa.store.schema import TRIGGERS, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables and the triggers that guard them."""
    metadata.create_all(op.get_bind())
    for trigger in TRIGGERS:
        op.execute(text(trigger))
