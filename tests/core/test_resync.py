"""Two codes in a row bring a token back: what the administrator's `token resync` believes.

Refusals first: not new, not in a row, not in order, not codes, not near. It only ever moves a token forward.
RFC 4226 7.4, RFC 6238 6.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.core.finding import Matched
from radiusd2fa.core.model import Token
from radiusd2fa.core.resync import resynchronise
from radiusd2fa.core.rules import Rules
from radiusd2fa.factors import find_functions
from tests.factors.reference import code_of, code_of_nobody

from .facts import NOW, SECRET

EXPECTED: Final = 500
STEP: Final = int(NOW // 30)
HOTP: Final = Token(id=1, serial="H", kind="hotp", moving_factor=EXPECTED, secret=SECRET, digits=8)
TOTP: Final = Token(id=2, serial="T", kind="totp", moving_factor=STEP - 15, secret=SECRET, digits=8)
FIND: Final = find_functions(("hotp", "totp"))


def resync(token: Token, first: int, second: int) -> Matched | None:
    """Give the codes of these two moving factors."""
    one, two = code_of(SECRET, first, token.digits), code_of(SECRET, second, token.digits)
    return resynchronise(token, one, two, NOW, Rules(), FIND[token.kind])


HOTP_REFUSED: Final = {
    "the same code twice": (520, 520),
    "one left out": (520, 522),
    "wrong order": (521, 520),
    "used": (EXPECTED - 2, EXPECTED - 1),
    "the first one used": (EXPECTED - 1, EXPECTED),
    "too far": (601, 602),
    "near and far": (500, 560),
    "one left out within the window": (501, 503),
    "wrong order within the window": (503, 502),
    "the first of the window after a later one": (505, 500),
}


@pytest.mark.parametrize("pair", HOTP_REFUSED.values(), ids=HOTP_REFUSED.keys())
def test_pairs_that_bring_no_button_back(pair: tuple[int, int]) -> None:
    """Only two new codes in a row within the window are believed."""
    assert resync(HOTP, *pair) is None


@pytest.mark.parametrize("first", [500, 509, 510, 511, 555, 599, 600])
def test_a_button_pressed_in_a_pocket_comes_back(first: int) -> None:
    """Anywhere in the window, its edges included, two codes in a row move the token just behind the second."""
    found = resync(HOTP, first, first + 1)
    assert found is not None
    assert found.to == first + 2


TOTP_REFUSED: Final = {
    "the same code twice": (STEP + 5, STEP + 5),
    "wrong order": (STEP + 5, STEP + 4),
    "one left out": (STEP + 5, STEP + 7),
    "used": (STEP - 16, STEP - 15),
    "the first one used": (STEP - 15, STEP - 14),
    "one left out within the window": (STEP - 1, STEP + 1),
    "wrong order within the window": (STEP + 1, STEP),
    "too far ahead": (STEP + 21, STEP + 22),
    "too far behind": (STEP - 22, STEP - 21),
}


@pytest.mark.parametrize("pair", TOTP_REFUSED.values(), ids=TOTP_REFUSED.keys())
def test_pairs_that_bring_no_clock_back(pair: tuple[int, int]) -> None:
    """Only two new steps in a row within the window are believed."""
    assert resync(TOTP, *pair) is None


@pytest.mark.parametrize("offset", [-14, -2, 0, 1, 2, 19, 20])
def test_a_clock_that_ran_away_comes_back(offset: int) -> None:
    """Two steps in a row set the drift to where the clock is."""
    found = resync(TOTP, STEP + offset, STEP + offset + 1)
    assert found is not None
    assert (found.to, found.drift) == (STEP + offset + 1, offset + 1)


NOT_CODES: Final = (b"", b"12345", b"123456789", b"12345x", b" 123456", b"123456\n", b"\xef\xbc\x91" * 6)


@pytest.mark.parametrize("text", NOT_CODES)
@pytest.mark.parametrize("second", [False, True])
def test_what_is_no_code_brings_nothing_back(text: bytes, second: bool) -> None:
    """Six to eight ASCII digits, both times."""
    good = code_of(SECRET, 520 + second, 8)
    pair = (good, text) if second else (text, good)
    assert resynchronise(HOTP, *pair, NOW, Rules(), FIND["hotp"]) is None


def test_wrong_codes_bring_nothing_back() -> None:
    """Codes of another seed are nothing, together and each beside a right one."""
    wrong = code_of_nobody(SECRET, range(300, 700), 8)
    right = code_of(SECRET, 520, 8), code_of(SECRET, 521, 8)
    for pair in ((wrong, wrong), (right[0], wrong), (wrong, right[1])):
        assert resynchronise(HOTP, *pair, NOW, Rules(), FIND["hotp"]) is None


def test_a_candidate_from_a_login_is_no_first_code() -> None:
    """What somebody typed at a login does not stand for the first of the two codes."""
    waiting = replace(HOTP, candidate=549, candidate_until=NOW + 300)
    assert resynchronise(waiting, code_of(SECRET, 550, 8), code_of(SECRET, 552, 8), NOW, Rules(), FIND["hotp"]) is None


@given(first=st.integers(0, 700), second=st.integers(0, 700))
@settings(deadline=None)
def test_never_backwards_and_only_in_a_row(first: int, second: int) -> None:
    """Whatever two counters the codes are of, a token moves forward, to behind the second of two in a row, or stays."""
    found = resync(HOTP, first, second)
    if EXPECTED <= first <= EXPECTED + 100 and second == first + 1:
        assert found is not None
    if found is not None:
        assert second == first + 1
        assert found.to == second + 1 > EXPECTED
