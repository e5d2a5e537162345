"""Files for whoever gives a command: none behind sudo, none over another, none taken away that is not ours.

Links are turned and files exchanged while the command is at work, from within what it calls then. The shell that writes
standard output is a real process. Answers to no RFC.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.cli.report_page import FIRST_LINE
from radiusd2fa.store.registry import Registry

from .conftest import Shell
from .seed_files import a_file, row
from .sheets import codes_in, good, rows
from .test_terminal import at_a_terminal

Hook = Callable[[], None]
WRITERS: Final = {
    "recovery --text": ("recovery", "issue", "alice", "--text"),
    "recovery --pdf": ("recovery", "issue", "alice", "--pdf"),
    "breakglass --text": ("breakglass", "seal", "alice", "--text"),
    "breakglass --pdf": ("breakglass", "seal", "alice", "--pdf"),
    "import --report": ("token", "import", "SEEDS", "--report"),
    "report page": ("report", "page"),
    "report page --force": ("report", "page", "--force"),
}
AT_WORK: Final = {
    "recovery": (Registry, "issue_recovery"),
    "breakglass": (Registry, "seal"),
    "token": (Registry, "take_in"),
    "report": ("radiusd2fa.cli.report", "make_inventory"),
}
"""What each of them calls between making the file and being done."""


@pytest.fixture(params=WRITERS.values(), ids=list(WRITERS))
def writer(request: pytest.FixtureRequest, people: Shell, tmp_path: Path) -> tuple[str, ...]:
    """A command that is about to be told a file."""
    seeds = str(a_file(tmp_path, row("N1")))
    return tuple(seeds if word == "SEEDS" else word for word in request.param)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Hook], None]:
    """Let something happen while a command is at work."""

    def arrange(noun: str, hook: Hook) -> None:
        where, name = AT_WORK[noun]
        target = sys.modules[where] if isinstance(where, str) else where
        real = getattr(target, name)

        def called(*arguments: object, **named: object) -> object:
            hook()
            return real(*arguments, **named)

        monkeypatch.setattr(target, name, called)

    return arrange


def interrupt() -> None:
    """Somebody presses Ctrl-C."""
    raise KeyboardInterrupt


def the_site(shell: Shell) -> list[tuple[str, bytes]]:
    """The files of the site, with what is in them but for the database, which a command may change."""
    return [
        (one.name, b"" if "db" in one.name else one.read_bytes())
        for one in sorted(shell.folder.iterdir())
        if not one.name.endswith(("-wal", "-shm"))
    ]


# --- behind sudo -----------------------------------------------------------------------------------------------------


def test_behind_sudo_no_file_is_written(
    people: Shell, writer: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's account could overwrite the service's files; the remedy can be typed as it stands."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1")
    before, file = rows(people), tmp_path / "a sheet"
    error = people.refused(*writer, str(file))
    option = "report page" if writer[0] == "report" else writer[-1]
    assert "with sudo no file is written, because the rights for it would not be daemon's own; " in error
    assert f"let your own shell write it: {option} - >'{file}'" in error
    assert not file.exists()
    assert rows(people) == before


def test_behind_sudo_the_shell_writes_it(
    people: Shell, writer: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To standard output each of them goes, and the sentences go elsewhere."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1")
    said = people.say(*writer, "-")
    assert said.code == 0, said.err
    begins: dict[str, str | tuple[str, ...]] = {
        "--text": ("RECOVERY CODES\n", "EMERGENCY CODES\n"),
        "--pdf": "%PDF-",
        "--report": "took in 1 token from",
    }
    assert said.out.startswith(begins.get(writer[-1], FIRST_LINE))
    assert said.err
    last = "delete the seeds" if writer[-1] == "--report" else "is on standard output"
    assert last in said.err
    assert not [one for one in (last, "codes for alice", "warning") if one in said.out]
    assert codes_in(said.err) == []


# --- links and exchanges ---------------------------------------------------------------------------------------------


def test_a_link_that_is_turned_costs_nobody_a_file(
    people: Shell, writer: tuple[str, ...], tmp_path: Path, meanwhile: Callable[[str, Hook], None]
) -> None:
    """What is taken away after Ctrl-C is what was made, in the folder where it was made."""
    mine, link = tmp_path / "mine", tmp_path / "d"
    mine.mkdir()
    link.symlink_to(mine)
    before = the_site(people)

    def turn() -> None:
        assert [one.name for one in mine.iterdir()] == ["radiusd2fa.db"]
        link.unlink()
        link.symlink_to(people.folder)
        interrupt()

    meanwhile(writer[0], turn)
    assert people.say(*writer, str(link / "radiusd2fa.db")).code != 0
    assert (the_site(people), list(mine.iterdir())) == (before, [])
    people.run("user", "list")


def test_a_link_that_is_turned_lets_no_page_replace_the_database(
    people: Shell, tmp_path: Path, meanwhile: Callable[[str, Hook], None]
) -> None:
    """The page comes where the earlier one was, wherever its path leads by then."""
    mine, link = tmp_path / "mine", tmp_path / "d"
    mine.mkdir()
    (mine / "radiusd2fa.db").write_text(FIRST_LINE)
    link.symlink_to(mine)

    def turn() -> None:
        link.unlink()
        link.symlink_to(people.folder)

    meanwhile("report", turn)
    people.run("report", "page", str(link / "radiusd2fa.db"), "--force")
    assert "monthly review" in (mine / "radiusd2fa.db").read_text()
    assert [one.name for one in mine.iterdir()] == ["radiusd2fa.db"]
    people.run("user", "list")


def test_what_came_in_the_place_of_the_file_stays(
    people: Shell, writer: tuple[str, ...], tmp_path: Path, meanwhile: Callable[[str, Hook], None]
) -> None:
    """A file that somebody else has put there is not taken away, though it has the name."""
    folder = tmp_path / "shared"
    folder.mkdir()

    def exchange() -> None:
        (folder / "theirs").write_text("precious")
        (folder / "theirs").rename(folder / "sheet")
        interrupt()

    meanwhile(writer[0], exchange)
    assert people.say(*writer, str(folder / "sheet")).code != 0
    assert (folder / "sheet").read_text() == "precious"


@pytest.mark.parametrize("there", ["a text", "a link to a page", "nothing"])
def test_an_earlier_page_is_looked_at_again_before_it_is_replaced(
    people: Shell, tmp_path: Path, meanwhile: Callable[[str, Hook], None], there: str
) -> None:
    """What has come in its place meanwhile stays, and nothing is left of the new one."""
    folder, page = tmp_path / "shared", tmp_path / "page"
    folder.mkdir()
    file = folder / "review.html"
    for one in (page, file):
        one.write_text(FIRST_LINE)

    def exchange() -> None:
        file.unlink()
        if there == "a text":
            file.write_text("precious")
        elif there == "a link to a page":
            file.symlink_to(page)

    meanwhile("report", exchange)
    assert "is no page of ours" in people.refused("report", "page", str(file), "--force")
    assert page.read_text() == FIRST_LINE
    assert [one.name for one in folder.iterdir()] == ([] if there == "nothing" else ["review.html"])
    assert there != "a text" or file.read_text() == "precious"


def test_a_new_page_that_is_exchanged_replaces_nothing(
    people: Shell, tmp_path: Path, meanwhile: Callable[[str, Hook], None]
) -> None:
    """Nobody else's file is given the name of the page."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "review.html").write_text(FIRST_LINE)

    def exchange() -> None:
        (new,) = folder.glob(".review.html.*")
        (folder / "theirs").write_text("theirs")
        (folder / "theirs").rename(new)

    meanwhile("report", exchange)
    assert "somebody else is at work" in people.refused("report", "page", str(folder / "review.html"), "--force")
    assert (folder / "review.html").read_text() == FIRST_LINE


def test_nothing_is_overwritten_or_written_through(people: Shell, writer: tuple[str, ...], tmp_path: Path) -> None:
    """A file, a link and a link to nowhere stay as they are, and nothing is done."""
    file, link, nowhere = tmp_path / "there", tmp_path / "link", tmp_path / "nowhere"
    file.write_text("precious")
    link.symlink_to(file)
    nowhere.symlink_to(tmp_path / "elsewhere")
    before = rows(people)
    for path in (file, link, nowhere):
        people.refused(*writer, str(path))
    assert (file.read_text(), (tmp_path / "elsewhere").exists()) == ("precious", False)
    assert rows(people) == before


def test_a_file_is_its_owner_s_alone(people: Shell, writer: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever the umask says."""
    before = os.umask(0)
    try:
        assert people.say(*writer, str(tmp_path / "sheet")).code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "sheet").stat().st_mode) == 0o600


# --- standard output -------------------------------------------------------------------------------------------------


def in_a_shell(shell: Shell, line: str, umask: str = "077") -> subprocess.CompletedProcess[str]:
    """Let a real shell run the program with that behind it."""
    program = f"umask {umask}; exec {sys.executable} -m radiusd2fa.cli.app -c {shell.config} {line}"
    as_anywhere = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["/bin/sh", "-c", program], capture_output=True, text=True, timeout=60, check=False, env=as_anywhere
    )


def test_a_terminal_gets_no_pdf(people: Shell) -> None:
    """Nor is a sheet made, for it would be lost."""
    code, seen = at_a_terminal(people, "recovery", "issue", "alice", "--pdf", "-")
    assert code == 2
    assert "--pdf - >FILE" in seen
    assert people.say("recovery", "status", "--all", "--json").json() == []


@pytest.mark.parametrize(
    "options", [("--pdf", "-", "--text", "-"), ("--pdf", "-", "--json"), ("--text", "-", "--json")]
)
@pytest.mark.parametrize("words", [("recovery", "issue"), ("breakglass", "seal")])
def test_standard_output_takes_one_thing(people: Shell, words: tuple[str, str], options: tuple[str, ...]) -> None:
    """Two documents behind each other are none."""
    before = rows(people)
    assert "exclude each other" in people.wrong(*words, "alice", *options)
    assert rows(people) == before


def test_a_report_and_json_exclude_each_other(people: Shell, tmp_path: Path) -> None:
    """On standard output there is one of them, and nothing comes in where both are asked for."""
    file = str(a_file(tmp_path, row("N1")))
    assert "exclude each other" in people.wrong("token", "import", file, "--report", "-", "--json")
    assert people.say("token", "list", "--json").json()[0]["serial"] == "H1"


def test_a_command_that_is_refused_gives_the_shell_no_codes(people: Shell) -> None:
    """A sheet whose codes count for nobody is not printed."""
    people.run("user", "disable", "alice")
    for words in (("recovery", "issue"), ("breakglass", "seal")):
        said = people.say(*words, "alice", "--text", "-")
        assert (said.code, said.out, codes_in(said.err)) == (1, "", [])


def test_the_shell_writes_the_sheet_and_nothing_else(people: Shell, tmp_path: Path) -> None:
    """Its file is the sheet to the octet, the sentences are on the screen, and the codes are good."""
    said = in_a_shell(people, f"recovery issue alice --pdf {tmp_path / 'a'} --text - >{tmp_path / 'b'}")
    assert (said.returncode, said.stdout) == (0, ""), said.stderr
    text = (tmp_path / "b").read_text()
    assert text.startswith("RECOVERY CODES\n")
    assert len(codes_in(text)) == 10
    assert good(people, codes_in(text)[9])
    assert f"the sheet is in {tmp_path / 'a'} (mode 0600) and on standard output: print it" in said.stderr
    assert codes_in(said.stderr) == []


@pytest.mark.parametrize(("umask", "warned"), [("022", True), ("077", False)])
def test_a_file_of_the_shell_that_others_can_read_is_warned_of(
    people: Shell, tmp_path: Path, umask: str, warned: bool
) -> None:
    """A PDF, whole; and who has written it so that others have the codes too is told."""
    file = tmp_path / "sheet.pdf"
    done = in_a_shell(people, f"recovery issue alice --pdf - >{file}", umask)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert file.read_bytes().startswith(b"%PDF-")
    assert file.read_bytes().rstrip().endswith(b"%%EOF")
    assert ("others can read the file" in done.stderr) is warned


def test_a_sheet_that_cannot_be_printed_is_said(people: Shell, tmp_path: Path) -> None:
    """The codes count by then, and the file that could be written stays; the error is said once."""
    said = in_a_shell(people, f"recovery issue alice --text {tmp_path / 'a'} --pdf - >/dev/full")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == (
        "error: standard output: cannot write to it (No space left on device); these codes count, and nobody has them: "
        "give the command again for others\n"
    )
    assert good(people, codes_in((tmp_path / "a").read_text())[0])


def test_a_report_that_cannot_be_printed_is_said_once(people: Shell, tmp_path: Path) -> None:
    """With what came of the delivery, and not once more at the end of the program."""
    said = in_a_shell(people, f"token import {a_file(tmp_path, row('N1'))} --report - >/dev/full")
    assert said.returncode == 1
    assert said.stderr == (
        "error: standard output: cannot write to it (No space left on device); took in 1 token from seeds.csv, "
        "1 into the stock\n"
    )


def test_a_file_that_cannot_be_written_makes_no_codes(
    people: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is found before the old sheet has become worthless, and nothing is left of the new one."""
    before = rows(people)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device); no codes were made" in people.refused(
        "recovery", "issue", "alice", "--text", str(tmp_path / "sheet")
    )
    assert not (tmp_path / "sheet").exists()
    assert rows(people) == before


def test_a_report_on_standard_output_is_all_that_is_there(people: Shell, tmp_path: Path) -> None:
    """What else is said goes to standard error, faults too."""
    said = people.say("token", "import", str(a_file(tmp_path, row("N1"))), "--report", "-")
    assert said.out == "took in 1 token from seeds.csv, 1 into the stock\nline 2: N1 hotp to the stock\n"
    assert said.err.startswith("took in 1 token from seeds.csv")
    said = people.say("token", "import", str(a_file(tmp_path, row("H1"))), "--report", "-")
    assert said.code == 1
    assert said.out.startswith("nothing was taken in")
    assert "error: seeds.csv, line 2" in said.err
