"""Opens the backend in a test, asks it, and sees that it leaves nothing behind: no descriptor and no thread.

Nothing here knows what the right answer is.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from radiusd2fa.core.model import PrimaryAnswer, Reason, Verdict
from radiusd2fa.primary import Question
from radiusd2fa.primary.ldap import Ldap, open_backend
from radiusd2fa.settings import LdapSettings

from .slapd import BASE, PASSWORD, SEARCHER, SEARCHERS_PASSWORD, Slapd

T = TypeVar("T")

PATIENCE: Final = 20.0
UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)


def refused(reason: Reason | None = None) -> PrimaryAnswer:
    """Return the refusal for a reason."""
    return PrimaryAnswer(Verdict.REFUSED, reason=reason)


def site(directory: Slapd, **changed: object) -> LdapSettings:
    """Return the settings of a site with that directory: ldaps, search-then-bind, but for what is changed."""
    usual: dict[str, object] = {
        "name": "company",
        "servers": (directory.tls,),
        "ca_file": directory.authority,
        "search_base": BASE,
        "search_filter": "(&(objectClass=inetOrgPerson)(uid={name}))",
        "search_user": SEARCHER,
        "search_password": SEARCHERS_PASSWORD,
    }
    return LdapSettings(**(usual | changed))  # type: ignore[arg-type]


def patient(*ports: int, **changed: object) -> LdapSettings:
    """Return the settings for scripted servers, without an account to search with and with time for everything."""
    usual: dict[str, object] = {
        "name": "scripted",
        "servers": tuple(f"ldap://127.0.0.1:{port}" for port in ports),
        "search_base": "dc=test",
        "groups": "none",
        "connect_timeout": 5.0,
        "timeout": 5.0,
        "retry_after": 60.0,
    }
    return LdapSettings(**(usual | changed))  # type: ignore[arg-type]


def hasty(*ports: int, **changed: object) -> LdapSettings:
    """Return the same with hardly any time: for what never comes anyway."""
    usual: dict[str, object] = {"connect_timeout": 0.15, "timeout": 0.15}
    return patient(*ports, **(usual | changed))


class Voice:
    """Remembers what the backend says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.heard = asyncio.Event()

    def __call__(self, _: str, sentence: str) -> None:
        """Listen."""
        self.said.append(sentence)
        self.heard.set()

    def __contains__(self, part: object) -> bool:
        return any(str(part) in sentence for sentence in self.said)


@asynccontextmanager
async def opened(settings: LdapSettings, voice: Voice | None = None) -> AsyncIterator[Ldap]:
    """Open the backend, and see in the end that none of its tasks goes on."""
    backend = open_backend(settings, voice or Voice())
    try:
        yield backend
    finally:
        backend.close()
    async with asyncio.timeout(PATIENCE):
        while left := backends_tasks():
            await asyncio.wait(left)


def backends_tasks() -> set[asyncio.Task[Any]]:
    """Return what the backend still does on this loop."""
    return {task for task in asyncio.all_tasks() if "/radiusd2fa/" in task.get_coro().cr_code.co_filename}  # type: ignore[union-attr]


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine on a loop of its own, and see that it leaves neither a descriptor nor a thread."""
    files, threads = descriptors(), set(threading.enumerate())
    returned = asyncio.run(test)
    for thread in set(threading.enumerate()) - threads:
        thread.join(PATIENCE)
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= files
    return returned


def descriptors() -> set[str]:
    """Return the open descriptors of this process; the one that reads the folder is not among them."""
    return {link.name for link in Path("/proc/self/fd").iterdir() if _is_open(link.name)}


def connections_to(port: int) -> int:
    """Count this process's own ends of connections to a port of this host."""
    return sum(_peer(int(name)) == port for name in descriptors())


def _peer(descriptor: int) -> int | None:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return None
    with socket.socket(fileno=os.dup(descriptor)) as one, suppress(OSError):  # one without another end
        return int(one.getpeername()[1]) if one.family == socket.AF_INET else None
    return None


def _is_open(name: str) -> bool:
    try:
        os.fstat(int(name))
    except OSError:
        return False
    return True


async def ask(backend: Ldap, name: str, password: bytes | None = PASSWORD) -> PrimaryAnswer:
    """Ask, and wait for the one answer."""
    answers: asyncio.Queue[PrimaryAnswer] = asyncio.Queue()
    backend.verify(Question(name, password), answers.put_nowait)
    async with asyncio.timeout(PATIENCE):
        answer = await answers.get()
    assert answers.empty()
    return answer
