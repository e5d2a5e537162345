"""The ciphers of PSKC files: one function each, from key and what is encrypted to what was meant.

None of them knows where a key comes from, and none but a key wrap can tell whether what it opens has been changed.
XML Encryption 1.1 5.2 (CBC and its padding), RFC 3394 and RFC 5649 (AES key wrap), RFC 3217 (key wrap by Triple DES).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_unwrap_with_padding

from radiusd2fa.core.record import record

KEY_OCTETS: Final = (16, 24, 32)


class ClosedError(Exception):
    """The key does not open this value."""


@record
class Method:
    """One way of encrypting."""

    key_octets: tuple[int, ...]
    open: Callable[[bytes, bytes], bytes]
    """From key and what is encrypted to what was meant; ClosedError."""
    proves_itself: bool = False
    """Key wrap ends in a check value: what opens has not been changed."""


def _aes_cbc(key: bytes, octets: bytes) -> bytes:
    return _unpadded(_cbc(AES(key), octets[:16], octets[16:]), 16)


def _tripledes_cbc(key: bytes, octets: bytes) -> bytes:
    return _unpadded(_cbc(_tripledes(key), octets[:8], octets[8:]), 8)


def _cbc(algorithm: BlockCipherAlgorithm, vector: bytes, octets: bytes) -> bytes:
    size = algorithm.block_size // 8
    if len(vector) != size or not octets or len(octets) % size:
        raise ClosedError
    decryptor = Cipher(algorithm, modes.CBC(vector)).decryptor()
    return decryptor.update(octets) + decryptor.finalize()


def _unpadded(octets: bytes, size: int) -> bytes:
    # XML Encryption 5.2: the last octet says how many go, the others of them are arbitrary. PKCS #5 is one such
    # padding; .NET writes another. Nothing rests on it: the MAC has been verified, or this is the key that fails there
    count = octets[-1]
    if not 1 <= count <= size:
        raise ClosedError
    return octets[:-count]


def _aes_unwrap(key: bytes, octets: bytes) -> bytes:
    try:
        return aes_key_unwrap(key, octets)
    except InvalidUnwrap:
        # a seed of 20 octets is no multiple of 8, and RFC 6030 6.1 has RFC 5649's padding under the same name
        return _aes_unwrap_padded(key, octets)


def _aes_unwrap_padded(key: bytes, octets: bytes) -> bytes:
    try:
        return aes_key_unwrap_with_padding(key, octets)
    except InvalidUnwrap:
        raise ClosedError from None


def _tripledes_unwrap(key: bytes, octets: bytes) -> bytes:
    """RFC 3217 3.2: twice CBC, the second time from the end, around eight octets of SHA-1."""
    turned = _cbc(_tripledes(key), bytes.fromhex("4adda22c79e82105"), octets)[::-1]
    opened = _cbc(_tripledes(key), turned[:8], turned[8:])
    wrapped, check = opened[:-8], opened[-8:]
    if not wrapped or not hmac.compare_digest(hashlib.sha1(wrapped, usedforsecurity=False).digest()[:8], check):
        raise ClosedError
    return wrapped


def _tripledes(key: bytes) -> TripleDES:
    return TripleDES(key + key[:8] if len(key) == 16 else key)


METHODS: Final = {
    **{f"aes{8 * size}-cbc": Method((size,), _aes_cbc) for size in KEY_OCTETS},
    **{f"kw-aes{8 * size}": Method((size,), _aes_unwrap, proves_itself=True) for size in KEY_OCTETS},
    **{f"kw-aes{8 * size}-pad": Method((size,), _aes_unwrap_padded, proves_itself=True) for size in KEY_OCTETS},
    **{f"kw-aes-{8 * size}-pad": Method((size,), _aes_unwrap_padded, proves_itself=True) for size in KEY_OCTETS},
    "tripledes-cbc": Method((16, 24), _tripledes_cbc),
    "kw-tripledes": Method((16, 24), _tripledes_unwrap, proves_itself=True),
}
"""By what stands behind the ``#`` of their URI; those with padding have been spelt in two ways."""
