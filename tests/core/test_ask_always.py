"""``ask_code: always``: whoever guesses at passwords sees the same question after a right one as after a wrong one.

The question is compared in everything that leaves the daemon, for everybody and in every flow; the end of a login
with a wrong password is a refusal, whatever the code, and spends none. RFC 2865 4.4.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Final

import pytest

from radiusd2fa.core.model import (
    Accept,
    Account,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    ClearFailures,
    CloseChallenge,
    ContestStations,
    Flow,
    Known,
    Nas,
    NoteResyncCandidate,
    OpenChallenge,
    Reason,
    RecordAssertion,
    RecordCallerFailure,
    RecordFailure,
    Reject,
    Silence,
    User,
    Verdict,
)
from radiusd2fa.core.rules import LOCAL, NOBODY, Enrolment, HotpRules, Rule, Rules, Skip

from . import keyring
from .directory import (
    CALLER,
    FRESH,
    NONCES,
    OWNER,
    accepted,
    asked_again,
    first,
    is_silent,
    refused,
    refuses,
    says,
    site,
    then,
)
from .facts import (
    ALICE,
    COUNTER,
    HOTP,
    KNOWS_IT,
    NONCE,
    NOW,
    PASSWORD,
    SMALL,
    TOTP,
    WRONG,
    Ask,
    Decided,
    hotp,
    opened,
    run,
)

BLIND: Final = Rule("all", ask_always=True)
SITE: Final = replace(SMALL, rules=(BLIND,))
KEYS: Final = replace(keyring.RULES, rules=(replace(keyring.RULE, ask_always=True),))
"""The same where keys and stations answer as well."""
WRONG_PASSWORD: Final = b"hunter3"

PEOPLE: Final[dict[str, User | None]] = {
    "a fob": ALICE,
    "a clock": replace(ALICE, tokens=(TOTP,)),
    "a key": keyring.WITH_KEY,
    "both": keyring.WITH_BOTH,
    "keys": keyring.WITH_KEYS,
    "nothing": replace(ALICE, tokens=()),
    "never had one": replace(ALICE, tokens=(), enrolled=False),
    "locked": replace(ALICE, locked_until=NOW + 1e6),
    "disabled": replace(keyring.WITH_BOTH, enabled=False),
    "failures": replace(ALICE, failures=9),
    "somebody without a password": replace(ALICE, password_hash=None),
}
"""Whom the right password can be typed for."""


def visible(decided: Decided) -> tuple[object, ...]:
    """All of a question that leaves the daemon: when, what, and how often it can be answered."""
    outcome = asked_again(decided)
    pending = opened(outcome)
    begun = pending.ceremony
    ceremony = None if begun is None else (begun.nonce, begun.user_verification)
    asked = (outcome.prompt, outcome.hidden, outcome.state, outcome.unhurried)
    return (*asked, pending.kind, pending.tries, pending.expires, pending.handle, ceremony, pending.relay)


# --- the question ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [*PEOPLE.values(), None], ids=[*PEOPLE.keys(), "nobody"])
@pytest.mark.parametrize("rules", [SITE, KEYS], ids=["codes", "keys"])
@pytest.mark.parametrize("nas", [keyring.BASTION, keyring.VPN], ids=lambda nas: nas.name)
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.AUTO])
def test_a_wrong_password_looks_like_the_right_one(rules: Rules, user: User | None, nas: Nas, flow: Flow) -> None:
    """Prompt, State, tries, lifetime and moment are the same, for everybody, with keys, stations or nothing at all."""
    usual = run(keyring.packet(PASSWORD, nas, flow=flow), Known(user=ALICE), rules=rules)
    for password in (PASSWORD, WRONG_PASSWORD):
        request = keyring.packet(password, nas, flow=flow)
        assert visible(run(request, Known(user=user), KNOWS_IT, rules=rules)) == visible(usual)


@pytest.mark.parametrize("user", PEOPLE.values(), ids=PEOPLE.keys())
def test_so_it_does_after_a_question_for_the_password(user: User) -> None:
    """An empty password is asked for, and the answer to that leads to the same question, right or wrong."""
    for rules in (SITE, KEYS):
        question = opened(first(rules, user, KNOWS_IT, b"").outcome)
        assert question.kind is ChallengeKind.PASSWORD
        right, wrong = (then(rules, user, KNOWS_IT, question, text) for text in (PASSWORD, WRONG_PASSWORD))
        assert visible(right) == visible(wrong)


ELSEWHERE: Final[dict[str, tuple[User | None, Ask]]] = {
    "a stranger": (None, says()),
    "a newcomer": (FRESH, says()),
    "somebody with a token": (OWNER, says()),
    "somebody whose groups have changed": (OWNER, says(Account("id-1", ("ops",)))),
    "somebody else of that name": (OWNER, says(Account("id-2"))),
    "a local account": (ALICE, says()),
    "an account that is locked there": (OWNER, refuses(Reason.ACCOUNT_LOCKED)),
}


@pytest.mark.parametrize("case", ELSEWHERE.values(), ids=ELSEWHERE.keys())
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.AUTO])
def test_what_the_directory_says_is_not_seen_either(case: tuple[User | None, Ask], flow: Flow) -> None:
    """Replaced, locked, elsewhere or unknown: the question is the usual one."""
    user, ask = case
    rules = site(BLIND)
    usual = visible(first(rules, OWNER, says(), flow=flow))
    for text in (PASSWORD, WRONG_PASSWORD):
        assert visible(first(rules, user, ask, text, flow)) == usual


def test_a_rule_that_only_the_right_password_reveals_is_not_seen() -> None:
    """Groups come with a right password alone: what the rule for them says must not change the question."""
    others = (
        Rule("ops", groups=frozenset({"ops"})),
        Rule("ops", groups=frozenset({"ops"}), enrolment=Enrolment(required=False)),
        Rule("ops", groups=frozenset({"ops"}), skip=Skip((ip_network("192.0.2.0/24"),), NOW + 1)),
    )
    for rule in others:
        rules = site(rule, BLIND)
        for user in (None, FRESH, OWNER):
            right, wrong = (first(rules, user, says(Account("id-1", ("ops",))), text) for text in (PASSWORD, b"x"))
            assert visible(right) == visible(wrong), (rule, user)


@pytest.mark.parametrize("code", [WRONG, hotp(0), hotp(-1), hotp(4), b"00000000"])
@pytest.mark.parametrize("user", [*PEOPLE.values(), None], ids=[*PEOPLE.keys(), "nobody"])
def test_in_auto_flow_a_code_behind_the_password_tells_nothing(user: User | None, code: bytes) -> None:
    """Where the code may be left out, one that is wrong ends alike behind a right password and behind a wrong one."""
    right, wrong = (
        first(SITE, user, KNOWS_IT, password + code, Flow.AUTO).outcome for password in (PASSWORD, WRONG_PASSWORD)
    )
    if isinstance(right, Accept):
        return  # both factors are right: there is nothing left to find out
    assert type(right) is type(wrong)
    if isinstance(right, Challenge) and isinstance(wrong, Challenge):
        assert (right.prompt, right.hidden, right.unhurried) == (wrong.prompt, wrong.hidden, wrong.unhurried)
        assert opened(right).tries == opened(wrong).tries


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND])
def test_where_both_come_together_both_are_judged_at_once(flow: Flow) -> None:
    """Nothing is asked there in any case: wrong password or wrong code, it is refused."""
    for password in (PASSWORD, WRONG_PASSWORD):
        text = WRONG + password if flow is Flow.PREPEND else password + WRONG
        assert refused(first(SITE, ALICE, KNOWS_IT, text, flow))
        assert refused(first(SITE, ALICE, KNOWS_IT, password, flow))


def test_asking_costs_nobody_a_failure() -> None:
    """What is counted is counted at the end; a question that is never answered has told nobody anything."""
    for user in (ALICE, None):
        outcome = asked_again(first(SITE, user, KNOWS_IT, WRONG_PASSWORD))
        assert [type(effect) for effect in outcome.effects] == [OpenChallenge]


def test_a_wrong_password_shows_nothing_at_a_station_and_spoils_nobodys_touch() -> None:
    """Whoever knows a name only makes no light blink there, and does not end the login of its owner."""
    for user in (keyring.WITH_KEY, keyring.WITH_BOTH):
        wrong = asked_again(first(KEYS, user, KNOWS_IT, WRONG_PASSWORD))
        begun = opened(wrong).ceremony
        assert begun is not None
        assert (begun.station, begun.credentials) == (False, ())
        assert not any(isinstance(effect, ContestStations) for effect in wrong.effects)
        right = asked_again(first(KEYS, user, KNOWS_IT))
        awaited = opened(right).ceremony
        assert awaited is not None
        assert awaited.station
        assert awaited.credentials


def test_a_directory_that_does_not_answer_asks_nobody() -> None:
    """Silence is no question: nobody knows yet what the password is worth."""
    assert first(site(BLIND), OWNER, is_silent).outcome == Silence(Reason.PRIMARY_UNAVAILABLE)


def test_why_it_was_refused_is_in_the_log() -> None:
    """The reason goes with the question, where nobody outside sees it."""
    assert asked_again(first(SITE, ALICE, KNOWS_IT, WRONG_PASSWORD)).reason is Reason.WRONG_PASSWORD
    assert asked_again(first(SITE, None, KNOWS_IT, WRONG_PASSWORD)).reason is Reason.UNKNOWN_USER
    locked = first(site(BLIND), OWNER, refuses(Reason.ACCOUNT_LOCKED))
    assert asked_again(locked).reason is Reason.ACCOUNT_LOCKED
    replaced = first(site(BLIND), OWNER, says(Account("id-2")))
    assert asked_again(replaced).reason is Reason.ACCOUNT_REPLACED


# --- the end ---------------------------------------------------------------------------------------------------------

CODES: Final = (hotp(0), hotp(3), hotp(4), hotp(-1), WRONG, b"", b"help", PASSWORD)


@pytest.mark.parametrize("text", CODES)
@pytest.mark.parametrize("user", [*PEOPLE.values(), None], ids=[*PEOPLE.keys(), "nobody"])
def test_after_a_wrong_password_no_code_is_right(user: User | None, text: bytes) -> None:
    """The end is a refusal that spends no code, prepares no resynchronisation and locks nobody out."""
    question = opened(first(SITE, user, KNOWS_IT, WRONG_PASSWORD).outcome)
    assert question.doomed
    outcome = refused(then(SITE, user, KNOWS_IT, question, text))
    assert outcome.reason in {Reason.WRONG_PASSWORD, Reason.UNKNOWN_USER}
    assert outcome.effects == (
        CloseChallenge(question.handle, NOW),
        RecordCallerFailure("vpn", CALLER, NOW, 100, 600.0),
    )
    spent = (AdvanceMovingFactor, RecordAssertion, NoteResyncCandidate, RecordFailure, ClearFailures)
    assert not any(isinstance(effect, spent) for effect in outcome.effects)


def test_after_a_wrong_password_no_key_is_right() -> None:
    """A key that really signs what was asked for lets nobody in, at a laptop or at a station."""
    question = keyring.pending(first(KEYS, keyring.WITH_KEY, KNOWS_IT, WRONG_PASSWORD).outcome)
    question = replace(question, nas="bastion")
    waiting = replace(question, ceremony=replace(keyring.begun(keyring.asked(keyring.WITH_KEY)), nonce=NONCE[24:]))
    answers = (
        (keyring.touched(question), question),
        (b"", keyring.brought_in(question)),
        (b"", keyring.brought_in(waiting)),
    )
    for text, to in answers:
        outcome = keyring.answered(text, to, keyring.WITH_KEY, rules=KEYS)
        assert isinstance(outcome, Reject)
        assert not any(isinstance(effect, RecordAssertion) for effect in outcome.effects)


@pytest.mark.parametrize("text", [WRONG, hotp(-1), hotp(4), b"", b"help"])
def test_a_wrong_code_after_the_right_password_ends_alike(text: bytes) -> None:
    """There is one try, so nobody is asked for the next code because the password was right."""
    right, wrong = (opened(first(SITE, ALICE, KNOWS_IT, password).outcome) for password in (PASSWORD, b"x"))
    assert right.tries == wrong.tries == 1
    for question in (right, wrong):
        assert refused(then(SITE, ALICE, KNOWS_IT, question, text))


def test_both_right_is_accepted() -> None:
    """The right code after the right password, once: its own question and its own count are spent."""
    question = opened(first(SITE, ALICE, KNOWS_IT).outcome)
    assert not question.doomed
    outcome = accepted(then(SITE, ALICE, KNOWS_IT, question, hotp(1)))
    assert outcome.effects == (
        AdvanceMovingFactor(HOTP.id, ALICE.id, COUNTER + 2, 0, NOW),
        CloseChallenge(question.handle, NOW),
    )
    key = keyring.pending(keyring.asked(keyring.WITH_KEY, rules=KEYS))
    assert isinstance(keyring.answered(keyring.touched(key), key, keyring.WITH_KEY, rules=KEYS), Accept)
    assert isinstance(keyring.answered(b"", keyring.brought_in(key), keyring.WITH_KEY, rules=KEYS), Accept)


def test_a_doomed_question_stays_doomed() -> None:
    """Not a change of the rule, of the site or of the person makes its answer good enough."""
    question = opened(first(SITE, ALICE, KNOWS_IT, WRONG_PASSWORD).outcome)
    sites = (
        SMALL,
        replace(SITE, primary=NOBODY),
        replace(SMALL, rules=(replace(BLIND, flow=Flow.CODE_ONLY),)),
        replace(SMALL, rules=(replace(BLIND, enrolment=Enrolment(required=False)),)),
        replace(SMALL, rules=(replace(BLIND, hotp=HotpRules(look_ahead=50)),)),
    )
    for rules in sites:
        for user in (ALICE, replace(ALICE, tokens=(), enrolled=False)):
            for flow in Flow:
                outcome = then(rules, user, KNOWS_IT, question, hotp(0), flow).outcome
                assert isinstance(outcome, Reject), (rules, user, flow)


def test_nothing_is_waived_where_the_code_is_always_asked_for() -> None:
    """A password alone would tell that it was right."""
    waivers = (
        replace(BLIND, enrolment=Enrolment(required=False)),
        replace(BLIND, skip=Skip((ip_network("192.0.2.0/24"),), NOW + 1)),
    )
    for rule in waivers:
        for user in (None, FRESH, OWNER):
            assert asked_again(first(site(rule), user, says())).unhurried


def test_elsewhere_a_question_is_in_no_hurry_to_be_late() -> None:
    """Without ``ask_code: always`` a question leaves when it is ready, and a wrong password is refused at once."""
    assert not asked_again(first(SMALL, ALICE, KNOWS_IT)).unhurried
    assert refused(first(SMALL, ALICE, KNOWS_IT, WRONG_PASSWORD)).reason is Reason.WRONG_PASSWORD


def test_where_nobody_checks_passwords_none_is_wrong() -> None:
    """`none` passes what is typed, and the code decides, with one try."""
    rules = replace(SITE, primary=NOBODY)
    question = opened(first(rules, ALICE, lambda _: Verdict.PASSED, b"anything").outcome)
    assert (question.doomed, question.password_passed, question.tries) == (False, False, 1)
    assert accepted(then(rules, ALICE, lambda _: Verdict.PASSED, question, hotp(0), nonce=NONCES[2])).token == HOTP
    assert question.backend == NOBODY.name != LOCAL.name
