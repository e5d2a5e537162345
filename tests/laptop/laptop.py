"""A person's laptop: the program as ssh and shells start it, a terminal to sit at, cards, and an ssh of any version.

It never waits for a time to pass: it reads until a text is on the screen, or until a process has ended, and gives up
after half a minute. The ssh is a few lines of C, because what counts is the very program that runs as our parent.
"""

from __future__ import annotations

import hashlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest
from fido2.webauthn import AttestationObject, AttestedCredentialData

from radiusd2fa.core.invitation import Invitation, KeyCard
from radiusd2fa.core.responder import (
    KeyResponse,
    ResponderCode,
    authenticator_data,
    client_data,
    read_response,
    responder_challenge,
    selector,
)
from radiusd2fa.keys.asking import FoundKey, Registered
from radiusd2fa.laptop.registering import register_request
from tests.keys.scene import Witness, asked

RP_ID: Final = "auth.example.org"
ORIGIN: Final = "https://auth.example.org"
HOST: Final = "bastion.example.org"
CODE: Final = ResponderCode(bytes(range(16)))
PATIENCE: Final = 30.0
ROOT: Final = Path(__file__).resolve().parents[2]

SSH: Final = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "-V") == 0) {
        fprintf(stderr, "%s\n", getenv("SSH_SAYS"));
        return 0;
    }
    int status;
    pid_t child = fork();
    if (child == 0) {
        execv(words[1], words + 1);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
"""

AT_TERMINAL: Final = ': <>"$0"; exec "$@"'
"""A session leader that opens a terminal has it as its own (/dev/tty) from then on."""


def prompt(text: str = f"Touch your key. {CODE}: ", login: str = "alice", host: str = HOST) -> str:
    """Return what ssh gives its askpass program."""
    return f"({login}@{host}) {text}"


def invitation(user: str = "alice", exclude: tuple[bytes, ...] = (), rp_id: str = RP_ID) -> Invitation:
    """Return an invitation as the daemon writes it."""
    return Invitation(rp_id, f"https://{rp_id}", user, b"\x01" * 32, b"\x02" * 16, exclude)


def credential_at(
    key: FoundKey, user: str = "alice", person: Witness | None = None
) -> tuple[AttestedCredentialData, KeyCard]:
    """Register at this key; return the credential as the daemon would keep it, and the card."""
    answer = asked(key, register_request(invitation(user)), person or Witness())
    assert isinstance(answer, Registered), answer
    data = AttestationObject(answer.attestation_object).auth_data.credential_data
    assert data is not None
    return data, KeyCard(RP_ID, ORIGIN, user, bytes(data.credential_id), "blue")


def judge(
    text: str, credential: AttestedCredentialData, *, user: str = "alice", host: str = HOST, code: ResponderCode = CODE
) -> KeyResponse:
    """See the response verified as the daemon does: everything but the response is built anew."""
    response = read_response(text.strip().encode())
    assert isinstance(response, KeyResponse), text
    assert response.selector == selector(credential.credential_id)
    challenge = responder_challenge(code.nonce, user, host)
    signed = authenticator_data(RP_ID, response.flags, response.counter)
    signed += hashlib.sha256(client_data(challenge, ORIGIN)).digest()
    signature = response.signature
    if credential.public_key[3] == -7:
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        signature = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    credential.public_key.verify(signed, signature)
    return response


class Running:
    """The program as it runs, at a terminal or without one."""

    def __init__(self, process: subprocess.Popen[bytes], master: int | None, slave: int | None) -> None:
        self.process = process
        self._master = master
        self._slave = slave
        self.screen = ""
        self._before = termios.tcgetattr(slave) if slave is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        for end in (self._master, self._slave):
            if end is not None:
                os.close(end)

    def wait_for(self, text: str) -> str:
        """Read until the text is on the screen; gives back what came up to then, and forgets it."""
        assert self._master is not None
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} never came; there was {self.screen!r}"
            self.screen += os.read(self._master, 4096).decode(errors="replace")
        seen, text, self.screen = self.screen.partition(text)
        return seen + text

    def type(self, keys: str) -> None:
        """Press these keys."""
        assert self._master is not None
        os.write(self._master, keys.encode())

    def echoes(self) -> bool:
        """Whether what is typed now can be seen."""
        assert self._slave is not None
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def is_as_before(self) -> bool:
        """Whether the terminal works as it did before."""
        assert self._slave is not None
        return termios.tcgetattr(self._slave) == self._before

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit code, standard output and standard error. `screen` has the rest of what was shown."""
        out, err = self.process.communicate(timeout=PATIENCE)
        while self._master is not None and select.select([self._master], [], [], 0)[0]:
            self.screen += os.read(self._master, 4096).decode(errors="replace")
        return self.process.returncode, out.decode(), err.decode()


class Laptop:
    """A home folder, the program in it, and an ssh."""

    def __init__(self, home: Path, ssh: Path | None) -> None:
        self.home = home
        self._ssh = ssh
        self.program = home / "bin" / "radiusd2fa-key"
        self.program.parent.mkdir()
        self.write_program(self.program, "import sys\nfrom radiusd2fa.laptop.responder import main\nsys.exit(main())\n")
        self.environment = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "SSH_SAYS": "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19",
        }

    def write_program(self, path: Path, python: str) -> Path:
        """Put a program there."""
        path.write_text(f"#!{sys.executable}\n{python}")
        path.chmod(0o755)
        return path

    def has(self, key: FoundKey | None, *cards: KeyCard) -> None:
        """Plug in this key, and store these cards."""
        from radiusd2fa.laptop.profile import save_cards

        self.environment["RADIUSD2FA_KEY_DEVICE"] = key.path if key else "no such reader"
        save_cards(self.home / "config" / "radiusd2fa" / "keys.json", cards)

    def ssh(self) -> str:
        """Return the path of the ssh; without a compiler there is none, and no such test."""
        if self._ssh is None:
            pytest.skip("gcc is not installed: apt-get install gcc libc6-dev")
        return str(self._ssh)

    def run(self, *words: str, by_ssh: bool = False, terminal: bool = True, **environment: str) -> Running:
        """Start the program with these words, from a shell or from ssh."""
        command: Sequence[str] = [*([self.ssh()] if by_ssh else []), str(self.program), *words]
        master, slave = pty.openpty() if terminal else (None, None)
        if slave is not None:
            command = ["/bin/sh", "-c", AT_TERMINAL, os.ttyname(slave), *command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=self.environment | environment,
        )
        return Running(process, master, slave)


def compiled_ssh(folder: Path) -> Path | None:
    """Return an ssh that says the version that it is told to say; None where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    source, program = folder / "ssh.c", folder / "ssh"
    source.write_text(SSH)
    done = subprocess.run([compiler, "-o", program, source], capture_output=True, timeout=60, check=False)
    return program if done.returncode == 0 else None


Start = Callable[..., Running]


def starting(laptop: Laptop, stack: ExitStack) -> Start:
    """Return how to start the program, so that it has ended when the test has."""
    return lambda *words, **how: stack.enter_context(laptop.run(*words, **how))
