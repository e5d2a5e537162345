"""`radiusd2fa token import`, refused: files that are none, keys that do not fit, faults in a line, options that clash.

Each refusal is followed by a look at the store: it holds what it held before. No error shows what stands in the file.
Answers to no RFC.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.cli import import_report, seed_file
from radiusd2fa.store import deliveries
from tests.imports.pskc_files import container, package

from .conftest import SEED, Said, Shell
from .seed_files import KEY, a_file, encrypted, private, row, seed_of


@pytest.fixture
def desk(people: Shell) -> Shell:
    """A site with alice and H1, where nobody has imported anything."""
    return people


def unchanged(desk: Shell, said: Said, code: int) -> str:
    """The command was refused, and the store is as it was."""
    assert (said.code, said.out) == (code, ""), said
    with desk.registry() as registry:
        assert [token.serial for token in registry.tokens()] == ["H1"]
        assert "imported" not in " ".join(event.name for event in registry.events())
    return said.err


def refused(desk: Shell, file: Path, *options: str, typed: str | bytes = "") -> str:
    """Import what must be refused (1); return why."""
    return unchanged(desk, desk.say("token", "import", str(file), *options, typed=typed), 1)


def wrong(desk: Shell, file: Path | str, *options: str, typed: str | bytes = "") -> str:
    """Import with wrong usage (2); return why."""
    return unchanged(desk, desk.say("token", "import", str(file), *options, typed=typed), 2)


# --- tokens that somebody has had ------------------------------------------------------------------------------------

UNSAID: Final = {
    "hotp": f"serial,kind,secret\nN1,hotp,{seed_of('N1')}\n".encode(),
    "yubico": f"serial,kind,secret\nN1,yubico,{'ab' * 22}\n".encode(),
    "an empty counter": f"serial,kind,secret,counter\nN1,hotp,{seed_of('N1')},\n".encode(),
    "a programming log": f"8265302,vvcdefghijkl,e1c9afdcd53a,{'ab' * 16},000000000000,2026-01-01T00:00:00,\n".encode(),
    "PSKC": container(package()),
}


@pytest.mark.parametrize("content", UNSAID.values(), ids=UNSAID.keys())
def test_whose_it_was_but_not_how_far(desk: Shell, tmp_path: Path, content: bytes) -> None:
    """A used token given to its owner by --user needs its counter, just as one that its file gives to them."""
    error = refused(desk, private(tmp_path / "seeds", content), "--user", "alice")
    assert "its counter is not said" in error
    assert "without --user" in error


# --- files -----------------------------------------------------------------------------------------------------------


def a_zip() -> bytes:
    """A seed file in an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("seeds.csv", row("N1"))
    return buffer.getvalue()


NO_SEED_FILES: Final = {
    "an empty file": (b"", "there is nothing in it"),
    "an archive, or a spreadsheet": (a_zip(), "unpack it, or save the sheet as CSV UTF-8"),
    "a packed file": (b"\x1f\x8b\x08\0\0\0\0\0", "unpack it with gunzip"),
    "UTF-16": ("serial;secret\n".encode("utf-16"), "CSV UTF-8"),
    "a letter to the administrator": (b"Dear all,\nplease find attached\n", "--format"),
    "an entity bomb": (
        b'<?xml version="1.0"?>\n<!DOCTYPE b [<!ENTITY a "aaaa">]>\n<KeyContainer Version="1.0">&a;</KeyContainer>',
        "DOCTYPE",
    ),
    "a file that was cut": (
        b'<?xml version="1.0"?>\n<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">',
        "",
    ),
}


@pytest.mark.parametrize(("content", "said"), NO_SEED_FILES.values(), ids=NO_SEED_FILES.keys())
def test_what_is_no_seed_file_says_what_to_do(desk: Shell, tmp_path: Path, content: bytes, said: str) -> None:
    """Named, with the remedy."""
    error = refused(desk, private(tmp_path / "seeds.xml", content))
    assert error.startswith("error: seeds.xml: " if content else f"error: {tmp_path}/seeds.xml: ")
    assert said in error


def test_a_file_that_is_not_there(desk: Shell, tmp_path: Path) -> None:
    """The name, and the system's word for it."""
    assert "No such file" in refused(desk, tmp_path / "seeds.csv")


def test_a_folder(desk: Shell, tmp_path: Path) -> None:
    """Somebody has forgotten the last part of the path."""
    assert "this is a folder" in refused(desk, tmp_path)


def test_a_pipe_is_not_waited_for(desk: Shell, tmp_path: Path) -> None:
    """A FIFO that nobody writes to must not hold up the command."""
    os.mkfifo(tmp_path / "pipe")
    assert "no plain file" in refused(desk, tmp_path / "pipe")


def test_a_file_beyond_all_measure(desk: Shell, tmp_path: Path) -> None:
    """A gigabyte is refused by its size, before anything of it is read."""
    file = private(tmp_path / "seeds.csv", b"")
    os.truncate(file, 2**30)
    assert "more than 512 MiB" in refused(desk, file)


def test_standard_input_beyond_all_measure(desk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is kept than a file may have."""
    monkeypatch.setattr(seed_file, "LARGEST", 2**20)
    assert "more than 1 MiB" in refused(desk, Path("-"), typed="x" * (2**20 + 1))


@pytest.mark.parametrize("secret", [seed_of("N1"), "no seed"], ids=["tokens", "faults"])
def test_more_entries_than_can_be_taken_at_once(
    desk: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """Reading ends there, whatever the entries are: memory is bounded."""
    monkeypatch.setattr(deliveries, "MOST_AT_ONCE", 1)
    file = a_file(tmp_path, *(row(f"N{number}", secret=secret) for number in range(4)))
    assert "split it into parts" in refused(desk, file)


def test_a_file_with_no_token_in_it(desk: Shell, tmp_path: Path) -> None:
    """What is left out is named, and that nothing is left is no success."""
    pin = package(attributes='Id="K1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:pin"')
    said = desk.say("token", "import", str(private(tmp_path / "seeds.xml", container(pin))))
    assert said.out.startswith("left out: line 3: token S1: ")
    assert (said.code, said.err) == (1, "error: seeds.xml: there is no token in it that could be taken in\n")


# --- lines -----------------------------------------------------------------------------------------------------------

LINES: Final = {
    "a serial that is here": (row("H1"), "another token H1"),
    "a token that is here": (row("H1", secret=SEED.hex()), "--skip-known"),
    "a seed that is here": (row("N1", secret=SEED.hex()), "as token H1"),
    "a person who is not here": (row("N1", user="carol"), "`radiusd2fa user add carol`"),
    "a seed that is too short": (row("N1", secret="abcdef"), "octets"),
    "a serial that stands above": (row("N0", secret=seed_of("other")), "line 2"),
    "a seed that stands above": (row("N1", secret=seed_of("N0")), "N0 in line 2"),
}


@pytest.mark.parametrize(("line", "said"), LINES.values(), ids=LINES.keys())
def test_a_fault_in_a_line_names_it(desk: Shell, tmp_path: Path, line: str, said: str) -> None:
    """File, line and remedy; and that nothing was taken in of the good lines around it."""
    error = refused(desk, a_file(tmp_path, row("N0"), line, row("N2")))
    first, last = error.splitlines()
    assert first.startswith("error: seeds.csv, line 3: ")
    assert said in first
    assert last == "error: nothing was taken in: 1 fault in seeds.csv; mend it and give the command again"


def test_faults_of_the_file_and_of_the_store_are_said_at_once(desk: Shell, tmp_path: Path) -> None:
    """In the order of the lines."""
    error = refused(desk, a_file(tmp_path, row("N1", user="carol"), row("N2", secret="short"), row("H1")))
    assert [line.partition(", ")[2][:6] for line in error.splitlines()[:3]] == ["line 2", "line 3", "line 4"]


def test_a_long_list_of_faults_is_shortened(desk: Shell, tmp_path: Path) -> None:
    """Nobody reads hundreds of them; how many there are is said, and where all of them are."""
    count = import_report.SHOWN + 13
    error = refused(desk, a_file(tmp_path, *(row(f"N{number}", user="carol") for number in range(count))))
    lines = error.splitlines()
    assert len(lines) == import_report.SHOWN + 2
    assert lines[-2] == "... 13 more faults: --json and --report FILE show all"
    assert f"{count} faults" in lines[-1]


def test_no_line_of_a_file_forges_a_line_of_ours(desk: Shell, tmp_path: Path) -> None:
    """What a file says of a person is shown with its control characters written out."""
    error = refused(desk, a_file(tmp_path, row("N1", user="carol\x1b[2Jroot")))
    assert "\x1b" not in error


@pytest.mark.parametrize("option", ["", "--dry-run", "--json"])
def test_a_seed_is_in_no_error(desk: Shell, tmp_path: Path, option: str) -> None:
    """Neither of the faulty lines nor of the others."""
    file = a_file(tmp_path, row("H1"), row("N1", user="carol"), row("N2", secret=f"{seed_of('N2')}z"), row("N3"))
    said = desk.say("token", "import", str(file), *([option] if option else []))
    assert said.code == 1
    for serial in ("H1", "N1", "N2", "N3"):
        assert seed_of(serial)[:8] not in (said.out + said.err).lower()


def test_a_file_for_one_person_that_has_several(desk: Shell, tmp_path: Path) -> None:
    """--user does not make one of them the owner of the other's token."""
    file = a_file(tmp_path, row("N1", user="carol"), row("N2", user="dave"))
    assert "tokens of 2 people" in refused(desk, file, "--user", "alice")


def test_a_delivery_is_not_for_one_person(desk: Shell, tmp_path: Path) -> None:
    """A box of fobs given to one person by a slip would let the finder of any of them in."""
    file = a_file(tmp_path, *(row(f"N{number}") for number in range(11)))
    assert "nobody carries so many" in refused(desk, file, "--user", "alice")


def test_a_person_to_give_it_to_who_is_not_here(desk: Shell, tmp_path: Path) -> None:
    """--user names somebody who can be found."""
    assert "no such user" in refused(desk, a_file(tmp_path, row("N1")), "--user", "carol")


# --- keys ------------------------------------------------------------------------------------------------------------


def test_an_encrypted_file_without_its_key(desk: Shell, tmp_path: Path) -> None:
    """Where nobody can be asked, the options are named."""
    error = wrong(desk, encrypted(tmp_path))
    assert "(--key-file or --key-stdin)" in error


@pytest.mark.parametrize("typed", ["ff" * 16, "ff" * 32], ids=["another key", "a key of another length"])
def test_a_wrong_key(desk: Shell, tmp_path: Path, typed: str) -> None:
    """It is said that the key is wrong, and not what it was."""
    error = refused(desk, encrypted(tmp_path), "--key-stdin", typed=typed)
    assert "key" in error
    assert typed not in error


NO_KEYS: Final = {
    "nothing": b"",
    "a password": b"correct horse battery",
    "half a key": KEY.hex()[:20].encode(),
    "too long": b"ab" * 33,
}


@pytest.mark.parametrize("typed", NO_KEYS.values(), ids=NO_KEYS.keys())
@pytest.mark.parametrize("where", ["--key-stdin", "--key-file"])
def test_what_is_no_key(desk: Shell, tmp_path: Path, typed: bytes, where: str) -> None:
    """A key has a length of its own; what was given is not repeated."""
    if where == "--key-file":
        error = wrong(desk, encrypted(tmp_path), where, str(private(tmp_path / "key", typed)))
    else:
        error = wrong(desk, encrypted(tmp_path), where, typed=typed)
    assert "this is no key; a key has 16, 24 or 32 octets" in error
    assert not typed or typed.decode() not in error


def test_a_key_file_that_others_can_read(desk: Shell, tmp_path: Path) -> None:
    """It is a secret as the seeds are; the remedy can be pasted."""
    key = private(tmp_path / "key", KEY.hex().encode())
    key.chmod(0o640)
    assert f"chmod 600 {key}" in wrong(desk, encrypted(tmp_path), "--key-file", str(key))


def test_a_key_file_that_is_not_there(desk: Shell, tmp_path: Path) -> None:
    """The name, and the system's word for it."""
    assert "No such file" in wrong(desk, encrypted(tmp_path), "--key-file", str(tmp_path / "key"))


@pytest.mark.parametrize("typed", [b"\n", b"\xff\xfe\n"], ids=["none", "no text"])
def test_what_is_no_password(desk: Shell, tmp_path: Path, typed: bytes) -> None:
    """An empty one is a slip."""
    assert "the password is empty, or not UTF-8" in wrong(desk, encrypted(tmp_path), "--password-stdin", typed=typed)


# --- wrong usage -----------------------------------------------------------------------------------------------------

WRONG: Final = {
    "two owners": ("--user", "alice", "--unassigned"),
    "an owner that cannot be": ("--user", "ali\nce"),
    "two keys": ("--key-stdin", "--password-stdin"),
    "a key file and a key": ("--key-file", "key", "--key-stdin"),
    "an unknown format": ("--format", "word"),
    "columns without their names": ("--format", "columns"),
    "columns of a format that has its own": ("--format", "own", "--columns", "serial,secret"),
    "five digits": ("--digits", "5"),
    "a step of ten seconds": ("--step", "10"),
    "md5": ("--algorithm", "md5"),
    "another kind": ("--kind", "motp"),
    "a day that is none": ("--delivered", "03/04/2026"),
    "a day to come": ("--delivered", "2999-01-01"),
    "a batch in two lines": ("--batch", "2026\n11"),
    "a box with a control": ("--box", "7\x1b[2J"),
    "a model without end": ("--model", "x" * 101),
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_takes_nothing_in(desk: Shell, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Options out of their bounds, or that do not belong together."""
    wrong(desk, a_file(tmp_path, row("N1")), *options)


@pytest.mark.parametrize("option", ["--key-stdin", "--password-stdin"])
def test_standard_input_holds_one_thing(desk: Shell, option: str) -> None:
    """Either the file or what opens it."""
    assert "--key-file" in wrong(desk, "-", option, typed="x\n")


def test_an_unknown_format_names_those_there_are(desk: Shell, tmp_path: Path) -> None:
    """With what people call them."""
    assert "\nerror: pskc: PSKC, the XML of RFC 6030\n" in wrong(desk, a_file(tmp_path), "--format", "word")


def test_a_report_overwrites_nothing(desk: Shell, tmp_path: Path) -> None:
    """Whoever may give this command for the service's account gets no way to spoil its files."""
    there = private(tmp_path / "there", b"as it was")
    assert "is there already" in refused(desk, a_file(tmp_path, row("N1")), "--report", str(there))
    assert there.read_bytes() == b"as it was"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    refused(desk, a_file(tmp_path, row("N1")), "--report", str(tmp_path / "link"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_report_that_cannot_be_written(desk: Shell, tmp_path: Path) -> None:
    """Found out before anything is taken in."""
    assert "cannot write it (No such file or directory), and nothing was done" in refused(
        desk, a_file(tmp_path, row("N1")), "--report", str(tmp_path / "no" / "x")
    )
