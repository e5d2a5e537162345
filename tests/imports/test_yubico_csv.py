"""Logs of YubiKey programming: which lines make a token, which are left out, which are damaged.

The lines are made as the Personalization Tool and ykksm-gen-keys make them; a software key judges what was read. It
answers to no RFC; the columns are Yubico's.
"""

from __future__ import annotations

import pytest

from radiusd2fa.core.answer import TypedOtp
from radiusd2fa.core.finding import Matched
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules
from radiusd2fa.factors.yubico import find
from radiusd2fa.imports import yubico_csv
from radiusd2fa.imports.seeds import Entry, Seed
from tests.factors.yubikey import YubiKey, modhex

from .tables import NOW, entries, flaw, in_hex, left_out, refusal, seed, seeds

PUBLIC = bytes.fromhex("00001a2b3c01")
ID = modhex(PUBLIC).decode()
FLAGS = "0,0,0,0,0,0,0,0,0,0"


def traditional(
    *, event: str = "Yubico OTP", time: str = "14.03.26 09:12", public: str = ID, private: str = "", key: str = ""
) -> str:
    """Write one line of the traditional log."""
    return f"{event},{time},1,{public},{private or in_hex(2, 6)},{key or in_hex(1, 16)},,,{FLAGS}\n"


def short(*, serial: str = "9310501", public: str = ID, middle: str | None = None, key: str = "") -> str:
    """Write one line of the Yubico format."""
    middle = in_hex(2, 6) if middle is None else middle
    return f"{serial},{public},{middle},{key or in_hex(1, 16)},,2026-03-14T09:20:11,\n"


def hotp(*, serial: str = "9310503", middle: str = "0", octets: int = 20) -> str:
    """Write a HOTP key in the Yubico format."""
    return short(serial=serial, public="", middle=middle, key=in_hex(3, octets))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (traditional(key=in_hex(1, 15)), "AES key"),
        (traditional(key=in_hex(1, 20)), "AES key"),
        (traditional(key="1.23E+31"), "AES key"),
        (traditional(private=in_hex(2, 5)), "private id"),
        (traditional(private="zz" * 6), "private id"),
        (traditional(public="abcdef"), "modhex"),
        (traditional(public="ccc"), "modhex"),
        (short(public="cc" * 17), "public id of at most 16"),
        (traditional(public=""), "neither a serial nor a public id"),
        (traditional().replace(",0,0,0,0,0,0,0", ""), "cut off"),
        (traditional(event="OATH-HOTP", public="", key=in_hex(3)), "without a serial"),
        (short(key=in_hex(1, 15)), "AES key"),
        (short(public="cbx"), "modhex"),
        (short(middle="2.3E+11"), "private id"),
        (short(middle="23456789012"), "private id"),
        (short(middle="0", key=in_hex(1, 16)), "HOTP key is not 20 octets"),
        (hotp(octets=19), "HOTP key is not 20 octets"),
        (short(serial="Yubico"), "begins with no serial"),
        (short(serial="1.2E+06"), "begins with no serial"),
        ("9310501,cc,12\n", "cut off"),
        (short().strip() + "1,2,3\n", "cut off"),
        ('"9310501\n', "quotation mark"),
    ],
)
def test_a_line_that_is_damaged_is_named(line: str, words: str) -> None:
    """The second line of three is wrong, and the others are read."""
    text = short(serial="1") + line + short(serial="3")
    found = flaw(yubico_csv, text)
    assert found.line == 2
    assert words in found.problem
    assert len(entries(yubico_csv, text)) == 3


@pytest.mark.parametrize(
    "line",
    [
        traditional(event="Static Password"),
        traditional(event="Static Password: Scan Code"),
        traditional(event="Challenge-Response: HMAC-SHA1", public="", key=in_hex(3)),
        traditional(event="Configuration Update"),
        traditional(event="OATH-HOTP", public="ubhe00123456", key=in_hex(3)),
        short(public="", middle=""),
        short(public="ubhe00123456", middle="0", key=in_hex(3)),
    ],
)
def test_what_makes_no_code_that_can_be_checked_is_left_out(line: str) -> None:
    """Static passwords, challenge-response, changes of settings, and HOTP keys that type more than a code."""
    assert left_out(yubico_csv, line).why


def test_a_file_that_is_cut_in_its_last_line_is_refused() -> None:
    """Wherever the last line ends without its line end, up to the time of programming, it is no token."""
    whole = short(serial="1") + short(serial="2")
    assert len(seeds(yubico_csv, whole.rstrip("\n"))) == 2
    for cut in range(whole.rindex("\n2,") + 2, whole.rindex(",,2026") + 1):
        found = entries(yubico_csv, whole[:cut])
        assert not isinstance(found[-1], Seed), whole[:cut]


def test_a_file_of_something_else_is_refused() -> None:
    """An archive is named as what it is."""
    assert "zip" in refusal(yubico_csv, b"PK\x03\x04").problem


@pytest.mark.parametrize("text", [traditional(), short(), short(serial="7", public=ID.upper())])
def test_what_the_key_types_is_found(text: str) -> None:
    """A key programmed as the line says types OTPs that the token of that line accepts."""
    read = one(entries(yubico_csv, text))
    key = YubiKey(key=seed(1, 16), private=seed(2, 6), public=PUBLIC)
    token = Token(1, read.serial, read.kind, read.moving_factor, read.secret, read.digits)
    assert isinstance(find(token, TypedOtp(key.press()), NOW, Rules()), Matched)
    assert (read.kind, read.digits, len(read.secret)) == ("yubico", 44, 28)


def test_the_serial_is_the_keys_own_or_its_public_id() -> None:
    """The traditional log has no serials; the Yubico format has, and a public id may be missing in it."""
    assert one(entries(yubico_csv, traditional(public=ID.upper()))).serial == ID
    assert one(entries(yubico_csv, short())).serial == "9310501"
    bare = one(entries(yubico_csv, short(public="")))
    assert (bare.serial, bare.digits, len(bare.secret)) == ("9310501", 32, 22)


def test_a_time_with_a_comma_moves_nothing() -> None:
    """Some countries write one between date and time; the fields are counted from the end."""
    token = one(entries(yubico_csv, traditional(time="3/14/26, 9:12 AM")))
    assert token.secret == seed(1, 16) + seed(2, 6) + PUBLIC


def test_a_hotp_key_begins_at_its_moving_factor() -> None:
    """The log says where the key's counter was set."""
    token = one(entries(yubico_csv, hotp(middle="1048560")))
    assert (token.kind, token.secret, token.moving_factor, token.digits) == ("hotp", seed(3), 1048560, 6)


def test_the_beginning_of_a_session_is_no_entry() -> None:
    """The tool writes a line each time it is started, and a list for a KSM begins with remarks."""
    text = "LOGGING START,14.03.26 09:12\n" + traditional() + "LOGGING START,15.03.26 09:12\n# ykksm 1\n"
    assert [token.line for token in seeds(yubico_csv, text)] == [2]


@pytest.mark.parametrize(
    "head",
    [
        "",
        "serial,secret\n",
        f"9310501,{in_hex(1)},hotp,6,30\n",
        f"A1,{ID},{in_hex(2, 6)},{in_hex(1, 16)},,\n",
        f"9310501,hello,{in_hex(2, 6)},{in_hex(1, 16)},,\n",
        f"9310501,{ID},{in_hex(2, 7)},{in_hex(1, 16)},,\n",
        f"9310501,{ID},{in_hex(2, 6)},no key,,\n",
    ],
)
def test_what_is_something_else_is_not_recognised(head: str) -> None:
    """A header, an OATH CSV, a first field that is no number, ids that are none."""
    assert not yubico_csv.sniff(head.encode())


def one(found: list[Entry]) -> Seed:
    """Return the only entry."""
    (entry,) = found
    assert isinstance(entry, Seed), entry
    return entry
