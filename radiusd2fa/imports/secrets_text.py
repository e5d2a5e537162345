"""Seeds as people and vendors write them: hex, base32 and base64, with spaces, dashes and small letters.

A reader gives the octets or None; it never repairs a character that is none of the alphabet's, and never says what it
has read. The alphabets are those of RFC 4648 4 (base64), 6 (base32) and 8 (base16); padding may be missing (3.2).
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

_BETWEEN_GROUPS: Final = str.maketrans("", "", " -\t")


def hex_seed(text: str) -> bytes | None:
    """Read base16; None when it is none, is empty, or lacks half an octet."""
    digits = text.translate(_BETWEEN_GROUPS)
    if not digits or not digits.isascii():
        return None
    try:
        return binascii.unhexlify(digits)
    except binascii.Error:
        return None


def base32_seed(text: str) -> bytes | None:
    """Read base32, padded as it should be or not at all; None when it is none, or no octets come out so long."""
    # before upper(), which makes ASCII letters of two that are none (U+0131, U+017F)
    if not text.isascii():
        return None
    written = text.translate(_BETWEEN_GROUPS).upper()
    letters = written.rstrip("=")
    if not letters:
        return None
    padded = letters + "=" * (-len(letters) % 8)
    if written not in (letters, padded):
        return None
    try:
        # refuses the lengths that no number of octets comes out as
        return base64.b32decode(padded)
    except binascii.Error:
        return None


def base64_seed(text: str) -> bytes | None:
    """Read base64, padded as it should be or not at all; line breaks and spaces inside count for nothing."""
    written = "".join(text.split())
    letters = written.rstrip("=")
    if not letters or not letters.isascii() or len(letters) % 4 == 1:
        return None
    padded = letters + "=" * (-len(letters) % 4)
    if written not in (letters, padded):
        return None
    try:
        return base64.b64decode(padded, validate=True)
    except binascii.Error:
        return None


def hex_or_base32(text: str) -> bytes | None:
    """Read a seed of which nobody says how it is written; what can be both is hex.

    A random seed in hex uses only characters of base32 once in some ten thousand times; a random one in base32 uses
    only those of hex less than once in a million.
    """
    octets = hex_seed(text)
    return base32_seed(text) if octets is None else octets
