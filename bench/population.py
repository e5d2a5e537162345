"""A site for one run: configuration, vault key and a store with as many people as wanted, each with one HOTP fob.

It writes through the store's own schema and seals with the real vault, only in bulk; never under a daemon.
The seeds are those of the generator (RFC 4226, 160 bits), so nothing but a name and a number ties the two together.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keys
from argon2 import PasswordHasher
from servers import SECRET, code_of, name_of, seed_of
from sqlalchemy import Table, insert
from sqlalchemy.dialects import sqlite

from radiusd2fa import vault
from radiusd2fa.store import upgrade
from radiusd2fa.store.address import PostgresServer, SqliteFile
from radiusd2fa.store.connecting import open_engine
from radiusd2fa.store.schema import tokens, users

PASSWORD = "correct horse"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A folder that a daemon can be started on, any number of times."""

    folder: Path
    users: int
    populated_in: float
    """Seconds that the bulk insertion took."""
    keys: bool = False
    """Whether the people have security keys instead of fobs."""
    server: str = ""
    """The URL of a database on a server, where the people are not in a file of the folder."""

    @property
    def counters(self) -> Path:
        """Where the generator keeps the fobs' counters between runs."""
        return self.folder / "counters"

    @property
    def syslog(self) -> Path:
        """The Unix socket that stands for syslog."""
        return self.folder / "syslog"

    def next_code(self, index: int) -> str:
        """Press one fob: the code is new, and the generators know of it."""
        with self.counters.open("r+b") as kept:
            kept.seek(index * 4)
            counter = int.from_bytes(kept.read(4), sys.byteorder)
            kept.seek(index * 4)
            kept.write((counter + 1).to_bytes(4, sys.byteorder))
        return code_of(index, counter)

    @property
    def store(self) -> str:
        """What the configuration says about the store."""
        return self.server or f"sqlite:///{self.folder}/radiusd2fa.db"

    def configuration(self, primary: str, *, workers: int = 1) -> Path:
        """Write the configuration with this primary backend; challenge for 127.0.0.2, else code-only."""
        path = self.folder / f"{primary}{'-keys' if self.keys else ''}-{workers}.yaml"
        path.touch(mode=0o600)
        keys_too = (
            f"""fido: {{rp_id: {keys.RP_ID}, origin: "{keys.ORIGIN}"}}
rules: [{{name: all, factors: [fido], ceremonies: [paste]}}]
"""
            if self.keys
            else ""
        )
        path.write_text(
            f"""listen: {{udp: ["127.0.0.1:0"]}}
store: "{self.store}"
vault: {{key_file: vault.key}}
clients:
  fobs: {{networks: [127.0.0.1/32], secret: "{SECRET}", flow: code-only, max_pps: 0}}
  vpn: {{networks: [127.0.0.2/32], secret: "{SECRET}", flow: challenge, max_pps: 0}}
  another: {{networks: [127.0.0.4/32], secret: "{SECRET}", flow: code-only, max_pps: 0}}
  keys: {{networks: [{keys.ADDRESS}/32], secret: "{SECRET}", flow: challenge}}
primary: {{kind: {primary}}}
syslog: {{to: "unix:{self.syslog}"}}
log: {{format: json}}
{f"workers: {workers}" if workers > 1 else ""}
{keys_too}"""
        )
        return path


def settle(folder: Path, count: int, *, with_keys: bool = False, server: str = "") -> Site:
    """Make a site with ``count`` people; all share one password and its one argon2id hash."""
    folder.mkdir(mode=0o700)
    began = time.monotonic()
    vault.create(folder / "vault.key")
    key = vault.load(folder / "vault.key")
    password_hash = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(PASSWORD)
    now = time.time()
    people = ({"name": name_of(i), "password_hash": password_hash, "created": now} for i in range(count))
    fobs = (_token(i, key.seal, now, with_keys=with_keys) for i in range(count))
    if server:
        _fill_server(PostgresServer(server), key, people, fobs)
    else:
        _fill_file(folder / "radiusd2fa.db", key, people, fobs)
    return Site(folder, count, time.monotonic() - began, with_keys, server)


def _token(i: int, seal: Callable[..., bytes], now: float, *, with_keys: bool) -> Row:
    """Return the row of one person's only token."""
    return {
        "id": i + 1,
        "serial": f"F{i:07}",
        "user_id": i + 1,
        "kind": "fido" if with_keys else "hotp",
        "sealed": seal(i + 1, keys.attested(i), name_of(i)) if with_keys else seal(i + 1, seed_of(i)),
        "digits": 0 if with_keys else 6,
        "algorithm": "es256" if with_keys else "sha1",
        "step": 0 if with_keys else 30,
        "state": "active",
        "created": now,
        "moving_factor": 0,
    }


def _fill_server(address: PostgresServer, key: vault.Vault, people: Iterator[Row], fobs: Iterator[Row]) -> None:
    upgrade.create(address, key)
    engine = open_engine(address)
    with engine.begin() as connection:
        connection.execute(insert(users), list(people))
        connection.execute(insert(tokens), list(fobs))
    engine.dispose()


def _fill_file(path: Path, key: vault.Vault, people: Iterator[Row], fobs: Iterator[Row]) -> None:
    upgrade.create(SqliteFile(path), key)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")  # for the population alone: the daemon sets and checks FULL
    connection.execute("BEGIN")
    _fill(connection, users, people)
    _fill(connection, tokens, fobs)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _fill(connection: sqlite3.Connection, table: Table, rows: Iterator[Row]) -> None:
    """Insert all rows with one prepared statement that names exactly the columns given."""
    first = next(rows)
    statement = insert(table).values(dict.fromkeys(first)).compile(dialect=sqlite.dialect(paramstyle="named"))
    connection.execute(str(statement), first)
    connection.executemany(str(statement), rows)
