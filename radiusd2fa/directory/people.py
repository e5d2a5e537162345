"""The directory's people for the command line, one call after the other: is that person still there, and who is it?

``None`` means that the directory knows nobody of that id or name; a directory that cannot be asked is an exception, and
never mistaken for an empty one. Nothing here checks a password. Answers to no RFC.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self

from radiusd2fa.core.model import Reason
from radiusd2fa.core.record import record
from radiusd2fa.directory import reasons
from radiusd2fa.directory.asking import Asking, Missing, names_of
from radiusd2fa.directory.connection import Ask
from radiusd2fa.directory.dialling import tls_context
from radiusd2fa.directory.messages import Entry
from radiusd2fa.directory.saying import Seldom
from radiusd2fa.directory.server import Server
from radiusd2fa.directory.servers import Servers
from radiusd2fa.primary import Say
from radiusd2fa.settings import LdapSettings


@record
class Person:
    """Somebody as the directory knows them now."""

    id: str | None
    """None where the settings name no id_attribute."""
    name: str | None
    """What they have to type: the value of the attribute that search_filter compares with {name} or {user}."""
    groups: tuple[str, ...]
    enabled: bool
    reason: Reason | None = None
    """Why they may not log in."""


class AmbiguousError(Exception):
    """Several people have that id or name."""


class People:
    """An open directory. ValueError: the settings give no way to find anybody without a password."""

    def __init__(self, settings: LdapSettings, say: Say) -> None:
        self._settings = settings
        self._asking = Asking(settings)
        if not self._asking.looks_up:
            raise ValueError("without search_user and search_base nobody can be found in this directory")
        self._say = Seldom(say)
        self._runner = asyncio.Runner()
        self._servers: Servers | None = None

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._servers is not None:
            self._servers.close()
        self._runner.__exit__(kind, error, traceback)

    def find(self, directory_id: str) -> Person | None:
        """Return whose id that is, whatever they are called now. DirectoryUnavailableError, AmbiguousError."""
        return self._person(lambda ask: self._asking.find_by_id(ask, directory_id))

    def by_name(self, name: str) -> Person | None:
        """Return who is called so (a canonical name). DirectoryUnavailableError, AmbiguousError."""
        return self._person(lambda ask: self._asking.find(ask, names_of(name)))

    def _person(self, find: Callable[[Ask], Awaitable[Entry | Missing]]) -> Person | None:
        return self._runner.run(self._ask_for(find))

    async def _ask_for(self, find: Callable[[Ask], Awaitable[Entry | Missing]]) -> Person | None:
        if self._servers is None:
            loop = asyncio.get_running_loop()
            self._servers = Servers(self._settings, tls_context(self._settings), loop, self._say)
        return await self._servers.run(partial(self._on_server, find))

    async def _on_server(
        self, find: Callable[[Ask], Awaitable[Entry | Missing]], server: Server, deadline: float
    ) -> Person | None:
        ask = partial(server.search, deadline=deadline)
        found = await find(ask)
        match found:
            case Missing.SEVERAL:
                raise AmbiguousError
            case Missing():
                return None
        name = self._asking.name_of(found)
        groups = await self._asking.groups(ask, found, names_of(name or ""))
        reason = reasons.standing(found, time.time())
        return Person(self._asking.id_of(found), name, groups, reason is None, reason)
