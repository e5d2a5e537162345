"""A site for one run: configuration, vault key and a store with as many people as wanted, each with one HOTP fob.

It writes through the store's own schema and seals with the real vault, only in bulk; never while a daemon has the file.
The seeds are those of the generator (RFC 4226, 160 bits), so nothing but a name and a number ties the two together.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keys
from argon2 import PasswordHasher
from servers import SECRET, name_of, seed_of
from sqlalchemy import Table, insert
from sqlalchemy.dialects import sqlite

from radiusd2fa import vault
from radiusd2fa.store import upgrade
from radiusd2fa.store.schema import tokens, users

PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True)
class Site:
    """A folder that a daemon can be started on, any number of times."""

    folder: Path
    users: int
    populated_in: float
    """Seconds that the bulk insertion took."""
    keys: bool = False
    """Whether the people have security keys instead of fobs."""

    @property
    def counters(self) -> Path:
        """Where the generator keeps the fobs' counters between runs."""
        return self.folder / "counters"

    @property
    def syslog(self) -> Path:
        """The Unix socket that stands for syslog."""
        return self.folder / "syslog"

    def configuration(self, primary: str) -> Path:
        """Write the configuration with this primary backend; code-only for 127.0.0.1, challenge for 127.0.0.2."""
        path = self.folder / f"{primary}{'-keys' if self.keys else ''}.yaml"
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
store: "sqlite:///{self.folder}/radiusd2fa.db"
vault: {{key_file: vault.key}}
clients:
  fobs: {{networks: [127.0.0.1/32], secret: "{SECRET}", flow: code-only}}
  vpn: {{networks: [127.0.0.2/32], secret: "{SECRET}", flow: challenge}}
  keys: {{networks: [{keys.ADDRESS}/32], secret: "{SECRET}", flow: challenge}}
primary: {{kind: {primary}}}
syslog: {{to: "unix:{self.syslog}"}}
log: {{format: json}}
{keys_too}"""
        )
        return path


def settle(folder: Path, count: int, *, with_keys: bool = False) -> Site:
    """Make a site with ``count`` people; all share one password and its one argon2id hash."""
    folder.mkdir(mode=0o700)
    began = time.monotonic()
    seal = vault.create(folder / "vault.key").seal
    upgrade.create(folder / "radiusd2fa.db", vault.load(folder / "vault.key"))
    password_hash = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(PASSWORD)
    now = time.time()
    connection = sqlite3.connect(folder / "radiusd2fa.db", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")  # for the population alone: the daemon sets and checks FULL
    connection.execute("BEGIN")
    _fill(
        connection, users, ({"name": name_of(i), "password_hash": password_hash, "created": now} for i in range(count))
    )
    _fill(
        connection,
        tokens,
        (
            {
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
            for i in range(count)
        ),
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return Site(folder, count, time.monotonic() - began, with_keys)


def _fill(connection: sqlite3.Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    """Insert all rows with one prepared statement that names exactly the columns given."""
    first = next(rows)
    statement = insert(table).values(dict.fromkeys(first)).compile(dialect=sqlite.dialect(paramstyle="named"))
    connection.execute(str(statement), first)
    connection.executemany(str(statement), rows)
