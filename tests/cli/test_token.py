"""`radiusd2fa token`: seeds come in over standard input, go out once if they were made here, and never again.

Exit codes: 0 done, 1 refused, 2 wrong usage. What a seed looked like is in no error.
RFC 4226 and RFC 6238 for the bounds, RFC 4648 for hex and base32.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import time
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from tests.factors.reference import code_of

from .conftest import SEED, Shell

ADD: Final = ("token", "add", "--user", "alice", "--kind", "hotp", "--secret-stdin")
BASE32: Final = base64.b32encode(SEED).decode()
HEX: Final = SEED.hex()


@pytest.fixture
def alice(shell: Shell) -> Shell:
    """Somebody without a token."""
    shell.run("user", "add", "alice", "--no-password")
    return shell


# --- seeds -----------------------------------------------------------------------------------------------------------

SEEDS: Final = {
    "hex": HEX,
    "hex in capitals": HEX.upper(),
    "hex in groups": " ".join(re.findall("....", HEX)),
    "hex with dashes": "-".join(re.findall("..", HEX)),
    "base32": BASE32,
    "base32 in lower case": BASE32.lower(),
    "base32 in groups": " ".join(re.findall("....", BASE32)),
    "base32 in lower case and groups, as apps show it": " ".join(re.findall("....", BASE32.lower())),
    "a line end": HEX + "\n",
    "a line end of another system": BASE32 + "\r\n",
    "a second line": HEX + "\nabcdef\n",
}


@pytest.mark.parametrize("typed", SEEDS.values(), ids=SEEDS.keys())
def test_ways_to_write_one_seed(alice: Shell, typed: str) -> None:
    """Hex and base32, in either case, in groups or not, are the same seed; it is not shown."""
    out = alice.run(*ADD, "--serial", "H1", typed=typed)
    assert alice.seed_of("H1") == SEED
    assert "otpauth" not in out
    assert BASE32 not in out
    assert HEX not in out


@pytest.mark.parametrize("length", [10, 16, 20, 32, 33, 64, 128])
def test_seeds_of_every_length(alice: Shell, length: int) -> None:
    """From 80 to 1024 bits, with base32's padding and without."""
    seed = bytes(range(100, 100 + length))
    padded = base64.b32encode(seed).decode()
    for serial, text in (("A", seed.hex()), ("B", padded), ("C", padded.rstrip("="))):
        said = alice.say("token", "add", "--kind", "hotp", "--secret-stdin", "--serial", serial, typed=text)
        assert said.code == 0
        assert ("in the store already, as A" in said.err) is (serial != "A")
        assert alice.seed_of(serial) == seed


BAD_SEEDS: Final = {
    "nothing": "",
    "an empty line": "\n",
    "72 bits": "00112233445566778899"[:-2],
    "1032 bits": "ab" * 129,
    "odd hex": HEX[:-1],
    "not base32": "ABCDEFGHIJKLMNOPQRST0189",
    "words": "correct horse battery staple",
    "a URI": f"otpauth://hotp/alice?secret={BASE32}",
    "other digits": "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}" * 20,
    "a letter of another alphabet": BASE32[:-1] + "\N{CYRILLIC CAPITAL LETTER A}",
    "in quotes": f'"{HEX}"',
    "with 0x": f"0x{HEX}",
    "in the middle of a sentence": f"seed: {BASE32}",
    "padding within": BASE32[:8] + "====" + BASE32[8:],
}


@pytest.mark.parametrize("typed", BAD_SEEDS.values(), ids=BAD_SEEDS.keys())
def test_what_is_no_seed_is_not_echoed(alice: Shell, typed: str) -> None:
    """What is neither hex nor base32, too short or too long is refused, and no piece of it is in the error."""
    error = alice.wrong(*ADD, typed=typed)
    for piece in re.findall(r"\w{6,}", typed):
        assert piece not in error
    assert alice.say("token", "list", "--json").json() == []


def test_octets_that_are_no_text(alice: Shell) -> None:
    """Binary on standard input is no seed and no traceback."""
    assert "hex nor base32" in alice.wrong(*ADD, typed=bytes(range(128, 160)))


# --- wrong usage -----------------------------------------------------------------------------------------------------

WRONG: Final = {
    "no kind": ("token", "add", "--user", "alice"),
    "another kind": ("token", "add", "--kind", "motp"),
    "five digits": (*ADD, "--digits", "5"),
    "nine digits": (*ADD, "--digits", "9"),
    "a step of 14 seconds": (*ADD[:5], "totp", *ADD[6:], "--step", "14"),
    "a step of 121 seconds": (*ADD[:5], "totp", *ADD[6:], "--step", "121"),
    "a step of half a second": (*ADD, "--step", "30.5"),
    "a negative counter": (*ADD, "--counter", "-1"),
    "a counter that no database holds": (*ADD, "--counter", str(2**63)),
    "a counter near the end": (*ADD, "--counter", str(2**63 - 1)),
    "a counter for a clock": (*ADD[:5], "totp", *ADD[6:], "--counter", "7"),
    "md5": (*ADD, "--algorithm", "md5"),
    "sha3": (*ADD, "--algorithm", "sha3-256"),
    "an empty serial": (*ADD, "--serial", ""),
    "a serial with a space": (*ADD, "--serial", "H 1"),
    "a serial with a line end": (*ADD, "--serial", "H1\n"),
    "a serial with a control": (*ADD, "--serial", "H\x1b[31m1"),
    "a serial beyond ASCII": (*ADD, "--serial", "Hé"),
    "a serial of 65 characters": (*ADD, "--serial", "H" * 65),
    "a user that cannot be": ("token", "add", "--user", "ali\nce", "--kind", "hotp"),
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_adds_nothing(alice: Shell, arguments: tuple[str, ...]) -> None:
    """Options out of their bounds, or that do not belong together, end with 2 and change nothing."""
    error = alice.wrong(*arguments, typed=HEX)
    assert HEX not in error
    assert alice.say("token", "list", "--json").json() == []


def test_the_seed_of_a_terminal_that_is_none(alice: Shell) -> None:
    """Without --secret-stdin a seed is made; nothing that stands on standard input is taken for one."""
    alice.run("token", "add", "--user", "alice", "--kind", "hotp", "--serial", "H1", typed=HEX)
    assert alice.seed_of("H1") != SEED


# --- what is added ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [6, 7, 8])
@pytest.mark.parametrize(("said", "algorithm"), [("sha1", "sha1"), ("SHA-256", "sha256"), ("Sha512", "sha512")])
def test_what_was_asked_for_is_what_is_kept(alice: Shell, digits: int, said: str, algorithm: str) -> None:
    """Kind, digits, hash, counter, owner and serial come back as they were given."""
    options = ("--digits", str(digits), "--algorithm", said, "--counter", "4711", "--serial", "H1")
    record = json.loads(alice.run(*ADD, *options, "--json", typed=HEX))
    assert record == alice.say("token", "show", "H1", "--json").json()
    shown = {name: record[name] for name in ("serial", "kind", "user", "state", "digits", "algorithm", "moving_factor")}
    assert shown == {
        "serial": "H1",
        "kind": "hotp",
        "user": "alice",
        "state": "active",
        "digits": digits,
        "algorithm": algorithm,
        "moving_factor": 4711,
    }


@pytest.mark.parametrize("step", [15, 30, 60, 120])
def test_a_clock_has_its_step(alice: Shell, step: int) -> None:
    """A TOTP token keeps its step and begins without any used one."""
    alice.add_token("T1", "--kind", "totp", "--step", str(step))
    record = alice.say("token", "show", "T1", "--json").json()
    assert (record["kind"], record["step"], record["moving_factor"], record["drift"]) == ("totp", step, 0, 0)


def test_the_largest_counter(alice: Shell) -> None:
    """A counter that is allowed can still move on by all windows."""
    alice.add_token("H1", "--counter", str(2**62))
    codes = (code_of(SEED, 2**62 + 90).decode(), code_of(SEED, 2**62 + 91).decode())
    alice.run("token", "resync", "H1", *codes)
    assert alice.say("token", "show", "H1", "--json").json()["moving_factor"] == 2**62 + 92


def test_made_up_serials_are_short_and_different(alice: Shell) -> None:
    """Without --serial one is made of letters that nobody confuses."""
    serials = set()
    for _ in range(20):
        out = alice.run("token", "add", "--kind", "hotp", "--json")
        serials.add(json.loads(out)["serial"])
    assert len(serials) == 20
    assert all(re.fullmatch(r"T[0-9A-HJKMNP-TV-Z]{8}", serial) for serial in serials)


# --- a seed that was made here ---------------------------------------------------------------------------------------


def otpauth(out: str) -> tuple[str, dict[str, str]]:
    """Return the label and the parameters of the one key URI in an output."""
    (uri,) = re.findall(r"otpauth://\S+?(?=[\s\"]|$)", out)
    parts = urlsplit(uri)
    return parts.netloc + parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}


@pytest.mark.parametrize(("algorithm", "octets"), [("sha1", 20), ("sha256", 32), ("sha512", 64)])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_made_seed_is_shown_once_as_key_uri(alice: Shell, algorithm: str, octets: int, form: tuple[str, ...]) -> None:
    """As long as its hash, with everything an app must know, when the token is added and never afterwards."""
    options = ("--serial", "H1", "--algorithm", algorithm, "--digits", "8", "--counter", "3")
    out = alice.run("token", "add", "--user", "alice", "--kind", "hotp", *options, *form)
    label, parameters = otpauth(out)
    seed = alice.seed_of("H1")
    assert len(seed) == octets
    assert label == "hotp/radiusd2fa:alice"
    assert base64.b32decode(parameters["secret"] + "=" * (-len(parameters["secret"]) % 8)) == seed
    assert parameters.get("counter") == "3"
    assert parameters.get("digits") == "8"
    assert parameters.get("algorithm", "SHA1").lower() == algorithm
    for words in (("list",), ("list", "--json"), ("show", "H1"), ("show", "H1", "--json")):
        later = alice.run("token", *words)
        assert "otpauth" not in later
        assert parameters["secret"] not in later
    assert parameters["secret"] not in repr(alice.events())


def test_an_app_that_reads_the_uri_shows_our_codes(alice: Shell) -> None:
    """pyotp, given the URI of a clock, shows codes of that seed and step."""
    out = alice.run("token", "add", "--user", "alice", "--kind", "totp", "--step", "60", "--digits", "7")
    (uri,) = re.findall(r"otpauth://\S+", out)
    app = pyotp.parse_uri(uri)
    assert isinstance(app, pyotp.TOTP)
    (serial,) = (token["serial"] for token in alice.say("token", "list", "--json").json())
    now = 1_700_000_000
    assert app.at(now).encode() == code_of(alice.seed_of(serial), now // 60, 7)


def test_no_two_made_seeds_are_alike(alice: Shell) -> None:
    """Each is random."""
    for number in range(10):
        alice.run("token", "add", "--kind", "hotp", "--serial", f"H{number}")
    assert len({alice.seed_of(f"H{number}") for number in range(10)}) == 10


# --- refusals --------------------------------------------------------------------------------------------------------


def test_one_seed_is_one_persons_once(people: Shell) -> None:
    """The same seed for the same person would let one code in twice; the refusal does not show it."""
    error = people.refused(*ADD, "--serial", "H2", typed=BASE32)
    assert "H1" in error
    assert BASE32 not in error
    assert HEX not in error


def test_a_serial_is_given_once(people: Shell) -> None:
    """Whose ever it is."""
    people.add_user("bob")
    assert "already" in people.refused(
        "token", "add", "--user", "bob", "--kind", "hotp", "--serial", "H1", "--secret-stdin", typed="ab" * 20
    )


UNKNOWN: Final = (
    ("show", "H9"),
    ("assign", "H9", "--user", "alice"),
    ("unassign", "H9"),
    ("enable", "H9"),
    ("disable", "H9"),
    ("revoke", "H9"),
    ("lost", "H9"),
    ("return", "H9"),
    ("restock", "H9"),
    ("history", "H9"),
    ("label", "H9", "--box", "B1"),
    ("validity", "H9", "--until", "never"),
    ("counter", "H9", "--to", "7"),
    ("resync", "H9", "123456", "123457"),
)


@pytest.mark.parametrize("words", UNKNOWN, ids=" ".join)
def test_an_unknown_token(people: Shell, words: tuple[str, ...]) -> None:
    """Every command about a token that is not there is refused, and says where to look."""
    assert "token list" in people.refused("token", *words)


def test_somebody_unknown(people: Shell) -> None:
    """A token for nobody, and the tokens of nobody, are refused."""
    assert "no user bob" in people.refused("token", "add", "--user", "bob", "--kind", "hotp")
    assert "no user bob" in people.refused("token", "list", "--user", "bob")
    people.run("token", "unassign", "H1")
    assert "no user bob" in people.refused("token", "assign", "H1", "--user", "bob")


# --- a token's life --------------------------------------------------------------------------------------------------


def state(shell: Shell) -> tuple[str | None, str]:
    """Whose H1 is, and in which state."""
    record = shell.say("token", "show", "H1", "--json").json()
    return record["user"], record["state"]


def test_from_hand_to_hand(people: Shell) -> None:
    """Taken back, handed out, disabled, enabled and revoked: each step is shown and can be followed in the audit."""
    people.add_user("bob")
    assert state(people) == ("alice", "active")
    assert "belongs to alice" in people.refused("token", "assign", "H1", "--user", "bob")
    people.run("token", "unassign", "H1")
    assert state(people) == (None, "stock")
    assert "token assign" in people.refused("token", "enable", "H1")
    people.run("token", "assign", "H1", "--user", "BOB")
    assert state(people) == ("bob", "assigned")
    people.run("token", "disable", "H1")
    assert state(people) == ("bob", "disabled")
    people.run("token", "enable", "H1")
    people.run("token", "revoke", "H1")
    assert state(people) == ("bob", "revoked")
    for words in (("enable", "H1"), ("disable", "H1"), ("unassign", "H1"), ("resync", "H1", "123456", "123457")):
        assert "revoked" in people.refused("token", *words)
    names = [event.name for event in people.events() if event.serial == "H1"]
    assert names == [
        "token.added",
        "token.unassigned",
        "token.assigned",
        "token.disabled",
        "token.enabled",
        "token.revoked",
    ]


def test_a_token_for_the_stock(alice: Shell) -> None:
    """Without --user a token belongs to nobody until it is assigned."""
    assert "to the stock" in alice.run("token", "add", "--kind", "hotp", "--serial", "H1")
    assert state(alice) == (None, "stock")
    assert alice.say("token", "list", "--user", "alice", "--json").json() == []
    alice.run("token", "assign", "H1", "--user", "alice")
    assert [token["serial"] for token in alice.say("token", "list", "--user", "alice", "--json").json()] == ["H1"]


# --- resync ----------------------------------------------------------------------------------------------------------


def codes(first: int, second: int, digits: int = 6) -> tuple[str, str]:
    """The codes of two moving factors."""
    return code_of(SEED, first, digits).decode(), code_of(SEED, second, digits).decode()


BAD_PAIRS: Final = {
    "one left out": codes(50, 52),
    "wrong order": codes(51, 50),
    "the same twice": codes(50, 50),
    "too far": codes(101, 102),
    "not codes": ("abcdef", "123456"),
    "empty": ("", ""),
    "too short": ("12345", "123456"),
    "a space": (codes(50, 51)[0] + " ", codes(50, 51)[1]),
    "full-width": ("\N{FULLWIDTH DIGIT ONE}" * 6, codes(50, 51)[1]),
}


@pytest.mark.parametrize("pair", BAD_PAIRS.values(), ids=BAD_PAIRS.keys())
def test_pairs_that_bring_nothing_back(people: Shell, pair: tuple[str, str]) -> None:
    """A pair that is not two new codes in a row is refused, changes nothing and is not repeated in the error."""
    error = people.refused("token", "resync", "H1", *pair)
    assert "two new codes in a row" in error
    assert not any(code in error for code in pair if len(code) > 5)
    assert people.say("token", "show", "H1", "--json").json()["moving_factor"] == 0


def test_a_button_comes_back_once(people: Shell) -> None:
    """Two codes in a row move the token behind the second; the same pair again is old."""
    people.run("token", "resync", "H1", *codes(50, 51))
    assert people.say("token", "show", "H1", "--json").json()["moving_factor"] == 52
    people.refused("token", "resync", "H1", *codes(50, 51))
    people.refused("token", "resync", "H1", *codes(10, 11))
    assert people.say("token", "show", "H1", "--json").json()["moving_factor"] == 52


def test_a_clock_comes_back(alice: Shell) -> None:
    """Two codes in a row of a clock that is five minutes ahead are learned as drift."""
    alice.add_token("T1", "--kind", "totp", "--digits", "8")
    step = int(time.time()) // 30 + 10
    alice.run("token", "resync", "T1", *codes(step, step + 1, 8))
    record = alice.say("token", "show", "T1", "--json").json()
    assert record["moving_factor"] == step + 1
    assert record["drift"] in {10, 11}


def test_the_windows_are_those_of_the_site(people: Shell) -> None:
    """A site that says how far a token may have run ahead is obeyed."""
    people.change("primary:", "hotp: {look_ahead: 2, resync_window: 40}\nprimary:")
    people.refused("token", "resync", "H1", *codes(50, 51))
    people.run("token", "resync", "H1", *codes(39, 40))


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_table_and_the_card(people: Shell) -> None:
    """People see serial, kind, owner and state, the next counter of a button, step and drift of a clock."""
    people.add_token("T1", "--kind", "totp", "--step", "60", seed=b"another seed of hers")
    line = next(line for line in people.run("token", "list").splitlines() if "H1" in line)
    assert line.split() == ["H1", "hotp", "alice", "active", "6", "sha1", "-"]
    assert re.search(r"next counter +0", people.run("token", "show", "H1"))
    shown = people.run("token", "show", "T1")
    assert re.search(r"step +60 s", shown)
    assert re.search(r"drift +\+0 steps", shown)


def test_an_empty_list_says_what_to_do(shell: Shell) -> None:
    """For people a sentence, for programs an empty list."""
    assert "token add" in shell.run("token", "list")
    assert shell.say("token", "list", "--json").json() == []


def test_a_broken_seed_does_not_hide_the_token(people: Shell) -> None:
    """A row that the vault does not open is still listed, can be revoked, and says what is wrong when it is needed."""
    connection = sqlite3.connect(people.folder / "radiusd2fa.db")
    with connection:
        connection.execute("UPDATE tokens SET sealed = x'00'")
    connection.close()
    assert "H1" in people.run("token", "list")
    said = people.say("token", "resync", "H1", *codes(50, 51))
    assert said.code == 2
    assert said.err.startswith("error: ")
    people.run("token", "revoke", "H1")


def test_no_seed_is_ever_shown(people: Shell) -> None:
    """Neither in tables nor in JSON, nor in the audit, in hex, in base32 or as octets."""
    people.run("token", "disable", "H1")
    shown = repr(people.events())
    for words in (("list",), ("list", "--json"), ("show", "H1"), ("show", "H1", "--json")):
        shown += people.run("token", *words)
    for secret in (HEX, BASE32, SEED.decode(), "sealed"):
        assert secret not in shown
