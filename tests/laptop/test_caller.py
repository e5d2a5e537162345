"""Which ssh has called, and from which version on its prompts are believed.

The programs that are asked are real processes; before OpenSSH 8.5 a server could write the prefix of a prompt itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from radiusd2fa.laptop.caller import is_ssh, program_of, version_of, why_not_believed
from radiusd2fa.laptop.responder import COMMANDS, is_prompt

from .laptop import compiled_ssh

Run = Callable[[Path, str], int]


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program called ssh that says what it is told to."""
    program = compiled_ssh(tmp_path_factory.mktemp("ssh"))
    if program is None:
        pytest.skip("gcc is not installed: apt-get install gcc libc6-dev")
    return program


@pytest.fixture
def running() -> Iterator[Run]:
    """Start a program that waits until the test is over, and return its process id."""
    with ExitStack() as stack:

        def run(program: Path, says: str) -> int:
            process = stack.enter_context(
                subprocess.Popen(
                    [program, "/bin/sh", "-c", "echo; read line"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={"SSH_SAYS": says},
                )
            )
            assert process.stdout is not None
            process.stdout.read(1)  # it runs
            return process.pid

        yield run


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("OpenSSH_8.4p1 Debian-5", "OpenSSH 8.4"),
        ("OpenSSH_7.9p1", "OpenSSH 7.9"),
        ("OpenSSH_5.10", "OpenSSH 5.10"),
        ("Dropbear v2022.83", "cannot be told"),
        ("not OpenSSH_9.9", "cannot be told"),
        ("OpenSSH_", "cannot be told"),
        ("", "cannot be told"),
    ],
)
def test_an_old_or_unknown_ssh_is_not_believed(
    ssh: Path, running: Run, monkeypatch: pytest.MonkeyPatch, says: str, why: str
) -> None:
    """Before 8.5 the server could have written the host's name, and what does not say its version may be older."""
    monkeypatch.setenv("SSH_SAYS", says)
    found = why_not_believed(running(ssh, says))
    assert found is not None
    assert why in found


@pytest.mark.parametrize("says", ["OpenSSH_8.5p1", "OpenSSH_9.2p1 Debian-2", "OpenSSH_10.0p2, LibreSSL 3.3.6"])
def test_a_new_ssh_is_believed(ssh: Path, running: Run, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """From 8.5 on every prompt of a server has ssh's own words in front."""
    monkeypatch.setenv("SSH_SAYS", says)
    assert why_not_believed(running(ssh, says)) is None


def test_another_program_is_not_even_asked(ssh: Path, running: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever says it is OpenSSH must be called ssh as well: nothing else is started with -V."""
    monkeypatch.setenv("SSH_SAYS", "OpenSSH_9.2p1")
    other = Path(shutil.copy(ssh, ssh.with_name("git")))
    process = running(other, "OpenSSH_9.2p1")
    assert not is_ssh(process)
    assert why_not_believed(process) is not None


def test_the_running_program_counts_and_not_the_file_of_that_name(
    ssh: Path, tmp_path: Path, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade that has replaced the file does not make the old program that still runs a new one."""
    if not Path("/proc/self/exe").exists():
        pytest.skip("this system does not tell which program a process runs")
    monkeypatch.setenv("SSH_SAYS", "OpenSSH_8.4p1")
    program = Path(shutil.copy(ssh, tmp_path / "ssh"))
    process = running(program, "OpenSSH_8.4p1")
    program.unlink()
    program.write_text("#!/bin/sh\necho OpenSSH_9.9p1\n")
    program.chmod(0o755)
    found = why_not_believed(process)
    assert found is not None
    assert "OpenSSH 8.4" in found


def test_a_process_that_has_gone_is_nobody(ssh: Path) -> None:
    """A caller that has ended cannot be told, and nothing breaks."""
    process = subprocess.Popen([ssh, "/bin/true"], env={"SSH_SAYS": ""})
    process.wait()
    assert not is_ssh(process.pid)
    assert why_not_believed(process.pid) is not None


def test_a_system_without_proc_asks_ps(
    ssh: Path, running: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on macOS, where ps shows the path of a program; the name alone is looked up in PATH."""
    monkeypatch.setattr("radiusd2fa.laptop.caller.OWN_PROGRAM", tmp_path / "none")
    process = running(ssh, "")
    (tmp_path / "ps").write_text(f'#!/bin/sh\n[ "$4" = {process} ] && echo {ssh}\n')
    (tmp_path / "ps").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert program_of(process) == str(ssh)
    assert is_ssh(process)
    assert program_of(process + 1) is None


def test_the_ssh_that_is_installed_tells_its_version() -> None:
    """The real one answers -V as we read it."""
    program = shutil.which("ssh")
    if program is None:
        pytest.skip("ssh is not installed: apt-get install openssh-client")
    assert (version_of(program) or (0, 0)) >= (8, 5)


def test_a_program_that_does_not_start_has_no_version(tmp_path: Path) -> None:
    """A path that leads nowhere is no ssh."""
    assert version_of(str(tmp_path / "ssh")) is None
    assert version_of(sys.executable) is None


# --- prompt or command -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [*COMMANDS, "--help", "-h", "--version"])
def test_a_server_cannot_give_commands(ssh: Path, running: Run, word: str) -> None:
    """From ssh even a word that is a command is a prompt; a person's is a command."""
    assert is_prompt([word], running(ssh, ""))
    assert not is_prompt([word], os.getpid())


@pytest.mark.parametrize("words", [[], ["add", "RKC1-x"], ["list", "--json"], ["lst"], ["respond", "RK1-"]])
def test_what_a_person_types_is_no_prompt(words: list[str]) -> None:
    """No word, several words, and a single mistyped one go to the command line, which explains itself."""
    assert not is_prompt(words, os.getpid())


@pytest.mark.parametrize("words", [["Password: "], [""], ["(alice@host) list"], ["list "], ["Enter PIN"]])
def test_every_other_single_argument_is_a_prompt(words: list[str]) -> None:
    """Whoever asks with one argument is to be answered."""
    assert is_prompt(words, os.getpid())
