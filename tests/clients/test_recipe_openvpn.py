"""docs/nas/openvpn.md, played: OpenVPN on both sides, its radiusplugin, FreeRADIUS for the accounting, and the daemon.

Every file of the recipe is used as it stands there, at the addresses that stand there; a tunnel is really made.
RFC 2865 5.2 (User-Password, which holds both factors here), RFC 2866.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.site import PASSWORD, Person

from . import freeradius_proxy, network, openvpn, recipes
from .openvpn import Gateway
from .recipes import Scene

pytestmark = [*network.NEEDS, *openvpn.NEEDS, openvpn.NEEDS_RADIUS_PLUGIN, *freeradius_proxy.NEEDS]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The machines that the recipe makes."""
    with recipes.played(tmp_path_factory.mktemp("openvpn"), "openvpn") as scene:
        yield scene


@pytest.fixture(scope="module", autouse=True)
def accounting(scene: Scene) -> Iterator[None]:
    """FreeRADIUS beside the daemon, as the recipe has it."""
    with freeradius_proxy.freeradius(scene.machine, scene.home / "accounting.log", "-n", "accounting"):
        yield


@pytest.fixture(scope="module", autouse=True)
def gateway(scene: Scene, accounting: None) -> Iterator[Gateway]:
    """OpenVPN as the recipe has it, once its accounting is answered."""
    with openvpn.openvpn(scene) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def alice(scene: Scene) -> Person:
    """Somebody with password and fob."""
    return scene.site.person("alice")


def test_a_wrong_code_is_refused(scene: Scene, alice: Person) -> None:
    """Nothing is asked again: a wrong code is a refusal."""
    so_far = scene.so_far()
    assert not openvpn.login(scene, "alice", PASSWORD, alice.wrong_codes(1)[0])
    assert scene.outcomes(so_far) == [("rejected", "wrong_code")]


def test_a_wrong_password_is_refused(scene: Scene, alice: Person) -> None:
    """The right code beside a wrong password does not let in."""
    so_far = scene.so_far()
    assert not openvpn.login(scene, "alice", "wrong", alice.press())
    assert scene.outcomes(so_far) == [("rejected", "wrong_password")]


def test_a_used_code_is_refused(scene: Scene, alice: Person) -> None:
    """Password and code together make a tunnel; the same code makes no second one."""
    so_far = scene.so_far()
    code = alice.press()
    assert openvpn.login(scene, "alice", PASSWORD, code)
    assert not openvpn.login(scene, "alice", PASSWORD, code)
    assert scene.outcomes(so_far) == [("accepted", "ok"), ("rejected", "replayed")]


def test_a_tunnel_outlives_its_keys(scene: Scene, gateway: Gateway, alice: Person) -> None:
    """When client and gateway make new keys the first code is not handed in again, and we are not asked."""
    so_far = scene.so_far()
    with openvpn.Client.started(scene, "--reneg-sec", "1") as client:
        assert client.question == "Enter the code from your token:"
        client.answer("alice", PASSWORD, alice.press())
        assert client.is_let_in()
        gateway.wait_for(openvpn.REKEYED)
    assert scene.outcomes(so_far) == [("accepted", "ok")]
