"""FreeRADIUS users files: entries of every form, what is commented out, and who is turned away.

What is spent is RFC 6238 5.2; the form is users(5).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from radiusd2fa.imports import freeradius_totp
from radiusd2fa.imports.seeds import LeftOut, Seed

from .tables import HERE, HOW, entries, flaw, in_base32, in_hex, left_out, refusal, seed, seeds

SECRET = in_base32(1)


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('alice TOTP-Secret := "not base32!"\n', "cannot be read"),
        ('alice TOTP-Secret := ""\n', "cannot be read"),
        (f'alice TOTP-Secret := "{SECRET[:10]}"\n', "octets"),
        ("alice TOTP-Key := 0x1234x\n", "cannot be read"),
        (f'alice TOTP-Secret == "{SECRET}"\n', "compared"),
        (f'alice TOTP-Secret := "{SECRET}", TOTP-Secret := "{SECRET}"\n', "twice"),
        (f'alice TOTP-Secret := "{SECRET}\n', "no list of attributes"),
        (f'alice TOTP-Secret "{SECRET}"\n', "no list of attributes"),
        (f'alice TOTP-Secret := "{SECRET}"Auth-Type := Accept\n', "no list of attributes"),
        (f'"alice TOTP-Secret := {SECRET}\n', "no user name"),
        (f'alice TOTP-Secret := "{SECRET}"', "no end"),
        (f'alice TOTP-Secret := "{SECRET}"\n\tReply-Message := "x"', "no end"),
        (f'alice TOTP-Secret := "{SECRET}", TOTP-Time-Offset := soon\n', "is no number"),
        (f'alice TOTP-Secret := "{SECRET}", TOTP-Time-Offset := 999999\n', "more than a day"),
        (f'alice TOTP-Secret := "{SECRET}", Expiration := "next week"\n', "is no date"),
        (f'al\u200bice TOTP-Secret := "{SECRET}"\n', "can be nobody's"),
    ],
)
def test_an_entry_that_cannot_be_taken_says_why(text: str, problem: str) -> None:
    """A seed that is none, an attribute that is compared or said twice, and a missing end are flaws."""
    assert problem in flaw(freeradius_totp, text).problem


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'DEFAULT TOTP-Secret := "{SECRET}"\n', "nobody's token"),
        (f'alice TOTP-Secret := "{SECRET}", Auth-Type := Reject\n', "turns this user away"),
        (f'alice Auth-Type := Reject\n\nalice TOTP-Secret := "{SECRET}"\n', "turns this user away"),
        ("$INCLUDE more_users\n", "by itself"),
    ],
)
def test_what_is_nobodys_or_turned_away_is_left_out(text: str, why: str) -> None:
    """DEFAULT's seed, users who are rejected, and files elsewhere."""
    assert why in left_out(freeradius_totp, text).why


def test_a_line_that_is_commented_out_never_counts() -> None:
    """A number sign at the beginning, before the attribute, or behind the last one."""
    text = f'#alice TOTP-Secret := "{SECRET}"\n  # bob TOTP-Secret := "{SECRET}"\n'
    text += f'carol Cleartext-Password := "x" # TOTP-Secret := "{SECRET}"\n'
    assert entries(freeradius_totp, text) == []
    assert not freeradius_totp.sniff(text.encode())


def test_what_is_no_text_is_refused() -> None:
    """UTF-16, archives and NUL are refused as a whole."""
    text = f'alice TOTP-Secret := "{SECRET}"\n'
    for octets in (text.encode("utf-16"), b"PK\x03\x04" + text.encode(), text.encode() + b"\0\n"):
        refusal(freeradius_totp, octets)


# --- taken, with all that may be used spent --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f'alice TOTP-Secret := "{SECRET}"\n',
        f"alice\tTOTP-Secret := {SECRET}\r\n",
        f"alice TOTP-Secret:='{SECRET}' # a remark\n",
        f'alice totp-secret = "{SECRET.lower()}"\n',
        f'"alice"  &control:TOTP-Secret := "{SECRET}"\n',
        f'alice control.TOTP.Secret := "{SECRET}"\n',
        f'alice Cleartext-Password := "a, \\"b\\" # c", TOTP-Secret := "{SECRET}", NAS-IP-Address == 192.0.2.1\n',
        f'alice Cleartext-Password := "x"\n\t&control.TOTP.Secret := "{SECRET}",\n\tReply-Message := "hello, you"\n',
        f'alice Tunnel-Type:0 == VLAN, TOTP-Secret := "{SECRET}"\n',
        f'bob Auth-Type := Reject\nalice Auth-Type := totp, TOTP-Secret := "{SECRET}"\n',
        f"alice TOTP-Key := 0x{in_hex(1)}\n",
        f'alice TOTP-Key := "0X{in_hex(1).upper()}", TOTP-Secret := "{in_base32(2)}"\n',
        f'\ufeffalice TOTP-Secret := "{SECRET}"\n',
    ],
)
def test_an_entry_is_read_however_it_is_written(text: str) -> None:
    """Quotes, remarks, several attributes, indented lines, other spellings of the name; the key comes first."""
    (found,) = seeds(freeradius_totp, text)
    assert (found.user, found.serial, found.kind, found.secret) == ("alice", "alice-totp", "totp", seed(1))
    assert (found.moving_factor, found.digits, found.step, found.algorithm) == (HERE + 2, 6, 30, "sha1")


def test_a_key_without_a_prefix_is_the_octets_themselves() -> None:
    """As FreeRADIUS takes a text for octets."""
    (found,) = seeds(freeradius_totp, 'alice TOTP-Key := "12345678901234567890"\n')
    assert found.secret == b"12345678901234567890"


def test_the_modules_settings_are_said_beside_the_file() -> None:
    """Step and digits are rlm_totp's own; the offset of a clock is the entry's, in seconds."""
    text = f'alice TOTP-Secret := "{SECRET}", TOTP-Time-Offset := 100, Expiration := "31 Dec 2027"\n'
    (found,) = seeds(freeradius_totp, text, replace(HOW, step=60, digits=8))
    assert (found.step, found.digits, found.drift, found.moving_factor) == (60, 8, 2, HERE // 2 + 4)
    assert found.valid_until == 1830211200.0
    (again,) = seeds(freeradius_totp, text.replace("31 Dec 2027", "Dec 31, 2027 12:00:00"))
    assert again.valid_until == 1830211200.0


def test_one_seed_comes_in_once() -> None:
    """A second entry of the same person is left out, another person's is a flaw."""
    text = f'alice TOTP-Secret := "{SECRET}", NAS-Port == 1\nalice TOTP-Secret := "{SECRET}"\n'
    assert [type(entry) for entry in entries(freeradius_totp, text)] == [Seed, LeftOut]
    assert "count twice" in flaw(freeradius_totp, text.replace("alice", "bob", 1)).problem


def test_the_sample_is_recognised_and_read() -> None:
    """The file in hardware/samples has two tokens; a users file without any is none of these."""
    sample = Path("hardware/samples/freeradius-users").read_bytes()
    assert freeradius_totp.sniff(sample[:4096])
    assert [type(entry) for entry in entries(freeradius_totp, sample)] == [Seed, Seed, LeftOut]
    assert not freeradius_totp.sniff(b'alice Cleartext-Password := "x"\n')
