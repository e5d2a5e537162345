"""A queue that nobody can fill for others: clients take turns, and each client's people take turns among themselves.

It is bounded, holds nothing longer than whoever waits for it, and has no clock (``now`` is handed in) and no lock.
No RFC speaks here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_Lane = deque[tuple[float, T]]


class _People(Generic[T]):
    """Those of one client who wait, each with what was asked about them; in the order of their turns."""

    __slots__ = ("count", "lanes")

    def __init__(self) -> None:
        self.lanes: dict[str, _Lane[T]] = {}
        self.count = 0

    def longest(self) -> str:
        return max(self.lanes, key=lambda name: len(self.lanes[name]))

    def pop(self, name: str) -> tuple[float, T]:
        """Take the oldest of one person, and let the others be first next time."""
        lane = self.lanes.pop(name)
        entry = lane.popleft()
        if lane:
            self.lanes[name] = lane  # a dict keeps its order: whoever is put back is last
        self.count -= 1
        return entry


class FairQueue(Generic[T]):
    """Holds up to ``room`` things; ``give_up`` hears of each that was put in and will not be taken out."""

    def __init__(self, room: int, give_up: Callable[[T], None]) -> None:
        self._room = room
        self._give_up = give_up
        self._clients: dict[str, _People[T]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, client: str, person: str, item: T, until: float, now: float) -> bool:
        """Let something wait until then at the latest; False when there is no room that would be fair to take.

        With no room left, the client and then the person with the most in the queue lose their oldest to one with less.
        """
        if self._count >= self._room:
            self._forget_what_is_late(now)
        if self._count >= self._room and not self._displace(client, person):
            return False
        people = self._clients.get(client)
        if people is None:
            people = self._clients[client] = _People()
        people.lanes.setdefault(person, deque()).append((until, item))
        people.count += 1
        self._count += 1
        return True

    def take(self, now: float) -> T | None:
        """Return what is next, or None."""
        while self._clients:
            client = next(iter(self._clients))
            until, item = self._pop(client, next(iter(self._clients[client].lanes)))
            if until > now:
                return item
            self._give_up(item)
        return None

    def empty(self) -> None:
        """Give everything up."""
        while self._clients:
            client = next(iter(self._clients))
            self._give_up(self._pop(client, next(iter(self._clients[client].lanes)))[1])

    def _pop(self, client: str, person: str) -> tuple[float, T]:
        people = self._clients.pop(client)
        entry = people.pop(person)
        if people.count:
            self._clients[client] = people
        self._count -= 1
        return entry

    def _displace(self, client: str, person: str) -> bool:
        """Make room for one more of this person, if somebody else has at least two more than they."""
        own = self._clients.get(client)
        fullest = max(self._clients, key=lambda name: self._clients[name].count, default=client)
        if own is not None and self._clients[fullest].count <= own.count + 1:
            fullest = client  # no other client is to lose anything: its own people share what it has
        elif own is None and (not self._clients or self._clients[fullest].count < 2):
            return False
        people = self._clients[fullest]
        longest = people.longest()
        if fullest == client and len(people.lanes[longest]) <= len(people.lanes.get(person, ())) + 1:
            return False
        self._give_up(self._pop(fullest, longest)[1])
        return True

    def _forget_what_is_late(self, now: float) -> None:
        for client in list(self._clients):
            people = self._clients[client]
            for person in list(people.lanes):
                while person in people.lanes and people.lanes[person][0][0] <= now:
                    self._give_up(self._pop(client, person)[1])
