"""Opens what the settings name: primary backends, and the sockets of ``listen.udp``. At the start, and at each reload.

Nothing that is in use is changed here, and what fails leaves nothing open behind it. No RFC speaks of this.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from radiusd2fa.listeners.binding import bind, share
from radiusd2fa.listeners.udp import UdpListener
from radiusd2fa.primary import Primary, Say, open_primary
from radiusd2fa.settings import BackendSettings, Endpoint

_READS_FILES: Final = frozenset({"ldap"})
"""Backends that look at more than the settings when they are opened: a certificate may have been renewed."""


class UnusableError(Exception):
    """The settings are right, but what they name cannot be had. The text says which key, and why."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One backend, and what it was made from."""

    settings: BackendSettings
    primary: Primary


@dataclass(eq=False, slots=True)
class Heard:
    """One line of ``listen.udp`` that is served."""

    endpoint: Endpoint
    listeners: list[UdpListener]


def open_backends(wanted: Sequence[BackendSettings], before: Sequence[Opened], say: Say) -> list[Opened]:
    """Open what is new or changed, and keep the others as they are, with their threads, hashes and breakers."""
    kept = {one.settings.name: one for one in before if one.settings.kind not in _READS_FILES}
    opened: list[Opened] = []
    try:
        for settings in wanted:
            known = kept.get(settings.name)
            opened.append(known if known and known.settings == settings else _open(settings, say))
    except BaseException:
        close_but(opened, before)
        raise
    return opened


def close_but(opened: Sequence[Opened], kept: Sequence[Opened]) -> None:
    """Close those that are not among ``kept``."""
    for one in opened:
        if one not in kept:
            one.primary.close()


def _open(settings: BackendSettings, say: Say) -> Opened:
    try:
        return Opened(settings, open_primary(settings, say))
    except OSError as error:
        raise UnusableError(f"{settings.name}: {error.strerror or error}") from error
    except ValueError as error:
        raise UnusableError(f"{settings.name}: {error}") from error


def hear(wanted: Sequence[Endpoint], before: Sequence[Heard]) -> tuple[list[Heard], list[Heard], list[Heard]]:
    """Bind what is new; returns all lines, those that have come and those that have gone. UnusableError: none."""
    left = list(before)
    kept: list[Heard | None] = []
    for endpoint in wanted:
        known = next((one for one in left if one.endpoint == endpoint), None)
        kept.append(known)
        if known is not None:
            left.remove(known)
    come: list[Heard] = []
    try:
        for endpoint, known in zip(wanted, kept, strict=True):
            if known is None:
                come.append(Heard(endpoint, [UdpListener.on(_bound_beside(endpoint, left))]))
    except OSError as error:
        for one in come:
            one.listeners[0].close()
        where = f"{endpoint.host} port {endpoint.port}"
        raise UnusableError(f"listen.udp: cannot bind {where}: {error.strerror}; is another daemon running?") from error
    fresh = iter(come)
    return [one or next(fresh) for one in kept], come, left


def _bound_beside(endpoint: Endpoint, leaving: Sequence[Heard]) -> socket.socket:
    """Bind an address that may overlap one of ours that is given up: 0.0.0.0 in the place of 127.0.0.1."""
    try:
        return bind(endpoint.host, endpoint.port)
    except OSError as error:
        ours = [one for heard in leaving for one in heard.listeners if one.address[1] == endpoint.port]
        if error.errno != errno.EADDRINUSE or not ours:
            raise
    for listener in ours:
        share(listener)
    bound = bind(endpoint.host, endpoint.port, group=True)
    share(bound, on=False)
    return bound
