"""`radiusd2fa db backup`, `restore`, `gap`, `verify` and `rotate-key`, as an administrator gives them.

What they do to stores is tests/store's; here is what they ask and say, and how they end. No RFC speaks of this.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from radiusd2fa import key_file, vault
from radiusd2fa.cli import db_rotate
from tests.cli.conftest import Shell


@pytest.fixture
def backup(people: Shell, tmp_path: Path) -> str:
    """A backup of a site with alice and H1."""
    people.run("db", "backup", str(tmp_path / "b.db"))
    return str(tmp_path / "b.db")


def change(shell: Shell, script: str) -> None:
    """Change the database past the program."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database:
        database.executescript(script)


# --- backup ----------------------------------------------------------------------------------------------------------


def test_a_backup_says_what_is_in_it_and_what_is_not(people: Shell, tmp_path: Path) -> None:
    """The counts, and that the vault key must be kept apart; for programs as JSON; a second time it is refused."""
    said = people.run("db", "backup", str(tmp_path / "b.db"))
    assert "1 user, 1 token, 2 events; schema 0005" in said
    assert "is not in it: keep a copy of" in said
    assert "vault.key apart" in said
    assert "overwrites nothing" in people.wrong("db", "backup", str(tmp_path / "b.db"))
    shown = people.say("db", "backup", "--json", str(tmp_path / "c.db")).json()
    assert (shown["users"], shown["tokens"], shown["events"]) == (1, 1, 2)
    assert shown["octets"] == (tmp_path / "c.db").stat().st_size


def test_a_backup_into_no_folder(people: Shell, tmp_path: Path) -> None:
    """The error names the place."""
    assert str(tmp_path / "no") in people.wrong("db", "backup", str(tmp_path / "no" / "b.db"))


# --- restore ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["\n", "no\n", "y\n", ""])
def test_nothing_is_restored_without_a_yes(people: Shell, backup: str, typed: str) -> None:
    """It says first what people will notice; whoever does not type yes has changed nothing."""
    people.add_user("bob")
    said = people.say("db", "restore", backup, typed=typed)
    assert said.code == 1
    assert "What people will notice" in said.out
    assert "pressed 11 times more" in said.out
    assert "bob" in people.run("user", "list")


def test_a_restore_that_is_wanted(people: Shell, backup: str) -> None:
    """With yes, typed or given, it is done; the audit says who and why."""
    people.add_user("bob")
    said = people.say("db", "restore", backup, "--gap", "30", "--reason", "a mistake", typed="yes\n")
    assert said.code == 0
    assert "1 HOTP fob: press the button 30 times, and type the code after that" in said.out
    assert "bob" not in people.run("user", "list")
    row = people.events()[-1]
    assert (row.name, row.reason, row.outcome) == ("database.restored", "b.db: a mistake", "done")
    people.run("db", "restore", backup, "--yes")
    assert "whole" in people.run("db", "verify")


def test_a_store_that_is_gone_or_damaged(people: Shell, backup: str) -> None:
    """What is gone is made; what is damaged must be moved away first, and the line to paste is there."""
    database = people.folder / "radiusd2fa.db"
    database.write_bytes(b"no database at all")
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    said = people.wrong("db", "restore", backup, "--yes")
    assert "no SQLite database" in said
    assert ".damaged" in said
    database.unlink()
    assert "is not there, and is made" in people.run("db", "restore", backup, "--yes")
    assert "alice" in people.run("user", "list")


def test_how_wide_the_gap_should_be(people: Shell, tmp_path: Path) -> None:
    """Where nobody knows what was used since, the busiest fob of the month before says how many codes it may be."""
    with closing(sqlite3.connect(people.folder / "radiusd2fa.db")) as database, database:
        row = (
            "unixepoch(), 'access.accepted', '', '', 'alice', '', 'hotp', 'H1', 'accepted', 'ok', 0, '', 'x', ?, x'00'"
        )
        database.executemany(f"INSERT INTO events SELECT NULL, {row}", [(number,) for number in range(40)])
    people.run("db", "backup", str(tmp_path / "b.db"))
    (people.folder / "radiusd2fa.db").unlink()
    said = people.say("db", "restore", str(tmp_path / "b.db"), "--anyway", typed="no\n")
    assert "warning: the busiest fob was used" in said.err
    assert "--gap " in said.err


def test_a_backup_with_faults(people: Shell, tmp_path: Path) -> None:
    """Each is named, and nothing is restored but with --anyway."""
    change(people, "UPDATE tokens SET fingerprint = 'x'")
    people.run("db", "backup", str(tmp_path / "b.db"))
    assert "mark of another seed" in people.refused("db", "restore", str(tmp_path / "b.db"), "--yes")
    people.run("db", "restore", str(tmp_path / "b.db"), "--yes", "--anyway")


@pytest.mark.parametrize("file", ["no backup", "nowhere"])
def test_what_is_no_backup(people: Shell, tmp_path: Path, file: str) -> None:
    """It is named, and nothing else happens."""
    (tmp_path / "no backup").write_text("something else")
    assert file in people.wrong("db", "restore", str(tmp_path / file), "--yes")


def test_the_gap_alone(people: Shell) -> None:
    """It asks as a restore does, moves everything forward, and says how to go on."""
    assert "nothing was changed" in people.refused("db", "gap", typed="no\n")
    assert "press the button 15 times" in people.run("db", "gap", "--gap", "15", "--yes")
    assert people.events()[-1].name == "database.restored"


# --- verify ----------------------------------------------------------------------------------------------------------


def test_a_store_that_is_whole(people: Shell) -> None:
    """One line, and an empty list for programs."""
    assert people.run("db", "verify").startswith("the store is whole")
    assert people.say("db", "verify", "--json").json() == []


def test_faults_are_named_with_what_to_do(people: Shell) -> None:
    """Tables, rows and the audit; exit code 1, and all of them for programs."""
    change(
        people, "UPDATE tokens SET fingerprint = 'x'; DROP TRIGGER events_no_update; UPDATE events SET user = 'mallory'"
    )
    said = people.say("db", "verify")
    assert said.code == 1
    for text in ("token H1: has the mark", "token revoke H1", "events_no_update: is missing", "row changed"):
        assert text in said.out
    shown = people.say("db", "verify", "--json")
    assert shown.code == 1
    assert {"token H1", "trigger events_no_update"} <= {one["where"] for one in shown.json()}


# --- rotate-key ------------------------------------------------------------------------------------------------------


def test_the_key_is_exchanged_step_by_step(people: Shell) -> None:
    """It asks twice, says how far it is whenever it is asked, and goes on where it was left."""
    key = people.folder / "vault.key"
    old = vault.load(key)
    assert "no exchange is under way" in people.run("db", "rotate-key", "--status")
    assert "nothing was changed" in people.refused("db", "rotate-key", typed="no\n")
    assert vault.load(key).keys == old.keys
    people.refused("db", "rotate-key", typed="yes\nno\n")
    assert len(vault.load(key).keys) == 2
    assert "under way" in people.run("db", "rotate-key", "--status")
    status = people.say("db", "rotate-key", "--status", "--json").json()
    assert (status["database"], status["at_rest"], status["rows"]) == (old.key_id.hex(), False, {old.key_id.hex(): 1})
    assert "2/3 everything is sealed" in people.run("db", "rotate-key", typed="yes\n")
    assert old.key_id not in vault.load(key).key_ids
    assert "no exchange is under way" in people.run("db", "rotate-key", "--status")
    assert "whole" in people.run("db", "verify")
    names = [row.name for row in people.events()]
    assert names[-2:] == ["vault.rotation_begun", "vault.rotated"]


def test_the_last_step_alone(people: Shell) -> None:
    """Ended between the database and the file, only the file is left to do."""
    people.run("db", "rotate-key", "--yes")
    key = people.folder / "vault.key"
    line = key.read_text()
    shutil.copy(key, people.folder / "kept")
    key_file.add_key(key)
    key.write_text(line + key.read_text().splitlines()[0] + "\n")  # the newer one is the old one here
    assert "all but done" in people.run("db", "rotate-key", "--status")
    assert "2/3" not in people.run("db", "rotate-key", "--yes")
    assert key.read_text() == line


def test_a_service_that_has_a_copy_of_before(people: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sealed under a key that a running daemon could not know; the text names the service to restart."""
    copies = tmp_path / "credentials"
    (copies / "radiusd2fa.service").mkdir(parents=True)
    copy = copies / "radiusd2fa.service" / "vault.key"
    shutil.copy(people.folder / "vault.key", copy)
    monkeypatch.setattr(db_rotate, "CREDENTIALS", copies)
    assert "systemctl restart radiusd2fa.service" in people.refused("db", "rotate-key", "--yes")
    assert people.say("db", "rotate-key", "--status", "--json").json()["rows"].keys() == {vault.load(copy).key_id.hex()}
    shutil.copy(people.folder / "vault.key", copy)
    people.run("db", "rotate-key", "--yes")


def test_a_key_file_that_cannot_be_replaced(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a credential: what to do is said, and nothing is changed."""
    monkeypatch.setattr(key_file, "can_be_replaced", lambda _: False)
    assert "LoadCredential" in people.refused("db", "rotate-key", "--yes")
