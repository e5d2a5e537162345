"""Where each token is and has been, sheets of codes, and what administrators grant for a while."""

from alembic import op
from sqlalchemy import Column, Double, Integer, String

revision = "0004"
down_revision = "0003"

_ENROL = (
    "CREATE TRIGGER {name} AFTER {moment} ON tokens "
    "WHEN NEW.user_id IS NOT NULL AND NEW.kind NOT IN ('recovery', 'temporary', 'breakglass') "
    "BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END"
)
_STAY_USED = (
    "CREATE TRIGGER tokens_used_codes_stay_used BEFORE UPDATE OF moving_factor ON tokens "
    "WHEN OLD.kind IN ('recovery', 'temporary', 'breakglass') "
    "AND NEW.moving_factor & OLD.moving_factor <> OLD.moving_factor "
    "BEGIN SELECT RAISE(ABORT, 'a code that was used stays used'); END"
)


def upgrade() -> None:
    """Add what custody and grants need. No fob is handed out anew by it: what is active stays so."""
    op.add_column("users", Column("skip_until", Double, nullable=False, server_default="0"))
    for name in ("model", "batch", "box"):
        op.add_column("tokens", Column(name, String, nullable=False, server_default=""))
    op.add_column("tokens", Column("delivered", Double))
    op.add_column("tokens", Column("handed_by", String, nullable=False, server_default=""))
    op.add_column("tokens", Column("handed_at", Double))
    op.add_column("tokens", Column("activate_by", Double))
    op.add_column("tokens", Column("fingerprint", String))
    op.create_index("tokens_fingerprint", "tokens", ["fingerprint"])
    op.create_table(
        "grants",
        Column("id", Integer, primary_key=True),
        Column("user_id", Integer, nullable=False),
        Column("user", String, nullable=False),
        Column("kind", String, nullable=False),
        Column("serial", String, nullable=False, server_default=""),
        Column("reason", String, nullable=False),
        Column("granted_by", String, nullable=False),
        Column("approved_by", String, nullable=False, server_default=""),
        Column("created", Double, nullable=False),
        Column("until", Double, nullable=False),
        Column("closed", Double),
        Column("closed_by", String, nullable=False, server_default=""),
    )
    op.create_index("grants_user", "grants", ["user_id"])
    op.create_table(
        "requests",
        Column("id", Integer, primary_key=True),
        Column("user_id", Integer, nullable=False),
        Column("user", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("requested_by", String, nullable=False),
        Column("created", Double, nullable=False),
        Column("expires", Double, nullable=False),
        Column("lasts", Double, nullable=False),
        Column("approved_by", String),
        Column("approved", Double),
    )
    for name, moment in (
        ("users_enrolled_by_token", "UPDATE OF user_id"),
        ("users_enrolled_by_new_token", "INSERT"),
    ):
        op.execute(f"DROP TRIGGER {name}")
        op.execute(_ENROL.format(name=name, moment=moment))
    op.execute(_STAY_USED)
