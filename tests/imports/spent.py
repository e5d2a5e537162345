"""Whether a code that another system has taken would count here: asked of the factors themselves.

It keeps nothing and knows no store. RFC 4226 7.2, RFC 6238 5.2.
"""

from __future__ import annotations

from radiusd2fa.core.answer import TypedCode
from radiusd2fa.core.finding import Beyond, Finding, Matched
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules
from radiusd2fa.factors import hotp, totp
from radiusd2fa.imports.seeds import Seed


def counts(seed: Seed, code: str, now: float) -> bool:
    """Say whether this code opens anything here at that time, at once or as one of two."""
    return isinstance(_found(seed, code, now), Matched | Beyond)


def is_next(seed: Seed, code: str, now: float) -> bool:
    """Say whether this code is the very one that is awaited."""
    found = _found(seed, code, now)
    return isinstance(found, Matched) and found.at == seed.moving_factor


def _found(seed: Seed, code: str, now: float) -> Finding:
    token = Token(
        id=1,
        serial=seed.serial,
        kind=seed.kind,
        moving_factor=seed.moving_factor,
        secret=seed.secret,
        digits=seed.digits,
        algorithm=seed.algorithm,
        step=seed.step,
        drift=seed.drift,
    )
    answer = TypedCode.read(code.encode())
    assert answer is not None
    find = hotp.find if seed.kind == "hotp" else totp.find
    return find(token, answer, now, Rules())
