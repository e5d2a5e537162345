"""What a person typed, as far as a code factor may look at it.

It compares, it never reveals; comparison takes the same time wherever the difference is.
A PAP answer is the code itself (RFC 2865 5.2), a CHAP answer only proves it (RFC 2865 5.3).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import field
from hmac import compare_digest
from typing import Final, Protocol

from radiusd2fa.core.model import Chap
from radiusd2fa.core.record import record

_CODE: Final = re.compile(rb"[0-9]{6,8}")


class CodeAnswer(Protocol):
    """Something that a code can be compared with."""

    def may_have(self, digits: int) -> bool:
        """Whether the answer could be a code of that many digits."""

    def equals(self, code: bytes) -> bool:
        """Compare with one expected code, in constant time."""


@record
class TypedCode:
    """A code in the clear: 6 to 8 ASCII digits and nothing else, so that one code has one spelling."""

    code: bytes = field(repr=False)

    @classmethod
    def read(cls, octets: bytes) -> TypedCode | None:
        """Return the code in these octets, or None when they have not the shape of one."""
        return cls(octets) if _CODE.fullmatch(octets) else None

    def may_have(self, digits: int) -> bool:
        """Whether it has that many digits."""
        return len(self.code) == digits

    def equals(self, code: bytes) -> bool:
        """Compare in constant time."""
        return compare_digest(self.code, code)


@record
class ChapAnswer:
    """A code that only its hash came with; each expected code is hashed and compared."""

    chap: Chap

    def may_have(self, digits: int) -> bool:
        """Nothing is known about the length of a hashed code."""
        return True

    def equals(self, code: bytes) -> bool:
        """Compare as RFC 2865 5.3 says: MD5 over identifier, secret, challenge."""
        text = bytes((self.chap.identifier,)) + code + self.chap.challenge
        return compare_digest(self.chap.response, hashlib.md5(text, usedforsecurity=False).digest())
