"""Exports of privacyIDEA: YAML as PyYAML writes it, JSON wrapped as ``cryptography`` wraps it, and what is no token.

The entries are made as pi-tokenjanitor makes them. RFC 4226 7.2, RFC 6238 5.2.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import yaml
from cryptography.fernet import Fernet

from radiusd2fa.imports import privacyidea
from radiusd2fa.imports.seeds import Flaw, LeftOut, LockedError, Seed, UnreadableError

from .tables import HERE, HOW, entries, flaw, in_base32, in_hex, left_out, refusal, seed, seeds

Entry = dict[str, object]
KEY: Final = base64.urlsafe_b64encode(hashlib.sha256(b"made up for the tests").digest())
MODHEX: Final = "cccccccbcjdi"


def token(number: int = 1, /, **changes: object) -> Entry:
    """An entry of export_token, with some fields changed; None takes a field out."""
    entry: Entry = {
        "serial": f"OATH{number:08}",
        "type": "hotp",
        "otpkey": in_hex(number),
        "description": "",
        "otplen": 6,
        "maxfail": 10,
        "failcount": 9,
        "counter": 0,
        "window": 10,
        "active": True,
        "revoked": False,
        "locked": False,
        "rollout_state": "",
        "_hashed_pin": "$argon2id$v=19$m=65536$aaaaaaaaaaaaaaaaaaaaaa",
        "info_list": {"hashlib": "sha1"},
        "issuer": "privacyIDEA",
    } | changes
    return {name: value for name, value in entry.items() if value is not None}


def owned(login: str, realm: str) -> Entry:
    """What user_export_dict says of somebody."""
    return {"login": login, "realm": realm, "resolver": "ldap", "uid": "1234", "custom_attributes": {}}


def as_json(*tokens: Entry) -> str:
    """The list as it is before it is encrypted."""
    return json.dumps(tokens, default=repr, indent=2)


def as_yaml(*tokens: Entry) -> str:
    """The list as ``--format yaml`` writes it."""
    return yaml.safe_dump(list(tokens))


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"serial": ""}, "serial is missing"),
        ({"otpkey": "no seed, 18"}, "neither hex nor base32"),
        ({"otpkey": None}, "neither hex nor base32"),
        ({"otpkey": "aabb"}, "2 octets"),
        ({"otplen": 5}, "5 digits"),
        ({"otplen": "six"}, "is no number"),
        ({"counter": None}, "no counter"),
        ({"counter": -1}, "no counter"),
        ({"counter": 1.5}, "no counter"),
        ({"counter": "", "count": 5}, "no counter"),
        ({"info_list": {"hashlib": "md5"}}, "algorithm"),
        ({"type": "totp", "info_list": {"timeStep": "0"}}, "is no number"),
        ({"type": "totp", "info_list": {"timeStep": "5"}}, "step of 5"),
        ({"type": "totp", "info_list": {"timeShift": "soon"}}, "is no number"),
        ({"type": "totp", "info_list": {"timeShift": "99999999"}}, "more than a day"),
        ({"type": "totp", "counter": 2**40}, "days to come"),
        ({"active": None}, "does not say"),
        ({"revoked": None}, "does not say"),
        ({"locked": "perhaps"}, "does not say"),
        ({"info_list": {"validity_period_end": "31/12/27"}}, "no date"),
        ({"user": owned("a\u200bb", "corp")}, "can be nobody's"),
    ],
)
@pytest.mark.parametrize("written", [as_json, as_yaml])
def test_an_entry_that_cannot_be_taken_says_why(changes: Entry, problem: str, written: object) -> None:
    """A field that is wrong or missing is a flaw of its entry, in JSON and in YAML."""
    entry = token(**changes)
    assert problem in flaw(privacyidea, as_json(entry) if written is as_json else as_yaml(entry)).problem


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"active": False}, "disabled"),
        ({"revoked": True}, "revoked"),
        ({"revoked": True, "locked": True, "active": False}, "revoked"),
        ({"locked": True}, "locked"),
        ({"rollout_state": "clientwait"}, "never finished"),
        ({"rollout_state": "verify"}, "never finished"),
        ({"info_list": {"count_auth_max": "5"}}, "number of logins"),
        ({"info_list": {"count_auth_success_max": 1}}, "number of logins"),
    ],
)
def test_a_token_that_opens_nothing_there_does_not_come_back(changes: Entry, why: str) -> None:
    """Disabled, locked, revoked, unfinished and used-up tokens are left out, and it is said why."""
    for text in (as_json(token(**changes)), as_yaml(token(**changes))):
        assert why in left_out(privacyidea, text).why


@pytest.mark.parametrize("kind", ["sms", "email", "push", "spass", "registration", "webauthn", "pw", "tan", "\x1b[31m"])
def test_tokens_of_other_kinds_are_left_out(kind: str) -> None:
    """They are named by their type, and a type that is no word is not shown."""
    found = left_out(privacyidea, as_json(token(type=kind)))
    assert (kind in found.what) == kind.isalnum()


def test_the_csv_export_is_refused_by_name() -> None:
    """It has neither counters nor what is revoked."""
    text = f"alice@corp, OATH1, {in_hex(1)}, hotp, 6\nn/a, TOTP1, {in_hex(2)}, totp, 6, 30\n"
    assert privacyidea.sniff(text.encode())
    assert "--format yaml" in refusal(privacyidea, text).remedy


def test_people_of_two_realms_are_not_mixed() -> None:
    """Alice of one realm need not be Alice of another; tokens of nobody may stand between."""
    text = as_yaml(token(1, owner="alice@corp"), token(2, owner="n/a"), token(3, owner="alice@partners"))
    assert "another realm" in flaw(privacyidea, text).problem
    text = as_json(token(1, user=owned("alice", "corp")), token(2), token(3, user=owned("alice", "partners")))
    assert "another realm" in flaw(privacyidea, text).problem


@pytest.mark.parametrize("size", [1, 100, 700, 1000])
def test_a_yaml_file_that_is_cut_brings_no_half_token(size: int) -> None:
    """A cut is a refusal, or the entry that it goes through is a flaw; only whole entries become tokens."""
    text = as_yaml(token(1), token(2))
    try:
        found = entries(privacyidea, text[:-size])
    except UnreadableError:
        return
    assert [entry.serial for entry in found if isinstance(entry, Seed)] in ([], ["OATH00000001"])


@pytest.mark.parametrize(
    "text",
    [
        as_yaml(token()).replace("  counter: 0\n", "  counter: 9\n  counter: 0\n"),
        as_yaml(token()).replace("  counter: 0\n", "  counter: &a [*a]\n  x: [\n"),
        as_yaml(token()).replace("  counter: 0\n", f"  counter: {'[' * 5000}\n"),
        as_yaml(token()) + "rubbish: 1\n",
        "- just text\n  otpkey: 1\n",
        as_yaml(token()).rstrip("\n"),
    ],
)
def test_yaml_that_says_a_thing_twice_or_makes_no_sense_is_refused(text: str) -> None:
    """Doubled names, nests without end, and what stands behind the list are refused as a whole."""
    refusal(privacyidea, text)


def test_a_yaml_entry_has_a_largest_size() -> None:
    """An entry that does not end is given up where it grows too long."""
    text = as_yaml(token()) + "".join(f"  more{n}: x\n" for n in range(50_000))
    assert "too long" in refusal(privacyidea, text).problem


# --- encrypted -------------------------------------------------------------------------------------------------------


def test_an_encrypted_export_opens_with_the_key_that_was_shown() -> None:
    """``cryptography`` wraps it as privacyIDEA does; the 44 characters and their 32 octets both open it."""
    wrapped = Fernet(KEY).encrypt(as_json(*(token(n) for n in range(1, 400))).encode())
    assert privacyidea.sniff(wrapped[:4096])
    for key in (KEY, KEY + b"\n", base64.urlsafe_b64decode(KEY)):
        found = seeds(privacyidea, wrapped, replace(HOW, key=key))
        assert [each.secret for each in found] == [seed(n) for n in range(1, 400)]


def test_an_encrypted_export_without_its_key_is_refused_by_name() -> None:
    """It is said that it is encrypted, and where the key was to be seen."""
    wrapped = Fernet(KEY).encrypt(as_json(token()).encode())
    locked = refusal(privacyidea, wrapped)
    assert isinstance(locked, LockedError)
    assert "pi-tokenjanitor" in locked.remedy
    for key in (b"short", b"x" * 44, Fernet.generate_key()):
        with pytest.raises(UnreadableError, match="the key"):
            entries(privacyidea, wrapped, replace(HOW, key=key))


def test_an_encrypted_export_is_whole_or_refused() -> None:
    """One character changed anywhere, or missing at the end, and not one entry comes out."""
    wrapped = Fernet(KEY).encrypt(as_json(token()).encode())
    how = replace(HOW, key=KEY)
    damaged = []
    for place in range(10, len(wrapped) - 2, 37):
        other = b"A" if wrapped[place : place + 1] != b"A" else b"B"
        damaged.append(wrapped[:place] + other + wrapped[place + 1 :])
    for octets in (*damaged, wrapped[:-4], wrapped[:-64], wrapped[:40], wrapped[:-1], wrapped + b"AAAA", b"gAAAAA!!"):
        with pytest.raises(UnreadableError):
            next(iter(entries(privacyidea, octets, how)))


# --- what was used stays used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [as_json, as_yaml])
def test_counters_come_along(written: object) -> None:
    """HOTP's counter is the next one; the last step of TOTP counts if it lies ahead; drift is seconds by step."""
    tokens = (
        token(1, counter=7, count=8),
        token(2, counter=8, count=7),
        token(3, type="totp", counter=HERE - 500),
        token(4, type="totp", counter=HERE + 9, info_list={"timeStep": "30"}),
        token(
            5, type="totp", counter=5, otplen=8, info_list={"timeStep": 60, "timeShift": "-121.5", "hashlib": "sha256"}
        ),
        token(6, type="TOTP", counter=0, info_list={"timeShift": 91.0}),
    )
    found = seeds(privacyidea, as_json(*tokens) if written is as_json else as_yaml(*tokens))
    assert [(each.moving_factor, each.drift) for each in found] == [
        (8, 0),
        (8, 0),
        (HERE + 2, 0),
        (HERE + 9, 0),
        (HERE // 2 + 2, -3),
        (HERE + 2 + 4, 4),
    ]
    assert (found[4].digits, found[4].step, found[4].algorithm) == (8, 60, "sha256")


def test_a_used_yubikey_goes_on_behind_its_last_use() -> None:
    """Its AES key, private and public id become one secret; the stored number is one more than the last use."""
    info = {"yubikey.tokenid": "0123456789ab", "yubikey.prefix": MODHEX}
    key = in_hex(1, 16)
    (found,) = seeds(privacyidea, as_json(token(type="yubikey", otpkey=key, otplen=44, counter=0x0102, info_list=info)))
    assert (found.kind, found.digits, found.moving_factor) == ("yubico", 44, 0x0101)
    assert found.secret.hex() == key + "0123456789ab" + "000000010827"
    never_used = left_out(privacyidea, as_json(token(type="yubikey", otpkey=key, info_list={})))
    assert "programming log" in never_used.why
    wrong = token(type="yubikey", otpkey=in_hex(1), info_list=info)
    assert "AES key" in flaw(privacyidea, as_json(wrong)).problem


def test_one_seed_comes_in_once() -> None:
    """Two serials of one seed would let one code in twice, on one line of the file as on two."""
    for text in (as_json(token(1), token(2, otpkey=in_hex(1))), json.dumps([token(1), token(2, otpkey=in_hex(1))])):
        kinds = [type(entry) for entry in entries(privacyidea, text)]
        assert kinds == [Seed, LeftOut]
    further = entries(privacyidea, as_json(token(1, counter=5), token(2, otpkey=in_hex(1), counter=6)))
    assert isinstance(further[1], Flaw)


# --- taken -----------------------------------------------------------------------------------------------------------


def test_names_dates_and_words_come_along() -> None:
    """The login without its realm, an ``@`` in it or not; validity with its zone; a description on one line."""
    info = {"validity_period_start": "2026-01-01T00:00+0000", "validity_period_end": "2027-01-01T01:00+0100"}
    (one,) = seeds(privacyidea, as_json(token(user=owned("alice", "corp"), info_list=info, description="a\nb\x1b[0m")))
    assert (one.user, one.valid_from, one.valid_until) == ("alice", 1767225600.0, 1798761600.0)
    assert one.label == "a b [0m"
    (two,) = seeds(privacyidea, as_yaml(token(owner="alice@example.com@corp", otpkey=in_base32(1))))
    assert (two.user, two.secret) == ("alice@example.com", seed(1))
    long = "a description that is so long that the writer of YAML folds it over more than one line of text: yes"
    (three,) = seeds(privacyidea, as_yaml(token(owner="n/a", description=long)))
    assert (three.user, three.label) == (None, long)


def test_lines_are_those_of_the_entries() -> None:
    """Each entry says where it begins."""
    assert [each.line for each in seeds(privacyidea, as_yaml(token(1), token(2)))] == [1, 18]
    assert [each.line for each in seeds(privacyidea, as_json(token(1), token(2)))] == [2, 22]


def test_the_samples_are_recognised_and_read() -> None:
    """The files in hardware/samples are such exports; other lists are none."""
    readable = Path("hardware/samples/privacyidea.yaml").read_bytes()
    wrapped = Path("hardware/samples/privacyidea.pi").read_bytes()
    key = Path("hardware/samples/privacyidea.key").read_bytes()
    assert privacyidea.sniff(readable[:4096])
    assert privacyidea.sniff(wrapped[:4096])
    assert [type(entry) for entry in entries(privacyidea, readable)] == [Seed, Seed, LeftOut, LeftOut]
    assert [type(entry) for entry in entries(privacyidea, wrapped, replace(HOW, key=key))] == [Seed, Seed, Seed]
    for other in (b"serial,secret\n", b"[{}]", b"- x: 1\n", b"OATH1, 1234, hotp, 6\n"):
        assert not privacyidea.sniff(other)
