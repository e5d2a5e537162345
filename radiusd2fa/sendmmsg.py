"""Sends many datagrams in one system call: sendmmsg(2), which Python's socket does not offer.

It reads no message and holds nothing between two calls. Each call through the socket module gives the interpreter
up and takes it back; at ten thousand lines a second that costs the thread which answers packets a tenth of its time.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_IOVEC: Final = struct.Struct("@PN")
"""iov_base, iov_len."""
_MMSGHDR: Final = struct.Struct("@PIPNPNi0PI0P")
"""msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags; msg_len."""


def send_many(to: socket.socket, messages: Sequence[bytes]) -> int:
    """Send on a connected datagram socket, as patiently as it is set; return how many went, at least one.

    OSError says why the first one did not go, BlockingIOError when there was no room in time.
    """
    octets = ctypes.create_string_buffer(b"".join(messages))
    vectors = ctypes.create_string_buffer(_IOVEC.size * len(messages))
    headers = ctypes.create_string_buffer(_MMSGHDR.size * len(messages))
    at, vector = ctypes.addressof(octets), ctypes.addressof(vectors)
    for number, message in enumerate(messages):
        _IOVEC.pack_into(vectors, _IOVEC.size * number, at, len(message))
        _MMSGHDR.pack_into(headers, _MMSGHDR.size * number, 0, 0, vector + _IOVEC.size * number, 1, 0, 0, 0, 0)
        at += len(message)
    sent: int = _LIBC.sendmmsg(to.fileno(), headers, len(messages), socket.MSG_NOSIGNAL)
    if sent < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return sent
