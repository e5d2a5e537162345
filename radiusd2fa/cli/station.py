"""`radiusd2fa station`: run a station of the configuration in this terminal, with the keys and readers of this machine.

It needs the configuration and the database, not the daemon's sockets, and it logs nobody in: the daemon verifies.
Ctrl-C ends it; under systemd it shows itself on a virtual console (systemd/radiusd2fa-station@.service).
"""

from __future__ import annotations

import signal
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.site import site_settings, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.keys.model import FoundKey
    from radiusd2fa.settings import StationSettings


def station(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="An entry of `stations:`.")]
) -> None:
    """Show the logins that wait for a touch here, and take the touch. Enter turns one away; Ctrl-C ends."""
    from radiusd2fa.laptop.screen import Ended, Screen, open_terminal
    from radiusd2fa.station import StationDesk
    from radiusd2fa.store.address import address

    settings = site_settings(ctx.obj)
    here = next((one for one in settings.stations if one.name == name), None)
    rules = next((one for one in settings.rules.stations if one.name == name), None)
    if here is None or rules is None:
        known = ", ".join(one.name for one in settings.stations) or "none"
        wrong_usage(f"{settings.path} has no station {name}; it has {known}")
    if settings.rules.fido is None:
        wrong_usage(f"{settings.path} has stations, but no section fido:; add fido: {{rp_id: auth.example.org}}")
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    desk = StationDesk(
        rules,
        settings.rules.fido,
        address(settings.store),
        lambda: _keys_of(here),
        Screen(open_terminal()),
        trouble=lambda: _trouble_of(here),
    )
    with suppress(Ended):  # Ctrl-C while a key was asked
        desk.run(stop)


def _keys_of(here: StationSettings) -> list[FoundKey]:
    """The keys that are at this station now."""
    from radiusd2fa.keys import nfc, usb

    keys: list[FoundKey] = []
    if here.usb is not None:
        keys += [usb.named_key(str(here.usb))] if here.usb.exists() else []
    elif here.reader is None:
        keys += usb.find_keys()
    if here.reader is not None or here.usb is None:
        keys += [key for key in nfc.find_keys() if key.path.startswith(here.reader or "")]
    return keys


def _trouble_of(here: StationSettings) -> str | None:
    """Why no card can be read at this station, where it is to have a reader."""
    from radiusd2fa.keys import nfc

    return None if here.reader is None else nfc.trouble()
