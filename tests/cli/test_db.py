"""`radiusd2fa db upgrade`: an older database comes to today's schema with all that stands in it, or stays as it was.

Older ones are made by taking away what the second and the third migration added. No RFC speaks of this.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from radiusd2fa.store.schema import REVISION
from tests.cli.conftest import Shell

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
    revise(shell, THIRD + SECOND)
    assert "radiusd2fa db upgrade" in shell.wrong("check")
    assert "radiusd2fa db upgrade" in shell.wrong("user", "list")
    assert f"schema 0001 became {REVISION}" in shell.run("db", "upgrade")
    alice, bob = json.loads(shell.run("user", "list", "--json"))
    assert (alice["name"], alice["groups"], alice["enrolled"]) == ("alice", ["a", "b"], True)
    assert (bob["name"], bob["groups"], bob["enrolled"]) == ("bob", [], False)
    assert "already" in shell.run("db", "upgrade")


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
