"""Which tokens are sealed to their owner besides to their row, and what of a secret two tokens must not share.

A fob moves from hand to hand, so its seed is sealed to its row alone. A security key and a sheet of codes are their
person's for good: copied into another person's row they do not open. It opens and shows none; HMAC's keys are RFC 2104.
"""

from __future__ import annotations

import hashlib
from typing import Final

from radiusd2fa.core.ceremonies import KIND
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.factors.hotp import ALGORITHMS
from radiusd2fa.factors.yubico import KEY_OCTETS, PRIVATE_OCTETS

_BLOCKS: Final = {algorithm: hashlib.new(algorithm).block_size for algorithm in ALGORITHMS}
FOR_GOOD: Final = frozenset({KIND, *SHEETS})
"""The kinds that never change hands."""


def what_makes_codes(kind: str, secret: bytes, algorithm: str) -> bytes:
    """Return that part of a secret which two tokens must not share, in one spelling but for zero octets behind it.

    Those Vault.fingerprint takes off. A Yubico OTP's public id is only its name.
    """
    if kind == "yubico":
        return secret[: KEY_OCTETS + PRIVATE_OCTETS]
    if kind not in FOR_GOOD and len(secret) > _BLOCKS.get(algorithm, len(secret)):
        # RFC 2104 2: "Applications that use keys longer than B bytes will first hash the key using H"
        return hashlib.new(algorithm, secret).digest()
    return secret


def owner_in_seal(kind: str, owner: str | None) -> str:
    """Return whom a token of that kind is sealed to: nobody, where it may become somebody else's."""
    return (owner or "") if kind in FOR_GOOD else ""
