"""What a question offers to a security key, and how its prompt says so: to whom, in which words, and in how many.

Refusals first: whoever has proved nothing learns nothing from a prompt, and no prompt breaks a client that shows it.
RFC 2865 5.18 (Reply-Message); what clients do with it: WIRE 2.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Final

import pytest

from radiusd2fa.core.ceremonies import StationAnswer, credential_id
from radiusd2fa.core.model import Flow, KeyCeremony, Known, Nas, TokenState, User
from radiusd2fa.core.responder import ResponderCode, find_code, match_code
from radiusd2fa.core.rules import CEREMONIES, LOCAL, MAX_PROMPT_LENGTH, NOBODY, Rule, Rules, Station
from tests.factors.keys import FIDO, ed448_key, es256, text_of

from .facts import ALICE, HOTP, NONCE, NOW, TOTP, WRONG
from .keyring import (
    BASTION,
    K1,
    KEY,
    LATER_NONCE,
    RULE,
    RULES,
    SECOND,
    VPN,
    WITH_BOTH,
    WITH_FOB,
    WITH_KEY,
    WITH_KEYS,
    WITH_NOTHING,
    answered,
    asked,
    begun,
    by_rule,
    decided,
    packet,
    pending,
)

CODE: Final = str(ResponderCode(NONCE[24:]))
MATCH: Final = match_code(NONCE[24:])

# --- nobody has proved anything --------------------------------------------------------------------------------------

PEOPLE: Final[dict[str, tuple[str, User | None]]] = {
    "key": ("alice", WITH_KEY),
    "two keys": ("alice", WITH_KEYS),
    "fob": ("alice", WITH_FOB),
    "both": ("alice", WITH_BOTH),
    "nothing": ("alice", WITH_NOTHING),
    "a revoked key": ("alice", replace(ALICE, tokens=(replace(K1, state=TokenState.REVOKED),))),
    "a key, locked": ("alice", replace(WITH_KEY, locked_until=NOW + 60)),
    "a key, disabled": ("alice", replace(WITH_KEY, enabled=False)),
    "a key, in the group": ("alice", replace(WITH_KEY, groups=("staff",))),
    "a fob, in the group": ("alice", replace(WITH_FOB, groups=("staff",))),
    "both, in another group": ("alice", replace(WITH_BOTH, groups=("guests",))),
    "a key, another name": ("bob", replace(WITH_KEY, name="bob")),
    "nobody": ("carol", None),
}

STAFF: Final = frozenset({"staff"})
SITES: Final = {
    "one rule for all": (RULE,),
    "paste only": (replace(RULE, ceremonies=("paste",)),),
    "stations only": (replace(RULE, ceremonies=("station",)),),
    "keys only": (replace(RULE, factors=("fido",)),),
    "no keys": (replace(RULE, factors=("totp", "hotp")),),
    "keys for a group, fobs for the others": (replace(RULE, groups=STAFF), Rule("others")),
    "a group and nobody else": (replace(RULE, groups=STAFF),),
    "nobody who is here": (replace(RULE, groups=frozenset({"nobody"})),),
    "keys only for one": (replace(RULE, factors=("fido",), users=frozenset({"alice"})), Rule("others")),
    "verified users in a group": (replace(RULE, groups=STAFF, user_verification=True), RULE),
    "stations for a group": (replace(RULE, groups=STAFF, ceremonies=("station",)), RULE),
    "keys in fewer ways for a group": (replace(RULE, groups=STAFF, ceremonies=("ssh",)), RULE),
    "another client has other rules": (replace(RULE, clients=frozenset({"vpn"}), user_verification=True), RULE),
}


@pytest.mark.parametrize("nas", [BASTION, VPN], ids=lambda nas: nas.name)
@pytest.mark.parametrize("checks", [True, False], ids=["code-only", "nobody checks passwords"])
@pytest.mark.parametrize("site", SITES.values(), ids=SITES.keys())
def test_whoever_has_proved_nothing_learns_nothing(site: tuple[Rule, ...], checks: bool, nas: Nas) -> None:
    """Known or not, locked or not, with keys or without, in whatever group: all are asked in the very same words.

    That holds for the second question, after a wrong code or none, as well as for the first.
    """
    named = tuple(replace(rule, name=f"rule {place}") for place, rule in enumerate(site))
    rules = replace(RULES, rules=named, primary=LOCAL if checks else NOBODY)
    nas = replace(nas, flow=Flow.CODE_ONLY if checks else Flow.CHALLENGE)
    heard: dict[tuple[str, ...], list[str]] = {}
    for who, (name, user) in PEOPLE.items():
        first = decided(packet(b"", nas, name=name), Known(user=user), rules)
        prompts = [getattr(first, "prompt", repr(first))]
        for text in (WRONG, b"", b"help", b"A" * 99):
            again = answered(text, pending(first), user, nas, rules, name=name)
            prompts.append(getattr(again, "prompt", repr(again)))
        question = pending(first)
        if question.ceremony is not None and question.ceremony.station:  # as when a second login begins meanwhile
            question = replace(question, ceremony=replace(question.ceremony, contested=True))
        prompts.append(getattr(answered(b"", question, user, nas, rules, name=name), "prompt", "refused"))
        heard.setdefault(tuple(prompts), []).append(who)
    assert len(heard) == 1, heard


def test_before_the_password_everything_that_anybody_may_use_is_offered() -> None:
    """The words are those for somebody with a fob and a key, and a key is really meant: its answer is accepted."""
    nas = replace(BASTION, flow=Flow.CODE_ONLY)
    for user in (WITH_KEY, WITH_FOB, None):
        question = asked(user, nas, text=b"")
        assert question.prompt == (
            f"Enter the code from your token, or touch your key at lobby-1 or lab (code {MATCH}), then press Enter, "
            f"or use your security key for bastion {CODE}: "
        )
    assert begun(asked(WITH_KEY, nas, text=b"")).credentials == (KEY.credential_id,)
    assert begun(asked(None, nas, text=b"")) == KeyCeremony(NONCE[24:])


def test_before_the_password_other_clients_rules_say_nothing() -> None:
    """What somebody may use elsewhere is not offered here, and does not change how it is asked for."""
    elsewhere = replace(RULE, clients=frozenset({"vpn"}), user_verification=True)
    codes = Rule("codes", ("hotp",), clients=frozenset({"bastion"}))
    by_ssh = replace(RULE, clients=frozenset({"bastion"}), ceremonies=("ssh",), factors=("fido",))
    nas = replace(BASTION, flow=Flow.CODE_ONLY)
    for here, expected in ((codes, "Enter the code from your token: "), (by_ssh, f"U{BY_RESPONDER[1:]}")):
        rules = replace(RULES, rules=(elsewhere, here))
        assert asked(WITH_BOTH, nas, rules, text=b"").prompt == expected
        assert asked(None, nas, rules, text=b"").prompt == expected


def test_stations_are_not_shown_people_who_have_no_key() -> None:
    """A question that no key can answer waits for no station, though its words are the same."""
    for user in (WITH_FOB, WITH_NOTHING, None):
        assert not begun(asked(user, replace(BASTION, flow=Flow.CODE_ONLY), text=b"")).station


# --- after the password: only what that person can use ---------------------------------------------------------------

BY_RESPONDER: Final = f"use your security key for bastion {CODE}: "
AT_STATIONS: Final = f"touch your key at lobby-1 or lab (code {MATCH}), then press Enter"
A_CODE: Final = "Enter the code from your token"

TAILORED: Final[dict[str, tuple[User, tuple[str, ...], Nas, str]]] = {
    "a fob": (WITH_FOB, CEREMONIES, BASTION, f"{A_CODE}: "),
    "nothing": (WITH_NOTHING, CEREMONIES, BASTION, f"{A_CODE}: "),
    "a key, by ssh": (WITH_KEY, ("ssh",), BASTION, f"U{BY_RESPONDER[1:]}"),
    "a key, by hand": (WITH_KEY, ("paste",), BASTION, f"U{BY_RESPONDER[1:]}"),
    "a key, at a station": (WITH_KEY, ("station",), BASTION, f"T{AT_STATIONS[1:]}: "),
    "a key, in every way": (WITH_KEY, CEREMONIES, BASTION, f"T{AT_STATIONS[1:]}, or {BY_RESPONDER}"),
    "both, by ssh": (WITH_BOTH, ("ssh",), BASTION, f"{A_CODE}, or {BY_RESPONDER}"),
    "both, at a station": (WITH_BOTH, ("station",), BASTION, f"{A_CODE}, or {AT_STATIONS}: "),
    "both, in every way": (WITH_BOTH, CEREMONIES, BASTION, f"{A_CODE}, or {AT_STATIONS}, or {BY_RESPONDER}"),
    "a key, by ssh where no host has a name": (WITH_KEY, ("ssh",), VPN, f"{A_CODE}: "),
    "both, by ssh where no host has a name": (WITH_BOTH, ("ssh",), VPN, f"{A_CODE}: "),
    "a key, by hand where no host has a name": (WITH_KEY, ("paste",), VPN, f"Use your security key for vpn {CODE}: "),
    "a key, at stations of another client": (WITH_KEY, ("station",), Nas("gw"), f"{A_CODE}: "),
    "a key, at the stations of this client": (
        WITH_KEY,
        ("station",),
        VPN,
        f"Touch your key at lab or attic (code {MATCH}), then press Enter: ",
    ),
}


@pytest.mark.parametrize("case", TAILORED.values(), ids=TAILORED.keys())
def test_after_the_password_the_question_is_for_that_person(case: tuple[User, tuple[str, ...], Nas, str]) -> None:
    """A prompt speaks of codes to those who have a fob, and of each way in which their key may answer here."""
    user, ceremonies, nas, expected = case
    question = asked(user, nas, by_rule(replace(RULE, ceremonies=ceremonies)))
    assert question.prompt == expected
    assert (pending(question).ceremony is None) == (expected == f"{A_CODE}: ")


@pytest.mark.parametrize(
    "rules",
    [replace(RULES, fido=None), by_rule(replace(RULE, factors=("totp", "hotp")))],
    ids=["no relying party", "a rule without keys"],
)
def test_where_keys_do_not_count_none_is_asked_for(rules: Rules) -> None:
    """Without a relying party, or by a rule that leaves keys out, the question is for a code whatever a person has."""
    for user in (WITH_KEY, WITH_BOTH, WITH_FOB):
        question = asked(user, rules=rules)
        assert question.prompt == "Enter the code from your token: "
        assert pending(question).ceremony is None


STATES: Final = {
    "locked": lambda user: replace(user, locked_until=NOW + 60),
    "locked for long": lambda user: replace(user, locked_until=NOW + 1e6, failures=50),
    "disabled": lambda user: replace(user, enabled=False),
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES.keys())
@pytest.mark.parametrize("user", [WITH_KEY, WITH_KEYS, WITH_FOB, WITH_BOTH, WITH_NOTHING])
@pytest.mark.parametrize("nas", [BASTION, VPN], ids=lambda nas: nas.name)
def test_a_lock_cannot_be_seen_in_a_prompt(change: object, user: User, nas: Nas) -> None:
    """Who has the password of somebody locked or disabled is asked as if nothing were the matter."""
    assert callable(change)
    assert asked(change(user), nas).prompt == asked(user, nas).prompt
    assert begun_or_none(change(user), nas) == begun_or_none(user, nas)


def begun_or_none(user: User, nas: Nas) -> KeyCeremony | None:
    """What a question offers to a key, if anything."""
    return pending(asked(user, nas)).ceremony


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(K1, state=TokenState.REVOKED),
        replace(K1, state=TokenState.LOST),
        replace(K1, state=TokenState.DISABLED),
        replace(K1, valid_from=NOW + 1),
        replace(K1, valid_until=NOW),
    ],
)
def test_a_key_that_does_not_count_is_not_asked_for(spoilt: object) -> None:
    """Revoked, lost, disabled, too early or too late: the question is for the fob alone."""
    question = asked(replace(ALICE, tokens=(spoilt, HOTP)))  # type: ignore[arg-type]  # a token
    assert question.prompt == "Enter the code from your token: "
    assert pending(question).ceremony is None


def test_the_question_remembers_the_nonce_and_all_credentials() -> None:
    """Sixteen fresh octets, and the id of each of the person's keys for the stations, but of nothing else of theirs."""
    user = replace(ALICE, tokens=(HOTP, *WITH_KEYS.tokens, TOTP))
    expected = KeyCeremony(NONCE[24:], station=True, credentials=(KEY.credential_id, SECOND.credential_id))
    assert begun(asked(user)) == expected
    assert begun(asked(user, rules=by_rule(replace(RULE, ceremonies=("ssh",))))) == replace(expected, station=False)
    assert len(NONCE[24:]) == 16


def test_no_octet_of_the_nonce_is_shown_elsewhere() -> None:
    """State and login id say nothing about what a key will be asked to sign."""
    question = asked(WITH_KEY)
    shown = pending(question).handle + pending(question).login
    assert begun(question).nonce.hex() not in shown
    assert bytes.fromhex(shown) == NONCE[:24]


@pytest.mark.parametrize("length", [1, 16, 64, 255, 256, 1023])
def test_the_id_of_a_credential_is_read_out_of_what_is_stored(length: int) -> None:
    """Whatever the length of the id and the kind of the key."""
    for key in (es256(), ed448_key()):
        named = replace(key, credential_id=bytes(range(256))[:length] * (1 if length < 257 else 4))
        assert credential_id(named.attested()) == named.credential_id


# --- the question put again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "words"),
    [(WITH_FOB, "Enter the next code: "), (WITH_BOTH, "Enter the next code, or "), (WITH_KEY, "Touch your key")],
)
def test_the_second_question_asks_for_the_next_code(user: User, words: str) -> None:
    """Those who have a fob are asked for the next code; a key is asked for as before."""
    again = answered(WRONG, pending(asked(user)), user)
    assert getattr(again, "prompt", "").startswith(words)


def test_what_a_station_shows_goes_on() -> None:
    """A wrong code beside a waiting station changes neither nonce nor match code; somebody may just be walking over."""
    first = asked(WITH_BOTH)
    again = answered(WRONG, pending(first), WITH_BOTH)
    assert begun(again) == begun(first)
    assert MATCH in again.prompt  # type: ignore[union-attr]  # it is a question


def test_without_a_station_each_question_has_its_own_nonce() -> None:
    """A response belongs to one question, not to the one after it."""
    rules = by_rule(replace(RULE, ceremonies=("ssh", "paste")))
    first = asked(WITH_BOTH, rules=rules)
    again = answered(WRONG, pending(first), WITH_BOTH, rules=rules)
    assert begun(again).nonce == LATER_NONCE[24:] != begun(first).nonce


def test_a_contest_is_not_forgotten() -> None:
    """Once two logins have waited for one person's touch, asking again does not make either of them good."""
    first = pending(asked(WITH_BOTH))
    assert first.ceremony is not None
    contested = replace(first, ceremony=replace(first.ceremony, contested=True))
    assert begun(answered(WRONG, contested, WITH_BOTH)).contested


# --- every prompt that settings allow --------------------------------------------------------------------------------

LONGEST_CLIENT: Final = Nas("Passwords" + "W" * 55, host_names=(f"{'h' * 63}.example.org",))
THEIR_CLIENTS: Final = frozenset({LONGEST_CLIENT.name, "v", "bastion"})
FIVE_STATIONS: Final = tuple(Station(f"{n}" + "w" * 31, THEIR_CLIENTS) for n in range(5))
SHORT_STATION: Final = (Station("a", THEIR_CLIENTS),)


@pytest.mark.parametrize("user_verification", [False, True])
@pytest.mark.parametrize("user", [WITH_KEY, WITH_BOTH, WITH_FOB, WITH_NOTHING], ids=["key", "both", "fob", "nothing"])
@pytest.mark.parametrize("nas", [LONGEST_CLIENT, Nas("v", host_names=("h",)), BASTION], ids=["long", "short", "usual"])
def test_every_prompt_can_be_shown(nas: Nas, user: User, user_verification: bool) -> None:
    """At most 200 ASCII characters without markup, ending in a colon and a space, and never like a password's.

    The longest names that settings allow, any number of stations, every set of ceremonies, first and second question.
    """
    every_way = [[way for way, wanted in zip(CEREMONIES, some, strict=True) if wanted] for some in WANTED]
    for stations, ceremonies in product((FIVE_STATIONS, FIVE_STATIONS[:1], SHORT_STATION, ()), every_way):
        rule = replace(RULE, ceremonies=tuple(ceremonies), user_verification=user_verification)
        rules = replace(RULES, stations=stations, rules=(rule,))
        first = asked(user, nas, rules)
        for prompt in (first.prompt, getattr(answered(WRONG, pending(first), user, nas, rules), "prompt", "")):
            assert 0 < len(prompt) <= MAX_PROMPT_LENGTH
            assert prompt.isascii()
            assert prompt.isprintable()
            assert not set(prompt) & set("<>&")
            assert prompt.endswith(": ")
            assert not prompt.lower().startswith("password")


def test_a_prompt_is_cut_down_when_it_has_to_be_and_not_before() -> None:
    """Over all lengths of names: never over 200 characters, and never shorter for want of one that was free."""
    lengths = set()
    for of_client, of_station in product(range(1, 65), (1, 7, 20, 32)):
        nas = replace(BASTION, name="c" * of_client)
        stations = (Station("s" * of_station, frozenset({nas.name})),)
        prompt = asked(WITH_BOTH, nas, replace(RULES, stations=stations)).prompt
        assert (" for c" in prompt) == (len(prompt.replace(" for " + nas.name, "")) + 5 + of_client <= 200)
        lengths.add(len(prompt))
    assert max(lengths) == MAX_PROMPT_LENGTH


WANTED: Final = tuple(product((True, False), repeat=3))


@pytest.mark.parametrize("user_verification", [False, True])
@pytest.mark.parametrize("user", [WITH_KEY, WITH_BOTH])
@pytest.mark.parametrize("nas", [LONGEST_CLIENT, BASTION], ids=["long", "usual"])
def test_the_code_is_in_the_prompt_however_long_the_names(nas: Nas, user: User, user_verification: bool) -> None:
    """When room is short names give way, never the code; ssh puts user and host before it and it is still found."""
    rule = replace(RULE, user_verification=user_verification)
    for stations in (FIVE_STATIONS, SHORT_STATION, ()):
        question = asked(user, nas, replace(RULES, stations=stations, rules=(rule,)))
        found = find_code(f"(alice@{nas.host_names[0]}) {question.prompt}")
        assert found == ResponderCode(begun(question).nonce, user_verification)
        if stations:
            assert f"(code {match_code(begun(question).nonce)})" in question.prompt


def test_names_give_way_one_after_the_other() -> None:
    """First the client's name goes, then those of the stations: both help only if they can be read."""
    rules = replace(RULES, stations=FIVE_STATIONS[:1])
    all_names = replace(BASTION, name="b")
    some = replace(rules, stations=(Station("w" * 32, frozenset({"b", LONGEST_CLIENT.name})),))
    assert "for b " in asked(WITH_BOTH, all_names, some).prompt
    assert "w" * 32 in asked(WITH_BOTH, all_names, some).prompt
    shorter = asked(WITH_BOTH, LONGEST_CLIENT, some).prompt
    assert LONGEST_CLIENT.name not in shorter
    assert "at a station (code " in asked(WITH_BOTH, LONGEST_CLIENT, replace(rules, stations=FIVE_STATIONS)).prompt


# --- what a station brings in ----------------------------------------------------------------------------------------

BROUGHT: Final = StationAnswer("lobby-1", b"credential", b"{}", bytes(37), b"signature")


def test_what_a_station_brings_in_comes_back() -> None:
    """It is a text with a prefix of its own, and what was written is read again."""
    assert str(BROUGHT).startswith("RKS1-")
    assert StationAnswer.read(str(BROUGHT)) == BROUGHT


@pytest.mark.parametrize("member", ["station", "id", "clientDataJSON", "authenticatorData", "signature"])
@pytest.mark.parametrize("value", [None, 7, ["x"], "\ud800", ...])
def test_each_member_of_it_is_looked_at(member: str, value: object) -> None:
    """With one member missing or of another type it is nothing."""
    members = {name: it for name, it in {**BROUGHT.members(), member: value}.items() if it is not ...}
    assert StationAnswer.read("RKS1-" + text_of(json.dumps(BROUGHT.members()).encode())) == BROUGHT
    assert StationAnswer.read("RKS1-" + text_of(json.dumps(members).encode())) is None


def test_what_a_station_brings_in_has_a_size() -> None:
    """Nothing longer than 16 KiB is looked at, and nothing deep."""
    room = replace(BROUGHT, client_data=b" " * 8_900)
    assert StationAnswer.read(str(room)) == room
    assert StationAnswer.read(str(replace(BROUGHT, client_data=b" " * 12_000))) is None
    assert StationAnswer.read("RKS1-" + "W1tb" * 4_000) is None
    assert FIDO.rp_id not in repr(room)
