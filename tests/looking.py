"""A look at what the store knows about a login, as tests take it: queued, flushed, and there.

The daemon's own way is the same, only that it looks up many at once. No RFC speaks here.
"""

from __future__ import annotations

from radiusd2fa.core.model import NO_CALLER, Known
from radiusd2fa.store.database import Looked
from radiusd2fa.store.engine import Store


def look(
    store: Store, name: str, state: str | None = None, nas: str = "vpn", caller: str = NO_CALLER, now: float = 0.0
) -> Known:
    """Load and flush; StoreUnavailableError where the store does not answer."""
    heard: list[Looked] = []
    store.load(name, state, nas, caller, now, heard.append)
    store.flush()
    (looked,) = heard
    if isinstance(looked, Exception):
        raise looked
    return looked
