"""RADIUS over UDP: drains a socket and hands whole batches on (RFC 2865 3).

It reads no packet's content and decides nothing. A reply leaves from the address that was asked, also on a wildcard
socket (IP_PKTINFO, RFC 3542 6.2 for IPv6), and a full send buffer drops it as the network would.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from radiusd2fa.listeners.binding import bind
from radiusd2fa.listeners.recvmmsg import AT_ONCE, Address, Ancillary, Reader, ask_for_times
from radiusd2fa.listeners.recvmmsg import Datagram as Datagram  # part of this file's own interface

_MOST_BATCHES: Final = 64
"""As many datagrams as can wait to be judged: what is read late is better let go than what nobody has looked at."""
_RECEIVE_BUFFER: Final = 4 << 20
_SO_RCVBUFFORCE: Final = 33
"""asm-generic/socket.h: more than net.core.rmem_max, for whoever may."""
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)

Receive = Callable[["UdpListener", list[Datagram]], None]


class UdpListener:
    """One bound socket. The daemon's second copy cannot bind it as well: no address is ever shared."""

    def __init__(self, host: str, port: int) -> None:
        """Bind; OSError when the address is taken or not ours. Port 0 lets the kernel choose."""
        opened = bind(host, port)
        try:
            self._take_over(opened)
        except OSError:
            opened.close()
            raise

    @classmethod
    def on(cls, bound: socket.socket) -> Self:
        """Serve a socket that somebody else has bound; it is this listener's from now on."""
        listener = cls.__new__(cls)
        bound.setblocking(False)
        listener._take_over(bound)  # noqa: SLF001 - another of this very class
        return listener

    def _take_over(self, bound: socket.socket) -> None:
        self.address: Address = bound.getsockname()
        wildcard = self.address[0] in {"0.0.0.0", "::"}  # noqa: S104 - asked, not bound
        if wildcard and bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif wildcard:
            bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        _make_room(bound)
        with suppress(OSError):  # without times every datagram counts as new
            ask_for_times(bound)
        self._reader = Reader(bound, wildcard=wildcard)
        self._socket = bound

    def fileno(self) -> int:
        """Return the descriptor, for whoever takes the socket over."""
        return self._socket.fileno()

    def start(self, loop: asyncio.AbstractEventLoop, receive: Receive) -> None:
        """Hand each batch to ``receive`` from now on."""
        loop.add_reader(self._socket, lambda: receive(self, self.read()))

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take nothing more in; replies can still leave."""
        loop.remove_reader(self._socket)

    def close(self) -> None:
        """Release the address."""
        self._socket.close()

    def send(self, octets: bytes, to: Datagram) -> bool:
        """Answer a datagram; False when the network would not take it."""
        try:
            if to.asked:
                self._socket.sendmsg([octets], map(_answer_from, to.asked), 0, to.source)
            else:
                self._socket.sendto(octets, to.source)
        except OSError:
            return False
        return True

    def read(self) -> list[Datagram]:
        """Empty the socket, but for what an endless flood adds meanwhile."""
        batch = self._reader.read()
        if len(batch) == AT_ONCE:
            for _ in range(_MOST_BATCHES - 1):
                more = self._reader.read()
                batch += more
                if len(more) < AT_ONCE:
                    break
        return batch


def _make_room(bound: socket.socket) -> None:
    """Let some thousand datagrams wait while a group of logins is written; what does not fit, the kernel drops."""
    try:
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except OSError:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)


def _answer_from(entry: Ancillary) -> Ancillary:
    """Turn "arrived at this address" into "leave from it": for IPv4 the interface and header address are for us."""
    level, kind, data = entry
    if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
        return level, kind, bytes(4) + data[4:8] + bytes(4)
    return entry
