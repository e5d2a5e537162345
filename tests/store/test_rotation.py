"""The vault key is exchanged: killed at any moment nothing is lost, and a daemon that runs meanwhile misses nothing.

The store is the real one, and the key file too; both stores are asked. Promise P17; NIST SP 800-57 part 1, 5.3.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from radiusd2fa import key_file, vault
from radiusd2fa.core.model import AdvanceMovingFactor
from radiusd2fa.core.sheets import RECOVERY, make, octets_wanted
from radiusd2fa.store import rotation
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.auditing import verify as verify_audit
from radiusd2fa.store.connecting import How, open_engine, transaction
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.rotation import Rotation
from radiusd2fa.store.sealing import owner_in_seal
from radiusd2fa.store.verifying import faults
from radiusd2fa.vault import Vault

from .conftest import ACTOR, NOW, SEED, Desk, Site, hotp
from .killing import killed_at_each_point


@pytest.fixture
def key(site: Site) -> Path:
    """The key file; the site has a sheet of codes and a token in stock besides."""
    codes = make(RECOVERY, 3, bytes(range(octets_wanted(RECOVERY, 3))))
    with site.registry() as registry:
        sheet = replace(hotp("R1", counter=0), kind="recovery", secret=codes.secret, digits=0, algorithm="")
        registry.issue_recovery("alice", sheet, NOW)
        registry.add_token(hotp("H9", seed=b"a seed of nobody's so far"), None, NOW)
    path = site.vault._path
    assert path is not None
    return path


def desk_of(site: Site, key: Path) -> Rotation:
    """Open the store with what the key file says now."""
    return Rotation(site.address, vault.load(key), ACTOR)


def exchange(site: Site, key: Path) -> None:
    """What `db rotate-key` does, from wherever it is."""
    there = vault.load(key)
    with desk_of(site, key) as desk:
        database = desk.standing().database
    if len(there.keys) == 1:
        there = key_file.add_key(key)
    if database != there.key_id.hex():
        with desk_of(site, key) as desk:
            assert desk.seal_anew(lambda _done, _of: None) == []
            desk.finish(NOW)
    key_file.drop_old_key(key)


def is_whole(site: Site, key: Path) -> None:
    """Nothing is wrong with the store, by the key file as it is."""
    engine = open_engine(site.address)
    with engine.connect() as connection, transaction(connection, How.LOOKING):
        assert list(faults(connection, vault.load(key), NOW, lambda *_: None)) == []
        assert verify_audit(connection, vault.load(key)).findings == ()


def marks(site: Site) -> list[tuple[object, ...]]:
    """What tells seeds apart."""
    return site.sql("SELECT serial, fingerprint FROM tokens ORDER BY serial")


@pytest.mark.both_stores
def test_every_row_is_sealed_under_the_new_key(site: Site, key: Path) -> None:
    """The old one opens none of them any more; fingerprints, and what the seeds are, stay."""
    old, before = vault.load(key), marks(site)
    exchange(site, key)
    new = vault.load(key)
    assert new.keys != old.keys
    assert len(new.keys) == 1
    is_whole(site, key)
    assert marks(site) == before
    with Rotation(site.address, new, ACTOR) as desk:
        assert desk.standing().is_at_rest
    with pytest.raises(StoreError, match="vault key"):
        Rotation(site.address, Vault(old.keys), ACTOR)


@pytest.mark.both_stores
def test_a_twin_is_seen_before_and_after(site: Site, key: Path) -> None:
    """A seed that is there already is told from others by the mark that it had under the first key, however often."""
    for _ in range(2):
        exchange(site, key)
    with Rotation(site.address, vault.load(key), ACTOR) as desk:
        mark = desk._vault.fingerprint(SEED)
    assert ("H1", mark) in marks(site)


@pytest.mark.both_stores
def test_a_daemon_goes_on_through_all_of_it(site: Site, key: Path) -> None:
    """It reads its key file again by itself: no token of anybody's is unreadable at any step."""
    desk = Desk(site.desk().store)

    def has_all() -> None:
        assert [token.secret for token in desk.user("alice").tokens] != []
        assert {token.serial for token in desk.user("alice").tokens} == {"H1", "T1", "R1"}
        token = desk.token("H1")
        user = desk.user("alice")
        assert desk.commit(AdvanceMovingFactor(token.id, user.id, token.moving_factor + 1, 0, NOW)) is True

    has_all()
    key_file.add_key(key)
    has_all()
    with desk_of(site, key) as rotating:
        rotating.begun(NOW)
        rotating.seal_anew(lambda _done, _of: has_all())
        has_all()
        rotating.finish(NOW)
    has_all()
    key_file.drop_old_key(key)
    has_all()
    desk.store.close()
    is_whole(site, key)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_killed_at_any_moment_it_goes_on(
    site: Site, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Before and after each statement, flush and rename: all seeds open, and given again it comes to its end."""
    monkeypatch.setattr(rotation, "FEW", 2)
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in (site.path, key):
        shutil.copy(path, kept / path.name)

    def prepare() -> None:
        for path in (site.path, key):
            for end in ("-wal", "-shm"):
                path.with_name(path.name + end).unlink(missing_ok=True)
            shutil.copy(kept / path.name, path)

    before, standings = marks(site), set()
    for point in killed_at_each_point(lambda: exchange(site, key), prepare, every):
        there = vault.load(key)
        rows = site.sql(
            "SELECT tokens.id, kind, sealed, name FROM tokens LEFT JOIN users ON users.id = user_id ORDER BY tokens.id"
        )
        assert all(there.open(number, sealed, owner_in_seal(kind, name)) for number, kind, sealed, name in rows)
        (database,) = site.sql("SELECT value FROM meta WHERE key = 'vault_key_id'")[0]
        assert there.fits(database, None)
        standings.add((len(there.keys), len({sealed[:4] for _, _, sealed, _ in rows}), database == there.key_id.hex()))
        if point % 9 == 0:
            exchange(site, key)
            is_whole(site, key)
            assert marks(site) == before
            assert len(vault.load(key).keys) == 1
    assert standings == {(1, 1, True), (2, 1, False), (2, 2, False), (2, 1, True)}


def test_two_at_once(site: Site, key: Path) -> None:
    """The second is refused, or it would put a third key in front of a second that is in use."""
    with key_file.alone(key), pytest.raises(vault.VaultError, match="at work"), key_file.alone(key):
        pass


@pytest.mark.both_stores
def test_a_row_of_the_last_moment(site: Site, key: Path) -> None:
    """While one row is left under the old key the database keeps it; what no key opens is named and stops nothing."""
    old = vault.load(key)
    new = key_file.add_key(key)
    with desk_of(site, key) as desk:
        desk.seal_anew(lambda _done, _of: None)
        (number,) = site.sql("SELECT id FROM tokens WHERE serial = 'H9'")[0]
        site.sql("UPDATE tokens SET sealed = ? WHERE id = ?", Vault(old.keys).seal(number, b"late"), number)
        with pytest.raises(RefusedError, match="meanwhile"):
            desk.finish(NOW)
        assert desk.standing().database == old.key_id.hex()
        site.sql("UPDATE tokens SET sealed = ? WHERE id = ?", old.key_id + bytes(60), number)
        assert [str(error) for error in desk.seal_anew(lambda _done, _of: None)] != []
        desk.finish(NOW)
        assert desk.standing().database == new.key_id.hex()


@pytest.mark.both_stores
def test_whoever_has_only_the_old_key_writes_nothing_afterwards(site: Site, key: Path) -> None:
    """A command that was begun before the exchange is refused where it would seal under a key that has left."""
    stale = Vault(vault.load(key).keys)
    with Rotation(site.address, stale, ACTOR) as desk:
        exchange(site, key)
        with pytest.raises(StoreError, match="vault key"):
            desk.begun(NOW)


@pytest.mark.both_stores
def test_a_seal_that_somebody_else_has_made_meanwhile_stays(
    site: Site, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that changes between look and write is not overwritten: its owner may have another name by then."""
    key_file.add_key(key)
    with desk_of(site, key) as desk:
        write = desk._write

        def renamed_first(changed: list[tuple[int, bytes, bytes]]) -> None:
            if site.sql("SELECT 1 FROM users WHERE name = 'alice'"):
                with site.registry() as registry:
                    registry.rename("alice", "alicia", NOW)
            write(changed)

        monkeypatch.setattr(desk, "_write", renamed_first)
        desk.seal_anew(lambda _done, _of: None)
        desk.seal_anew(lambda _done, _of: None)
        desk.finish(NOW)
    key_file.drop_old_key(key)
    is_whole(site, key)


def test_checkpoints_of_before_are_still_known(site: Site, key: Path) -> None:
    """After two exchanges the public keys of both former ones are kept, sealed, and their signatures hold."""
    for _ in range(2):
        exchange(site, key)
    is_whole(site, key)
    (signed,) = site.sql("SELECT count(DISTINCT key) FROM checkpoints")[0]
    assert signed == 3
    site.sql("UPDATE meta SET value = '00' WHERE key = 'audit_keys_before'")
    engine = open_engine(SqliteFile(site.path))
    with engine.connect() as connection, pytest.raises(vault.VaultError):
        verify_audit(connection, vault.load(key))
