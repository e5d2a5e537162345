"""Sockets that outlive a daemon: systemd's, and those that one daemon hands to the next; no packet finds nobody.

There is no systemd here: the test binds the sockets and starts the daemon with them, as sd_listen_fds(3) says.
What a NAS sees is all that counts: RFC 2865 2.4, it asks, waits, and tries the next server.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa import handover

from .site import CODE_ONLY, SECRET, USUAL_CLIENTS, Daemon, Person, Site
from .traffic import TIME_OUT, Traffic
from .wire import PATIENCE, Address, Peer, gather, request

PATIENT: Final = {
    name: client.replace("reject_delay", "timeout: 60s, reject_delay") for name, client in USUAL_CLIENTS.items()
}
"""Clients that wait for a daemon to start on a busy machine."""


@contextmanager
def bound(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket as systemd binds it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((host, 0))
        yield listening


def address_of(one: socket.socket) -> str:
    """The address as the settings write it."""
    host, port = one.getsockname()
    return f"{host}:{port}"


BECOME: Final = """
import os, sys
for at, number in enumerate(sys.argv[1].split(",")):
    os.dup2(int(number), 3 + at)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Moves the sockets from where nothing else is, says whose they are, and becomes the daemon."""


class Service:
    """A daemon with sockets of somebody else's, as often as it is started."""

    def __init__(self, site: Site, *sockets: socket.socket) -> None:
        self.site = site
        self.sockets = sockets

    @contextmanager
    def running(self) -> Iterator[Daemon]:
        """The daemon, ready; ended with the block."""
        daemon = self.start()
        try:
            daemon.wait_for("server.started")
            yield daemon
            assert daemon.stop() == 0, self.site.log.read_text()
        finally:
            daemon.kill()

    def start(self) -> Daemon:
        """Start it as systemd would: sockets from 3 on, and the process id that they are for."""
        began = self.site.log.stat().st_size if self.site.log.exists() else 0
        far = [os.dup2(one.fileno(), 100 + at) for at, one in enumerate(self.sockets)]
        command = [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(self.site.config), "serve"]
        names = ":".join(["radiusd2fa.socket"] * len(far))
        with self.site.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", BECOME, ",".join(map(str, far)), *command],
                stderr=log,
                cwd=self.site.folder,
                env=os.environ | {"LISTEN_FDS": str(len(far)), "LISTEN_FDNAMES": names},
                pass_fds=far,
            )
        for number in far:
            os.close(number)
        return Daemon(self.site, process, began)


# --- systemd's sockets -----------------------------------------------------------------------------------------------


def test_packets_wait_while_the_daemon_restarts(site: Site) -> None:
    """What comes while nobody runs is answered by the next daemon; what is taken was bound before it."""
    people = [site.person(f"user{number}", password=None) for number in range(5)]
    with bound() as listening:
        site.configure(PATIENT, [address_of(listening)])
        service = Service(site, listening)
        with service.running():
            pass
        peers = [Peer(listening.getsockname(), SECRET, CODE_ONLY) for _ in people]
        asked = [
            (peer, request(SECRET, one.name, one.press().encode())) for peer, one in zip(peers, people, strict=True)
        ]
        for peer, octets in asked:
            peer.send(octets)
        with service.running() as daemon:
            assert [reply.kind for reply in gather(asked)] == ["accept"] * len(people)
            assert "systemd" not in str(daemon.lines("settings.warning"))
        for peer in peers:
            peer.socket.close()


def test_sockets_that_do_not_fit_are_told(site: Site) -> None:
    """One that no line names is told and not read; a line that has none is bound, and told as well."""
    alice = site.person("alice", password=None)
    with bound() as listening, bound("127.0.0.2") as stranger:
        port = listening.getsockname()[1]
        site.configure(listen=[address_of(listening), f"127.0.0.3:{port}"])
        with Service(site, listening, stranger).running() as daemon:
            told = [line["message"] for line in daemon.lines("settings.warning") if "systemd" in line["message"]]
            assert len(told) == 2
            assert told[0].startswith(f"systemd has bound {address_of(stranger)}, which no line of listen.udp names")
            assert told[1].startswith(f"listen.udp names 127.0.0.3:{port}, which systemd has not bound")
            for address in (listening.getsockname(), ("127.0.0.3", port)):
                with Peer(address, SECRET, CODE_ONLY) as peer:
                    assert peer.ask("alice", alice.press()).kind == "accept"
            with Peer(stranger.getsockname(), SECRET, CODE_ONLY) as peer:
                assert not peer.is_answered(peer.status_request(), 0.05)


def test_sockets_of_another_process_are_left_alone(site: Site) -> None:
    """LISTEN_PID that is not ours means that the sockets are not either: it binds its own."""
    with site.serving({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as daemon, daemon.peer(CODE_ONLY) as peer:
        assert peer.is_served(PATIENCE)


# --- from one daemon to the next -------------------------------------------------------------------------------------


@contextmanager
def _successor(site: Site, before: Daemon) -> Iterator[Daemon]:
    """The daemon that takes over, once the one before has ended."""
    daemon = site.start(None, "--take-over")
    try:
        assert before.process.wait(PATIENCE) == 0
        daemon.wait_for("server.took_over")
        yield daemon
        assert daemon.stop() == 0, site.log.read_text()
    finally:
        daemon.kill()


def test_a_second_daemon_is_refused_unless_it_takes_over(site: Site) -> None:
    """Started by mistake it cannot bind, whatever socket options say; with --take-over the first one ends."""
    alice = site.person("alice")
    with site.serving() as first, first.peer(CODE_ONLY) as peer:
        site.configure(listen=[f"127.0.0.1:{first.address[1]}"])
        refused = site.run("serve")
        assert refused.returncode == 2
        assert "is another daemon running?" in refused.stderr
        assert peer.ask("alice", alice.press()).kind == "accept"
        with _successor(site, first) as second:
            assert first.lines("server.handed_over")
            assert peer.ask("alice", alice.press()).kind == "accept"
            assert second.wait_for("access.accepted")


def test_what_is_in_work_is_finished_by_who_began_it(site: Site) -> None:
    """A challenge that the first has put is answered at the second; a packet that it has taken, by the first."""
    alice = site.person("alice")
    with site.serving() as first, first.peer("127.0.1.2") as peer:
        state = peer.ask("alice", "correct horse").state
        with _successor(site, first):
            assert peer.ask("alice", alice.press(), state).kind == "accept"


def test_nobody_to_take_over_from_is_no_fault(site: Site) -> None:
    """With --take-over and no daemon running it binds its addresses like any other."""
    daemon = site.start(None, "--take-over")
    try:
        daemon.wait_until_listening()
        assert not daemon.lines("server.took_over")
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_one_that_dies_before_it_is_ready_changes_nothing(site: Site) -> None:
    """The sockets alone end nobody: the first daemon goes on, and hands them to the next that asks."""
    alice = site.person("alice")
    with site.serving() as first, first.peer(CODE_ONLY) as peer:
        with _asking(site) as asking:
            said, descriptors, _, _ = socket.recv_fds(asking, 32, 10)
            assert said.startswith(b"sockets")
            for descriptor in descriptors:
                os.close(descriptor)
        assert peer.ask("alice", alice.press()).kind == "accept"
        with _successor(site, first):
            assert peer.ask("alice", alice.press()).kind == "accept"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_gets_no_socket(site: Site) -> None:
    """Whoever else connects to the daemon's name gets nothing but the end of the connection."""
    alice = site.person("alice")
    with site.serving() as daemon, daemon.peer(CODE_ONLY) as peer:
        script = (
            "import socket, sys; asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
            "asking.connect(bytes.fromhex(sys.argv[1])); print(socket.recv_fds(asking, 32, 10)[:2])"
        )
        name = handover._name(site.config).hex()
        done = subprocess.run(
            ["/usr/bin/python3", "-c", script, name],
            user="nobody",
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.stdout == "(b'', [])\n", done.stderr
        assert peer.ask("alice", alice.press()).kind == "accept"


def _asking(site: Site) -> socket.socket:
    """A connection to the daemon of that site, as the next daemon makes it."""
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        asking.settimeout(PATIENCE)
        asking.connect(handover._name(site.config))
    except OSError:
        asking.close()
        raise
    return asking


# --- measured: no NAS sees a time-out --------------------------------------------------------------------------------

ROUNDS = pytest.mark.parametrize(
    ("rounds", "every", "time_out"),
    [(2, 0.01, PATIENCE), pytest.param(20, 0.003, TIME_OUT, marks=pytest.mark.soak)],
    ids=["2", "20"],
)


def _people(site: Site, count: int) -> list[Person]:
    return [site.person(f"user{number}", password=None) for number in range(count)]


@ROUNDS
def test_no_login_is_lost_between_two_daemons(tmp_path: Path, rounds: int, every: float, time_out: float) -> None:
    """One daemon after the other takes over under load: each login is accepted within a NAS's three seconds."""
    site = Site.make(tmp_path / "site", primary="{kind: none}")
    people = _people(site, 6)
    before = site.start()
    try:
        before.wait_until_listening()
        with Traffic(people, before.address, every, time_out=time_out) as traffic:
            for _ in range(rounds):
                traffic.wait_for_more(10)
                after = site.start(None, "--take-over")
                assert before.process.wait(PATIENCE) == 0
                before = after
                before.wait_for("server.took_over")
            traffic.wait_for_more(10)
        assert before.stop() == 0
    finally:
        before.kill()
    _was_good(traffic)


@ROUNDS
def test_no_login_is_lost_while_systemd_holds_the_sockets(
    tmp_path: Path, rounds: int, every: float, time_out: float
) -> None:
    """Ended and started anew under load: what comes meanwhile waits, and is answered within three seconds."""
    clients = PATIENT if time_out > TIME_OUT else USUAL_CLIENTS
    site = Site.make(tmp_path / "site", primary="{kind: none}")
    people = _people(site, 6)
    with bound() as listening:
        site.configure(clients, [address_of(listening)], primary="{kind: none}")
        service = Service(site, listening)
        address: Address = listening.getsockname()
        daemon = service.start()
        try:
            with Traffic(people, address, every, time_out=time_out) as traffic:
                for _ in range(rounds):
                    daemon.wait_for("server.started")
                    traffic.wait_for_more(10)
                    assert daemon.stop() == 0
                    daemon = service.start()
                daemon.wait_for("server.started")
                traffic.wait_for_more(10)
            assert daemon.stop() == 0
        finally:
            daemon.kill()
    _was_good(traffic)


def _was_good(traffic: Traffic) -> None:
    print(traffic.record)  # noqa: T201 - the numbers of the soak
    assert traffic.record.lost == 0
    assert set(traffic.record.replies) == {"accept"}
