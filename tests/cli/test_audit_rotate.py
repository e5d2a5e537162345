"""`radiusd2fa audit rotate` and `audit verify --archive`: no row goes before its archive lies whole on the disk.

Each refusal leaves all rows where they are. The shell's file is a real one. Answers to no RFC.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.store.administration import Administration
from radiusd2fa.store.archiving import Archiving

from .conftest import Shell
from .test_audit import LOGIN, tamper

BEFORE: Final = ("audit", "rotate", "--before", "2021-01-01", "--to")
ROWS: Final = 40


@pytest.fixture
def told(people: Shell) -> Shell:
    """A site with old logins in its audit."""
    with people.registry() as registry:
        address, key = registry._address, registry._vault
    with Administration(address, key, "nobody", chain="vpn1") as desk, desk._transaction() as connection:
        desk._note_many(connection, [replace(LOGIN, time=LOGIN.time + number) for number in range(ROWS)])
    return people


def rows(shell: Shell) -> int:
    """How many of them are there."""
    with shell.registry() as registry, registry._looking() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM events WHERE chain = 'vpn1'").scalar_one())


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["yesterday", "2021", "2021-02-30"])
def test_a_day_that_is_none_is_wrong_usage(told: Shell, tmp_path: Path, day: str) -> None:
    """Nothing is made and nothing goes."""
    assert "--before" in told.wrong("audit", "rotate", "--before", day, "--to", str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_nothing_is_written_over(told: Shell, tmp_path: Path) -> None:
    """A file that is there stays as it is, and so do the rows."""
    (tmp_path / "a").write_text("mine")
    assert "is there already" in told.refused(*BEFORE, str(tmp_path / "a"))
    assert ((tmp_path / "a").read_text(), rows(told)) == ("mine", ROWS)


def test_what_is_not_whole_is_not_swept_away(told: Shell, tmp_path: Path) -> None:
    """Until somebody says that they know; then the archive says what is wrong, and the store is whole behind it."""
    tamper(told, "UPDATE events SET outcome = 'accepted' WHERE chain = 'vpn1' AND sequence = 7")
    assert "the audit is not whole" in told.refused(*BEFORE, str(tmp_path / "a"))
    assert (rows(told), (tmp_path / "a").exists()) == (ROWS, False)
    told.run(*BEFORE, str(tmp_path / "a"), "--despite-faults")
    assert rows(told) == 0
    assert "vpn1 row 7" in told.refused("audit", "verify", "--archive", str(tmp_path / "a"))
    assert "is whole" in told.run("audit", "verify")


def test_what_cannot_be_read_back_whole_is_not_believed(
    told: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that has kept other octets than it was given: the file goes again, the rows stay."""
    archive = Archiving.archive

    def damaged(*given: object) -> Generator[str, None, None]:
        yield "".join(archive(*given)).replace('"sequence":7,', '"sequence":8,')  # type: ignore[arg-type]

    monkeypatch.setattr(Archiving, "archive", damaged)
    assert "what was read back is not whole" in told.refused(*BEFORE, str(tmp_path / "a"))
    assert (rows(told), (tmp_path / "a").exists()) == (ROWS, False)


def test_a_disk_that_is_full_loses_nothing(told: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows stay, the half file goes, and the error says so."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "cannot write it (No space left on device); nothing was taken out" in told.refused(
        *BEFORE, str(tmp_path / "a")
    )
    assert (rows(told), (tmp_path / "a").exists()) == (ROWS, False)


# --- rotating ---------------------------------------------------------------------------------------------------------


def test_the_oldest_rows_go_into_a_file_for_its_owner(told: Shell, tmp_path: Path) -> None:
    """Of mode 0600; the audit is whole before and after, and so is the archive."""
    assert told.run(*BEFORE, str(tmp_path / "a")) == f"archived 40 rows in {tmp_path / 'a'}; 40 were taken out\n"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert rows(told) == 0
    assert "is whole" in told.run("audit", "verify")
    assert told.run("audit", "verify", "--archive", str(tmp_path / "a")).endswith("a: whole; 40 rows: vpn1 to row 40\n")
    document = told.say("audit", "verify", "--archive", str(tmp_path / "a"), "--json").json()
    assert document == {
        "archives": [{"file": str(tmp_path / "a"), "whole": True, "rows": 40, "ends": {"vpn1": 40}}],
        "findings": [],
    }
    assert told.events()[-1].reason == "40 rows into a"


def test_where_nothing_is_old_nothing_is_made(told: Shell, tmp_path: Path) -> None:
    """Said, and no error: a timer may give the command each month."""
    told.run(*BEFORE, str(tmp_path / "a"))
    assert "nothing to archive" in told.run(*BEFORE, str(tmp_path / "a"))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("step", ["anchor", "take_out"])
def test_ended_in_between_the_same_command_goes_on(
    told: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before the anchors another file is made, behind them the rows go; the audit is whole all the time."""
    real, calls = getattr(Archiving, step), []

    def ended(*given: object) -> object:
        calls.append(given)
        if step == "anchor" or len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(Archiving, step, ended)
    assert told.say(*BEFORE, str(tmp_path / "a")).code != 0
    monkeypatch.setattr(Archiving, step, real)
    assert rows(told) == ROWS
    assert "is whole" in told.run("audit", "verify")
    said = told.say(*BEFORE, str(tmp_path / "b"))
    assert (said.code, rows(told)) == (0, 0)
    assert ("finished an earlier rotation: 40 rows" in said.err) is (step == "take_out")
    left = tmp_path / ("b" if step == "anchor" else "a")
    assert "whole; 40 rows" in told.run("audit", "verify", "--archive", str(left))


def test_killed_while_rows_go_the_rest_goes_the_next_time(told: Shell, tmp_path: Path) -> None:
    """A real process, ended where nothing can be caught."""
    script = (
        "import os, sys, radiusd2fa.store.archiving as a\n"
        "from radiusd2fa.cli.app import main\n"
        "a._AT_ONCE = 10\n"
        "real = a.Archiving.take_out\n"
        "def once(desk, progress):\n"
        "    return real(desk, lambda done, of: os.kill(os.getpid(), 9) if done >= 20 else None)\n"
        "a.Archiving.take_out = once\n"
        "main()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, *BEFORE, str(tmp_path / "a"), "-c", str(told.config)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert killed.returncode == -9
    assert 0 < rows(told) < ROWS
    assert "rows lie in an archive and are still here" in told.run("audit", "verify")
    assert "finished an earlier rotation" in told.say(*BEFORE, str(tmp_path / "b")).err
    assert rows(told) == 0
    assert "whole; 40 rows" in told.run("audit", "verify", "--archive", str(tmp_path / "a"))


def test_with_sudo_the_shell_makes_the_file(told: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is written with rights that the person has not got."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1")
    assert "let your own shell write it" in told.refused(*BEFORE, str(tmp_path / "a"))
    assert (rows(told), (tmp_path / "a").exists()) == (ROWS, False)


def by_the_shell(shell: Shell, redirection: str) -> subprocess.CompletedProcess[str]:
    """Give the command through a real shell."""
    program = f"{sys.executable} -m radiusd2fa.cli.app -c {shell.config} {' '.join(BEFORE)} -"
    return subprocess.run(
        ["sh", "-c", f"umask 077; {program} {redirection}"], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_file_of_the_shells_is_read_back_too(told: Shell, tmp_path: Path) -> None:
    """Rows go only behind what lies on a disk: not into a pipe, nor behind what a file holds already."""
    assert "must be a new file" in by_the_shell(told, "| cat").stderr
    (tmp_path / "a").write_text("mine\n")
    assert "must be a new file" in by_the_shell(told, f">>{tmp_path / 'a'}").stderr
    assert ((tmp_path / "a").read_text(), rows(told)) == ("mine\n", ROWS)
    done = by_the_shell(told, f">{tmp_path / 'b'}")
    assert (done.returncode, done.stdout) == (0, "")
    assert rows(told) == 0
    assert "whole; 40 rows" in told.run("audit", "verify", "--archive", str(tmp_path / "b"))


# --- archives ---------------------------------------------------------------------------------------------------------


def test_an_archive_is_held_against_this_store(told: Shell, tmp_path: Path) -> None:
    """One that was cut, changed, or is of another store ends with 1; with a key alone no store is needed."""
    file, key = tmp_path / "a", tmp_path / "key.pem"
    key.write_text(told.run("audit", "key"))
    told.run(*BEFORE, str(file))
    text = file.read_text()
    file.write_text(text.replace('"user":"alice"', '"user":"mallory"', 1))
    assert "row changed" in told.refused("audit", "verify", "--archive", str(file))
    file.write_text("".join(text.splitlines(keepends=True)[:-1]))
    assert "no anchor stands behind it" in told.refused("audit", "verify", "--archive", str(file))
    file.write_text(text)
    (told.folder / "radiusd2fa.db").unlink()
    assert "whole; 40 rows" in told.run("audit", "verify", "--archive", str(file), "--public-key", str(key))


def test_syslog_and_archives_are_two_questions(told: Shell, tmp_path: Path) -> None:
    """Archives are held against anchors; what syslog has is held against the store."""
    both = ("--archive", str(tmp_path / "a"), "--syslog", str(tmp_path / "b"))
    assert "give one of them" in told.wrong("audit", "verify", *both)
