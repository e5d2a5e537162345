"""Brings the audit of a backup into a store without breaking a chain: each goes on in one line, or stays where it is.

It changes and deletes no row of the store. Where a chain goes on from the backup's end, a row says so, and no number is
given again that a row may have had which is lost. What a link covers: core.chain; no RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, insert, select

from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.model import Event
from radiusd2fa.store.chains import BEFORE, load_chain, save_chain
from radiusd2fa.store.connecting import put
from radiusd2fa.store.gap import mark_jump
from radiusd2fa.store.schema import chains, checkpoints, events
from radiusd2fa.vault import Vault

_FEW: Final = 1000


class Fate(StrEnum):
    """What becomes of one chain of the backup."""

    KNOWN = "known"
    """The store has all of its rows."""
    TAKEN = "taken"
    """The store takes the rows that it has not."""
    FORKED = "forked"
    """The store has other rows in their place, and keeps those."""


def names(connection: Connection) -> list[str]:
    """All chains of a store."""
    return list(connection.execute(select(chains.c.name).order_by(chains.c.name)).scalars())


def fates(source: Connection, target: Connection) -> dict[str, Fate]:
    """Say for each chain of the backup what becomes of it."""
    return {end.name: _fate(source, target, end) for end in source.execute(select(chains).order_by(chains.c.name))}


def take(source: Connection, target: Connection, names: Sequence[str]) -> int:
    """Bring in the rows of these chains that the target has not; returns how many these were."""
    taken = 0
    for name in names:
        begun = load_chain(target, name).sequence
        for table in (events, checkpoints):
            kept = [column for column in table.c if column.name != "id"]
            wanted = select(*kept).where(table.c.chain == name, table.c.sequence > begun).order_by(table.c.id)
            for rows in _some(source, wanted):
                put(target, table.name, [column.name for column in kept], [tuple(row) for row in rows])
                taken += len(rows) if table is events else 0
        end = source.execute(select(chains).where(chains.c.name == name)).one()
        _replace(target, chains, name, {"sequence": end.sequence, "hash": end.hash, "seal": end.seal})
    return taken


def go_on(target: Connection, names: Sequence[str], row: Event, vault: Vault) -> list[Checkpoint]:
    """Write the row of the restore behind the ends of these chains, and seal them; returns what was signed."""
    signed = []
    for name in names:
        chain = load_chain(target, name)
        if name != BEFORE:  # nobody writes there any more
            mark_jump(target, chain, row)
        chain.time = row.time
        signed.append(save_chain(target, chain, vault))
    return signed


def _fate(source: Connection, target: Connection, end: Row[Any]) -> Fate:
    here = target.execute(select(chains).where(chains.c.name == end.name)).first()
    if here is None or here.sequence == 0:
        return Fate.TAKEN
    farther, nearer = (target, end) if here.sequence >= end.sequence else (source, here)
    same = _hash_at(farther, end.name, nearer.sequence) == bytes(nearer.hash)
    if not same:
        return Fate.FORKED
    return Fate.KNOWN if farther is target else Fate.TAKEN


def _hash_at(connection: Connection, name: str, sequence: int) -> bytes | None:
    """The hash of a row; rows that were archived are known by the checkpoints that covered them."""
    for table in (events, checkpoints):
        found = connection.execute(
            select(table.c.hash).where(table.c.chain == name, table.c.sequence == sequence).limit(1)
        ).scalar()
        if found is not None:
            return bytes(found)
    return None


def _some(source: Connection, wanted: Any) -> Iterator[Sequence[Row[Any]]]:  # noqa: ANN401 - a SELECT of any columns
    result = source.execution_options(yield_per=_FEW).execute(wanted)
    yield from result.partitions()


def _replace(target: Connection, table: Table, name: str, values: dict[str, Any]) -> None:
    target.execute(table.delete().where(table.c.name == name))
    target.execute(insert(table).values(name=name, **values))
