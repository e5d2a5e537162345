"""A database of every released schema comes to today's: nothing is lost, nothing used counts again, old or new.

The files are what the programs of those schemas have written (schemas/). Promise P15; RFC 4226 7.2 and RFC 6238 5.2
rest on it that nothing is forgotten.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import Accept, Flow
from radiusd2fa.core.rules import NOBODY
from radiusd2fa.factors.hotp import code_maker
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.auditing import verify as verify_audit
from radiusd2fa.store.chains import BEFORE
from radiusd2fa.store.connecting import How, open_engine, transaction
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.marking import mark_all
from radiusd2fa.store.rotation import Rotation
from radiusd2fa.store.schema import REVISION
from radiusd2fa.store.upgrade import bring_up_to_date
from radiusd2fa.store.verifying import faults
from tests.core.directory import packet, says
from tests.core.directory import site as rules
from tests.core.facts import run

from .conftest import Site
from .killing import killed_at_each_point
from .schemas import RELEASED, unpack

SEED: Final = b"12345678901234567890"
"""Of H1, alice's: its codes 0, 1 and 2 were used."""
LATER: Final = 1_900_000_000.0


@pytest.fixture(params=RELEASED)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A database of that schema."""
    unpack(request.param, tmp_path / "old.db", tmp_path / "old.key")
    return Site(SqliteFile(tmp_path / "old.db"), vault.load(tmp_path / "old.key"))


@pytest.fixture
def upgraded(old: Site) -> Site:
    """The same, as `db upgrade` leaves it."""
    (before,) = old.sql("SELECT version_num FROM alembic_version")[0]
    assert bring_up_to_date(old.address) == (before, REVISION)
    mark_all(old.address, old.vault, lambda _done, _of: None, lambda error: pytest.fail(str(error)))
    with Rotation(old.address, old.vault, "") as desk:
        desk.seal_ends()
    return old


def test_every_released_schema_has_its_file() -> None:
    """There is one for each migration but the last; that one is made anew by every test."""
    assert [f"{number:04}" for number in range(1, int(REVISION))] == RELEASED


def test_a_login_with_the_fob_of_then(upgraded: Site) -> None:
    """The codes that were used are refused, and the next one is accepted."""
    code = code_maker(SEED, "sha1", 6)
    desk = upgraded.desk()
    for counter, good in ((0, False), (1, False), (2, False), (3, True), (3, False)):
        known = desk.load("alice", now=LATER)
        outcome = run(packet(code(counter), Flow.CODE_ONLY), known, says(None), rules=rules(primary=NOBODY)).outcome
        assert isinstance(outcome, Accept) is good, counter
        if isinstance(outcome, Accept):
            assert desk.commit(*outcome.effects) is True
    desk.store.close()


def test_people_and_tokens_are_what_they_were(old: Site) -> None:
    """Names, passwords, groups, who is disabled, whose each token is, its state, its moving factor, its seal."""
    asked = (
        "SELECT name, enabled, failures, password_hash, created FROM users ORDER BY id",
        "SELECT id, serial, user_id, kind, hex(sealed), state, moving_factor, last_used FROM tokens ORDER BY id",
        "SELECT time, name, login, nas, user, factor, serial, outcome, reason, latency, actor FROM events ORDER BY id",
    )
    before = [old.sql(statement) for statement in asked]
    bring_up_to_date(old.address)
    assert [old.sql(statement) for statement in asked] == before
    groups = old.sql("SELECT groups FROM users WHERE name = 'bob'")
    assert groups == [("staff\nvpn",)]


def test_it_is_whole_with_its_audit(upgraded: Site) -> None:
    """Nothing is missing or other than in a new one; the rows of before are one chain, which the vault vouches for."""
    engine = open_engine(upgraded.address)
    with engine.connect() as connection, transaction(connection, How.LOOKING):
        assert list(faults(connection, upgraded.vault, LATER, lambda *_: None)) == []
        verified = verify_audit(connection, upgraded.vault)
    assert verified.findings == ()
    (rows,) = upgraded.sql("SELECT count(*) FROM events")[0]
    assert [(one.name, one.rows) for one in verified.chains] == [(BEFORE, rows)]
    assert rows > 15


def everything(database: Path) -> Iterator[tuple[Any, ...]]:
    """All that is in a file."""
    with closing(sqlite3.connect(database)) as connection:
        yield from ((line,) for line in connection.iterdump())


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_any_moment_it_is_old_or_new(tmp_path: Path, every: int) -> None:
    """Before each statement of all migrations, and around the last: all is as before, or all is done."""
    unpack("0001", tmp_path / "kept.db", tmp_path / "old.key")
    database = tmp_path / "old.db"

    def prepare() -> None:
        for end in ("-wal", "-shm", "-journal"):
            Path(f"{database}{end}").unlink(missing_ok=True)
        shutil.copy(tmp_path / "kept.db", database)

    before, points = list(everything(tmp_path / "kept.db")), 0
    for _ in killed_at_each_point(lambda: bring_up_to_date(SqliteFile(database)), prepare, every):
        points += 1
        assert list(everything(database)) == before
    assert points > 70 // every
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (REVISION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_newer_one_is_left_alone(old: Site) -> None:
    """What a later program has written, this one does not touch."""
    old.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer"):
        bring_up_to_date(old.address)
    with pytest.raises(StoreError, match="newer"):
        old.desk()
