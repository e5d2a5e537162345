"""Which rule speaks about a login, and how likely guessing is by the rules.

Values in, values out. The first rule that fits decides, and where none fits nobody gets in.
The windows are those of RFC 4226 7.2 and RFC 6238 5.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.choosing import Circumstances
from radiusd2fa.core.risk import WORTH_A_WARNING, guesses_a_day, yearly_risk
from radiusd2fa.core.rules import NO_RULE, HotpRules, Rule, Rules, ThrottleRules, TotpRules

ADMINS: Final = Rule("admins", ("hotp",), clients=frozenset({"switch"}), groups=frozenset({"netadmin", "ops"}))
BOB: Final = Rule("bob", ("totp",), users=frozenset({"bob"}))
VPN: Final = Rule("vpn", clients=frozenset({"vpn"}))
SITE: Final = Rules(rules=(ADMINS, BOB, VPN))

WHO: Final = (
    ("ssh", "alice", (), None),
    ("switch", "alice", (), None),
    ("switch", "alice", ("staff",), None),
    ("ssh", "alice", ("netadmin",), None),
    ("switch", "alice", ("netadmin",), "admins"),
    ("switch", "alice", ("staff", "ops"), "admins"),
    ("switch", "bob", ("netadmin",), "admins"),
    ("switch", "bob", (), "bob"),
    ("vpn", "bob", ("netadmin",), "bob"),
    ("vpn", "alice", ("netadmin",), "vpn"),
    ("VPN", "alice", (), None),
)


@pytest.mark.parametrize(("client", "user", "groups", "name"), WHO)
def test_the_first_rule_that_fits(client: str, user: str, groups: tuple[str, ...], name: str | None) -> None:
    """Client, user and group must all fit; the first such rule decides; where none does, NO_RULE."""
    rule = SITE.for_login(Circumstances(client, user, groups=groups))
    assert (None if rule is NO_RULE else rule.name) == name


def test_without_rules_nobody() -> None:
    """A site with an empty list of rules lets nobody in."""
    assert Rules(rules=()).for_login(Circumstances("vpn", "alice")) is NO_RULE


def test_a_site_that_says_nothing() -> None:
    """By default everybody may use every kind of code there is, with the windows that the RFCs suggest."""
    rule = Rules().for_login(Circumstances("any", "body"))
    assert rule is not NO_RULE
    assert rule.factors == ("totp", "hotp")
    assert (Rules().hotp.look_ahead, Rules().totp.steps_either_side) == (10, 1)
    assert Rules().totp.widen_every == 0


def test_risk_is_the_promised_arithmetic() -> None:
    """365 times guesses a day times valid codes over 10^digits, with the numbers worked out by hand."""
    throttle = ThrottleRules(max_failures=10, first_lock=60, max_lock=3600)
    assert guesses_a_day(throttle) == pytest.approx(24 + 9)
    rules = Rules(throttle=throttle)
    assert yearly_risk("hotp", 6, rules) == pytest.approx(12045 * 11 / 1e6)
    assert yearly_risk("totp", 6, rules) == pytest.approx(12045 * 3 / 1e6)
    assert yearly_risk("hotp", 8, rules) == pytest.approx(12045 * 11 / 1e8)


def test_risk_falls_with_digits_and_locks_and_rises_with_windows() -> None:
    """Each remedy that `check` names makes the number smaller."""
    rules = Rules()
    risk = yearly_risk("hotp", 6, rules)
    assert yearly_risk("hotp", 7, rules) < risk
    assert yearly_risk("hotp", 6, replace(rules, hotp=HotpRules(look_ahead=5))) < risk
    assert yearly_risk("hotp", 6, replace(rules, throttle=ThrottleRules(max_lock=86400))) < risk
    assert yearly_risk("totp", 6, replace(rules, totp=TotpRules(steps_either_side=10))) > yearly_risk("totp", 6, rules)


def test_eight_digits_need_no_warning() -> None:
    """What `check` advises is enough: with 8 digits the defaults are below the line at which it warns."""
    for kind in ("hotp", "totp"):
        assert yearly_risk(kind, 8, Rules()) <= WORTH_A_WARNING < yearly_risk(kind, 6, Rules())


def test_what_is_too_long_to_guess_needs_no_warning() -> None:
    """A Yubico OTP and the codes of sheets are, whatever the throttle; the digits of fobs do not matter to them."""
    weak = Rules(throttle=ThrottleRules(max_failures=1000, first_lock=1, max_lock=86400))
    for kind in ("yubico", "recovery", "temporary", "breakglass"):
        assert 0 < yearly_risk(kind, 6, weak) == yearly_risk(kind, 8, weak) < WORTH_A_WARNING / 2
    assert yearly_risk("temporary", 0, weak) == pytest.approx(365 * 1000 * 60 / 1e10)


def test_a_probability_is_at_most_one() -> None:
    """A site with hardly any throttle is told 100 %, not more."""
    assert yearly_risk("hotp", 6, Rules(throttle=ThrottleRules(max_lock=1))) == 1.0
