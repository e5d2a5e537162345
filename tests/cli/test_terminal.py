"""What a person at a terminal is asked and shown: passwords unseen and twice, a made seed as a QR code.

A real pseudo-terminal and the real program; the test waits for texts, never for time. Answers to no RFC.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from typing import Final

import pytest

from .conftest import Shell

PATIENCE: Final = 30.0
TAKES_THE_TERMINAL: Final = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal the program's own, so that Ctrl-C reaches it."""


def at_a_terminal(shell: Shell, *arguments: str, answers: tuple[tuple[str, str], ...] = ()) -> tuple[int, str]:
    """Run a command on a terminal of its own, give each answer when its prompt is there; return code and screen."""
    screen, tty = pty.openpty()
    program = [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(shell.config), *arguments]
    launcher = [sys.executable, "-c", TAKES_THE_TERMINAL]
    process = subprocess.Popen([*launcher, *program], stdin=tty, stdout=tty, stderr=tty, start_new_session=True)
    os.close(tty)
    seen, waiting, deadline = "", list(answers), time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([screen], [], [], 1.0)
            if not ready:
                continue
            try:
                seen += os.read(screen, 65536).decode()
            except OSError:  # the other end is gone
                break
            if waiting and seen.endswith(waiting[0][0]):
                os.write(screen, waiting.pop(0)[1].encode())
        return process.wait(max(1.0, deadline - time.monotonic())), seen
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(screen)


def test_a_password_is_asked_for_twice_and_not_seen(shell: Shell) -> None:
    """What is typed is on no screen, and it is the password afterwards."""
    asked = (("Password: ", "typed unseen\n"), ("confirmation: ", "typed unseen\n"))
    code, seen = at_a_terminal(shell, "user", "add", "alice", answers=asked)
    assert code == 0, seen
    assert "unseen" not in seen
    assert shell.say("user", "show", "alice", "--json").json()["has_password"] is True


@pytest.mark.parametrize("interrupt", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_who_goes_away_at_the_prompt_adds_nobody(shell: Shell, interrupt: str) -> None:
    """An interrupted prompt is a refusal without a traceback."""
    code, seen = at_a_terminal(shell, "user", "add", "alice", answers=(("Password: ", interrupt),))
    assert code not in {0, -9}
    assert "Traceback" not in seen
    assert shell.say("user", "list", "--json").json() == []


def test_a_made_seed_is_shown_as_a_qr_code(shell: Shell) -> None:
    """URI and picture, once; the picture is not in what a script gets."""
    code, seen = at_a_terminal(shell, "token", "add", "--kind", "hotp")
    assert code == 0, seen
    assert "otpauth://hotp/" in seen
    assert "▄" in seen or "█" in seen
    assert "█" not in shell.run("token", "add", "--kind", "hotp")
