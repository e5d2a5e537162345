"""OATH CSV: serial and seed, and whatever follows them.

The rules for what is missing are LinOTP's. It answers to no RFC.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from radiusd2fa.imports import oath_csv
from radiusd2fa.imports.seeds import Flaw

from .tables import HOW, by, entries, flaw, in_base32, in_hex, left_out, seeds


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("A1\n", "cut off"),
        ("A1,\n", "no secret"),
        (f",{in_hex(1)}\n", "serial"),
        (f"A1,{in_hex(1)}0\n", "neither hex nor base32"),
        (f"A1,{in_hex(1)},motp\n", "none of hotp"),
        (f"A1,{in_hex(1)},totp,six\n", "digits"),
        (f"A1,{in_hex(1)},totp,9\n", "9 digits"),
        (f"A1,{in_hex(1)},totp,6,3\n", "3 seconds"),
        (f"A1,{in_hex(1)},totp,6,30,sha3\n", "algorithm"),
        (f"A1,{in_hex(1)},totp,6,30,sha1,1\n", "7 fields"),
        (f"1.2E+11,{in_hex(1)}\n", "rounded"),
    ],
)
def test_a_line_that_is_wrong_is_named(line: str, words: str) -> None:
    """The second line of three is wrong, and the others are read."""
    text = f"B1,{in_hex(8)},hotp\n{line}B2,{in_hex(9)},hotp\n"
    found = flaw(oath_csv, text)
    assert found.line == 2
    assert words in found.problem
    assert len(entries(oath_csv, text)) == 3


def test_a_file_that_is_cut_in_its_last_line_is_refused() -> None:
    """Without a line end, fewer fields or a shorter seed than the line before mean a cut, wherever it is."""
    whole = f"B1,{in_hex(1)},totp,6,30\nB2,{in_hex(2)},totp,6,30"
    assert len(seeds(oath_csv, whole)) == 2
    last = whole.rindex("B2") + 1
    for cut in range(last, len(whole) - 1):
        found = entries(oath_csv, whole[:cut])
        assert isinstance(found[-1], Flaw), whole[:cut]
        assert found[-1].line == 2


def test_a_short_line_in_the_middle_is_as_good_as_a_long_one() -> None:
    """All but serial and seed may be missing; then it is hotp, six digits, thirty seconds."""
    found = seeds(oath_csv, f"B1,{in_hex(1)},totp,8,60\nB2, {in_hex(2)}\nB3,{in_hex(3)},TOTP\n")
    assert [(token.kind, token.digits, token.step) for token in found] == [
        ("totp", 8, 60),
        ("hotp", 6, 30),
        ("totp", 6, 30),
    ]


def test_a_missing_algorithm_follows_from_the_length_of_the_seed() -> None:
    """As LinOTP has it: 32 octets are for SHA-256, 64 for SHA-512; what file or administrator say goes before."""
    for octets, algorithm in ((10, "sha1"), (20, "sha1"), (32, "sha256"), (64, "sha512")):
        assert seeds(oath_csv, f"A1,{in_hex(1, octets)}\n")[0].algorithm == algorithm
        assert seeds(oath_csv, f"A1,{in_hex(1, octets)},hotp,6,,sha1\n")[0].algorithm == "sha1"
        assert seeds(oath_csv, f"A1,{in_hex(1, octets)}\n", replace(HOW, algorithm="sha1"))[0].algorithm == "sha1"


def test_the_administrator_may_say_what_the_tokens_are() -> None:
    """``--kind totp`` counts for lines that do not say."""
    assert seeds(oath_csv, f"A1,{in_hex(1)}\n", by("totp"))[0].kind == "totp"
    assert seeds(oath_csv, f"A1,{in_hex(1)},hotp\n", by("totp"))[0].kind == "hotp"


def test_an_ocra_token_is_left_out() -> None:
    """Its fourth field is a suite, and no number of digits."""
    assert "ocra" in left_out(oath_csv, f"A1,{in_hex(1)},ocra,OCRA-1:HOTP-SHA1-6:QN08\n").what


@pytest.mark.parametrize(
    "head",
    [
        "serial,secret\n",
        "A1\n",
        f"A1,{in_hex(1, 9)}\n",
        f"A1,{in_hex(1)},6\n",
        f",{in_hex(1)}\n",
        f"A1,{in_hex(1)},hotp,6,30,sha1,x\n",
        f"HOTP A1 - {in_hex(1)}\n",
        "",
    ],
)
def test_what_is_something_else_is_not_recognised(head: str) -> None:
    """A header, a seed that is none, a third field that is no kind, too many fields."""
    assert not oath_csv.sniff(head.encode())


@pytest.mark.parametrize("head", [f"A1,{in_hex(1)}", f"# x\n\nA1;{in_base32(1)};TOTP", f"1,{in_hex(1)},ocra,S"])
def test_it_is_recognised_by_its_first_line(head: str) -> None:
    """A serial and a seed, with any separator, behind remarks."""
    assert oath_csv.sniff(head.encode())
