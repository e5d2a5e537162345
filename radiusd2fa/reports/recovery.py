"""The report `recovery`: sheets of codes that people have for the day their token is gone, and how they were used.

No code is ever known here, only how many of a sheet were used. Emergency sheets are listed one by one, because each use
of one is somebody's business. Answers to no RFC; what such codes are: NIST SP 800-63B-4 3.1.2 (look-up secrets).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.sheets import BREAK_GLASS, RECOVERY, SHEETS, TEMPORARY
from radiusd2fa.reports.records import Fallback, Grant, Holding, Person, Request, counted
from radiusd2fa.reports.report import Cell, Column, Figure, Report, Shown, Table, share

FEW: Final = 2
"""So many codes left, or fewer, and it is time for a new sheet."""

_LEFT: Final = (f"1 to {FEW}", f"{FEW + 1} to 5", "6 and more")


def recovery(
    people: Sequence[Person],
    holdings: Sequence[Holding],
    grants: Sequence[Grant],
    requests: Sequence[Request],
    fallbacks: Sequence[Fallback],
    now: float,
    since: float,
) -> Report:
    """Show the sheets as they are now, and their use and the grants since then."""
    able = [person for person in people if person.enabled]
    ids = {person.id for person in able}
    sheets = [
        one
        for one in holdings
        if one.token.kind == RECOVERY.kind and one.owner in ids and one.state(now) is TokenState.ACTIVE
    ]
    emergency = [one for one in holdings if one.token.kind == BREAK_GLASS.kind and one.owner is not None]
    temporary = [one for one in grants if one.kind == TEMPORARY.kind and one.created >= since]
    used = {kind: sum(one.count for one in fallbacks if one.factor == kind) for kind in SHEETS}
    left = _codes_left(sheets)
    figures = (
        Figure("people_with_sheet", "people who have recovery codes", len(left), len(able)),
        Figure("people_with_few", f"have {FEW} left, or fewer", sum(n <= FEW for n in left.values()), len(left)),
        Figure("recovery_logins", "logins with recovery codes", used[RECOVERY.kind]),
        Figure("temporary_grants", "grants of temporary codes", len(temporary)),
        Figure("temporary_logins", "logins with temporary codes", used[TEMPORARY.kind]),
        Figure("emergency_requests", "requests for emergency codes", len(requests)),
        Figure("emergency_logins", "logins with emergency codes", used[BREAK_GLASS.kind]),
    )
    tables = (
        _left(able, left),
        _running_out(left),
        _sheets(sheets),
        _temporary(temporary, holdings, now),
        _emergency(emergency, grants, now),
        _requests(requests),
    )
    return Report("recovery", "Recovery and emergency codes", now, figures, tables, since=since)


def _codes_left(sheets: Sequence[Holding]) -> dict[str, int]:
    """Return by person how many codes they have left, on all their sheets."""
    left: dict[str, int] = {}
    for one in sheets:
        left[one.user or ""] = left.get(one.user or "", 0) + one.codes_left
    return left


def _left(able: Sequence[Person], left: dict[str, int]) -> Table:
    words = counted(_LEFT[0] if n <= FEW else _LEFT[1] if n <= 5 else _LEFT[2] for n in left.values() if n)
    counts = {
        "no sheet": len(able) - len(left),
        "0": sum(n == 0 for n in left.values()),
        **{word: words.get(word, 0) for word in _LEFT},
    }
    columns = (
        Column("left", "codes left"),
        Column("people", "people", Shown.COUNT),
        Column("share", "share", Shown.SHARE),
    )
    rows = tuple((word, count, share(count, len(able))) for word, count in counts.items()) if able else ()
    return Table("left", "Recovery codes that people have left", columns, rows, "nobody may log in yet", bars="people")


def _running_out(left: dict[str, int]) -> Table:
    rows = tuple(sorted(((name, n) for name, n in left.items() if n <= FEW), key=lambda one: (one[1], one[0])))
    columns = (Column("user", "user"), Column("left", "codes left", Shown.COUNT))
    return Table("running_out", "Who needs new recovery codes", columns, rows, "nobody")


def _sheets(sheets: Sequence[Holding]) -> Table:
    columns = (
        Column("user", "user"),
        Column("serial", "serial"),
        Column("issued", "issued", Shown.DATE),
        Column("codes", "codes", Shown.COUNT),
        Column("left", "left", Shown.COUNT),
        Column("last_used", "last used", Shown.MOMENT),
    )
    order = sorted(sheets, key=lambda one: (one.user or "", one.token.serial))
    rows = tuple(
        (one.user, one.token.serial, one.created, one.codes, one.codes_left, one.token.last_used) for one in order
    )
    return Table("sheets", "Recovery codes that were issued", columns, rows, "none")


def _temporary(grants: Sequence[Grant], holdings: Sequence[Holding], now: float) -> Table:
    sheets = {one.token.serial: one for one in holdings if one.token.kind == TEMPORARY.kind}

    def left(serial: str) -> Cell:
        return sheets[serial].codes_left if serial in sheets else None

    columns = (
        Column("user", "user"),
        Column("created", "granted", Shown.MOMENT),
        Column("until", "until", Shown.MOMENT),
        Column("open", "open", Shown.YES_NO),
        Column("left", "left", Shown.COUNT),
        Column("reason", "reason"),
        Column("granted_by", "by", aside=True),
        Column("closed_by", "closed by", aside=True),
    )
    rows = tuple(
        (
            one.user,
            one.created,
            one.until,
            one.is_open(now),
            left(one.serial),
            one.reason,
            one.granted_by,
            one.closed_by,
        )
        for one in sorted(grants, key=lambda one: (-one.created, one.user))
    )
    return Table("temporary", "Temporary codes that were granted", columns, rows, "none")


def _emergency(sheets: Sequence[Holding], grants: Sequence[Grant], now: float) -> Table:
    opened: dict[str, float] = {}
    for one in grants:
        if one.kind == BREAK_GLASS.kind:
            opened[one.serial] = max(one.created, opened.get(one.serial, one.created))
    columns = (
        Column("user", "account"),
        Column("serial", "serial"),
        Column("state", "state", Shown.WORD),
        Column("left", "codes left", Shown.COUNT),
        Column("sealed", "made", Shown.DATE),
        Column("opened", "last opened", Shown.MOMENT),
        Column("last_used", "last used", Shown.MOMENT),
    )
    rows = tuple(
        (
            one.user,
            one.token.serial,
            _seal(one, now),
            one.codes_left,
            one.created,
            opened.get(one.token.serial),
            one.token.last_used,
        )
        for one in sorted(sheets, key=lambda one: (one.user or "", one.token.serial))
    )
    return Table("emergency", "Emergency codes", columns, rows, "no account has any")


def _seal(one: Holding, now: float) -> str:
    """Return what an emergency sheet is good for now: a sealed one is one whose time is over."""
    if one.token.state is not TokenState.ACTIVE:
        return one.token.state.value
    if not one.codes_left:
        return "used_up"
    return "open" if one.works(now) else "sealed"


def _requests(requests: Sequence[Request]) -> Table:
    columns = (
        Column("user", "account"),
        Column("created", "asked", Shown.MOMENT),
        Column("requested_by", "asked by"),
        Column("approved", "approved", Shown.MOMENT),
        Column("approved_by", "approved by"),
        Column("reason", "reason"),
    )
    rows = tuple(
        (one.user, one.created, one.requested_by, one.approved, one.approved_by, one.reason)
        for one in sorted(requests, key=lambda one: (-one.created, one.user))
    )
    return Table("requests", "Requests for emergency codes", columns, rows, "none")
