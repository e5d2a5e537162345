"""What the fresh random octets of one decision are for.

Nothing here makes any; they are handed in. 128 bits are for a State (RFC 2865 5.24), 64 tell logins apart, 128 are for
a security key.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.core.model import Known

NONCE_OCTETS: Final = 40


def handle(nonce: bytes) -> str:
    """Return the handle of the challenge that this decision may open: its State."""
    return nonce[:16].hex()


def login_id(known: Known, nonce: bytes) -> str:
    """Return the id that ties together all packets of the login to which this packet belongs."""
    return known.challenge.login if known.challenge is not None else nonce[16:24].hex()


def for_a_key(nonce: bytes) -> bytes:
    """Return what a security key must sign."""
    return nonce[24:]
