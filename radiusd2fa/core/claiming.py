"""Taking a token out of the stock by oneself: password, the serial that is printed on it, and the code that it shows.

Pure, and it accepts nobody. A serial that does not exist, or is somebody's, cannot be told from a wrong code, and a
wrong one is a guess like any other. Answers to no RFC; the codes are those of RFC 4226 and RFC 6238.
"""

from __future__ import annotations

import re
from typing import Final

from radiusd2fa.core.answer import read_typed
from radiusd2fa.core.finding import Beyond, Claimed, Matched, Used, is_valid
from radiusd2fa.core.judging import DECOY, Facts, Judgement, why_nobody, working_tokens
from radiusd2fa.core.model import NeedToken, NoteResyncCandidate, PendingChallenge, Reason
from radiusd2fa.core.sheets import SHEETS

_CLAIM: Final = re.compile(rb"\s*([!-~]{1,64}?)[\s,;]+(\S+)\s*")


def may_claim(facts: Facts) -> bool:
    """Whether the rule lets this person take a token: who has one that works gets the next from an administrator."""
    if not facts.rule.self_assign or not facts.backend.checks or facts.blind:
        return False
    return all(token.kind in SHEETS for token in working_tokens(facts))


def is_empty_handed(facts: Facts) -> bool:
    """Whether nothing but a new token could answer, not even a sheet of codes."""
    return may_claim(facts) and not any(token.kind in facts.rule.kinds for token in working_tokens(facts))


def claim(facts: Facts, challenge: PendingChallenge, text: bytes) -> Judgement | NeedToken | None:
    """Judge what was typed as serial and code; None when it is not that, or not for this person to say."""
    if not challenge.password_passed or not may_claim(facts):
        return None
    typed = _CLAIM.fullmatch(text)
    answer = None if typed is None else read_typed(typed[2])
    if typed is None or answer is None:
        return None
    nobody = why_nobody(facts)
    serial = typed[1].decode()
    if serial not in facts.known.stock:
        return NeedToken(serial)
    token = facts.known.stock[serial]
    wrong = Judgement(nobody or Reason.WRONG_CODE, counts=True)
    if token is None or nobody is not None or token.kind not in facts.rule.factors or not is_valid(token, facts.now):
        facts.factors[DECOY.kind](DECOY, answer, facts.now, facts.rules)
        return wrong
    match facts.factors[token.kind](token, answer, facts.now, facts.rules):
        case Matched(_, to, drift):
            return Judgement(Reason.SELF_ASSIGNED, token, Claimed(to, drift))
        case Beyond(moving_factor):
            until = facts.now + facts.rules.challenge.resync_lifetime
            return Judgement(
                Reason.WRONG_CODE, token, counts=True, notes=(NoteResyncCandidate(token.id, moving_factor, until),)
            )
        case Used():
            return Judgement(Reason.REPLAYED, token, genuine=True)
        case _:
            return wrong
