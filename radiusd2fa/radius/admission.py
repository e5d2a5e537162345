"""Which packets are judged when more come than can be: each client's rate, its fair share, and what is too old.

It has no clock (``now`` is handed in and must not go back) and reads no packet; whom a packet is from is the caller's
to say. RFC 5080 2.2.1 (how clients ask again, and why a server must not work on what they have given up on).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from math import inf
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_AT_LEAST: Final = 64


class TurnedAway(StrEnum):
    """Why a packet is not judged; the words are those of the counters."""

    TOO_MANY = "too_many"
    """Its client sends more than it may."""
    TOO_LATE = "too_late"
    """Its client waits for an answer no more: it has asked again, or gone elsewhere."""
    NO_ROOM = "no_room"
    """So much waits that the oldest had to go."""


class Rate:
    """So many packets a second, and after a quiet second as many at once. 0 is no limit."""

    __slots__ = ("_ahead", "_free_at", "_interval")

    def __init__(self, most_a_second: int) -> None:
        self._interval = 1 / most_a_second if most_a_second else 0.0
        self._ahead = 1.0 + self._interval / 2  # a second, and what the sums of fractions may be off
        self._free_at = -inf

    def allows(self, now: float) -> bool:
        """Count one packet, unless it is one too many."""
        free_at = max(self._free_at, now) + self._interval
        if free_at > now + self._ahead:
            return False
        self._free_at = free_at
        return True


class Line(Generic[T]):
    """Packets that wait their turn, in a lane for each client: every lane is served in turn, however full another is.

    Oldest first while all that waits is served at once; otherwise newest first, because whoever came last will wait
    longest. Past ``most`` packets the oldest of the fullest lanes go, down to an equal share of half the room.
    """

    __slots__ = ("_count", "_lanes", "_let_go", "_most", "_turns")

    def __init__(self, let_go: Callable[[T, TurnedAway], None], most: int = 4096) -> None:
        """``let_go`` hears of everything that is put in and never comes out."""
        if most < _AT_LEAST:
            raise ValueError(f"most must be at least {_AT_LEAST}")
        self._let_go = let_go
        self._most = most
        self._lanes: dict[str, deque[tuple[float, T]]] = {}
        self._turns: deque[str] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, lane: str, packet: T, until: float, now: float) -> None:
        """Let a packet wait until then at the latest."""
        if self._count >= self._most:
            self._make_room(now)
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = deque()
            self._turns.append(lane)
        waiting.append((until, packet))
        self._count += 1

    def take(self, most: int, now: float) -> list[T]:
        """Take out up to so many, one of each lane in turn."""
        taken: list[T] = []
        newest_first = self._count > most
        while self._turns and len(taken) < most:
            lane = self._turns.popleft()
            waiting = self._lanes[lane]
            until, packet = waiting.pop() if newest_first else waiting.popleft()
            self._count -= 1
            if waiting:
                self._turns.append(lane)
            else:
                del self._lanes[lane]
            if until > now:
                taken.append(packet)
            else:
                self._let_go(packet, TurnedAway.TOO_LATE)
        return taken

    def _make_room(self, now: float) -> None:
        """Let the oldest go: first those past their time, then what a lane has beyond its share."""
        share = self._most // 2 // len(self._lanes)
        for waiting in self._lanes.values():
            while len(waiting) > 1 and (waiting[0][0] <= now or len(waiting) > share):
                until, packet = waiting.popleft()
                self._count -= 1
                self._let_go(packet, TurnedAway.TOO_LATE if until <= now else TurnedAway.NO_ROOM)
