"""The hash chain of the audit: each row's hash covers the row and the hash before it, so that no row can be changed,
taken out, put in or moved unseen.

It reads no database and signs nothing; what a chain's end is worth, checkpoints say (store.checkpoints). FIPS 180-4
(SHA-256) over RFC 8785 (JSON in its one canonical form): docs/audit.md checks it with jq, sha256sum and openssl.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from json.encoder import encode_basestring as _quoted
from math import floor
from typing import Final

from radiusd2fa.core.model import Event
from radiusd2fa.core.record import record

START: Final = bytes(32)
"""What stands before the first row of a chain."""

_FORM: Final = 1


def link(previous: bytes, chain: str, sequence: int, event: Event) -> bytes:
    """Return the hash of a row: SHA-256 over the hash before it, in hexadecimal digits, and the row as an array.

    Times are whole microseconds in there, which every tool computes and writes alike.
    """
    e = event
    time, latency = floor(e.time * 1_000_000 + 0.5), floor(e.latency * 1_000_000 + 0.5)  # as microseconds() has it
    row = (
        f"{previous.hex()}[{_FORM},{_quoted(chain)},{sequence},{time},{_quoted(e.name)},{_quoted(e.login)},"
        f"{_quoted(e.nas)},{_quoted(e.user)},{_quoted(e.caller)},{_quoted(e.factor)},{_quoted(e.serial)},"
        f"{_quoted(e.outcome)},{_quoted(e.reason)},{latency},{_quoted(e.actor)}]"
    )
    return sha256(row.encode()).digest()


def microseconds(seconds: float) -> int:
    """Return a time as a row's hash and a checkpoint's signature have it."""
    return floor(seconds * 1_000_000 + 0.5)


@record
class Checkpoint:
    """Where a chain had got to, signed: whoever has the public key knows later whether that still stands."""

    chain: str
    sequence: int
    hash: bytes
    time: float
    """When it was signed, in seconds since 1970."""
    key: str
    """Which public key verifies it: the beginning of its SHA-256."""
    signature: bytes
    """Ed25519 (RFC 8032) over ``signed_octets``."""
    archived: bool = False
    """Whether it is an anchor: the rows up to here lie in an archive, and may be missing."""

    def signed_octets(self) -> bytes:
        """What the signature covers."""
        return signed_octets(self.chain, self.sequence, self.hash, self.time, archived=self.archived)

    def row(self) -> tuple[str, int, bytes, float, str, bytes, bool]:
        """Return the columns of its row, without its id."""
        return self.chain, self.sequence, self.hash, self.time, self.key, self.signature, self.archived

    def fields(self) -> dict[str, object]:
        """Return what goes to the log and to syslog; it is all that verifies it."""
        return {
            "chain": self.chain,
            "sequence": self.sequence,
            "hash": self.hash.hex(),
            "signed_at": microseconds(self.time),
            "archived": self.archived,
            "key_id": self.key,
            "signature": b64encode(self.signature).decode(),
        }


def signed_octets(chain: str, sequence: int, digest: bytes, time: float, *, archived: bool) -> bytes:
    """Return what the signature of a checkpoint covers: one line of text, without an end."""
    what = "anchor" if archived else "checkpoint"
    return f"radiusd2fa {what} 1 {chain} {sequence} {digest.hex()} {microseconds(time)}".encode()


def end_octets(chain: str, sequence: int, digest: bytes) -> bytes:
    """Return what the vault vouches for at the end of a chain."""
    return f"{sequence} {digest.hex()} {chain}".encode()
