"""One connection to one server, that one question at a time goes over, with an end to every wait.

All octets pass through here, on the event loop's thread and without a thread of their own: a server that is silent,
drips, rambles or closes half of the connection costs the time that the question was given and no more. TLS is never
begun without checking the certificate against the host. RFC 4511 4.1.1, 4.4.1 (notice of disconnection), 4.14.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from asyncio import AbstractEventLoop, Future
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import socket
from typing import Final

from radiusd2fa.core.record import record
from radiusd2fa.directory import ber, messages
from radiusd2fa.directory.messages import Entry, Message, Request, Result
from radiusd2fa.directory.trouble import LostError, SilentError, TroubleError

_CHUNK: Final = 65_536
_LARGEST_ANSWER: Final = 1 << 20
"""Octets. An entry with a thousand groups has a fifth of it."""
_MOST_ASIDES: Final = 64
"""References and intermediate answers, which mean nothing to us."""
_HIGHEST_ID: Final = 2**31 - 1

# a TLS record may be needed before another can be written, and the other way round
_LATER: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@record
class Reply:
    """A whole answer."""

    result: Result
    entries: tuple[Entry, ...] = ()


Ask = Callable[[Request], Awaitable[Reply]]
"""Asks one thing, by a deadline that is set already."""


class Connection:
    """An open connection. After any trouble it is closed."""

    def __init__(self, loop: AbstractEventLoop, connected: socket) -> None:
        self._loop = loop
        self._socket = connected
        self._number = 0
        self._question: Request | None = None
        self._answer: Future[Reply] | None = None
        self._entries: list[Entry] = []
        self._asides = 0
        self._received = 0
        self._in = bytearray()
        self._out = b""
        self.open = True
        self.idle_since = loop.time()
        loop.add_reader(connected, self._readable)

    async def ask(self, request: Request, deadline: float) -> Reply:
        """Ask, and return the whole answer. ``deadline`` is in the loop's time; TroubleError: there is none."""
        if not self.open or self._answer is not None:
            raise LostError("the connection is of no use")
        self._number = self._number % _HIGHEST_ID + 1
        self._question, self._entries, self._asides, self._received = request, [], 0, 0
        answer: Future[Reply] = self._loop.create_future()
        self._answer = answer
        timer = self._loop.call_at(deadline, self._give_up, SilentError("no whole answer in time"))
        self._out += messages.write(self._number, request)
        try:
            self._write()
            return await answer
        except BaseException:  # cancelled, or trouble: nobody knows what comes next on this connection
            self.close()
            raise
        finally:
            timer.cancel()
            self._question = self._answer = None
            self.idle_since = self._loop.time()

    async def secure(self, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Put TLS over the connection, with a certificate for ``host``. OSError: it cannot be."""
        if self._in or self._answer is not None:
            # what has come before TLS was up was not protected, and whoever has sent it must not be believed later
            self.close()
            raise LostError("there are octets before TLS")
        self._loop.remove_reader(self._socket)
        plain = self._socket
        try:
            self._socket = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            async with asyncio.timeout_at(deadline):
                await self._shake_hands(self._socket)
        except BaseException:
            self.open = False
            self._socket.close()
            plain.close()
            raise
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Let go of the connection; whoever waits for an answer is told. A second time it does nothing."""
        if self.open:
            self.open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._in.clear()
            self._out = b""
        self._tell(LostError("the connection was closed"))

    def part(self) -> None:
        """Say goodbye (RFC 4511 4.3), as far as it can be said without waiting, and close."""
        if self.open:
            with suppress(OSError):
                self._socket.send(messages.unbind(self._number % _HIGHEST_ID + 1))
        self.close()

    async def _shake_hands(self, secured: ssl.SSLSocket) -> None:
        while True:
            try:
                secured.do_handshake()
                return
            except ssl.SSLWantReadError:
                await self._until_ready(secured, writing=False)
            except ssl.SSLWantWriteError:
                await self._until_ready(secured, writing=True)

    async def _until_ready(self, on: socket, *, writing: bool) -> None:
        ready: Future[None] = self._loop.create_future()
        add, remove = (
            (self._loop.add_writer, self._loop.remove_writer)
            if writing
            else (self._loop.add_reader, self._loop.remove_reader)
        )
        add(on, _set, ready)
        try:
            await ready
        finally:
            remove(on)

    # --- writing ---

    def _write(self) -> None:
        try:
            while self._out:
                self._out = self._out[self._socket.send(self._out) :]
        except _LATER:
            self._loop.add_writer(self._socket, self._writable)
        except OSError as error:
            self._give_up(LostError(why(error)))

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        self._write()

    # --- reading ---

    def _readable(self) -> None:
        ended = False
        try:
            # TLS keeps octets of its own that the selector knows nothing of: read until there is nothing
            while data := self._socket.recv(_CHUNK):
                self._in += data
                self._received += len(data)
                if self._received > _LARGEST_ANSWER:
                    self._give_up(LostError("the answer has no end"))
                    return
            ended = True
        except _LATER:
            pass
        except OSError as error:
            self._give_up(LostError(why(error)))
            return
        try:
            self._take()
        except ber.MalformedError as error:
            self._give_up(LostError(f"the answer is no LDAP: {error}"))
        except LostError as error:
            self._give_up(error)
        if ended:
            self._give_up(LostError("the server has closed the connection"))

    def _take(self) -> None:
        at = 0
        if self._in and self._in[0] != ber.SEQUENCE:
            raise ber.MalformedError("not an LDAPMessage")
        while self.open and (size := ber.size_of(self._in, at)) is not None:
            if size > _LARGEST_ANSWER:
                raise LostError("a message of no sensible length")
            if len(self._in) - at < size:
                break
            message = messages.read(bytes(self._in[at : at + size]))
            at += size
            self._hear(message)
        del self._in[:at]

    def _hear(self, message: Message) -> None:
        question = self._question
        if message.id == 0:
            # RFC 4511 4.4.1: "The server ... is about to terminate the LDAP session on its own initiative."
            raise LostError("the server says that it ends the connection")
        if question is None or self._answer is None or self._answer.done() or message.id != self._number:
            raise LostError("an answer to nothing that was asked")
        if message.tag == question.answer:
            self._answer.set_result(Reply(messages.read_result(message), tuple(self._entries)))
        elif message.tag == messages.ENTRY and question.answer == messages.SEARCH_ANSWER:
            if len(self._entries) == question.most:
                raise LostError("more entries than were asked for")
            self._entries.append(messages.read_entry(message.body))
        elif message.tag in {messages.REFERENCE, messages.INTERMEDIATE} and self._asides < _MOST_ASIDES:
            self._asides += 1
        else:
            raise LostError("another kind of answer than what was asked for")

    # --- ending ---

    def _give_up(self, trouble: TroubleError) -> None:
        self._tell(trouble)
        self.close()

    def _tell(self, trouble: TroubleError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(trouble)


def _set(ready: Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def why(error: OSError) -> str:
    """Say what the operating system, or TLS, has against it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not to be trusted: {error.verify_message}; ca_file says whom to trust"
    if not isinstance(error, ssl.SSLError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
