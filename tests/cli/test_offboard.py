"""`radiusd2fa user offboard`: asked first, done at once, and told with what is still to collect.

What ends in the store is tests/store/test_grants_offboarding.py's. Answers to no RFC.
"""

from __future__ import annotations

from .conftest import Shell
from .sheets import codes_in, good, rows


def test_somebody_unknown(people: Shell) -> None:
    """Refused, and says where to look."""
    assert "user list" in people.refused("user", "offboard", "bob", "--yes")


def test_nothing_is_done_without_a_yes(people: Shell) -> None:
    """The question names what will be revoked; no, and no answer at all, leave everything."""
    for typed in ("n\n", ""):
        said = people.say("user", "offboard", "alice", typed=typed)
        assert said.code == 1
        assert "revoke H1" in said.out + said.err
    assert people.say("user", "show", "alice", "--json").json()["enabled"] is True
    assert people.say("token", "show", "H1", "--json").json()["state"] == "active"
    assert "user.offboarded" not in {row[0] for row in rows(people)}


def test_a_reason_is_needed_where_there_are_roles(people: Shell) -> None:
    """With `administrators` in the settings it must be said why."""
    people.change("syslog: off", "syslog: off\nadministrators: {admin: [root]}")
    assert "--reason" in people.wrong("user", "offboard", "alice", "--yes")


def test_what_was_done_is_told(people: Shell) -> None:
    """Each token and grant with its serial, and which fob is still in a pocket; a lost one is not."""
    people.add_token("H2", seed=b"another seed of alice's")
    codes = codes_in(people.run("grant", "temporary", "alice", "--reason", "x", "--lost", "H2"))
    out = people.run("user", "offboard", "alice", "--reason", "left", typed="y\n")
    for line in ("account disabled", "revoked H1 (hotp)", "revoked H2 (hotp)", "closed grant 1 (temporary G-"):
        assert f"  {line}" in out
    assert "still to collect from alice: H1 (hotp)\n" in out
    assert not good(people, codes[0])
    assert rows(people)[-1] == ("user.offboarded", "alice", "", "left")


def test_json_says_the_same(people: Shell) -> None:
    """One document, whatever the question; and nothing is left for a second time."""
    done = people.say("user", "offboard", "alice", "--yes", "--json").json()
    assert (done["user"], done["was_enabled"], done["collect"]) == ("alice", True, ["H1"])
    assert [(one["serial"], one["kind"], one["state"]) for one in done["revoked"]] == [("H1", "hotp", "active")]
    again = people.say("user", "offboard", "alice", "--yes", "--json").json()
    assert (again["was_enabled"], again["revoked"], again["collect"]) == (False, [], [])
    assert "disabled already" in people.run("user", "offboard", "alice", "--yes")
