"""Faults inside the decision: wherever something breaks, nobody gets in.

An exception is planted at every call, at every return and on every line that a login passes through, one at a time.
The outcome is that exception, or an outcome that is no Accept; no RFC speaks of this.
"""

from __future__ import annotations

import binascii
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from types import FrameType
from typing import Final

import pytest

from radiusd2fa.core.answer import Answer
from radiusd2fa.core.finding import Find, Finding, Matched
from radiusd2fa.core.login import decide
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    Account,
    Flow,
    Known,
    Nas,
    PendingChallenge,
    PrimaryAnswer,
    Token,
    Verdict,
)
from radiusd2fa.core.rules import Backend, Enrolment, Rule, Rules, Skip

from .facts import ALICE, FACTORS_FOUND, HANDLE, HOTP, NONCE, NOW, PASSWORD, SMALL, WRONG, challenge, hotp

PURE: Final = ("/radiusd2fa/core/", "/radiusd2fa/factors/")
PASSED: Final[dict[bytes | None, PrimaryAnswer]] = {
    PASSWORD: PrimaryAnswer(Verdict.PASSED, "renewed"),
    b"": PrimaryAnswer(Verdict.REFUSED),
}

LOGINS: Final = {
    "code alone": (AccessRequest(Nas("vpn", Flow.CODE_ONLY), "alice", hotp(1)), None),
    "append": (AccessRequest(Nas("vpn", Flow.APPEND), "alice", PASSWORD + hotp(0)), None),
    "auto": (AccessRequest(Nas("vpn", Flow.AUTO), "alice", PASSWORD + hotp(0)), None),
    "SCRV1": (AccessRequest(Nas("vpn"), "alice", b"SCRV1:aHVudGVyMg==:" + binascii.b2a_base64(hotp(0)).strip()), None),
    "answer": (AccessRequest(Nas("vpn"), "alice", hotp(0), state=HANDLE), challenge()),
}


Login = tuple[AccessRequest, PendingChallenge | None]
TraceFunction = Callable[[FrameType, str, object], object]


class PlantedError(Exception):
    """The planted one."""


@dataclass
class Saboteur:
    """Counts the events of a run inside the pure folders, and raises at one of them."""

    at: int
    error: type[BaseException]
    seen: int = 0
    sites: set[tuple[str, int, str]] = field(default_factory=set)

    def __call__(self, frame: FrameType, event: str, _: object) -> TraceFunction | None:
        """Be the trace function."""
        if not any(folder in frame.f_code.co_filename for folder in PURE):
            return None
        if frame.f_code.co_flags & inspect.CO_GENERATOR and event != "line":
            return self  # its other events also come from its destructor, where Python swallows exceptions
        self.sites.add((frame.f_code.co_filename, frame.f_lineno, event))
        self.seen += 1
        if self.seen == self.at:
            raise self.error
        return self


def sabotaged(run: Callable[[], object], saboteur: Saboteur) -> object:
    """Run with the saboteur inside; what was raised is what came out."""
    before = sys.gettrace()
    sys.settrace(saboteur)  # type: ignore[arg-type]
    try:
        return run()
    except saboteur.error as error:
        return error
    finally:
        sys.settrace(before)


WAIVED: Final = {
    "nobody need have a token": Rule("all", enrolment=Enrolment(required=False, until=NOW + 1)),
    "the old system decides": Rule("all", enrolment=Enrolment(upstream="old", until=NOW + 1)),
    "none is asked for here": Rule("all", skip=Skip((ip_network("192.0.2.0/24"),), NOW + 1)),
}
PEOPLE: Final = {
    "a newcomer": replace(ALICE, tokens=(), enrolled=False, source="ldap"),
    "a stranger": None,
    "somebody with a token": replace(ALICE, source="ldap"),
}


@pytest.mark.parametrize("rule", WAIVED.values(), ids=WAIVED.keys())
@pytest.mark.parametrize("person", PEOPLE.keys())
def test_no_fault_waives_a_token(rule: Rule, person: str) -> None:
    """Where a rule asks for no token, a fault anywhere lets nobody in: with the right password or with a wrong one."""
    user = PEOPLE[person]
    request = AccessRequest(Nas("vpn"), "alice", PASSWORD, caller="192.0.2.7")
    site = replace(SMALL, rules=(rule,), primary=Backend("ldap", looks_up=True), backends={"old": Backend("old")})
    passed = PrimaryAnswer(Verdict.PASSED, account=Account(None, ("staff",)))
    for said in (passed, PrimaryAnswer(Verdict.REFUSED)):
        known = Known(user=user, primary={PASSWORD: said})

        def decided(known: Known = known) -> object:
            return decide(request, known, NOW, NONCE, site, FACTORS_FOUND)

        decided()  # what is remembered from now on is remembered in every run
        watching = Saboteur(at=0, error=PlantedError)
        right = isinstance(sabotaged(decided, watching), Accept)
        assert right is (said is passed and (rule.skip is not None or person != "somebody with a token"))
        for at in range(1, watching.seen + 1):
            assert not isinstance(sabotaged(decided, Saboteur(at, ValueError)), Accept), at


@pytest.mark.parametrize("error", [PlantedError, ValueError, binascii.Error, KeyError, MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS.keys())
def test_an_exception_anywhere_lets_nobody_in(login: Login, error: type[BaseException]) -> None:
    """A login that would be accepted is not, wherever in it an exception of whatever kind is raised."""
    request, pending = login
    known = Known(user=replace(ALICE, failures=2), challenge=pending, primary=PASSED)

    def decided() -> object:
        return decide(request, known, NOW, NONCE, SMALL, FACTORS_FOUND)

    watching = Saboteur(at=0, error=error)
    assert isinstance(sabotaged(decided, watching), Accept)
    assert len(watching.sites) > 60
    for at in range(1, watching.seen + 1):
        assert not isinstance(sabotaged(decided, Saboteur(at, error)), Accept), at


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS.keys())
def test_no_fault_makes_a_wrong_code_right(login: Login) -> None:
    """A login with a wrong code stays refused, whatever breaks on the way."""
    request, pending = login
    assert request.password is not None
    wrong = replace(request, password=request.password.replace(hotp(0), WRONG).replace(hotp(1), WRONG))
    if request.password.startswith(b"SCRV1"):
        wrong = replace(request, password=b"SCRV1:aHVudGVyMg==:" + binascii.b2a_base64(WRONG).strip())
    known = Known(user=ALICE, challenge=pending, primary=PASSED)

    def decided() -> object:
        return decide(wrong, known, NOW, NONCE, SMALL, FACTORS_FOUND)

    watching = Saboteur(at=0, error=PlantedError)
    assert not isinstance(sabotaged(decided, watching), Accept)
    for at in range(1, watching.seen + 1):
        assert not isinstance(sabotaged(decided, Saboteur(at, ValueError)), Accept), at


def broken(*_: object) -> Finding:
    """A factor with a bug."""
    raise PlantedError


def lies(*_: object) -> Finding:
    """A factor that finds everything right."""
    return Matched(at=1, to=2, drift=0)


def nothing(*_: object) -> Finding:
    """A factor that forgets to answer."""
    return None  # type: ignore[return-value]


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS.keys())
@pytest.mark.parametrize(
    "finders", [{"hotp": broken}, {"hotp": nothing}, {}], ids=["raises", "answers nothing", "gone"]
)
def test_a_broken_factor_lets_nobody_in(login: Login, finders: Mapping[str, Find]) -> None:
    """A factor that raises, returns nothing or is not there ends in an exception or a refusal."""
    request, pending = login
    known = Known(user=ALICE, challenge=pending, primary=PASSED)
    try:
        outcome = decide(request, known, NOW, NONCE, SMALL, finders)
    except (PlantedError, KeyError):
        return
    assert not isinstance(outcome, Accept)


SHUT_OUT: Final = {
    "unknown": None,
    "disabled": replace(ALICE, enabled=False),
    "locked": replace(ALICE, locked_until=NOW + 1),
    "without token": replace(ALICE, tokens=()),
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS.keys())
@pytest.mark.parametrize("person", SHUT_OUT.keys())
def test_a_lying_factor_lets_nobody_in_who_may_not(login: Login, person: str) -> None:
    """Even a factor that finds everything right opens no door to somebody who is unknown, disabled, locked or bare."""
    request, pending = login
    known = Known(user=SHUT_OUT[person], challenge=pending, primary=PASSED)
    outcome = decide(request, known, NOW, NONCE, SMALL, {"hotp": lies, "totp": lies})
    assert not isinstance(outcome, Accept)


def test_a_lying_factor_still_needs_the_password() -> None:
    """A code that is found right does not stand for a password that was refused."""
    known = Known(user=ALICE, primary={PASSWORD: PrimaryAnswer(Verdict.REFUSED)})
    request = AccessRequest(Nas("vpn", Flow.APPEND), "alice", PASSWORD + hotp(0))
    assert not isinstance(decide(request, known, NOW, NONCE, SMALL, {"hotp": lies, "totp": lies}), Accept)


def test_the_decision_hands_the_factor_what_it_was_given() -> None:
    """Token, time and rules reach the factor unchanged: no copy, no default, no clock of its own."""
    seen: list[tuple[Token, float, Rules]] = []

    def watch(token: Token, answer: Answer, now: float, rules: Rules) -> Finding:
        seen.append((token, now, rules))
        return FACTORS_FOUND["hotp"](token, answer, now, rules)

    request = AccessRequest(Nas("vpn", Flow.CODE_ONLY), "alice", hotp(0))
    decide(request, Known(user=ALICE), NOW, NONCE, SMALL, {"hotp": watch, "totp": watch})
    assert seen == [(HOTP, NOW, SMALL)]
