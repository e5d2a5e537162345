"""`radiusd2fa recovery`: a sheet is shown once or goes to a new file, and replaces the one before.

pdftotext (poppler) is the judge of the PDF. NIST SP 800-63B 3.1.2 (look-up secrets).
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.cli.codes_pdf import as_pdf
from radiusd2fa.cli.codes_sheet import Paper, as_text

from .conftest import Shell
from .sheets import add_rule, codes_in, good, rows
from .test_terminal import at_a_terminal

needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs Debian package poppler-utils")
PAPER: Final = Paper(
    title="Recovery codes",
    facts=(("user", "alice"), ("serial", "R-1")),
    codes=tuple(f"{number:04}-AAAA-BBBB" for number in range(10)),
    to_do="Keep it.",
    if_found="bring it.",
)


def issue(shell: Shell, *options: str) -> str:
    """Make a sheet, and return what was printed."""
    said = shell.say("recovery", "issue", "alice", *options)
    assert said.code == 0, said.err
    return said.out


def asked_of(program: str, file: Path, *arguments: str) -> str:
    """What one of poppler's programs says about a PDF."""
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True, cwd=file.parent)
    assert done.stderr == ""
    return done.stdout


# --- refusals --------------------------------------------------------------------------------------------------------


def test_somebody_unknown_or_disabled_gets_no_codes(people: Shell, tmp_path: Path) -> None:
    """Refused, without a code on the screen, and without a file that looks like a sheet."""
    file = tmp_path / "sheet.txt"
    people.run("user", "disable", "alice")
    for name, why in (("bob", "no user bob"), ("alice", "alice is disabled")):
        said = people.say("recovery", "issue", name, "--text", str(file))
        assert (said.code, codes_in(said.out + said.err)) == (1, [])
        assert why in said.err
        assert not file.exists()


def test_no_file_is_overwritten(people: Shell, tmp_path: Path) -> None:
    """Neither a file, nor what a link points to; and no sheet is made, so that the old codes stay good."""
    old = codes_in(issue(people))
    file, link = tmp_path / "there", tmp_path / "link"
    file.write_text("precious")
    link.symlink_to(tmp_path / "elsewhere")
    for option in ("--text", "--pdf"):
        for path in (file, link):
            assert "is there already" in people.refused("recovery", "issue", "alice", option, str(path))
        assert "No such file" in people.refused("recovery", "issue", "alice", option, str(tmp_path / "no" / "file"))
    assert file.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()
    assert good(people, old[0])


def test_a_second_file_that_is_there_takes_the_first_away_again(people: Shell, tmp_path: Path) -> None:
    """No file is left with codes that count for nobody."""
    (tmp_path / "there.pdf").write_text("precious")
    people.refused("recovery", "issue", "alice", "--text", str(tmp_path / "new"), "--pdf", str(tmp_path / "there.pdf"))
    assert not (tmp_path / "new").exists()


def test_whose_is_asked_for(people: Shell) -> None:
    """`status` wants one person or everybody, not both and not neither."""
    assert "USER, or --all" in people.wrong("recovery", "status")
    assert "USER, or --all" in people.wrong("recovery", "status", "alice", "--all")
    assert "no user bob" in people.refused("recovery", "status", "bob")


@pytest.mark.parametrize("count", ["0", "21", "x"])
def test_a_sheet_has_one_to_twenty_codes(people: Shell, count: str) -> None:
    """More would not be read by anybody."""
    people.wrong("recovery", "issue", "alice", "--codes", count)


def test_revoking_what_nobody_has_is_refused(people: Shell) -> None:
    """It says so instead of nothing."""
    assert "no recovery codes" in people.refused("recovery", "revoke", "alice")


def test_a_reason_is_needed_where_there_are_roles(people: Shell) -> None:
    """With `administrators` in the settings, new codes are not made without saying why."""
    people.change("syslog: off", "syslog: off\nadministrators: {admin: [root]}")
    assert "--reason" in people.wrong("recovery", "issue", "alice")
    issue(people, "--reason", "new phone")
    assert rows(people)[-1][3] == "new phone"


def test_codes_that_no_rule_counts_are_warned_about(people: Shell) -> None:
    """Whoever hands them out would learn it on the day they are needed."""
    add_rule(people)
    said = people.say("recovery", "issue", "alice")
    assert said.code == 0
    assert "no rule here lets recovery codes count" in said.err
    people.change("[totp, hotp]", "[totp, hotp, recovery]")
    assert people.say("recovery", "issue", "alice").err == "Shown once: print it, or copy it by hand, now.\n"


# --- what it does ----------------------------------------------------------------------------------------------------


def test_ten_codes_are_shown_and_each_lets_in_once(people: Shell) -> None:
    """Just as they are read off the screen, and in small letters without dashes."""
    codes = codes_in(issue(people))
    assert len(set(codes)) == len(codes) == 10
    assert [good(people, codes[0]), good(people, codes[0])] == [True, False]
    assert good(people, codes[1].lower().replace("-", ""))
    assert "8 of 10" in people.run("recovery", "status", "alice")


def test_a_sheet_says_whose_it_is_and_what_to_do(people: Shell) -> None:
    """User, day, serial, what it is for, and what to do with one that was found; in lines that fit a terminal."""
    text = issue(people)
    (record,) = people.say("recovery", "status", "alice", "--json").json()
    for part in ("alice", record["serial"], "made on", "lets you in once", "If you have found this sheet"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 72


def test_a_new_sheet_makes_the_old_one_worthless(people: Shell) -> None:
    """And says so, with the serial that stands on it."""
    old = people.say("recovery", "issue", "alice", "--json").json()
    new = people.say("recovery", "issue", "alice", "--json", "--codes", "4").json()
    assert new["replaced"] == [old["serial"]]
    assert f"{new['serial']} is worthless now" in issue(people)
    assert not good(people, old["codes"][0])
    assert not good(people, new["codes"][0])


def test_json_holds_the_codes_once(people: Shell) -> None:
    """A program that prints sheets of its own gets them; no later command shows them."""
    made = people.say("recovery", "issue", "alice", "--json").json()
    assert len(made["codes"]) == 10
    shown = "".join(
        people.run(*arguments)
        for arguments in (("recovery", "status", "--all", "--json"), ("token", "list", "--json"), ("user", "list"))
    )
    assert made["serial"] in shown
    assert not [code for code in made["codes"] if code in shown]


def test_no_code_is_in_the_audit(people: Shell) -> None:
    """The rows name the sheet."""
    codes = codes_in(issue(people))
    text = str(people.events())
    assert not [code for code in codes if code in text or code.replace("-", "") in text]
    assert rows(people)[-1][0] == "recovery.issued"


def test_a_sheet_for_nobody_in_particular_to_read(people: Shell, tmp_path: Path) -> None:
    """A file is its owner's alone whatever the umask, and its codes are not on the screen too."""
    before = os.umask(0)
    try:
        said = issue(people, "--text", str(tmp_path / "a"), "--pdf", str(tmp_path / "b"))
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o600, 0o600]
    assert codes_in(said) == []
    codes = codes_in((tmp_path / "a").read_text())
    assert len(codes) == 10
    assert good(people, codes[9])


def test_revoked_codes_let_nobody_in(people: Shell) -> None:
    """From the next packet on; afterwards there are none."""
    codes = codes_in(issue(people))
    assert "revoked R-" in people.run("recovery", "revoke", "alice", "--reason", "seen")
    assert not good(people, codes[0])
    assert "no recovery codes" in people.run("recovery", "status", "alice")
    assert people.say("recovery", "status", "--all", "--json").json() == []


# --- paper -----------------------------------------------------------------------------------------------------------


@needs_poppler
def test_another_program_reads_all_codes_off_the_pdf(people: Shell, tmp_path: Path) -> None:
    """One page A4, on which pdftotext finds what the text has: codes, user, serial and what to do."""
    file, text = tmp_path / "sheet.pdf", tmp_path / "sheet.txt"
    issue(people, "--pdf", str(file), "--text", str(text), "--codes", "20")
    read = asked_of("pdftotext", file, file.name, "-")
    codes = codes_in(text.read_text())
    assert len(codes) == 20
    assert sorted(codes_in(read)) == sorted(codes)
    assert "alice" in read
    assert "If you have found this sheet" in read
    facts = asked_of("pdfinfo", file, file.name)
    assert "Pages:           1\n" in facts
    assert "(A4)" in facts


NAMES: Final = ("o'hara (old) \\ x", "jürgen", "иван", "m" * 253)


@needs_poppler
@pytest.mark.parametrize("name", NAMES, ids=["brackets", "latin", "cyrillic", "long"])
def test_any_name_goes_onto_paper(tmp_path: Path, name: str) -> None:
    """What the printer's letters lack is printed as its number, and nothing runs off the page."""
    file = tmp_path / "sheet.pdf"
    paper = Paper(PAPER.title, (("user", name), ("serial", "R-1")), PAPER.codes, PAPER.to_do, PAPER.if_found)
    file.write_bytes(as_pdf(paper))
    read = asked_of("pdftotext", file, file.name, "-")
    printed = name.encode("cp1252", errors="backslashreplace").decode("cp1252")
    assert "".join(printed.split()) in "".join(read.split())
    assert sorted(codes_in(read)) == sorted(PAPER.codes)
    boxes = asked_of("pdftotext", file, "-bbox", file.name, "-")
    edges = [float(part.split('"')[1]) for part in boxes.split("xMax=")[1:] if part.startswith('"')]
    assert edges
    assert max(edges) <= 595 - 40


@pytest.mark.parametrize("width", [24, 40, 46, 72])
def test_text_fits_a_terminal(width: int) -> None:
    """No line is longer, and no code is broken; where two columns do not fit, there is one."""
    text = as_text(PAPER, width)
    assert max(map(len, text.splitlines())) <= width
    assert sorted(codes_in(text)) == sorted(PAPER.codes)


def test_codes_are_not_shown_by_accident() -> None:
    """A paper in a traceback or a log holds none."""
    assert "AAAA" not in repr(PAPER)


def test_a_sheet_is_whole_on_a_narrow_terminal(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two columns do not fit, the codes stand below each other, and none is torn."""
    monkeypatch.setenv("COLUMNS", "40")
    code, seen = at_a_terminal(people, "recovery", "issue", "alice")
    assert (code, len(codes_in(seen))) == (0, 10)
    sheet = seen[seen.index("RECOVERY CODES") : seen.index("Shown once")]
    assert max(map(len, sheet.splitlines())) <= 40
