"""Yubico OTP: 32 characters of modified hexadecimal behind a public id, encrypted by the key with AES-128.

Validated here, with no server of anybody's. It spends nothing; that is the store's work. The moving factor is the last
use that was accepted: the key's session counter and its use within that session, in one number that only grows. Format:
Yubico, "YubiKey Manual" 6.1 and "OTPs Explained".
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from radiusd2fa.core.answer import Answer, TypedOtp
from radiusd2fa.core.finding import Finding, Matched, NotFound, Used
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules

KIND: Final = "yubico"
CHARACTERS: Final = 32
"""Of an OTP behind its public id."""
KEY_OCTETS: Final = 16
PRIVATE_OCTETS: Final = 6
_MODHEX: Final = str.maketrans("cbdefghijklnrtuv", "0123456789abcdef")
_FROM_HEX: Final = str.maketrans("0123456789abcdef", "cbdefghijklnrtuv")
_RESIDUE: Final = 0xF0B8
"""What is left of the CRC over an undamaged block."""


def modhex_to_octets(text: str) -> bytes | None:
    """Return what stands in modified hexadecimal, or None."""
    small = text.lower()
    if not text.isascii() or any(letter not in "cbdefghijklnrtuv" for letter in small) or len(small) % 2:
        return None
    return bytes.fromhex(small.translate(_MODHEX))


def octets_to_modhex(octets: bytes) -> str:
    """Write octets in modified hexadecimal."""
    return octets.hex().translate(_FROM_HEX)


def find(token: Token, answer: Answer, now: float, rules: Rules) -> Finding:
    """Say where in the key's life this OTP stands."""
    if not isinstance(answer, TypedOtp) or not answer.may_have(token.digits):
        return NotFound()
    said = modhex_to_octets(answer.text.decode())
    if said is None:
        return NotFound()
    key, private, public = _taken_apart(token.secret)
    block = _decrypted(key, said[-KEY_OCTETS:])
    genuine = compare_digest(said[:-KEY_OCTETS], public) & compare_digest(block[:PRIVATE_OCTETS], private)
    if not genuine or _crc(block) != _RESIDUE:
        return NotFound()
    use = _use(block)
    return Matched(at=use, to=use, drift=0) if use > token.moving_factor else Used()


def _taken_apart(secret: bytes) -> tuple[bytes, bytes, bytes]:
    """AES key, private id, public id."""
    return secret[:KEY_OCTETS], secret[KEY_OCTETS : KEY_OCTETS + PRIVATE_OCTETS], secret[KEY_OCTETS + PRIVATE_OCTETS :]


def _use(block: bytes) -> int:
    """Private id (6), session counter (2, little-endian, 15 bits), timer (3), use in the session (1), random, CRC."""
    session = int.from_bytes(block[6:8], "little") & 0x7FFF
    return session << 8 | block[11]


def _decrypted(key: bytes, block: bytes) -> bytes:
    one_block = Cipher(AES(key), ECB()).decryptor()  # noqa: S305 - the format is one block, and nothing is chained
    return one_block.update(block) + one_block.finalize()


def _crc(block: bytes) -> int:
    """CRC-16 as of ISO 13239, over the block with its own checksum in it."""
    value = 0xFFFF
    for octet in block:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value
