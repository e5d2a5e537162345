"""SIGHUP: another configuration in force at once, or the one before for good; and nobody who is logging in notices.

The upstream server of some tests is a socket of the test's own, so that an answer can come after the reload.
No RFC speaks of reloading; what is answered to a second copy of a packet is RFC 5080 2.2.2's.
"""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Final

import pytest

from .site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, USUAL_CLIENTS, Daemon, Site
from .traffic import Traffic
from .upstream import Upstream
from .wire import PATIENCE, Peer, read, request

_QUICK: Final = f'secret: "{SECRET.decode()}", reject_delay: 0s'


def reload(daemon: Daemon, *, refused: bool = False) -> None:
    """Ask the daemon to read its configuration, and wait until it has."""
    event = "server.reload_refused" if refused else "server.reloaded"
    before = len(daemon.lines(event))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(event, before + 1)


# --- kept ------------------------------------------------------------------------------------------------------------


def test_a_broken_file_changes_nothing(site: Site) -> None:
    """A configuration with a fault is refused with file, line and key, and the one before goes on."""
    alice = site.person("alice")
    with site.serving() as daemon, daemon.peer(CODE_ONLY) as peer:
        good = site.config.read_text()
        site.config.write_text(good + "throttle: {max_failures: lots}\n")
        reload(daemon, refused=True)
        (line,) = daemon.lines("server.reload_refused")
        assert line["level"] == "error"
        assert line["file"] == str(site.config)
        assert line["line"] == len(good.splitlines()) + 1
        assert line["setting"] == "throttle.max_failures"
        assert "what was in force before still is" in line["message"]
        assert peer.ask("alice", alice.press()).kind == "accept"
        site.config.write_text(good)
        reload(daemon)
        assert peer.ask("alice", alice.press()).kind == "accept"


def test_what_cannot_be_had_changes_nothing(site: Site) -> None:
    """An address that is taken keeps all of the old configuration in force: not one part of the new one is."""
    alice = site.person("alice")
    with site.serving() as daemon, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        site.configure({"other": f"{{networks: [{CODE_ONLY}/32], {_QUICK}}}"}, [
            "127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"
        ])  # fmt: skip
        reload(daemon, refused=True)
        assert "cannot bind" in daemon.lines("server.reload_refused")[0]["message"]
        with daemon.peer(CODE_ONLY) as peer:
            assert peer.ask("alice", alice.press()).kind == "accept"
        assert daemon.wait_for("access.accepted")["nas"] == "code"


def test_the_manager_hears_of_a_reload(site: Site, manager: socket.socket) -> None:
    """RELOADING=1 with the time comes first, then READY=1 with one line about what became of it."""
    with site.serving({"NOTIFY_SOCKET": manager.getsockname()}) as daemon:
        assert manager.recv(1000) == b"READY=1"
        reload(daemon)
        first, second = manager.recv(1000).split(b"\n"), manager.recv(1000).split(b"\n")
        assert first[0] == b"RELOADING=1"
        assert first[1].startswith(b"MONOTONIC_USEC=")
        assert second[0] == b"READY=1"
        assert second[1].startswith(b"STATUS=configuration read at ")
        site.config.write_text("listen: nowhere\n")
        reload(daemon, refused=True)
        assert manager.recv(1000).startswith(b"RELOADING=1\n")
        assert b"\nSTATUS=the configuration of " in manager.recv(1000)
        site.configure()


def test_what_needs_a_restart_is_told_and_the_rest_is_taken(site: Site) -> None:
    """A changed store, vault, node or number of workers is named; everything else of that file is in force."""
    alice = site.person("alice")
    with site.serving() as daemon, daemon.peer(CODE_ONLY) as peer:
        clients = {"renamed": f"{{networks: [{CODE_ONLY}/32], {_QUICK}, flow: code-only}}"}
        site.configure(clients, store="sqlite:///elsewhere.db", node="other", workers="2")
        reload(daemon)
        told = {line["setting"] for line in daemon.lines("server.needs_restart")}
        assert told == {"store", "node", "workers"}
        assert peer.ask("alice", alice.press()).kind == "accept"
        assert daemon.wait_for("access.accepted")["nas"] == "renamed"
        assert not (site.folder / "elsewhere.db").exists()


# --- clients, rules, secrets -----------------------------------------------------------------------------------------


def test_a_client_that_is_struck_out_gets_no_answer(site: Site) -> None:
    """Neither a first packet nor the answer to a question that it was asked before: there is nobody to answer."""
    alice = site.person("alice")
    with site.serving() as daemon, daemon.peer(CHALLENGE) as peer, daemon.peer(CODE_ONLY) as other:
        state = peer.ask("alice", PASSWORD).state
        site.configure({name: client for name, client in USUAL_CLIENTS.items() if name != "ask"})
        reload(daemon)
        peer.send(request(SECRET, "alice", alice.press().encode(), state))
        peer.send(request(SECRET, "alice", PASSWORD.encode()))
        # what comes later, from elsewhere, is answered: so those were read and are not
        assert other.ask("alice", alice.press()).kind == "accept"
        assert peer.waiting() == []
        reload_back(site, daemon)
        assert peer.ask("alice", PASSWORD).kind == "challenge"


def reload_back(site: Site, daemon: Daemon) -> None:
    """Put the usual configuration in force again."""
    site.configure()
    reload(daemon)


def test_a_question_of_a_rule_that_is_gone_lets_nobody_in(site: Site) -> None:
    """A challenge that was put under a rule which has vanished is refused, right code and all."""
    alice = site.person("alice")
    site.configure(rules="[{name: old, factors: [hotp]}]")
    with site.serving() as daemon, daemon.peer(CHALLENGE) as peer:
        state = peer.ask("alice", PASSWORD).state
        site.configure(rules="[{name: new, factors: [hotp]}]")
        reload(daemon)
        assert peer.ask("alice", alice.press(), state).kind != "accept"
        assert "accepted" not in {row["outcome"] for row in site.audit()}
        state = peer.ask("alice", PASSWORD).state
        assert peer.ask("alice", alice.press(), state).kind == "accept"


def test_a_rule_that_lets_nobody_in_holds_for_questions_that_are_open(site: Site) -> None:
    """A factor that is struck out of the rule meanwhile no longer answers its questions."""
    alice = site.person("alice")
    site.configure(rules="[{name: all, factors: [hotp]}]")
    with site.serving() as daemon, daemon.peer(CHALLENGE) as peer:
        state = peer.ask("alice", PASSWORD).state
        site.configure(rules="[{name: all, factors: [totp]}]")
        reload(daemon)
        assert peer.ask("alice", alice.press(), state).kind != "accept"


def test_a_shared_secret_rotates_without_a_gap(site: Site) -> None:
    """With the new secret first and the old one beside it both are answered; later the old one is not."""
    alice = site.person("alice")
    new = b"the secret of tomorrow, long enough"
    both = f'secret: "{new.decode()}", secret_old: "{SECRET.decode()}", reject_delay: 0s, flow: code-only'
    with site.serving() as daemon, daemon.peer(CODE_ONLY) as before, daemon.peer(CODE_ONLY, new) as after:
        assert not after.is_answered(request(new, "alice", b"00000000"), 0.05)
        site.configure({"code": f"{{networks: [{CODE_ONLY}/32], {both}}}"})
        reload(daemon)
        assert before.ask("alice", alice.press()).kind == "accept"
        assert after.ask("alice", alice.press()).kind == "accept"
        only = f'secret: "{new.decode()}", reject_delay: 0s, flow: code-only'
        site.configure({"code": f"{{networks: [{CODE_ONLY}/32], {only}}}"})
        reload(daemon)
        assert not before.is_answered(request(SECRET, "alice", alice.press().encode()), 0.05)
        assert after.ask("alice", alice.press()).kind == "accept"


# --- in flight -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "kind"), [(3, "reject"), (2, "challenge")], ids=["refused", "passed"])
def test_a_login_in_flight_ends_under_what_it_began_with(
    tmp_path: Path, upstream: Upstream, code: int, kind: str
) -> None:
    """An answer that is awaited goes to the backend that asked, though nobody would be asked any more now."""
    site = Site.make(tmp_path / "site", primary=upstream.as_primary())
    with site.serving() as daemon, daemon.peer(CHALLENGE) as peer:
        asked = request(SECRET, "alice", PASSWORD.encode())
        peer.send(asked)
        upstream.wait_until_asked()
        site.configure(primary="{kind: none}")
        reload(daemon)
        upstream.answer(code)
        assert read(peer.receive(PATIENCE), asked, SECRET).kind == kind
        # what comes now meets the new backend, which asks for the code whatever the password is
        assert peer.ask("alice", "not her password").kind == "challenge"


# --- addresses and logs ----------------------------------------------------------------------------------------------


def test_addresses_come_and_go(site: Site) -> None:
    """A new address is served; one that is struck out is closed, once its last login has its answer."""
    alice = site.person("alice")
    with site.serving() as daemon:
        first = daemon.address
        site.configure(listen=[f"127.0.0.1:{_free_port()}"])
        with daemon.peer(CODE_ONLY) as peer:
            asked = request(SECRET, "alice", alice.press().encode())
            daemon.pause()
            peer.send(asked)
            daemon.process.send_signal(signal.SIGHUP)
            daemon.resume()
            assert read(peer.receive(PATIENCE), asked, SECRET).kind == "accept"
            daemon.wait_for("server.reloaded")
            assert daemon.lines("server.left")[0]["address"] == f"127.0.0.1:{first[1]}"
            assert not peer.is_answered(peer.status_request(), 0.05)
        host, _, port = daemon.lines("server.listening")[-1]["address"].rpartition(":")
        with Peer((host, int(port)), SECRET, CODE_ONLY) as peer:
            assert peer.ask("alice", alice.press()).kind == "accept"


def test_every_address_in_the_place_of_one(site: Site) -> None:
    """127.0.0.1 becomes 0.0.0.0 on the same port, though both cannot be bound at one time by strangers."""
    alice = site.person("alice")
    with site.serving() as daemon:
        port = daemon.address[1]
        site.configure(listen=[f"0.0.0.0:{port}"])
        reload(daemon)
        with daemon.peer(CODE_ONLY) as peer, Peer(("127.0.0.2", port), SECRET, CODE_ONLY) as other:
            assert peer.ask("alice", alice.press()).kind == "accept"
            assert other.ask("alice", alice.press()).kind == "accept"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                second.bind(("0.0.0.0", port))  # noqa: S104 - as the daemon has


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_log_turns_too(site: Site, tmp_path: Path) -> None:
    """Another level, another form and another collector are in force from the next line on."""
    alice = site.person("alice")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as collector,
        site.serving() as daemon,
        daemon.peer(CODE_ONLY) as peer,
    ):
        collector.bind(str(tmp_path / "collector"))
        collector.settimeout(PATIENCE)
        site.configure(syslog=f'{{to: "unix:{tmp_path}/collector"}}', log="{format: json, level: warning}")
        daemon.process.send_signal(signal.SIGHUP)
        while b"server.reloaded" not in collector.recv(4096):
            pass
        assert peer.ask("alice", alice.press()).kind == "accept"
        while b"access.accepted" not in collector.recv(4096):
            pass
        assert not daemon.lines("access.accepted")
        reload_back(site, daemon)
        assert peer.ask("alice", alice.press()).kind == "accept"
        daemon.wait_for("access.accepted")


# --- under load ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounds", "every"), [(20, 0.005), pytest.param(200, 0.0025, marks=pytest.mark.soak)], ids=["20", "200"]
)
def test_nobody_notices_a_reload(tmp_path: Path, manager: socket.socket, rounds: int, every: float) -> None:
    """Reloaded again and again under load, broken files between: no login is lost, nothing is kept for ever."""
    site = Site.make(tmp_path / "site", primary="{kind: none}")
    people = [site.person(f"user{number}", password=None) for number in range(rounds // 5)]
    told = {"NOTIFY_SOCKET": manager.getsockname()}
    with site.serving(told) as daemon, Traffic(people, daemon.address, every, repeat=True) as traffic:
        assert manager.recv(1000) == b"READY=1"
        for number in range(rounds):
            traffic.wait_for_more(3)
            if number % 7 == 3:
                site.config.write_text("listen: nowhere\n")
                assert b"refused" in _reloaded(daemon, manager)
            _configure(site, number)
            assert b"refused" not in _reloaded(daemon, manager)
            if number == rounds // 4:
                began = daemon.descriptors(), daemon.memory()
        traffic.wait_for_more(20)
        assert daemon.descriptors() <= began[0] + 2  # give or take what is open for a moment
        if rounds >= 100:
            assert daemon.memory() - began[1] < 16 << 20
    assert traffic.record.lost == 0
    assert traffic.record.differing == 0
    assert set(traffic.record.replies) == {"accept"}
    print(traffic.record)  # noqa: T201 - the numbers of the soak


def _reloaded(daemon: Daemon, manager: socket.socket) -> bytes:
    """Reload; the status that the manager hears at the end."""
    daemon.process.send_signal(signal.SIGHUP)
    assert manager.recv(1000).startswith(b"RELOADING=1")
    return manager.recv(1000)


def _configure(site: Site, number: int) -> None:
    """A configuration that differs from the one before in clients, rules, backends and texts."""
    more = {
        f"extra{number}": f'{{networks: [10.{number % 250}.0.0/16], secret: "{SECRET.decode()}", reject_delay: 0s}}'
    }
    site.configure(
        {**USUAL_CLIENTS, **more},
        primary="{kind: none}",
        backends=f"{{ours: {{kind: local, memory_kib: {64 + number % 2}, passes: 1}}}}",
        rules=f"[{{name: other{number}, when: {{users: [nobody]}}}}, {{name: all}}]",
        challenge=f'{{code_prompt: "Code number {number}: "}}',
    )
