"""The report `coverage`: who can log in with what now, under which rule, and who cannot.

People who are switched off are left out, sheets of codes count as no token, and a token counts only while the daemon
would take its code. What resists phishing, and why codes do not: NIST SP 800-63B-4 3.2.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.rules import BreakGlass, Rule
from radiusd2fa.reports.records import (
    PHISHING_RESISTANT,
    TOKENS,
    Holding,
    Person,
    by_owner,
    kinds_that_work,
    last_login,
)
from radiusd2fa.reports.report import Cell, Column, Figure, Report, Shown, Table, share
from radiusd2fa.settings.coverage import Holder
from radiusd2fa.settings.coverage import coverage as by_rule

_SHEET_ONLY: Final = "sheet"
_NOTHING: Final = "nothing"
_NO_KINDS: Final[frozenset[str]] = frozenset()

_WHY: Final = (  # the nearest to working first
    (TokenState.ASSIGNED, "not_activated_in_time"),
    (TokenState.ACTIVE, "not_valid_yet"),
    (TokenState.EXPIRED, "expired"),
    (TokenState.DISABLED, "disabled"),
    (TokenState.LOST, "lost"),
    (TokenState.REVOKED, "revoked"),
)


def groups_of(people: Sequence[Person]) -> frozenset[str]:
    """Return every group that somebody is in."""
    return frozenset(group for person in people for group in person.groups)


def coverage(
    people: Sequence[Person], holdings: Sequence[Holding], rules: Sequence[Rule], now: float, group: str = ""
) -> Report:
    """Count everybody, or those of one group."""
    meant = [person for person in people if not group or group in person.groups]
    able = [person for person in meant if person.enabled]
    working = kinds_that_work(holdings, now)
    kinds = {person.id: working.get(person.id, _NO_KINDS) for person in able}
    with_token = sum(not theirs.isdisjoint(TOKENS) for theirs in kinds.values())
    figures = (
        Figure("people", "people who may log in", len(able)),
        Figure("able", "have a token that works", with_token, len(able)),
        Figure(
            "phishing_resistant",
            "have one that resists phishing",
            sum(PHISHING_RESISTANT in theirs for theirs in kinds.values()),
            len(able),
        ),
        Figure("unable", "have none that works", len(able) - with_token, len(able)),
        Figure("skipping", "are asked for none for a while", sum(person.skip_until > now for person in able)),
        Figure("locked", "are locked at the moment", sum(person.locked_until > now for person in able)),
        Figure("disabled", "are switched off, and not counted", len(meant) - len(able)),
    )
    tables = (_factors(kinds), _rules(able, kinds, rules), _without(able, kinds, holdings, now))
    return Report("coverage", "Coverage", now, figures, tables, about=group)


def _factors(kinds: Mapping[int, frozenset[str]]) -> Table:
    """Return how many have each factor, and for how many it is the best they have: those add up to all."""
    best = [_best(theirs) for theirs in kinds.values()]
    rows: list[tuple[Cell, ...]] = []
    for factor in (*TOKENS, _SHEET_ONLY, _NOTHING):
        strongest = best.count(factor)
        some = strongest if factor in (_SHEET_ONLY, _NOTHING) else sum(factor in theirs for theirs in kinds.values())
        rows.append((factor, some, strongest, share(strongest, len(kinds))))
    return Table(
        "factors",
        "The best that people can log in with",
        (
            Column("factor", "factor"),
            Column("people", "have it", Shown.COUNT),
            Column("best", "it is their best", Shown.COUNT),
            Column("share", "share", Shown.SHARE),
        ),
        tuple(rows) if kinds else (),
        "nobody may log in yet",
        bars="best",
    )


def _best(kinds: frozenset[str]) -> str:
    return next((kind for kind in TOKENS if kind in kinds), _SHEET_ONLY if kinds else _NOTHING)


def _rules(able: Sequence[Person], kinds: Mapping[int, frozenset[str]], rules: Sequence[Rule]) -> Table:
    holders = [Holder(one.name, one.groups, one.enrolled, kinds[one.id]) for one in able]
    with_keys = [replace(one, kinds=one.kinds & {PHISHING_RESISTANT}) for one in holders]
    rows = tuple(
        (
            every.rule.name,
            every.people,
            every.able,
            share(every.able, every.people),
            keyed.able,
            share(keyed.able, every.people),
            _takes_keys_only(every.rule),
            every.without_token,
            every.rule.line,
        )
        for every, keyed in zip(by_rule(rules, holders), by_rule(rules, with_keys), strict=True)
    )
    columns = (
        Column("rule", "rule"),
        Column("people", "people", Shown.COUNT),
        Column("able", "with a token it takes", Shown.COUNT),
        Column("share", "share", Shown.SHARE),
        Column("phishing_resistant", "resists phishing", Shown.COUNT),
        Column("phishing_resistant_share", "share", Shown.SHARE),
        Column("keys_only", "keys only", Shown.YES_NO),
        Column("never_had_one", "never had one", Shown.COUNT, aside=True),
        Column("line", "line", Shown.COUNT, aside=True),
    )
    return Table("rules", "By rule, as far as users and groups tell", columns, rows, "there are no rules")


def _takes_keys_only(rule: Rule) -> bool:
    """Whether nothing but a key at the right place lets anybody in: what is pasted can be relayed."""
    other_ways = (
        "paste" in rule.ceremonies,
        not rule.enrolment.required,
        rule.enrolment.upstream is not None,
        rule.skip is not None,
        bool(rule.grants),
        rule.break_glass is not BreakGlass.OFF,
    )
    return set(rule.factors) == {PHISHING_RESISTANT} and not any(other_ways)


def _without(
    able: Sequence[Person], kinds: Mapping[int, frozenset[str]], holdings: Sequence[Holding], now: float
) -> Table:
    theirs = by_owner(holdings)
    rows = tuple(
        (
            person.name,
            _why(person, theirs.get(person.id, ()), now),
            bool(kinds[person.id]),
            person.skip_until if person.skip_until > now else None,
            last_login(person, theirs.get(person.id, ())),
            " ".join(person.groups),
        )
        for person in sorted(able, key=lambda one: one.name)
        if kinds[person.id].isdisjoint(TOKENS)
    )
    columns = (
        Column("user", "user"),
        Column("why", "why", Shown.WORD),
        Column("sheet", "has a sheet", Shown.YES_NO),
        Column("skip_until", "not asked until", Shown.MOMENT),
        Column("last_login", "last login", Shown.DATE),
        Column("groups", "groups", aside=True),
    )
    return Table("without", "People without a token that works", columns, rows, "everybody has a token that works")


def _why(person: Person, theirs: Sequence[Holding], now: float) -> str:
    states = {holding.state(now) for holding in theirs if not holding.is_sheet}
    had = "had_one" if person.enrolled else "never_had_one"
    return next((why for state, why in _WHY if state in states), had)
