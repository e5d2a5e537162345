"""The part of test_reader.py that runs inside namespaces of its own: pcscd, its virtual reader, and soft keys in it.

It must be started under `unshare --net --mount`, because there is one pcscd per machine and vpcd listens everywhere;
what it saw goes to standard output as JSON.
CTAP 2.1 11.3 (NFC); PC/SC through pyscard and python-fido2.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fido2.client import ClientError
from fido2.pcsc import CtapPcscDevice
from smartcard import scard

from radiusd2fa.emulators.softkey import Misbehaviour, SoftKey, TouchRequest, Unplug, memory
from radiusd2fa.emulators.softkey.vpcd import PORT, VpcdKey

from .ceremonies import PIN, REQUIRED, Person, credential_of, log_in, register

READER: Final = "Virtual PCD 00 00"
DRIVER: Final = Path("/etc/reader.conf.d/vpcd")
PATIENCE: Final = 20.0
Seen = dict[str, object]


def main() -> None:
    """Start pcscd, try everything, and say what was seen."""
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    drivers = Path("/run/drivers")
    drivers.mkdir()
    shutil.copy(DRIVER, drivers)
    pcscd = subprocess.Popen(["pcscd", "-f", "-i", "-c", str(drivers)], stdout=subprocess.DEVNULL)
    try:
        _await_port()
        seen = {trial.__name__: trial() for trial in (ctap2, u2f, pin, cancelled, withdrawn)}
    finally:
        pcscd.terminate()
        pcscd.wait()
    json.dump(seen, sys.stdout)


# --- what is tried ---------------------------------------------------------------------------------------------------


def ctap2() -> Seen:
    """Register both algorithms and log in twice with each; then the same key in a USB port."""
    key, counters, formats = SoftKey.make(), list[int](), list[str]()
    with _held(key) as device:
        version = device.version
        credentials = []
        for algorithm in (-7, -8):
            made = register(device, algorithm)
            formats.append(made.fmt)
            credentials.append(credential_of(made))
            counters.append(made.auth_data.counter)
            counters += [log_in(device, *credentials).counter for _ in range(2)]
    counters.append(log_in(memory.connect(key), *credentials).counter)
    return {"version": version, "formats": formats, "counters": counters}


def u2f() -> Seen:
    """Register and log in with a U2F-only key."""
    with _held(SoftKey.make(u2f_only=True)) as device:
        made = register(device)
        return {"version": device.version, "format": made.fmt, "flags": log_in(device, credential_of(made)).flags}


def pin() -> Seen:
    """Verify the user, on a key that wants a touch although it is held to the reader."""

    def late(asked: TouchRequest) -> bool:
        return asked.waited > 0.05

    person = Person(pin=PIN)
    with _held(SoftKey.make(pin=PIN, touch=late)) as device:
        made = register(device, verification=REQUIRED, person=person)
        flags = log_in(device, credential_of(made), verification=REQUIRED, person=person).flags
    return {"flags": [made.auth_data.flags, flags], "touches": person.touches}


def cancelled() -> Seen:
    """Give up waiting for a touch."""
    key, event = SoftKey.make(), threading.Event()
    key.misbehaviour = Misbehaviour(never_touched=True)

    class Impatient(Person):
        def prompt_up(self) -> None:
            event.set()

    with _held(key) as device:
        try:
            register(device, person=Impatient(), event=event)
        except ClientError as error:
            return {"code": ClientError.ERR(error.code).name}
    return {}


def withdrawn() -> Seen:
    """Take the key away before its answer."""
    key = SoftKey.make()
    with _held(key) as device:
        credential = credential_of(register(device))
        key.misbehaviour = Misbehaviour(unplug=Unplug.ANSWERING)
        try:
            log_in(device, credential)
        except Exception as error:  # noqa: BLE001 which one it is, is the question
            return {"error": type(error).__name__}
    return {}


# --- the reader ------------------------------------------------------------------------------------------------------


@contextmanager
def _held(key: SoftKey) -> Iterator[CtapPcscDevice]:
    with VpcdKey(key):
        _await_card(scard.SCARD_STATE_PRESENT)
        (device,) = CtapPcscDevice.list_devices(READER)
        yield device
    _await_card(scard.SCARD_STATE_EMPTY)


def _await_port() -> None:
    """Wait until vpcd listens: its port in the kernel's table, so that no connection is taken for a card."""
    deadline = time.monotonic() + PATIENCE
    while f":{PORT:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
        if time.monotonic() > deadline:
            raise TimeoutError("pcscd has not begun to listen")
        time.sleep(0.01)


def _await_card(wanted: int) -> None:
    """Wait until pcscd sees a card, or sees none."""
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    state, deadline = scard.SCARD_STATE_UNAWARE, time.monotonic() + PATIENCE
    while not state & wanted:
        if time.monotonic() > deadline:
            raise TimeoutError("pcscd does not see what happens in its reader")
        _, ((_, state, _),) = scard.SCardGetStatusChange(context, int(PATIENCE * 1000), [(READER, state)])
    scard.SCardReleaseContext(context)


if __name__ == "__main__":
    main()
