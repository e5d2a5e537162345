"""A real store for the figures, made once and copied for each test; what is in it is written past all of our code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import insert, text
from sqlalchemy.engine import Engine

from radiusd2fa import vault
from radiusd2fa.store.address import Address, PostgresServer, SqliteFile
from radiusd2fa.store.connecting import open_engine
from radiusd2fa.store.figures import Figures
from radiusd2fa.store.schema import metadata
from radiusd2fa.store.upgrade import create
from radiusd2fa.vault import Vault
from tests.postgresql import Cluster

from .population import NOW

_A_TOKEN: Final[dict[str, Any]] = {
    "sealed": b"",
    "digits": 6,
    "algorithm": "sha1",
    "step": 30,
    "created": NOW - 50,
    "moving_factor": 0,
    "kind": "totp",
    "state": "active",
}
_AN_EVENT: Final[dict[str, Any]] = {
    "time": NOW,
    "name": "access.rejected",
    "login": "",
    "nas": "vpn",
    "user": "alice",
    "caller": "",
    "factor": "",
    "serial": "",
    "outcome": "",
    "reason": "wrong_code",
    "latency": 0.0,
    "actor": "",
}
_A_GRANT: Final[dict[str, Any]] = {
    "user_id": 1,
    "user": "alice",
    "kind": "skip",
    "reason": "lost",
    "granted_by": "carol",
    "created": NOW - 9,
}


@dataclass(frozen=True)
class Site:
    """A store and the vault that belongs to it."""

    address: Address
    vault: Vault

    @property
    def path(self) -> Path:
        """The file; only SQLite has one."""
        assert isinstance(self.address, SqliteFile)
        return self.address.path

    def figures(self) -> Figures:
        """Return it to be read; open it with ``with``."""
        return Figures(self.address, self.vault, "auditor")

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Look, or change, past all of our code."""
        with self._engine() as engine, engine.begin() as connection:
            found = connection.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

    def put(self, table: str, *rows: dict[str, Any], **same: Any) -> None:  # noqa: ANN401 - column values
        """Write rows."""
        usual: dict[str, dict[str, Any]] = {
            "tokens": _A_TOKEN,
            "events": _AN_EVENT,
            "grants": _A_GRANT,
            "users": {"created": NOW - 50},
        }
        with self._engine() as engine, engine.begin() as connection:
            for row in rows or ({},):
                connection.execute(insert(metadata.tables[table]).values({**usual.get(table, {}), **same, **row}))

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        engine = open_engine(self.address)
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store as it is made."""
    folder = tmp_path_factory.mktemp("figures")
    create(SqliteFile(folder / "radiusd2fa.db"), vault.create(folder / "vault.key"))
    return folder


@pytest.fixture(scope="session")
def template_on_server(template: Path, cluster: Cluster) -> str:
    """The same in a database of PostgreSQL."""
    name = cluster.database()
    create(PostgresServer(cluster.url(name)), vault.load(template / "vault.key"))
    return name


@pytest.fixture
def site(template: Path, tmp_path: Path, store_kind: str, request: pytest.FixtureRequest) -> Site:
    """A store of the test's own."""
    shutil.copy(template / "vault.key", tmp_path / "vault.key")
    key = vault.load(tmp_path / "vault.key")
    if store_kind == "sqlite":
        shutil.copy(template / "radiusd2fa.db", tmp_path / "radiusd2fa.db")
        return Site(SqliteFile(tmp_path / "radiusd2fa.db"), key)
    cluster: Cluster = request.getfixturevalue("cluster")
    return Site(PostgresServer(cluster.url(cluster.database(request.getfixturevalue("template_on_server")))), key)
