"""Waits longer for its turn than other administration does: where logins come all the time, a writer's turn is rare.

What it does then is the same, and nothing is lost by waiting. Answers to no RFC; SQLite has one writer and no queue.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from radiusd2fa.store.administration import Administration
from radiusd2fa.store.connecting import How
from radiusd2fa.store.errors import StoreUnavailableError

PATIENCE: Final = 120.0
"""Seconds that a change waits for its turn."""


class Patient(Administration):
    """An open store for changes that are not given up soon."""

    @contextmanager
    def _transaction(self, on: Connection | None = None, how: How | None = None) -> Iterator[Connection]:
        until = time.monotonic() + PATIENCE
        while True:
            with ExitStack() as stack:
                try:
                    connection = stack.enter_context(super()._transaction(on, how))
                except (OperationalError, StoreUnavailableError):
                    if time.monotonic() > until:
                        raise
                    continue
                yield connection
                return
