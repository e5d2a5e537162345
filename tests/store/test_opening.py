"""Opening: what is refused, what is verified, and how a sealed row is read.

A database that would lose used codes, is newer, foreign, or sealed by another vault is not opened at all.
RFC 6238 5.2 rests on it: a used code that is forgotten would be accepted again.
"""

from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from radiusd2fa import store, vault
from radiusd2fa.core.model import AdvanceMovingFactor
from radiusd2fa.store.address import PostgresServer, SqliteFile, address
from radiusd2fa.store.database import Looked
from radiusd2fa.store.schema import REVISION, TRIGGERS, metadata
from radiusd2fa.store.sqlite import (
    StoreError,
    StoreUnavailableError,
    check_revision,
    connect,
    make_durable,
)
from radiusd2fa.store.sqlite_database import SqliteDatabase
from radiusd2fa.store.upgrade import create

from .conftest import NOW, Site

pytestmark = pytest.mark.sqlite_only

# --- durable or not at all -------------------------------------------------------------------------------------------


def stubborn(word: str, instead: str) -> type[sqlite3.Connection]:
    """A connection on which one pragma comes to nothing, as on a file system that cannot do it."""

    class Stubborn(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as in sqlite3
            return super().execute(instead if sql.replace(" ", "").startswith(word) else sql, *rest)

    return Stubborn


STUBBORN: Final = {
    "synchronous NORMAL": ("PRAGMAsynchronous=", "PRAGMA synchronous=NORMAL"),
    "synchronous OFF": ("PRAGMAsynchronous=", "PRAGMA synchronous=OFF"),
    "journal DELETE": ("PRAGMAjournal_mode", "PRAGMA journal_mode=DELETE"),
    "journal MEMORY": ("PRAGMAjournal_mode", "PRAGMA journal_mode=MEMORY"),
    "journal OFF": ("PRAGMAjournal_mode", "PRAGMA journal_mode=OFF"),
}


@pytest.mark.parametrize("fault", STUBBORN.values(), ids=STUBBORN.keys())
def test_a_connection_that_is_not_durable_is_refused(
    site: Site, fault: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was set is read back; when it is not WAL with FULL, neither daemon nor administration goes on."""
    plain = sqlite3.connect

    def connect_stubbornly(*arguments: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - as in sqlite3
        return plain(*arguments, factory=stubborn(*fault), **options)

    monkeypatch.setattr(sqlite3, "connect", connect_stubbornly)
    for use in (lambda: connect(site.path, busy_timeout=1.0), site.desk, site.registry):
        with pytest.raises(StoreError, match="power failure"):
            use()


def test_a_database_in_memory_is_not_durable() -> None:
    """SQLite itself says no to WAL there, and is believed."""
    connection = sqlite3.connect(":memory:")
    with pytest.raises(StoreError, match="journal memory"):
        make_durable(connection)
    connection.close()


def test_an_open_database_is_durable(site: Site) -> None:
    """Every way in has WAL, FULL and foreign keys, asked of SQLite itself."""
    site.sql("PRAGMA journal_mode=DELETE")
    desk = site.desk()
    with site.registry() as registry, registry._engine.connect() as administration:
        assert isinstance(desk.store._database, SqliteDatabase)
        daemon = desk.store._database.connection()
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert daemon.execute(f"PRAGMA {pragma}").fetchone() == (value,)
            assert administration.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value
    desk.store.close()


# --- whose database it is --------------------------------------------------------------------------------------------


def _newer(site: Site) -> None:
    site.sql("UPDATE alembic_version SET version_num = '9999'")


def _unnamed(site: Site) -> None:
    site.sql("DELETE FROM alembic_version")


def _foreign(site: Site) -> None:
    site.sql("DROP TABLE alembic_version")


def _empty(site: Site) -> None:
    site.path.write_bytes(b"")


def _no_database(site: Site) -> None:
    site.path.write_bytes(b"this is no database, but it is long enough to look at\n" * 100)


def _other_vault(site: Site) -> None:
    site.sql("UPDATE meta SET value = 'deadbeef' WHERE key = 'vault_key_id'")


def _no_vault(site: Site) -> None:
    site.sql("DELETE FROM meta")


FOREIGN: Final = {
    "newer": (_newer, "newer"),
    "without a version": (_unnamed, "no database of radiusd2fa"),
    "another program's": (_foreign, "no database of radiusd2fa"),
    "empty": (_empty, "no database of radiusd2fa"),
    "no database": (_no_database, "restore it from your backup"),
    "another vault's": (_other_vault, "deadbeef"),
    "no vault's": (_no_vault, "unknown"),
}


@pytest.mark.parametrize("fault", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_database_that_is_not_ours_is_refused(site: Site, fault: tuple[Callable[[Site], None], str]) -> None:
    """Newer, foreign, empty, broken or sealed by another vault: neither daemon nor administration opens it."""
    plant, reason = fault
    plant(site)
    for use in (site.desk, site.registry):
        with pytest.raises(StoreError, match=reason) as refused:
            use()
        assert not isinstance(refused.value, StoreUnavailableError)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Opening never creates; the text says what does."""
    key = vault.create(tmp_path / "vault.key")
    site = Site(SqliteFile(tmp_path / "radiusd2fa.db"), key)
    for use in (site.desk, site.registry):
        with pytest.raises(StoreUnavailableError, match="radiusd2fa init"):
            use()
    assert not site.path.exists()


@pytest.mark.parametrize("name", ["a database.db", "100%.db", "what?.db", "#1.db", "ä&b=c.db"])
def test_any_file_name_will_do(site: Site, name: str, tmp_path: Path) -> None:
    """Characters that mean something in a URI mean nothing in the name of a database."""
    odd = tmp_path / name
    shutil.copy(site.path, odd)
    connection = connect(odd, busy_timeout=1.0)
    check_revision(connection, odd)
    connection.close()


def test_the_address_of_a_store() -> None:
    """What the settings have checked: a file, or a server with all that is said of it."""
    assert address("sqlite:////var/lib/radiusd2fa/radiusd2fa.db") == SqliteFile(
        Path("/var/lib/radiusd2fa/radiusd2fa.db")
    )
    server = address("postgresql://otp@db1,db2/otp?sslmode=verify-full")
    assert server == PostgresServer("postgresql://otp@db1,db2/otp?sslmode=verify-full")
    assert str(server) == "postgresql://otp@db1,db2/otp"


# --- making one ------------------------------------------------------------------------------------------------------


def test_a_new_database_is_its_owners_alone(site: Site, tmp_path: Path) -> None:
    """The file has mode 0600, and so have the two that SQLite puts beside it."""
    fresh = tmp_path / "fresh.db"
    create(SqliteFile(fresh), site.vault)
    desk = Site(SqliteFile(fresh), site.vault).desk()
    desk.commit()
    files = [path for path in tmp_path.iterdir() if path.name.startswith("fresh.db")]
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    desk.store.close()


def test_an_existing_file_is_never_overwritten(site: Site) -> None:
    """Neither a database nor anything else, nor what a link points to."""
    before = site.path.read_bytes()
    link = site.path.with_name("link.db")
    link.symlink_to(site.path.with_name("nowhere.db"))
    for there in (site.path, link):
        with pytest.raises(StoreError):
            create(SqliteFile(there), site.vault)
    assert site.path.read_bytes() == before
    assert not site.path.with_name("nowhere.db").exists()


def test_the_migrations_lead_to_the_schema_of_the_program(site: Site) -> None:
    """There is one head, it is what the program asks for, and it makes what the tables describe, defaults and all."""
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]
    engine = create_engine(f"sqlite:///{site.path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == REVISION
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    described = create_engine("sqlite://")
    with described.begin() as connection:
        metadata.create_all(connection)
        for table in metadata.tables:
            columns = connection.exec_driver_sql(f"PRAGMA table_info({table})").all()
            assert {tuple(column)[1:] for column in columns} == {
                column[1:] for column in site.sql(f"PRAGMA table_info({table})")
            }
    described.dispose()
    assert {name for (name,) in site.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")} == {
        trigger.split()[2] for trigger in TRIGGERS
    }


def test_a_schema_that_differs_would_be_noticed(site: Site) -> None:
    """The comparison above sees a column more, a column less and another type."""
    site.sql("ALTER TABLE users ADD COLUMN surplus INTEGER")
    site.sql("ALTER TABLE events DROP COLUMN latency")
    engine = create_engine(f"sqlite:///{site.path}")
    with engine.connect() as connection:
        found = str(compare_metadata(MigrationContext.configure(connection), metadata))
    engine.dispose()
    assert "surplus" in found
    assert "latency" in found


# --- what the database keeps itself ----------------------------------------------------------------------------------

NEGATIVE: Final = """
    INSERT INTO tokens (serial, kind, sealed, digits, algorithm, step, state, created, moving_factor)
    VALUES ('X', 'hotp', x'00', 6, 'sha1', 30, 'stock', 0, -1)
"""

KEPT: Final = {
    "an audit row is changed": ("UPDATE events SET user = 'mallory'", "append-only"),
    "an audit row is deleted": ("DELETE FROM events WHERE id = 1", "append-only"),
    "the audit is emptied": ("DELETE FROM events", "append-only"),
    "a moving factor is set back": ("UPDATE tokens SET moving_factor = 4 WHERE id = 1", "only grows"),
    "all moving factors are reset": ("UPDATE tokens SET moving_factor = 0", "only grows"),
    "a moving factor is negative": (NEGATIVE, "CHECK"),
    "two tokens have one serial": ("UPDATE tokens SET serial = 'H1'", "UNIQUE"),
    "two users have one name": ("UPDATE users SET name = 'alice'", "UNIQUE"),
}


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT.keys())
def test_what_the_database_refuses_whoever_asks(site: Site, kept: tuple[str, str]) -> None:
    """Past all of our code, with a plain SQL statement, these promises still hold."""
    statement, reason = kept
    before = (site.sql("SELECT * FROM events"), site.sql("SELECT * FROM tokens"))
    with pytest.raises(sqlite3.IntegrityError, match=reason):
        site.sql(statement)
    assert (site.sql("SELECT * FROM events"), site.sql("SELECT * FROM tokens")) == before


def test_the_id_of_a_token_is_never_given_again(site: Site) -> None:
    """A sealed seed is bound to its id, so an id that was used once stays used."""
    site.sql("DELETE FROM tokens WHERE id = 3")
    site.sql(
        "INSERT INTO tokens (serial, kind, sealed, digits, algorithm, step, state, created, moving_factor) "
        "VALUES ('X', 'hotp', x'00', 6, 'sha1', 30, 'stock', 0, 0)"
    )
    assert site.sql("SELECT id FROM tokens WHERE serial = 'X'") == [(4,)]


# --- sealed rows -----------------------------------------------------------------------------------------------------


def test_a_seed_moved_to_another_row_is_no_seed(site: Site) -> None:
    """Somebody who writes to the database cannot give alice bob's fob: the row is left out, with an alarm."""
    site.sql("UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE id = 3) WHERE id = 1")
    desk = site.desk()
    assert [token.serial for token in desk.user("alice").tokens] == ["T1"]
    assert len(desk.alarms) == 1
    assert "another row" in desk.alarms[0]
    assert [token.serial for token in desk.user("bob").tokens] == ["H2"]
    desk.store.close()


@pytest.mark.parametrize("sealed", [b"", b"x", b"\0" * 60])
def test_a_broken_seed_is_no_seed(site: Site, sealed: bytes) -> None:
    """A row that does not open takes its token away and nothing else."""
    site.sql("UPDATE tokens SET sealed = ? WHERE id = 1", sealed)
    desk = site.desk()
    assert [token.serial for token in desk.user("alice").tokens] == ["T1"]
    assert desk.alarms
    desk.store.close()


def test_no_seed_lies_in_the_file(site: Site) -> None:
    """The seeds of all tokens are in none of the database's files, nor is the vault's key."""
    desk = site.desk()
    desk.commit()
    secret = (site.path.parent / "vault.key").read_bytes()[len("radiusd2fa-vault-1:") :].strip()
    for path in site.path.parent.glob("radiusd2fa.db*"):
        octets = path.read_bytes()
        for seed in (b"12345678901234567890", b"another seed of bob's", secret):
            assert seed not in octets
    desk.store.close()


def test_only_what_can_log_in_is_loaded(site: Site) -> None:
    """A token of any other state than active, or handed out, is not even read."""
    desk = site.desk()
    for state in ("stock", "disabled", "lost", "revoked", "expired", "returned", "ACTIVE", ""):
        site.sql("UPDATE tokens SET state = ? WHERE id = 1", state)
        assert [token.serial for token in desk.user("alice").tokens] == ["T1"]
    desk.store.close()


def test_everything_about_a_person_is_loaded(site: Site) -> None:
    """All columns arrive where they belong, and the token used last comes first."""
    site.sql("UPDATE users SET failures = 3, locked_until = 17.5, enabled = 0 WHERE id = 1")
    site.sql(
        "UPDATE tokens SET digits = 7, algorithm = 'sha512', step = 45, drift = -4, valid_from = 1.5, "
        "valid_until = 9.5, last_used = 8.5, candidate = 77, candidate_until = 6.5 WHERE id = 2"
    )
    desk = site.desk()
    user = desk.user("alice")
    assert (user.id, user.name, user.source, user.groups) == (1, "alice", "local", ("staff", "netadmin"))
    assert (user.failures, user.locked_until, user.enabled) == (3, 17.5, False)
    assert user.password_hash == "$argon2id$alice"
    first, second = user.tokens
    assert (first.serial, first.kind, first.digits, first.algorithm, first.step) == ("T1", "totp", 7, "sha512", 45)
    assert (first.drift, first.valid_from, first.valid_until, first.last_used) == (-4, 1.5, 9.5, 8.5)
    assert (first.candidate, first.candidate_until) == (77, 6.5)
    assert (second.serial, second.moving_factor, second.secret) == ("H1", 5, b"12345678901234567890")
    assert desk.load("carol").user is None
    assert desk.load("ALICE").user is None
    assert desk.load("alice' --").user is None
    desk.store.close()


# --- two at once -----------------------------------------------------------------------------------------------------


def test_administration_is_seen_by_the_next_login(site: Site) -> None:
    """While the daemon runs, a revocation, a lock lifted and a new token count from the next look on."""
    desk = site.desk()
    assert [token.serial for token in desk.user("bob").tokens] == ["H2"]
    with site.registry() as registry:
        registry.set_enabled("bob", NOW, enabled=False)
        assert not desk.user("bob").enabled
        registry.unassign("H2", NOW)
        assert desk.user("bob").tokens == ()
        registry.add_user("carol", None, (), NOW)
        assert desk.user("carol").tokens == ()
    desk.store.close()


@pytest.mark.both_stores
def test_a_look_is_of_one_moment(site: Site) -> None:
    """Between the parts of one batch's look nothing changes, and the commit knows what changed since."""
    desk, heard = site.desk(), list[Looked]()

    def disable(looked: Looked) -> None:
        heard.append(looked)
        with site.registry() as registry:
            registry.set_enabled("alice", NOW, enabled=False)

    for done in (disable, heard.append):
        desk.store.load("alice", None, "vpn", "", NOW, done)
    desk.queue(AdvanceMovingFactor(1, 1, 6, 0, NOW))
    assert desk.write() == [False]
    first, second = heard
    assert first == second
    assert not desk.user("alice").enabled
    desk.store.close()


def test_registry_and_daemon_write_one_file(site: Site) -> None:
    """Administration and logins take turns on one file, and nothing of either is lost."""

    def administer() -> None:
        with site.registry() as registry:
            for number in range(40):
                registry.add_user(f"user{number}", None, (), NOW)

    desk = site.desk()
    administration = threading.Thread(target=administer)
    administration.start()
    results = [desk.commit(AdvanceMovingFactor(1, 1, 6 + number, 0, NOW)) for number in range(200)]
    administration.join(30)
    assert not administration.is_alive()
    assert results == [True] * 200
    assert desk.token().moving_factor == 205
    with site.registry() as registry:
        assert len(registry.users()) == 42
    assert site.sql("SELECT count(*) FROM events WHERE name = 'access.accepted'") == [(200,)]
    assert site.sql("SELECT count(*) FROM events WHERE name = 'user.added'") == [(42,)]
    desk.store.close()
