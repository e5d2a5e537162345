"""The logins that wait for a touch at a station, as the station's own process sees them, and what it brings in.

It holds no vault key and decides nothing: what is brought in, the daemon verifies when the person presses Enter.
Login and station meet in the database only, so a dead reader can hold up nobody, and any node can finish a login.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, Select, false, insert, select, true, update
from sqlalchemy.exc import DBAPIError

from radiusd2fa.core.record import record
from radiusd2fa.core.texts import octets
from radiusd2fa.store.address import Address, SqliteFile
from radiusd2fa.store.connecting import How, one_line, open_engine, transaction
from radiusd2fa.store.schema import challenges, stations
from radiusd2fa.store.sqlite import StoreUnavailableError

_PATIENCE: Final = 2.0
_MOST: Final = 500
_WAITING: Final[Select[Any]] = select(
    challenges.c.nonce,
    challenges.c.user_name,
    challenges.c.nas,
    challenges.c.login,
    challenges.c.expires,
    challenges.c.contested,
    challenges.c.user_verification,
    challenges.c.credentials,
)


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

    def __init__(self, address: Address) -> None:
        self._file = address.path if isinstance(address, SqliteFile) else None
        with _answering():
            self._connection = open_engine(address, patience=_PATIENCE).connect()
        self._identity = self._on_disk()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def waiting(self, clients: Collection[str], now: float) -> list[Waiting]:
        """The logins at these clients that wait now, the one that ends first in front; a flood of others hides none."""
        self._still_there()
        here = (
            challenges.c.station == true(),
            challenges.c.expires > now,
            challenges.c.answer.is_(None),
            challenges.c.nas.in_(sorted(clients)),
        )
        in_order = (challenges.c.contested, challenges.c.password_passed.desc(), challenges.c.expires)
        with self._doing(How.LOOKING) as connection:
            rows = connection.execute(_WAITING.where(*here).order_by(*in_order).limit(_MOST)).all()
        return [_waiting(row) for row in rows]

    def bring(self, nonce: bytes, answer: str, now: float) -> bool:
        """Hand in what a key has signed; False when nobody waits for it any more."""
        awaited = (
            challenges.c.nonce == nonce.hex(),
            challenges.c.station == true(),
            challenges.c.contested == false(),
            challenges.c.answer.is_(None),
            challenges.c.expires > now,
        )
        with self._doing(How.ALONE) as connection:
            return connection.execute(update(challenges).where(*awaited).values(answer=answer)).rowcount == 1

    def seen(self, name: str, now: float, device: str) -> None:
        """Say that a station is alive, and what is plugged in there."""
        sign = {"seen": now, "device": device}
        with self._doing(How.BESIDE) as connection:
            if connection.execute(update(stations).where(stations.c.name == name).values(sign)).rowcount == 0:
                connection.execute(insert(stations).values(name=name, **sign))

    def _still_there(self) -> None:
        """Refuse to go on with a file that was replaced, as by a restore: nobody logs in there any more."""
        if self._on_disk() != self._identity:
            raise StoreUnavailableError("it was replaced")

    def _on_disk(self) -> tuple[int, int] | None:
        try:
            status = None if self._file is None else self._file.stat()
        except OSError:
            return None
        return None if status is None else (status.st_dev, status.st_ino)

    @contextmanager
    def _doing(self, how: How) -> Iterator[Connection]:
        with _answering(), transaction(self._connection, how) as connection:
            yield connection


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailableError(one_line(error.orig)) from error


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(
        nonce=bytes.fromhex(row.nonce),
        user=row.user_name,
        nas=row.nas,
        login=row.login,
        expires=row.expires,
        contested=bool(row.contested),
        user_verification=bool(row.user_verification),
        credentials=tuple(map(octets, row.credentials.split(","))) if row.credentials else (),
    )
