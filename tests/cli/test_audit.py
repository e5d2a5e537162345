"""`radiusd2fa audit list`, `key` and `verify`: what they show, what they refuse, and how they end.

What is found in which chain is tested beside the store; here it is what a person or a program is told. Syslog is real
text of our own sender. RFC 5424.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.model import Event
from radiusd2fa.log import Level, Note, one_line, unfold
from radiusd2fa.store.administration import Administration
from radiusd2fa.store.auditing import checkpoint_of
from radiusd2fa.store.checkpoints import sign
from radiusd2fa.syslog_message import render
from radiusd2fa.vault import create

from .conftest import Shell, command

LOGIN: Final = Event(
    time=1_600_000_000.5,
    name="access.rejected",
    login="10619",
    nas="vpn",
    user="alice",
    caller="192.0.2.1",
    factor="hotp",
    serial="H1",
    outcome="rejected",
    reason="wrong_code",
)


def tamper(shell: Shell, *statements: str) -> None:
    """Write into the database past all of our code."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db", isolation_level=None)) as database:
        for table in ("events", "checkpoints"):
            for what in ("update", "delete"):
                database.execute(f"DROP TRIGGER IF EXISTS {table}_no_{what}")
        for statement in statements:
            database.execute(statement)


def signed(shell: Shell) -> list[Checkpoint]:
    """The checkpoints of the store."""
    with shell.registry() as registry, registry._looking() as connection:
        return [checkpoint_of(row) for row in connection.exec_driver_sql("SELECT * FROM checkpoints ORDER BY id").all()]


def chain_of(shell: Shell) -> str:
    """The chain of the command line on this host."""
    return signed(shell)[-1].chain


@pytest.fixture
def told(people: Shell) -> Shell:
    """A site with logins in its audit, besides what the command line has done."""
    with people.registry() as registry:
        address, key = registry._address, registry._vault
    with Administration(address, key, "nobody", chain="vpn1") as desk, desk._transaction() as connection:
        desk._note_many(connection, [LOGIN, LOGIN])
    return people


# --- list -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [("--since", "yesterday"), ("--last", "0"), ("--user", " ")])
def test_what_cannot_be_meant_is_wrong_usage(told: Shell, wrong: tuple[str, str]) -> None:
    """A day that is none, no rows at all, a name that nobody can have."""
    assert wrong[0] in told.wrong("audit", "list", *wrong) or "user name" in told.wrong("audit", "list", *wrong)


def test_the_latest_rows_are_listed_last(told: Shell) -> None:
    """What happened, to whom, where from, with what, why, and by whom."""
    said = told.run("audit", "list")
    assert said.index("user.added") < said.index("token.added") < said.index("access.rejected")
    (line, _) = [line for line in said.splitlines() if "access.rejected" in line]
    for cell in ("alice", "vpn 192.0.2.1", "hotp H1", "wrong_code"):
        assert cell in line


FILTERS: Final = {
    ("--client", "vpn"): ["access.rejected"] * 2,
    ("--client", "ssh"): [],
    ("--user", "Alice"): ["user.added", "token.added", "access.rejected", "access.rejected"],
    ("--serial", "H1", "--last", "1"): ["access.rejected"],
    ("--since", "2021-01-01"): ["user.added", "token.added"],
}


@pytest.mark.parametrize("options", FILTERS, ids=" ".join)
def test_rows_are_listed_by_what_they_are_about(told: Shell, options: tuple[str, ...]) -> None:
    """By person, client, token and day; programs get all columns and the place in the chain."""
    rows = told.say("audit", "list", "--json", *options).json()
    assert [row["name"] for row in rows] == FILTERS[options]
    assert all(len(row["hash"]) == 64 and row["chain"] and row["sequence"] for row in rows)
    assert ("no rows" in told.run("audit", "list", *options)) is (not rows)


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_whole_audit_is_said_to_be_whole(told: Shell) -> None:
    """With its chains, and how many signatures hold."""
    said = told.run("audit", "verify")
    assert "vpn1" in said
    assert chain_of(told) in said
    assert f"the audit is whole; checkpoints whose signatures hold: {len(signed(told))}" in said
    document = told.say("audit", "verify", "--json").json()
    assert (document["whole"], document["findings"], document["count"]) == (True, [], 0)
    assert [one["rows"] for one in document["chains"]] == [2, 2]


def test_what_is_wrong_is_told_with_its_row(told: Shell) -> None:
    """Chain, sequence, id and time, and what it means; the command ends with 1."""
    tamper(told, "UPDATE events SET outcome = 'accepted' WHERE chain = 'vpn1' AND sequence = 1")
    said = told.say("audit", "verify")
    assert said.code == 1
    (line,) = said.err.splitlines()
    assert line.startswith("error: vpn1 row 1 (id ")
    assert line.endswith("): row changed: it is not as it was written")
    assert "is whole" not in said.out
    document = told.say("audit", "verify", "--json")
    assert document.code == 1
    assert document.json()["findings"][0] == {
        "fault": "row changed",
        "chain": "vpn1",
        "meaning": "it is not as it was written",
        "sequence": 1,
        "id": document.json()["findings"][0]["id"],
        "time": LOGIN.time,
    }


def test_many_faults_do_not_drown_who_reads_them(told: Shell) -> None:
    """Twenty lines, and how many more there are."""
    with told.registry() as registry:
        address, key = registry._address, registry._vault
    with Administration(address, key, "nobody", chain="vpn1") as desk, desk._transaction() as connection:
        desk._note_many(connection, [LOGIN] * 30)
    tamper(told, "UPDATE events SET outcome = 'accepted' WHERE chain = 'vpn1'")
    lines = told.refused("audit", "verify").splitlines()
    assert len(lines) == 21
    assert lines[-1] == "error: and 12 more; --json shows up to 32"


def test_a_name_that_somebody_has_planted_forges_no_line(told: Shell) -> None:
    """The name of a chain is data like any other."""
    tamper(told, "UPDATE events SET chain = 'x' || char(10) || 'error: vpn1' WHERE chain = 'vpn1'")
    said = told.refused("audit", "verify")
    assert "\nerror: vpn1'" not in said
    assert "x\\x0aerror: vpn1" in said


# --- against syslog ---------------------------------------------------------------------------------------------------


def as_note(one: Checkpoint) -> Note:
    """What the journal takes."""
    return Note(one.time, Level.INFO, "audit.checkpoint", one.fields())


def rfc5424(one: Checkpoint) -> str:
    """As it is sent."""
    return render(as_note(one), 10, "vpn1.example.org", "radiusd2fa", "17").decode()


def words(one: Checkpoint) -> str:
    """As rsyslog writes it in its traditional format, without the structured data."""
    return f"Nov 22 09:18:15 vpn1 radiusd2fa[17]: {rfc5424(one).partition('] ')[2]}"


def our_json(one: Checkpoint) -> str:
    """As `log: {format: json}` has it."""
    return one_line(unfold(None, "", {"entry": as_note(one)}))


def wrapped(one: Checkpoint) -> str:
    """As a collector keeps a message of RFC 5424 within JSON, with slashes escaped as some do."""
    return json.dumps({"host": "vpn1", "message": rfc5424(one)}).replace("/", "\\/")


FORMS: Final[dict[str, Callable[[Checkpoint], str]]] = {
    "RFC 5424": rfc5424,
    "the words alone": words,
    "JSON": our_json,
    "JSON within JSON": wrapped,
}
OTHERS: Final = (
    "",
    "\x00\xff nonsense",
    "<86>1 2026-11-22T09:18:15Z vpn1 sshd 1 - - audit.checkpoint",
    '<86>1 - - radiusd2fa - audit.checkpoint [radiusd2fa@32473 chain="vpn1" sequence="7" hash="00',
)


@pytest.mark.parametrize("form", FORMS)
def test_syslog_is_read_in_each_form(told: Shell, tmp_path: Path, form: str) -> None:
    """Among lines of others, of which some speak of a checkpoint and hold none; what is wrong is then told."""
    log = tmp_path / "syslog"
    log.write_text("".join(f"{line}\n" for line in (*OTHERS, *map(FORMS[form], signed(told)), *OTHERS)))
    said = told.run("audit", "verify", "--syslog", str(log))
    assert f"checkpoints in {log}: {len(signed(told))}\n" in said
    assert "lines about a checkpoint that hold none whole: 4\n" in said
    before = (told.folder / "radiusd2fa.db").read_bytes()
    told.run("user", "disable", "alice")
    with log.open("a") as more:
        more.write(f"{FORMS[form](signed(told)[-1])}\n")
    (told.folder / "radiusd2fa.db").write_bytes(before)
    assert "the audit is whole" in told.run("audit", "verify")
    said = told.refused("audit", "verify", "--syslog", str(log))
    assert f"rows missing at the end: a checkpoint in {log} line " in said


def test_syslog_may_come_on_standard_input(told: Shell) -> None:
    """As from another machine, or out of a compressed file."""
    text = "\n".join(map(rfc5424, signed(told)))
    assert told.say("audit", "verify", "--syslog", "-", "--json", typed=text).json()["syslog"] == {
        "checkpoints": len(signed(told)),
        "foreign": 0,
        "unreadable": 0,
    }


def test_syslog_without_a_checkpoint_of_ours_is_a_refusal(told: Shell, tmp_path: Path) -> None:
    """It would prove nothing: an empty file, another site's, and one that cannot be read."""
    stranger = create(tmp_path / "stranger.key")
    (tmp_path / "empty").write_text("")
    (tmp_path / "theirs").write_text(rfc5424(sign(stranger, "vpn1", 1, bytes(32), 1.0)))
    for name in ("empty", "theirs"):
        said = told.say("audit", "verify", "--syslog", str(tmp_path / name))
        assert (said.code, "proves nothing" in said.err) == (1, True)
    assert "checkpoints of other keys, as another site's are: 1" in said.out
    assert "No such file" in told.refused("audit", "verify", "--syslog", str(tmp_path / "nowhere"))


def test_a_checkpoint_that_was_changed_on_its_way_is_told(told: Shell, tmp_path: Path) -> None:
    """Whoever can write the collector cannot make one."""
    (tmp_path / "log").write_text("\n".join(map(rfc5424, signed(told))).replace('sequence="2"', 'sequence="3"'))
    said = told.refused("audit", "verify", "--syslog", str(tmp_path / "log"))
    assert "checkpoint forged: the checkpoint in" in said


# --- keys -------------------------------------------------------------------------------------------------------------


def test_an_auditors_own_copy_of_the_key_is_what_counts(told: Shell, tmp_path: Path) -> None:
    """With the right one all is whole; with another site's all checkpoints are a stranger's."""
    (tmp_path / "key.pem").write_text(told.run("audit", "key"))
    command("init", "--dir", str(tmp_path / "other"))
    (tmp_path / "other.pem").write_text(Shell(tmp_path / "other").run("audit", "key"))
    assert "is whole" in told.run("audit", "verify", "--public-key", str(tmp_path / "key.pem"))
    said = told.refused("audit", "verify", "--public-key", str(tmp_path / "other.pem"))
    assert said.count("checkpoint of an unknown key") == len(signed(told))


@pytest.mark.parametrize("text", [None, "", "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"])
def test_a_file_without_a_key_is_refused(told: Shell, tmp_path: Path, text: str | None) -> None:
    """Before anything is verified with less than was asked for."""
    if text is not None:
        (tmp_path / "key.pem").write_text(text)
    said = told.refused("audit", "verify", "--public-key", str(tmp_path / "key.pem"))
    assert str(tmp_path / "key.pem") in said
    assert "Traceback" not in said


def test_log_settings_say_it_in_the_journal_too() -> None:
    """Nothing of a checkpoint is hidden where lines are shown."""
    one = Checkpoint("vpn1", 7, bytes(32), 1.5, "0123456789abcdef", bytes(64))
    assert "***" not in our_json(one)
