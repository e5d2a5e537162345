"""Opens a PostgreSQL database the one safe way: with a server that writes, flushes, and says so when it is asked.

Nothing is changed on the server. It asks for no password and knows none: libpq takes it from the passfile that the
address names, or needs none. PostgreSQL 20.5 (write-ahead log), 34.1 (connections); no RFC speaks here.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from radiusd2fa.store.address import PostgresServer
from radiusd2fa.store.errors import StoreError, StoreUnavailableError
from radiusd2fa.store.revisions import refusal

if TYPE_CHECKING:
    import psycopg

_OLDEST: Final = 130000
_SECONDS_OFF: Final = 5.0
_STALLED: Final = 10.0
"""Seconds after which the server throws out who was stopped in the middle of a change."""

_PARAMETERS: Final = {
    "client_encoding": "utf8",
    "application_name": "radiusd2fa",
    "target_session_attrs": "read-write",
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}

_CHECKS: Final = """
    SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
        current_setting('synchronous_standby_names'), current_setting('transaction_read_only'), pg_is_in_recovery(),
        current_setting('server_encoding'), current_setting('server_version_num')::int, to_regclass('alembic_version')
"""


def connect(server: PostgresServer, *, patience: float) -> psycopg.Connection[Any]:
    """Open an existing database of this version's schema, durable and checked; in autocommit.

    ``patience`` in seconds: for each of the servers that the address names, and for each lock later on.
    """
    import psycopg

    connection = open_server(server, patience=patience)
    try:
        check_server(connection, server)
    except psycopg.Error as error:
        connection.close()
        raise StoreUnavailableError(f"{server}: {one_line(error)}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_server(server: PostgresServer, *, patience: float) -> psycopg.Connection[Any]:
    """Open a database as it is, in autocommit."""
    try:
        import psycopg
    except ImportError as error:
        raise StoreError(f"{server}: PostgreSQL needs psycopg; run: pip install 'radiusd2fa[postgres]'") from error
    timeouts = {"lock_timeout": patience, "idle_in_transaction_session_timeout": _STALLED}
    try:
        connection = psycopg.connect(
            server.uri, autocommit=True, connect_timeout=max(2, math.ceil(patience)), **_asked_for(server)
        )
        for name, seconds in timeouts.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, f"{seconds * 1000:.0f}ms"))
    except psycopg.Error as error:
        raise StoreUnavailableError(
            f"{server}: cannot connect ({one_line(error)}); `radiusd2fa init` makes what is missing"
        ) from error
    return connection


def _asked_for(server: PostgresServer) -> dict[str, Any]:
    """What we ask of each connection, where the address does not say it otherwise."""
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(server.uri)
    return {name: value for name, value in _PARAMETERS.items() if name not in given}


def check_server(connection: psycopg.Connection[Any], server: PostgresServer) -> None:
    """Refuse a server that would lose used codes, and a database that this version cannot read exactly."""
    found = connection.execute(_CHECKS).fetchone()
    assert found is not None  # noqa: S101 - for the type checker: a SELECT without FROM has one row
    fsync, pages, commit, standbys, read_only, standby, encoding, version, stamped = found
    if version < _OLDEST:
        raise StoreError(f"{server}: PostgreSQL {version // 10000} is too old; radiusd2fa needs 13 or later")
    if read_only == "on" or standby:
        raise StoreUnavailableError(f"{server}: this server does not write; name the primary too, with commas between")
    if fsync != "on" or pages != "on":
        name = "fsync" if fsync != "on" else "full_page_writes"
        raise StoreError(
            f"{server}: the database would lose used codes in a power failure ({name} is off); "
            f"run: ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
        )
    if commit == "off" or (commit == "local" and standbys):
        raise StoreError(
            f"{server}: the database would lose used codes in a failure (synchronous_commit is {commit}); "
            "run: ALTER ROLE the one radiusd2fa connects as SET synchronous_commit = on"
        )
    if encoding != "UTF8":
        raise StoreError(
            f"{server}: the database has encoding {encoding}; make it anew: CREATE DATABASE ... "
            "ENCODING 'UTF8' TEMPLATE template0"
        )
    row = None if stamped is None else connection.execute("SELECT version_num FROM alembic_version").fetchone()

    def meta(key: str) -> str | None:
        value = connection.execute("SELECT value FROM meta WHERE key = %s", (key,)).fetchone()
        return None if value is None else str(value[0])

    why = refusal(None if row is None else str(row[0]), server, meta)
    if why is not None:
        raise StoreError(why)


def seconds_off(connection: psycopg.Connection[Any]) -> float:
    """Return by how many seconds the server's clock is ahead of ours; 0 where it does not matter."""
    before = time.time()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    assert row is not None  # noqa: S101 - for the type checker
    off = float(row[0]) - (before + time.time()) / 2
    return off if abs(off) > _SECONDS_OFF else 0.0


def one_line(error: BaseException) -> str:
    """Say an error of the server in one line; what follows may show a row."""
    return str(error).partition("\n")[0]
