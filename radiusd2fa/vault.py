"""Seals seeds at rest: AES-256-GCM under a key that lives outside the database, in a file of one line, or of two.

It never writes a seed or the key anywhere else, and it opens nothing that was moved to another row: the token's id is
the associated data (NIST SP 800-38D). A sealed seed is key id (4 octets) || nonce (12) || ciphertext and tag; while a
key is exchanged, the first line of the file seals and both open. Derived keys are those of RFC 5869.
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
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from radiusd2fa.settings.files import credentials_folder, open_to_others

_PREFIX: Final = b"radiusd2fa-vault-1:"
_KEY_OCTETS: Final = 32
_ID_OCTETS: Final = 4
_NONCE_OCTETS: Final = 12
_MOST_KEYS: Final = 2
_FINGERPRINTS: Final = b"fingerprints"


class VaultError(Exception):
    """The key file cannot be used, or a sealed seed does not open. The text says what to do and holds no secret."""


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the key file. ``id`` names it in each sealed seed and in the database."""

    id: bytes
    octets: bytes = field(repr=False, compare=False)
    cipher: AESGCM = field(repr=False, compare=False)
    mark: bytes = field(repr=False, compare=False)
    """Makes fingerprints, as long as the database names no other key for that."""
    witness: bytes = field(repr=False, compare=False)

    @classmethod
    def of(cls, octets: bytes) -> Key:
        """All that is made of 32 octets."""
        return cls(
            hashlib.sha256(b"radiusd2fa key id" + octets).digest()[:_ID_OCTETS],
            octets,
            AESGCM(octets),
            hashlib.sha256(b"radiusd2fa fingerprints" + octets).digest(),
            hashlib.sha256(b"radiusd2fa audit" + octets).digest(),
        )

    def line(self) -> bytes:
        """As it stands in the key file."""
        return _PREFIX + base64.b64encode(self.octets) + b"\n"


_Stamp = tuple[int, int, int, int]
"""Which file it is, and how it stands: a file that was replaced has another one."""


class Vault:
    """The keys of one key file, the one that seals in front. It follows the file when that is replaced."""

    __slots__ = ("_keys", "_mark", "_path", "_stamp")

    def __init__(self, keys: tuple[Key, ...], path: Path | None = None, stamp: _Stamp | None = None) -> None:
        """``path`` is the file to follow, and ``stamp`` what it was when it was read; use ``load``."""
        self._keys = keys
        self._mark = keys[0].mark
        self._path = path
        self._stamp = stamp

    def __repr__(self) -> str:
        """Ids alone."""
        return f"Vault({', '.join(key.id.hex() for key in self._keys)})"

    @property
    def key_id(self) -> bytes:
        """Of the key that seals."""
        return self._keys[0].id

    @property
    def keys(self) -> tuple[Key, ...]:
        """All that open, the one that seals in front."""
        return self._keys

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """Of all keys that open."""
        return tuple(key.id for key in self._keys)

    # --- seeds --------------------------------------------------------------------------------------------------------

    def seal(self, token_id: int, seed: bytes, owner: str = "") -> bytes:
        """Return the seed sealed for this token and no other; with ``owner`` for that person's and nobody else's."""
        return self._seal(seed, _bound_to(token_id, owner))

    def open(self, token_id: int, sealed: bytes, owner: str = "") -> bytes:
        """Return the seed of this token; VaultError when key, row or octets are not those it was sealed with."""
        return self._open(f"token {token_id}", sealed, _bound_to(token_id, owner))

    def fingerprint(self, seed: bytes) -> str:
        """Return what tells seeds apart and says nothing about them to whoever lacks the key.

        Trailing zero octets do not count: to HMAC they make no other key (RFC 2104 2).
        """
        return hmac.digest(self._mark, seed.rstrip(b"\0"), hashlib.sha256).hex()[:32]

    # --- other things -------------------------------------------------------------------------------------------------

    def wrap(self, name: bytes, octets: bytes) -> bytes:
        """Return octets sealed under a name of their own, which no token has."""
        return self._seal(octets, b"radiusd2fa " + name)

    def unwrap(self, name: bytes, wrapped: bytes) -> bytes:
        """Return what was sealed under that name; VaultError when it was not."""
        return self._open(name.decode(), wrapped, b"radiusd2fa " + name)

    def vouch(self, octets: bytes) -> bytes:
        """Return a seal over octets that are no secret: key id and HMAC-SHA-256. Only who has the key can make it."""
        return _vouched(self._keys[0], octets)

    def vouches(self, octets: bytes, seal: bytes) -> bool:
        """Whether this vault made that seal."""
        key = self._key(seal[:_ID_OCTETS])
        return key is not None and hmac.compare_digest(_vouched(key, octets), seal)

    def derive(self, purpose: bytes) -> bytes:
        """Return 32 octets for another use, made of the key that seals (RFC 5869); they say nothing about it."""
        return _derived(self._keys[0], purpose)

    def derive_each(self, purpose: bytes) -> tuple[bytes, ...]:
        """The same of all keys that open, in their order."""
        return tuple(_derived(key, purpose) for key in self._keys)

    # --- which database, which file -----------------------------------------------------------------------------------

    def fits(self, key_id: str | None, fingerprint_key: str | None) -> bool:
        """Whether that is a database of this vault; from then on seeds are told apart as that database does it.

        Its two rows of ``meta``: ``vault_key_id``, and ``fingerprint_key`` in hexadecimal, which it has once its first
        key was exchanged for another.
        """
        try:
            key = self._key(bytes.fromhex(key_id or ""))
            if key is None:
                return False
            self._mark = key.mark if fingerprint_key is None else self._unwrap_mark(fingerprint_key)
        except (ValueError, VaultError):
            return False
        return True

    def fingerprint_key(self) -> str:
        """Return the row of ``meta`` that keeps fingerprints as they are while the key is exchanged."""
        return self.wrap(_FINGERPRINTS, self._mark).hex()

    def refresh(self) -> bool:
        """Look whether the key file was replaced, and take what stands there now; whether it was."""
        if self._path is None:
            return False
        try:
            stamp = _stamp_of(os.stat(self._path, follow_symlinks=False))  # noqa: PTH116 - often, and this is short
            if stamp == self._stamp:
                return False
            self._keys, self._stamp = _read(self._path)
        except (OSError, VaultError):
            return False  # what cannot be read now is no reason to forget
        return True

    def _unwrap_mark(self, wrapped: str) -> bytes:
        return self.unwrap(_FINGERPRINTS, bytes.fromhex(wrapped))

    def _key(self, key_id: bytes) -> Key | None:
        """Return the key of that id; one that is not known may have come since."""
        for _ in range(2):
            for key in self._keys:
                if key.id == key_id:
                    return key
            if not self.refresh():
                break
        return None

    def _seal(self, octets: bytes, bound_to: bytes) -> bytes:
        key, nonce = self._keys[0], secrets.token_bytes(_NONCE_OCTETS)
        return key.id + nonce + key.cipher.encrypt(nonce, octets, bound_to)

    def _open(self, what: str, sealed: bytes, bound_to: bytes) -> bytes:
        key = self._keys[0]
        if sealed[:_ID_OCTETS] != key.id:
            another = self._key(sealed[:_ID_OCTETS])
            if another is None:
                raise VaultError(f"{what}: sealed under another vault key ({sealed[:_ID_OCTETS].hex()})")
            key = another
        nonce = sealed[_ID_OCTETS : _ID_OCTETS + _NONCE_OCTETS]
        try:
            return key.cipher.decrypt(nonce, sealed[_ID_OCTETS + _NONCE_OCTETS :], bound_to)
        except (InvalidTag, ValueError) as error:
            raise VaultError(f"{what}: the sealed seed was changed or belongs to another row") from error


def load(path: Path) -> Vault:
    """Read the key file: a plain file of mode 0600 or less, of the running user or root, and no symbolic link."""
    keys, stamp = _read(path)
    return Vault(keys, path, stamp)


def _read(path: Path) -> tuple[tuple[Key, ...], _Stamp]:
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
        return _parse(path, file.read(256)), _stamp_of(status)


def create(path: Path) -> Vault:
    """Make a new key file of mode 0600 and flush it to the disk; an existing file is never overwritten."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(new_key().line())
        file.flush()
        os.fsync(descriptor)
    return load(path)


def new_key() -> Key:
    """Make up a key."""
    return Key.of(secrets.token_bytes(_KEY_OCTETS))


def _parse(path: Path, text: bytes) -> tuple[Key, ...]:
    lines = text.rstrip().split(b"\n")
    keys = tuple(filter(None, map(_key_of, lines)))
    if not 0 < len(keys) == len(lines) <= _MOST_KEYS or len({key.id for key in keys}) < len(keys):
        raise VaultError(f"{path}: this is no vault key file; restore it from your backup")
    return keys


def _key_of(line: bytes) -> Key | None:
    prefix, encoded = line[: len(_PREFIX)], line[len(_PREFIX) :].strip()
    try:
        octets = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return Key.of(octets) if prefix == _PREFIX and len(octets) == _KEY_OCTETS else None


def _vouched(key: Key, octets: bytes) -> bytes:
    return key.id + hmac.digest(key.witness, octets, hashlib.sha256)


def _derived(key: Key, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"radiusd2fa " + purpose).derive(key.octets)


def _stamp_of(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _bound_to(token_id: int, owner: str) -> bytes:
    return b"radiusd2fa token %d" % token_id + (f" of {owner}".encode() if owner else b"")
