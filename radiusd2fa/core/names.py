"""One person, one name: the canonical form of a user name, computed once and used for everything.

A name is refused rather than repaired; what cannot be a name is nobody's name. Tokens, locks, challenges and
audit rows are all keyed by the canonical form (RFC 8265 in spirit: NFC, case-folded, no controls).
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_OCTETS: Final = 253
"""A User-Name attribute holds no more (RFC 2865 5.1)."""

_NEVER_IN_A_NAME: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def canonical(raw: bytes, *, strip_realm: bool = False) -> str | None:
    """Return the canonical name, or None when these octets can be nobody's name.

    ``strip_realm`` lets ``DOMAIN\\user`` and ``user@realm`` both mean ``user``.
    """
    if len(raw) > MAX_OCTETS:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if text.isascii() and text.isalnum():  # the everyday name takes the short way
        return text.lower()
    if strip_realm:
        text = text.rpartition("\\")[2].partition("@")[0]
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    if not folded or folded != folded.strip() or any(map(_is_never_in_a_name, folded)):
        return None
    if len(folded.encode()) > MAX_OCTETS:  # folding can make a name longer
        return None
    return folded


def _is_never_in_a_name(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _NEVER_IN_A_NAME or (category == "Zs" and character != " ")
