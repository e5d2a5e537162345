"""Primary credentials: one file per backend, found by its name in the settings and loaded only when configured.

A backend never decides a login; it says PASSED, REFUSED or UNAVAILABLE about one password. Each file offers
``open_backend(settings) -> Primary``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from radiusd2fa.core.model import PrimaryAnswer, User
from radiusd2fa.settings import PrimarySettings

Done = Callable[[PrimaryAnswer], None]


class Primary(Protocol):
    """Something that knows people's first credential."""

    def verify(self, user: User | None, password: bytes, done: Done) -> None:
        """Check a password; ``done`` is called exactly once, at once or later from another thread.

        ``user`` is None for somebody unknown: the same work, and REFUSED.
        """

    def close(self) -> None:
        """Let go of threads and connections; what is asked afterwards is UNAVAILABLE."""


def open_primary(settings: PrimarySettings) -> Primary:
    """Load the backend that the settings name."""
    backend: Primary = import_module(f"radiusd2fa.primary.{settings.kind}").open_backend(settings)
    return backend
