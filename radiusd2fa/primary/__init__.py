"""Primary credentials: one file per kind of backend, found by its name in the settings and loaded only when configured.

A backend never decides a login; it says PASSED, REFUSED, CHALLENGED or UNAVAILABLE about one password. Each file offers
``open_backend(settings, say) -> Primary``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from importlib import import_module
from math import inf
from typing import Protocol

from radiusd2fa.core.model import PrimaryAnswer, Relay, User
from radiusd2fa.core.record import record
from radiusd2fa.settings import BackendSettings

Done = Callable[[PrimaryAnswer], None]

Say = Callable[[str, str], None]
"""``say(level, sentence)``: for the daemon's log, about the backend and never about a login. From whichever thread."""


@record
class Question:
    """What a backend is asked about one login."""

    name: str
    """The canonical name of whoever wants to log in (core.names)."""
    password: bytes | None = field(repr=False)
    """None: nothing is to be proved, only whether there is such an account and whether it may log in."""
    user: User | None = None
    """The account of that name as the store knows it."""
    attributes: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """The attributes of the Access-Request, for a backend that passes some on."""
    relay: Relay | None = None
    """The question that ``password`` answers, when an upstream server has asked one."""
    client: str = ""
    """Whose people share a queue: the name of the client that asks."""
    until: float = inf
    """On the loop's clock: nobody waits for the answer any more, and nobody need be asked."""


class Primary(Protocol):
    """Something that knows people's first credential."""

    def verify(self, question: Question, done: Done) -> None:
        """Answer a question; ``done`` is called exactly once, at once or later, from whichever thread.

        Called on the thread of a running event loop, and never waits there: with no room left for another call in
        flight the answer is UNAVAILABLE. Somebody unknown costs the same work as a wrong password, and is REFUSED.
        An empty password is REFUSED without asking anybody.
        """

    def close(self) -> None:
        """Let go of threads and connections; what is asked afterwards is UNAVAILABLE."""


def open_primary(settings: BackendSettings, say: Say) -> Primary:
    """Load the backend that the settings name. Call it on the event loop's thread."""
    backend: Primary = import_module(f"radiusd2fa.primary.{settings.kind}").open_backend(settings, say)
    return backend
