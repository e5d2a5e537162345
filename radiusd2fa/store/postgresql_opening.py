"""Opens the daemon's connection to PostgreSQL beside its loop: names are resolved and servers tried in a thread.

At most one attempt is under way, and whoever waits for it waits only as long as they want to. What is opened is checked
as at the start: the server may be another one now. No RFC speaks here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Final

import psycopg

from radiusd2fa.core.record import record
from radiusd2fa.store import statements as sql
from radiusd2fa.store.address import PostgresServer
from radiusd2fa.store.errors import StoreUnavailableError
from radiusd2fa.store.postgresql import connect, one_line, seconds_off
from radiusd2fa.store.postgresql_link import Link, RefusedError
from radiusd2fa.store.vaults import check_vault
from radiusd2fa.vault import Vault

PATIENCE: Final = 2.0
"""Seconds for each server that the address names, and for each lock later on."""
_STALLED: Final = 2.0
"""Seconds after which the server throws out a daemon that was stopped within a group: others wait for its locks."""
_SETTINGS: Final = {
    "idle_in_transaction_session_timeout": f"{_STALLED * 1000:.0f}ms",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",  # each statement has its index, whatever the statistics say of a table that has grown
    "jit": "off",
}


@record
class Opened:
    """A connection, and by how many seconds its server's clock is ahead of ours if that matters."""

    link: Link
    seconds_off: float


def open_link(server: PostgresServer, vault: Vault) -> Opened:
    """Connect, check, and prepare all statements; StoreError says why not."""
    connection = connect(server, patience=PATIENCE)
    try:
        check_vault(connection.execute(sql.VAULT.postgresql), vault, server)
        for name, value in _SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        # as it is now, so that it stays so: what is changed on the server later does not reach this session
        connection.execute("SELECT set_config(name, setting, false) FROM pg_settings WHERE name = 'synchronous_commit'")
        off = seconds_off(connection)
        return Opened(Link(connection, time.monotonic() + PATIENCE), off)
    except (psycopg.Error, RefusedError) as error:
        connection.close()
        raise StoreUnavailableError(f"{server}: {one_line(error)}") from error
    except BaseException:
        connection.close()
        raise


class Opening:
    """One attempt."""

    def __init__(self, attempt: Callable[[], Opened]) -> None:
        self._future: Future[Opened] = Future()
        self._thread = Thread(target=self._run, args=(attempt,), name="postgresql-opening", daemon=True)
        self._thread.start()

    def _run(self, attempt: Callable[[], Opened]) -> None:
        try:
            self._future.set_result(attempt())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self._future.set_exception(error)

    def wait(self, seconds: float) -> Opened | None:
        """Return what was opened, or None while the attempt goes on; raises what has become of it instead."""
        try:
            return self._future.result(max(0.0, seconds))
        except TimeoutError:
            if self._future.done():
                raise
            return None

    def abandon(self) -> None:
        """Close what may still be opened."""
        self._future.add_done_callback(_close)


def _close(future: Future[Opened]) -> None:
    if future.exception() is None:
        future.result().link.close()
