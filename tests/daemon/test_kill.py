"""SIGKILL under load: whatever was accepted stays used, and nobody is left behind with a fob that no longer fits.

The client keeps its own record of every Access-Accept that reached it; the daemon's word about itself counts for
nothing. A process that is killed loses what it had not handed to the kernel; power loss is another test's matter.
RFC 4226 7.2: the counter is synchronised "only if" the code was right, and never twice for one code.
"""

from __future__ import annotations

import random
import selectors
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from .site import CODE_ONLY, SECRET, Daemon, Person, Site
from .wire import PATIENCE, Peer, gather, read, request

USERS: Final = 8
SEED: Final = 4226


@dataclass(slots=True)
class Record:
    """What one user has lived through, as the NAS saw it."""

    person: Person
    accepted: list[int] = field(default_factory=list)
    """Counts whose code an Access-Accept came for, oldest first."""
    sent: int | None = None
    """The count whose code was sent last and not answered yet."""

    def note(self, kind: str) -> None:
        """Take down the answer to what was sent."""
        assert self.sent is not None
        if kind == "accept":
            assert self.sent not in self.accepted, "one code was accepted twice"
            self.accepted.append(self.sent)
        self.sent = None


@pytest.mark.parametrize(
    ("rounds", "seed"),
    [(20, SEED), *(pytest.param(200, SEED + number, marks=pytest.mark.soak) for number in range(1, 4))],
)
def test_a_killed_daemon_forgets_no_code(tmp_path: Path, rounds: int, seed: int) -> None:
    """Killed at a random moment under load, again and again: no code gets in twice, every next code gets in."""
    print(f"seed {seed}")  # noqa: T201 - to play a failure again
    chance = random.Random(seed)
    site = Site.make(tmp_path / "site", throttle="{max_failures: 1000}")
    records = [
        Record(site.person(f"user{number}", password=None, seed=chance.randbytes(20))) for number in range(USERS)
    ]
    unanswered = 0
    for _ in range(rounds):
        with site.serving() as daemon, ExitStack() as opened:
            crowd = {opened.enter_context(daemon.peer(CODE_ONLY)): record for record in records}
            _settle(site, crowd, chance)
            _load_until_killed(daemon, crowd, chance)
            unanswered += sum(record.sent is not None for record in records)
    with site.serving() as daemon, ExitStack() as opened:
        _settle(site, {opened.enter_context(daemon.peer(CODE_ONLY)): record for record in records}, chance)
    assert unanswered >= rounds, "the daemon was never killed at work: this test has shown nothing"
    print(f"{sum(len(record.accepted) for record in records)} logins, {unanswered} cut off")  # noqa: T201


def _load_until_killed(daemon: Daemon, crowd: dict[Peer, Record], chance: random.Random) -> None:
    """Each user logs in again as soon as the answer is there; after some answers the daemon dies, at once or nearly."""
    answers = chance.randrange(1, 200)
    moment = chance.choice([0.0, chance.uniform(0, 0.003)])
    asked = {peer: _send_next(peer, record) for peer, record in crowd.items()}
    for peer in _answering(crowd):
        crowd[peer].note(read(peer.receive(0), asked[peer], SECRET).kind)
        answers -= 1
        if answers == 0:
            break
        asked[peer] = _send_next(peer, crowd[peer])
    end = time.monotonic() + moment
    while time.monotonic() < end:
        pass
    daemon.kill()
    # what had left before the end has arrived: these answers count
    for peer, record in crowd.items():
        for raw in peer.waiting():
            record.note(read(raw, asked[peer], SECRET).kind)


def _send_next(peer: Peer, record: Record) -> bytes:
    record.sent = record.person.fob.counter
    octets = request(SECRET, record.person.name, record.person.press().encode())
    peer.send(octets)
    return octets


def _answering(crowd: dict[Peer, Record]) -> Iterator[Peer]:
    """Each peer in whose socket something has arrived."""
    with selectors.DefaultSelector() as selector:
        for peer in crowd:
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        while ready := selector.select(PATIENCE):
            yield from (key.data for key, _ in ready)
    raise AssertionError("the daemon no longer answers")


def _settle(site: Site, crowd: dict[Peer, Record], chance: random.Random) -> None:
    """After a new start: nothing used is of use, what was cut off happened once or not at all, and life goes on."""
    cut_off = {peer: record.sent for peer, record in crowd.items() if record.sent is not None}
    expected = []
    for peer, record in crowd.items():
        next_count = site.token(record.person.fob.serial)["moving_factor"]
        if peer in cut_off:
            assert next_count - cut_off[peer] in {0, 1}
            expected.append("accept" if next_count == cut_off[peer] else "reject")
        else:
            assert next_count == record.person.fob.counter
    # the NAS asks again, from a new port and with a new packet: what was committed unheard is spent, the rest is good
    assert _ask(crowd, cut_off) == expected
    used = {peer: record.accepted for peer, record in crowd.items() if record.accepted}
    assert "accept" not in _ask(crowd, {peer: counts[-1] for peer, counts in used.items()})
    assert "accept" not in _ask(crowd, {peer: chance.choice(counts) for peer, counts in used.items()})
    following = {peer: record.person.fob.counter for peer, record in crowd.items()}
    assert set(_ask(crowd, following)) == {"accept"}
    for record in crowd.values():
        record.person.press()


def _ask(crowd: dict[Peer, Record], counts: dict[Peer, int]) -> list[str]:
    """Send the code of a count for each of these users, take the answers down, and return their kinds."""
    asked = []
    for peer, count in counts.items():
        crowd[peer].sent = count
        code = crowd[peer].person.code_at(count)
        asked.append((peer, request(SECRET, crowd[peer].person.name, code.encode())))
    for peer, octets in asked:
        peer.send(octets)
    kinds = [reply.kind for reply in gather(asked)]
    for peer, kind in zip(counts, kinds, strict=True):
        crowd[peer].note(kind)
    return kinds
