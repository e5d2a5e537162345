"""The daemon of one conversation, on a thread of its own, with a clock that only the transcript moves.

It is the program's own server, store, vault and sockets; nothing of them is replaced but the clock, and nothing waits
for time to pass: silence is known as soon as the server has dealt with the packet and has sent nothing.
RFC 2865 3 on both ends, the far one being pyrad's.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TextIO, TypeVar

from pyrad.client import Timeout
from pyrad.packet import AccessRequest, StatusServer

from radiusd2fa.audit import Journal
from radiusd2fa.emulators.nas import USER_PASSWORD, Answer, Nas, _Request
from radiusd2fa.factors import find_functions
from radiusd2fa.listeners.udp import Datagram, UdpListener
from radiusd2fa.log import Level
from radiusd2fa.primary import Primary, open_primary
from radiusd2fa.server import Server
from radiusd2fa.settings import BackendSettings, LogSettings
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.engine import Store

from .attributes import Attributes
from .authorities import Desk
from .configuration import Device
from .replies import MESSAGE_AUTHENTICATOR
from .scenery import Site

PATIENCE: Final = 20.0
"""Seconds after which a test that hangs gives up; nothing is measured by it."""

CHAP_PASSWORD: Final = 3
CHAP_CHALLENGE: Final = 60

T = TypeVar("T")


@dataclass(slots=True)
class Clock:
    """Seconds since 1970, as the transcript says."""

    now: float

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class HeardJournal(Journal):
    """The daemon's journal, and somebody who listens to its operational lines."""

    def __init__(self, log: LogSettings, stream: TextIO) -> None:
        super().__init__(log, stream=stream)
        self.heard: list[str] = []

    def note(self, level: Level | str, name: str, /, **fields: object) -> None:
        """Listen, and write."""
        self.heard.append(" ".join((name, *map(str, fields.values()))))
        super().note(level, name, **fields)


class CountingListener(UdpListener):
    """The daemon's listener, counting what came in and what went out."""

    def __init__(self, host: str) -> None:
        super().__init__(host, 0)
        self.taken = 0
        self.sent = 0
        self.news = asyncio.Event()

    def send(self, octets: bytes, to: Datagram) -> bool:
        """Answer, and count it."""
        self.sent += 1
        return super().send(octets, to)

    def read(self) -> list[Datagram]:
        batch = super().read()
        self.taken += len(batch)
        self.news.set()
        return batch


class Stage:
    """A running daemon and the devices that talk to it."""

    def __init__(self, site: Site) -> None:
        self.clock = Clock(site.now)
        self._site = site
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._devices: dict[tuple[str, bytes], TalkingDevice] = {}
        self._server: Server | None = None
        self._listeners: dict[bool, CountingListener] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self._journal_file = (self._site.folder / "journal").open("a", encoding="utf-8")
        self._journal = HeardJournal(self._site.settings.log, stream=self._journal_file)
        self._journal.__enter__()
        self._on_loop(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_daemon()
        self._journal.__exit__(None, None, None)
        self._journal_file.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def restart(self) -> None:
        """End the daemon and start another one on the same store."""
        self._close_daemon()
        self._on_loop(self._open())

    def counters(self) -> Counter[str]:
        """The daemon's packets so far, by what became of them."""
        assert self._server is not None
        return Counter(self._server.counters)

    def heard(self) -> list[str]:
        """What the journal was told since this was asked last: name and fields of each operational line."""
        heard, self._journal.heard = self._journal.heard, []
        return heard

    def device(self, device: Device, secret: bytes | None = None) -> TalkingDevice:
        """Return the far end; it keeps its port, as a device does. Another secret makes another far end."""
        key = device.name, secret or device.secret
        if key not in self._devices:
            listener = self._listeners[":" in device.address]
            self._devices[key] = TalkingDevice(device, key[1], self, listener)
        return self._devices[key]

    def settle(self, listener: CountingListener, taken: int) -> None:
        """Wait until that many packets came in and none of them is in work."""
        self._on_loop(self._settle(listener, taken))

    async def _settle(self, listener: CountingListener, taken: int) -> None:
        assert self._server is not None
        while listener.taken < taken:
            listener.news.clear()
            await listener.news.wait()
        await self._server._idle.wait()

    async def _open(self) -> None:
        site = self._site
        self._server = Server(
            site.settings,
            find_functions(site.settings.rules.factors()),
            {one.name: self._primary(one) for one in site.settings.backends},
            self._journal,
            Store(SqliteFile(site.database), site.vault, self._alarmed),
            self.clock,
        )
        self._listeners = {False: CountingListener("127.0.0.1"), True: CountingListener("::1")}
        for listener in self._listeners.values():
            self._server.listen(listener)

    def _primary(self, settings: BackendSettings) -> Primary:
        """A local password file is the program's own; directories and upstream servers are the conversation's."""
        authority = self._site.authorities.get(settings.name)
        return open_primary(settings, self._say) if authority is None else Desk(authority, settings)

    def _alarmed(self, text: str) -> None:
        self._journal.note("error", "store.alarm", error=text)

    def _say(self, level: str, text: str) -> None:
        self._journal.note(level, "primary.note", message=text)

    def _close_daemon(self) -> None:
        for device in self._devices.values():
            device.close()
        self._devices.clear()
        if self._server is not None:
            self._on_loop(self._server.stop())
            self._server = None

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


# --- the far end -----------------------------------------------------------------------------------------------------


class TalkingDevice(Nas):
    """pyrad's client, calling from the device's own address."""

    def __init__(self, device: Device, secret: bytes, stage: Stage, listener: CountingListener) -> None:
        super().__init__(
            server=(listener.address[0], listener.address[1]),
            secret=secret,
            nas_identifier=device.name,
            timeout=PATIENCE,
            retries=0,
            enforce_ma=device.signs,
        )
        self.replies = 0
        """How many came for the last request."""
        self.authenticator = b""
        """That of the last Access-Request."""
        self._stage = stage
        self._listener = listener
        self._taken = self._unread = 0
        self._call_from(device.address)

    def _call_from(self, address: str) -> None:
        """Leave the address that the kernel chose."""
        client = self._client
        client._CloseSocket()
        client._SocketOpen()
        client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        client._socket.bind((address, 0))
        client._socket.connect(self.server)
        client._poll = _Ear(client._poll, self)

    def ask_with(
        self, attributes: Attributes, password: bytes | None, chap: bytes | None, *, challenge: bytes, sign: bool
    ) -> Answer:
        """One Access-Request with exactly these attributes, and a password by PAP or CHAP if there is one.

        Without a ``challenge`` of its own CHAP uses the Request Authenticator (RFC 2865 5.3).
        """
        self.sign = sign
        request = self._request(AccessRequest)
        for number, value in attributes:
            request.setdefault(number, []).append(value)
        if password is not None:
            request[USER_PASSWORD] = [request.PwCrypt(password)]
        if chap is not None:
            text = b"\x07" + chap + (challenge or request.authenticator)
            request[CHAP_PASSWORD] = [b"\x07" + hashlib.md5(text, usedforsecurity=False).digest()]
            if challenge:
                request[CHAP_CHALLENGE] = [challenge]
        self._last = request
        self.authenticator = request.authenticator
        return self._send(request)

    def ask_status(self, *, sign: bool) -> Answer:
        """One Status-Server; the reply as it came."""
        request = self._request(StatusServer)
        if not sign:
            request.message_authenticator = None
            request.pop(MESSAGE_AUTHENTICATOR, None)
        return self._send(request)

    def heard(self) -> bool:
        """Wait until the daemon is done with the packet; say whether there is a reply to be read."""
        self._stage.settle(self._listener, self._taken)
        if self._listener.sent == self._unread:
            return False
        self._unread += 1
        return True

    def _send(self, request: _Request) -> Answer:
        before = self._unread = self._listener.sent
        self._taken = self._listener.taken + 1
        answer = super()._send(request)
        self.replies = self._listener.sent - before
        return answer


class _Ear:
    """Stands in for pyrad's poll: hears a reply when the daemon has sent one, and ends the waiting when it has not."""

    def __init__(self, poll: Any, device: TalkingDevice) -> None:  # noqa: ANN401 - pyrad's
        self._poll = poll
        self._device = device

    def poll(self, _: float) -> Any:  # noqa: ANN401
        """Return when there is a reply; Timeout when there will be none."""
        if not self._device.heard():
            raise Timeout
        return self._poll.poll(PATIENCE * 1000)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._poll, name)
