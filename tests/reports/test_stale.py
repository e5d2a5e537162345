"""The report `stale`: what lies idle, what was never used, and who does not come. No RFC speaks of it."""

from __future__ import annotations

from hypothesis import given, settings

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.reports.records import Holding, Person
from radiusd2fa.reports.stale import stale

from .population import A_DAY, NOW, column, person, populations, sheet, table, token, value

DAYS = 90


def test_what_was_used_lately_is_not_stale() -> None:
    """To the very second: so many days ago is not longer ago than so many days."""
    report = stale([], [token(1, last_used=NOW - DAYS * A_DAY)], NOW, DAYS)
    assert column(report, "idle", "serial") == []
    report = stale([], [token(1, last_used=NOW - DAYS * A_DAY - 1)], NOW, DAYS)
    assert table(report, "idle").rows[0][:5] == ("T1", "totp", "u1", NOW - DAYS * A_DAY - 1, DAYS)


def test_neither_sheets_nor_what_nobody_could_use_are_stale() -> None:
    """Codes on paper wait for their day; what is in stock, lost, disabled or over is somebody else's business."""
    old = NOW - 400 * A_DAY
    held = [
        sheet(1, last_used=old),
        token(2, None, state=TokenState.STOCK),
        token(3, state=TokenState.LOST, last_used=old),
        token(4, state=TokenState.DISABLED, last_used=old),
        token(5, last_used=old, valid_until=NOW),
    ]
    report = stale([], held, NOW, DAYS)
    assert [figure.value for figure in report.figures[:5]] == [0, 0, 0, 0, 0]


def test_what_was_never_used() -> None:
    """With the day it was handed out, or came here, and who has done it; the oldest first."""
    report = stale([], [token(1, handed_at=NOW - 3 * A_DAY), token(2, handed_at=NOW - 9 * A_DAY)], NOW, DAYS)
    assert table(report, "never_used").rows == (
        ("T2", "totp", "u1", NOW - 9 * A_DAY, 9, "carol"),
        ("T1", "totp", "u1", NOW - 3 * A_DAY, 3, "carol"),
    )


def test_what_waits_for_its_first_code() -> None:
    """The nearest deadline first; one that has passed is too late at that very second."""
    held = [
        token(1, state=TokenState.ASSIGNED),
        token(2, state=TokenState.ASSIGNED, activate_by=NOW + 1),
        token(3, state=TokenState.ASSIGNED, activate_by=NOW),
    ]
    report = stale([], held, NOW, DAYS)
    assert column(report, "not_activated", "serial") == ["T3", "T2", "T1"]
    assert column(report, "not_activated", "overdue") == [True, False, False]
    assert (value(report, "not_activated"), value(report, "overdue"), value(report, "never_used")) == (3, 1, 0)


def test_people_who_do_not_come() -> None:
    """The longest away first; who was added lately, or is switched off, is not missed yet."""
    old, older = NOW - 100 * A_DAY, NOW - 200 * A_DAY
    people = [
        person(1, created=older),
        person(2, created=NOW - A_DAY),
        person(3, created=older, last_login=old),
        person(4, created=older, enabled=False),
        person(5, created=older),
    ]
    report = stale(people, [token(1, 5, last_used=NOW - A_DAY)], NOW, DAYS)
    assert table(report, "people").rows == (
        ("u1", None, 200, older, "local"),
        ("u3", old, 100, older, "local"),
    )
    assert value(report, "absent") == 2


@settings(deadline=None, max_examples=60)
@given(populations())
def test_the_counts_are_those_of_a_plain_recount(drawn: tuple[tuple[Person, ...], tuple[Holding, ...]]) -> None:
    """Each token in hands is of one age, and in at most one list."""
    people, holdings = drawn
    report = stale(people, holdings, NOW, DAYS)
    mine = [
        one
        for one in holdings
        if one.owner is not None
        and one.token.kind not in SHEETS
        and one.token.state in ("active", "assigned")
        and (one.token.valid_until is None or one.token.valid_until > NOW)
    ]
    used = [one.token.last_used for one in mine]
    assert value(report, "in_hands") == len(mine)
    assert dict(zip(column(report, "ages", "last_used"), column(report, "ages", "tokens"), strict=True)) == (
        {
            "0 to 7 days": len([at for at in used if at is not None and at > NOW - 8 * A_DAY]),
            "8 to 30 days": 0,
            "31 to 90 days": 0,
            "91 to 365 days": 0,
            "longer": used.count(NOW - 400 * A_DAY),
            "never": used.count(None),
        }
        if mine
        else {}
    )
    active = [one.token for one in mine if one.token.state == "active"]
    assert sorted(map(str, column(report, "idle", "serial"))) == sorted(
        one.serial for one in active if one.last_used == NOW - 400 * A_DAY
    )
    assert sorted(map(str, column(report, "never_used", "serial"))) == sorted(
        one.serial for one in active if one.last_used is None
    )
    assert value(report, "not_activated") == len(mine) - len(active)
