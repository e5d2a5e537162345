"""`db verify`: each kind of damage is found and named, and nothing is found in a store that is whole.

Every fault is planted past all of our code, in the real stores. RFC 4226 7.2 rests on moving factors that are true.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from radiusd2fa import vault
from radiusd2fa.core.sheets import RECOVERY, make, octets_wanted
from radiusd2fa.store.address import PostgresServer
from radiusd2fa.store.connecting import How, open_engine, transaction
from radiusd2fa.store.upgrade import create
from radiusd2fa.store.verifying import Fault, faults
from radiusd2fa.vault import Vault
from tests.postgresql import Cluster

from .conftest import NOW, Site, hotp


def found(site: Site, key: Vault | None = None) -> list[Fault]:
    """What is wrong."""
    engine = open_engine(site.address)
    with engine.connect() as connection, transaction(connection, How.LOOKING):
        return list(faults(connection, key or site.vault, NOW, lambda *_: None))


@pytest.fixture
def furnished(site: Site) -> Site:
    """The site with a sheet of codes, a Yubico OTP key, and somebody who was removed."""
    codes = make(RECOVERY, 3, bytes(range(octets_wanted(RECOVERY, 3))))
    with site.registry() as registry:
        sheet = replace(hotp("R1", counter=0), kind="recovery", secret=codes.secret, digits=0, algorithm="")
        registry.issue_recovery("alice", sheet, NOW)
        registry.add_token(replace(hotp("Y1", counter=0), kind="yubico", secret=bytes(28), digits=44), "alice", NOW)
        registry.add_user("carol", None, (), NOW)
        registry.issue_recovery("carol", replace(sheet, serial="R2"), NOW)
        registry.remove_user("carol", NOW)
    return site


@pytest.mark.both_stores
def test_a_store_that_is_whole(furnished: Site) -> None:
    """Nothing is found; what was somebody's who was removed need not open any more."""
    assert found(furnished) == []


ROWS = {
    "sealed for another row": (("UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE serial = 'H2') "
                               "WHERE serial = 'H1'"), "token H1", "another row"),
    "sealed for somebody else": ("UPDATE tokens SET user_id = 2 WHERE serial = 'R1'", "token R1", "another row"),
    "sealed under another key": ("UPDATE tokens SET sealed = ? WHERE serial = 'H1'", "token H1", "another vault key"),
    "of another seed": ("UPDATE tokens SET fingerprint = 'x' WHERE serial = 'H2'", "token H2", "mark of another seed"),
    "of no kind": ("UPDATE tokens SET kind = 'magic' WHERE serial = 'H1'", "token H1", "no kind or state"),
    "in no state": ("UPDATE tokens SET state = 'lent' WHERE serial = 'H1'", "token H1", "no kind or state"),
    "a sheet with more codes than it has": (
        "UPDATE tokens SET moving_factor = 8 WHERE serial = 'R1'", "token R1", "moving factor"),
    "a step that is yet to come": (
        "UPDATE tokens SET moving_factor = 99000000 WHERE serial = 'T1'", "token T1", "moving factor"),
    "a session that no key counts to": (
        "UPDATE tokens SET moving_factor = 8388608 WHERE serial = 'Y1'", "token Y1", "moving factor"),
    "a skip that nobody has granted": (
        "UPDATE users SET skip_until = 1800000000 WHERE name = 'bob'", "user bob", "second factor"),
    "somebody who is said never to have had a token": (
        "UPDATE users SET enrolled = (1 = 0) WHERE name = 'bob'", "user bob", "has a token"),
    "emergency codes that nobody has opened": (
        "UPDATE tokens SET kind = 'breakglass', valid_until = 1800000000 WHERE serial = 'R1'", "token R1", "open"),
}  # fmt: skip


@pytest.mark.both_stores
@pytest.mark.parametrize("what", ROWS)
def test_a_row_that_nobody_has_written_so(furnished: Site, what: str) -> None:
    """The row is named, what is wrong with it, and what to do."""
    statement, where, text = ROWS[what]
    furnished.sql(statement, *([b"key!" + bytes(48)] if "?" in statement else []))
    wrong = found(furnished)
    assert [(one.where, text in one.what) for one in wrong] == [(where, True)], wrong
    assert all(one.remedy for one in wrong)


@pytest.mark.both_stores
def test_a_key_file_of_another_site(furnished: Site, tmp_path: Path) -> None:
    """One sentence, and not one for each row."""
    (wrong,) = found(furnished, vault.create(tmp_path / "other.key"))
    assert wrong.where == "the vault key"


@pytest.mark.parametrize(
    ("statement", "where", "what"),
    [
        ("DROP TRIGGER tokens_only_grow", "trigger tokens_only_grow", "is missing"),
        ("DROP INDEX tokens_fingerprint", "index tokens_fingerprint", "is missing"),
        ("DROP TABLE stations", "table stations", "is missing"),
        ("DROP TABLE tokens", "table tokens", "is missing"),
        ("CREATE TABLE more (x)", "table more", "is not of radiusd2fa"),
        ("CREATE TRIGGER more AFTER INSERT ON events BEGIN SELECT 1; END", "trigger more", "is not of radiusd2fa"),
        ("ALTER TABLE users ADD COLUMN more", "table users", "is not as radiusd2fa makes it"),
    ],
)
def test_tables_that_are_others(site: Site, statement: str, where: str, what: str) -> None:
    """What is missing, what is more and what is other is named, by its kind and name."""
    site.sql(statement)
    assert (where, what) in [(one.where, one.what) for one in found(site)]


def test_a_trigger_that_was_weakened(site: Site) -> None:
    """One of the same name that lets more pass is not the same."""
    site.sql("DROP TRIGGER tokens_only_grow")
    site.sql("CREATE TRIGGER tokens_only_grow BEFORE UPDATE OF moving_factor ON tokens BEGIN SELECT 1; END")
    assert [(one.where, one.what) for one in found(site)] == [
        ("trigger tokens_only_grow", "is not as radiusd2fa makes it")
    ]


@pytest.fixture
def server(cluster: Cluster, fresh_database: str, tmp_path: Path) -> Site:
    """An empty store on a server, in a database that nobody uses again."""
    address, key = PostgresServer(cluster.url(fresh_database)), vault.create(tmp_path / "vault.key")
    create(address, key)
    return Site(address, key)


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("DROP TRIGGER tokens_only_grow ON tokens", "tokens_only_grow"),
        ("ALTER TABLE tokens DISABLE TRIGGER tokens_only_grow", "tokens_only_grow"),
        ("DROP INDEX tokens_fingerprint", "tokens_fingerprint"),
        ("DROP TABLE stations", "stations"),
        ("ALTER TABLE sightings DROP COLUMN packets", "sightings.packets"),
    ],
)
def test_tables_on_a_server_that_are_others(server: Site, statement: str, where: str) -> None:
    """The same, as far as a server can be asked: what is missing, and triggers that are switched off."""
    assert found(server) == []
    server.sql(statement)
    assert [one.where for one in found(server)] == [where]


def test_a_damaged_file(site: Site) -> None:
    """What SQLite's own check finds is said."""
    site.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    root = site.sql("SELECT rootpage FROM sqlite_master WHERE name = 'tokens_fingerprint'")[0][0]
    (size,) = site.sql("PRAGMA page_size")[0]
    with site.path.open("r+b") as file:
        file.seek((root - 1) * size + 3)
        file.write(b"\0\0")
    assert "the file" in [one.where for one in found(site)]


def test_a_row_that_refers_to_none(site: Site) -> None:
    """A token of nobody who is there is found by its table and row."""
    site.sql("PRAGMA foreign_keys = OFF")
    site.sql("UPDATE tokens SET user_id = 77 WHERE serial = 'H1'")
    assert any(one.where.startswith("tokens row") for one in found(site))
