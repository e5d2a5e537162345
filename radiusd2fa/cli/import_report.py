"""What is said about a delivery: each token with what becomes of it, faults first, and one sentence at the end.

It shows no seed. On a terminal long lists are shortened, and say so; JSON and a report file have all of it. Answers to
no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import typer

from radiusd2fa.cli.site import complain
from radiusd2fa.cli.tables import show_json, show_table

if TYPE_CHECKING:
    from radiusd2fa.imports.seeds import Flaw, LeftOut, Seed

SHOWN: Final = 20
"""Entries of each list on a terminal."""
_BECOMES: Final = {"stock": "to the stock", "known": "here already", "raised": "here already, moved forward"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A delivery, and what became of it."""

    file: str
    format: str
    seeds: Sequence[Seed]
    left_out: Sequence[LeftOut]
    faults: Sequence[Flaw]
    known: frozenset[int]
    """Which of the seeds are here already."""
    raised: frozenset[int]
    """Which of those have been used elsewhere since: the file has a higher counter."""
    taken: int
    dry_run: bool

    def becomes(self, number: int) -> str:
        """Say what becomes of a seed, or will when the others' faults are mended: stock, active, known or raised."""
        if number in self.known:
            return "raised" if number in self.raised else "known"
        return "stock" if self.seeds[number].user is None else "active"


def show(outcome: Outcome, *, as_json: bool, faults_alone: bool = False) -> None:
    """Show what became of it: faults on standard error, the rest on standard output, where that is not in use."""
    if as_json:
        show_json(_plain(outcome))
        return
    for line in islice(_fault_lines(outcome), SHOWN):
        complain(f"{outcome.file}, {line}")
    _more(len(outcome.faults), "faults", err=True)
    if faults_alone:
        return
    for line in islice(_left_out_lines(outcome), SHOWN):
        typer.echo(f"left out: {line}")
    _more(len(outcome.left_out), "left out")
    if not outcome.faults:
        numbers = range(min(len(outcome.seeds), SHOWN))
        columns = ("line", "serial", "kind", "becomes")
        show_table(columns, [_row(outcome, number) for number in numbers], nothing="")
        _more(len(outcome.seeds), "tokens")


def full_report(outcome: Outcome) -> Iterator[str]:
    """Yield all of it in lines of text."""
    yield summary(outcome)
    yield from (f"fault: {line}" for line in _fault_lines(outcome))
    yield from (f"left out: {line}" for line in _left_out_lines(outcome))
    for number in range(len(outcome.seeds)):
        line, serial, kind, becomes = _row(outcome, number)
        yield f"line {line}: {serial} {kind} {becomes}"


def summary(outcome: Outcome) -> str:
    """Say in one sentence what came of it."""
    new = [seed for number, seed in enumerate(outcome.seeds) if number not in outcome.known]
    people = {seed.user for seed in new if seed.user is not None}
    stock = sum(seed.user is None for seed in new)
    if outcome.faults:
        return (
            f"nothing was taken in: {_counted(len(outcome.faults), 'fault')} in {outcome.file}; "
            "mend it and give the command again"
        )
    said = []
    if stock:
        said.append(f"{stock} into the stock")
    if people:
        said.append(f"{len(new) - stock} to {_counted(len(people), 'person', 'people')}")
    others = []
    if outcome.known:
        others.append(f"{len(outcome.known)} {'was' if len(outcome.known) == 1 else 'were'} here already")
    if outcome.raised:
        verb = "would be" if outcome.dry_run else "was" if len(outcome.raised) == 1 else "were"
        others.append(f"{len(outcome.raised)} of them {verb} moved forward to the counter in the file")
    if outcome.left_out:
        others.append(f"{len(outcome.left_out)} left out")
    behind = "".join(f"; {other}" for other in others)
    if not new:
        return f"nothing new in {outcome.file}{behind}"
    verb = "would take in" if outcome.dry_run else "took in"
    return f"{verb} {_counted(len(new), 'token')} from {outcome.file}, {' and '.join(said)}{behind}"


def _fault_lines(outcome: Outcome) -> Iterator[str]:
    from radiusd2fa.log import visible

    for flaw in outcome.faults:
        yield visible(f"line {flaw.line}: {flaw.problem}; {flaw.remedy}")


def _left_out_lines(outcome: Outcome) -> Iterator[str]:
    from radiusd2fa.log import visible

    for one in outcome.left_out:
        yield visible(f"line {one.line}: {one.what}: {one.why}")


def _row(outcome: Outcome, number: int) -> tuple[str, str, str, str]:
    from radiusd2fa.log import visible

    seed, becomes = outcome.seeds[number], outcome.becomes(number)
    return str(seed.line), seed.serial, seed.kind, _BECOMES.get(becomes) or visible(f"to {seed.user}")


def _more(count: int, what: str, *, err: bool = False) -> None:
    if count > SHOWN:
        typer.echo(f"... {count - SHOWN:,} more {what}: --json and --report FILE show all", err=err)


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _plain(outcome: Outcome) -> dict[str, object]:
    return {
        "file": outcome.file,
        "format": outcome.format,
        "dry_run": outcome.dry_run,
        "taken": 0 if outcome.dry_run else outcome.taken,
        "faults": [asdict(flaw) for flaw in outcome.faults],
        "left_out": [asdict(one) for one in outcome.left_out],
        "tokens": [
            {
                "line": seed.line,
                "serial": seed.serial,
                "kind": seed.kind,
                "user": seed.user,
                "becomes": outcome.becomes(number),
            }
            for number, seed in enumerate(outcome.seeds)
        ],
    }
