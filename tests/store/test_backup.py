"""A backup: whole, as of one moment, in nobody else's hands, and of no use as a store by itself.

Made of the real stores, both kinds, while somebody writes. SQLite's own tools judge the file. No RFC speaks of this.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import AdvanceMovingFactor
from radiusd2fa.store import backup
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.backup import About, Maker, about, back_up, reading
from radiusd2fa.store.engine import Store
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.schema import REVISION

from .conftest import NOW, Desk, Site
from .killing import killed_at_each_point

MAKER = Maker("root", "1.2.3", NOW)


def nothing(_what: str, _done: int, _of: int) -> None:
    """Nobody watches."""


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Look into a backup."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(statement).fetchall()


@pytest.mark.both_stores
def test_all_of_it_is_in_the_file(site: Site, tmp_path: Path) -> None:
    """Each table has the rows that the store has; the file says of what, when, by whom and with what it was made."""
    to = tmp_path / "b.db"
    made = back_up(site.address, site.vault, to, MAKER, nothing)
    for table in ("users", "tokens", "events", "chains", "checkpoints"):
        counted = f"SELECT count(*) FROM {table}"  # noqa: S608 - one of those above
        assert rows(to, counted) == site.sql(counted)
    asked = "SELECT serial, moving_factor, sealed FROM tokens ORDER BY id"
    assert rows(to, asked) == site.sql(asked)
    assert made == About(
        schema=REVISION,
        vault_key_id=site.vault.key_id.hex(),
        fingerprint_key=None,
        made=NOW,
        of=str(site.address),
        by="root",
        version="1.2.3",
        counts={"users": 2, "tokens": 3, "events": 5},
    )
    with reading(to) as file:
        assert about(file, to) == made


@pytest.mark.both_stores
def test_nobody_else_can_read_it_whatever_the_umask(site: Site, tmp_path: Path) -> None:
    """It is one file of mode 0600, with no journal beside it, and no part of it is left anywhere."""
    folder = tmp_path / "backups"
    folder.mkdir()
    before = os.umask(0)
    try:
        back_up(site.address, site.vault, folder / "b.db", MAKER, nothing)
    finally:
        os.umask(before)
    assert [path.name for path in folder.iterdir()] == ["b.db"]
    assert stat.S_IMODE((folder / "b.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["file", "link", "folder"])
def test_it_overwrites_nothing(site: Site, tmp_path: Path, there: str) -> None:
    """A file, a link that leads nowhere and a folder of that name stay as they are."""
    to = tmp_path / "b.db"
    make: dict[str, Callable[[], object]] = {
        "file": lambda: to.write_text("precious"),
        "link": lambda: to.symlink_to(tmp_path / "nowhere"),
        "folder": to.mkdir,
    }
    make[there]()
    with pytest.raises(StoreError, match="overwrites nothing"):
        back_up(site.address, site.vault, to, MAKER, nothing)
    assert to.is_symlink() or to.is_dir() or to.read_text() == "precious"


def test_what_comes_to_have_its_name_meanwhile_stays(site: Site, tmp_path: Path) -> None:
    """Also what was not there when it began."""
    to = tmp_path / "b.db"

    def another(what: str, done: int, of: int) -> None:
        if (what, done) == ("checking", of):
            to.write_text("precious")

    with pytest.raises(StoreError):
        back_up(site.address, site.vault, to, MAKER, another)
    assert to.read_text() == "precious"
    assert not list(tmp_path.glob(".b.db*"))


def test_somebody_elses_vault_is_refused(site: Site, tmp_path: Path) -> None:
    """A backup whose seeds this key does not open is none."""
    with pytest.raises(StoreError, match="vault key"):
        back_up(site.address, vault.create(tmp_path / "other.key"), tmp_path / "b.db", MAKER, nothing)
    assert not (tmp_path / "b.db").exists()


@pytest.mark.both_stores
def test_it_is_of_one_moment_and_nobody_waits_for_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logins are committed between any two steps of it; none of them is in it, and all of them are in the store."""
    monkeypatch.setattr(backup, "_PAGES_AT_ONCE", 1)
    desk = site.desk()
    committed: list[object] = []

    def login(_what: str, _done: int, _of: int) -> None:
        assert len(committed) < 2000, "it begins again with each login, and never ends"
        token, user = desk.token(), desk.user()
        committed.append(desk.commit(AdvanceMovingFactor(token.id, user.id, token.moving_factor + 1, 0, NOW)))

    made = back_up(site.address, site.vault, tmp_path / "b.db", MAKER, login)
    desk.store.close()
    assert len(committed) > 10
    assert all(one is True for one in committed)
    asked = "SELECT moving_factor FROM tokens WHERE serial = 'H1'"
    assert rows(tmp_path / "b.db", asked) == [(5,)]
    assert site.sql(asked) == [(5 + len(committed),)]
    assert made.counts["events"] == 5


def test_no_daemon_takes_it_for_a_store(site: Site, tmp_path: Path) -> None:
    """Copied into the store's place it is refused, by this version and those before: the gap cannot be gone round."""
    back_up(site.address, site.vault, tmp_path / "b.db", MAKER, nothing)
    with pytest.raises(StoreError, match="db restore"):
        Desk(Store(SqliteFile(tmp_path / "b.db"), site.vault, lambda _: None))
    assert rows(tmp_path / "b.db", "SELECT version_num FROM alembic_version") == [(f"backup of {REVISION}",)]


def test_a_damaged_store_makes_no_backup(site: Site, tmp_path: Path) -> None:
    """What SQLite finds wrong in the copy ends it, with what to do, and no file is left."""
    site.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    root = site.sql("SELECT rootpage FROM sqlite_master WHERE name = 'tokens_fingerprint'")[0][0]
    (size,) = site.sql("PRAGMA page_size")[0]
    with site.path.open("r+b") as file:
        file.seek((root - 1) * size + 3)
        file.write(b"\0\0")
    with pytest.raises(StoreError, match="db verify"):
        back_up(site.address, site.vault, tmp_path / "b.db", MAKER, nothing)
    assert not (tmp_path / "b.db").exists()


def test_killed_at_any_moment_there_is_a_whole_one_or_none(site: Site, tmp_path: Path) -> None:
    """The name is given last; what is left of a part is gone after the next one."""
    to = tmp_path / "b.db"
    work = partial(back_up, site.address, site.vault, to, MAKER, nothing)
    for _ in killed_at_each_point(work, partial(to.unlink, missing_ok=True)):
        if to.exists():
            assert rows(to, "PRAGMA integrity_check") == [("ok",)]
            with reading(to) as file:
                assert about(file, to).counts["tokens"] == 3
    assert to.exists()
    assert not list(tmp_path.glob(".b.db*"))


@pytest.mark.parametrize("octets", [b"", b"no database", b"SQLite format 3\0" + bytes(200)])
def test_what_is_no_backup(tmp_path: Path, octets: bytes) -> None:
    """Any other file is refused by name, before anything is read into it."""
    (tmp_path / "x").write_bytes(octets)
    with pytest.raises(StoreError, match="no backup"), reading(tmp_path / "x"):
        pass
    with pytest.raises(StoreError), reading(tmp_path / "nowhere"):
        pass


def test_one_of_a_newer_program(site: Site, tmp_path: Path) -> None:
    """It needs its own program."""
    back_up(site.address, site.vault, tmp_path / "b.db", MAKER, nothing)
    with closing(sqlite3.connect(tmp_path / "b.db", isolation_level=None)) as file:
        file.execute("UPDATE alembic_version SET version_num = 'backup of 9999'")
        with pytest.raises(StoreError, match="knows"):
            about(file, tmp_path / "b.db")
