"""The hot side of the store: ``load`` what is known, ``commit`` what a decision changes.

All logins that were decided together are applied as conditional statements inside one transaction and pay for one
flush to the disk (group commit). A login whose guard does not hold leaves no trace; a store that does not answer in
time is an error for the caller, never a yes. RFC 4226 7.2 and RFC 6238 5.2 are kept here: nothing is accepted twice,
because the database decides who was first. Why there is no writer thread: docs/decisions/0002.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from radiusd2fa.core.model import (
    NO_CALLER,
    ChallengeKind,
    CloseChallenge,
    Effect,
    Event,
    Known,
    OpenChallenge,
    PendingChallenge,
    Token,
    User,
)
from radiusd2fa.store import statements as sql
from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError, check_revision, connect
from radiusd2fa.vault import Vault, VaultError

BUSY_TIMEOUT: Final = 2.0
"""Seconds that a login waits for a locked database (promise P8)."""
_IMPATIENT: Final = 0.05
"""The same once it was waited for in vain, until the database answers again."""
_READ_TIMEOUT: Final = 0.2
_LARGEST_GROUP: Final = 256
_SWEEP_EVERY: Final = 10.0
_MOST_CHALLENGES: Final = 100_000

Committed = bool | StoreUnavailableError
"""True: committed. False: a guard did not hold, nothing was changed. An error: nothing is known, answer nothing."""

Done = Callable[[Committed], None]


@dataclass(frozen=True, slots=True)
class _Commit:
    effects: Sequence[Effect]
    event: Event
    done: Done


class Store:
    """One open database. Everything is called from one thread."""

    def __init__(
        self,
        path: Path,
        vault: Vault,
        deliver: Callable[[list[tuple[Done, Committed]]], None],
        alarm: Callable[[str], None],
    ) -> None:
        """``deliver`` gets each group's results during ``flush``; it may commit more."""
        self._path = path
        self._vault = vault
        self._deliver = deliver
        self._alarm = alarm
        self._reader = connect(path, busy_timeout=_READ_TIMEOUT)
        self._cursor = self._reader.cursor()
        check_revision(self._reader, path)
        check_vault(self._reader, vault, path)
        self._waiting: deque[_Commit] = deque()
        self._writer = _Writer(path)

    # --- reading ------------------------------------------------------------------------------------------------------

    def load(self, name: str, state: str | None, nas: str, caller: str, now: float) -> Known:
        """Return what is known about a login; StoreUnavailableError when the database does not answer.

        All that is loaded before the next ``flush`` is seen as of one moment; the guards of ``commit`` know better.
        """
        try:
            cursor = self._reading()
            rows = cursor.execute(sql.LOAD_USER, (name,)).fetchall()
            challenge = None
            if state is not None:
                challenge = cursor.execute(sql.LOAD_CHALLENGE, (state,)).fetchone()
            blocked = None
            if caller != NO_CALLER:
                blocked = cursor.execute(sql.LOAD_BLOCK, (nas, caller)).fetchone()
        except sqlite3.Error as error:
            raise StoreUnavailableError(str(error)) from error
        return Known(
            user=self._user(rows) if rows else None,
            challenge=_challenge(challenge) if challenge is not None else None,
            caller_locked=blocked is not None and blocked[0] > now,
        )

    def answers(self) -> bool:
        """Whether the database can be read and, after a failure, written again; for Status-Server."""
        if self._writer.failing and not self._writer.probe():
            return False
        try:
            self._reader.execute("SELECT 1 FROM meta LIMIT 1").fetchone()
        except sqlite3.Error:
            return False
        return True

    def _reading(self) -> sqlite3.Cursor:
        """One read transaction for a batch of logins: taking the lock for each costs as much as reading."""
        if not self._reader.in_transaction:
            self._cursor.execute("BEGIN")
        return self._cursor

    def _user(self, rows: list[sql.Row]) -> User:
        first = rows[0]
        tokens = [token for row in rows if row[8] is not None and (token := self._token(row)) is not None]
        if len(tokens) > 1:
            tokens.sort(key=lambda token: (-(token.last_used or 0.0), token.id))  # the one used last is tried first
        return User(
            id=first[0],
            name=first[1],
            enabled=bool(first[2]),
            failures=first[3],
            locked_until=first[4],
            groups=tuple(first[5].split(",")) if first[5] else (),
            source=first[6],
            password_hash=first[7],
            tokens=tuple(tokens),
        )

    def _token(self, row: sql.Row) -> Token | None:
        try:
            secret = self._vault.open(row[8], row[12])
        except VaultError as error:
            self._alarm(str(error))
            return None
        return Token(
            id=row[8],
            serial=row[9],
            kind=row[10],
            moving_factor=row[11],
            secret=secret,
            digits=row[13],
            algorithm=row[14],
            step=row[15],
            drift=row[16],
            valid_from=row[17],
            valid_until=row[18],
            last_used=row[19],
            candidate=row[20],
            candidate_until=row[21],
        )

    # --- writing ------------------------------------------------------------------------------------------------------

    def commit(self, effects: Sequence[Effect], event: Event, done: Done) -> None:
        """Queue one login's effects and its audit row until the next ``flush``."""
        self._waiting.append(_Commit(effects, event, done))

    def flush(self) -> None:
        """Write what is queued; on return it is on the disk, or its ``done`` has heard that it is not."""
        self._reader.rollback()
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _LARGEST_GROUP))]
            self._deliver(self._write_group(group))

    def close(self) -> None:
        """Write what is waiting and let go of the database."""
        self.flush()
        self._writer.close()
        self._reader.close()

    def _write_group(self, group: list[_Commit]) -> list[tuple[Done, Committed]]:
        try:
            return list(zip((one.done for one in group), self._writer.apply(group), strict=True))
        except Exception as error:  # noqa: BLE001 - a bug or a broken disk: nothing is known, so nothing is answered
            self._alarm(f"{self._path}: {error!r}")
            return [(one.done, StoreUnavailableError(str(error))) for one in group]


class _Writer:
    """The one connection that writes. After an error it is thrown away and opened anew (promise P7)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connect(path, busy_timeout=BUSY_TIMEOUT)
        self._open_challenges = self._connection.execute(sql.COUNT_CHALLENGES).fetchone()[0]
        self._next_sweep = 0.0
        self.failing = False

    def apply(self, group: Sequence[_Commit]) -> list[Committed]:
        """Write all logins of a group in one durable transaction; say for each whether its guards held."""
        with self._watched():
            return self._transaction(group)

    def probe(self) -> bool:
        """After a failure, write one row to see whether logins can be written again."""
        with contextlib.suppress(sqlite3.Error), self._watched():
            self._opened().execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('last_probe', datetime())")
        return not self.failing

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.failing = True
            self.close()
            raise
        if self.failing:
            self.failing = False
            self.close()  # the next one is opened with the usual patience

    def close(self) -> None:
        """Let go of the database file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = connect(self._path, busy_timeout=_IMPATIENT if self.failing else BUSY_TIMEOUT)
            except StoreError as error:
                raise sqlite3.OperationalError(str(error)) from error
        return self._connection

    def _transaction(self, group: Sequence[_Commit]) -> list[Committed]:
        connection = self._opened()
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            held: list[Committed] = [self._apply_one(cursor, one) for one in group]
            self._sweep(cursor, group[0].event.time)
            cursor.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            raise
        return held

    def _apply_one(self, cursor: sqlite3.Cursor, one: _Commit) -> Committed:
        opened = sum(isinstance(effect, OpenChallenge) - isinstance(effect, CloseChallenge) for effect in one.effects)
        if opened > 0 and self._open_challenges >= _MOST_CHALLENGES:
            return StoreUnavailableError("too many challenges are open")
        steps = [sql.step_for(effect) for effect in one.effects]
        # all or nothing: a single guard comes first and undoes itself by not holding, several need a savepoint
        several = sum(step.guarded for step in steps) > 1
        if several:
            cursor.execute("SAVEPOINT login")
        for step in steps:
            cursor.execute(step.sql, step.parameters)
            if step.guarded and cursor.rowcount != 1:
                if several:
                    cursor.execute("ROLLBACK TO login")
                    cursor.execute("RELEASE login")
                return False
        audit = sql.step_for_event(one.event)
        cursor.execute(audit.sql, audit.parameters)
        if several:
            cursor.execute("RELEASE login")
        self._open_challenges += opened
        return True

    def _sweep(self, cursor: sqlite3.Cursor, now: float) -> None:
        """Forget challenges and callers whose time is over, now and then."""
        if now < self._next_sweep <= now + _SWEEP_EVERY:
            return
        self._next_sweep = now + _SWEEP_EVERY
        cursor.execute(sql.SWEEP_CHALLENGES, (now,))
        self._open_challenges -= cursor.rowcount
        cursor.execute(sql.SWEEP_CALLERS, (now, now))


def _challenge(row: sql.Row) -> PendingChallenge:
    return PendingChallenge(
        handle=row[0],
        nas=row[1],
        user_name=row[2],
        kind=ChallengeKind(row[3]),
        login=row[4],
        expires=row[5],
        tries=row[6],
    )


def check_vault(connection: sqlite3.Connection, vault: Vault, path: Path) -> None:
    """Refuse a key file that does not belong to this database."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'vault_key_id'").fetchone()
    if row is None or row[0] != vault.key_id.hex():
        raise StoreError(
            f"{path}: sealed under vault key {row[0] if row else 'unknown'}, but vault.key_file holds "
            f"{vault.key_id.hex()}; restore the key file that belongs to this database"
        )
