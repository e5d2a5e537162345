"""What is found wrong with the audit, and what a walk along its chains is shown: rows, ends and witnesses.

Plain values: nothing here reads or judges. No RFC speaks here.
"""

from __future__ import annotations

from enum import StrEnum

from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.model import Event
from radiusd2fa.core.record import record


class Fault(StrEnum):
    """What is wrong."""

    CHANGED = "row changed"
    REHASHED = "hash changed"
    MISSING = "rows missing"
    BEHEADED = "rows missing at the beginning"
    CUT = "rows missing at the end"
    MOVED = "row moved"
    INSERTED = "row put in"
    UNCHAINED = "row outside any chain"
    REWRITTEN = "rows rewritten"
    APPENDED = "rows appended"
    END_CHANGED = "end changed"
    END_FORGED = "end forged"
    END_LOST = "end lost"
    VANISHED = "chain vanished"
    BAD_SIGNATURE = "checkpoint forged"
    UNKNOWN_KEY = "checkpoint of an unknown key"
    LIST_FORGED = "list of chains forged"
    ARCHIVE = "archive of another store"
    DAMAGED = "archive damaged"


@record
class Finding:
    """One thing that is wrong, and where."""

    fault: Fault
    chain: str
    meaning: str
    """For a person, in one sentence."""
    sequence: int | None = None
    id: int | None = None
    """Of the row in the table."""
    time: float | None = None
    """That the row says of itself."""


@record
class Linked:
    """A row as it stands in the table, or in an archive."""

    id: int
    event: Event
    chain: str
    sequence: int
    hash: bytes


@record
class Witness:
    """A checkpoint whose signature holds, and where it was found: ``the store``, ``FILE:12``."""

    signed: Checkpoint
    where: str


@record
class End:
    """Where a chain ends by its row in ``chains``."""

    sequence: int
    hash: bytes
    sealed: bool
    """Whether the vault vouches for it."""
