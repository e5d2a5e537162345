"""Hosts with Debian's sshd, whose PAM asks a RADIUS server for everybody who comes: a bastion, real or fake.

Each is a machine of its own (machines.py) with its own host key and a port that the kernel chose. sshd knows no
password here: whom it lets in, the RADIUS server decides. RFC 4256 (keyboard-interactive), RFC 2865 4.4.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.wire import PATIENCE, Address

from .machines import Machine, needs, needs_namespaces, program

MODULE: Final = "pam_radius_auth.so"

CONFIGURATION: Final = """
ListenAddress 127.0.0.1
Port {port}
HostKey {key}
PidFile none
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
PubkeyAuthentication no
PrintMotd no
PrintLastLog no
"""

SERVICE: Final = f"""
auth required {MODULE} conf={{radius}}
account required pam_permit.so
session required pam_permit.so
"""


def _has_module() -> bool:
    folders = (Path("/lib/security"), *Path("/lib").glob("*/security"), *Path("/usr/lib").glob("*/security"))
    return any((folder / MODULE).exists() for folder in folders)


NEEDS_MODULE: Final = pytest.mark.skipif(not _has_module(), reason="needs Debian package libpam-radius-auth")
NEEDS: Final = (
    needs_namespaces,
    needs("sshd", "openssh-server"),
    needs("ssh", "openssh-client"),
    NEEDS_MODULE,
)


@dataclass(frozen=True, slots=True)
class Host:
    """One sshd that listens: the name that people type for it, its port on 127.0.0.1, and its public key."""

    name: str
    port: int
    key: str
    log: Path


@contextlib.contextmanager
def host(folder: Path, name: str, server: Address, secret: str, source: str, users: tuple[str, ...]) -> Iterator[Host]:
    """Serve a host for the length of the block. Its PAM asks the RADIUS server from the address ``source``."""
    folder.mkdir(parents=True)
    key = folder / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
    radius = folder / "radius.conf"
    radius.touch(mode=0o600)
    # pam_radius_auth.conf: server[:port] secret [timeout [source_ip]]
    radius.write_text(f"{server[0]}:{server[1]} {secret} 20 {source}\n")
    machine = Machine.make(folder, users=users, services={"sshd": SERVICE.format(radius=radius)})
    process, port = _started(machine, folder, key)
    try:
        yield Host(name, port, key.with_suffix(".pub").read_text().strip(), folder / "log")
        assert process.poll() is None, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def as_installed(machine: Machine, name: str, log: Path) -> Iterator[Host]:
    """Serve what the machine's own /etc/ssh says, at the port of ssh; the machine lies in a network of the test's."""
    ssh = machine.etc / "ssh"
    for foreign in ssh.glob("ssh_host_*"):
        foreign.unlink()
    key = ssh / "ssh_host_ed25519_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
    with log.open("wb") as output:
        command = machine.command(program("sshd") or "sshd", "-D", "-e")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        assert _listens(process, log), log.read_text()
        yield Host(name, 22, key.with_suffix(".pub").read_text().strip(), log)
        assert process.poll() is None, log.read_text()
    finally:
        process.kill()
        process.wait()


def _started(machine: Machine, folder: Path, key: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start sshd; where somebody else has taken the port between our choice and its bind, on another one."""
    while True:
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            port = chosen.getsockname()[1]
        (folder / "sshd_config").write_text(CONFIGURATION.format(port=port, key=key))
        command = machine.command(program("sshd") or "sshd", "-D", "-e", "-f", str(folder / "sshd_config"))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if _listens(process, folder / "log"):
            return process, port


def _listens(process: subprocess.Popen[bytes], log: Path) -> bool:
    deadline = time.monotonic() + PATIENCE
    while "Server listening on" not in (said := log.read_text()):
        if process.poll() is not None:
            assert "Address already in use" in said, said
            return False
        assert time.monotonic() < deadline, said
        time.sleep(0.005)
    return True
