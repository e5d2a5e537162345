"""What a factor says about an answer, and what every factor of moving factors shares.

Values and two small questions about a token; nothing here knows how a code is made or a key signs.
The rule behind all of it: a moving factor that was accepted once is never accepted again (RFC 4226 7.2, RFC 6238 5.2).
"""

from __future__ import annotations

from collections.abc import Callable

from radiusd2fa.core.answer import Answer
from radiusd2fa.core.model import Reason, Token, TokenState
from radiusd2fa.core.record import record
from radiusd2fa.core.rules import Rules


@record
class Matched:
    """The answer is right and new; accepting it moves the token to ``to``."""

    at: int
    """The moving factor of the code itself."""
    to: int
    drift: int
    resynchronised: bool = False


@record
class Claimed:
    """The code is right and new, of a token that is nobody's yet; accepting it makes it the person's."""

    to: int
    drift: int


@record
class Spare:
    """The answer is one of a sheet's codes, and was not used before."""

    number: int


@record
class Asserted:
    """A key has signed what it was asked to sign, and its signature counter says so."""

    counter: int


@record
class Refused:
    """A key's answer that is its own and yet not good enough, for a reason worth telling apart in the log."""

    reason: Reason


@record
class Beyond:
    """The answer belongs to the token, but outside the window: not accepted; its direct successor will be."""

    moving_factor: int


@record
class Used:
    """The answer was right once."""


@record
class NotFound:
    """The answer is no code of this token anywhere near."""


Right = Matched | Spare | Claimed | Asserted
"""The findings that let somebody in."""

Finding = Matched | Spare | Asserted | Refused | Beyond | Used | NotFound

Find = Callable[[Token, Answer, float, Rules], Finding]
"""What a module of ``factors/`` offers: token, answer, now, rules -> finding."""


def is_usable(token: Token, now: float) -> bool:
    """Whether a token may log anybody in at that moment. Every path asks here and nowhere else."""
    if token.state is TokenState.ASSIGNED:
        handed_out = token.activate_by is None or now < token.activate_by
    else:
        handed_out = token.state is TokenState.ACTIVE
    return handed_out and is_valid(token, now)


def is_valid(token: Token, now: float) -> bool:
    """Whether the token's own time has begun and not ended, whoever has it."""
    return token.valid_from <= now and (token.valid_until is None or now < token.valid_until)


def successor_wanted(token: Token, now: float) -> int | None:
    """Return the moving factor that would complete a resynchronisation begun in time, or None."""
    if token.candidate is None or now >= token.candidate_until:
        return None
    return token.candidate + 1
