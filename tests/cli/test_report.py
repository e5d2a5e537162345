"""`radiusd2fa report`: refusals first, then what people, programs and spreadsheets are shown of one small site.

What counts is tested in tests/reports; here it is whether it is asked for and shown rightly. Answers to no RFC.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import time
from contextlib import closing
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from radiusd2fa.cli.app import _config_first, app

from .conftest import Shell

NAMES: Final = ("coverage", "stale", "exceptions", "recovery", "inventory", "failures")
A_DAY: Final = 86400.0
HOSTILE: Final = "<script>x\u202e\x1b[31m=1"


def sql(shell: Shell, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Change the store past all of our code."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db", isolation_level=None)) as connection:
        return connection.execute(statement, parameters).fetchall()


def happened(
    shell: Shell, name: str, days_ago: float, reason: str = "", user: str = "alice", *, actor: str = "", times: int = 1
) -> None:
    """Write an audit row of so many days ago, or several."""
    sql(
        shell,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO events (time, name, login, nas, user, caller, factor, serial, outcome, reason, latency, actor) "
        "SELECT ?, ?, '', 'lab', ?, '192.0.2.9', '', '', '', ?, 0, ? FROM n",
        times,
        time.time() - days_ago * A_DAY,
        name,
        user,
        reason,
        actor,
    )


@pytest.mark.parametrize("days", ["0", "-1", "3651", "ten"])
@pytest.mark.parametrize("name", NAMES[1:])
def test_wrong_days(shell: Shell, name: str, days: str) -> None:
    """A period is 1 to 3650 days."""
    assert "--days" in shell.wrong("report", name, "--days", days)


@pytest.mark.parametrize("name", NAMES)
def test_one_form_at_a_time(shell: Shell, name: str) -> None:
    """JSON or comma-separated values."""
    assert "--json and --csv exclude each other" in shell.wrong("report", name, "--json", "--csv")


def test_a_group_that_nobody_is_in(people: Shell) -> None:
    """It is refused, with the groups that there are."""
    sql(people, "UPDATE users SET groups = 'netadmin' || char(10) || 'staff'")
    said = people.refused("report", "coverage", "--group", "netadmins")
    assert "nobody is in a group netadmins; groups that people are in: netadmin, staff" in said


@pytest.mark.parametrize("group", ["", " staff", "a\nb"])
def test_what_can_be_no_group(people: Shell, group: str) -> None:
    """It is not looked for."""
    assert "--group" in people.wrong("report", "coverage", "--group", group)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_site(shell: Shell, name: str) -> None:
    """Nobody and nothing: a sentence for each table, in every form."""
    assert shell.run("report", name)
    shown = shell.say("report", name, "--json").json()
    assert shown["report"] == name
    assert set(shown["totals"].values()) == {0}
    assert shell.run("report", name, "--csv").startswith('"table","figure","value",')


def test_nothing_is_written(people: Shell) -> None:
    """The store is the same afterwards, octet for octet, the audit too."""
    before = sql(people, "SELECT count(*), max(id) FROM events")
    for name in NAMES:
        people.run("report", name)
    assert sql(people, "SELECT count(*), max(id) FROM events") == before


def test_coverage(people: Shell) -> None:
    """Alice has a fob, bob has nothing; the group has only alice."""
    people.add_user("bob")
    sql(people, "UPDATE users SET groups = 'staff' WHERE name = 'alice'")
    shown = people.say("report", "coverage", "--json").json()
    assert {name: shown["totals"][name] for name in ("people", "able", "unable")} == {
        "people": 2,
        "able": 1,
        "unable": 1,
    }
    assert [row["user"] for row in shown["without"]] == ["bob"]
    assert shown["rules"][0]["people"] == 2
    alone = people.say("report", "coverage", "--group", "staff", "--json").json()
    assert (alone["group"], alone["totals"]["people"], alone["totals"]["unable"]) == ("staff", 1, 0)


def test_stale(people: Shell) -> None:
    """A fob is stale when it was not used for as long as one says."""
    sql(people, "UPDATE tokens SET last_used = ?", time.time() - 50 * A_DAY)
    assert people.say("report", "stale", "--json").json()["idle"] == []
    (row,) = people.say("report", "stale", "--days", "49", "--json").json()["idle"]
    assert (row["serial"], row["user"], row["days"]) == ("H1", "alice", 50)


def test_exceptions(people: Shell) -> None:
    """An open grant, a grace of the rules, a login under it, and an unlocking of the period, but not of before."""
    people.change("primary:", "rules: [{name: all, enrolment: {grace_until: 2099-12-31}}]\nprimary:")
    people.add_user("bob")
    sql(
        people,
        "INSERT INTO grants (user_id, user, kind, reason, granted_by, created, until) "
        "VALUES (1, 'alice', 'temporary', 'lost', 'carol', ?, ?)",
        time.time() - 3.5 * A_DAY,
        time.time() + A_DAY,
    )
    happened(people, "access.accepted", 2, "grace", "bob")
    happened(people, "access.accepted", 2, "ok")
    happened(people, "user.unlocked", 60, "asked", actor="carol")
    happened(people, "user.unlocked", 1, "asked again", actor="carol")
    shown = people.say("report", "exceptions", "--json").json()
    assert [(row["user"], row["days"], row["reason"]) for row in shown["grants"]] == [("alice", 3, "lost")]
    assert [(row["waiver"], row["people"]) for row in shown["waivers"]] == [("grace", 1)]
    assert [(row["way"], row["logins"], row["share"]) for row in shown["fallback"]] == [("grace", 1, 0.5)]
    assert [row["reason"] for row in shown["changes"]] == ["asked again"]
    assert people.say("report", "exceptions", "--days", "90", "--json").json()["totals"]["unlocks"] == 2


def test_recovery(people: Shell) -> None:
    """Nobody has a sheet, and a request of the period is named."""
    sql(
        people,
        "INSERT INTO requests (user_id, user, reason, requested_by, created, expires, lasts) "
        "VALUES (1, 'root', 'x', 'a', ?, 0, 9)",
        time.time(),
    )
    shown = people.say("report", "recovery", "--json").json()
    assert (shown["totals"]["people_with_sheet"], shown["left"][0]["people"]) == (0, 1)
    assert [row["requested_by"] for row in shown["requests"]] == ["a"]


def test_inventory_knows_what_makers_promise(people: Shell) -> None:
    """The battery of a model in the catalogue ends so many years after its delivery."""
    sql(people, "UPDATE tokens SET model = 'OATH HOTP hardware token', delivered = ?", time.time() - 5 * 365 * A_DAY)
    (row,) = people.say("report", "inventory", "--json").json()["batteries"]
    assert (row["serial"], row["over"]) == ("H1", True)
    assert row["battery_ends"] - row["delivered"] == 4 * 365 * A_DAY


def test_failures(people: Shell) -> None:
    """By reason and by day of the site's own zone, today the last; what is older than the period is not counted."""
    people.change("primary:", "time_zone: Pacific/Kiritimati\nprimary:")
    for days_ago, reason in ((0, "wrong_code"), (1, "wrong_code"), (3, "locked"), (40, "wrong_password")):
        happened(people, "access.rejected", days_ago, reason)
    shown = people.say("report", "failures", "--json").json()
    assert [(row["reason"], row["refused"]) for row in shown["reasons"]] == [("wrong_code", 2), ("locked", 1)]
    assert [row["refused"] for row in shown["days"]] == [1, 1, 1]
    assert shown["callers"] == [{"caller": "192.0.2.9", "client": "lab", "refused": 3}]
    assert (shown["since"] + 14 * 3600) % A_DAY == 0  # midnight there


@pytest.mark.parametrize("name", NAMES)
def test_on_a_terminal(people: Shell, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fits 80 columns whatever people are called, has no colours where none are wanted, and no name can deceive."""
    monkeypatch.setenv("COLUMNS", "80")
    hostile = HOSTILE + "W" * 200
    sql(people, "UPDATE users SET name = ?, locked_until = ?", hostile, time.time() + 900)
    for _ in range(3):
        happened(people, "access.rejected", 0, "wrong_code", hostile)
        happened(people, "grant.skip", 0, hostile, hostile, actor=hostile)
        happened(people, "access.accepted", 0, "grace", hostile)
    sql(people, "UPDATE users SET created = 0")
    out = people.run("report", name)
    assert max(map(len, out.splitlines())) <= 80
    assert all(char.isprintable() for char in out.replace("\n", ""))


def test_bars(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest bar is that of the most, half as many have half of it, and few are never invisible."""
    monkeypatch.setenv("COLUMNS", "80")
    for reason, count in (("wrong_code", 200), ("locked", 100), ("no_token", 1)):
        happened(people, "access.rejected", 0, reason, times=count)
    bars = {line.split()[0]: line.count("█") for line in people.run("report", "failures").splitlines() if "█" in line}
    assert bars["wrong_code"] == 2 * bars["locked"] == 40
    assert re.search(r"no_token +1 +0\.3% +▎", people.run("report", "failures"))


def test_bars_where_there_are_only_letters(people: Shell) -> None:
    """A terminal that knows ASCII alone gets signs it has, and names in escapes."""
    happened(people, "access.rejected", 0, "wrong_code", "Zoë")
    arguments = _config_first(["report", "failures", "-c", str(people.config)])
    result = CliRunner(charset="ascii").invoke(app, arguments, prog_name="radiusd2fa")
    assert result.exit_code == 0
    assert result.stdout.isascii()
    assert "####" in result.stdout
    assert "Zo\\xeb" in result.stdout


def test_long_tables_are_cut_on_a_terminal_alone(people: Shell) -> None:
    """Ten rows, and how many more there are; JSON and comma-separated values have them all."""
    sql(
        people,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) "
        "INSERT INTO users (name, created) SELECT 'b' || i, 0 FROM n",
    )
    out = people.run("report", "coverage")
    assert len(re.findall(r"^ b\d+ ", out, re.MULTILINE)) == 10
    assert "and 20 more; --json and --csv show all there is" in out
    assert len(people.say("report", "coverage", "--json").json()["without"]) == 30
    assert people.run("report", "coverage", "--csv").count('"without"') == 30


def test_comma_separated(people: Shell) -> None:
    """All tables in one, times in UTC as ISO 8601 has them, and nothing that a spreadsheet would run."""
    sql(people, "UPDATE users SET name = '=cmd|calc', created = 0")
    sql(people, "UPDATE tokens SET last_used = 86400")
    rows = list(csv.DictReader(io.StringIO(people.run("report", "stale", "--csv"))))
    (idle,) = [row for row in rows if row["table"] == "idle"]
    assert (idle["user"], idle["last_used"]) == ("'=cmd|calc", "1970-01-02T00:00:00Z")
    assert {row["table"] for row in rows} >= {"totals", "ages", "idle", "people"}


def test_help_reads_well(shell: Shell) -> None:
    """Every report is there with a sentence."""
    out = shell.run("report", "--help")
    for name in (*NAMES, "page"):
        assert re.search(rf"^  {name} +[A-Z]", out, re.MULTILINE), name
