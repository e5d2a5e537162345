"""What came back from a person: a code, a proof of one, or what a security key has signed.

It compares, it never reveals; comparison takes the same time wherever the difference is.
A PAP answer is the code itself (RFC 2865 5.2), a CHAP answer only proves it (RFC 2865 5.3); a key's is an assertion
(WebAuthn 6.3.3). What was typed is read by its shape: no text is a code of two kinds.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import field
from hmac import compare_digest
from math import inf
from typing import Final, Protocol

from radiusd2fa.core import sheets
from radiusd2fa.core.model import Chap
from radiusd2fa.core.record import record
from radiusd2fa.core.responder import OWN_TYPE

_DASH: Final = ord("-")
_CODE: Final = re.compile(rb"[0-9]{6,8}")
_MODHEX: Final = re.compile(rb"(?:[cbdefghijklnrtuv]{2}){16,32}")
"""Yubico's digits 0 to f, which sit at the same place on most keyboards: 32 characters behind up to 32 of a name."""


class Answer(Protocol):
    """Something that a code can be compared with; what a key has signed is like no code."""

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
class TypedOtp:
    """A Yubico OTP: modified hexadecimal, in small letters by now."""

    text: bytes = field(repr=False)

    def may_have(self, digits: int) -> bool:
        """Whether it has that many characters."""
        return len(self.text) == digits

    def equals(self, code: bytes) -> bool:
        """It is decrypted, not compared."""
        return False


@record
class TypedSpare:
    """A code from a sheet that was made in advance."""

    kind: str
    """Which kind of sheet has codes of this shape."""
    code: str = field(repr=False)

    def is_spelled(self, text: bytes) -> bool:
        """Whether it was typed as it is printed, dashes and all: few passwords look like that."""
        printed = sheets.SHEETS[self.kind].spelled(self.code)
        return len(text) == len(printed) and all(
            (typed == _DASH) == (char == "-") for typed, char in zip(text, printed, strict=True)
        )

    def may_have(self, digits: int) -> bool:
        """Whether it has that many characters."""
        return len(self.code) == digits

    def equals(self, code: bytes) -> bool:
        """Only digests are there to compare with."""
        return False


def read_typed(octets: bytes) -> TypedCode | TypedOtp | TypedSpare | None:
    """Return what somebody has typed, by its shape; None when it is no code of any kind."""
    typed = TypedCode.read(octets)
    if typed is not None:
        return typed
    modhex = octets.lower()
    if _MODHEX.fullmatch(modhex):
        return TypedOtp(modhex)
    spare = sheets.read(octets)
    return None if spare is None else TypedSpare(spare[0].kind, spare[1])


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


@record
class Assertion:
    """One reading of what a key has signed, and what it was asked to sign (WebAuthn 6.3.3)."""

    selector: bytes = field(repr=False)
    """The first four octets of SHA-256 over the credential's id."""
    client_data: bytes = field(repr=False)
    authenticator_data: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    challenge: bytes = field(repr=False)
    """What the client data must hold."""
    compact: bool = False
    """Whether an ES256 signature is r||s in 64 octets, as a responder sends it, and not DER as WebAuthn has it."""
    type: str = OWN_TYPE
    """What the client data must say that it is for (WebAuthn 5.8.1)."""


@record
class KeyAnswer:
    """A key's answer: one reading for each host, or each station, whose name may have been signed."""

    readings: tuple[Assertion, ...]
    user_verification: bool
    """Whether the key must have verified its user."""
    refused: tuple[Assertion, ...] = ()
    """Readings that are not allowed here; held against the key only to say in the log what went wrong."""
    asked: float = inf
    """When the question was put, in seconds since 1970."""

    def may_have(self, digits: int) -> bool:
        """It is no code."""
        return False

    def equals(self, code: bytes) -> bool:
        """It equals none."""
        return False
