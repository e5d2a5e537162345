"""`radiusd2fa grant`: exceptions that have a reason and an end, and codes that are each good once.

Times are held against the store, not waited for. Answers to no RFC.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from .conftest import Shell
from .sheets import add_rule, codes_in, good, rows
from .test_terminal import at_a_terminal

HOUR: Final = 3600.0
WHY: Final = ("--reason", "lost on the train")


def days_ahead(days: int, zone: str = "UTC") -> str:
    """A day from now in that zone."""
    return (datetime.now(ZoneInfo(zone)) + timedelta(days=days)).date().isoformat()


def in_utc(shell: Shell) -> None:
    """Let the site be in a zone that the test knows."""
    shell.change("syslog: off", "syslog: off\ntime_zone: UTC")


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["temporary", "skip"])
def test_somebody_unknown_or_disabled_is_granted_nothing(people: Shell, command: str) -> None:
    """Refused without a code, and nothing is open afterwards."""
    people.run("user", "disable", "alice")
    end = ("--until", days_ahead(1)) if command == "skip" else ()
    for name, why in (("bob", "no user bob"), ("alice", "alice is disabled")):
        said = people.say("grant", command, name, *end, *WHY)
        assert (said.code, codes_in(said.out + said.err)) == (1, [])
        assert why in said.err
    assert people.say("grant", "list", "--all", "--json").json() == []


@pytest.mark.parametrize("command", ["temporary", "skip"])
def test_nothing_is_granted_without_a_reason(people: Shell, command: str) -> None:
    """Whether the site has roles or not; an empty one is none."""
    end = ("--until", days_ahead(1)) if command == "skip" else ()
    assert "--reason" in people.wrong("grant", command, "alice", *end)
    assert "--reason" in people.wrong("grant", command, "alice", *end, "--reason", "  ")


BAD_OPTIONS: Final = {
    "no hours": ("--hours", "0"),
    "too many hours": ("--hours", "73"),
    "no codes": ("--codes", "0"),
    "too many codes": ("--codes", "11"),
    "lost and kept": ("--lost", "H1", "--keep"),
}


@pytest.mark.parametrize("options", BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_bounds_of_temporary_codes(people: Shell, options: tuple[str, ...]) -> None:
    """One to 72 hours, one to ten codes, and a token is lost or it is not."""
    people.wrong("grant", "temporary", "alice", *WHY, *options)


def test_which_of_several_is_lost_must_be_said(people: Shell) -> None:
    """With their serials; nothing is granted before."""
    people.add_token("H2", seed=b"another seed of alice's")
    said = people.refused("grant", "temporary", "alice", *WHY)
    assert "H1, H2" in said
    assert "--lost" in said
    assert people.say("grant", "list", "--json").json() == []


@pytest.mark.parametrize("until", ["tomorrow", "2027-13-01", "2027-1-1", "20270101", "", "2027-02-30"])
def test_what_is_no_date(people: Shell, until: str) -> None:
    """It says how to write one."""
    assert "2027-01-31" in people.wrong("grant", "skip", "alice", "--until", until, *WHY)


@pytest.mark.parametrize("days", [-1, 32, 4000])
def test_a_skip_ends_within_31_days(people: Shell, days: int) -> None:
    """Neither later nor in the past."""
    in_utc(people)
    assert "nobody goes without" in people.wrong("grant", "skip", "alice", "--until", days_ahead(days), *WHY)


def test_what_to_close_must_be_said_once(people: Shell) -> None:
    """A number or a person."""
    assert "ID, or --user" in people.wrong("grant", "close")
    assert "ID, or --user" in people.wrong("grant", "close", "1", "--user", "alice")
    assert "no grant 7" in people.refused("grant", "close", "7")
    assert "no open grants" in people.refused("grant", "close", "--user", "alice")


def test_what_no_rule_counts_is_warned_about(people: Shell) -> None:
    """Else somebody would wait at a door with a code that opens nothing."""
    add_rule(people, "rules: [{name: all, factors: [hotp], grants: off}]")
    assert "no rule here lets temporary codes count" in people.say("grant", "temporary", "alice", *WHY).err
    said = people.say("grant", "skip", "alice", "--until", days_ahead(1), *WHY)
    assert (said.code, "no rule here lets such a grant count" in said.err) == (0, True)
    people.change("grants: off", "grants: [skip]")
    assert people.say("grant", "skip", "alice", "--until", days_ahead(1), *WHY).err == ""


def test_somebody_locked_is_warned_about(people: Shell) -> None:
    """No code lets them in before the lock ends."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(people.folder / "radiusd2fa.db")) as database, database:
        database.execute("UPDATE users SET locked_until = 1e11")
    assert "user unlock alice" in people.say("grant", "temporary", "alice", *WHY).err


# --- temporary codes -------------------------------------------------------------------------------------------------


def test_codes_until_the_evening(people: Shell) -> None:
    """Three codes of ten digits, each good once, until the hours are over; the lost fob is lost."""
    out = people.run("grant", "temporary", "alice", *WHY, "--hours", "8")
    codes = codes_in(out)
    assert [len(code.replace("-", "")) for code in codes] == [10, 10, 10]
    assert "H1 is lost" in out
    assert people.say("token", "show", "H1", "--json").json()["state"] == "lost"
    assert [good(people, codes[0]), good(people, codes[0]), good(people, codes[1].replace("-", ""))] == [
        True,
        False,
        True,
    ]
    assert not good(people, codes[2], at=time.time() + 8 * HOUR + 1)
    assert good(people, codes[2], at=time.time() + 8 * HOUR - 60)


def test_json_says_what_was_granted(people: Shell) -> None:
    """With the codes, once, and until when."""
    first = people.say("grant", "temporary", "alice", *WHY, "--codes", "1", "--json").json()
    assert (first["id"], first["user"], first["lost"], first["closed"], len(first["codes"])) == (
        1,
        "alice",
        "H1",
        [],
        1,
    )
    assert abs(first["until"] - time.time() - 8 * HOUR) < 60
    second = people.say("grant", "temporary", "alice", *WHY, "--json").json()
    assert (second["lost"], second["closed"]) == (None, [1])
    assert not good(people, first["codes"][0])


def test_a_fob_at_home_stays_good(people: Shell) -> None:
    """With --keep nothing is lost; with --lost it is that one."""
    people.add_token("H2", seed=b"another seed of alice's")
    assert "lost" not in people.run("grant", "temporary", "alice", "--reason", "at home", "--keep")
    assert "H2 is lost" in people.run("grant", "temporary", "alice", *WHY, "--lost", "H2")
    states = {token["serial"]: token["state"] for token in people.say("token", "list", "--json").json()}
    assert (states["H1"], states["H2"]) == ("active", "lost")


def test_no_code_is_in_the_audit(people: Shell) -> None:
    """The rows name sheet, fob and reason."""
    codes = codes_in(people.run("grant", "temporary", "alice", *WHY))
    text = str(people.events())
    assert not [code for code in codes if code in text or code.replace("-", "") in text]
    serial = people.say("grant", "list", "--json").json()[0]["serial"]
    assert rows(people)[-2:] == [
        ("token.lost", "alice", "H1", "lost on the train"),
        ("grant.opened", "alice", serial, "lost on the train"),
    ]


# --- skips -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_a_skip_ends_with_the_day_of_the_site(people: Shell, zone: str) -> None:
    """Midnight there, wherever the command is given; today is a day too, and so is the 31st from now."""
    people.change("syslog: off", f"syslog: off\ntime_zone: {zone}")
    for days in (0, 31):
        until = days_ahead(days, zone)
        end = people.say("grant", "skip", "alice", "--until", until, *WHY, "--json").json()["until"]
        local = datetime.fromtimestamp(end, UTC).astimezone(ZoneInfo(zone))
        assert (local.hour, local.minute, local.second) == (0, 0, 0)
        assert (local - timedelta(hours=12)).date().isoformat() == until


def test_a_skip_is_closed_by_its_number(people: Shell) -> None:
    """The line that says so can be pasted; afterwards nothing is open."""
    in_utc(people)
    assert "grant close 1" in people.run("grant", "skip", "alice", "--until", days_ahead(3), *WHY)
    assert people.run("grant", "close", "1") == "closed grant 1 (skip) for alice\n"
    assert "has ended already" in people.refused("grant", "close", "1")
    assert "no grant is open" in people.run("grant", "list")


# --- what is open ----------------------------------------------------------------------------------------------------


def test_open_grants_are_listed_with_reason_and_codes(people: Shell) -> None:
    """Who, what, why, by whom, how long; how many codes are left; with --all those that have ended too."""
    in_utc(people)
    codes = codes_in(people.run("grant", "temporary", "alice", *WHY))
    people.run("grant", "skip", "alice", "--until", days_ahead(3), "--reason", "fob ordered")
    assert good(people, codes[0])
    first, second = people.say("grant", "list", "--json").json()
    assert (first["kind"], first["codes_left"], first["open"], first["reason"]) == (
        "temporary",
        2,
        True,
        "lost on the train",
    )
    assert (second["kind"], second["codes_left"]) == ("skip", None)
    people.run("grant", "close", "--user", "alice", "--reason", "fob is here")
    assert people.say("grant", "list", "--json").json() == []
    assert [one["open"] for one in people.say("grant", "list", "--all", "--json").json()] == [False, False]
    table = people.run("grant", "list", "--all")
    assert "fob ordered" in table
    assert "closed" in table
    assert rows(people)[-1] == ("grant.closed", "alice", "", "fob is here")


def test_at_a_terminal_the_reason_is_asked_for(people: Shell) -> None:
    """A person is asked why and answered with codes; who says nothing is granted nothing."""
    question = "Why do you give alice temporary codes? "
    code, seen = at_a_terminal(people, "grant", "temporary", "alice", answers=((question, "\r"),))
    assert (code, codes_in(seen)) == (2, [])
    code, seen = at_a_terminal(people, "grant", "temporary", "alice", answers=((question, "left at home\r"),))
    assert (code, len(codes_in(seen))) == (0, 3)
    assert people.say("grant", "list", "--json").json()[0]["reason"] == "left at home"
