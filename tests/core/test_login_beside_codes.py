"""Security keys beside fobs, decided: each goes on working where the other is, in every flow and for every client.

The matrix says who gets in by code; here everybody has a key as well, or only a key, or neither.
RFC 2865 5.2 (PAP) and 5.3 (CHAP), WebAuthn 7.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest
from fido2.cose import CoseKey

from radiusd2fa.core.answer import Answer, Assertion
from radiusd2fa.core.finding import Find, Finding
from radiusd2fa.core.login import decide
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    Chap,
    Decision,
    Flow,
    Known,
    Reason,
    Reject,
    Token,
    User,
)
from radiusd2fa.core.rules import Rule, Rules
from radiusd2fa.factors import fido
from tests.factors.keys import es256

from .facts import ALICE, FACTORS_FOUND, HANDLE, HOTP, NOW, PASSWORD, TOTP, WRONG, hotp
from .keyring import (
    AGAINST_CALLER,
    AGAINST_USER,
    BASTION,
    CALLER,
    CLOSED,
    K1,
    LATER_NONCE,
    QUESTION,
    RULES,
    SSH,
    STATION,
    THEN,
    WITH_BOTH,
    WITH_FOB,
    WITH_KEY,
    WITH_KEYS,
    WITH_NOTHING,
    accepted,
    answered,
    asked,
    brought_in,
    by_rule,
    costs,
    decided,
    packet,
    pending,
    touched,
)


@pytest.mark.parametrize("user", [WITH_BOTH, replace(ALICE, tokens=(K1, HOTP))], ids=["fob first", "key first"])
def test_a_code_answers_the_same_question(user: User) -> None:
    """Fob or key, as the person likes, while a station waits or not."""
    for rules in (RULES, SSH, STATION):
        question = pending(asked(user, rules=rules))
        by_code = accepted(answered(hotp(0), question, user, rules=rules))
        assert by_code.effects[:2] == (AdvanceMovingFactor(HOTP.id, ALICE.id, 41, 0, THEN), CLOSED)
        again = pending(answered(WRONG, question, user, rules=rules))
        assert accepted(answered(hotp(1), again, user, rules=rules)).token == HOTP


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND, Flow.AUTO])
def test_password_and_code_together_go_on_working(flow: Flow) -> None:
    """A key beside the fob changes nothing about a packet that holds both."""
    for code, expected in ((hotp(0), Accept), (WRONG, Reject)):
        text = code + PASSWORD if flow is Flow.PREPEND else PASSWORD + code
        assert isinstance(decided(packet(text, flow=flow), Known(user=WITH_BOTH)), expected)


def test_a_password_alone_in_auto_flow_leads_to_the_key() -> None:
    """Who has a key, with or without a fob, is asked for it after the password."""
    auto = replace(BASTION, flow=Flow.AUTO)
    for user in (WITH_KEY, WITH_BOTH):
        question = pending(asked(user, auto))
        assert question.password_passed
        assert accepted(answered(touched(question), question, user, auto)).token == K1


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND])
def test_without_a_challenge_there_is_no_way_for_a_key(flow: Flow) -> None:
    """Where everything comes in one packet, a right password with nothing to go with it is refused."""
    outcome = decided(packet(PASSWORD, flow=flow), Known(user=WITH_KEY))
    assert isinstance(outcome, Reject)
    assert outcome.reason is Reason.NO_CODE


@pytest.mark.parametrize("user", [WITH_KEY, WITH_BOTH])
def test_code_only_flow_asks_for_a_key_on_an_empty_answer(user: User) -> None:
    """Where the client has checked the password, an empty text leads to the question, and a code is taken at once."""
    code_only = replace(BASTION, flow=Flow.CODE_ONLY)
    question = pending(asked(user, code_only, text=b""))
    assert not question.password_passed
    assert accepted(answered(touched(question), question, user, code_only)).token == K1
    assert accepted(answered(b"", brought_in(question), user, code_only)).token == K1
    at_once = decided(packet(hotp(0), code_only), Known(user=user))
    assert isinstance(at_once, Accept if HOTP in user.tokens else Reject)


def test_in_another_flow_the_password_comes_first() -> None:
    """A question that was put before the password lets nobody in where a password is wanted, key or not."""
    question = pending(asked(WITH_KEY, replace(BASTION, flow=Flow.CODE_ONLY), text=b""))
    assert answered(touched(question), question, WITH_KEY, BASTION) == Reject(Reason.CHALLENGE_UNKNOWN)
    assert answered(b"", brought_in(question), WITH_KEY, BASTION) == Reject(Reason.CHALLENGE_UNKNOWN)


def test_a_password_question_is_not_answered_by_a_key() -> None:
    """The response to a question for the password is just a wrong password."""
    question = replace(QUESTION, kind=ChallengeKind.PASSWORD, handle=HANDLE)
    outcome = answered(touched(QUESTION), question, WITH_KEY)
    assert isinstance(outcome, Reject)
    assert outcome.reason is Reason.WRONG_PASSWORD


def test_chap_carries_codes_and_no_keys() -> None:
    """CHAP hashes what is typed: a fob beside the key works, the key does not, and an answer to a challenge neither."""
    code_only = replace(BASTION, flow=Flow.CODE_ONLY)

    def chap(text: bytes, user: User, state: str | None = None) -> Decision:
        digest = hashlib.md5(b"\x01" + text + b"c" * 16, usedforsecurity=False).digest()
        request = AccessRequest(code_only, "alice", chap=Chap(1, digest, b"c" * 16), state=state, caller=CALLER)
        return decided(request, Known(user=user, challenge=QUESTION if state else None), now=THEN)

    assert accepted(chap(hotp(0), WITH_BOTH)).token == HOTP
    for text in (touched(QUESTION), b""):
        wrong = chap(text, WITH_BOTH)
        assert isinstance(wrong, Reject)
        assert wrong.reason is Reason.WRONG_CODE
    alone = chap(hotp(0), WITH_KEY)
    assert isinstance(alone, Reject)
    assert costs(alone) == (AGAINST_USER, AGAINST_CALLER)
    assert chap(touched(QUESTION), WITH_KEY, QUESTION.handle) == Reject(Reason.CHAP_NOT_POSSIBLE)


# --- the same work for everybody -------------------------------------------------------------------------------------

ANYBODY: Final[dict[str, User | None]] = {
    "a key": WITH_KEY,
    "keys": WITH_KEYS,
    "a fob": WITH_FOB,
    "a clock": replace(ALICE, tokens=(TOTP,)),
    "both": WITH_BOTH,
    "nothing": WITH_NOTHING,
    "locked": replace(WITH_KEY, locked_until=NOW + 1e6),
    "disabled": replace(WITH_BOTH, enabled=False),
    "nobody": None,
}


@pytest.mark.parametrize("user", ANYBODY.values(), ids=ANYBODY.keys())
def test_every_code_is_judged_by_something_that_shows_codes(user: User | None) -> None:
    """Whoever has no fob, or is nobody, costs as much as somebody who has: time tells nothing."""
    worked: list[str] = []

    def watched(kind: str, find: Find) -> Find:
        def watch(token: Token, answer: Answer, now: float, rules: Rules) -> Finding:
            worked.append(kind)
            return find(token, answer, now, rules)

        return watch

    factors: Mapping[str, Find] = {kind: watched(kind, find) for kind, find in FACTORS_FOUND.items()}
    nas = replace(BASTION, flow=Flow.CODE_ONLY)
    question = pending(asked(user, nas, text=b""))
    request = packet(WRONG, nas, question.handle)
    decide(request, Known(user=user, challenge=question), THEN, LATER_NONCE, RULES, factors)
    assert set(worked) & {"hotp", "totp"}


def test_a_site_without_codes_knows_how_to_judge_one() -> None:
    """Where rules name nothing but keys, a code is refused like everywhere."""
    rules = by_rule(Rule("keys", ("fido",), ceremonies=("ssh",), grants=frozenset()))
    question = pending(asked(WITH_KEY, rules=rules))
    outcome = answered(b"123456", question, WITH_KEY, rules=rules)
    assert isinstance(outcome, Challenge)
    assert outcome.reason is Reason.WRONG_CODE
    assert set(rules.factors()) == {"fido", "hotp"}


def test_another_key_costs_no_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response of a key that the person has not is refused before any arithmetic, so nobody needs stand-in work."""
    verified: list[object] = []
    really = fido._has_signed

    def watched(key: CoseKey, reading: Assertion) -> bool:
        verified.append(reading)
        return really(key, reading)

    monkeypatch.setattr(fido, "_has_signed", watched)
    spent = {}
    for who, user in {"somebody": WITH_KEY, "nobody": None, "locked": ANYBODY["locked"]}.items():
        nas = replace(BASTION, flow=Flow.CODE_ONLY)
        question = pending(asked(user, nas, text=b""))
        verified.clear()
        assert not isinstance(answered(touched(question, key=es256("bob's")), question, user, nas), Accept)
        spent[who] = len(verified)
    assert spent == {"somebody": 0, "nobody": 0, "locked": 0}
