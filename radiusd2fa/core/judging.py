"""Judging a code: which of a user's tokens shows it, if any may speak for that user now.

Pure, and it decides nothing: whether a right code lets anybody in is login.py's business. For somebody who has no token
that counts the same work is done for nobody (RFC 4226 7.2, RFC 6238 5.2 say what makes a code right).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from radiusd2fa.core.answer import CodeAnswer, TypedCode
from radiusd2fa.core.finding import Beyond, Find, Matched, Used, is_usable
from radiusd2fa.core.model import AccessRequest, Known, NoteResyncCandidate, Reason, Token
from radiusd2fa.core.record import record
from radiusd2fa.core.rules import Rule, Rules

NO_RULE: Final = Rule(name="", factors=())
"""For whom no rule fits: no factor counts."""
DECOY: Final = Token(id=0, serial="", kind="hotp", moving_factor=0, secret=bytes(20))
"""Nobody's token, for work that must take its time."""


@record
class Facts:
    """Everything that one decision looks at."""

    request: AccessRequest
    name: str
    known: Known
    now: float
    nonce: bytes = field(repr=False)
    rules: Rules
    rule: Rule
    factors: Mapping[str, Find]


@record
class Judgement:
    """What the tokens say about an answer."""

    reason: Reason
    token: Token | None = None
    matched: Matched | None = None
    counts: bool = False
    """Whether a refusal is a guess that the throttle must count."""
    notes: tuple[NoteResyncCandidate, ...] = ()


def usable_tokens(facts: Facts) -> tuple[Token, ...]:
    """The tokens that may speak for this user now, in the rule's order. Locked and disabled users have none."""
    user = facts.known.user
    if user is None or not user.enabled or user.locked_until > facts.now:
        return ()
    order = facts.rule.factors
    tokens = [token for token in user.tokens if token.kind in order and is_usable(token, facts.now)]
    return tuple(sorted(tokens, key=lambda token: order.index(token.kind))) if len(tokens) > 1 else tuple(tokens)


def judge(facts: Facts, answer: CodeAnswer | None) -> Judgement:
    """Hold an answer against every usable token; where there is none the same work is done for nobody."""
    tokens = usable_tokens(facts)
    reason = Reason.WRONG_CODE if tokens else _why_no_token(facts)
    if answer is None:
        return Judgement(Reason.NO_CODE if tokens else reason)
    if not tokens:
        facts.factors[DECOY.kind](DECOY, answer, facts.now, facts.rules)
        return Judgement(reason, counts=True)
    judged: Token | None = tokens[0] if len(tokens) == 1 else None
    counts = True
    notes: list[NoteResyncCandidate] = []
    for token in tokens:
        finding = facts.factors[token.kind](token, answer, facts.now, facts.rules)
        match finding:
            case Matched():
                ok = Reason.RESYNCHRONISED if finding.resynchronised else Reason.OK
                return Judgement(ok, token, finding)
            case Beyond():
                until = facts.now + facts.rules.challenge.resync_lifetime
                notes.append(NoteResyncCandidate(token.id, finding.moving_factor, until))
            case Used():
                # refused, but no guess: or whoever repeats an old packet could lock its sender
                reason, judged, counts = Reason.REPLAYED, token, False
            case _:
                pass
    return Judgement(reason, judged, counts=counts, notes=tuple(notes))


def judge_unseen(facts: Facts, code: bytes) -> Judgement:
    """Judge a code whose password is not settled yet: a right one takes as long as a wrong one."""
    answer = TypedCode.read(code)
    judgement = judge(facts, answer)
    if judgement.matched is not None and answer is not None:
        facts.factors[DECOY.kind](DECOY, answer, facts.now, facts.rules)
    return judgement


def _why_no_token(facts: Facts) -> Reason:
    user = facts.known.user
    if user is None:
        return Reason.UNKNOWN_USER
    if not user.enabled:
        return Reason.DISABLED_USER
    if facts.rule is NO_RULE:
        return Reason.NO_RULE
    return Reason.LOCKED if user.locked_until > facts.now else Reason.NO_TOKEN
