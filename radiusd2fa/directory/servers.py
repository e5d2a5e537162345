"""All servers of a directory, in the order in which the site prefers them, and the logins that wait for one.

A login goes to the first server that is well, not silent and not full; while all those are full it waits, in a queue
that has an end. No login waits longer than connecting and one answer may take, and none waits for a sick server.
Answers to no RFC.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import TypeVar

from radiusd2fa.directory.dialling import Dialler, target
from radiusd2fa.directory.saying import Seldom
from radiusd2fa.directory.server import Health, Server
from radiusd2fa.directory.trouble import DirectoryUnavailableError, TroubleError
from radiusd2fa.settings import LdapSettings

T = TypeVar("T")
Task = Callable[[Server, float], Awaitable[T]]
"""What is done on a server, by a deadline in the loop's time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    turn: Future[Server]
    tried: list[Server]


class Servers:
    """The directory as a whole, from the event loop's thread."""

    def __init__(self, settings: LdapSettings, tls: SSLContext, loop: AbstractEventLoop, say: Seldom) -> None:
        self._loop = loop
        self._say = say
        self._room = settings.queue
        self._patience = settings.connect_timeout + settings.timeout
        self._queue: list[_Waiting] = []
        self._closed = False
        self._servers = [
            Server(Dialler(target(uri), settings, tls, loop), settings, loop, say, self._serve)
            for uri in settings.servers
        ]
        for server in self._servers:
            server.probe()

    async def run(self, task: Task[T]) -> T:
        """Do something on the best server; when that one is in trouble, on the next. DirectoryUnavailableError."""
        deadline = self._loop.time() + self._patience
        tried: list[Server] = []
        while True:
            server = await self._turn(tried, deadline)
            try:
                return await task(server, deadline)
            except TroubleError as trouble:
                if server.health is Health.WELL and not self._closed:  # otherwise it was said already
                    self._say("warning", f"{server.uri}: {trouble}")
                tried.append(server)
            finally:
                server.free += 1
                self._serve()

    def close(self) -> None:
        """Let go of everything; whoever waits is told that the directory is not available."""
        self._closed = True
        for server in self._servers:
            server.close()
        self._serve()

    async def _turn(self, tried: list[Server], deadline: float) -> Server:
        if not self._queue and (server := self._best(tried)):
            server.free -= 1
            return server
        if not self._could_serve(tried) or len(self._queue) >= self._room or self._loop.time() >= deadline:
            raise DirectoryUnavailableError
        waiting = _Waiting(self._loop.create_future(), tried)
        self._queue.append(waiting)
        timer = self._loop.call_at(deadline, self._forget, waiting)
        try:
            return await waiting.turn
        except BaseException:
            self._leave(waiting)
            raise
        finally:
            timer.cancel()

    def _best(self, tried: list[Server]) -> Server | None:
        well = [server for server in self._servers if server.health is Health.WELL and server not in tried]
        answering = [server for server in well if not server.is_silent()]
        # a silent one is asked only where there is no other, not where the others are full
        return next((server for server in answering or well if server.free), None)

    def _could_serve(self, tried: list[Server]) -> bool:
        return not self._closed and any(
            server.health is not Health.SICK and server not in tried for server in self._servers
        )

    def _serve(self) -> None:
        """Give free servers to those who wait, and tell those whose last hope has gone."""
        for waiting in [*self._queue]:
            if waiting.turn.done():
                continue
            if not self._closed and (server := self._best(waiting.tried)):
                server.free -= 1
                self._queue.remove(waiting)
                waiting.turn.set_result(server)
            elif not self._could_serve(waiting.tried):
                self._forget(waiting)

    def _forget(self, waiting: _Waiting) -> None:
        if not waiting.turn.done():
            self._queue.remove(waiting)
            waiting.turn.set_exception(DirectoryUnavailableError())

    def _leave(self, waiting: _Waiting) -> None:
        """Take somebody out who does not wait any more, with or without a server."""
        if waiting in self._queue:
            self._queue.remove(waiting)
        elif not waiting.turn.cancelled() and waiting.turn.exception() is None:
            waiting.turn.result().free += 1
            self._serve()
