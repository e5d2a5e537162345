"""The advisory locks of PostgreSQL that make its transactions take turns as SQLite's do, wherever they would meet.

Whoever holds one sees all that the one before has committed, because the next statement looks anew (PostgreSQL 13.2.1,
13.3.5). SQLite needs none of this: it has one writer. Locks of one transaction are taken in the order of their numbers,
LOGINS before all others, so that no two wait for each other; no RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from radiusd2fa.core.model import (
    AddAccount,
    CloseChallenge,
    Effect,
    Event,
    NoteLogin,
    OpenChallenge,
    RecordCallerFailure,
    TakeToken,
)
from radiusd2fa.core.names import bare

LOGINS: Final = 0x72324641_00000001
"""Held together by all groups of logins, and alone by whoever changes what logins go by."""
ADMINISTRATION: Final = 0x72324641_00000002
"""One command at a time."""
SIGHTINGS: Final = 0x72324641_00000003
"""One daemon at a time tells what it has seen lately."""

TOGETHER: Final = f"SELECT pg_advisory_xact_lock_shared({LOGINS})"
IN_ORDER: Final = "SELECT 1 FROM unnest($1::bigint[]) AS one WHERE pg_advisory_xact_lock(one) IS NULL"
"""Takes them one after the other as they stand, and finds no row."""
IF_FREE: Final = f"SELECT pg_try_advisory_xact_lock({SIGHTINGS})"

_USER, _TOKEN, _NAME, _CHALLENGE, _CALLER, _CHAIN = (kind << 56 for kind in range(1, 7))
_LOW: Final = (1 << 56) - 1


def keys_of(effects: Iterable[Effect], event: Event) -> frozenset[int]:
    """Return what a login needs for itself while it is written: all that its effects change or look at."""
    keys = set()
    for effect in effects:
        user = getattr(effect, "user_id", None)
        if user is not None:
            keys.add(_USER | user)
        token = getattr(effect, "token_id", None)
        if token is not None:
            keys.add(_TOKEN | token)
        match effect:
            case CloseChallenge(handle):
                keys.add(_CHALLENGE | _hashed(handle))
            case OpenChallenge(challenge):
                keys.add(_CHALLENGE | _hashed(challenge.handle))
            case RecordCallerFailure(nas, caller):
                keys.add(_CALLER | _hashed(nas, caller))
            case AddAccount(name):
                keys.add(_NAME | _hashed(bare(name)))
            case NoteLogin() | TakeToken():  # whether it is let in may hang on who else is called so
                keys.add(_NAME | _hashed(bare(event.user)))
    return frozenset(keys)


def key_of_chain(name: str) -> int:
    """Return the lock of a chain's end: of two writers of one name the second goes on where the first has ended."""
    return _CHAIN | _hashed(name)


def array(keys: Iterable[int]) -> str:
    """Write locks as IN_ORDER takes them."""
    return "{" + ",".join(map(str, sorted(keys))) + "}"


def _hashed(*names: str) -> int:
    """Two that share a number wait for each other, and nothing worse."""
    return int.from_bytes(blake2b("\0".join(names).encode(), digest_size=7).digest()) & _LOW
