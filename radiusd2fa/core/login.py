"""The decision machine: known facts in, outcome out.

It never waits, looks at no clock and keeps nothing; a missing fact is a return value (NeedPrimary), a change of the
world is an effect. It answers to RFC 2865 4 (challenge and response); the only Access-Accept of the program is
built at the end of this file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from radiusd2fa.core.answer import ChapAnswer, TypedCode
from radiusd2fa.core.ceremonies import ceremony, offer, prompt, read_answer
from radiusd2fa.core.finding import Asserted, Find, Matched
from radiusd2fa.core.judging import DECOY, NO_RULE, Facts, Judgement, judge, judge_unseen, usable_tokens
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    ClearFailures,
    CloseChallenge,
    ContestStations,
    DisableToken,
    Effect,
    Event,
    Flow,
    KeyCeremony,
    Known,
    NeedPrimary,
    OpenChallenge,
    Outcome,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    RecordAssertion,
    RecordCallerFailure,
    RecordFailure,
    Reject,
    ReplacePasswordHash,
    Silence,
    Token,
    User,
    Verdict,
    WriteEvent,
)
from radiusd2fa.core.rules import Rules

NONCE_OCTETS: Final = 40
"""Fresh random octets for each decision: 16 become the State, 8 the id of the login, 16 what a key must sign."""

_SSHD_JUNK: Final = b"\b\n\r\x7fINCORRECT"


def login_id(known: Known, nonce: bytes) -> str:
    """Return the id that ties together all packets of the login to which this packet belongs."""
    return known.challenge.login if known.challenge is not None else nonce[16:24].hex()


def decide(
    request: AccessRequest, known: Known, now: float, nonce: bytes, rules: Rules, factors: Mapping[str, Find]
) -> Outcome:
    """Decide one Access-Request.

    ``now`` is in seconds since 1970, ``nonce`` holds NONCE_OCTETS random octets, ``factors`` the ``find`` function of
    each factor by its kind. Call again with the answer added to ``known.primary`` when NeedPrimary comes back.
    """
    if request.user_name is None:
        return Reject(Reason.BAD_NAME)
    if known.caller_locked:
        return Reject(Reason.CALLER_LOCKED)
    # whom no rule fits is asked the same questions as everybody: a refusal at once would tell who is in which group
    rule = rules.for_login(request.nas.name, request.user_name, known.user.groups if known.user else ()) or NO_RULE
    facts = Facts(request, request.user_name, known, now, nonce, rules, rule, factors)
    if request.chap is not None:
        return _chap(facts, ChapAnswer(request.chap))
    if request.password is None:
        return Reject(Reason.MSCHAP_NOT_POSSIBLE if request.mschap else Reason.NO_CREDENTIAL)
    if b"\0" in request.password:
        return Reject(Reason.BAD_PASSWORD_ENCODING)
    if _is_sshd_junk(request.password):
        return Reject(Reason.HOST_REFUSED_USER)
    if request.state is not None:
        return _answered(facts, request.password)
    return _first_packet(facts, request.password)


# --- the first packet of a login -------------------------------------------------------------------------------------


def _first_packet(facts: Facts, password: bytes) -> Outcome:
    flow = facts.request.nas.flow
    if password.startswith(b"SCRV1:"):
        return _static_challenge(facts, password)
    match flow:
        case Flow.CODE_ONLY:
            return _code_alone(facts, password)
        case Flow.CHALLENGE:
            return _password_first(facts, password)
        case Flow.APPEND | Flow.PREPEND:
            return _together(facts, _readings(facts, password) or [(password, b"")])
        case Flow.AUTO:
            return _auto(facts, password)


def _password_first(facts: Facts, password: bytes, closing: tuple[Effect, ...] = ()) -> Outcome:
    """The password alone: right leads to the question for the code; none at all leads to the question for itself."""
    if not password and not closing:
        return _ask_for_password(facts) if facts.rules.primary_checks else _ask_for_code(facts)
    answer = facts.known.primary.get(password)
    if answer is None:
        return NeedPrimary(password)
    match answer.verdict:
        case Verdict.UNAVAILABLE:
            return Silence(Reason.PRIMARY_UNAVAILABLE)
        case Verdict.REFUSED:
            return _wrong_password(facts, closing)
        case Verdict.PASSED:
            passed = facts.rules.primary_checks
            return _ask_for_code(facts, (*closing, *_rehash(facts, answer)), password_passed=passed)


def _code_alone(facts: Facts, octets: bytes) -> Outcome:
    """The NAS, or nobody, has checked the password: the code is all there is."""
    if not octets:
        return _ask_for_code(facts)
    judgement = judge(facts, TypedCode.read(octets) or Reason.NO_CODE)
    if judgement.matched is None:
        return _refuse(facts, judgement)
    return _accept(facts, judgement, password_settled=not _password_wanted(facts))


def _chap(facts: Facts, answer: ChapAnswer) -> Outcome:
    """CHAP hashes one text, so it can carry a code and nothing else; elsewhere it is refused and not counted."""
    if facts.request.nas.flow is not Flow.CODE_ONLY or facts.request.state is not None:
        return Reject(Reason.CHAP_NOT_POSSIBLE)
    judgement = judge(facts, answer)
    if judgement.matched is None:
        return _refuse(facts, judgement)
    return _accept(facts, judgement, password_settled=not _password_wanted(facts))


def _together(facts: Facts, readings: list[tuple[bytes, bytes]]) -> Outcome:
    """Password and code in one packet, which may be read in several ways.

    The codes are judged first, and one is spent only when the password before it is right too. Which passwords are
    asked about, and in which order, does not depend on the codes: a wrong password learns nothing about them.
    """
    judged = [(password, judge_unseen(facts, code)) for password, code in readings]
    if not facts.rules.primary_checks:  # every password passes, so the right code says which reading was meant
        judged.sort(key=lambda reading: reading[1].matched is None)
    for password, judgement in judged:
        answer = facts.known.primary.get(password)
        if answer is None:
            return NeedPrimary(password)
        match answer.verdict:
            case Verdict.UNAVAILABLE:
                return Silence(Reason.PRIMARY_UNAVAILABLE)
            case Verdict.PASSED if judgement.matched is None:
                return _refuse(facts, judgement, _rehash(facts, answer))
            case Verdict.PASSED:
                return _accept(facts, judgement, _rehash(facts, answer), password_settled=True)
            case Verdict.REFUSED:
                pass
    return _wrong_password(facts)


def _auto(facts: Facts, text: bytes) -> Outcome:
    """Password and code together where it can be read so; else the whole is a password, even one ending in digits."""
    readings = _readings(facts, text)
    outcome = _together(facts, readings) if readings else None
    if outcome is None or (isinstance(outcome, Reject) and not _a_password_passed(facts, readings)):
        return _password_first(facts, text)
    return outcome


def _a_password_passed(facts: Facts, readings: list[tuple[bytes, bytes]]) -> bool:
    answers = (facts.known.primary.get(password) for password, _ in readings)
    return any(answer is not None and answer.verdict is Verdict.PASSED for answer in answers)


def _static_challenge(facts: Facts, text: bytes) -> Outcome:
    """OpenVPN's static challenge: ``SCRV1:base64(password):base64(code)``."""
    parts = text.split(b":")
    try:
        _, password, code = (base64.b64decode(part, validate=True) if i else part for i, part in enumerate(parts))
    except (binascii.Error, ValueError):
        return Reject(Reason.BAD_PASSWORD_ENCODING)
    if b"\0" in password:
        return Reject(Reason.BAD_PASSWORD_ENCODING)
    if facts.request.nas.flow is Flow.CODE_ONLY:
        return _code_alone(facts, code)
    if not code:
        return _password_first(facts, password)
    return _together(facts, [(password, code)])


def _readings(facts: Facts, text: bytes) -> list[tuple[bytes, bytes]]:
    """All ways to read password and code out of one text, by the lengths of the codes that this user's tokens show."""
    lengths = dict.fromkeys(token.digits for token in usable_tokens(facts) or (DECOY,) if token.digits)
    if facts.request.nas.flow is Flow.PREPEND:
        parts = [(text[n:], text[:n]) for n in lengths]
    else:
        parts = [(text[:-n], text[-n:]) for n in lengths]
    return [(password, code) for password, code in parts if TypedCode.read(code) is not None]


def _is_sshd_junk(password: bytes) -> bool:
    """sshd sends this in place of the password of somebody whom the host does not know, cut to the typed length."""
    if not password.startswith(b"\b"):
        return False
    return password == (_SSHD_JUNK * (len(password) // len(_SSHD_JUNK) + 1))[: len(password)]


# --- the answer to a challenge ---------------------------------------------------------------------------------------


def _answered(facts: Facts, text: bytes) -> Outcome:
    """A State is a reference to one stored question; it must be this client's, this person's, and still open."""
    challenge = facts.known.challenge
    if challenge is None or not _is_ours(facts, challenge):
        return Reject(Reason.CHALLENGE_UNKNOWN)
    if challenge.expires <= facts.now:
        return Reject(Reason.CHALLENGE_EXPIRED)
    closing = CloseChallenge(challenge.handle, facts.now)
    match challenge.kind:
        case ChallengeKind.PASSWORD:
            return _password_first(facts, text, (closing,))
        case ChallengeKind.CODE:
            return _code_answered(facts, challenge, closing, text)


def _is_ours(facts: Facts, challenge: PendingChallenge) -> bool:
    """This client's, this very person's, and asked after whatever the client's flow wants settled before a code."""
    user, nas = facts.known.user, facts.request.nas
    return (
        challenge.nas == nas.name
        and challenge.user_name == facts.name
        and challenge.user_id == (None if user is None else user.id)
        and (challenge.kind is ChallengeKind.PASSWORD or _is_settled(facts, challenge))
    )


def _is_settled(facts: Facts, challenge: PendingChallenge) -> bool:
    return challenge.password_passed or not _password_wanted(facts)


def _password_wanted(facts: Facts) -> bool:
    return facts.rules.primary_checks and facts.request.nas.flow is not Flow.CODE_ONLY


def _code_answered(facts: Facts, challenge: PendingChallenge, closing: CloseChallenge, text: bytes) -> Outcome:
    judgement = judge(facts, read_answer(facts, challenge, text))
    if judgement.matched is not None:
        # nothing was typed, so it was a touch, and a login that began meanwhile may have spoilt it
        closing = replace(closing, uncontested=not text)
        return _accept(facts, judgement, (closing,), password_settled=_is_settled(facts, challenge))
    # in vain from now on, but whoever has proved nothing must not learn that somebody is awaited at a station
    hopeless = judgement.reason is Reason.STATION_CONTESTED and challenge.password_passed
    if challenge.tries > 1 and not hopeless:
        return _ask_for_code(
            facts,
            (closing, *_counted(facts, judgement)),
            password_passed=challenge.password_passed,
            before=challenge,
            judgement=judgement,
        )
    return _refuse(facts, judgement, (closing,))


# --- questions -------------------------------------------------------------------------------------------------------


def _ask_for_password(facts: Facts) -> Challenge:
    challenge = _pending(facts, ChallengeKind.PASSWORD, tries=1, password_passed=False)
    return Challenge(
        effects=(OpenChallenge(challenge),),
        prompt=facts.rules.challenge.password_prompt,
        state=challenge.handle,
        reason=Reason.PASSWORD_WANTED,
        hidden=True,
    )


def _ask_for_code(
    facts: Facts,
    effects: tuple[Effect, ...] = (),
    *,
    password_passed: bool = False,
    before: PendingChallenge | None = None,
    judgement: Judgement | None = None,
) -> Challenge:
    """Ask for a code, or for a key; ``before`` is the question that this one repeats, ``judgement`` how that went."""
    made = offer(facts, password_passed=password_passed)
    begun = ceremony(made, facts.nonce[24:], None if before is None else before.ceremony)
    tries = facts.rules.challenge.tries if before is None else before.tries - 1
    challenge = _pending(facts, ChallengeKind.CODE, tries=tries, password_passed=password_passed, begun=begun)
    # Enter came before the touch, and no code was wrong; to strangers both look the same
    untouched = password_passed and judgement is not None and judgement.reason is Reason.STATION_NOT_TOUCHED
    opening: tuple[Effect, ...] = (OpenChallenge(challenge),)
    if begun is not None and begun.station and challenge.user_id is not None:
        opening = (*opening, ContestStations(challenge.user_id, facts.now))
    return Challenge(
        effects=(*effects, *opening),
        prompt=prompt(facts, made, begun, again=before is not None and not untouched),
        state=challenge.handle,
        reason=Reason.CODE_WANTED if judgement is None else judgement.reason,
        token=None if judgement is None else judgement.token,
    )


def _pending(
    facts: Facts, kind: ChallengeKind, *, tries: int, password_passed: bool, begun: KeyCeremony | None = None
) -> PendingChallenge:
    return PendingChallenge(
        handle=facts.nonce[:16].hex(),
        nas=facts.request.nas.name,
        user_name=facts.name,
        user_id=None if facts.known.user is None else facts.known.user.id,
        kind=kind,
        password_passed=password_passed,
        login=login_id(facts.known, facts.nonce),
        expires=facts.now + facts.rules.challenge.lifetime,
        tries=tries,
        ceremony=begun,
    )


# --- refusing --------------------------------------------------------------------------------------------------------


def _refuse(facts: Facts, judgement: Judgement, effects: tuple[Effect, ...] = ()) -> Reject:
    return Reject(judgement.reason, (*effects, *_counted(facts, judgement)), judgement.token)


def _wrong_password(facts: Facts, effects: tuple[Effect, ...] = ()) -> Reject:
    """Counts against the caller only: nobody can lock somebody else's account by guessing at the password."""
    reason = Reason.UNKNOWN_USER if facts.known.user is None else Reason.WRONG_PASSWORD
    return Reject(reason, (*effects, *_counted_against_caller(facts)))


def _counted(facts: Facts, judgement: Judgement) -> tuple[Effect, ...]:
    """A wrong code after a right password, or where there is no password, counts against the user too."""
    user, throttle = facts.known.user, facts.rules.throttle
    if judgement.reason is Reason.KEY_CLONED and judgement.token is not None:
        return _clone_alarm(facts, judgement.token)
    if judgement.genuine:
        return judgement.notes
    effects: tuple[Effect, ...] = (*judgement.notes, *_counted_against_caller(facts))
    if user is None or not judgement.counts:
        return effects
    return (
        RecordFailure(user.id, facts.now, throttle.max_failures, throttle.first_lock, throttle.max_lock),
        *effects,
    )


def _clone_alarm(facts: Facts, token: Token) -> tuple[Effect, ...]:
    """Two keys with one private key give themselves away by their counters (WebAuthn 6.1.1): worth a row of its own."""
    alarm = Event(
        time=facts.now,
        name="token.cloned",
        login=login_id(facts.known, facts.nonce),
        nas=facts.request.nas.name,
        user=facts.name,
        caller=facts.request.caller,
        factor=token.kind,
        serial=token.serial,
        outcome="disabled" if facts.rule.lock_clones else "refused",
        reason=Reason.KEY_CLONED,
    )
    return (*((DisableToken(token.id),) if facts.rule.lock_clones else ()), WriteEvent(alarm))


def _counted_against_caller(facts: Facts) -> tuple[Effect, ...]:
    request, throttle = facts.request, facts.rules.throttle
    if not request.caller:
        return ()
    return (
        RecordCallerFailure(
            request.nas.name, request.caller, facts.now, throttle.caller_max_failures, throttle.caller_window
        ),
    )


def _rehash(facts: Facts, answer: PrimaryAnswer) -> tuple[Effect, ...]:
    user = facts.known.user
    if answer.rehashed is None or user is None or user.password_hash is None:
        return ()
    return (ReplacePasswordHash(user.id, user.password_hash, answer.rehashed),)


# --- accepting -------------------------------------------------------------------------------------------------------


def _accept(facts: Facts, judgement: Judgement, effects: tuple[Effect, ...] = (), *, password_settled: bool) -> Accept:
    """Build the one Access-Accept: password settled, answer right and new, its user known and able to log in."""
    user, token, matched = facts.known.user, judgement.token, judgement.matched
    if not (password_settled and user and user.enabled and token in user.tokens and matched):
        msg = "an Accept needs every factor"
        raise AssertionError(msg)
    assert token is not None  # noqa: S101 - for the type checker: it is one of the user's tokens
    forgetting: tuple[Effect, ...] = (ClearFailures(user.id),) if user.failures else ()
    return Accept((_spend(token, user, matched, facts.now, effects), *effects, *forgetting), token, judgement.reason)


def _spend(token: Token, user: User, matched: Matched | Asserted, now: float, effects: tuple[Effect, ...]) -> Effect:
    """What makes this answer one that can never be accepted again."""
    match matched:
        case Matched():
            return AdvanceMovingFactor(token.id, user.id, matched.to, matched.drift, now)
        case Asserted():
            if not any(isinstance(effect, CloseChallenge) for effect in effects):
                msg = "an assertion is spent with its challenge"
                raise AssertionError(msg)
            return RecordAssertion(token.id, user.id, matched.counter, now)
