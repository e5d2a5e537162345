"""Several daemons behind each address: what one has begun another ends, and what one has taken no other takes.

Which worker gets a packet is the kernel's choice, by the sender's address and port; so many ports meet both.
socket(7) SO_REUSEPORT; RFC 4226 7.2 for what is accepted once.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.postgresql import Cluster

from .site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon, Site
from .traffic import TIME_OUT, Traffic
from .wire import PATIENCE, Peer, gather, request

CROWD: Final = 24
NO_LOCK: Final = "{max_failures: 1000, caller_max_failures: 1000000}"
NOBODY: Final = "{kind: none}"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Two workers of one site, on either kind of store."""
    store = "sqlite:///radiusd2fa.db"
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        store = cluster.url(cluster.database())
    site = Site.make(tmp_path_factory.mktemp("workers") / "site", workers="2", throttle=NO_LOCK, store=store)
    with site.serving({}) as daemon:
        daemon.wait_for("server.started", 2)
        yield daemon


@pytest.fixture
def bare(tmp_path: Path) -> Site:
    """A site of two workers that asks nobody for a password."""
    return Site.make(tmp_path / "site", workers="2", primary=NOBODY)


def workers(daemon: Daemon) -> list[int]:
    """The process ids of the workers that run."""
    return [
        int(pid) for pid in Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    ]


def crowd(daemon: Daemon, source: str, opened: ExitStack) -> list[Peer]:
    """So many ports that both workers have some of them."""
    return [opened.enter_context(daemon.peer(source)) for _ in range(CROWD)]


def test_each_has_a_chain_of_its_own(pair: Daemon) -> None:
    """The kernel gives packets to both, and each writes the audit under a name of its own."""
    alice = pair.site.person("alice", password=None)
    with ExitStack() as opened:
        for peer in crowd(pair, CODE_ONLY, opened):
            assert peer.ask("alice", alice.press()).kind == "accept"
    nodes = sorted(line["node"] for line in pair.lines("server.started"))
    assert nodes[1] == f"{nodes[0]}/2"
    if (pair.site.folder / "radiusd2fa.db").exists():
        accepted = Counter(row["chain"] for row in pair.site.audit() if row["outcome"] == "accepted")
        assert set(accepted) == set(nodes)


def test_a_login_begins_at_one_and_ends_at_the_other(pair: Daemon) -> None:
    """A challenge is answered from another port, wherever that leads: the store is where it lives."""
    bob = pair.site.person("bob")
    with ExitStack() as opened:
        peers = crowd(pair, CHALLENGE, opened)
        for first, second in zip(peers, [*peers[1:], peers[0]], strict=True):
            state = first.ask("bob", PASSWORD).state
            assert second.ask("bob", bob.press(), state).kind == "accept"


def test_one_code_at_both_lets_in_once(pair: Daemon) -> None:
    """Of many packets with one code, read by both at the same moment, one is accepted."""
    carol = pair.site.person("carol", password=None)
    with ExitStack() as opened:
        peers = crowd(pair, CODE_ONLY, opened)
        for _ in range(10):
            code = carol.press()
            asked = [(peer, request(SECRET, "carol", code.encode())) for peer in peers]
            for pid in workers(pair):
                os.kill(pid, signal.SIGSTOP)
            for peer, octets in asked:
                peer.send(octets)
            for pid in workers(pair):
                os.kill(pid, signal.SIGCONT)
            kinds = Counter(reply.kind for reply in gather(asked))
            assert kinds == {"accept": 1, "reject": CROWD - 1}


def test_a_killed_worker_comes_back_and_the_others_go_on(bare: Site) -> None:
    """Everybody gets in but who was in work; a worker that dies again gives its senders away until it lives."""
    people = [bare.person(f"user{number}", password=None) for number in range(8)]
    crew = [bare.person(f"other{number}", password=None) for number in range(12)]
    with bare.serving({}) as daemon, ExitStack() as opened:
        daemon.wait_for("server.started", 2)
        kept, killed = workers(daemon)
        peers = [opened.enter_context(daemon.peer(CODE_ONLY)) for _ in crew]
        with Traffic(people, daemon.address, 0.01, time_out=2 * TIME_OUT) as traffic:
            traffic.wait_for_more(10)
            killed = _kill_and_wait(daemon, killed, 3)
            traffic.wait_for_more(10)
            assert kept in workers(daemon)
            os.kill(killed, signal.SIGKILL)
            _wait_for_text(bare, "the others answer, and it begins again in")
            asked = [
                (peer, request(SECRET, one.name, one.press().encode())) for peer, one in zip(peers, crew, strict=True)
            ]
            for peer, octets in asked:
                peer.send(octets)
            assert {reply.kind for reply in gather(asked)} == {"accept"}
            assert workers(daemon) == [kept], "it came back before anybody could see who answers"
            daemon.wait_for("server.started", 4)
            traffic.wait_for_more(10)
        # nobody but who was with the dead one, in hand or waiting, and that once each time
        assert traffic.record.lost <= len(people)
        assert set(traffic.record.replies) == {"accept"}
        _kill(daemon)


def _kill_and_wait(daemon: Daemon, worker: int, count: int) -> int:
    """Kill a worker; the process id of the one in its place, which says how the last one has ended."""
    before = set(workers(daemon))
    os.kill(worker, signal.SIGKILL)
    assert "was ended by SIGKILL" in daemon.wait_for("worker.restarted")["message"]
    daemon.wait_for("server.started", count)
    (new,) = set(workers(daemon)) - before
    return new


def _wait_for_text(site: Site, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while text not in site.log.read_text():
        assert time.monotonic() < deadline, f"nobody says: {text}"
        time.sleep(0.002)


def _kill(daemon: Daemon) -> None:
    """Kill the parent: it leaves no process behind that holds the address."""
    both = workers(daemon)
    daemon.process.kill()
    daemon.process.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while not all(map(_is_dead, both)):
        assert time.monotonic() < deadline, "the workers outlive their parent"
        time.sleep(0.01)


def _is_dead(pid: int) -> bool:
    """Whether it has ended, or waits for a parent that nobody is any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_the_manager_hears_of_all_of_them(bare: Site, manager: socket.socket) -> None:
    """READY=1 comes when both answer, a reload ends when both have done it; one that hangs is begun again."""
    with bare.serving({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "2000000"}) as daemon:
        assert manager.recv(1000) == b"READY=1"
        daemon.wait_for("server.started", 2)
        daemon.process.send_signal(signal.SIGHUP)
        heard = [_next(manager), _next(manager)]
        assert heard[0].startswith(b"RELOADING=1\n")
        assert heard[1].startswith(b"READY=1\nSTATUS=configuration read at ")
        daemon.wait_for("server.reloaded", 2)
        os.kill(workers(daemon)[0], signal.SIGSTOP)
        daemon.wait_for("server.started", 3)
        assert "was ended by SIGKILL" in daemon.lines("worker.restarted")[0]["message"]
        assert daemon.stop() == 0
        assert _next(manager) == b"STOPPING=1"
        assert len(daemon.lines("server.stopped")) == 2


def _next(manager: socket.socket) -> bytes:
    """What is said next about anything but life."""
    while (said := manager.recv(1000)) == b"WATCHDOG=1":
        pass
    return said


def test_what_cannot_run_is_refused_as_one(bare: Site) -> None:
    """A worker that refuses its configuration at the start ends them all, with its exit code and its words."""
    bare.database.unlink()
    daemon = bare.start({})
    try:
        assert daemon.process.wait(PATIENCE) == 2
        assert "cannot open the database" in bare.log.read_text()
    finally:
        daemon.kill()


@pytest.mark.parametrize(
    "counts", [("1",), pytest.param(("3", "1", "2"), marks=pytest.mark.soak)], ids=["one", "three, one, two"]
)
def test_a_second_daemon_is_refused_beside_workers_unless_it_takes_over(bare: Site, counts: tuple[str, ...]) -> None:
    """They share their address with each other alone; of as many sockets as there were each keeps its reader."""
    alice = bare.person("alice", password=None)
    with bare.serving({}) as first, ExitStack() as opened:
        peers = crowd(first, CODE_ONLY, opened)
        listen = [f"127.0.0.1:{first.address[1]}"]
        bare.configure(listen=listen, workers="2", primary=NOBODY)
        refused = bare.run("serve")
        assert refused.returncode == 2
        assert "is another daemon running?" in refused.stderr
        for count in counts:
            bare.configure(listen=listen, workers=count, primary=NOBODY)
            second = bare.start({}, "--take-over")
            opened.callback(second.kill)
            assert first.process.wait(PATIENCE) == 0
            second.wait_for("server.started", int(count))
            for peer in peers:
                assert peer.ask("alice", alice.press()).kind == "accept"
            first = second
        assert first.stop() == 0


def test_the_parent_holds_no_secret(pair: Daemon) -> None:
    """Its memory has neither a client's secret nor the vault key: it has read no file of the site."""
    key = (pair.site.folder / "vault.key").read_bytes().split(b":")[1].strip()
    memory = _memory_of(pair.process.pid)
    assert str(pair.site.config).encode() in memory
    assert SECRET not in memory
    assert key not in memory
    assert SECRET in _memory_of(workers(pair)[0])


def _memory_of(pid: int) -> bytes:
    """All that a process can write."""
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if mode.startswith("rw") and "[v" not in line:
                begin, end = (int(part, 16) for part in span.split("-"))
                memory.seek(begin)
                found += memory.read(end - begin)
    return bytes(found)
