"""The hot side of the store: ``load`` what is known, ``commit`` what a decision changes.

All logins that were decided together are applied as conditional statements inside one transaction and pay for one
flush to the disk (group commit). A login whose guard does not hold leaves no trace; a store that does not answer in
time is an error for the caller, never a yes. RFC 4226 7.2 and RFC 6238 5.2 are kept here: nothing is accepted twice,
because the database decides who was first. Why there is no writer thread: docs/decisions/0002.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from radiusd2fa.core.model import (
    NO_CALLER,
    ChallengeKind,
    CloseChallenge,
    Effect,
    Event,
    KeyCeremony,
    Known,
    OpenChallenge,
    PendingChallenge,
    Relay,
    Token,
    TokenState,
    User,
    WriteEvent,
)
from radiusd2fa.core.names import bare
from radiusd2fa.core.record import record
from radiusd2fa.core.texts import octets
from radiusd2fa.store import statements as sql
from radiusd2fa.store.chains import Chain
from radiusd2fa.store.sealing import owner_in_seal
from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError, connect
from radiusd2fa.vault import Vault, VaultError

BUSY_TIMEOUT: Final = 2.0
"""Seconds that a login waits for a locked database (promise P8)."""
_IMPATIENT: Final = 0.05
"""The same once it was waited for in vain, until the database answers again."""
_LARGEST_GROUP: Final = 256
_SWEEP_EVERY: Final = 10.0
_MOST_CHALLENGES: Final = 100_000
_EVICTED_AT_ONCE: Final = 1000

_STATES: Final = {state.value: state for state in TokenState}

Committed = bool | StoreUnavailableError
"""True: committed. False: a guard did not hold, nothing was changed. An error: nothing is known, answer nothing."""

Done = Callable[[Committed], None]


@record
class _Commit:
    effects: Sequence[Effect]
    event: Event
    done: Done


class Store:
    """One open database. Everything is called from one thread."""

    def __init__(self, path: Path, vault: Vault, alarm: Callable[[str], None], chain: str = "daemon") -> None:
        """``alarm`` hears once when the database stops working and once when it works again.

        ``chain`` is the name under which this process links its audit rows; no other process that runs has the same.
        """
        self._vault = vault
        self._chain = chain
        self._alarm = alarm
        self._unreadable: set[int] = set()
        self._database = _Database(path, vault, alarm)
        self._waiting: deque[_Commit] = deque()
        self._open_challenges = _count_challenges(self._database.connection())
        self._next_sweep = 0.0

    # --- reading ------------------------------------------------------------------------------------------------------

    def load(self, name: str, state: str | None, nas: str, caller: str, now: float) -> Known:
        """Return what is known about a login; StoreUnavailableError when the database does not answer.

        All that is loaded before the next ``flush`` is seen as of one moment; the guards of ``commit`` know better.
        """
        try:
            cursor = self._database.reading()
            rows = cursor.execute(sql.LOAD_USER, (name,)).fetchall()
            challenge = None
            if state is not None:
                challenge = cursor.execute(sql.LOAD_CHALLENGE, (state,)).fetchone()
            blocked = None
            if caller != NO_CALLER:
                blocked = cursor.execute(sql.LOAD_BLOCK, (nas, caller)).fetchone()
        except (sqlite3.Error, StoreError) as error:
            raise self._database.failed(error) from error
        return Known(
            user=self._user(rows) if rows else None,
            challenge=_challenge(challenge) if challenge is not None else None,
            caller_locked=blocked is not None and blocked[0] > now,
        )

    def namesake(self, name: str, source: str, directory_id: str) -> str | None:
        """Return under which other name that person of a directory is known here, or may be, or None."""
        known = self._one(sql.LOAD_NAMESAKE, (directory_id, source))
        row = known or self._one(sql.LOAD_UNBOUND, (bare(name), source, name))
        return None if row is None else str(row[0])

    def has_kin(self, name: str, source: str, directory_id: str | None) -> bool:
        """Whether somebody who is called the same but for a realm has, or had, a token, and may be the same person."""
        return self._one(sql.LOAD_KIN, (bare(name), name, source, directory_id is None)) is not None

    def _one(self, statement: str, parameters: sql.Row) -> sql.Row | None:
        try:
            row: sql.Row | None = self._database.reading().execute(statement, parameters).fetchone()
        except (sqlite3.Error, StoreError) as error:
            raise self._database.failed(error) from error
        return row

    def in_stock(self, serial: str) -> Token | None:
        """Return the token of that serial if it is nobody's, or None."""
        row = self._one(sql.LOAD_STOCK, (serial,))
        return None if row is None else self._token(row, "")

    def note_sightings(self, seen: Sequence[tuple[str, str]], now: float) -> None:
        """Write down what ``doctor`` will look at; a database that does not take it loses nothing that matters."""
        try:
            self._database.end_reading()
            cursor = self._database.writing_at_once()
            if cursor is None:
                return  # logins are not to wait for this
            cursor.executemany(sql.NOTE_SIGHTINGS, [(client, now, text, now, text) for client, text in seen])
            cursor.execute("COMMIT")
        except (sqlite3.Error, StoreError) as error:
            self._database.failed(error)

    def answers(self) -> bool:
        """Whether logins can be read and, after a failure, written again; for Status-Server."""
        try:
            if self._database.failing:
                self._database.end_reading()  # within a transaction nothing would reach the disk, and nothing be proved
                self._database.connection().execute(sql.PROBE)
                self._database.works()
            else:
                self._database.connection().execute("SELECT 1 FROM meta LIMIT 1").fetchone()
        except (sqlite3.Error, StoreError) as error:
            self._database.failed(error)
            return False
        return True

    def _user(self, rows: list[sql.Row]) -> User:
        first = rows[0]
        tokens = [
            token for row in rows if row[11] is not None and (token := self._token(row[11:], first[1])) is not None
        ]
        if len(tokens) > 1:
            tokens.sort(key=lambda token: (-(token.last_used or 0.0), token.id))  # the one used last is tried first
        return User(
            id=first[0],
            name=first[1],
            enabled=bool(first[2]),
            failures=first[3],
            locked_until=first[4],
            groups=tuple(first[5].split("\n")) if first[5] else (),
            source=first[6],
            password_hash=first[7],
            tokens=tuple(tokens),
            directory_id=first[8],
            enrolled=bool(first[9]),
            skip_until=first[10],
        )

    def _token(self, row: sql.Row, owner: str) -> Token | None:
        number, kind = row[0], row[2]
        try:
            secret = self._vault.open(number, row[4], owner_in_seal(kind, owner))
        except VaultError as error:
            if number not in self._unreadable:
                self._unreadable.add(number)
                self._alarm(str(error))
            return None
        return Token(
            id=number,
            serial=row[1],
            kind=kind,
            moving_factor=row[3],
            secret=secret,
            digits=row[5],
            algorithm=row[6],
            step=row[7],
            drift=row[8],
            valid_from=row[9],
            valid_until=row[10],
            last_used=row[11],
            candidate=row[12],
            candidate_until=row[13],
            state=_STATES[row[14]],
            activate_by=row[15],
        )

    # --- writing ------------------------------------------------------------------------------------------------------

    def commit(self, effects: Sequence[Effect], event: Event, done: Done) -> None:
        """Queue one login's effects and its audit row until the next ``flush``."""
        self._waiting.append(_Commit(effects, event, done))

    def flush(self) -> None:
        """Write what is queued; on return each ``done`` has heard whether it is on the disk. It may commit more."""
        self._database.end_reading()
        while self._waiting:
            self._database.end_reading()  # whoever has heard may have looked again
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _LARGEST_GROUP))]
            for done, committed in self._write_group(group):
                done(committed)

    def close(self) -> None:
        """Write what is waiting and let go of the database."""
        self.flush()
        self._database.close()

    def _write_group(self, group: list[_Commit]) -> list[tuple[Done, Committed]]:
        try:
            held = self._transaction(group)
        except Exception as error:  # noqa: BLE001 - a bug or a broken disk: nothing is known, so nothing is answered
            unknown = self._database.failed(error)
            if len(group) > 1 and not isinstance(error, sqlite3.OperationalError):
                # not the disk's fault but some login's: the others are not to suffer for it
                return [result for one in group for result in self._write_group([one])]
            return [(one.done, unknown) for one in group]
        self._database.works()
        return list(zip((one.done for one in group), held, strict=True))

    def _transaction(self, group: Sequence[_Commit]) -> list[Committed]:
        """Write all logins of a group in one durable transaction; say for each whether its guards held."""
        cursor = self._database.writing()
        opened = self._open_challenges - self._sweep(cursor, group[0].event.time)
        if opened >= _MOST_CHALLENGES:
            opened = _count_challenges(cursor) - cursor.execute(sql.EVICT_CHALLENGES, (_EVICTED_AT_ONCE, 0)).rowcount
        chain = Chain(self._chain, cursor.execute(sql.LOAD_CHAIN, (self._chain,)).fetchone())
        held: list[Committed] = []
        for one in group:
            held.append(_apply(cursor, one, chain))
            if held[-1] is True:
                opened += sum(isinstance(e, OpenChallenge) - isinstance(e, CloseChallenge) for e in one.effects)
        cursor.execute(sql.SAVE_CHAIN, chain.end(self._vault))
        cursor.execute("COMMIT")
        self._open_challenges = opened
        return held

    def _sweep(self, cursor: sqlite3.Cursor, now: float) -> int:
        """Forget challenges and callers whose time is over, now and then; return how many challenges went."""
        if now < self._next_sweep <= now + _SWEEP_EVERY:
            return 0
        self._next_sweep = now + _SWEEP_EVERY
        cursor.execute(sql.SWEEP_CALLERS, (now, now))
        return cursor.execute(sql.SWEEP_CHALLENGES, (now,)).rowcount


def _count_challenges(database: sqlite3.Connection | sqlite3.Cursor) -> int:
    count: int = database.execute(sql.COUNT_CHALLENGES).fetchone()[0]
    return count


def _apply(cursor: sqlite3.Cursor, one: _Commit, chain: Chain) -> bool:
    """Run one login's statements, all or none: a guard that is not the very first needs a savepoint to go back to."""
    steps = [sql.step_for(effect) for effect in one.effects if not isinstance(effect, WriteEvent)]
    undoable = any(step.guarded for step in steps[1:])
    if undoable:
        cursor.execute("SAVEPOINT login")
    for step in steps:
        cursor.execute(step.sql, step.parameters)
        if step.guarded and cursor.rowcount != 1:
            if undoable:
                cursor.execute("ROLLBACK TO login")
                cursor.execute("RELEASE login")
            return False
    for effect in one.effects:
        if isinstance(effect, WriteEvent):
            _write(cursor, effect.event, chain)
    _write(cursor, one.event, chain)
    if undoable:
        cursor.execute("RELEASE login")
    return True


def _write(cursor: sqlite3.Cursor, event: Event, chain: Chain) -> None:
    cursor.execute(sql.EVENT, sql.event_row(event) + chain.link(event))


class _Database:
    """The one connection, for reading and writing: its page cache stays warm only if nobody else writes.

    After any error it is thrown away and opened anew (promise P7), with little patience until it works again.
    """

    def __init__(self, path: Path, vault: Vault, alarm: Callable[[str], None]) -> None:
        self.path = path
        self.failing = False
        self._vault = vault
        self._alarm = alarm
        self._connection: sqlite3.Connection | None = None
        self._cursor = self.connection().cursor()

    def connection(self) -> sqlite3.Connection:
        """Return the open connection, opened and checked now if need be."""
        if self._connection is None:
            connection = connect(self.path, busy_timeout=_IMPATIENT if self.failing else BUSY_TIMEOUT)
            try:
                check_vault(connection, self._vault, self.path)
                self._identity = self._on_disk()
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._cursor = connection.cursor()
        return self._connection

    def _on_disk(self) -> tuple[int, int]:
        status = os.stat(self.path)  # noqa: PTH116 - the short way, once for each batch of logins
        return status.st_dev, status.st_ino

    def _still_there(self) -> None:
        """Open anew when the file was replaced, as by a restore: the old one would go on accepting what it knows."""
        try:
            if self._connection is None or self._on_disk() == self._identity:
                return
        except OSError as error:
            raise StoreUnavailableError(f"{self.path}: {error.strerror}") from error
        self._alarm(f"{self.path}: the database was replaced; opening the new one")
        self.close()

    def reading(self) -> sqlite3.Cursor:
        """Begin to read, or go on: one lock for a batch of logins costs less than one for each."""
        if self._connection is None or not self._connection.in_transaction:
            self._still_there()
            self.connection()
            self._cursor.execute("BEGIN")
        return self._cursor

    def end_reading(self) -> None:
        """Give the lock back."""
        if self._connection is not None and self._connection.in_transaction:
            try:
                self._cursor.execute("ROLLBACK")
            except sqlite3.Error as error:
                self.failed(error)

    def writing(self) -> sqlite3.Cursor:
        """Begin to write; other processes wait until COMMIT."""
        self._still_there()
        self.connection()
        self._cursor.execute("BEGIN IMMEDIATE")
        return self._cursor

    def writing_at_once(self) -> sqlite3.Cursor | None:
        """Begin to write without waiting; None while another process writes."""
        self._still_there()
        connection = self.connection()
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return None
        finally:
            patience = _IMPATIENT if self.failing else BUSY_TIMEOUT
            connection.execute(f"PRAGMA busy_timeout = {round(patience * 1000)}")
        return self._cursor

    def close(self) -> None:
        """Let go of the file; what was not committed is undone."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()  # a closed connection with an open statement keeps its locks
            self._cursor.close()
            self._connection.close()
            self._connection = None

    def failed(self, error: Exception) -> StoreUnavailableError:
        """Close after an error, and say it as the caller's callers know it."""
        if not self.failing:
            self._alarm(f"{self.path}: {error!r}")
        self.failing = True
        self.close()
        return StoreUnavailableError(str(error))

    def works(self) -> None:
        """A write went through: from now on there is patience again."""
        if self.failing:
            self._alarm(f"{self.path}: works again")
            self.failing = False
            self.close()


def _challenge(row: sql.Row) -> PendingChallenge:
    return PendingChallenge(
        handle=row[0],
        nas=row[1],
        user_name=row[2],
        user_id=row[3],
        kind=ChallengeKind(row[4]),
        password_passed=bool(row[5]),
        login=row[6],
        expires=row[7],
        tries=row[8],
        ceremony=None if row[9] is None else _ceremony(row),
        rule=row[15],
        backend=row[16],
        doomed=bool(row[17]),
        relay=None if row[19] is None else Relay("", row[18], row[19]),
        reply=() if row[20] is None else sql.octets_as_attributes(row[20]),
        attributes=() if row[21] is None else sql.octets_as_attributes(row[21]),
    )


def _ceremony(row: sql.Row) -> KeyCeremony:
    return KeyCeremony(
        nonce=bytes.fromhex(row[9]),
        station=bool(row[10]),
        contested=bool(row[11]),
        user_verification=bool(row[12]),
        credentials=tuple(map(octets, row[13].split(","))) if row[13] else (),
        answer=row[14],
    )


def check_vault(connection: sqlite3.Connection, vault: Vault, path: Path) -> None:
    """Refuse a key file that does not belong to this database."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'vault_key_id'").fetchone()
    if row is None or row[0] != vault.key_id.hex():
        raise StoreError(
            f"{path}: sealed under vault key {row[0] if row else 'unknown'}, but vault.key_file holds "
            f"{vault.key_id.hex()}; restore the key file that belongs to this database"
        )
