"""Security keys on USB: which are plugged in, and a connection to one of them that always ends.

A key that falls silent, is pulled out or is busy with another program ends a read within a known time; nothing here
waits without a limit, and no file is opened to see what it is. CTAP 2.1, 11.2 (CTAPHID), and the kernel's hidraw.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Final

from fido2.ctap import CtapError
from fido2.hid import CTAPHID, TYPE_INIT, CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor, parse_report_descriptor

from radiusd2fa.keys.model import FoundKey, printable

HIDRAW: Final = Path("/sys/class/hidraw")
DEVICES: Final = Path("/dev")
REPORT_OCTETS: Final = 64
SILENCE: Final = 3.0
"""Seconds. A key at work says so every 0.1 s (CTAP 2.1, 11.2.9.2.1), and U2F keys had 3 s for a message."""
GRACE: Final = 0.5
"""Seconds in which a key may still answer after it was told to stop."""

_TICK: Final = 0.05
_BROADCAST: Final = b"\xff\xff\xff\xff"
_INIT: Final = TYPE_INIT | CTAPHID.INIT
_CANCEL: Final = bytes((TYPE_INIT | CTAPHID.CANCEL, 0, 0))
_BUSY: Final = bytes((TYPE_INIT | CTAPHID.ERROR, 0, 1, CtapError.ERR.CHANNEL_BUSY))
_HEAD: Final = 7
_NONCE_OCTETS: Final = 8


# --- which keys are there --------------------------------------------------------------------------------------------


def find_keys(hidraw: Path = HIDRAW, devices: Path = DEVICES) -> list[FoundKey]:
    """Return the FIDO keys that are plugged in, whether or not we may open them."""
    names = sorted((place.name for place in hidraw.glob("hidraw*")), key=lambda name: (len(name), name))
    return [key for name in names if (key := _described(hidraw / name, devices / name)) is not None]


def named_key(path: str, hidraw: Path = HIDRAW, devices: Path = DEVICES) -> FoundKey:
    """Return the key behind a device file, be it a link to one or a terminal that speaks the reports of a key."""
    real = Path(path).resolve()
    known = _described(hidraw / real.name, real) if real.parent == devices.resolve() else None
    return FoundKey(path, f"security key at {path}", "usb") if known is None else replace(known, path=path)


def trouble(hidraw: Path = HIDRAW, devices: Path = DEVICES) -> str | None:
    """Return in one sentence why no USB key can be used; None when one can."""
    found = find_keys(hidraw, devices)
    if any(os.access(key.path, os.R_OK | os.W_OK, effective_ids=True) for key in found):
        return None
    return not_permitted(found[0]) if found else "No FIDO security key is plugged in."


def not_permitted(key: FoundKey) -> str:
    """Return what to tell somebody who may not open the file of this key."""
    return f"{key.path} ({key.name}) may not be opened: install the udev rule for security keys and plug it in again."


def _described(place: Path, file: Path) -> FoundKey | None:
    """Read from sysfs, which everybody may, what a device file is; None when it is no FIDO key, or not there for us."""
    try:
        parse_report_descriptor((place / "device/report_descriptor").read_bytes())
        lines = (place / "device/uevent").read_text(encoding="utf-8", errors="replace").splitlines()
    except Exception:  # noqa: BLE001  # the parser raises whatever a strange descriptor leads it to
        return None
    if not file.exists():  # a container sees the host's sysfs, but not the host's devices
        return None
    about = dict(line.partition("=")[::2] for line in lines)
    vid, pid = _ids(about.get("HID_ID", ""))
    return FoundKey(str(file), printable(about.get("HID_NAME", "")) or f"security key at {file}", "usb", vid, pid)


def _ids(text: str) -> tuple[int | None, int | None]:
    """Read vendor and product from the kernel's ``bus:vendor:product``."""
    try:
        _bus, vid, pid = (int(part, 16) for part in text.split(":"))
    except ValueError:
        return None, None
    return vid, pid


# --- talking to one of them ------------------------------------------------------------------------------------------


@contextmanager
def open_key(key: FoundKey, ended: Event) -> Iterator[CtapHidDevice]:
    """Open the key for one conversation, which is over soon after ``ended`` is set."""
    try:
        connection = Connection(key.path, ended)
    except PermissionError as fault:
        raise PermissionError(fault.errno, not_permitted(key)) from None
    try:
        ids = (key.vid or 0, key.pid or 0)
        descriptor = HidDescriptor(key.path, *ids, REPORT_OCTETS, REPORT_OCTETS, key.name, serial_number=None)
        yield CtapHidDevice(descriptor, connection)
    finally:
        connection.close()


class Connection(CtapHidConnection):
    """Reports to and from one device file. Reports that answer another program's requests are passed over."""

    def __init__(self, path: str, ended: Event) -> None:
        self._ended = ended
        self._ended_at: float | None = None
        self._sent = b""
        self._told_to_stop = False
        self._busy_since: float | None = None
        self._file = _opened(path)
        self._in_pieces = os.isatty(self._file)
        try:
            self._take_turn()
        except OSError:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Close the file and with it give up the turn."""
        os.close(self._file)

    def write_packet(self, data: bytes) -> None:
        """Send one report."""
        if data[4] & TYPE_INIT and data[4] != _CANCEL[0]:
            self._sent, self._told_to_stop = data, False
        report = b"\0" + data  # hidraw wants the report's number first; FIDO reports have none
        limit = time.monotonic() + SILENCE
        while report:
            try:
                report = report[os.write(self._file, report) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, limit)

    def read_packet(self) -> bytes:
        """Return the next report that is meant for us."""
        limit = time.monotonic() + SILENCE
        while True:
            packet = self._report(limit)
            if self._is_ours(packet):
                self._give_up_if_busy(packet)
                return packet

    def _report(self, limit: float) -> bytes:
        packet = self._read(REPORT_OCTETS, limit)
        while self._in_pieces and len(packet) < REPORT_OCTETS:
            packet += self._read(REPORT_OCTETS - len(packet), limit)
        return packet.ljust(REPORT_OCTETS, b"\0")

    def _read(self, octets: int, limit: float) -> bytes:
        self._wait(select.POLLIN, limit)
        piece = os.read(self._file, octets)
        if not piece:
            raise OSError(errno.ENODEV, "the key is gone")
        return piece

    def _is_ours(self, packet: bytes) -> bool:
        """Every program that has the device open sees every report; only the channel tells whose it is."""
        if packet[:4] != self._sent[:4]:
            return False
        if packet[:4] != _BROADCAST or packet[4] != _INIT:
            return True
        return packet[_HEAD : _HEAD + _NONCE_OCTETS] == self._sent[_HEAD : _HEAD + _NONCE_OCTETS]

    def _give_up_if_busy(self, packet: bytes) -> None:
        """A key that serves another program says so; python-fido2 would ask it again and again, for ever."""
        if not packet[4:].startswith(_BUSY):
            self._busy_since = None
            return
        self._busy_since = self._busy_since or time.monotonic()
        if time.monotonic() >= self._busy_since + SILENCE:
            raise OSError(errno.EBUSY, "another program is using the key")

    def _wait(self, what: int, limit: float) -> None:
        poll = select.poll()  # select() knows no file above 1023
        poll.register(self._file, what)
        while not poll.poll(_TICK * 1000):
            now = time.monotonic()
            if now >= min(limit, self._stop_at(now)):
                raise TimeoutError(errno.ETIMEDOUT, "the key does not answer")
        now = time.monotonic()
        if now >= self._stop_at(now):
            raise TimeoutError(errno.ETIMEDOUT, "the key does not stop")

    def _stop_at(self, now: float) -> float:
        """When to give up at the latest. The key is told to stop as soon as it is known that we want it to."""
        if not self._ended.is_set():
            return float("inf")
        if self._ended_at is None:
            self._ended_at = now
        if not self._told_to_stop and self._sent[:4] not in {b"", _BROADCAST}:
            self._told_to_stop = True
            self.write_packet((self._sent[:4] + _CANCEL).ljust(REPORT_OCTETS, b"\0"))
        return self._ended_at + GRACE

    def _take_turn(self) -> None:
        """Wait until no other program that takes turns (libfido2's do) has the key open."""
        limit = time.monotonic() + SILENCE
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._ended.wait(_TICK) or time.monotonic() >= limit:
                    raise OSError(errno.EBUSY, "another program is using the key") from None


def _opened(path: str) -> int:
    # A pty must not become our terminal, and a full one must not hold us up.
    file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISCHR(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.ENXIO, "this is no device", path)
