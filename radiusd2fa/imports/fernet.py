"""Fernet, in which privacyIDEA wraps its exports: AES-128-CBC with HMAC-SHA256 over the whole.

Nothing is decrypted before the whole is known to be genuine, and the plain text is never held as a whole. It answers
to the Fernet specification (github.com/fernet/spec); its time stamp is not judged, for an export does not run out.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from radiusd2fa.imports.seeds import UnreadableError

BEGINNING: Final = b"gAAAAA"
"""The version, 0x80, and a time stamp of this age of the world."""
LARGEST: Final = 256 * 1024 * 1024
"""Octets of a wrapped file."""
_KEY_OCTETS: Final = 32
_HEAD: Final = 1 + 8 + 16
_MAC_OCTETS: Final = 32
_BLOCK: Final = 16
_PIECE: Final = 64 * 1024


def key_of(given: bytes) -> bytes | None:
    """Return the 32 octets of a key given as they are, or in the 44 characters that are shown to people."""
    if len(given) == _KEY_OCTETS:
        return given
    try:
        key = base64.urlsafe_b64decode(given.strip())
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == _KEY_OCTETS else None


def unwrapped(chunks: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    """Yield the plain text in pieces; UnreadableError, before the first of them, if key or file is not right."""
    token = _octets(chunks)
    signing, encrypting = key[:16], key[16:]
    signed = memoryview(token)[: len(token) - _MAC_OCTETS]
    mac = hmac.new(signing, signed, sha256).digest()
    if not hmac.compare_digest(mac, bytes(token[len(token) - _MAC_OCTETS :])):
        raise UnreadableError(
            0, "the key is another than that of this file, or the file was changed or cut", "look for the right key"
        )
    decryptor = Cipher(AES(encrypting), CBC(bytes(signed[9:_HEAD]))).decryptor()
    unpadder = PKCS7(_BLOCK * 8).unpadder()
    for start in range(_HEAD, len(signed), _PIECE):
        yield unpadder.update(decryptor.update(signed[start : start + _PIECE]))
    yield unpadder.update(decryptor.finalize()) + unpadder.finalize()


def _octets(chunks: Iterable[bytes]) -> bytearray:
    """Return the token, out of its base64; read in pieces, so that both are never held at once."""
    token, left, length = bytearray(), b"", 0
    for piece in chunks:
        length += len(piece)
        if length > LARGEST:
            raise UnreadableError(0, f"the file is larger than {LARGEST >> 20} MiB", "export the tokens in parts")
        text = left + piece.translate(None, b"\r\n \t")
        usable = len(text) // 4 * 4
        token += _decoded(text[:usable])
        left = text[usable:]
    if left or len(token) < _HEAD + _BLOCK + _MAC_OCTETS or (len(token) - _HEAD - _MAC_OCTETS) % _BLOCK:
        raise UnreadableError(0, "the encrypted file is not whole", "copy it again: it may have been cut")
    if token[0] != 0x80:
        raise UnreadableError(0, "this is no Fernet token", "look whether this is the right file")
    return token


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.translate(_STANDARD), validate=True)
    except binascii.Error:
        raise UnreadableError(0, "the encrypted file is no base64", "copy it again: it was damaged") from None


_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
