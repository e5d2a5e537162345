"""Copies the rows of one store into another, whatever kind either is, and says afterwards whether they are the same.

Ids stay, sealed rows stay sealed, the audit's hashes stay; nothing is opened and nothing is judged. It goes on where it
was ended, because each table is gone through by its primary key. Transactions are the caller's; no RFC speaks here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Double, Row, Table, func, select, text, tuple_
from sqlalchemy.exc import DataError

from radiusd2fa.store.connecting import one_line, put
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.schema import metadata, tokens

Progress = Callable[[str, int, int], None]
"""Hears which table is being done, how many of its rows are, and how many there are."""

TABLES: Final[tuple[Table, ...]] = tuple(metadata.sorted_tables)
"""All of them; what others refer to comes first."""
_CHUNK: Final = 5000


def copy(
    source: Connection,
    target: Connection,
    tables: Sequence[Table] = TABLES,
    progress: Progress = lambda _table, _done, _of: None,
    kept: Callable[[], object] = lambda: None,
) -> None:
    """Copy what the target has not got yet. ``kept`` is called after each few rows, to commit them.

    What the target has of a table must be the first rows of it, and the source must stay as it is meanwhile.
    """
    for table in tables:
        of = count(source, table)
        done = count(target, table)
        progress(table.name, done, of)
        for rows in _chunks(source, table, _last_key(target, table)):
            try:
                put(target, table.name, table.c.keys(), rows)
            except DataError as error:
                raise StoreError(f"a row of {table.name} cannot be kept there ({one_line(error.orig)})") from error
            kept()
            done += len(rows)
            progress(table.name, done, of)
    set_last_ids(target, last_ids(source))
    kept()


def count(connection: Connection, table: Table) -> int:
    """How many rows a table has."""
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def digest(connection: Connection, table: Table, progress: Progress = lambda _table, _done, _of: None) -> str:
    """Return a SHA-256 over all rows of a table, the same for the same rows in whatever kind of store."""
    of, done, seen = count(connection, table), 0, hashlib.sha256()
    doubles = {place for place, column in enumerate(table.c) if isinstance(column.type, Double)}
    for rows in _chunks(connection, table, None):
        for row in rows:
            seen.update(_octets(row, doubles))
        done += len(rows)
        progress(table.name, done, of)
    return seen.hexdigest()


def _octets(row: Row[Any], doubles: set[int]) -> bytes:
    """Write a row in one way only: each value with its length, and nothing for none."""
    written = bytearray()
    for place, value in enumerate(row):
        if value is None:
            written += b"-"
            continue
        octets = value if isinstance(value, bytes) else _text(value, place in doubles).encode()
        written += b"%d:%b" % (len(octets), octets)
    return bytes(written) + b"\n"


def _text(value: object, is_double: bool) -> str:
    if is_double:
        return repr(float(value))  # type: ignore[arg-type]
    return str(int(value) if isinstance(value, bool) else value)


def _chunks(connection: Connection, table: Table, last: Sequence[Any] | None) -> Iterator[Sequence[Row[Any]]]:
    """Yield the rows behind that key, a few at a time, in the order of their primary keys."""
    key = list(table.primary_key.columns)
    places = [list(table.c).index(column) for column in key]
    asked = select(table).order_by(*key).limit(_CHUNK)
    while rows := connection.execute(asked if last is None else asked.where(tuple_(*key) > tuple_(*last))).all():
        yield rows
        last = [rows[-1][place] for place in places]


def _last_key(connection: Connection, table: Table) -> Sequence[Any] | None:
    key = list(table.primary_key.columns)
    return connection.execute(select(*key).order_by(*(column.desc() for column in key)).limit(1)).first()


# --- the ids that were given -----------------------------------------------------------------------------------------

_NUMBERED: Final = tuple(table for table in TABLES if "id" in table.primary_key.columns)


def last_ids(connection: Connection) -> dict[str, int]:
    """Return the highest id that each numbered table has ever given, as far as the store knows it.

    An id of a token is never given twice, because sealed seeds are bound to it.
    """
    given = {table.name: int(connection.execute(select(func.max(table.c.id))).scalar() or 0) for table in _NUMBERED}
    if connection.dialect.name == "sqlite":
        asked = text("SELECT name, seq FROM sqlite_sequence")
        remembered = {str(name): int(number) for name, number in connection.execute(asked)}
    else:
        remembered = {table.name: _sequence(connection, table) for table in _NUMBERED}
    return {name: max(number, remembered.get(name, 0)) for name, number in given.items()}


def _sequence(connection: Connection, table: Table) -> int:
    found = connection.execute(text(f"SELECT last_value, is_called FROM {table.name}_id_seq")).one()  # noqa: S608
    return int(found.last_value) if found.is_called else 0


def set_last_ids(connection: Connection, given: Mapping[str, int]) -> None:
    """Let the store give higher ids from now on; what it has given itself counts, too."""
    ours = last_ids(connection)
    for name, number in given.items():
        last = max(number, ours[name])
        if connection.dialect.name == "postgresql" and last:
            connection.execute(
                text("SELECT setval(CAST(:name AS regclass), :last)"), {"name": f"{name}_id_seq", "last": last}
            )
        elif connection.dialect.name == "sqlite" and name == tokens.name:
            changed = connection.execute(
                text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name"), {"name": name, "last": last}
            )
            if not changed.rowcount and last:
                connection.execute(
                    text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), {"name": name, "last": last}
                )
