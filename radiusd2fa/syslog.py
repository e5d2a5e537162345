"""Brings syslog messages to a Unix socket, over UDP or over TCP.

Never waits longer than a moment for the other end, never sends a message twice that was handed over whole, and never
loses one that it knows of without counting it. RFC 5426 (UDP), RFC 6587 3.4.1 (TCP, octet counting).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from radiusd2fa.log import (
    Entry,
    Level,
    level_of,
)
from radiusd2fa.sendmmsg import send_many
from radiusd2fa.settings import SyslogSettings
from radiusd2fa.syslog_message import render

News = tuple[Level, str, dict[str, object]]
"""What an outlet says about itself: level, name and fields of a note."""


QUEUE_LIMIT: Final = 10_000
_AT_ONCE: Final = 64
"""Messages written in one step, so that nobody else waits long for the journal's thread."""
_MOMENT: Final = 0.01
"""Seconds that a collector on this machine has for one message. Linux queues ten datagrams at a Unix socket: who does
not wait comes back for every ten of them, and each time takes the interpreter from whoever answers packets."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, and how the pauses between attempts grow. In seconds."""

    resolve: float = 10.0
    connect: float = 5.0
    stall: float = 30.0
    """A receiver that takes nothing for so long is left."""
    first_pause: float = 0.5
    longest_pause: float = 30.0


@dataclass(frozen=True, slots=True)
class _Address:
    family: int
    kind: int
    where: str | tuple[Any, ...]


class _Lookup:
    """One question to the resolver. It may take minutes, so it has a thread of its own; nobody waits for that."""

    def __init__(self, host: str, port: int, kind: int, wake: Callable[[], None]) -> None:
        self.addresses: tuple[_Address, ...] | None = None
        self.error: OSError | None = None
        self._wake = wake
        self._thread = threading.Thread(target=self._run, args=(host, port, kind), name="syslog-lookup", daemon=True)
        self._thread.start()

    def _run(self, host: str, port: int, kind: int) -> None:
        try:
            self.addresses = _addresses(host, port, kind)
        except OSError as error:
            self.error = error
        self._wake()

    @property
    def running(self) -> bool:
        return self.addresses is None and self.error is None


def _addresses(host: str, port: int, kind: int, flags: int = 0) -> tuple[_Address, ...]:
    found = socket.getaddrinfo(host, port, type=kind, flags=flags)
    return tuple(_Address(family, kind, where) for family, kind, _, _, where in found)


@dataclass(frozen=True, slots=True)
class _Down:
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Resolving:
    lookup: _Lookup
    deadline: float


@dataclass(frozen=True, slots=True)
class _Connecting:
    socket: socket.socket
    address: _Address
    others: tuple[_Address, ...]
    deadline: float


@dataclass(frozen=True, slots=True)
class _Up:
    socket: socket.socket
    kind: int
    since: float
    sent_before: int
    """What `Sender.sent` was when this connection began."""


_State = _Down | _Resolving | _Connecting | _Up


class Sender:
    """Syslog as an outlet of the journal. Each call does what can be done at once; time is a parameter.

    A stream that breaks has taken some messages whole: these are not sent again, and whether the last of them arrived
    nobody can know. The one that was cut is sent again whole, over the next connection.
    """

    def __init__(
        self,
        settings: SyslogSettings,
        *,
        wake: Callable[[], None] = lambda: None,
        limit: int = QUEUE_LIMIT,
        patience: Patience = Patience(),
    ) -> None:
        self.name = "syslog"
        self._refused = 0
        self._gone = 0
        self.sent = 0
        """Messages handed to the kernel whole."""
        self.news: deque[News] = deque()
        self._settings = settings
        self._wake = wake
        self._limit = limit
        self._patience = patience
        self._hostname = socket.gethostname()
        self._procid = str(os.getpid())
        self._messages: deque[bytes] = deque()
        self._begun = 0
        """Octets of the first message's frame that have left."""
        self._state: _State = _Down()
        self._lookup: _Lookup | None = None
        self._pause = patience.first_pause
        self._stalled_since: float | None = None
        self._in_trouble = False

    # what the journal calls

    @property
    def dropped(self) -> int:
        """Entries lost here, ever."""
        return self._refused + self._gone  # apart, because two threads count

    def offer(self, entry: Entry) -> None:
        """Render and keep an entry, or count it as dropped. Debugging is not for the collector.

        It may run on another thread than all the rest, and on one at a time.
        """
        if level_of(entry) is Level.DEBUG:
            return
        if len(self._messages) >= self._limit:
            self._refused += 1
            return
        settings = self._settings
        self._messages.append(render(entry, settings.facility, self._hostname, settings.app_name, self._procid))

    def step(self, now: float) -> None:
        """Resolve, connect, write: as far as it goes without waiting."""
        while True:
            before = self._state
            self._state = self._next(before, now)
            if self._state is before:
                return

    def interest(self) -> tuple[int, int] | None:
        """Wake up when a connection is made, when the receiver takes more, and when it leaves."""
        match self._state:
            case _Connecting(socket=connecting):
                return connecting.fileno(), select.POLLOUT
            case _Up(socket=up) if self._stalled_since is not None:
                return up.fileno(), select.POLLIN | select.POLLOUT
            case _Up(socket=up, kind=socket.SOCK_STREAM):
                return up.fileno(), select.POLLIN
        return None

    def due(self) -> float | None:
        """Wake up for the next attempt, or to end one that takes too long."""
        match self._state:
            case _Down(retry_at=retry_at):
                return retry_at if self._messages else None
            case _Resolving(deadline=deadline) | _Connecting(deadline=deadline):
                return deadline
            case _Up() if self._messages:
                return 0.0 if self._stalled_since is None else self._stalled_since + self._patience.stall
        return None

    def busy(self, now: float) -> bool:
        """Whether something waits here that may leave in a moment; not while the next attempt is still to come."""
        return bool(self._messages) and not (isinstance(self._state, _Down) and now < self._state.retry_at)

    def flows(self) -> bool:
        """Whether messages leave, so that it can be told here what was lost."""
        return not self._in_trouble and len(self._messages) <= self._limit // 2

    def close(self) -> None:
        """Give up what still waits; count it as dropped."""
        if isinstance(self._state, _Connecting | _Up):
            self._state.socket.close()
        self._state = _Down()
        self._gone += len(self._messages)
        self._messages.clear()

    # one state after the other; the same state again means: nothing more can be done now

    def _next(self, state: _State, now: float) -> _State:
        match state:
            case _Down():
                return self._begin(now) if self._messages and now >= state.retry_at else state
            case _Resolving():
                return self._resolved(state, now)
            case _Connecting():
                return self._connected(state, now)
            case _Up():
                return self._flow(state, now)

    def _begin(self, now: float) -> _State:
        settings = self._settings
        if settings.scheme == "unix":
            # /dev/log may be either; EPROTOTYPE leads from the one to the other
            return self._connect(tuple(_Address(socket.AF_UNIX, kind, settings.path) for kind in _UNIX_KINDS), now)
        kind = socket.SOCK_DGRAM if settings.scheme == "udp" else socket.SOCK_STREAM
        try:
            return self._connect(_addresses(settings.host, settings.port, kind, socket.AI_NUMERICHOST), now)
        except OSError:
            pass  # a name, then
        if self._lookup is None or not self._lookup.running:
            self._lookup = _Lookup(settings.host, settings.port, kind, self._wake)
        return _Resolving(self._lookup, now + self._patience.resolve)

    def _resolved(self, state: _Resolving, now: float) -> _State:
        if state.lookup.addresses is not None:
            return self._connect(state.lookup.addresses, now)
        if state.lookup.error is not None:
            return self._failed(state.lookup.error, now)
        return (
            state if now < state.deadline else self._failed(TimeoutError(errno.ETIMEDOUT, "no answer to the name"), now)
        )

    def _connect(self, addresses: tuple[_Address, ...], now: float) -> _State:
        problem = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        for position, address in enumerate(addresses):
            try:
                fresh = _socket_for(address)
            except OSError as error:
                problem = error
                continue
            try:
                fresh.connect(address.where)
                _have_patience(fresh)
            except BlockingIOError as error:
                if error.errno == errno.EINPROGRESS:
                    return _Connecting(fresh, address, addresses[position + 1 :], now + self._patience.connect)
                problem = error  # EAGAIN: the queue of a Unix stream is full
            except OSError as error:
                problem = error
            else:
                return _Up(fresh, address.kind, now, self.sent)
            fresh.close()
        return self._failed(problem, now)

    def _connected(self, state: _Connecting, now: float) -> _State:
        if not _ready(state.socket, select.POLLOUT):
            if now < state.deadline:
                return state
            number = errno.ETIMEDOUT
        else:
            number = state.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number == 0:
                return _Up(state.socket, state.address.kind, now, self.sent)
        state.socket.close()
        if state.others:
            return self._connect(state.others, now)
        return self._failed(OSError(number, os.strerror(number)), now)

    def _flow(self, state: _Up, now: float) -> _State:
        try:
            if state.kind == socket.SOCK_STREAM:
                _check_peer(state.socket)
            if self._messages:
                write = self._write_stream if state.kind == socket.SOCK_STREAM else self._write_datagrams
                write(state.socket)
                self._flowing(state)
            self._stalled_since = None
        except BlockingIOError:
            if self._stalled_since is None:
                self._stalled_since = now
            if now - self._stalled_since < self._patience.stall:
                return state
            return self._lost(state, TimeoutError(errno.ETIMEDOUT, "the receiver takes nothing"), now)
        except OSError as error:
            return self._lost(state, error, now)
        return state

    def _write_datagrams(self, to: socket.socket) -> None:
        waiting = min(_AT_ONCE, len(self._messages))
        while waiting > 0:
            try:
                sent = send_many(to, self._first(waiting))
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    self._messages.popleft()
                    self._gone += 1
                    waiting -= 1
                    continue
                if error.errno == errno.ECONNREFUSED and to.family != socket.AF_UNIX:
                    # ICMP says that an earlier one found nobody
                    self._gone += 1
                    self.sent -= 1
                raise
            for _ in range(sent):
                self._messages.popleft()
            self.sent += sent
            waiting -= sent

    def _write_stream(self, to: socket.socket) -> None:
        frames = [self._frame(message) for message in self._first(min(_AT_ONCE, len(self._messages)))]
        first, *others = frames
        self._begun += to.sendmsg([first[self._begun :], *others], [], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        for frame in frames:
            if self._begun < len(frame):
                break
            self._begun -= len(frame)
            self._messages.popleft()
            self.sent += 1

    def _first(self, count: int) -> list[bytes]:
        # by their places: an iteration does not survive it that somebody adds one meanwhile
        return [self._messages[place] for place in range(count)]

    def _frame(self, message: bytes) -> bytes:
        if self._settings.scheme == "unix":
            return message + b"\0"  # as the C library does on a stream
        # RFC 6587 3.4.1: SYSLOG-FRAME = MSG-LEN SP SYSLOG-MSG
        return b"%d %b" % (len(message), message)

    def _flowing(self, state: _Up) -> None:
        # a first UDP datagram always leaves; only when the second does has no ICMP come back
        if self._in_trouble and self.sent - state.sent_before > (self._settings.scheme == "udp"):
            self._in_trouble = False
            self.news.append((Level.INFO, "syslog.up", {"receiver": self._receiver()}))

    def _lost(self, state: _Up, error: OSError, now: float) -> _State:
        state.socket.close()
        self._begun = 0  # the next connection gets the whole frame
        self._stalled_since = None
        if now - state.since >= self._patience.longest_pause:
            self._pause = self._patience.first_pause
        return self._failed(error, now)

    def _failed(self, error: OSError, now: float) -> _State:
        if not self._in_trouble:
            self._in_trouble = True
            self.news.append((Level.WARNING, "syslog.down", {"receiver": self._receiver(), "error": error}))
        retry_at = now + self._pause
        self._pause = min(self._pause * 2, self._patience.longest_pause)
        return _Down(retry_at)

    def _receiver(self) -> str:
        to = self._settings
        return f"unix:{to.path}" if to.scheme == "unix" else f"{to.scheme}://{to.host}:{to.port}"


_UNIX_KINDS: Final = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


def _socket_for(address: _Address) -> socket.socket:
    fresh = socket.socket(address.family, address.kind)
    fresh.setblocking(False)
    if address.kind == socket.SOCK_STREAM and address.family != socket.AF_UNIX:
        fresh.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    return fresh


def _have_patience(connected: socket.socket) -> None:
    if connected.family == socket.AF_UNIX and connected.type == socket.SOCK_DGRAM:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, round(_MOMENT * 1_000_000)))
        connected.setblocking(True)


def _ready(on: socket.socket, events: int) -> bool:
    poll = select.poll()
    poll.register(on, events)
    return bool(poll.poll(0))


def _check_peer(on: socket.socket) -> None:
    # a receiver says nothing on this connection; an end of file is the only sign that what we write next would be lost
    try:
        if on.recv(4096, socket.MSG_DONTWAIT) == b"":
            raise ConnectionResetError(errno.ECONNRESET, "the receiver has closed")
    except BlockingIOError:
        return
