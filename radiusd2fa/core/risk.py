"""How likely it is that somebody who only guesses gets in, by the settings of a site.

Plain arithmetic, no promise: the guesser is taken to try as often as the lock lets them, for a whole year, with the
password known. The usual estimate: 365 * guesses a day * valid codes / 10^digits.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.core.rules import Rules, ThrottleRules

WORTH_A_WARNING: Final = 0.01
_DAY: Final = 86_400.0


def guesses_a_day(throttle: ThrottleRules) -> float:
    """Return how often one account can be tried a day in the long run.

    Each try waits out the longest lock; and each login of the rightful owner, one a day, gives the guesser new ones.
    """
    return (throttle.max_failures - 1) + _DAY / throttle.max_lock


def yearly_risk(kind: str, digits: int, rules: Rules) -> float:
    """Return the probability (0 to 1) that a year of guessing at one token succeeds."""
    valid = 1 + rules.hotp.look_ahead if kind == "hotp" else 1 + 2 * rules.totp.steps_either_side
    risk: float = 365 * guesses_a_day(rules.throttle) * valid / 10**digits
    return min(1.0, risk)
