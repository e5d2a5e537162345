"""How a new daemon gets the sockets of the one that runs, so that no packet finds nobody.

Both have the same sockets for a moment, and each packet is read by one of them: nothing is between two queues. Only
the same user, or root, is listened to. unix(7): SCM_RIGHTS, SO_PEERCRED, abstract names; no RFC speaks of this.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the parent of workers has no loop, and is to stay small
    import asyncio

CONTROL: Final = "control"
"""The name of the socket on which the next daemon asks."""
PREDECESSOR: Final = "predecessor"
"""The name of the connection to the daemon that is about to end."""

READY: Final = b"ready"
_SOCKETS: Final = b"sockets"
_LAST: Final = b", the last"
_MOST: Final = 253
"""SCM_MAX_FD: what one message can carry."""
_PATIENCE: Final = 5.0
_LONGEST_NAME: Final = 100


class HandoverError(Exception):
    """Somebody holds the name, and it is no daemon of ours. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What the daemon that runs has given."""

    sockets: list[socket.socket]
    control: socket.socket
    predecessor: socket.socket
    """The connection to it, for ``say_ready``."""


def say_ready(predecessor: socket.socket) -> None:
    """Tell the daemon that runs to end: all that comes in now is read here."""
    with suppress(OSError), predecessor:  # it may have ended by itself
        predecessor.send(READY)


def offer(config: Path) -> socket.socket | None:
    """Listen for the next daemon of this configuration; None when another process has the name."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        control.bind(_name(config))
        control.listen(1)
    except OSError:
        control.close()
        return None
    return control


def give(control: socket.socket, sockets: Sequence[int]) -> socket.socket | None:
    """Hand the sockets, and ``control`` itself, to who has connected; the connection, on which READY will come."""
    try:
        asking, _ = control.accept()
    except OSError:  # it has gone again
        return None
    try:
        if not _is_one_of_us(asking):
            raise PermissionError
        asking.setblocking(False)
        descriptors = [*sockets, control.fileno()]
        for at in range(0, len(descriptors), _MOST):
            last = b"" if at + _MOST < len(descriptors) else _LAST
            socket.send_fds(asking, [_SOCKETS + last], descriptors[at : at + _MOST])
    except OSError:
        asking.close()
        return None
    return asking


def is_ready(asking: socket.socket) -> bool:
    """Whether it has said that it reads the sockets; False: it has gone, and everything stays as it was."""
    try:
        return asking.recv(16) == READY
    except OSError:
        return False


def ask(config: Path) -> Inheritance | None:
    """Get the sockets of the daemon that runs with this configuration; None when there is none."""
    predecessor = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    predecessor.settimeout(_PATIENCE)
    try:
        return _inherit(predecessor, config)
    except BaseException:
        predecessor.close()
        raise


def _inherit(predecessor: socket.socket, config: Path) -> Inheritance | None:
    try:
        predecessor.connect(_name(config))
    except ConnectionRefusedError:
        predecessor.close()
        return None
    if not _is_one_of_us(predecessor):
        raise HandoverError("a process of another user listens in the daemon's place; end it (ss -xlp shows it)")
    given: list[socket.socket] = []
    said = b""
    while not said.endswith(_LAST):
        try:
            said, descriptors, _, _ = socket.recv_fds(predecessor, 32, _MOST)
        except OSError as error:
            raise HandoverError(f"the daemon that runs does not hand over ({error.strerror or error})") from error
        if not descriptors:
            raise HandoverError("the daemon that runs does not hand over: it is another user's, or about to end")
        given += [socket.socket(fileno=descriptor) for descriptor in descriptors]
    *sockets, control = given
    return Inheritance(sockets, control, predecessor)


def _name(config: Path) -> bytes:
    """The abstract name that the daemons of one configuration know."""
    path = os.fsencode(config)
    return b"\0radiusd2fa " + (path if len(path) <= _LONGEST_NAME - 12 else hashlib.sha256(path).hexdigest().encode())


def _is_one_of_us(connected: socket.socket) -> bool:
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in {os.geteuid(), 0}


class Offer:
    """What a daemon with an event loop does for the next one: it gives its sockets, and goes on until they are read."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        control: socket.socket,
        sockets: Callable[[], Sequence[int]],
        hand_over: Callable[[], None],
    ) -> None:
        """``sockets`` are those of the moment at which somebody asks; ``hand_over`` is called when they are read."""
        self._loop = loop
        self._control = control
        self._sockets = sockets
        self._hand_over = hand_over
        self._asking: socket.socket | None = None
        loop.add_reader(control, self._give)

    def close(self) -> None:
        """Answer nobody any more."""
        self._loop.remove_reader(self._control)
        self._control.close()
        self._forget()

    def _give(self) -> None:
        asking = give(self._control, self._sockets())
        if asking is not None:
            self._forget()
            self._asking = asking
            self._loop.add_reader(asking, self._hear)

    def _hear(self) -> None:
        if self._asking is not None and is_ready(self._asking):
            self._loop.remove_reader(self._asking)
            self._hand_over()
        else:
            self._forget()

    def _forget(self) -> None:
        if self._asking is not None:
            self._loop.remove_reader(self._asking)
            self._asking.close()
            self._asking = None
