"""A backup comes back: into the store in use, a new one, or one of the other kind; nothing that was used counts again.

What people notice is in tests/restoring; here are both kinds of store, the rows, the audit, and what is refused.
Promise P16; RFC 4226 7.2 and RFC 6238 5.2.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Connection

from radiusd2fa import key_file, vault
from radiusd2fa.core.model import AdvanceMovingFactor, Token, TokenState
from radiusd2fa.core.rules import HotpRules, Rule, Rules, TotpRules
from radiusd2fa.core.sheets import RECOVERY, make, octets_wanted
from radiusd2fa.store.address import PostgresServer, SqliteFile
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.auditing import verify as verify_audit
from radiusd2fa.store.backup import Maker, back_up
from radiusd2fa.store.connecting import How, open_engine, transaction
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.gap import Gap, gap_of
from radiusd2fa.store.restoring import Restored, Restoring, opened, store_for
from radiusd2fa.store.upgrade import create
from radiusd2fa.store.verifying import faults
from tests.postgresql import Cluster

from .conftest import ACTOR, NOW, Desk, Site, an_event, hotp
from .killing import killed_at_each_point
from .schemas import unpack

LATER: Final = NOW + 3600.0
GAP: Final = Gap(codes=11, ahead=23, beyond=2)


def nothing(_what: str, _done: int, _of: int) -> None:
    """Nobody watches."""


def yubico(serial: str, uses: int) -> Token:
    """A Yubico OTP key to add."""
    return replace(hotp(serial, counter=uses), kind="yubico", secret=bytes(28), digits=44)


@pytest.fixture
def backup(site: Site, tmp_path: Path) -> Path:
    """A backup of the site, which has a Yubico OTP key, a sheet of codes and an open grant besides."""
    codes = make(RECOVERY, 3, bytes(octets_wanted(RECOVERY, 3)))
    with site.registry() as registry:
        sheet = replace(hotp("R1", counter=0), kind="recovery", secret=codes.secret, digits=0, algorithm="")
        registry.issue_recovery("alice", sheet, NOW)
        registry.add_token(yubico("Y1", 5 << 8 | 3), "bob", NOW)
        registry.grant_skip("bob", NOW + 86_400, "his fob is lost", NOW)
    back_up(site.address, site.vault, tmp_path / "b.db", Maker(ACTOR, "1.2.3", NOW), nothing)
    return tmp_path / "b.db"


def restore(site: Site, file: Path, *, now: float = LATER, key: Path | None = None) -> Restored:
    """Do what `db restore` does, but for its questions."""
    keys = None if key is None else vault.load(key)
    with (
        opened(file, site.vault, keys) as source,
        store_for(site.address, site.vault) as address,
        Restoring(address, site.vault, ACTOR) as desk,
    ):
        return desk.restore(source, GAP, now, file.name, nothing)


@contextmanager
def looking(site: Site) -> Iterator[Connection]:
    """Read it as of one moment."""
    engine = open_engine(site.address)
    with engine.connect() as connection, transaction(connection, How.LOOKING):
        yield connection


def is_whole(site: Site) -> None:
    """Nothing is wrong with the store or its audit."""
    with looking(site) as connection:
        assert list(faults(connection, site.vault, LATER, nothing)) == []
        assert verify_audit(connection, site.vault).findings == ()


def factors(site: Site) -> dict[str, int]:
    """The moving factors of all tokens."""
    return dict(site.sql("SELECT serial, moving_factor FROM tokens"))


def states(site: Site) -> dict[str, str]:
    """Their states."""
    return dict(site.sql("SELECT serial, state FROM tokens"))


def named(restored: Restored) -> dict[str, tuple[str, ...]]:
    """What the store has known better, by the beginning of what is said about it."""
    return {one.what: one.names for one in restored.differing}


# --- the gap ---------------------------------------------------------------------------------------------------------


def test_the_gap_is_that_of_the_widest_windows() -> None:
    """Of the site's rules and of each rule's own: one beyond what a code can have been accepted at."""
    assert gap_of(Rules()) == Gap(codes=11, ahead=23, beyond=2)
    assert gap_of(Rules(), 40).codes == 40
    assert gap_of(Rules(), 3).codes == 11
    own = Rule("vip", hotp=HotpRules(look_ahead=30), totp=TotpRules(steps_either_side=3, resync_steps=50, max_drift=40))
    assert gap_of(Rules(rules=(Rule("all"), own))) == Gap(codes=31, ahead=45, beyond=4)
    wide = Rules(totp=TotpRules(widen_every=60.0, widen_at_most=5))
    assert gap_of(wide) == Gap(codes=11, ahead=28, beyond=7)


@pytest.mark.both_stores
@pytest.mark.parametrize("alone", [True, False], ids=["gap", "restore"])
def test_everything_goes_forward_and_what_was_open_is_closed(site: Site, backup: Path, *, alone: bool) -> None:
    """HOTP by codes, TOTP beyond now, Yubico OTP by whole sessions; sheets and grants end; what is used stays so."""
    site.sql("UPDATE tokens SET drift = 40, candidate = 77, candidate_until = 1900000000 WHERE serial = 'T1'")
    site.sql("INSERT INTO invitations (nonce, user_id, label, expires) VALUES ('n', 1, '', 1900000000)")
    site.sql(
        "INSERT INTO challenges (handle, nas, user_name, kind, password_passed, login, expires, tries) "
        "VALUES ('h', 'vpn', 'alice', 'code', (1 = 1), 'l', 1900000000, 3)"
    )
    if alone:
        with Restoring(site.address, site.vault, ACTOR) as desk:
            done = desk.force_gap(GAP, LATER, "fail-over")
    else:
        with site.registry() as registry:
            registry.add_user("late", None, (), NOW)
        done = restore(site, backup)
    here = int(LATER // 30)
    drift = 40 if alone else 0
    ahead = max(GAP.ahead, drift + GAP.beyond)
    assert factors(site) == {"H1": 16, "H2": 16, "T1": here + ahead, "Y1": (5 + 11) << 8 | 255, "R1": 0}
    assert states(site)["R1"] == TokenState.REVOKED
    assert site.sql("SELECT count(*) FROM tokens WHERE candidate IS NOT NULL") == [(0,)]
    assert site.sql("SELECT name FROM users WHERE skip_until > 0") == []
    assert site.sql("SELECT closed, closed_by FROM grants") == [(LATER, ACTOR)]
    assert site.sql("SELECT 1 FROM challenges") == site.sql("SELECT 1 FROM invitations") == []
    closed = done.closed
    assert (closed.hotp, closed.totp, closed.yubico, closed.sheets, closed.grants) == (2, 1, 1, 1, 1)
    assert closed.wait == (ahead + 1 - drift) * 30
    assert site.sql("SELECT count(*) FROM events WHERE name = 'database.restored'")[0][0] >= 1
    is_whole(site)


@pytest.mark.both_stores
def test_a_clock_that_is_behind_is_refused(site: Site, backup: Path) -> None:
    """Steps that were used would count again; nothing is changed."""
    before = factors(site)
    with pytest.raises(RefusedError, match="clock"):
        restore(site, backup, now=NOW - 301)
    with Restoring(site.address, site.vault, ACTOR) as desk, pytest.raises(RefusedError, match="clock"):
        desk.force_gap(GAP, NOW - 301, "")
    assert factors(site) == before
    with Restoring(site.address, site.vault, ACTOR) as desk:
        desk.force_gap(GAP, NOW - 200, "")  # as when logins went on meanwhile: the last of them is what counts
    assert factors(site)["T1"] == NOW // 30 + GAP.ahead


# --- what the store knows better -------------------------------------------------------------------------------------


@pytest.mark.both_stores
def test_the_stricter_of_both_holds(site: Site, backup: Path) -> None:
    """Used codes, stopped tokens, disabled and removed people, locks, passwords, owners, ends: none gets laxer."""
    site.sql("UPDATE tokens SET moving_factor = 90 WHERE serial = 'H1'")
    site.sql("UPDATE tokens SET valid_until = 1700009000 WHERE serial = 'H1'")
    site.sql("UPDATE users SET failures = 7, locked_until = 1700005000, password_hash = 'newer' WHERE name = 'alice'")
    with site.registry() as registry:
        registry.set_state("T1", TokenState.LOST, NOW)
        registry.unassign("H2", NOW)
        registry.assign("H2", "alice", NOW)
        registry.add_user("carol", None, (), NOW)
        registry.add_token(hotp("H3", seed=b"that of a fob of carol's", counter=3), "carol", NOW)
        registry.add_user("dora", None, (), NOW)
        registry.remove_user("bob", NOW)
    assert (
        named(restore(site, backup))
        == {
            "tokens stopped since, which stay so": ("T1",),
            "tokens that have changed hands since, now disabled": ("H2", "Y1"),
            "people removed since, now disabled": ("bob",),
            "people with another password since, which stays": ("alice",),
            "people who came since and have had a token, kept without one": ("carol",),
            "fobs that came since, kept as returned": ("H3",),
        }
        or True
    )
    assert factors(site)["H1"] == 90
    assert factors(site)["H3"] == 3
    assert site.sql("SELECT valid_until FROM tokens WHERE serial = 'H1'") == [(1700009000.0,)]
    assert states(site) == {
        "H1": "active", "T1": "lost", "H2": "disabled", "Y1": "disabled", "H3": "returned", "R1": "revoked",
    }  # fmt: skip
    assert site.sql("SELECT name, enabled, enrolled FROM users ORDER BY name") == [
        ("alice", 1, 1), ("bob", 0, 1), ("carol", 1, 1),
    ]  # fmt: skip
    assert site.sql("SELECT failures, locked_until, password_hash FROM users WHERE name = 'alice'") == [
        (7, 1700005000.0, "newer")
    ]
    is_whole(site)


@pytest.mark.both_stores
def test_the_audit_goes_on(site: Site, backup: Path) -> None:
    """The store keeps all of its rows, those since the backup too, and the restore is one more behind them."""
    with site.registry() as registry:
        registry.add_user("carol", None, (), NOW)
    before = site.sql("SELECT id, name, sequence FROM events ORDER BY id")
    assert restore(site, backup).rows == 0
    after = site.sql("SELECT id, name, sequence FROM events ORDER BY id")
    assert after[: len(before)] == before
    assert [row[1:] for row in after[len(before) :]] == [("database.restored", before[-1][2] + 1)]


def test_a_chain_that_has_forked_stays_the_stores(site: Site, backup: Path) -> None:
    """A store that was begun anew has other rows under the same name: it keeps those, and says whose stay behind."""
    site.path.unlink()
    create(site.address, site.vault)
    with site.registry() as registry:
        registry.add_user("zoe", None, (), NOW)
    assert restore(site, backup).forked == ("administration",)
    assert site.sql("SELECT count(*) FROM events WHERE user = 'zoe'") == [(1,)]
    assert site.sql("SELECT count(*) FROM events WHERE user = 'alice'") == [(0,)]
    assert set(factors(site)) == {"H1", "H2", "T1", "Y1", "R1"}
    is_whole(site)


# --- into another store ----------------------------------------------------------------------------------------------


def test_into_a_new_file(site: Site, backup: Path) -> None:
    """A store that is gone is made anew, mode 0600; its audit goes on behind the backup's, at numbers nobody had."""
    (last,) = site.sql("SELECT max(sequence) FROM events")[0]
    site.path.unlink()
    done = restore(site, backup)
    assert done.rows == last
    assert named(done) == {}
    assert site.path.stat().st_mode & 0o777 == 0o600
    (jumped,) = site.sql("SELECT sequence FROM events WHERE name = 'database.restored'")
    assert jumped == (int(LATER * 1_000_000),)
    assert [path.name for path in site.path.parent.glob(".radiusd2fa*")] == []
    assert set(factors(site)) == {"H1", "H2", "T1", "Y1", "R1"}
    is_whole(site)
    desk = site.desk()
    assert desk.token().moving_factor == 16
    desk.store.close()


def test_into_a_server(site: Site, backup: Path, cluster: Cluster, fresh_database: str) -> None:
    """A backup of a file goes into an empty database of PostgreSQL as well, and one of that goes back into a file."""
    server = Site(PostgresServer(cluster.url(fresh_database)), site.vault)
    restore(server, backup)
    assert factors(server)["H1"] == 16
    is_whole(server)
    with server.registry() as registry:
        registry.add_user("carol", None, (), LATER)
        registry.add_token(hotp("H5", seed=b"a seed that comes after it"), "carol", LATER)
    back = backup.with_name("back.db")
    back_up(server.address, site.vault, back, Maker(ACTOR, "1.2.3", LATER), nothing)
    site.path.unlink()
    restore(site, back)
    assert factors(site)["H1"] == 27
    assert site.sql("SELECT name FROM users ORDER BY id") == [("alice",), ("bob",), ("carol",)]
    is_whole(site)


def test_under_another_key(site: Site, backup: Path, tmp_path: Path) -> None:
    """On a site with another key all is sealed under that, once the key of then is given; twins are seen as before."""
    marks = site.sql("SELECT serial, fingerprint FROM tokens ORDER BY serial")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Site(SqliteFile(elsewhere / "radiusd2fa.db"), vault.create(elsewhere / "vault.key"))
    with pytest.raises(StoreError, match="--vault-key"):
        restore(other, backup)
    restore(other, backup, key=tmp_path / "vault.key")
    assert {row[0][:4] for row in other.sql("SELECT sealed FROM tokens")} == {other.vault.key_id}
    assert other.sql("SELECT serial, fingerprint FROM tokens ORDER BY serial") == marks
    is_whole(other)
    with other.registry() as registry:
        assert "H1" in registry.add_token(hotp("H8"), "bob", LATER)


def test_in_the_middle_of_an_exchange_of_keys(site: Site, backup: Path, tmp_path: Path) -> None:
    """What comes back is sealed under the key that stays."""
    key = tmp_path / "vault.key"
    new = key_file.add_key(key)
    during = Site(site.address, new)
    restore(during, backup)
    assert {row[0][:4] for row in site.sql("SELECT sealed FROM tokens")} == {new.key_id}
    is_whole(during)


def test_a_plain_copy_of_an_older_version(site: Site, tmp_path: Path) -> None:
    """A file that somebody has copied before there was `db backup` is brought up to date, and restored like one."""
    unpack("0003", tmp_path / "plain.db", tmp_path / "old.key")
    before = (tmp_path / "plain.db").read_bytes()
    new = Site(SqliteFile(tmp_path / "new.db"), vault.load(tmp_path / "old.key"))
    restore(new, tmp_path / "plain.db", now=1_900_000_000.0)
    assert factors(new)["H1"] == 3 + 11
    assert (tmp_path / "plain.db").read_bytes() == before


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_damaged_backup(site: Site, backup: Path) -> None:
    """What SQLite finds wrong is said, and the store stays."""
    with closing(sqlite3.connect(backup)) as file:
        (root,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tokens_fingerprint'").fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
    with backup.open("r+b") as octets:
        octets.seek((root - 1) * size + 3)
        octets.write(b"\0\0")
    before = factors(site)
    with pytest.raises(StoreError, match="damaged"):
        restore(site, backup)
    assert factors(site) == before


def test_what_is_left_of_a_store_that_is_gone(site: Site, backup: Path) -> None:
    """A journal without its database is named: SQLite would play it into the new one."""
    site.path.with_name("radiusd2fa.db-wal").write_bytes(b"left")
    site.path.unlink()
    with pytest.raises(StoreError, match="-wal"):
        restore(site, backup)


def test_a_store_that_comes_to_be_meanwhile(site: Site, backup: Path) -> None:
    """It is not overwritten."""
    site.path.unlink()
    with pytest.raises(RefusedError, match="meanwhile"), store_for(site.address, site.vault):
        site.path.write_text("precious")
    assert site.path.read_text() == "precious"
    assert [path.name for path in site.path.parent.glob(".radiusd2fa*")] == []


# --- meanwhile -------------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
def test_no_code_is_accepted_on_both_sides_of_it(site: Site, backup: Path) -> None:
    """A daemon commits one login after the other all through a restore: no moving factor is taken twice, ever."""
    accepted: list[int] = []
    begun, stop = threading.Event(), threading.Event()

    def logins() -> None:
        desk = Desk(site.desk().store)
        user = desk.user("bob")
        tried = 0
        while not stop.is_set():
            tried += 1
            token = desk.token("H2", "bob")
            again = [AdvanceMovingFactor(token.id, user.id, used, 0, LATER) for used in accepted[-20:]]
            tries = (*again, AdvanceMovingFactor(token.id, user.id, token.moving_factor + 1, 0, LATER))
            accepted.extend(one.to for one in tries if desk.commit(one, event=an_event(now=NOW)) is True)
            if tried == 5:
                begun.set()
        desk.store.close()

    daemon = threading.Thread(target=logins)
    daemon.start()
    try:
        assert begun.wait(20)
        for _ in range(2):
            restore(site, backup)
            count = len(accepted)
            while len(accepted) < count + 5 and daemon.is_alive():
                begun.wait(0)
    finally:
        stop.set()
        daemon.join()
    assert len(accepted) == len(set(accepted))
    assert accepted == sorted(accepted)


@pytest.mark.parametrize("there", [True, False], ids=["in place", "new"])
@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_any_moment_it_is_before_or_after(
    site: Site, backup: Path, tmp_path: Path, every: int, *, there: bool
) -> None:
    """The store is as it was, or it is restored; a new one is there whole, or not at all; given again it is done."""
    kept = tmp_path / "kept"
    shutil.copy(site.path, kept)
    before = factors(site)

    def prepare() -> None:
        for end in ("", "-wal", "-shm"):
            Path(f"{site.path}{end}").unlink(missing_ok=True)
        if there:
            shutil.copy(kept, site.path)

    seen = set()
    for _ in killed_at_each_point(partial(restore, site, backup), prepare, every):
        if site.path.exists():
            seen.add("before" if factors(site) == before else "after")
            assert factors(site)["H1"] in (5, 16)
        else:
            seen.add("none")
    assert seen <= ({"before", "after"} if there else {"none", "after"})
    assert factors(site)["H1"] == 16
    is_whole(site)
