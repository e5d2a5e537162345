"""A network of the test's own, in which the addresses of a recipe are true: server, gateway, proxies, fixed ports.

For the length of a block this thread, and whatever it starts, sees nothing but a loopback interface that answers for
those addresses; nothing of the host's network is seen or changed. network_namespaces(7), ip-route(8).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from .machines import needs, needs_namespaces

SERVER: Final = "192.0.2.5"
"""Where radiusd2fa listens, in every recipe."""
GATEWAY: Final = "192.0.2.10"
"""The NAS."""
PROXY: Final = "192.0.2.20"
"""Another RADIUS server between the two."""
FAR_PROXY: Final = "192.0.2.21"
"""One more, which a recipe has no use for and a test has."""

ONE_HOP: Final[Mapping[str, str]] = MappingProxyType({SERVER: GATEWAY})
"""Where a packet to an address comes from."""

NEEDS: Final = (needs_namespaces, needs("ip", "iproute2"))

_CLONE_NEWNET: Final = 0x40000000
"""sched.h; Python knows unshare(2) and setns(2) from 3.12 on."""


@contextlib.contextmanager
def network(comes_from: Mapping[str, str] = ONE_HOP) -> Iterator[None]:
    """Live in that network for the length of the block. Programs have to be started, and ended, within it."""
    kernel = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _must(kernel.unshare(_CLONE_NEWNET))
        try:
            _furnish(comes_from)
            yield
        finally:
            _must(kernel.setns(home, _CLONE_NEWNET))
    finally:
        os.close(home)


def _must(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _furnish(comes_from: Mapping[str, str]) -> None:
    addresses = sorted({*comes_from, *comes_from.values()})
    orders = [
        "link set lo up",
        *(f"address add {address}/32 dev lo" for address in addresses),
        # whoever does not choose where to send from sends from the address of the hop before
        *(f"route replace local {to} dev lo src {source} table local" for to, source in comes_from.items()),
    ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(orders), text=True, check=True)
