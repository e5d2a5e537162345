"""Binds the daemon's UDP sockets: one for an address, or several that share it among the daemon's own processes.

An address is never shared by mistake: the first socket is bound alone, whatever SO_REUSEPORT says elsewhere, and only
then lets the others of its group in. socket(7) SO_REUSEPORT; RFC 3493 5.3 (IPV6_V6ONLY).
"""

from __future__ import annotations

import os
import socket
from typing import Protocol


def bind(host: str, port: int, *, group: bool = False) -> socket.socket:
    """Bind; OSError when the address is taken or not ours. Port 0 lets the kernel choose. ``group``: join its group."""
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
    )[0]
    bound = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if group:
            share(bound)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


class HasDescriptor(Protocol):
    """A socket, or a listener on one."""

    def fileno(self) -> int:
        """Return the descriptor."""


def share(bound: HasDescriptor, *, on: bool = True) -> None:
    """Let other sockets of this user bind the same address; the kernel then gives each sender to one of them."""
    with socket.socket(fileno=os.dup(bound.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, on)
