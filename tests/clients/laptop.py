"""A person's laptop: the stock ssh, our askpass program as `setup-ssh` puts it into the shell, and a home of its own.

Only what a person would do is done: an `add` for the key's card, `~/.ssh/config` for ports, one line to accept a host.
ssh(1) under SSH_ASKPASS_REQUIRE, ssh_config(5).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.daemon.site import Site
from tests.daemon.wire import PATIENCE

from .machines import PATH, Ended, Machine, Seat, program
from .sshd import Host

HELPER: Final = Path(sys.executable).with_name("radiusd2fa-key")
SHELL: Final = '. "$HOME/.bashrc"; exec "$@"'
"""What a terminal does with a command that is typed there."""


def registered(site: Site, user: str, device: str) -> str:
    """Register the key at this device for somebody, as an administrator does; return its card."""
    program = [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(site.config)]
    done = subprocess.run(
        [*program, "key", "register", user, "--device", device, "--label", "key ring"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        cwd=site.folder,
        start_new_session=True,  # or the terminal that pytest runs at would be asked for
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.rpartition("radiusd2fa-key add ")[2].strip()


@dataclass(frozen=True, slots=True)
class Laptop:
    """One laptop, as its person has set it up."""

    home: Path
    machine: Machine
    environment: dict[str, str]
    ssh_program: str = program("ssh") or "ssh"

    @classmethod
    def make(cls, folder: Path, hosts: Mapping[str, Host], **environment: str) -> Laptop:
        """Set one up that knows these hosts under these names. ``environment`` is what the desktop has set before."""
        home = folder / "home"
        (home / ".ssh" / "hosts").mkdir(mode=0o700, parents=True)
        (home / ".ssh" / "config").write_text("Include hosts/*\nHost *\n  NumberOfPasswordPrompts 1\n")
        (home / ".bashrc").touch()
        kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        environment = kept | {"HOME": str(home), "PATH": PATH, "TERM": "xterm"} | environment
        laptop = cls(home, Machine.make(folder, home=home), environment)
        for name, host in hosts.items():
            laptop.accept(host, name)
        return laptop

    def accept(self, host: Host, name: str) -> None:
        """Know a host by this name, and its key."""
        ssh = self.home / ".ssh"
        (ssh / "hosts" / name).write_text(f"Host {name}\n  Port {host.port}\n")
        for file, line in (
            (ssh / "known_hosts", f"[{name}]:{host.port} {host.key}"),
            (self.machine.etc / "hosts", f"127.0.0.1 {name}"),
        ):
            with file.open("a") as opened:
                opened.write(f"{line}\n")

    def run(self, *words: str) -> str:
        """Run the helper by hand, without a terminal; it must succeed. Returns what it printed."""
        done = subprocess.run(
            [str(HELPER), *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            start_new_session=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def set_up(self, *cards: str) -> None:
        """Do what the manual says: store the cards, and let ssh ask our program."""
        for card in cards:
            self.run("add", card)
        self.run("setup-ssh", "--write", "--shell", "bash")

    def ssh(self, to: str, **environment: str) -> Seat:
        """Sit down at a terminal and type ``ssh to id -un``."""
        return Seat(self._ssh(to), self.environment | environment)

    def ssh_from_desktop(self, to: str, **environment: str) -> Ended:
        """Let a program without a terminal start the same."""
        done = subprocess.run(
            self._ssh(to),
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            start_new_session=True,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def _ssh(self, to: str) -> list[str]:
        return self.machine.command("sh", "-c", SHELL, "sh", self.ssh_program, to, "id -un")
