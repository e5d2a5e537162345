"""Reading a site's dictionaries: where files are looked for, and what is said when one cannot be read.

What stands in them is tested in ``tests/radius/test_dictionary.py``.
dictionary(5) of FreeRADIUS 3.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from radiusd2fa.radius.dictionary import DictionaryFault
from radiusd2fa.settings.dictionaries import LARGEST, SHIPPED, load_dictionaries, shipped_dictionary


def test_the_shipped_ones_are_read_once() -> None:
    """What comes with the package is there without being named, and is not read twice."""
    assert shipped_dictionary() is shipped_dictionary()
    assert shipped_dictionary().find("Cisco-AVPair") is not None


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """A file that a site names must be there."""
    with pytest.raises(DictionaryFault) as fault:
        load_dictionaries([SHIPPED, tmp_path / "dictionary.acme"])
    assert fault.value.file == str(tmp_path / "dictionary.acme")
    assert "cannot be read (No such file or directory)" in fault.value.problem


def test_a_folder_without_an_index_is_a_fault(tmp_path: Path) -> None:
    """Of a folder its file ``dictionary`` is read, which includes the others; no other file is guessed."""
    (tmp_path / "dictionary.acme").write_text("ATTRIBUTE Acme 250 string\n")
    with pytest.raises(DictionaryFault, match="cannot be read"):
        load_dictionaries([tmp_path])
    (tmp_path / "dictionary").write_text("$INCLUDE dictionary.acme\n")
    assert load_dictionaries([tmp_path]).find("Acme") is not None


def test_a_fifo_does_not_hold_up_the_start(tmp_path: Path) -> None:
    """What is no regular file is refused at once, named or included."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DictionaryFault, match="not a regular file"):
        load_dictionaries([tmp_path / "pipe"])
    (tmp_path / "site").write_text("$INCLUDE pipe\n")
    with pytest.raises(DictionaryFault, match=r"site:1: .*not a regular file"):
        load_dictionaries([tmp_path / "site"])


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    """A file beyond all measure is refused before it is read whole."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(DictionaryFault, match="larger than"):
        load_dictionaries([tmp_path / "large"])


def test_a_file_is_included_from_beside_its_includer(tmp_path: Path) -> None:
    """Names behind $INCLUDE are relative to the file that they stand in, or absolute."""
    below = tmp_path / "vendors"
    below.mkdir()
    (tmp_path / "site").write_text(f"$INCLUDE vendors/index\n$INCLUDE {tmp_path}/absolute\n")
    (below / "index").write_text("$INCLUDE acme\n")
    (below / "acme").write_text("ATTRIBUTE Acme-One 250 string\n")
    (tmp_path / "absolute").write_text("ATTRIBUTE Acme-Two 251 string\n")
    dictionary = load_dictionaries([tmp_path / "site"])
    assert dictionary.find("Acme-One") is not None
    assert dictionary.find("Acme-Two") is not None


def test_a_comment_may_be_in_any_encoding(tmp_path: Path) -> None:
    """Old files have comments in Latin-1; a name that is not ASCII is refused."""
    (tmp_path / "old").write_bytes(b"# M\xfcller\nATTRIBUTE A 250 string\n")
    assert load_dictionaries([tmp_path / "old"]).find("A") is not None
    (tmp_path / "odd").write_bytes(b"ATTRIBUTE M\xfcller 250 string\n")
    with pytest.raises(DictionaryFault, match="odd characters"):
        load_dictionaries([tmp_path / "odd"])
