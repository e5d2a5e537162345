"""Yubico OTPs: what a key types is taken once, in order, and nothing else is.

The OTPs come from a key of the tests' own, and from Yubico's library where it is installed. Yubico, "OTPs Explained".
"""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.core.answer import ChapAnswer, TypedCode, TypedOtp, read_typed
from radiusd2fa.core.finding import Finding, Matched, NotFound, Used
from radiusd2fa.core.model import Chap, Token
from radiusd2fa.core.rules import Rules
from radiusd2fa.factors.yubico import find, modhex_to_octets, octets_to_modhex

from .yubikey import MODHEX, YubiKey, crc, modhex

KEY: Final = YubiKey(bytes(range(16)), b"secret", bytes.fromhex("000102030405"))
TOKEN: Final = Token(id=1, serial="Y1", kind="yubico", moving_factor=7 << 8 | 3, secret=KEY.secret, digits=KEY.digits)
RULES: Final = Rules()


def judge(text: bytes, token: Token = TOKEN) -> Finding:
    """Hold what was typed against the token."""
    answer = read_typed(text)
    assert isinstance(answer, TypedOtp)
    return find(token, answer, 0.0, RULES)


def matched(session: int, use: int) -> Matched:
    """The finding that spends that use."""
    return Matched(at=session << 8 | use, to=session << 8 | use, drift=0)


@pytest.mark.parametrize(("session", "use"), [(7, 3), (7, 2), (7, 0), (6, 255), (1, 0), (0, 0), (0x8007, 3)])
def test_no_use_comes_twice(session: int, use: int) -> None:
    """The last use, and each before it, was used; the counter's sixteenth bit makes no new one."""
    assert judge(KEY.otp(session, use)) == Used()


@pytest.mark.parametrize(("session", "use"), [(7, 4), (8, 0), (9, 255), (0x7FFF, 255)])
def test_each_later_use_is_new(session: int, use: int) -> None:
    """Session first, then the use within it: however many were typed elsewhere."""
    assert judge(KEY.otp(session, use)) == matched(session, use)


def test_a_new_key_counts_from_its_first_use() -> None:
    """A key that has never typed anything begins with session 1."""
    assert judge(KEY.otp(1, 0), replace(TOKEN, moving_factor=0)) == matched(1, 0)


@given(st.integers(0, 127), st.integers(0, 0x7FFF), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_no_bit_of_an_otp_may_change(bit: int, session: int, use: int) -> None:
    """One bit of the encrypted block turned over is nobody's OTP."""
    typed = KEY.otp(session, use)
    octets = bytearray(modhex_to_octets(typed.decode()) or b"")
    octets[6 + bit // 8] ^= 1 << bit % 8
    assert judge(modhex(bytes(octets))) == NotFound()


@pytest.mark.parametrize("bit", range(48))
def test_the_name_in_front_belongs_to_the_otp(bit: int) -> None:
    """Under another public id the right block is nobody's."""
    octets = bytearray(modhex_to_octets(KEY.otp(8, 0).decode()) or b"")
    octets[bit // 8] ^= 1 << bit % 8
    assert judge(modhex(bytes(octets))) == NotFound()


def test_the_private_id_is_looked_at() -> None:
    """A block under the right key with a right checksum, but of another private id, is nobody's."""
    assert judge(replace(KEY, private=b"secreT").otp(8, 0)) == NotFound()


def test_the_checksum_is_looked_at() -> None:
    """A block with all ids right and a wrong checksum is nobody's."""
    block = KEY.private + bytes((8, 0, 0, 0, 0, 0, 1, 2))
    assert judge(KEY.encrypted(block + (crc(block) ^ 1).to_bytes(2, "little"))) == NotFound()
    assert judge(KEY.encrypted(block + crc(block).to_bytes(2, "little"))) == matched(8, 0)


@pytest.mark.parametrize("text", [b"123456", b"12345678"])
def test_a_code_of_digits_is_none(text: bytes) -> None:
    """Digits are no OTP, nor is a CHAP response that could be anything."""
    code = TypedCode.read(text)
    assert code is not None
    assert find(TOKEN, code, 0.0, RULES) == NotFound()
    assert find(TOKEN, ChapAnswer(Chap(1, bytes(16), b"c")), 0.0, RULES) == NotFound()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        KEY.otp(8, 0)[:-1],
        KEY.otp(8, 0) + b"\n",
        b" " + KEY.otp(8, 0),
        KEY.otp(8, 0).replace(b"c", "\N{CYRILLIC SMALL LETTER ES}".encode(), 1),
        b"c" * 30,
        b"c" * 66,
        b"a" * 44,
    ],
)
def test_what_is_no_otp_is_not_read_as_one(text: bytes) -> None:
    """A character too few or too many, a blank, a letter that only looks right."""
    assert read_typed(text) is None


def test_capital_letters_are_the_same_otp() -> None:
    """With the shift key held down it is the same OTP, and counts once all the same."""
    assert judge(KEY.otp(8, 0).upper()) == matched(8, 0)


def test_an_otp_of_another_length_is_another_keys() -> None:
    """A key without a public id and one with it do not answer for each other."""
    assert judge(KEY.otp(8, 0)[12:]) == NotFound()
    nameless = replace(TOKEN, secret=KEY.secret[:22], digits=32)
    assert judge(KEY.otp(8, 0), nameless) == NotFound()
    assert judge(KEY.otp(8, 0)[12:], nameless) == matched(8, 0)


@given(st.binary(max_size=32))
@settings(deadline=None)
def test_modhex_goes_there_and_back(octets: bytes) -> None:
    """Writing and reading are each other's inverse; the tests' own writer agrees."""
    assert octets_to_modhex(octets) == modhex(octets).decode()
    assert modhex_to_octets(octets_to_modhex(octets)) == octets


@pytest.mark.parametrize("text", ["c", "ca", "0", "cc ", "cc\n", "c\N{KELVIN SIGN}"])
def test_other_text_is_no_modhex(text: str) -> None:
    """An odd letter, or one that is not among the sixteen, is nothing."""
    assert modhex_to_octets(text) is None


def test_yubicos_own_library_types_what_we_read() -> None:
    """OTPs made by libyubikey, and its reading of ours, agree with the factor."""
    name = ctypes.util.find_library("yubikey")
    if name is None:
        pytest.skip("libyubikey0 is not installed")
    library = ctypes.CDLL(name)
    library.yubikey_crc16.restype = ctypes.c_uint16
    block = KEY.private + bytes((9, 0, 0x56, 0x34, 0x12, 4, 1, 2))
    block += (~library.yubikey_crc16(block, 14) & 0xFFFF).to_bytes(2, "little")
    text = ctypes.create_string_buffer(33)
    library.yubikey_generate(block, KEY.key, text)
    assert judge(modhex(KEY.public) + text.value) == matched(9, 4)
    read = ctypes.create_string_buffer(16)
    library.yubikey_parse(KEY.otp(10, 5)[12:], KEY.key, read)
    assert read.raw[:6] == KEY.private
    assert (read.raw[6], read.raw[11]) == (10, 5)
    assert library.yubikey_crc16(read.raw, 16) == 0xF0B8


def test_the_letters_are_the_makers() -> None:
    """The sixteen letters stand for 0 to f in the maker's order."""
    assert modhex_to_octets(MODHEX) == bytes.fromhex("0123456789abcdef")


def test_nothing_of_the_secret_shows() -> None:
    """Neither the token nor what was typed says its secret when it is printed."""
    assert "secret" not in repr(TOKEN)
    assert KEY.otp(8, 0).decode() not in repr(read_typed(KEY.otp(8, 0)))
