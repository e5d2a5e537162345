"""ocserv with radcli as a gateway, and openconnect for a person who comes to it from a terminal.

Both are Debian's. No tunnel is made: openconnect gets its session cookie, which is what a login ends with, and stops.
RFC 2865 4.4 (Access-Challenge); ocserv's protocol is that of AnyConnect.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Final

from tests.daemon.wire import PATIENCE

from .machines import Ended, Seat, needs, program
from .recipes import NAME, Scene, certify

NEEDS: Final = (needs("ocserv", "ocserv"), needs("openconnect", "openconnect"), needs("openssl", "openssl"))
READY: Final = "sec-mod initialized"
COOKIE: Final = "COOKIE="
"""What openconnect prints when it has been let in."""


@contextlib.contextmanager
def ocserv(scene: Scene) -> Iterator[None]:
    """Serve people for the length of the block."""
    folder = scene.machine.etc / "ocserv"
    certify(folder / "server-key.pem", folder / "server-cert.pem", scene.home / "ca.pem")
    log = scene.home / "ocserv.log"
    command = scene.machine.command(program("ocserv") or "ocserv", "--foreground", "--debug", "2")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while READY not in (said := log.read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.005)
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(PATIENCE)


def openconnect(scene: Scene, user: str) -> Seat:
    """A terminal at which openconnect asks what the gateway asks."""
    options = ["--authenticate", "--user", user, "--cafile", str(scene.home / "ca.pem")]
    return Seat(scene.machine.command("openconnect", *options, NAME), os.environ)


def login(scene: Scene, user: str, answers: list[tuple[str, str]]) -> Ended:
    """Wait for each question and the colon of the field below it, type the answer, and see how it ends."""
    with openconnect(scene, user) as seat:
        for question, answer in answers:
            seat.until(question)
            seat.until(":")
            seat.type(answer)
        return seat.end()
