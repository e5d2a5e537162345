"""Recovery codes: a sheet of codes made in advance, each good for one login (core.sheets).

It finds which code of the sheet was typed and whether it was used; it spends nothing. NIST SP 800-63B 3.1.2.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from radiusd2fa.core import sheets
from radiusd2fa.core.answer import Answer, TypedSpare
from radiusd2fa.core.finding import Finding, NotFound, Spare, Used
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules

KIND: Final = "recovery"


def find(token: Token, answer: Answer, now: float, rules: Rules) -> Finding:
    """Say which of the sheet's codes this is. All are compared, so time tells nothing."""
    if not isinstance(answer, TypedSpare) or answer.kind != token.kind:
        return NotFound()
    salt, kept = sheets.digests(token.secret)
    typed = sheets.digest(salt, answer.code)
    equal = [compare_digest(one, typed) for one in kept]
    if not any(equal):
        return NotFound()
    number = equal.index(True)
    return Used() if token.moving_factor >> number & 1 else Spare(number)
