"""Writes a backup: one file of SQLite in our own schema, whatever kind of store it is made of, while logins go on.

It is the store as of one moment, whole and on the disk before it has its name, and it overwrites nothing. No daemon
takes it for a store, so that it cannot come back without the gap (``restoring``). The vault key is not in it. SQLite,
"Online Backup API"; no RFC speaks here.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, delete

from radiusd2fa.core.record import record
from radiusd2fa.store.address import Address, SqliteFile
from radiusd2fa.store.connecting import How, check_vault, open_engine, transaction
from radiusd2fa.store.copying import copy, count
from radiusd2fa.store.schema import REVISION, meta, metadata
from radiusd2fa.store.sqlite import StoreError
from radiusd2fa.store.upgrade import create
from radiusd2fa.vault import Vault

MARK: Final = "backup of "
"""What stands before the schema's number in a backup."""
COUNTED: Final = ("users", "tokens", "events")
_PAGES_AT_ONCE: Final = 2000
_ABOUT: Final = ("backup_made", "backup_of", "backup_by", "backup_version")

Progress = Callable[[str, int, int], None]
"""Hears what is being done, how far it is, and how far it goes."""


@record
class About:
    """What a backup says of itself."""

    schema: str
    vault_key_id: str
    fingerprint_key: str | None
    made: float
    """Seconds since 1970; 0 for a plain copy of a database file."""
    of: str
    by: str
    version: str
    """Of the program."""
    counts: dict[str, int]


@record
class Maker:
    """Who makes a backup, and when."""

    actor: str
    version: str
    now: float


def back_up(address: Address, vault: Vault, to: Path, maker: Maker, progress: Progress) -> About:
    """Write the store of that address into a new file; StoreError where that cannot be done, and then no file is left.

    What logins write meanwhile is not in it, and they wait for nothing.
    """
    if to.exists() or to.is_symlink():
        raise StoreError(f"{to}: is there already; a backup overwrites nothing")
    try:
        with _part(to) as part:
            counts = _copy(address, vault, part, progress)
            with closing(sqlite3.connect(part, isolation_level=None)) as backup:
                _sign(backup, address, maker)
                _prove(backup, counts, part, progress)
            flush(part)
            put_in_place(part, to)
            flush(to.parent)
    except sqlite3.Error as error:
        raise StoreError(f"{to}: the backup could not be written ({error}); is the disk full?") from error
    except OSError as error:
        raise StoreError(f"{error.filename or to}: {error.strerror}") from error
    with reading(to) as backup:
        return about(backup, to)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a backup, or a copy of a database, to read it alone; StoreError where it is neither."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be opened ({error})") from error
    with closing(connection):
        try:
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: this is no backup of radiusd2fa, or it is damaged ({error})") from error
        yield connection


def about(backup: sqlite3.Connection, path: Path) -> About:
    """Read what a backup says of itself; StoreError for one of a newer program."""
    (schema,) = backup.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
    said = dict(backup.execute("SELECT key, value FROM meta"))
    schema = schema.removeprefix(MARK)
    if not schema.isdigit() or schema > REVISION:
        raise StoreError(f"{path}: has schema {schema}, and this version of radiusd2fa knows {REVISION}; use its own")
    made, of, by, version = (said.get(key, "") for key in _ABOUT)
    return About(
        schema=schema,
        vault_key_id=said.get("vault_key_id", ""),
        fingerprint_key=said.get("fingerprint_key"),
        made=float(made or 0.0),
        of=of,
        by=by,
        version=version,
        counts=_counts(backup),
    )


# --- copying ----------------------------------------------------------------------------------------------------------


@contextmanager
def _part(to: Path) -> Iterator[Path]:
    """A file beside the backup, for its owner alone, that is gone afterwards whatever happens."""
    part = to.with_name(f".{to.name}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
    finally:
        for name in (part.name, f"{part.name}-wal", f"{part.name}-shm", f"{part.name}-journal"):
            part.with_name(name).unlink(missing_ok=True)


def _copy(address: Address, vault: Vault, part: Path, progress: Progress) -> dict[str, int]:
    """Copy all as of one moment, and return how many rows there were then."""
    engine = open_engine(address)
    try:
        with engine.connect() as source, transaction(source, How.LOOKING):
            check_vault(source, vault, address)  # the first look: from here on nothing that is read changes
            if isinstance(address, SqliteFile):
                driver = source.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
                _copy_pages(driver, part, progress)
                return _counts(driver)
            create(SqliteFile(part), vault)
            _copy_rows(source, part, progress)
            return {name: count(source, metadata.tables[name]) for name in COUNTED}
    finally:
        engine.dispose()


def _copy_rows(source: Connection, part: Path, progress: Progress) -> None:
    engine = open_engine(SqliteFile(part))
    try:
        with engine.begin() as target:
            target.execute(delete(meta))
            copy(source, target, progress=lambda table, done, of: progress(f"copying {table}", done, of))
    finally:
        engine.dispose()


def _copy_pages(source: sqlite3.Connection, part: Path, progress: Progress) -> None:
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(part, isolation_level=None)) as backup:
        backup.execute("PRAGMA synchronous = OFF")  # it is flushed as a whole, and nobody has its name before that
        source.backup(
            backup,
            pages=_PAGES_AT_ONCE,
            progress=lambda _, left, pages: progress("copying", pages - left, pages),
        )


def _sign(backup: sqlite3.Connection, address: Address, maker: Maker) -> None:
    """Make one file of it, and let it say what it is."""
    backup.execute("PRAGMA journal_mode = DELETE")
    rows = zip(_ABOUT, (repr(maker.now), str(address), maker.actor, maker.version), strict=True)
    backup.execute("BEGIN")
    backup.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", rows)
    backup.execute("UPDATE alembic_version SET version_num = ?", (MARK + REVISION,))
    backup.execute("COMMIT")


def _prove(backup: sqlite3.Connection, counts: dict[str, int], part: Path, progress: Progress) -> None:
    progress("checking", 0, 1)
    wrong = [text for (text,) in backup.execute("PRAGMA integrity_check(3)") if text != "ok"]
    wrong += [f"a row of {table} refers to none" for table, *_ in backup.execute("PRAGMA foreign_key_check")]
    if wrong:
        raise StoreError(f"{part}: the copy is damaged ({wrong[0]}); run `radiusd2fa db verify`")
    if _counts(backup) != counts:
        raise StoreError(f"{part}: the copy is not whole; try again")
    progress("checking", 1, 1)


def _counts(database: sqlite3.Connection) -> dict[str, int]:
    return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in COUNTED}  # noqa: S608 - ours


# --- the file ---------------------------------------------------------------------------------------------------------


def flush(path: Path) -> None:
    """Let a file, or the names in a folder, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(part: Path, to: Path) -> None:
    """Give it its name, unless something has come to have that meanwhile."""
    try:
        to.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS} or to.exists():
            raise
        part.rename(to)  # a file system without links
