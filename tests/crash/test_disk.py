"""A disk that is full, broken, read-only or slow: nobody gets in meanwhile, and then the daemon goes on by itself.

The system calls of the real daemon fail on order (surroundings.c); nothing is restarted. A failure while a code is
being written down may leave it used or unused, never both. write(2), fsync(2), open(2); no RFC speaks here.
"""

from __future__ import annotations

import errno
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from tests.daemon.site import CODE_ONLY, SECRET, Daemon
from tests.daemon.wire import Peer, read, request

from .crowd import RESEND, Crowd
from .disk import read_record
from .surroundings import Act, Surroundings

NAS_TIMEOUT: Final = 3.0
"""Seconds for which an impatient NAS waits before it takes its next server."""

_BROKEN: Final = [
    (Act.WRITE, errno.ENOSPC),
    (Act.WRITE, errno.EIO),
    (Act.WRITE, errno.EROFS),
    (Act.SYNC, errno.EIO),
    (Act.SYNC, errno.ENOSPC),
]


@pytest.mark.parametrize(("act", "error"), _BROKEN, ids=[f"{act.name} {errno.errorcode[e]}" for act, e in _BROKEN])
def test_while_the_disk_fails_there_is_silence(crowd: Crowd, surroundings: Surroundings, act: Act, error: int) -> None:
    """Nobody is answered, not the alive and not the thief; then all goes on, and nothing used is of use."""
    with crowd.site.serving(surroundings.environment) as daemon, crowd.facing(daemon), daemon.peer() as status:
        crowd.log_in(10)
        before = crowd.answers, crowd.thefts
        with surroundings.failing(act, error):
            crowd.work(lambda: surroundings.failed(act) > 4)
            assert not status.is_served()
            assert (crowd.answers, crowd.thefts) == before
        crowd.log_in(10)
        crowd.judge()
        said = [line["error"] for line in daemon.lines("store.alarm")]
    assert len(said) == 2, "an alarm when it begins, one when it is over, and no flood of them"
    assert said[1].endswith("works again")


@pytest.mark.parametrize("rounds", [10, pytest.param(300, marks=pytest.mark.soak)])
def test_any_call_may_fail(crowd: Crowd, surroundings: Surroundings, rounds: int) -> None:
    """One write, sync or open fails, whichever it is, or a few in a row: each code counts once or not at all."""
    chance = crowd.chance
    with crowd.site.serving(surroundings.environment) as daemon, crowd.facing(daemon):
        for _ in range(rounds):
            act, error = chance.choice([*_BROKEN, (Act.OPEN, errno.EMFILE)])
            with surroundings.failing(act, error, after=chance.randrange(40), count=chance.randrange(1, 4)):
                crowd.log_in(12)
        crowd.judge(everything=True)
    assert sum(map(surroundings.failed, Act)) >= rounds // 2


def test_after_a_sync_that_failed_the_database_is_opened_anew(crowd: Crowd, surroundings: Surroundings) -> None:
    """Nothing more is written by way of what had failed: a second sync that succeeds would prove nothing."""
    with crowd.site.serving(surroundings.environment) as daemon, crowd.facing(daemon):
        for _ in range(3):
            crowd.log_in(5)
            with surroundings.failing(Act.SYNC, errno.EIO, count=1):
                crowd.log_in(5)
    journal, is_suspect, failures = set(), False, 0
    for record in read_record(surroundings.record):
        if record.kind == "O":
            is_suspect &= not record.content.endswith(b".db")
            journal |= {record.file} if record.content.endswith(b"-wal") else set()
        elif record.kind == "F":
            is_suspect, failures = True, failures + 1
        elif record.kind in "WS" and record.file in journal and is_suspect:
            assert record.kind == "S", "written on after a sync that had failed"
    assert failures == 3


@contextmanager
def _no_more_descriptors(daemon: Daemon) -> Iterator[None]:
    """Let the daemon open nothing more; what is open stays open. Standard input, output and error are always."""
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    yield
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)


def test_without_descriptors_logins_go_on(crowd: Crowd, surroundings: Surroundings) -> None:
    """Logins need none; when the database must be opened anew and cannot be, there is silence until it can."""
    with crowd.site.serving(surroundings.environment) as daemon, crowd.facing(daemon):
        with _no_more_descriptors(daemon):
            crowd.log_in(20)
            before = crowd.answers
            with surroundings.failing(Act.SYNC, errno.EIO, count=1):
                later = time.monotonic() + 2 * RESEND
                crowd.work(lambda: time.monotonic() > later and surroundings.failed(Act.SYNC) == 1)
            assert crowd.answers < before + 2 * len(crowd.members), "the database was opened again without a descriptor"
        crowd.log_in(20)
        crowd.judge()


def test_a_slow_disk_slows_logins_and_loses_none(crowd: Crowd, surroundings: Surroundings) -> None:
    """With 200 ms for each sync, fifty packets a second are all answered in time: many share one sync."""
    crowd_of_peers = 100
    with (
        crowd.site.serving(surroundings.environment) as daemon,
        crowd.facing(daemon),
        ExitStack() as opened,
    ):
        crowd.log_in(10)
        victim = crowd.members[0]
        used = victim.person.code_at(victim.used[-1]).encode()
        peers = [opened.enter_context(daemon.peer(CODE_ONLY)) for _ in range(crowd_of_peers)]
        asked: dict[Peer, tuple[bytes, float]] = {}
        took: dict[Peer, float] = {}
        surroundings.slow_down(0.2)
        syncs = sum(record.kind == "S" for record in read_record(surroundings.record))
        begun = time.monotonic()

        def fifty_a_second() -> bool:
            now = time.monotonic()
            while len(asked) < min(crowd_of_peers, (now - begun) * 50):
                peer = peers[len(asked)]
                asked[peer] = request(SECRET, victim.person.name, used), now
                peer.send(asked[peer][0])
            for peer in asked.keys() - took.keys():
                for raw in peer.waiting():
                    assert read(raw, asked[peer][0], SECRET).kind == "reject"
                    took[peer] = now - asked[peer][1]
            return len(took) == crowd_of_peers

        answers = crowd.answers
        crowd.work(fifty_a_second)
        crowd.finish()
        answers = crowd.answers - answers + crowd_of_peers
        syncs = sum(record.kind == "S" for record in read_record(surroundings.record)) - syncs
        surroundings.slow_down(0)
        assert max(took.values()) < NAS_TIMEOUT
        assert answers > 3 * syncs, "each login waited for a sync of its own"
        crowd.judge()
