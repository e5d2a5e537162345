"""One upstream RADIUS server: asks it, knows its replies from all others, and whether it is worth asking.

It believes no reply that was not made by the server that was asked: what is late, doubled, cut or from elsewhere
answers nothing. It never waits: sockets and timers belong to the running event loop.
RFC 2865 3; RFC 5080 2.2.1 (retransmission); RFC 5997 (Status-Server); CVE-2024-3596 for the signature.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from typing import Final

from radiusd2fa.primary import Say
from radiusd2fa.radius.attributes import Attribute
from radiusd2fa.radius.packet import MAX_LENGTH, Code, MalformedPacket, Packet, encode_request, hide_password
from radiusd2fa.radius.reply_packet import UNSIGNED, read_reply
from radiusd2fa.radius.upstream import Attributes
from radiusd2fa.settings import RadiusSettings, UpstreamServer

Ended = Callable[[Packet | None], None]
"""Called once, with the reply, or with None for none."""

SILENT_REQUESTS: Final = 3
"""Requests in a row without an answer after which a server is passed over."""
SAY_AGAIN: Final = 60.0
"""Seconds between two log lines about the same trouble of the same server."""

_TROUBLE: Final = {
    UNSIGNED: "its replies have no Message-Authenticator and are thrown away (CVE-2024-3596): update that server, or "
    "set message_authenticator: observe for this backend",
    "wrong_response_authenticator": "its replies are not made with our shared secret: compare the secret on both sides",
    "wrong_message_authenticator": "its replies have a wrong Message-Authenticator and are thrown away",
}


class Exchange:
    """One request on a socket, and so a port, of its own; the same octets again while tries are left."""

    def __init__(
        self,
        server: HomeServer,
        octets: bytes,
        tries: int,
        ended: Ended,
    ) -> None:
        """Send; ``ended`` is called later, once: with the reply, or None for none. OSError: it could not be sent."""
        self._server = server
        self._octets = octets
        self._left = tries
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(server.sockaddr)  # binds it to a free port of the kernel's choice, a random one
            self._peer = self._socket.getpeername()
            self._send()
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Give up without a word."""
        self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _send(self) -> None:
        self._left -= 1
        with suppress(BlockingIOError):  # as good as lost on the way
            self._socket.send(self._octets)
        self._timer = self._loop.call_later(self._server.settings.timeout, self._wake)

    def _wake(self) -> None:
        if not self._left:
            self._end(None)
            return
        try:
            self._send()
        except OSError:  # nobody listens there
            self._end(None)

    def _read(self) -> None:
        try:
            datagram, source = self._socket.recvfrom(MAX_LENGTH + 1)
        except BlockingIOError:
            return
        except OSError:  # nobody listens there, says its host (ICMP)
            self._end(None)
            return
        if source != self._peer:  # came between bind and connect
            self._server.say_of("what did not come from it was ignored")
            return
        required = self._server.settings.require_message_authenticator
        try:
            reply = read_reply(
                datagram, self._octets, self._server.upstream.secret, require_message_authenticator=required
            )
        except MalformedPacket as malformed:
            self._server.say_of(
                _TROUBLE.get(malformed.reason, f"what is no reply to us was ignored ({malformed.reason})")
            )
            return
        self._end(reply)

    def _end(self, reply: Packet | None) -> None:
        self.close()
        self._ended(reply)


class _Standing(Enum):
    """Whether logins go to a server."""

    SERVING = auto()
    PASSED_OVER = auto()
    TO_BE_TRIED = auto()
    """The next login may try whether it answers again."""
    ON_TRIAL = auto()
    """One login is trying that."""


class HomeServer:
    """One upstream server, and whether it is worth asking."""

    def __init__(
        self, upstream: UpstreamServer, settings: RadiusSettings, say: Say, is_last: Callable[[], bool]
    ) -> None:
        """``is_last`` says whether no server is serving any more."""
        self.upstream = upstream
        self.settings = settings
        host = f"[{upstream.address}]" if ":" in upstream.address else upstream.address
        self.name = f"{host}:{upstream.port}"
        family, _, _, _, sockaddr = socket.getaddrinfo(
            upstream.address, upstream.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        self.family: socket.AddressFamily = family
        self.sockaddr: tuple[object, ...] = sockaddr
        self._say = say
        self._is_last = is_last
        self._said: dict[str, float] = {}
        """Until when what was said is not said again."""
        self._loop = asyncio.get_running_loop()
        self._standing = _Standing.SERVING
        self._silent = 0
        self._told = False
        """Whether the log knows that it is passed over."""
        self._answers_status = False
        self._probe: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def serves(self) -> bool:
        """Whether nothing is known against it."""
        return self._standing is _Standing.SERVING

    @property
    def may_be_asked(self) -> bool:
        """Whether a login may go there."""
        return self._standing in {_Standing.SERVING, _Standing.TO_BE_TRIED}

    def ask(self, attributes: Attributes, password: bytes, ended: Ended) -> Exchange:
        """Send an Access-Request; ``ended`` is called later. OSError, ValueError: it could not be sent."""
        authenticator = secrets.token_bytes(16)
        hidden = hide_password(password, self.upstream.secret, authenticator)
        octets = self._request(Code.ACCESS_REQUEST, authenticator, [*attributes, (Attribute.USER_PASSWORD, hidden)])
        exchange = Exchange(self, octets, self.settings.tries, partial(self._ended, ended))
        if self._standing is _Standing.TO_BE_TRIED:
            self._standing = _Standing.ON_TRIAL
        return exchange

    def failed(self) -> None:
        """Count a request without an answer."""
        self._silent += 1
        if self._standing is not _Standing.SERVING:
            self._standing = _Standing.PASSED_OVER
        elif self._silent >= SILENT_REQUESTS:
            self._standing = _Standing.PASSED_OVER
            self._told = self.say_of(f"has not answered {SILENT_REQUESTS} requests in a row", "error")
            if self._is_last():  # it may be that only those requests went unanswered
                self._try_again()
            else:
                self._timer = self._loop.call_later(self.settings.retry_after, self._try_again)

    def close(self) -> None:
        """Stop asking how it is."""
        if self._timer is not None:
            self._timer.cancel()
        if self._probe is not None:
            self._probe.close()
        self._timer = self._probe = None

    def say_of(self, trouble: str, level: str = "warning") -> bool:
        """Tell the log what is wrong with this server, once a minute for each trouble; return whether it was told."""
        now = self._loop.time()
        if now < self._said.get(trouble, now):
            return False
        self._said[trouble] = now + SAY_AGAIN
        self._say(level, f"{self.settings.name}: {self.name}: {trouble}")
        return True

    def _ended(self, ended: Ended, reply: Packet | None) -> None:
        if reply is None:
            self.failed()
        else:
            self._answered()
        ended(reply)

    def _answered(self) -> None:
        self._silent = 0
        if self._standing is not _Standing.SERVING:
            self._standing = _Standing.SERVING
            self.close()
            if self._told:
                self._say("info", f"{self.settings.name}: {self.name}: answers again")

    def _try_again(self) -> None:
        """Ask how it is (RFC 5997); one that has never answered that may just not know the question."""
        if self._standing is _Standing.PASSED_OVER and not self._answers_status:
            self._standing = _Standing.TO_BE_TRIED
        octets = self._request(
            Code.STATUS_SERVER,
            secrets.token_bytes(16),
            [(Attribute.NAS_IDENTIFIER, self.settings.nas_identifier.encode())],
        )
        try:
            self._probe = Exchange(self, octets, 1, self._probed)
        except OSError:
            self._probed(None)

    def _probed(self, reply: Packet | None) -> None:
        self._probe = None
        if reply is None:
            self._timer = self._loop.call_later(self.settings.retry_after, self._try_again)
        else:
            self._answers_status = True
            self._answered()

    def _request(self, code: int, authenticator: bytes, attributes: Attributes) -> bytes:
        return encode_request(code, secrets.randbelow(256), authenticator, attributes, self.upstream.secret)
