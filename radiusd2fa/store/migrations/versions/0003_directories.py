"""People from directories, what a question was put under, and what doctor looks at."""

from alembic import op
from sqlalchemy import Boolean, Column, Connection, Double, LargeBinary, String, text

from radiusd2fa.core.names import bare, canonical_group

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what directories, rules and ``doctor`` need. Whoever has a token now counts as enrolled from now on."""
    op.add_column("users", Column("directory_id", String))
    op.add_column("users", Column("enrolled", Boolean, nullable=False, server_default="0"))
    op.add_column("users", Column("last_login", Double))
    op.add_column("users", Column("bare", String, nullable=False, server_default=""))
    op.create_index("users_bare", "users", ["bare"])
    op.create_index("users_directory_id", "users", ["directory_id"])
    op.create_index("users_directory", "users", ["source", "directory_id"], unique=True)
    op.execute("UPDATE users SET enrolled = 1 WHERE id IN (SELECT user_id FROM tokens WHERE user_id IS NOT NULL)")
    op.execute(  # and whoever had one: it may be back in stock
        "UPDATE users SET enrolled = 1 WHERE name IN "
        "(SELECT user FROM events WHERE name IN ('token.added', 'token.assigned', 'key.registered'))"
    )
    _respell(op.get_bind())
    op.execute(
        "CREATE TRIGGER users_enrolled_by_token AFTER UPDATE OF user_id ON tokens WHEN NEW.user_id IS NOT NULL "
        "BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END"
    )
    op.execute(
        "CREATE TRIGGER users_enrolled_by_new_token AFTER INSERT ON tokens WHEN NEW.user_id IS NOT NULL "
        "BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END"
    )
    op.add_column("challenges", Column("rule", String, nullable=False, server_default=""))
    op.add_column("challenges", Column("backend", String, nullable=False, server_default=""))
    op.add_column("challenges", Column("doomed", Boolean, nullable=False, server_default="0"))
    op.add_column("challenges", Column("relay_state", LargeBinary))
    op.add_column("challenges", Column("relay_server", String))
    op.add_column("challenges", Column("reply", LargeBinary))
    op.add_column("challenges", Column("attributes", LargeBinary))
    op.create_table(
        "sightings",
        Column("client", String, primary_key=True),
        Column("updated", Double, nullable=False),
        Column("packets", String, nullable=False),
        sqlite_with_rowid=False,
    )


def _respell(connection: Connection) -> None:
    """One group on each line, in the one spelling that rules compare; and each name without its realms."""
    for number, name, groups in connection.execute(text("SELECT id, name, groups FROM users")).all():
        spelled = dict.fromkeys(filter(None, (canonical_group(group.strip()) for group in groups.split(","))))
        row = {"groups": "\n".join(spelled), "bare": bare(name), "id": number}
        connection.execute(text("UPDATE users SET groups = :groups, bare = :bare WHERE id = :id"), row)
