"""What is said between the daemon and systemd: how it is doing, and which sockets were bound for it.

It needs neither: without the variables that systemd sets, nothing is sent and nothing is taken. sd_notify(3),
sd_listen_fds(3); no RFC speaks of this.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

FIRST: Final = 3
"""SD_LISTEN_FDS_START: the descriptor after standard error."""
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def tell(state: str) -> None:
    """Send one datagram to $NOTIFY_SOCKET; that nobody listens there (any more) is no reason to do anything else."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def reloading() -> str:
    """Return the state that begins a reload; READY=1 ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def watchdog_period() -> float:
    """Seconds within which systemd wants to hear WATCHDOG=1; 0: it does not."""
    return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6


def take_sockets() -> list[tuple[str, socket.socket]]:
    """Take what was bound for this process, each with its name, and leave nothing of it to our own children."""
    given = {name: os.environ.pop(name, "") for name in _VARIABLES}
    if given["LISTEN_PID"] != str(os.getpid()):
        return []
    count = int(given["LISTEN_FDS"])
    names = given["LISTEN_FDNAMES"].split(":")
    named = [*names, *[""] * count][:count]
    for descriptor in range(FIRST, FIRST + count):
        os.set_inheritable(descriptor, False)
    return [(name, socket.socket(fileno=FIRST + at)) for at, name in enumerate(named)]


def leave_sockets(sockets: list[tuple[str, int]]) -> Mapping[str, str]:
    """Put descriptors where ``take_sockets`` looks after the next exec of this process; returns the environment for it.

    All other descriptors are closed by the exec, as Python opens them.
    """
    beyond = FIRST + len(sockets)
    apart = [os.dup(descriptor) for _, descriptor in sockets]
    while any(descriptor < beyond for descriptor in apart):  # none may lie where another one is to go
        apart = [os.dup(descriptor) if descriptor < beyond else descriptor for descriptor in apart]
    for at, descriptor in enumerate(apart):
        os.dup2(descriptor, FIRST + at, inheritable=True)
    names = ":".join(name for name, _ in sockets)
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names}
