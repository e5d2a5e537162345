"""Reads the audit: all chains from beginning to end, held against their ends, their checkpoints, and what syslog has.

It reads as of one moment while logins go on, walks the table once however long it is, and changes nothing. What is
wrong, and what that means, core.chain_walk says; no RFC speaks here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from radiusd2fa.core.chain import Checkpoint, end_octets
from radiusd2fa.core.chain_findings import End, Fault, Finding, Linked, Witness
from radiusd2fa.core.chain_walk import ChainWalk
from radiusd2fa.core.model import Event
from radiusd2fa.core.record import record
from radiusd2fa.store.administration import Administration
from radiusd2fa.store.chains import BEFORE, roster
from radiusd2fa.store.checkpoints import PublicKeys, Verdict, former_keys, public_keys
from radiusd2fa.store.schema import EVENT_COLUMNS, chains, checkpoints, events
from radiusd2fa.vault import Vault

MOST_FINDINGS: Final = 1000
"""Findings that are kept; the others are counted."""

_AT_ONCE: Final = 2000
_THE_STORE: Final = "the store"

Progress = Callable[[int, int], object]
"""Hears how many rows were looked at, of about how many."""
LINKED: Final = (events.c.id, *EVENT_COLUMNS, events.c.chain, events.c.sequence, events.c.hash)


@record
class Walked:
    """One chain, as it was found."""

    name: str
    rows: int
    """That are in the table."""
    archived: int
    """How many came before them, by the anchor."""
    sequence: int
    """Of the last row."""
    unarchived: int
    """Rows that lie in an archive and are still in the table."""
    lost: tuple[tuple[int, int], ...]
    """What restores have lost: the rows before and behind."""


@record
class Verified:
    """What came out."""

    chains: tuple[Walked, ...]
    findings: tuple[Finding, ...]
    """In the order in which they were met, MOST_FINDINGS at most."""
    count: int
    """Of all findings."""
    checkpoints: int
    """Whose signatures hold."""


def verify(
    connection: Connection,
    vault: Vault,
    *,
    keys: PublicKeys | None = None,
    collected: Iterable[Witness] = (),
    progress: Progress = lambda _done, _of: None,
) -> Verified:
    """Walk all chains of a store within a transaction that sees one moment.

    ``keys`` are believed in the place of the vault's; ``collected`` are checkpoints that have reached syslog.
    """
    return _Audit(connection, vault, keys, collected).verify(progress)


def keys_of(connection: Connection, vault: Vault) -> PublicKeys:
    """Return all public keys of this store; VaultError when the list of the former ones was changed."""
    return PublicKeys([*public_keys(vault), *former_keys(connection, vault)])


def linked_rows(connection: Connection) -> Iterator[Linked]:
    """Return all rows of the audit in the order in which they were written."""
    found = connection.execution_options(yield_per=_AT_ONCE).execute(select(*LINKED).order_by(events.c.id))
    for number, *columns, chain, sequence, digest in found:
        if type(sequence) is not int or type(chain) is not str:  # SQLite takes anything from whoever gets at it
            chain, sequence = "", 0
        yield Linked(number, Event(*columns), chain, sequence, digest if type(digest) is bytes else b"")


def checkpoint_of(row: Row[Any]) -> Checkpoint:
    """Read a row of the table of checkpoints."""
    return Checkpoint(
        row.chain, row.sequence, bytes(row.hash), row.time, row.key, bytes(row.signature), bool(row.archived)
    )


def anchors_of(connection: Connection, vault: Vault) -> dict[str, Checkpoint]:
    """Return the furthest anchor of each chain, of those that are signed by this vault."""
    return {one.chain: one for one in all_anchors(connection, keys_of(connection, vault))}


def all_anchors(connection: Connection, keys: PublicKeys) -> Iterator[Checkpoint]:
    """Return all anchors whose signatures hold, those of a chain in their order."""
    its = select(checkpoints).where(checkpoints.c.archived).order_by(checkpoints.c.chain, checkpoints.c.sequence)
    return (one for one in map(checkpoint_of, connection.execute(its)) if keys.judge(one) is Verdict.GOOD)


class _Audit:
    """One look at all chains."""

    def __init__(
        self, connection: Connection, vault: Vault, keys: PublicKeys | None, collected: Iterable[Witness]
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._findings: list[Finding] = []
        self._count = 0
        self._checkpoints = 0
        self._keys = keys or keys_of(connection, vault)
        self._anchors = {one.chain: one for one in all_anchors(connection, self._keys)}
        self._collected: dict[str, list[Witness]] = defaultdict(list)
        for one in sorted(collected, key=lambda one: one.signed.sequence):
            self._collected[one.signed.chain].append(one)
        self._walks: dict[str, ChainWalk] = {}
        self._archived: dict[str, int] = {}

    def verify(self, progress: Progress) -> Verified:
        ends = {row.name: row for row in self._connection.execute(select(chains))}
        listed = roster(self._connection, self._vault)
        signed = set(self._connection.execute(select(checkpoints.c.chain).distinct()).scalars())
        for name in sorted({*ends, *(listed or ()), *signed, *self._collected}):
            self._begin(name)
        self._walk(progress)
        if listed is None and any(row.seal is not None for row in ends.values()):
            self._tell(Finding(Fault.LIST_FORGED, "", "so a chain that is gone altogether may not be missed"))
        for name, walk in sorted(self._walks.items()):
            unsealed = name == BEFORE and name not in (listed or ()) and name in ends and ends[name].seal is None
            walk.finish(self._end(ends.get(name)), may_be_unsealed=unsealed)
        return Verified(
            tuple(self._walked(walk) for _, walk in sorted(self._walks.items())),
            tuple(self._findings),
            self._count,
            self._checkpoints,
        )

    def _walk(self, progress: Progress) -> None:
        first, last = self._connection.execute(select(func.min(events.c.id), func.max(events.c.id))).one()
        of = 0 if last is None else last - first + 1
        walks = self._walks
        for done, row in enumerate(linked_rows(self._connection)):
            if done % _AT_ONCE == 0:
                progress(done, of)
            if (walk := walks.get(row.chain)) is not None:
                walk.step(row)
            elif row.chain:
                self._begin(row.chain).step(row)
            else:
                meaning = "this program writes none such"
                self._tell(Finding(Fault.UNCHAINED, "", meaning, None, row.id, row.event.time))
        progress(of, of)

    def _begin(self, name: str) -> ChainWalk:
        anchor = self._anchors.get(name)
        self._archived[name] = 0 if anchor is None else anchor.sequence
        witnesses = merge(self._witnesses(name), self._collected[name], key=lambda one: one.signed.sequence)
        walk = self._walks[name] = ChainWalk(name, anchor, witnesses, self._tell)
        return walk

    def _witnesses(self, name: str) -> Iterator[Witness]:
        """Return the checkpoints of a chain whose signatures hold, a few at a time, and tell of the others."""
        after = 0, 0
        while True:
            beyond = (checkpoints.c.sequence > after[0]) | (
                (checkpoints.c.sequence == after[0]) & (checkpoints.c.id > after[1])
            )
            wanted = select(checkpoints).where(checkpoints.c.chain == name, beyond)
            found = self._connection.execute(
                wanted.order_by(checkpoints.c.sequence, checkpoints.c.id).limit(_AT_ONCE)
            ).all()
            for row in found:
                signed = checkpoint_of(row)
                if self._holds(signed):
                    yield Witness(signed, _THE_STORE)
            if len(found) < _AT_ONCE:
                return
            after = found[-1].sequence, found[-1].id

    def _holds(self, signed: Checkpoint) -> bool:
        verdict = self._keys.judge(signed)
        if verdict is Verdict.GOOD:
            self._checkpoints += 1
            return True
        what = "an anchor" if signed.archived else "a checkpoint"
        fault, why = (
            (Fault.BAD_SIGNATURE, "whose signature is wrong")
            if verdict is Verdict.BAD
            else (Fault.UNKNOWN_KEY, f"signed with the key {signed.key}, which is none of this store")
        )
        self._tell(Finding(fault, signed.chain, f"there is {what} {why}", signed.sequence, None, signed.time))
        return False

    def _end(self, row: Row[Any] | None) -> End | None:
        if row is None:
            return None
        digest = bytes(row.hash)
        sealed = row.seal is not None and self._vault.vouches(
            end_octets(row.name, row.sequence, digest), bytes(row.seal)
        )
        return End(row.sequence, digest, sealed)

    def _walked(self, walk: ChainWalk) -> Walked:
        archived = self._archived[walk.name]
        return Walked(walk.name, walk.rows, archived, walk.sequence, walk.unarchived, tuple(walk.jumps))

    def _tell(self, finding: Finding) -> None:
        self._count += 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)


@record
class Wanted:
    """Which rows are to be shown; what is empty does not matter."""

    user: str = ""
    client: str = ""
    serial: str = ""
    since: float | None = None
    after: int = 0
    """Only rows with a higher id."""
    most: int = 100
    """The latest of them."""


class Auditing(Administration):
    """An open store whose audit is looked at."""

    def verify(
        self,
        *,
        keys: PublicKeys | None = None,
        collected: Iterable[Witness] = (),
        progress: Progress = lambda _done, _of: None,
    ) -> Verified:
        """Walk all chains as of one moment."""
        with self._looking() as connection:
            return verify(connection, self._vault, keys=keys, collected=collected, progress=progress)

    def public_keys(self) -> PublicKeys:
        """Return what verifies the checkpoints of this store."""
        with self._looking() as connection:
            return keys_of(connection, self._vault)

    def rows(self, wanted: Wanted) -> Sequence[Linked]:
        """Return the latest rows that are wanted, in the order in which they were written."""
        columns = {events.c.user: wanted.user, events.c.nas: wanted.client, events.c.serial: wanted.serial}
        chosen = select(*LINKED).where(*(column == text for column, text in columns.items() if text))
        if wanted.since is not None:
            chosen = chosen.where(events.c.time >= wanted.since)
        if wanted.after:
            chosen = chosen.where(events.c.id > wanted.after)
        with self._looking() as connection:
            found = connection.execute(chosen.order_by(events.c.id.desc()).limit(wanted.most)).all()
        return [Linked(one[0], Event(*one[1:-3]), one[-3], one[-2], bytes(one[-1] or b"")) for one in reversed(found)]
