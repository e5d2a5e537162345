"""`radiusd2fa check`: whether the site is in order, which rule decides a login, and how likely guessing is.

It changes nothing. Exit codes: 0 in order, 1 that login cannot succeed, 2 something is wrong with the site.
The arithmetic of guessing is core.risk's (RFC 4226 7.3 asks for it).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import Token
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
    assert (shown["clients"], shown["primary"]) == (["lab"], "local")
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


# --- one login -------------------------------------------------------------------------------------------------------


def test_the_rule_for_a_login(people: Shell) -> None:
    """Client, flow, rule, factors and the tokens that can be used, for people and for programs."""
    out = people.run(*WHO, "ALICE")
    for name, value in (("client", "lab"), ("flow", "challenge"), ("rule", "all"), ("user", "alice"), ("tokens", "H1")):
        assert any(line.split() == [name, value] for line in out.splitlines()), name
    shown = people.say(*WHO, "alice", "--json").json()
    assert (shown["client"], shown["user"], shown["flow"], shown["tokens"]) == ("lab", "alice", "challenge", ["H1"])
    assert shown["rule"]["name"] == "all"
    assert shown["rule"]["factors"] == ["totp", "hotp"]


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
    with Keyring(people.folder / "radiusd2fa.db", vault.load(people.folder / "vault.key"), "nobody") as keyring:
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
