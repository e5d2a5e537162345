"""Machines of the test's own: their users, PAM services and host names, and a person who sits at a terminal of one.

A machine is a mount namespace in which files of the test's lie over those of /etc; nothing of the machine that we run
on is changed, not even when a test is killed, and the namespace is gone with its last process. Programs that a test has
started are ended by it. mount_namespaces(7), termios(3).
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.daemon.wire import PATIENCE

FIRST_USER_ID: Final = 61_000
PATH: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

LAY_OVER: Final = """
for file in "$0"/*; do mount --bind "$file" "/etc/${file##*/}"; done
# no service of the machine that we run on is at hand here, and no log of it is written
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
mount -t tmpfs none /var/log
exec "$@"
"""


def program(name: str) -> str | None:
    """Return where a program is; those of an administrator count too."""
    return shutil.which(name, path=PATH)


def needs(name: str, package: str) -> pytest.MarkDecorator:
    """Skip where that program is missing, and say whose it is."""
    return pytest.mark.skipif(program(name) is None, reason=f"needs Debian package {package}")


def _may_unshare() -> bool:
    command = ["unshare", "--mount", "--net", "true"]
    if program("unshare") is None or os.geteuid() != 0:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_namespaces: Final = pytest.mark.skipif(not _may_unshare(), reason="needs root, and leave to make namespaces")


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. ``etc`` holds what lies over /etc there."""

    etc: Path

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        users: Sequence[str] = (),
        services: Mapping[str, str] | None = None,
        home: Path = Path("/"),
    ) -> Machine:
        """Write its files: users without a password, PAM services, and where root is at home."""
        etc = folder / "etc"
        etc.mkdir(mode=0o755, parents=True, exist_ok=True)
        others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]
        ours = [f"{name}:x:{FIRST_USER_ID + at}:65534::/:/bin/sh" for at, name in enumerate(users)]
        _write(etc / "passwd", [f"root:x:0:0::{home}:/bin/sh", *ours, *others])
        _write(etc / "shadow", [f"{line.partition(':')[0]}:*:19000::::::" for line in ("root:", *ours, *others)])
        _write(etc / "hosts", ["127.0.0.1 localhost"])
        if services is not None:
            (etc / "pam.d").mkdir()
            for name, text in services.items():
                (etc / "pam.d" / name).write_text(text)
        return cls(etc)

    def command(self, *words: str) -> list[str]:
        """Return how to run a program on this machine; the process that is started becomes that program."""
        return ["unshare", "--mount", "sh", "-euc", LAY_OVER, str(self.etc), *words]


def _write(file: Path, lines: Sequence[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, what it printed to standard output, and what stood on the screen."""

    code: int
    printed: str
    screen: str


class Seat:
    """A terminal, the one program that runs there, and its person. Standard output leads past the screen."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        try:
            self.process = subprocess.Popen(
                ["setsid", "--ctty", *command], stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=dict(environment)
            )
        finally:
            os.close(slave)
        self._screen = ""
        self._unread = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._master)

    def look_for(self, pattern: str) -> re.Match[str] | None:
        """Read until this is on the screen, beyond what was found before; None when the program ends without it."""
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self._unread)) is None:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{pattern} never came; there was {self._screen!r}"
            try:
                octets = os.read(self._master, 4096)
            except OSError:  # EIO: nobody has the terminal open any more
                return None
            self._screen += octets.decode(errors="replace")
            self._unread += octets.decode(errors="replace")
        self._unread = self._unread[found.end() :]
        return found

    def until(self, text: str) -> None:
        """Read until this text is on the screen."""
        assert self.look_for(re.escape(text)) is not None, f"{text!r} never came; there was {self._screen!r}"

    def type(self, line: str) -> None:
        """Type a line, and Enter."""
        os.write(self._master, f"{line}\n".encode())

    def end(self) -> Ended:
        """Wait for the end of the program."""
        while self.look_for("(?!)") is not None:
            pass
        printed, _ = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, printed.decode(), self._screen)
