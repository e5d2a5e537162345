"""How many of the people whom a rule is for have a token: what ``check`` counts before the grace of a rule ends.

Only users and groups say here whom a rule is for: clients, networks, hours and attributes are those of a login, and
there is none. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from radiusd2fa.core.rules import Enrolment, Rule
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.settings.calendar import last_day_before
from radiusd2fa.settings.rule_advice import place_of


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody whom the store knows and who may log in, and the kinds of tokens that work for them now."""

    name: str
    groups: tuple[str, ...]
    enrolled: bool
    """Whether they have ever had a token."""
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many people a rule can be for, and what they have."""

    rule: Rule
    people: int
    without_token: int
    """Those who have never had one."""
    able: int
    """Those with a token that the rule allows."""


def coverage(rules: Sequence[Rule], people: Sequence[Holder]) -> tuple[Coverage, ...]:
    """Count for each rule those people that no rule before it takes for certain."""
    counted = []
    left = list(people)
    for rule in rules:
        fitting = [one for one in left if _is_meant(rule, one)]
        without = sum(not one.enrolled for one in fitting)
        able = sum(not one.kinds.isdisjoint(_tokens_of(rule)) for one in fitting)
        counted.append(Coverage(rule, len(fitting), without, able))
        if not _depends_on_the_login(rule):
            left = [one for one in left if not _is_meant(rule, one)]
    return tuple(counted)


def _is_meant(rule: Rule, person: Holder) -> bool:
    named = not rule.users or person.name in rule.users
    return named and (not rule.groups or not rule.groups.isdisjoint(person.groups))


def _depends_on_the_login(rule: Rule) -> bool:
    return any((rule.clients, rule.realms, rule.networks, rule.hours, rule.attributes))


def _tokens_of(rule: Rule) -> tuple[str, ...]:
    """Return the kinds that count as a token there: a sheet of codes is for the day on which the token is missing."""
    return tuple(factor for factor in rule.factors if factor not in SHEETS) or rule.factors


def lets_newcomers_in(rule: Rule) -> bool:
    """Whether people without a token can get in under this rule, for a while or until further notice."""
    return not rule.enrolment.required or rule.enrolment.upstream is not None


def about_coverage(counted: Sequence[Coverage], zone: tzinfo | None) -> Iterator[str]:
    """Yield a sentence for each rule that lets people in who have no token: how many they are still."""
    for one in counted:
        if lets_newcomers_in(one.rule):
            have = "has" if one.without_token == 1 else "have"
            yield (
                f"{place_of(one.rule)}: {_terms(one.rule.enrolment, zone)}; "
                f"{one.without_token} of {one.people} people {have} no token yet"
            )


def _terms(enrolment: Enrolment, zone: tzinfo | None) -> str:
    who = "grace" if enrolment.upstream is None else f"{enrolment.upstream} decides"
    return "enrolment off" if enrolment.until is None else f"{who} until {last_day_before(enrolment.until, zone)}"


def about_the_unable(counted: Sequence[Coverage]) -> Iterator[str]:
    """Yield a sentence for each rule under which none of those whom it is for can log in."""
    for one in counted:
        if one.people and not one.able and not lets_newcomers_in(one.rule):
            fit = "1 person fits it, who" if one.people == 1 else f"{one.people} people fit it, and none"
            has = "has no" if one.people == 1 else "has a"
            yield (
                f"{place_of(one.rule)}: {fit} {has} {' or '.join(_tokens_of(one.rule))} token that works; "
                "hand some out, or change its factors"
            )
