"""The host's PAM behind the real daemon: its yes and no, its accounts, a module that hangs, a service that is missing.

The service is a file of a name that nobody else has, made and removed here; scripts stand in for what checks a password
on a real host, and what hangs waits for a byte in a fifo. pam.d(5), pam_exec(8), pam_debug(8).
"""

from __future__ import annotations

import contextlib
import ctypes.util
import grp
import os
import pwd
import secrets
import select
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from .site import APPEND, CHALLENGE, CODE_ONLY, PASSWORD, SECRET, USUAL_CLIENTS, Daemon, Person, Site
from .wire import PATIENCE, Peer, Reply, gather, request

SERVICES: Final = Path("/etc/pam.d")
pytestmark = [
    pytest.mark.skipif(ctypes.util.find_library("pam") is None, reason="needs Debian package libpam-modules"),
    pytest.mark.skipif(
        os.geteuid() != 0 or not SERVICES.is_dir(), reason="needs root: a PAM service is a file in /etc/pam.d"
    ),
]

LOCAL: Final = "127.0.1.9"
"""A client whose people have passwords of our own."""
CLIENTS: Final = USUAL_CLIENTS | {"local": f'{{networks: [{LOCAL}/32], secret: "{SECRET.decode()}", reject_delay: 0s}}'}
HOSTS: Final = "hunter2"
"""Everybody's password on this host."""
SOMEBODY, SOMEBODY_ELSE, SLEEPER = [one.pw_name for one in pwd.getpwall()][:3]
"""People whom this host knows."""
CALLS: Final = 2
OTHERS: Final = 20


@dataclass(frozen=True, slots=True)
class Service:
    """A PAM service, and what the test does to it."""

    file: Path
    folder: Path
    begun: int
    """Says a line for each conversation that has begun to hang."""
    let_go: int

    @classmethod
    @contextlib.contextmanager
    def made(cls, folder: Path) -> Iterator[Service]:
        """A service for the length of the block."""
        check = _script(
            folder / "check",
            f'case "$PAM_USER" in {SLEEPER}) echo > {folder}/begun; read -r line < {folder}/let-go;; esac',
            f'test "$(cat)" = {HOSTS}',
        )
        account = _script(folder / "account", f'test ! -e "{folder}/expired-$PAM_USER"')
        file = SERVICES / f"radiusd2fa-test-{os.getpid()}-{secrets.token_hex(4)}"
        with contextlib.ExitStack() as opened:
            # both ends, so that no script waits for the other
            begun, let_go = (_fifo(folder / name, opened) for name in ("begun", "let-go"))
            with file.open("x") as lines:
                opened.callback(file.unlink, missing_ok=True)
                lines.write(f"""auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {check}
auth requisite pam_deny.so
auth required pam_permit.so
account [success=1 default=ignore] pam_exec.so quiet {account}
account requisite pam_debug.so acct=acct_expired
account required pam_permit.so
""")
            yield cls(file, folder, begun, let_go)

    def expire(self, name: str) -> None:
        """End somebody's account."""
        (self.folder / f"expired-{name}").touch()

    def wait_until_hanging(self, count: int) -> None:
        """Wait until so many conversations hang."""
        while count:
            assert select.select([self.begun], [], [], PATIENCE)[0], "no conversation has begun"
            count -= len(os.read(self.begun, count))


def _script(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in ("#!/bin/sh", *lines)))
    path.chmod(0o700)
    return path


def _fifo(path: Path, opened: contextlib.ExitStack) -> int:
    os.mkfifo(path, 0o600)
    descriptor = os.open(path, os.O_RDWR)
    opened.callback(os.close, descriptor)
    return descriptor


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which everybody has one password."""
    with Service.made(tmp_path_factory.mktemp("pam")) as service:
        yield service


def _site(folder: Path, service: str) -> Site:
    return Site.make(
        folder,
        CLIENTS,
        primary=f"{{kind: pam, service: {service}, timeout: 400ms, calls: {CALLS}}}",
        backends="{ours: {kind: local, memory_kib: 64, passes: 1}}",
        rules="[{name: local, when: {clients: [local]}, primary: ours, enrolment: off}, {name: all}]",
    )


@pytest.fixture
def site(tmp_path: Path, service: Service) -> Site:
    """A site whose passwords this host's PAM checks; nobody is in it yet."""
    return _site(tmp_path / "site", service.file.name)


def _appeared(site: Site, asking: Peer, name: str) -> Person:
    """Somebody of the host who has tried to log in once, and was given a fob then."""
    assert asking.ask(name, HOSTS).kind == "challenge"
    return Person(name, site.fob(name))


def _is_refused(daemon: Daemon, reply: Reply, user: str, reason: str) -> None:
    assert (reply.kind, len(reply.attributes)) == ("reject", 1)
    assert daemon.wait_for("access.rejected", user=user, reason=reason)


def test_the_host_says_yes_and_no(site: Site, daemon: Daemon) -> None:
    """PAM's password and our code let in, in two packets and in one; each of them wrong, or none, does not."""
    with daemon.peer(CHALLENGE) as asking, daemon.peer(APPEND) as appending:
        _is_refused(daemon, asking.ask(SOMEBODY, "wrong"), SOMEBODY, "wrong_password")
        somebody = _appeared(site, asking, SOMEBODY)
        question = asking.ask(SOMEBODY, "")
        _is_refused(daemon, asking.ask(SOMEBODY, "", question.state), SOMEBODY, "empty_password")
        question = asking.ask(SOMEBODY, HOSTS)
        assert asking.ask(SOMEBODY, somebody.wrong_codes(1)[0], question.state).kind == "challenge"
        assert appending.ask(SOMEBODY, "wrong" + somebody.code_at(0)).kind == "reject"
        assert appending.ask(SOMEBODY, HOSTS + somebody.press()).kind == "accept"
        question = asking.ask(SOMEBODY, HOSTS)
        assert asking.ask(SOMEBODY, somebody.press(), question.state).kind == "accept"


def test_the_account_is_the_host_s(site: Site, daemon: Daemon) -> None:
    """The first login adds the person with the host's number and groups."""
    with daemon.peer(CHALLENGE) as asking:
        _appeared(site, asking, SOMEBODY)
    facts = site.facts(SOMEBODY)
    host = pwd.getpwnam(SOMEBODY)
    assert (facts["source"], facts["directory_id"]) == ("pam", f"uid:{host.pw_uid}")
    assert grp.getgrgid(host.pw_gid).gr_name in facts["groups"]


def test_who_is_known_to_pam_alone_has_no_number(site: Site, daemon: Daemon) -> None:
    """Somebody whom PAM lets in and the host does not know is bound to the name."""
    with daemon.peer(CHALLENGE) as asking:
        nobody = _appeared(site, asking, "nobody-of-this-host")
        question = asking.ask(nobody.name, HOSTS)
        assert asking.ask(nobody.name, nobody.press(), question.state).kind == "accept"
    assert site.facts(nobody.name)["directory_id"] is None


def test_an_account_that_has_ended_is_refused_everywhere(service: Service, site: Site, daemon: Daemon) -> None:
    """Whose account PAM calls expired is refused with the right password, and with the right code alone."""
    with daemon.peer(CHALLENGE) as asking, daemon.peer(CODE_ONLY) as coding:
        somebody = _appeared(site, asking, SOMEBODY_ELSE)
        assert coding.ask(SOMEBODY_ELSE, somebody.press()).kind == "accept"
        service.expire(SOMEBODY_ELSE)
        _is_refused(daemon, coding.ask(SOMEBODY_ELSE, somebody.code_at(1)), SOMEBODY_ELSE, "account_expired")
        _is_refused(daemon, asking.ask(SOMEBODY_ELSE, HOSTS), SOMEBODY_ELSE, "account_expired")


def test_a_service_that_is_missing_lets_nobody_in(tmp_path: Path) -> None:
    """Without a file in /etc/pam.d there is silence, not what the service `other` says; the log says why."""
    site = _site(tmp_path / "site", f"radiusd2fa-test-{secrets.token_hex(8)}")
    with site.serving() as daemon, daemon.peer(CHALLENGE) as asking:
        asking.send(request(SECRET, SOMEBODY, HOSTS.encode()))
        assert daemon.wait_for("packet.dropped", reason="primary_unavailable")
        assert "no file for this service" in daemon.wait_for("primary.note")["message"]
        assert asking.waiting() == []


def test_a_module_that_hangs_holds_nobody_else_up(service: Service, site: Site, daemon: Daemon) -> None:
    """All of PAM's threads hang: its people get no answer, ours get in, no thread is added; it recovers by itself."""
    site.cli("user", "add", "lisa", "--password-stdin", stdin=PASSWORD)
    tasks = Path(f"/proc/{daemon.process.pid}/task")
    with contextlib.ExitStack() as opened:
        local = [opened.enter_context(daemon.peer(LOCAL)) for _ in range(OTHERS)]
        asking, *waiting = [opened.enter_context(daemon.peer(CHALLENGE)) for _ in range(1 + CALLS + 5)]

        def others_go_on() -> None:
            asked = [(peer, request(SECRET, "lisa", PASSWORD.encode())) for peer in local]
            for peer, octets in asked:
                peer.send(octets)
            assert {reply.kind for reply in gather(asked)} == {"accept"}

        others_go_on()
        assert asking.ask(SOMEBODY, HOSTS).kind == "challenge"
        before = len(list(tasks.iterdir()))
        for peer in waiting:
            peer.send(request(SECRET, SLEEPER, HOSTS.encode()))
        service.wait_until_hanging(CALLS)
        others_go_on()
        asking.send(request(SECRET, SOMEBODY, HOSTS.encode()))
        assert daemon.wait_for("packet.dropped", reason="primary_unavailable")
        others_go_on()
        assert "nobody can log in here" in daemon.wait_for("primary.note", level="error")["message"]
        assert len(list(tasks.iterdir())) == before
        os.write(service.let_go, b"\n" * CALLS)
        assert "back again" in daemon.wait_for("primary.note", level="info")["message"]
        assert [peer.waiting() for peer in (asking, *waiting)] == [[]] * (1 + len(waiting))
        assert asking.ask(SOMEBODY, HOSTS).kind == "challenge"
        assert asking.ask(SOMEBODY, "wrong").kind == "reject"
