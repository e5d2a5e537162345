"""Every way to write a configuration wrongly, with the line, the key and the remedy that the site is told.

The cases are in ``wrong_files.txt``; none of them may start a daemon, and each fault says what to write instead.
Answers to no RFC.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from radiusd2fa.settings import SettingsError, load_settings

from .conftest import SECRET, Site, minimal


@dataclass(frozen=True, slots=True)
class WrongFile:
    """One case: a name, a text, and the faults that it must have."""

    name: str
    text: str
    faults: tuple[str, ...]


def read_cases(text: str) -> list[WrongFile]:
    """Read the cases of ``wrong_files.txt``."""
    cases = []
    for name, body in re.findall(r"^# (.+)\n((?:\d+\| .*\n|=> .*\n)+)", text, re.MULTILINE):
        lines = dict(enumerate(minimal().splitlines(), start=1))
        lines |= {int(number): line for number, line in re.findall(r"^(\d+)\| (.*)$", body, re.MULTILINE)}
        faults = tuple(re.findall(r"^=> (.*)$", body, re.MULTILINE))
        cases.append(WrongFile(name, "\n".join(lines.values()) + "\n", faults))
    return cases


CASES = read_cases(Path(__file__).with_name("wrong_files.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_a_wrong_file_is_refused_with_all_its_faults(site: Site, case: WrongFile) -> None:
    """A wrong file has exactly the faults of its case: file, line, key, problem and remedy, in the order of lines."""
    site.put("lab.secret", SECRET)
    with pytest.raises(SettingsError) as refusal:
        site.load(case.text)

    told = [line.replace(str(site.folder), "FOLDER") for line in str(refusal.value).splitlines()]
    assert told == [f"FOLDER/radiusd2fa.yaml:{fault}" for fault in case.faults]
    assert case.faults


def test_no_case_is_lost() -> None:
    """Each heading of the case file is followed by lines that were understood."""
    text = Path(__file__).with_name("wrong_files.txt").read_text(encoding="utf-8")
    headings = re.findall(r"^# (?=[a-zA-Z0-9])(.+)$", text.partition("\n## ")[2], re.MULTILINE)

    assert [case.name for case in CASES] == headings
    assert len(CASES) > 340


NO_OPTIONS = {"nothing": "", "a comment": "# nothing\n", "a list": "- a\n- b\n", "a text": "hello\n"}


@pytest.mark.parametrize("text", NO_OPTIONS.values(), ids=list(NO_OPTIONS))
def test_a_file_that_is_no_set_of_keys_is_refused(site: Site, text: str) -> None:
    """An empty file, a list and a text are told how a configuration begins."""
    (fault,) = site.faults(text)

    assert (fault.line, fault.key, fault.problem) == (1, "", "is not a set of keys")
    assert "begin with listen:" in fault.remedy


@pytest.mark.parametrize("key", ["listen", "store", "clients"])
def test_what_has_no_default_must_be_written(site: Site, key: str) -> None:
    """A file without listen, store or clients is refused with how to write it."""
    text = re.sub(rf"^{key}:.*\n(?:  .*\n)*", "", minimal(), flags=re.MULTILINE)
    (fault,) = site.faults(text)

    assert (fault.line, fault.key, fault.problem) == (1, key, "is missing")
    assert fault.remedy.startswith(f"add {key}: ")


def test_a_file_without_any_client_is_refused(site: Site) -> None:
    """An empty set of clients is a fault, because nobody could ever ask."""
    (fault,) = site.faults(minimal().partition("clients:")[0] + "clients: {}\n")

    assert (fault.line, fault.key, fault.problem) == (3, "clients", "is empty")


BROKEN_OCTETS = {
    "latin-1": (b"# caf\xe9\n", "is not UTF-8"),
    "a NUL": (b"# \0\n", "holds a control character"),
    "an escape": (b"# \x1b[31m\n", "holds a control character"),
}


@pytest.mark.parametrize(("octets", "problem"), BROKEN_OCTETS.values(), ids=list(BROKEN_OCTETS))
def test_broken_octets_are_refused_even_in_a_comment(site: Site, octets: bytes, problem: str) -> None:
    """What is not UTF-8, or is a control character, is found with its line."""
    (fault,) = site.faults(minimal().encode() + octets)

    assert (fault.line, fault.problem) == (7, problem)


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """A path without a file is refused with how to make one."""
    with pytest.raises(SettingsError, match=r"none\.yaml:1: there is no such file; name one with -c FILE, or make one"):
        load_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", [".", "pipe"])
def test_what_is_no_regular_file_is_a_fault(site: Site, name: str) -> None:
    """A directory or a FIFO in the place of the file is refused at once, without waiting for a writer."""
    os.mkfifo(site.folder / "pipe", 0o600)

    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(site.folder / name)


def test_an_endless_file_is_a_fault(site: Site) -> None:
    """A file of more than a mebibyte is not a configuration."""
    (fault,) = site.faults(minimal() + "#" * 1024 * 1024)

    assert "larger than 1048576 octets" in fault.problem


def test_deep_nesting_does_not_exhaust_the_stack(site: Site) -> None:
    """A hundred thousand brackets are one fault, not a RecursionError."""
    (fault,) = site.faults(minimal("log: " + "[" * 100_000))

    assert (fault.line, fault.key, fault.problem) == (7, "log", "lies too deep")
