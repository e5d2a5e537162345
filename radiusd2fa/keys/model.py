"""What is asked of a security key, what it answers, and what the asker must be able to say to the person before it.

Nothing here opens a device, and nothing here knows RADIUS or a store: a request holds all that a key must be told.
The requests are those of WebAuthn 5.4 and 5.5, cut down to what a login over RADIUS can carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol

ES256: Final = -7
EDDSA: Final = -8
ALGORITHMS: Final = (ES256, EDDSA)
"""COSE numbers of the algorithms that a new credential may have; the first is preferred (RFC 9053)."""

Transport = Literal["usb", "nfc"]


_LONGEST_NAME: Final = 80


def printable(name: str) -> str:
    """Return the name that a device gives itself, fit for a terminal and a log."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())[:_LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that was seen. ``path`` is its device file, or for NFC the name of the reader that it lies on."""

    path: str
    name: str
    transport: Transport
    vid: int | None = None
    """USB vendor, where known."""
    pid: int | None = None
    """USB product, where known."""


@dataclass(frozen=True, slots=True)
class SignRequest:
    """An assertion for one of these credentials, made by a key whose user touched it."""

    rp_id: str
    client_data: bytes
    """The key signs SHA-256 of exactly these octets."""
    credentials: tuple[bytes, ...]
    user_verification: bool = False
    """True: the key must also know its user, by PIN or finger."""


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """A new credential, never a discoverable one. A key that holds one of ``exclude`` is refused."""

    rp_id: str
    rp_name: str
    user_name: str
    user_handle: bytes
    client_data: bytes
    """The key signs SHA-256 of exactly these octets."""
    exclude: tuple[bytes, ...] = ()
    attestation: bool = False
    """True: the key's own attestation is handed back. False: it is taken out, as WebAuthn's "none" wants it."""


Request = SignRequest | RegisterRequest


@dataclass(frozen=True, slots=True)
class Ready:
    """What a first look, for which nobody has to touch anything, says about a key that may well answer."""

    sure: bool = True
    """False: it cannot tell without its PIN whether it holds a credential of the request."""


class FailureReason(StrEnum):
    """Why no key answered."""

    NO_KEY = "no-key"
    NO_CREDENTIAL = "no-credential"
    ALREADY_REGISTERED = "already-registered"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    UNPLUGGED = "unplugged"
    PIN_NEEDED = "pin-needed"
    PIN_WRONG = "pin-wrong"
    PIN_BLOCKED = "pin-blocked"
    VERIFICATION_IMPOSSIBLE = "verification-impossible"
    NOT_PERMITTED = "not-permitted"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Signed:
    """An assertion. The signature is DER for ES256 and 64 raw octets for EdDSA."""

    credential_id: bytes
    authenticator_data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Registered:
    """A new credential, as the attestation object of WebAuthn 6.5.4."""

    attestation_object: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer. ``detail`` is one sentence for the person in front of the key."""

    reason: FailureReason
    detail: str


Answer = Signed | Registered | Failed


class Person(Protocol):
    """Who sits in front of the keys. Called from the workers' threads, never by two at a time."""

    def touch(self, key: FoundKey) -> None:
        """Say that this key waits for a touch."""

    def pin(self, key: FoundKey, tries_left: int | None) -> str | None:
        """Ask for the PIN of this key. None: there is nobody to ask, or nobody who would answer."""
