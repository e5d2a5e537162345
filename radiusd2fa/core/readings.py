"""How one typed text may be read: as password and code together, or as what sshd sends for somebody it does not know.

Pure, and it judges nothing. Which readings there are depends on the person's tokens, never on whether a code is right.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.core.answer import TypedCode
from radiusd2fa.core.judging import DECOY, Facts, able_tokens
from radiusd2fa.core.model import Flow

_SSHD_JUNK: Final = b"\b\n\r\x7fINCORRECT"


def is_sshd_junk(password: bytes) -> bool:
    """sshd sends this in place of the password of somebody whom the host does not know, cut to the typed length."""
    if not password.startswith(b"\b"):
        return False
    return password == (_SSHD_JUNK * (len(password) // len(_SSHD_JUNK) + 1))[: len(password)]


def readings_of(facts: Facts, text: bytes) -> list[tuple[bytes, bytes]]:
    """All ways to read password and code out of one text, by the lengths of the codes that this user's tokens show."""
    # the rule may be another one once the directory has said the groups, so it has no say here
    lengths = dict.fromkeys(token.digits for token in able_tokens(facts) or (DECOY,) if token.digits)
    if facts.flow is Flow.PREPEND:
        parts = [(text[n:], text[:n]) for n in lengths]
    else:
        parts = [(text[:-n], text[-n:]) for n in lengths]
    return [(password, code) for password, code in parts if TypedCode.read(code) is not None]
