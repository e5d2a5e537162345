"""Which sockets serve which line of ``listen.udp``: those that were given, and those that are still to be bound.

It reads no packet. A given socket counts only for exactly its address and port, and one that no line names is given
back, so that somebody can be told. No RFC speaks of this.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from radiusd2fa.listeners.binding import bind, share
from radiusd2fa.settings import Endpoint

_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


@dataclass(eq=False, slots=True)
class Place:
    """One line of ``listen.udp`` and its sockets: one, or as many as processes share it."""

    endpoint: Endpoint
    sockets: list[socket.socket] = field(default_factory=list)


def places(endpoints: Sequence[Endpoint], given: Sequence[socket.socket]) -> tuple[list[Place], list[socket.socket]]:
    """Give each line the given sockets of its address; those of no line come second. Nothing is bound or closed."""
    by_address: dict[tuple[str, int], list[socket.socket]] = {}
    strangers = [one for one in given if not is_udp(one)]
    for one in given:
        if is_udp(one):
            by_address.setdefault(address_of(one), []).append(one)
    found = [Place(endpoint) for endpoint in endpoints]
    for place in sorted(found, key=lambda place: place.endpoint.port == 0):  # port 0 takes what nobody else has named
        endpoint = place.endpoint
        fitting = (at for at in by_address if at[0] == endpoint.host and endpoint.port in {0, at[1]})
        address = next(fitting, None)
        if address is not None:
            place.sockets = by_address.pop(address)
    return found, [*strangers, *(one for sockets in by_address.values() for one in sockets)]


def fill(place: Place, count: int = 1) -> None:
    """Bind what is lacking to ``count`` sockets; OSError when the address is taken or not ours.

    The first is bound alone, so that no other daemon shares the address by mistake; then it lets the others in.
    """
    if not place.sockets:
        place.sockets.append(bind(place.endpoint.host, place.endpoint.port))
    host, port = address_of(place.sockets[0])
    while len(place.sockets) < count:
        share(place.sockets[0])
        place.sockets.append(bind(host, port, group=True))


def dealt(found: Sequence[Place], workers: int) -> list[list[socket.socket]]:
    """Deal the sockets of all places: each worker has its share of every address, and every socket has its worker."""
    hands: list[list[socket.socket]] = [[] for _ in range(workers)]
    for place in found:
        for at, one in enumerate(place.sockets):
            hands[at % workers].append(one)
    return hands


def is_udp(one: socket.socket) -> bool:
    """Whether packets of RADIUS can come in here."""
    return one.family in _FAMILIES and one.type == socket.SOCK_DGRAM


def address_of(one: socket.socket) -> tuple[str, int]:
    """Return host and port; of a socket that is none of ours, what shows which one is meant."""
    name = one.getsockname()
    return (str(name[0]), int(name[1])) if one.family in _FAMILIES else (str(name), 0)


def written(address: tuple[str, int]) -> str:
    """Write an address as the settings do."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


Tell = Callable[[str], None]


def tell_mismatches(found: Sequence[Place], surplus: Sequence[socket.socket], tell: Tell) -> None:
    """Say where the sockets that systemd has bound are not those that the settings name."""
    for one in surplus:
        tell(
            f"systemd has bound {written(address_of(one))}, which no line of listen.udp names: packets there get no "
            "answer; name it there, or take it out of radiusd2fa.socket"
        )
    for place in found:
        if not place.sockets:
            where = written((place.endpoint.host, place.endpoint.port))
            tell(
                f"listen.udp names {where}, which systemd has not bound: what comes there during a restart is lost; "
                f"add ListenDatagram={where} to radiusd2fa.socket"
            )
