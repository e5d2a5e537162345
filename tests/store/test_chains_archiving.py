"""Archives of audit rows on the real database: whole when they are written, missed when anything in them is changed.

A rotation is ended at each of its steps, and the next one goes on. Answers to no RFC.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy.exc import DBAPIError

from radiusd2fa import vault
from radiusd2fa.core.archive import read_line, row_line
from radiusd2fa.core.chain import Checkpoint, link
from radiusd2fa.core.chain_findings import Fault, Linked
from radiusd2fa.store.archiving import Archived, Archiving, verify_archive
from radiusd2fa.store.auditing import Auditing
from radiusd2fa.store.checkpoints import PublicKeys, public_keys, put_checkpoint, sign

from .attacker import CHAIN, OTHER, ROWS, Found, drop_triggers, write
from .conftest import NOW, Site

MIDDLE: Final = NOW + 21 / 8
"""Of the 30 rows 20 are older."""


def archiving(site: Site) -> Archiving:
    """The desk that rotates."""
    return Archiving(site.address, site.vault, "root")


def quiet(done: int, of: int) -> None:
    """Nobody watches."""


def archive(site: Site, before: float = MIDDLE) -> list[str]:
    """Write an archive, and do nothing else."""
    with archiving(site) as desk:
        text = "".join(desk.archive(desk.cuts(before), NOW, quiet))
    return text.splitlines(keepends=True)


def rotate(site: Site, before: float = MIDDLE, *, take_out: bool = True) -> list[str]:
    """Do all of it, or leave the rows where they are at the end."""
    lines = archive(site, before)
    with archiving(site) as desk:
        read_back = verify_archive(lines, desk.public_keys())
        desk.anchor(read_back.anchors, read_back.rows, "archive.jsonl", NOW + 60)
        if take_out:
            desk.take_out(quiet)
    return lines


def judged(site: Site, lines: list[str]) -> Archived:
    """Verify an archive with this site's keys."""
    return verify_archive(lines, PublicKeys(public_keys(site.vault)))


def found(site: Site) -> Found:
    """What is wrong with the store."""
    with Auditing(site.address, site.vault, "nobody") as desk:
        return {(one.fault, one.chain, one.sequence) for one in desk.verify().findings}


def rows_of(site: Site, chain: str = CHAIN) -> list[int]:
    """Which rows are there."""
    return [row[0] for row in site.sql("SELECT sequence FROM events WHERE chain = ? ORDER BY id", chain)]


@pytest.fixture
def audited(site: Site) -> Site:
    """A site with two chains of logins."""
    write(site, at_once=15)
    write(site, OTHER, range(1, 7), at_once=6)
    return site


# --- rotating ---------------------------------------------------------------------------------------------------------


def test_no_row_goes_without_an_anchor(audited: Site) -> None:
    """The database itself keeps what is in no archive, whoever asks."""
    with archiving(audited) as desk:
        assert desk.take_out(quiet) == 0
        with pytest.raises(DBAPIError, match="append-only"), desk._transaction() as connection:
            connection.exec_driver_sql("DELETE FROM events WHERE chain = 'vpn1' AND sequence = 1")
    assert rows_of(audited) == list(range(1, ROWS + 1))


def test_a_strangers_anchor_lets_nothing_go(audited: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A rotation takes out what an anchor of this vault covers, and is fooled by no other."""
    stranger = vault.create(tmp_path_factory.mktemp("stranger") / "vault.key")
    with archiving(audited) as desk:
        with desk._transaction() as connection:
            put_checkpoint(connection, sign(stranger, CHAIN, ROWS, bytes(32), NOW, archived=True))
        assert desk.take_out(quiet) == 0
    assert found(audited) == {(Fault.UNKNOWN_KEY, CHAIN, ROWS)}


@pytest.mark.both_stores
def test_old_rows_go_into_the_archive_and_out_of_the_store(audited: Site) -> None:
    """What is left goes on from the anchor; the archive holds the others, and both are whole."""
    lines = rotate(audited)
    assert rows_of(audited) == list(range(21, ROWS + 1))
    assert rows_of(audited, OTHER) == []
    assert found(audited) == set()
    result = judged(audited, lines)
    assert (result.findings, result.rows) == ((), 20 + 6 + 5)
    assert {one.chain: one.sequence for one in result.anchors} == {CHAIN: 20, OTHER: 6, "administration": 5}
    name, reason = audited.sql("SELECT name, reason FROM events WHERE chain = 'administration' ORDER BY id DESC")[0]
    assert (name, reason) == ("audit.rotated", "31 rows into archive.jsonl")


def test_one_rotation_follows_another(audited: Site) -> None:
    """Each archive begins with the anchor that the one before ended with, and stands by itself."""
    first, second = rotate(audited), rotate(audited, NOW + 100)
    write(audited, CHAIN, range(31, 41))
    assert (judged(audited, first).findings, judged(audited, second).findings) == ((), ())
    ends = {one.chain: one.hash.hex() for one in judged(audited, first).anchors}
    begins = {one["anchor"]["chain"]: one["anchor"]["hash"] for one in map(json.loads, second[:2])}
    assert begins == {chain: ends[chain] for chain in begins}
    assert rows_of(audited) == list(range(31, 41))
    assert found(audited) == set()


def test_it_stops_at_the_first_row_that_is_not_older(audited: Site) -> None:
    """A clock that was set back leaves older rows behind newer ones: they stay, for a chain is cut once."""
    drop_triggers(audited)
    with archiving(audited) as desk:
        assert desk.cuts(MIDDLE)[CHAIN].sequence == 20
        audited.sql("UPDATE events SET time = ? WHERE chain = ? AND sequence = 12", NOW + 900, CHAIN)
        assert desk.cuts(MIDDLE)[CHAIN].sequence == 11
        assert desk.cuts(NOW - 1) == {}


def test_rows_that_come_meanwhile_stay(audited: Site) -> None:
    """What is written while an archive is, is not in it, and is not taken out."""
    with archiving(audited) as desk:
        cuts = desk.cuts(NOW + 100)
        write(audited, CHAIN, range(31, 36))
        lines = "".join(desk.archive(cuts, NOW, quiet)).splitlines()
        desk.anchor(judged(audited, lines).anchors, 1, "x", NOW)
        desk.take_out(quiet)
    assert rows_of(audited) == list(range(31, 36))
    assert found(audited) == set()


def test_ended_before_the_rows_go_it_goes_on_the_next_time(audited: Site) -> None:
    """With the anchor there and all rows still there, all is whole; the next rotation takes them out first."""
    rotate(audited, take_out=False)
    assert rows_of(audited) == list(range(1, ROWS + 1))
    assert found(audited) == set()
    with archiving(audited) as desk:
        assert desk.cuts(MIDDLE) == {}
        assert desk.take_out(quiet) == 31
    assert rows_of(audited) == list(range(21, ROWS + 1))


def test_ended_amid_the_rows_it_goes_on_the_next_time(audited: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, so what is left of them still ends at the anchor, wherever it was ended."""
    monkeypatch.setattr("radiusd2fa.store.archiving._AT_ONCE", 4)
    rotate(audited, take_out=False)

    def killed(done: int, of: int) -> None:
        raise KeyboardInterrupt

    while True:
        left = len(rows_of(audited))
        try:
            with archiving(audited) as desk:
                desk.take_out(killed)
        except KeyboardInterrupt:
            assert found(audited) == set()
            continue
        break
    assert left == ROWS - 20


def test_the_anchor_is_told_like_any_checkpoint(audited: Site) -> None:
    """Whoever collects them knows that rows were archived, and by whom."""
    told: list[Any] = []
    lines = archive(audited)
    with Archiving(audited.address, audited.vault, "root", tell=told.append) as desk:
        desk.anchor(judged(audited, lines).anchors, 31, "x", NOW)
    assert sorted(one.archived for one in told if isinstance(one, Checkpoint)) == [False, True, True, True]


# --- archives that were changed ---------------------------------------------------------------------------------------

Change = Callable[[list[str]], list[str]]
_LAST: Final = '"chain":"vpn1","sequence":20'


def _with(line: str, **values: object) -> str:
    return json.dumps(json.loads(line) | values) + "\n"


CHANGES: Final[dict[str, tuple[Change, set[Fault]]]] = {
    "a row changed": (lambda t: [*t[:12], _with(t[12], user="x"), *t[13:]], {Fault.CHANGED}),
    "a hash changed": (lambda t: [*t[:12], _with(t[12], hash="00" * 32), *t[13:]], {Fault.REHASHED}),
    "a row missing": (lambda t: t[:12] + t[13:], {Fault.MISSING}),
    "the first row missing": (lambda t: t[1:], {Fault.BEHEADED}),
    "a row twice": (lambda t: [*t[:12], t[12], *t[12:]], {Fault.INSERTED}),
    "two rows swapped": (lambda t: [*t[:12], t[13], t[12], *t[14:]], {Fault.MOVED}),
    "another chain": (lambda t: [*t[:12], _with(t[12], chain="x"), *t[13:]], {Fault.MISSING, Fault.DAMAGED}),
    "cut short": (lambda t: t[:12], {Fault.DAMAGED}),
    "anchors missing": (lambda t: [line for line in t if "anchor" not in line], {Fault.DAMAGED}),
    "the last row missing": (
        lambda t: [line for line in t if f'{_LAST},"time' not in line],
        {Fault.CUT},
    ),
    "an anchor changed": (
        lambda t: [
            line.replace('"chain":"vpn1","sequence":20,"hash"', '"chain":"vpn1","sequence":19,"hash"') for line in t
        ],
        {Fault.BAD_SIGNATURE, Fault.DAMAGED},
    ),
    "half a line": (lambda t: [*t[:12], t[12][:40], *t[13:]], {Fault.DAMAGED, Fault.MISSING}),
    "no object": (lambda t: [*t, "[]\n"], {Fault.DAMAGED}),
    "a number for a name": (lambda t: [*t[:12], _with(t[12], user=7), *t[13:]], {Fault.DAMAGED, Fault.MISSING}),
    "a text for a time": (lambda t: [*t[:12], _with(t[12], time=[]), *t[13:]], {Fault.DAMAGED, Fault.MISSING}),
    "a broken anchor": (lambda t: [*t, '{"anchor":{"chain":7}}\n'], {Fault.DAMAGED}),
    "nothing": (lambda _: [], {Fault.DAMAGED}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_archive_is_found(audited: Site, name: str) -> None:
    """Whatever is done to its text, also at its ends, is told; the same text untouched is whole."""
    lines = archive(audited)
    assert judged(audited, lines).findings == ()
    change, faults = CHANGES[name]
    assert {one.fault for one in judged(audited, change(lines)).findings} == faults


def test_an_archive_of_another_store_is_found(audited: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One that is whole but was signed by another vault, and one whose anchor this store has not."""
    lines = archive(audited)
    stranger = vault.create(tmp_path_factory.mktemp("stranger") / "vault.key")
    result = verify_archive(lines, PublicKeys(public_keys(stranger)))
    assert {one.fault for one in result.findings} == {Fault.UNKNOWN_KEY, Fault.DAMAGED}
    with archiving(audited) as desk:
        assert {one.fault for one in desk.unarchived(judged(audited, lines).anchors)} == {Fault.ARCHIVE}
        desk.anchor(judged(audited, lines).anchors, 31, "x", NOW)
        assert desk.unarchived(judged(audited, lines).anchors) == []


def test_an_archive_made_from_rows_that_were_rewritten_ends_nowhere(audited: Site) -> None:
    """Whoever changes a row and all hashes behind it needs the key for the anchor."""
    lines, before = archive(audited), bytes(32)
    for at, line in enumerate(lines):
        row = read_line(line)
        if isinstance(row, Linked) and row.chain == CHAIN:
            event = replace(row.event, user="x")
            before = link(before, CHAIN, row.sequence, event)
            lines[at] = row_line(replace(row, event=event, hash=before))
    assert {one.fault for one in judged(audited, lines).findings} == {Fault.END_CHANGED}
