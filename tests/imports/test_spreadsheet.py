"""What a spreadsheet does to a list: it is named, with the line and the remedy, and never undone.

The damage is what Excel and LibreOffice write. It answers to no RFC.
"""

from __future__ import annotations

import pytest

from radiusd2fa.imports import own_csv
from radiusd2fa.imports.seeds import Flaw
from radiusd2fa.imports.spreadsheet import damage

from .tables import HOW, entries, flaw, in_hex, seeds


def listed(*serials: str) -> str:
    """Write our own list with these serials."""
    return "serial,kind,secret\n" + "".join(
        f"{serial},hotp,{in_hex(number)}\n" for number, serial in enumerate(serials)
    )


def wrong_lines(*serials: str) -> list[int]:
    """Return the lines at which something is wrong."""
    return [entry.line for entry in entries(own_csv, listed(*serials)) if isinstance(entry, Flaw)]


@pytest.mark.parametrize(
    ("serial", "word"),
    [
        ("1.23E+11", "number"),
        ("1E+20", "number"),
        ('"2,60012E+12"', "number"),
        ("9.9e-05", "number"),
        ("03/01/2026", "date"),
        ("3/1/26", "date"),
        ("01.03.2026", "date"),
        ("2026-03-01", "date"),
        ("1-Mar", "date"),
        ("Mar-26", "date"),
        ("01-mar-2026", "date"),
        ('"=""00123"""', "formula"),
        ("'00123", "formula"),
        ("########", "error"),
        ("#NAME?", "error"),
        ("#N/A", "error"),
    ],
)
def test_a_serial_that_a_spreadsheet_has_rewritten_is_named(serial: str, word: str) -> None:
    """Numbers, dates, formulas and error values stand where a serial was: the line says so, and is not skipped."""
    found = flaw(own_csv, listed("A1", serial, "A3"))
    assert found.line == 3
    assert word in found.problem
    assert "vendor" in found.remedy


@pytest.mark.parametrize(
    "serial", ["1E5", "12E45", "1.23", "2026-13-01", "32.13.2026", "1-2-3", "99-123-4567", "Mar", "MAR-1234X", "ABC-12"]
)
def test_a_serial_that_only_looks_a_little_like_it_is_taken(serial: str) -> None:
    """Hex serials with an E, and numbers with dashes, are what vendors print."""
    assert damage(serial) is None


@pytest.mark.parametrize("secret", ["3.13233E+39", '"3,1E+38"'])
def test_a_secret_that_a_spreadsheet_has_rounded_is_named(secret: str) -> None:
    """A seed of decimal digits alone is a number to it."""
    assert "rounded" in flaw(own_csv, f"serial,kind,secret\nA1,hotp,{secret}\n").problem


def test_a_serial_that_has_lost_its_zeros_is_named() -> None:
    """Beside serials that begin with a zero and have one length, a shorter one is wrong; wherever it stands."""
    assert wrong_lines("00123", "00124", "125", "A9", "01260") == [4]
    assert wrong_lines("7", "00124") == [2]


def test_a_serial_that_is_shorter_than_nearly_all_others_is_named() -> None:
    """Twenty of thirteen digits and one of nine: that one began with zeros."""
    whole = [str(2600124809700 + number) for number in range(20)]
    assert wrong_lines(*whole, "135004012") == [22]
    assert wrong_lines("135004012", *whole) == [2]


def test_a_line_far_down_is_held_against_the_first_thousand() -> None:
    """What the beginning of a long file shows counts to its end."""
    many = [f"{number:08d}" for number in range(1500)]
    assert wrong_lines(*many, "1501") == [1502]


def test_serials_that_grow_by_a_digit_are_taken() -> None:
    """From 9 to 10, from 99998 to 100010, and numbers of many lengths: nothing was lost."""
    assert wrong_lines(*(str(number) for number in range(99998, 100040))) == []
    assert wrong_lines(*(str(number) for number in range(1, 40))) == []
    assert wrong_lines("1", "22", "333", "0444", "00555") == []


def test_a_shorter_serial_alone_in_its_file_is_taken() -> None:
    """The remedy works: where no others show a length, none is missed."""
    assert [seed.serial for seed in seeds(own_csv, listed("125"), HOW)] == ["125"]


def test_a_column_of_letters_shows_no_length() -> None:
    """Serials that are no numbers lose no zeros."""
    assert wrong_lines("00AB", "0AB", "AB") == []
