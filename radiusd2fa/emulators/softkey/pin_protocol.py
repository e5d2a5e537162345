"""PIN/UV auth protocols 1 and 2, seen from the key: how a client's PIN reaches it, and how a token proves itself later.

It knows no PIN and keeps nothing: keys and octets in, octets out.
CTAP 2.1 6.5.6 (protocol one) and 6.5.7 (protocol two).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from radiusd2fa.emulators.softkey.credential import Randomness, coordinates

PROTOCOLS: Final = (2, 1)
"""In the order of preference."""
_BLOCK: Final = 16


def public_half(private_key: ec.EllipticCurvePrivateKey) -> dict[int, object]:
    """Return the key's half of the key agreement as a COSE key."""
    x, y = coordinates(private_key.public_key())
    # -25 (ECDH-ES + HKDF-256): "although this is NOT the algorithm actually used"
    return {1: 2, 3: -25, -1: 1, -2: x, -3: y}


def shared_secret(protocol: int, private_key: ec.EllipticCurvePrivateKey, peer: Mapping[int, Any]) -> bytes | None:
    """Return what both sides share; None where the client's half is no point of the curve."""
    try:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(peer[-2], "big"), int.from_bytes(peer[-3], "big"), ec.SECP256R1()
        )
        agreed = private_key.exchange(ec.ECDH(), numbers.public_key())
    except (KeyError, TypeError, ValueError):
        return None
    if protocol == 1:
        digest = Hash(SHA256())
        digest.update(agreed)
        return digest.finalize()
    return _derived(agreed, b"CTAP2 HMAC key") + _derived(agreed, b"CTAP2 AES key")


def encrypt(protocol: int, secret: bytes, content: bytes, random: Randomness) -> bytes:
    """Return the ciphertext; protocol 2 puts a random start in front."""
    start = bytes(_BLOCK) if protocol == 1 else random(_BLOCK)
    encryptor = Cipher(algorithms.AES(secret[-32:]), modes.CBC(start)).encryptor()
    ciphertext = encryptor.update(content) + encryptor.finalize()
    return ciphertext if protocol == 1 else start + ciphertext


def decrypt(protocol: int, secret: bytes, ciphertext: bytes) -> bytes | None:
    """Return the plaintext; None where the length is impossible."""
    start, body = (bytes(_BLOCK), ciphertext) if protocol == 1 else (ciphertext[:_BLOCK], ciphertext[_BLOCK:])
    if len(start) != _BLOCK or len(body) % _BLOCK:
        return None
    decryptor = Cipher(algorithms.AES(secret[-32:]), modes.CBC(start)).decryptor()
    return decryptor.update(body) + decryptor.finalize()


def is_authentic(protocol: int, secret: bytes, message: bytes, proof: bytes) -> bool:
    """Whether somebody who knows the secret (or the token) has made this proof for the message."""
    mac = hmac.digest(secret[:32], message, "sha256")
    return hmac.compare_digest(mac[:_BLOCK] if protocol == 1 else mac, proof)


def _derived(agreed: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=bytes(32), info=info).derive(agreed)
