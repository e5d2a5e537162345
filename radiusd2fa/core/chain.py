"""The hash chain of the audit: each row's hash covers the row and the hash before it, so that no row can be changed,
taken out, put in or moved unseen.

It reads no database and signs nothing; what a chain's end is worth, checkpoints say (store.chains). FIPS 180-4
(SHA-256) over RFC 8259 text, so that anybody can check it with other tools: docs/audit.md has the recipe.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Final

from radiusd2fa.core.model import Event

START: Final = bytes(32)
"""What stands before the first row of a chain."""

_FORM: Final = 1
_text: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def link(previous: bytes, chain: str, sequence: int, event: Event) -> bytes:
    """Return the hash of a row: SHA-256 over the hash before it and the row as a JSON array in ASCII."""
    e = event
    row = [
        _FORM,
        chain,
        sequence,
        float(e.time),  # as a database gives it back
        e.name,
        e.login,
        e.nas,
        e.user,
        e.caller,
        e.factor,
        e.serial,
        e.outcome,
        e.reason,
        float(e.latency),
        e.actor,
    ]
    return sha256(previous + _text(row).encode()).digest()
