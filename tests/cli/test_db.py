"""`radiusd2fa db upgrade`: an older database comes to today's schema with all that stands in it, or stays as it was.

Older ones are those of tests/store/schemas, as the programs of then have written them. No RFC speaks of this.
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
from tests.store.schemas import RELEASED, unpack


def revise(shell: Shell, script: str) -> None:
    """Change the database past the program."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database:
        database.executescript(script)


def older(shell: Shell, schema: str = "0003") -> Shell:
    """Put a database of that schema, with its key, into the place of the site's."""
    for name in ("radiusd2fa.db", "vault.key"):
        (shell.folder / name).unlink()
    unpack(schema, shell.folder / "radiusd2fa.db", shell.folder / "vault.key")
    return shell


@pytest.mark.parametrize("schema", RELEASED)
def test_an_older_database_says_what_to_do_and_then_works(shell: Shell, schema: str) -> None:
    """Every command names `db upgrade`; after it everything is there again, and a second time changes nothing."""
    older(shell, schema)
    assert "radiusd2fa db upgrade" in shell.wrong("check")
    assert "radiusd2fa db upgrade" in shell.wrong("user", "list")
    assert f"schema {schema} became {REVISION}" in shell.run("db", "upgrade")
    alice, bob, carol = json.loads(shell.run("user", "list", "--json"))
    assert (alice["name"], alice["groups"], alice["enrolled"]) == ("alice", [], True)
    assert (bob["name"], bob["groups"], bob["enrolled"]) == ("bob", ["staff", "vpn"], True)
    assert (carol["enabled"], carol["enrolled"]) == (False, True)
    assert "whole" in shell.run("db", "verify")
    assert "already" in shell.run("db", "upgrade")


UNMARKED: Final = "SELECT count(*) FROM tokens WHERE fingerprint IS NULL AND kind IN ('hotp', 'totp', 'yubico')"


def unmarked(shell: Shell) -> int:
    """How many fobs have no mark."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database:
        (count,) = database.execute(UNMARKED).fetchone()
        return int(count)


@pytest.mark.parametrize("key", ["another's", "none"])
def test_without_its_vault_key_the_schema_comes_up_all_the_same(shell: Shell, key: str) -> None:
    """A warning names the key and what to do; with the right one the same command marks what is left."""
    file = older(shell).folder / "vault.key"
    kept = file.rename(file.with_name("kept"))
    if key != "none":
        vault.create(file)
    said = shell.say("db", "upgrade")
    assert (said.code, f"schema 0003 became {REVISION}" in said.out) == (0, True)
    assert said.err.startswith("warning: seeds of older versions were not marked: ")
    assert "vault.key" in said.err
    assert unmarked(shell) == 4
    kept.replace(file)
    assert "marked 4 seeds of an older version" in shell.run("db", "upgrade")
    assert unmarked(shell) == 0


def test_a_seed_that_does_not_open_keeps_no_other_unmarked(shell: Shell) -> None:
    """It is named; the rest are marked, and the command is done."""
    revise(older(shell), "UPDATE tokens SET sealed = x'00' WHERE serial IN ('H1', 'H2')")
    said = shell.say("db", "upgrade")
    assert said.code == 0
    assert "marked 2 seeds" in said.out
    assert "warning: a seed was not marked: token 1" in said.err
    assert "and 1 more like it" in said.err
    assert unmarked(shell) == 2


def test_seeds_of_before_are_marked_at_once(shell: Shell) -> None:
    """So that a twin of one of them is seen from then on; a second time there is nothing to mark."""
    assert "marked 4 seeds of an older version" in older(shell).run("db", "upgrade")
    assert unmarked(shell) == 0
    assert "marked" not in shell.run("db", "upgrade")


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
