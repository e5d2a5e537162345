"""People who log in at a given rate, whether or not those before them are done: an open loop, in Python.

Latencies count from the moment at which a login was due, so a generator that falls behind makes them worse, not better.
A refusal or a bad reply ends the run; an answer that never comes is counted. RFC 2865, RFC 4226.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from packets import ACCEPT, answers, request
from servers import code_of, name_of

PATIENCE: Final = 6.0
"""Seconds after which no answer comes any more."""
_PORTS: Final = 16
"""Sockets of each stream; each has 256 identifiers."""


@dataclass(slots=True)
class Fobs:
    """The counters of all fobs, which outlive a run."""

    first: int
    last: int
    """Numbers of the people, the last not among them."""
    counters: dict[int, int] = field(default_factory=dict)

    def turns(self) -> Iterator[int]:
        """Let one after the other have their turn."""
        return itertools.cycle(range(self.first, self.last))

    def press(self, index: int) -> str:
        """The next code of one person's fob."""
        counter = self.counters.get(index, 0)
        self.counters[index] = counter + 1
        return code_of(index, counter)


def _nothing(_: int) -> str:
    return ""


@dataclass(slots=True)
class Stream:
    """Logins of one kind: where they come from, how many there are a second, and what they type before the code."""

    name: str
    source: str
    rate: float
    fobs: Fobs
    password: Callable[[int], str] = _nothing
    """What each person types before the code."""
    latencies: list[float] = field(default_factory=list)
    """In milliseconds."""
    silences: int = 0

    def p(self, part: float) -> float:
        """A percentile of the latencies, in milliseconds."""
        return percentile(self.latencies, part)


def percentile(numbers: Sequence[float], part: float) -> float:
    """Return the number below which that part of all numbers lies."""
    ordered = sorted(numbers)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


@dataclass(slots=True)
class _Asked:
    stream: Stream
    due: float
    octets: bytes
    counted: bool


def run(port: int, streams: Sequence[Stream], seconds: float, warm_up: float = 1.0) -> None:
    """Let all streams flow for so long; their latencies are those of logins due after the warm-up."""
    with selectors.DefaultSelector() as selector:
        sockets = {id(stream): _sockets(port, stream, selector) for stream in streams}
        waiting: dict[tuple[int, int], _Asked] = {}
        begin = time.perf_counter()
        end = begin + warm_up + seconds
        due: list[tuple[float, int]] = [(begin, number) for number in range(len(streams))]
        turns = [stream.fobs.turns() for stream in streams]
        ports = [itertools.cycle(sockets[id(stream)]) for stream in streams]
        identifiers = itertools.count()
        while due or waiting:
            now = time.perf_counter()
            if not due and now > end + PATIENCE:
                break
            while due and due[0][0] <= now:
                at, number = heapq.heappop(due)
                stream, index = streams[number], next(turns[number])
                text = stream.password(index) + stream.fobs.press(index)
                identifier, sender = next(identifiers) // _PORTS % 256, next(ports[number])
                octets = request(identifier, name_of(index), text.encode())
                lost = waiting.pop((sender.fileno(), identifier), None)
                if lost is not None:
                    lost.stream.silences += lost.counted
                waiting[sender.fileno(), identifier] = _Asked(stream, at, octets, at >= begin + warm_up)
                sender.send(octets)
                if at + 1 / stream.rate < end:
                    heapq.heappush(due, (at + 1 / stream.rate, number))
            pause = due[0][0] - time.perf_counter() if due else PATIENCE
            for key, _ in selector.select(max(0.0, pause)):
                _take(key.fd, key.fileobj, waiting)  # type: ignore[arg-type]  # a socket, as registered
        for asked in waiting.values():
            asked.stream.silences += asked.counted
        for one in itertools.chain.from_iterable(sockets.values()):
            one.close()


def _take(descriptor: int, sender: socket.socket, waiting: dict[tuple[int, int], _Asked]) -> None:
    while True:
        try:
            reply = sender.recv(4096)
        except BlockingIOError:
            return
        asked = waiting.pop((descriptor, reply[1]), None)
        if asked is None:
            continue
        if reply[0] != ACCEPT or not answers(reply, asked.octets):
            raise SystemExit(f"bench: {asked.stream.name}: a reply of code {reply[0]}")
        if asked.counted:
            asked.stream.latencies.append((time.perf_counter() - asked.due) * 1e3)


def _sockets(port: int, stream: Stream, selector: selectors.BaseSelector) -> list[socket.socket]:
    opened = []
    for _ in range(_PORTS):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((stream.source, 0))
        one.connect(("127.0.0.1", port))
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ)
        opened.append(one)
    return opened
