"""An NFC reader: the real pcscd with vsmartcard's virtual reader, in namespaces of its own, and keys held to it.

There is one pcscd to a machine and its reader listens on every address, so both live where nobody else can reach them;
whoever wants to use the reader has to enter (namespaces(7)). PC/SC part 4 (readers), CTAP 2.1 11.3 (FIDO over NFC).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.wire import PATIENCE

from .machines import PATH, needs, needs_namespaces, program

DRIVER: Final = Path("/etc/reader.conf.d/vpcd")
NAME: Final = "Virtual PCD"
"""How the names of its two slots begin."""
SLOT: Final = ("127.0.0.1", 35963)
LISTENING: Final = "0A"
"""As /proc/net/tcp writes it (proc(5))."""
BLINKS: Final = "press Enter to touch it"

ENTER: Final = """
mount -t tmpfs none /run
mkdir /run/pcscd
ip link set lo up
echo ready
exec cat
"""

NEEDS: Final = (
    needs_namespaces,
    needs("pcscd", "pcscd"),
    needs("ip", "iproute2"),
    pytest.mark.skipif(not DRIVER.exists(), reason="needs Debian package vsmartcard-vpcd"),
    pytest.mark.skipif(
        importlib.util.find_spec("smartcard") is None,
        reason="needs pyscard, compiled with Debian package libpcsclite-dev",
    ),
)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key in the reader's field. One that waits for a touch says so on standard error."""

    process: subprocess.Popen[str]

    def wait_until_it_blinks(self) -> None:
        """Return when it is asked for a touch; it was started with ``--touch``."""
        assert self.process.stderr is not None
        assert any(BLINKS in line for line in self.process.stderr), "it never came to a touch"

    def withdraw(self) -> None:
        """Take it away, whatever it is doing."""
        self.process.kill()
        self.process.communicate()


@dataclass(slots=True)
class Reader:
    """The place with the reader; ``inside`` is the process that keeps it."""

    inside: int
    _drivers: Path
    _service: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> list[str]:
        """Return how to run a program where the reader is; the process that is started becomes that program."""
        return ["nsenter", "--net", "--mount", "--target", str(self.inside), "--", *words]

    def start_service(self) -> None:
        """Start pcscd; return when its socket and its reader are there."""
        command = self.command(program("pcscd") or "pcscd", "--foreground", "--config", str(self._drivers))
        quiet = subprocess.DEVNULL
        self._service = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert self._service.poll() is None, "pcscd has ended"
            assert time.monotonic() < deadline, "pcscd has no reader"
            time.sleep(0.01)

    def stop_service(self) -> None:
        """End pcscd, if it runs."""
        if self._service is not None:
            self._service.terminate()
            self._service.wait(PATIENCE)
            self._service = None

    @contextmanager
    def holding(self, file: Path, *options: str) -> Iterator[HeldKey]:
        """Hold a key, which is a file, to the reader for the length of the block."""
        where = "{}:{}".format(*SLOT)
        command = self.command(sys.executable, "-m", "radiusd2fa.cli.app", "softkey", str(file), "--vpcd", where)
        pipe = subprocess.PIPE
        with subprocess.Popen([*command, *options], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == f"vpcd {where}\n"
                yield HeldKey(process)
            finally:
                process.kill()

    def _is_ready(self) -> bool:
        sockets = [line.split() for line in Path(f"/proc/{self.inside}/net/tcp").read_text().splitlines()[1:]]
        has_slot = any(line[1].endswith(f":{SLOT[1]:04X}") and line[3] == LISTENING for line in sockets)
        return has_slot and Path(f"/proc/{self.inside}/root/run/pcscd/pcscd.comm").exists()


@contextmanager
def place(folder: Path) -> Iterator[Reader]:
    """Make the place for a reader; its pcscd does not run yet."""
    drivers = folder / "drivers"
    drivers.mkdir()
    shutil.copy(DRIVER, drivers)
    command = ["unshare", "--net", "--mount", "sh", "-euc", ENTER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=os.environ | {"PATH": PATH}) as keeper:
        reader = Reader(keeper.pid, drivers)
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == b"ready\n"
            yield reader
        finally:
            reader.stop_service()
            keeper.send_signal(signal.SIGKILL)
