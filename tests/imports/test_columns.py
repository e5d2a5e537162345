"""A list of which the administrator says what its columns are: named in their order, or refused.

The same fields mean the same as in our own list. It answers to no RFC.
"""

from __future__ import annotations

import pytest

from radiusd2fa.imports import columns
from radiusd2fa.imports.seeds import LeftOut, Seed

from .tables import HERE, by, entries, flaw, in_hex, refusal, seed, seeds

LIST = f"10;A1;{in_hex(1)};x\n11;A2;{in_hex(2)};y\n"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "must name serial and secret"),
        (("serial", "digits"), "must name serial and secret"),
        (("secret", "digits"), "must name serial and secret"),
        (("serial", "sekret"), "with its word 2"),
        (("serial", "secret", "serial"), "serial twice"),
    ],
)
def test_columns_that_do_not_do_are_refused(names: tuple[str, ...], words: str) -> None:
    """The fault is the command line's, and what there is to name is said."""
    error = refusal(columns, LIST, by("hotp", names))
    assert error.line == 0
    assert words in error.problem
    assert "-" in error.remedy


def test_an_empty_file_is_refused() -> None:
    """There is nothing to be named."""
    assert "nothing" in refusal(columns, "\n", by("hotp", ["serial", "secret"])).problem


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["-", "serial", "secret"], "4 fields, and there are only 3"),
        (["-", "serial", "secret", "-", "-"], "4 fields, and there are 5"),
        (["-", "secret", "serial", "-"], "octets"),
        (["-", "serial", "secret", "digits"], "digits is no whole number"),
    ],
)
def test_a_line_that_does_not_fit_its_columns_is_wrong(names: list[str], words: str) -> None:
    """Every field must be named or skipped, and hold what it is called; what stands there is not repeated."""
    text = f"10;A1;{in_hex(1)};x\n"
    assert words in flaw(columns, text, by("hotp", names)).problem


def test_nobody_guesses_what_the_tokens_are() -> None:
    """Without a column for the kind, the administrator says it."""
    assert "nobody says" in flaw(columns, f"A1;{in_hex(1)}\n", by(None, ["serial", "secret"])).problem


@pytest.mark.parametrize("skip", ["-", "", " ", "--"])
def test_columns_are_named_in_their_order_and_skipped(skip: str) -> None:
    """A dash, or nothing, leaves a column out."""
    found = seeds(columns, LIST, by("totp", [skip, "Serial", "secret", skip]))
    assert [(token.serial, token.secret, token.kind) for token in found] == [
        ("A1", seed(1), "totp"),
        ("A2", seed(2), "totp"),
    ]


@pytest.mark.parametrize("header", ["Nr;Serial no.;Seed;Rem.", "no;serial;secret key;remark", "a;b;SECRET;c"])
def test_a_first_line_of_names_is_left_out(header: str) -> None:
    """Words where a seed and a number should stand are the names of the columns; the report says so."""
    found = entries(columns, header + "\n" + LIST, by("hotp", ["-", "serial", "secret", "-"]))
    assert [type(entry) for entry in found] == [LeftOut, Seed, Seed]
    assert [entry.line for entry in found] == [1, 2, 3]


def test_a_first_line_that_is_a_damaged_token_is_not_left_out() -> None:
    """A serial with a digit in it belongs to a token."""
    text = f"10;A1;cut;x\n11;A2;{in_hex(2)};y\n"
    assert flaw(columns, text, by("hotp", ["-", "serial", "secret", "-"])).line == 1


def test_the_rules_of_our_own_list_hold() -> None:
    """Somebody's token is used up to now, or needs its counter; maker and model are put together."""
    names = ["user", "serial", "secret", "manufacturer", "model"]
    text = f"alice,A1,{in_hex(1)},Feitian,c200\n"
    token = seeds(columns, text, by("totp", names))[0]
    assert (token.user, token.model) == ("alice", "Feitian c200")
    assert token.moving_factor > HERE
    assert "counter" in flaw(columns, text, by("hotp", names)).problem


def test_a_yubico_otp_is_put_together_from_its_columns() -> None:
    """That is how a log in Yubico's flexible format comes in; without a serial its public id is it."""
    names = ["public_id", "private_id", "secret"]
    token = seeds(columns, f"cccccccccccb,{in_hex(2, 6)},{in_hex(1, 16)}\n", by("yubico", names))[0]
    assert token.secret == seed(1, 16) + seed(2, 6) + bytes(5) + b"\x01"
    assert (token.serial, token.digits) == ("cccccccccccb", 44)


def test_it_is_never_recognised() -> None:
    """No file says of itself what only the administrator knows."""
    assert not columns.sniff(LIST.encode())
