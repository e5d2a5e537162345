"""The daemon between its start and its end: ready, watched, reloaded, handed over, drained.

It decides no login and reads no packet. What the settings say is put in force as a whole or not at all, and nothing is
closed that a login in work still needs. Readiness and watchdog are those of sd_notify(3); no RFC speaks of this.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from radiusd2fa import __version__, handover, systemd
from radiusd2fa.audit import Journal
from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.factors import find_functions
from radiusd2fa.listeners.places import Place, written
from radiusd2fa.listeners.udp import UdpListener
from radiusd2fa.opening import Heard, Opened, UnusableError, close_but, hear, open_backends
from radiusd2fa.primary import Primary
from radiusd2fa.regime import make_regime
from radiusd2fa.server import Server
from radiusd2fa.settings import Settings, SettingsError, load_settings
from radiusd2fa.store.address import address
from radiusd2fa.store.engine import Store
from radiusd2fa.vault import Vault

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)
_FIXED: Final = {"store": "store", "vault_key": "vault.key_file", "node": "node", "workers": "workers"}
"""What a reload leaves as it is: attributes of the settings, and their keys in the file."""
_LONGEST_LOGIN: Final = 20.0
"""Seconds after which nothing is left of what a reload has replaced."""


class Daemon:
    """Everything that a running daemon consists of, on one event loop."""

    def __init__(self, settings: Settings, key: Vault, journal: Journal, worker: int = 0) -> None:
        """Open store and backends; StoreError or UnusableError when that fails. ``worker``: which of several, or 0."""
        self._settings = settings
        self._first_journal = self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._fixed = _FIXED | ({"listen": "listen.udp"} if worker else {})
        self._node = f"{settings.node}/{worker}" if worker > 1 else settings.node
        store = Store(address(settings.store), key, self._alarm, self._node, self._tell_signed)
        self._backends = open_backends(settings.backends, (), self._say)
        factors, primaries = find_functions(settings.rules.factors()), _by_name(self._backends)
        self._server = Server(settings, factors, primaries, journal, store)
        self._heard: list[Heard] = []
        self._offer: handover.Offer | None = None
        self._asked_to_stop = asyncio.Event()
        self._asked_to_reload = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._tidying: asyncio.TimerHandle | None = None

    def _alarm(self, text: str) -> None:
        self._journal.note("error", "store.alarm", error=text)

    def _tell_signed(self, end: Checkpoint) -> None:
        self._journal.note("info", "audit.checkpoint", **end.fields())

    def _say(self, level: str, text: str) -> None:
        self._journal.note(level, "primary.note", message=text)

    # --- from the start to the end ------------------------------------------------------------------------------------

    async def run(
        self, places: Sequence[Place], control: socket.socket | None, inherited: handover.Inheritance | None
    ) -> None:
        """Serve these sockets until a signal, or the next daemon, asks to end."""
        self._obey_signals()
        for warning in self._settings.warnings:
            self._journal.note("warning", "settings.warning", message=warning)
        self._heard = [Heard(place.endpoint, [UdpListener.on(one) for one in place.sockets]) for place in places]
        for heard in self._heard:
            self._serve(heard)
        self._journal.note(
            "info",
            "server.started",
            version=__version__,
            pid=os.getpid(),
            database=str(address(self._settings.store)),
            node=self._node,
        )
        _spare_the_collector()
        if inherited is not None:
            handover.say_ready(inherited.predecessor)
            self._journal.note("info", "server.took_over", count=len(inherited.sockets))
        if control is not None:
            self._offer = handover.Offer(self._loop, control, self._sockets, self._hand_over)
        systemd.tell("READY=1")
        beside = [asyncio.create_task(work()) for work in (_keep_watch, self._reload_when_asked)]
        await self._asked_to_stop.wait()
        systemd.tell("STOPPING=1")
        for task in beside:
            task.cancel()
        await self._end()

    def _obey_signals(self) -> None:
        for number in _ENDING:
            self._loop.add_signal_handler(number, self._told_to_end, number)
        self._loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload.set)
        # blocked since the program began, so that one that came meanwhile is heard now
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def _told_to_end(self, number: signal.Signals) -> None:
        """Once: in peace. Again: at once, wherever we are; nothing has been accepted that was not committed."""
        if self._asked_to_stop.is_set():
            signal.raise_signal(number)
        self._end_in_peace()

    def _end_in_peace(self) -> None:
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        self._asked_to_stop.set()

    def _serve(self, heard: Heard) -> None:
        for listener in heard.listeners:
            self._server.listen(listener)
        self._journal.note("info", "server.listening", address=written(heard.listeners[0].address[:2]))

    async def _end(self) -> None:
        if self._offer is not None:
            self._offer.close()
        if self._tidying is not None:
            self._tidying.cancel()
        await self._server.stop()
        counted = " ".join(f"{what}={count}" for what, count in sorted(self._server.counters.items()) if count)
        self._journal.note("info", "server.stopped", message=counted or "nothing came in")
        if self._journal is not self._first_journal:
            self._close(self._journal)
        await asyncio.gather(*self._closing)

    def _hand_over(self) -> None:
        self._journal.note("info", "server.handed_over", message="another daemon has taken over; this one ends")
        self._end_in_peace()

    def _sockets(self) -> list[int]:
        return [listener.fileno() for heard in self._heard for listener in heard.listeners]

    # --- another configuration ----------------------------------------------------------------------------------------

    async def _reload_when_asked(self) -> None:
        while True:
            await self._asked_to_reload.wait()
            self._asked_to_reload.clear()
            systemd.tell(systemd.reloading())
            status = await self._reload()
            systemd.tell(f"READY=1\nSTATUS={status}")

    async def _reload(self) -> str:
        """Read the file anew and put it in force, or keep everything as it is; returns one line that says which."""
        try:
            new = await asyncio.to_thread(load_settings, self._settings.path)  # logins go on while it is read
            self._put_in_force(new)
        except SettingsError as error:
            first, *others = error.faults
            message = f"{first}{f' (and {len(others)} more: radiusd2fa check)' if others else ''}"
            self._keep(message, file=first.file, line=first.line, setting=first.key)
        except UnusableError as error:
            message = str(error)
            self._keep(message, file=self._settings.path)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new one, the old one is good
            message = "something unforeseen happened; the log says what"
            self._keep(message, exception=error)
        else:
            message = ""
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        return f"the configuration of {at} is refused: {message}" if message else f"configuration read at {at}"

    def _keep(self, message: str, **where: object) -> None:
        text = f"{message}; what was in force before still is"
        self._journal.note("error", "server.reload_refused", message=text, **where)

    def _put_in_force(self, new: Settings) -> None:
        old = self._settings
        fixed = {name: getattr(old, name) for name in self._fixed}
        needing_restart = [key for name, key in self._fixed.items() if getattr(new, name) != fixed[name]]
        new = replace(new, **fixed)
        factors = find_functions(new.rules.factors())
        backends = open_backends(new.backends, self._backends, self._say)
        come: list[Heard] = []
        try:
            regime = make_regime(new, factors, _by_name(backends))
            heard, come, gone = hear(new.listen, self._heard)
            told_elsewhere = (old.log, old.syslog) != (new.log, new.syslog)
            journal = Journal(new.log, new.syslog) if told_elsewhere else self._journal
        except BaseException:
            close_but(backends, self._backends)
            for one in come:
                one.listeners[0].close()
            raise
        # nothing fails from here on: either all of it is in force, or none
        self._server.turn_to(regime, [listener for one in gone for listener in one.listeners])
        self._settings, self._backends, self._heard = new, backends, heard
        self._turn_journal(journal)
        for one in come:
            self._serve(one)
        for one in gone:
            where = written(one.listeners[0].address[:2])
            self._journal.note("info", "server.left", address=where)
        for key in needing_restart:
            self._journal.note(
                "warning", "server.needs_restart", setting=key, message=f"{key} is as it was until the next start"
            )
        for warning in new.warnings:
            if warning not in old.warnings:
                self._journal.note("warning", "settings.warning", message=warning)
        self._journal.note("info", "server.reloaded", clients=len(new.clients), rules=len(new.rules.rules))
        self._tidy_later()

    def _turn_journal(self, journal: Journal) -> None:
        if journal is self._journal:
            return
        before, self._journal = self._journal, journal
        self._server.speak_to(journal)
        self._close(before)

    def _close(self, journal: Journal) -> None:
        """Bring out what waits in a journal, beside the logins."""

        async def close() -> None:
            if not await asyncio.to_thread(journal.close) and journal is not self._journal:
                self._journal.note("warning", "log.dropped", outlet="syslog", message="lines of before the reload")

        task = asyncio.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _tidy_later(self) -> None:
        """Settings refer to themselves in circles: collect what is over once nobody can need it any more."""
        if self._tidying is None:
            self._tidying = self._loop.call_later(_LONGEST_LOGIN, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        gc.collect()


def _by_name(backends: Sequence[Opened]) -> dict[str, Primary]:
    return {one.settings.name: one.primary for one in backends}


def _spare_the_collector() -> None:
    """Nothing of a login is in a reference cycle: look for cycles seldom, and never among what the start has made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _keep_watch() -> None:
    """While the loop turns, systemd hears of it at twice the pace that it asked for."""
    period = systemd.watchdog_period()
    while period:
        systemd.tell("WATCHDOG=1")
        await asyncio.sleep(period / 2)
