"""Judging an answer: which of a user's tokens gave it, if any may speak for that user now.

Pure, and it decides nothing: whether a right code lets anybody in is login.py's business. For somebody who has no token
that counts the same work is done for nobody. What makes an answer right: RFC 4226 7.2, RFC 6238 5.2, WebAuthn 7.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from radiusd2fa.core.answer import Answer, KeyAnswer, read_typed
from radiusd2fa.core.finding import Asserted, Beyond, Find, Matched, Refused, Right, Spare, Used, is_usable
from radiusd2fa.core.model import AccessRequest, Flow, Known, NoteResyncCandidate, Reason, Token
from radiusd2fa.core.record import record
from radiusd2fa.core.rules import NO_RULE, Backend, Rule, Rules
from radiusd2fa.core.sheets import BREAK_GLASS, SHEETS

DECOY: Final = Token(id=0, serial="", kind="hotp", moving_factor=0, secret=bytes(20))
"""Nobody's token, for work that must take its time."""
MOST_DIGITS: Final = 8
"""Of a fob. What is longer is decrypted or looked up, which takes no time worth hiding."""


@record
class Facts:
    """Everything that one decision looks at."""

    request: AccessRequest
    name: str
    known: Known
    now: float
    nonce: bytes = field(repr=False)
    site: Rules
    """What the site says."""
    rules: Rules
    """The same under this login's rule."""
    rule: Rule
    flow: Flow
    blind: bool
    """Whether a wrong password must not show before the end."""
    backend: Backend
    """Who checks the password."""
    groups: tuple[str, ...]
    """Those of the person: fresh from the directory when it has answered, else as it said last time."""
    factors: Mapping[str, Find]


@record
class Judgement:
    """What the tokens say about an answer."""

    reason: Reason
    token: Token | None = None
    matched: Right | None = None
    counts: bool = False
    """Whether a refusal is a guess that the throttle must count."""
    genuine: bool = False
    """Whether the token did give this answer, though it is refused: nobody guesses who can do that."""
    notes: tuple[NoteResyncCandidate, ...] = ()


def usable_tokens(facts: Facts) -> Sequence[Token]:
    """The tokens that may speak for this user now, in the rule's order. Locked and disabled users have none."""
    order = facts.rule.kinds
    user = facts.known.user
    if user is None or not user.enabled or user.locked_until > facts.now:
        return ()
    tokens = [token for token in user.tokens if token.kind in order and is_usable(token, facts.now)]
    if len(tokens) > 1:
        tokens.sort(key=lambda token: order.index(token.kind))
    return tokens


def working_tokens(facts: Facts) -> list[Token]:
    """The tokens of this user that work now, whatever the rule says of them, and whether or not the user is locked."""
    user = facts.known.user
    return [] if user is None else [token for token in user.tokens if is_usable(token, facts.now)]


def judge(facts: Facts, answer: Answer | Reason) -> Judgement:
    """Hold an answer against every usable token; a code that none of them could show is worked on for nobody.

    A Reason stands for what was no answer at all. A key's response for somebody else costs nothing, so neither does it
    here.
    """
    tokens = usable_tokens(facts)
    if isinstance(answer, Reason):
        return Judgement(answer if tokens else _why_no_token(facts))
    by_key = isinstance(answer, KeyAnswer)
    if not by_key and not any(0 < token.digits <= MOST_DIGITS for token in tokens):
        facts.factors[DECOY.kind](DECOY, answer, facts.now, facts.rules)
    if not tokens:
        return Judgement(_why_no_token(facts), counts=not by_key)
    found: Judgement | None = None
    notes: list[NoteResyncCandidate] = []
    for token in tokens:
        finding = facts.factors[token.kind](token, answer, facts.now, facts.rules)
        match finding:
            case Matched():
                ok = Reason.RESYNCHRONISED if finding.resynchronised else Reason.OK
                return Judgement(ok, token, finding)
            case Spare():
                return Judgement(Reason.EMERGENCY if token.kind == BREAK_GLASS.kind else Reason.OK, token, finding)
            case Asserted():
                return Judgement(Reason.OK, token, finding)
            case Beyond():
                until = facts.now + facts.rules.challenge.resync_lifetime
                notes.append(NoteResyncCandidate(token.id, finding.moving_factor, until))
            case Used():
                # refused, but no guess: or whoever repeats an old packet could lock its sender
                found = Judgement(Reason.REPLAYED, token, genuine=True)
            case Refused():
                found = Judgement(finding.reason, token, genuine=True)
            case _:
                pass
    if found is None:
        # nobody guesses at a signature, so a device that spoils responses locks nobody out
        wrong = Reason.WRONG_KEY_RESPONSE if by_key else Reason.WRONG_CODE
        likely = [token for token in tokens if token.kind not in SHEETS]
        found = Judgement(wrong, likely[0] if len(likely) == 1 else None, counts=not by_key)
    return replace(found, notes=tuple(notes)) if notes else found


def judge_unseen(facts: Facts, code: bytes) -> Judgement:
    """Judge a code whose password is not settled yet: a right one takes as long as a wrong one."""
    answer = read_typed(code) or Reason.NO_CODE
    judgement = judge(facts, answer)
    if judgement.matched is not None and not isinstance(answer, Reason):
        facts.factors[DECOY.kind](DECOY, answer, facts.now, facts.rules)
    return judgement


def _why_no_token(facts: Facts) -> Reason:
    return why_nobody(facts) or Reason.NO_TOKEN


def why_nobody(facts: Facts) -> Reason | None:
    """Return why no token at all may speak for this user now; None: one may."""
    user = facts.known.user
    if user is None:
        return Reason.UNKNOWN_USER
    if not user.enabled:
        return Reason.DISABLED_USER
    if facts.rule is NO_RULE:
        return Reason.NO_RULE
    return Reason.LOCKED if user.locked_until > facts.now else None
