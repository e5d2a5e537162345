"""Our own list: what each column may hold, what is wrong with it, and that no used code can come back.

The lines are as an administrator types them. RFC 4226 and RFC 6238 have the numbers.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from radiusd2fa.imports import own_csv
from radiusd2fa.imports.seeds import Seed

from .tables import HERE, HOW, NOW, by, entries, flaw, in_base32, in_hex, left_out, seed, seeds

ALL = ",".join(own_csv.COLUMNS)


def line(**values: str) -> str:
    """Write the header and one line; what is not said is a good hotp token."""
    cells = {"serial": "A1", "kind": "hotp", "secret": in_hex(1)} | values
    return ALL + "\n" + ",".join(cells.get(column, "") for column in own_csv.COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("serial", "", "serial is missing"),
        ("serial", "A 1", "serial is missing or no serial"),
        ("serial", "Ä1", "serial is missing or no serial"),
        ("serial", "A" * 65, "serial is missing or no serial"),
        ("kind", "hopt", "none of hotp, totp, yubico"),
        ("kind", "", "nobody says"),
        ("secret", "", "no secret"),
        ("secret", "hunter2 was my password!", "neither hex nor base32"),
        ("secret", in_hex(1)[:-1], "neither hex nor base32"),
        ("secret", in_hex(1, 9), "9 octets"),
        ("secret", in_hex(1, 129), "129 octets"),
        ("digits", "5", "5 digits"),
        ("digits", "six", "digits is no whole number"),
        ("digits", "\N{FULLWIDTH DIGIT SIX}", "digits is no whole number"),
        ("digits", "-6", "digits is no whole number"),
        ("algorithm", "md5", "algorithm"),
        ("step", "30s", "step is no whole number"),
        ("counter", "1.2E+05", "counter is no whole number"),
        ("counter", "-1", "counter is no whole number"),
        ("counter", "9" * 19, "counter 9"),
        ("counter", "9" * 20, "counter is no whole number"),
        ("user", "a\tb", "user is not plain text"),
        ("label", "x\x1b[2J", "label is not plain text"),
        ("model", "m" * 256, "model is not plain text"),
        ("valid_from", "03/01/2026", "valid_from is no date"),
        ("valid_until", "2026-02-30", "valid_until is no date"),
    ],
)
def test_a_field_that_is_wrong_is_named_by_its_column(column: str, value: str, words: str) -> None:
    """The line, what is wrong with which column, and what to do; never what stands there, where it could be a seed."""
    found = flaw(own_csv, line(**{column: value}))
    assert found.line == 2
    assert words in found.problem


@pytest.mark.parametrize("step", ["0", "14", "121", "99999"])
def test_a_step_that_no_token_has_is_refused(step: str) -> None:
    """A clock token shows a code for 15 to 120 seconds; somebody's token is no exception."""
    assert "seconds" in flaw(own_csv, line(kind="totp", step=step)).problem
    assert "seconds" in flaw(own_csv, line(kind="totp", step=step, user="alice")).problem


def test_a_token_that_ends_before_it_begins_is_refused() -> None:
    """The dates must be in their order."""
    assert "ends before" in flaw(own_csv, line(valid_from="2027-01-02", valid_until="2027-01-01")).problem


@pytest.mark.parametrize("kind", ["hotp", "yubico"])
def test_a_token_in_somebodys_hands_needs_its_counter(kind: str) -> None:
    """With the counter unsaid, all codes that were ever used would count again; a zero must be written."""
    secret = in_hex(1, 22) if kind == "yubico" else in_hex(1)
    found = flaw(own_csv, line(kind=kind, secret=secret, user="alice"))
    assert "its counter is not said" in found.problem
    assert "or 0" in found.remedy
    assert seeds(own_csv, line(kind=kind, secret=secret, user="alice", counter="0"))[0].moving_factor == 0


@pytest.mark.parametrize("kind", ["hotp", "yubico"])
def test_whoever_says_whose_it_is_must_say_its_counter(kind: str) -> None:
    """An owner who is said beside the file is one: nothing that they have used may count again."""
    how = replace(HOW, user="alice")
    secret = in_hex(1, 22) if kind == "yubico" else in_hex(1)
    found = flaw(own_csv, line(kind=kind, secret=secret), how)
    assert "its counter is not said" in found.problem
    assert "without --user" in found.remedy
    (token,) = seeds(own_csv, line(kind=kind, secret=secret, counter="0"), how)
    assert (token.moving_factor, token.user) == (0, None)


def test_a_clock_token_whose_owner_is_said_is_used_up_to_now() -> None:
    """As one whose owner stands in the file."""
    assert seeds(own_csv, line(kind="totp"), replace(HOW, user="alice"))[0].moving_factor > HERE


def test_a_clock_token_in_somebodys_hands_is_used_up_to_now() -> None:
    """Its codes may have been used somewhere else until a moment ago, whatever the file says."""
    assert seeds(own_csv, line(kind="totp", user="alice"))[0].moving_factor > HERE
    assert seeds(own_csv, line(kind="totp", user="alice", counter="7"))[0].moving_factor > HERE
    assert seeds(own_csv, line(kind="totp", counter=str(HERE - 5)))[0].moving_factor > HERE
    assert seeds(own_csv, line(kind="totp", counter=str(HERE + 500)))[0].moving_factor == HERE + 500
    assert seeds(own_csv, line(kind="totp", step="60", user="alice"))[0].moving_factor > NOW // 60
    assert seeds(own_csv, line(kind="totp"))[0].moving_factor == 0


@pytest.mark.parametrize("last", ["serial", "user", "counter"])
def test_a_file_that_may_have_been_cut_is_refused(last: str) -> None:
    """Without a line end, a counter, a name or a serial may lack its last character."""
    columns = [*(column for column in ("serial", "user", "counter") if column != last), last]
    cells = {"serial": "A1", "user": "alice", "counter": "118"}
    text = f"secret,kind,{','.join(columns)}\n{in_hex(1)},hotp,{','.join(cells[column] for column in columns)}"
    assert "may have been cut" in flaw(own_csv, text).problem
    assert len(seeds(own_csv, text + "\n")) == 1


def test_a_seed_that_is_cut_at_the_end_of_the_file_is_refused() -> None:
    """It is shorter than the one before; a seed as long as the others needs no line end behind it."""
    whole = f"serial,kind,secret\nA1,hotp,{in_hex(1)}\nA2,hotp,{in_hex(2)}"
    assert len(seeds(own_csv, whole)) == 2
    assert "may have been cut" in flaw(own_csv, whole[:-2]).problem


def test_columns_that_are_mixed_up_show_no_seed() -> None:
    """A seed in the column of the serials is refused without a word of it."""
    for serial in (in_hex(1), in_base32(1, 10), "A1" + in_base32(1)):
        assert flaw(own_csv, f"serial,kind,secret\n{serial},hotp,10500101\n").serial == ""


def test_a_flaw_says_the_serial() -> None:
    """So that the token can be found in its box."""
    assert flaw(own_csv, line(digits="5")).serial == "A1"
    assert flaw(own_csv, line(secret="?")).serial == "A1"


def test_a_token_of_another_sort_is_left_out() -> None:
    """What makes no codes of ours is no fault of the file."""
    assert "ocra" in left_out(own_csv, line(kind="OCRA")).what


def test_every_column_is_read() -> None:
    """What stands in a line is what the token is; the last day of validity counts to its end."""
    text = line(
        serial="F-7/1",
        kind="TOTP",
        secret=in_base32(5, 32).lower(),
        digits="8",
        algorithm="HMAC-SHA-256",
        step="60",
        user="alice@example.org",
        label="box 7",
        model="Feitian c200",
        valid_from="2026-03-01",
        valid_until="2026-03-02",
    )
    assert seeds(own_csv, text) == [
        Seed(
            line=2,
            serial="F-7/1",
            kind="totp",
            secret=seed(5, 32),
            digits=8,
            algorithm="sha256",
            step=60,
            moving_factor=int(NOW) // 60 + 2,
            valid_from=1772323200.0,
            valid_until=1772323200.0 + 2 * 86400,
            user="alice@example.org",
            label="box 7",
            model="Feitian c200",
        )
    ]
    assert seeds(own_csv, line(valid_until="2026-03-02T18:00:00Z"))[0].valid_until == 1772474400.0


def test_what_the_file_leaves_open_is_what_the_administrator_says() -> None:
    """Kind, digits, step and algorithm of the command line count where a field is empty, and only there."""
    how = replace(by("totp"), digits=8, step=60, algorithm="sha512")
    said = seeds(own_csv, line(kind=""), how)[0]
    assert (said.kind, said.digits, said.step, said.algorithm) == ("totp", 8, 60, "sha512")
    written = seeds(own_csv, line(kind="hotp", digits="6", step="30", algorithm="SHA1"), how)[0]
    assert (written.kind, written.digits, written.step, written.algorithm) == ("hotp", 6, 30, "sha1")
    plain = seeds(own_csv, line())[0]
    assert (plain.digits, plain.step, plain.algorithm, plain.moving_factor, plain.user) == (6, 30, "sha1", 0, None)


def test_a_yubico_otp_is_its_three_parts_one_behind_the_other() -> None:
    """Its digits follow from the public id, whatever the column says."""
    for public in (0, 6, 16):
        token = seeds(own_csv, line(kind="yubico", secret=in_hex(1, 22 + public), digits="6"))[0]
        assert (token.digits, len(token.secret), token.kind) == (32 + 2 * public, 22 + public, "yubico")
    for octets in (21, 39):
        assert "AES key of 16" in flaw(own_csv, line(kind="yubico", secret=in_hex(1, octets))).problem
    assert "no hex" in flaw(own_csv, line(kind="yubico", secret="gezdgnbv" * 5)).problem


def test_the_entries_come_in_the_order_of_the_file() -> None:
    """Good and bad lines keep their places."""
    text = "serial,kind,secret\n" + "".join(
        f"A{number},{'hotp' if number % 3 else 'ocra'},{in_hex(number) if number % 4 else '?'}\n"
        for number in range(40)
    )
    assert [entry.line for entry in entries(own_csv, text)] == list(range(2, 42))
