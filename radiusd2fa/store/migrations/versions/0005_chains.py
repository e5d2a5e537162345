"""The hash chains of the audit, with their checkpoints; rows of before are chained as they stand."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, String

from radiusd2fa.core.chain import START, link
from radiusd2fa.core.model import Event

revision = "0005"
down_revision = "0004"

_BEFORE = "before-0005"
_ROWS = 10_000
_REFUSE = "CREATE TRIGGER {name} BEFORE {what} BEGIN SELECT RAISE(ABORT, '{why}'); END"
_READ = (
    "SELECT id, time, name, login, nas, user, caller, factor, serial, outcome, reason, latency, actor FROM events "
    "WHERE id > ? ORDER BY id LIMIT ?"
)


def upgrade() -> None:
    """Add the columns and tables, and chain what is there."""
    op.execute("DROP TRIGGER events_no_update")
    op.execute("DROP TRIGGER events_no_delete")
    op.add_column("events", Column("chain", String, nullable=False, server_default=""))
    op.add_column("events", Column("sequence", BigInteger, nullable=False, server_default="0"))
    op.add_column("events", Column("hash", LargeBinary))
    op.create_table(
        "chains",
        Column("name", String, primary_key=True),
        Column("sequence", BigInteger, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        Column("seal", LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoints",
        Column("id", Integer, primary_key=True),
        Column("chain", String, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        Column("time", Double, nullable=False),
        Column("key", String, nullable=False),
        Column("signature", LargeBinary, nullable=False),
        Column("archived", Boolean, nullable=False, server_default="0"),
    )
    op.create_index("checkpoints_chain", "checkpoints", ["chain", "sequence"])
    _chain_what_is_there()
    why = "the audit is append-only"
    unarchived = (
        "NOT EXISTS (SELECT 1 FROM checkpoints WHERE chain = OLD.chain AND archived = 1 AND sequence >= OLD.sequence)"
    )
    for name, what in (
        ("events_no_update", "UPDATE ON events"),
        ("events_no_delete", f"DELETE ON events WHEN {unarchived}"),
        ("checkpoints_no_update", "UPDATE ON checkpoints"),
        ("checkpoints_no_delete", "DELETE ON checkpoints"),
    ):
        op.execute(_REFUSE.format(name=name, what=what, why=why))


def _chain_what_is_there() -> None:
    execute = op.get_bind().exec_driver_sql
    sequence, digest, last = 0, START, -1
    while rows := execute(_READ, (last, _ROWS)).fetchall():
        chained = []
        for number, *columns in rows:
            sequence += 1
            digest = link(digest, _BEFORE, sequence, Event(*columns))
            chained.append((_BEFORE, sequence, digest, number))
        execute("UPDATE events SET chain = ?, sequence = ?, hash = ? WHERE id = ?", chained)
        last = rows[-1][0]
    if sequence:
        execute("INSERT INTO chains (name, sequence, hash) VALUES (?, ?, ?)", (_BEFORE, sequence, digest))
