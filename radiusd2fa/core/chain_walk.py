"""Walks a chain of the audit row by row, and says where something was changed, taken out, put in or moved.

It holds no rows, whatever their number, and trusts nothing that it is shown but its witnesses: checkpoints whose
signatures somebody has verified. It reads no database; the hashes are those of core.chain. No RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from radiusd2fa.core.chain import START, Checkpoint, link
from radiusd2fa.core.chain_findings import End, Fault, Finding, Linked, Witness

RESTORED: Final = "database.restored"
"""The one row before which a chain may jump: what was written between is lost with the store that had it."""
_MOST_GAPS: Final = 1000


Tell = Callable[[Finding], object]


@dataclass(slots=True, eq=False)
class _Gap:
    """Rows that have not come yet."""

    first: int
    last: int
    before: bytes
    """The hash that the first of them builds on."""
    behind: Linked


class ChainWalk:
    """One chain on its way from the anchor, or the beginning, to the end."""

    def __init__(self, name: str, anchor: Checkpoint | None, witnesses: Iterable[Witness], tell: Tell) -> None:
        """``witnesses`` come in the order of their sequences."""
        self.name = name
        self.rows = 0
        self.unarchived = 0
        """Rows up to the anchor that are still there."""
        self.jumps: list[tuple[int, int]] = []
        """What restores have lost: the sequences before and behind."""
        self.sequence, self._hash = (0, START) if anchor is None else (anchor.sequence, anchor.hash)
        self._anchor = anchor
        self._doubt: tuple[Linked, bytes] | None = None
        """A row whose hash is not what it should be, and what that would be: the next row knows which is wrong."""
        self._ahead: Linked | None = None
        """A row that has come too early: the next one knows whether others are missing, or this one was moved."""
        self._early: dict[int, Linked] = {}
        """Rows that stand before their place."""
        self._gaps: list[_Gap] = []
        self._witnesses: Iterator[Witness] = iter(witnesses)
        self._next = next(self._witnesses, None)
        self._was_rewritten = False
        self._tell = tell
        self._hear({self._hash})

    # --- row by row ---------------------------------------------------------------------------------------------------

    def step(self, row: Linked) -> None:
        """Take the next row as it stands in the table."""
        self.rows += 1
        if self._anchor is not None and row.sequence <= self._anchor.sequence:
            self.unarchived += 1  # it lies in an archive, which has been verified, and will be taken out
            return
        if self._ahead is not None:
            self._place(self._ahead, is_early=row.sequence == self.sequence + 1)
        if row.sequence == self.sequence + 1:
            self._follow(row)
        elif row.sequence <= self.sequence:
            self._look_back(row)
        elif row.event.name == RESTORED and _digest(self._hash, row) == row.hash:
            self.jumps.append((self.sequence, row.sequence))
            self._settle(rehashed=False)
            self._pass_witnesses(row.sequence)
            self._go_to(row)
        else:
            self._ahead = row

    def _place(self, row: Linked, *, is_early: bool) -> None:
        """Find out about a row that has come too early."""
        self._ahead = None
        if is_early and len(self._early) < _MOST_GAPS:
            self._early[row.sequence] = row
            return
        self._settle(rehashed=False)
        if len(self._gaps) < _MOST_GAPS:
            self._gaps.append(_Gap(self.sequence + 1, row.sequence - 1, self._hash, row))
        self._go_to(row)

    def _follow(self, row: Linked) -> None:
        digest = _digest(self._hash, row)
        wrong = digest != row.hash
        if self._doubt is not None:
            rehashed = _digest(self._doubt[1], row) == row.hash
            self._settle(rehashed=rehashed)
            wrong = wrong and not rehashed
        if wrong:
            self._doubt = row, digest
        self._go_to(row)
        early = self._early.get(self.sequence + 1)
        if early is not None and _digest(self._hash, early) == early.hash:
            del self._early[early.sequence]
            self._say(Fault.MOVED, early, f"it stands before row {early.sequence - 1} of its chain")
            self._follow(early)

    def _look_back(self, row: Linked) -> None:
        """A row that should have come before."""
        for gap in self._gaps:
            if row.sequence == gap.first and _digest(gap.before, row) == row.hash:
                gap.first, gap.before = row.sequence + 1, row.hash
                self._say(Fault.MOVED, row, f"it stands behind row {self.sequence} of its chain")
                if gap.first > gap.last:
                    self._gaps.remove(gap)
                    if _digest(gap.before, gap.behind) != gap.behind.hash:
                        self._say(Fault.CHANGED, gap.behind, "it is not as it was written")
                return
        self._say(Fault.INSERTED, row, "it was not written there")

    def _settle(self, *, rehashed: bool) -> None:
        """Say what is wrong about the row that is in doubt, if one is."""
        if self._doubt is None:
            return
        row, _ = self._doubt
        self._doubt = None
        if rehashed:
            self._say(Fault.REHASHED, row, "the row is as it was written, its hash is not")
        else:
            self._say(Fault.CHANGED, row, "it is not as it was written")

    def _go_to(self, row: Linked) -> None:
        self.sequence, self._hash = row.sequence, row.hash
        self._hear({row.hash, *(self._doubt[1:] if self._doubt is not None else ())})

    def _hear(self, right: set[bytes]) -> None:
        """Ask the witnesses of the row that we are at whether this is how its hash was."""
        self._pass_witnesses(self.sequence)
        while self._next is not None and self._next.signed.sequence == self.sequence:
            if self._next.signed.hash not in right and not self._was_rewritten:
                self._was_rewritten = True
                meaning = f"a checkpoint in {self._next.where} was signed over other rows: these were written anew"
                self._found(Fault.REWRITTEN, meaning, self.sequence)
            self._next = next(self._witnesses, None)

    def _pass_witnesses(self, sequence: int) -> None:
        """Leave out those of rows that nobody can look at: they lie in an archive, are missing, or were lost."""
        while self._next is not None and self._next.signed.sequence < sequence:
            self._next = next(self._witnesses, None)

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self, end: End | None, *, may_be_unsealed: bool = False) -> None:
        """Hold the last row against the end that was written down, and against the witnesses that are left."""
        if self._doubt is not None and end is not None and end.hash == self._doubt[1]:
            self._hash = end.hash
            self._settle(rehashed=True)
        if self._ahead is not None:
            self._place(self._ahead, is_early=False)
        self._settle(rehashed=False)
        for gap in self._gaps:
            self._say_gap(gap)
        for row in self._early.values():
            self._say(Fault.INSERTED, row, "it was not written there")
        if end is not None:
            self._hold_against(end, may_be_unsealed=may_be_unsealed)
        furthest = self._next
        for furthest in self._witnesses:  # noqa: B007 - the last one is wanted
            pass
        if furthest is not None and furthest.signed.sequence > max(self.sequence, 0 if end is None else end.sequence):
            self._say_cut(furthest)
        elif end is None:
            self._say_lost()

    def _say_gap(self, gap: _Gap) -> None:
        what = f"row {gap.first} is" if gap.first == gap.last else f"rows {gap.first} to {gap.last} are"
        if gap.first == 1:
            self._found(Fault.BEHEADED, f"{what} not there, and no anchor says that they lie in an archive", 1)
        else:
            meaning = f"{what} not there, so row {gap.behind.sequence} itself cannot be checked"
            self._found(Fault.MISSING, meaning, gap.first)

    def _say_cut(self, furthest: Witness) -> None:
        last, where = furthest.signed.sequence, furthest.where
        left = f"the last one is row {self.sequence}" if self.sequence else "none is left"
        fault = Fault.CUT if self.sequence else Fault.VANISHED
        self._found(fault, f"a checkpoint in {where} says that there was a row {last}; {left}", self.sequence + 1)

    def _say_lost(self) -> None:
        if self.sequence:
            self._found(
                Fault.END_LOST, "nothing says any more where it ends, so rows may be missing there", self.sequence
            )
        else:
            self._found(Fault.VANISHED, "there was such a chain, and nothing is left of it")

    def _hold_against(self, end: End, *, may_be_unsealed: bool) -> None:
        if not end.sealed and not may_be_unsealed:
            self._found(Fault.END_FORGED, "its end was not written by this program with this vault key", end.sequence)
        if end.sequence > self.sequence:
            fault = Fault.CUT if self.sequence else Fault.VANISHED
            self._found(fault, f"rows {self.sequence + 1} to {end.sequence} are not there", self.sequence + 1)
        elif end.sequence < self.sequence:
            meaning = f"its end is row {end.sequence}: what stands behind that was not written by this program"
            self._found(Fault.APPENDED, meaning, end.sequence + 1)
        elif end.hash != self._hash:
            meaning = "its last row is not the one that it ended with: rows were written anew"
            self._found(Fault.END_CHANGED, meaning, self.sequence)

    # --- telling ------------------------------------------------------------------------------------------------------

    def _say(self, fault: Fault, row: Linked, meaning: str) -> None:
        time = row.event.time if isinstance(row.event.time, float) else None
        self._tell(Finding(fault, self.name, meaning, row.sequence, row.id, time))

    def _found(self, fault: Fault, meaning: str, sequence: int | None = None) -> None:
        self._tell(Finding(fault, self.name, meaning, sequence))


def _digest(previous: bytes, row: Linked) -> bytes:
    """Return what its hash should be; a row with a text for a time, or octets for a name, has none."""
    try:
        return link(previous, row.chain, row.sequence, row.event)
    except (TypeError, ValueError, OverflowError):
        return b""
