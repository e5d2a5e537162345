"""Tokens that come in by the hundred, all or none, while the daemon goes on with its logins.

All that takes time happens beforehand, in ``incoming``; a login waits no longer than it takes to copy what is ready.
A token that is there it moves forward at most, and it shows no seed. RFC 4226 7.2: a seed that is here twice lets one
code in twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, TextClause

from radiusd2fa.core.model import Event
from radiusd2fa.core.record import record
from radiusd2fa.imports.seeds import Flaw, Seed, checked
from radiusd2fa.store.administration import Administration, RefusedError
from radiusd2fa.store.connecting import How, lock_logins, transaction
from radiusd2fa.store.incoming import COPY_TOKENS, RAISE, TAKEN_IN, TO_RAISE, Clashes, Incoming
from radiusd2fa.store.sealing import what_makes_codes

MOST_AT_ONCE: Final = 100_000
"""Tokens. A login waits for the database two seconds at most, and so many take about one (bench/deliveries.py)."""


class Step(StrEnum):
    """What takes time."""

    COMPARING = "comparing"
    """Seeds that came before fingerprints were kept: each is opened once."""
    SEALING = "sealing"
    WRITING = "writing"
    """From before the lock is taken until after it is given back."""


Progress = Callable[[Step, int, int], None]
"""Hears which step is how far: so many tokens done, of so many."""


@record
class TakenIn:
    """What has become of a delivery: nothing of it is in the store while there are faults."""

    taken: int = 0
    """How many tokens came in; of a dry run how many would."""
    known: frozenset[int] = frozenset()
    """Which seeds, counted from 0, were passed over: the store has them under the same serial."""
    raised: frozenset[int] = frozenset()
    """Which of the known ones were moved forward, to where the file has them; of a dry run which would be."""
    faults: tuple[Flaw, ...] = ()
    """In the order of the file, one for each token that has any."""


class Deliveries(Administration):
    """Deliveries into an open store."""

    def take_in(
        self,
        seeds: Sequence[Seed],
        now: float,
        *,
        source: str,
        batch: str = "",
        box: str = "",
        delivered: float | None = None,
        skip_known: bool = False,
        dry_run: bool = False,
        progress: Progress = lambda _step, _done, _of: None,
    ) -> TakenIn:
        """Add all tokens of a delivery, or say which of them cannot be added and add none.

        ``source`` is what the audit calls a delivery without ``batch``: the file's name. A token that names a person is
        theirs at once, for they have used it elsewhere; the others go to the stock. ``skip_known`` passes over what the
        store has with the same serial and seed, but for a moving factor that the file has higher: a code that was used
        elsewhere meanwhile is used here too. ``dry_run`` only says what would be. RefusedError for too many.
        """
        if len(seeds) > MOST_AT_ONCE:
            raise RefusedError(
                f"{len(seeds):,} tokens at once would make logins wait; split the file into parts of {MOST_AT_ONCE:,}"
            )
        marks = [self._vault.fingerprint(what_makes_codes(seed.kind, seed.secret, seed.algorithm)) for seed in seeds]
        with self._engine.connect() as connection:
            incoming = Incoming(connection, self._vault, seeds, marks)
            incoming.mark_old_seeds(lambda done, of: progress(Step.COMPARING, done, of), write=not dry_run)
            clashes = incoming.clashes()
            known = clashes.same if skip_known else frozenset()
            faults = {**_faults_beside(seeds, clashes, known), **_faults_within(seeds, marks)}
            coming = frozenset(range(len(seeds))) - known
            raised = incoming.ahead() if known else frozenset()
            if faults:
                return TakenIn(0, known, faults=tuple(faults[number] for number in sorted(faults)))
            if dry_run or not (coming or raised):
                return TakenIn(len(coming), known, raised)
            incoming.seal(coming, lambda done: progress(Step.SEALING, done, len(coming)))
            why = batch or source
            with transaction(connection, How.ASIDE):
                imported = self._rows(connection, "token.imported", now, TAKEN_IN, why)
            rows = len(coming) + len(raised)
            progress(Step.WRITING, 0, rows)
            with self._transaction(connection, How.BESIDE):
                if not incoming.still(clashes, len(coming)):
                    raise RefusedError(
                        "somebody has changed people or tokens of this delivery meanwhile, so nothing was taken in; "
                        "give the command again"
                    )
                self._note_many(connection, imported)
                if raised or any(seeds[number].user is not None for number in coming):
                    lock_logins(connection)  # from here on rows are written that a login may write too
                placed = {"now": now, "batch": batch, "box": box, "delivered": delivered}
                connection.execute(COPY_TOKENS, placed)
                if raised:
                    raised = incoming.still_ahead()
                    self._note_many(connection, self._rows(connection, "token.counter_raised", now, TO_RAISE, why))
                    connection.execute(RAISE)
                forward = f", {len(raised)} moved forward" if raised else ""
                self._note(connection, "tokens.imported", now, reason=f"{len(coming)} of {why}{forward}")
            progress(Step.WRITING, rows, rows)
        return TakenIn(len(coming), known, raised)

    def _rows(self, connection: Connection, what: str, now: float, which: TextClause, why: str) -> list[Event]:
        """Return an audit row for each token that a statement names, by owner, kind and serial."""
        return [
            Event(now, what, "", "", user, factor=kind, serial=serial, outcome="done", reason=why, actor=self._actor)
            for user, kind, serial in connection.execute(which)
        ]


def _faults_within(seeds: Sequence[Seed], marks: Sequence[str]) -> dict[int, Flaw]:
    """Find what is wrong whatever the store holds: a seed that can be none, a serial or a seed that comes twice."""
    faults: dict[int, Flaw] = {}
    by_serial: dict[str, Seed] = {}
    by_mark: dict[str, Seed] = {}
    for number, (seed, mark) in enumerate(zip(seeds, marks, strict=True)):
        same_serial, same_seed = by_serial.setdefault(seed.serial, seed), by_mark.setdefault(mark, seed)
        if isinstance(flaw := checked(seed), Flaw):
            faults[number] = flaw
        elif same_serial is not seed:
            problem = f"the serial {seed.serial} stands in line {same_serial.line} already"
            faults[number] = _flaw(seed, problem, "leave one of the two out")
        elif same_seed is not seed:
            problem = f"the seed of {seed.serial} is that of {same_seed.serial} in line {same_seed.line}"
            faults[number] = _flaw(seed, problem, "no two tokens have one seed: ask where the file comes from")
    return faults


def _faults_beside(seeds: Sequence[Seed], clashes: Clashes, known: frozenset[int]) -> dict[int, Flaw]:
    """Find what does not go together with the store."""
    faults: dict[int, Flaw] = {}
    for number, name in clashes.nobodys:
        if number not in known:
            faults[number] = _nobodys(seeds[number], name)
    for number, other in clashes.twins:
        problem = f"the seed of {seeds[number].serial} is here already, as token {other}"
        faults[number] = _flaw(seeds[number], problem, "no two tokens have one seed: ask where the file comes from")
    for number in clashes.same:
        problem = f"{seeds[number].serial} is here already, with this seed"
        faults[number] = _flaw(seeds[number], problem, "--skip-known passes over such tokens")
    for number in clashes.taken:
        problem = f"there is another token {seeds[number].serial} here, with another seed or of another kind"
        remedy = f"look at it with `radiusd2fa token show {seeds[number].serial}`: serials are given once"
        faults[number] = _flaw(seeds[number], problem, remedy)
    return {number: flaw for number, flaw in faults.items() if number not in known}


def _nobodys(seed: Seed, name: str) -> Flaw:
    if not name:
        problem = f"{seed.serial} belongs to somebody whose name can be no name here"
        return _flaw(seed, problem, "mend the name, or put all into the stock with --unassigned")
    problem = f"{seed.serial} belongs to {name}, and there is no such user"
    return _flaw(seed, problem, f"`radiusd2fa user add {name}` first, or put all into the stock with --unassigned")


def _flaw(seed: Seed, problem: str, remedy: str) -> Flaw:
    return Flaw(seed.line, problem, remedy, seed.serial)
