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

from radiusd2fa.core.accounts import (
    Standing,
    Waiver,
    gather,
    is_skipping,
    is_upstreams,
    note_account,
    still_there,
    why_password_is_enough,
)
from radiusd2fa.core.answer import Answer, ChapAnswer, TypedSpare, read_typed
from radiusd2fa.core.ceremonies import read_answer
from radiusd2fa.core.claiming import claim, may_claim
from radiusd2fa.core.counting import counted, counted_against_caller
from radiusd2fa.core.finding import Claimed, Find, Matched, Right, Spare
from radiusd2fa.core.judging import Facts, Judgement, judge, judge_unseen
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    AddAccount,
    AdvanceMovingFactor,
    ChallengeKind,
    ClearFailures,
    CloseChallenge,
    Effect,
    Flow,
    Known,
    NeedPrimary,
    NeedToken,
    NoteLogin,
    Outcome,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    RecordAssertion,
    Reject,
    ReplacePasswordHash,
    Silence,
    TakeToken,
    Token,
    User,
    UseSheet,
    Verdict,
)
from radiusd2fa.core.questions import ask_for_code, ask_for_password, pass_on_question
from radiusd2fa.core.readings import is_sshd_junk, readings_of
from radiusd2fa.core.rows import worth_a_row
from radiusd2fa.core.rules import LOCAL_ACCOUNTS, BreakGlass, Rules
from radiusd2fa.core.sheets import BREAK_GLASS

_NOT_EVERY_FACTOR: Final = "an Accept needs every factor"


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
    facts = gather(request, request.user_name, known, now, nonce, rules, factors)
    if request.chap is not None:
        return _chap(facts, ChapAnswer(request.chap))
    if request.password is None:
        return Reject(Reason.MSCHAP_NOT_POSSIBLE if request.mschap else Reason.NO_CREDENTIAL)
    if b"\0" in request.password:
        return Reject(Reason.BAD_PASSWORD_ENCODING)
    if is_sshd_junk(request.password):
        return Reject(Reason.HOST_REFUSED_USER)
    if request.state is not None:
        return _answered(facts, request.password)
    return _first_packet(facts, request.password)


# --- the first packet of a login -------------------------------------------------------------------------------------


def _first_packet(facts: Facts, password: bytes) -> Outcome:
    emergency = _emergency(facts, password)
    if emergency is not None:
        return emergency
    if is_upstreams(facts):  # whatever they type is the other system's business
        return _password_first(facts, password)
    if password.startswith(b"SCRV1:"):
        return _static_challenge(facts, password)
    match facts.flow:
        case Flow.CODE_ONLY:
            return _code_alone(facts, password)
        case Flow.CHALLENGE:
            return _password_first(facts, password)
        case Flow.APPEND | Flow.PREPEND:
            return _together(facts, readings_of(facts, password) or [(password, b"")], whole=password)
        case Flow.AUTO:
            return _auto(facts, password)


def _password_first(facts: Facts, password: bytes, before: PendingChallenge | None = None) -> Outcome:
    """The password alone: right leads to the question for the code; none at all leads to the question for itself.

    ``before`` is the question that it answers, if one was asked: for the password, or by an upstream server.
    """
    if not password and before is None:
        return ask_for_password(facts) if facts.backend.checks else ask_for_code(facts)
    closing = () if before is None else (CloseChallenge(before.handle, facts.now),)
    answer = facts.known.primary.get(password)
    if answer is None:
        return NeedPrimary(password, facts.backend.name, None if before is None else before.relay)
    match answer.verdict:
        case Verdict.UNAVAILABLE:
            return Silence(Reason.PRIMARY_UNAVAILABLE)
        case Verdict.CHALLENGED:
            if facts.blind:  # only a right password could have led to a question
                return _password_wrong(facts, Reason.UPSTREAM_ASKS, closing)
            return pass_on_question(facts, answer, closing, before)
        case Verdict.REFUSED:
            return _password_wrong(facts, answer.reason, closing)
        case Verdict.PASSED:
            return _password_right(facts, answer, closing)


def _emergency(facts: Facts, text: bytes, closing: tuple[Effect, ...] = ()) -> Accept | Reject | None:
    """An emergency code where the password is asked for, under a rule by which it stands alone. None: it is none.

    Nobody is asked about a password, so it works while the directory is down; two administrators have opened its sheet.
    What is spelled like one, dashes and all, is no password for a directory to see, and no guess at the person's codes.
    """
    if facts.rule.break_glass is not BreakGlass.ALONE:
        return None
    typed = read_typed(text)
    if not isinstance(typed, TypedSpare) or typed.kind != BREAK_GLASS.kind:
        return None
    judgement = judge(facts, typed)
    if judgement.matched is not None:
        return _accept(facts, judgement, closing, password_settled=True)
    if judgement.genuine:
        return Reject(judgement.reason, closing, judgement.token)
    if typed.is_spelled(text):
        return Reject(judgement.reason, (*closing, *counted_against_caller(facts)))
    return None


def _password_right(facts: Facts, answer: PrimaryAnswer, closing: tuple[Effect, ...]) -> Outcome:
    noted = note_account(facts, answer, facts.backend)
    if isinstance(noted, Reason):
        return _password_wrong(facts, noted, closing)
    waiver = why_password_is_enough(facts)
    if waiver is not None:
        return _accept(facts, waiver, (*closing, *_rehash(facts, answer), *noted), password_settled=True, said=answer)
    return ask_for_code(
        facts,
        (*closing, *_rehash(facts, answer), *noted),
        password_passed=facts.backend.checks,
        reply=answer.attributes,
    )


def _password_wrong(facts: Facts, reason: Reason | None, closing: tuple[Effect, ...]) -> Outcome:
    """Refuse, or ask for the code all the same where the rule wants nobody to know before the end."""
    if facts.blind:
        return ask_for_code(facts, closing, doomed=reason or _wrong(facts))
    return _wrong_password(facts, reason, closing)


def _code_alone(facts: Facts, octets: bytes) -> Outcome:
    """The NAS, or nobody, has checked the password: the code is all there is."""
    if not octets:
        return ask_for_code(facts)
    return _judged_alone(facts, read_typed(octets) or Reason.NO_CODE)


def _chap(facts: Facts, answer: ChapAnswer) -> Outcome:
    """CHAP hashes one text, so it can carry a code and nothing else; elsewhere it is refused and not counted."""
    if facts.flow is not Flow.CODE_ONLY or facts.request.state is not None:
        return Reject(Reason.CHAP_NOT_POSSIBLE)
    return _judged_alone(facts, answer)


def _judged_alone(facts: Facts, answer: Answer | Reason) -> Outcome:
    standing = still_there(facts)
    if not isinstance(standing, Standing):
        return standing
    judgement = standing.over(judge(facts, answer))
    if judgement.matched is None:
        return _refuse(facts, judgement, standing.noted)
    return _accept(facts, judgement, standing.noted, password_settled=not _password_wanted(facts))


def _together(facts: Facts, readings: list[tuple[bytes, bytes]], *, whole: bytes | None = None) -> Outcome:
    """Password and code in one packet, which may be read in several ways: as ``whole`` where no code need be there.

    A code is spent only when the password beside it is right too. Which passwords are asked about, and in which order,
    does not depend on the codes, and all of them are worked on at the end: a wrong password learns nothing about them.
    """
    standing = Standing() if facts.backend.checks else still_there(facts)
    if not isinstance(standing, Standing):
        return standing
    if whole is not None and facts.backend.checks and (facts.site.may_waive() or is_skipping(facts)):
        readings = [*readings, (whole, b"")]
    lacking = _not_asked_yet(facts, readings) if facts.backend.checks else None
    if lacking is not None:
        return NeedPrimary(lacking, facts.backend.name)
    judged = [(password, code, standing.over(judge_unseen(facts, code))) for password, code in readings]
    if not facts.backend.checks:  # every password passes, so the right code says which reading was meant
        judged.sort(key=lambda reading: reading[2].matched is None)
    reason = None
    for password, code, judgement in judged:
        answer = facts.known.primary.get(password)
        if answer is None:
            return NeedPrimary(password, facts.backend.name)
        match answer.verdict:
            case Verdict.UNAVAILABLE:
                return Silence(Reason.PRIMARY_UNAVAILABLE)
            case Verdict.PASSED:
                return _both_judged(facts, answer, judgement, standing.noted, with_code=bool(code))
            case Verdict.REFUSED:
                reason = answer.reason or reason
            case Verdict.CHALLENGED:
                reason = Reason.UPSTREAM_ASKS
    return _wrong_password(facts, reason)


def _not_asked_yet(facts: Facts, readings: list[tuple[bytes, bytes]]) -> bytes | None:
    """The next password to ask about, before any code is worked on; None when it is known which reading was meant."""
    for password, _ in readings:
        answer = facts.known.primary.get(password)
        if answer is None:
            return password
        if answer.verdict in (Verdict.PASSED, Verdict.UNAVAILABLE):
            return None
    return None


def _both_judged(
    facts: Facts, answer: PrimaryAnswer, judgement: Judgement, noted_before: tuple[Effect, ...], *, with_code: bool
) -> Outcome:
    """The password is right: what the code beside it is worth."""
    noted = note_account(facts, answer, facts.backend)
    if isinstance(noted, Reason):
        return _wrong_password(facts, noted)
    effects = (*_rehash(facts, answer), *noted, *noted_before)
    waiver = None if with_code else why_password_is_enough(facts)
    if waiver is not None:
        return _accept(facts, waiver, effects, password_settled=True, said=answer)
    if judgement.matched is None:
        return _refuse(facts, judgement, effects)
    return _accept(facts, judgement, effects, password_settled=True, said=answer)


def _auto(facts: Facts, text: bytes) -> Outcome:
    """Password and code together where it can be read so; else the whole is a password, even one ending in digits."""
    readings = readings_of(facts, text)
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
    if facts.flow is Flow.CODE_ONLY:
        return _code_alone(facts, code)
    if not code:
        return _password_first(facts, password)
    return _together(facts, [(password, code)])


# --- the answer to a challenge ---------------------------------------------------------------------------------------


def _answered(facts: Facts, text: bytes) -> Outcome:
    """A State is a reference to one stored question; it must be this client's, this person's, and still open."""
    challenge = facts.known.challenge
    if challenge is None or not _is_ours(facts, challenge):
        return Reject(Reason.CHALLENGE_UNKNOWN)
    if challenge.expires <= facts.now:
        return Reject(Reason.CHALLENGE_EXPIRED)
    match challenge.kind:
        case ChallengeKind.PASSWORD:
            emergency = _emergency(facts, text, (CloseChallenge(challenge.handle, facts.now),))
            return emergency or _password_first(facts, text, challenge)
        case ChallengeKind.UPSTREAM:
            return _password_first(facts, text, challenge)
        case ChallengeKind.CODE:
            return _code_answered(facts, challenge, CloseChallenge(challenge.handle, facts.now), text)


def _is_ours(facts: Facts, challenge: PendingChallenge) -> bool:
    """This client's, this very person's, and asked after whatever the client's flow wants settled before a code."""
    nas = facts.request.nas
    return (
        challenge.nas == nas.name
        and challenge.user_name == facts.name
        and _is_theirs(facts.known.user, challenge)
        and (challenge.kind is not ChallengeKind.CODE or _is_settled(facts, challenge))
    )


def _is_theirs(user: User | None, challenge: PendingChallenge) -> bool:
    """Whether the question was put to this person; to a newcomer it was put before the store knew them."""
    if user is None or challenge.user_id is not None:
        return challenge.user_id == (None if user is None else user.id)
    return challenge.password_passed and not user.enrolled


def _is_settled(facts: Facts, challenge: PendingChallenge) -> bool:
    return challenge.password_passed or challenge.doomed or not _password_wanted(facts)


def _password_wanted(facts: Facts) -> bool:
    return facts.backend.checks and facts.flow is not Flow.CODE_ONLY


def _code_answered(facts: Facts, challenge: PendingChallenge, closing: CloseChallenge, text: bytes) -> Outcome:
    standing = Standing() if challenge.password_passed or challenge.doomed else still_there(facts)
    if not isinstance(standing, Standing):
        return standing
    claimed = claim(facts, challenge, text)
    if isinstance(claimed, NeedToken):
        return claimed
    judgement = standing.over(claimed or judge(facts, read_answer(facts, challenge, text)))
    if challenge.doomed:
        return _wrong_password(facts, None, (closing,))
    if judgement.matched is not None:
        # nothing was typed, so it was a touch, and a login that began meanwhile may have spoilt it
        closing = replace(closing, uncontested=not text)
        settled = _is_settled(facts, challenge)
        return _accept(
            facts, judgement, (closing, *standing.noted), password_settled=settled, passed_on=challenge.reply
        )
    # in vain from now on, but whoever has proved nothing must not learn that somebody is awaited at a station
    hopeless = judgement.reason is Reason.STATION_CONTESTED and challenge.password_passed
    if challenge.tries > 1 and not hopeless:
        return ask_for_code(
            facts,
            (closing, *standing.noted, *counted(facts, judgement)),
            password_passed=challenge.password_passed,
            before=challenge,
            judgement=judgement,
        )
    return _refuse(facts, judgement, (closing, *standing.noted))


# --- refusing --------------------------------------------------------------------------------------------------------


def _refuse(facts: Facts, judgement: Judgement, effects: tuple[Effect, ...] = ()) -> Reject:
    return Reject(judgement.reason, (*effects, *counted(facts, judgement)), judgement.token)


def _wrong_password(facts: Facts, reason: Reason | None, effects: tuple[Effect, ...] = ()) -> Reject:
    """Counts against the caller only: nobody can lock somebody else's account by guessing at the password."""
    return Reject(reason or _wrong(facts), (*effects, *counted_against_caller(facts)))


def _wrong(facts: Facts) -> Reason:
    """A directory may know whom we have not seen yet; it says itself when it does not."""
    return (
        Reason.UNKNOWN_USER
        if facts.known.user is None and facts.backend.source == LOCAL_ACCOUNTS
        else Reason.WRONG_PASSWORD
    )


def _rehash(facts: Facts, answer: PrimaryAnswer) -> tuple[Effect, ...]:
    user = facts.known.user
    if answer.rehashed is None or user is None or user.password_hash is None:
        return ()
    return (ReplacePasswordHash(user.id, user.password_hash, answer.rehashed),)


# --- accepting -------------------------------------------------------------------------------------------------------


def _accept(
    facts: Facts,
    grounds: Judgement | Waiver,
    effects: tuple[Effect, ...] = (),
    *,
    password_settled: bool,
    said: PrimaryAnswer | None = None,
    passed_on: tuple[tuple[int, bytes], ...] = (),
) -> Accept:
    """Build the one Access-Accept: password settled, answer right and new, its user known and able to log in.

    Or, in the place of the answer, the rule's word that this very login needs none.
    """
    forgetting: tuple[Effect, ...] = ()
    if isinstance(grounds, Waiver):
        token, reason = None, grounds.reason
        proof = _admit(facts, grounds, said, effects)
        effects = tuple(effect for effect in effects if not isinstance(effect, AddAccount))
    else:
        token, reason = grounds.token, grounds.reason
        user, matched = facts.known.user, grounds.matched
        if not (password_settled and user and user.enabled and matched and token in _held(facts, user, matched)):
            raise AssertionError(_NOT_EVERY_FACTOR)
        assert token is not None  # noqa: S101 - for the type checker: it is one of the user's tokens
        proof = _spend(token, user, matched, facts.now, effects)
        effects = (*effects, *worth_a_row(facts, token, matched))
        forgetting = (ClearFailures(user.id),) if user.failures else ()
    return Accept(
        effects=(proof, *effects, *forgetting),
        token=token,
        reason=reason,
        reply=facts.rule.reply,
        passed_on=said.attributes if said is not None else passed_on,
        groups=facts.groups,
    )


def _admit(facts: Facts, waiver: Waiver, said: PrimaryAnswer | None, effects: tuple[Effect, ...]) -> Effect:
    """What makes a login without a second factor hold only for whom the rule has meant."""
    user = facts.known.user
    passed = said is not None and said.verdict is Verdict.PASSED and facts.backend.checks
    if not passed or waiver != why_password_is_enough(facts):
        raise AssertionError(_NOT_EVERY_FACTOR)
    if user is not None:
        granted = waiver.reason is Reason.SKIP_GRANTED
        return NoteLogin(user.id, facts.now, unenrolled=waiver.for_the_unenrolled, granted=granted)
    newcomer = next((effect for effect in effects if isinstance(effect, AddAccount)), None)
    if newcomer is None:
        raise AssertionError(_NOT_EVERY_FACTOR)
    return replace(newcomer, admitted=True, without_kin=waiver.for_the_unenrolled)


def _held(facts: Facts, user: User, matched: Right) -> tuple[Token | None, ...]:
    """Whose word may be taken: that of the user's own tokens, or of one out of the stock where the rule says so."""
    if isinstance(matched, Claimed):
        return tuple(facts.known.stock.values()) if may_claim(facts) else ()
    return user.tokens


def _spend(token: Token, user: User, matched: Right, now: float, effects: tuple[Effect, ...]) -> Effect:
    """What makes this answer one that can never be accepted again."""
    match matched:
        case Matched():
            return AdvanceMovingFactor(token.id, user.id, matched.to, matched.drift, now)
        case Spare():
            return UseSheet(token.id, user.id, matched.number, now)
        case Claimed():
            return TakeToken(token.id, user.id, matched.to, matched.drift, now)
        case _:
            if not any(isinstance(effect, CloseChallenge) for effect in effects):
                msg = "an assertion is spent with its challenge"
                raise AssertionError(msg)
            return RecordAssertion(token.id, user.id, matched.counter, now)
