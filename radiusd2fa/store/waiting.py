"""The logins that wait for a touch at a station, as the station's own process sees them, and what it brings in.

It holds no vault key and decides nothing: what is brought in, the daemon verifies when the person presses Enter.
Login and station meet in the database only, so a dead reader can hold up nobody, and any node can finish a login.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import field
from pathlib import Path
from typing import Final, Self

from radiusd2fa.core.record import record
from radiusd2fa.core.texts import octets
from radiusd2fa.store.sqlite import StoreUnavailableError, connect

_BUSY_TIMEOUT: Final = 2.0
_WAITING: Final = """
    SELECT nonce, user_name, nas, login, expires, contested, user_verification, credentials FROM challenges
    WHERE station = 1 AND expires > ? AND answer IS NULL AND nas IN (SELECT value FROM json_each(?))
    ORDER BY contested, password_passed DESC, expires LIMIT 500
"""
_BRING: Final = """
    UPDATE challenges SET answer = ?
    WHERE nonce = ? AND station = 1 AND contested = 0 AND answer IS NULL AND expires > ?
"""
_SEEN: Final = "INSERT OR REPLACE INTO stations (name, seen, device) VALUES (?, ?, ?)"


@record
class Waiting:
    """One login that could be answered by a touch."""

    nonce: bytes = field(repr=False)
    user: str
    nas: str
    login: str
    expires: float
    contested: bool
    user_verification: bool
    credentials: tuple[bytes, ...]


class WaitingRoom:
    """An open database, seen from a station. Used from one thread; StoreUnavailableError when it does not answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, busy_timeout=_BUSY_TIMEOUT)
        self._identity = self._on_disk()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def waiting(self, clients: Collection[str], now: float) -> list[Waiting]:
        """The logins at these clients that wait now, the one that ends first in front; a flood of others hides none."""
        self._still_there()
        rows = self._execute(_WAITING, (now, json.dumps(sorted(clients)))).fetchall()
        return [_waiting(row) for row in rows]

    def bring(self, nonce: bytes, answer: str, now: float) -> bool:
        """Hand in what a key has signed; False when nobody waits for it any more."""
        return self._execute(_BRING, (answer, nonce.hex(), now)).rowcount == 1

    def seen(self, name: str, now: float, device: str) -> None:
        """Say that a station is alive, and what is plugged in there."""
        self._execute(_SEEN, (name, now, device))

    def _still_there(self) -> None:
        """Refuse to go on with a file that was replaced, as by a restore: nobody logs in there any more."""
        if self._on_disk() != self._identity:
            raise StoreUnavailableError("it was replaced")

    def _on_disk(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _execute(self, statement: str, parameters: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, parameters)
        except sqlite3.Error as error:
            raise StoreUnavailableError(str(error)) from error


def _waiting(row: tuple[str, str, str, str, float, int, int, str]) -> Waiting:
    nonce, user, nas, login, expires, contested, user_verification, credentials = row
    return Waiting(
        nonce=bytes.fromhex(nonce),
        user=user,
        nas=nas,
        login=login,
        expires=expires,
        contested=bool(contested),
        user_verification=bool(user_verification),
        credentials=tuple(map(octets, credentials.split(","))) if credentials else (),
    )
