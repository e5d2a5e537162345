"""`radiusd2fa serve`: puts the daemon together, binds, says that it is ready, and ends it cleanly on a signal.

Nothing listens before everything was checked. Readiness and watchdog follow sd_notify(3); no RFC speaks of this.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from typing import TYPE_CHECKING

import typer

from radiusd2fa.cli.site import site_settings, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.audit import Journal
    from radiusd2fa.listeners.udp import UdpListener
    from radiusd2fa.primary import Primary
    from radiusd2fa.settings import BackendSettings, Settings
    from radiusd2fa.vault import Vault


def serve(ctx: typer.Context) -> None:
    """Answer RADIUS clients until SIGTERM or Ctrl-C. Logs go to standard error and to syslog."""
    from radiusd2fa import vault
    from radiusd2fa.audit import Journal
    from radiusd2fa.store.sqlite import StoreError

    settings = site_settings(ctx.obj)
    try:
        key = vault.load(settings.vault_key)
        with Journal(settings.log, settings.syslog) as journal:
            asyncio.run(_serve(settings, key, journal))
    except (StoreError, vault.VaultError) as error:
        wrong_usage(str(error))


async def _serve(settings: Settings, key: Vault, journal: Journal) -> None:
    from radiusd2fa import __version__
    from radiusd2fa.factors import find_functions
    from radiusd2fa.listeners.udp import UdpListener
    from radiusd2fa.server import Server
    from radiusd2fa.store.engine import Store
    from radiusd2fa.store.sqlite import database_path

    listeners = [_bound(UdpListener, endpoint.host, endpoint.port) for endpoint in settings.listen]
    path = database_path(settings.store)
    store = Store(path, key, lambda text: journal.note("error", "store.alarm", error=text))
    factors = find_functions(settings.rules.factors())
    primaries = {backend.name: _opened(backend, journal) for backend in settings.backends}
    server = Server(settings, factors, primaries, journal, store)
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    loop.add_signal_handler(
        signal.SIGHUP,
        lambda: journal.note("warning", "server.no_reload", message="restart the daemon to read the settings again"),
    )
    for warning in settings.warnings:
        journal.note("warning", "settings.warning", message=warning)
    for listener in listeners:
        server.listen(listener)
        host, port = listener.address[:2]
        journal.note("info", "server.listening", address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    journal.note("info", "server.started", version=__version__, pid=os.getpid(), database=path)
    _spare_the_collector()
    _notify("READY=1")
    keeping_watch = asyncio.create_task(_watchdog())
    await asked_to_stop.wait()
    _notify("STOPPING=1")
    keeping_watch.cancel()
    await server.stop()
    counted = " ".join(f"{what}={count}" for what, count in sorted(server.counters.items()) if count)
    journal.note("info", "server.stopped", message=counted or "nothing came in")


def _opened(settings: BackendSettings, journal: Journal) -> Primary:
    from radiusd2fa.primary import open_primary

    try:
        return open_primary(settings, lambda level, text: journal.note(level, "primary.note", message=text))
    except OSError as error:
        wrong_usage(f"{settings.name}: {error.strerror or error}")
    except ValueError as error:
        wrong_usage(f"{settings.name}: {error}")


def _bound(listener: type[UdpListener], host: str, port: int) -> UdpListener:
    try:
        return listener(host, port)
    except OSError as error:
        wrong_usage(f"listen.udp: cannot bind {host} port {port}: {error.strerror}; is another daemon running?")


def _spare_the_collector() -> None:
    """Nothing of a login is in a reference cycle: look for cycles seldom, and never among what the start has made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _watchdog() -> None:
    """While the loop turns, systemd hears of it at twice the pace that it asked for."""
    period = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    while period:
        _notify("WATCHDOG=1")
        await asyncio.sleep(period / 2)


def _notify(state: str) -> None:
    """Tell systemd, when it listens: one datagram to $NOTIFY_SOCKET (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
