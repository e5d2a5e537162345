"""The daemon as a service manager sees it: ready, alive, stopping; and what is in work when it is told to stop.

The manager is a socket of the test's own. No test looks at how long anything takes.
sd_notify(3); RFC 2865 4 for the replies that must still leave.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path
from typing import Final

import pytest

from .site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, USUAL_CLIENTS, Site
from .wire import PATIENCE, gather, request

SLOW: Final = "127.0.1.9"
CLIENTS: Final = USUAL_CLIENTS | {
    "slow": f'{{networks: [{SLOW}/32], secret: "{SECRET.decode()}", flow: challenge, reject_delay: 1s}}'
}


def test_the_manager_hears_of_start_life_and_end(site: Site, manager: socket.socket) -> None:
    """READY=1 comes when logins are answered, WATCHDOG=1 while the loop turns, STOPPING=1 before the end."""
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "40000"}
    daemon = site.start(environment)
    try:
        assert manager.recv(100) == b"READY=1"
        daemon.wait_until_listening()
        assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    manager.settimeout(0)
    heard = []
    while b"STOPPING=1" not in heard:
        heard.append(manager.recv(100))
    assert set(heard) <= {b"WATCHDOG=1", b"STOPPING=1"}


def test_a_socket_in_the_abstract_namespace_is_found(site: Site) -> None:
    """A NOTIFY_SOCKET that begins with @ is an abstract address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # the kernel chooses an abstract address
        listening.settimeout(PATIENCE)
        with site.serving({"NOTIFY_SOCKET": "@" + listening.getsockname()[1:].decode()}):
            assert listening.recv(100) == b"READY=1"


def test_a_stopped_loop_sends_no_watchdog(site: Site, manager: socket.socket) -> None:
    """A process that no longer turns is silent, so that the manager notices."""
    with site.serving({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "40000"}) as daemon:
        daemon.pause()
        _empty(manager)
        manager.settimeout(0.2)
        with pytest.raises(TimeoutError):
            manager.recv(100)
        manager.settimeout(PATIENCE)
        daemon.resume()
        assert manager.recv(100) == b"WATCHDOG=1"


def _empty(manager: socket.socket) -> None:
    """Hear out what was said so far."""
    manager.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while manager.recv(100):
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_is_in_work_is_finished(tmp_path: Path, number: signal.Signals) -> None:
    """Passwords being hashed and refusals that wait for their moment are still answered; then it ends with 0."""
    site = Site.make(tmp_path / "site", CLIENTS, primary="{kind: local, memory_kib: 19456, passes: 2, workers: 1}")
    site.person("alice")
    with site.serving() as daemon:
        crowd = [daemon.peer(CHALLENGE) for _ in range(12)] + [daemon.peer(SLOW) for _ in range(4)]
        asked = [
            (peer, request(SECRET, "alice", PASSWORD.encode() if peer in crowd[:12] else b"wrong")) for peer in crowd
        ]
        for peer, octets in asked:
            peer.send(octets)
        daemon.wait_until_read()
        daemon.process.send_signal(number)
        kinds = [reply.kind for reply in gather(asked)]
        for peer in crowd:
            peer.socket.close()
        assert kinds == ["challenge"] * 12 + ["reject"] * 4
        assert daemon.process.wait(PATIENCE) == 0
        assert daemon.lines("server.stopped")
        assert not daemon.lines("server.gave_up")


def test_after_a_stop_the_port_is_free_and_the_next_daemon_goes_on(site: Site) -> None:
    """A challenge that one daemon opened is answered at the next one, on the same port."""
    alice = site.person("alice")
    with site.serving() as first, first.peer(CHALLENGE) as peer:
        state = peer.ask("alice", PASSWORD).state
        address = first.address
    site.configure(listen=[f"{address[0]}:{address[1]}"])
    with site.serving() as second, second.peer(CHALLENGE) as peer:
        assert second.address == address
        assert peer.ask("alice", alice.press(), state).kind == "accept"


def test_a_killed_daemon_leaves_its_challenges(site: Site) -> None:
    """A challenge survives the end of the process that opened it, and is answered once."""
    alice = site.person("alice")
    with site.serving() as first, first.peer(CHALLENGE) as peer:
        state = peer.ask("alice", PASSWORD).state
        first.kill()
    with site.serving() as second, second.peer(CHALLENGE) as peer, second.peer(CODE_ONLY) as other:
        code = alice.press()
        assert peer.ask("alice", code, state).kind == "accept"
        assert peer.ask("alice", alice.press(), state).kind == "reject"
        assert other.ask("alice", code).kind == "reject"
