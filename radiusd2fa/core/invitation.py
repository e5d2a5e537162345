"""The texts that carry a registration between a helpdesk and a user's laptop: card, invitation, answer.

Each is one line that can be pasted anywhere; none holds a secret that outlives its use, and nothing in one is believed
before it was verified elsewhere. WebAuthn 7.1 (registering a credential) and 5.8.1 (client data) define what is inside.
"""

from __future__ import annotations

import hashlib
from dataclasses import field
from typing import Self

from radiusd2fa.core.record import record
from radiusd2fa.core.responder import NONCE_OCTETS
from radiusd2fa.core.texts import Text, base64url, octets, string


@record
class KeyCard(Text):
    """What a laptop must know of a credential, so that it can ask a key to use it."""

    PREFIX = "RKC1-"

    rp_id: str
    origin: str
    user: str
    credential: bytes
    label: str = ""

    def members(self) -> dict[str, object]:
        """Return what the JSON says."""
        return {
            "rp_id": self.rp_id,
            "origin": self.origin,
            "user": self.user,
            "credential": base64url(self.credential),
            "label": self.label,
        }

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read a card, or None."""
        try:
            members = cls.read_members(text)
            return cls(
                string(members, "rp_id"),
                string(members, "origin"),
                string(members, "user"),
                octets(string(members, "credential")),
                string(members, "label"),
            )
        except ValueError:
            return None


@record
class Invitation(Text):
    """What a laptop needs to register a key for somebody. The nonce makes it one registration's, and one only."""

    PREFIX = "RKI1-"

    rp_id: str
    origin: str
    user: str
    handle: bytes
    """The user handle (WebAuthn 5.4.3): says nothing about who it is."""
    nonce: bytes = field(repr=False)
    exclude: tuple[bytes, ...] = ()
    """Credentials that the user has already: a key that holds one of them is not registered twice."""
    attestation: bool = False

    def members(self) -> dict[str, object]:
        """Return what the JSON says."""
        return {
            "rp_id": self.rp_id,
            "origin": self.origin,
            "user": self.user,
            "handle": base64url(self.handle),
            "nonce": base64url(self.nonce),
            "exclude": [base64url(credential) for credential in self.exclude],
            "attestation": self.attestation,
        }

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read an invitation, or None."""
        try:
            members = cls.read_members(text)
            excluded, attestation = members.get("exclude"), members.get("attestation")
            if not isinstance(excluded, list) or not isinstance(attestation, bool):
                return None
            return cls(
                string(members, "rp_id"),
                string(members, "origin"),
                string(members, "user"),
                octets(string(members, "handle")),
                _nonce(members),
                tuple(octets(string({"exclude": credential}, "exclude")) for credential in excluded),
                attestation,
            )
        except ValueError:
            return None


@record
class RegistrationAnswer(Text):
    """What a key has answered to an invitation."""

    PREFIX = "RKR1-"

    nonce: bytes = field(repr=False)
    client_data: bytes
    attestation_object: bytes

    def members(self) -> dict[str, object]:
        """Return what the JSON says."""
        return {
            "nonce": base64url(self.nonce),
            "clientDataJSON": base64url(self.client_data),
            "attestationObject": base64url(self.attestation_object),
        }

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read an answer, or None."""
        try:
            members = cls.read_members(text)
            return cls(
                _nonce(members),
                octets(string(members, "clientDataJSON")),
                octets(string(members, "attestationObject")),
            )
        except ValueError:
            return None


def registration_challenge(nonce: bytes, user: str) -> bytes:
    """Return the 32 octets that a registration must carry."""
    parts = (nonce, user.encode())
    sized = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return hashlib.sha256(b"radiusd2fa-register-v1\0" + sized).digest()


def registration_client_data(challenge: bytes, origin: str) -> bytes:
    """Return the client data of a registration as this project's own clients write it."""
    text = base64url(challenge)
    return f'{{"type":"webauthn.create","challenge":"{text}","origin":"{origin}","crossOrigin":false}}'.encode()


def _nonce(members: dict[str, object]) -> bytes:
    nonce = octets(string(members, "nonce"))
    if len(nonce) != NONCE_OCTETS:
        msg = "this nonce has another length"
        raise ValueError(msg)
    return nonce
