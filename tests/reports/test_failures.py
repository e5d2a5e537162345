"""The report `failures`: refusals by reason, client and day, and who is locked out. No RFC speaks of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.reports.failures import MOST_DAYS, failures
from radiusd2fa.reports.records import Blocked, Logins, Person
from radiusd2fa.reports.report import Report

from .population import A_DAY, NOW, column, person, table, value

SINCE: Final = NOW - 30 * A_DAY


def report_of(
    logins: Sequence[Logins] = (),
    times: Sequence[tuple[str, float, int]] = (),
    people: Sequence[Person] = (),
    by_user: Sequence[tuple[str, int]] = (),
    by_caller: Sequence[tuple[str, str, int]] = (),
    blocked: Sequence[Blocked] = (),
) -> Report:
    """Make the report over what a test is about; the days are called 2027-01-000 and so on, thirty to a month."""

    def day_of(moment: float) -> str:
        day = int(moment // A_DAY)
        return f"2027-{day // 30 + 1:02}-{day % 30:03}"

    return failures(people, logins, times, by_user, by_caller, blocked, day_of, NOW, SINCE)


def test_locks_that_are_over_are_not_spoken_of() -> None:
    """To the very second; the first to end stands first."""
    people = [person(1, locked_until=NOW), person(2, locked_until=NOW + 9), person(3, locked_until=NOW + 1)]
    report = report_of(people=people)
    assert column(report, "locked", "user") == ["u3", "u2"]
    assert value(report, "locked_people") == 2


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Logins,
            st.sampled_from(("accepted", "rejected")),
            st.sampled_from(("vpn", "wiki", "")),
            st.just("totp"),
            st.sampled_from(("ok", "wrong_code", "locked", "caller_locked")),
            st.integers(1, 99),
        ),
        max_size=12,
    )
)
def test_the_counts_are_those_of_a_plain_recount(logins: list[Logins]) -> None:
    """By reason and by client the same refusals, the most first; what was accepted is in neither."""
    report = report_of(logins)
    refused = [one for one in logins if one.outcome == "rejected"]
    whole = sum(one.count for one in refused)
    assert value(report, "rejected") == whole
    assert value(report, "accepted") == sum(one.count for one in logins) - whole
    assert value(report, "while_locked") == sum(one.count for one in refused if "locked" in one.reason)
    for name, attribute in (("reasons", "reason"), ("clients", "nas")):
        rows = table(report, name).rows
        expected: dict[str, int] = {}
        for one in refused:
            word = getattr(one, attribute) or ""
            expected[word] = expected.get(word, 0) + one.count
        assert {row[0]: row[1] for row in rows} == expected
        assert [row[1] for row in rows] == sorted(expected.values(), reverse=True)


def test_day_by_day() -> None:
    """Refused and accepted beside each other, in the order of the days."""
    times = [
        ("rejected", 2 * A_DAY, 3),
        ("accepted", 2.5 * A_DAY, 4),
        ("rejected", 0.0, 1),
        ("rejected", 2.9 * A_DAY, 2),
    ]
    report = report_of(times=times)
    assert table(report, "days").rows == (("2027-01-000", 1, 0), ("2027-01-002", 5, 4))
    assert table(report, "days").in_time


def test_a_long_period_goes_by_month() -> None:
    """As many days as fit are shown as days; one more, and it is months."""
    days = [("rejected", day * A_DAY, 1) for day in range(MOST_DAYS + 1)]
    assert len(table(report_of(times=days[:-1]), "days").rows) == MOST_DAYS
    report = report_of(times=days)
    assert table(report, "days").rows == (("2027-01", 30, 0), ("2027-02", 30, 0), ("2027-03", 3, 0))
    assert table(report, "days").title == "By month"


def test_people_and_callers_that_were_cut_short() -> None:
    """The list of people is whole when all refusals are theirs; callers are named before their clients."""
    logins = [Logins("rejected", "vpn", "", "wrong_code", 5)]
    assert not table(report_of(logins, by_user=[("u1", 3)]), "people").whole
    report = report_of(logins, by_user=[("u1", 3), ("u2", 2)], by_caller=[("vpn", "192.0.2.7", 5)])
    assert table(report, "people").whole
    assert table(report, "callers").rows == (("192.0.2.7", "vpn", 5),)


def test_blocked_callers() -> None:
    """Who, where, and until when."""
    report = report_of(blocked=[Blocked("vpn", "192.0.2.7", NOW + 1)])
    assert table(report, "blocked").rows == (("192.0.2.7", "vpn", NOW + 1),)
    assert value(report, "blocked_callers") == 1
