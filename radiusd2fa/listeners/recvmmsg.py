"""Takes many datagrams out of a socket in one system call, each with the kernel's time: recvmmsg(2).

It never waits, reads no datagram's content and answers nothing; what it hands out is copied out of its buffers.
RFC 3542 6.2 and ip(7) (at which address a datagram arrived). Python's socket takes one datagram a call, and one with
the time of its arrival costs it half as much again as one without.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import time
from dataclasses import field
from typing import Any, Final

from radiusd2fa.core.record import record

AT_ONCE: Final = 64
"""Datagrams of one system call."""
LONGEST: Final = 4097
"""One octet more than a RADIUS packet can have."""

Address = tuple[Any, ...]
Ancillary = tuple[int, int, bytes]

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_IOVEC: Final = struct.Struct("@PN")
"""iov_base, iov_len."""
_MMSGHDR: Final = struct.Struct("@PIPNPNi0PI0P")
"""msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags; msg_len."""
_WORD: Final = struct.calcsize("@I")
_LENGTH_AT: Final = struct.calcsize("@PIPNPNi0P") // _WORD
_NAME: Final = struct.Struct("28s")
"""A sockaddr_in6; a sockaddr_in leaves its end empty."""
_CMSGHDR: Final = struct.Struct("@Nii")
_TIMED: Final = struct.Struct("@Niill")
"""The first control message as it nearly always is: length, level, type, and a timespec."""
_SO_TIMESTAMPNS: Final = 35
"""asm-generic/socket.h; where it is another number, datagrams count as new when they are read."""
_ROOM: Final = socket.CMSG_SPACE(struct.calcsize("@ll")) + socket.CMSG_SPACE(20)
_MOST_REMEMBERED: Final = 4096


@record
class Datagram:
    """What came in, from where, and at which of our addresses (empty when the socket has only one)."""

    octets: bytes = field(repr=False)
    source: Address
    asked: tuple[Ancillary, ...] = ()
    waited: float = 0.0
    """Seconds that it lay in the kernel before it was read."""


def ask_for_times(of: socket.socket) -> None:
    """Have the kernel note when each datagram comes."""
    of.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


class Reader:
    """Reads one datagram socket. Holds about half a megabyte, and no datagram between two calls."""

    def __init__(self, of: socket.socket, *, wildcard: bool) -> None:
        """``of`` is IPv4 or IPv6, and stays its owner's to close; a ``wildcard`` is asked at several addresses."""
        self._descriptor = of.fileno()
        self._asked = self._where_asked if wildcard else None
        self._six = of.family == socket.AF_INET6
        # the kernel writes into these four; the views read them without a copy
        self._octets = ctypes.create_string_buffer(LONGEST * AT_ONCE)
        self._names = ctypes.create_string_buffer(_NAME.size * AT_ONCE)
        self._control = ctypes.create_string_buffer(_ROOM * AT_ONCE)
        self._headers = ctypes.create_string_buffer(_MMSGHDR.size * AT_ONCE)
        self._vectors = ctypes.create_string_buffer(_IOVEC.size * AT_ONCE)
        self._fresh = self._written_headers()
        self._header_view = memoryview(self._headers).cast("B")
        self._lengths = self._header_view.cast("I")[_LENGTH_AT :: _MMSGHDR.size // _WORD]
        self._name_view = memoryview(self._names).cast("B")
        self._control_view = memoryview(self._control).cast("B")
        self._octet_view = memoryview(self._octets).cast("B")
        self._sources: dict[bytes, Address] = {}

    def _written_headers(self) -> bytes:
        octets, names = ctypes.addressof(self._octets), ctypes.addressof(self._names)
        control, vectors = ctypes.addressof(self._control), ctypes.addressof(self._vectors)
        for at in range(AT_ONCE):
            _IOVEC.pack_into(self._vectors, _IOVEC.size * at, octets + LONGEST * at, LONGEST)
            name, vector, room = names + _NAME.size * at, vectors + _IOVEC.size * at, control + _ROOM * at
            _MMSGHDR.pack_into(self._headers, _MMSGHDR.size * at, name, _NAME.size, vector, 1, room, _ROOM, 0, 0)
        return self._headers.raw

    def read(self) -> list[Datagram]:
        """Return what waits, at most AT_ONCE; nothing when nothing waits, or when the socket has an error to tell."""
        count = _LIBC.recvmmsg(self._descriptor, self._headers, AT_ONCE, socket.MSG_DONTWAIT, None)
        if count <= 0:  # EAGAIN, or an ICMP error of an earlier reply; the socket goes on
            return []
        now = time.time()
        sources, octets, control, asked = self._sources, self._octet_view, self._control, self._asked
        batch = []
        at = where = 0
        names = _NAME.iter_unpack(self._name_view[: _NAME.size * count])
        for length, (name,) in zip(self._lengths[:count].tolist(), names, strict=True):
            _, level, kind, seconds, nanoseconds = _TIMED.unpack_from(control, where)
            timed = kind == _SO_TIMESTAMPNS and level == socket.SOL_SOCKET
            waited = now - seconds - nanoseconds * 1e-9 if timed else 0.0
            batch.append(
                Datagram(
                    octets[at : at + length].tobytes(),
                    sources.get(name) or self._source(name),
                    asked(where) if asked is not None else (),
                    waited if waited > 0.0 else 0.0,  # noqa: FURB136 - for each datagram; the host's clock may have been set back
                )
            )
            at += LONGEST
            where += _ROOM
        self._header_view[: _MMSGHDR.size * count] = self._fresh[: _MMSGHDR.size * count]
        return batch

    def _source(self, name: bytes) -> Address:
        """Read a sockaddr as Python's sockets write it, and remember it: a client keeps its port for a while."""
        port = int.from_bytes(name[2:4], "big")
        source: Address
        if self._six:
            flow, scope = int.from_bytes(name[4:8], "big"), int.from_bytes(name[24:28], sys.byteorder)
            source = (socket.inet_ntop(socket.AF_INET6, name[8:24]), port, flow, scope)
        else:
            source = (socket.inet_ntop(socket.AF_INET, name[4:8]), port)
        if len(self._sources) >= _MOST_REMEMBERED:
            self._sources.clear()
        self._sources[name] = source
        return source

    def _where_asked(self, where: int) -> tuple[Ancillary, ...]:
        """Look for the address that a datagram was sent to, behind its time."""
        found: list[Ancillary] = []
        end = where + _ROOM
        while where + _CMSGHDR.size < end:
            length, level, kind = _CMSGHDR.unpack_from(self._control, where)
            if length < _CMSGHDR.size:
                break
            if level in {socket.IPPROTO_IP, socket.IPPROTO_IPV6}:
                found.append((level, kind, bytes(self._control_view[where + _CMSGHDR.size : where + length])))
            where += socket.CMSG_SPACE(length - _CMSGHDR.size)
        return tuple(found)
