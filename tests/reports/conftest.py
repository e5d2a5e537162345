"""A real store for the figures, made once and copied for each test; what is in it is written past all of our code."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa import vault
from radiusd2fa.store.figures import Figures
from radiusd2fa.store.upgrade import create
from radiusd2fa.vault import Vault

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
    """A database file and the vault that belongs to it."""

    path: Path
    vault: Vault

    def figures(self) -> Figures:
        """Return it to be read; open it with ``with``."""
        return Figures(self.path, self.vault, "auditor")

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - column values
        """Look, or change, past all of our code."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def put(self, table: str, *rows: dict[str, Any], **same: Any) -> None:  # noqa: ANN401 - column values
        """Write rows."""
        usual: dict[str, dict[str, Any]] = {
            "tokens": _A_TOKEN,
            "events": _AN_EVENT,
            "grants": _A_GRANT,
            "users": {"created": NOW - 50},
        }
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            for row in rows or ({},):
                values = {**usual.get(table, {}), **same, **row}
                names, marks = ", ".join(f'"{name}"' for name in values), ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
            connection.execute("COMMIT")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store as it is made."""
    folder = tmp_path_factory.mktemp("figures")
    create(folder / "radiusd2fa.db", vault.create(folder / "vault.key"))
    return folder


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    """A store of the test's own."""
    for name in ("radiusd2fa.db", "vault.key"):
        shutil.copy(template / name, tmp_path / name)
    return Site(tmp_path / "radiusd2fa.db", vault.load(tmp_path / "vault.key"))
