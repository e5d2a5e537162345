"""A directory's server that does what a test tells it, down to single octets: a sick one, a strange one, or a Windows.

It runs on the test's own event loop, on a port that the kernel chose, and is gone when the block ends. It takes LDAP
messages apart with our own reader, which slapd judges elsewhere. RFC 4511.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from radiusd2fa.directory import ber, messages
from radiusd2fa.directory.messages import Message

BIND, SEARCH, EXTENDED, UNBIND = 0x60, 0x63, 0x77, 0x42
FOR_EVER: Final = 3600.0


@dataclass
class Talk:
    """One connection as the server sees it."""

    reader: StreamReader
    writer: StreamWriter
    asked: Message = field(default_factory=lambda: Message(0, 0, b""))

    async def hear(self) -> Message:
        """Wait for the next message; an unbind or the end of the connection ends the talk."""
        head = await self.reader.readexactly(2)
        while (size := ber.size_of(head)) is None:
            head += await self.reader.readexactly(1)
        self.asked = messages.read(head + await self.reader.readexactly(size - len(head)))
        if self.asked.tag == UNBIND:
            raise EOFError
        return self.asked

    def answer(self, *operations: bytes, controls: bytes = b"", to: int | None = None) -> None:
        """Answer what was heard last."""
        number = self.asked.id if to is None else to
        for operation in operations:
            self.writer.write(ber.element(ber.SEQUENCE, ber.integer(number), operation, controls))

    async def drip(self, octets: bytes, pause: float = 0.05) -> None:
        """Send one octet at a time."""
        for octet in octets:
            self.writer.write(bytes([octet]))
            await self.writer.drain()
            await asyncio.sleep(pause)


Play = Callable[[Talk], Awaitable[None]]


def result(tag: int, code: int = 0, diagnostic: str = "", value: bytes | None = None) -> bytes:
    """Write an LDAPResult."""
    more = b"" if value is None else ber.octets(value, 0x8B)
    return ber.element(tag, ber.integer(code, ber.ENUMERATED), ber.octets(""), ber.octets(diagnostic), more)


def entry(dn: str, attributes: Mapping[str, list[bytes]]) -> bytes:
    """Write a SearchResultEntry."""
    written = [
        ber.element(ber.SEQUENCE, ber.octets(name), ber.element(ber.SET, *map(ber.octets, values)))
        for name, values in attributes.items()
    ]
    return ber.element(messages.ENTRY, ber.octets(dn), ber.element(ber.SEQUENCE, *written))


def bound(code: int = 0, diagnostic: str = "") -> bytes:
    """Write how a bind ends."""
    return result(messages.BIND_ANSWER, code, diagnostic)


def searched(code: int = 0, diagnostic: str = "") -> bytes:
    """Write how a search ends."""
    return result(messages.SEARCH_ANSWER, code, diagnostic)


def extended(code: int = 0, value: bytes | None = None) -> bytes:
    """Write how an extended operation ends."""
    return result(messages.EXTENDED_ANSWER, code, "", value)


ALICE: Final = entry("uid=alice,dc=test", {"uid": [b"alice"], "entryUUID": [b"A-1"]})


@dataclass
class Script:
    """A server that is well, but for what a test puts in another's place: each is done when that was heard."""

    bind: Play | None = None
    search: Play | None = None
    who: Play | None = None
    root: Play | None = None
    heard: list[Message] = field(default_factory=list)
    """Every message but the looks at the root, in order."""
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection has ended."""

    async def __call__(self, talk: Talk) -> None:
        """Answer until the connection ends."""
        self.connections += 1
        try:
            while True:
                await self._once(talk, await talk.hear())
        finally:
            self.ended.set()

    async def _once(self, talk: Talk, message: Message) -> None:
        if message.tag == SEARCH and message.body.startswith(b"\x04\x00\x0a\x01\x00"):
            await _play(self.root, talk, searched())
            return
        self.heard.append(message)
        match message.tag:
            case 0x60:
                await _play(self.bind, talk, bound())
            case 0x63:
                await _play(self.search, talk, ALICE, searched())
            case _:
                await _play(self.who, talk, extended(value=b"dn:uid=alice,dc=test"))

    @property
    def binds(self) -> list[bytes]:
        """The bodies of all binds."""
        return [message.body for message in self.heard if message.tag == BIND]

    @property
    def searches(self) -> list[bytes]:
        """The bodies of all searches."""
        return [message.body for message in self.heard if message.tag == SEARCH]


async def _play(play: Play | None, talk: Talk, *otherwise: bytes) -> None:
    if play is None:
        talk.answer(*otherwise)
    else:
        await play(talk)


def saying(*operations: bytes, controls: bytes = b"") -> Play:
    """Answer with these operations."""

    async def play(talk: Talk) -> None:
        talk.answer(*operations, controls=controls)

    return play


async def hang(_: Talk) -> None:
    """Say nothing, ever."""
    await asyncio.sleep(FOR_EVER)


@asynccontextmanager
async def serving(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Play a script for everybody who connects; the port."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await play(Talk(reader, writer))
        except (EOFError, OSError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in [*running]:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await server.wait_closed()


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return what a server with that certificate says TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
