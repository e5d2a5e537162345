"""The tables, described once: for the migrations, the hot statements and the administration alike.

No statement runs here. Times are seconds since 1970 (UTC); a moving factor only grows (RFC 4226, RFC 6238).
A change here needs a migration in ``migrations/versions`` and its number in REVISION.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    literal_column,
)

REVISION: Final = "0005"
"""The schema that this version of the program reads and writes."""

metadata: Final = MetaData()

_Text: Final = String().with_variant(String(collation="C"), "postgresql")
"""Compared and sorted octet by octet, as SQLite does it, however the database of PostgreSQL was made."""
_Number: Final = Integer().with_variant(BigInteger(), "postgresql")
"""64 bits, as every INTEGER of SQLite has."""

users: Final = Table(
    "users",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", _Text, nullable=False, unique=True),
    Column("source", _Text, nullable=False, server_default="local"),
    Column("enabled", Boolean, nullable=False, server_default="1"),
    Column("groups", _Text, nullable=False, server_default=""),  # one on each line
    Column("failures", _Number, nullable=False, server_default="0"),
    Column("locked_until", Double, nullable=False, server_default="0"),
    Column("password_hash", _Text),
    Column("created", Double, nullable=False),
    Column("directory_id", _Text),
    Column("enrolled", Boolean, nullable=False, server_default="0"),  # has ever had a token
    Column("last_login", Double),  # without a token; of others their tokens know
    Column("bare", _Text, nullable=False, server_default=""),  # the name without its realms (core.names.bare)
    Column("skip_until", Double, nullable=False, server_default="0"),  # of the open grant, if there is one
    Index("users_directory", "source", "directory_id", unique=True),
    Index("users_bare", "bare"),
    Index("users_directory_id", "directory_id"),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("serial", _Text, nullable=False, unique=True),
    Column("user_id", _Number, ForeignKey("users.id"), index=True),
    Column("kind", _Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("digits", Integer, nullable=False),
    Column("algorithm", _Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("state", _Text, nullable=False),
    Column("valid_from", Double, nullable=False, server_default="0"),
    Column("valid_until", Double),
    Column("created", Double, nullable=False),
    Column("moving_factor", BigInteger, nullable=False),
    Column("drift", Integer, nullable=False, server_default="0"),
    Column("last_used", Double),
    Column("candidate", BigInteger),
    Column("candidate_until", Double, nullable=False, server_default="0"),
    Column("label", _Text, nullable=False, server_default=""),
    Column("credential", _Text),  # SHA-256 over a security key's credential id: no two people share one
    Column("model", _Text, nullable=False, server_default=""),  # from here on: where it is, and has been
    Column("batch", _Text, nullable=False, server_default=""),
    Column("box", _Text, nullable=False, server_default=""),
    Column("delivered", Double),
    Column("handed_by", _Text, nullable=False, server_default=""),
    Column("handed_at", Double),
    Column("activate_by", Double),  # assigned: until when its first code must come
    Column("fingerprint", _Text),  # of the seed, under a key that only the vault has: finds one that comes twice
    Index("tokens_fingerprint", "fingerprint"),
    Index("tokens_credential", "credential", unique=True),
    CheckConstraint("moving_factor >= 0", name="moving_factor_not_negative"),
    sqlite_autoincrement=True,  # an id is never given twice: sealed seeds are bound to it
)

challenges: Final = Table(
    "challenges",
    metadata,
    Column("handle", _Text, primary_key=True),
    Column("nas", _Text, nullable=False),
    Column("user_name", _Text, nullable=False),
    Column("user_id", _Number),
    Column("kind", _Text, nullable=False),
    Column("password_passed", Boolean, nullable=False),
    Column("login", _Text, nullable=False),
    Column("expires", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("nonce", _Text),  # from here on: what is offered to a security key
    Column("station", Boolean, nullable=False, server_default="0"),
    Column("contested", Boolean, nullable=False, server_default="0"),
    Column("user_verification", Boolean, nullable=False, server_default="0"),
    Column("credentials", _Text, nullable=False, server_default=""),
    Column("answer", _Text),
    Column("rule", _Text, nullable=False, server_default=""),  # from here on: under what it was put
    Column("backend", _Text, nullable=False, server_default=""),
    Column("doomed", Boolean, nullable=False, server_default="0"),
    Column("relay_state", LargeBinary),  # of an upstream server that has asked something
    Column("relay_server", _Text),
    Column("reply", LargeBinary),  # what an upstream server wants in the Access-Accept, as in a packet
    Column("attributes", LargeBinary),  # of the first packet, as far as rules look at them
    Index("challenges_expires", "expires"),
    sqlite_with_rowid=False,
)
Index(
    "challenges_station",
    challenges.c.user_id,
    challenges.c.contested,
    sqlite_where=challenges.c.station == literal_column("1"),
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("nonce", _Text, primary_key=True),  # its SHA-256: who reads the database cannot answer for anybody
    Column("user_id", _Number, ForeignKey("users.id"), nullable=False),
    Column("label", _Text, nullable=False),
    Column("expires", Double, nullable=False),
    sqlite_with_rowid=False,
)

stations: Final = Table(
    "stations",
    metadata,
    Column("name", _Text, primary_key=True),
    Column("seen", Double, nullable=False),
    Column("device", _Text, nullable=False),
    sqlite_with_rowid=False,
)

grants: Final = Table(
    "grants",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("user_id", _Number, nullable=False),
    Column("user", _Text, nullable=False),  # as the person was called
    Column("kind", _Text, nullable=False),  # skip, temporary, breakglass
    Column("serial", _Text, nullable=False, server_default=""),  # of the sheet with the codes, where there is one
    Column("reason", _Text, nullable=False),
    Column("granted_by", _Text, nullable=False),
    Column("approved_by", _Text, nullable=False, server_default=""),  # of two persons
    Column("created", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("closed", Double),  # when somebody has ended it before its time
    Column("closed_by", _Text, nullable=False, server_default=""),
    Index("grants_user", "user_id"),
)

requests: Final = Table(
    "requests",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("user_id", _Number, nullable=False),
    Column("user", _Text, nullable=False),
    Column("reason", _Text, nullable=False),
    Column("requested_by", _Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("lasts", Double, nullable=False),  # seconds that the sheet stays open once approved
    Column("approved_by", _Text),
    Column("approved", Double),
)

callers: Final = Table(
    "callers",
    metadata,
    Column("nas", _Text, primary_key=True),
    Column("caller", _Text, primary_key=True),
    Column("failures", _Number, nullable=False),
    Column("window_ends", Double, nullable=False),
    Column("blocked_until", Double, nullable=False),
    sqlite_with_rowid=False,
)

events: Final = Table(
    "events",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("time", Double, nullable=False),
    Column("name", _Text, nullable=False),
    Column("login", _Text, nullable=False),
    Column("nas", _Text, nullable=False),
    Column("user", _Text, nullable=False),
    Column("caller", _Text, nullable=False),
    Column("factor", _Text, nullable=False),
    Column("serial", _Text, nullable=False),
    Column("outcome", _Text, nullable=False),
    Column("reason", _Text, nullable=False),
    Column("latency", Double, nullable=False),
    Column("actor", _Text, nullable=False),
    Column("chain", _Text, nullable=False, server_default=""),  # from here on: its place in a hash chain (core.chain)
    Column("sequence", BigInteger, nullable=False, server_default="0"),
    Column("hash", LargeBinary),
)

EVENT_COLUMNS: Final = tuple(column for column in events.c if column.name not in {"id", "chain", "sequence", "hash"})
"""What core.model.Event says of a row; the rest is the row's place."""

chains: Final = Table(
    "chains",
    metadata,
    Column("name", _Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # of its last row
    Column("hash", LargeBinary, nullable=False),
    Column("seal", LargeBinary),  # the vault vouches for it; none: nobody has written since the upgrade
    sqlite_with_rowid=False,
)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("chain", _Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("time", Double, nullable=False),
    Column("key", _Text, nullable=False),  # which public key verifies it
    Column("signature", LargeBinary, nullable=False),
    Column("archived", Boolean, nullable=False, server_default="0"),  # rows up to here may be taken out
    Index("checkpoints_chain", "chain", "sequence"),
)

sightings: Final = Table(
    "sightings",
    metadata,
    Column("client", _Text, primary_key=True),
    Column("updated", Double, nullable=False),
    Column("packets", _Text, nullable=False),
    sqlite_with_rowid=False,
)

meta: Final = Table(
    "meta",
    metadata,
    Column("key", _Text, primary_key=True),
    Column("value", _Text, nullable=False),
    sqlite_with_rowid=False,
)

_REFUSE: Final = "CREATE TRIGGER {name} BEFORE {what} BEGIN SELECT RAISE(ABORT, '{why}'); END"

_ENROL: Final = (
    "CREATE TRIGGER {name} AFTER {moment} ON tokens "
    "WHEN NEW.user_id IS NOT NULL AND NEW.kind NOT IN ('recovery', 'temporary', 'breakglass') "
    "BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END"
)

_UNARCHIVED: Final = (
    "NOT EXISTS (SELECT 1 FROM checkpoints WHERE chain = OLD.chain AND archived = 1 AND sequence >= OLD.sequence)"
)

TRIGGERS: Final = (
    _REFUSE.format(name="events_no_update", what="UPDATE ON events", why="the audit is append-only"),
    _REFUSE.format(
        name="events_no_delete", what=f"DELETE ON events WHEN {_UNARCHIVED}", why="the audit is append-only"
    ),
    _REFUSE.format(name="checkpoints_no_update", what="UPDATE ON checkpoints", why="the audit is append-only"),
    _REFUSE.format(name="checkpoints_no_delete", what="DELETE ON checkpoints", why="the audit is append-only"),
    _REFUSE.format(
        name="tokens_only_grow",
        what="UPDATE OF moving_factor ON tokens WHEN NEW.moving_factor < OLD.moving_factor",
        why="a moving factor only grows",
    ),
    _REFUSE.format(
        name="tokens_used_codes_stay_used",
        what="UPDATE OF moving_factor ON tokens WHEN OLD.kind IN ('recovery', 'temporary', 'breakglass') "
        "AND NEW.moving_factor & OLD.moving_factor <> OLD.moving_factor",
        why="a code that was used stays used",
    ),
    _ENROL.format(name="users_enrolled_by_token", moment="UPDATE OF user_id"),
    _ENROL.format(name="users_enrolled_by_new_token", moment="INSERT"),
)
"""SQLite keeps the oldest promises itself, whoever writes; and who has ever had a token stays one who had.

Sheets of codes are no tokens in that sense."""
