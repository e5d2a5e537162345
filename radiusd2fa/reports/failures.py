"""The report `failures`: logins that were refused, why, where, when and whose, and who is locked out now.

It tells no guess from a slip of the finger; many refusals of one person, or from one address, are for people to look
at. Reasons are those of the audit (core.model.Reason). Answers to no RFC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from radiusd2fa.core.model import Reason
from radiusd2fa.reports.records import Blocked, Logins, Person
from radiusd2fa.reports.report import Column, Figure, Report, Shown, Table, ranking

MOST_DAYS: Final = 62
"""A longer period is shown by month."""


def failures(
    people: Sequence[Person],
    logins: Sequence[Logins],
    times: Iterable[tuple[str, float, int]],
    by_user: Sequence[tuple[str, int]],
    by_caller: Sequence[tuple[str, str, int]],
    blocked: Sequence[Blocked],
    day_of: Callable[[float], str],
    now: float,
    since: float,
) -> Report:
    """Count what was refused since then.

    ``times`` are outcome, moment and how many then; ``by_user`` and ``by_caller`` (client, caller) those with the most
    refusals. ``day_of`` takes a moment to its date as in 2027-01-31.
    """
    refused = [one for one in logins if one.outcome == "rejected"]
    accepted = sum(one.count for one in logins if one.outcome == "accepted")
    whole = sum(one.count for one in refused)
    locked = sorted((one for one in people if one.locked_until > now), key=lambda one: (one.locked_until, one.name))
    figures = (
        Figure("rejected", "logins refused", whole, whole + accepted),
        Figure("accepted", "logins accepted", accepted, whole + accepted),
        Figure("while_locked", "refused because locked", _count(refused, Reason.LOCKED, Reason.CALLER_LOCKED), whole),
        Figure("locked_people", "people locked now", len(locked)),
        Figure("blocked_callers", "callers blocked now", len(blocked)),
    )
    tables = (
        _per(refused, "reasons", "By reason", "reason"),
        _per(refused, "clients", "By client", "nas"),
        _days(times, day_of),
        _people(by_user, whole),
        _callers(by_caller),
        _locked(locked),
        _blocked(blocked),
    )
    return Report("failures", "Refused logins", now, figures, tables, since=since)


def _count(refused: Sequence[Logins], *reasons: Reason) -> int:
    return sum(one.count for one in refused if one.reason in reasons)


def _per(refused: Sequence[Logins], name: str, title: str, what: str) -> Table:
    counts: dict[str, int] = {}
    for one in refused:
        key = one.reason if what == "reason" else one.nas
        counts[key] = counts.get(key, 0) + one.count
    column = Column("reason", "reason") if what == "reason" else Column("client", "client")
    return ranking(name, title, column, "refused", counts, "no login was refused")


def _days(times: Iterable[tuple[str, float, int]], day_of: Callable[[float], str]) -> Table:
    counts: dict[str, Counter[str]] = {}
    for outcome, moment, count in times:
        counts.setdefault(day_of(moment), Counter())[outcome] += count
    what = "day"
    if len(counts) > MOST_DAYS:
        what, counts = "month", _by_month(counts)
    columns = (
        Column("date", what),
        Column("refused", "refused", Shown.COUNT),
        Column("accepted", "accepted", Shown.COUNT),
    )
    rows = tuple((day, counts[day]["rejected"], counts[day]["accepted"]) for day in sorted(counts))
    return Table("days", f"By {what}", columns, rows, "nobody has logged in", bars="refused", in_time=True)


def _by_month(days: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    months: dict[str, Counter[str]] = {}
    for day, counts in days.items():
        months.setdefault(day[: len("2027-01")], Counter()).update(counts)
    return months


def _people(by_user: Sequence[tuple[str, int]], whole: int) -> Table:
    columns = (Column("user", "user"), Column("refused", "refused", Shown.COUNT))
    complete = sum(count for _, count in by_user) >= whole
    return Table("people", "Whose logins were refused most", columns, tuple(by_user), "nobody's", whole=complete)


def _callers(by_caller: Sequence[tuple[str, str, int]]) -> Table:
    columns = (Column("caller", "caller"), Column("client", "client"), Column("refused", "refused", Shown.COUNT))
    rows = tuple((caller, nas, count) for nas, caller, count in by_caller)
    return Table("callers", "From where most were refused", columns, rows, "no client says where its callers are")


def _locked(locked: Sequence[Person]) -> Table:
    columns = (
        Column("user", "user"),
        Column("until", "until", Shown.MOMENT),
        Column("failures", "failures", Shown.COUNT),
    )
    rows = tuple((one.name, one.locked_until, one.failures) for one in locked)
    return Table("locked", "People who are locked now", columns, rows, "nobody")


def _blocked(blocked: Sequence[Blocked]) -> Table:
    columns = (Column("caller", "caller"), Column("client", "client"), Column("until", "until", Shown.MOMENT))
    rows = tuple((one.caller, one.nas, one.until) for one in blocked)
    return Table("blocked", "Callers who are blocked now", columns, rows, "none")
