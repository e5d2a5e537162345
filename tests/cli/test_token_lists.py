"""`radiusd2fa token list`, `show` and `history`: what people and programs see of tokens, and of which.

Rows are planted past our code where years would have to pass. Answers to no RFC.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any, Final

import pytest

from radiusd2fa.cli import token_lists
from radiusd2fa.core.model import Token
from radiusd2fa.core.sheets import RECOVERY, make, octets_wanted
from radiusd2fa.hardware import CatalogueError

from .conftest import Shell

DAY: Final = 86_400.0
FIELDS: Final = {
    *("serial", "kind", "user", "state", "digits", "algorithm", "step", "moving_factor", "drift", "created"),
    *("last_used", "label", "model", "batch", "box", "delivered", "handed_by", "handed_at", "activate_by"),
    *("valid_from", "valid_until", "left", "shown", "can_log_in", "battery_end"),
}


def plant(shell: Shell, serial: str, **row: Any) -> None:  # noqa: ANN401 - column values
    """Change a token's row."""
    connection = sqlite3.connect(shell.folder / "radiusd2fa.db", isolation_level=None)
    columns = ", ".join(f"{name} = ?" for name in row)
    connection.execute(f"UPDATE tokens SET {columns} WHERE serial = ?", (*row.values(), serial))  # noqa: S608
    connection.close()


def serials(shell: Shell, *options: str) -> list[str]:
    """Whom a list shows."""
    return [one["serial"] for one in shell.say("token", "list", *options, "--json").json()]


def shown(shell: Shell, serial: str = "H1") -> str:
    """The state as people and programs read it."""
    lines = dict(line.split(maxsplit=1) for line in shell.run("token", "show", serial).splitlines())
    return str(lines["state"])


@pytest.fixture
def sheet(people: Shell) -> Shell:
    """Alice has a sheet R1 besides."""
    made = make(RECOVERY, 10, bytes(octets_wanted(RECOVERY, 10)))
    with people.registry() as registry:
        registry.add_token(
            Token(id=0, serial="R1", kind="recovery", moving_factor=0b101, secret=made.secret, digits=12), "alice", 1.0
        )
    return people


# --- wrong usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("--stale", "90"), ("--stale", "soon"), ("--expiring", "-1d"), ("--expiring", ""), ("--state", "gone")]
)
def test_wrong_usage_lists_nothing(people: Shell, words: tuple[str, ...]) -> None:
    """A time without its unit, and a state that there is not, end with 2 and say how to write it."""
    said = people.say("token", "list", *words)
    assert (said.code, said.out) == (2, "")
    assert words[0] in said.err


# --- which ------------------------------------------------------------------------------------------------------------


def test_filters_narrow_each_other(people: Shell) -> None:
    """Each option leaves some out; what nobody fits is said in a sentence."""
    now = time.time()
    for serial in ("S1", "S2"):
        people.run("token", "add", "--kind", "totp", "--serial", serial, "--batch", "2026-03", "--box", "B1")
    plant(people, "S2", box="B2")
    plant(people, "H1", last_used=now - 100 * DAY, handed_at=now - 200 * DAY, valid_until=now + 10 * DAY)
    assert serials(people) == ["H1", "S1", "S2"]
    assert serials(people, "--unassigned") == serials(people, "--batch", "2026-03") == ["S1", "S2"]
    assert serials(people, "--kind", "totp", "--box", "B2") == ["S2"]
    assert serials(people, "--state", "stock", "--box", "B1") == ["S1"]
    assert serials(people, "--stale", "90d") == serials(people, "--expiring", "11d") == ["H1"]
    assert serials(people, "--stale", "101d") == serials(people, "--expiring", "9d") == []
    assert serials(people, "--never-used") == []
    assert "no token is like that" in people.run("token", "list", "--box", "B9")


def test_sheets_are_there_for_who_asks(sheet: Shell) -> None:
    """Not in the plain list, but with --sheets, by their kind, and among all that somebody has."""
    assert serials(sheet) == ["H1"]
    assert serials(sheet, "--sheets") == serials(sheet, "--user", "alice") == ["H1", "R1"]
    assert serials(sheet, "--kind", "recovery") == ["R1"]
    assert sheet.say("token", "list", "--kind", "recovery", "--json").json()[0]["left"] == 8
    assert "codes left" in sheet.run("token", "show", "R1")
    line = next(line for line in sheet.run("token", "list", "--sheets").splitlines() if "R1" in line)
    assert line.split() == ["R1", "recovery", "alice", "active", "-", "8"]


def test_batteries_run_down(people: Shell) -> None:
    """By the model and its day of delivery, as far as the catalogue knows."""
    now = time.time()
    plant(people, "H1", model="Swivel-HOTP", delivered=now - 1450 * DAY, handed_at=now)
    assert serials(people, "--expiring", "60d") == ["H1"]
    assert serials(people, "--expiring", "1d") == []
    assert "battery " in people.run("token", "list", "--expiring", "60d")
    card = people.run("token", "show", "H1")
    assert "4.0 years ago; its battery should last until " in card


@pytest.mark.parametrize(
    "row", [{"model": "no such model", "delivered": 1.0}, {"model": "swivel-hotp"}, {"delivered": 1.0}]
)
def test_batteries_that_nobody_knows(people: Shell, row: dict[str, Any]) -> None:
    """Another model, or one of which nobody has written down when it came, has no end."""
    plant(people, "H1", handed_at=time.time(), **row)
    assert serials(people, "--expiring", "30000d") == []
    assert "battery" not in people.run("token", "show", "H1")
    assert people.say("token", "show", "H1", "--json").json()["battery_end"] is None


def test_a_catalogue_that_is_not_there(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are listed all the same, and what is missing is said."""

    def broken() -> dict[str, float]:
        raise CatalogueError("devices.yaml is gone; install the package again")

    monkeypatch.setattr("radiusd2fa.hardware.battery_years", broken)
    token_lists._batteries.cache_clear()
    said = people.say("token", "list", "--expiring", "60d")
    token_lists._batteries.cache_clear()
    assert (said.code, said.out.strip()) == (0, "no token is like that")
    assert "install the package again" in said.err


# --- how --------------------------------------------------------------------------------------------------------------


def test_programs_get_every_field(people: Shell) -> None:
    """None of those that scripts know is ever renamed or left out."""
    (one,) = people.say("token", "list", "--json").json()
    assert set(one) == FIELDS
    assert one == people.say("token", "show", "H1", "--json").json()
    assert one["can_log_in"] is True


SHOWN: Final[dict[str, tuple[dict[str, Any], str, bool]]] = {
    "active": ({"label": ""}, "active", True),
    "past its validity": ({"valid_until": 1.0}, "expired", False),
    "disabled and past it": ({"state": "disabled", "valid_until": 1.0}, "disabled, expired", False),
    "revoked and past it": ({"state": "revoked", "valid_until": 1.0}, "revoked", False),
    "assigned for ever": ({"state": "assigned"}, "assigned", True),
    "assigned in time": ({"state": "assigned", "activate_by": 4102444800.0}, "assigned (until 2100-01-01)", True),
    "assigned too late": ({"state": "assigned", "activate_by": 1.0}, "assigned, too late", False),
    "not yet valid": ({"valid_from": 4e9}, "active, not yet valid", False),
    "a sealed sheet": ({"kind": "breakglass", "valid_until": 1.0}, "sealed", False),
    "an open sheet": ({"kind": "breakglass", "valid_until": 4e9}, "open", True),
}


@pytest.mark.parametrize("case", SHOWN.values(), ids=SHOWN.keys())
def test_what_a_state_is_called(people: Shell, case: tuple[dict[str, Any], str, bool]) -> None:
    """What has ended, or has not begun, is not called active; whether it can log in says the same."""
    row, words, can = case
    people.change("primary:", "time_zone: UTC\nprimary:")
    plant(people, "H1", **row)
    assert shown(people) == words
    card = people.say("token", "show", "H1", "--json").json()
    assert card["shown"] == words.partition(" (")[0]
    assert card["can_log_in"] is can


def test_a_card_shows_what_was_written_down(people: Shell) -> None:
    """Label, model, batch, box, delivery, who handed it out, and its validity; nothing where nothing was."""
    assert "batch" not in people.run("token", "show", "H1")
    people.run("token", "label", "H1", "--label", "blue", "--batch", "2026-03", "--box", "B1", "--model", "c200")
    people.run("token", "validity", "H1", "--until", "2099-12-31")
    lines = dict(line.split(maxsplit=1) for line in people.run("token", "show", "H1").splitlines())
    assert (lines["label"], lines["batch"], lines["box"], lines["model"]) == ("blue", "2026-03", "B1", "c200")
    assert lines["valid"].startswith("- to 2100-01-01 00:00") or "2099-12-31" in lines["valid"]
    assert " by " in lines["handed"]
    line = next(line for line in people.run("token", "list").splitlines() if "H1" in line)
    assert line.split() == ["H1", "hotp", "alice", "active", "-", "blue", "2026-03", "B1"]


def test_a_long_list_is_plain(people: Shell) -> None:
    """Beyond some hundreds the same columns come line by line, and nothing in them can forge a line."""
    connection = sqlite3.connect(people.folder / "radiusd2fa.db", isolation_level=None)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO tokens (serial, kind, sealed, digits, algorithm, step, state, created, moving_factor, box) "
        "VALUES (?, 'hotp', x'', 6, 'sha1', 30, 'stock', 1, 0, 'a' || char(10) || 'b')",
        [(f"S{number:04}",) for number in range(600)],
    )
    connection.execute("COMMIT")
    connection.close()
    lines = people.run("token", "list").splitlines()
    assert len(lines) == 602
    assert lines[0].split() == ["serial", "kind", "user", "state", "last", "used", "box"]
    assert lines[2].split()[:4] == ["S0000", "hotp", "-", "stock"]


def test_a_history_for_people(people: Shell) -> None:
    """When, what, whose it was, who did it, and why."""
    people.run("token", "disable", "H1")
    people.run("token", "enable", "H1", "--reason", "it was only mislaid")
    line = people.run("token", "history", "H1").strip().splitlines()[-1]
    actor = people.events()[-1].actor
    words = line.split()[2:]
    assert words == ["token.enabled", "alice", *actor.split(), "it", "was", "only", "mislaid"]
