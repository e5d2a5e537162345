"""The report `recovery`: codes that are left, and sheets that were granted, opened and used. No RFC speaks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import given, settings

from radiusd2fa.core.model import TokenState
from radiusd2fa.reports.records import Fallback, Grant, Holding, Person, Request
from radiusd2fa.reports.recovery import recovery
from radiusd2fa.reports.report import Report

from .population import A_DAY, NOW, column, person, populations, sheet, table, token, value

SINCE: Final = NOW - 30 * A_DAY


def report_of(
    people: Sequence[Person] = (),
    holdings: Sequence[Holding] = (),
    grants: Sequence[Grant] = (),
    requests: Sequence[Request] = (),
    fallbacks: Sequence[Fallback] = (),
) -> Report:
    """Make the report over what a test is about."""
    return recovery(people, holdings, grants, requests, fallbacks, NOW, SINCE)


def test_what_is_no_recovery_code() -> None:
    """A token, another kind of sheet, a revoked or expired sheet, and that of somebody switched off do not count."""
    people = [person(1), person(2, enabled=False)]
    held = [
        token(1),
        sheet(2, kind="temporary"),
        sheet(3, state=TokenState.REVOKED),
        sheet(4, valid_until=NOW),
        sheet(5, 2),
    ]
    report = report_of(people, held)
    assert table(report, "sheets").rows == ()
    assert column(report, "left", "people") == [1, 0, 0, 0, 0]


def test_who_needs_a_new_sheet() -> None:
    """Whoever has two codes left or fewer, over all their sheets; the poorest first."""
    people = [person(number) for number in range(1, 6)]
    held = [
        sheet(1, 1, used=8),
        sheet(2, 2, used=10),
        sheet(3, 3, used=7),
        sheet(4, 4, used=9),
        sheet(5, 4, used=8),
    ]
    report = report_of(people, held)
    assert table(report, "running_out").rows == (("u2", 0), ("u1", 2))
    assert column(report, "left", "people") == [1, 1, 1, 2, 0]
    assert (value(report, "people_with_sheet"), value(report, "people_with_few")) == (4, 2)


def test_temporary_codes_of_the_period() -> None:
    """The newest first, with what is left on the sheet; what is older, or no sheet, is not there."""

    def grant(serial: str, created: float, until: float, kind: str = "temporary") -> Grant:
        return Grant(kind, "u1", serial, "lost", "alice", "", created, until)

    grants = [
        grant("S1", SINCE, NOW),
        grant("S2", NOW - 5, NOW + 5),
        grant("S3", SINCE - 1, NOW + 5),
        grant("", NOW - 5, NOW + 5, "skip"),
    ]
    report = report_of([person(1)], [sheet(2, kind="temporary", codes=5, used=2)], grants)
    assert [row[1:5] for row in table(report, "temporary").rows] == [
        (NOW - 5, NOW + 5, True, 3),
        (SINCE, NOW, False, None),
    ]
    assert value(report, "temporary_grants") == 2


def test_emergency_codes_by_the_state_of_their_seal() -> None:
    """A sheet whose time is over is sealed; one that is used up or revoked is never called open."""
    held = [
        sheet(1, kind="breakglass", valid_until=NOW),
        sheet(2, kind="breakglass", valid_until=NOW + 1),
        sheet(3, kind="breakglass", valid_until=NOW + 1, used=10),
        sheet(4, kind="breakglass", valid_until=NOW + 1, state=TokenState.REVOKED),
    ]
    opened = [Grant("breakglass", "u1", "S2", "x", "a", "b", NOW - age, NOW + 1) for age in (50.0, 9.0)]
    report = report_of([person(1)], held, opened)
    assert column(report, "emergency", "state") == ["sealed", "open", "used_up", "revoked"]
    assert column(report, "emergency", "opened") == [None, NOW - 9.0, None, None]


def test_requests_and_uses() -> None:
    """Who asked and who approved, the newest first; logins are counted by the sheet they were made with."""
    asked = [
        Request("root", "down", "alice", NOW - 9, NOW, None, None),
        Request("root", "down", "alice", NOW - 5, NOW, "bob", NOW - 2),
    ]
    used = [
        Fallback("u1", "recovery", "ok", 3, NOW),
        Fallback("u2", "breakglass", "emergency", 1, NOW),
        Fallback("u2", "", "grace", 9, NOW),
    ]
    report = report_of(requests=asked, fallbacks=used)
    assert column(report, "requests", "approved_by") == ["bob", None]
    assert (value(report, "recovery_logins"), value(report, "emergency_logins")) == (3, 1)
    assert value(report, "temporary_logins") == 0


@settings(deadline=None, max_examples=60)
@given(populations())
def test_the_codes_left_are_those_of_a_plain_recount(drawn: tuple[tuple[Person, ...], tuple[Holding, ...]]) -> None:
    """Person by person: all codes, less one for each bit that is set."""
    people, holdings = drawn
    left: dict[str, int] = {}
    for one in people:
        for held in holdings:
            about = held.token
            over = about.valid_until is not None and about.valid_until <= NOW
            if (
                one.enabled
                and held.owner == one.id
                and about.kind == "recovery"
                and about.state == "active"
                and not over
            ):
                left[one.name] = left.get(one.name, 0) + held.codes - f"{about.moving_factor:b}".count("1")
    report = report_of(people, holdings)
    assert value(report, "people_with_sheet") == len(left)
    assert {row[0]: row[1] for row in table(report, "running_out").rows} == {
        name: n for name, n in left.items() if n <= 2
    }
    if any(one.enabled for one in people):
        able = sum(one.enabled for one in people)
        assert sum(n for n in column(report, "left", "people") if isinstance(n, int)) == able
