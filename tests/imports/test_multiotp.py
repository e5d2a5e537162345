"""multiOTP's files: of users, of tokens, many in one, encrypted, cut, and the list that it takes its tokens from.

The attributes are those that multiOTP writes. RFC 4226 7.2, RFC 6238 5.2.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from radiusd2fa.imports import multiotp
from radiusd2fa.imports.seeds import LeftOut, Seed

from .tables import HERE, entries, flaw, in_hex, left_out, refusal, seed, seeds

LIST = "serial_number;manufacturer;algorithm;seed;digits;interval_or_event\n"


def user(number: int = 1, /, **changes: str) -> str:
    """A user's file, with some attributes changed."""
    attributes = {
        "algorithm": "totp",
        "delta_time": "0",
        "desactivated": "0",
        "error_counter": "2",
        "last_event": "-1",
        "last_login": "0",
        "locked": "0",
        "number_of_digits": "6",
        "request_prefix_pin": "0",
        "time_interval": "30",
        "token_algo_suite": "",
        "token_seed": in_hex(number),
        "token_serial": "",
        "user": "alice",
        "user_pin": "",
        "encryption_hash": "0123",
    } | changes
    return "multiotp-database-format-v3\n" + "".join(f"{name}={value}\n" for name, value in attributes.items())


def token(**changes: str) -> str:
    """A token's own file."""
    return user(**({"user": "", "token_id": "fob1", "token_serial": "FOB1", "attributed_users": ""} | changes))


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (user(token_seed="no hex"), "no hex"),
        (user(token_seed=""), "no hex"),
        (user(token_seed="aabb"), "2 octets"),
        (user().replace("token_seed=", "token_seed:="), "encrypted"),
        (user(token_seed="ENC:bm90IHBsYWlu:ENC"), "encrypted"),
        (user(number_of_digits="5"), "5 digits"),
        (user(number_of_digits=""), "is no number"),
        (user(time_interval="0"), "step of 0"),
        (user(time_interval="-1"), "is no number"),
        (user(last_login="yesterday"), "is no number"),
        (user(last_login=""), "is no number"),
        (user(last_login="99999999999"), "days to come"),
        (user(delta_time="x"), "is no number"),
        (user(delta_time="1000000"), "more than a day"),
        (user(algorithm="hotp", last_event=""), "is no number"),
        (user(algorithm="hotp", last_event="1.5"), "is no number"),
        (user(token_algo_suite="HMAC-MD5"), "algorithm"),
        (user() + "last_event=3\n", "already"),
        (user() + "rubbish\n", "no attribute"),
        (user(1) + user(2), "another file begins"),
        (user(user="a\u200bb"), "can be nobody's"),
        (user(algorithm="hotp", user="x").partition("number_of")[0] + "last", "no attribute"),
        (user().rstrip("\n"), "no end"),
        (f"==> users/a.db <==\nrubbish\n\n==> users/b.db <==\n{user()}", "no file of multiOTP"),
        (f"==> users/a.db <==\n{user(1).rstrip()}\n==> users/b.db <==\n{user(2)}", "no end"),
        (LIST + f"F1;maker;HOTP;{in_hex(1)};6;0\n", "not in this list"),
        (LIST + f"F1;maker;TOTP;{in_hex(1)};6\n", "six fields"),
        (LIST + f"F1;maker;TOTP;{in_hex(1)};6;30", "no end"),
        (LIST + "F1;maker;TOTP;secret!;6;30\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(text: str, problem: str) -> None:
    """What is wrong, missing, said twice, encrypted or cut is a flaw."""
    assert problem in flaw(multiotp, text).problem


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (user(locked="1"), "locked or deactivated"),
        (user(desactivated="1"), "locked or deactivated"),
        (user(algorithm="motp"), "no HOTP"),
        (user(algorithm="without2fa"), "no HOTP"),
        (user(algorithm="yubicootp"), "no HOTP"),
        (user(algorithm=""), "no HOTP"),
        (token(attributed_users="alice"), "users/*.db"),
        (LIST + f"F1;maker;mOTP;{in_hex(1)};6;10\n", "cannot be used"),
    ],
)
def test_what_opens_nothing_here_is_left_out(text: str, why: str) -> None:
    """Locked users, other kinds, and a token's file whose counter stands still since a user has it."""
    assert why in left_out(multiotp, text).why


def test_what_is_no_text_is_refused() -> None:
    """UTF-16 and NUL are refused as a whole."""
    refusal(multiotp, user().encode("utf-16"))
    refusal(multiotp, user().encode() + b"\0\n")


@pytest.mark.parametrize("end", range(1, 120, 7))
def test_a_cut_file_brings_no_token(end: int) -> None:
    """Wherever the end is missing, nothing of the file becomes a token."""
    text = user(algorithm="hotp", last_event="1234")
    assert not any(isinstance(entry, Seed) for entry in entries(multiotp, text[:-end]))


# --- what was used stays used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "following"), [("-1", 0), ("0", 1), ("41", 42)])
def test_the_last_event_is_one_before_the_next(last: str, following: int) -> None:
    """last_event is the counter of the last code, -1 before the first."""
    (found,) = seeds(multiotp, user(algorithm="HOTP", last_event=last, time_interval="0"))
    assert (found.kind, found.moving_factor) == ("hotp", following)


@pytest.mark.parametrize(
    ("ahead", "delta", "spent", "drift"), [(-50, "0", 2, 0), (8, "240", 10, 8), (8, "0", 8, 0), (-3, "-90", 2, -3)]
)
def test_the_last_login_is_the_beginning_of_the_last_used_step(ahead: int, delta: str, spent: int, drift: int) -> None:
    """last_login of a clock token is no time of day but its step, and delta_time the clock's offset."""
    (found,) = seeds(multiotp, user(last_login=str((HERE + ahead) * 30), delta_time=delta))
    assert (found.moving_factor, found.drift) == (HERE + spent, drift)


def test_one_seed_comes_in_once() -> None:
    """The token's own file beside that of its user brings no second token."""
    text = f"==> users/a.db <==\n{user()}\n==> tokens/fob1.db <==\n{token()}"
    assert "count twice" in flaw(multiotp, text).problem


# --- taken -----------------------------------------------------------------------------------------------------------


def test_many_files_under_their_names_are_read() -> None:
    """``tail -v -n +1 users/*.db`` names each user, where the file itself does not."""
    text = f"==> /etc/multiotp/users/alice.db <==\n{user(1, user='')}\n"
    text += f"==> /etc/multiotp/users/bob.db <==\n{user(2, user='', algorithm='hotp', token_serial='FOB2')}"
    assert multiotp.sniff(text.encode())
    found = seeds(multiotp, text)
    assert [(each.user, each.serial, each.secret) for each in found] == [
        ("alice", "alice-totp", seed(1)),
        ("bob", "FOB2", seed(2)),
    ]


def test_a_token_that_nobody_has_goes_to_stock() -> None:
    """Its file has a serial, a maker and no user."""
    (found,) = seeds(multiotp, token(algorithm="hotp", manufacturer="Maker", token_algo_suite="HMAC-SHA256"))
    assert (found.user, found.serial, found.model, found.algorithm) == (None, "FOB1", "Maker", "sha256")


def test_a_pin_stays_behind_and_is_said_to() -> None:
    """The token is taken; that its PIN was not is an entry of its own that does not show it."""
    found, pin = entries(multiotp, user(user_pin="4711", request_prefix_pin="1"))
    assert isinstance(found, Seed)
    assert isinstance(pin, LeftOut)
    assert "4711" not in repr(pin)


def test_the_list_brings_clock_tokens() -> None:
    """With semicolons or commas; a step of a minute stays one."""
    for separator in ";,":
        text = (LIST + f"F1;maker;TOTP;{in_hex(1)};8;60\n").replace(";", separator)
        assert multiotp.sniff(text.encode())
        (found,) = seeds(multiotp, text)
        assert (found.serial, found.step, found.digits, found.moving_factor) == ("F1", 60, 8, HERE // 2 + 2)


def test_the_sample_is_recognised_and_read() -> None:
    """The file in hardware/samples holds three users, of whom one is locked."""
    sample = Path("hardware/samples/multiotp-users.txt").read_bytes()
    assert multiotp.sniff(sample[:4096])
    assert [type(entry) for entry in entries(multiotp, sample)] == [Seed, Seed, LeftOut]
    assert not multiotp.sniff(b"==> x <==\nserial;secret\n")
    assert not multiotp.sniff(b"")
