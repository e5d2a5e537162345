"""Moves a site out of its SQLite file: closes the file, copies it, compares both, and only then opens the copy.

At no moment can anybody log in by both: a code that was used in one of them would be new to the other (RFC 4226 7.2).
Ended at any moment it goes on where it was; until all is compared, the file can be opened again instead.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, delete, select, text
from sqlalchemy.exc import DatabaseError, NoResultFound, OperationalError

from radiusd2fa.store.address import Address, PostgresServer, SqliteFile
from radiusd2fa.store.administration import Administration, RefusedError, unavailable
from radiusd2fa.store.connecting import How, open_engine, put, transaction
from radiusd2fa.store.copying import TABLES, Progress, copy, count, digest
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.revisions import COPYING, MOVED, MOVED_TO, MOVING, refusal
from radiusd2fa.store.schema import REVISION, callers, challenges, meta, sightings, stations
from radiusd2fa.store.upgrade import create_incomplete, is_there

_WHICH: Final = "moved_as"
"""Where ``meta`` of the file keeps which copy is its own."""
_OURS: Final = (MOVED_TO, _WHICH)
_PASSING: Final = (challenges, callers, sightings, stations)
"""What is copied anew each time: it may change without a row in the audit."""
_LASTING: Final = tuple(table for table in TABLES if table not in (*_PASSING, meta))

_SHUT: Final = {"events": "INSERT ON events", "tokens": "INSERT ON tokens", "factors": "UPDATE ON tokens"}
_SHUT_ONE: Final = "CREATE TRIGGER closed_{} BEFORE {} BEGIN SELECT RAISE(ABORT, 'closed: this site has moved'); END"
_VERSION: Final = text("SELECT version_num FROM alembic_version")
_SET_VERSION: Final = text("UPDATE alembic_version SET version_num = :version")

OpenDesk = Callable[[], "Closing"]
"""Opens the file as long as it is open."""


class Closing(Administration):
    """A file that is to be closed, or was closed in vain."""

    def close(self, to: str, which: str, now: float, reason: str) -> None:
        """Let nobody write into it any more, neither a daemon that runs nor a command, and nobody open it."""
        with self._transaction() as connection:
            where = to.partition("?")[0]
            self._note(connection, "database.moved", now, reason=f"to {where}: {reason}" if reason else f"to {where}")
            put(connection, meta.name, meta.c.keys(), [(MOVED_TO, to), (_WHICH, which)])
            connection.execute(_SET_VERSION, {"version": MOVING})
            for name, moment in _SHUT.items():
                connection.exec_driver_sql(_SHUT_ONE.format(name, moment))

    def note_reopened(self, now: float, reason: str) -> None:
        """Write down that the site stays where it was."""
        with self._change("database.reopened", now, reason=reason):
            pass


def move(
    source: SqliteFile, to: Address, desk: OpenDesk, now: float, progress: Progress, reason: str = ""
) -> dict[str, int]:
    """Close the file, copy it, compare, and let the copy be opened; returns how many rows of each table there are.

    RefusedError where the copy cannot be begun: then the file is as open as before.
    """
    try:
        which = _begin(source, to, desk, now, reason)
        with _unchecked(source) as ours, _unchecked(to) as theirs, transaction(ours, How.LOOKING):
            _copy(ours, theirs, progress)
            rows = _compare(ours, theirs, progress)
        _set_version(source, MOVED)
        _set_version(to, REVISION, before=COPYING + which)
    except OperationalError as error:
        raise unavailable(error) from error
    return rows


def reopen(source: SqliteFile, desk: OpenDesk, now: float, reason: str = "") -> None:
    """Open a file again whose copy was not completed; that copy can never be completed then."""
    with _unchecked(source) as ours, transaction(ours, How.CHANGING):
        if ours.execute(_VERSION).scalar() != MOVING:
            raise RefusedError(f"{source}: no copy of it was begun, or it is complete: then nothing opens the old one")
        for name in _SHUT:
            ours.exec_driver_sql(f"DROP TRIGGER closed_{name}")
        ours.execute(delete(meta).where(meta.c.key.in_(_OURS)))
        ours.execute(_SET_VERSION, {"version": REVISION})
    with desk() as opened:
        opened.note_reopened(now, reason)


def is_moving(source: SqliteFile) -> bool:
    """Whether that file was closed to be copied, and its copy is not known to be complete."""
    return _look(source)[0] in (MOVING, MOVED)


def _begin(source: SqliteFile, to: Address, desk: OpenDesk, now: float, reason: str) -> str:
    """Make the target ready, close the file, and return which copy it is; go on with an attempt that was ended."""
    url = to.uri if isinstance(to, PostgresServer) else f"sqlite:///{to.path}"
    version, kept = _look(source)
    if version == REVISION:
        which = secrets.token_hex(8)
        _make_ready(to, which)
        with desk() as opened:
            opened.close(url, which, now, reason)
        return which
    if version not in (MOVING, MOVED):
        raise StoreError(refusal(version, source, kept.get) or "")
    if kept.get(MOVED_TO) != url:
        raise RefusedError(f"{source}: it is being copied to {kept.get(MOVED_TO)}; give that, or --reopen first")
    if version == MOVED and _look(to)[0] == REVISION:
        raise RefusedError(f"{source}: has moved already; write into the settings: store: {url}")
    _make_ready(to, kept[_WHICH])
    return kept[_WHICH]


def _make_ready(to: Address, which: str) -> None:
    """Have an empty store of ours there, or the beginning of this very copy."""
    if not is_there(to):
        create_incomplete(to, COPYING + which)
        return
    version, _ = _look(to)
    if version == COPYING + which:
        return
    if version is not None and version.startswith(COPYING) and not _rows(to):
        _set_version(to, COPYING + which)
        return
    what = "the beginning of another copy" if (version or "").startswith(COPYING) else "something already"
    raise RefusedError(f"{to}: there is {what}; name an empty database, or a file that is not there yet")


def _copy(ours: Connection, theirs: Connection, progress: Progress) -> None:
    with transaction(theirs, How.BESIDE):
        for table in (*_PASSING, meta):
            theirs.execute(delete(table))
        rows = ours.execute(select(*meta.c).where(meta.c.key.not_in(_OURS)))
        put(theirs, meta.name, meta.c.keys(), map(tuple, rows))
    copy(
        ours,
        theirs,
        (*_LASTING, *_PASSING),
        lambda table, done, of: progress(f"copying {table}", done, of),
        theirs.commit,
    )


def _compare(ours: Connection, theirs: Connection, progress: Progress) -> dict[str, int]:
    """Hold each row of the copy against the file's."""

    def told(table: str, done: int, of: int) -> None:
        progress(f"comparing {table}", done, of)

    with transaction(theirs, How.LOOKING):
        for table in (*_LASTING, *_PASSING):
            if digest(ours, table, told) != digest(theirs, table, told):
                raise StoreError(
                    f"{table.name} is not the same in the copy, so the copy stays closed; make the target empty and "
                    "give the command again, or open the old file with --reopen"
                )
        return {table.name: count(theirs, table) for table in _LASTING}


def _look(at: Address) -> tuple[str | None, dict[str, str]]:
    """Return the version of a store, and what its ``meta`` says."""
    try:
        with _unchecked(at) as connection, transaction(connection, How.LOOKING):
            version = connection.execute(_VERSION).scalar_one()
            said = connection.execute(select(meta.c.key, meta.c.value))
            return str(version), {str(key): str(value) for key, value in said}
    except OperationalError as error:
        if "no such table" not in str(error.orig):
            raise
        return None, {}
    except (DatabaseError, NoResultFound):
        return None, {}


def _rows(at: Address) -> int:
    with _unchecked(at) as connection, transaction(connection, How.LOOKING):
        return sum(count(connection, table) for table in _LASTING)


def _set_version(at: Address, version: str, *, before: str | None = None) -> None:
    with _unchecked(at) as connection, transaction(connection, How.CHANGING):
        if before is not None and connection.execute(_VERSION).scalar() != before:
            raise StoreError(f"{at}: somebody else has done something with it meanwhile")
        connection.execute(_SET_VERSION, {"version": version})


@contextmanager
def _unchecked(at: Address) -> Iterator[Connection]:
    """A connection to what is not open to anybody."""
    engine = open_engine(at, checked=False)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
