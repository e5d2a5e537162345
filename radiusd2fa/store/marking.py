"""Gives the tokens of an older version their marks: without one it is not seen that two of them have the same seed.

Each seed is opened once, a few in each transaction, so that logins go on meanwhile; it changes nothing but the marks,
and shows no seed. RFC 4226 7.2: a code must not count twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from radiusd2fa.store.engine import check_vault
from radiusd2fa.store.sealing import FOR_GOOD, owner_in_seal, what_makes_codes
from radiusd2fa.store.sqlite import StoreUnavailableError, connect
from radiusd2fa.vault import Vault, VaultError

FEW: Final = 500
"""Rows at a time: where the store itself is written, a login waits no longer than for these."""
_BUSY_TIMEOUT: Final = 5.0

Progress = Callable[[int, int], None]
"""Hears how many rows are done, of how many."""
Unopened = Callable[[VaultError], None]
"""Hears of a seed that does not open; what it raises ends the work."""


def mark_all(path: Path, vault: Vault, progress: Progress, unopened: Unopened) -> int:
    """Mark every token that has no mark, and return how many these were; StoreError when the vault is not theirs."""
    try:
        with closing(connect(path, busy_timeout=_BUSY_TIMEOUT)) as database:
            check_vault(database, vault, path)
            return sum(write_marks(database, some) for some in new_marks(database, vault, progress, unopened))
    except sqlite3.OperationalError as error:
        raise StoreUnavailableError(f"{path}: the database does not answer now ({error}); try again") from error


def new_marks(
    database: sqlite3.Connection, vault: Vault, progress: Progress, unopened: Unopened
) -> Iterator[list[tuple[str, int]]]:
    """Yield marks and ids of the tokens that have no mark, a few at a time."""
    last, done = 0, 0
    (of,) = database.execute(_COUNT_UNMARKED).fetchone()
    while rows := database.execute(_UNMARKED, (last, FEW)).fetchall():
        last = rows[-1][0]
        marks = []
        for number, kind, algorithm, sealed in rows:
            if kind in FOR_GOOD:  # those hold no seed that codes are made from
                continue
            try:
                marks.append((mark_of(vault, number, kind, algorithm, sealed), number))
            except VaultError as error:
                unopened(error)
        yield marks
        done += len(rows)
        progress(done, of)


def write_marks(database: sqlite3.Connection, marks: list[tuple[str, int]]) -> int:
    """Keep some marks, and return how many."""
    with transaction(database, "IMMEDIATE"):
        database.executemany(_SET_MARK, marks)
    return len(marks)


def mark_of(vault: Vault, number: int, kind: str, algorithm: str, sealed: bytes, owner: str | None = None) -> str:
    """Open the seed of a row, and return its mark; only what is its ``owner``'s for good needs to know them."""
    secret = vault.open(number, sealed, owner_in_seal(kind, owner))
    return vault.fingerprint(what_makes_codes(kind, secret, algorithm))


@contextmanager
def transaction(database: sqlite3.Connection, how: str) -> Iterator[None]:
    """DEFERRED locks nothing of the store's while only a table in ``temp`` is written."""
    database.execute(f"BEGIN {how}")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


_UNMARKED: Final = """
    SELECT id, kind, algorithm, sealed FROM tokens WHERE fingerprint IS NULL AND id > ? ORDER BY id LIMIT ?
"""
_COUNT_UNMARKED: Final = "SELECT count(*) FROM tokens WHERE fingerprint IS NULL"
_SET_MARK: Final = "UPDATE tokens SET fingerprint = ? WHERE id = ?"
