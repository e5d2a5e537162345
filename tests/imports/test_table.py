"""Lists in columns: separators, quotation marks, headers, and lines that have too few fields or too many.

Our own list stands for all that have a header. RFC 4180.
"""

from __future__ import annotations

import io

import pytest

from radiusd2fa.imports import own_csv
from radiusd2fa.imports.seeds import Flaw
from radiusd2fa.imports.table import Row, first_row, rows

from .tables import HOW, flaw, in_hex, refusal, seeds

HEADER = "serial,kind,secret,label\n"
GOOD = f"A1,hotp,{in_hex(1)},box\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "nothing in this file"),
        ("\n\n# only a remark\n", 0, "nothing in this file"),
        ("serial,kind,label\nA1,hotp,box\n", 1, "lacks the column secret"),
        (f"kind,secret\nhotp,{in_hex(1)}\n", 1, "lacks the column serial"),
        (f"\nserial,secret,colour\nA1,{in_hex(1)},red\n", 2, "field 3 is the name of no column"),
        (f"serial,,secret\nA1,,{in_hex(1)}\n", 1, "field 2 is the name of no column"),
        (f"serial,secret,Serial\nA1,{in_hex(1)},A1\n", 1, "two columns are called serial"),
        (f"A1,{in_hex(1)}\nA2,{in_hex(2)}\n", 1, "does not name the columns"),
        (f'serial,"secret\nA1,{in_hex(1)}\n', 1, "quotation mark"),
    ],
)
def test_a_header_that_does_not_do_is_refused(text: str, line: int, words: str) -> None:
    """What is missing, unknown, twice or no header at all is named; a seed in place of a name is never repeated."""
    error = refusal(own_csv, text)
    assert error.line == line
    assert words in error.problem


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"A2,hotp,{in_hex(2)}\n", "3 fields, and there are 4 columns: it is cut off"),
        ("A2\n", "1 field, and"),
        (f"A2,hotp,{in_hex(2)},box,9\n", "5 fields, and there are only 4"),
        (f'A2,hotp,{in_hex(2)},"box\n', "quotation mark"),
        (f'A2,hotp,{in_hex(2)},"box"9\n', "quotation mark"),
    ],
)
def test_a_line_of_another_length_is_wrong_and_the_others_are_not(line: str, words: str) -> None:
    """The line is named, and the lines around it are read."""
    found = flaw(own_csv, HEADER + GOOD + line + f"A3,hotp,{in_hex(3)},box\n")
    assert found.line == 3
    assert words in found.problem


def test_an_open_quotation_mark_does_not_swallow_the_next_line() -> None:
    """A field holds no line end: the mark is the fault of its own line."""
    text = HEADER + f'"A1,hotp,{in_hex(1)},box\nA2,hotp,{in_hex(2)},box\n'
    assert [entry.line for entry in own_csv.read(io.BytesIO(text.encode()), HOW) if not isinstance(entry, Flaw)] == [3]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_found(separator: str) -> None:
    """Comma, semicolon and tab mean the same."""
    text = (HEADER + GOOD).replace(",", separator)
    assert [seed.label for seed in seeds(own_csv, text)] == ["box"]


def test_the_separator_is_not_sought_in_quotation_marks() -> None:
    """Commas inside a quoted field of the first line count for nothing."""
    first = next(rows(io.BytesIO(b'"a,b,c,d";e;"f "" g"\n')))
    assert first == Row(1, ("a,b,c,d", "e", 'f " g'))


@pytest.mark.parametrize("declaration", ["sep=;", '"sep=;"', "SEP=;"])
def test_what_excel_declares_is_believed(declaration: str) -> None:
    """A first line that names the separator is no header."""
    assert len(seeds(own_csv, declaration + "\r\n" + (HEADER + GOOD).replace(",", ";"))) == 1


def test_empty_lines_and_remarks_are_skipped_and_counted() -> None:
    """Blank lines, lines of separators alone and remarks hold no token, and the line numbers go on."""
    found = seeds(own_csv, "# delivered in March\n\n" + HEADER + ",,,\n  \n# box 7\n######\n" + GOOD)
    assert [seed.line for seed in found] == [8]


def test_names_are_compared_without_case_blanks_and_dashes() -> None:
    """``Valid Until`` and ``valid_until`` are one column; empty names at the end are none."""
    text = f" Serial , SECRET,kind, Valid-Until,,\nA1,{in_hex(1)},hotp,2027-01-01,,\n"
    assert seeds(own_csv, text)[0].valid_until is not None


def test_the_first_row_is_found_without_reading_on() -> None:
    """Formats are told apart by the first line that holds anything, even where a later one is cut or no text."""
    assert first_row(b"# x\n\nserial;secret\n\xff\xff\0") == ()
    assert first_row(b"# x\n\nserial;secret\n\xff\xff") == ("serial", "secret")
    assert first_row("serial,secret\nZoë".encode()[:-1]) == ("serial", "secret")
    assert first_row(b"\n\n") == first_row(b"") == first_row(b'"a\n') == first_row(b"PK\x03\x04,a") == ()


def test_a_row_shows_nothing_of_its_fields() -> None:
    """What stands in a row is in no repr of it."""
    assert "a" * 20 not in repr(next(rows(io.BytesIO(b"x," + b"a" * 20))))
