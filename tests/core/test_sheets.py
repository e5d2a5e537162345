"""Sheets of codes: how they are made, read and kept. Nothing of a code is left but its digest.

The random octets are handed in, so what comes out can be said. NIST SP 800-63B 3.1.2.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.core.answer import TypedCode, TypedOtp, TypedSpare, read_typed
from radiusd2fa.core.finding import NotFound, Spare, Used
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules
from radiusd2fa.core.sheets import MOST_CODES, SHEETS, Made, Sheet, count, digests, make, octets_wanted, read
from radiusd2fa.factors import find_functions
from tests.factors.yubikey import YubiKey

EVERY: Final = pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)


def made_of(sheet: Sheet, codes: int = 10, seed: bytes = b"seed") -> Made:
    """A sheet out of octets that are always the same."""
    return make(sheet, codes, hashlib.shake_256(seed).digest(octets_wanted(sheet, codes)))


@EVERY
@pytest.mark.parametrize("number", [0, -1, MOST_CODES + 1])
def test_a_sheet_has_a_bounded_number_of_codes(sheet: Sheet, number: int) -> None:
    """Each code needs a bit of the moving factor, so there are not more than it has."""
    with pytest.raises(ValueError, match="1 to 60"):
        make(sheet, number, bytes(5000))


@EVERY
def test_too_few_random_octets_make_no_sheet(sheet: Sheet) -> None:
    """Codes are never made of less than they need."""
    with pytest.raises(ValueError, match="octets_wanted"):
        make(sheet, 10, bytes(octets_wanted(sheet, 10) - 1))


@EVERY
def test_the_most_codes_fit_into_a_moving_factor(sheet: Sheet) -> None:
    """With all of them used it is still a number that the database holds."""
    made = made_of(sheet, MOST_CODES)
    assert len(made.codes) == count(made.secret) == MOST_CODES
    assert (1 << MOST_CODES) - 1 < 2**63


@EVERY
def test_what_is_kept_holds_no_code(sheet: Sheet) -> None:
    """Salt and digests, as another reading of HMAC makes them; neither a code nor its beginning."""
    made = made_of(sheet)
    salt, kept = digests(made.secret)
    assert len(set(made.codes)) == len(kept) == 10
    for code, digest in zip(made.codes, kept, strict=True):
        assert digest == hmac.new(salt, code.encode(), "sha256").digest()[:16]
        assert code.encode()[:4] not in made.secret
        assert code not in repr(made)


@EVERY
def test_each_code_counts_once(sheet: Sheet) -> None:
    """Used is what has its bit, whichever others were used; the last is found like the first."""
    made, find = made_of(sheet), find_functions((sheet.kind,))[sheet.kind]
    for number, code in enumerate(made.codes):
        answer = read_typed(code.encode())
        assert isinstance(answer, TypedSpare)
        for mask, finding in ((0, Spare(number)), (0x3FF ^ 1 << number, Spare(number)), (1 << number, Used())):
            token = Token(id=1, serial="R", kind=sheet.kind, moving_factor=mask, secret=made.secret)
            assert find(token, answer, 0.0, Rules()) == finding


@EVERY
def test_a_code_of_another_kind_of_sheet_is_not_found(sheet: Sheet) -> None:
    """Not even one whose digest is the same: a recovery code opens no emergency sheet."""
    made = made_of(sheet)
    for other in SHEETS.values():
        if other is not sheet:
            token = Token(id=1, serial="R", kind=other.kind, moving_factor=0, secret=made.secret)
            find = find_functions((other.kind,))[other.kind]
            assert find(token, TypedSpare(sheet.kind, made.codes[0]), 0.0, Rules()) == NotFound()


@EVERY
def test_how_people_type_does_not_matter(sheet: Sheet) -> None:
    """As it is printed, without dashes, with blanks, in small letters, with an O or an l for what they look like."""
    for code in made_of(sheet).codes:
        spelled = sheet.spelled(code)
        assert len(spelled) == sheet.lengths[0]
        misread = code.replace("0", "o").replace("1", "l")
        for typed in (code, spelled, spelled.replace("-", " "), spelled.lower(), misread):
            assert read(typed.encode()) == (sheet, code)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"12345678",
        b"123456789",
        b"12345678901",
        b"ABCDEFGHJKMU",  # there is no U
        b"ABCDE-FGHIJ",
        b"1234567890123",
        b"ABCDEFGHJK12\n",
        b"ABCDEFGHJK1\0",
        "ABCDEFGHJK1\N{FULLWIDTH DIGIT TWO}".encode(),
        "ABCDEFGHJK\N{LATIN SMALL LETTER LONG S}2".encode(),
        b"-" * 12,
        b" " * 41 + b"1234567890",
    ],
)
def test_what_is_no_code_is_not_read_as_one(text: bytes) -> None:
    """Of another length, with other letters, or not in ASCII: no reading of it is a code."""
    assert read(text) is None


@given(st.binary(max_size=64) | st.text(max_size=50).map(str.encode))
@settings(deadline=None, max_examples=500)
def test_no_text_is_a_code_of_two_kinds(text: bytes) -> None:
    """Digits, OTP and sheets have shapes of their own."""
    kinds = [TypedCode.read(text) is not None, read(text) is not None, len(text) >= 32 and text.isalpha()]
    assert sum(kinds) <= 1
    assert (read_typed(text) is None) or sum(kinds) == 1


def test_every_shape_is_read_as_what_it_is() -> None:
    """A fob's digits, a key's OTP and each sheet's codes."""
    assert isinstance(read_typed(b"123456"), TypedCode)
    assert isinstance(read_typed(YubiKey(bytes(16), bytes(6), bytes(6)).press()), TypedOtp)
    for kind, sheet in SHEETS.items():
        typed = read_typed(made_of(sheet).codes[0].encode())
        assert isinstance(typed, TypedSpare)
        assert typed.kind == kind


def test_digits_are_spread_evenly() -> None:
    """Each digit comes about as often as any other, and so does each letter."""
    for sheet in SHEETS.values():
        text = "".join("".join(made_of(sheet, MOST_CODES, bytes((n,))).codes) for n in range(40))
        often = [text.count(symbol) for symbol in sorted(set(text))]
        assert len(often) == (32 if sheet.letters else 10)
        assert max(often) < 1.4 * min(often)
