"""docs/nas/freeradius.md, played: radclient as the gateway, two FreeRADIUS proxies in a row, and the daemon.

The nearer proxy is the recipe to the letter; the farther one is the same recipe, moved by one address.
RFC 2865 5.33 (Proxy-State), 4.4 (Access-Challenge); RFC 3579 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.site import PASSWORD, Person

from . import freeradius_proxy, network, recipes
from .freeradius_proxy import Answer
from .network import FAR_PROXY, GATEWAY, PROXY, SERVER
from .recipes import GATEWAYS_SECRET, REPLACED, SECRET, Scene

pytestmark = [*network.NEEDS, *freeradius_proxy.NEEDS]

PROMPT = '"Enter the code from your token: "'
NEXT = '"Enter the next code: "'
OF_THE_GATEWAY = ("0x6f6e65", "0x74776f")
"""Proxy-States that are there before the first proxy of ours."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The proxy that the recipe makes, and one more in front of it."""
    folder = tmp_path_factory.mktemp("freeradius")
    hops = {SERVER: PROXY, PROXY: FAR_PROXY, FAR_PROXY: GATEWAY}
    with recipes.played(folder, "freeradius", comes_from=hops) as scene:
        moved = {PROXY: FAR_PROXY, SERVER: PROXY, SECRET: REPLACED[GATEWAYS_SECRET]}
        far, _ = recipes.gateway(folder / "far", scene.recipe, more=moved)
        near_log, far_log = scene.home / "near.log", scene.home / "far.log"
        with freeradius_proxy.freeradius(scene.machine, near_log, "-xx"), freeradius_proxy.freeradius(far, far_log):
            yield scene


@pytest.fixture(scope="module")
def secret_file(scene: Scene) -> Path:
    """The secret of the gateways, where radclient can read it and `ps` cannot."""
    path = scene.home / "secret"
    path.touch(mode=0o600)
    path.write_text(REPLACED[GATEWAYS_SECRET])
    return path


@pytest.fixture(scope="module")
def alice(scene: Scene) -> Person:
    """Somebody with password and fob."""
    return scene.site.person("alice")


def _ask(secret_file: Path, password: str, after: Answer | None = None) -> Answer:
    """Ask the far proxy, as a gateway that is a proxy too; ``after`` a question, answer it."""
    state = [] if after is None else [f"State = {value}" for value in after.values("State")]
    proxied = [f"Proxy-State = {value}" for value in OF_THE_GATEWAY]
    words = ['User-Name = "alice"', f'User-Password = "{password}"', *state, *proxied]
    return freeradius_proxy.ask(f"{FAR_PROXY}:1812", secret_file, *words)


def test_a_wrong_code_is_refused(scene: Scene, secret_file: Path, alice: Person) -> None:
    """Questions and the refusal at their end come back through both proxies, every Proxy-State in its place."""
    so_far = scene.so_far()
    answer = _ask(secret_file, PASSWORD)
    assert (answer.kind, answer.values("Reply-Message")) == ("Challenge", [PROMPT])
    for code in alice.wrong_codes(2):
        answer = _ask(secret_file, code, answer)
        assert (answer.kind, answer.values("Reply-Message")) == ("Challenge", [NEXT])
    answer = _ask(secret_file, alice.wrong_codes(3)[2], answer)
    assert answer.kind == "Reject"
    assert tuple(answer.values("Proxy-State")) == OF_THE_GATEWAY
    assert scene.outcomes(so_far)[-1] == ("rejected", "wrong_code")


def test_a_wrong_password_is_refused_without_a_question(scene: Scene, secret_file: Path) -> None:
    """After a wrong password the reply is a refusal."""
    so_far = scene.so_far()
    assert _ask(secret_file, "wrong").kind == "Reject"
    assert scene.outcomes(so_far) == [("rejected", "wrong_password")]


def test_a_used_code_is_refused_and_a_new_one_lets_in(scene: Scene, secret_file: Path, alice: Person) -> None:
    """The code of the last login leads to the next question; the code after it lets in."""
    so_far = scene.so_far()
    code = alice.press()
    assert _ask(secret_file, code, _ask(secret_file, PASSWORD)).kind == "Accept"
    again = _ask(secret_file, code, _ask(secret_file, PASSWORD))
    assert again.kind == "Challenge"
    accepted = _ask(secret_file, alice.press(), again)
    assert accepted.kind == "Accept"
    assert tuple(accepted.values("Proxy-State")) == OF_THE_GATEWAY
    assert [reason for _, reason in scene.outcomes(so_far)] == ["code_wanted", "ok", "code_wanted", "replayed", "ok"]


def test_password_and_code_in_one_field_go_through(scene: Scene, secret_file: Path, alice: Person) -> None:
    """A gateway that has one field for both is served through the same proxies."""
    assert _ask(secret_file, f"{PASSWORD}{alice.wrong_codes(1)[0]}").kind == "Reject"
    assert _ask(secret_file, f"{PASSWORD}{alice.press()}").kind == "Accept"


def test_each_proxy_gets_its_own_state_back(scene: Scene, secret_file: Path, alice: Person) -> None:
    """Our reply has four Proxy-States, as the request had: two of the gateway, one of each proxy, in this order."""
    assert _ask(secret_file, f"{PASSWORD}{alice.press()}").kind == "Accept"
    said = (scene.home / "near.log").read_text()
    asked = said.rpartition(f"to {SERVER}:1812")[2].partition("Received Access-Accept")
    sent, got = (re.findall(r"Proxy-State = (0x\w+)", part) for part in (asked[0], asked[2].partition("Sent ")[0]))
    assert len(got) == 4
    assert got == sent
    assert tuple(got[:2]) == OF_THE_GATEWAY
