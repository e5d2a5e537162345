"""What `radiusd2fa check` says of a login that something besides the rule's factors can let in.

Grants, emergency codes and tokens that people take: whether they are open, whether the rule lets them count, and
whether that login can succeed by them. Answers to no RFC.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from .conftest import Shell

WHO: Final = ("check", "--client", "lab", "--user", "alice")
NO_FOB: Final = ("token", "unassign", "H1")
HOPELESS: Final = "alice cannot log in at lab"


def facts(shell: Shell) -> dict[str, str]:
    """Read what is printed for people, however it ends."""
    lines = shell.say(*WHO).out.splitlines()
    return {line[:width].rstrip(): line[width:] for line in lines if (width := _width(lines))}


def _width(lines: list[str]) -> int:
    line = next(line for line in lines if line.startswith("client "))
    return line.index("lab")


def known(shell: Shell, code: int = 0) -> dict[str, Any]:
    """Read what is printed for programs."""
    said = shell.say(*WHO, "--json")
    assert said.code == code, said
    shown: dict[str, Any] = json.loads(said.out)
    return shown


def done(shell: Shell, *words: str) -> str:
    """Give a command that must be done, whatever it warns about."""
    said = shell.say(*words)
    assert said.code == 0, said.err
    return said.out


def tomorrow() -> str:
    """Write tomorrow's date as people do here."""
    return (datetime.now().astimezone() + timedelta(days=1)).strftime("%Y-%m-%d")


def grant(shell: Shell, *words: str) -> Any:  # noqa: ANN401 - whatever the command prints
    """Grant something for a while."""
    return json.loads(done(shell, "grant", *words, "alice", "--reason", "left at home", "--json"))


# --- what lets nobody in ----------------------------------------------------------------------------------------------


def test_without_a_token_and_a_grant_nobody_gets_in(people: Shell) -> None:
    """What a rule would let count is not there."""
    people.run(*NO_FOB)
    assert HOPELESS in people.refused(*WHO)
    assert (known(people, 1)["grants"], known(people, 1)["may_take_a_token"]) == ([], False)


def test_a_grant_that_the_rule_does_not_count(people: Shell) -> None:
    """It is shown, with that it does not count; the login cannot succeed."""
    people.change("primary:", "rules: [{name: strict, grants: off}]\nprimary:")
    people.run(*NO_FOB)
    grant(people, "temporary", "--keep")
    assert HOPELESS in people.refused(*WHO)
    assert facts(people)["granted temporary codes"].endswith("3 left, but this rule lets none count")
    assert facts(people)["grants"] == "none count"
    (shown,) = known(people, 1)["grants"]
    assert (shown["kind"], shown["counts"]) == ("temporary", False)


def test_sealed_codes_let_nobody_in(people: Shell) -> None:
    """Nobody has opened them."""
    people.change("primary:", "rules: [{name: a, break_glass: alone}]\nprimary:")
    people.run(*NO_FOB)
    done(people, "breakglass", "seal", "alice", "--reason", "for the safe")
    assert HOPELESS in people.refused(*WHO)
    shown = facts(people)
    assert shown["sealed emergency codes"] == "there are some"
    assert shown["emergency codes"] == "count without a password, once two administrators have opened them"


@pytest.mark.parametrize("flow", ["append", "prepend"])
def test_where_nothing_is_asked_nobody_takes_a_token(people: Shell, flow: str) -> None:
    """The password is all that such a client sends before it is too late."""
    people.change("primary:", "rules: [{name: a, self_assign: yes}]\nprimary:")
    people.change("flow: challenge", f"flow: {flow}")
    people.run(*NO_FOB)
    assert HOPELESS in people.refused(*WHO)
    assert known(people, 1)["may_take_a_token"] is False


# --- what lets somebody in --------------------------------------------------------------------------------------------


def test_temporary_codes(people: Shell) -> None:
    """They are a token that can be used; until when, by whom and why stands beside it."""
    granted = grant(people, "temporary")
    shown = facts(people)
    assert shown["tokens"] != "H1"
    assert "left at home" in shown["granted temporary codes"]
    assert "3 left" in shown["granted temporary codes"]
    assert "grants" not in shown  # as every rule has it
    (one,) = known(people)["grants"]
    assert (one["kind"], one["reason"], one["counts"]) == ("temporary", "left at home", True)
    assert known(people)["tokens"] == [one["serial"]]
    for code in granted["codes"]:
        assert code not in people.run(*WHO) + people.run(*WHO, "--json")


def test_a_grant_to_skip(people: Shell) -> None:
    """The password is enough until then, if anybody checks one."""
    people.run(*NO_FOB)
    grant(people, "skip", "--until", tomorrow())
    assert facts(people)["tokens"].startswith("none is needed until ")
    assert facts(people)["tokens"].endswith(", by a grant")
    people.change("flow: challenge", "flow: code-only")
    assert HOPELESS in people.refused(*WHO)


def test_emergency_codes_that_two_have_opened(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both administrators are named."""
    people.change("primary:", "rules: [{name: a, break_glass: with_password}]\nprimary:")
    people.run(*NO_FOB)
    done(people, "breakglass", "seal", "alice", "--reason", "for the safe")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1")
    done(people, "breakglass", "request", "alice", "--reason", "the directory is down")
    monkeypatch.setenv("SUDO_UID", "2")
    done(people, "breakglass", "approve", "1", "--reason", "seen it")
    shown = facts(people)
    assert "daemon" in shown["granted emergency codes"]
    assert "bin" in shown["granted emergency codes"]
    assert "sealed emergency codes" not in shown
    (one,) = known(people)["grants"]
    assert known(people)["tokens"] == [one["serial"]]


def test_who_has_no_token_may_take_one(people: Shell) -> None:
    """Where the rule says so and asks for it; who has one that works gets the next from an administrator."""
    people.change("primary:", "rules: [{name: a, self_assign: yes}]\nprimary:")
    assert known(people)["may_take_a_token"] is False
    people.run(*NO_FOB)
    assert known(people)["may_take_a_token"] is True
    assert facts(people)["tokens"] == "none that this rule allows, but may take one out of the stock"
    assert facts(people)["who has no token"].startswith("may take one out of the stock")
    grant(people, "temporary", "--keep")
    assert known(people)["may_take_a_token"] is True  # a sheet of codes is no token
