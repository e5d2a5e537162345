"""The store as administration opens it: one engine for both kinds, and the five ways in which a transaction begins.

It knows no table. Where administration changes something, no login runs at the same moment, on no node: SQLite has one
writer, and on PostgreSQL two advisory locks are taken in one order. PostgreSQL 13.3.5 (advisory locks).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, create_engine, event, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from radiusd2fa.store.address import Address, PostgresServer, SqliteFile
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.locks import ADMINISTRATION, LOGINS
from radiusd2fa.store.schema import meta
from radiusd2fa.store.sqlite import connect, open_file
from radiusd2fa.vault import Vault

if TYPE_CHECKING:
    import psycopg

PATIENCE: Final = 5.0
"""Seconds that administration waits for whoever writes."""

_HOW: Final = "radiusd2fa_how"


class How(StrEnum):
    """In which way a transaction begins."""

    LOOKING = "looking"
    """Reads as of one moment, writes nothing, and holds up nobody."""
    ASIDE = "aside"
    """Writes only tables of its own (temporary ones), and holds up nobody."""
    ALONE = "alone"
    """Writes one row that no other is written with, and so can be in nobody's way."""
    BESIDE = "beside"
    """Writes what no login could touch yet. Other commands wait; logins only where the store has a single writer."""
    CHANGING = "changing"
    """Writes; other commands and logins wait."""


_SQLITE: Final = {
    How.LOOKING: ("PRAGMA query_only = ON", "BEGIN"),
    How.ASIDE: ("PRAGMA query_only = OFF", "BEGIN"),
    How.ALONE: ("PRAGMA query_only = OFF", "BEGIN IMMEDIATE"),
    How.BESIDE: ("PRAGMA query_only = OFF", "BEGIN IMMEDIATE"),
    How.CHANGING: ("PRAGMA query_only = OFF", "BEGIN IMMEDIATE"),
}
_LOCK: Final = "SELECT pg_advisory_xact_lock({})"
_PATIENT: Final = "SET LOCAL idle_in_transaction_session_timeout = 0"
"""Who holds up nobody may take their time between two questions; all others the server throws out when they stall."""
_POSTGRESQL: Final[dict[How, tuple[str, ...]]] = {
    How.LOOKING: ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", _PATIENT),
    How.ASIDE: (_PATIENT,),
    How.ALONE: (),
    How.BESIDE: (_LOCK.format(ADMINISTRATION),),
    How.CHANGING: (_LOCK.format(ADMINISTRATION), _LOCK.format(LOGINS)),
}


def open_engine(address: Address, *, patience: float | None = None, checked: bool = True) -> Engine:
    """Return what makes connections, each opened anew; StoreError where the store cannot be used.

    Not ``checked`` is for whoever makes a schema, or brings it up to date. ``patience`` is PATIENCE if it is not said.
    """
    patience = PATIENCE if patience is None else patience
    match address:
        case SqliteFile(path):
            make = connect if checked else open_file
            engine = create_engine(
                "sqlite://",
                creator=lambda: make(path, busy_timeout=patience),
                poolclass=NullPool,
                hide_parameters=True,
            )
            begins: Any = _SQLITE
        case PostgresServer():
            engine = create_engine(
                "postgresql+psycopg://",
                creator=lambda: _connect_to_server(address, patience, checked=checked),
                poolclass=NullPool,
                hide_parameters=True,
                use_native_hstore=False,
            )
            begins = _POSTGRESQL

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        for statement in begins[connection.get_execution_options().get(_HOW, How.CHANGING)]:
            connection.exec_driver_sql(statement)

    return engine


def _connect_to_server(server: PostgresServer, patience: float, *, checked: bool) -> psycopg.Connection[Any]:
    """Connect as the daemon does; psycopg begins each transaction by itself then."""
    from radiusd2fa.store import postgresql

    connection = (postgresql.connect if checked else postgresql.open_server)(server, patience=patience)
    connection.autocommit = False
    return connection


@contextmanager
def transaction(connection: Connection, how: How) -> Iterator[Connection]:
    """One transaction on an open connection; an error inside leaves nothing of it."""
    connection.execution_options(**{_HOW: how})
    with connection.begin():
        yield connection


def lock_logins(connection: Connection) -> None:
    """Go on from BESIDE to CHANGING: nothing that a login could wait for may be held yet."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_LOCK.format(LOGINS))


def put(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write many rows into the open transaction, in the quickest way that the store has."""
    if connection.dialect.name == "sqlite":
        names, places = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        with _cursor(connection) as cursor:
            cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', rows)  # noqa: S608 - of the schema
        return
    from psycopg.sql import SQL, Identifier

    copy = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), SQL(", ").join(map(Identifier, columns)))
    with _cursor(connection) as cursor, cursor.copy(copy) as into:
        for row in rows:
            into.write_row(row)


@contextmanager
def _cursor(connection: Connection) -> Iterator[Any]:
    """The driver's own cursor; its errors become those of everything else."""
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(None, None, error, connection.dialect.loaded_dbapi.Error) from error
    finally:
        cursor.close()


def check_vault(connection: Connection, vault: Vault, address: Address) -> None:
    """Refuse a key file that does not belong to this store: what is sealed under another key no login could open."""
    names = ("vault_key_id", "fingerprint_key")
    asked = select(meta.c.key, meta.c.value).where(meta.c.key.in_(names))
    found = {str(key): str(value) for key, value in connection.execute(asked)}
    if not vault.fits(found.get("vault_key_id"), found.get("fingerprint_key")):
        raise StoreError(
            f"{address}: sealed under vault key {found.get('vault_key_id', 'unknown')}, but vault.key_file holds "
            f"{vault.key_id.hex()}; restore the key file that belongs to this database"
        )


def one_line(error: BaseException | None) -> str:
    """Say an error of the database in one line; what follows it, of PostgreSQL, may show a row."""
    return str(error).partition("\n")[0]
