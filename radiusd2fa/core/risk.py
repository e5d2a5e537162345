"""How likely it is that somebody who only guesses gets in, by the settings of a site.

Plain arithmetic, no promise: the guesser is taken to try as often as the lock lets them, for a whole year, with the
password known. The usual estimate: 365 * guesses a day * valid codes / possible codes.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.core.rules import Rules, ThrottleRules
from radiusd2fa.core.sheets import MOST_CODES, SHEETS

WORTH_A_WARNING: Final = 0.01
_DAY: Final = 86_400.0
_YUBICO_BITS: Final = 48 + 16
"""Of what a guess decrypts to, the private id and the checksum must be right; the counters need only be large."""


def guesses_a_day(throttle: ThrottleRules) -> float:
    """Return how often one account can be tried a day in the long run.

    Each try waits out the longest lock; and each login of the rightful owner, one a day, gives the guesser new ones.
    """
    return (throttle.max_failures - 1) + _DAY / throttle.max_lock


def yearly_risk(kind: str, digits: int, rules: Rules) -> float:
    """Return the probability (0 to 1) that a year of guessing at one token succeeds. ``digits`` are those of a fob."""
    risk = 365 * guesses_a_day(rules.throttle) * _share_of_valid_codes(kind, digits, rules)
    return min(1.0, risk)


def _share_of_valid_codes(kind: str, digits: int, rules: Rules) -> float:
    if kind in SHEETS:
        sheet = SHEETS[kind]
        valid, possible = MOST_CODES, (32 if sheet.letters else 10) ** sheet.length
    elif kind == "yubico":
        valid, possible = 1, 2**_YUBICO_BITS
    else:
        valid = 1 + rules.hotp.look_ahead if kind == "hotp" else 1 + 2 * rules.totp.steps_either_side
        possible = 10**digits
    return float(valid / possible)
