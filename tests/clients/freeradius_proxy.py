"""FreeRADIUS of Debian as somebody else's server: a proxy in front of us, or a place that accounting goes to.

It is configured by what a recipe has laid over /etc/freeradius, and by nothing of ours; it drops its privileges as it
does everywhere. RFC 2865 5.33 (Proxy-State), RFC 5997 (Status-Server), RFC 2866 (accounting).
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.daemon.wire import PATIENCE

from .machines import Machine, needs, program

NEEDS: Final = (needs("freeradius", "freeradius"), needs("radclient", "freeradius-utils"))
READY: Final = "Ready to process requests"

START: Final = """
mkdir -p /var/log/freeradius
chown freerad:freerad /var/log/freeradius
exec "$0" -f -l stdout "$@"
"""


@contextlib.contextmanager
def freeradius(machine: Machine, log: Path, *options: str) -> Iterator[None]:
    """Serve for the length of the block, and log to that file."""
    command = machine.command("sh", "-euc", START, program("freeradius") or "freeradius", *options)
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What radclient says of the reply that it got: an empty ``kind`` when none came that it could verify."""

    kind: str
    attributes: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """All values of an attribute, in their order, as radclient writes them."""
        return [value for found, value in self.attributes if found == name]


def ask(to: str, secret_file: Path, *attributes: str) -> Answer:
    """Let radclient ask once, as a gateway that signs would."""
    done = subprocess.run(
        ["radclient", "-x", "-r", "1", "-t", "5", "-S", str(secret_file), to, "auth"],
        input=", ".join((*attributes, "Message-Authenticator = 0x00")) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    kind, _, reply = done.stdout.partition("Received Access-")[2].partition(" ")
    return Answer(kind, tuple(re.findall(r"^\t([\w-]+) = (.*)$", reply, re.MULTILINE)))
