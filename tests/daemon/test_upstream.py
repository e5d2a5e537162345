"""FreeRADIUS behind the real daemon: its yes and no, its own questions through pam_radius, its attributes, its silence.

It stands for the authentication system that a site has had so far, and so for the move away from it. What it says goes
on to the NAS only where the site has named it. RFC 2865 4.4 and 5.25 (Class), RFC 3579 3.2.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.home_server import SILENT_REQUESTS
from tests.clients.conftest import PLAIN_SECRET
from tests.clients.freeradius import CODE, HomeServer, home_server, needs_freeradius
from tests.clients.freeradius import PASSWORD as OLD_PASSWORD
from tests.clients.test_pam_radius import ACCEPTED, PROMPT, Service
from tests.clients.test_pam_radius import pytestmark as needs_pam_radius
from tests.clients.test_radclient import RADCLIENT
from tests.clients.test_radclient import pytestmark as needs_radclient

from .site import APPEND, CHALLENGE, PASSWORD, SECRET, USUAL_CLIENTS, Daemon, Person, Site
from .wire import PATIENCE, Peer, Reply, request

pytestmark = needs_freeradius

CLASS: Final = 25
OLD_PROMPT: Final = "Code of your old token: "
PLAIN, ASTRAY, MOVING = "127.0.1.10", "127.0.1.11", "127.0.1.12"
"""Clients at which a password is enough, whose upstream has another secret, and whose people move over."""


def _client(address: str, secret: bytes = SECRET) -> str:
    return f'{{networks: [{address}/32], secret: "{secret.decode()}", reject_delay: 0s'


CLIENTS: Final = USUAL_CLIENTS | {
    "plain": f"{_client(PLAIN)}}}",
    "astray": f"{_client(ASTRAY)}}}",
    "moving": f"{_client(MOVING)}}}",
    "pam": f"{_client('127.0.0.1', PLAIN_SECRET)}, message_authenticator: observe}}",
}


def _day(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


def _backend(port: int, secret: bytes, more: str = "") -> str:
    server = f'{{address: "127.0.0.1:{port}", secret: "{secret.decode()}"}}'
    return f"{{kind: radius, servers: [{server}], timeout: 300ms, {more}}}"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeServer]:
    """The system that the site has had so far."""
    with home_server(tmp_path_factory.mktemp("freeradius")) as server:
        yield server


def _site(folder: Path, old: HomeServer, until: str) -> Site:
    port, secret = old.upstream.port, old.upstream.secret
    astray = _backend(port, b"a secret that nobody shares")
    return Site.make(
        folder,
        CLIENTS,
        primary=_backend(port, secret, "pass_back: [Class]"),
        backends=f"{{astray: {astray}, ours: {{kind: local, memory_kib: 64, passes: 1}}}}",
        rules=f"""[
  {{name: plain, when: {{clients: [plain]}}, enrolment: off}},
  {{name: astray, when: {{clients: [astray]}}, primary: astray, enrolment: off}},
  {{name: moving, when: {{clients: [moving]}}, primary: ours, enrolment: {{upstream: radius, until: {until}}}}},
  {{name: all}}]""",
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, old: HomeServer) -> Site:
    """A site whose passwords the old system checks; at one client those without a token are its business alone."""
    return _site(tmp_path_factory.mktemp("upstream"), old, _day(30))


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """One daemon, which nobody restarts."""
    with site.serving() as daemon:
        yield daemon


def _classes(reply: Reply) -> list[bytes]:
    return [value for kind, value in reply.attributes if kind == CLASS]


def _is_silent(daemon: Daemon, source: str, user: str) -> None:
    """The NAS hears nothing, the log says why."""
    with daemon.peer(source) as peer:
        for password in (OLD_PASSWORD, "wrong"):
            peer.send(request(SECRET, user, password.encode()))
        assert daemon.wait_for("packet.dropped", reason="primary_unavailable", source=source)
        peer.wait_until_served()
        # nothing but the answers to Status-Server, which are Access-Accepts without any attribute but the signature
        assert all(len(octets) == 20 + 18 for octets in peer.waiting())
        assert not [line for line in daemon.lines() if line.get("user") == user]


# --- no and nothing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [CHALLENGE, PLAIN, APPEND, MOVING])
def test_a_wrong_password_is_refused(daemon: Daemon, source: str) -> None:
    """The old system's Access-Reject is ours, with nothing in it, in each flow."""
    with daemon.peer(source) as peer:
        reply = peer.ask("bernd", "wrong12345678")
    assert (reply.kind, len(reply.attributes)) == ("reject", 1)
    assert daemon.wait_for("access.rejected", user="bernd", reason="wrong_password")


@pytest.mark.parametrize("user", ["silent-bernd", "unsigned-bernd"])
def test_no_answer_is_no_answer(site: Site, old: HomeServer, user: str) -> None:
    """Where the old system says nothing, or does not sign what it says, the NAS gets neither yes nor no."""
    with site.serving() as daemon:
        _is_silent(daemon, PLAIN, user)


def test_a_wrong_secret_is_silence(daemon: Daemon) -> None:
    """An old system that does not share our secret lets nobody in, and the log says that it does not answer."""
    _is_silent(daemon, ASTRAY, "bernd-astray")
    with daemon.peer(ASTRAY) as peer:
        for _ in range(SILENT_REQUESTS):
            peer.send(request(SECRET, "bernd-again", OLD_PASSWORD.encode()))
        deadline = time.monotonic() + PATIENCE
        while not any(line["message"].startswith("astray: ") for line in daemon.lines("primary.note")):
            assert time.monotonic() < deadline, "nobody says that the old system does not answer"
            time.sleep(0.01)
        assert peer.waiting() == []


def test_its_password_is_no_second_factor(daemon: Daemon) -> None:
    """Where our code is wanted, who has never had a token is asked for it and refused, whatever they type."""
    with daemon.peer(CHALLENGE) as peer:
        reply = peer.ask("detlef", OLD_PASSWORD)
        for _ in range(3):
            assert reply.kind == "challenge"
            reply = peer.ask("detlef", CODE, reply.state)
        assert reply.kind == "reject"
    assert daemon.wait_for("access.rejected", user="detlef", reason="no_token")


# --- its yes, and what goes with it -----------------------------------------------------------------------------------


def test_the_class_is_passed_back_with_and_without_a_question(site: Site, daemon: Daemon) -> None:
    """The Access-Accept after the code carries the old system's Class, and nothing else, be it one packet or two."""
    with daemon.peer(CHALLENGE) as asking, daemon.peer(APPEND) as appending:
        assert asking.ask("erik", OLD_PASSWORD).kind == "challenge"
        erik = Person("erik", site.fob("erik"))
        question = asking.ask("erik", OLD_PASSWORD)
        assert _classes(question) == []
        after_question = asking.ask("erik", erik.press(), question.state)
        at_once = appending.ask("erik", OLD_PASSWORD + erik.press())
    assert (after_question.kind, at_once.kind) == ("accept", "accept")
    for reply in (after_question, at_once):
        assert [kind for kind, _ in reply.attributes[1:]] == [CLASS]
        assert _classes(reply) == [b"staff of radiusd2fa "]


@needs_radclient
def test_radclient_sees_the_class(daemon: Daemon, tmp_path: Path) -> None:
    """Another program reads the Class that the old system has sent, made of what we have told it about the caller."""
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_bytes(SECRET)
    host, port = daemon.address
    attributes = (
        f"Packet-Src-IP-Address = {PLAIN}",
        'User-Name = "frida"',
        f'User-Password = "{OLD_PASSWORD}"',
        'NAS-Identifier = "vpn1"',
        'Calling-Station-Id = "192.0.2.7"',
        "Message-Authenticator = 0x00",
    )
    done = subprocess.run(
        [str(RADCLIENT), "-x", "-r", "1", "-S", str(secret), f"{host}:{port}", "auth"],
        input=", ".join(attributes) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    reply = done.stdout.rpartition("Received Access-Accept")[2]
    assert re.findall(r"^\t([A-Za-z-]+) = ", reply, re.MULTILINE) == ["Message-Authenticator", "Class"]
    assert f"Class = 0x{b'staff of vpn1 192.0.2.7'.hex()}" in reply


# --- its own questions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [pytest.param("challenge-gabi", marks=needs_pam_radius)])
def test_its_question_comes_before_ours(site: Site, daemon: Daemon, tmp_path: Path, name: str) -> None:
    """Through pam_radius: password, the old system's question, then ours; a wrong answer to either does not let in."""
    with daemon.peer(CHALLENGE) as peer:
        question = peer.ask(name, OLD_PASSWORD)
        assert peer.ask(name, CODE, question.state).kind == "challenge"
    gabi = Person(name, site.fob(name))
    with Service.made(tmp_path, daemon.address) as service:
        refused = service.authenticate(name, [("Password: ", OLD_PASSWORD), (OLD_PROMPT, "000000")])
        assert ACCEPTED not in refused.screen
        right = [("Password: ", OLD_PASSWORD), (OLD_PROMPT, CODE)]
        wrong = gabi.wrong_codes(1)[0]
        refused = service.authenticate(name, [*right, (PROMPT, wrong), ("next code: ", wrong), ("code: ", wrong)])
        assert ACCEPTED not in refused.screen
        answered = service.authenticate(name, [*right, (PROMPT, gabi.press())])
    assert ACCEPTED in answered.screen
    assert answered.code == 0


def test_its_question_is_answered_once(daemon: Daemon) -> None:
    """The State of the old system's question is ours: it is good for one answer, of this person, at this client."""
    with daemon.peer(MOVING) as peer, daemon.peer(CHALLENGE) as other:
        question = peer.ask("challenge-hanno", OLD_PASSWORD)
        assert (question.kind, question.prompt) == ("challenge", OLD_PROMPT)
        assert b"old system" not in question.state
        assert peer.ask("challenge-iris", CODE, question.state).kind == "reject"
        assert other.ask("challenge-hanno", CODE, question.state).kind == "reject"
        assert peer.ask("challenge-hanno", CODE, question.state).kind == "accept"
        assert peer.ask("challenge-hanno", CODE, question.state).kind == "reject"


# --- moving over ------------------------------------------------------------------------------------------------------


def _let_in_by_the_old_system(peer: Peer, name: str) -> str:
    question = peer.ask(name, OLD_PASSWORD)
    return peer.ask(name, CODE, question.state).kind if question.kind == "challenge" else question.kind


def test_people_move_over_one_by_one(site: Site, daemon: Daemon) -> None:
    """Without a token of ours the old system decides alone; with one it is not asked, and its password worthless."""
    with daemon.peer(MOVING) as peer:
        for name in ("challenge-jens", "karin"):
            assert _let_in_by_the_old_system(peer, name) == "accept"
            assert daemon.wait_for("access.accepted", user=name)["reason"] == "upstream"
            assert site.facts(name)["source"] == "local"
            site.cli("user", "password", name, "--password-stdin", stdin=PASSWORD)
            assert peer.ask(name, PASSWORD).kind == "reject"
            moved = Person(name, site.fob(name))
            assert peer.ask(name, OLD_PASSWORD).kind == "reject"
            question = peer.ask(name, PASSWORD)
            assert question.prompt == PROMPT
            assert peer.ask(name, moved.press(), question.state).kind == "accept"
            # a token that is gone does not lead back
            site.cli("token", "revoke", moved.fob.serial)
            assert _let_in_by_the_old_system(peer, name) == "reject"


def test_the_move_has_an_end(tmp_path: Path, old: HomeServer) -> None:
    """After the last day the old system lets nobody in any more; its password is worth nothing."""
    site = _site(tmp_path / "site", old, _day(-2))
    with site.serving() as daemon, daemon.peer(MOVING) as peer:
        assert _let_in_by_the_old_system(peer, "challenge-lara") == "reject"
        assert _let_in_by_the_old_system(peer, "moritz") == "reject"
