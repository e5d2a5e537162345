"""HOTP, event-based one-time passwords: RFC 4226.

Finds which counter a code belongs to; it remembers nothing and spends nothing, that is the store's work.
The moving factor of a HOTP token is the next counter that may be used.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Any, Final

from radiusd2fa.core.answer import Answer
from radiusd2fa.core.finding import Beyond, Finding, Matched, NotFound, Used, successor_wanted
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules

KIND: Final = "hotp"
ALGORITHMS: Final = ("sha1", "sha256", "sha512")
DIGITS: Final = (6, 7, 8)
MIN_SEED_OCTETS: Final = 10
"""80 bits. RFC 4226 4 R6 asks for 128, but many fobs in people's hands have 80."""
MAX_SEED_OCTETS: Final = 128
"""The longest hash block; longer seeds add nothing (RFC 2104 3)."""

_HASHES: Final[dict[str, tuple[Callable[..., Any], int]]] = {
    "sha1": (hashlib.sha1, 64),
    "sha256": (hashlib.sha256, 64),
    "sha512": (hashlib.sha512, 128),
}
"""Each with the octets of its block (RFC 2104 2)."""

CodeMaker = Callable[[int], bytes]


def code_maker(secret: bytes, algorithm: str, digits: int) -> CodeMaker:
    """Return a function from counter to code (RFC 4226 5.3); the HMAC key is prepared once for a whole window."""
    new, block = _HASHES[algorithm]
    key = (new(secret).digest() if len(secret) > block else secret).ljust(block, b"\0")
    inner, outer = key.translate(hmac.trans_36), key.translate(hmac.trans_5C)
    modulus = 10**digits

    def code(counter: int) -> bytes:
        # hashing the padded key again costs less than copying a hash that has read it
        digest: bytes = new(outer + new(inner + counter.to_bytes(8, "big")).digest()).digest()
        # "Let OffsetBits be the low-order 4 bits of String[19]": the last octet, whatever the hash's length
        offset = digest[-1] & 0x0F
        number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
        return b"%0*d" % (digits, number % modulus)

    return code


def find(token: Token, answer: Answer, now: float, rules: Rules) -> Finding:
    """Say where in the token's life this answer stands."""
    if not answer.may_have(token.digits):
        return NotFound()
    code = code_maker(token.secret, token.algorithm, token.digits)
    expected, look_ahead = token.moving_factor, rules.hotp.look_ahead
    ahead = nearest(code, answer, range(expected, expected + look_ahead + 1))
    if ahead is not None:
        return Matched(at=ahead, to=ahead + 1, drift=0)
    successor = successor_wanted(token, now)
    if successor is not None and successor > expected and answer.equals(code(successor)):
        return Matched(at=successor, to=successor + 1, drift=0, resynchronised=True)
    beyond = nearest(code, answer, range(expected + look_ahead + 1, expected + rules.hotp.resync_window + 1))
    if beyond is not None:
        return Beyond(beyond)
    used = nearest(code, answer, range(max(0, expected - look_ahead - 1), expected))
    return NotFound() if used is None else Used()


def nearest(code: CodeMaker, answer: Answer, moving_factors: Iterable[int]) -> int | None:
    """Return the first moving factor whose code equals the answer.

    It stops there: only somebody who holds the token can tell how far it had run ahead, and a wrong answer always
    walks the whole window. When a refusal leaves is fixed elsewhere (``reject_delay``).
    """
    for moving_factor in moving_factors:
        if answer.equals(code(moving_factor)):
            return moving_factor
    return None
