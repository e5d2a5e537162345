"""Seals seeds at rest: AES-256-GCM under a key that lives outside the database.

It never writes a seed or the key anywhere else, and it opens nothing that was moved to another row: the token's id is
the associated data (NIST SP 800-38D). A sealed seed is key id (4 octets) || nonce (12) || ciphertext and tag.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from radiusd2fa.settings.files import credentials_folder, open_to_others

_PREFIX: Final = b"radiusd2fa-vault-1:"
_KEY_OCTETS: Final = 32
_ID_OCTETS: Final = 4
_NONCE_OCTETS: Final = 12


class VaultError(Exception):
    """The key file cannot be used, or a sealed seed does not open. The text says what to do and holds no secret."""


@dataclass(frozen=True, slots=True)
class Vault:
    """One key. ``key_id`` names it in each sealed seed and in the database."""

    key_id: bytes
    _cipher: AESGCM = field(repr=False)
    _mark: bytes = field(repr=False)
    _witness: bytes = field(repr=False)

    def seal(self, token_id: int, seed: bytes, owner: str = "") -> bytes:
        """Return the seed sealed for this token and no other; with ``owner`` for that person's and nobody else's."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        return self.key_id + nonce + self._cipher.encrypt(nonce, seed, _bound_to(token_id, owner))

    def fingerprint(self, seed: bytes) -> str:
        """Return what tells seeds apart and says nothing about them to whoever lacks the key.

        Trailing zero octets do not count: to HMAC they make no other key (RFC 2104 2).
        """
        return hmac.digest(self._mark, seed.rstrip(b"\0"), hashlib.sha256).hex()[:32]

    def vouch(self, octets: bytes) -> bytes:
        """Return a seal over octets that are no secret: key id and HMAC-SHA-256. Only who has the key can make it."""
        return self.key_id + hmac.digest(self._witness, octets, hashlib.sha256)

    def vouches(self, octets: bytes, seal: bytes) -> bool:
        """Whether this vault made that seal."""
        return hmac.compare_digest(self.vouch(octets), seal)

    def open(self, token_id: int, sealed: bytes, owner: str = "") -> bytes:
        """Return the seed of this token; VaultError when key, row or octets are not those it was sealed with."""
        if sealed[:_ID_OCTETS] != self.key_id:
            raise VaultError(f"token {token_id}: sealed under another vault key ({sealed[:_ID_OCTETS].hex()})")
        nonce = sealed[_ID_OCTETS : _ID_OCTETS + _NONCE_OCTETS]
        try:
            return self._cipher.decrypt(nonce, sealed[_ID_OCTETS + _NONCE_OCTETS :], _bound_to(token_id, owner))
        except (InvalidTag, ValueError) as error:
            raise VaultError(f"token {token_id}: the sealed seed was changed or belongs to another row") from error


def load(path: Path) -> Vault:
    """Read the key file: a plain file of mode 0600 or less, of the running user or root, and no symbolic link."""
    try:
        # O_NONBLOCK: a FIFO in the place of the file must not hold up the start
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise VaultError(
            f"{path}: no vault key; restore it from your copy (`radiusd2fa init` is for new sites)"
        ) from error
    except OSError as error:
        raise VaultError(f"{path}: cannot open the vault key ({error.strerror})") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise VaultError(f"{path}: the vault key must be a plain file")
    with os.fdopen(descriptor, "rb") as file:
        if os.geteuid() != 0 and status.st_uid not in {os.geteuid(), 0}:
            raise VaultError(f"{path}: the vault key belongs to another user; chown it to the one that runs the daemon")
        if open_to_others(path, stat.S_IMODE(status.st_mode), credentials_folder()):
            raise VaultError(f"{path}: the vault key is open to others; run: chmod 600 {path}")
        return _parse(path, file.read(256))


def create(path: Path) -> Vault:
    """Make a new key file of mode 0600 and flush it to the disk; an existing file is never overwritten."""
    text = _PREFIX + base64.b64encode(secrets.token_bytes(_KEY_OCTETS)) + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return load(path)


def _parse(path: Path, text: bytes) -> Vault:
    prefix, encoded = text[: len(_PREFIX)], text[len(_PREFIX) :].strip()
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if prefix != _PREFIX or len(key) != _KEY_OCTETS:
        raise VaultError(f"{path}: this is no vault key file; restore it from your backup")
    return Vault(
        hashlib.sha256(b"radiusd2fa key id" + key).digest()[:_ID_OCTETS],
        AESGCM(key),
        hashlib.sha256(b"radiusd2fa fingerprints" + key).digest(),
        hashlib.sha256(b"radiusd2fa audit" + key).digest(),
    )


def _bound_to(token_id: int, owner: str) -> bytes:
    return b"radiusd2fa token %d" % token_id + (f" of {owner}".encode() if owner else b"")
