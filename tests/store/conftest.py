"""A site with two people and three tokens, made once and copied for each test; and the two ways into it.

The database is the real one, with real migrations and real flushes; only its folder is temporary. The seeds are known.
Answers to no RFC.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import Effect, Event, Known, Token, User
from radiusd2fa.store.address import Address, PostgresServer, SqliteFile
from radiusd2fa.store.connecting import How, open_engine, transaction
from radiusd2fa.store.database import Committed
from radiusd2fa.store.engine import Store
from radiusd2fa.store.errors import StoreUnavailableError
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.upgrade import create
from radiusd2fa.vault import Vault
from tests.looking import look
from tests.postgresql import Cluster

from .putting_back import Library

NOW: Final = 1_700_000_000.0
SEED: Final = b"12345678901234567890"
ACTOR: Final = "root"


def hotp(serial: str, seed: bytes = SEED, counter: int = 5) -> Token:
    """A token to add."""
    return Token(id=0, serial=serial, kind="hotp", moving_factor=counter, secret=seed)


def an_event(name: str = "access.accepted", now: float = NOW) -> Event:
    """What goes into the audit with an effect."""
    return Event(time=now, name=name, login="10619", nas="vpn", user="alice")


@dataclass
class Desk:
    """An open store with what it delivered and what it complained about."""

    store: Store
    results: list[Committed] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def queue(self, *effects: Effect, event: Event | None = None) -> None:
        """Put one login into the next group."""
        self.store.commit(effects, event or an_event(), self.results.append)

    def write(self) -> list[Committed]:
        """Write the group, and return what became of each of its logins."""
        self.store.flush()
        results, self.results[:] = list(self.results), []
        return results

    def commit(self, *effects: Effect, event: Event | None = None) -> Committed:
        """Write one login."""
        self.queue(*effects, event=event)
        (result,) = self.write()
        return result

    def load(self, name: str = "alice", state: str | None = None, caller: str = "", now: float = NOW) -> Known:
        """Load as the daemon does."""
        return look(self.store, name, state, caller=caller, now=now)

    def in_the_end(self, works: Callable[[], bool]) -> bool:
        """Ask again until it works: on a server a new connection is made meanwhile. At most a minute."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(StoreUnavailableError):
                if works():
                    return True
        return False

    def user(self, name: str = "alice") -> User:
        """Load one person who is there."""
        user = self.load(name).user
        assert user is not None
        return user

    def token(self, serial: str = "H1", name: str = "alice") -> Token:
        """Load one token that is there."""
        return next(token for token in self.user(name).tokens if token.serial == serial)


@dataclass(frozen=True)
class Site:
    """A database and the vault that belongs to it."""

    address: Address
    vault: Vault

    @property
    def path(self) -> Path:
        """The file; only SQLite has one."""
        assert isinstance(self.address, SqliteFile)
        return self.address.path

    def desk(self) -> Desk:
        """Open the hot side."""
        alarms: list[str] = []
        return Desk(Store(self.address, self.vault, alarms.append), alarms=alarms)

    def registry(self) -> Registry:
        """Open the administration's side."""
        return Registry(self.address, self.vault, ACTOR)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - column values
        """Look, or plant a fault, past all of our code; a parameter stands where a ``?`` is."""
        if isinstance(self.address, SqliteFile):
            with closing(sqlite3.connect(self.address.path, isolation_level=None)) as connection:
                return connection.execute(statement, parameters).fetchall()
        import psycopg

        with closing(psycopg.connect(self.address.uri, autocommit=True)) as server:
            cursor = server.execute(statement.replace("?", "%s").encode(), parameters or None)
            return [tuple(map(_as_sqlite, row)) for row in cursor] if cursor.description else []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be another command in the middle of a change."""
        with open_engine(self.address).connect() as other, transaction(other, How.CHANGING):
            yield


def _as_sqlite(value: object) -> object:
    """SQLite knows no truth values; 1 is True all the same."""
    return int(value) if isinstance(value, bool) else value


@dataclass(frozen=True)
class Template:
    """A site as it is made, of which others are copies. ``cluster`` is where it is on a server."""

    folder: Path
    name: str = ""
    cluster: Cluster | None = None

    @property
    def address(self) -> Address:
        """Where its store is."""
        file = SqliteFile(self.folder / "radiusd2fa.db")
        return file if self.cluster is None else PostgresServer(self.cluster.url(self.name))

    def site(self) -> Site:
        """The site itself."""
        return Site(self.address, vault.load(self.folder / "vault.key"))

    def copied(self, folder: Path) -> Template:
        """Another one, like this one."""
        shutil.copy(self.folder / "vault.key", folder / "vault.key")
        if self.cluster is not None:
            return replace(self, folder=folder, name=self.cluster.database(template=self.name))
        shutil.copy(self.folder / "radiusd2fa.db", folder / "radiusd2fa.db")
        return replace(self, folder=folder)


@pytest.fixture(scope="session")
def template(store_kind: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Template:
    """The site as it is made."""
    folder = tmp_path_factory.mktemp("template")
    cluster: Cluster | None = request.getfixturevalue("cluster") if store_kind == "postgresql" else None
    made = Template(folder, "" if cluster is None else cluster.database(), cluster)
    key = vault.create(folder / "vault.key")
    settle(made.address, key)
    return made


def settle(address: Address, key: vault.Vault) -> None:
    """Make a store with two people and three tokens."""
    create(address, key)
    with Registry(address, key, "nobody") as registry:
        registry.add_user("alice", "$argon2id$alice", ("staff", "netadmin"), NOW)
        registry.add_user("bob", None, (), NOW)
        registry.add_token(hotp("H1"), "alice", NOW)
        registry.add_token(replace(hotp("T1"), kind="totp", moving_factor=0, digits=8), "alice", NOW)
        registry.add_token(hotp("H2", seed=b"another seed of bob's"), "bob", NOW)


@pytest.fixture(scope="session")
def library(store_kind: str, request: pytest.FixtureRequest) -> Iterator[Library | None]:
    """The databases that tests have in turn, where the store is on a server."""
    if store_kind != "postgresql":
        yield None
        return
    library = Library(request.getfixturevalue("cluster"))
    yield library
    library.close()


@pytest.fixture
def site(template: Template, library: Library | None, tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own."""
    if library is None:
        yield template.copied(tmp_path).site()
        return
    shutil.copy(template.folder / "vault.key", tmp_path / "vault.key")
    with library.lend(template.name) as name:
        yield replace(template, folder=tmp_path, name=name).site()


@pytest.fixture
def desk(site: Site) -> Iterator[Desk]:
    """Its hot side, open."""
    desk = site.desk()
    yield desk
    desk.store.close()
