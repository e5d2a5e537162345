"""RADIUS over UDP: drains a socket and hands whole batches on (RFC 2865 3).

It reads no packet's content and decides nothing. A reply leaves from the address that was asked, also on a wildcard
socket (IP_PKTINFO, RFC 3542 6.2 for IPv6), and a full send buffer drops it as the network would.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, Final

from radiusd2fa.core.record import record

Address = tuple[Any, ...]

_BATCH: Final = 64
_LONGEST: Final = 4097
"""One octet more than a RADIUS packet can have."""
_RECEIVE_BUFFER: Final = 4 << 20
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)
_ANCILLARY_ROOM: Final = socket.CMSG_SPACE(20)


@record
class Datagram:
    """What came in, from where, and at which of our addresses (empty when the socket has only one)."""

    octets: bytes = field(repr=False)
    source: Address
    asked: Sequence[tuple[int, int, bytes]] = ()


Receive = Callable[["UdpListener", list[Datagram]], None]


class UdpListener:
    """One bound socket. The daemon's second copy cannot bind it as well: no address is ever shared."""

    def __init__(self, host: str, port: int) -> None:
        """Bind; OSError when the address is taken or not ours. Port 0 lets the kernel choose."""
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._socket.bind(address)
            self._wildcard = address[0] in {"0.0.0.0", "::"}  # noqa: S104 - asked, not bound
            if self._wildcard and family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            elif self._wildcard:
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        except OSError:
            self._socket.close()
            raise
        self.address: Address = self._socket.getsockname()

    def start(self, loop: asyncio.AbstractEventLoop, receive: Receive) -> None:
        """Hand each batch to ``receive`` from now on."""
        read = self._read_with_asked if self._wildcard else self._read
        loop.add_reader(self._socket, lambda: receive(self, read()))

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
                self._socket.sendmsg([octets], to.asked, 0, to.source)
            else:
                self._socket.sendto(octets, to.source)
        except OSError:
            return False
        return True

    def _read(self) -> list[Datagram]:
        batch: list[Datagram] = []
        receive = self._socket.recvfrom
        try:
            while len(batch) < _BATCH:
                batch.append(Datagram(*receive(_LONGEST)))
        except BlockingIOError:
            pass
        except OSError:  # an ICMP error of an earlier reply; the socket goes on
            pass
        return batch

    def _read_with_asked(self) -> list[Datagram]:
        batch: list[Datagram] = []
        try:
            while len(batch) < _BATCH:
                octets, ancillary, _, source = self._socket.recvmsg(_LONGEST, _ANCILLARY_ROOM)
                batch.append(Datagram(octets, source, [_answer_from(entry) for entry in ancillary]))
        except OSError:  # BlockingIOError: drained; else an ICMP error of an earlier reply
            pass
        return batch


def _answer_from(entry: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """Turn "arrived at this address" into "leave from it": for IPv4 the interface and header address are for us."""
    level, kind, data = entry
    if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
        return level, kind, bytes(4) + data[4:8] + bytes(4)
    return entry
