"""Opens the SQLite file the one safe way: WAL with ``synchronous=FULL``, set and read back.

No other journal keeps promise P3: the default re-accepts a used code after a power loss. Opening never creates the
file; that is what ``radiusd2fa init`` is for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from radiusd2fa.store.errors import StoreError as StoreError
from radiusd2fa.store.errors import StoreUnavailableError as StoreUnavailableError
from radiusd2fa.store.revisions import refusal

_FULL: Final = 2
_CHECKPOINT_PAGES: Final = 4000
"""Pages in the WAL before they are copied home (SQLite's own choice is 1000): with many tokens each login touches a
page of its own, and copying rarely copies less."""


def connect(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open an existing database of this version's schema, durable and checked. ``busy_timeout`` in seconds."""
    try:
        connection = open_file(path, busy_timeout=busy_timeout)
    except sqlite3.OperationalError as error:
        raise StoreUnavailableError(
            f"{path}: cannot open the database ({error}); `radiusd2fa init` makes one"
        ) from error
    try:
        check_revision(connection, path)  # first: nothing is changed in a file that is not ours
        make_durable(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        raise StoreUnavailableError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreError(f"{path}: this is no SQLite database ({error}); restore it from your backup") from error
    except StoreError:
        connection.close()
        raise
    return connection


def open_file(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open an existing file as it is, in autocommit."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def make_durable(connection: sqlite3.Connection) -> None:
    """Set WAL and FULL, and believe it only when SQLite says so."""
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    journal = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if journal != "wal" or synchronous != _FULL:
        raise StoreError(
            f"the database would lose used codes in a power failure (journal {journal}, synchronous {synchronous}); "
            "put it on a local file system that supports WAL"
        )


def check_revision(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that this version cannot read exactly."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise StoreUnavailableError(f"{path}: {error}") from error
        row = None
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: this is no SQLite database ({error}); restore it from your backup") from error
    why = refusal(None if row is None else str(row[0]), path, _meta_of(connection))
    if why is not None:
        raise StoreError(why)


def _meta_of(connection: sqlite3.Connection) -> Callable[[str], str | None]:
    def look(key: str) -> str | None:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    return look
