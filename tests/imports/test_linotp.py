"""The table Token of LinOTP's database: as mysql prints it and as JSON, with seeds sealed as LinOTP 2 and 3 seal them.

The sealing here is written from LinOTP's description of it, apart from the code that opens. RFC 4226 7.2, RFC 6238 5.2.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from radiusd2fa.imports import linotp
from radiusd2fa.imports.seeds import LeftOut, LockedError, Seed, UnreadableError

from .tables import HERE, HOW, entries, flaw, left_out, refusal, seed, seeds

Row = dict[str, object]
Info = Mapping[str, object]
ENC_KEY: Final = hashlib.shake_128(b"made up for the tests").digest(96)
"""A key file: three keys of 32 octets."""
WITH_KEY: Final = replace(HOW, key=ENC_KEY)
VECTOR: Final = hashlib.shake_128(b"a vector").digest(16)


def sealed(octets: bytes, version: int = 3, key: bytes = ENC_KEY) -> str:
    """Encrypt as LinOTP does: the hex of the seed, and behind it 01 02 and zeros (2), or PKCS #7 (3)."""
    text = octets.hex().encode()
    if version == 2:
        text += b"\x01\x02"
        text += b"\0" * (-len(text) % 16)
    else:
        padder = PKCS7(128).padder()
        text = padder.update(text) + padder.finalize()
    encryptor = Cipher(AES(key[:32]), CBC(VECTOR)).encryptor()
    return (encryptor.update(text) + encryptor.finalize()).hex()


def row(number: int = 1, info: Info | None = None, **changes: object) -> Row:
    """A row of the table, with some columns changed; None takes a column out."""
    columns: Row = {
        "LinOtpTokenId": number,
        "LinOtpTokenDesc": "",
        "LinOtpTokenSerialnumber": f"LSGO{number:08}",
        "LinOtpTokenType": "HMAC",
        "LinOtpTokenInfo": "" if info is None else json.dumps(info, indent=0),
        "LinOtpUserid": "ab12-ef",
        "LinOtpOtpLen": 6,
        "LinOtpPinHash": "",
        "LinOtpKeyEnc": sealed(seed(number)),
        "LinOtpKeyIV": VECTOR.hex(),
        "LinOtpIsactive": 1,
        "LinOtpFailCount": 0,
        "LinOtpCount": 0,
    } | changes
    return {name: value for name, value in columns.items() if value is not None}


def as_json(*rows: Row) -> str:
    """As sqlite3 and PostgreSQL print JSON."""
    return json.dumps(rows, indent=1)


def as_batch(*rows: Row) -> str:
    """As ``mysql --batch`` prints a table: tabs between, and backslashes before what a line cannot hold."""

    def field(value: object) -> str:
        text = "NULL" if value == "" else str(value)
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")

    lines = ["\t".join(rows[0]), *("\t".join(map(field, each.values())) for each in rows)]
    return "".join(f"{line}\n" for line in lines)


both = pytest.mark.parametrize("written", [as_json, as_batch])


# --- refused ---------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"LinOtpTokenSerialnumber": ""}, "serial is missing"),
        ({"LinOtpOtpLen": 9}, "9 digits"),
        ({"LinOtpOtpLen": "x"}, "is no number"),
        ({"LinOtpCount": -1}, "is no number"),
        ({"LinOtpCount": ""}, "is no number"),
        ({"LinOtpIsactive": ""}, "neither 1 nor 0"),
        ({"LinOtpIsactive": 2}, "neither 1 nor 0"),
        ({"LinOtpTokenInfo": "{"}, "no JSON"),
        ({"LinOtpTokenInfo": "[" * 5000}, "no JSON"),
        ({"LinOtpKeyEnc": "00"}, "does not open"),
        ({"LinOtpKeyEnc": ""}, "does not open"),
        ({"LinOtpKeyIV": "00"}, "does not open"),
        ({"info": {"hashlib": "md5"}}, "algorithm"),
        ({"info": {"validity_period_end": "2027-01-01"}}, "no date"),
        ({"info": {"validity_period_start": "32/01/27 00:00"}}, "no date"),
        ({"LinOtpTokenType": "TOTP", "info": {"timeStep": "x"}}, "is no number"),
        ({"LinOtpTokenType": "TOTP", "info": {"timeStep": "0"}}, "is no number"),
        ({"LinOtpTokenType": "TOTP", "info": {"timeShift": "999999"}}, "more than a day"),
        ({"LinOtpTokenType": "TOTP", "LinOtpCount": 2**40}, "days to come"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why(
    written: Callable[..., str], changes: dict[str, object], problem: str
) -> None:
    """A column that is wrong is a flaw of its row."""
    assert problem in flaw(linotp, written(row(9), row(**changes)), WITH_KEY).problem  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"LinOtpIsactive": 0}, "disabled"),
        ({"LinOtpIsactive": False}, "disabled"),
        ({"info": {"count_auth_max": "3"}}, "number of logins"),
        ({"info": {"count_auth_success_max": 3}}, "number of logins"),
        ({"LinOtpTokenType": "sms"}, "no HOTP"),
        ({"LinOtpTokenType": "push"}, "no HOTP"),
        ({"LinOtpTokenType": "yubikey", "LinOtpOtpLen": 44}, "programming log"),
    ],
)
def test_a_token_that_opens_nothing_there_does_not_come_back(changes: dict[str, object], why: str) -> None:
    """Disabled and used-up tokens are left out, and so are those of other kinds."""
    assert why in left_out(linotp, as_json(row(9), row(**changes)), WITH_KEY).why  # type: ignore[arg-type]


@both
def test_seeds_open_with_no_other_key(written: Callable[..., str]) -> None:
    """Without a key, with a short one and with that of another database the file is refused."""
    locked = refusal(linotp, written(row()))
    assert isinstance(locked, LockedError)
    assert "encKey" in locked.remedy
    for key in (b"", b"x" * 31, b"x" * 32, ENC_KEY[32:]):
        with pytest.raises(UnreadableError, match="key"):
            entries(linotp, written(row()), replace(HOW, key=key))


@pytest.mark.parametrize(
    "text",
    [
        as_batch(row(LinOtpKeyEnc=None)),
        as_batch(row(LinOtpCount=None)),
        as_batch(row())[:-1],
        as_batch(row())[:-5],
        as_batch(row()).replace("\t", ","),
        as_batch(row()).replace("LinOtpFailCount", "LinOtpCount"),
        '{"version": "LinOTP 2.11", "result": {"value": {"data": [{"LinOtp.TokenSerialnumber": "X"}]}}}',
        as_json(row())[:-9],
        as_json(row()).encode("utf-16"),
    ],
)
def test_a_table_that_lacks_something_is_refused(text: str | bytes) -> None:
    """Missing or doubled columns, a cut end, and the interface's own list, which has no seeds."""
    refusal(linotp, text, WITH_KEY)


# --- what was used stays used ----------------------------------------------------------------------------------------


@both
def test_counters_come_along(written: Callable[..., str]) -> None:
    """HOTP's counter is the next one; what lies ahead in TOTP counts; drift is seconds by step."""
    found = seeds(
        linotp,
        written(
            row(1, LinOtpCount=12),
            row(2, LinOtpTokenType="totp", LinOtpCount=HERE - 9),
            row(3, LinOtpTokenType="TOTP", LinOtpCount=HERE + 9),
            row(
                4,
                LinOtpTokenType="totp",
                LinOtpOtpLen=8,
                info={"timeStep": "60", "timeShift": -61.0, "hashlib": "sha512"},
            ),
            row(5, LinOtpTokenType="totp", info={"timeShift": "90"}),
        ),
        WITH_KEY,
    )
    assert [(each.kind, each.moving_factor, each.drift) for each in found] == [
        ("hotp", 12, 0),
        ("totp", HERE + 2, 0),
        ("totp", HERE + 9, 0),
        ("totp", HERE // 2 + 2, -2),
        ("totp", HERE + 5, 3),
    ]
    assert (found[3].digits, found[3].step, found[3].algorithm) == (8, 60, "sha512")


def test_one_seed_comes_in_once() -> None:
    """Two rows of one seed are one token."""
    rows = as_batch(row(1), row(2, LinOtpKeyEnc=sealed(seed(1), version=2)))
    assert [type(entry) for entry in entries(linotp, rows, WITH_KEY)] == [Seed, LeftOut]


# --- taken -----------------------------------------------------------------------------------------------------------


@both
def test_seeds_sealed_by_either_version_open(written: Callable[..., str]) -> None:
    """With the key file of 96 octets, or the first 32 of them."""
    lengths = ((1, 20, 2), (2, 20, 3), (3, 16, 2), (4, 16, 3), (5, 32, 2), (6, 32, 3), (7, 64, 3))
    rows = [row(n, LinOtpKeyEnc=sealed(seed(n, octets), version)) for n, octets, version in lengths]
    for key in (ENC_KEY, ENC_KEY[:32]):
        found = seeds(linotp, written(*rows), replace(HOW, key=key))
        assert [each.secret for each in found] == [seed(n, octets) for n, octets, _ in lengths]


def test_names_come_only_where_they_are_written() -> None:
    """The table has an id of the directory; a column User.username that was added is a name."""
    (one,) = seeds(linotp, as_json(row()), WITH_KEY)
    assert one.user is None
    (two,) = seeds(linotp, as_batch(row() | {"User.username": "alice"}), WITH_KEY)
    assert two.user == "alice"
    (three,) = seeds(linotp, as_batch(row() | {"User.username": "/:no user info:/"}), WITH_KEY)
    assert three.user is None


def test_validity_ends_no_later_than_it_did() -> None:
    """LinOTP writes local time without its zone: it is read as the earliest that it can be."""
    info = {"validity_period_start": "01/01/26 00:00", "validity_period_end": "01/01/27 14:00"}
    (found,) = seeds(linotp, as_json(row(info=info)), WITH_KEY)
    assert (found.valid_from, found.valid_until) == (1767225600.0 - 14 * 3600, 1798761600.0)


def test_a_used_yubikey_goes_on_behind_its_last_use() -> None:
    """Both ids known, it comes as a Yubico OTP."""
    info = {"yubikey.tokenid": "0123456789ab", "public_uid": "cccccccbcjdi"}
    key = sealed(seed(1, 16))
    (found,) = seeds(
        linotp,
        as_json(row(info=info, LinOtpTokenType="yubikey", LinOtpOtpLen=44, LinOtpKeyEnc=key, LinOtpCount=0x0201)),
        WITH_KEY,
    )
    assert (found.kind, found.digits, found.moving_factor) == ("yubico", 44, 0x0200)
    assert found.secret == seed(1, 16) + bytes.fromhex("0123456789ab000000010827")


def test_the_sample_is_recognised_and_read() -> None:
    """The table in hardware/samples opens with the key file beside it."""
    sample = Path("hardware/samples/linotp.tsv").read_bytes()
    key = Path("hardware/samples/linotp.encKey").read_bytes()
    assert linotp.sniff(sample[:4096])
    assert [type(entry) for entry in entries(linotp, sample, replace(HOW, key=key))] == [Seed, Seed, LeftOut]
    assert not linotp.sniff(b"serial\tsecret\n")
