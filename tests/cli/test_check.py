"""`radiusd2fa check`: whether the site is in order, which rule decides a login, and how likely guessing is.

It changes nothing. Exit codes: 0 in order, 1 that login cannot succeed, 2 something is wrong with the site.
The arithmetic of guessing is core.risk's (RFC 4226 7.3 asks for it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from .conftest import Shell

RULES: Final = """rules:
  - {name: admins, when: {groups: [netadmin]}, factors: [totp]}
  - {name: named, when: {users: [bob], clients: [lab]}, factors: [hotp, totp]}
primary:"""
WHO: Final = ("check", "--client", "lab", "--user")


def test_a_site_in_order(shell: Shell) -> None:
    """The last line says so; MS-CHAPv2 is spoken of, because people look for it here."""
    out = shell.run("check")
    assert "MS-CHAPv2 is not offered" in out
    assert out.splitlines()[-1] == f"{shell.config} is in order; clients: 1, primary: local"


def test_in_json(shell: Shell) -> None:
    """One document: in order, the warnings, and the risks as numbers between 0 and 1."""
    shown = shell.say("check", "--json").json()
    assert shown["ok"] is True
    assert set(shown["yearly_guessing_risk"]) == {"hotp with 6 digits", "totp with 6 digits"}
    assert all(0 < risk < 1 for risk in shown["yearly_guessing_risk"].values())


WEAK: Final = {
    "unsigned requests": ("message_authenticator: required", "message_authenticator: observe", "lab"),
    "unsigned replies": ("flow: challenge", "sign_replies: no\n    flow: challenge", "lab"),
    "cheap hashes": ("flow: challenge", "flow: challenge", "hashes"),
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
