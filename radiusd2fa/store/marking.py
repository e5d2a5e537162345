"""Gives the tokens of an older version their marks: without one it is not seen that two of them have the same seed.

Each seed is opened once, a few in each transaction, so that logins go on meanwhile; it changes nothing but the marks,
and shows no seed. RFC 4226 7.2: a code must not count twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.exc import OperationalError

from radiusd2fa.store.address import Address
from radiusd2fa.store.connecting import How, check_vault, one_line, open_engine, transaction
from radiusd2fa.store.schema import tokens
from radiusd2fa.store.sealing import FOR_GOOD, owner_in_seal, what_makes_codes
from radiusd2fa.store.sqlite import StoreUnavailableError
from radiusd2fa.vault import Vault, VaultError

FEW: Final = 500
"""Rows at a time: where the store itself is written, a login waits no longer than for these."""

Progress = Callable[[int, int], None]
"""Hears how many rows are done, of how many."""
Unopened = Callable[[VaultError], None]
"""Hears of a seed that does not open; what it raises ends the work."""


def mark_all(address: Address, vault: Vault, progress: Progress, unopened: Unopened) -> int:
    """Mark every token that has no mark, and return how many these were; StoreError when the vault is not theirs."""
    try:
        with open_engine(address).connect() as connection:
            with transaction(connection, How.LOOKING):
                check_vault(connection, vault, address)
            return sum(write_marks(connection, some) for some in new_marks(connection, vault, progress, unopened))
    except OperationalError as error:
        why = one_line(error.orig)
        raise StoreUnavailableError(f"{address}: the database does not answer now ({why}); try again") from error


def new_marks(
    connection: Connection, vault: Vault, progress: Progress, unopened: Unopened
) -> Iterator[list[tuple[str, int]]]:
    """Yield marks and ids of the tokens that have no mark, a few at a time, outside of any transaction."""
    last, done = 0, 0
    with transaction(connection, How.LOOKING):
        of = connection.execute(_COUNT_UNMARKED).scalar_one()
    while rows := _unmarked(connection, last):
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


def _unmarked(connection: Connection, last: int) -> list[tuple[int, str, str, bytes]]:
    with transaction(connection, How.LOOKING):
        return [tuple(row) for row in connection.execute(_UNMARKED.where(tokens.c.id > last).limit(FEW))]


def write_marks(connection: Connection, marks: list[tuple[str, int]]) -> int:
    """Keep some marks, and return how many."""
    if marks:
        with transaction(connection, How.CHANGING):
            connection.execute(_SET_MARK, [{"mark": mark, "number": number} for mark, number in marks])
    return len(marks)


def mark_of(vault: Vault, number: int, kind: str, algorithm: str, sealed: bytes, owner: str | None = None) -> str:
    """Open the seed of a row, and return its mark; only what is its ``owner``'s for good needs to know them."""
    secret = vault.open(number, sealed, owner_in_seal(kind, owner))
    return vault.fingerprint(what_makes_codes(kind, secret, algorithm))


_COUNT_UNMARKED: Final = select(func.count()).select_from(tokens).where(tokens.c.fingerprint.is_(None))
_UNMARKED: Final = (
    select(tokens.c.id, tokens.c.kind, tokens.c.algorithm, tokens.c.sealed)
    .where(tokens.c.fingerprint.is_(None))
    .order_by(tokens.c.id)
)
_SET_MARK: Final = update(tokens).where(tokens.c.id == bindparam("number")).values(fingerprint=bindparam("mark"))
