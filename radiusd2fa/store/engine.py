"""The hot side of the store: ``load`` what is known, ``commit`` what a decision changes, over either kind of database.

All logins that were decided together are applied as conditional statements inside one transaction and pay for one
flush to the disk (group commit). A login whose guard does not hold leaves no trace; a store that does not answer in
time is an error for the caller, never a yes. RFC 4226 7.2 and RFC 6238 5.2 are kept here: nothing is accepted twice,
because the database decides who was first. Why there is no writer thread: docs/decisions/0002.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.model import CloseChallenge, Effect, Event, Known, OpenChallenge, Token
from radiusd2fa.core.names import bare
from radiusd2fa.store import statements as sql
from radiusd2fa.store.address import Address, PostgresServer, SqliteFile
from radiusd2fa.store.checkpoints import Signatory
from radiusd2fa.store.database import Commit, Committed, Database, Found, Ledger, Look, Looked
from radiusd2fa.store.dialects import Statement
from radiusd2fa.store.errors import StoreUnavailableError
from radiusd2fa.store.rows import Seeds, challenge
from radiusd2fa.store.sqlite_database import SqliteDatabase
from radiusd2fa.store.statements import Row, Step
from radiusd2fa.vault import Vault

BUSY_TIMEOUT: Final = 2.0
"""Seconds that a login waits for a database that is locked or does not answer (promise P8)."""
_IMPATIENT: Final = 0.05
"""The same once it was waited for in vain, until the database answers again."""
_SWEEP_EVERY: Final = 10.0
_MOST_CHALLENGES: Final = 100_000
_EVICTED_AT_ONCE: Final = 1000


class Store:
    """One open database. Everything is called from one thread."""

    def __init__(
        self,
        address: Address,
        vault: Vault,
        alarm: Callable[[str], None],
        chain: str = "daemon",
        tell: Callable[[Checkpoint], object] = lambda _: None,
    ) -> None:
        """``alarm`` hears once when the database stops working and once when it works again.

        ``chain`` is the name under which this process links its audit rows; no other process that runs has the same.
        ``tell`` hears of each checkpoint of that chain, once it is on the disk.
        """
        self._address = address
        self._vault = vault
        self._alarm = alarm
        self._failing = False
        self._seeds = Seeds(vault, alarm)
        self._signatory = Signatory(vault, tell)
        self._ledger = Ledger(chain, vault, self._signatory)
        self._looking: list[Look] = []
        self._waiting: deque[Commit] = deque()
        self._open_challenges = 0
        self._next_sweep = 0.0
        self._database = _database(address, vault, alarm)

    # --- reading ------------------------------------------------------------------------------------------------------

    def load(
        self, name: str, state: str | None, nas: str, caller: str, now: float, done: Callable[[Looked], None]
    ) -> None:
        """Queue a look at what is known about a login until the next ``flush``, which tells ``done``.

        All that one flush looks up together is seen as of one moment; the guards of ``commit`` know better.
        """
        self._looking.append(Look(name, state, nas, caller, now, done))

    def namesake(self, name: str, source: str, directory_id: str) -> str | None:
        """Return under which other name that person of a directory is known here, or may be, or None."""
        known = self._one(sql.LOAD_NAMESAKE, (directory_id, source))
        row = known or self._one(sql.LOAD_UNBOUND, (bare(name), source, name))
        return None if row is None else str(row[0])

    def has_kin(self, name: str, source: str, directory_id: str | None) -> bool:
        """Whether somebody who is called the same but for a realm has, or had, a token, and may be the same person."""
        return self._one(sql.LOAD_KIN, (bare(name), name, source, directory_id is None)) is not None

    def in_stock(self, serial: str) -> Token | None:
        """Return the token of that serial if it is nobody's, or None."""
        row = self._one(sql.LOAD_STOCK, (serial,))
        return None if row is None else self._seeds.token(row, "")

    def answers(self) -> bool:
        """Whether logins can be read and, after a failure, written again; for Status-Server."""
        try:
            if self._failing:
                self._database.prove()
                self._works()
            else:
                self._database.one(sql.VAULT, ())
                self._database.end_reading()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
            self._failed(error)
            return False
        return True

    def _one(self, statement: Statement, parameters: Row) -> Row | None:
        try:
            return self._database.one(statement, parameters)
        except Exception as error:
            raise self._failed(error) from error

    def _answer(self) -> None:
        """Look up all who wait for it, and tell them."""
        looks, self._looking = self._looking, []
        for one, found in zip(looks, self._found(looks), strict=True):
            one.done(found if isinstance(found, StoreUnavailableError) else self._known(one, found))

    def _found(self, looks: Sequence[Look]) -> Sequence[Found | StoreUnavailableError]:
        try:
            return self._database.look(looks)
        except Exception as error:  # noqa: BLE001 - nothing is known, so nothing is answered
            unknown = self._failed(error)
            if len(looks) > 1 and not isinstance(error, self._database.troubles):
                return [result for one in looks for result in self._found([one])]  # the others are not to suffer for it
            return [unknown] * len(looks)

    def _known(self, one: Look, found: Found) -> Looked:
        try:
            return Known(
                user=self._seeds.user(found.user) if found.user else None,
                challenge=None if found.challenge is None else challenge(found.challenge),
                caller_locked=found.block is not None and found.block[0] > one.now,
            )
        except Exception as error:  # noqa: BLE001 - a row that makes no sense is its own login's end, and no other's
            self._alarm(f"{self._address}: {error!r}")
            return StoreUnavailableError(str(error))

    # --- writing ------------------------------------------------------------------------------------------------------

    def commit(self, effects: Sequence[Effect], event: Event, done: Callable[[Committed], None]) -> None:
        """Queue one login's effects and its audit row until ``flush``, which tells ``done`` what became of them."""
        self._waiting.append(Commit(effects, event, done))

    def flush(self) -> None:
        """Look up, and write, what is queued until nothing is; on return each ``done`` has heard. It may queue more."""
        self._end_reading()
        while self._looking or self._waiting:
            if self._looking:
                self._answer()
                continue
            size = min(len(self._waiting), self._database.largest_group)
            group = [self._waiting.popleft() for _ in range(size)]
            for one, committed in zip(group, self._write(group), strict=True):
                one.done(committed)
        self._end_reading()

    def note_sightings(self, seen: Sequence[tuple[str, str]], now: float) -> None:
        """Write down what ``doctor`` will look at; a database that does not take it loses nothing that matters."""
        try:
            self._database.note(sql.NOTE_SIGHTINGS, [(client, now, text, now, text) for client, text in seen])
        except Exception as error:  # noqa: BLE001 - the same
            self._failed(error)

    def sign_end(self, now: float, *, anyway: bool = False) -> None:
        """Write a checkpoint of the chain's end if rows have waited for one too long; ``anyway`` if any have."""
        if anyway or self._signatory.waits(now):
            self._write([], now)

    def close(self, now: float | None = None) -> None:
        """Write what is waiting, sign the chain's end if it is known what time it is, and let go of the database."""
        self.flush()
        if now is not None and not self._failing:
            self.sign_end(now, anyway=True)
        self._database.close()

    def _write(self, group: Sequence[Commit], now: float | None = None) -> list[Committed]:
        now = group[-1].event.time if now is None else now
        try:
            opened, chores = self._chores(now)
            held = self._database.write(group, chores, self._ledger, now)
        except Exception as error:  # noqa: BLE001 - a bug or a broken disk: nothing is known, so nothing is answered
            unknown = self._failed(error)
            if len(group) > 1 and not isinstance(error, self._database.troubles):
                # not the database's fault but some login's: the others are not to suffer for it
                return [result for one in group for result in self._write([one])]
            return [unknown] * len(group)
        self._works()
        for one, committed in zip(group, held, strict=True):
            if committed is True:
                opened += sum(isinstance(e, OpenChallenge) - isinstance(e, CloseChallenge) for e in one.effects)
        self._open_challenges = opened
        return held

    def _chores(self, now: float) -> tuple[int, list[Step]]:
        """Return about how many questions are open, and what is to be forgotten now and then.

        Other nodes open and close them too, so they are counted anew each time.
        """
        chores = []
        opened = self._open_challenges
        is_time = not now < self._next_sweep <= now + _SWEEP_EVERY
        if is_time:
            self._next_sweep = now + _SWEEP_EVERY
            self._vault.refresh()
            chores += [Step(sql.SWEEP_CALLERS, (now, now)), Step(sql.SWEEP_CHALLENGES, (now,))]
        if is_time or opened >= _MOST_CHALLENGES:
            row = self._database.one(sql.COUNT_CHALLENGES, (now,))
            opened = 0 if row is None else int(row[0])
        if opened >= _MOST_CHALLENGES:
            chores.append(Step(sql.EVICT_CHALLENGES, (_EVICTED_AT_ONCE, 0)))
            opened -= _EVICTED_AT_ONCE
        return opened, chores

    # --- failing ------------------------------------------------------------------------------------------------------

    def _end_reading(self) -> None:
        try:
            self._database.end_reading()
        except Exception as error:  # noqa: BLE001 - whoever looks next will hear of it
            self._failed(error)

    def _failed(self, error: Exception) -> StoreUnavailableError:
        """Have little patience after an error, and say it as the caller's callers know it."""
        if not self._failing:
            self._alarm(f"{self._address}: {error!r}")
        self._failing = True
        self._database.failed(error)
        self._database.patience = _IMPATIENT
        return StoreUnavailableError(str(error))

    def _works(self) -> None:
        """A write went through: from now on there is patience again."""
        if self._failing:
            self._alarm(f"{self._address}: works again")
            self._failing = False
            self._database.patience = BUSY_TIMEOUT


def _database(address: Address, vault: Vault, alarm: Callable[[str], None]) -> Database:
    match address:
        case SqliteFile(path):
            return SqliteDatabase(path, vault, alarm, BUSY_TIMEOUT)
        case PostgresServer():
            from radiusd2fa.store.postgresql_database import PostgresDatabase  # needs psycopg, an extra

            return PostgresDatabase(address, vault, alarm, BUSY_TIMEOUT)
