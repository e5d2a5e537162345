"""How many people still have no token: who is counted for which rule, and how it is said.

People and rules are made here; where `check` takes them from is tested with the command.
Answers to no RFC.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from radiusd2fa.core.rules import Enrolment, Rule
from radiusd2fa.settings.coverage import Coverage, Holder, about_coverage, about_the_unable, coverage

GRACE = Enrolment(required=False, until=86400.0)


def person(name: str, *kinds: str, groups: tuple[str, ...] = (), enrolled: bool | None = None) -> Holder:
    """Make somebody; whoever has a token is enrolled unless it is said otherwise."""
    return Holder(name, groups, bool(kinds) if enrolled is None else enrolled, frozenset(kinds))


ALICE = person("alice", "hotp", groups=("admins",))
BOB = person("bob", groups=("staff", "admins"))
CAROL = person("carol", groups=("staff",), enrolled=True)
DAVE = person("dave", "fido")
EVERYBODY = (ALICE, BOB, CAROL, DAVE)


def counts(*rules: Rule) -> list[tuple[int, int, int]]:
    """Count for some rules."""
    return [(one.people, one.without_token, one.able) for one in coverage(rules, EVERYBODY)]


def test_everybody_who_fits_is_counted() -> None:
    """By users and by groups, and both together; somebody who once had a token is not without."""
    assert counts(Rule("all")) == [(4, 1, 1)]
    assert counts(Rule("admins", groups=frozenset({"admins"}))) == [(2, 1, 1)]
    assert counts(Rule("named", users=frozenset({"carol", "nobody"}))) == [(1, 0, 0)]
    assert counts(Rule("both", users=frozenset({"alice"}), groups=frozenset({"staff"}))) == [(0, 0, 0)]
    assert counts(Rule("keys", ("fido",))) == [(4, 1, 1)]


def test_a_sheet_of_codes_is_no_token() -> None:
    """Who has nothing else is without: unless the rule wants nothing but sheets."""
    everybody = (person("erin", "recovery", "temporary", enrolled=False), person("frank", "yubico", "recovery"))
    usual, yubico = Rule("usual", ("totp", "hotp", "recovery")), Rule("yubico", ("yubico", "recovery"))
    assert [one.able for one in coverage((usual,), everybody)] == [0]
    assert [(one.able, one.without_token) for one in coverage((yubico,), everybody)] == [(1, 1)]
    assert [one.able for one in coverage((Rule("sheets", ("recovery",)),), everybody)] == [2]


def test_whom_an_earlier_rule_takes_is_not_counted_again() -> None:
    """The first rule that fits decides, so its people are no business of the next one."""
    admins = Rule("admins", groups=frozenset({"admins"}))
    assert counts(admins, Rule("all")) == [(2, 1, 1), (2, 0, 0)]


@pytest.mark.parametrize(
    "narrow",
    [
        {"clients": frozenset({"lab"})},
        {"realms": frozenset({"corp"})},
        {"networks": ("a network",)},
        {"hours": ((0, 1),)},
        {"attributes": ("a condition",)},
    ],
    ids=lambda narrow: next(iter(narrow)),
)
def test_a_rule_that_depends_on_the_login_takes_nobody_for_certain(narrow: dict[str, object]) -> None:
    """Where, when and how somebody logs in is not known here: such a rule counts them, and so does the next."""
    sometimes = Rule("sometimes", groups=frozenset({"admins"}), **narrow)  # type: ignore[arg-type]

    assert counts(sometimes, Rule("all")) == [(2, 1, 1), (4, 1, 1)]


SENTENCES = {
    "grace": (
        Enrolment(required=False, until=86400.0 * 2),
        (40, 12),
        "rule a: grace until 1970-01-02; 12 of 40 people",
    ),
    "one": (Enrolment(required=False, until=86400.0), (40, 1), "rule a: grace until 1970-01-01; 1 of 40 people has no"),
    "off": (Enrolment(required=False), (3, 0), "rule a: enrolment off; 0 of 3 people have no token yet"),
    "upstream": (Enrolment(upstream="old", until=86400.0), (3, 3), "rule a: old decides until 1970-01-01; 3 of 3"),
}


@pytest.mark.parametrize(("enrolment", "counted", "sentence"), SENTENCES.values(), ids=list(SENTENCES))
def test_how_it_is_said(enrolment: Enrolment, counted: tuple[int, int], sentence: str) -> None:
    """The rule, until when, and how many of how many."""
    (said,) = about_coverage([Coverage(Rule("a", enrolment=enrolment), *counted, able=0)], ZoneInfo("UTC"))
    assert said.startswith(sentence)


def test_a_rule_that_asks_everybody_for_a_token_is_not_counted_for_people() -> None:
    """Where nobody gets in without, there is nothing to wait for."""
    assert list(about_coverage([Coverage(Rule("a"), 4, 4, 0)], None)) == []


UNABLE = {
    "nobody has any": (
        Coverage(Rule("admins", ("fido",), line=12), 3, 1, 0),
        (
            "line 12: rule admins: 3 people fit it, and none has a fido token that works; "
            "hand some out, or change its factors"
        ),
    ),
    "the only one has none": (
        Coverage(Rule("admins"), 1, 1, 0),
        "rule admins: 1 person fits it, who has no totp or hotp token that works; hand some out, or change its factors",
    ),
    "sheets are not what is missing": (
        Coverage(Rule("admins", ("yubico", "recovery")), 2, 1, 0),
        ("rule admins: 2 people fit it, and none has a yubico token that works; hand some out, or change its factors"),
    ),
    "somebody has one": (Coverage(Rule("admins"), 3, 1, 1), None),
    "there is nobody": (Coverage(Rule("admins"), 0, 0, 0), None),
    "none is needed yet": (Coverage(Rule("admins", enrolment=GRACE), 3, 3, 0), None),
    "another system decides": (Coverage(Rule("a", enrolment=Enrolment(upstream="old", until=1.0)), 3, 3, 0), None),
}


@pytest.mark.parametrize(("counted", "sentence"), UNABLE.values(), ids=list(UNABLE))
def test_a_factor_that_nobody_has_is_said(counted: Coverage, sentence: str | None) -> None:
    """A rule under which none of those whom it is for can log in."""
    assert list(about_the_unable([counted])) == ([] if sentence is None else [sentence])
