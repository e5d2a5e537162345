"""One server: the connections that are kept to it, whether it is well, and the breaker that keeps logins from it.

A login never tries whether a sick server is well again: that is done beside the logins, every ``retry_after`` seconds.
Connections that search and connections that people bind on are kept apart, because a bind changes whose connection it
is (RFC 4511 4.2.1: "authentication state ... the Bind operation ... is left in an anonymous state").
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Task, TimerHandle
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import Final, TypeVar

from radiusd2fa.directory import messages
from radiusd2fa.directory.connection import Ask, Connection, Reply
from radiusd2fa.directory.dialling import Dialler
from radiusd2fa.directory.messages import Code, Request
from radiusd2fa.directory.saying import Seldom
from radiusd2fa.directory.trouble import LostError, SilentError, TroubleError, UnfitError, UnwellError, unfit
from radiusd2fa.settings import LdapSettings

T = TypeVar("T")
Work = Callable[[Ask], Awaitable[T]]

_SUSPICIOUS: Final = 0.2
"""Seconds of silence while something is asked, after which newly arriving logins are sent elsewhere."""
_TOO_IDLE: Final = 300.0
"""Seconds after which an unused connection is not trusted any more."""
_AFTER_A_WRONG_PASSWORD: Final = 60.0
"""Seconds before the searching account's password is tried again: it might get locked."""


class Health(Enum):
    """What is known of a server."""

    UNTRIED = "untried"
    WELL = "well"
    SICK = "sick"


class _RefusedUsError(UnfitError):
    """The searching account may not bind."""


class Server:
    """One server of the directory, from the event loop's thread."""

    def __init__(
        self,
        dialler: Dialler,
        settings: LdapSettings,
        loop: AbstractEventLoop,
        say: Seldom,
        changed: Callable[[], None],
    ) -> None:
        self.uri = dialler.uri
        self.free = settings.calls
        """How many more logins may be on it."""
        self.health = Health.UNTRIED
        self._settings = settings
        self._loop = loop
        self._say = say
        self._changed = changed
        self._dialler = dialler
        self._searching: list[Connection] = []
        self._binding: list[Connection] = []
        self._busy: set[Connection] = set()
        self._asked: dict[object, float] = {}
        """Since when each thing that is not answered yet has been asked; the oldest comes first."""
        self._heard = float("-inf")
        self._probe: Task[None] | None = None
        self._next_probe: TimerHandle | None = None
        self._closed = False

    def is_silent(self) -> bool:
        """Tell whether something is asked, and nothing at all has come for suspiciously long."""
        if not self._asked:
            return False
        return self._loop.time() - max(self._heard, next(iter(self._asked.values()))) > _SUSPICIOUS

    async def search(self, request: Request, deadline: float) -> Reply:
        """Ask something as the account that searches."""
        return await self._with(self._searching, lambda ask: ask(request), deadline)

    async def with_binding(self, work: Work[T], deadline: float) -> T:
        """Do something on a connection of its own, that may become anybody's.

        When the server has ended a kept connection meanwhile, the work is done once more on a fresh one.
        """
        return await self._with(self._binding, work, deadline)

    def probe(self) -> None:
        """Find out beside the logins whether the server is well."""
        self._next_probe = None
        if not self._closed and self._probe is None:
            self._probe = self._loop.create_task(self._find_out())

    def close(self) -> None:
        """Let go of every connection; what is being asked ends with a LostError."""
        self._closed = True
        if self._next_probe is not None:
            self._next_probe.cancel()
        if self._probe is not None:
            self._probe.cancel()
        for connection in [*self._searching, *self._binding]:
            connection.part()
        for connection in [*self._busy]:
            connection.close()
        self._searching.clear()
        self._binding.clear()

    # --- connections ---

    async def _ask(self, connection: Connection, deadline: float, request: Request) -> Reply:
        """Ask one thing, for no longer than one thing may take."""
        began = self._loop.time()
        until = min(deadline, began + self._settings.timeout)
        try:
            with self._expecting():
                reply = await connection.ask(request, until)
        except SilentError as trouble:
            # it is not the server's fault that a login has little time left when its turn comes; and while the server
            # answers others, it is only this question that takes too long
            if until < deadline and self._heard < began:
                self._failed(trouble)
            raise
        self._heard = self._loop.time()
        if reply.result.code in {Code.BUSY, Code.UNAVAILABLE}:
            raise UnwellError(f"the server says that it is {Code(reply.result.code).name.lower()}")
        return reply

    async def _with(self, kept: list[Connection], work: Work[T], deadline: float) -> T:
        try:
            if connection := self._take(kept):
                try:
                    return await self._on(connection, kept, work, deadline)
                except LostError:
                    # servers end idle connections when they like, and then all of them: only a fresh one tells
                    while kept:
                        kept.pop().close()
            return await self._on(await self._fresh(kept, deadline), kept, work, deadline)
        except (LostError, UnwellError) as trouble:
            self._failed(trouble)
            raise

    async def _on(self, connection: Connection, kept: list[Connection], work: Work[T], deadline: float) -> T:
        self._busy.add(connection)
        try:
            return await work(partial(self._ask, connection, deadline))
        finally:
            self._busy.discard(connection)
            if self._closed:
                connection.close()
            elif connection.open:
                kept.append(connection)

    def _take(self, kept: list[Connection]) -> Connection | None:
        while kept:
            connection = kept.pop()  # the one that was used last
            if connection.open and self._loop.time() - connection.idle_since < _TOO_IDLE:
                return connection
            connection.part()
        return None

    async def _fresh(self, kept: list[Connection], deadline: float) -> Connection:
        soon = min(deadline, self._loop.time() + self._settings.connect_timeout)
        try:
            with self._expecting():  # a connection alone is no sign of life: the kernel makes it
                connection = await self._dialler.dial(soon)
            if kept is self._searching and self._settings.search_user:
                await self._become_searcher(connection, self._settings.search_user, deadline)
        except TroubleError as trouble:
            if soon < deadline or not isinstance(trouble, SilentError):
                self._failed(trouble)
            raise
        return connection

    async def _become_searcher(self, connection: Connection, name: str, deadline: float) -> None:
        bind = messages.bind(name, self._settings.search_password or b"")
        self._busy.add(connection)
        try:
            result = (await self._ask(connection, deadline, bind)).result
        finally:
            self._busy.discard(connection)
        if result.code == Code.SUCCESS:
            return
        connection.part()
        if result.code == Code.INVALID_CREDENTIALS:
            raise _RefusedUsError("the searching account's name or password is wrong")
        raise unfit("the searching account's bind", result)

    @contextmanager
    def _expecting(self) -> Iterator[None]:
        token = object()
        self._asked[token] = self._loop.time()
        try:
            yield
        finally:
            del self._asked[token]

    # --- health ---

    async def _find_out(self) -> None:
        # time enough that a step is never cut short by the end of all steps
        deadline = self._loop.time() + 3 * (self._settings.connect_timeout + self._settings.timeout)
        try:
            for kept in (self._searching, self._binding):
                await self._on(await self._fresh(kept, deadline), kept, _look_at_root, deadline)
        except TroubleError as trouble:
            self._failed(trouble)
            return
        finally:
            self._probe = None
        if self.health is Health.SICK:
            self._say("info", f"{self.uri} answers again")
        self.health = Health.WELL
        self._changed()

    def _failed(self, trouble: TroubleError) -> None:
        if self._closed:
            return
        pause = self._settings.retry_after
        if isinstance(trouble, _RefusedUsError):
            pause = max(pause, _AFTER_A_WRONG_PASSWORD)
        self._say("warning", f"{self.uri}: {trouble}; it is left alone and tried again every {pause:g} s")
        self.health = Health.SICK
        for kept in (self._searching, self._binding):
            while kept:
                kept.pop().close()
        if self._next_probe is None:
            self._next_probe = self._loop.call_later(pause, self.probe)
        self._changed()


async def _look_at_root(ask: Ask) -> None:
    await ask(messages.ARE_YOU_THERE)
