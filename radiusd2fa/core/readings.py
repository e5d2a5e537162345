"""How one typed text may be read: as password and code together, or as what sshd sends for somebody it does not know.

Pure, and it judges nothing. Which readings there are depends on the person's tokens, never on whether a code is right.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.core.answer import TypedSpare, read_typed
from radiusd2fa.core.judging import DECOY, MOST_DIGITS, Facts, working_tokens
from radiusd2fa.core.model import Flow, Token
from radiusd2fa.core.sheets import SHEETS

_SSHD_JUNK: Final = b"\b\n\r\x7fINCORRECT"


def is_sshd_junk(password: bytes) -> bool:
    """sshd sends this in place of the password of somebody whom the host does not know, cut to the typed length."""
    if not password.startswith(b"\b"):
        return False
    return password == (_SSHD_JUNK * (len(password) // len(_SSHD_JUNK) + 1))[: len(password)]


def readings_of(facts: Facts, text: bytes) -> list[tuple[bytes, bytes]]:
    """All ways to read password and code out of one text, by the lengths of the codes that this user's tokens show."""
    # neither the lock nor the rule has a say here: what reaches a directory must not tell of the one, and the other
    # may be another one once the directory has said the groups
    tokens = [token for token in working_tokens(facts) if token.digits]
    lengths = dict.fromkeys(_length(token) for token in tokens or (DECOY,))
    if facts.flow is Flow.PREPEND:
        parts = [(text[n:], text[:n]) for n in lengths]
    else:
        parts = [(text[:-n], text[-n:]) for n in lengths]
    readings = [(password, code) for password, code in parts if _is_code(code)]
    # what has the shape of a longer code is hardly a password and a shorter one, and each reading may be asked about
    longest = max(readings, key=lambda reading: len(reading[1]), default=(b"", b""))
    return [longest] if len(longest[1]) > MOST_DIGITS else readings


def _length(token: Token) -> int:
    """How many characters the code takes; one of a sheet with its dashes, or too many passwords would end like one."""
    sheet = SHEETS.get(token.kind)
    return token.digits if sheet is None else sheet.lengths[0]


def _is_code(text: bytes) -> bool:
    typed = read_typed(text)
    return typed is not None and (not isinstance(typed, TypedSpare) or typed.is_spelled(text))
