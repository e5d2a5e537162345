"""Counts packets by what became of them, and says aloud what somebody should look at: seldom, so that it is read.

It never says what a packet holds, and a flood of packets, from however many sources, is a bounded number of lines.
No RFC speaks of this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from radiusd2fa.audit import Journal

_SAY_AGAIN_AFTER: Final = 60.0
_MOST_SOURCES: Final = 64


class Tally:
    """Packets by what became of them."""

    def __init__(self, journal: Journal, time: Callable[[], float]) -> None:
        """``time`` is in monotonic seconds."""
        self.journal = journal
        self.counters: Counter[str] = Counter()
        self._time = time
        self._said: dict[str, set[str]] = {}
        self._forget_said_at = 0.0

    def drop(self, reason: str, source: str, nas: str = "", **what: BaseException) -> None:
        """A packet gets no answer; an ``error`` or ``exception`` says that it is our own fault."""
        self.counters[reason] += 1
        if self.worth_saying(reason, source):
            level = "error" if what else "warning"
            self.journal.note(level, "packet.dropped", reason=reason, source=source, nas=nas, **what)

    def unsigned(self, source: str, nas: str) -> None:
        """A packet was taken without a Message-Authenticator, as its client's settings allow."""
        self.counters["unsigned"] += 1
        if self.worth_saying("unsigned", source):
            self.journal.note("warning", "packet.unsigned", source=source, nas=nas)

    def worth_saying(self, what: str, source: str) -> bool:
        """Once a minute for each kind and source, and for so many sources of a kind: a flood cannot drown the rest."""
        now = self._time()
        if now >= self._forget_said_at:
            self._said.clear()
            self._forget_said_at = now + _SAY_AGAIN_AFTER
        said = self._said.setdefault(what, set())
        if source in said or len(said) >= _MOST_SOURCES:
            return False
        said.add(source)
        return True
