"""The audit's chains on the real database: whatever a writer without the vault key does to them is found, and where.

The attacker is the one of attacker.py; nothing of the walk is faked. Answers to no RFC.
"""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from radiusd2fa import vault
from radiusd2fa.core.chain_findings import Fault, Witness
from radiusd2fa.core.chain_walk import RESTORED
from radiusd2fa.core.model import Event
from radiusd2fa.store.administration import Administration
from radiusd2fa.store.auditing import Auditing, Verified, Wanted, checkpoint_of
from radiusd2fa.store.chains import BEFORE, administration_of, load_chain, reseal, save_chain
from radiusd2fa.store.connecting import How, open_engine, put, transaction
from radiusd2fa.store.schema import EVENT_COLUMNS, checkpoints
from radiusd2fa.store.statements import event_row
from radiusd2fa.vault import Vault

from .attacker import CHAIN, CHANGES, OTHER, ROWS, Found, a_row, drop_triggers, write
from .conftest import NOW, Desk, Site, Template, an_event

CHAINED: Final = (*(column.name for column in EVENT_COLUMNS), "chain", "sequence", "hash")


def auditing(site: Site) -> Auditing:
    """The desk that only looks."""
    return Auditing(site.address, site.vault, "nobody")


def verified(site: Site, *collected: Witness) -> Verified:
    """What `audit verify` goes by."""
    with auditing(site) as desk:
        return desk.verify(collected=collected)


def found(site: Site, *collected: Witness) -> Found:
    """What is wrong, and where."""
    return {(one.fault, one.chain, one.sequence) for one in verified(site, *collected).findings}


def sent_to_syslog(site: Site) -> list[Witness]:
    """All checkpoints as a collector has them."""
    with auditing(site) as desk, desk._looking() as connection:
        rows = connection.execute(select(checkpoints).order_by(checkpoints.c.id)).all()
    return [Witness(checkpoint_of(row), f"syslog line {number}") for number, row in enumerate(rows, 1)]


@pytest.fixture(scope="session")
def written(store_kind: str, template: Template, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The file of a site with three chains, of which others are copies."""
    if store_kind != "sqlite":
        return None
    site = template.copied(tmp_path_factory.mktemp("written")).site()
    write_all(site)
    return site.path


def write_all(site: Site) -> None:
    """Write two chains beside that of the command line."""
    write(site)
    write(site, OTHER, range(1, 7))


@pytest.fixture
def audited(site: Site, written: Path | None) -> Site:
    """A site of the test's own with three chains."""
    if written is None:
        write_all(site)
    else:
        shutil.copy(written, site.path)
    return site


# --- manipulations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_done_without_the_key_is_found(audited: Site, change: str) -> None:
    """Each manipulation by who can write the database is told of, at its chain and row, and nothing else is."""
    drop_triggers(audited)
    attack, expected = CHANGES[change]
    attack(audited)
    assert found(audited) == expected


@pytest.mark.both_stores
def test_it_is_found_on_each_store(audited: Site) -> None:
    """SQLite and PostgreSQL keep the same rows, and the same is found in them."""
    assert found(audited) == set()
    drop_triggers(audited)
    expected: Found = set()
    CHANGES["user changed"][0](audited)
    CHANGES["end missing and set back"][0](audited)
    expected |= CHANGES["user changed"][1] | CHANGES["end missing and set back"][1]
    audited.sql("DELETE FROM events WHERE chain = 'administration'")
    assert found(audited) == expected | {(Fault.VANISHED, "administration", 1)}


def test_who_takes_back_a_chain_with_its_old_end_is_found_by_syslog(audited: Site) -> None:
    """An end that was sealed once is sealed for ever: only what has left the store knows that there was more."""
    old = audited.sql("SELECT sequence, hash, seal FROM chains WHERE name = ?", CHAIN)[0]
    write(audited, CHAIN, range(ROWS + 1, ROWS + 6))
    kept = sent_to_syslog(audited)
    drop_triggers(audited)
    for table in ("events", "checkpoints"):
        audited.sql(f"DELETE FROM {table} WHERE chain = ? AND sequence > ?", CHAIN, ROWS)  # noqa: S608
    audited.sql("UPDATE chains SET sequence = ?, hash = ?, seal = ? WHERE name = ?", *old, CHAIN)
    assert found(audited) == set()
    assert found(audited, *kept) == {(Fault.CUT, CHAIN, ROWS + 1)}


def test_a_database_that_was_taken_back_and_went_on_is_found_by_syslog(audited: Site) -> None:
    """Rows that were written anew since, with the right key, are others than those that were signed."""
    before = audited.path.read_bytes()
    write(audited, CHAIN, range(ROWS + 1, ROWS + 6))
    kept = sent_to_syslog(audited)
    for beside in ("-wal", "-shm"):
        Path(f"{audited.path}{beside}").unlink(missing_ok=True)
    audited.path.write_bytes(before)
    write(audited, CHAIN, range(ROWS + 11, ROWS + 21))
    assert found(audited) == set()
    assert found(audited, *kept) == {(Fault.REWRITTEN, CHAIN, ROWS + 5)}


def test_a_chain_that_only_syslog_knows_has_vanished(audited: Site) -> None:
    """A list of chains that was kept from before it began misses nothing; what has left the store does."""
    kept = sent_to_syslog(audited)
    drop_triggers(audited)
    for table, column in (("events", "chain"), ("checkpoints", "chain"), ("chains", "name")):
        audited.sql(f"DELETE FROM {table} WHERE {column} = ?", OTHER)  # noqa: S608
    older = _listed(audited, f"administration\n{CHAIN}")
    audited.sql("UPDATE meta SET value = ? WHERE key = 'audit_chains'", older)
    assert found(audited) == set()
    assert found(audited, *kept) == {(Fault.VANISHED, OTHER, 1)}


def test_syslog_without_gaps_finds_a_whole_audit_whole(audited: Site) -> None:
    """What was collected and what stands there are the same."""
    assert found(audited, *sent_to_syslog(audited)) == set()


def test_many_findings_are_counted(site: Site) -> None:
    """However much is wrong, what is kept of it stays small."""
    with Administration(site.address, site.vault, "nobody", chain=CHAIN) as desk, desk._transaction() as connection:
        desk._note_many(connection, [a_row(number) for number in range(1, 1102)])
    drop_triggers(site)
    site.sql("UPDATE events SET login = 'x' WHERE chain = 'vpn1'")
    result = verified(site)
    assert (len(result.findings), result.count) == (1000, 1101)


# --- what is whole ----------------------------------------------------------------------------------------------------


def test_a_whole_audit_is_found_whole(audited: Site) -> None:
    """What nobody has touched gives no finding; rows and checkpoints are counted."""
    result = verified(audited)
    assert result.findings == ()
    assert [(one.name, one.rows, one.sequence) for one in result.chains] == [
        ("administration", 5, 5),
        (CHAIN, ROWS, ROWS),
        (OTHER, 6, 6),
    ]
    assert result.checkpoints == len(sent_to_syslog(audited))


@pytest.mark.both_stores
def test_daemon_and_command_line_write_what_holds(site: Site, desk: Desk) -> None:
    """The real writers side by side, refusals and all."""
    for number in range(5):
        desk.commit(event=an_event(now=NOW + number / 3))
        with site.registry() as registry:
            registry.add_user(f"user{number}", None, (), NOW + number)
    assert found(site) == set()
    assert {one.name for one in verified(site).chains} == {"administration", "daemon"}


def test_it_looks_as_of_one_moment_while_others_write(audited: Site) -> None:
    """Rows, ends and checkpoints that come meanwhile belong to another moment."""
    seen: list[int] = []

    def meanwhile(done: int, of: int) -> None:
        if not seen:
            write(audited, CHAIN, range(ROWS + 1, ROWS + 4))
        seen.append(of)

    with auditing(audited) as desk:
        result = desk.verify(progress=meanwhile)
    assert (result.findings, result.chains[1].rows) == ((), ROWS)
    assert verified(audited).chains[1].rows == ROWS + 3
    assert seen


def test_a_restore_that_says_so_is_no_fault(audited: Site) -> None:
    """Its row may leave numbers out; what was lost is told."""
    with Administration(audited.address, audited.vault, "root", chain=CHAIN) as desk, desk._transaction() as connection:
        chain = desk._end_of_chain(connection)
        chain.sequence = 999
        desk._note_many(connection, [Event(time=NOW, name=RESTORED, login="", nas="", user="", outcome="done")])
    result = verified(audited)
    assert result.findings == ()
    assert result.chains[1].lost == ((ROWS, 1000),)


# --- the ends ---------------------------------------------------------------------------------------------------------


def test_rows_of_before_chains_are_sealed_by_the_first_who_can(site: Site) -> None:
    """A migration has no vault; until somebody with one writes, that end alone is not missed a seal."""
    write(site, BEFORE)
    site.sql("UPDATE chains SET seal = NULL WHERE name = ?", BEFORE)
    site.sql("UPDATE meta SET value = ? WHERE key = 'audit_chains'", _listed(site, "administration"))
    assert found(site) == set()
    with site.registry() as registry:
        registry.add_user("carol", None, (), NOW)
    site.sql("UPDATE chains SET seal = NULL WHERE name = ?", BEFORE)
    assert found(site) == {(Fault.END_FORGED, BEFORE, ROWS)}


def _listed(site: Site, names: str) -> str:
    return f"{names}\n{site.vault.vouch(f'chains {names}'.encode()).hex()}"


def test_what_was_forged_is_not_sealed_anew(audited: Site) -> None:
    """Whoever has the key seals what another key of theirs has sealed, and nothing that does not hold."""
    audited.sql("UPDATE chains SET sequence = 25 WHERE name = ?", CHAIN)
    with audited.registry() as registry:
        registry.add_user("carol", None, (), NOW)
    assert (Fault.END_FORGED, CHAIN, 25) in found(audited)


def test_ends_of_the_former_key_are_sealed_under_the_new_one(audited: Site, tmp_path: Path) -> None:
    """While both keys are live each seal holds; then none is left of the former."""
    newer = vault.create(tmp_path / "newer.key")
    both = Vault((*newer.keys, *audited.vault.keys))
    with Administration(audited.address, audited.vault, "root") as desk, desk._transaction() as connection:
        reseal(connection, both)
        desk._chain = None
    seals = [bytes(seal) for (seal,) in audited.sql("SELECT seal FROM chains")]
    assert {seal[:4] for seal in seals} == {newer.key_id}


@pytest.mark.both_stores
def test_two_writers_of_one_chain_cannot_fork_it(site: Site) -> None:
    """The second waits until the first has committed, and goes on from there; so do two who begin one."""
    engine = open_engine(site.address)
    how = How.CHANGING if engine.dialect.name == "sqlite" else How.ASIDE  # no lock but the chain's own
    ready = threading.Barrier(2)

    def append() -> None:
        ready.wait(5)
        for _ in range(10):
            with engine.connect() as connection, transaction(connection, how):
                chain = load_chain(connection, "vpn9")
                row = a_row(chain.sequence + 1)
                put(connection, "events", CHAINED, [event_row(row) + chain.link(row)])
                save_chain(connection, chain, site.vault)

    with ThreadPoolExecutor(2) as both:
        for one in [both.submit(append) for _ in range(2)]:
            one.result(30)
    engine.dispose()
    result = verified(site)
    assert (result.findings, result.chains[-1].name, result.chains[-1].rows) == ((), "vpn9", 20)


def test_the_command_line_has_a_chain_of_its_own_on_each_node() -> None:
    """No node's name has a slash, so no two writers share a chain."""
    assert administration_of("vpn-east") == "vpn-east/administration"


# --- looking ----------------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
def test_rows_are_found_by_what_they_are_about(audited: Site) -> None:
    """By person, client, token and day, alone or together; the latest, in their order."""
    with auditing(audited) as desk:
        assert [row.sequence for row in desk.rows(Wanted(serial="H7"))] == [7]
        assert [row.sequence for row in desk.rows(Wanted(user="müller", most=3))] == [4, 5, 6]
        assert [row.event.name for row in desk.rows(Wanted(user="alice"))] == ["user.added", *["token.added"] * 2]
        assert desk.rows(Wanted(user="alice", client="vpn")) == []
        assert len(desk.rows(Wanted(client="vpn", since=NOW + ROWS / 8))) == 1
        last = desk.rows(Wanted(most=1))[0]
        assert desk.rows(Wanted(after=last.id)) == []
        assert desk.rows(Wanted(after=last.id - 1)) == [last]
