"""The configurations of config/examples/: each is in order, and lets people in and turns them away as it says.

Only what belongs to a place is changed: addresses, ports, paths, the day on which a grace ends (which would pass some
day), and where the daemon writes its log. Secrets and the directory's password lie in the files that the examples name.
RFC 2865 5.26 (Vendor-Specific), RFC 4511 (the directory is a real one).
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.directory import slapd as directory

from .site import PASSWORD, Daemon, Person, Site
from .wire import Peer, Reply

EXAMPLES: Final = Path(__file__).parents[2] / "config/examples"
SHARED: Final = b"the secret of this device, long enough"
OLD: Final = b"the secret that is being replaced"

CISCO, FORTINET, JUNIPER = 9, 12356, 2636
SERVICE_TYPE: Final = 6


def vendor(number: int, kind: int, value: bytes) -> tuple[int, bytes]:
    """A Vendor-Specific attribute."""
    return 26, struct.pack(">LBB", number, kind, 2 + len(value)) + value


def settle(folder: Path, name: str, changes: dict[str, str]) -> Site:
    """Make a site out of an example: this host's addresses instead of the book's, and the files that it names."""
    text = (EXAMPLES / f"{name}.yaml").read_text()
    usual = {
        r"sqlite:////var/lib/radiusd2fa/": "sqlite:///",
        r"\b192\.0\.2\.": "127.0.2.",
        r'"0\.0\.0\.0:[0-9]+"': '"127.0.2.1:0"',
        r'"\[::\]:[0-9]+"': '"[::1]:0"',
        r'(?<="127\.0\.2\.5:)[0-9]+': "0",
    }
    for pattern, replacement in (usual | changes).items():
        text, count = re.subn(pattern, replacement, text)
        assert count or pattern in usual, pattern
    text += "log: {format: json, level: debug}\n" + ("" if "syslog:" in text else "syslog: off\n")
    site = Site(folder, SHARED)
    folder.mkdir(mode=0o700)
    for file in re.findall(r"(?m)^ +[a-z_]*_file: ([a-z.]+)", text):
        if file.endswith((".secret", ".old")):
            (folder / file).touch(mode=0o600)
            (folder / file).write_bytes(OLD if file.endswith(".old") else SHARED)
    site.config.touch(mode=0o600)
    site.config.write_text(text)
    return site


def begin(site: Site) -> Site:
    """Make what a new site needs; then the command that looks for mistakes finds none."""
    site.cli("init", "--dir", str(site.folder))
    assert f"{site.config} is in order" in site.cli("check")
    return site


@contextlib.contextmanager
def serving(site: Site, source: str) -> Iterator[Daemon]:
    """A daemon that answers the client at that address; it is ended with the block, and ends well."""
    daemon = site.start()
    try:
        daemon.wait_for("server.started")
        for line in daemon.lines("server.listening"):
            host, _, port = line["address"].rpartition(":")
            daemon.addresses.append((host.strip("[]"), int(port)))
        with daemon.peer(source) as peer:
            peer.wait_until_served()
        yield daemon
        assert daemon.stop() == 0, site.log.read_text()
    finally:
        daemon.kill()


def people(site: Site, **groups: str) -> dict[str, Person]:
    """Add people with fobs, each in one group."""
    for name, group in groups.items():
        site.cli("user", "add", name, "--group", group, "--password-stdin", stdin=PASSWORD)
    return {name: Person(name, site.fob(name)) for name in groups}


@contextlib.contextmanager
def a_log_host() -> Iterator[int]:
    """Somewhere for syslog to go to; what arrives is left lying. Returns its port."""
    with socket.create_server(("127.0.2.30", 0)) as listening:
        yield listening.getsockname()[1]


def answer(peer: Peer, user: str, password: str | bytes, code: str) -> Reply:
    """Give a password, then a code at the question that must come."""
    question = peer.ask(user, password)
    assert question.kind == "challenge"
    assert question.prompt == "Enter the code from your token: "
    return peer.ask(user, code, question.state)


# --- the bastion ------------------------------------------------------------------------------------------------------

BASTION: Final = "127.0.2.20"


@pytest.fixture
def bastion(tmp_path: Path) -> Iterator[tuple[Daemon, Person]]:
    """The daemon of the bastion, and alice."""
    with a_log_host() as port:
        site = begin(settle(tmp_path / "site", "bastion", {r"(?<=tcp://127\.0\.2\.30:)514": str(port)}))
        alice = site.person("alice")
        with serving(site, BASTION) as daemon:
            yield daemon, alice


def test_the_bastion(bastion: tuple[Daemon, Person]) -> None:
    """Password and code let in, unsigned as pam_radius asks; a wrong one does not, and shows only at the end."""
    daemon, alice = bastion
    with daemon.peer(BASTION) as peer:
        question = peer.ask("alice", PASSWORD, sign=False)
        assert (question.kind, question.prompt) == ("challenge", "Enter the code from your token: ")
        assert peer.ask("alice", alice.press(), question.state, sign=False).kind == "accept"
        spoilt = [
            answer(peer, "alice", "a wrong password", alice.press()),
            answer(peer, "alice", PASSWORD, alice.wrong_codes(1)[0]),
        ]
        assert [(reply.kind, reply.prompt) for reply in spoilt] == [("reject", "")] * 2
    assert daemon.wait_for("access.rejected", user="alice")["reason"] == "wrong_password"


# --- switches ---------------------------------------------------------------------------------------------------------

ACCESS, CORE, ELSEWHERE = "127.0.2.130", "127.0.2.200", "127.0.2.127"


def test_the_switches(tmp_path: Path) -> None:
    """Each device is told what somebody may do there, and whom no rule names gets in nowhere."""
    site = begin(settle(tmp_path / "site", "switch", {}))
    known = people(site, alice="NetAdmins", bob="operators", carol="staff")
    with serving(site, ACCESS) as daemon:
        assert len(daemon.addresses) == 2
        with Peer(daemon.addresses[1], SHARED, ACCESS) as access, daemon.peer(CORE) as core:
            admitted = access.ask("alice", PASSWORD + known["alice"].press(), sign=False)
            assert admitted.kind == "accept"
            assert vendor(CISCO, 1, b"shell:priv-lvl=15") in admitted.attributes
            assert (SERVICE_TYPE, b"\0\0\0\x07") in admitted.attributes
            looking = access.ask("bob", PASSWORD + known["bob"].press())
            assert looking.kind == "accept"
            assert vendor(CISCO, 1, b"shell:priv-lvl=1") in looking.attributes
            assert access.ask("carol", PASSWORD + known["carol"].press()).kind == "reject"
            assert access.ask("alice", PASSWORD + known["alice"].wrong_codes(1)[0]).kind == "reject"

            admitted = answer(core, "alice", PASSWORD, known["alice"].press())
            assert admitted.kind == "accept"
            assert vendor(JUNIPER, 1, b"admins") in admitted.attributes
            assert not [value for kind, value in admitted.attributes if kind == 26 and b"shell" in value]
            question = core.ask("bob", PASSWORD)
            assert core.ask("bob", known["bob"].press(), question.state).kind != "accept"
        with daemon.peer(ACCESS, OLD) as not_changed_yet:
            assert not_changed_yet.ask("alice", PASSWORD + known["alice"].press()).kind == "accept"
        with daemon.peer(ELSEWHERE) as stranger:
            assert not stranger.is_answered(stranger.status_request(), 0.2)


# --- the bastion with security keys -----------------------------------------------------------------------------------


def test_the_bastion_with_keys(tmp_path: Path) -> None:
    """Who has a fob goes on with it; administrators need a key, and a fob of theirs is none."""
    with a_log_host() as port:
        site = begin(settle(tmp_path / "site", "keys", {r"(?<=tcp://127\.0\.2\.30:)514": str(port)}))
        known = people(site, alice="admins", bob="staff")
        with serving(site, BASTION) as daemon, daemon.peer(BASTION) as peer:
            assert answer(peer, "bob", PASSWORD, known["bob"].press()).kind == "accept"
            question = peer.ask("alice", PASSWORD)
            assert question.kind == "challenge"
            assert peer.ask("alice", known["alice"].press(), question.state).kind != "accept"


# --- the VPN ----------------------------------------------------------------------------------------------------------

VPN, BRANCH = "127.0.2.10", "127.0.2.11"
DIRECTORYS: Final = directory.PASSWORD.decode()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[directory.Slapd]:
    """A company's directory: alice and bob are in the group VPN Users, others are not."""
    with directory.slapd(tmp_path_factory.mktemp("directory") / "slapd") as running:
        yield running


def for_the_vpn(folder: Path, company: directory.Slapd, last_day: datetime) -> Site:
    """Make a site out of the example; its second server is not there, as happens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    changes = {
        r"ldaps://dc1\.example\.org": f"ldaps://localhost:{nobody}",
        r"ldaps://dc2\.example\.org": company.tls,
        r"(?<=grace_until: )[0-9-]+": last_day.date().isoformat(),
    }
    site = settle(folder, "vpn", changes)
    shutil.copy(company.authority, folder / "company-ca.pem")
    (folder / "ldap.password").touch(mode=0o600)
    (folder / "ldap.password").write_bytes(directory.SEARCHERS_PASSWORD)
    return begin(site)


GROUP: Final = vendor(FORTINET, 1, b"VPN Users")


@pytest.mark.usefixtures("company")
class TestVpn:
    """The directory's people at the gateways."""

    pytestmark = directory.needs_slapd

    def test_the_roll_out(self, tmp_path: Path, company: directory.Slapd) -> None:
        """Before the day a password is enough for whoever has no token; with one, its code is needed at once."""
        site = for_the_vpn(tmp_path / "site", company, datetime.now(UTC) + timedelta(days=30))
        with serving(site, VPN) as daemon, daemon.peer(VPN) as peer:
            without = peer.ask("alice", DIRECTORYS)
            assert without.kind == "accept"
            assert GROUP in without.attributes
            assert "1 of 1 people has no token yet" in site.cli("check")

            alice = Person("alice", site.fob("alice"))
            assert "0 of 1 people have no token yet" in site.cli("check")
            with_token = answer(peer, "alice", DIRECTORYS, alice.press())
            assert with_token.kind == "accept"
            assert GROUP in with_token.attributes
            assert peer.ask("alice", "a wrong password").kind == "reject"
            assert answer(peer, "alice", DIRECTORYS, alice.wrong_codes(1)[0]).kind != "accept"
            with daemon.peer(BRANCH) as branch:
                assert branch.ask("alice", DIRECTORYS + alice.press()).kind == "accept"
                assert branch.ask("alice", DIRECTORYS).kind == "reject"

    def test_who_is_not_in_the_group(self, tmp_path: Path, company: directory.Slapd) -> None:
        """The directory takes their password, and no rule names them; whoever has left it takes no more."""
        site = for_the_vpn(tmp_path / "site", company, datetime.now(UTC) + timedelta(days=30))
        with serving(site, VPN) as daemon, daemon.peer(VPN) as peer:
            outsider = peer.ask("l" * 200, DIRECTORYS)
            while outsider.kind == "challenge":
                outsider = peer.ask("l" * 200, "12345678", outsider.state)
            assert outsider.kind == "reject"
            assert peer.ask("left", DIRECTORYS).kind == "reject"
            assert peer.ask("nobody", DIRECTORYS).kind == "reject"

    def test_when_the_grace_has_ended(self, tmp_path: Path, company: directory.Slapd) -> None:
        """From the day after on a password alone lets nobody in, and `check` says that the day has passed."""
        site = for_the_vpn(tmp_path / "site", company, datetime.now(UTC) - timedelta(days=2))
        assert re.search(r"warning: line \d+: rule vpn: the time of its enrolment ended", site.cli("check"))
        with serving(site, VPN) as daemon, daemon.peer(VPN) as peer:
            question = peer.ask("bob", DIRECTORYS)
            assert question.kind == "challenge"
            assert peer.ask("bob", "12345678", question.state).kind != "accept"
            bob = Person("bob", site.fob("bob"))
            assert answer(peer, "bob", DIRECTORYS, bob.press()).kind == "accept"
