"""The memory of requests seen: a retransmission gets the reply of the first copy and is never judged again.

It has no clock (``now`` is handed in and must not go back) and trusts its caller to bring genuine requests only.
RFC 5080 section 2.2.2.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from hashlib import blake2b
from math import inf
from typing import Final


class Seen(Enum):
    """What is known of a request that has no reply yet."""

    NEW = "new"
    IN_PROGRESS = "in_progress"


NEW: Final = Seen.NEW
IN_PROGRESS: Final = Seen.IN_PROGRESS

_TURNS: Final = 3  # generations in ``keep``: more forget sooner, fewer are quicker to search
_SHARE: Final = 8  # what the bound takes away at once: an eighth of all replies, the oldest


class Duplicates:
    """Requests in progress, and replies kept for ``keep`` seconds or a little longer.

    Holds at most ``max_entries`` replies, the oldest leave first; and as many requests in progress, which never
    leave early: when they are too many, new requests are turned away.
    """

    __slots__ = ("_closed", "_in_progress", "_keep", "_max_entries", "_replies", "_turn_at", "abandoned", "turned_away")

    def __init__(self, keep: float = 30.0, max_entries: int = 131_072) -> None:
        if keep <= 0 or max_entries < _SHARE:
            raise ValueError(f"keep must be over 0 and max_entries at least {_SHARE}")
        self._keep = keep
        self._max_entries = max_entries
        self._in_progress: dict[bytes, float] = {}
        # Replies by generation, newest first, and when each older generation got its last one: whole generations
        # are dropped, so that no entry needs a timestamp.
        self._replies: deque[dict[bytes, bytes]] = deque([{}])
        self._closed: deque[float] = deque()
        self._turn_at = -inf
        self.turned_away = 0
        """New requests refused because too many were in progress."""
        self.abandoned = 0
        """Requests whose processing never ended."""

    @staticmethod
    def key(source: tuple[object, ...], listener: int, raw: bytes) -> bytes:
        """Sixteen octets that stand for this packet, from this address and port, at this socket."""
        # `repr` writes NUL as an escape, so the first NUL ends the address and no two pairs run together.
        return blake2b(f"{listener} {source!r}\0".encode() + raw, digest_size=16).digest()

    def begin(self, key: bytes, now: float) -> bytes | Seen:
        """NEW: process it, then finish or forget. IN_PROGRESS: drop it. Otherwise the reply to send again."""
        if now >= self._turn_at:
            self._turn(now)
        if key in self._in_progress:
            return IN_PROGRESS
        for replies in self._replies:
            reply = replies.get(key)
            if reply is not None:
                return reply
        if len(self._in_progress) >= self._max_entries:
            self.turned_away += 1
            return IN_PROGRESS
        self._in_progress[key] = now
        return NEW

    def finish(self, key: bytes, reply: bytes, now: float) -> None:
        """Remember the reply for retransmissions to come."""
        newest = self._replies[0]
        if now >= self._turn_at or len(newest) >= self._max_entries // _SHARE:
            self._turn(now)
            newest = self._replies[0]
        self._in_progress.pop(key, None)
        newest[key] = reply

    def forget(self, key: bytes) -> None:
        """Nothing was decided (store or primary unavailable): the next retransmission is a new chance."""
        self._in_progress.pop(key, None)

    def __len__(self) -> int:
        return len(self._in_progress) + sum(map(len, self._replies))

    def _turn(self, now: float) -> None:
        """Begin a new generation; drop those past their time or over the bound."""
        self._closed.appendleft(min(now, self._turn_at))
        self._replies.appendleft({})
        share = self._max_entries // _SHARE
        while self._closed and (
            self._closed[-1] < now - self._keep or sum(map(len, self._replies)) > self._max_entries - share
        ):
            self._closed.pop()
            self._replies.pop()
        self._turn_at = now + self._keep / _TURNS
        self._drop_abandoned(now)

    def _drop_abandoned(self, now: float) -> None:
        """A request that has been in progress for ``keep`` seconds was lost by a bug; its NAS gave up long ago."""
        lost = []
        for key, begun in self._in_progress.items():  # oldest first
            if begun > now - self._keep:
                break
            lost.append(key)
        for key in lost:
            del self._in_progress[key]
        self.abandoned += len(lost)
