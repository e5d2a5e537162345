"""A station with an NFC reader: the key is held to it while a login waits somewhere else.

pcscd, the virtual reader, pyscard, the station and the daemon are real; the key is emulated, by a process of its own.
Daemon and station share a database and nothing else, so a dead reader is nobody's trouble but the station's.
docs/fido-over-radius.md (the station ceremony), CTAP 2.1 11.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.emulators.softkey import SoftKey
from radiusd2fa.emulators.softkey.pty import PtyKey
from tests.daemon.site import USUAL_CLIENTS, Daemon, Person, Site
from tests.daemon.wire import Peer

from . import reader as readers
from .laptop import registered
from .machines import Seat
from .reader import Reader
from .station import PRESS_ENTER, at_work, begin

pytestmark = [*readers.NEEDS]

AT_DESK: Final = "127.0.1.6"
STATION: Final = "lobby-nfc"


@pytest.fixture(scope="module")
def desk_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose client `desk` has a station with a reader, and takes codes as well."""
    client = f'{{networks: [{AT_DESK}/32], secret: "nobody shares this secret", reject_delay: 0s, flow: challenge}}'
    return Site.make(
        tmp_path_factory.mktemp("desk"),
        USUAL_CLIENTS | {"desk": client},
        fido="{rp_id: auth.example.org}",
        stations=f'{{{STATION}: {{clients: [desk], reader: "{readers.NAME}"}}}}',
        rules="[{name: all, factors: [fido, hotp], ceremonies: [station]}]",
    )


@pytest.fixture(scope="module")
def asked(desk_site: Site) -> Iterator[Daemon]:
    """The daemon of that site."""
    with desk_site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def alice(desk_site: Site) -> Person:
    """Somebody with password and fob."""
    return desk_site.person("alice")


@pytest.fixture(scope="module")
def key(desk_site: Site, alice: Person, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Her key, which is a file. It was registered in a USB port."""
    file = tmp_path_factory.mktemp("key") / "key.json"
    with PtyKey(SoftKey.make(path=file)) as plugged_in:
        registered(desk_site, alice.name, plugged_in.path)
    return file


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """The reader, with nothing on it."""
    with readers.place(tmp_path_factory.mktemp("reader")) as place:
        place.start_service()
        yield place


@pytest.fixture(scope="module")
def station(desk_site: Site, asked: Daemon, reader: Reader) -> Iterator[Seat]:
    """The station, waiting for logins."""
    with at_work(desk_site, STATION, reader) as seat:
        seat.until(f"{STATION}: waiting for a login at desk.")
        yield seat


@pytest.fixture
def nas(asked: Daemon) -> Iterator[Peer]:
    """What the desk has for a NAS."""
    with asked.peer(AT_DESK) as peer:
        yield peer


def _outcomes(site: Site, since: int) -> list[tuple[str, str, str]]:
    return [(row["outcome"], row["factor"], row["reason"]) for row in site.audit()[since:] if row["nas"] == "desk"]


ASKED: Final = ("challenged", "", "code_wanted")
NOT_TOUCHED: Final = ("challenged", "", "station_not_touched")
BY_KEY: Final = ("accepted", "fido", "ok")
BY_FOB: Final = ("accepted", "hotp", "ok")


# --- no touch --------------------------------------------------------------------------------------------------------


def test_a_tap_for_which_no_login_waits(
    desk_site: Site, station: Seat, reader: Reader, nas: Peer, alice: Person, key: Path
) -> None:
    """A key that lies on the reader before anybody has begun a login signs nothing, and opens nothing later on."""
    counter, since = SoftKey.load(key).state.counter, len(desk_site.audit())
    with reader.holding(key):
        station.until("The key on the reader is not needed: no login waits.")
    assert SoftKey.load(key).state.counter == counter
    again = nas.ask("alice", "", begin(nas, "alice", STATION, station).state)
    assert nas.ask("alice", alice.press(), again.state).kind == "accept"
    assert _outcomes(desk_site, since) == [ASKED, NOT_TOUCHED, BY_FOB]


def test_what_a_tap_has_signed_lets_in_once(
    desk_site: Site, station: Seat, reader: Reader, nas: Peer, alice: Person, key: Path
) -> None:
    """After its login a touch is worth nothing: not to the same State, and not to the next login."""
    since, first = len(desk_site.audit()), begin(nas, "alice", STATION, station)
    with reader.holding(key):
        station.until(PRESS_ENTER)
    assert nas.ask("alice", "", first.state).kind == "accept"
    assert nas.ask("alice", "", first.state).kind == "reject"
    again = nas.ask("alice", "", begin(nas, "alice", STATION, station).state)
    assert nas.ask("alice", alice.press(), again.state).kind == "accept"
    spent = ("rejected", "", "challenge_unknown")
    assert _outcomes(desk_site, since) == [ASKED, BY_KEY, spent, ASKED, NOT_TOUCHED, BY_FOB]


def test_a_card_that_is_withdrawn(desk_site: Site, station: Seat, reader: Reader, nas: Peer, key: Path) -> None:
    """A key that is taken away in the middle lets nobody in; held there again, it does."""
    since, challenge = len(desk_site.audit()), begin(nas, "alice", STATION, station)
    with reader.holding(key, "--touch") as held:
        held.wait_until_it_blinks()
        held.withdraw()
        station.until("was taken away before it had answered.")
    challenge = nas.ask("alice", "", challenge.state)
    assert challenge.kind == "challenge"
    with reader.holding(key):
        station.until(PRESS_ENTER)
    assert nas.ask("alice", "", challenge.state).kind == "accept"
    assert _outcomes(desk_site, since) == [ASKED, NOT_TOUCHED, BY_KEY]


def test_a_reader_that_is_dead(desk_site: Site, nas: Peer, alice: Person, key: Path, tmp_path: Path) -> None:
    """Without pcscd the station says what is wrong, and codes let in; when pcscd is there, so is the key."""
    with readers.place(tmp_path) as place, at_work(desk_site, STATION, place) as station:
        station.until("pcscd is not running")
        challenge = begin(nas, "alice", STATION, station)
        station.until("Plug in your key, or hold it here")
        assert nas.ask("alice", alice.press(), challenge.state).kind == "accept"
        place.start_service()
        challenge = begin(nas, "alice", STATION, station)
        with place.holding(key):
            station.until(PRESS_ENTER)
        assert nas.ask("alice", "", challenge.state).kind == "accept"


# --- a touch ---------------------------------------------------------------------------------------------------------


def test_a_tap_lets_in(desk_site: Site, station: Seat, reader: Reader, nas: Peer, key: Path) -> None:
    """A key that is held to the reader while its owner's login waits signs at once, and Enter lets in."""
    since, challenge = len(desk_site.audit()), begin(nas, "alice", STATION, station)
    with reader.holding(key):
        station.until(PRESS_ENTER)
    assert nas.ask("alice", "", challenge.state).kind == "accept"
    assert _outcomes(desk_site, since) == [ASKED, BY_KEY]
