"""Brings each report what it counts: the figures out of the store, the rules out of the settings, the time zone.

It counts nothing and shows nothing. What cannot be asked, such as a group that nobody is in, ends the command.
Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import partial
from typing import TYPE_CHECKING

from radiusd2fa.cli.site import refuse, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.reports.report import Report
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.figures import Figures


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of which store, as of when."""

    figures: Figures
    settings: Settings
    now: float
    since: float = 0.0
    days: int = 0
    group: str = ""


def begins(at: float, days: int, zone: tzinfo | None) -> float:
    """Return the midnight with which the first of so many days before today begins."""
    first = datetime.fromtimestamp(at, UTC).astimezone(zone).date() - timedelta(days=days)
    return datetime.combine(first, time(), tzinfo=zone).timestamp()


def make_coverage(asked: Asked) -> Report:
    """Count who can log in with what; of one group, where one is asked about."""
    from radiusd2fa.reports.coverage import coverage, groups_of

    people = asked.figures.people()
    groups = groups_of(people)
    if asked.group and asked.group not in groups:
        known = ", ".join(sorted(groups)) or "none"
        refuse(f"nobody is in a group {asked.group}; groups that people are in: {known}")
    return coverage(people, asked.figures.holdings(), asked.settings.rules.rules, asked.now, asked.group)


def make_stale(asked: Asked) -> Report:
    """Find what is not used."""
    from radiusd2fa.reports.stale import stale

    return stale(asked.figures.people(), asked.figures.holdings(), asked.now, asked.days)


def make_exceptions(asked: Asked) -> Report:
    """Gather what is let through, and by whom."""
    from radiusd2fa.reports.exceptions import exceptions
    from radiusd2fa.settings.coverage import Holder
    from radiusd2fa.settings.coverage import coverage as by_rule

    figures, since = asked.figures, asked.since
    people = figures.people()
    holders = [Holder(one.name, one.groups, one.enrolled, frozenset()) for one in people if one.enabled]
    return exceptions(
        people,
        figures.holdings(),
        figures.grants(since, asked.now),
        by_rule(asked.settings.rules.rules, holders),
        figures.logins(since),
        figures.fallbacks(since),
        figures.deeds(since),
        figures.deed_counts(since),
        asked.now,
        since,
    )


def make_recovery(asked: Asked) -> Report:
    """Count codes on sheets, and their use."""
    from radiusd2fa.reports.recovery import recovery

    figures, since = asked.figures, asked.since
    return recovery(
        figures.people(),
        figures.holdings(),
        figures.grants(since, asked.now),
        figures.requests(since),
        figures.fallbacks(since),
        asked.now,
        since,
    )


def make_inventory(asked: Asked) -> Report:
    """Count the tokens themselves."""
    from radiusd2fa.hardware import CatalogueError, battery_years
    from radiusd2fa.reports.inventory import inventory

    try:
        years = battery_years()
    except CatalogueError as error:
        wrong_usage(str(error))
    return inventory(asked.figures.holdings(), asked.figures.lost(asked.since), years, asked.now, asked.since)


def make_failures(asked: Asked) -> Report:
    """Count the logins that were refused."""
    from radiusd2fa.cli.charts import day
    from radiusd2fa.reports.failures import failures

    figures, since = asked.figures, asked.since
    return failures(
        figures.people(),
        figures.logins(since),
        figures.times(since),
        figures.refused_people(since),
        figures.refused_callers(since),
        figures.blocked(asked.now),
        partial(day, zone=asked.settings.zone()),
        asked.now,
        since,
    )
