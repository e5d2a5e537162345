"""A YubiKey's one-time password slot, in software: for the tests, from the maker's description of the block.

It shares no code with the factor; where it stands is in the open. Yubico, "OTPs Explained".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

MODHEX: Final = "cbdefghijklnrtuv"


def modhex(octets: bytes) -> bytes:
    """Write octets with the letters that most keyboards have at one place."""
    return "".join(MODHEX[octet >> 4] + MODHEX[octet & 15] for octet in octets).encode()


def crc(octets: bytes) -> int:
    """The checksum of a block, by long division: polynomial x^16 + x^12 + x^5 + 1, all bits the other way round."""
    bits = [octet >> place & 1 for octet in octets for place in range(8)]
    register = [1] * 16
    for bit in bits:
        out = register.pop(0) ^ bit
        register.append(0)
        if out:
            for place in (15, 10, 3):
                register[place] ^= 1
    return sum(bit << place for place, bit in enumerate(register)) ^ 0xFFFF


@dataclass(slots=True)
class YubiKey:
    """One slot."""

    key: bytes = field(repr=False)
    private: bytes = field(repr=False)
    public: bytes = b""
    position: int = 0
    """How often it was pressed; every fourth time it is taken out and put in again."""

    @property
    def secret(self) -> bytes:
        """What our store keeps of it."""
        return self.key + self.private + self.public

    @property
    def digits(self) -> int:
        """Characters of what it types."""
        return 32 + 2 * len(self.public)

    def press(self) -> bytes:
        """Type the next OTP."""
        self.position += 1
        return self.typed(self.position - 1)

    def typed(self, position: int) -> bytes:
        """What it types at that position."""
        return self.otp(position // 4 + 1, position % 4)

    def otp(self, session: int, use: int, *, noise: int = 0x5AA5, timer: int = 0x123456) -> bytes:
        """What it types for that use in that session."""
        block = self.private + session.to_bytes(2, "little") + timer.to_bytes(3, "little") + bytes((use,))
        block += noise.to_bytes(2, "little")
        return self.encrypted(block + crc(block).to_bytes(2, "little"))

    def encrypted(self, block: bytes) -> bytes:
        """Type any block, even one that makes no sense."""
        one_block = Cipher(AES(self.key), ECB()).encryptor()  # noqa: S305 - as the key does
        return modhex(self.public + one_block.update(block) + one_block.finalize())
