"""docs/nas/openvpn-pam.md, played: OpenVPN on both sides, its auth-pam plugin, pam_radius, and the daemon.

Every file of the recipe is used as it stands there, at the addresses that stand there; a tunnel is really made.
RFC 2865 4.4 (Access-Challenge).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.site import PASSWORD, Person

from . import network, openvpn, recipes, sshd
from .recipes import Scene

pytestmark = [*network.NEEDS, *openvpn.NEEDS, sshd.NEEDS_MODULE]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The gateway that the recipe makes."""
    folder = tmp_path_factory.mktemp("openvpn-pam")
    with recipes.played(folder, "openvpn-pam") as scene, openvpn.openvpn(scene):
        yield scene


@pytest.fixture(scope="module")
def alice(scene: Scene) -> Person:
    """Somebody with password and fob."""
    return scene.site.person("alice")


def test_a_wrong_code_is_refused_and_counted_once(scene: Scene, alice: Person) -> None:
    """The next question, which the plugin has no answer to, ends the login: one failure, not one for each try."""
    so_far = scene.so_far()
    assert not openvpn.login(scene, "alice", PASSWORD, alice.wrong_codes(1)[0])
    assert scene.outcomes(so_far) == [("challenged", "code_wanted"), ("challenged", "wrong_code")]
    assert scene.site.facts("alice")["failures"] == 1


def test_a_wrong_password_is_refused(scene: Scene, alice: Person) -> None:
    """The right code beside a wrong password does not let in, and is not looked at."""
    so_far = scene.so_far()
    assert not openvpn.login(scene, "alice", "wrong", alice.press())
    assert scene.outcomes(so_far) == [("rejected", "wrong_password")]


def test_a_used_code_is_refused(scene: Scene, alice: Person) -> None:
    """Password and code together make a tunnel; the same code makes no second one."""
    so_far = scene.so_far()
    code = alice.press()
    assert openvpn.login(scene, "alice", PASSWORD, code)
    assert not openvpn.login(scene, "alice", PASSWORD, code)
    assert scene.outcomes(so_far) == [
        ("challenged", "code_wanted"),
        ("accepted", "ok"),
        ("challenged", "code_wanted"),
        ("challenged", "replayed"),
    ]


def test_a_connection_that_comes_back_needs_no_new_code(scene: Scene, alice: Person) -> None:
    """Whoever was let in reconnects with the token that the gateway gave out, and we are not asked."""
    so_far = scene.so_far()
    with openvpn.Client.started(scene) as client:
        client.answer("alice", PASSWORD, alice.press())
        assert client.is_let_in()
        client.reconnect()
        assert client.is_let_in()
    assert scene.outcomes(so_far) == [("challenged", "code_wanted"), ("accepted", "ok")]
