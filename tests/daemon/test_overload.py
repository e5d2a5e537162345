"""More than can be done: what is let go, who is served all the same, that memory stays flat, and what comes afterwards.

A real daemon, and a flood from the bench's generator; where order matters the daemon is stopped (SIGSTOP) while packets
gather at its socket. RFC 2865 3, RFC 5080 2.2.1 (how clients ask again).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from .site import CODE_ONLY, SECRET, Daemon, Person, Site
from .wire import Peer, read, request

BENCH: Final = Path(__file__).parents[2] / "bench"
QUIET: Final = CODE_ONLY  # whom the fixtures ask as
FLOOD, LIMITED, HASTY = "127.0.2.1", "127.0.2.3", "127.0.2.4"
CLIENTS: Final = {
    name: f'{{networks: [{address}/32], secret: "{SECRET.decode()}", reject_delay: 0s, flow: code-only, {more}}}'
    for name, address, more in (
        ("flood", FLOOD, "max_pps: 0, timeout: 60s"),
        ("quiet", QUIET, "timeout: 60s"),
        ("limited", LIMITED, "max_pps: 50, timeout: 60s"),
        ("hasty", HASTY, "timeout: 100ms"),
    )
}
RATE: Final = 15_000
"""New logins a second, each asked for three times: well over anything that one process of Python does."""
MORE_MEMORY: Final = 48 << 20


@pytest.fixture
def crowded(tmp_path: Path) -> Site:
    """A site whose clients differ in how much of them is let in."""
    return Site.make(tmp_path / "site", CLIENTS)


def asked(person: Person) -> bytes:
    """The packet of one good login."""
    return request(SECRET, person.name, person.press().encode())


def gathered(daemon: Daemon, packets: list[tuple[Peer, bytes]], wait: float = 0.0) -> None:
    """Let packets lie at the daemon's socket together, for some time."""
    daemon.pause()
    for peer, octets in packets:
        peer.send(octets)
    until = time.monotonic() + wait
    while time.monotonic() < until:
        time.sleep(until - time.monotonic())
    daemon.resume()


# --- what is not judged ----------------------------------------------------------------------------------------------


def test_what_its_device_has_given_up_is_not_judged(crowded: Site) -> None:
    """A code that lay at the socket for longer than the device waits is not spent; sent again it is accepted."""
    alice = crowded.person("alice", password=None)
    with crowded.serving() as daemon, daemon.peer(HASTY) as hasty, daemon.peer(QUIET) as quiet:
        late = asked(alice)
        gathered(daemon, [(hasty, late)], wait=0.15)
        quiet.exchange(request(SECRET, "nobody", b"000000"))
        daemon.wait_for("packet.dropped", reason="too_late", nas="hasty")
        assert hasty.waiting() == []
        assert hasty.exchange(late).kind == "accept"
    assert daemon.counters()["too_late"] == 1


def test_a_client_over_its_rate_is_not_judged(crowded: Site) -> None:
    """Of two hundred packets at once from a client with fifty a second fifty are answered, and it is told once."""
    with crowded.serving() as daemon, daemon.peer(LIMITED) as limited, daemon.peer(QUIET) as quiet:
        packets = [request(SECRET, f"user{number}", b"000000") for number in range(200)]
        gathered(daemon, [(limited, octets) for octets in packets])
        quiet.exchange(request(SECRET, "nobody", b"000000"))
        assert len(limited.waiting()) == 50
        daemon.wait_for("packet.dropped", reason="too_many", nas="limited")
    assert daemon.counters()["too_many"] == 150
    assert len([line for line in daemon.lines("packet.dropped") if line["reason"] == "too_many"]) == 1


def test_strangers_are_counted_and_nothing_else(crowded: Site) -> None:
    """A thousand packets of strangers get no answer, one line each source, and the client after them its own."""
    alice = crowded.person("alice", password=None)
    with crowded.serving() as daemon, daemon.peer("127.0.9.9") as stranger, daemon.peer(QUIET) as quiet:
        gathered(daemon, [(stranger, b"x" * 200) for _ in range(200)])
        assert quiet.exchange(asked(alice)).kind == "accept"
        assert stranger.waiting() == []
        daemon.wait_for("packet.dropped", reason="unknown_client", source="127.0.9.9")
    assert daemon.counters()["unknown_client"] == 200
    assert len(daemon.lines("packet.dropped")) == 1


# --- whose turn it is ------------------------------------------------------------------------------------------------


def test_one_client_does_not_wait_for_anothers_flood(crowded: Site) -> None:
    """Behind two hundred packets of another client one packet is judged with the first that are judged."""
    alice = crowded.person("alice", password=None)
    with crowded.serving() as daemon, daemon.peer(FLOOD) as flood, daemon.peer(QUIET) as quiet:
        packets = [(flood, request(SECRET, f"user{number}", b"000000")) for number in range(200)]
        good = asked(alice)
        gathered(daemon, [*packets, (quiet, good)])
        assert read(quiet.receive(20), good, SECRET).kind == "accept"
        daemon.wait_until_read()
    order = [row["nas"] for row in crowded.audit() if row["name"].startswith("access.")]
    assert len(order) == 201
    assert order.index("quiet") < 64


# --- for as long as it lasts -----------------------------------------------------------------------------------------


@contextmanager
def flooding(program: Path, daemon: Daemon, seconds: int) -> Iterator[subprocess.Popen[str]]:
    """Strange names with wrong codes, from a client of the site."""
    arguments = ["--users", "500000", "--first", "5000000", "--seconds", str(seconds), "--timeout", "1", "--wrong"]
    command: list[str | Path] = [
        program,
        str(daemon.address[1]),
        SECRET.decode(),
        str(RATE),
        "--from",
        FLOOD,
        *arguments,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def flood(tmp_path: Path) -> Path:
    """The generator."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (package gcc)")
    program = tmp_path / "flood"
    subprocess.run([compiler, "-O2", "-o", program, BENCH / "flood.c"], check=True)
    return program


def insist(peer: Peer, octets: bytes) -> str:
    """Ask as a device does: the same octets again after a second.

    Ten times in all, because on a busy machine the kernel drops some of everybody's while the daemon has no core.
    """
    for _ in range(10):
        peer.send(octets)
        deadline = time.monotonic() + 1.0
        while (left := deadline - time.monotonic()) > 0:
            try:
                reply = peer.receive(left)
            except TimeoutError:
                break
            if reply[1] == octets[1]:  # else it is the second answer to what was asked twice
                return read(reply, octets, SECRET).kind
    return "silence"


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.soak)])
def test_a_flood_costs_others_nothing_and_leaves_nothing_behind(crowded: Site, flood: Path, seconds: int) -> None:
    """While one client sends ten times what can be done, another's logins are all accepted, and memory stays flat.

    As soon as it ends, a login of the flooding client itself is accepted.
    """
    alice = crowded.person("alice", password=None)
    memory: list[int] = []
    answers: list[str] = []
    with crowded.serving() as daemon, daemon.peer(QUIET) as quiet, daemon.peer(FLOOD) as same:
        with flooding(flood, daemon, seconds) as process:
            while process.poll() is None:
                answers.append(insist(quiet, asked(alice)))
                memory.append(daemon.memory())
            assert process.stdout is not None
            told: dict[str, Any] = json.loads(process.stdout.read())
        assert insist(same, asked(alice)) == "accept"
    assert told["packets"] > 3 * told["rejects"]
    assert daemon.counters()["no_room"] > 0
    assert len(answers) > 10
    assert set(answers) == {"accept"}
    half = len(memory) // 2
    assert max(memory[half:]) < max(memory[:half]) + MORE_MEMORY
