"""A site with two people and three tokens, made once and copied for each test; and the two ways into it.

The database is the real one, with real migrations and real flushes; only its folder is temporary. The seeds are known.
Answers to no RFC.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import Effect, Event, Known, Token, User
from radiusd2fa.store.engine import Committed, Store
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.upgrade import create
from radiusd2fa.vault import Vault

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
        known = self.store.load(name, state, "vpn", caller, now)
        self.store.flush()
        return known

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
    """A database file and the vault that belongs to it."""

    path: Path
    vault: Vault

    def desk(self) -> Desk:
        """Open the hot side."""
        alarms: list[str] = []
        return Desk(Store(self.path, self.vault, alarms.append), alarms=alarms)

    def registry(self) -> Registry:
        """Open the administration's side."""
        return Registry(self.path, self.vault, ACTOR)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - column values
        """Look, or plant a fault, past all of our code."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(statement, parameters).fetchall()
        finally:
            connection.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is made."""
    folder = tmp_path_factory.mktemp("template")
    key = vault.create(folder / "vault.key")
    create(folder / "radiusd2fa.db", key)
    with Registry(folder / "radiusd2fa.db", key, "nobody") as registry:
        registry.add_user("alice", "$argon2id$alice", ("staff", "netadmin"), NOW)
        registry.add_user("bob", None, (), NOW)
        registry.add_token(hotp("H1"), "alice", NOW)
        registry.add_token(replace(hotp("T1"), kind="totp", moving_factor=0, digits=8), "alice", NOW)
        registry.add_token(hotp("H2", seed=b"another seed of bob's"), "bob", NOW)
    return folder


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    """A site of the test's own."""
    for name in ("radiusd2fa.db", "vault.key"):
        shutil.copy(template / name, tmp_path / name)
    return Site(tmp_path / "radiusd2fa.db", vault.load(tmp_path / "vault.key"))


@pytest.fixture
def desk(site: Site) -> Iterator[Desk]:
    """Its hot side, open."""
    desk = site.desk()
    yield desk
    desk.store.close()
