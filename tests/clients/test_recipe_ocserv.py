"""docs/nas/ocserv.md, played: a person at openconnect, Debian's ocserv and radcli, and the daemon.

Every file of the recipe is used as it stands there, at the addresses that stand there. RFC 2865 4.4 (Access-Challenge).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.site import PASSWORD, Person

from . import network, ocserv, recipes
from .recipes import Scene

pytestmark = [*network.NEEDS, *ocserv.NEEDS]

PASSWORD_PROMPT = "Password"
CODE_PROMPT = "Enter the code from your token"
NEXT_PROMPT = "Enter the next code"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The gateway that the recipe makes."""
    with recipes.played(tmp_path_factory.mktemp("ocserv"), "ocserv") as scene, ocserv.ocserv(scene):
        yield scene


@pytest.fixture(scope="module")
def alice(scene: Scene) -> Person:
    """Somebody with password and fob."""
    return scene.site.person("alice")


def test_a_wrong_code_is_refused(scene: Scene, alice: Person) -> None:
    """Three wrong codes are three questions, and no cookie at the end of them."""
    so_far = scene.so_far()
    wrong = alice.wrong_codes(3)
    answers = [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, wrong[0]), (NEXT_PROMPT, wrong[1]), (NEXT_PROMPT, wrong[2])]
    ended = ocserv.login(scene, "alice", answers)
    assert ended.code != 0
    assert ocserv.COOKIE not in ended.printed
    assert [outcome for outcome, _ in scene.outcomes(so_far)] == ["challenged", "challenged", "challenged", "rejected"]


def test_a_used_code_is_refused_and_a_new_one_lets_in(scene: Scene, alice: Person) -> None:
    """The code of the last login leads to the next question; the code after it lets in."""
    so_far = scene.so_far()
    code = alice.press()
    first = ocserv.login(scene, "alice", [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, code)])
    assert ocserv.COOKIE in first.printed
    answers = [(PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, code), (NEXT_PROMPT, alice.press())]
    second = ocserv.login(scene, "alice", answers)
    assert ocserv.COOKIE in second.printed
    assert scene.outcomes(so_far) == [
        ("challenged", "code_wanted"),
        ("accepted", "ok"),
        ("challenged", "code_wanted"),
        ("challenged", "replayed"),
        ("accepted", "ok"),
    ]


def test_a_wrong_password_is_asked_for_again_and_no_code_is(scene: Scene, alice: Person) -> None:
    """After a wrong password ocserv asks for the password again; only the right one leads to the code."""
    so_far = scene.so_far()
    answers = [(PASSWORD_PROMPT, "wrong"), (PASSWORD_PROMPT, PASSWORD), (CODE_PROMPT, alice.press())]
    ended = ocserv.login(scene, "alice", answers)
    assert ocserv.COOKIE in ended.printed
    assert ended.screen.count(CODE_PROMPT) == 1
    assert scene.outcomes(so_far) == [("rejected", "wrong_password"), ("challenged", "code_wanted"), ("accepted", "ok")]
