"""The decision machine: known facts in, outcome out.

It never waits, looks at no clock and keeps nothing; a missing fact is a return value (NeedPrimary), a change of the
world is an effect. It answers to RFC 2865 4 (challenge and response); the only Access-Accept of the program is
built at the end of this file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from radiusd2fa.core.answer import ChapAnswer, CodeAnswer, TypedCode
from radiusd2fa.core.finding import Beyond, Find, Matched, Used, is_usable
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    ClearFailures,
    CloseChallenge,
    Effect,
    Flow,
    Known,
    NeedPrimary,
    NoteResyncCandidate,
    OpenChallenge,
    Outcome,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    RecordCallerFailure,
    RecordFailure,
    Reject,
    ReplacePasswordHash,
    Silence,
    Token,
    User,
    Verdict,
)
from radiusd2fa.core.rules import FACTORS, Rule, Rules

NONCE_OCTETS: Final = 24
"""Fresh random octets for each decision: 16 become the State, 8 the id of the login."""

_SSHD_JUNK: Final = b"\b\n\r\x7fINCORRECT"
_DECOY: Final = Token(id=0, serial="", kind="hotp", moving_factor=0, secret=bytes(20))


@dataclass(frozen=True, slots=True)
class _Facts:
    """Everything that one decision looks at."""

    request: AccessRequest
    name: str
    known: Known
    now: float
    nonce: bytes = field(repr=False)
    rules: Rules
    rule: Rule
    factors: Mapping[str, Find]


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What the tokens say about an answer."""

    reason: Reason
    token: Token | None = None
    matched: Matched | None = None
    counts: bool = False
    """Whether a refusal is a guess that the throttle must count."""
    notes: tuple[NoteResyncCandidate, ...] = ()


def login_id(known: Known, nonce: bytes) -> str:
    """Return the id that ties together all packets of the login to which this packet belongs."""
    return known.challenge.login if known.challenge is not None else nonce[16:].hex()


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
    rule = rules.for_login(request.nas.name, request.user_name, known.user.groups if known.user else ())
    if rule is None:
        return Reject(Reason.NO_RULE)
    facts = _Facts(request, request.user_name, known, now, nonce, rules, rule, factors)
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


def _first_packet(facts: _Facts, password: bytes) -> Outcome:
    flow = facts.request.nas.flow
    if password.startswith(b"SCRV1:"):
        return _static_challenge(facts, password)
    match flow:
        case Flow.CODE_ONLY:
            return _code_alone(facts, password)
        case Flow.CHALLENGE:
            return _password_first(facts, password)
        case Flow.APPEND | Flow.PREPEND:
            return _best_split(facts, _splits(facts, password)) or _together(facts, password, b"")
        case Flow.AUTO:
            return _auto(facts, password)


def _password_first(facts: _Facts, password: bytes, closing: tuple[Effect, ...] = ()) -> Outcome:
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
            return _ask_for_code(facts, (*closing, *_rehash(facts, answer)))


def _code_alone(facts: _Facts, octets: bytes) -> Outcome:
    """The NAS, or nobody, has checked the password: the code is all there is."""
    if not octets:
        return _ask_for_code(facts)
    judgement = _judge(facts, TypedCode.read(octets))
    if judgement.matched is None:
        return _refuse(facts, judgement)
    return _accept(facts, judgement, password_settled=True)


def _chap(facts: _Facts, answer: ChapAnswer) -> Outcome:
    """CHAP hashes one text, so it can carry a code and nothing else; elsewhere it is refused and not counted."""
    if facts.request.nas.flow is not Flow.CODE_ONLY or facts.request.state is not None:
        return Reject(Reason.CHAP_NOT_POSSIBLE)
    judgement = _judge(facts, answer)
    if judgement.matched is None:
        return _refuse(facts, judgement)
    return _accept(facts, judgement, password_settled=True)


def _together(facts: _Facts, password: bytes, code: bytes) -> Outcome:
    """Password and code in one packet: the code is judged first and spent only when both are right."""
    judgement = _judge(facts, TypedCode.read(code))
    answer = facts.known.primary.get(password)
    if answer is None:
        return NeedPrimary(password)
    match answer.verdict:
        case Verdict.UNAVAILABLE:
            return Silence(Reason.PRIMARY_UNAVAILABLE)
        case Verdict.REFUSED:
            return _wrong_password(facts)
        case Verdict.PASSED if judgement.matched is None:
            return _refuse(facts, judgement, _rehash(facts, answer))
        case Verdict.PASSED:
            return _accept(facts, judgement, _rehash(facts, answer), password_settled=True)


def _auto(facts: _Facts, text: bytes) -> Outcome:
    """A right code at the end means both at once; otherwise the whole may be a password, even one ending in digits."""
    splits = _splits(facts, text)
    for password, code in splits:
        if _judge(facts, TypedCode.read(code)).matched is not None:
            return _together(facts, password, code)
    if splits and not facts.rules.primary_checks:
        return _together(facts, *splits[0])  # nothing tells a password from a guess here, so it is a guess
    outcome = _password_first(facts, text)
    if splits and isinstance(outcome, Reject):
        return _together(facts, *splits[0])  # the password before a wrong code decides whether the guess counts
    return outcome


def _static_challenge(facts: _Facts, text: bytes) -> Outcome:
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
    return _together(facts, password, code)


def _splits(facts: _Facts, text: bytes) -> list[tuple[bytes, bytes]]:
    """All ways to read password and code out of one text, by the lengths of the codes that this user's tokens show."""
    tokens = _usable_tokens(facts) or (_DECOY,)
    lengths = dict.fromkeys(token.digits for token in tokens)
    if facts.request.nas.flow is Flow.PREPEND:
        parts = [(text[n:], text[:n]) for n in lengths]
    else:
        parts = [(text[:-n], text[-n:]) for n in lengths]
    return [(password, code) for password, code in parts if TypedCode.read(code) is not None]


def _best_split(facts: _Facts, splits: list[tuple[bytes, bytes]]) -> Outcome | None:
    """Take the reading whose code is right, else the first: one question to the primary backend, not several."""
    for password, code in splits:
        if _judge(facts, TypedCode.read(code)).matched is not None:
            return _together(facts, password, code)
    return _together(facts, *splits[0]) if splits else None


def _is_sshd_junk(password: bytes) -> bool:
    """sshd sends this in place of the password of somebody whom the host does not know, cut to the typed length."""
    if not password.startswith(b"\b"):
        return False
    return password == (_SSHD_JUNK * (len(password) // len(_SSHD_JUNK) + 1))[: len(password)]


# --- the answer to a challenge ---------------------------------------------------------------------------------------


def _answered(facts: _Facts, text: bytes) -> Outcome:
    """A State is a reference to one stored question; it must be this client's, this person's, and still open."""
    challenge = facts.known.challenge
    if challenge is None or challenge.nas != facts.request.nas.name or challenge.user_name != facts.name:
        return Reject(Reason.CHALLENGE_UNKNOWN)
    if challenge.expires <= facts.now:
        return Reject(Reason.CHALLENGE_EXPIRED)
    closing = CloseChallenge(challenge.handle, facts.now)
    match challenge.kind:
        case ChallengeKind.PASSWORD:
            return _password_first(facts, text, (closing,))
        case ChallengeKind.CODE:
            return _code_answered(facts, challenge, closing, text)


def _code_answered(facts: _Facts, challenge: PendingChallenge, closing: CloseChallenge, text: bytes) -> Outcome:
    judgement = _judge(facts, TypedCode.read(text))
    if judgement.matched is not None:
        return _accept(facts, judgement, (closing,), password_settled=True)
    if challenge.tries > 1:
        effects = (closing, *_counted(facts, judgement))
        return _ask(
            facts, ChallengeKind.CODE, facts.rules.challenge.next_code_prompt, effects, challenge.tries - 1, judgement
        )
    return _refuse(facts, judgement, (closing,))


# --- questions -------------------------------------------------------------------------------------------------------


def _ask_for_password(facts: _Facts) -> Challenge:
    return _ask(facts, ChallengeKind.PASSWORD, facts.rules.challenge.password_prompt, (), 1)


def _ask_for_code(facts: _Facts, effects: tuple[Effect, ...] = ()) -> Challenge:
    return _ask(facts, ChallengeKind.CODE, facts.rules.challenge.code_prompt, effects, facts.rules.challenge.tries)


def _ask(
    facts: _Facts,
    kind: ChallengeKind,
    prompt: str,
    effects: tuple[Effect, ...],
    tries: int,
    judgement: _Judgement | None = None,
) -> Challenge:
    challenge = PendingChallenge(
        handle=facts.nonce[:16].hex(),
        nas=facts.request.nas.name,
        user_name=facts.name,
        kind=kind,
        login=login_id(facts.known, facts.nonce),
        expires=facts.now + facts.rules.challenge.lifetime,
        tries=tries,
    )
    wanted = Reason.PASSWORD_WANTED if kind is ChallengeKind.PASSWORD else Reason.CODE_WANTED
    return Challenge(
        effects=(*effects, OpenChallenge(challenge)),
        prompt=prompt,
        state=challenge.handle,
        reason=wanted if judgement is None else judgement.reason,
        hidden=kind is ChallengeKind.PASSWORD,
        token=None if judgement is None else judgement.token,
    )


# --- judging ---------------------------------------------------------------------------------------------------------


def _usable_tokens(facts: _Facts) -> tuple[Token, ...]:
    """The tokens that may speak for this user now, in the rule's order. Locked and disabled users have none."""
    user = facts.known.user
    if user is None or not user.enabled or user.locked_until > facts.now:
        return ()
    order = facts.rule.factors
    tokens = [token for token in user.tokens if token.kind in order and is_usable(token, facts.now)]
    return tuple(sorted(tokens, key=lambda token: order.index(token.kind))) if len(tokens) > 1 else tuple(tokens)


def _judge(facts: _Facts, answer: CodeAnswer | None) -> _Judgement:
    """Hold an answer against every usable token; where there is none the same work is done for nobody."""
    tokens = _usable_tokens(facts)
    reason = _why_no_token(facts.known.user, facts.now) if not tokens else Reason.WRONG_CODE
    if answer is None:
        return _Judgement(Reason.NO_CODE if tokens else reason)
    if not tokens:
        facts.factors[_DECOY.kind](_DECOY, answer, facts.now, facts.rules)
        return _Judgement(reason, counts=True)
    judged: Token | None = tokens[0] if len(tokens) == 1 else None
    notes: list[NoteResyncCandidate] = []
    for token in tokens:
        finding = facts.factors[token.kind](token, answer, facts.now, facts.rules)
        match finding:
            case Matched():
                ok = Reason.RESYNCHRONISED if finding.resynchronised else Reason.OK
                return _Judgement(ok, token, finding)
            case Beyond():
                until = facts.now + facts.rules.challenge.resync_lifetime
                notes.append(NoteResyncCandidate(token.id, finding.moving_factor, until))
            case Used():
                reason, judged = Reason.REPLAYED, token
            case _:
                pass
    return _Judgement(reason, judged, counts=True, notes=tuple(notes))


def _why_no_token(user: User | None, now: float) -> Reason:
    if user is None:
        return Reason.UNKNOWN_USER
    if not user.enabled:
        return Reason.DISABLED_USER
    return Reason.LOCKED if user.locked_until > now else Reason.NO_TOKEN


# --- refusing --------------------------------------------------------------------------------------------------------


def _refuse(facts: _Facts, judgement: _Judgement, effects: tuple[Effect, ...] = ()) -> Reject:
    return Reject(judgement.reason, (*effects, *_counted(facts, judgement)), judgement.token)


def _wrong_password(facts: _Facts, effects: tuple[Effect, ...] = ()) -> Reject:
    """Counts against the caller only: nobody can lock somebody else's account by guessing at the password."""
    reason = Reason.UNKNOWN_USER if facts.known.user is None else Reason.WRONG_PASSWORD
    return Reject(reason, (*effects, *_counted_against_caller(facts)))


def _counted(facts: _Facts, judgement: _Judgement) -> tuple[Effect, ...]:
    """A wrong code after a right password, or where there is no password, counts against the user too."""
    user, throttle = facts.known.user, facts.rules.throttle
    effects: tuple[Effect, ...] = (*judgement.notes, *_counted_against_caller(facts))
    if user is None or not judgement.counts:
        return effects
    return (
        RecordFailure(user.id, facts.now, throttle.max_failures, throttle.first_lock, throttle.max_lock),
        *effects,
    )


def _counted_against_caller(facts: _Facts) -> tuple[Effect, ...]:
    request, throttle = facts.request, facts.rules.throttle
    if not request.caller:
        return ()
    return (
        RecordCallerFailure(
            request.nas.name, request.caller, facts.now, throttle.caller_max_failures, throttle.caller_window
        ),
    )


def _rehash(facts: _Facts, answer: PrimaryAnswer) -> tuple[Effect, ...]:
    user = facts.known.user
    if answer.rehashed is None or user is None or user.password_hash is None:
        return ()
    return (ReplacePasswordHash(user.id, user.password_hash, answer.rehashed),)


# --- accepting -------------------------------------------------------------------------------------------------------


def _accept(
    facts: _Facts, judgement: _Judgement, effects: tuple[Effect, ...] = (), *, password_settled: bool
) -> Accept:
    """Build the one Access-Accept: password settled, code right and new, its user known and able to log in."""
    user, token, matched = facts.known.user, judgement.token, judgement.matched
    if not (password_settled and user and user.enabled and token in user.tokens and matched):
        msg = "an Accept needs every factor"
        raise AssertionError(msg)
    assert token is not None  # noqa: S101 - for the type checker: it is one of the user's tokens
    spending = AdvanceMovingFactor(token.id, user.id, matched.to, matched.drift, facts.now)
    forgetting: tuple[Effect, ...] = (ClearFailures(user.id),) if user.failures else ()
    return Accept((spending, *effects, *forgetting), token, judgement.reason)


assert set(FACTORS) >= {_DECOY.kind}  # noqa: S101 - the decoy does the work of a factor that exists
