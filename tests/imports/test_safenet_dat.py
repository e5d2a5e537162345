"""SafeNet's .dat: records of SafeWord, whole, cut, folded, encrypted, and clock fobs that count from another year.

The files are made up in the form of SafeNet's own. RFC 2849 folds the lines.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from radiusd2fa.imports import safenet_dat
from radiusd2fa.imports.seeds import LeftOut, Seed, UnreadableError

from .tables import entries, flaw, in_hex, left_out, refusal, seed, seeds

BANNER = "# ===== SafeWord Authenticator Records $Version: 100$ =====\n"


def record(serial: str = "ET1", data: str = "", kind: str = "eToken-PASS-ES") -> str:
    """Write one record, seven lines long."""
    return (
        f"dn: sccAuthenticatorId={serial}\nobjectclass: sccCompatibleToken\nsccAuthenticatorId: {serial}\n"
        f"sccTokenType: {kind}\nsccTokenData: {data or press()}\nsccSignature: MC0CFGxPAjrb\n\n"
    )


def press(secret: str = "", more: str = "sccVer=6.20;") -> str:
    """Write the data of a fob with a button."""
    return f"sccKey={secret or in_hex(1).upper()};sccMode=E;sccPwLen=6;{more}"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (f"sccKey={in_hex(1)};sccPwLen=6;", "no sccMode"),
        (f"sccKey={in_hex(1)};sccMode=E;", "no sccPwLen"),
        (f"sccKey={in_hex(1)};sccMode=T;sccPwLen=6;", "no sccTick"),
        (f"sccKey=(aes:{in_hex(1)});sccMode=E;sccPwLen=6;", "encrypted"),
        ("sccMode=E;sccPwLen=6;", "no secret"),
        (press(in_hex(1, 7)), "7 octets"),
        (press("xyz"), "neither hex"),
        (f"sccKey={in_hex(1)};sccMode=E;sccPwLen=nine;", "digits"),
        (f"sccKey={in_hex(1)};sccMode=E;sccPwLen=10;", "10 digits"),
        (press(more="crypto=HmacMD5;"), "algorithm"),
        (f"sccKey={in_hex(1)};sccMode=T;sccPwLen=6;sccTick=600;", "600 seconds"),
    ],
)
def test_a_record_that_is_wrong_is_named_by_its_line(data: str, words: str) -> None:
    """The second of three is wrong, and the others are read."""
    text = BANNER + record("ET1") + record("ET2", data) + record("ET3")
    found = flaw(safenet_dat, text)
    assert found.line == 9
    assert words in found.problem
    assert len(entries(safenet_dat, text)) == 3


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "no record"),
        (BANNER, 0, "no record"),
        (record() + "hello\n", 8, "no name with a value"),
        ("sccAuthenticatorId:: RVQx\n", 1, "base64"),
        ("sccAuthenticatorId: ET1\n" + "".join(f"a{number}: x\n" for number in range(200)), 101, "too many lines"),
        ("sccTokenData: x\n" + (" " + "y" * 8000 + "\n") * 3, 3, "too long"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, line: int, words: str) -> None:
    """Nothing in it, lines that are none, values in base64, and records out of all bounds."""
    error = refusal(safenet_dat, text)
    assert error.line == line
    assert words in error.problem


def test_a_file_that_is_cut_in_its_last_record_is_refused() -> None:
    """Wherever the last record ends without a line end before its signature, it is no token."""
    whole = record("ET1") + record("ET2", f"sccKey={in_hex(1)};sccMode=T;sccPwLen=6;sccVer=6.20;sccTick=30;")
    for cut in range(whole.rindex("sccAuthenticatorId:") + 20, whole.rindex("\nsccSignature") + 1):
        try:
            last = entries(safenet_dat, whole[:cut])[-1]
        except UnreadableError:
            continue
        assert not isinstance(last, Seed), whole[:cut]


def test_a_clock_fob_that_counts_from_2000_is_left_out() -> None:
    """Its codes are of other steps than those that RFC 6238 counts from 1970; the report says so."""
    data = f"sccKey={in_hex(1)};sccMode=T;sccPwLen=6;sccTick=30;sccPrTime=2026/03/12 00:00:00;"
    assert "2000" in left_out(safenet_dat, record(data=data)).why


def test_what_is_no_token_is_left_out() -> None:
    """Other modes, and records of other things."""
    assert "presses" in left_out(safenet_dat, record(data=f"sccKey={in_hex(1)};sccMode=S;sccPwLen=6;")).why
    damaged = record(serial=in_hex(2), data=f"sccKey={in_hex(1)};sccMode=S;sccPwLen=6;")
    assert left_out(safenet_dat, damaged).what == "the token"
    people = "dn: uid=x\nobjectclass: sccUser\nsccUserId: alice\n\n"
    assert [type(entry) for entry in entries(safenet_dat, people + record())] == [LeftOut, Seed]


def test_a_token_is_what_its_record_says() -> None:
    """Key, mode, digits, tick, hash and type; lines may be folded and end as Windows ends them."""
    text = BANNER + record("ET1") + record("ET2", press(in_hex(2, 32), "crypto=HmacSHA256;"))
    text += record("ET3", f"sccKey={in_hex(3)};sccMode=T;sccPwLen=8;sccTick=60;", "eToken-PASS-TS")
    first, second, third = seeds(safenet_dat, text)
    assert (first.line, first.serial, first.kind, first.secret, first.digits) == (2, "ET1", "hotp", seed(1), 6)
    assert (first.algorithm, second.algorithm, first.model) == ("sha1", "sha256", "eToken-PASS-ES")
    assert (third.kind, third.digits, third.step, third.model) == ("totp", 8, 60, "eToken-PASS-TS")
    assert seeds(safenet_dat, text.replace("\n", "\r\n")) == [first, second, third]
    folded = seeds(safenet_dat, text.replace(";sccMode", ";scc\n Mode"))
    assert [replace(token, line=0) for token in folded] == [replace(token, line=0) for token in (first, second, third)]
    assert [token.line for token in folded] == [2, 10, 18]


@pytest.mark.parametrize("head", ["", "# remark\n", "serial,secret\n", "dn: uid=x\n", BANNER[2:]])
def test_what_is_something_else_is_not_recognised(head: str) -> None:
    """Other LDIF, other lists."""
    assert not safenet_dat.sniff(head.encode())


@pytest.mark.parametrize("head", [BANNER, record(), "\n# x\nSccAuthenticatorId: ET1\n", "objectclass: sccUser\n"])
def test_it_is_recognised_by_its_banner_or_its_first_record(head: str) -> None:
    """With the banner or without."""
    assert safenet_dat.sniff(head.encode())
