"""The report `stale`: tokens that nobody uses, and people who do not come.

Only what is in somebody's hands and could be used counts; sheets of codes are for the day they are needed, and are
never stale. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from radiusd2fa.core.model import TokenState
from radiusd2fa.reports.records import A_DAY, IN_HANDS, Holding, Person, by_owner, days_between, last_login
from radiusd2fa.reports.report import Cell, Column, Figure, Report, Shown, Table, ranked

_AGES: Final = ((8, "0 to 7 days"), (31, "8 to 30 days"), (91, "31 to 90 days"), (366, "91 to 365 days"))
_OLDER: Final = "longer"
_NEVER: Final = "never"

_SERIAL: Final = (Column("serial", "serial"), Column("kind", "kind"), Column("user", "user"))


def stale(people: Sequence[Person], holdings: Sequence[Holding], now: float, days: int) -> Report:
    """Find what was not used for so many days, and what was never used at all."""
    before = now - days * A_DAY
    held = [one for one in holdings if one.owner is not None and not one.is_sheet and one.state(now) in IN_HANDS]
    active = [one for one in held if one.token.state is TokenState.ACTIVE]
    waiting = [one for one in held if one.token.state is TokenState.ASSIGNED]
    unused = [one for one in active if one.token.last_used is None]
    idle = [one for one in active if one.token.last_used is not None and one.token.last_used < before]
    absent = _absent(people, holdings, now, before)
    figures = (
        Figure("in_hands", "tokens in people's hands", len(held)),
        Figure("idle", f"not used for {days} days", len(idle), len(held)),
        Figure("never_used", "active, and never used", len(unused), len(held)),
        Figure("not_activated", "handed out, first code still to come", len(waiting), len(held)),
        Figure("overdue", "of these too late by now", sum(_is_overdue(one, now) for one in waiting), len(waiting)),
        Figure(
            "absent", f"people who have not logged in for {days} days", len(absent), sum(one.enabled for one in people)
        ),
    )
    tables = (
        _ages(held, now),
        _idle(idle, now, days),
        _unused(unused, now),
        _waiting(waiting, now),
        Table(
            "people",
            f"People who have not logged in for {days} days",
            (
                Column("user", "user"),
                Column("last_login", "last login", Shown.DATE),
                Column("days", "days", Shown.COUNT),
                Column("added", "added", Shown.DATE),
                Column("source", "source", aside=True),
            ),
            absent,
            f"everybody has logged in within {days} days",
        ),
    )
    return Report("stale", "Unused tokens", now, figures, tables)


def _ages(held: Sequence[Holding], now: float) -> Table:
    counts = dict.fromkeys((*(name for _, name in _AGES), _OLDER, _NEVER), 0)
    for one in held:
        counts[_age(one.token.last_used, now)] += 1
    shares = {row[0]: row for row in ranked(counts)}
    columns = (
        Column("last_used", "last used"),
        Column("tokens", "tokens", Shown.COUNT),
        Column("share", "share", Shown.SHARE),
    )
    rows = tuple(shares[name] for name in counts) if held else ()
    return Table("ages", "Tokens in hands, by their last use", columns, rows, "nobody has a token", bars="tokens")


def _age(last_used: float | None, now: float) -> str:
    if last_used is None:
        return _NEVER
    days = days_between(last_used, now)
    return next((name for below, name in _AGES if days < below), _OLDER)


def _idle(idle: Sequence[Holding], now: float, days: int) -> Table:
    used = sorted((one.token.last_used or 0.0, one.token.serial, one) for one in idle)
    rows = tuple((*_whose(one), at, days_between(at, now), one.model, one.box) for at, _, one in used)
    columns = (
        *_SERIAL,
        Column("last_used", "last used", Shown.DATE),
        Column("days", "days", Shown.COUNT),
        Column("model", "model", aside=True),
        Column("box", "box", aside=True),
    )
    return Table("idle", f"Not used for {days} days", columns, rows, "none")


def _unused(unused: Sequence[Holding], now: float) -> Table:
    oldest_first = sorted(unused, key=lambda one: (one.since, one.token.serial))
    rows = tuple((*_whose(one), one.since, days_between(one.since, now), one.handed_by) for one in oldest_first)
    columns = (
        *_SERIAL,
        Column("handed_out", "handed out", Shown.DATE),
        Column("days", "days", Shown.COUNT),
        Column("handed_by", "by"),
    )
    return Table("never_used", "Active, and never used", columns, rows, "none")


def _waiting(waiting: Sequence[Holding], now: float) -> Table:
    def deadline(one: Holding) -> tuple[float, str]:
        return one.token.activate_by or float("inf"), one.token.serial

    rows = tuple(
        (*_whose(one), one.since, one.token.activate_by, _is_overdue(one, now), one.handed_by)
        for one in sorted(waiting, key=deadline)
    )
    columns = (
        *_SERIAL,
        Column("handed_out", "handed out", Shown.DATE),
        Column("activate_by", "first code by", Shown.DATE),
        Column("overdue", "too late", Shown.YES_NO),
        Column("handed_by", "by"),
    )
    return Table("not_activated", "Handed out, first code still to come", columns, rows, "none")


def _is_overdue(one: Holding, now: float) -> bool:
    return one.token.activate_by is not None and one.token.activate_by <= now


def _whose(one: Holding) -> tuple[Cell, ...]:
    return one.token.serial, one.token.kind, one.user


def _absent(
    people: Sequence[Person], holdings: Sequence[Holding], now: float, before: float
) -> tuple[tuple[Cell, ...], ...]:
    """Return those who may log in and have not, for so long, nor were added since; the longest away first."""
    theirs = by_owner(holdings)
    found = []
    for person in people:
        last = last_login(person, theirs.get(person.id, ()))
        since = person.created if last is None else last
        if person.enabled and since < before:
            found.append((since, person.name, last, person))
    found.sort(key=lambda one: one[:2])
    return tuple((name, last, days_between(since, now), p.created, p.source) for since, name, last, p in found)
