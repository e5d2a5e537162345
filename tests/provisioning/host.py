"""A server of the test's own, on which docs/provisioning.md is true to the letter: accounts, paths, ports and sudo.

It is one process in namespaces of its own, where what is written below /etc, /usr and /var lies in memory: nothing of
the machine that we run on is changed, and with that process all of it is gone. mount_namespaces(7), mount(8) (overlay).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from tests.clients.machines import PATH

CHECKOUT: Final = Path(__file__).parents[2]
NAME: Final = "radius1"
SERVICE: Final = "radiusd2fa"
GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"security": ("ada", "bea"), "token-desk": ("otto",), "service-desk": ("heidi",)}
)
ROOT: Final = "root"
PEOPLE: Final = tuple(name for names in GROUPS.values() for name in names)

PROGRAM: Final = Path("/opt/radiusd2fa/bin/radiusd2fa")
SHARED: Final = Path("/opt/radiusd2fa/share/radiusd2fa")
SUDOERS: Final = "Defaults !authenticate\nroot ALL = (ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"
"""Nobody is asked for a password by sudo: that is sudo's part, and nothing of ours."""

_FIRST_ID: Final = 61_000
_TEN_SECONDS: Final = 10.0

_MAKE: Final = """
ip link set lo up
hostname "$NAME"
mount -t tmpfs -o mode=755 none /opt
for folder in etc usr/bin usr/local var; do
    mkdir -p "/opt/.over/$folder" "/opt/.work/$folder"
    mount -t overlay -o "lowerdir=/$folder,upperdir=/opt/.over/$folder,workdir=/opt/.work/$folder" none "/$folder"
done
# nothing of a site that the machine may have, no service of it is at hand here, and no log of it is written
rm -rf /etc/radiusd2fa /var/lib/radiusd2fa /usr/bin/radiusd2fa /usr/local/bin/radiusd2fa /etc/rsyslog.d/radiusd2fa.conf
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=755 none /var/log
mkdir -p "$SHARED/config"
mount --bind "$CHECKOUT/hardware" "$(mkdir -p "$SHARED/hardware"; echo "$SHARED/hardware")"
mount --bind "$CHECKOUT/config" "$SHARED/config"

# what Python and the program are made of is read by everybody here, even where it lies in somebody's home
number=0
for folder in "$@"; do
    number=$((number + 1))
    mkdir -p "/opt/.kept/$number"
    mount --bind "$folder" "/opt/.kept/$number"
done
for folder in $CLOSED; do mount -t tmpfs -o mode=755 none "$folder"; done
number=0
for folder in "$@"; do
    number=$((number + 1))
    mkdir -p "$folder"
    mount --bind "/opt/.kept/$number" "$folder"
done
echo made
exec cat
"""


_OVER: Final = """
mount -t tmpfs none /opt
mkdir /opt/over /opt/work
mount -t overlay -o lowerdir=/etc,upperdir=/opt/over,workdir=/opt/work none /etc
"""


def _may_overlay() -> bool:
    command = ["unshare", "--mount", "--propagation=private", "sh", "-euc", _OVER]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_overlays: Final = pytest.mark.skipif(
    not _may_overlay(), reason="needs root, and leave to lay a file system over /etc"
)


@dataclass(frozen=True, slots=True)
class Host:
    """The server, for as long as the process lives that holds its namespaces."""

    holder: int
    """The id of that process."""

    def write(self, path: str | Path, text: str, mode: int | None = None) -> None:
        """Write a file there, with the folder that it lies in. Without a mode, one that is there keeps its own."""
        file = self._seen_from_here(path)
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.write_text(text)
        if mode is not None:
            file.chmod(mode)

    def read(self, path: str | Path) -> str:
        """Read a file there."""
        return self._seen_from_here(path).read_text()

    def _seen_from_here(self, path: str | Path) -> Path:
        """Return where we find a file of that host; ``~otto/seeds.csv`` lies in otto's home."""
        who, tilde, rest = (
            str(path).removeprefix("~").partition("/") if str(path).startswith("~") else ("", "", str(path))
        )
        return Path(f"/proc/{self.holder}/root") / f"{_home(who) if tilde else ''}/{rest}".lstrip("/")

    def has_bound(self, port: int) -> bool:
        """Whether a program there listens at that UDP port. proc_net(5)."""
        lines = Path(f"/proc/{self.holder}/net/udp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(f":{port:04X}") for line in lines)

    def command(self, who: str, *words: str) -> list[str]:
        """Return how to run a program there as somebody, in their home; the process becomes that program."""
        home = _home(who)
        path = f"{PROGRAM.parent}:{PATH}" if who == ROOT else "/usr/local/bin:/usr/bin:/bin"
        them = () if who == ROOT else ("setpriv", f"--reuid={who}", f"--regid={who}", "--init-groups")
        clean = ("env", "-i", f"HOME={home}", f"PATH={path}", "LANG=C.UTF-8", "TERM=xterm", "TZ=UTC", "NO_COLOR=1")
        enter = ("nsenter", f"--target={self.holder}", "--mount", "--net", "--uts", f"--wdns={SHARED}/hardware/samples")
        return [*enter, *them, *clean, *words]

    def run(self, who: str, *words: str) -> str:
        """Run a program there that must succeed; return what it printed."""
        done = subprocess.run(
            self.command(who, *words), capture_output=True, text=True, check=False, timeout=_TEN_SECONDS
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout


@contextlib.contextmanager
def host() -> Iterator[Host]:
    """Have such a server: accounts and groups, sudo, and the program where it is installed."""
    # whoever runs it there may not write beside it, and would compile what is new with every command
    subprocess.run([sys.executable, "-m", "compileall", "-qq", str(CHECKOUT / "radiusd2fa")], check=False)
    needed = _behind_closed_doors((sys.base_prefix, sys.prefix, str(CHECKOUT)))
    holder = subprocess.Popen(
        ["unshare", "--mount", "--net", "--uts", "--propagation=private", "sh", "-euc", _MAKE, "sh", *needed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ
        | {
            "NAME": NAME,
            "CHECKOUT": str(CHECKOUT),
            "SHARED": str(SHARED),
            "CLOSED": " ".join(sorted(set(needed.values()))),
        },
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "made\n"
        made = Host(holder.pid)
        _furnish(made)
        yield made
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(_TEN_SECONDS)


def _behind_closed_doors(folders: Iterable[str]) -> dict[str, str]:
    """Return those folders that not everybody can get to, each with the outermost folder that is in the way."""
    found = {}
    for folder in folders:
        above = reversed(Path(folder).resolve().parents)
        closed = next((one for one in above if one.stat().st_mode & 0o005 != 0o005), None)
        if closed is not None:
            found[folder] = str(closed)
    return found


def _furnish(made: Host) -> None:
    """Write what makes people, and what lets them administer."""
    accounts = dict(zip((SERVICE, *PEOPLE), range(_FIRST_ID, _FIRST_ID + 99), strict=False))
    groups = dict(zip(GROUPS, range(_FIRST_ID + 100, _FIRST_ID + 199), strict=False))
    _add_lines(made, "/etc/passwd", [f"{name}:x:{at}:{at}::{_home(name)}:/bin/sh" for name, at in accounts.items()])
    _add_lines(made, "/etc/group", [f"{name}:x:{at}:" for name, at in accounts.items()])
    _add_lines(made, "/etc/group", [f"{name}:x:{at}:{','.join(GROUPS[name])}" for name, at in groups.items()])
    _add_lines(made, "/etc/shadow", [f"{name}:*:19000::::::" for name in accounts])
    for name in PEOPLE:
        made.run(ROOT, "install", "--directory", "--mode=700", f"--owner={name}", f"--group={name}", _home(name))
    made.write("/etc/hosts", f"127.0.0.1 localhost {NAME}\n")
    made.write("/etc/sudoers", SUDOERS, 0o440)
    made.run(ROOT, "sh", "-euc", "rm -rf /etc/sudoers.d /etc/localtime; mkdir -m 755 /etc/sudoers.d")
    made.write(PROGRAM, f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m radiusd2fa.cli.app "$@"\n', 0o755)


def _home(who: str) -> str:
    """Return where somebody is at home; not below /home, where the checkout may lie."""
    return "/root" if who == ROOT else f"/var/home/{who}"


def _add_lines(made: Host, path: str, lines: Sequence[str]) -> None:
    made.write(path, "".join(f"{line}\n" for line in (*made.read(path).splitlines(), *lines)))
