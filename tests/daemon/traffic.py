"""Logins at a steady pace beside a test, from NASes that wait three seconds and never ask again.

It judges nothing but what arrives: every login that is not answered in time is lost, and says so.
RFC 2865 2.4 leaves time-outs to the NAS; three seconds is what most are shipped with.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from .site import CODE_ONLY, SECRET, Person
from .wire import PATIENCE, Address, Peer, read, request

TIME_OUT: Final = 3.0


@dataclass(eq=False, slots=True)
class Caller:
    """One person at a port of a NAS of their own."""

    person: Person
    peer: Peer
    asked: bytes = b""
    sent: float = 0.0
    answered: bytes = b""
    """What came first; the same packet sent again must bring it once more."""
    is_waiting: bool = False


@dataclass(slots=True)
class Record:
    """What has come of it."""

    replies: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    differing: int = 0
    """Retransmissions whose answer was not that of the first copy."""
    longest: float = 0.0
    """Seconds that the slowest answer took."""


class Traffic:
    """A thread that logs somebody in every ``every`` seconds until the block ends.

    ``repeat``: each third packet is sent again once it is answered. ``time_out``: when an answer is late, in seconds.
    """

    def __init__(
        self,
        people: Sequence[Person],
        to: Address,
        every: float,
        *,
        repeat: bool = False,
        time_out: float = TIME_OUT,
    ) -> None:
        self.record = Record()
        self._callers = [Caller(person, Peer(to, SECRET, CODE_ONLY)) for person in people]
        self._to = to
        self._every = every
        self._repeat = repeat
        self._time_out = time_out
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for caller in self._callers:
            caller.peer.socket.close()
        if self._error is not None:
            raise self._error

    def wait_for_more(self, count: int) -> None:
        """Return when so many more logins have been answered or lost."""
        with self._news:
            until = self._done() + count
            self._news.wait_for(lambda: self._done() >= until or not self._thread.is_alive(), 2 * PATIENCE)
            assert self._done() >= until, self.record

    def _done(self) -> int:
        return self.record.replies.total() + self.record.lost

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for caller in self._callers:
                    caller.peer.socket.setblocking(False)
                    selector.register(caller.peer.socket, selectors.EVENT_READ, caller)
                self._talk(selector)
        except BaseException as error:  # noqa: BLE001 - raised again where the block ends
            self._error = error

    def _talk(self, selector: selectors.BaseSelector) -> None:
        due = time.monotonic()
        turn = 0
        while not self._over.is_set() or any(caller.is_waiting for caller in self._callers):
            now = time.monotonic()
            if now >= due and not self._over.is_set():
                due = max(due + self._every, now - 10 * self._every)
                idle = [caller for caller in self._callers if not caller.is_waiting]
                if idle:
                    turn += 1
                    self._send(idle[turn % len(idle)], now)
            for key, _ in selector.select(max(0.0, min(self._every, due - now))):
                self._receive(key.data)
            self._give_up(selector)

    def _send(self, caller: Caller, now: float) -> None:
        caller.asked = request(SECRET, caller.person.name, caller.person.press().encode())
        caller.sent, caller.is_waiting, caller.answered = now, True, b""
        caller.peer.send(caller.asked)

    def _receive(self, caller: Caller) -> None:
        for raw in caller.peer.waiting():
            if caller.answered:
                self.record.differing += raw != caller.answered
                self._ended(caller)
                continue
            kind = read(raw, caller.asked, SECRET).kind
            self.record.longest = max(self.record.longest, time.monotonic() - caller.sent)
            if self._repeat and self.record.replies.total() % 3 == 0:
                caller.answered = raw
                caller.peer.send(caller.asked)
                with self._news:
                    self.record.replies[kind] += 1
            else:
                self._ended(caller, kind)

    def _ended(self, caller: Caller, kind: str = "") -> None:
        caller.is_waiting = False
        with self._news:
            if kind:
                self.record.replies[kind] += 1
            self._news.notify_all()

    def _give_up(self, selector: selectors.BaseSelector) -> None:
        """Count who waits too long as lost; they ask from another port next, where no late answer can reach them."""
        now = time.monotonic()
        for caller in self._callers:
            if caller.is_waiting and now - caller.sent > self._time_out:
                with self._news:
                    self.record.lost += 1
                selector.unregister(caller.peer.socket)
                caller.peer.socket.close()
                caller.peer = Peer(self._to, SECRET, CODE_ONLY)
                caller.peer.socket.setblocking(False)
                selector.register(caller.peer.socket, selectors.EVENT_READ, caller)
                self._ended(caller)
