"""`radiusd2fa serve`: checks everything, gets the sockets, and then is the daemon, or the parent of several.

Nothing listens before everything was checked. Sockets come from systemd, from the daemon that runs, or are bound here;
what happens with them is in running.py and supervisor.py. No RFC speaks of this.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.site import site_settings, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.audit import Journal
    from radiusd2fa.handover import Inheritance
    from radiusd2fa.listeners.places import Place
    from radiusd2fa.settings import Settings
    from radiusd2fa.vault import Vault


def serve(
    ctx: typer.Context,
    *,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Take the sockets of the daemon that runs, once ready; it finishes and ends."),
    ] = False,
    worker: Annotated[int, typer.Option(hidden=True, help="Be this one of several; only a parent says so.")] = 0,
    after: Annotated[str, typer.Option(hidden=True, help="Why the one before has ended.")] = "",
) -> None:
    """Answer RADIUS clients until SIGTERM or Ctrl-C. SIGHUP reads the configuration anew.

    Logs go to standard error and to syslog. Started a second time, it is refused: with --take-over no packet is lost
    between the old daemon and the new one.
    """
    from radiusd2fa import vault
    from radiusd2fa.audit import Journal
    from radiusd2fa.handover import HandoverError
    from radiusd2fa.opening import UnusableError
    from radiusd2fa.store.sqlite import StoreError

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # until it can be obeyed
    try:
        settings = site_settings(ctx.obj)
        key = vault.load(settings.vault_key)
        with Journal(settings.log, settings.syslog) as journal, _sockets(settings, journal, take_over, worker) as got:
            if after:
                journal.note("error", "worker.restarted", message=after)
            if settings.workers == 1 or worker:
                asyncio.run(_run(settings, key, journal, got, worker))
            else:
                journal.close()
                _become_supervisor(settings, got)
    except (StoreError, vault.VaultError, UnusableError, HandoverError) as error:
        wrong_usage(str(error))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _run(settings: Settings, key: Vault, journal: Journal, got: _Sockets, worker: int) -> None:
    from radiusd2fa.running import Daemon

    await Daemon(settings, key, journal, worker).run(got.places, got.control, got.inherited)


def _become_supervisor(settings: Settings, got: _Sockets) -> None:
    from radiusd2fa import handover, supervisor
    from radiusd2fa.listeners.places import dealt

    hands = [[one.fileno() for one in hand] for hand in dealt(got.places, settings.workers)]
    others = [] if got.control is None else [(handover.CONTROL, got.control.fileno())]
    if got.inherited is not None:
        others.append((handover.PREDECESSOR, got.inherited.predecessor.fileno()))
    supervisor.become(settings.path, hands, others)


@dataclass(frozen=True, slots=True)
class _Sockets:
    """What the daemon needs to be reached."""

    places: list[Place]
    control: socket.socket | None
    """On which the next daemon will ask."""
    inherited: Inheritance | None


@contextmanager
def _sockets(settings: Settings, journal: Journal, take_over: bool, worker: int) -> Iterator[_Sockets]:
    """Take what was given, and bind the rest; all is closed in the end."""
    from radiusd2fa import handover, systemd
    from radiusd2fa.listeners.places import fill, places, tell_mismatches

    with ExitStack() as opened:
        given = [opened.enter_context(one) for _, one in systemd.take_sockets()]
        inherited = handover.ask(settings.path) if take_over and not given else None
        if inherited is not None:
            given = [opened.enter_context(one) for one in inherited.sockets]
            opened.enter_context(inherited.control)
            opened.enter_context(inherited.predecessor)
        found, surplus = places(settings.listen, given)
        if given and inherited is None and not worker:
            tell_mismatches(found, surplus, lambda text: journal.note("warning", "settings.warning", message=text))
        for one in surplus:
            one.close()
        for place in found:
            where = f"{place.endpoint.host} port {place.endpoint.port}"
            try:
                fill(place, 1 if worker else settings.workers)
            except OSError as error:
                wrong_usage(f"listen.udp: cannot bind {where}: {error.strerror}; is another daemon running?")
            finally:
                for one in place.sockets:
                    opened.enter_context(one)
        control = None
        if inherited is not None:
            control = inherited.control
        elif not worker:
            control = handover.offer(settings.path)
            if control is None:
                message = "another process has this daemon's name: `serve --take-over` will not find this one"
                journal.note("warning", "server.no_handover", message=message)
            else:
                opened.enter_context(control)
        yield _Sockets(found, control, inherited)
