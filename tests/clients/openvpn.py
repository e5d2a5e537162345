"""OpenVPN as a gateway with whatever plugin a recipe gives it, and its client, driven as a graphical one drives it.

The client asks for user, password and code over its management interface and sends code and password as SCRV1; a login
ends with a tunnel between two interfaces of the test's network, or with AUTH_FAILED. OpenVPN's management-notes.txt.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import pytest

from tests.daemon.wire import PATIENCE

from .machines import needs, program
from .recipes import Scene, certify

PLUGINS: Final = Path("/usr/lib/openvpn")
RADIUS_PLUGIN: Final = PLUGINS / "radiusplugin.so"
NEEDS: Final = (
    needs("openvpn", "openvpn"),
    needs("openssl", "openssl"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun"),
)
NEEDS_RADIUS_PLUGIN: Final = pytest.mark.skipif(
    not RADIUS_PLUGIN.exists(), reason="needs Debian package openvpn-auth-radius"
)

SERVER_FILE: Final = Path("openvpn/server/vpn.conf")
CLIENT_FILE: Final = "vpn.ovpn"
START: Final = 'mkdir /run/openvpn-server; exec "$0" "$@"'
"""As the unit openvpn-server@.service has it."""
READY: Final = "Initialization Sequence Completed"

CONNECTED: Final = "CONNECTED,SUCCESS"
REFUSED: Final = "Verification Failed: 'Auth'"
REKEYED: Final = "Username/auth-token authentication succeeded"
"""What the gateway says when it has let a tunnel go on without asking its plugin."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The server, and what it has said."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, text: str) -> None:
        """Wait until it has said that."""
        deadline = time.monotonic() + PATIENCE
        while text not in (said := self.log.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.005)


@contextlib.contextmanager
def openvpn(scene: Scene) -> Iterator[Gateway]:
    """Serve people for the length of the block."""
    folder = scene.machine.etc / SERVER_FILE.parent
    certify(folder / "server-key.pem", folder / "server-cert.pem", folder / "ca.pem", scene.home / "ca.pem")
    log = scene.home / "openvpn.log"
    file = Path("/etc") / SERVER_FILE
    words = (program("openvpn") or "openvpn", "--cd", str(file.parent), "--config", str(file))
    command = scene.machine.command("sh", "-euc", START, *words)
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        gateway = Gateway(process, log)
        gateway.wait_for(READY)
        yield gateway
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(PATIENCE)


@dataclass(frozen=True, slots=True)
class Client:
    """A client that waits for its person. ``question`` is what it shows above the field for the code."""

    process: subprocess.Popen[bytes]
    management: TextIO
    question: str

    def answer(self, user: str, password: str, code: str) -> None:
        """Fill in the three fields."""
        response = ":".join(base64.b64encode(text.encode()).decode() for text in (password, code))
        self._order(f'username "Auth" "{user}"', f'password "Auth" "SCRV1:{response}"')

    def is_let_in(self) -> bool:
        """Wait until the tunnel stands, or the login has been refused."""
        return CONNECTED in self._line_with(CONNECTED, REFUSED)

    def reconnect(self) -> None:
        """Connect anew, as after the network was away."""
        self._order("signal SIGUSR1")

    def _order(self, *orders: str) -> None:
        self.management.write("".join(f"{order}\n" for order in orders))
        self.management.flush()

    def _line_with(self, *texts: str) -> str:
        for line in self.management:
            if any(text in line for text in texts):
                return line
        raise AssertionError(f"none of {texts} before the client ended")

    @classmethod
    @contextlib.contextmanager
    def started(cls, scene: Scene, *more: str) -> Iterator[Client]:
        """A client for the length of the block, with the file that the recipe gives people, and options of a test's."""
        door = scene.home / "management"
        door.unlink(missing_ok=True)
        options = ["--management", str(door), "unix", "--management-query-passwords", "--management-hold"]
        command = ["openvpn", "--cd", str(scene.home), "--config", CLIENT_FILE, *options, *more]
        log = scene.home / "client.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                scene.machine.command(*command), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            with _connected(door, log, process) as management:
                client = cls(process, management, "")
                client._line_with(">HOLD")
                client._order("state on", "hold off", "hold release")
                # what follows SC:1, is the text of the static challenge, whose answer may be shown
                asked = client._line_with(">PASSWORD:Need 'Auth'")
                yield cls(process, management, asked.partition(" SC:1,")[2].strip())
        finally:
            process.terminate()
            process.wait(PATIENCE)


@contextlib.contextmanager
def _connected(door: Path, log: Path, process: subprocess.Popen[bytes]) -> Iterator[TextIO]:
    deadline = time.monotonic() + PATIENCE
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        while connection.connect_ex(str(door)) != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.005)
        with connection.makefile("rw") as management:
            yield management


def login(scene: Scene, user: str, password: str, code: str) -> bool:
    """Start a client, fill in its fields, and say whether it was let in."""
    with Client.started(scene) as client:
        client.answer(user, password, code)
        return client.is_let_in()
