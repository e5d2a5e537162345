"""Several nodes of one site: a folder and a daemon for each, one PostgreSQL for all of them.

The nodes share a vault key and a database, and nothing else; no node knows of another. Nothing here waits for the
database. Nodes and their names: docs/high-availability.md; no RFC speaks here.
"""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.daemon.site import Daemon, Person, Site
from tests.postgresql import Cluster

from .crowd import Crowd

NAMES: Final = ("north", "south", "west")

Founded = tuple[Site, list[Person]]
"""A site, and who has a fob there."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """The sites of all nodes, and who has a fob there."""

    sites: list[Site]
    people: list[Person]

    @classmethod
    def of(cls, founded: Site, people: list[Person], folder: Path, store: str) -> Nodes:
        """Move a copy of a site into that database, and let all nodes work on it."""
        sites = []
        for name in NAMES:
            shutil.copytree(founded.folder, folder / name)
            sites.append(Site(folder / name))
            with sites[-1].config.open("a") as config:
                config.write(f"node: {name}\n")
        sites[0].cli("db", "copy", "--to", store, "--yes")
        nodes = cls(sites, people)
        nodes.move("sqlite:///radiusd2fa.db", f'"{store}"')
        return nodes

    def move(self, before: str, after: str) -> None:
        """Give the store another address, everywhere; the daemons must read it anew."""
        for site in self.sites:
            words = site.config.read_text()
            assert before in words
            site.config.write_text(words.replace(before, after))

    @contextmanager
    def serving(self) -> Iterator[list[Daemon]]:
        """All of them at work."""
        with ExitStack() as started:
            yield [started.enter_context(site.serving()) for site in self.sites]

    def crowd(self, seed: int) -> Crowd:
        """Their people; the command line is the first node's."""
        return Crowd.of(self.sites[0], self.people, seed)


@dataclass(slots=True)
class Wire:
    """The network between the nodes and the database: what goes through it can be cut, and stays cut until mended."""

    path: Path
    """The socket of the database."""
    folder: Path
    """Where this one's socket lies."""
    _listener: socket.socket = field(init=False)
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _is_cut: bool = False
    cuts: int = 0

    @classmethod
    @contextmanager
    def to(cls, cluster: Cluster, folder: Path) -> Iterator[Wire]:
        """One that leads to this server; its ``folder`` is the host of a store's address."""
        wire = cls(cluster.folder / ".s.PGSQL.5432", folder)
        with socket.socket(socket.AF_UNIX) as wire._listener:
            wire._listener.bind(str(folder / ".s.PGSQL.5432"))
            wire._listener.listen(64)
            taking = threading.Thread(target=wire._take)
            taking.start()
            try:
                yield wire
            finally:
                wire._listener.shutdown(socket.SHUT_RDWR)
                taking.join()
                wire.cut()
                for thread in wire._threads:
                    thread.join()

    def cut(self) -> None:
        """Break everything that goes through it, and take nothing new."""
        self._is_cut = True
        for pair in self._pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                self.cuts += 1
        self._pairs.clear()

    def mend(self) -> None:
        """Let new connections through."""
        self._is_cut = False

    def _take(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            if self._is_cut or far.connect_ex(str(self.path)):
                near.close()
                far.close()
                continue
            self._pairs.append((near, far))
            left = threading.Semaphore(1)
            for one, other in ((near, far), (far, near)):
                self._threads.append(threading.Thread(target=_carry, args=(one, other, left)))
                self._threads[-1].start()


def _carry(one: socket.socket, other: socket.socket, left: threading.Semaphore) -> None:
    """Carry octets until one end has closed; whoever is second closes both."""
    with suppress(OSError):
        while octets := one.recv(65_536):
            other.sendall(octets)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    if not left.acquire(blocking=False):
        one.close()
        other.close()
