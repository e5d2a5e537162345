"""Moves the oldest rows of the audit into an archive, and takes them out of the store once that lies on the disk.

A row goes only behind an anchor: a checkpoint that says, signed, where its chain goes on from. Ended at any moment it
has lost nothing, and the next rotation finishes what was begun. No RFC speaks here.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select

from radiusd2fa.core.archive import anchor_line, read_line, row_line
from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.chain_findings import End, Fault, Finding, Linked
from radiusd2fa.core.chain_walk import ChainWalk
from radiusd2fa.core.record import record
from radiusd2fa.store.auditing import Auditing, Progress, all_anchors, anchors_of, keys_of, linked_rows
from radiusd2fa.store.checkpoints import PublicKeys, Verdict, put_checkpoint, sign
from radiusd2fa.store.connecting import How, transaction
from radiusd2fa.store.schema import events

_AT_ONCE: Final = 2000
"""Rows that go in one transaction: a login waits for it as long as for a busy disk."""
_BLOCK: Final = 1 << 20
_BREATH: Final = 0.01


@record
class Cut:
    """Up to where the rows of a chain are to go."""

    sequence: int
    rows: int


class Archiving(Auditing):
    """An open store whose audit is rotated."""

    def cuts(self, before: float) -> dict[str, Cut]:
        """Return up to which row each chain is older than a moment; the first row that is not ends it."""
        found: dict[str, Cut] = {}
        over: set[str] = set()
        columns = events.c.chain, events.c.sequence, events.c.time
        with self._looking() as connection:
            archived = {chain: one.sequence for chain, one in anchors_of(connection, self._vault).items()}
            rows = connection.execution_options(yield_per=_AT_ONCE).execute(select(*columns).order_by(events.c.id))
            for chain, sequence, moment in rows:
                if chain in over or not chain or sequence <= archived.get(chain, 0):
                    continue
                if moment >= before:
                    over.add(chain)
                else:
                    earlier = found.get(chain)
                    found[chain] = Cut(sequence, 1 if earlier is None else earlier.rows + 1)
        return found

    def archive(self, cuts: Mapping[str, Cut], now: float, progress: Progress) -> Generator[str, None, None]:
        """Return the archive a block at a time: the anchors where it begins, the rows, the anchors where it ends."""
        of = sum(cut.rows for cut in cuts.values())
        with self._looking() as connection:
            begins = anchors_of(connection, self._vault)
            block = [anchor_line(one) for chain, one in sorted(begins.items()) if chain in cuts]
            size, done = 0, 0
            last: dict[str, Linked] = {}
            for row in linked_rows(connection):
                cut = cuts.get(row.chain)
                if cut is None or not _begun(begins, row) < row.sequence <= cut.sequence:
                    continue
                last[row.chain] = row
                block.append(row_line(row))
                size, done = size + len(block[-1]), done + 1
                if size >= _BLOCK:
                    progress(done, of)
                    yield "".join(block)
                    block, size = [], 0
            progress(of, of)
            for chain, row in sorted(last.items()):
                signed = sign(self._vault, chain, row.sequence, row.hash, now, archived=True)
                block.append(anchor_line(signed))
            yield "".join(block)

    def anchor(self, anchors: Sequence[Checkpoint], rows: int, file: str, now: float) -> None:
        """Write down, signed, that the rows up to there lie in an archive. From then on they may go."""
        with self._transaction(how=How.BESIDE) as connection:
            for one in anchors:
                put_checkpoint(connection, one)
            self._note(connection, "audit.rotated", now, reason=f"{rows:,} rows into {file}")
            self._written.extend(anchors)

    def take_out(self, progress: Progress) -> int:
        """Take out all rows that lie in an archive, the oldest first and a few at a time; returns how many went."""
        with self._looking() as connection:
            anchors = anchors_of(connection, self._vault)
            archived = _up_to(anchors)
            first, last = connection.execute(select(func.min(events.c.id), func.max(events.c.id)).where(archived)).one()
        gone = 0
        if first is None:
            return gone
        with self._engine.connect() as connection:
            for at in range(first, last + 1, _AT_ONCE):
                begun = time.monotonic()
                some = events.c.id.between(at, at + _AT_ONCE - 1)
                with transaction(connection, How.BESIDE):
                    gone += connection.execute(delete(events).where(some, archived)).rowcount
                progress(at - first + _AT_ONCE, last - first + 1)
                time.sleep(min(_BREATH, time.monotonic() - begun))  # logins come first
        return gone

    def unarchived(self, archived: Iterable[Checkpoint]) -> list[Finding]:
        """Hold the anchors that an archive ends with against those of the store."""
        with self._looking() as connection:
            keys = keys_of(connection, self._vault)
            known = {(one.chain, one.sequence, one.hash) for one in all_anchors(connection, keys)}
        meaning = (
            "it ends with an anchor that this store has not: it is of another store, or was not rotated to its end"
        )
        return [
            Finding(Fault.ARCHIVE, one.chain, meaning, one.sequence, None, one.time)
            for one in archived
            if (one.chain, one.sequence, one.hash) not in known
        ]


@record
class Archived:
    """What an archive holds."""

    rows: int
    anchors: tuple[Checkpoint, ...]
    """Where it ends."""
    findings: tuple[Finding, ...]


def verify_archive(lines: Iterable[str], keys: PublicKeys) -> Archived:
    """Walk an archive from its first anchors to its last; needs no store, and no more memory the longer it is."""
    findings: list[Finding] = []
    begins: dict[str, Checkpoint] = {}
    ends: dict[str, Checkpoint] = {}
    walks: dict[str, ChainWalk] = {}
    rows = 0
    for number, line in enumerate(lines, 1):
        try:
            one = read_line(line)
        except ValueError:
            findings.append(Finding(Fault.DAMAGED, "", f"line {number} is neither a row nor an anchor", number))
            continue
        if isinstance(one, Linked):
            rows += 1
            if one.chain not in walks:
                walks[one.chain] = ChainWalk(one.chain, begins.get(one.chain), (), findings.append)
            walks[one.chain].step(one)
        elif keys.judge(one) is not Verdict.GOOD:
            fault = Fault.BAD_SIGNATURE if keys.judge(one) is Verdict.BAD else Fault.UNKNOWN_KEY
            findings.append(Finding(fault, one.chain, f"of the anchor on line {number}", one.sequence, None, one.time))
        else:
            (ends if one.chain in walks else begins)[one.chain] = one
    for chain, walk in sorted(walks.items()):
        end = ends.get(chain)
        if end is None:
            findings.append(Finding(Fault.DAMAGED, chain, "it does not come to its end: no anchor stands behind it"))
        else:
            walk.finish(End(end.sequence, end.hash, sealed=True))
    if not walks:
        findings.append(Finding(Fault.DAMAGED, "", "there is no row in it"))
    return Archived(rows, tuple(ends.values()), tuple(findings))


def _begun(begins: Mapping[str, Checkpoint], row: Linked) -> int:
    anchor = begins.get(row.chain)
    return 0 if anchor is None else anchor.sequence


def _up_to(anchors: Mapping[str, Checkpoint]) -> ColumnElement[bool]:
    return or_(
        events.c.id < 0,
        *(and_(events.c.chain == name, events.c.sequence <= one.sequence) for name, one in anchors.items()),
    )
