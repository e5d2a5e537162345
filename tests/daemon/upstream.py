"""An upstream RADIUS server that answers when the test says so, in a page of our own: no line of `radiusd2fa`.

It checks nothing; what it is for is that a login waits for it. RFC 2865 3; RFC 3579 3.2 (Message-Authenticator).
"""

from __future__ import annotations

import hashlib
import hmac
import socket
from types import TracebackType
from typing import Final, Self

from .wire import PATIENCE

ACCEPT: Final = 2
REJECT: Final = 3
_SECRET: Final = b"between us and the upstream"


class Upstream:
    """One server that passwords are asked of."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def as_primary(self) -> str:
        """What a site writes that asks it, and waits nearly as long as any login may."""
        where = f"127.0.0.1:{self._socket.getsockname()[1]}"
        server = f'{{address: "{where}", secret: "{_SECRET.decode()}"}}'
        return f"{{kind: radius, servers: [{server}], timeout: 4s}}"

    def wait_until_asked(self) -> None:
        """Return when a question has come, and leave it there."""
        assert self._socket.recv(4096, socket.MSG_PEEK)

    def answer(self, code: int) -> None:
        """Answer the first question that has come."""
        asked, came_from = self._socket.recvfrom(4096)
        head = bytes((code, asked[1])) + (38).to_bytes(2, "big")
        signature = hmac.digest(_SECRET, head + asked[4:20] + b"\x50\x12" + bytes(16), "md5")
        body = b"\x50\x12" + signature
        authenticator = hashlib.md5(head + asked[4:20] + body + _SECRET, usedforsecurity=False).digest()
        self._socket.sendto(head + authenticator + body, came_from)
