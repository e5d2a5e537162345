"""`radiusd2fa check`: whether the site is in order, which rule decides a login, and how likely guessing is.

It changes nothing. Exit codes: 0 in order, 1 that login cannot succeed, 2 something is wrong with the site.
The arithmetic of guessing is core.risk's (RFC 4226 7.3 asks for it).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import Token
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.keyring import Keyring

from .conftest import Shell

RULES: Final = """rules:
  - {name: admins, when: {groups: [netadmin]}, factors: [totp]}
  - {name: named, when: {users: [bob], clients: [lab]}, factors: [hotp, totp]}
primary:"""
WHO: Final = ("check", "--client", "lab", "--user")
STATIONS: Final = """stations:
  lobby: {clients: [lab], reader: ACS}
  door: {clients: [lab], usb: /dev/hidraw0}
"""
VPN: Final = "  vpn: {networks: [192.0.2.1], secret: 'a secret of enough characters'}\n"


def test_a_site_in_order(shell: Shell) -> None:
    """The last line says so; MS-CHAPv2 is spoken of, because people look for it here."""
    out = shell.run("check")
    assert "MS-CHAPv2 is not offered" in out
    assert out.splitlines()[-1] == f"{shell.config} is in order; clients: 1, primary: local"


def test_a_site_with_keys_in_order(shell: Shell) -> None:
    """The last line has the RP ID, on which all keys depend, and the number of stations, for people and programs."""
    shell.change("primary:", f"fido: {{rp_id: auth.example.org}}\n{STATIONS}primary:")
    assert shell.run("check").splitlines()[-1] == (
        f"{shell.config} is in order; clients: 1, primary: local, RP ID: auth.example.org, stations: 2"
    )
    shown = shell.say("check", "--json").json()
    assert (shown["rp_id"], shown["stations"]) == ("auth.example.org", ["lobby", "door"])


def test_in_json(shell: Shell) -> None:
    """One document: in order, the warnings, what there is, and the risks as numbers between 0 and 1."""
    shown = shell.say("check", "--json").json()
    assert shown["ok"] is True
    assert (shown["clients"], shown["primary"], shown["backends"]) == (["lab"], "local", {"local": "local"})
    assert shown["enrolment"] == []
    assert (shown["rp_id"], shown["stations"]) == (None, [])
    assert set(shown["yearly_guessing_risk"]) == {"hotp with 6 digits", "totp with 6 digits"}
    assert all(0 < risk < 1 for risk in shown["yearly_guessing_risk"].values())


WEAK: Final = {
    "unsigned requests": ("message_authenticator: required", "message_authenticator: observe", "lab"),
    "unsigned replies": ("flow: challenge", "sign_replies: no\n    flow: challenge", "lab"),
    "cheap hashes": ("flow: challenge", "flow: challenge", "hashes"),
    "paste": (
        "primary:",
        "fido: {rp_id: a.example}\nrules: [{name: office, ceremonies: [paste]}]\nprimary:",
        "rule office: it allows paste",
    ),
}


@pytest.mark.parametrize("weak", WEAK.values(), ids=WEAK.keys())
def test_what_is_weaker_than_it_should_be_is_said(shell: Shell, weak: tuple[str, str, str]) -> None:
    """A warning for people and in JSON; the site is still in order."""
    old, new, word = weak
    shell.change(old, new)
    lines = [line for line in shell.run("check").splitlines() if line.startswith("warning: ")]
    warnings = [line for line in lines if "guessing" not in line]
    assert any(word in line for line in warnings)
    assert [f"warning: {warning}" for warning in shell.say("check", "--json").json()["warnings"]] == warnings


def test_a_site_that_is_easily_guessed_is_told(shell: Shell) -> None:
    """Above one percent a year the remedy is named, below it is not."""
    shell.change("primary:", "throttle: {max_failures: 2, max_lock: 24h}\nprimary:")
    assert "warning: guessing" not in shell.run("check")
    shell.change("max_lock: 24h", "max_lock: 60s")
    (line,) = [line for line in shell.run("check").splitlines() if "hotp" in line]
    assert line.startswith("warning: ")
    assert "8 digits" in line
    assert shell.say("check", "--json").json()["yearly_guessing_risk"]["hotp with 6 digits"] == 1.0


def test_guessing_is_judged_under_the_rule_that_makes_it_easiest(shell: Shell) -> None:
    """A wide window for a few people is as good as one for everybody, for who wants to guess."""
    before = shell.say("check", "--json").json()["yearly_guessing_risk"]["hotp with 6 digits"]
    shell.change("primary:", "rules: [{name: a, when: {users: [x]}, hotp: {look_ahead: 50}}, {name: b}]\nprimary:")
    after = shell.say("check", "--json").json()["yearly_guessing_risk"]["hotp with 6 digits"]
    assert after > 3 * before


# --- what people have ------------------------------------------------------------------------------------------------

PILOT: Final = (
    "rules:\n"
    "  - {name: pilot, when: {groups: [staff]}, enrolment: {grace_until: 2999-01-31}}\n"
    "  - {name: rest, factors: [totp]}\n"
    "time_zone: UTC\nprimary:"
)


@pytest.fixture
def pilot(people: Shell) -> Shell:
    """A shell beside a site where alice and the disabled dave have a token, bob had one, carol and erin had none."""
    for name, group in (("bob", "staff"), ("carol", "staff"), ("dave", "staff"), ("erin", "other")):
        people.run("user", "add", name, "--no-password", "--group", group)
    for serial, user in (("H2", "bob"), ("H3", "dave")):
        people.add_token(serial, user=user, seed=serial.encode() * 10)
    people.run("token", "unassign", "H2")
    people.run("user", "disable", "dave")
    people.change("primary:", PILOT)
    return people


def test_how_many_are_uncovered_until_the_grace_ends(pilot: Shell) -> None:
    """Of those whom the rule is for and who may log in, those who have never had a token; no warning, a fact."""
    line = pilot.config.read_text().splitlines().index(PILOT.splitlines()[1]) + 1
    until = datetime(2999, 2, 1, tzinfo=UTC).timestamp()
    out = pilot.run("check")
    assert f"\nline {line}: rule pilot: grace until 2999-01-31; 1 of 2 people has no token yet\n" in out
    assert pilot.say("check", "--json").json()["enrolment"] == [
        {"rule": "pilot", "line": line, "until": until, "people": 2, "without_token": 1}
    ]


def test_a_factor_that_nobody_has_is_warned_about(pilot: Shell) -> None:
    """Alice has a fob with a button and erin none at all, where the rule wants a clock; with one clock all is well."""
    (warning,) = [line for line in pilot.run("check").splitlines() if "rule rest" in line]
    assert warning.endswith(
        "rule rest: 2 people fit it, and none has a totp token that works; hand some out, or change its factors"
    )
    assert warning.startswith("warning: line ")
    assert warning.removeprefix("warning: ") in pilot.say("check", "--json").json()["warnings"]
    pilot.add_token("T1", "--kind", "totp", user="erin", seed=b"a seed of its own....")
    assert "rule rest" not in pilot.run("check")
    pilot.run("token", "disable", "T1")
    assert "rule rest" in pilot.run("check")


def test_a_date_that_has_passed_is_warned_about(people: Shell) -> None:
    """Only the command knows the time; the site is still in order."""
    people.change("primary:", "rules: [{name: a, enrolment: {grace_until: 2020-02-29}}]\nprimary:")
    (warning,) = [line for line in people.run("check").splitlines() if "ended" in line]
    assert re.fullmatch(
        r"warning: line \d+: rule a: the time of its enrolment ended with 2020-02-29; delete enrolment", warning
    )


# --- one login -------------------------------------------------------------------------------------------------------


def test_the_rule_for_a_login(people: Shell) -> None:
    """Client, flow, rule, factors and the tokens that can be used, for people and for programs."""
    out = people.run(*WHO, "ALICE")
    for name, value in (("client", "lab"), ("flow", "challenge"), ("rule", "all"), ("user", "alice"), ("tokens", "H1")):
        assert any(line.split() == [name, value] for line in out.splitlines()), name
    shown = people.say(*WHO, "alice", "--json").json()
    assert (shown["client"], shown["user"], shown["flow"], shown["tokens"]) == ("lab", "alice", "challenge", ["H1"])
    assert shown["rule"]["name"] == "all"
    assert shown["rule"]["factors"] == ["yubico", "totp", "hotp", "recovery"]


def _no_rule(shell: Shell) -> None:
    shell.change("primary:", RULES)


def _disabled(shell: Shell) -> None:
    shell.run("user", "disable", "alice")


def _revoked(shell: Shell) -> None:
    shell.run("token", "revoke", "H1")


def _unassigned(shell: Shell) -> None:
    shell.run("token", "unassign", "H1")


def _other_factor(shell: Shell) -> None:
    shell.change("primary:", "rules: [{name: clocks, factors: [totp]}]\nprimary:")


SHUT_OUT: Final[dict[str, tuple[Callable[[Shell], None], str]]] = {
    "no rule fits": (_no_rule, "none fits: nobody gets in"),
    "disabled": (_disabled, "disabled"),
    "token revoked": (_revoked, "none that this rule allows"),
    "token taken back": (_unassigned, "none that this rule allows"),
    "token of another kind": (_other_factor, "none that this rule allows"),
}


@pytest.mark.parametrize("case", SHUT_OUT.values(), ids=SHUT_OUT.keys())
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_login_that_cannot_succeed(
    people: Shell, case: tuple[Callable[[Shell], None], str], form: tuple[str, ...]
) -> None:
    """What applies is still shown, with the reason, and the exit code is 1."""
    plant, reason = case
    plant(people)
    said = people.say(*WHO, "alice", *form)
    assert said.code == 1
    assert "alice cannot log in at lab" in said.err
    if form:
        assert said.json()["user"] == "alice"
    else:
        assert reason in said.out


# --- one login with a security key -----------------------------------------------------------------------------------


@pytest.fixture
def keyholder(people: Shell) -> Shell:
    """A shell beside a site with a relying party, where alice has one key and nothing else."""
    people.change("primary:", "fido: {rp_id: auth.example.org}\nprimary:")
    people.run("token", "revoke", "H1")
    attested = bytes(16) + len(b"credential").to_bytes(2, "big") + b"credential" + b"\xa0"
    key = Token(id=0, serial="K1", kind="fido", moving_factor=0, secret=attested, digits=0)
    with Keyring(
        SqliteFile(people.folder / "radiusd2fa.db"), vault.load(people.folder / "vault.key"), "nobody"
    ) as keyring:
        keyring.add("alice", key, "", 1_700_000_000.0)
    return people


def facts(out: str) -> dict[str, str]:
    """Read the lines of a record."""
    return dict(re.split(r"  +", line, maxsplit=1) for line in out.splitlines())


NO_HOSTS: Final = "no: the client has no host_names; write the names that people type behind `ssh`"
NO_STATION: Final = "no: no station serves this client; name it under the clients of a station"
NO_PASTE: Final = "no: the rule does not allow it; add paste to its ceremonies"
NO_FLOW: Final = "no: its flow append asks no question that a key could answer; write flow: auto"

NOWHERE: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "no host names and no station": (
        "primary:",
        "primary:",
        {"key by ssh": NO_HOSTS, "key by paste": NO_PASTE, "key by station": NO_STATION},
    ),
    "host names, but no ssh": (
        "primary:",
        "rules: [{name: a, ceremonies: [station]}]\nprimary:",
        {"key by ssh": "no: the rule does not allow it; add ssh to its ceremonies", "key by station": NO_STATION},
    ),
    "a flow that asks nothing": (
        "flow: challenge",
        "host_names: [lab]\n    flow: append",
        {"key by ssh": NO_FLOW, "key by paste": NO_FLOW, "key by station": NO_FLOW},
    ),
}


@pytest.mark.parametrize(("old", "new", "told"), NOWHERE.values(), ids=NOWHERE.keys())
def test_a_key_that_can_answer_nowhere(keyholder: Shell, old: str, new: str, told: dict[str, str]) -> None:
    """Each way is shown with what is in its way and what to write; somebody who has only a key cannot log in."""
    keyholder.change(old, new)
    said = keyholder.say(*WHO, "alice")
    assert said.code == 1
    assert "alice cannot log in at lab" in said.err
    shown = facts(said.out)
    assert told.items() <= shown.items()
    assert shown["tokens"] == "none that can be used here"
    said = keyholder.say(*WHO, "alice", "--json")
    assert said.code == 1
    assert said.json()["tokens"] == []
    for name, text in told.items():
        way = said.json()["ceremonies"][name.removeprefix("key by ")]
        assert (way["possible"], f"no: {way['problem']}; {way['remedy']}") == (False, text)


def test_a_fob_beside_a_key_that_can_answer_nowhere(keyholder: Shell) -> None:
    """Only the fob is shown as usable, and is enough."""
    keyholder.add_token("H2", seed=b"another seed, also of 20 octets")
    assert facts(keyholder.run(*WHO, "alice"))["tokens"] == "H2"
    assert keyholder.say(*WHO, "alice", "--json").json()["tokens"] == ["H2"]


def test_a_rule_without_keys(keyholder: Shell) -> None:
    """A key is no token of such a rule, and no way to use one is shown."""
    keyholder.change("primary:", f"{STATIONS}rules: [{{name: fobs, factors: [hotp]}}]\nprimary:")
    said = keyholder.say(*WHO, "alice")
    assert said.code == 1
    assert facts(said.out)["tokens"] == "none that this rule allows"
    assert "key by" not in said.out
    assert keyholder.say(*WHO, "alice", "--json").json()["ceremonies"] == {}


SOMEWHERE: Final[dict[str, tuple[str, str, str, list[str]]]] = {
    "ssh": ("flow: challenge", "host_names: [lab.example, 192.0.2.1]", "ssh", ["lab.example", "192.0.2.1"]),
    "station": ("fido: {", f"{VPN}{STATIONS}  away: {{clients: [vpn]}}\nfido: {{", "station", ["lobby", "door"]),
    "paste": ("primary:", "rules: [{name: a, ceremonies: [paste]}]\nprimary:", "paste", []),
    "after an empty password": (
        "flow: challenge",
        "host_names: [lab.example]\n    flow: code-only",
        "ssh",
        ["lab.example"],
    ),
}


@pytest.mark.parametrize(("old", "new", "way", "places"), SOMEWHERE.values(), ids=SOMEWHERE.keys())
def test_a_key_that_can_answer(keyholder: Shell, old: str, new: str, way: str, places: list[str]) -> None:
    """The one way that is open is shown with its hosts or stations, and the key is among the tokens."""
    keyholder.change(old, new)
    shown = facts(keyholder.run(*WHO, "alice"))
    assert shown[f"key by {way}"] == (f"yes, at {' or '.join(places)}" if places else "yes")
    assert shown["tokens"] == "K1"
    answered = keyholder.say(*WHO, "alice", "--json").json()
    assert answered["ceremonies"][way] == {"possible": True, "at": places}
    assert [name for name, found in answered["ceremonies"].items() if found["possible"]] == [way]
    assert answered["tokens"] == ["K1"]


@pytest.mark.parametrize(
    ("word", "told"), [("required", "know its user: PIN or fingerprint"), ("discouraged", "be touched")]
)
def test_what_a_key_must_do(keyholder: Shell, word: str, told: str) -> None:
    """Whether a touch is enough is part of what applies to a login."""
    keyholder.change("primary:", f"rules: [{{name: a, ceremonies: [paste], user_verification: {word}}}]\nprimary:")
    assert facts(keyholder.run(*WHO, "alice"))["key must"] == told
    assert keyholder.say(*WHO, "alice", "--json").json()["rule"]["user_verification"] is (word == "required")


def test_without_a_relying_party_no_key_is_spoken_of(people: Shell) -> None:
    """A site that has only fobs reads nothing about keys."""
    assert "key" not in people.run(*WHO, "alice")
    assert people.say(*WHO, "alice", "--json").json()["ceremonies"] == {}


# --- and for all logins ----------------------------------------------------------------------------------------------


def test_the_rule_is_the_first_that_fits(people: Shell) -> None:
    """By group or by name, as the daemon would choose it."""
    people.change("primary:", RULES)
    people.run("user", "add", "bob", "--no-password")
    people.run("user", "add", "carol", "--no-password", "--group", "netadmin")
    for name, rule in (("bob", "named"), ("carol", "admins")):
        said = people.say(*WHO, name, "--json")
        assert said.json()["rule"]["name"] == rule
        assert said.code == 1


CONDITIONS: Final = """rules:
  - {name: vpn, when: {clients: [vpn]}}
  - {name: named, when: {users: [bob]}}
  - {name: grouped, when: {groups: [NetAdmin, ops]}}
  - {name: foreign, when: {realms: [corp]}}
  - {name: office, when: {networks: [192.0.2.0/24]}}
  - {name: night, when: {days: [mon], hours: ["22:00-06:00"]}}
  - {name: edge, when: {attributes: {NAS-Identifier: "edge-*", Cisco-AVPair: x}}}
  - {name: rest}
time_zone: UTC
primary:"""
WHY: Final = {
    "vpn": ("clients", "it is for vpn"),
    "named": ("users", "it is for bob"),
    "grouped": ("groups", "it is for netadmin, ops, and alice is in no group"),
    "foreign": ("realms", "it is for corp, and no realm was typed"),
    "office": ("networks", "it is not known where the person is; say so with --from"),
    "night": ("hours", "it is for other days or hours; try another time with --at"),
    "edge": ("attributes", "the request does not say NAS-Identifier as it should; say it with --attribute"),
}
TUESDAY: Final = ("--at", "2027-01-05T12:00")


@pytest.fixture
def conditions(people: Shell) -> Shell:
    """A shell beside a site with a rule for each condition."""
    people.change("primary:", VPN + CONDITIONS)
    return people


def test_each_rule_that_does_not_fit_says_why(conditions: Shell) -> None:
    """The first condition that is not met, with the line of the rule, down to the rule that decides."""
    lines = conditions.config.read_text().splitlines()
    at = {name: number for number, line in enumerate(lines, 1) for name in (*WHY, "rest") if f"{{name: {name}" in line}
    shown = facts(conditions.run(*WHO, "alice", *TUESDAY))
    for name, (condition, why) in WHY.items():
        assert shown[f"rule {name} (line {at[name]})"] == f"no, its {condition}: {why}"
    assert shown["rule"] == f"rest (line {at['rest']})"
    assert conditions.say(*WHO, "alice", *TUESDAY, "--json").json()["tried"] == [
        *(
            {"rule": name, "line": at[name], "condition": condition, "why": why}
            for name, (condition, why) in WHY.items()
        ),
        {"rule": "rest", "line": at["rest"], "condition": None, "why": None},
    ]


CHOSEN: Final = {
    "another client": (("--client", "vpn"), "alice", "vpn"),
    "a user": ((), "BOB", "named"),
    "a realm": ((), "alice@Corp", "foreign"),
    "an address": (("--from", "192.0.2.7"), "alice", "office"),
    "an address mapped into IPv6": (("--from", "::ffff:192.0.2.7"), "alice", "office"),
    "Monday night": (("--at", "2027-01-04T23:00"), "alice", "night"),
    "Tuesday morning": (("--at", "2027-01-05T05:59"), "alice", "night"),
    "Tuesday morning in Berlin": (("--at", "2027-01-05T06:59+01:00"), "alice", "night"),
    "later on Tuesday": (("--at", "2027-01-05T06:00"), "alice", "rest"),
    "attributes": (
        ("--attribute", "NAS-Identifier=edge-1", "--attribute", "cisco-avpair=x"),
        "alice",
        "edge",
    ),
    "half of the attributes": (("--attribute", "NAS-Identifier=edge-1"), "alice", "rest"),
}


@pytest.mark.parametrize(("told", "user", "rule"), CHOSEN.values(), ids=CHOSEN.keys())
def test_what_is_told_of_a_login_chooses_its_rule(
    conditions: Shell, told: tuple[str, ...], user: str, rule: str
) -> None:
    """Client, name, realm, address, time and attributes count as they would in a packet."""
    for name in ("bob", "alice@corp"):
        conditions.run("user", "add", name, "--no-password")
    client = () if "--client" in told else ("--client", "lab")
    at = () if "--at" in told else TUESDAY
    said = conditions.say("check", *client, "--user", user, *at, *told, "--json").json()
    assert said["rule"]["name"] == rule


def test_groups_are_those_of_the_person(conditions: Shell) -> None:
    """A person in one of several groups fits, however the group is spelled in the rule."""
    conditions.run("user", "add", "carol", "--no-password", "--group", "netadmin")
    assert conditions.say(*WHO, "carol", "--json").json()["rule"]["name"] == "grouped"
    conditions.run("user", "add", "dan", "--no-password", "--group", "staff")
    shown = facts(conditions.say(*WHO, "dan", *TUESDAY).out)
    assert "no, its groups: it is for netadmin, ops, and dan is in staff" in shown.values()


def test_a_wrong_value_is_told_from_none(conditions: Shell) -> None:
    """Where the request says the attribute otherwise, that is said."""
    shown = conditions.say(*WHO, "alice", *TUESDAY, "--attribute", "NAS-Identifier=core-1", "--json").json()
    assert shown["tried"][6]["why"] == "NAS-Identifier has another value"
    shown = conditions.say(*WHO, "alice", *TUESDAY, "--from", "203.0.113.1", "--json").json()
    assert shown["tried"][4]["why"] == "203.0.113.1 is not in 192.0.2.0/24"


def test_the_address_counts_as_calling_station_id_too(people: Shell) -> None:
    """A rule may ask for the attribute itself."""
    people.change("primary:", "rules: [{name: a, when: {attributes: {Calling-Station-Id: '192.*'}}}]\nprimary:")
    assert people.say(*WHO, "alice", "--from", "192.0.2.7", "--json").json()["rule"]["name"] == "a"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--at", "noon"), "--at: write a time as in 2027-01-31T08:00"),
        (("--at", "0001-01-01T00:00+14:00"), "--at: write a time as in 2027-01-31T08:00"),
        (("--at", "9999-12-31T23:59-14:00"), "--at: write a time as in 2027-01-31T08:00"),
        (("--from", "vpn.example"), "--from: write an address, as in 192.0.2.7"),
        (("--attribute", "NAS-Identifier"), "--attribute: write NAME=VALUE, as in NAS-Port-Type=Virtual"),
        (
            ("--attribute", "NAS-Identifer=x"),
            "--attribute NAS-Identifer: no dictionary has this attribute; did you mean",
        ),
        (("--attribute", "NAS-Port-Type=Virtul"), "--attribute NAS-Port-Type: the dictionary has no such value; write"),
    ],
)
def test_a_login_that_cannot_be_meant_is_wrong_usage(people: Shell, wrong: tuple[str, ...], told: str) -> None:
    """A time, an address or an attribute that is none is told how to be written."""
    assert told in people.wrong(*WHO, "alice", *wrong)


@pytest.mark.parametrize("told", [("--at", "2027-01-31"), ("--from", "192.0.2.7"), ("--attribute", "Class=x")])
def test_what_is_told_of_no_login_is_wrong_usage(people: Shell, told: tuple[str, str]) -> None:
    """Time, address and attributes belong to a login."""
    assert "add --client and --user" in people.wrong("check", *told)


def test_a_realm_is_stripped_as_the_client_says(people: Shell) -> None:
    """Where realms are stripped, alice with her realm is alice; elsewhere she is somebody else."""
    assert "no user alice@corp" in people.refused(*WHO, "Alice@CORP")
    people.change("flow: challenge", "strip_realm: yes\n    flow: challenge")
    shown = people.say(*WHO, "Alice@CORP", "--json").json()
    assert (shown["user"], shown["tokens"]) == ("alice", ["H1"])


DIRECTORY: Final = (
    "backends: {corp: {kind: ldap, servers: ['ldaps://dc'], base: dc=x}, old: {kind: pam}}\n"
    "rules:\n"
    "  - {name: movers, when: {users: [mary]}, enrolment: {upstream: old, until: 2999-01-31}}\n"
    "  - {name: corp, when: {users: [carol, dora]}, primary: corp, enrolment: {grace_until: 2999-01-31}}\n"
    "  - {name: rest}\n"
    "time_zone: UTC\nprimary:"
)


def test_somebody_whom_only_the_directory_knows(people: Shell) -> None:
    """Who is not in the store yet is no mistake where a directory is asked; it is said what will happen."""
    people.change("primary:", DIRECTORY)
    shown = facts(people.run(*WHO, "Carol"))
    assert (shown["primary"], shown["state"], shown["source"]) == ("corp", "not seen yet", "-")
    assert shown["tokens"].startswith("none is needed until 2999-0")
    said = people.say(*WHO, "carol", "--json").json()
    assert (said["primary"], said["password_is_enough"]) == ("corp", shown["tokens"])
    assert "no user erin" in people.refused(*WHO, "erin")


def test_somebody_who_is_left_to_another_system(people: Shell) -> None:
    """Until the date, and until their first token; then our own backend decides."""
    people.change("primary:", DIRECTORY)
    shown = facts(people.run(*WHO, "mary"))
    assert (shown["primary"], shown["rule"].split()[0]) == ("old", "movers")
    assert shown["tokens"].startswith("old decides alone until 2999-0")
    assert "no user mary" in people.refused(*WHO, "mary", "--at", "2999-02-01T00:00")
    people.add_user("mary")
    people.add_token("H9", user="mary", seed=b"mary has a seed.....")
    shown = facts(people.run(*WHO, "mary"))
    assert (shown["primary"], shown["tokens"]) == ("local", "H9")


def test_where_a_password_is_enough(people: Shell) -> None:
    """A skip is for its networks and until its end; without either a token is needed."""
    people.add_user("bob")
    people.change("primary:", "rules: [{name: a, skip: {networks: [192.0.2.0/24], until: 2999-01-31}}]\nprimary:")
    shown = facts(people.run(*WHO, "bob", "--from", "192.0.2.7"))
    assert shown["tokens"].startswith("none is needed from there until 2999-0")
    for told in ((), ("--from", "203.0.113.7"), ("--from", "192.0.2.7", "--at", "2999-02-02T12:00")):
        said = people.say(*WHO, "bob", *told)
        assert (said.code, facts(said.out)["tokens"]) == (1, "none that this rule allows")


def test_a_password_is_never_enough_where_nobody_checks_it(people: Shell) -> None:
    """With no backend, or where only a code is typed, neither grace nor skip lets anybody in."""
    people.add_user("bob")
    people.change("primary:", "rules: [{name: a, enrolment: off}]\nprimary:")
    assert facts(people.run(*WHO, "bob"))["tokens"] == "none is needed yet"
    people.change("flow: challenge", "flow: code-only")
    assert people.say(*WHO, "bob", "--json").json()["password_is_enough"] is None
    people.change("flow: code-only", "flow: challenge")
    people.change("{name: a, ", "{name: a, primary: none, ")
    assert people.say(*WHO, "bob", "--json").json()["password_is_enough"] is None


def test_what_a_rule_replies_and_asks(people: Shell) -> None:
    """Attributes are named, not their values; and whether a wrong password shows."""
    rule = "rules: [{name: a, ask_code: always, reply: {Class: hidden-value, Filter-Id: x}}]\nprimary:"
    people.change("primary:", rule)
    people.change("flow: challenge", "reply: {Service-Type: Login-User}\n    flow: challenge")
    out = people.run(*WHO, "alice")
    shown = facts(out)
    assert shown["reply"] == "Service-Type Class Filter-Id"
    assert shown["code"] == "asked for even after a wrong password"
    assert "hidden-value" not in out


def test_an_unknown_client_or_user(people: Shell) -> None:
    """Refused, with the clients that there are."""
    assert "clients: lab" in people.refused("check", "--client", "vpn", "--user", "alice")
    assert "no user bob" in people.refused(*WHO, "bob")


@pytest.mark.parametrize("half", [("--client", "lab"), ("--user", "alice")])
def test_half_a_question_is_wrong_usage(people: Shell, half: tuple[str, str]) -> None:
    """Client and user go together."""
    assert "go together" in people.wrong("check", *half)


def test_check_changes_nothing(people: Shell) -> None:
    """No audit row, no other content of any file."""
    before = [people.folder.joinpath(name).read_bytes() for name in ("radiusd2fa.yaml", "vault.key", "radiusd2fa.db")]
    count = len(people.events())
    people.run("check")
    people.run(*WHO, "alice")
    assert len(people.events()) == count
    names = ("radiusd2fa.yaml", "vault.key", "radiusd2fa.db")
    assert [people.folder.joinpath(name).read_bytes() for name in names] == before


def test_no_secret_is_shown(people: Shell) -> None:
    """Neither the shared secret nor a seed, in any form of the command."""
    from radiusd2fa.settings import load_settings

    (secret,) = load_settings(people.config).clients[0].secrets
    for arguments in (("check",), ("check", "--json"), (*WHO, "alice"), (*WHO, "alice", "--json")):
        out = people.run(*arguments)
        assert secret.decode() not in out
        assert "3132333435" not in out
