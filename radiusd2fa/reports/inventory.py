"""The report `inventory`: how many tokens there are, where, of which make, how old their batteries are, what was lost.

Sheets of codes are no tokens and are left out. A battery's age counts from the delivery, and its end is the maker's
promise: where nobody has promised anything, nothing is said. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from radiusd2fa.core.model import Event, TokenState
from radiusd2fa.reports.records import A_YEAR, Holding, counted, days_between
from radiusd2fa.reports.report import Column, Figure, Report, Shown, Table, share

_OVER: Final = frozenset({TokenState.REVOKED, TokenState.EXPIRED})


def inventory(
    holdings: Sequence[Holding], lost: Sequence[Event], battery_years: Mapping[str, float], now: float, since: float
) -> Report:
    """Show what there is now, and what was lost since then. ``battery_years`` is by model, in small letters."""
    lost = list({one.serial: one for one in lost}.values())  # found and lost again is one token
    tokens = [one for one in holdings if not one.is_sheet]
    kept = [one for one in tokens if one.state(now) not in _OVER]
    stock = sum(one.state(now) is TokenState.STOCK for one in kept)
    batteries = _ending_batteries(kept, battery_years, now)
    ending = [one for one in kept if one.token.valid_until is not None and one.token.valid_until < now + A_YEAR]
    figures = (
        Figure("tokens", "tokens", len(tokens)),
        Figure("kept", "not revoked or expired", len(kept), len(tokens)),
        Figure("stock", "in stock", stock, len(tokens)),
        Figure("expiring", "expire within a year", len(ending), len(kept)),
        Figure("batteries", "batteries end within a year", len(batteries), len(kept)),
        Figure("lost", "lost in the period", len(lost)),
    )
    tables = (
        _states(tokens, now),
        _models(tokens, now),
        _ages(kept, now),
        _batches(tokens, now),
        _batteries(batteries, now),
        _expiring(ending, now),
        _lost(lost),
    )
    return Report("inventory", "Inventory", now, figures, tables, since=since)


def _states(tokens: Sequence[Holding], now: float) -> Table:
    counts = counted(one.state(now).value for one in tokens)
    rows = tuple(
        (state.value, counts.get(state, 0), share(counts.get(state, 0), len(tokens)))
        for state in TokenState
        if state in counts
    )
    columns = (
        Column("state", "state"),
        Column("tokens", "tokens", Shown.COUNT),
        Column("share", "share", Shown.SHARE),
    )
    return Table("states", "By state", columns, rows, "there are no tokens", bars="tokens")


def _models(tokens: Sequence[Holding], now: float) -> Table:
    """Return what there is of each make and kind, and how much of it is left to hand out."""
    found: dict[tuple[str, str], list[TokenState]] = {}
    for one in tokens:
        found.setdefault((one.model, one.token.kind), []).append(one.state(now))
    rows = tuple(
        (
            model,
            kind,
            len(states),
            states.count(TokenState.STOCK),
            states.count(TokenState.ASSIGNED) + states.count(TokenState.ACTIVE) + states.count(TokenState.DISABLED),
            states.count(TokenState.LOST),
            states.count(TokenState.RETURNED),
        )
        for (model, kind), states in sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))
    )
    columns = (
        Column("model", "model"),
        Column("kind", "kind"),
        Column("tokens", "tokens", Shown.COUNT),
        Column("stock", "in stock", Shown.COUNT),
        Column("in_hands", "in hands", Shown.COUNT),
        Column("lost", "lost", Shown.COUNT),
        Column("returned", "returned", Shown.COUNT, aside=True),
    )
    return Table("models", "By model and kind: what is left to hand out", columns, rows, "there are no tokens")


def _batches(tokens: Sequence[Holding], now: float) -> Table:
    found: dict[tuple[str, str], list[Holding]] = {}
    for one in tokens:
        if one.batch or one.box:
            found.setdefault((one.batch, one.box), []).append(one)
    rows = tuple(
        (
            batch,
            box,
            len(theirs),
            sum(one.state(now) is TokenState.STOCK for one in theirs),
            min((one.delivered for one in theirs if one.delivered is not None), default=None),
        )
        for (batch, box), theirs in sorted(found.items())
    )
    columns = (
        Column("batch", "batch"),
        Column("box", "box"),
        Column("tokens", "tokens", Shown.COUNT),
        Column("stock", "in stock", Shown.COUNT),
        Column("delivered", "delivered", Shown.DATE),
    )
    return Table("batches", "By batch and box", columns, rows, "no token has a batch or a box")


def _ages(kept: Sequence[Holding], now: float) -> Table:
    years = [int(max(now - one.delivered, 0.0) // A_YEAR) for one in kept if one.delivered is not None]
    counts = {f"{year} to {year + 1} years": years.count(year) for year in range(max(years, default=-1) + 1)}
    if years and len(years) < len(kept):
        counts["not known"] = len(kept) - len(years)
    rows = tuple((age, count, share(count, len(kept))) for age, count in counts.items())
    columns = (
        Column("age", "since delivery"),
        Column("tokens", "tokens", Shown.COUNT),
        Column("share", "share", Shown.SHARE),
    )
    return Table(
        "ages", "Age of the tokens in use or in stock", columns, rows, "no delivery date is known", bars="tokens"
    )


def _ending_batteries(
    kept: Sequence[Holding], battery_years: Mapping[str, float], now: float
) -> list[tuple[float, Holding]]:
    """Return those whose battery ends within a year, or has ended, with when; the first to end first."""
    ends = []
    for one in kept:
        years = battery_years.get(one.model.casefold())
        if years is not None and one.delivered is not None and one.delivered + years * A_YEAR < now + A_YEAR:
            ends.append((one.delivered + years * A_YEAR, one))
    return sorted(ends, key=lambda found: (found[0], found[1].token.serial))


def _batteries(ending: Sequence[tuple[float, Holding]], now: float) -> Table:
    columns = (
        Column("serial", "serial"),
        Column("model", "model"),
        Column("user", "user"),
        Column("battery_ends", "battery ends", Shown.DATE),
        Column("over", "over", Shown.YES_NO),
        Column("delivered", "delivered", Shown.DATE),
        Column("state", "state", aside=True),
        Column("box", "box", aside=True),
    )
    rows = tuple(
        (one.token.serial, one.model, one.user, end, end <= now, one.delivered, one.state(now).value, one.box)
        for end, one in ending
    )
    return Table("batteries", "Batteries that end within a year", columns, rows, "none that is known of")


def _expiring(ending: Sequence[Holding], now: float) -> Table:
    def end(one: Holding) -> float:
        return one.token.valid_until or 0.0

    columns = (
        Column("serial", "serial"),
        Column("kind", "kind"),
        Column("user", "user"),
        Column("state", "state"),
        Column("valid_until", "valid until", Shown.DATE),
        Column("days", "days left", Shown.COUNT),
    )
    rows = tuple(
        (one.token.serial, one.token.kind, one.user, one.state(now).value, end(one), days_between(now, end(one)))
        for one in sorted(ending, key=lambda one: (end(one), one.token.serial))
    )
    return Table("expiring", "Tokens that expire within a year", columns, rows, "none")


def _lost(lost: Sequence[Event]) -> Table:
    columns = (
        Column("serial", "serial"),
        Column("user", "user"),
        Column("time", "when", Shown.MOMENT),
        Column("administrator", "noted by"),
        Column("reason", "reason"),
    )
    rows = tuple((one.serial, one.user, one.time, one.actor, one.reason) for one in lost)
    return Table("lost", "Tokens that were lost in the period", columns, rows, "none")
