"""The tokens of one delivery in tables of their own, beside the store's: temporary, and seen by one connection alone.

Filling them locks nothing; only COPY_TOKENS, in the caller's transaction, makes tokens of their rows. It shows no seed.
Answers to no RFC; that a table in ``temp`` has locks of its own is SQLite's "File Locking And Concurrency" 2 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Final, NoReturn

from sqlalchemy import BigInteger, Column, Connection, Double, LargeBinary, MetaData, String, Table, TextClause, text

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.names import canonical
from radiusd2fa.core.record import record
from radiusd2fa.imports.seeds import Seed
from radiusd2fa.store.connecting import How, put, transaction
from radiusd2fa.store.marking import FEW, new_marks, write_marks
from radiusd2fa.store.sealing import owner_in_seal
from radiusd2fa.vault import Vault, VaultError


@record
class Clashes:
    """What the store has against a delivery. Its seeds are counted from 0."""

    same: frozenset[int]
    """Here already: same serial, kind and seed."""
    taken: frozenset[int]
    """The serial is that of another token."""
    twins: tuple[tuple[int, str], ...]
    """The seed is here under this other serial."""
    nobodys: tuple[tuple[int, str], ...]
    """There is no person of this name; an empty one can be nobody's."""


class Incoming:
    """The tables. ``seeds`` and their ``marks`` (Vault.fingerprint) are numbered alike."""

    def __init__(self, connection: Connection, vault: Vault, seeds: Sequence[Seed], marks: Sequence[str]) -> None:
        self._connection = connection
        self._vault = vault
        self._seeds = seeds
        self._last_id = self._last_event = 0
        # sorted, so that the index of marks is gone through once and not all over: at a large site half the time
        self._in_order = sorted(range(len(seeds)), key=marks.__getitem__)
        with self._aside():
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA temp_store = MEMORY")
                connection.exec_driver_sql("PRAGMA cache_size = -32768")  # KiB: nothing is written before the COMMIT
            _TABLES.create_all(connection, checkfirst=False)
            rows = (_row(place, number, seeds[number], marks[number]) for place, number in enumerate(self._in_order))
            put(connection, _INCOMING.name, _INCOMING.c.keys(), rows)
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("ANALYZE incoming")

    def mark_old_seeds(self, marked: Callable[[int, int], None], *, write: bool) -> None:
        """Make ``clashes`` see the tokens of before fingerprints were kept; ``write`` keeps theirs from now on."""
        for marks in new_marks(self._connection, self._vault, marked, _stop):
            if write:
                write_marks(self._connection, marks)
            else:
                with self._aside():
                    put(self._connection, _OLD_MARKS.name, _OLD_MARKS.c.keys(), marks)

    def clashes(self) -> Clashes:
        """Compare with the store as it is now."""
        with self._aside():
            return self._clashes()

    def _clashes(self) -> Clashes:
        self._last_id = self._one(_LAST_ID[self._connection.dialect.name])
        self._last_event = self._one(_LAST_EVENT)
        by_serial = self._all(_SAME_SERIAL)
        return Clashes(
            same=frozenset(number for number, same in by_serial if same),
            taken=frozenset(number for number, same in by_serial if not same),
            twins=tuple(self._all(_SAME_SEED)),
            nobodys=tuple(self._all(_NOBODYS)),
        )

    def ahead(self) -> frozenset[int]:
        """Return which seeds have gone farther in the file than the same token here: they were used elsewhere since."""
        with self._aside():
            self._connection.execute(_NOTE_AHEAD)
            return self.still_ahead()

    def still_ahead(self) -> frozenset[int]:
        """Return which of those are so now."""
        return frozenset(number for (number,) in self._all(_STILL_AHEAD))

    def seal(self, coming: Collection[int], sealed: Callable[[int], None]) -> None:
        """Seal these seeds, each to an id that nobody else is ever given; ``sealed`` hears how many are."""
        ids = self._reserve(len(coming))
        waiting = enumerate((place, number) for place, number in enumerate(self._in_order) if number in coming)
        while some := list(islice(waiting, FEW)):
            sealed(some[0][0])
            with self._aside():
                rows = ((place, ids[at], self._sealed(ids[at], number)) for at, (place, number) in some)
                put(self._connection, _SEALED.name, _SEALED.c.keys(), rows)
        sealed(len(coming))

    def still(self, clashes: Clashes, coming: int) -> bool:
        """Whether the store has nothing else against it than then, now that ``coming`` are sealed. Takes no time."""
        # a new token has the next id; or one that was reserved, and then its import has left a row in the audit
        imported = self._one(_IMPORTED_SINCE, last=self._last_event)
        if imported or self._one(_LAST_ID[self._connection.dialect.name]) != self._last_id + coming:
            return self._clashes() == clashes
        return tuple(self._all(_NOBODYS)) == clashes.nobodys

    def _aside(self) -> AbstractContextManager[Connection]:
        return transaction(self._connection, How.ASIDE)

    def _all(self, statement: TextClause) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._connection.execute(statement)]

    def _one(self, statement: TextClause, **parameters: object) -> int:
        return int(self._connection.execute(statement, parameters).scalar() or 0)

    def _sealed(self, token_id: int, number: int) -> bytes:
        seed = self._seeds[number]
        return self._vault.seal(token_id, seed.secret, owner_in_seal(seed.kind, seed.user))

    def _reserve(self, count: int) -> Sequence[int]:
        """Return so many ids that were nobody's and that nobody else will be given, the lowest first."""
        if self._connection.dialect.name == "postgresql":
            with self._aside():
                return sorted(number for (number,) in self._connection.execute(_NEXT_IDS, {"count": count}))
        with transaction(self._connection, How.BESIDE):
            last = self._one(_LAST_ID["sqlite"])
            if self._connection.execute(_MORE_IDS, {"count": count}).rowcount == 0:  # no token has ever been here
                self._connection.execute(_FIRST_IDS, {"count": count})
            return range(last + 1, last + 1 + count)


def _stop(error: VaultError) -> NoReturn:
    """What was not compared is not called new."""
    raise error


def _row(place: int, number: int, seed: Seed, mark: str) -> tuple[object, ...]:
    return (
        place,
        number,
        seed.serial,
        seed.kind,
        seed.digits,
        seed.algorithm,
        seed.step,
        seed.moving_factor,
        seed.drift,
        seed.valid_from,
        seed.valid_until,
        seed.label,
        seed.model,
        mark,
        None if seed.user is None else _name(seed.user),
        TokenState.STOCK if seed.user is None else TokenState.ACTIVE,
    )


def _name(written: str) -> str:
    """The one spelling of a name; empty, which nobody is called, for what can be no name."""
    return canonical(written.encode("utf-8", errors="surrogateescape")) or ""


_TABLES: Final = MetaData()
_INCOMING: Final = Table(
    "incoming",
    _TABLES,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger),
    Column("serial", String),
    Column("kind", String),
    Column("digits", BigInteger),
    Column("algorithm", String),
    Column("step", BigInteger),
    Column("moving_factor", BigInteger),
    Column("drift", BigInteger),
    Column("valid_from", Double),
    Column("valid_until", Double),
    Column("label", String),
    Column("model", String),
    Column("fingerprint", String),
    Column("owner", String),
    Column("state", String),
    prefixes=["TEMP"],
)
_SEALED: Final = Table(
    "incoming_sealed",
    _TABLES,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger),
    Column("sealed", LargeBinary),
    prefixes=["TEMP"],
)
_OLD_MARKS: Final = Table(
    "old_marks",
    _TABLES,
    Column("fingerprint", String),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    prefixes=["TEMP"],
)
_AHEAD: Final = Table(
    "ahead",
    _TABLES,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger),
    Column("moving_factor", BigInteger),
    prefixes=["TEMP"],
)

_LAST_ID: Final = {
    "sqlite": text("SELECT seq FROM sqlite_sequence WHERE name = 'tokens'"),
    "postgresql": text("SELECT last_value FROM tokens_id_seq"),
}
_MORE_IDS: Final = text("UPDATE sqlite_sequence SET seq = seq + :count WHERE name = 'tokens'")
_FIRST_IDS: Final = text("INSERT INTO sqlite_sequence (name, seq) VALUES ('tokens', :count)")
_NEXT_IDS: Final = text("SELECT nextval('tokens_id_seq') FROM generate_series(1, :count)")
_LAST_EVENT: Final = text("SELECT max(id) FROM events")
_IMPORTED_SINCE: Final = text(
    "SELECT count(*) FROM (SELECT 1 FROM events WHERE id > :last AND name = 'tokens.imported' LIMIT 1) AS one"
)

_SAME_SERIAL: Final = text("""
    SELECT number, incoming.kind = tokens.kind
        AND incoming.fingerprint = coalesce(tokens.fingerprint, old_marks.fingerprint, '')
    FROM incoming JOIN tokens ON tokens.serial = incoming.serial LEFT JOIN old_marks ON old_marks.id = tokens.id
""")
_SAME_SEED: Final = text("""
    SELECT number, tokens.serial FROM incoming JOIN tokens ON tokens.fingerprint = incoming.fingerprint
    WHERE tokens.serial <> incoming.serial
    UNION ALL
    SELECT number, tokens.serial FROM old_marks JOIN tokens ON tokens.id = old_marks.id
    JOIN incoming ON incoming.fingerprint = old_marks.fingerprint WHERE tokens.serial <> incoming.serial
    ORDER BY 1, 2
""")
_NOTE_AHEAD: Final = text("""
    INSERT INTO ahead SELECT tokens.id, number, incoming.moving_factor
    FROM incoming JOIN tokens ON tokens.serial = incoming.serial LEFT JOIN old_marks ON old_marks.id = tokens.id
    WHERE incoming.kind = tokens.kind AND (incoming.step = tokens.step OR tokens.kind <> 'totp')
        AND incoming.fingerprint = coalesce(tokens.fingerprint, old_marks.fingerprint)
        AND incoming.moving_factor > tokens.moving_factor
""")
_STILL_AHEAD: Final = text("""
    SELECT number FROM ahead JOIN tokens ON tokens.id = ahead.id WHERE ahead.moving_factor > tokens.moving_factor
""")
_NOBODYS: Final = text("""
    SELECT number, owner FROM incoming
    WHERE owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM users WHERE users.name = incoming.owner) ORDER BY number
""")

COPY_TOKENS: Final = text("""
    INSERT INTO tokens (
        id, serial, user_id, kind, sealed, digits, algorithm, step, state, valid_from, valid_until, created,
        moving_factor, drift, label, model, batch, box, delivered, fingerprint
    )
    SELECT
        incoming_sealed.id, serial, (SELECT users.id FROM users WHERE users.name = owner), kind, sealed, digits,
        algorithm, step, state, valid_from, valid_until, CAST(:now AS DOUBLE PRECISION), moving_factor, drift, label,
        model, CAST(:batch AS VARCHAR), CAST(:box AS VARCHAR), CAST(:delivered AS DOUBLE PRECISION), fingerprint
    FROM incoming JOIN incoming_sealed ON incoming_sealed.place = incoming.place ORDER BY incoming.place
""")
"""Copies the rows that have been sealed, inside the caller's transaction."""
TAKEN_IN: Final = text("""
    SELECT coalesce(owner, ''), kind, serial
    FROM incoming JOIN incoming_sealed ON incoming_sealed.place = incoming.place ORDER BY number
""")
TO_RAISE: Final = text("""
    SELECT coalesce(users.name, ''), kind, serial
    FROM ahead JOIN tokens ON tokens.id = ahead.id LEFT JOIN users ON users.id = tokens.user_id
    WHERE ahead.moving_factor > tokens.moving_factor ORDER BY ahead.number
""")
RAISE: Final = text("""
    UPDATE tokens SET
        moving_factor = (SELECT ahead.moving_factor FROM ahead WHERE ahead.id = tokens.id),
        candidate = NULL, candidate_until = 0.0
    WHERE id IN (
        SELECT ahead.id FROM ahead JOIN tokens AS here ON here.id = ahead.id
        WHERE ahead.moving_factor > here.moving_factor
    )
""")
"""Moves forward the tokens that are ahead in the file, inside the caller's transaction, too; TO_RAISE tells which."""
