"""docs/nas/sshd.md, played: stock ssh, Debian's sshd with all its PAM stack, pam_radius, and the daemon.

Every file of the recipe is used as it stands there, at the addresses that stand there. RFC 2865 4.4, RFC 4256.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.site import PASSWORD, Person

from . import network, recipes, sshd
from .laptop import Laptop
from .machines import Ended
from .network import GATEWAY
from .recipes import Scene

pytestmark = [*network.NEEDS, *sshd.NEEDS]

BASTION = "bastion.example.org"
PASSWORD_PROMPT = f"(alice@{BASTION}) Password: "
CODE_PROMPT = f"(alice@{BASTION}) Enter the code from your token: "
NEXT_PROMPT = f"(alice@{BASTION}) Enter the next code: "


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The bastion that the recipe makes, before sshd is started."""
    with recipes.played(tmp_path_factory.mktemp("sshd"), "sshd", users=("alice",)) as scene:
        yield scene


@pytest.fixture(scope="module")
def laptop(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A laptop whose ssh knows that bastion."""
    with sshd.as_installed(scene.machine, BASTION, scene.home / "sshd.log") as host:
        laptop = Laptop.make(tmp_path_factory.mktemp("laptop"), {})
        (laptop.home / ".ssh" / "known_hosts").write_text(f"{BASTION} {host.key}\n")
        with (laptop.machine.etc / "hosts").open("a") as hosts:
            hosts.write(f"{GATEWAY} {BASTION}\n")
        yield laptop


@pytest.fixture(scope="module")
def alice(scene: Scene) -> Person:
    """Somebody with password and fob."""
    return scene.site.person("alice")


def _login(laptop: Laptop, answers: list[tuple[str, str]]) -> Ended:
    with laptop.ssh(f"alice@{BASTION}") as seat:
        for prompt, answer in answers:
            seat.until(prompt)
            seat.type(answer)
        return seat.end()


def test_a_wrong_code_is_refused(scene: Scene, laptop: Laptop, alice: Person) -> None:
    """Three wrong codes are three questions and no session."""
    so_far = scene.so_far()
    wrong = alice.wrong_codes(3)
    answers = [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, wrong[0]), (NEXT_PROMPT, wrong[1]), (NEXT_PROMPT, wrong[2])]
    ended = _login(laptop, answers)
    assert ended.code == 255
    assert ended.printed == ""
    assert [outcome for outcome, _ in scene.outcomes(so_far)] == ["challenged", "challenged", "challenged", "rejected"]


def test_a_wrong_password_is_refused_without_a_question(scene: Scene, laptop: Laptop) -> None:
    """After a wrong password no code is asked for."""
    so_far = scene.so_far()
    ended = _login(laptop, [(PASSWORD_PROMPT, "wrong")])
    assert ended.code == 255
    assert CODE_PROMPT not in ended.screen
    assert scene.outcomes(so_far) == [("rejected", "wrong_password")]


def test_a_used_code_is_refused_and_a_new_one_lets_in(scene: Scene, laptop: Laptop, alice: Person) -> None:
    """The code of the last login leads to the next question; the code after it lets in."""
    so_far = scene.so_far()
    code = alice.press()
    ended = _login(laptop, [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, code)])
    assert (ended.code, ended.printed) == (0, "alice\n")
    ended = _login(laptop, [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, code), (NEXT_PROMPT, alice.press())])
    assert (ended.code, ended.printed) == (0, "alice\n")
    assert scene.outcomes(so_far) == [
        ("challenged", "code_wanted"),
        ("accepted", "ok"),
        ("challenged", "code_wanted"),
        ("challenged", "replayed"),
        ("accepted", "ok"),
    ]


def test_a_key_alone_does_not_let_in(scene: Scene, laptop: Laptop) -> None:
    """An SSH client that offers its public key is told that only the question counts."""
    so_far = scene.so_far()
    by_key = "Host by-key\n  HostName {}\n  PreferredAuthentications publickey\n"
    (laptop.home / ".ssh" / "hosts" / "by-key").write_text(by_key.format(BASTION))
    with laptop.ssh("alice@by-key") as seat:
        ended = seat.end()
    assert ended.code == 255
    assert "Permission denied (keyboard-interactive)" in ended.screen
    assert scene.outcomes(so_far) == []
