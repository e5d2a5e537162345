"""The report `exceptions`: open grants, what the rules waive, fallback logins, and what administrators have weakened.

What is over, closed or ended must not be there. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.core.model import Event, Reason, TokenState
from radiusd2fa.core.rules import BreakGlass, Enrolment, Rule, Skip
from radiusd2fa.reports.exceptions import UNLOCKED, WITHOUT_OWN_FACTOR, exceptions
from radiusd2fa.reports.records import Deeds, Fallback, Grant, Holding, Logins, Person
from radiusd2fa.reports.report import Report
from radiusd2fa.settings.coverage import Coverage

from .population import A_DAY, NOW, column, person, table, token, value

SINCE: Final = NOW - 30 * A_DAY


def report_of(
    people: Sequence[Person] = (),
    holdings: Sequence[Holding] = (),
    grants: Sequence[Grant] = (),
    rules: Sequence[Rule] = (),
    logins: Sequence[Logins] = (),
    fallbacks: Sequence[Fallback] = (),
    deeds: Sequence[Event] = (),
    counts: Sequence[Deeds] = (),
) -> Report:
    """Make the report over what a test is about; each rule is for five people, two of them without a token."""
    covered = [Coverage(rule, 5, 2, 3) for rule in rules]
    return exceptions(people, holdings, grants, covered, logins, fallbacks, deeds, counts, NOW, SINCE)


def grant(kind: str = "skip", *, until: float = NOW + 1, closed: float | None = None, user: str = "u1") -> Grant:
    """Return a grant of ten days ago."""
    return Grant(kind, user, "S1", "token lost", "alice", "bob", NOW - 10 * A_DAY, until, closed)


def test_what_is_over_or_closed_is_not_open() -> None:
    """To the very second."""
    assert table(report_of(grants=[grant(until=NOW), grant(closed=NOW - 1)]), "grants").rows == ()


def test_a_grant_with_its_age() -> None:
    """Who, what, how old, until when, why, and by whom."""
    report = report_of(grants=[grant("breakglass")])
    assert table(report, "grants").rows == (
        ("u1", "breakglass", 10, NOW + 1, "token lost", "alice", "bob", "S1", NOW - 10 * A_DAY),
    )
    assert value(report, "open_grants") == 1


def test_nobody_skips_unseen() -> None:
    """Somebody who is asked for nothing, though no grant says so, stands in the list all the same, and only then."""
    people = [person(1, skip_until=NOW + 9), person(2, skip_until=NOW + 9), person(3, skip_until=NOW)]
    report = report_of(people, grants=[grant(user="u1"), grant("temporary", user="u2")])
    assert [row[:4] for row in table(report, "grants").rows] == [
        ("u1", "skip", 10, NOW + 1),
        ("u2", "temporary", 10, NOW + 1),
        ("u2", "skip", None, NOW + 9),
    ]


WAIVERS: Final = {
    "grace": Rule(name="r", enrolment=Enrolment(required=False, until=NOW + 1)),
    "enrolment_off": Rule(name="r", enrolment=Enrolment(required=False)),
    "upstream": Rule(name="r", enrolment=Enrolment(required=False, upstream="old")),
    "skip": Rule(name="r", skip=Skip((IPv4Network("192.0.2.0/24"),), NOW + 1)),
    "break_glass": Rule(name="r", break_glass=BreakGlass.ALONE),
}
NO_WAIVERS: Final = {
    "a strict rule": Rule(name="r"),
    "a grace that has ended": Rule(name="r", enrolment=Enrolment(required=False, until=NOW)),
    "an upstream that has ended": Rule(name="r", enrolment=Enrolment(required=False, upstream="old", until=NOW)),
    "a skip that has ended": Rule(name="r", skip=Skip((IPv4Network("192.0.2.0/24"),), NOW)),
}


@pytest.mark.parametrize("rule", NO_WAIVERS)
def test_what_waives_nothing(rule: str) -> None:
    """It is not in the list, at the very second of its end."""
    assert table(report_of(rules=[NO_WAIVERS[rule]]), "waivers").rows == ()


@pytest.mark.parametrize("waiver", WAIVERS)
def test_what_a_rule_waives(waiver: str) -> None:
    """By its word, with its end and how many people it is for."""
    ((rule, word, until, people, _, _),) = table(report_of(rules=[WAIVERS[waiver]]), "waivers").rows
    assert (rule, word) == ("r", waiver)
    assert until == (NOW + 1 if waiver in ("grace", "skip") else None)
    assert people == (5 if waiver in ("skip", "break_glass") else 2)


def test_networks_are_named() -> None:
    """A skip says from where."""
    assert column(report_of(rules=[WAIVERS["skip"]]), "waivers", "terms") == ["192.0.2.0/24"]


def test_tokens_that_are_switched_off() -> None:
    """Those whose time is over are no exception any more."""
    off = TokenState.DISABLED
    held = [token(2, state=off), token(1, state=off), token(3), token(4, state=off, valid_until=NOW)]
    report = report_of(holdings=held)
    assert column(report, "disabled_tokens", "serial") == ["T1", "T2"]
    assert value(report, "disabled_tokens") == 2


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Fallback,
            st.sampled_from(("u1", "u2", "u3")),
            st.sampled_from(("", "recovery", "temporary", "breakglass")),
            st.sampled_from([*(one.value for one in WITHOUT_OWN_FACTOR), "ok"]),
            st.integers(1, 50),
            st.just(NOW),
        ),
        max_size=12,
    ),
    st.integers(0, 500),
)
def test_fallbacks_are_counted_as_a_plain_recount_does(fallbacks: list[Fallback], others: int) -> None:
    """Each under its sheet, or else its reason: logins, different people, and the share of all that were let in."""
    came_in = sum(one.count for one in fallbacks) + others
    logins = [Logins("accepted", "vpn", "", "", came_in), Logins("rejected", "vpn", "", "wrong_code", 1000)]
    report = report_of(logins=logins, fallbacks=fallbacks)
    assert value(report, "fallback_logins") == sum(one.count for one in fallbacks)
    assert report.figure("fallback_logins").of == came_in
    for way, people, count, part in table(report, "fallback").rows:
        theirs = [one for one in fallbacks if (one.factor or one.reason) == way]
        assert (people, count) == (len({one.user for one in theirs}), sum(one.count for one in theirs))
        assert part == count / came_in  # type: ignore[operator]
    assert len(table(report, "fallback").rows) == len({one.factor or one.reason for one in fallbacks})
    counts = [row[2] for row in table(report, "fallback_people").rows]
    assert counts == sorted((one.count for one in fallbacks), reverse=True)


def test_what_administrators_have_weakened() -> None:
    """Counted by name, and apart from what they were refused; a list that was cut short says so."""
    deed = Event(NOW, "grant.skip", "", "", "u1", reason="token lost", actor="alice", serial="S1")
    counts = [Deeds(UNLOCKED, "bob", 3), Deeds("grant.skip", "alice", 1), Deeds("administration.refused", "eve", 7)]
    report = report_of(deeds=[deed], counts=counts)
    assert (value(report, "unlocks"), value(report, "weakened"), value(report, "not_allowed")) == (3, 4, 7)
    assert table(report, "administrators").rows == (("bob", 3, 0.75), ("alice", 1, 0.25))
    assert table(report, "changes").rows == ((NOW, "alice", "grant.skip", "u1", "token lost", "S1"),)
    assert not table(report, "changes").whole
    assert table(report_of(deeds=[deed], counts=[counts[1]]), "changes").whole


def test_every_reason_for_letting_in_without_a_factor_is_known() -> None:
    """A new one must be weighed here: it is a fallback, or it is the person's own factor."""
    own = {Reason.OK, Reason.RESYNCHRONISED, Reason.SELF_ASSIGNED}
    asked = {one for one in Reason if one.value in ("ok", "skipped", "grace", "upstream", "emergency")}
    assert asked <= own | set(WITHOUT_OWN_FACTOR)
    assert own.isdisjoint(WITHOUT_OWN_FACTOR)
