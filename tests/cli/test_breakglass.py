"""`radiusd2fa breakglass`: no administrator opens anything alone, and what two have opened is shut again.

Who gives a command is the account of the operating system, or whom sudo ran it for; here it is said to be root, with
sudo behind it. Answers to no RFC.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import pytest

from .conftest import Said, Shell
from .sheets import add_rule, codes_in, good, rows

HOUR: Final = 3600.0
ANN, BEN = 1, 2
"""Accounts that every Debian system has: daemon and bin."""
WHY: Final = ("--reason", "directory down")


@pytest.fixture(autouse=True)
def behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs as root; whoever stands behind it is set by ``by``."""
    monkeypatch.setattr(os, "getuid", lambda: 0)


@pytest.fixture
def site(people: Shell) -> Shell:
    """A site whose one rule counts emergency codes."""
    add_rule(people, "rules: [{name: all, factors: [hotp], break_glass: alone}]")
    return people


@pytest.fixture
def by(monkeypatch: pytest.MonkeyPatch, site: Shell) -> By:
    """Give commands as somebody."""
    return By(monkeypatch, site)


class By:
    """Gives commands of `breakglass` as somebody behind sudo; as nobody, plainly as root."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
        self.monkeypatch, self.shell = monkeypatch, shell

    def __call__(self, uid: int | None, *arguments: str) -> Said:
        """Give one command."""
        if uid is None:
            self.monkeypatch.delenv("SUDO_UID", raising=False)
        else:
            self.monkeypatch.setenv("SUDO_UID", str(uid))
        return self.shell.say("breakglass", *arguments)


def sealed(shell: Shell, *options: str) -> list[str]:
    """Make alice's envelope; return its codes."""
    said = shell.say("breakglass", "seal", "alice", *options)
    assert said.code == 0, said.err
    return codes_in(said.out)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_plain_root_is_neither_of_the_two(by: By) -> None:
    """Nobody knows who that is: root by itself can neither ask nor approve."""
    codes = sealed(by.shell)
    for arguments in (("request", "alice", *WHY), ("approve", "1")):
        said = by(None, *arguments)
        assert said.code == 1
        assert "log in as yourself and use sudo" in said.err
    assert by(ANN, "request", "alice", *WHY).code == 0
    assert "use sudo" in by(None, "approve", "1").err
    assert not good(by.shell, codes[0])


@pytest.mark.parametrize("uid", ["0", "-1", "x", "", "999999"])
def test_a_made_up_account_is_nobody(by: By, monkeypatch: pytest.MonkeyPatch, uid: str) -> None:
    """What stands in SUDO_UID must be an account of this machine, and not root's."""
    sealed(by.shell)
    monkeypatch.setenv("SUDO_UID", uid)
    assert "use sudo" in by.shell.refused("breakglass", "request", "alice", *WHY)


def test_what_the_shell_claims_is_not_looked_at(by: By, monkeypatch: pytest.MonkeyPatch) -> None:
    """USER, LOGNAME and SUDO_USER make nobody a second person."""
    codes = sealed(by.shell)
    assert by(ANN, "request", "alice", *WHY).code == 0
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "bin")
    assert "another administrator" in by(ANN, "approve", "1").err
    assert not good(by.shell, codes[0])
    assert rows(by.shell)[-1][0] == "breakglass.refused"


def test_asking_needs_a_reason(by: By) -> None:
    """Whether the site has roles or not."""
    sealed(by.shell)
    said = by(ANN, "request", "alice")
    assert said.code == 2
    assert "--reason" in said.err


@pytest.mark.parametrize("lasts", ["9m", "481m", "9h", "60", "0", "soon", "-1h"])
def test_it_is_opened_for_ten_minutes_to_eight_hours(by: By, lasts: str) -> None:
    """Anything else is wrong usage, and asks nobody."""
    sealed(by.shell)
    said = by(ANN, "request", "alice", *WHY, "--open", lasts)
    assert said.code == 2
    assert "--open" in said.err
    assert by.shell.say("breakglass", "list", "--json").json()["requests"] == []


def test_there_must_be_an_envelope(by: By) -> None:
    """Somebody unknown, and somebody for whom nothing was sealed, are refused with what to do."""
    assert "no user bob" in by(ANN, "request", "bob", *WHY).err
    assert "breakglass seal alice" in by(ANN, "request", "alice", *WHY).err
    assert "no request 3" in by(ANN, "approve", "3").err
    assert "not open" in by.shell.refused("breakglass", "close", "alice")


def test_sealing_warns_where_no_rule_counts_it(people: Shell) -> None:
    """An envelope that opens nothing is found out before it is needed."""
    assert "no rule here lets emergency codes count" in people.say("breakglass", "seal", "alice").err


def test_a_sealed_code_lets_nobody_in(by: By) -> None:
    """Not before somebody asks, and not before somebody else approves."""
    codes = sealed(by.shell)
    assert not good(by.shell, codes[0])
    assert by(ANN, "request", "alice", *WHY).code == 0
    assert not good(by.shell, codes[0])


# --- what two do together --------------------------------------------------------------------------------------------


def test_two_administrators_open_it(by: By) -> None:
    """Each code is good once until the time is over; afterwards none is."""
    codes = sealed(by.shell)
    asked = by(ANN, "request", "alice", *WHY, "--open", "30m")
    assert "breakglass approve 1" in asked.out
    said = by(BEN, "approve", "1")
    assert said.code == 0, said.err
    assert "3 left" in said.out
    assert "daemon has asked" in said.out
    assert [good(by.shell, codes[0]), good(by.shell, codes[0])] == [True, False]
    assert not good(by.shell, codes[1], at=time.time() + HOUR / 2 + 1)
    assert good(by.shell, codes[1], at=time.time() + HOUR / 2 - 60)


def test_every_step_is_in_the_audit(by: By) -> None:
    """Who sealed, asked, approved and closed it, and why."""
    sealed(by.shell)
    assert by(ANN, "request", "alice", *WHY).code == 0
    assert by(BEN, "approve", "1").code == 0
    assert by(BEN, "close", "alice", "--reason", "over").code == 0
    steps = [(event.name, event.actor, event.reason) for event in by.shell.events() if "breakglass" in event.name]
    assert steps == [
        ("breakglass.sealed", "root", ""),
        ("breakglass.requested", "daemon as root", "directory down"),
        ("breakglass.approved", "bin as root", "directory down"),
        ("breakglass.closed", "bin as root", "over"),
    ]


def test_what_is_closed_counts_no_more(by: By) -> None:
    """From the next packet on, and the administrators are told to seal new ones."""
    codes = sealed(by.shell)
    by(ANN, "request", "alice", *WHY)
    by(BEN, "approve", "1")
    said = by(None, "close", "alice")
    assert "breakglass seal alice" in said.out
    assert not good(by.shell, codes[0])


def test_the_list_says_how_things_stand(by: By) -> None:
    """Sealed, asked for, open, used up: with who asks, why, and how many codes are left."""
    codes = sealed(by.shell, "--codes", "1")
    by(ANN, "request", "alice", *WHY)
    waiting = by.shell.say("breakglass", "list", "--json").json()
    assert [(one["is"], one["left"]) for one in waiting["sheets"]] == [("sealed", 1)]
    assert [(one["requested_by"], one["reason"], one["lasts"]) for one in waiting["requests"]] == [
        ("daemon", "directory down", HOUR)
    ]
    by(BEN, "approve", "1")
    assert "open" in by.shell.run("breakglass", "list")
    assert good(by.shell, codes[0])
    table = by.shell.run("breakglass", "list")
    assert "used up" in table
    assert "no request waits" in table


def test_the_sheet_is_for_an_envelope(by: By, tmp_path: Path) -> None:
    """It says what to write on it and how two open it; in a file it is its owner's alone."""
    file = tmp_path / "envelope.txt"
    assert sealed(by.shell, "--text", str(file)) == []
    text = file.read_text()
    assert len(codes_in(text)) == 3
    for part in ("envelope", "breakglass request", "breakglass approve", "alice", "incident"):
        assert part in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert "is there already" in by.shell.refused("breakglass", "seal", "alice", "--text", str(file))


def test_json_holds_the_codes_once(by: By) -> None:
    """And what they replace."""
    old = by.shell.say("breakglass", "seal", "alice", "--json").json()
    new = by.shell.say("breakglass", "seal", "alice", "--json", "--codes", "2").json()
    assert (new["replaced"], len(old["codes"]), len(new["codes"])) == ([old["serial"]], 3, 2)
    assert not [code for code in new["codes"] if code in by.shell.run("breakglass", "list", "--json")]
