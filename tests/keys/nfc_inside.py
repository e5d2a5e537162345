"""Cards on the real pcscd, whose reader is vsmartcard's: run by test_nfc.py in a network namespace of its own.

There is one pcscd to a machine and vpcd listens on every address, so nothing here may run outside of that.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path

import pytest
from smartcard import scard

from radiusd2fa.emulators.softkey import Button, Misbehaviour, PinPolicy, SoftKey, Unplug
from radiusd2fa.emulators.softkey import nfc as softkey_nfc
from radiusd2fa.emulators.softkey.nfc import ATR
from radiusd2fa.emulators.softkey.vpcd import PORT, VpcdKey
from radiusd2fa.keys import asking, nfc
from radiusd2fa.keys.asking import FoundKey, Registered
from tests.keys.conftest import Plug
from tests.keys.scene import (
    LONG,
    UNKNOWN,
    Witness,
    asked,
    judge_assertion,
    judge_attestation,
    made,
    reason_of,
    registered,
    to_register,
    to_sign,
)

READER, OTHER_READER = "Virtual PCD 00 00", "Virtual PCD 00 01"
ON_READER = FoundKey(READER, f"security key on {READER}", "nfc")
PIN = "correct horse"
U2F_TOO = pytest.mark.parametrize("u2f_only", [False, True], ids=["ctap2", "u2f"])


@pytest.fixture(scope="session", autouse=True)
def loopback() -> None:
    """Bring the namespace's loopback up."""
    up, request = 0x1, 0x8914  # IFF_UP, SIOCSIFFLAGS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, request, struct.pack("16sh14x", b"lo", up))


@contextmanager
def running_pcscd(folder: Path) -> Iterator[None]:
    """Run pcscd with the virtual reader and no other; it is ready when it lists that reader."""
    shutil.copy("/etc/reader.conf.d/vpcd", folder)
    with subprocess.Popen(["pcscd", "--foreground", "--config", folder], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: READER in nfc.readers())
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def pcscd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The real pcscd, for all tests that want it."""
    with running_pcscd(tmp_path_factory.mktemp("pcscd")):
        yield


def wait_until(is_so: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(200):
        if is_so():
            return
        pause.wait(0.05)
    pytest.fail("it did not come to that")


Tap = Callable[[SoftKey], FoundKey]


@pytest.fixture
def tap(pcscd: None) -> Iterator[Tap]:
    """Hold emulated keys to the reader; they are taken away after the test."""
    with ExitStack() as stack:

        def hold(key: SoftKey) -> FoundKey:
            reader = stack.enter_context(held(key))
            found = nfc.wait_for_card(reader, LONG, threading.Event())
            assert found is not None
            return found

        yield hold


_slots = cycle([(READER, PORT), (OTHER_READER, PORT + 1)])
_left_at: dict[str, int] = {}


@contextmanager
def held(key: SoftKey, slot: tuple[str, int] | None = None) -> Iterator[str]:
    """Hold a key to a reader, if none is named to the one not used last, once pcscd has seen its last card go.

    pcscd looks every 0.4 s; a card that comes within that time after one was torn away in the middle is never seen.
    """
    reader, port = slot or next(_slots)
    wait_until(lambda: changes_of(reader) != _left_at.get(reader) and not has_card(reader))
    with VpcdKey(key, ("127.0.0.1", port)):
        wait_until(lambda: has_card(reader))
        _left_at[reader] = changes_of(reader)
        yield reader


def reader_state(reader: str) -> int:
    """Return what pcscd says of a reader: flags, and from bit 16 on how many changes it has seen."""
    with nfc._context() as context:
        _, ((_, state, _),) = scard.SCardGetStatusChange(context, 0, [(reader, scard.SCARD_STATE_UNAWARE)])
    return int(state)


def changes_of(reader: str) -> int:
    return reader_state(reader) >> 16


def has_card(reader: str) -> bool:
    return bool(reader_state(reader) & scard.SCARD_STATE_PRESENT)


pytestmark = pytest.mark.usefixtures("nothing_left_behind")


# --- no pcscd, no card -----------------------------------------------------------------------------------------------


def test_without_pcscd_there_is_no_reader() -> None:
    """Where pcscd does not run there is no reader and no key, and the trouble names the remedy."""
    assert (nfc.readers(), nfc.find_keys()) == ([], [])
    assert "systemctl enable --now pcscd.socket" in str(nfc.trouble())
    answer = asked(ON_READER, to_sign(UNKNOWN))
    assert reason_of(answer) == "no-key"
    assert "pcscd is not running" in str(answer)


def test_wait_without_pcscd_ends() -> None:
    """A wait for a card ends by its time or by a cancel, though there is no pcscd."""
    cancel = threading.Event()
    assert nfc.wait_for_card(None, 0.05, cancel) is None
    cancel.set()
    assert nfc.wait_for_card(None, LONG, cancel) is None


def test_wait_outlasts_a_missing_pcscd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that began before pcscd ran finds the card that is held to its reader later."""
    monkeypatch.setattr(nfc, "RETRY", 0.05)
    found: list[FoundKey | None] = []
    waiter = threading.Thread(target=lambda: found.append(nfc.wait_for_card(None, LONG, threading.Event())))
    waiter.start()
    with running_pcscd(tmp_path), VpcdKey(SoftKey.make()):
        waiter.join()
    assert found == [ON_READER]


@pytest.mark.usefixtures("pcscd")
def test_empty_reader() -> None:
    """A reader on which nothing lies is no trouble, and no key."""
    assert nfc.trouble() is None
    assert nfc.find_keys() == []
    assert reason_of(asked(ON_READER, to_sign(UNKNOWN))) == "no-key"


@pytest.mark.usefixtures("pcscd")
def test_reader_that_does_not_exist() -> None:
    """A reader that pcscd does not know has no key, and a wait for it ends."""
    assert reason_of(asked(FoundKey("No Such Reader 00", "none", "nfc"), to_sign(UNKNOWN))) == "no-key"
    assert nfc.wait_for_card("No Such Reader 00", 0.05, threading.Event()) is None


@pytest.mark.usefixtures("pcscd")
def test_wait_for_a_card_that_does_not_come() -> None:
    """A wait at an empty reader ends by its time or by a cancel."""
    cancel = threading.Event()
    assert nfc.wait_for_card(READER, 0.05, cancel) is None
    timer = threading.Timer(0.05, cancel.set)
    timer.start()
    assert nfc.wait_for_card(READER, LONG, cancel) is None
    timer.join()


@contextmanager
def bus_ticket() -> Iterator[None]:
    """Hold a card to the reader that knows no application at all."""
    with socket.create_connection(("127.0.0.1", PORT)) as card:

        def answer() -> None:
            with suppress(ConnectionResetError):
                serve()

        def serve() -> None:
            while head := card.recv(2):
                message = card.recv(int.from_bytes(head, "big"))
                said = ATR if message == b"\x04" else b"\x6a\x82" if len(message) > 1 else b""
                if said:
                    card.sendall(len(said).to_bytes(2, "big") + said)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            wait_until(lambda: has_card(READER))
            yield
        finally:
            card.shutdown(socket.SHUT_RDWR)
            thread.join()
    wait_until(lambda: not has_card(READER))


@pytest.mark.usefixtures("pcscd")
def test_other_cards_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card without the FIDO application is no key; a wait looks at it once and goes on waiting."""
    looks: list[str] = []
    look = nfc._key_on

    def looked(reader: str) -> FoundKey | None:
        looks.append(reader)
        return look(reader)

    with bus_ticket(), monkeypatch.context() as watched:
        assert nfc.find_keys() == []
        watched.setattr(nfc, "_key_on", looked)
        assert nfc.wait_for_card(READER, 0.5, threading.Event()) is None
        assert looks == [READER]
        assert reason_of(asked(ON_READER, to_sign(UNKNOWN))) == "no-key"


@pytest.mark.usefixtures("pcscd")
def test_other_card_is_looked_at_once_though_another_reader_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that is no key is not looked at again when a key is held to another reader."""
    looks: list[str] = []
    found: list[FoundKey | None] = []
    look, has_looked = nfc._key_on, threading.Event()

    def looked(reader: str) -> FoundKey | None:
        looks.append(reader)
        has_looked.set()
        return look(reader)

    with bus_ticket(), monkeypatch.context() as watched:
        watched.setattr(nfc, "_key_on", looked)
        waiter = threading.Thread(target=lambda: found.append(nfc.wait_for_card(None, LONG, threading.Event())))
        waiter.start()
        assert has_looked.wait(LONG)
        with held(SoftKey.make(), (OTHER_READER, PORT + 1)):
            waiter.join()
    assert [key and key.path for key in found] == [OTHER_READER]
    assert looks.count(READER) == 1


# --- a key on the reader ---------------------------------------------------------------------------------------------


@U2F_TOO
def test_key_registers_and_signs(tap: Tap, u2f_only: bool) -> None:
    """A key on the reader registers with its attestation and signs exactly our client data; the tap is the touch."""
    key, person, request = tap(SoftKey.make(u2f_only=u2f_only)), Witness(), to_register(attestation=True)
    assert (key.name, nfc.find_keys()) == (f"security key on {key.path}", [key])
    credential = judge_attestation(asked(key, request, person), request).auth_data.credential_data
    assert credential is not None
    sign = to_sign(UNKNOWN, credential.credential_id)
    judge_assertion(asked(key, sign, person), sign, credential)
    assert reason_of(asked(key, to_sign(UNKNOWN), person)) == "no-credential"


def test_pin_over_nfc(tap: Tap) -> None:
    """A key on the reader that always verifies is asked for its PIN."""
    key, person = tap(SoftKey.make(pin=PIN, pin_policy=PinPolicy.ALWAYS)), Witness("wrong one", PIN)
    assert isinstance(asked(key, to_register(), person), Registered)
    assert [tries for _, tries in person.tries] == [8, 7]


@U2F_TOO
def test_key_that_wants_to_be_touched_on_the_reader(tap: Tap, u2f_only: bool) -> None:
    """A key that asks for a touch although it lies on the reader is waited for, and let go by a cancel."""
    button, cancel = Button(), threading.Event()
    key = tap(SoftKey.make(u2f_only=u2f_only, touch=button))
    cancelling = Witness(on_touch=lambda _key: cancel.set())
    assert reason_of(asked(key, to_register(), cancelling, cancel=cancel)) == "cancelled"
    touching = Witness(on_touch=lambda _key: button.press())
    assert isinstance(asked(key, to_register(), touching), Registered)
    assert touching.touches == [key]


@pytest.mark.parametrize("when", [Unplug.WAITING, Unplug.ANSWERING])
def test_card_taken_away_in_the_middle(tap: Tap, when: Unplug) -> None:
    """A card that is taken away while it is asked has given no answer."""
    soft = SoftKey.make(touch=lambda _asked: when is Unplug.ANSWERING)
    soft.misbehaviour = Misbehaviour(unplug=when)
    assert reason_of(asked(tap(soft), to_register())) == "unplugged"


@pytest.mark.usefixtures("pcscd")
def test_card_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent card ends with the time; while its reader still waits for it, nobody else is sent there."""
    monkeypatch.setattr(asking, "_PARTING", 0.1)
    soft = SoftKey.make()
    credential = made(soft)
    request = to_sign(credential.credential_id)
    with held(soft) as reader:
        key = FoundKey(reader, "card", "nfc")
        assert nfc.wait_for_card(reader, LONG, threading.Event()) is not None
        soft.misbehaviour = Misbehaviour(silent=True)
        assert reason_of(asked(key, request, timeout=0.3)) == "timed-out"
        assert reason_of(asked(key, request, timeout=0.3)) == "broken"
    for thread in threading.enumerate():
        if thread.name == f"key {key.path}":
            thread.join()


def test_card_that_does_not_stop(tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that waits for a touch for ever, whatever it is told, is not listened to for ever."""
    monkeypatch.setattr(softkey_nfc, "_CANCEL", 0xEE)
    cancel = threading.Event()
    key = tap(SoftKey.make(touch=lambda _asked: False))
    person = Witness(on_touch=lambda _key: cancel.set())
    assert reason_of(asked(key, to_register(), person, cancel=cancel)) == "cancelled"
    assert f"key {key.path}" not in {thread.name for thread in threading.enumerate()}


def test_card_that_another_program_holds(tap: Tap) -> None:
    """A card that another program is connected to is busy, and is asked when that program has left."""
    key = tap(SoftKey.make())
    with nfc._context() as context:
        result, card, _ = scard.SCardConnect(context, key.path, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_ANY)
        assert result == scard.SCARD_S_SUCCESS
        assert nfc.find_keys() == []
        assert reason_of(asked(key, to_register())) == "broken"
        scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
    assert isinstance(asked(key, to_register()), Registered)


def test_wait_for_a_card_that_is_not_well_placed(tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that cannot be read at first, though it lies there and does not move, is looked at again."""
    key, look = tap(SoftKey.make()), nfc._key_on
    faults = [OSError("unreadable"), OSError("unreadable")]

    def shaky(reader: str) -> FoundKey | None:
        if faults:
            raise faults.pop()
        return look(reader)

    monkeypatch.setattr(nfc, "_key_on", shaky)
    assert nfc.wait_for_card(key.path, 5.0, threading.Event()) == key


def test_wait_at_one_reader_minds_no_other(tap: Tap) -> None:
    """A wait at one reader does not take the card that lies on another."""
    key = tap(SoftKey.make())
    other = ({READER, OTHER_READER} - {key.path}).pop()
    assert nfc.wait_for_card(other, 0.3, threading.Event()) is None
    assert nfc.wait_for_card(None, LONG, threading.Event()) == key


def test_card_beside_a_usb_key(tap: Tap, plug: Plug) -> None:
    """Of a USB key and a card, the one that holds the credential is asked."""
    stranger, card = plug(SoftKey.make()), tap(SoftKey.make())
    credential, person = registered(card), Witness()
    request = to_sign(credential.credential_id)
    judge_assertion(asked([stranger, card], request, person), request, credential)
    assert stranger not in person.touches
