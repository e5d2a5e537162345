"""Sheets of codes that were made in advance, each good for one login: recovery, temporary and emergency codes.

A sheet is a token of its own kind. Its codes are never kept, only a salt and a digest of each; the codes are random, so
one HMAC is hash enough. Pure: the random octets are handed in. How long a code must be: NIST SP 800-63B 3.1.2
(look-up secrets), 64 bits unless guessing is limited, which it is.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import field
from typing import Final

from radiusd2fa.core.record import record

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O, U, which people read as something else."""
_MISREAD: Final = str.maketrans("OIL", "011", "- ")
"""What people type, taken as what was meant; dashes and spaces go."""
_SALT_OCTETS: Final = 16
_DIGEST_OCTETS: Final = 16
MOST_CODES: Final = 60
"""The codes that were used are a bit each in one moving factor."""


@record
class Sheet:
    """What the codes of one kind look like."""

    kind: str
    length: int
    """Characters of a code, all of them random."""
    group: int
    """How many of them stand together on paper."""
    letters: bool
    """Whether there are letters among them; else digits only, for the telephone."""

    def spelled(self, code: str) -> str:
        """Return a code as people read it."""
        return "-".join(code[at : at + self.group] for at in range(0, self.length, self.group))

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many characters somebody may have typed: with the dashes and without."""
        return (self.length + (self.length - 1) // self.group, self.length)


RECOVERY: Final = Sheet("recovery", 12, 4, letters=True)
TEMPORARY: Final = Sheet("temporary", 10, 5, letters=False)
BREAK_GLASS: Final = Sheet("breakglass", 16, 4, letters=True)
SHEETS: Final = {sheet.kind: sheet for sheet in (RECOVERY, TEMPORARY, BREAK_GLASS)}
_BY_LENGTH: Final = {sheet.length: sheet for sheet in SHEETS.values()}


@record
class Made:
    """A new sheet: the codes, to be shown once, and what is kept of them."""

    codes: tuple[str, ...] = field(repr=False)
    secret: bytes = field(repr=False)


def octets_wanted(sheet: Sheet, count: int) -> int:
    """Return how many random octets ``make`` needs."""
    return _SALT_OCTETS + count * sheet.length * (1 if sheet.letters else 2)


def make(sheet: Sheet, count: int, random: bytes) -> Made:
    """Make ``count`` codes, 1 to MOST_CODES, out of fresh random octets."""
    if not 1 <= count <= MOST_CODES or len(random) != octets_wanted(sheet, count):
        raise ValueError("a sheet of 1 to 60 codes needs octets_wanted() random octets")
    salt, rest = random[:_SALT_OCTETS], random[_SALT_OCTETS:]
    if sheet.letters:
        symbols = "".join(_ALPHABET[octet % 32] for octet in rest)
    else:  # of 65,536 values the digits differ by less than one in 6,500
        symbols = "".join(str(int.from_bytes(rest[at : at + 2], "big") % 10) for at in range(0, len(rest), 2))
    codes = tuple(symbols[at : at + sheet.length] for at in range(0, len(symbols), sheet.length))
    return Made(codes, salt + b"".join(digest(salt, code) for code in codes))


def digest(salt: bytes, code: str) -> bytes:
    """Return what is kept of a code."""
    return hmac.digest(salt, code.encode(), hashlib.sha256)[:_DIGEST_OCTETS]


def digests(secret: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the salt and the digests of a sheet, in the order of its codes."""
    starts = range(_SALT_OCTETS, len(secret), _DIGEST_OCTETS)
    return secret[:_SALT_OCTETS], tuple(secret[at : at + _DIGEST_OCTETS] for at in starts)


def count(secret: bytes) -> int:
    """Return how many codes a sheet has."""
    return (len(secret) - _SALT_OCTETS) // _DIGEST_OCTETS


def read(text: bytes) -> tuple[Sheet, str] | None:
    """Return the code that somebody has typed, and of which kind of sheet it is by its shape; None: it is none.

    Case, dashes and spaces do not matter, nor whether O or 0 was read; that a code is used once does not hang on that.
    """
    if not 0 < len(text) <= 40 or not text.isascii():
        return None
    code = text.decode().upper().translate(_MISREAD)
    sheet = _BY_LENGTH.get(len(code))
    if sheet is None or not all(symbol in (_ALPHABET if sheet.letters else _ALPHABET[:10]) for symbol in code):
        return None
    return sheet, code
