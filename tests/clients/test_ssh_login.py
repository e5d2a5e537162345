"""ssh to a bastion, by nothing but stock programs and our askpass: password, then a touch, and what a relay can do.

The person's ssh, sshd, PAM, pam_radius and the daemon are real processes; only the key is emulated. The relay is a real
one too: a fake host that asks what the bastion asks, and types there what its visitor has answered.
docs/fido-over-radius.md (the ssh ceremony), RFC 4256 (keyboard-interactive), RFC 2865 4.4.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.emulators.softkey import Button, SoftKey, automatic
from radiusd2fa.emulators.softkey.key import Touch
from radiusd2fa.emulators.softkey.pty import PtyKey
from tests.daemon.site import PASSWORD, USUAL_CLIENTS, Daemon, Person, Site
from tests.emulators.responder import Reply, Responder, accept, challenge, reject

from . import sshd
from .conftest import PLAIN_SECRET
from .laptop import Laptop, registered
from .machines import Ended
from .sshd import Host

pytestmark = [*sshd.NEEDS]

BASTION: Final = "bastion.example.org"
EVIL: Final = "evil.example.org"
USERS: Final = ("alice",)
AT_BASTION: Final = "127.0.1.5"
"""Where the bastion's RADIUS requests come from."""

CODE: Final = "Enter the code from your token, or use your security key for bastion "
NEXT: Final = "Enter the next code, or use your security key for bastion "
KEPT_AS_TYPED: Final = 'printf "%s\\n" "$1" >>"$HOME/prompts"; exec cat "$HOME/password"'
"""An askpass of the desktop's: it notes what it is asked, and knows the password."""


# --- the scene -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bastion_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with a bastion that people call by two names, and where fobs count as well as keys."""
    client = (
        f'{{networks: [{AT_BASTION}/32], secret: "{PLAIN_SECRET.decode()}", reject_delay: 0s, flow: challenge, '
        f"message_authenticator: observe, host_names: [{BASTION}, bastion]}}"
    )
    return Site.make(
        tmp_path_factory.mktemp("bastion"),
        USUAL_CLIENTS | {"bastion": client},
        fido="{rp_id: auth.example.org}",
        rules="[{name: all, factors: [fido, hotp], ceremonies: [ssh]}]",
        challenge="{tries: 2}",
    )


@pytest.fixture(scope="module")
def asked(bastion_site: Site) -> Iterator[Daemon]:
    """The daemon that the bastion asks."""
    with bastion_site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def bastion(tmp_path_factory: pytest.TempPathFactory, asked: Daemon) -> Iterator[Host]:
    """The bastion."""
    folder = tmp_path_factory.mktemp("hosts") / "bastion"
    with sshd.host(folder, BASTION, asked.address, PLAIN_SECRET.decode(), AT_BASTION, USERS) as host:
        yield host


@pytest.fixture(scope="module")
def alice(bastion_site: Site) -> Person:
    """Somebody with password and fob."""
    return bastion_site.person("alice")


@pytest.fixture(scope="module")
def key(bastion_site: Site, alice: Person, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Her key, which is a file, and its card."""
    file = tmp_path_factory.mktemp("key") / "key.json"
    with PtyKey(SoftKey.make(path=file)) as plugged_in:
        return file, registered(bastion_site, alice.name, plugged_in.path)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory, bastion: Host, key: tuple[Path, str]) -> Laptop:
    """Her laptop. It knows the bastion under three names, of which the daemon accepts two."""
    names = {BASTION: bastion, "bastion": bastion, "alias.example.org": bastion}
    laptop = Laptop.make(tmp_path_factory.mktemp("laptop"), names)
    laptop.set_up(key[1])
    return laptop


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, bastion: Host) -> Laptop:
    """A laptop whose ssh asks nobody but the person at the terminal."""
    return Laptop.make(tmp_path_factory.mktemp("plain"), {BASTION: bastion})


class Bench:
    """Where a test plugs her key in."""

    def __init__(self, stack: ExitStack, file: Path) -> None:
        self._stack = stack
        self._file = file

    def plugged_in(self, touch: Touch = automatic) -> dict[str, str]:
        """Plug the key in; return what tells the helper where."""
        place = self._stack.enter_context(PtyKey(SoftKey.load(self._file, touch=touch)))
        return {"RADIUSD2FA_KEY_DEVICE": place.path}


@pytest.fixture
def bench(key: tuple[Path, str]) -> Iterator[Bench]:
    """Her key, pulled out after the test."""
    with ExitStack() as stack:
        yield Bench(stack, key[0])


def _login(
    laptop: Laptop, environment: dict[str, str], to: str = BASTION, *, typed: str = "", after: str = ""
) -> Ended:
    """Type the password; then a key answers, or this is typed after that was on the screen."""
    with laptop.ssh(f"alice@{to}", **environment) as seat:
        seat.until(f"(alice@{to}) Password: ")
        seat.type(PASSWORD)
        if typed:
            seat.until(after)
            seat.type(typed)
        return seat.end()


def _outcomes(site: Site, since: int) -> list[tuple[str, str, str]]:
    """What the audit says of the bastion's logins since it had so many rows."""
    return [(row["outcome"], row["factor"], row["reason"]) for row in site.audit()[since:] if row["nas"] == "bastion"]


ASKED: Final = ("challenged", "", "code_wanted")
BY_KEY: Final = ("accepted", "fido", "ok")
BY_FOB: Final = ("accepted", "hotp", "ok")


# --- refused ---------------------------------------------------------------------------------------------------------


def _relay(fake: Responder, attacker: Laptop, got_in: list[str]) -> Iterator[Reply]:
    """What a fake bastion has behind it: an ssh to the real one, which is told all that the visitor says."""
    with attacker.ssh(f"alice@{BASTION}") as there:
        while (prompt := there.look_for(rf"\(alice@{re.escape(BASTION)}\) ([^\r\n]*: )\Z")) is not None:
            if prompt[1].startswith(NEXT):
                break
            if prompt[1] != "Password: ":
                yield replace(challenge(prompt[1], b"relayed"), sign_with=fake.secret)
            there.type(fake.seen[-1].password)
        else:
            ended = there.end()
            got_in += [ended.printed] if ended.code == 0 else []
    yield replace(accept() if got_in else reject(), sign_with=fake.secret)


@dataclass(slots=True)
class Visited:
    """What came of a visit to the fake bastion: what she saw, and what its owner got at the real one."""

    ended: Ended
    got_in: list[str]


def _visit(folder: Path, laptop: Laptop, bastion: Host, environment: dict[str, str], typed: str = "") -> Visited:
    """Let her log in at a fake bastion whose key she has accepted."""
    attacker = Laptop.make(folder / "attacker", {BASTION: bastion})
    got_in: list[str] = []
    fake = Responder(secret=PLAIN_SECRET)
    fake.script = _relay(fake, attacker, got_in)
    with fake, sshd.host(folder / "evil", EVIL, fake.server, fake.secret.decode(), "127.0.0.1", USERS) as evil:
        laptop.accept(evil, EVIL)
        return Visited(_login(laptop, environment, EVIL, typed=typed, after=CODE), got_in)


def test_a_relayed_touch_does_not_let_in(
    bastion_site: Site, asked: Daemon, bastion: Host, laptop: Laptop, bench: Bench, tmp_path: Path
) -> None:
    """A fake host that relays the bastion's prompt gets a response for its own name, which lets nobody in."""
    since, plugged_in = len(bastion_site.audit()), bench.plugged_in()
    visited = _visit(tmp_path, laptop, bastion, plugged_in)
    assert f"Login of alice at {EVIL}\r\n" in visited.ended.screen
    assert (visited.ended.code, visited.ended.printed, visited.got_in) == (255, "", [])
    assert _outcomes(bastion_site, since) == [ASKED, ("challenged", "", "wrong_key_response")]
    asked.wait_for("access.challenged", nas="bastion", user="alice", reason="wrong_key_response")
    assert _login(laptop, plugged_in).printed == "alice\n"
    assert _outcomes(bastion_site, since)[2:] == [ASKED, BY_KEY]


def test_a_relayed_code_lets_in(
    bastion_site: Site, bastion: Host, plain: Laptop, alice: Person, tmp_path: Path
) -> None:
    """The same relay lives off codes, which are bound to no host: it is the key that stops it."""
    since = len(bastion_site.audit())
    visited = _visit(tmp_path, plain, bastion, {}, alice.press())
    assert visited.got_in == ["alice\n"]
    assert _outcomes(bastion_site, since) == [ASKED, BY_FOB]


def test_a_host_that_is_not_listed(bastion_site: Site, laptop: Laptop, bench: Bench) -> None:
    """Who calls the bastion by a name that its client does not list gets no further than a relay."""
    since = len(bastion_site.audit())
    assert _login(laptop, bench.plugged_in(), "alias.example.org").code == 255
    refused = [(outcome, "", "wrong_key_response") for outcome in ("challenged", "rejected")]
    assert _outcomes(bastion_site, since) == [ASKED, *refused]


def test_a_response_made_by_hand(bastion_site: Site, plain: Laptop, laptop: Laptop, bench: Bench) -> None:
    """Where only the ssh ceremony is allowed, a response that names no host is refused, and the log says why."""
    since, plugged_in = len(bastion_site.audit()), bench.plugged_in()
    with plain.ssh(f"alice@{BASTION}") as seat:
        seat.until("Password: ")
        seat.type(PASSWORD)
        prompt = seat.look_for("RK1-[0-9A-Z-]*: ")
        assert prompt is not None
        seat.type(laptop.run("respond", prompt[0], "--device", plugged_in["RADIUSD2FA_KEY_DEVICE"]).strip())
        seat.until(NEXT)
    assert _outcomes(bastion_site, since) == [ASKED, ("challenged", "fido", "not_bound_to_host")]


def test_an_ssh_that_a_server_can_deceive(
    bastion_site: Site, laptop: Laptop, alice: Person, bench: Bench, key: tuple[Path, str], tmp_path: Path
) -> None:
    """An ssh that says it is OpenSSH 8.4 is believed nothing: no key is asked, and a code may be typed."""
    since, counter = len(bastion_site.audit()), SoftKey.load(key[0]).state.counter
    old = replace(laptop, ssh_program=str(_older(Path(laptop.ssh_program), tmp_path / "ssh")))
    ended = _login(old, bench.plugged_in(), typed=alice.press(), after=CODE)
    assert "no key is asked: this ssh is OpenSSH 8.4, and before 8.5 a server can make up the name of" in ended.screen
    assert ended.printed == "alice\n"
    assert _outcomes(bastion_site, since) == [ASKED, BY_FOB]
    assert SoftKey.load(key[0]).state.counter == counter


def _older(ssh: Path, copy: Path) -> Path:
    """Copy this very ssh, but for the version that it calls itself."""
    said = subprocess.run([ssh, "-V"], capture_output=True, check=True).stderr
    version = re.match(rb"OpenSSH_\S+", said)
    assert version is not None, said
    copy.write_bytes(ssh.read_bytes().replace(version[0], b"OpenSSH_8.4p1".ljust(len(version[0]), b"_")))
    copy.chmod(0o755)
    return copy


# --- without a touch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "until"),
    [
        pytest.param("no such reader", "Plug in your key, or type a code", id="none-at-hand"),
        pytest.param(
            "/dev/no-such-key",
            f"There is no security key at /dev/no-such-key.\r\n(alice@{BASTION}) {CODE}",
            id="not-there",
        ),
    ],
)
def test_no_key_is_plugged_in(bastion_site: Site, laptop: Laptop, alice: Person, device: str, until: str) -> None:
    """Without a key there is one clear sentence, and a code may be typed."""
    since = len(bastion_site.audit())
    ended = _login(laptop, {"RADIUSD2FA_KEY_DEVICE": device}, typed=alice.press(), after=until)
    assert (ended.code, ended.printed) == (0, "alice\n")
    assert _outcomes(bastion_site, since) == [ASKED, BY_FOB]


def test_a_code_is_typed_while_the_key_blinks(bastion_site: Site, laptop: Laptop, alice: Person, bench: Bench) -> None:
    """Whoever has the fob at hand and not the key types a code into the same prompt; the key is let go."""
    since, button = len(bastion_site.audit()), Button()
    ended = _login(laptop, bench.plugged_in(button), typed=(code := alice.press()), after="Touch security key at ")
    assert button.blinks.is_set()
    assert ended.printed == "alice\n"
    assert code not in ended.screen
    assert _outcomes(bastion_site, since) == [ASKED, BY_FOB]


# --- with a touch ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [BASTION, "bastion"])
def test_password_at_the_terminal_then_a_touch(bastion_site: Site, laptop: Laptop, bench: Bench, name: str) -> None:
    """The password is asked for as ever, unseen; then the key is touched, and a command runs on the bastion."""
    since = len(bastion_site.audit())
    ended = _login(laptop, bench.plugged_in(), name)
    assert (ended.code, ended.printed) == (0, "alice\n")
    assert PASSWORD not in ended.screen
    assert f"Login of alice at {name}\r\n" in ended.screen
    assert _outcomes(bastion_site, since) == [ASKED, BY_KEY]


def test_password_by_the_next_askpass_then_a_touch(bastion_site: Site, laptop: Laptop, bench: Bench) -> None:
    """Without a terminal the desktop's askpass is asked for the password, in ssh's own words, and for nothing else."""
    since, desktop = len(bastion_site.audit()), laptop.home / "askpass"
    desktop.write_text(f"#!/bin/sh\n{KEPT_AS_TYPED}\n")
    desktop.chmod(0o755)
    (laptop.home / "password").write_text(PASSWORD)
    environment = bench.plugged_in() | {"RADIUSD2FA_KEY_NEXT_ASKPASS": str(desktop)}
    ended = laptop.ssh_from_desktop(f"alice@{BASTION}", **environment)
    assert (ended.code, ended.printed) == (0, "alice\n"), ended.screen
    assert (laptop.home / "prompts").read_text() == f"(alice@{BASTION}) Password: \n"
    assert _outcomes(bastion_site, since) == [ASKED, BY_KEY]
