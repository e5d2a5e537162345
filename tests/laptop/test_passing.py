"""Prompts that are not ours: what the person sees and types must be as if we were not there.

The program runs as ssh runs it, at a pseudo-terminal that is its own or without any. readpassphrase(3) and ssh(1) under
SSH_ASKPASS_REQUIRE say what "as if" means.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from radiusd2fa.laptop.passing import NEXT, NEXT_REQUIRE
from radiusd2fa.laptop.screen import harmless

from .laptop import AT_TERMINAL, Laptop, Running, Start, compiled_ssh, prompt, starting

PASSWORD = "alice@bastion.example.org's password: "
HOST_KEY = "The authenticity of host 'b' can't be established.\nContinue connecting (yes/no/[fingerprint])? "


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """An ssh that gives its prompts to us."""
    return compiled_ssh(tmp_path_factory.mktemp("ssh"))


@pytest.fixture
def laptop(tmp_path: Path, ssh: Path | None) -> Laptop:
    """A laptop without any key or card."""
    return Laptop(tmp_path, ssh)


@pytest.fixture
def start(laptop: Laptop) -> Iterator[Start]:
    """Start the program; whatever still runs after the test is ended."""
    with ExitStack() as stack:
        yield starting(laptop, stack)


@pytest.fixture
def following(laptop: Laptop, tmp_path: Path) -> str:
    """Another askpass program, which notes what it was given and says "from the next"."""
    noted = tmp_path / "noted"
    python = f"""
import os, sys
names = ("{NEXT}", "{NEXT_REQUIRE}")
open({str(noted)!r}, "wb").write(os.fsencode(repr((sys.argv[1:], [name for name in names if name in os.environ]))))
print("from the next")
sys.exit(7 if sys.argv[1].startswith("fail") else 0)
"""
    return str(laptop.write_program(tmp_path / "next", python))


def note(tmp_path: Path) -> str:
    """Return what the other askpass program was given."""
    return (tmp_path / "noted").read_text()


# --- at the terminal -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [PASSWORD, "Enter passphrase for key '/k': ", prompt("Password: "), prompt("Sure (yes/no)? "), "[\x1b[1m] "]
)
def test_a_secret_is_asked_as_ssh_would_ask(start: Start, text: str) -> None:
    """The prompt stands there as it is, nothing typed is shown, the answer goes out, the terminal is as before."""
    running = start(text)
    assert running.wait_for(text) == text
    assert not running.echoes()
    running.type("correct horse\n")
    assert running.end() == (0, "correct horse\n", "")
    assert running.screen == "\r\n"
    assert running.is_as_before()


@pytest.mark.parametrize(
    "text", [HOST_KEY, "Please type 'yes', 'no' or the fingerprint: ", "Username for 'https://h': "]
)
def test_what_is_no_secret_is_seen_while_it_is_typed(start: Start, text: str) -> None:
    """ssh's questions about a host key and git's for a name are answered in sight."""
    running = start(text)
    assert running.wait_for("? " if "? " in text else ": ") == text.replace("\n", "\r\n")
    assert running.echoes()
    running.type("yes\n")
    assert running.end() == (0, "yes\n", "")


def test_a_question_in_a_name_does_not_show_a_secret(start: Start) -> None:
    """A user name or a host name that looks like ssh's question about a host key does not switch the echo on."""
    text = "alice (yes/no)@bastion.example.org's password: "
    running = start(text)
    running.wait_for(text)
    assert not running.echoes()
    running.type("secret\n")
    assert running.end() == (0, "secret\n", "")


def test_an_empty_answer_is_an_answer(start: Start) -> None:
    """Enter alone gives an empty line, as RADIUS allows; the end of input gives none, and a failure."""
    running = start(PASSWORD)
    running.wait_for(PASSWORD)
    running.type("\n")
    assert running.end()[:2] == (0, "\n")
    running = start(PASSWORD)
    running.wait_for(PASSWORD)
    running.type("\x04")
    assert running.end()[:2] == (1, "")
    assert running.is_as_before()


def test_octets_that_are_no_text_go_through(start: Start) -> None:
    """A password in another encoding is nobody's business here."""
    running = start(PASSWORD)
    running.wait_for(PASSWORD)
    assert running._master is not None
    os.write(running._master, b"p\xe4ss\xff\n")
    assert running.process.communicate()[0] == b"p\xe4ss\xff\n"


def test_ctrl_c_ends_us_as_it_ends_ssh(start: Start) -> None:
    """The signal is seen by whoever started us, and the terminal echoes again."""
    running = start(PASSWORD)
    running.wait_for(PASSWORD)
    running.type("half a pass\x03")
    assert running.end()[:2] == (-signal.SIGINT, "")
    assert running.is_as_before()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_us_leaves_the_terminal_as_it_was(start: Start, number: signal.Signals) -> None:
    """A terminal without echo is never left behind."""
    running = start(PASSWORD)
    running.wait_for(PASSWORD)
    running.process.send_signal(number)
    assert running.end()[0] == -number
    assert running.is_as_before()


SHELL = """
import os, signal, sys
# a shell with jobs: the program is in a process group of its own, in the foreground
child = os.fork()
terminal = os.open("/dev/tty", os.O_RDWR)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
if child == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
_, status = os.waitpid(child, os.WUNTRACED)
os.tcsetpgrp(terminal, os.getpid())
print("stopped" if os.WIFSTOPPED(status) else "ended", flush=True)
sys.stdin.readline()
os.tcsetpgrp(terminal, child)
os.kill(child, signal.SIGCONT)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_ctrl_z_gives_the_terminal_back_and_the_prompt_comes_again(laptop: Laptop) -> None:
    """While we are stopped the shell has its echo; afterwards the prompt is there again, and hides what is typed."""
    master, slave = pty.openpty()
    shell = subprocess.Popen(
        ["/bin/sh", "-c", AT_TERMINAL, os.ttyname(slave), sys.executable, "-c", SHELL, laptop.program, PASSWORD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=laptop.environment,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    with Running(shell, master, slave) as running:
        running.wait_for(PASSWORD)
        assert not running.echoes()
        running.type("\x1a")
        assert shell.stdout.readline() == b"stopped\n"
        assert running.is_as_before()
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        running.wait_for(PASSWORD)
        assert not running.echoes()
        running.type("secret\n")
        assert running.end()[:2] == (0, "secret\n")
        assert running.is_as_before()


STAYING_SHELL = ': <>"$0"; "$@" & echo $!; exec >&- 2>&-; read line'
"""It goes on after ssh has been killed, as the person's shell does, and says who that was."""


def test_without_ssh_nobody_reads_the_terminal_any_more(laptop: Laptop) -> None:
    """When ssh alone has been killed, what is typed belongs to the shell: we end, and put the echo back."""
    master, slave = pty.openpty()
    shell = subprocess.Popen(
        ["/bin/sh", "-c", STAYING_SHELL, os.ttyname(slave), laptop.ssh(), laptop.program, PASSWORD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=laptop.environment,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    with Running(shell, master, slave) as running:
        running.wait_for(PASSWORD)
        os.kill(int(shell.stdout.readline()), signal.SIGKILL)
        assert shell.stdout.read() == b""  # nobody has it open any more: we have ended
        assert running.is_as_before()
        shell.stdin.write(b"\n")


# --- the hints of ssh ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "code", "out"),
    [("yes\n", 0, "yes\n"), ("YES\n", 0, "yes\n"), ("no\n", 1, ""), ("\n", 1, ""), ("\x04", 1, "")],
)
def test_a_confirmation_is_yes_or_a_failure(start: Start, typed: str, code: int, out: str) -> None:
    """SSH_ASKPASS_PROMPT=confirm wants an exit code, and only a whole "yes" is one."""
    running = start("Allow use of key k?", SSH_ASKPASS_PROMPT="confirm")
    assert running.wait_for("(yes/no) ") == "Allow use of key k? (yes/no) "
    assert running.echoes()
    running.type(typed)
    assert running.end()[:2] == (code, out)


def test_a_notice_is_shown_and_asks_nothing(start: Start) -> None:
    """SSH_ASKPASS_PROMPT=none wants no answer: nothing is read, nothing is written to standard output."""
    running = start("Confirm user presence for key k", SSH_ASKPASS_PROMPT="none")
    running.wait_for("Confirm user presence for key k\r\n")
    assert running.end() == (0, "", "")


# --- the next askpass program ----------------------------------------------------------------------------------------


def test_without_a_terminal_the_next_askpass_takes_over(start: Start, following: str, tmp_path: Path) -> None:
    """It gets the very prompt; its answer is ours, and it does not know that it is the next."""
    text = "p\udcffssw\u00f6rd 'of' $HOME:\n "
    running = start(text, terminal=False, **{NEXT: following})
    assert running.end() == (0, "from the next\n", "")
    assert note(tmp_path) == repr(([text], []))


def test_the_exit_code_of_the_next_is_ours(start: Start, following: str) -> None:
    """Whoever cancels there has cancelled."""
    assert start("fail: ", terminal=False, **{NEXT: following}).end()[0] == 7


def test_at_a_terminal_the_next_is_asked_only_where_it_was_asked_before(start: Start, following: str) -> None:
    """As ssh does: the terminal comes first, unless REQUIRE was prefer or force."""
    running = start(PASSWORD, **{NEXT: following})
    running.wait_for(PASSWORD)
    running.type("typed\n")
    assert running.end()[1] == "typed\n"
    for require in ("prefer", "force"):
        running = start(PASSWORD, **{NEXT: following, NEXT_REQUIRE: require})
        assert running.end()[1] == "from the next\n"


@pytest.mark.parametrize("hint", ["confirm", "none"])
def test_hints_are_for_the_next_where_there_is_one(start: Start, following: str, hint: str) -> None:
    """ssh never confirms at the terminal by itself: an askpass program that can is preferred."""
    assert start("Allow?", SSH_ASKPASS_PROMPT=hint, **{NEXT: following}).end()[1] == "from the next\n"


def test_a_next_that_is_not_there_is_named(start: Start) -> None:
    """One sentence, and the terminal is asked."""
    running = start(PASSWORD, **{NEXT: "/none/such", NEXT_REQUIRE: "force"})
    running.wait_for(PASSWORD)
    running.type("typed\n")
    code, out, err = running.end()
    assert (code, out) == (0, "typed\n")
    assert "/none/such" in err


def test_a_desktop_has_the_askpass_that_ssh_takes_by_itself(start: Start, following: str, tmp_path: Path) -> None:
    """Without a terminal, but with a display, it is ssh-askpass, as without us."""
    (tmp_path / "bin" / "ssh-askpass").symlink_to(following)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    assert start(PASSWORD, terminal=False, PATH=path, DISPLAY=":0").end()[1] == "from the next\n"
    code, out, err = start(PASSWORD, terminal=False, PATH=path).end()
    assert (code, out) == (1, "")
    assert "no terminal" in err


# --- small and safe --------------------------------------------------------------------------------------------------

IMPORTS = """
import sys
from radiusd2fa.laptop import responder
sys.argv = ["radiusd2fa-key", {prompt!r}]
code = responder.main()
sys.stderr.write(" ".join(sorted(sys.modules)))
sys.exit(code)
"""


def test_an_askpass_that_is_ourselves_is_asked_once(start: Start, tmp_path: Path) -> None:
    """Where ssh-askpass leads back to this program it says so and fails, and does not start itself for ever."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin" / "ssh-askpass").symlink_to(Path(sys.executable).with_name("radiusd2fa-key"))
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    code, out, err = start(PASSWORD, terminal=False, PATH=path, DISPLAY=":0").end()
    assert (code, out) == (1, "")
    assert "leads back to this program" in err


def test_a_prompt_that_is_not_ours_loads_next_to_nothing(laptop: Laptop, start: Start) -> None:
    """No python-fido2, no cryptography, no command line: a password prompt must not wait for them."""
    laptop.write_program(laptop.program, IMPORTS.format(prompt=PASSWORD))
    running = start()
    running.wait_for(PASSWORD)
    running.type("secret\n")
    code, out, err = running.end()
    assert (code, out) == (0, "secret\n")
    loaded = {name.partition(".")[0] for name in err.split()}
    assert "radiusd2fa" in loaded
    assert not loaded & {"fido2", "cryptography", "smartcard", "argparse", "subprocess", "json", "hashlib", "threading"}
    assert {name for name in err.split() if name.startswith("radiusd2fa.")} == {
        "radiusd2fa.laptop",
        "radiusd2fa.laptop.askpass",
        "radiusd2fa.laptop.passing",
        "radiusd2fa.laptop.responder",
        "radiusd2fa.laptop.screen",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, \N{LATIN SMALL LETTER A WITH DIAERESIS}", "plain text, \N{LATIN SMALL LETTER A WITH DIAERESIS}"),
        ("\x1b[2J\r\n\x07", r"\x1b[2J\r\n\x07"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}gro", r"\u202egro"),
        ("\N{ZERO WIDTH SPACE}\x9b\udcff", r"\u200b\x9b\udcff"),
    ],
)
def test_foreign_text_cannot_move_the_cursor(text: str, shown: str) -> None:
    """Controls, marks that turn the direction, and broken octets are spelled out."""
    assert harmless(text) == shown
