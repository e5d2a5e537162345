"""The hot side over PostgreSQL: each group of logins is one transaction that travels in as few rounds as it can.

Locks on all that a group touches come first, so that each statement sees whatever the nodes before have committed; the
guards then decide as they do on one node. READ COMMITTED is enough for that: a statement begins with all that was
committed before it (PostgreSQL 13.2.1), and the row it changes is read anew if it had to wait. It answers yes only
after COMMIT was heard. No RFC speaks here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from radiusd2fa.core.model import NO_CALLER, Event, WriteEvent
from radiusd2fa.core.record import record
from radiusd2fa.store import locks
from radiusd2fa.store import statements as sql
from radiusd2fa.store.address import PostgresServer
from radiusd2fa.store.database import Commit, Committed, Found, Ledger, Look
from radiusd2fa.store.dialects import Statement, of_postgresql
from radiusd2fa.store.effects import step_for
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.postgresql_link import Answer, Call, Link, LostError, RefusedError
from radiusd2fa.store.postgresql_opening import Opened, Opening, open_link
from radiusd2fa.store.statements import Row, Step
from radiusd2fa.vault import Vault

_BIGINTS: Final = 1016
"""The type of an array of them (pg_type.dat)."""
_BEGIN: Final = of_postgresql("BEGIN")
_BEGIN_LOOK: Final = of_postgresql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_COMMIT: Final = of_postgresql("COMMIT")
_ROLLBACK: Final = of_postgresql("ROLLBACK")
_SAVEPOINT: Final = of_postgresql("SAVEPOINT wave")
_BACK: Final = of_postgresql("ROLLBACK TO wave")
_RELEASE: Final = of_postgresql("RELEASE wave")
_TOGETHER: Final = of_postgresql(locks.TOGETHER)
_IN_ORDER: Final = of_postgresql(locks.IN_ORDER, _BIGINTS)
_IF_FREE: Final = of_postgresql(locks.IF_FREE)
_CHAIN: Final = 3
"""Which statement of a group finds the chain's end."""


@record
class _Login:
    """One login of a group."""

    number: int
    steps: tuple[Step, ...]
    events: tuple[Event, ...]
    keys: frozenset[int]
    guarded: bool


class PostgresDatabase:
    """One connection, made anew in the background once it is lost."""

    largest_group = 64
    troubles: tuple[type[Exception], ...] = (StoreError,)

    def __init__(self, server: PostgresServer, vault: Vault, alarm: Callable[[str], None], patience: float) -> None:
        """``alarm`` hears when the server's clock is not ours."""
        self.patience = patience
        self._server = server
        self._alarm = alarm
        self._told_the_time = False
        self._open: Callable[[], Opened] = partial(open_link, server, vault)
        self._opening: Opening | None = None
        self._link: Link | None = None
        self._adopt(self._open())

    # --- reading ------------------------------------------------------------------------------------------------------

    def look(self, looks: Sequence[Look]) -> list[Found]:
        """Find the rows of all, as of one moment."""
        calls: list[Call] = [(_BEGIN_LOOK, ())]
        for one in looks:
            calls.append((sql.LOAD_USER, (one.name,)))
            if _asks_for_a_challenge(one):
                calls.append((sql.LOAD_CHALLENGE, (one.state,)))
            if one.caller != NO_CALLER:
                calls.append((sql.LOAD_BLOCK, (one.nas, one.caller)))
        calls.append((_COMMIT, ()))
        answers = iter(self._run(calls))
        next(answers)
        return [_found(one, answers) for one in looks]

    def one(self, statement: Statement, parameters: Row) -> Row | None:
        """Return the first row that is found."""
        (answer,) = self._run([(statement, parameters)])
        return answer.rows[0] if answer.rows else None

    def end_reading(self) -> None:
        """Let the next look see what has changed: it does."""

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, group: Sequence[Commit], chores: Sequence[Step], ledger: Ledger, now: float) -> list[Committed]:
        """Write all logins of a group in one durable transaction; say of each whether its guards held."""
        try:
            logins = [_login(number, one) for number, one in enumerate(group)]
        except Exception as error:  # nothing is under way yet: it is the fault of some login alone
            raise RefusedError(repr(error)) from error
        until = self._deadline()
        link = self._linked(until)
        try:
            return _transaction(link, logins, chores, ledger, now, until)
        except LostError:
            raise
        except BaseException:
            self._roll_back(link, until)
            raise

    def note(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Write what does not matter, unless another node does so just now."""
        until = self._deadline()
        link = self._linked(until)
        try:
            *_, free = link.run([(_BEGIN, ()), (_IF_FREE, ())], until)
            if free.rows == [(True,)]:
                link.commit([(statement, row) for row in sorted(rows)], _COMMIT, until)
            else:
                link.run([(_ROLLBACK, ())], until)
        except RefusedError:
            self._roll_back(link, until)
            raise

    def prove(self) -> None:
        """Write something that means nothing, durably."""
        until = self._deadline()
        link = self._linked(until)
        link.commit([(_BEGIN, ()), (_TOGETHER, ()), (sql.PROBE, ("", ""))], _COMMIT, until)

    def _run(self, calls: Sequence[Call]) -> list[Answer]:
        until = self._deadline()
        link = self._linked(until)
        try:
            return link.run(calls, until)
        except RefusedError:
            self._roll_back(link, until)
            raise

    # --- its connection -----------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        return time.monotonic() + self.patience

    def _linked(self, until: float) -> Link:
        """Return the open connection, waiting for it until then if need be; the attempt goes on meanwhile."""
        if self._link is not None:
            return self._link
        if self._opening is None:
            self._opening = Opening(self._open)
        try:
            opened = self._opening.wait(until - time.monotonic())
        except BaseException:
            self._opening = None
            raise
        if opened is None:
            raise LostError(f"{self._server}: not connected yet")
        self._opening = None
        return self._adopt(opened)

    def _adopt(self, opened: Opened) -> Link:
        if opened.seconds_off and not self._told_the_time:
            self._told_the_time = True
            self._alarm(
                f"{self._server}: its clock is {opened.seconds_off:+.0f} s from ours; "
                "let both follow the same time servers, or codes of time-based tokens and locks go by different hours"
            )
        self._link = opened.link
        return opened.link

    def _roll_back(self, link: Link, until: float) -> None:
        try:
            link.run([(_ROLLBACK, ())], until)
        except (LostError, RefusedError):
            self.close()

    def failed(self, error: Exception) -> None:
        """Let the connection go, unless the server has only refused what was asked."""
        if not isinstance(error, RefusedError):
            self.close()

    def close(self) -> None:
        """Let go of the connection, and of the next one."""
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._opening is not None:
            self._opening.abandon()
            self._opening = None


def _asks_for_a_challenge(one: Look) -> bool:
    """A State that no text of PostgreSQL can hold is nobody's, and must not spoil the look of all others."""
    return one.state is not None and "\0" not in one.state


def _found(one: Look, answers: Iterator[Answer]) -> Found:
    user = next(answers).rows
    challenge = next(answers).rows if _asks_for_a_challenge(one) else []
    block = next(answers).rows if one.caller != NO_CALLER else []
    return Found(user, challenge[0] if challenge else None, block[0] if block else None)


# --- a group ---------------------------------------------------------------------------------------------------------


def _login(number: int, one: Commit) -> _Login:
    steps = tuple([step_for(effect) for effect in one.effects if not isinstance(effect, WriteEvent)])
    events = (*(effect.event for effect in one.effects if isinstance(effect, WriteEvent)), one.event)
    guarded = any(step.guarded for step in steps)
    return _Login(number, steps, events, locks.keys_of(one.effects, one.event), guarded)


def _waves(logins: Sequence[_Login]) -> list[list[_Login]]:
    """Divide a group so that whether a guard holds never hangs on another guard of the same wave.

    Then all that do not hold in a wave are known at once, and it is run again without them. Two logins meet where they
    take one lock; nearly always nobody meets anybody, and there is one wave.
    """
    waves: list[list[_Login]] = []
    here: dict[int, int] = {}
    after: dict[int, int] = {}
    for one in logins:
        number = max((here.get(key, 0) for key in one.keys), default=0)
        if one.guarded:
            number = max([number, *(after.get(key, 0) for key in one.keys)])
            after.update(dict.fromkeys(one.keys, number + 1))
        here.update(dict.fromkeys(one.keys, number))
        waves.extend([] for _ in range(len(waves), number + 1))
        waves[number].append(one)
    return waves


def _transaction(
    link: Link, logins: Sequence[_Login], chores: Sequence[Step], ledger: Ledger, now: float, until: float
) -> list[Committed]:
    """Take the locks, run the waves, append to the audit, commit."""
    keys = frozenset((locks.key_of_chain(ledger.name),)).union(*(one.keys for one in logins))
    calls: list[Call] = [(_BEGIN, ()), (_TOGETHER, ()), (_IN_ORDER, (locks.array(keys),))]
    calls += [(sql.LOAD_CHAIN, (ledger.name,)), *((step.statement, step.parameters) for step in chores)]
    end: list[Row] | None = None
    held: list[Committed] = [False] * len(logins)
    for wave in _waves(logins) or [[]]:
        calls.append((_SAVEPOINT, ()))
        while True:
            steps = [(one, step) for one in wave for step in one.steps]
            answers = link.run([*calls, *((step.statement, step.parameters) for _, step in steps)], until)
            if end is None:
                end = answers[_CHAIN].rows
            came = zip(steps, answers[len(calls) :], strict=True)
            late = {one.number for (one, step), answer in came if step.guarded and answer.count != 1}
            if not late:
                break
            wave = [one for one in wave if one.number not in late]
            calls = [(_BACK, ())]
        for one in wave:
            held[one.number] = True
        calls = [(_RELEASE, ())]
    chain = ledger.open(end[0] if end else None)
    for one in logins:
        if held[one.number]:
            calls += [(sql.EVENT, sql.event_row(event) + chain.link(event)) for event in one.events]
    if logins and not chores and not any(held):
        link.run([(_ROLLBACK, ())], until)
        return held
    closing, committed = ledger.closing(chain, now, anyway=not logins)
    link.commit([*calls, *((step.statement, step.parameters) for step in closing)], _COMMIT, until)
    committed()
    return held
