"""What may stand for a code: six to eight ASCII digits, or a CHAP hash of them, and nothing else.

Refusals first; a code must have one spelling only, or the same code could be given twice.
RFC 2865 5.2 (PAP) and 5.3 (CHAP).
"""

from __future__ import annotations

import hashlib
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.core.answer import ChapAnswer, TypedCode
from radiusd2fa.core.finding import Matched, NotFound
from radiusd2fa.core.model import Chap, Token
from radiusd2fa.core.rules import Rules
from radiusd2fa.factors import hotp, totp
from tests.core.facts import HOTP, NOW, SECRET

from .reference import code_of

CODE: Final = code_of(SECRET, HOTP.moving_factor)
"""The next code of HOTP."""

NOT_CODES: Final = {
    "nothing": b"",
    "five digits": CODE[:5],
    "nine digits": CODE + b"123",
    "space before": b" " + CODE,
    "space after": CODE + b" ",
    "space within": CODE[:3] + b" " + CODE[3:],
    "no-break space within": CODE[:3] + "\N{NO-BREAK SPACE}".encode() + CODE[3:],
    "newline after": CODE + b"\n",
    "carriage return after": CODE + b"\r",
    "tab before": b"\t" + CODE,
    "NUL after": CODE + b"\0",
    "NUL before": b"\0" + CODE,
    "plus": b"+" + CODE,
    "minus": b"-" + CODE,
    "underscore": CODE[:3] + b"_" + CODE[3:],
    "dash": CODE[:3] + b"-" + CODE[3:],
    "decimal point": CODE + b".",
    "hexadecimal": b"0x1234",
    "letters": b"abcdef",
    "full-width digits": "".join(chr(0xFF10 + octet - 48) for octet in CODE).encode(),
    "Arabic-Indic digits": "".join(chr(0x0660 + octet - 48) for octet in CODE).encode(),
    "superscript digits": "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[octet - 48] for octet in CODE).encode(),
    "mathematical digits": "".join(chr(0x1D7CE + octet - 48) for octet in CODE).encode(),
    "one full-width digit": CODE[:5] + chr(0xFF10 + CODE[5] - 48).encode(),
    "invalid UTF-8 between": CODE[:2] + b"\xff" + CODE[2:4] + b"\xfe" + CODE[4:],
    "UTF-16": CODE.decode().encode("utf-16-le"),
    "zero-width space": CODE + "\N{ZERO WIDTH SPACE}".encode(),
    "byte order mark": b"\xef\xbb\xbf" + CODE,
    "combining mark": CODE + "\N{COMBINING ENCLOSING KEYCAP}".encode(),
}


@pytest.mark.parametrize("octets", NOT_CODES.values(), ids=NOT_CODES.keys())
def test_what_is_no_code(octets: bytes) -> None:
    """Spaces, signs, NULs, newlines and the digits of other scripts around or in a right code make it no code."""
    assert TypedCode.read(octets) is None


@given(st.binary(max_size=12))
def test_no_octets_but_ascii_digits_are_ever_read(octets: bytes) -> None:
    """Whatever comes is a code only if it is six to eight of the octets 0x30 to 0x39."""
    expected = 6 <= len(octets) <= 8 and set(octets) <= set(b"0123456789")
    assert (TypedCode.read(octets) is not None) is expected


@given(
    spelled=st.lists(st.sampled_from([*NOT_CODES.values(), CODE, CODE[::-1]]) | st.binary(min_size=4, max_size=10)),
    noise=st.sampled_from([b"", b" ", b"\0", b"\n", b"0", "\N{FULLWIDTH DIGIT ONE}".encode()]),
)
@settings(deadline=None)
def test_two_accepted_spellings_of_one_code_are_equal(spelled: list[bytes], noise: bytes) -> None:
    """All octet strings that are accepted for one counter are the same octet string."""
    accepted: dict[int, set[bytes]] = {}
    for octets in {one for text in spelled for one in (text, text + noise, noise + text)}:
        answer = TypedCode.read(octets)
        found = NotFound() if answer is None else hotp.find(HOTP, answer, NOW, Rules())
        if isinstance(found, Matched):
            accepted.setdefault(found.at, set()).add(octets)
    assert all(len(spellings) == 1 for spellings in accepted.values())
    if CODE in spelled:
        assert accepted[HOTP.moving_factor] == {CODE}


@pytest.mark.parametrize("digits", [6, 7, 8])
def test_a_code_has_the_length_of_its_token(digits: int) -> None:
    """The last digits of a longer code, or a shorter code with a zero before it, are not this token's code."""
    for kind, find in (("hotp", hotp.find), ("totp", totp.find)):
        token = Token(id=1, serial="L", kind=kind, moving_factor=0, secret=SECRET, digits=digits)
        at = 0 if kind == "hotp" else int(NOW // 30)
        for length in {6, 7, 8} - {digits}:
            for text in (code_of(SECRET, at, length), code_of(SECRET, at, digits)[-length:].rjust(length, b"0")):
                answer = TypedCode.read(text)
                assert answer is not None
                assert find(token, answer, NOW, Rules()) == NotFound()


def chap(code: bytes, identifier: int = 9, challenge: bytes = b"c" * 16) -> Chap:
    """Answer a CHAP challenge as RFC 2865 5.3 says."""
    response = hashlib.md5(bytes([identifier]) + code + challenge, usedforsecurity=False).digest()
    return Chap(identifier, response, challenge)


CHAP_FAULTS: Final = {
    "identifier": Chap(8, chap(CODE).response, chap(CODE).challenge),
    "challenge": Chap(9, chap(CODE).response, b"d" * 16),
    "response": Chap(9, chap(CODE).response[:-1] + bytes([chap(CODE).response[-1] ^ 1]), chap(CODE).challenge),
    "short response": Chap(9, chap(CODE).response[:15], chap(CODE).challenge),
    "empty response": Chap(9, b"", chap(CODE).challenge),
    "the code in clear": Chap(9, CODE, chap(CODE).challenge),
}


@pytest.mark.parametrize("wrong", CHAP_FAULTS.values(), ids=CHAP_FAULTS.keys())
def test_a_chap_answer_that_is_changed_anywhere_is_wrong(wrong: Chap) -> None:
    """Another identifier, challenge or response proves nothing."""
    assert hotp.find(HOTP, ChapAnswer(wrong), NOW, Rules()) == NotFound()


@pytest.mark.parametrize("ahead", [0, 10])
@pytest.mark.parametrize("length", [1, 5, 16, 253])
def test_a_chap_answer_proves_a_code_of_the_window(ahead: int, length: int) -> None:
    """Each code of the window is tried, whatever the length of the challenge."""
    answer = ChapAnswer(chap(code_of(SECRET, HOTP.moving_factor + ahead), 200, b"x" * length))
    at = HOTP.moving_factor + ahead
    assert hotp.find(HOTP, answer, NOW, Rules()) == Matched(at=at, to=at + 1, drift=0)


def test_a_chap_answer_to_a_clock() -> None:
    """A TOTP code can be proved by CHAP too."""
    token = Token(id=2, serial="T", kind="totp", moving_factor=0, secret=SECRET, digits=8)
    step = int(NOW // 30)
    answer = ChapAnswer(chap(code_of(SECRET, step, 8)))
    assert totp.find(token, answer, NOW, Rules()) == Matched(at=step, to=step, drift=0)


def test_neither_kind_of_answer_shows_its_code() -> None:
    """What was typed is not in the repr."""
    assert CODE.decode() not in repr(TypedCode.read(CODE))
    proof = chap(CODE)
    assert repr(proof.response) not in repr(ChapAnswer(proof))
    assert repr(proof.challenge) not in repr(ChapAnswer(proof))
