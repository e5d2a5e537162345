"""users.oath of pam_oath: lines as people write them, as liboath rewrites them, and as mod_authn_otp does.

pam_oath itself takes codes and rewrites its file; none of them counts here again. RFC 4226 7.2, RFC 6238 5.2.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

import pytest

from radiusd2fa.imports import users_oath
from radiusd2fa.imports.seeds import Flaw, How, LeftOut, Seed
from tests.clients.oathtool import hotp, needs_oathtool, totp

from .pam_services import lets_in, needs_module, service
from .spent import counts, is_next
from .tables import HERE, HOW, NOW, entries, flaw, in_base32, in_hex, left_out, refusal, seed, seeds

KEY = in_hex(1)


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"HOTPS alice - {KEY}\n", "no token type"),
        (f"HOTP/T30/6/SHA256 alice - {KEY}\n", "no token type"),
        ("HOTP alice -\n", "no key"),
        (f"HOTP alice - {in_base32(1)}\n", "no hex"),
        (f"HOTP alice - {KEY[:-1]}\n", "no hex"),
        ("HOTP alice - 00\n", "1 octets"),
        (f"HOTP alice - {KEY} -5\n", "no whole number"),
        (f"HOTP alice - {KEY} 5x\n", "no whole number"),
        (f"HOTP alice - {KEY} \N{SUPERSCRIPT FIVE}\n", "no whole number"),
        (f"HOTP alice - {KEY} 99999999999999999999\n", "no whole number"),
        (f"HOTP/E/5 alice - {KEY}\n", "5 digits"),
        (f"HOTP/T30/10 alice - {KEY}\n", "10 digits"),
        (f"HOTP/T10 alice - {KEY}\n", "step of 10"),
        (f"HOTP/T000 alice - {KEY}\n", "step of 0"),
        (f"HOTP al\N{ZERO WIDTH SPACE}ice - {KEY}\n", "can be nobody's"),
        (f"HOTP alice - {KEY} 12", "no end"),
        (f"HOTP alice - {KEY}", "no end"),
    ],
)
def test_a_line_that_cannot_be_taken_says_why(line: str, problem: str) -> None:
    """A wrong type, key, counter, length or name is a flaw of its line, and so is a last line that may be cut."""
    found = flaw(users_oath, f"# tokens\n\n{line}")
    assert found.line == 3
    assert problem in found.problem


def test_a_line_that_is_commented_out_never_counts() -> None:
    """A number sign before the type, with or without blanks, makes it a remark."""
    text = f"# HOTP alice - {in_hex(1)}\n#HOTP bob - {in_hex(2)}\n  #\tHOTP carol - {in_hex(3)} 7\n"
    assert entries(users_oath, text) == []


@pytest.mark.parametrize("kind", ["MOTP", "MOTP/E", "OCRA-1:HOTP-SHA1-6:QN08"])
def test_tokens_of_other_kinds_are_left_out(kind: str) -> None:
    """Mobile-OTP and OCRA are no HOTP."""
    assert "type" in left_out(users_oath, f"{kind} alice 1234 {KEY}\n").what


@pytest.mark.parametrize(
    "octets",
    [
        f"HOTP alice - {KEY}\n".encode("utf-16"),
        f"HOTP alice - {KEY}\n".encode("utf-16-le"),
        b"PK\x03\x04 and so on",
        b"HOTP alice - \x00\n",
        b"HOTP \xff\xfe - 00\n",
        b"HOTP alice - " + b"0" * 100_000 + b"\n",
    ],
)
def test_what_is_no_text_is_refused(octets: bytes) -> None:
    """UTF-16, a zip archive, NUL, Latin-1 and endless lines are refused as a whole."""
    refusal(users_oath, octets)


# --- what was used stays used ----------------------------------------------------------------------------------------


def test_the_counter_of_a_used_hotp_token_goes_one_further() -> None:
    """pam_oath writes the counter of the last code; a line without a last code has the next one."""
    text = f"HOTP\talice\t-\t{in_hex(1)}\t5\t755224\t2026-11-22T05:43:03L\nHOTP bob - {in_hex(2)} 5\n"
    text += f"HOTP carol - {in_hex(3)}\nHOTP dave - {in_hex(4)} 0 755224 2026-11-22T05:43:03L\n"
    assert [(each.user, each.moving_factor) for each in seeds(users_oath, text)] == [
        ("alice", 6),
        ("bob", 5),
        ("carol", 0),
        ("dave", 1),
    ]


@needs_oathtool
@pytest.mark.parametrize("ahead", [-3, 0, 2, 3, 20, 119])
def test_the_last_code_of_a_clock_token_is_found_where_it_lies_ahead(ahead: int) -> None:
    """pam_oath takes codes far ahead and keeps nothing but the code itself: its step and all before it are spent."""
    code = totp(seed(1), NOW + 30 * ahead, 6, "sha1")
    (token,) = seeds(users_oath, f"HOTP/T30 alice - {KEY} {abs(ahead)} {code} 2027-01-15T09:00:00L\n")
    assert token.moving_factor == HERE + max(2, ahead)
    assert token.drift == 0
    assert not counts(token, code, NOW + 30 * ahead)


def test_the_offset_of_mod_authn_otp_is_the_clocks_drift() -> None:
    """Its lines have a failure counter before the last code; then the fifth field is no distance."""
    (token,) = seeds(users_oath, f"HOTP/T joe - {KEY} -2 2 883913 2009-06-04T21:17:03L 10.1.1.153\n")
    assert (token.drift, token.moving_factor) == (-2, HERE + 2)
    (token,) = seeds(users_oath, f"HOTP/T joe - {KEY} 4 0 883913 2009-06-04T21:17:03L 10.1.1.153\n")
    assert (token.drift, token.moving_factor) == (4, HERE + 6)


def test_one_seed_comes_in_once() -> None:
    """The same person's second line is left out, unless it has counted further; another person's is a flaw."""
    first, second, third = entries(users_oath, f"HOTP a - {KEY} 9\nHOTP a - {KEY} 9\nHOTP a - {KEY} 10\n")
    assert isinstance(first, Seed)
    assert isinstance(second, LeftOut)
    assert isinstance(third, Flaw)
    assert "line 1" in third.problem
    assert "count twice" in flaw(users_oath, f"HOTP a - {KEY}\nHOTP b - {KEY}\n").problem


# --- taken -----------------------------------------------------------------------------------------------------------


def test_every_type_has_its_length_and_step() -> None:
    """HOTP/E/7 shows seven digits, HOTP/T60/8 eight for a minute, HOTP/T six for half of one."""
    types = ("HOTP", "HOTP/E", "HOTP/E/7", "HOTP/T30", "HOTP/T60/8", "HOTP/T")
    text = "\ufeff" + "".join(f"{each} alice + {in_hex(n)}\r\n" for n, each in enumerate(types))
    found = [(each.kind, each.digits, each.step) for each in seeds(users_oath, text)]
    assert found == [
        ("hotp", 6, 30),
        ("hotp", 6, 30),
        ("hotp", 7, 30),
        ("totp", 6, 30),
        ("totp", 8, 60),
        ("totp", 6, 30),
    ]


def test_a_pin_stays_behind_and_is_said_to() -> None:
    """The token is taken, and that its PIN was not is an entry of its own that does not show it."""
    token, pin = entries(users_oath, f"HOTP alice secretpin {KEY}\n")
    assert isinstance(token, Seed)
    assert isinstance(pin, LeftOut)
    assert "alice" in pin.what
    assert "secretpin" not in repr(pin)


def test_serials_come_from_names_and_are_the_same_each_time() -> None:
    """Two tokens of one person are told apart; a name that is no serial gives a digest of the name."""
    words = ("HOTP alice", "HOTP alice", "HOTP/T30 alice", "HOTP j\xf6rg")
    text = "".join(f"{each} - {in_hex(n)}\n" for n, each in enumerate(words))
    serials = [each.serial for each in seeds(users_oath, text)]
    assert serials[:3] == ["alice-hotp", "alice-hotp-2", "alice-totp"]
    assert serials == [each.serial for each in seeds(users_oath, text)]
    assert serials[3].isascii()
    assert not any(in_hex(n)[:8] in "".join(serials) for n in range(5))


def test_the_sample_is_recognised_and_read() -> None:
    """The file in hardware/samples is one of these, and holds three tokens and a PIN."""
    sample = Path("hardware/samples/users.oath").read_bytes()
    assert users_oath.sniff(sample[:4096])
    kinds = [type(entry) for entry in entries(users_oath, sample)]
    assert kinds == [Seed, Seed, LeftOut, Seed]
    assert not users_oath.sniff(b"serial,secret\nHOTP,1234\n")
    assert not users_oath.sniff(f"# HOTP alice - {KEY}\n".encode())


# --- pam_oath itself -------------------------------------------------------------------------------------------------


class TestPamOath:
    """Debian's pam_oath takes a code and writes it down; the file is read as it stands then."""

    pytestmark: ClassVar = [*needs_module("pam_oath.so", "libpam-oath"), needs_oathtool]

    @pytest.mark.parametrize("pressed", [0, 3])
    def test_a_code_that_pam_oath_has_taken_counts_no_more(self, tmp_path: Path, pressed: int) -> None:
        """The used counter lies behind the moving factor, and the fob's next code is the next one here too."""
        file = _written(tmp_path, f"HOTP alice - {KEY}\n")
        used, following = (hotp(seed(1), pressed + more, 6, "sha1") for more in (0, 1))
        with service(f"pam_oath.so usersfile={file} window=10") as name:
            assert lets_in(name, "alice", used)
            (token,) = seeds(users_oath, file.read_bytes())
            assert token.moving_factor == pressed + 1
            assert not counts(token, used, NOW)
            assert is_next(token, following, NOW)
            assert lets_in(name, "alice", following)

    def test_a_code_that_pam_oath_has_taken_before_its_time_counts_no_more(self, tmp_path: Path) -> None:
        """With a window of ten steps it takes what a fob shows five minutes early; that code is spent here as well."""
        file = _written(tmp_path, f"HOTP/T30 bob - {KEY}\n")
        now = time.time()
        early = totp(seed(1), now + 30 * 8, 6, "sha1")
        with service(f"pam_oath.so usersfile={file} window=10") as name:
            assert lets_in(name, "bob", early)
        (token,) = seeds(users_oath, file.read_bytes(), How(now=now))
        assert token.moving_factor == now // 30 + 8
        assert not counts(token, early, now + 30 * 8)
        assert counts(token, totp(seed(1), now + 30 * 9, 6, "sha1"), now + 30 * 9)

    def test_a_line_that_pam_oath_does_not_read_is_none_here(self, tmp_path: Path) -> None:
        """A commented line lets nobody in there, and brings no token here."""
        file = _written(tmp_path, f"# HOTP carol - {KEY}\n")
        with service(f"pam_oath.so usersfile={file} window=10") as name:
            assert not lets_in(name, "carol", hotp(seed(1), 0, 6, "sha1"))
        assert entries(users_oath, file.read_bytes(), HOW) == []


def _written(folder: Path, text: str) -> Path:
    file = folder / "users.oath"
    file.touch(mode=0o600)
    file.write_text(text)
    return file
