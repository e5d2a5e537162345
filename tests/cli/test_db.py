"""`radiusd2fa db upgrade`: an older database comes to today's schema with all that stands in it, or stays as it was.

Older ones are made by taking away what the second, third and fourth migration added. No RFC speaks of this.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.store.schema import REVISION
from tests.cli.conftest import Shell

FIFTH = """
    DROP TRIGGER events_no_update; DROP TRIGGER events_no_delete; DROP TABLE chains; DROP TABLE checkpoints;
    ALTER TABLE events DROP COLUMN chain; ALTER TABLE events DROP COLUMN sequence; ALTER TABLE events DROP COLUMN hash;
    CREATE TRIGGER events_no_update BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
    CREATE TRIGGER events_no_delete BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
    UPDATE alembic_version SET version_num = '0004';
"""
FOURTH = """
    DROP TRIGGER tokens_used_codes_stay_used; DROP TRIGGER users_enrolled_by_token;
    DROP TRIGGER users_enrolled_by_new_token; DROP INDEX tokens_fingerprint; DROP INDEX grants_user;
    ALTER TABLE users DROP COLUMN skip_until; DROP TABLE grants; DROP TABLE requests;
    ALTER TABLE tokens DROP COLUMN model; ALTER TABLE tokens DROP COLUMN batch; ALTER TABLE tokens DROP COLUMN box;
    ALTER TABLE tokens DROP COLUMN delivered; ALTER TABLE tokens DROP COLUMN handed_by;
    ALTER TABLE tokens DROP COLUMN handed_at; ALTER TABLE tokens DROP COLUMN activate_by;
    ALTER TABLE tokens DROP COLUMN fingerprint;
    CREATE TRIGGER users_enrolled_by_token AFTER UPDATE OF user_id ON tokens WHEN NEW.user_id IS NOT NULL
    BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END;
    CREATE TRIGGER users_enrolled_by_new_token AFTER INSERT ON tokens WHEN NEW.user_id IS NOT NULL
    BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END;
    UPDATE alembic_version SET version_num = '0003';
"""
THIRD = """
    DROP TRIGGER users_enrolled_by_token; DROP TRIGGER users_enrolled_by_new_token; DROP INDEX users_directory;
    DROP INDEX users_bare; DROP INDEX users_directory_id; ALTER TABLE users DROP COLUMN bare;
    ALTER TABLE users DROP COLUMN directory_id; ALTER TABLE users DROP COLUMN enrolled;
    ALTER TABLE users DROP COLUMN last_login; DROP TABLE sightings;
    ALTER TABLE challenges DROP COLUMN rule; ALTER TABLE challenges DROP COLUMN backend;
    ALTER TABLE challenges DROP COLUMN doomed; ALTER TABLE challenges DROP COLUMN relay_state;
    ALTER TABLE challenges DROP COLUMN relay_server; ALTER TABLE challenges DROP COLUMN reply;
    ALTER TABLE challenges DROP COLUMN attributes;
    UPDATE users SET groups = replace(groups, char(10), ',');
    UPDATE alembic_version SET version_num = '0002';
"""
SECOND = """
    DROP INDEX tokens_credential; DROP INDEX challenges_station; DROP TABLE invitations; DROP TABLE stations;
    ALTER TABLE tokens DROP COLUMN label; ALTER TABLE tokens DROP COLUMN credential;
    ALTER TABLE challenges DROP COLUMN nonce; ALTER TABLE challenges DROP COLUMN station;
    ALTER TABLE challenges DROP COLUMN contested; ALTER TABLE challenges DROP COLUMN user_verification;
    ALTER TABLE challenges DROP COLUMN credentials; ALTER TABLE challenges DROP COLUMN answer;
    UPDATE alembic_version SET version_num = '0001';
"""


def revise(shell: Shell, script: str) -> None:
    """Change the database past the program."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database:
        database.executescript(script)


def test_an_older_database_says_what_to_do_and_then_works(shell: Shell) -> None:
    """Every command names `db upgrade`; after it everything is there again, and a second time changes nothing."""
    shell.run("user", "add", "alice", "--password-stdin", "--group", "a", "--group", "b", typed="correct horse\n")
    shell.run("user", "add", "bob", "--no-password")
    shell.run("token", "add", "--user", "alice", "--kind", "totp", "--secret-stdin", typed=f"{'ab' * 20}\n")
    revise(shell, FIFTH + FOURTH + THIRD + SECOND)
    assert "radiusd2fa db upgrade" in shell.wrong("check")
    assert "radiusd2fa db upgrade" in shell.wrong("user", "list")
    assert f"schema 0001 became {REVISION}" in shell.run("db", "upgrade")
    alice, bob = json.loads(shell.run("user", "list", "--json"))
    assert (alice["name"], alice["groups"], alice["enrolled"]) == ("alice", ["a", "b"], True)
    assert (bob["name"], bob["groups"], bob["enrolled"]) == ("bob", [], False)
    assert "already" in shell.run("db", "upgrade")


UNMARKED: Final = "SELECT count(*) FROM tokens WHERE fingerprint IS NULL AND kind IN ('hotp', 'totp', 'yubico')"


def unmarked(shell: Shell) -> int:
    """How many fobs have no mark."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database:
        (count,) = database.execute(UNMARKED).fetchone()
        return int(count)


@pytest.mark.parametrize("key", ["another's", "none"])
def test_without_its_vault_key_the_schema_comes_up_all_the_same(people: Shell, key: str) -> None:
    """A warning names the key and what to do; with the right one the same command marks what is left."""
    revise(people, FIFTH + FOURTH)
    file = people.folder / "vault.key"
    kept = file.rename(file.with_name("kept"))
    if key != "none":
        vault.create(file)
    said = people.say("db", "upgrade")
    assert (said.code, f"schema 0003 became {REVISION}" in said.out) == (0, True)
    assert said.err.startswith("warning: seeds of older versions were not marked: ")
    assert "vault.key" in said.err
    assert unmarked(people) == 1
    kept.replace(file)
    assert "marked 1 seed of an older version" in people.run("db", "upgrade")
    assert unmarked(people) == 0


def test_a_seed_that_does_not_open_keeps_no_other_unmarked(people: Shell) -> None:
    """It is named; the rest are marked, and the command is done."""
    people.add_token("H2", seed=b"of another fob of hers")
    people.add_token("H3", seed=b"of a third fob of hers")
    revise(people, FIFTH + FOURTH)
    revise(people, "UPDATE tokens SET sealed = x'00' WHERE serial <> 'H2'")
    said = people.say("db", "upgrade")
    assert said.code == 0
    assert "marked 1 seed" in said.out
    assert "warning: a seed was not marked: token 1" in said.err
    assert "and 1 more like it" in said.err
    assert unmarked(people) == 2


def test_seeds_of_before_are_marked_at_once(people: Shell) -> None:
    """So that a twin of one of them is seen from then on; a second time there is nothing to mark."""
    revise(people, FIFTH + FOURTH)
    assert "marked 1 seed of an older version" in people.run("db", "upgrade")
    assert unmarked(people) == 0
    assert "marked" not in people.run("db", "upgrade")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer than this program"),
        ("DELETE FROM alembic_version", "no database of radiusd2fa"),
        ("DROP TABLE alembic_version", "cannot be brought up to date"),
    ],
)
def test_what_is_no_older_database_is_left_alone(shell: Shell, script: str, why: str) -> None:
    """A newer schema and a foreign file are refused, and not a row is changed."""
    revise(shell, script)
    before = (shell.folder / "radiusd2fa.db").read_bytes()
    assert why in shell.wrong("db", "upgrade")
    assert (shell.folder / "radiusd2fa.db").read_bytes() == before


def test_an_unknown_older_schema_is_said_to_be_so(shell: Shell) -> None:
    """A revision that no version ever had ends in a sentence, not in a traceback."""
    revise(shell, "UPDATE alembic_version SET version_num = '0000x'")
    assert "no database of radiusd2fa" in shell.wrong("db", "upgrade")


def test_no_row_can_write_to_the_terminal(shell: Shell) -> None:
    """What somebody has written into the database is shown with its controls written out."""
    revise(shell, "INSERT INTO stations VALUES ('x', 1, 'key' || char(27) || '[2J')")
    revise(shell, "INSERT INTO users (name, created) VALUES ('a' || char(27) || ']0;x', 1)")
    shell.run("user", "list")
    assert "\x1b" not in shell.run("user", "list")
