"""The key pairs of an emulated key, and how they travel inside their own credential ids.

A key pair is kept nowhere: its credential id is the key pair itself, encrypted for this key and bound to one relying
party, so another key or another relying party gets nothing from it.
WebAuthn 6.1 (authenticator data), RFC 9053 7.1 (COSE elliptic curve keys), FIDO U2F raw messages 4.3 (key handles).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor

Randomness = Callable[[int], bytes]
"""Gives so many random octets."""

SECRET_OCTETS: Final = 32
_VERSION: Final = b"\x01"
_NONCE_OCTETS: Final = 12
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Algorithm(IntEnum):
    """COSE's numbers of the two kinds of signature that the key can make."""

    ES256 = -7
    EDDSA = -8


class Flag(IntFlag):
    """The flags of authenticator data."""

    NONE = 0
    USER_PRESENT = 0x01
    USER_VERIFIED = 0x04
    ATTESTED = 0x40


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The private half of one credential, as 32 octets."""

    algorithm: Algorithm
    secret: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return a DER signature for ES256, 64 octets for EdDSA; the same message always gets the same one."""
        if self.algorithm is Algorithm.EDDSA:
            return Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)
        return sign_es256(self._p256(), message)

    def cose(self) -> bytes:
        """Return the public half as a COSE key."""
        if self.algorithm is Algorithm.EDDSA:
            point = Ed25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()
            return cbor.encode({1: 1, 3: int(self.algorithm), -1: 6, -2: point})
        x, y = coordinates(self._p256().public_key())
        return cbor.encode({1: 2, 3: int(self.algorithm), -1: 1, -2: x, -3: y})

    def point(self) -> bytes:
        """Return an ES256 key's public half the way U2F writes it: 04, x, y."""
        return b"\x04" + b"".join(coordinates(self._p256().public_key()))

    def _p256(self) -> ec.EllipticCurvePrivateKey:
        return p256_key(self.secret)


def p256_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key of any 32 octets."""
    return ec.derive_private_key(int.from_bytes(secret, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def coordinates(public_key: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    """Return x and y of a P-256 key, 32 octets each."""
    numbers = public_key.public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


def sign_es256(private_key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the DER signature of RFC 6979, which needs no randomness."""
    return private_key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))


# --- the key pair inside the credential id ---------------------------------------------------------------------------


def new_key_pair(algorithm: Algorithm, random: Randomness) -> KeyPair:
    """Make a key pair."""
    return KeyPair(algorithm, random(SECRET_OCTETS))


def seal(wrapping_key: bytes, pair: KeyPair, rp_id_hash: bytes, random: Randomness) -> bytes:
    """Return the credential id of a key pair: 62 octets."""
    nonce = random(_NONCE_OCTETS)
    content = bytes((-pair.algorithm,)) + pair.secret
    return _VERSION + nonce + AESGCM(wrapping_key).encrypt(nonce, content, _VERSION + rp_id_hash)


def unseal(wrapping_key: bytes, credential_id: bytes, rp_id_hash: bytes) -> KeyPair | None:
    """Return the key pair in a credential id; None where this key did not make it for this relying party."""
    version, nonce, sealed = credential_id[:1], credential_id[1 : 1 + _NONCE_OCTETS], credential_id[1 + _NONCE_OCTETS :]
    if version != _VERSION or len(nonce) != _NONCE_OCTETS:
        return None
    try:
        content = AESGCM(wrapping_key).decrypt(nonce, sealed, _VERSION + rp_id_hash)
    except InvalidTag:
        return None
    return KeyPair(Algorithm(-content[0]), content[1:])


# --- what is signed --------------------------------------------------------------------------------------------------


def authenticator_data(rp_id_hash: bytes, flags: Flag, counter: int, attested: bytes = b"") -> bytes:
    """Return what the key says of itself: for whom it signs, whether its user is there, and how often it signed."""
    return rp_id_hash + bytes((flags,)) + counter.to_bytes(4, "big") + attested


def attested_credential(aaguid: bytes, credential_id: bytes, pair: KeyPair) -> bytes:
    """Return the part of authenticator data that introduces a new credential."""
    return aaguid + len(credential_id).to_bytes(2, "big") + credential_id + pair.cose()


def hash_of(rp_id: str) -> bytes:
    """Return the name under which authenticators know a relying party."""
    return hashlib.sha256(rp_id.encode()).digest()
