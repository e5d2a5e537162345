"""One credential, registered once, lets in by each way that there is: ssh, paste, USB station, NFC station.

The key is a file that is plugged in first and held to a reader afterwards; everything else is real: ssh, sshd,
pam_radius, pcscd, pyscard, the helper, the stations and the daemon. docs/fido-over-radius.md (the ceremonies).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.emulators.softkey import SoftKey
from radiusd2fa.emulators.softkey.pty import PtyKey
from tests.daemon.site import PASSWORD, USUAL_CLIENTS, Daemon, Site

from . import reader as readers
from . import sshd
from .conftest import PLAIN_SECRET
from .laptop import Laptop, registered
from .machines import Seat
from .reader import Reader
from .sshd import Host
from .station import PRESS_ENTER, at_work, begin

pytestmark = [*sshd.NEEDS, *readers.NEEDS]

BASTION: Final = "bastion.example.org"
CTAP2_USER, U2F_USER = USERS = ("alice", "bob")
SOURCES: Final = {"bastion": "127.0.1.5", "gateway": "127.0.1.6", "usb-desk": "127.0.1.7", "nfc-desk": "127.0.1.8"}
"""Where each client's requests come from."""
CEREMONIES: Final = {"bastion": "ssh", "gateway": "paste", "usb-desk": "station", "nfc-desk": "station"}


@pytest.fixture(scope="module")
def usb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the USB station looks for its key: a link such as udev makes."""
    return tmp_path_factory.mktemp("dev") / "security-key"


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory, usb: Path) -> Site:
    """A site with one client for each ceremony, where nothing but keys counts."""
    quick = f'secret: "{PLAIN_SECRET.decode()}", reject_delay: 0s, flow: challenge, message_authenticator: observe'
    more = {"bastion": f", host_names: [{BASTION}]"}
    clients = {name: f"{{networks: [{source}/32], {quick}{more.get(name, '')}}}" for name, source in SOURCES.items()}
    rules = [
        f"{{name: {name}, when: {{clients: [{name}]}}, factors: [fido], ceremonies: [{ceremony}]}}"
        for name, ceremony in CEREMONIES.items()
    ]
    stations = (
        f"usb-1: {{clients: [usb-desk], usb: {usb}}}",
        f'nfc-1: {{clients: [nfc-desk], reader: "{readers.NAME}"}}',
    )
    return Site.make(
        tmp_path_factory.mktemp("everywhere"),
        USUAL_CLIENTS | clients,
        fido="{rp_id: auth.example.org}",
        stations=f"{{{', '.join(stations)}}}",
        rules=f"[{', '.join(rules)}]",
    )


@pytest.fixture(scope="module")
def asked(everywhere: Site) -> Iterator[Daemon]:
    """The daemon of that site."""
    with everywhere.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def bastion(tmp_path_factory: pytest.TempPathFactory, asked: Daemon) -> Iterator[Host]:
    """The bastion."""
    folder = tmp_path_factory.mktemp("hosts") / "bastion"
    with sshd.host(folder, BASTION, asked.address, PLAIN_SECRET.decode(), SOURCES["bastion"], USERS) as host:
        yield host


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """The reader, with nothing on it."""
    with readers.place(tmp_path_factory.mktemp("reader")) as place:
        place.start_service()
        yield place


@pytest.fixture(scope="module")
def stations(everywhere: Site, asked: Daemon, reader: Reader) -> Iterator[tuple[Seat, Seat]]:
    """The station with a USB port, and the one with a reader."""
    with at_work(everywhere, "usb-1") as usb_1, at_work(everywhere, "nfc-1", reader) as nfc_1:
        yield usb_1, nfc_1


def _key(site: Site, user: str) -> tuple[str, int]:
    """The serial of somebody's one key, and how far it has counted."""
    (key,) = json.loads(site.cli("key", "list", "--user", user, "--json"))
    return key["serial"], key["counter"]


def _by_ssh(laptop: Laptop, user: str, device: str) -> None:
    with laptop.ssh(f"{user}@{BASTION}", RADIUSD2FA_KEY_DEVICE=device) as seat:
        seat.until(f"({user}@{BASTION}) Password: ")
        seat.type(PASSWORD)
        ended = seat.end()
    assert (ended.code, ended.printed) == (0, f"{user}\n"), ended.screen


def _by_paste(daemon: Daemon, laptop: Laptop, user: str, device: str) -> None:
    with daemon.peer(SOURCES["gateway"], PLAIN_SECRET) as nas:
        challenge = nas.ask(user, PASSWORD)
        pasted = laptop.run("respond", challenge.prompt, "--device", device).strip()
        assert nas.ask(user, pasted, challenge.state).kind == "accept"


def _by_station(daemon: Daemon, user: str, client: str, station: str, screen: Seat) -> None:
    with daemon.peer(SOURCES[client], PLAIN_SECRET) as nas:
        challenge = begin(nas, user, station, screen)
        screen.until(PRESS_ENTER)
        assert nas.ask(user, "", challenge.state).kind == "accept"


@pytest.mark.parametrize("user", [pytest.param(CTAP2_USER, id="ctap2"), pytest.param(U2F_USER, id="u2f")])
def test_one_credential_lets_in_everywhere(
    everywhere: Site,
    asked: Daemon,
    bastion: Host,
    reader: Reader,
    stations: tuple[Seat, Seat],
    usb: Path,
    user: str,
    tmp_path: Path,
) -> None:
    """Registered once, in a USB port, a key lets in by all four ceremonies, and its counter has grown each time."""
    everywhere.cli("user", "add", user, "--password-stdin", stdin=PASSWORD)
    laptop, file = Laptop.make(tmp_path, {BASTION: bastion}), tmp_path / "key.json"
    since, (usb_1, nfc_1) = len(everywhere.audit()), stations
    with PtyKey(SoftKey.make(path=file, u2f_only=user == U2F_USER)) as plugged_in:
        laptop.set_up(registered(everywhere, user, plugged_in.path))
        serial, counter = _key(everywhere, user)
        counters = [counter]
        _by_ssh(laptop, user, plugged_in.path)
        counters.append(_key(everywhere, user)[1])
        _by_paste(asked, laptop, user, plugged_in.path)
        counters.append(_key(everywhere, user)[1])
        usb.unlink(missing_ok=True)
        usb.symlink_to(plugged_in.path)
        _by_station(asked, user, "usb-desk", "usb-1", usb_1)
        counters.append(_key(everywhere, user)[1])
    with reader.holding(file):
        _by_station(asked, user, "nfc-desk", "nfc-1", nfc_1)
    counters.append(_key(everywhere, user)[1])
    accepted = [row for row in everywhere.audit()[since:] if row["outcome"] == "accepted"]
    assert [(row["nas"], row["factor"], row["serial"]) for row in accepted] == [
        (client, "fido", serial) for client in CEREMONIES
    ]
    assert counters == sorted(set(counters))
