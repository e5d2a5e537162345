"""Where the store is, as the key ``store:`` says it: a file of SQLite, or a server (or several) of PostgreSQL.

It opens nothing and knows no password: libpq finds that in the passfile that the address names, or needs none.
Addresses of servers follow libpq's connection URIs (PostgreSQL 34.1.1); no RFC speaks here.
"""

from __future__ import annotations

from pathlib import Path

from radiusd2fa.core.record import record


@record
class SqliteFile:
    """The embedded store."""

    path: Path

    def __str__(self) -> str:
        """The file, as errors and logs name it."""
        return str(self.path)


@record
class PostgresServer:
    """One database on one server, or on the several of a replicated one."""

    uri: str
    """As libpq reads it; holds no password."""

    def __str__(self) -> str:
        """The server, as errors and logs name it."""
        return self.uri.partition("?")[0]


Address = SqliteFile | PostgresServer


def address(url: str) -> Address:
    """Read the key ``store:``, which the settings have checked."""
    file = url.removeprefix("sqlite:///")
    return PostgresServer(url) if file == url else SqliteFile(Path(file))
