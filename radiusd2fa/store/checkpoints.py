"""Signs where a chain has got to, says when that is due, and knows whose signature it is.

The key is made from the vault's: who can only write the database cannot sign, and whoever verifies needs the public key
alone. Ed25519 is that of RFC 8032, public keys travel as those of RFC 8410 in PEM (RFC 7468).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from sqlalchemy import Connection, insert, select

from radiusd2fa.core.chain import Checkpoint, signed_octets
from radiusd2fa.store.schema import checkpoints, meta
from radiusd2fa.vault import Vault, VaultError

if TYPE_CHECKING:
    from radiusd2fa.store.chains import Chain

ROWS: Final = 1000
"""Audit rows after which a chain's end is signed."""
SECONDS: Final = 60.0
"""Time after which it is, if there is any row that no checkpoint covers."""

_PURPOSE: Final = b"radiusd2fa checkpoints"
_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_FORMER: Final = "audit_keys_before"
_WRAPPED: Final = b"audit keys"


def sign(vault: Vault, chain: str, sequence: int, digest: bytes, now: float, *, archived: bool = False) -> Checkpoint:
    """Sign that a chain has got to this row; ``archived`` says besides that the rows up to it lie in an archive."""
    private = Ed25519PrivateKey.from_private_bytes(vault.derive(_PURPOSE))
    signature = private.sign(signed_octets(chain, sequence, digest, now, archived=archived))
    key = key_id(private.public_key().public_bytes_raw())
    return Checkpoint(chain, sequence, digest, now, key, signature, archived)


def put_checkpoint(connection: Connection, signed: Checkpoint) -> None:
    """Write it into the open transaction."""
    names = [column.name for column in checkpoints.c if column.name != "id"]
    connection.execute(insert(checkpoints).values(dict(zip(names, signed.row(), strict=True))))


def public_keys(vault: Vault) -> tuple[bytes, ...]:
    """Return the keys that verify what this vault signs, that of today in front."""
    private = map(Ed25519PrivateKey.from_private_bytes, vault.derive_each(_PURPOSE))
    return tuple(one.public_key().public_bytes_raw() for one in private)


def key_id(public: bytes) -> str:
    """Return what a checkpoint calls its key."""
    return sha256(public).hexdigest()[:16]


class Signatory:
    """Decides when the end of one writer's chain is to be signed, and signs it."""

    def __init__(self, vault: Vault, tell: Callable[[Checkpoint], object]) -> None:
        """``tell`` hears of each checkpoint that is committed; it must neither wait nor fail."""
        self._vault = vault
        self._tell = tell
        self._signed_row = -1
        self._signed_at = 0.0
        self._unsigned_since: float | None = None

    def due(self, chain: Chain, now: float, *, anyway: bool = False) -> Checkpoint | None:
        """Sign where the chain ends in the open transaction, if it is time to; ``anyway`` if there is news at all."""
        if chain.sequence in (0, self._signed_row):
            return None
        soon = 0 <= chain.sequence - self._signed_row < ROWS and 0 <= now - self._signed_at < SECONDS
        if anyway or not soon or self._signed_row < 0:
            return sign(self._vault, chain.name, chain.sequence, chain.hash, now)
        if self._unsigned_since is None:
            self._unsigned_since = now
        return None

    def committed(self, signed: Checkpoint) -> None:
        """Go on from there, now that it is on the disk."""
        self._signed_row, self._signed_at, self._unsigned_since = signed.sequence, signed.time, None
        self._tell(signed)

    def waits(self, now: float) -> bool:
        """Whether a row has waited long enough for its checkpoint, and no login has come to write one along."""
        return self._unsigned_since is not None and not 0 <= now - self._unsigned_since < SECONDS


class Verdict(StrEnum):
    """What a signature is worth."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    """Nobody can say: it names a key that is none of ours."""


class PublicKeys:
    """The keys that verify checkpoints: of today, and of before the vault key was exchanged."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {key_id(key): Ed25519PublicKey.from_public_bytes(key) for key in keys}

    def judge(self, signed: Checkpoint) -> Verdict:
        """Say whether it was signed with a key of ours."""
        key = self._keys.get(signed.key)
        if key is None:
            return Verdict.UNKNOWN
        try:
            key.verify(signed.signature, signed.signed_octets())
        except InvalidSignature:
            return Verdict.BAD
        return Verdict.GOOD

    def pem(self) -> str:
        """Return them for whoever verifies elsewhere, each behind a line with its id."""
        return "".join(
            f"{name}\n{key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()}"
            for name, key in self._keys.items()
        )


def former_keys(connection: Connection, vault: Vault) -> tuple[bytes, ...]:
    """Return the public keys of before the vault key was exchanged; VaultError when somebody has changed them."""
    value = connection.execute(select(meta.c.value).where(meta.c.key == _FORMER)).scalar()
    if value is None:
        return ()
    try:
        return tuple(map(bytes.fromhex, vault.unwrap(_WRAPPED, bytes.fromhex(value)).decode().split()))
    except ValueError as error:
        raise VaultError("the list of former public keys was changed") from error


def read_pem(text: bytes) -> tuple[bytes, ...]:
    """Return the public keys of a file; ValueError when there is none, or one that is not for Ed25519."""
    found = []
    for block in _PEM.findall(text):
        key = load_pem_public_key(block)
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("holds a key of another kind")  # noqa: TRY004 - it is what the file says
        found.append(key.public_bytes_raw())
    if not found:
        raise ValueError("holds no public key")
    return tuple(found)
