"""The report `exceptions`: who comes in without a second factor of their own, who has allowed it, why, and until when.

It looks at grants, at what the rules waive, at tokens that are switched off, and at what administrators have weakened.
It judges nothing: an exception that is written down and ends is as it should be. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from radiusd2fa.core.model import Event, Reason, TokenState
from radiusd2fa.core.rules import BreakGlass, Enrolment
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.reports.records import Deeds, Fallback, Grant, Holding, Logins, Person, days_between
from radiusd2fa.reports.report import Cell, Column, Figure, Report, Shown, Table, ranking, share
from radiusd2fa.settings.coverage import Coverage

WITHOUT_OWN_FACTOR: Final = (
    Reason.SKIP_GRANTED,
    Reason.SKIPPED,
    Reason.GRACE,
    Reason.NOT_ENROLLED,
    Reason.UPSTREAM,
    Reason.EMERGENCY,
)
"""Reasons of accepted logins that asked for no second factor of the person's own; sheets of codes are the rest."""
UNLOCKED: Final = "user.unlocked"
REFUSED: Final = ".refused"
"""How the names of events end that say that an administrator was not let."""
WEAKENING: Final = (
    UNLOCKED,
    "user.enabled",
    "user.bound",
    "user.password_set",
    "token.enabled",
    "token.resynchronised",
    "token.validity_set",
)
WEAKENING_KINDS: Final = ("grant.", "recovery.", "breakglass.")
"""How the names of further events begin that weaken something."""
STRENGTHENING: Final = (".lost", ".disabled", ".revoked", ".removed", ".closed", ".returned", ".offboarded")
"""How the names of events end that never weaken anything, whatever reason was given."""
REASON_IS_NO_REASON: Final = ("user.renamed", "token.imported", "tokens.imported", "token.labelled")
"""Events that say something else where others say why."""


def exceptions(
    people: Sequence[Person],
    holdings: Sequence[Holding],
    grants: Sequence[Grant],
    covered: Sequence[Coverage],
    logins: Sequence[Logins],
    fallbacks: Sequence[Fallback],
    deeds: Sequence[Event],
    counts: Sequence[Deeds],
    now: float,
    since: float,
) -> Report:
    """Show what is open now, and what was done since then.

    ``deeds`` may be the newest only; ``counts`` has all of them.
    """
    still_open = _open(people, grants, now)
    waivers = tuple(waiver for one in covered for waiver in _waivers(one, now))
    disabled = sorted(
        (one for one in holdings if one.state(now) is TokenState.DISABLED), key=lambda one: one.token.serial
    )
    came_in = sum(one.count for one in logins if one.outcome == "accepted")
    done = [one for one in counts if not one.name.endswith(REFUSED)]
    weakened = sum(one.count for one in done)
    figures = (
        Figure("open_grants", "grants open now", len(still_open)),
        Figure("waivers", "waivers in the rules now", len(waivers)),
        Figure("disabled_tokens", "tokens switched off", len(disabled)),
        Figure("fallback_logins", "logins without their own factor", sum(one.count for one in fallbacks), came_in),
        Figure("unlocks", "people unlocked", sum(one.count for one in counts if one.name == UNLOCKED)),
        Figure("weakened", "changes that weaken something", weakened),
        Figure("not_allowed", "commands that were refused", sum(one.count for one in counts) - weakened),
    )
    tables = (
        _grants(still_open),
        _rules(waivers),
        _ways(fallbacks, came_in),
        _users(fallbacks),
        _disabled(disabled),
        ranking(
            "administrators",
            "Who has weakened something",
            Column("administrator", "administrator"),
            "changes",
            _by_actor(done),
            "nobody",
        ),
        _deeds(deeds, weakened),
    )
    return Report("exceptions", "Exceptions", now, figures, tables, since=since)


def _open(people: Sequence[Person], grants: Sequence[Grant], now: float) -> tuple[tuple[Cell, ...], ...]:
    """Return the open grants, the oldest first, and those who skip though nothing says who has granted it."""
    still = sorted((one for one in grants if one.is_open(now)), key=lambda one: (one.created, one.user))
    rows: list[tuple[Cell, ...]] = [
        (
            one.user,
            one.kind,
            days_between(one.created, now),
            one.until,
            one.reason,
            one.granted_by,
            one.approved_by,
            one.serial,
            one.created,
        )
        for one in still
    ]
    known = {one.user for one in still if one.kind == "skip"}
    rows += [
        (one.name, "skip", None, one.skip_until, "", "", "", "", None)
        for one in people
        if one.skip_until > now and one.name not in known
    ]
    return tuple(rows)


def _grants(rows: tuple[tuple[Cell, ...], ...]) -> Table:
    columns = (
        Column("user", "user"),
        Column("kind", "kind"),
        Column("days", "days", Shown.COUNT),
        Column("until", "until", Shown.MOMENT),
        Column("reason", "reason"),
        Column("granted_by", "granted by"),
        Column("approved_by", "approved by", aside=True),
        Column("serial", "serial", aside=True),
        Column("created", "granted", Shown.MOMENT, aside=True),
    )
    return Table("grants", "Grants that are open", columns, rows, "no grant is open")


def _waivers(one: Coverage, now: float) -> list[tuple[Cell, ...]]:
    """Return what one rule lets pass without a second factor at the moment."""
    rule, rows = one.rule, list[tuple[Cell, ...]]()
    terms = _enrolment(rule.enrolment, now)
    if terms:
        rows.append(
            (rule.name, terms, rule.enrolment.until, one.without_token, rule.enrolment.upstream or "", rule.line)
        )
    if rule.skip is not None and now < rule.skip.until:
        networks = " ".join(map(str, rule.skip.networks))
        rows.append((rule.name, "skip", rule.skip.until, one.people, networks, rule.line))
    if rule.break_glass is not BreakGlass.OFF:
        rows.append((rule.name, "break_glass", None, one.people, rule.break_glass.value, rule.line))
    return rows


def _enrolment(enrolment: Enrolment, now: float) -> str:
    if not enrolment.lasts(now):
        return ""
    if enrolment.upstream is not None:
        return "upstream"
    if enrolment.required:
        return ""
    return "enrolment_off" if enrolment.until is None else "grace"


def _rules(rows: tuple[tuple[Cell, ...], ...]) -> Table:
    columns = (
        Column("rule", "rule"),
        Column("waiver", "what it waives", Shown.WORD),
        Column("until", "until", Shown.MOMENT),
        Column("people", "people", Shown.COUNT),
        Column("terms", "terms"),
        Column("line", "line", Shown.COUNT, aside=True),
    )
    return Table("waivers", "What the rules waive", columns, rows, "every rule asks everybody for a second factor")


def way_of(one: Fallback) -> str:
    """Return in which way somebody came in: the sheet of codes, or the reason for asking nothing."""
    return one.factor if one.factor in SHEETS else one.reason


def _ways(fallbacks: Sequence[Fallback], came_in: int) -> Table:
    logins: dict[str, int] = {}
    people: dict[str, set[str]] = {}
    for one in fallbacks:
        logins[way_of(one)] = logins.get(way_of(one), 0) + one.count
        people.setdefault(way_of(one), set()).add(one.user)
    order = sorted(logins, key=lambda way: (-logins[way], way))
    columns = (
        Column("way", "way", Shown.WORD),
        Column("people", "people", Shown.COUNT),
        Column("logins", "logins", Shown.COUNT),
        Column("share", "share of all logins", Shown.SHARE),
    )
    rows = tuple((way, len(people[way]), logins[way], share(logins[way], came_in)) for way in order)
    nothing = "everybody has used a second factor of their own"
    return Table("fallback", "Logins without a factor of their own", columns, rows, nothing, bars="logins")


def _users(fallbacks: Sequence[Fallback]) -> Table:
    columns = (
        Column("user", "user"),
        Column("way", "way", Shown.WORD),
        Column("logins", "logins", Shown.COUNT),
        Column("last", "last time", Shown.MOMENT),
    )
    order = sorted(fallbacks, key=lambda one: (-one.count, one.user, way_of(one)))
    rows = tuple((one.user, way_of(one), one.count, one.last) for one in order)
    return Table("fallback_people", "Whose logins those were", columns, rows, "nobody's")


def _disabled(disabled: Sequence[Holding]) -> Table:
    columns = (
        Column("serial", "serial"),
        Column("kind", "kind"),
        Column("user", "user"),
        Column("last_used", "last used", Shown.DATE),
    )
    rows = tuple((one.token.serial, one.token.kind, one.user, one.token.last_used) for one in disabled)
    return Table("disabled_tokens", "Tokens that are switched off", columns, rows, "none")


def _by_actor(counts: Sequence[Deeds]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        found[one.actor] = found.get(one.actor, 0) + one.count
    return found


def _deeds(deeds: Sequence[Event], all_of_them: int) -> Table:
    columns = (
        Column("time", "when", Shown.MOMENT),
        Column("administrator", "administrator"),
        Column("change", "change"),
        Column("user", "user"),
        Column("reason", "reason"),
        Column("serial", "serial", aside=True),
    )
    rows = tuple((one.time, one.actor, one.name, one.user, one.reason, one.serial) for one in deeds)
    whole = len(rows) >= all_of_them
    return Table("changes", "Changes that weaken something, the newest first", columns, rows, "none", whole=whole)
