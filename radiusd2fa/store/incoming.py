"""The tokens of one delivery in a table of their own, beside the store's: in memory, and seen by one connection alone.

Filling it locks nothing; only COPY_TOKENS, in the caller's transaction, makes tokens of its rows. It shows no seed.
Answers to no RFC; that a table in ``temp`` has locks of its own is SQLite's "File Locking And Concurrency" 2 and 5.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final, NoReturn

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.names import canonical
from radiusd2fa.core.record import record
from radiusd2fa.imports.seeds import Seed
from radiusd2fa.store.marking import FEW, new_marks, transaction, write_marks
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
    """The table. ``seeds`` and their ``marks`` (Vault.fingerprint) are numbered alike."""

    def __init__(self, database: sqlite3.Connection, vault: Vault, seeds: Sequence[Seed], marks: Sequence[str]) -> None:
        self._database = database
        self._vault = vault
        self._seeds = seeds
        self._last_id = self._last_event = 0
        # sorted, so that the index of marks is gone through once and not all over: at a large site half the time
        self._in_order = sorted(range(len(seeds)), key=marks.__getitem__)
        database.execute("PRAGMA temp_store = MEMORY")
        database.execute("PRAGMA cache_size = -32768")  # KiB: nothing is written to the disk before the COMMIT
        database.execute(_INCOMING)
        database.execute(_OLD_MARKS)
        database.execute(_AHEAD)
        with transaction(database, "DEFERRED"):
            rows = (_row(place, number, seeds[number], marks[number]) for place, number in enumerate(self._in_order))
            database.executemany(_ADD, rows)

    def mark_old_seeds(self, marked: Callable[[int, int], None], *, write: bool) -> None:
        """Make ``clashes`` see the tokens of before fingerprints were kept; ``write`` keeps theirs from now on."""
        for marks in new_marks(self._database, self._vault, marked, _stop):
            if write:
                write_marks(self._database, marks)
            else:
                with transaction(self._database, "DEFERRED"):
                    self._database.executemany(_NOTE_MARK, marks)

    def clashes(self) -> Clashes:
        """Compare with the store as it is now."""
        self._last_id = self._last(_LAST_ID)
        self._last_event = self._last(_LAST_EVENT)
        by_serial = self._database.execute(_SAME_SERIAL).fetchall()
        return Clashes(
            same=frozenset(number for number, same in by_serial if same),
            taken=frozenset(number for number, same in by_serial if not same),
            twins=tuple(self._database.execute(_SAME_SEED)),
            nobodys=self._nobodys(),
        )

    def ahead(self) -> frozenset[int]:
        """Return which seeds have gone farther in the file than the same token here: they were used elsewhere since."""
        with transaction(self._database, "DEFERRED"):
            self._database.execute(_NOTE_AHEAD)
        return self.still_ahead()

    def still_ahead(self) -> frozenset[int]:
        """Return which of those are so now."""
        return frozenset(number for (number,) in self._database.execute(_STILL_AHEAD))

    def seal(self, coming: Collection[int], sealed: Callable[[int], None]) -> None:
        """Seal these seeds, each to an id that nobody else is ever given; ``sealed`` hears how many are."""
        first = self._reserve(len(coming))
        waiting = enumerate((place, number) for place, number in enumerate(self._in_order) if number in coming)
        while some := list(islice(waiting, FEW)):
            sealed(some[0][0])
            with transaction(self._database, "DEFERRED"):
                rows = (self._sealed(first + at, number, place) for at, (place, number) in some)
                self._database.executemany(_SET_SEAL, rows)
        sealed(len(coming))

    def still(self, clashes: Clashes, coming: int) -> bool:
        """Whether the store has nothing else against it than then, now that ``coming`` are sealed. Takes no time."""
        # a new token has the next id; or one that was reserved, and then its import has left a row in the audit
        (imported,) = self._database.execute(_IMPORTED_SINCE, (self._last_event,)).fetchone()
        if imported or self._last(_LAST_ID) != self._last_id + coming:
            return self.clashes() == clashes
        return self._nobodys() == clashes.nobodys

    def _nobodys(self) -> tuple[tuple[int, str], ...]:
        return tuple(self._database.execute(_NOBODYS))

    def _last(self, statement: str) -> int:
        row = self._database.execute(statement).fetchone()
        return 0 if row is None else int(row[0] or 0)

    def _sealed(self, token_id: int, number: int, place: int) -> tuple[int, bytes, int]:
        seed = self._seeds[number]
        return token_id, self._vault.seal(token_id, seed.secret, owner_in_seal(seed.kind, seed.user)), place

    def _reserve(self, count: int) -> int:
        """Return the first of so many ids that were nobody's and that nobody else will be given."""
        with transaction(self._database, "IMMEDIATE"):
            last = self._last(_LAST_ID)
            if self._database.execute(_MORE_IDS, (count,)).rowcount == 0:  # no token has ever been here
                self._database.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('tokens', ?)", (count,))
            return last + 1


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


_INCOMING: Final = """
    CREATE TEMP TABLE incoming (
        place INTEGER PRIMARY KEY, number, serial, kind, digits, algorithm, step, moving_factor, drift, valid_from,
        valid_until, label, model, fingerprint, owner, state, id, sealed
    )
"""
_ADD: Final = "INSERT INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"
_SET_SEAL: Final = "UPDATE incoming SET id = ?, sealed = ? WHERE place = ?"

_LAST_ID: Final = "SELECT seq FROM sqlite_sequence WHERE name = 'tokens'"
_MORE_IDS: Final = "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'tokens'"
_LAST_EVENT: Final = "SELECT max(id) FROM events"
_IMPORTED_SINCE: Final = "SELECT EXISTS (SELECT 1 FROM events WHERE id > ? AND name = 'tokens.imported')"

_OLD_MARKS: Final = "CREATE TEMP TABLE old_marks (fingerprint, id INTEGER PRIMARY KEY)"
_NOTE_MARK: Final = "INSERT INTO old_marks VALUES (?, ?)"

_SAME_SERIAL: Final = """
    SELECT number, incoming.kind = tokens.kind
        AND incoming.fingerprint = coalesce(tokens.fingerprint, old_marks.fingerprint, '')
    FROM incoming JOIN tokens ON tokens.serial = incoming.serial LEFT JOIN old_marks ON old_marks.id = tokens.id
"""
_SAME_SEED: Final = """
    SELECT number, tokens.serial FROM incoming JOIN tokens ON tokens.fingerprint = incoming.fingerprint
    WHERE tokens.serial <> incoming.serial
    UNION ALL
    SELECT number, tokens.serial FROM old_marks JOIN tokens ON tokens.id = old_marks.id
    JOIN incoming ON incoming.fingerprint = old_marks.fingerprint WHERE tokens.serial <> incoming.serial
"""
_AHEAD: Final = "CREATE TEMP TABLE ahead (id INTEGER PRIMARY KEY, number, moving_factor)"
_NOTE_AHEAD: Final = """
    INSERT INTO ahead SELECT tokens.id, number, incoming.moving_factor
    FROM incoming JOIN tokens ON tokens.serial = incoming.serial LEFT JOIN old_marks ON old_marks.id = tokens.id
    WHERE incoming.kind = tokens.kind AND (incoming.step = tokens.step OR tokens.kind <> 'totp')
        AND incoming.fingerprint = coalesce(tokens.fingerprint, old_marks.fingerprint)
        AND incoming.moving_factor > tokens.moving_factor
"""
_STILL_AHEAD: Final = """
    SELECT number FROM ahead JOIN tokens ON tokens.id = ahead.id WHERE ahead.moving_factor > tokens.moving_factor
"""
_NOBODYS: Final = """
    SELECT number, owner FROM incoming
    WHERE owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM users WHERE users.name = incoming.owner)
"""

COPY_TOKENS: Final = """
    INSERT INTO tokens (
        id, serial, user_id, kind, sealed, digits, algorithm, step, state, valid_from, valid_until, created,
        moving_factor, drift, label, model, batch, box, delivered, fingerprint
    )
    SELECT
        id, serial, (SELECT users.id FROM users WHERE users.name = owner), kind, sealed, digits, algorithm, step, state,
        valid_from, valid_until, :now, moving_factor, drift, label, model, :batch, :box, :delivered, fingerprint
    FROM incoming WHERE id IS NOT NULL ORDER BY place
"""
"""Copies the rows that have been sealed, inside the caller's transaction."""
TAKEN_IN: Final = """
    SELECT coalesce(owner, ''), kind, serial FROM incoming WHERE id IS NOT NULL ORDER BY number
"""
TO_RAISE: Final = """
    SELECT coalesce(users.name, ''), kind, serial
    FROM ahead JOIN tokens ON tokens.id = ahead.id LEFT JOIN users ON users.id = tokens.user_id
    WHERE ahead.moving_factor > tokens.moving_factor ORDER BY ahead.number
"""
RAISE: Final = """
    UPDATE tokens SET
        moving_factor = (SELECT ahead.moving_factor FROM ahead WHERE ahead.id = tokens.id),
        candidate = NULL, candidate_until = 0.0
    WHERE id IN (
        SELECT ahead.id FROM ahead JOIN tokens AS here ON here.id = ahead.id
        WHERE ahead.moving_factor > here.moving_factor
    )
"""
"""Moves forward the tokens that are ahead in the file, inside the caller's transaction, too; TO_RAISE tells which."""
