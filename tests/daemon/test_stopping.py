"""Told to end: what is in work is finished and nothing new is begun; told again, it ends wherever it is.

test_service.py shows the same for passwords that are being hashed and refusals that wait for their moment.
No RFC speaks of this; that nothing is accepted before it is on the disk is RFC 4226 7.2's.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from .site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon, Site
from .upstream import ACCEPT, Upstream
from .wire import PATIENCE, read, request


def test_a_login_that_waits_for_its_password_is_finished(
    tmp_path: Path, manager: socket.socket, upstream: Upstream
) -> None:
    """The upstream's answer that comes after SIGTERM leads to a reply; a packet that comes after it leads to none."""
    site = Site.make(tmp_path / "site", primary=upstream.as_primary())
    alice = site.person("alice", password=None)
    with site.serving({"NOTIFY_SOCKET": manager.getsockname()}) as daemon, daemon.peer(CHALLENGE) as peer:
        asked = request(SECRET, "alice", PASSWORD.encode())
        peer.send(asked)
        upstream.wait_until_asked()
        with daemon.peer(CODE_ONLY) as late:
            daemon.process.terminate()
            _wait_for(manager, b"STOPPING=1")
            late.send(request(SECRET, "alice", alice.press().encode()))
            upstream.answer(ACCEPT)
            assert read(peer.receive(PATIENCE), asked, SECRET).kind == "challenge"
            assert daemon.process.wait(PATIENCE) == 0
            assert late.waiting() == []
        assert not daemon.lines("server.gave_up")
    assert [row["outcome"] for row in site.audit()][-1] == "challenged"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_the_second_signal_ends_it_at_once(
    tmp_path: Path, manager: socket.socket, upstream: Upstream, number: signal.Signals
) -> None:
    """Nobody waits for a backend any more, and whoever was in work hears nothing: neither now nor later."""
    site = Site.make(tmp_path / "site", primary=upstream.as_primary())
    with site.serving({"NOTIFY_SOCKET": manager.getsockname()}) as daemon, daemon.peer(CHALLENGE) as peer:
        peer.send(request(SECRET, "alice", PASSWORD.encode()))
        upstream.wait_until_asked()
        daemon.process.terminate()
        _wait_for(manager, b"STOPPING=1")
        daemon.process.send_signal(number)
        assert daemon.process.wait(PATIENCE) == -number
        assert peer.waiting() == []
        assert not daemon.lines("server.stopped")


def _wait_until_delivered(daemon: Daemon, number: signal.Signals) -> None:
    """Return when a signal is pending no more: until then the kernel makes one of two (signal(7))."""
    status = Path(f"/proc/{daemon.process.pid}/status")
    deadline = time.monotonic() + PATIENCE
    while any(
        int(line.split()[1], 16) & 1 << number - 1
        for line in status.read_text().splitlines()
        if line.startswith(("SigPnd", "ShdPnd"))
    ):
        assert time.monotonic() < deadline, "the signal is not taken"
        time.sleep(0.001)


def test_an_accept_that_is_not_on_the_disk_never_leaves(site: Site) -> None:
    """Told to end twice while the disk does not take a login: no reply, and the code is as good as it was."""
    alice = site.person("alice")
    with site.serving() as daemon, daemon.peer(CODE_ONLY) as peer:
        with contextlib.closing(sqlite3.connect(site.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            peer.send(request(SECRET, "alice", alice.press().encode()))
            daemon.wait_until_read()
            daemon.process.terminate()
            _wait_until_delivered(daemon, signal.SIGTERM)
            daemon.process.terminate()
            assert daemon.process.wait(PATIENCE) != 0
            other.execute("ROLLBACK")
        assert peer.waiting() == []
    assert site.token(alice.fob.serial)["moving_factor"] == 0
    with site.serving() as again, again.peer(CODE_ONLY) as peer:
        assert peer.ask("alice", alice.code_at(0)).kind == "accept"


@pytest.mark.soak
def test_who_never_answers_is_waited_for_no_longer_than_a_nas_would(tmp_path: Path, upstream: Upstream) -> None:
    """A backend that says nothing holds up the end for seconds, and the login with it ends in silence."""
    site = Site.make(tmp_path / "site", primary=upstream.as_primary())
    with site.serving() as daemon, daemon.peer(CHALLENGE) as peer:
        peer.send(request(SECRET, "alice", PASSWORD.encode()))
        upstream.wait_until_asked()
        daemon.process.terminate()
        assert daemon.process.wait(PATIENCE) == 0
        assert peer.waiting() == []


def _wait_for(manager: socket.socket, state: bytes) -> None:
    while manager.recv(1000) != state:
        pass
