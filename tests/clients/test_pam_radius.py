"""Debian's pam_radius in front of a person: pamtester asks, the person types, the daemon decides.

The PAM service is the test's own: a file of a name that nobody else has, made and removed here, and a configuration of
its own. pam_radius 2.0.0 signs nothing, sends the answer to a challenge once, and reads what comes first.
RFC 2865 4.4 (Access-Challenge), 5.18 (Reply-Message), 5.24 (State).
"""

from __future__ import annotations

import contextlib
import os
import pty
import secrets
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.site import PASSWORD, Daemon, Person, Site
from tests.daemon.wire import PATIENCE, Address

from .conftest import PLAIN_SECRET
from .oathtool import needs_oathtool, totp

PAMTESTER: Final = shutil.which("pamtester")
MODULE: Final = "pam_radius_auth.so"
SERVICES: Final = Path("/etc/pam.d")

PROMPT: Final = "Enter the code from your token: "
NEXT: Final = "Enter the next code: "
ACCEPTED: Final = "successfully authenticated"


def _module_is_there() -> bool:
    folders = (Path("/lib/security"), *Path("/lib").glob("*/security"), *Path("/usr/lib").glob("*/security"))
    return any((folder / MODULE).exists() for folder in folders)


pytestmark = [
    pytest.mark.skipif(PAMTESTER is None, reason="needs Debian package pamtester"),
    pytest.mark.skipif(not _module_is_there(), reason="needs Debian package libpam-radius-auth"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a PAM service is a file in /etc/pam.d"),
]


@dataclass(frozen=True, slots=True)
class Answered:
    """What stood on the screen, and how the program ended."""

    screen: str
    code: int


@dataclass(frozen=True, slots=True)
class Service:
    """One PAM service that asks one RADIUS server."""

    name: str
    configuration: Path

    @classmethod
    @contextlib.contextmanager
    def made(cls, folder: Path, server: Address, *options: str) -> Iterator[Service]:
        """A service for the length of the block."""
        name = f"radiusd2fa-test-{os.getpid()}-{secrets.token_hex(4)}"
        configuration = folder / f"{name}.conf"
        configuration.touch(mode=0o600)
        # pam_radius_auth.conf: server[:port] shared_secret timeout
        configuration.write_text(f"{server[0]}:{server[1]} {PLAIN_SECRET.decode()} 5\n")
        file = SERVICES / name
        with file.open("x") as service:
            service.write(f"auth required {MODULE} conf={configuration} {' '.join(options)}\n")
            service.write("account required pam_permit.so\n")
        try:
            yield cls(name, configuration)
        finally:
            file.unlink()

    def authenticate(self, user: str, answers: Sequence[tuple[str, str]]) -> Answered:
        """Run pamtester at a terminal of its own: wait for each prompt, type the answer to it."""
        assert PAMTESTER is not None
        child, terminal = pty.fork()
        if child == 0:
            os.execv(PAMTESTER, [PAMTESTER, self.name, user, "authenticate"])  # noqa: S606 - the program under test
        try:
            screen = ""
            for prompt, answer in answers:
                screen += _until(terminal, prompt)
                os.write(terminal, answer.encode() + b"\n")
            screen += _until(terminal, None)
            _, status = os.waitpid(child, 0)
            child = 0
        finally:
            if child:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            os.close(terminal)
        return Answered(screen, os.waitstatus_to_exitcode(status))


def _until(terminal: int, text: str | None) -> str:
    """What appears on the screen up to that text, or up to the end of the program."""
    deadline = time.monotonic() + PATIENCE
    screen = ""
    while text is None or not screen.endswith(text):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{text!r} never came; there was {screen!r}"
        try:
            octets = os.read(terminal, 1 if text is not None else 4096)
        except OSError:  # EIO: the other end is closed
            octets = b""
        if not octets:
            assert text is None, f"the program ended before {text!r}; there was {screen!r}"
            return screen
        screen += octets.decode(errors="replace")
    return screen


@pytest.fixture
def service(tmp_path: Path, observing_daemon: Daemon) -> Iterator[Service]:
    """A service that asks the daemon."""
    with Service.made(tmp_path, observing_daemon.address) as service:
        yield service


@pytest.fixture(scope="module")
def alice(observing_site: Site) -> Person:
    """Somebody with password and fob."""
    return observing_site.person("alice")


def test_both_prompts_are_shown_and_answered(service: Service, alice: Person) -> None:
    """pam_radius asks for the password, shows our prompt for the code, and lets the person in."""
    answered = service.authenticate("alice", [("Password: ", PASSWORD), (PROMPT, alice.press())])
    assert ACCEPTED in answered.screen
    assert answered.code == 0


def test_a_wrong_code_is_asked_again_and_then_refused(service: Service, alice: Person) -> None:
    """Three wrong codes are three questions, the second and third for the next code, and then a refusal."""
    wrong = alice.wrong_codes(3)
    answers = [("Password: ", PASSWORD), (PROMPT, wrong[0]), (NEXT, wrong[1]), (NEXT, wrong[2])]
    answered = service.authenticate("alice", answers)
    assert ACCEPTED not in answered.screen
    assert answered.code == 1


def test_a_right_code_at_the_second_question_lets_in(service: Service, alice: Person) -> None:
    """Whoever mistypes once is asked again and gets in with the right code."""
    answers = [("Password: ", PASSWORD), (PROMPT, alice.wrong_codes(1)[0]), (NEXT, alice.press())]
    assert service.authenticate("alice", answers).code == 0


def test_a_used_code_is_refused(service: Service, alice: Person) -> None:
    """The code of the last login leads to the next question, not in."""
    code = alice.press()
    assert service.authenticate("alice", [("Password: ", PASSWORD), (PROMPT, code)]).code == 0
    answers = [("Password: ", PASSWORD), (PROMPT, code), (NEXT, code), (NEXT, code)]
    assert service.authenticate("alice", answers).code == 1
    assert service.authenticate("alice", [("Password: ", PASSWORD), (PROMPT, alice.press())]).code == 0


def test_a_wrong_password_is_refused_without_a_question(service: Service, alice: Person) -> None:
    """After a wrong password, and for somebody unknown, nobody is asked for a code."""
    for user, password in (("alice", "wrong"), ("nobody-knows-me", PASSWORD)):
        answered = service.authenticate(user, [("Password: ", password)])
        assert PROMPT not in answered.screen
        assert answered.code == 1


def test_an_empty_password_is_asked_for_again(service: Service, alice: Person) -> None:
    """Whoever just presses Enter is asked for the password by us, then for the code."""
    answers = [("Password: ", ""), ("Enter your password: ", PASSWORD), (PROMPT, alice.press())]
    assert service.authenticate("alice", answers).code == 0


def test_somebody_without_a_token_sees_the_same_prompts(service: Service, observing_site: Site) -> None:
    """Password right but no token: the same questions as for everybody, and no way in."""
    observing_site.cli("user", "add", "tokenless", "--password-stdin", stdin=PASSWORD)
    answers = [("Password: ", PASSWORD), (PROMPT, "12345678"), (NEXT, "12345679"), (NEXT, "12345670")]
    assert service.authenticate("tokenless", answers).code == 1


@needs_oathtool
def test_a_clock_of_oathtool(service: Service, observing_site: Site) -> None:
    """A TOTP code with SHA-512, made by oathtool, is typed into PAM and accepted."""
    seed = b"sixty-four octets would be more usual with SHA-512, but fewer do"
    observing_site.person("clara", "totp", algorithm="sha512", seed=seed)
    answers = [("Password: ", PASSWORD), (PROMPT, totp(seed, time.time(), 8, "sha512"))]
    assert service.authenticate("clara", answers).code == 0


# --- the second copy -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _doubling(daemon: Daemon, requests: list[bytes], replies: list[bytes]) -> Iterator[Address]:
    """A network between NAS and daemon that delivers each request twice, back to back, and each reply as often as sent.

    The daemon is stopped meanwhile, so that the second copy is there before the first is answered.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end,
    ):
        near.bind(("127.0.0.1", 0))
        far.connect(daemon.address)
        relay = threading.Thread(target=_relay, args=(daemon, near, far, requests, replies))
        relay.start()
        try:
            yield near.getsockname()
        finally:
            end.sendto(b"", near.getsockname())
            relay.join()


def _relay(
    daemon: Daemon, near: socket.socket, far: socket.socket, requests: list[bytes], replies: list[bytes]
) -> None:
    nas: Address = ("", 0)
    while True:
        for ready in select.select([near, far], [], [])[0]:
            if ready is far:
                replies.append(far.recv(4096))
                near.sendto(replies[-1], nas)
                continue
            octets, nas = near.recvfrom(4096)
            if not octets:
                return
            requests.append(octets)
            daemon.pause()
            far.send(octets)
            far.send(octets)
            daemon.resume()


def test_a_doubled_request_gets_one_reply(observing_daemon: Daemon, tmp_path: Path, alice: Person) -> None:
    """pam_radius gives up at a second copy of a challenge; a copy that comes while the first is in work gets none."""
    requests: list[bytes] = []
    replies: list[bytes] = []
    with _doubling(observing_daemon, requests, replies) as relay, Service.made(tmp_path, relay) as service:
        answers = [("Password: ", PASSWORD), (PROMPT, alice.wrong_codes(1)[0]), (NEXT, alice.press())]
        answered = service.authenticate("alice", answers)
    assert answered.code == 0
    assert [octets[0] for octets in requests] == [1, 1, 1]
    assert [octets[0] for octets in replies] == [11, 11, 2]
