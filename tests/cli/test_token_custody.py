"""`radiusd2fa token assign`, `return`, `lost` and the like, as an administrator types them.

Refusals say what to do next, and every change can be followed in the audit. Answers to no RFC.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import pytest

from .conftest import Shell

DAY: Final = 86_400
SEED: Final = "00112233445566778899aabbccddeeff00112233"


@pytest.fixture
def stocked(people: Shell) -> Shell:
    """Alice has H1, and S1 is in stock."""
    people.run("token", "add", "--kind", "hotp", "--serial", "S1", "--secret-stdin", typed=SEED)
    return people


def card(shell: Shell, serial: str = "S1") -> dict[str, Any]:
    """What is known of a token."""
    shown: dict[str, Any] = shell.say("token", "show", serial, "--json").json()
    return shown


# --- wrong usage ------------------------------------------------------------------------------------------------------

WRONG: Final = {
    "no token": ("assign", "--user", "alice"),
    "nobody": ("assign", "S1"),
    "two tokens": ("assign", "S1", "--serial", "S1", "--user", "alice"),
    "a time without a unit": ("assign", "S1", "--user", "alice", "--within", "14"),
    "no time at all": ("assign", "S1", "--user", "alice", "--within", "0"),
    "a time of eleven years": ("assign", "S1", "--user", "alice", "--within", "4000d"),
    "active and within": ("assign", "S1", "--user", "alice", "--active", "--within", "14d"),
    "a reason for nothing": ("assign", "S1", "--user", "alice", "--reason", "x"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_hands_nothing_out(stocked: Shell, words: tuple[str, ...]) -> None:
    """What is not said, or said twice, or does not belong together, ends with 2 and changes nothing."""
    assert stocked.wrong("token", *words).startswith("error: ")
    assert card(stocked)["state"] == "stock"


WEAKENING: Final = {
    "hand out as active": ("assign", "S1", "--user", "alice", "--active"),
    "enable": ("enable", "H1"),
    "prolong": ("validity", "H1", "--until", "never"),
    "set a counter": ("counter", "H1", "--to", "700"),
}


@pytest.mark.parametrize("words", WEAKENING.values(), ids=WEAKENING.keys())
def test_a_site_with_roles_wants_reasons(stocked: Shell, words: tuple[str, ...]) -> None:
    """Where administrators are named, what weakens something needs a reason; it stands in the audit."""
    if "enable" in words:
        stocked.run("token", "disable", "H1")
    stocked.change("primary:", "administrators: {admin: [root]}\nprimary:")
    before = len(stocked.events())
    assert "--reason" in stocked.wrong("token", *words)
    assert len(stocked.events()) == before
    stocked.run("token", *words, "--reason", "asked for by the owner")
    assert stocked.events()[-1].reason == "asked for by the owner"


def test_elsewhere_a_reason_may_be_given(stocked: Shell) -> None:
    """Without named administrators nobody asks for one."""
    stocked.run("token", "disable", "H1")
    stocked.run("token", "enable", "H1")
    stocked.run("token", "enable", "H1", "--reason", "it was only mislaid")
    assert [event.reason for event in stocked.events()[-2:]] == ["", "it was only mislaid"]


# --- handing out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("S1", "--user", "alice"), ("--user", "alice", "--serial", "S1")])
@pytest.mark.parametrize(("within", "days"), [((), 30), (("--within", "14d"), 14)])
def test_a_token_waits_for_its_first_code(
    stocked: Shell, words: tuple[str, ...], within: tuple[str, ...], days: int
) -> None:
    """As long as the site says, or as the administrator does; who has handed it out is written down."""
    out = stocked.run("token", "assign", *words, *within)
    shown = card(stocked)
    assert re.search(r"until \d{4}-\d\d-\d\d$", out.strip())
    assert (shown["user"], shown["state"], shown["shown"]) == ("alice", "assigned", "assigned")
    assert shown["handed_by"] == stocked.events()[-1].actor != ""
    assert shown["activate_by"] - shown["handed_at"] == days * DAY
    assert abs(shown["handed_at"] - time.time()) < DAY


def test_a_site_has_its_own_time(stocked: Shell) -> None:
    """What stands under ``tokens`` in the configuration holds where nothing is said."""
    stocked.change("primary:", "tokens: {activation: 7d}\nprimary:")
    stocked.run("token", "assign", "S1", "--user", "alice")
    assert card(stocked)["activate_by"] - card(stocked)["handed_at"] == 7 * DAY


def test_a_token_that_is_active_at_once(stocked: Shell) -> None:
    """As for somebody whose fob was tried at the desk."""
    stocked.run("token", "assign", "S1", "--user", "alice", "--active")
    assert (card(stocked)["state"], card(stocked)["activate_by"]) == ("active", None)


def test_one_token_one_owner(stocked: Shell) -> None:
    """What somebody has is not handed out again, by nobody's mistake."""
    stocked.add_user("bob")
    stocked.run("token", "assign", "S1", "--user", "alice")
    assert "handed out to alice" in stocked.refused("token", "assign", "S1", "--user", "bob")
    assert "belongs to alice" in stocked.refused("token", "assign", "H1", "--user", "bob")
    assert "unassign" in stocked.refused("token", "assign", "S1", "--user", "alice")


def test_no_seed_twice_for_one_person(people: Shell) -> None:
    """Another serial with the seed that she has is refused her, and handed to somebody else."""
    people.add_user("bob")
    seed = people.seed_of("H1").hex()
    said = people.say("token", "add", "--kind", "hotp", "--serial", "S1", "--secret-stdin", typed=seed)
    assert (said.code, "as H1" in said.err) == (0, True)
    assert seed not in said.err
    assert "as token H1" in people.refused("token", "assign", "S1", "--user", "alice")
    people.run("token", "assign", "S1", "--user", "bob")


# --- lost and found ---------------------------------------------------------------------------------------------------


def test_a_lost_token(people: Shell) -> None:
    """It is refused at once, and what to do next can be pasted."""
    out = people.run("token", "lost", "H1")
    program = f"radiusd2fa -c {people.config}"
    assert f"{program} grant temporary alice --lost H1 --hours 8 --reason 'lost H1'" in out
    assert f"{program} token assign --user alice --serial" in out
    assert f"{program} token return H1" in out
    assert (card(people, "H1")["state"], card(people, "H1")["user"]) == ("lost", "alice")
    for command in ("enable", "disable", "unassign"):
        assert "token return H1" in people.refused("token", command, "H1")
    assert "token return H1" in people.refused("token", "resync", "H1", "123456", "123457")


def test_a_token_that_is_lost_from_the_stock(stocked: Shell) -> None:
    """Nobody has to be helped."""
    out = stocked.run("token", "lost", "S1")
    assert "grant temporary" not in out
    assert "token return S1" in out


def test_found_again(people: Shell) -> None:
    """Given back it is nobody's; looked at it is in stock; and every step is in its history."""
    people.add_user("bob")
    people.run("token", "lost", "H1")
    assert "token restock H1" in people.run("token", "return", "H1")
    assert (card(people, "H1")["state"], card(people, "H1")["user"]) == ("returned", None)
    assert "restock" in people.refused("token", "assign", "H1", "--user", "bob")
    people.run("token", "restock", "H1")
    people.run("token", "assign", "H1", "--user", "bob")
    told = [(event["name"], event["user"]) for event in people.say("token", "history", "H1", "--json").json()]
    assert told == [
        ("token.added", "alice"),
        ("token.lost", "alice"),
        ("token.returned", "alice"),
        ("token.restocked", ""),
        ("token.assigned", "bob"),
    ]
