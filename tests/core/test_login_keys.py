"""Logins with security keys, decided: what is refused and what that costs, and the few answers that let somebody in.

Each answer is made by a key of the tests from what a prompt shows, with one thing wrong and no other.
WebAuthn 7.2, RFC 2865 4.4 (State): an answer is good once, for one person, at one client, in time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from radiusd2fa.core.model import (
    Accept,
    Challenge,
    ClearFailures,
    CloseChallenge,
    DisableToken,
    Event,
    Flow,
    Known,
    Reason,
    RecordAssertion,
    Reject,
    Token,
    TokenState,
    User,
    WriteEvent,
)
from radiusd2fa.core.responder import KeyResponse, read_response
from radiusd2fa.core.rules import Rules
from tests.factors.keys import BE, ED, FIDO, UP, UV, challenge_of, es256, es384, response

from .facts import ALICE, HOTP, NONCE, PASSWORD, TOTP, WRONG
from .keyring import (
    AGAINST_CALLER,
    CALLER,
    CLOSED,
    HOST,
    K1,
    K2,
    KEY,
    LATER_NONCE,
    LOCKING,
    PASTE,
    QUESTION,
    RULE,
    RULES,
    SECOND,
    SPENT,
    SSH,
    STRICT,
    THEN,
    VPN,
    WITH_BOTH,
    WITH_FOB,
    WITH_KEY,
    WITH_NOTHING,
    accepted,
    answered,
    asked,
    begun,
    brought_in,
    by_rule,
    costs,
    decided,
    last_try,
    packet,
    pending,
    touched,
)

# --- by ssh and by hand: answers that are refused --------------------------------------------------------------------

WRONG_ANSWERS: Final[dict[str, bytes]] = {
    "for another host": touched(QUESTION, host="evil.example.org"),
    "for a subdomain of the host": touched(QUESTION, host=f"x.{HOST}"),
    "for the host in capitals": touched(QUESTION, host=HOST.upper()),
    "for the host with a dot": touched(QUESTION, host=f"{HOST}."),
    "for the client's name": touched(QUESTION, host="bastion"),
    "for another user": touched(QUESTION, user="bob"),
    "for another case of the user": touched(QUESTION, user="Alice"),
    "for nobody": touched(QUESTION, user=""),
    "for another question": touched(QUESTION, nonce=bytes(16)),
    "for the next question": touched(QUESTION, nonce=LATER_NONCE[24:]),
    "for the login's id and State": touched(QUESTION, nonce=NONCE[:16]),
    "user and host change places": touched(QUESTION, user=HOST, host="alice"),
    "a station's": response(KEY, challenge_of(b"radiusd2fa-station-v1", NONCE[24:], "alice", "bastion", "lobby-1")),
    "a registration's": response(KEY, challenge_of(b"radiusd2fa-register-v1", NONCE[24:], "alice")),
    "for another site's origin": response(
        KEY,
        challenge_of(b"radiusd2fa-key-v1", NONCE[24:], "alice", HOST),
        fido=replace(FIDO, origin="https://auth.example.org:8443"),
    ),
    "for another relying party": response(
        KEY, challenge_of(b"radiusd2fa-key-v1", NONCE[24:], "alice", HOST), fido=replace(FIDO, rp_id="example.org")
    ),
    "by somebody else's key": touched(QUESTION, key=es256("bob's")),
    "by somebody else's key under this one's name": touched(
        QUESTION, key=replace(es256("bob's"), credential_id=KEY.credential_id)
    ),
    "by a key that is not registered": touched(QUESTION, key=SECOND),
}


@pytest.mark.parametrize("tries", [3, 1])
@pytest.mark.parametrize("text", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys())
def test_what_was_signed_for_something_else_is_a_wrong_answer(text: bytes, tries: int) -> None:
    """Another host, user, question or key: it is refused, and counts against user and caller like a wrong code."""
    outcome = answered(text, replace(QUESTION, tries=tries), WITH_KEY)
    assert isinstance(outcome, Challenge if tries > 1 else Reject)
    assert outcome.reason is Reason.WRONG_KEY_RESPONSE
    assert costs(outcome) == (CLOSED, AGAINST_CALLER)
    assert isinstance(answered(touched(QUESTION), replace(QUESTION, tries=tries), WITH_KEY), Accept)


def test_no_bit_of_a_response_can_be_changed() -> None:
    """Version, selector, flags, counter, signature: with any bit changed the answer lets nobody in."""
    octets = base64.urlsafe_b64decode(touched(QUESTION) + b"=")
    assert len(octets) == 74
    for place in range(8 * 74):
        changed = bytearray(octets)
        changed[place // 8] ^= 1 << place % 8
        outcome = answered(base64.urlsafe_b64encode(changed).rstrip(b"="), last_try(QUESTION), WITH_KEY)
        assert isinstance(outcome, Reject)
        malformed = place < 8  # another version
        assert outcome.reason is (Reason.KEY_RESPONSE_MALFORMED if malformed else Reason.WRONG_KEY_RESPONSE)


GENUINE_BUT_REFUSED: Final[dict[str, tuple[bytes, Rules, Reason]]] = {
    "bound to no host": (touched(QUESTION, host=""), SSH, Reason.NOT_BOUND_TO_HOST),
    "without a touch": (touched(QUESTION, flags=0), RULES, Reason.NO_USER_PRESENCE),
    "without a touch, by hand": (touched(QUESTION, flags=BE, host=""), PASTE, Reason.NO_USER_PRESENCE),
    "with extensions": (touched(QUESTION, flags=UP | ED), RULES, Reason.KEY_RESPONSE_MALFORMED),
    "without a PIN": (touched(QUESTION), STRICT, Reason.NO_USER_VERIFICATION),
    "with a PIN but no touch": (touched(QUESTION, flags=UV), STRICT, Reason.NO_USER_PRESENCE),
}


@pytest.mark.parametrize("tries", [3, 1])
@pytest.mark.parametrize("case", GENUINE_BUT_REFUSED.values(), ids=GENUINE_BUT_REFUSED.keys())
def test_a_genuine_answer_that_is_not_good_enough_costs_nothing(case: tuple[bytes, Rules, Reason], tries: int) -> None:
    """Nobody guesses who can make the key sign: it is refused, the log says why, and no failure is counted."""
    text, rules, reason = case
    outcome = answered(text, replace(QUESTION, tries=tries), WITH_KEY, rules=rules)
    assert isinstance(outcome, Challenge if tries > 1 else Reject)
    assert (outcome.reason, outcome.token) == (reason, K1)
    assert costs(outcome) == (CLOSED,)


SPOILED: Final[dict[str, tuple[bytes, Reason]]] = {
    "cut at 64": (touched(QUESTION)[:64], Reason.KEY_RESPONSE_CUT),
    "cut at 98": (touched(QUESTION)[:98], Reason.KEY_RESPONSE_CUT),
    "the long form cut at 112": (b"00XXBDYXW0G" * 10 + b"00", Reason.KEY_RESPONSE_CUT),
    "the code itself": (b"RK1-00041-06105-0R3GG-28A1C-60T3G-F", Reason.KEY_RESPONSE_CUT),
    "another version": (b"AA" + touched(QUESTION)[2:], Reason.KEY_RESPONSE_MALFORMED),
    "99 letters": (b"x" * 99, Reason.KEY_RESPONSE_MALFORMED),
    "119 letters": (b"x" * 119, Reason.KEY_RESPONSE_MALFORMED),
    "padding": (touched(QUESTION) + b"=", Reason.NO_CODE),
    "a word": (b"help", Reason.NO_CODE),
    "a long sentence": (b"I have touched it three times, why does it not work? " * 2, Reason.NO_CODE),
}


@pytest.mark.parametrize("tries", [3, 1])
@pytest.mark.parametrize("case", SPOILED.values(), ids=SPOILED.keys())
def test_what_was_cut_or_mistyped_is_no_guess(case: tuple[bytes, Reason], tries: int) -> None:
    """A device that cuts answers must not lock its users: the reason is in the log, and only the caller is counted."""
    text, reason = case
    outcome = answered(text, replace(QUESTION, tries=tries), WITH_KEY)
    assert isinstance(outcome, Challenge if tries > 1 else Reject)
    assert outcome.reason is reason
    assert costs(outcome) == (CLOSED, AGAINST_CALLER)


def test_a_response_to_a_question_without_keys_is_no_code() -> None:
    """Where no key was asked for, a right response to anything is just not a code."""
    for user, rules in (
        (WITH_FOB, RULES),
        (WITH_KEY, replace(RULES, fido=None)),
        (WITH_KEY, by_rule(replace(RULE, factors=("totp", "hotp")))),
    ):
        question = pending(asked(user, rules=rules))
        assert question.ceremony is None
        text = response(KEY, challenge_of(b"radiusd2fa-key-v1", NONCE[24:], "alice", HOST))
        outcome = answered(text, question, user, rules=rules)
        assert isinstance(outcome, Challenge)
        assert outcome.reason in {Reason.NO_CODE, Reason.NO_TOKEN}


@pytest.mark.parametrize(
    "rules",
    [replace(RULES, fido=None), by_rule(replace(RULE, factors=("totp", "hotp"))), replace(RULES, rules=())],
    ids=["no relying party any more", "keys are no longer allowed", "no rule any more"],
)
def test_what_was_asked_for_under_other_settings_is_refused(rules: Rules) -> None:
    """Settings that change while a question is open count at once; whoever was asked under the old ones guesses not."""
    for text, question in ((touched(QUESTION), QUESTION), (b"", brought_in(QUESTION))):
        for user in (WITH_KEY, WITH_BOTH):
            outcome = answered(text, question, user, rules=rules)
            assert isinstance(outcome, Challenge)
            assert costs(outcome) == (CLOSED, AGAINST_CALLER)


# --- clones ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counter", [5, 4, 0])
@pytest.mark.parametrize("rules", [RULES, LOCKING], ids=["refuse", "lock"])
@pytest.mark.parametrize("tries", [3, 1])
def test_a_counter_that_has_not_grown_is_an_alarm(counter: int, rules: Rules, tries: int) -> None:
    """It is refused, nobody is locked for it, and the audit gets a row; only a rule that says so disables the key."""
    locks = rules is LOCKING
    outcome = answered(touched(QUESTION, counter=counter), replace(QUESTION, tries=tries), WITH_KEY, rules=rules)
    assert isinstance(outcome, Challenge if tries > 1 else Reject)
    assert (outcome.reason, outcome.token) == (Reason.KEY_CLONED, K1)
    alarm = Event(
        THEN,
        "token.cloned",
        QUESTION.login,
        "bastion",
        "alice",
        CALLER,
        "fido",
        "K1",
        "disabled" if locks else "refused",
        "key_cloned",
    )
    expected = (CLOSED, DisableToken(K1.id), WriteEvent(alarm)) if locks else (CLOSED, WriteEvent(alarm))
    assert costs(outcome) == expected


def test_a_clone_is_an_alarm_at_a_station_too() -> None:
    """It does not matter which way the answer came."""
    outcome = answered(b"", brought_in(last_try(QUESTION), counter=5), WITH_KEY, rules=LOCKING)
    assert isinstance(outcome, Reject)
    assert outcome.reason is Reason.KEY_CLONED
    assert DisableToken(K1.id) in outcome.effects


def test_nobody_elses_key_is_ever_disabled() -> None:
    """An answer that this key has not signed raises no alarm, whatever counter it names."""
    text = touched(QUESTION, key=replace(es256("bob's"), credential_id=KEY.credential_id), counter=0)
    outcome = answered(text, QUESTION, WITH_KEY, rules=LOCKING)
    assert not {type(effect) for effect in costs(outcome)} & {DisableToken, WriteEvent}


# --- the State -------------------------------------------------------------------------------------------------------

STRANGERS: Final[dict[str, tuple[dict[str, Any], Reason]]] = {
    "after its time": ({"expires": THEN}, Reason.CHALLENGE_EXPIRED),
    "long after its time": ({"expires": 0.0}, Reason.CHALLENGE_EXPIRED),
    "another client's": ({"nas": "vpn"}, Reason.CHALLENGE_UNKNOWN),
    "another user's": ({"user_name": "bob"}, Reason.CHALLENGE_UNKNOWN),
    "another account's of that name": ({"user_id": 99}, Reason.CHALLENGE_UNKNOWN),
    "nobody's": ({"user_id": None}, Reason.CHALLENGE_UNKNOWN),
    "before the password": ({"password_passed": False}, Reason.CHALLENGE_UNKNOWN),
}


@pytest.mark.parametrize("case", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_right_answer_to_another_question_is_refused(case: tuple[dict[str, Any], Reason]) -> None:
    """A State is good in time, for one person at one client; otherwise nothing about the answer is even looked at."""
    changes, reason = case
    for question, text in ((QUESTION, touched(QUESTION)), (brought_in(QUESTION), b"")):
        assert isinstance(answered(text, question, WITH_KEY), Accept)
        assert answered(text, replace(question, **changes), WITH_KEY) == Reject(reason)


def test_a_right_answer_without_its_question_is_refused() -> None:
    """When the State is gone the answer is worth nothing: that is how an answer is good only once."""
    request = packet(touched(QUESTION), state=QUESTION.handle)
    assert decided(request, Known(user=WITH_KEY), now=THEN) == Reject(Reason.CHALLENGE_UNKNOWN)


def test_an_answer_is_good_for_one_question_only() -> None:
    """Of two questions open at once each has its own code, and the answer to one does not answer the other."""
    other = replace(QUESTION, handle="7" * 32, ceremony=replace(begun(asked(WITH_KEY)), nonce=LATER_NONCE[24:]))
    assert isinstance(answered(touched(QUESTION), other, WITH_KEY), Challenge)
    assert isinstance(answered(touched(other), other, WITH_KEY), Accept)


@pytest.mark.parametrize("flow", Flow)
def test_a_response_without_a_question_is_no_login(flow: Flow) -> None:
    """What a key has signed counts only as the answer to a challenge: alone, or behind a password, it is no code."""
    text = touched(QUESTION)
    for packed in (text, PASSWORD + text, text + PASSWORD):
        assert not isinstance(decided(packet(packed, flow=flow), Known(user=WITH_KEY)), Accept)


# --- people who cannot log in ----------------------------------------------------------------------------------------

NOT_THEM: Final[dict[str, tuple[User, Reason]]] = {
    "locked": (replace(WITH_KEY, locked_until=THEN + 1), Reason.LOCKED),
    "disabled": (replace(WITH_KEY, enabled=False), Reason.DISABLED_USER),
    "a revoked key": (replace(WITH_KEY, tokens=(replace(K1, state=TokenState.REVOKED),)), Reason.NO_TOKEN),
    "a lost key": (replace(WITH_KEY, tokens=(replace(K1, state=TokenState.LOST),)), Reason.NO_TOKEN),
    "a disabled key": (replace(WITH_KEY, tokens=(replace(K1, state=TokenState.DISABLED),)), Reason.NO_TOKEN),
    "a key that has run out": (replace(WITH_KEY, tokens=(replace(K1, valid_until=THEN),)), Reason.NO_TOKEN),
    "no key any more": (WITH_NOTHING, Reason.NO_TOKEN),
    "only a fob any more": (WITH_FOB, Reason.WRONG_KEY_RESPONSE),
    "another's key": (replace(ALICE, tokens=(es256("bob's").token(),)), Reason.WRONG_KEY_RESPONSE),
    "a key of another algorithm": (
        replace(ALICE, tokens=(replace(es384(), credential_id=KEY.credential_id).token(),)),
        Reason.WRONG_KEY_RESPONSE,
    ),
}


@pytest.mark.parametrize("case", NOT_THEM.values(), ids=NOT_THEM.keys())
@pytest.mark.parametrize("station", [False, True], ids=["response", "station"])
def test_who_cannot_log_in_cannot_with_a_key(case: tuple[User, Reason], station: bool) -> None:
    """A right answer of somebody locked or disabled, or by a key that no longer counts, is refused and counted."""
    user, reason = case
    question = brought_in(QUESTION) if station else QUESTION
    outcome = answered(b"" if station else touched(QUESTION), question, user)
    assert isinstance(outcome, Challenge)
    assert outcome.reason is reason
    assert costs(outcome) == (CLOSED, AGAINST_CALLER)


# --- accepted --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [HOST, "gate"])
def test_a_response_for_each_name_of_the_host_is_accepted(host: str) -> None:
    """What the user's own ssh printed was signed: the State is spent with the counter, in one transaction."""
    outcome = accepted(answered(touched(QUESTION, host=host), QUESTION, WITH_KEY, rules=SSH))
    assert outcome == Accept((SPENT, CLOSED), K1, Reason.OK)


@pytest.mark.parametrize("name", ["bob", "élodie", "x" * 253])
def test_everybody_signs_for_themselves(name: str) -> None:
    """The name in what was signed is the person's own, whatever it is."""
    user = replace(WITH_KEY, name=name)
    question = pending(decided(packet(PASSWORD, name=name), Known(user=user)))
    for text, put in (
        (touched(question, user=name), question),
        (touched(question, user=name, host=""), question),
        (b"", brought_in(question, user=name)),
    ):
        assert accepted(answered(text, put, user, name=name)).token == K1
    for text, put in ((touched(question), question), (b"", brought_in(question))):
        assert not isinstance(answered(text, put, user, name=name), Accept)


@pytest.mark.parametrize(("host", "rules"), [("", PASTE), ("", RULES), (HOST, RULES), ("gate", RULES)])
def test_a_response_made_by_hand_is_accepted_where_a_rule_names_it(host: str, rules: Rules) -> None:
    """Bound to no host it counts only where pasting is allowed."""
    assert accepted(answered(touched(QUESTION, host=host), QUESTION, WITH_KEY, rules=rules)).effects == (SPENT, CLOSED)


def test_a_bound_response_needs_the_rule_for_it() -> None:
    """Where only pasting is allowed, one that is bound to a host is as wrong as one for any other host."""
    outcome = answered(touched(QUESTION), QUESTION, WITH_KEY, rules=PASTE)
    assert isinstance(outcome, Challenge)
    assert outcome.reason is Reason.WRONG_KEY_RESPONSE


def test_a_host_without_names_accepts_no_bound_response() -> None:
    """A client says which names people call it by; where it names none, none is right, not even the empty one."""
    question = replace(QUESTION, nas="vpn")
    for host in (HOST, "vpn", ""):
        assert not isinstance(answered(touched(question, host=host), question, WITH_KEY, VPN, SSH), Accept)


@pytest.mark.parametrize("spell", [bytes.lower, bytes.upper], ids=["small", "capitals"])
def test_a_device_that_folds_case_does_no_harm(spell: Callable[[bytes], bytes]) -> None:
    """The longer form of a response is accepted in either case."""
    response = read_response(touched(QUESTION))
    assert isinstance(response, KeyResponse)
    assert accepted(answered(spell(response.case_free().encode()), QUESTION, WITH_KEY)).token == K1


@pytest.mark.parametrize("flags", [UP | UV, UP | UV | BE])
def test_a_verified_user_satisfies_the_strictest_rule(flags: int) -> None:
    """By response and at a station alike."""
    assert accepted(answered(touched(QUESTION, flags=flags), QUESTION, WITH_KEY, rules=STRICT)).token == K1
    assert accepted(answered(b"", brought_in(QUESTION, flags=flags), WITH_KEY, rules=STRICT)).token == K1
    weak = answered(b"", brought_in(QUESTION), WITH_KEY, rules=STRICT)
    assert isinstance(weak, Challenge)
    assert weak.reason is Reason.NO_USER_VERIFICATION


@pytest.mark.parametrize("tokens", [(K1, K2), (K2, K1), (HOTP, K2, TOTP, K1)])
def test_each_of_several_keys_is_accepted(tokens: tuple[Token, ...]) -> None:
    """Whichever of a person's keys was touched is found, and no other one's counter moves."""
    user = replace(ALICE, tokens=tokens)
    question = pending(asked(user))
    one = accepted(answered(touched(question), question, user))
    assert (one.token, one.effects) == (K1, (SPENT, CLOSED))
    for counter in (0, 1):
        other = accepted(answered(touched(question, key=SECOND, counter=counter), question, user))
        assert (other.token, other.effects) == (K2, (RecordAssertion(K2.id, ALICE.id, counter, THEN), CLOSED))


@pytest.mark.parametrize("signer", [0, 1, 2])
def test_of_keys_with_one_selector_each_is_tried(signer: int) -> None:
    """Three credentials whose ids cannot be told apart by four octets: the one that signed is found."""
    ids = (b"credential 78091", b"credential 94452", b"credential 78091")
    assert len({hashlib.sha256(one).digest()[:4] for one in ids}) == 1
    keys = [replace(es256(f"key {n}"), credential_id=one) for n, one in enumerate(ids)]
    user = replace(ALICE, tokens=tuple(key.token(n, f"S{n}") for n, key in enumerate(keys)))
    question = pending(asked(user))
    assert accepted(answered(touched(question, key=keys[signer]), question, user)).token == user.tokens[signer]
    assert accepted(answered(b"", brought_in(question, key=keys[signer]), user)).token == user.tokens[signer]


def test_a_login_forgets_the_failures_before_it() -> None:
    """As with a code."""
    failed = replace(WITH_KEY, failures=4)
    assert accepted(answered(touched(QUESTION), QUESTION, failed)).effects == (SPENT, CLOSED, ClearFailures(ALICE.id))


def test_the_whole_way_from_prompt_to_accept() -> None:
    """A wrong code, an answer that was cut, and then the right one: each with the code that the last prompt showed."""
    question = pending(asked(WITH_BOTH, rules=SSH))
    for text in (WRONG, touched(question)[:64]):
        question = pending(answered(text, question, WITH_BOTH, rules=SSH))
    assert question.tries == 1
    outcome = accepted(answered(touched(question), question, WITH_BOTH, rules=SSH))
    assert outcome.effects == (SPENT, CLOSED_LATER)


CLOSED_LATER: Final = CloseChallenge(LATER_NONCE[:16].hex(), THEN)
