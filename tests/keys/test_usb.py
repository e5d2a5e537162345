"""USB keys: which ones the kernel shows, and connections that end whatever the other side does.

The other side is a pseudo-terminal whose far end the test holds, so every octet on the way is seen.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from radiusd2fa.emulators.softkey import SoftKey
from radiusd2fa.keys import usb
from radiusd2fa.keys.model import FoundKey
from tests.keys.conftest import Plug

pytestmark = pytest.mark.usefixtures("nothing_left_behind")

FIDO = bytes.fromhex("06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0")
KEYBOARD = bytes.fromhex("05010906a101050719e029e71500250175019508810295017508810195067508150025650507190029658100c0")
CHANNEL = b"\x01\x02\x03\x04"
OTHER = b"\x0a\x0b\x0c\x0d"


# --- which keys are there --------------------------------------------------------------------------------------------


class Kernel:
    """A folder that looks like sysfs, and one that looks like /dev."""

    def __init__(self, root: Path) -> None:
        self.hidraw, self.devices = root / "hidraw", root / "dev"
        self.hidraw.mkdir()
        self.devices.mkdir()

    def plug(self, name: str, descriptor: bytes, about: str = "", *, node: bool = True) -> Path:
        device = self.hidraw / name / "device"
        device.mkdir(parents=True)
        (device / "report_descriptor").write_bytes(descriptor)
        (device / "uevent").write_text(about, encoding="utf-8")
        if node:
            (self.devices / name).touch(mode=0o600)
        return self.devices / name

    def found(self) -> list[FoundKey]:
        return usb.find_keys(self.hidraw, self.devices)

    def trouble(self) -> str | None:
        return usb.trouble(self.hidraw, self.devices)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel that knows of no device yet."""
    return Kernel(tmp_path)


ABOUT = "DRIVER=hid-generic\nHID_ID=0003:00001050:00000407\nHID_NAME=Yubico YubiKey OTP+FIDO+CCID\nHID_UNIQ=\n"


def test_keyboards_and_broken_descriptors_are_no_keys(kernel: Kernel) -> None:
    """Only a device whose report descriptor has the FIDO usage page is a security key."""
    kernel.plug("hidraw0", KEYBOARD)
    kernel.plug("hidraw1", FIDO[:9])
    kernel.plug("hidraw2", b"")
    assert kernel.found() == []


def test_key_without_a_device_file_is_not_there(kernel: Kernel) -> None:
    """A container that sees the host's sysfs but not its devices has no key."""
    kernel.plug("hidraw0", FIDO, ABOUT, node=False)
    assert kernel.found() == []


def test_no_sysfs_is_no_key(tmp_path: Path) -> None:
    """Where there is no sysfs at all, no key is found and nothing is raised."""
    assert usb.find_keys(tmp_path / "nowhere", tmp_path) == []


def test_key_is_known_by_what_the_kernel_says(kernel: Kernel) -> None:
    """A key's name, vendor and product come from the kernel, and no device is opened for them."""
    path = kernel.plug("hidraw0", FIDO, ABOUT)
    path.chmod(0)
    assert kernel.found() == [FoundKey(str(path), "Yubico YubiKey OTP+FIDO+CCID", "usb", 0x1050, 0x0407)]


def test_keys_come_in_the_order_of_their_numbers(kernel: Kernel) -> None:
    """The tenth device file comes after the second."""
    paths = [kernel.plug(f"hidraw{number}", FIDO) for number in (10, 2, 0)]
    assert [key.path for key in kernel.found()] == [str(path) for path in reversed(paths)]


def test_name_of_a_key_cannot_spoil_a_terminal(kernel: Kernel) -> None:
    """A device's name loses its control characters; one that consists of them is replaced."""
    evil = kernel.plug("hidraw0", FIDO, "HID_NAME=evil\x1b[2Jkey\x07 " + "x" * 200)
    nameless = kernel.plug("hidraw1", FIDO, "HID_NAME=\x1b\x07\nHID_ID=rubbish")
    first, second = kernel.found()
    assert (first.path, first.name) == (str(evil), ("evil [2Jkey " + "x" * 200)[:80])
    assert (second.name, second.vid, second.pid) == (f"security key at {nameless}", None, None)


def test_named_key_is_known_through_a_link(kernel: Kernel, tmp_path: Path) -> None:
    """A link to a device file, as udev makes them, keeps its own path and gets the name of the key behind it."""
    path = kernel.plug("hidraw0", FIDO, ABOUT)
    link = tmp_path / "console-room"
    link.symlink_to(path)
    named = usb.named_key(str(link), kernel.hidraw, kernel.devices)
    assert named == FoundKey(str(link), "Yubico YubiKey OTP+FIDO+CCID", "usb", 0x1050, 0x0407)


def test_named_key_may_be_anything(kernel: Kernel) -> None:
    """A path that the kernel knows nothing about is taken as it is."""
    named = usb.named_key("/dev/pts/no-such", kernel.hidraw, kernel.devices)
    assert named == FoundKey("/dev/pts/no-such", "security key at /dev/pts/no-such", "usb")


def test_trouble_tells_no_key_from_no_permission(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the trouble is that; with one that may not be opened it names the file and the udev rule."""
    assert kernel.trouble() == "No FIDO security key is plugged in."
    path = kernel.plug("hidraw0", FIDO, ABOUT)
    assert kernel.trouble() is None
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may open everything
    trouble = kernel.trouble() or ""
    assert str(path) in trouble
    assert "udev rule" in trouble


# --- connections -----------------------------------------------------------------------------------------------------


class FarEnd:
    """A pseudo-terminal, and the end of it that a key would hold."""

    def __init__(self) -> None:
        self.file, self._near = os.openpty()
        for end in (self.file, self._near):
            tty.setraw(end)
        self.path = os.ttyname(self._near)

    def take(self) -> bytes:
        """Return the next report, without its number."""
        assert select.select([self.file], [], [], 10)[0]
        report = os.read(self.file, 65)
        assert (len(report), report[0]) == (65, 0)
        return report[1:]

    def send(self, octets: bytes) -> None:
        os.write(self.file, octets)

    def close(self) -> None:
        for end in (self.file, self._near):
            if end >= 0:
                os.close(end)
        self.file = self._near = -1


@pytest.fixture
def far() -> Iterator[FarEnd]:
    """The far end of a terminal on which nothing answers by itself."""
    end = FarEnd()
    yield end
    end.close()


@contextmanager
def connection(path: str, ended: threading.Event | None = None) -> Iterator[usb.Connection]:
    near = usb.Connection(path, ended or threading.Event())
    try:
        yield near
    finally:
        near.close()


def report(head: bytes, rest: bytes = b"") -> bytes:
    return (head + rest).ljust(usb.REPORT_OCTETS, b"\0")


INIT = report(b"\xff\xff\xff\xff\x86\x00\x08", b"nonce---")
ASK = report(CHANNEL, b"\x90\x00\x01\x04")
ANSWER = report(CHANNEL, b"\x90\x00\x01\x00")
KEEPALIVE = report(CHANNEL, b"\xbb\x00\x01\x02")
CANCEL = report(CHANNEL, b"\x91\x00\x00")


def test_silent_key_ends_a_read(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read from a key that says nothing ends by itself."""
    monkeypatch.setattr(usb, "SILENCE", 0.01)
    with connection(far.path) as near:
        near.write_packet(ASK)
        with pytest.raises(TimeoutError):
            near.read_packet()


def test_key_that_stops_in_the_middle_of_a_report_ends_a_read(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a report counts as silence."""
    monkeypatch.setattr(usb, "SILENCE", 0.01)
    with connection(far.path) as near:
        near.write_packet(ASK)
        far.send(ANSWER[:20])
        with pytest.raises(TimeoutError):
            near.read_packet()


def write_for_ever(near: usb.Connection) -> None:
    while True:
        near.write_packet(ASK)


def test_key_that_reads_nothing_ends_a_write(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write to a key that takes nothing in ends by itself."""
    monkeypatch.setattr(usb, "SILENCE", 0.01)
    with connection(far.path) as near, pytest.raises(TimeoutError):
        write_for_ever(near)


def test_key_pulled_out_ends_a_read(far: FarEnd) -> None:
    """When the far end is gone, a read raises at once that it is."""
    with connection(far.path) as near:
        near.write_packet(ASK)
        far.close()
        with pytest.raises(OSError, match=r"gone|Input/output") as fault:
            near.read_packet()
    assert fault.value.errno in {errno.ENODEV, errno.EIO}


def test_report_may_come_in_pieces(far: FarEnd) -> None:
    """A terminal may deliver a report in pieces, and two reports in one."""
    with connection(far.path) as near:
        near.write_packet(ASK)
        far.send(KEEPALIVE[:1])
        far.send(KEEPALIVE[1:] + ANSWER)
        assert near.read_packet() == KEEPALIVE
        assert near.read_packet() == ANSWER


def test_answers_to_other_programs_are_passed_over(far: FarEnd) -> None:
    """Reports on another channel are another program's, for every program with the device open sees all of them."""
    with connection(far.path) as near:
        near.write_packet(ASK)
        far.send(report(OTHER, b"\x90\x00\x01\x00") + ANSWER)
        assert near.read_packet() == ANSWER


def test_channel_is_taken_from_our_own_greeting_only(far: FarEnd) -> None:
    """An answer to somebody else's INIT, known by its nonce, gives us no channel."""
    theirs = report(b"\xff\xff\xff\xff\x86\x00\x11", b"another-" + OTHER)
    ours = report(b"\xff\xff\xff\xff\x86\x00\x11", b"nonce---" + CHANNEL)
    with connection(far.path) as near:
        near.write_packet(INIT)
        far.send(theirs + ours)
        assert near.read_packet() == ours


def test_key_is_told_to_stop_although_it_says_nothing(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the conversation is over, CANCEL is sent on our channel without waiting for a keep-alive, and once."""
    monkeypatch.setattr(usb, "GRACE", 0.2)
    ended = threading.Event()
    with connection(far.path, ended) as near:
        near.write_packet(ASK)
        assert far.take() == ASK
        ended.set()
        with pytest.raises(TimeoutError):
            near.read_packet()
        assert far.take() == CANCEL
        assert select.select([far.file], [], [], 0)[0] == []


def test_answer_to_a_cancel_is_still_read(far: FarEnd) -> None:
    """After the conversation is over, what the key says to the CANCEL is read."""
    ended = threading.Event()
    with connection(far.path, ended) as near:
        near.write_packet(ASK)
        ended.set()
        far.send(ANSWER)
        assert near.read_packet() == ANSWER


def test_key_that_does_not_stop_is_left(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that sends keep-alives for ever after a CANCEL is not listened to for ever."""
    monkeypatch.setattr(usb, "GRACE", 0.0)
    ended = threading.Event()
    with connection(far.path, ended) as near:
        near.write_packet(ASK)
        ended.set()
        far.send(KEEPALIVE)
        with pytest.raises(TimeoutError):
            near.read_packet()


def test_key_that_serves_another_program(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that goes on saying that it is busy is given up as one that is; a single refusal is handed on."""
    busy = report(CHANNEL, b"\xbf\x00\x01\x06")
    with connection(far.path) as near:
        near.write_packet(ASK)
        far.send(busy)
        assert near.read_packet() == busy
        monkeypatch.setattr(usb, "SILENCE", 0.0)
        far.send(busy)
        with pytest.raises(OSError, match="another program") as fault:
            near.read_packet()
    assert fault.value.errno == errno.EBUSY


def test_key_that_is_busy_now_and_then(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for which a key may be busy begins anew after each answer."""
    monkeypatch.setattr(usb, "SILENCE", 0.05)
    busy = report(CHANNEL, b"\xbf\x00\x01\x06")
    with connection(far.path) as near:
        near.write_packet(ASK)
        far.send(busy + ANSWER)
        assert [near.read_packet(), near.read_packet()] == [busy, ANSWER]
        threading.Event().wait(0.06)
        far.send(busy)
        assert near.read_packet() == busy


def test_what_is_no_device_is_not_written_to(tmp_path: Path) -> None:
    """A regular file in place of a device is refused, and left as it was."""
    file = tmp_path / "hidraw0"
    file.write_bytes(b"precious")
    with pytest.raises(OSError, match="no device") as fault:
        usb.Connection(str(file), threading.Event())
    assert fault.value.errno == errno.ENXIO
    assert file.read_bytes() == b"precious"


def test_turns_are_taken_with_other_programs(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the lock that libfido2 takes too, the key is busy; afterwards it is not."""
    monkeypatch.setattr(usb, "SILENCE", 0.01)
    theirs = os.open(far.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(theirs, fcntl.LOCK_EX)
    try:
        with pytest.raises(OSError, match="another program") as fault:
            usb.Connection(far.path, threading.Event())
        assert fault.value.errno == errno.EBUSY
    finally:
        os.close(theirs)
    with connection(far.path) as near:
        near.write_packet(ASK)
        assert far.take() == ASK


def test_wait_for_a_turn_ends_with_the_conversation(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is let go while waiting for a turn waits no longer."""
    monkeypatch.setattr(usb, "SILENCE", float("inf"))
    ended = threading.Event()
    ended.set()
    with connection(far.path), pytest.raises(OSError, match="another program"):
        usb.Connection(far.path, ended)


def test_open_key_speaks_ctaphid(plug: Plug) -> None:
    """An open key has a channel of its own and echoes what it is sent, over many reports."""
    found = plug(SoftKey.make())
    message = bytes(range(256)) * 4
    with usb.open_key(found, threading.Event()) as device:
        assert device.call(0x01, message) == message
