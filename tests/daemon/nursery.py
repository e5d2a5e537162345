"""Daemons of tests without the half second that each would take to import the program: forks of a process that has.

What runs in the fork is the real command line with its own arguments, folder and standard error; only `exec` is left
out, so tests that look at an environment or a command line of its own start the program instead. It ends nothing that
it did not start.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, TextIO

PATIENCE: Final = 60.0
_PR_SET_CHILD_SUBREAPER: Final = 36
_LONGEST: Final = 65_536
_FILES: Final = 3
"""Standard input, output and error."""


@dataclass(slots=True)
class Fork:
    """A process as `subprocess.Popen` shows one, as far as tests need it."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit code, when it has ended."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(["radiusd2fa"], timeout)
            time.sleep(0.001)
        return code

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that has imported everything. One for each process that runs tests, ended with it."""

    def __init__(self) -> None:
        # the daemon's parent ends at once, so that the daemon becomes our child: we can wait for it
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.daemon.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )

    def is_in_our_network(self) -> bool:
        """Whether what it starts is in the network namespace that this thread is in now."""
        return Path("/proc/thread-self/ns/net").readlink() == Path(f"/proc/{self._process.pid}/ns/net").readlink()

    def start(self, arguments: Sequence[str], folder: Path, stderr: int) -> Fork:
        """Run `radiusd2fa` with these arguments in that folder, its standard error being a descriptor."""
        with Path(os.devnull).open("r+b") as nothing:
            return self._start(arguments, folder, [nothing.fileno(), nothing.fileno(), stderr])

    def run(self, arguments: Sequence[str], folder: Path, typed: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; returns what it printed."""
        with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
            stdin.write(typed.encode())
            stdin.seek(0)
            fork = self._start(arguments, folder, [stdin.fileno(), stdout.fileno(), stderr.fileno()])
            code = fork.wait(PATIENCE)
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(arguments, code, stdout.read().decode(), stderr.read().decode())

    def _start(self, arguments: Sequence[str], folder: Path, files: list[int]) -> Fork:
        socket.send_fds(self._ours, [json.dumps([str(folder), *arguments]).encode()], files)
        return Fork(int(self._ours.recv(_LONGEST)))

    def close(self) -> None:
        """End it; what it has started goes on."""
        self._ours.close()
        self._process.wait(PATIENCE)


_nurseries: dict[int, Nursery] = {}


def nursery() -> Nursery:
    """Return this process's."""
    if os.getpid() not in _nurseries:
        _nurseries[os.getpid()] = Nursery()
        atexit.register(_nurseries[os.getpid()].close)
    return _nurseries[os.getpid()]


def _raise_daemons(to: socket.socket) -> None:
    """Fork a daemon for each message, until the other end closes."""
    while True:
        message, files, _, _ = socket.recv_fds(to, _LONGEST, _FILES)
        if not message:
            return
        told, tells = os.pipe()
        between = os.fork()
        if between == 0:
            daemon = os.fork()
            if daemon:
                os.write(tells, str(daemon).encode())
                os._exit(0)
            to.close()
            os.close(told)
            os.close(tells)
            _become(json.loads(message), files)
        os.waitpid(between, 0)  # from now on it is the child of whoever asked
        to.send(os.read(told, _LONGEST))
        for file in (*files, told, tells):
            os.close(file)


def _become(asked: list[str], files: list[int]) -> None:
    """Be the program that was asked for, and end with it."""
    from radiusd2fa.cli.app import main

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    folder, *arguments = asked
    os.chdir(folder)
    sys.argv = ["radiusd2fa", *arguments]
    # what comes after an error of the program's own must not run the parent's clean-up
    code: object = 1
    try:
        main()
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    except BaseException:  # noqa: BLE001 - as the interpreter would
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        stderr: TextIO = sys.stderr
        stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _import_everything() -> None:
    import radiusd2fa.cli.app
    import radiusd2fa.cli.check
    import radiusd2fa.factors
    import radiusd2fa.primary.local
    import radiusd2fa.primary.none
    import radiusd2fa.server
    import radiusd2fa.store.engine
    import radiusd2fa.store.registry
    import radiusd2fa.vault

    radiusd2fa.factors.find_functions(frozenset({"fido", "yubico", "totp", "hotp", "recovery"}))


if __name__ == "__main__":
    _import_everything()
    _raise_daemons(socket.socket(fileno=int(sys.argv[1])))
