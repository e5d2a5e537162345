"""`radiusd2fa token import` at a terminal: a key that is asked for unseen, and bars for whoever waits.

A real pseudo-terminal and the real program, played by pexpect; it waits for texts, never for time. Answers to no RFC.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pexpect

from .conftest import Shell
from .seed_files import KEY, a_file, encrypted, row

PATIENCE = 30


@contextmanager
def at_a_terminal(
    shell: Shell, *arguments: str, piped: Path | None = None
) -> Iterator[tuple[pexpect.spawn[str], StringIO]]:
    """Run an import on a terminal of its own; yield it, and all that has been on the screen."""
    program = [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(shell.config), "token", "import", *arguments]
    if piped is not None:
        program = ["/bin/sh", "-c", f"exec {shlex.join(program)} <{shlex.quote(str(piped))}"]
    child = pexpect.spawn(program[0], program[1:], timeout=PATIENCE, encoding="utf-8", dimensions=(40, 120))
    child.delaybeforesend = None
    child.logfile_read = screen = StringIO()
    try:
        yield child, screen
    finally:
        child.close(force=True)


def end(child: pexpect.spawn[str]) -> int | None:
    """Wait for the end, and return the exit code."""
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus


def test_the_key_is_asked_for_and_not_seen(shell: Shell, tmp_path: Path) -> None:
    """The file says which key it wants; what is typed is on no screen, and opens it."""
    with at_a_terminal(shell, str(encrypted(tmp_path))) as (child, screen):
        child.expect_exact('"Batch 7"')
        child.expect_exact("Key of the file (hex or base64): ")
        child.sendline(KEY.hex())
        assert end(child) == 0
        assert "took in 1 token from seeds.xml" in screen.getvalue()
        assert KEY.hex()[4:12] not in screen.getvalue()
    assert shell.say("token", "show", "S1", "--json").json()["state"] == "stock"


def test_the_key_of_a_file_in_a_pipe_is_asked_for_at_the_terminal(shell: Shell, tmp_path: Path) -> None:
    """As behind sudo, where the shell has opened the file and the service's account could not."""
    with at_a_terminal(shell, "-", piped=encrypted(tmp_path)) as (child, screen):
        child.expect_exact("Key of the file (hex or base64): ")
        child.sendline(KEY.hex())
        assert end(child) == 0
        assert "took in 1 token from standard input" in screen.getvalue()
        assert KEY.hex()[4:12] not in screen.getvalue()


def test_another_key_opens_nothing(shell: Shell, tmp_path: Path) -> None:
    """One try, an error without the key in it, and nothing taken in."""
    typed = "ff" * 16
    with at_a_terminal(shell, str(encrypted(tmp_path))) as (child, screen):
        child.expect_exact("Key of the file (hex or base64): ")
        child.sendline(typed)
        assert end(child) == 1
        assert "the key is wrong" in screen.getvalue()
        assert typed not in screen.getvalue()
    assert shell.say("token", "list", "--json").json() == []


def test_who_goes_away_at_the_prompt_takes_nothing_in(shell: Shell, tmp_path: Path) -> None:
    """Ctrl-C is an answer too, and no traceback."""
    with at_a_terminal(shell, str(encrypted(tmp_path))) as (child, screen):
        child.expect_exact("Key of the file (hex or base64): ")
        child.sendintr()
        assert end(child) not in (0, None)
        assert "Traceback" not in screen.getvalue()
    assert shell.say("token", "list", "--json").json() == []


def test_bars_for_whoever_waits(shell: Shell, tmp_path: Path) -> None:
    """Reading, sealing and writing each have theirs, and none stands on the screen afterwards."""
    file = a_file(tmp_path, *(row(f"N{number}") for number in range(600)))
    with at_a_terminal(shell, str(file)) as (child, screen):
        for step in ("reading seeds.csv", "sealing", "writing"):
            child.expect_exact(step)
            child.expect_exact("%")
        assert end(child) == 0
        assert "took in 600 tokens" in screen.getvalue().rpartition("%")[2]


def test_no_bars_beside_json(shell: Shell, tmp_path: Path) -> None:
    """What a program reads is not disturbed, though a terminal be there; and a file in the clear asks for no key."""
    with at_a_terminal(shell, str(a_file(tmp_path, row("N1"))), "--json") as (child, screen):
        assert end(child) == 0
        assert screen.getvalue().lstrip().startswith("{")
        assert "sealing" not in screen.getvalue()
