"""Two codes in a row bring a token back that has run away from us: RFC 4226 7.4, RFC 6238 6.

Pure, and the same search as at a login: it only ever moves a token forward, over the wider window.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from radiusd2fa.core.answer import TypedCode
from radiusd2fa.core.finding import Beyond, Find, Matched
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules


def resynchronise(token: Token, first: bytes, second: bytes, now: float, rules: Rules, find: Find) -> Matched | None:
    """Return where the token stands if the two codes are new and follow each other directly, else None."""
    one, two = TypedCode.read(first), TypedCode.read(second)
    if one is None or two is None:
        return None
    match find(token, one, now, rules):
        case Matched(at=at) | Beyond(moving_factor=at):
            pass
        case _:
            return None
    waiting = replace(token, candidate=at, candidate_until=inf)
    found = find(waiting, two, now, rules)
    return found if isinstance(found, Matched) and found.at == at + 1 else None
