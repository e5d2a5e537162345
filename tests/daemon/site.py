"""A site of a test's own, made with the real command line, and the real daemon serving it as a process.

Everything is in the test's folder and on loopback; a daemon is ended by its own process id and by nothing wider.
The address a packet comes from says which client it is (RFC 2865 3), so one daemon shows every flow at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from radiusd2fa.cli.app import app
from radiusd2fa.emulators.softfob import SoftFob

from .nursery import Fork, nursery
from .wire import PATIENCE, Address, Peer

SECRET: Final = b"nobody shares this secret"
PASSWORD: Final = "correct horse"

CODE_ONLY: Final = "127.0.1.1"
CHALLENGE: Final = "127.0.1.2"
APPEND: Final = "127.0.1.3"
OBSERVED: Final = "127.0.1.4"
"""Where each client of the usual site sends from."""

_QUICK: Final = f'secret: "{SECRET.decode()}", reject_delay: 0s'
USUAL_CLIENTS: Final = {
    "code": f"{{networks: [{CODE_ONLY}/32], {_QUICK}, flow: code-only}}",
    "ask": f"{{networks: [{CHALLENGE}/32], {_QUICK}, flow: challenge}}",
    "append": f"{{networks: [{APPEND}/32], {_QUICK}, flow: append}}",
    "observed": f"{{networks: [{OBSERVED}/32], {_QUICK}, flow: code-only, message_authenticator: observe}}",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a fob."""

    name: str
    fob: SoftFob

    def press(self) -> str:
        """The next code of a fob with a button, the present one of a fob with a clock."""
        return self.fob.press(time.time())

    def code_at(self, moving_factor: int) -> str:
        """The code of any count or step, the button untouched."""
        return SoftFob("hotp", self.fob.secret, self.fob.digits, self.fob.algorithm, counter=moving_factor).press(0)

    def wrong_codes(self, count: int) -> list[str]:
        """Codes that are none of this fob's within a thousand counts."""
        right = {self.code_at(number) for number in range(1000)}
        return [code for number in range(count + 1000) if (code := f"{number:0{self.fob.digits}d}") not in right][
            :count
        ]


@dataclass(frozen=True, slots=True)
class Site:
    """Configuration, vault key and database in one folder."""

    folder: Path
    secret: bytes = field(default=SECRET, repr=False)
    """What its clients share with it, if they do not say otherwise."""

    @classmethod
    def make(
        cls,
        folder: Path,
        clients: Mapping[str, str] = USUAL_CLIENTS,
        listen: Sequence[str] = ("127.0.0.1:0",),
        secret: bytes = SECRET,
        **sections: str,
    ) -> Site:
        """Write the configuration, then let `init` make the rest. ``sections`` are sections of the file, in YAML."""
        site = cls(folder, secret)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        site.configure(clients, listen, **sections)
        site.cli("init", "--dir", str(folder))
        return site

    def configure(
        self, clients: Mapping[str, str] = USUAL_CLIENTS, listen: Sequence[str] = ("127.0.0.1:0",), **sections: str
    ) -> None:
        """Write the configuration."""
        usual = {
            "listen": f"{{udp: {json.dumps(list(listen))}}}",
            "store": "sqlite:///radiusd2fa.db",
            "clients": f"{{{', '.join(f'{name}: {client}' for name, client in clients.items())}}}",
            "primary": "{kind: local, memory_kib: 64, passes: 1}",
            "syslog": "off",
            "log": "{format: json, level: debug}",
        }
        self.config.touch(mode=0o600)
        self.config.write_text("".join(f"{key}: {value}\n" for key, value in {**usual, **sections}.items()))

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "radiusd2fa.yaml"

    @property
    def database(self) -> Path:
        """The database file."""
        return self.folder / "radiusd2fa.db"

    @property
    def log(self) -> Path:
        """What all daemons of this site have written to standard error: beside the folder, which may be full."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def cli(self, *arguments: str, stdin: str = "") -> str:
        """The command line, called in this process to save its start; it must succeed. Returns what it printed."""
        code, output = self.attempt(*arguments, stdin=stdin)
        assert code == 0, f"{arguments}: {output}"
        return output

    def attempt(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """The same, whatever comes of it: exit code, and all that was printed."""
        result = CliRunner().invoke(app, ["-c", str(self.config), *arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The command line as a process of its own, as an administrator runs it."""
        return nursery().run(_arguments(self.config, *arguments), self.folder, stdin)

    def person(
        self,
        name: str,
        kind: str = "hotp",
        *,
        password: str | None = PASSWORD,
        digits: int = 8,
        algorithm: str = "sha1",
        seed: bytes | None = None,
    ) -> Person:
        """Add somebody with a fob; without a password the NAS is the one that checks it.

        Eight digits, so that no two codes of a test are equal by chance.
        """
        with_password = ["--no-password"] if password is None else ["--password-stdin"]
        self.cli("user", "add", name, *with_password, stdin=password or "")
        return Person(name, self.fob(name, kind, digits=digits, algorithm=algorithm, seed=seed))

    def fob(
        self, name: str, kind: str = "hotp", *, digits: int = 8, algorithm: str = "sha1", seed: bytes | None = None
    ) -> SoftFob:
        """Give somebody a fob."""
        secret = os.urandom(20) if seed is None else seed
        serial = f"{name}-{os.urandom(4).hex()}"
        described = ("--kind", kind, "--digits", str(digits), "--algorithm", algorithm, "--serial", serial)
        self.cli("token", "add", "--user", name, *described, "--secret-stdin", stdin=secret.hex())
        return SoftFob("hotp" if kind == "hotp" else "totp", secret, digits, algorithm, serial=serial)

    def facts(self, name: str) -> dict[str, Any]:
        """What `user show` says about somebody."""
        shown: dict[str, Any] = json.loads(self.cli("user", "show", name, "--json"))
        return shown

    def token(self, serial: str) -> dict[str, Any]:
        """What `token show` says about a token."""
        shown: dict[str, Any] = json.loads(self.cli("token", "show", serial, "--json"))
        return shown

    def audit(self) -> list[dict[str, Any]]:
        """All rows of the audit, oldest first."""
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM events ORDER BY id")]

    def start(self, environment: Mapping[str, str] | None = None, *more: str) -> Daemon:
        """Start the daemon and return at once; with an ``environment`` as a program of its own (else: nursery.py)."""
        began = self.log.stat().st_size if self.log.exists() else 0
        process: subprocess.Popen[bytes] | Fork
        with self.log.open("ab") as log:
            if environment is None and nursery().is_in_our_network():
                process = nursery().start(_arguments(self.config, "serve", *more), self.folder, log.fileno())
            else:
                process = subprocess.Popen(
                    _command(self.config, "serve", *more),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    cwd=self.folder,  # not the checkout: PYTHONPATH must be able to put another tree under test
                    env=os.environ | dict(environment or {}),
                )
        return Daemon(self, process, began)

    @contextlib.contextmanager
    def serving(self, environment: Mapping[str, str] | None = None) -> Iterator[Daemon]:
        """A daemon that listens; it is ended with the block, and has ended well unless the block ended it."""
        daemon = self.start(environment)
        try:
            daemon.wait_until_listening()
            yield daemon
            if daemon.process.poll() is None:
                assert daemon.stop() == 0, self.log.read_text()
        finally:
            daemon.kill()


@dataclass(slots=True)
class Daemon:
    """One `radiusd2fa serve`, from its start to its end."""

    site: Site
    process: subprocess.Popen[bytes] | Fork
    _began: int
    addresses: list[Address] = field(default_factory=list)
    """Where it listens, in the order of the configuration."""

    @property
    def address(self) -> Address:
        """Where it listens first."""
        return self.addresses[0]

    def peer(self, source: str = CODE_ONLY, secret: bytes | None = None) -> Peer:
        """A NAS at that address."""
        return Peer(self.address, self.site.secret if secret is None else secret, source)

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """What this daemon has logged so far: all, or the lines of one event."""
        with self.site.log.open("rb") as log:
            log.seek(self._began)
            written = log.read()
        complete = written[: written.rfind(b"\n") + 1].decode().splitlines()
        # what is no JSON is the complaint of a start that was refused
        named = "" if event is None else f'"event":"{event}"'
        parsed: list[dict[str, Any]] = [json.loads(line) for line in complete if line.startswith("{") and named in line]
        return parsed if event is None else [line for line in parsed if line["event"] == event]

    def wait_for(self, event: str, count: int = 1, **fields: str) -> dict[str, Any]:
        """The line of that event with these fields, when it has been logged ``count`` times."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = [line for line in self.lines(event) if fields.items() <= line.items()]
            if len(found) >= count:
                return found[count - 1]
            assert time.monotonic() < deadline, f"no {event} {fields} in {self.site.log.read_text()[-4000:]}"
            assert self.process.poll() is None, f"the daemon has ended: {self.site.log.read_text()[-4000:]}"
            time.sleep(0.002)

    def wait_until_listening(self) -> None:
        """Read from the log which ports the kernel chose, then ask for the status until it is answered."""
        self.wait_for("server.started")
        for line in self.lines("server.listening"):
            host, _, port = line["address"].rpartition(":")
            self.addresses.append((host.strip("[]"), int(port)))
        with self.peer() as peer:
            peer.wait_until_served()

    def wait_until_read(self) -> None:
        """Return when the daemon has taken everything out of its socket."""
        deadline = time.monotonic() + PATIENCE
        mine = f":{self.address[1]:04X}"
        while True:
            sockets = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
            # proc(5): "tx_queue" and "rx_queue" in octets
            if all(int(fields[4].partition(":")[2], 16) == 0 for fields in sockets if fields[1].endswith(mine)):
                return
            assert time.monotonic() < deadline, "the daemon reads nothing"

    def pause(self) -> None:
        """Stop the process for a while: what is sent now will be found all at once."""
        self.process.send_signal(signal.SIGSTOP)
        # until the kernel says so, the process may still be running; WNOWAIT leaves its end to Popen
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it run again."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would, unless it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE)

    def counters(self) -> dict[str, int]:
        """What it counted, as it says at its end."""
        (line,) = self.lines("server.stopped")
        return {key: int(value) for key, value in (pair.split("=") for pair in line["message"].split())}

    def memory(self) -> int:
        """Resident memory, in octets."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


def _command(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "radiusd2fa.cli.app", *_arguments(config, *arguments)]


def _arguments(config: Path, *arguments: str) -> list[str]:
    return ["-c", str(config), *arguments]
