"""The walk along a chain, without a database: whatever is done to a chain whose end is known, something is found.

Manipulations are drawn at random, one after another; what each is called is tested on the real store. No RFC speaks
here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.chain import START, Checkpoint, link
from radiusd2fa.core.chain_findings import End, Fault, Finding, Linked, Witness
from radiusd2fa.core.chain_walk import RESTORED, ChainWalk
from radiusd2fa.core.model import Event

NAME: Final = "vpn1"
LENGTH: Final = 12


def chained(*names: str, first: int = 1, before: bytes = START) -> list[Linked]:
    """Rows of a chain."""
    rows = []
    for number, name in enumerate(names, first):
        event = Event(time=float(number), name=name, login="", nas="", user="")
        before = link(before, NAME, number, event)
        rows.append(Linked(number, event, NAME, number, before))
    return rows


WHOLE: Final = tuple(chained(*(f"row {number}" for number in range(1, LENGTH + 1))))
END: Final = End(LENGTH, WHOLE[-1].hash, sealed=True)


def walked(rows: list[Linked], end: End | None = END, *, anchor: Checkpoint | None = None) -> list[Finding]:
    """What is found."""
    found: list[Finding] = []
    walk = ChainWalk(NAME, anchor, (), found.append)
    for row in rows:
        walk.step(row)
    walk.finish(end)
    return found


def change(rows: list[Linked], kind: str, at: int, other: int) -> None:
    """Do something to the rows."""
    at, other = at % len(rows), other % len(rows)
    row = rows[at]
    match kind:
        case "take out":
            del rows[at]
        case "put in":
            rows.insert(other, row)
        case "move":
            rows.insert(other, rows.pop(at))
        case "swap":
            rows[at], rows[other] = rows[other], row
        case "cut":
            del rows[at:]
        case "behead":
            del rows[:at]
        case "change":
            rows[at] = replace(row, event=replace(row.event, user="x"))
        case "rehash":
            rows[at] = replace(row, hash=rows[other].hash)
        case "renumber":
            rows[at] = replace(row, sequence=other)
        case "rewrite":
            rows[at] = replace(row, event=replace(row.event, user="x"))
            rows[:] = chained_again(rows)


def chained_again(rows: list[Linked]) -> list[Linked]:
    """The same rows with numbers and hashes that fit."""
    before, again = START, []
    for number, row in enumerate(rows, 1):
        before = link(before, NAME, number, row.event)
        again.append(replace(row, sequence=number, hash=before))
    return again


KINDS: Final = ("take out", "put in", "move", "swap", "cut", "behead", "change", "rehash", "renumber", "rewrite")


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=4))
def test_nothing_can_be_done_to_a_chain_unseen(changes: list[tuple[str, int, int]]) -> None:
    """One manipulation or several, at the ends or between: there is a finding if and only if the rows are others."""
    rows = list(WHOLE)
    for one in changes:
        if rows:
            change(rows, *one)
    assert bool(walked(rows)) == (tuple(rows) != WHOLE)


def test_a_whole_chain_is_whole() -> None:
    """Nobody is suspected for nothing."""
    assert walked(list(WHOLE)) == []
    assert walked([], End(0, START, sealed=True)) == []


ANCHOR: Final = Checkpoint(NAME, 5, WHOLE[4].hash, 1.0, "", b"", archived=True)


@pytest.mark.parametrize("left", range(6))
def test_a_chain_goes_on_from_its_anchor(left: int) -> None:
    """Rows up to the anchor may be there or not, for a rotation may have been ended anywhere."""
    assert walked(list(WHOLE[left:]), anchor=ANCHOR) == []


def test_an_anchor_excuses_nothing_behind_it() -> None:
    """The first row behind it is missed as any other would be."""
    (one,) = walked(list(WHOLE[6:]), anchor=ANCHOR)
    assert (one.fault, one.sequence) == (Fault.MISSING, 6)
    assert {one.fault for one in walked(list(WHOLE[5:]), anchor=replace(ANCHOR, hash=START))} == {Fault.CHANGED}


def a_jump(name: str, before: bytes) -> list[Linked]:
    """A chain that goes on with another number."""
    return [*WHOLE[:6], *chained(name, "next", first=1000, before=before)]


def test_a_restore_may_jump_and_says_so() -> None:
    """The one row that may leave numbers out is that of a restore; what was between is told, and is no fault."""
    rows = a_jump(RESTORED, WHOLE[5].hash)
    found: list[Finding] = []
    lost = Witness(replace(ANCHOR, sequence=8, archived=False), "syslog")
    walk = ChainWalk(NAME, None, [lost], found.append)
    for row in rows:
        walk.step(row)
    walk.finish(End(1001, rows[-1].hash, sealed=True))
    assert (found, walk.jumps) == ([], [(6, 1000)])


@pytest.mark.parametrize(("name", "before"), [("access.accepted", WHOLE[5].hash), (RESTORED, WHOLE[4].hash)])
def test_no_other_row_may_jump(name: str, before: bytes) -> None:
    """Neither another row, nor a restore's that builds on another one than it stands behind."""
    rows = a_jump(name, before)
    (one,) = walked(rows, End(1001, rows[-1].hash, sealed=True))
    assert (one.fault, one.sequence) == (Fault.MISSING, 7)


def test_a_witness_of_syslog_finds_what_the_store_hides() -> None:
    """A chain that was taken back as a whole, end and all, was longer once; one that was written anew was another."""
    for signed, fault in (
        (replace(ANCHOR, sequence=LENGTH + 3), Fault.CUT),
        (replace(ANCHOR, sequence=4), Fault.REWRITTEN),
    ):
        found: list[Finding] = []
        walk = ChainWalk(NAME, None, [Witness(replace(signed, archived=False), "syslog line 3")], found.append)
        for row in WHOLE:
            walk.step(row)
        walk.finish(END)
        assert [one.fault for one in found] == [fault]
        assert "syslog line 3" in found[0].meaning


def test_a_row_of_another_kind_of_value_is_a_changed_one() -> None:
    """SQLite keeps a text where a time was, and octets where a text was; neither ends the walk."""
    for event in (replace(WHOLE[3].event, time="noon"), replace(WHOLE[3].event, user=b"x")):  # type: ignore[arg-type]
        rows = [*WHOLE[:3], replace(WHOLE[3], event=event), *WHOLE[4:]]
        assert [(one.fault, one.sequence) for one in walked(rows)] == [(Fault.CHANGED, 4)]
