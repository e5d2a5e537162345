"""Security keys: what a challenge offers them, invitations to register one, and stations."""

from alembic import op
from sqlalchemy import Boolean, Column, Double, ForeignKey, Integer, String, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what security keys need; everything that is there stays as it is."""
    op.add_column("tokens", Column("label", String, nullable=False, server_default=""))
    op.add_column("tokens", Column("credential", String))
    op.create_index("tokens_credential", "tokens", ["credential"], unique=True)
    op.add_column("challenges", Column("nonce", String))
    op.add_column("challenges", Column("station", Boolean, nullable=False, server_default="0"))
    op.add_column("challenges", Column("contested", Boolean, nullable=False, server_default="0"))
    op.add_column("challenges", Column("user_verification", Boolean, nullable=False, server_default="0"))
    op.add_column("challenges", Column("credentials", String, nullable=False, server_default=""))
    op.add_column("challenges", Column("answer", String))
    op.create_index("challenges_station", "challenges", ["user_id", "contested"], sqlite_where=text("station = 1"))
    op.create_table(
        "invitations",
        Column("nonce", String, primary_key=True),
        Column("user_id", Integer, ForeignKey("users.id"), nullable=False),
        Column("label", String, nullable=False),
        Column("expires", Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stations",
        Column("name", String, primary_key=True),
        Column("seen", Double, nullable=False),
        Column("device", String, nullable=False),
        sqlite_with_rowid=False,
    )
