"""The list for Microsoft Entra ID, as Token2 and Deepnet send it: columns, alphabets, and whose token it is.

The made-up files have the columns of Microsoft's own description. It answers to no RFC.
"""

from __future__ import annotations

import pytest

from radiusd2fa.imports import entra

from .tables import HERE, by, flaw, in_base32, in_hex, refusal, seed, seeds

HEADER = "upn,serial number,secret key,time interval,manufacturer,model\n"


@pytest.mark.parametrize("column", ["serial number", "secret key", "time interval"])
def test_a_header_that_lacks_a_needed_column_is_refused(column: str) -> None:
    """The column is named as Microsoft writes it; the file was recognised all the same."""
    text = HEADER.replace(f"{column},", "") + f"alice,1,{in_base32(1)},30,c200\n"
    assert f"lacks the column {column}" in refusal(entra, text).problem
    assert entra.sniff(text.encode())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"a@b.org,1,{in_hex(9)},30,Token2,c200", "neither hex nor base32"),
        (f"a@b.org,1,{in_base32(9)[:-1]}1,30,Token2,c200", "neither hex nor base32"),
        (f"a@b.org,1,{in_base32(9)},30", "4 fields, and there are 6"),
        (f"a@b.org,1.2E+05,{in_base32(9)},30,Token2,c200", "rounded"),
        (f"a@b.org,1,{in_base32(9)},45s,Token2,c200", "step"),
        (f"a@b.org,1,{in_base32(9)},600,Token2,c200", "600 seconds"),
    ],
)
def test_a_line_that_is_wrong_is_named(line: str, words: str) -> None:
    """In a file of base32 a seed in hex, 0, 1, 8 or 9 is wrong, and not read in another way."""
    text = HEADER + f",2,{in_base32(2)},30,Token2,c200\n{line}\n"
    found = flaw(entra, text)
    assert found.line == 3
    assert words in found.problem


def test_a_token_without_a_name_is_fresh_and_one_with_a_name_is_used_up_to_now() -> None:
    """Entra may have taken its codes until a moment ago."""
    text = HEADER + f"alice@b.org,1,{in_base32(1)},30,Token2,c200\n,2,{in_base32(2)},60,Token2,c200\n"
    first, second = seeds(entra, text)
    assert (first.user, second.user) == ("alice@b.org", None)
    assert first.moving_factor == HERE + 2
    assert second.moving_factor == 0
    assert (second.kind, second.step, second.digits, second.algorithm) == ("totp", 60, 6, "sha1")
    assert second.model == "Token2 c200"


def test_all_of_it_is_totp() -> None:
    """What the administrator says of the kind counts where a file leaves it open, and this one does not."""
    assert seeds(entra, HEADER + f",1,{in_base32(1)},30,T,c\n", by("hotp"))[0].kind == "totp"


def test_deepnets_file_has_no_names_and_may_be_hex() -> None:
    """Without ``upn``, ``timeinterval`` in one word, and all seeds in hex, as Deepnet also sends them."""
    text = "serial number,secret key,timeinterval,manufacturer,model\n" + "".join(
        f'1050010{number},{in_hex(number)},60,"Deepnet Security, Ltd",SafeID\n' for number in range(5)
    )
    found = seeds(entra, text)
    assert [token.secret for token in found] == [seed(number) for number in range(5)]
    assert found[0].model == "Deepnet Security, Ltd SafeID"


def test_what_could_be_both_is_base32_here() -> None:
    """Microsoft's own example can be read as hex too; Entra takes base32 alone, so that is what counts."""
    text = HEADER + ",1,2234567abcdef2234567abcdef,60,Contoso,HardwareKey\n"
    assert len(seeds(entra, text)[0].secret) == 16
    mixed = text + f",2,{in_hex(5)},60,Contoso,HardwareKey\n"
    assert [len(token.secret) for token in seeds(entra, mixed)] == [13, 20]


def test_two_of_its_columns_are_enough_to_be_recognised() -> None:
    """In any order and spelling; one of them could be anybody's."""
    assert entra.sniff(b"Serial_Number;Secret Key\n")
    assert entra.sniff(b"UPN,Serial Number\n")
    assert not entra.sniff(b"serial number,seed\n")
    assert not entra.sniff(b"")
