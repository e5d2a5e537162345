"""The hot side over SQLite: one connection that reads a batch of logins as of one moment and writes it in one flush.

It never begins a new file, and after any error it opens the old one anew (promise P7). One writer at a time is SQLite's
own rule (its documentation, "Isolation"); why there is no writer thread: docs/decisions/0002; why the journal is
written again when it is opened: 0021. No RFC speaks here.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from radiusd2fa.core.model import NO_CALLER, Event, WriteEvent
from radiusd2fa.store import statements as sql
from radiusd2fa.store.chains import Chain
from radiusd2fa.store.database import Commit, Committed, Found, Ledger, Look
from radiusd2fa.store.dialects import STATEMENTS, Statement
from radiusd2fa.store.effects import step_for
from radiusd2fa.store.errors import StoreError, StoreUnavailableError
from radiusd2fa.store.sqlite import connect
from radiusd2fa.store.statements import Row, Step
from radiusd2fa.store.vaults import check_vault
from radiusd2fa.vault import Vault

_LOAD_USER: Final = sql.LOAD_USER.sqlite
_LOAD_CHALLENGE: Final = sql.LOAD_CHALLENGE.sqlite
_LOAD_BLOCK: Final = sql.LOAD_BLOCK.sqlite
_EVENT: Final = sql.EVENT.sqlite
_HARMLESS: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT})
_PRIMARY_CODE: Final = 0xFF
_AT_ONCE: Final = 1 << 20


class SqliteDatabase:
    """The one connection, for reading and writing: its page cache stays warm only if nobody else writes."""

    largest_group = 256
    troubles: tuple[type[Exception], ...] = (sqlite3.OperationalError, StoreError)

    def __init__(self, path: Path, vault: Vault, alarm: Callable[[str], None], patience: float) -> None:
        """``alarm`` hears when another file has taken the place of this one."""
        self._path = path
        self._vault = vault
        self._alarm = alarm
        self._patience = patience
        for statement in STATEMENTS:
            _ = statement.sqlite  # compiled now, and by no login
        self._connection: sqlite3.Connection | None = None
        self._cursor = self.connection().cursor()

    # --- reading ------------------------------------------------------------------------------------------------------

    def look(self, looks: Sequence[Look]) -> list[Found]:
        """Find the rows of all, as of one moment."""
        execute = self._reading().execute
        found = []
        for one in looks:
            user = execute(_LOAD_USER, (one.name,)).fetchall()
            challenge = block = None
            if one.state is not None:
                challenge = execute(_LOAD_CHALLENGE, (one.state,)).fetchone()
            if one.caller != NO_CALLER:
                block = execute(_LOAD_BLOCK, (one.nas, one.caller)).fetchone()
            found.append(Found(user, challenge, block))
        return found

    def one(self, statement: Statement, parameters: Row) -> Row | None:
        """Return the first row that is found."""
        row: Row | None = self._reading().execute(statement.sqlite, parameters).fetchone()
        return row

    def _reading(self) -> sqlite3.Cursor:
        """Begin to read, or go on: one lock for a batch of logins costs less than one for each."""
        if self._connection is None or not self._connection.in_transaction:
            self._still_there()
            self.connection()
            self._cursor.execute("BEGIN")
        return self._cursor

    def end_reading(self) -> None:
        """Give the lock back."""
        if self._connection is not None and self._connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, group: Sequence[Commit], chores: Sequence[Step], ledger: Ledger, now: float) -> list[Committed]:
        """Write all logins of a group in one durable transaction; say of each whether its guards held."""
        cursor = self._writing()
        for chore in chores:
            cursor.execute(chore.statement.sqlite, chore.parameters)
        chain = ledger.open(cursor.execute(sql.LOAD_CHAIN.sqlite, (ledger.name,)).fetchone())
        held: list[Committed] = [_apply(cursor, one, chain) for one in group]
        closing, committed = ledger.closing(chain, now, anyway=not group)
        for step in closing:
            cursor.execute(step.statement.sqlite, step.parameters)
        cursor.execute("COMMIT")
        committed()
        return held

    def note(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Write what does not matter, unless somebody else writes just now."""
        self.end_reading()
        self._still_there()
        connection = self.connection()
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return  # logins are not to wait for this
        finally:
            self.patience = self._patience
        self._cursor.executemany(statement.sqlite, rows)
        self._cursor.execute("COMMIT")

    def prove(self) -> None:
        """Write something that means nothing, durably."""
        self.end_reading()  # within a transaction nothing would reach the disk, and nothing be proved
        self._still_there()
        self.connection().execute(sql.PROBE.sqlite, ("", ""))

    def _writing(self) -> sqlite3.Cursor:
        """Begin to write; other processes wait until COMMIT."""
        self.end_reading()
        self._still_there()
        self.connection()
        self._cursor.execute("BEGIN IMMEDIATE")
        return self._cursor

    # --- its file -----------------------------------------------------------------------------------------------------

    @property
    def patience(self) -> float:
        """Seconds that a call waits for another program that writes."""
        return self._patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._patience = seconds
        if self._connection is not None:
            self._connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def connection(self) -> sqlite3.Connection:
        """Return the open connection, opened and checked now if need be."""
        if self._connection is None:
            connection = connect(self._path, busy_timeout=self._patience)
            try:
                check_vault(connection.execute(sql.VAULT.sqlite), self._vault, self._path)
                _make_visible_durable(connection, self._path)
                self._identity = self._on_disk()
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._cursor = connection.cursor()
        return self._connection

    def _on_disk(self) -> tuple[int, int]:
        status = os.stat(self._path)  # noqa: PTH116 - the short way, once for each batch of logins
        return status.st_dev, status.st_ino

    def _still_there(self) -> None:
        """Open anew when the file was replaced, as by a restore: the old one would go on accepting what it knows."""
        try:
            if self._connection is None or self._on_disk() == self._identity:
                return
        except OSError as error:
            raise StoreUnavailableError(f"{self._path}: {error.strerror}") from error
        self._alarm(f"{self._path}: the database was replaced; opening the new one")
        self.close()

    def failed(self, error: Exception) -> None:
        """Close after an error, but for those that say nothing of the disk: what was begun is undone."""
        code = getattr(error, "sqlite_errorcode", None)
        if code is None or code & _PRIMARY_CODE not in _HARMLESS or self._connection is None:
            self.close()
            return
        try:
            self._connection.rollback()
        except sqlite3.Error:
            self.close()

    def close(self) -> None:
        """Let go of the file; what was not committed is undone."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()  # a closed connection with an open statement keeps its locks
            self._cursor.close()
            self._connection.close()
            self._connection = None


def _make_visible_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Write the journal again, octet for octet, and flush it: what can be read in it shall really be on the disk.

    After a flush that failed, of this process or of one that was killed, the kernel calls pages clean which never
    reached the disk (fsync(2)). A commit behind them would be lost with them in a power failure, however well it was
    flushed itself; a checkpoint would carry them home half. SQLite holds its locks on other files than this one.
    """
    connection.execute("BEGIN IMMEDIATE")  # nobody else writes meanwhile
    try:
        journal = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
        try:
            at = 0
            while octets := os.pread(journal, _AT_ONCE, at):
                at += os.pwrite(journal, octets, at)
            os.fsync(journal)
        finally:
            os.close(journal)
    except FileNotFoundError:
        return  # nothing that anybody could read stands in it
    except OSError as error:
        raise StoreUnavailableError(f"{path}-wal: {error.strerror}") from error
    finally:
        connection.execute("ROLLBACK")


def _apply(cursor: sqlite3.Cursor, one: Commit, chain: Chain) -> bool:
    """Run one login's statements, all or none: a guard that is not the very first needs a savepoint to go back to."""
    steps = [step_for(effect) for effect in one.effects if not isinstance(effect, WriteEvent)]
    undoable = any(step.guarded for step in steps[1:])
    if undoable:
        cursor.execute("SAVEPOINT login")
    for step in steps:
        cursor.execute(step.statement.sqlite, step.parameters)
        if step.guarded and cursor.rowcount != 1:
            if undoable:
                cursor.execute("ROLLBACK TO login")
                cursor.execute("RELEASE login")
            return False
    for effect in one.effects:
        if isinstance(effect, WriteEvent):
            _append(cursor, effect.event, chain)
    _append(cursor, one.event, chain)
    if undoable:
        cursor.execute("RELEASE login")
    return True


def _append(cursor: sqlite3.Cursor, event: Event, chain: Chain) -> None:
    cursor.execute(_EVENT, sql.event_row(event) + chain.link(event))
