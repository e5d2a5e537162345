"""The servers that a run loads: radiusd2fa, a bare echo and FreeRADIUS, each started for this run and ended by its id.

Nothing here measures or judges; nothing is left running, and no server of the machine is touched.
All of them listen on loopback (RFC 2865 3; the echo is RFC 862 on a port of the kernel's choice).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyotp
from pythons import OWN, Python

HERE: Final = Path(__file__).parent
BUILD: Final = HERE / "build"
FREERADIUS: Final = Path("/usr/sbin/freeradius")
SECRET: Final = "a shared secret of the bench"
READY_WITHIN: Final = 30.0

_STARTED: Final = re.compile(rb"server\.listening.*127\.0\.0\.1:([0-9]+)")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far: CPU in seconds, memory now and at its highest in MB."""

    cpu: float
    rss: float
    peak: float


@dataclass(frozen=True, slots=True)
class Server:
    """A running server under load."""

    name: str
    pid: int
    port: int

    def usage(self) -> Usage:
        """Read /proc: all threads together, and all workers that it has started."""
        return Usage(*map(sum, zip(*map(_usage, _family(self.pid)), strict=True)))


def _family(pid: int) -> list[int]:
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [pid, *(one for child in children for one in _family(child))]


def _usage(pid: int) -> tuple[float, float, float]:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(after_name[11]) + int(after_name[12])  # utime, stime: fields 14 and 15 of proc(5)
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    resident, highest = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return ticks / os.sysconf("SC_CLK_TCK"), resident, highest


class NotReadyError(Exception):
    """A server ended, or said nothing, before it was ready."""


def build() -> None:
    """Compile the generator, the echo and the drain."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotReadyError("no C compiler (cc): install gcc or clang to run the bench")
    BUILD.mkdir(exist_ok=True)
    for name in ("load", "flood", "echo", "drain"):
        subprocess.run([compiler, "-O2", "-o", BUILD / name, HERE / f"{name}.c"], check=True)


def seed_of(index: int) -> bytes:
    """Return the HOTP seed of one user, as the generator derives it."""
    return hashlib.sha1(b"bench" + index.to_bytes(8, "big")).digest()  # noqa: S324  # a name for a seed, not a signature


def name_of(index: int) -> str:
    """Return the name of one user, as the generator writes it."""
    return f"user{index:07}"


def code_of(index: int, counter: int) -> str:
    """Return one code of one user's fob."""
    return pyotp.HOTP(base64.b32encode(seed_of(index)).decode()).at(counter)


@contextmanager
def echo() -> Iterator[Server]:
    """Run the echo."""
    with running([BUILD / "echo"], subprocess.PIPE, None) as process:
        assert process.stdout is not None
        yield Server("UDP echo", process.pid, int(process.stdout.readline()))


@contextmanager
def daemon(configuration: Path, sink: Sink, python: Python = OWN, name: str = "radiusd2fa") -> Iterator[Server]:
    """Run radiusd2fa on a configuration whose log is JSON; standard error goes into a file of ``sink``."""
    command: list[str | Path] = [python.path, "-m", "radiusd2fa.cli.app", "--config", configuration, "serve"]
    checkout = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    with sink.log.open("wb") as log, running(command, None, log.fileno(), checkout) as process:
        with soon_ready(process):
            port = sink.port_of(process)
        yield Server(name, process.pid, port)


def freeradius(directory: Path, users: int) -> AbstractContextManager[Server]:
    """Run a private FreeRADIUS with ``users`` static passwords: the generator's first codes."""
    directory.mkdir()
    (directory / "users").write_text(
        "".join(f'{name_of(index)} Cleartext-Password := "{code_of(index, 0)}"\n' for index in range(users))
    )
    modules = f"files {{\n    filename = {directory}/users\n  }}\n  pap {{\n  }}"
    return radiusd("FreeRADIUS", directory, modules, "files\n    pap", "pap")


@contextmanager
def radiusd(name: str, directory: Path, modules: str, authorize: str, authenticate: str) -> Iterator[Server]:
    """Run a private FreeRADIUS with these modules and steps; whatever else it needs is written here."""
    port = free_port()
    (directory / "radiusd.conf").write_text(_radiusd_conf(directory, port, modules, authorize, authenticate))
    (directory / "dictionary").write_text("")
    command: list[str | Path] = [FREERADIUS, "-f", "-l", "stdout", "-d", directory]
    with running(command, subprocess.PIPE, None) as process:
        assert process.stdout is not None
        with soon_ready(process):
            if not any(b"Ready to process requests" in line for line in process.stdout):
                raise NotReadyError(f"{name} ended before it was ready")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Server(name, process.pid, port)


def freeradius_version() -> str | None:
    """Return the version of the FreeRADIUS installed here, or None."""
    if not FREERADIUS.exists():
        return None
    text = subprocess.run([FREERADIUS, "-v"], capture_output=True, text=True, check=True).stdout
    return text.split("Version ", 1)[1].split(",", 1)[0]


def install(*packages: str) -> bool:
    """Install Debian's packages where that cannot start a service: as root, and with no systemd running."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None or Path("/run/systemd/system").exists():
        return False
    # invoke-rc.d starts nothing in runlevel 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    return subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False).returncode == 0


class Sink:
    """The other end of the log and of syslog: a file, and a drain that counts what comes out of the socket."""

    def __init__(self, socket_path: Path) -> None:
        self.log = socket_path.with_suffix(".log")
        self._drain = subprocess.Popen([BUILD / "drain", socket_path], stdout=subprocess.PIPE, text=True)
        assert self._drain.stdout is not None
        self._drain.stdout.readline()

    def port_of(self, daemon: subprocess.Popen[bytes]) -> int:
        """Wait for the event ``server.listening`` in the log, and return the port in it."""
        while daemon.poll() is None:
            if bound := _STARTED.search(self.log.read_bytes()):
                return int(bound[1])
            time.sleep(0.02)
        raise NotReadyError(f"radiusd2fa ended before it was ready:\n{self.log.read_text()[-2000:]}")

    def close(self) -> tuple[int, int]:
        """Take what is still queued; return how many lines came to syslog, and how many octets to the log."""
        self._drain.send_signal(signal.SIGTERM)
        counted, _ = self._drain.communicate(timeout=10)
        return int(counted), self.log.stat().st_size


@contextmanager
def running(
    command: Sequence[str | Path], out: int | None, err: int | None, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start one process; end it by its id, gently and then not."""
    process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def soon_ready(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process that does not become ready; whoever reads its output then sees the end of it."""
    timer = threading.Timer(READY_WITHIN, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def free_port() -> int:
    """Return a UDP port that is free now: FreeRADIUS cannot be told to choose its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _radiusd_conf(directory: Path, port: int, modules: str, authorize: str, authenticate: str) -> str:
    """Return the least that answers, with Debian's thread pool and signed requests demanded."""
    return f"""
prefix = /usr
libdir = /usr/lib/freeradius
logdir = {directory}
raddbdir = {directory}
run_dir = {directory}
pidfile = {directory}/pid
hostname_lookups = no
max_requests = 65536
max_request_time = 30
cleanup_delay = 5
security {{
  reject_delay = 0
}}
log {{
  destination = stdout
}}
thread pool {{
  start_servers = 5
  max_servers = 32
  min_spare_servers = 3
  max_spare_servers = 10
  max_requests_per_server = 0
}}
client bench {{
  ipaddr = 127.0.0.1
  secret = "{SECRET}"
  require_message_authenticator = yes
}}
modules {{
  {modules}
}}
server bench {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    {authorize}
  }}
  authenticate {{
    {authenticate}
  }}
}}
"""
