"""The report `coverage`: its counts against a plain recount, and what must not count.

The recount asks for each person alone, with the rules for a token's life written out once more. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.rules import BreakGlass, Enrolment, Rule
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.reports.coverage import coverage, groups_of
from radiusd2fa.reports.records import Holding, Person

from .population import KINDS, NOW, column, person, populations, sheet, table, token, value

RULES: Final = (
    Rule(name="admins", factors=("fido",), groups=frozenset({"netadmin"}), grants=frozenset()),
    Rule(name="vpn", factors=("totp", "recovery"), clients=frozenset({"vpn"})),
    Rule(name="all", factors=("fido", "totp", "hotp")),
)
NOT_COUNTED: Final = {
    "disabled": token(1, state=TokenState.DISABLED),
    "lost": token(1, state=TokenState.LOST),
    "revoked": token(1, state=TokenState.REVOKED),
    "expired": token(1, state=TokenState.EXPIRED),
    "not_activated_in_time": token(1, state=TokenState.ASSIGNED, activate_by=NOW),
    "not_valid_yet": token(1, valid_from=NOW + 1),
}


@pytest.mark.parametrize(("why", "held"), NOT_COUNTED.items())
def test_a_token_that_does_not_work_does_not_count(why: str, held: Holding) -> None:
    """Its owner is among those without, with the reason."""
    report = coverage([person(1)], [held], RULES, NOW)
    assert (value(report, "able"), value(report, "unable")) == (0, 1)
    assert column(report, "without", "why") == [why]


def test_whatever_is_over_is_called_expired() -> None:
    """A token whose time has passed is expired, whatever its row says of its state."""
    for state in (TokenState.ACTIVE, TokenState.ASSIGNED, TokenState.LOST):
        report = coverage([person(1)], [token(1, state=state, valid_until=NOW)], RULES, NOW)
        assert column(report, "without", "why") == ["expired"], state


def test_the_reason_nearest_to_working_is_told() -> None:
    """Of several tokens that do not work the one that is mended most easily is spoken of."""
    held = [token(1, state=TokenState.REVOKED), token(2, state=TokenState.DISABLED), token(3, state=TokenState.LOST)]
    assert column(coverage([person(1)], held, RULES, NOW), "without", "why") == ["disabled"]


def test_a_sheet_is_no_token() -> None:
    """Somebody with nothing but codes on paper has no token; a sheet that is used up is nothing at all."""
    people = [person(1), person(2, enrolled=False)]
    report = coverage(people, [sheet(1, 1), sheet(2, 2, used=10)], RULES, NOW)
    assert (value(report, "able"), value(report, "unable")) == (0, 2)
    best = dict(zip(column(report, "factors", "factor"), column(report, "factors", "best"), strict=True))
    assert (best["sheet"], best["nothing"]) == (1, 1)
    assert table(report, "without").rows[0][:3] == ("u1", "had_one", True)
    assert table(report, "without").rows[1][:3] == ("u2", "never_had_one", False)


def test_people_who_are_switched_off_are_left_out() -> None:
    """They stand in one figure and nowhere else."""
    report = coverage([person(1, enabled=False)], [token(1, 1, "fido")], RULES, NOW)
    assert (value(report, "people"), value(report, "disabled")) == (0, 1)
    assert table(report, "factors").rows == table(report, "without").rows == ()
    assert value(report, "phishing_resistant") == 0


def test_a_group_alone() -> None:
    """Only its people are counted, under every rule too."""
    people = [person(1, groups=("sales",)), person(2, groups=("sales", "netadmin")), person(3)]
    report = coverage(people, [token(1, 2, "fido"), token(2, 3, "fido")], RULES, NOW, "sales")
    assert (value(report, "people"), value(report, "phishing_resistant")) == (2, 1)
    assert column(report, "rules", "people") == [1, 1, 1]
    assert report.about == "sales"


def test_the_groups_that_there_are() -> None:
    """All that somebody is in."""
    assert groups_of([person(1, groups=("a", "b")), person(2, groups=("b",)), person(3)]) == {"a", "b"}


ALONE: Final = Rule(name="x", factors=("fido",), grants=frozenset())
OTHER_WAYS: Final = {
    "another factor": Rule(name="x", factors=("fido", "totp"), grants=frozenset()),
    "pasting": Rule(name="x", factors=("fido",), grants=frozenset(), ceremonies=("ssh", "paste")),
    "no enrolment": Rule(name="x", factors=("fido",), grants=frozenset(), enrolment=Enrolment(required=False)),
    "an upstream": Rule(name="x", factors=("fido",), grants=frozenset(), enrolment=Enrolment(upstream="old")),
    "grants": Rule(name="x", factors=("fido",)),
    "emergencies": Rule(name="x", factors=("fido",), grants=frozenset(), break_glass=BreakGlass.ALONE),
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_a_rule_with_another_way_in_does_not_take_keys_only(way: str) -> None:
    """Each way around a key that may not be phished is enough to lose the word."""
    assert column(coverage([], [], [OTHER_WAYS[way]], NOW), "rules", "keys_only") == [False]


def test_a_rule_that_takes_keys_only() -> None:
    """Keys alone, with no grant and no emergency code beside them."""
    assert column(coverage([], [], [ALONE], NOW), "rules", "keys_only") == [True]


@settings(deadline=None, max_examples=60)
@given(populations())
def test_the_counts_are_those_of_a_plain_recount(drawn: tuple[tuple[Person, ...], tuple[Holding, ...]]) -> None:
    """Person by person, with no table between."""
    people, holdings = drawn
    report = coverage(people, holdings, RULES, NOW)
    able = [one for one in people if one.enabled]
    kinds = {one.name: _recounted(one, holdings) for one in able}
    tokens = {name: theirs & set(KINDS) for name, theirs in kinds.items()}
    assert value(report, "people") == len(able)
    assert value(report, "disabled") == len(people) - len(able)
    assert value(report, "able") == len([name for name in tokens if tokens[name]])
    assert value(report, "phishing_resistant") == len([name for name in tokens if "fido" in tokens[name]])
    assert column(report, "without", "user") == sorted(name for name in tokens if not tokens[name])
    if not able:
        return
    for factor in KINDS:
        row = next(row for row in table(report, "factors").rows if row[0] == factor)
        stronger = set(KINDS[: KINDS.index(factor)])
        assert row[1] == len([name for name in tokens if factor in tokens[name]])
        assert row[2] == len([name for name in tokens if factor in tokens[name] and not stronger & tokens[name]])
    assert sum(one for one in column(report, "factors", "best") if isinstance(one, int)) == len(able)
    admins = [one for one in able if "netadmin" in one.groups]
    others = [one for one in able if "netadmin" not in one.groups]
    takes = {"admins": (admins, {"fido"}), "vpn": (others, {"totp"}), "all": (others, {"fido", "totp", "hotp"})}
    for row in table(report, "rules").rows:
        meant, factors = takes[str(row[0])]
        assert row[1] == len(meant)
        assert row[2] == len([one for one in meant if tokens[one.name] & factors])
        assert row[4] == len([one for one in meant if "fido" in tokens[one.name] & factors])
        assert row[7] == len([one for one in meant if not one.enrolled])


def _recounted(one: Person, holdings: Sequence[Holding]) -> set[str]:
    kinds = set()
    for held in holdings:
        about = held.token
        if (
            held.owner != one.id
            or about.valid_from > NOW
            or (about.valid_until is not None and about.valid_until <= NOW)
        ):
            continue
        if about.kind in SHEETS and about.moving_factor.bit_count() >= held.codes:
            continue
        waiting = about.state == "assigned" and (about.activate_by is None or about.activate_by > NOW)
        if about.state == "active" or waiting:
            kinds.add(about.kind)
    return kinds
