"""TOTP, time-based one-time passwords: RFC 6238.

Finds which time step a code belongs to and how far the token's clock has drifted; the clock is handed in.
The moving factor of a TOTP token is the last step that was accepted, so a clock set back re-opens nothing.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.core.answer import Answer
from radiusd2fa.core.finding import Beyond, Finding, Matched, NotFound, Used, successor_wanted
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules, TotpRules
from radiusd2fa.factors.hotp import code_maker, nearest

KIND: Final = "totp"
MIN_STEP: Final = 15
MAX_STEP: Final = 120
"""Seconds that a code is shown."""


def step_at(now: float, step: int) -> int:
    """Return T, the number of whole steps since 1970 (RFC 6238 4.2 with T0 = 0)."""
    return int(now // step)


def find(token: Token, answer: Answer, now: float, rules: Rules) -> Finding:
    """Say where in the token's life this answer stands."""
    if not answer.may_have(token.digits):
        return NotFound()
    code = code_maker(token.secret, token.algorithm, token.digits)
    here = step_at(now, token.step)
    centre = here + token.drift
    either_side = rules.totp.steps_either_side + _widening(token, now, rules.totp)
    low, high = max(0, centre - either_side), centre + either_side
    # "The verifier MUST NOT accept the second attempt of the OTP after the successful validation" (RFC 6238 5.2)
    matched = nearest(code, answer, range(max(low, token.moving_factor + 1), high + 1))
    if matched is not None:
        return Matched(at=matched, to=matched, drift=_bounded(matched - here, rules.totp))
    successor = successor_wanted(token, now)
    if successor is not None and successor > token.moving_factor and answer.equals(code(successor)):
        return Matched(at=successor, to=successor, drift=_bounded(successor - here, rules.totp), resynchronised=True)
    if nearest(code, answer, range(low, min(high, token.moving_factor) + 1)) is not None:
        return Used()
    reach = min(rules.totp.resync_steps, rules.totp.max_drift)
    beyond = nearest(code, answer, range(max(0, here - reach, token.moving_factor + 1), here + reach + 1))
    return NotFound() if beyond is None else Beyond(beyond)


def _bounded(drift: int, rules: TotpRules) -> int:
    return max(-rules.max_drift, min(rules.max_drift, drift))


def _widening(token: Token, now: float, rules: TotpRules) -> int:
    """A fob that lay in a drawer may have drifted further (RFC 6238 6): one step more for each idle period."""
    if not rules.widen_every or token.last_used is None:
        return 0
    return max(0, min(rules.widen_at_most, int((now - token.last_used) // rules.widen_every)))
