"""Somebody who can write the database and has no vault key: all that they can do to the audit, as SQL past our code.

They know how hashes are made, as everybody does; they drop the triggers first. Answers to no RFC.
"""

# ruff: noqa: S608 - the SQL is the tests' own
from __future__ import annotations

from collections.abc import Callable
from typing import Final

from radiusd2fa.core.chain import START, link
from radiusd2fa.core.chain_findings import Fault
from radiusd2fa.core.model import Event
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.administration import Administration
from radiusd2fa.store.schema import EVENT_COLUMNS

from .conftest import NOW, Site

CHAIN: Final = "vpn1"
OTHER: Final = "vpn2/administration"
ROWS: Final = 30
_COLUMNS: Final = ", ".join(f'"{column.name}"' for column in EVENT_COLUMNS)
_TRIGGERS: Final = {
    "events": ("events_no_update", "events_no_delete"),
    "checkpoints": ("checkpoints_no_update", "checkpoints_no_delete"),
}

Found = set[tuple[Fault, str, int | None]]


def a_row(number: int) -> Event:
    """A login that has something in each column; no two are alike."""
    return Event(
        time=NOW + number / 8,
        name="access.rejected",
        login=f"{number:05}",
        nas="vpn",
        user="müller",
        caller='192.0.2.1 "x\\y"',
        factor="hotp",
        serial=f"H{number}",
        outcome="rejected",
        reason="wrong_code",
        latency=number / 1024,
        actor="",
    )


def write(site: Site, chain: str = CHAIN, rows: range = range(1, ROWS + 1), at_once: int = 5) -> None:
    """Write rows into a chain, a few in each transaction."""
    with Administration(site.address, site.vault, "nobody", chain=chain) as desk:
        for first in range(rows.start, rows.stop, at_once):
            with desk._transaction() as connection:
                desk._note_many(connection, [a_row(one) for one in rows if first <= one < first + at_once])


def drop_triggers(site: Site) -> None:
    """What keeps the audit append-only keeps nobody out who may drop it."""
    for table, names in _TRIGGERS.items():
        for name in names:
            site.sql(f"DROP TRIGGER {name}" + ("" if isinstance(site.address, SqliteFile) else f" ON {table}"))


def rehash(site: Site, first: int, chain: str = CHAIN) -> bytes:
    """Give each row from there on the hash that it must have; returns the last."""
    before = site.sql("SELECT hash FROM events WHERE chain = ? AND sequence = ?", chain, first - 1)
    digest = bytes(before[0][0]) if before else START
    rows = site.sql(
        f"SELECT id, sequence, {_COLUMNS} FROM events WHERE chain = ? AND sequence >= ? ORDER BY sequence",
        chain,
        first,
    )
    for number, sequence, *columns in rows:
        digest = link(digest, chain, sequence, Event(*columns))
        site.sql("UPDATE events SET hash = ? WHERE id = ?", digest, number)
    return digest


def append(site: Site, sequence: int, chain: str = CHAIN) -> bytes:
    """Write a row behind the last one, with the hash that it must have; returns that."""
    event = a_row(sequence)
    values = ", ".join("?" * (len(EVENT_COLUMNS) + 2))
    site.sql(
        f"INSERT INTO events ({_COLUMNS}, chain, sequence) VALUES ({values})",
        *(getattr(event, column.name) for column in EVENT_COLUMNS),
        chain,
        sequence,
    )
    return rehash(site, sequence, chain)


def swap_ids(site: Site, one: int, other: int) -> None:
    """Put two rows in each other's place."""
    where = "WHERE chain = 'vpn1' AND sequence = ?"
    ids = [site.sql(f"SELECT id FROM events {where}", sequence)[0][0] for sequence in (one, other)]
    for sequence, number in ((one, -1), (other, ids[0]), (one, ids[1])):
        site.sql(f"UPDATE events SET id = ? {where}", number, sequence)


def swap_contents(site: Site, one: int, other: int) -> None:
    """Let two rows say what the other said."""
    kept = {
        n: site.sql("SELECT serial, login, time FROM events WHERE chain = ? AND sequence = ?", CHAIN, n)[0]
        for n in (one, other)
    }
    for n, m in ((one, other), (other, one)):
        change = "UPDATE events SET serial = ?, login = ?, time = ? WHERE chain = ? AND sequence = ?"
        site.sql(change, *kept[m], CHAIN, n)


def sql(*statements: str) -> Callable[[Site], object]:
    """The same in plain SQL."""
    return lambda site: [site.sql(one) for one in statements]


_12: Final = "chain = 'vpn1' AND sequence = 12"
_CUT: Final = "DELETE FROM events WHERE chain = 'vpn1' AND sequence > 25"
_NO_CHECKPOINTS: Final = "DELETE FROM checkpoints WHERE chain = 'vpn1'"
_SET_BACK: Final = (
    "UPDATE chains SET sequence = 25, hash = (SELECT hash FROM events WHERE chain = 'vpn1' AND sequence = 25) "
    "WHERE name = 'vpn1'"
)
_BEHEAD: Final = "DELETE FROM events WHERE chain = 'vpn1' AND sequence <= 10"
_NOTHING_LEFT: Final = (
    "DELETE FROM events WHERE chain = 'vpn1'",
    "DELETE FROM chains WHERE name = 'vpn1'",
    _NO_CHECKPOINTS,
)


def _rewrite(site: Site, first: int = 12) -> bytes:
    site.sql("UPDATE events SET outcome = 'accepted' WHERE chain = ? AND sequence = ?", CHAIN, first)
    return rehash(site, first)


def _rewrite_with_end(site: Site) -> None:
    site.sql("UPDATE chains SET hash = ? WHERE name = ?", _rewrite(site), CHAIN)


def _append_with_end(site: Site) -> None:
    site.sql("UPDATE chains SET sequence = 31, hash = ? WHERE name = ?", append(site, 31), CHAIN)


def _renumber(site: Site) -> None:
    site.sql(f"DELETE FROM events WHERE {_12}")
    site.sql("UPDATE events SET sequence = sequence - 1 WHERE chain = 'vpn1' AND sequence > 12")


def _chain_of_a_stranger(site: Site) -> None:
    for sequence in (1, 2):
        append(site, sequence, "vpn3")


def _chain_of_a_stranger_with_end(site: Site) -> None:
    append(site, 1, "vpn3")
    site.sql("INSERT INTO chains (name, sequence, hash) VALUES ('vpn3', 2, ?)", append(site, 2, "vpn3"))


CHANGES: Final[dict[str, tuple[Callable[[Site], object], Found]]] = {
    **{
        f"{column} changed": (sql(f'UPDATE events SET "{column}" = {value} WHERE {_12}'), {(Fault.CHANGED, CHAIN, 12)})
        for column, value in {
            **{one.name: "'x'" for one in EVENT_COLUMNS},
            "time": "time + 0.000002",
            "latency": "latency + 0.000002",
        }.items()
    },
    "hash changed": (
        sql(f"UPDATE events SET hash = (SELECT hash FROM events WHERE chain = 'vpn1' AND sequence = 3) WHERE {_12}"),
        {(Fault.REHASHED, CHAIN, 12)},
    ),
    "hash taken away": (sql(f"UPDATE events SET hash = NULL WHERE {_12}"), {(Fault.REHASHED, CHAIN, 12)}),
    "hash of the last row changed": (
        sql("UPDATE events SET hash = NULL WHERE chain = 'vpn1' AND sequence = 30"),
        {(Fault.REHASHED, CHAIN, 30)},
    ),
    "last row changed": (
        sql("UPDATE events SET \"user\" = 'x' WHERE chain = 'vpn1' AND sequence = 30"),
        {(Fault.CHANGED, CHAIN, 30)},
    ),
    "two neighbours changed": (
        sql("UPDATE events SET \"user\" = 'x' WHERE chain = 'vpn1' AND sequence IN (12, 13)"),
        {(Fault.CHANGED, CHAIN, 12), (Fault.CHANGED, CHAIN, 13)},
    ),
    "first row changed": (
        sql("UPDATE events SET \"user\" = 'x' WHERE chain = 'vpn1' AND sequence = 1"),
        {(Fault.CHANGED, CHAIN, 1)},
    ),
    "contents swapped": (
        lambda site: swap_contents(site, 12, 20),
        {(Fault.CHANGED, CHAIN, 12), (Fault.CHANGED, CHAIN, 20)},
    ),
    "one row missing": (sql(f"DELETE FROM events WHERE {_12}"), {(Fault.MISSING, CHAIN, 12)}),
    "rows missing": (
        sql("DELETE FROM events WHERE chain = 'vpn1' AND sequence BETWEEN 12 AND 14"),
        {(Fault.MISSING, CHAIN, 12)},
    ),
    "row missing and the others renumbered": (
        _renumber,
        {*((Fault.CHANGED, CHAIN, n) for n in range(12, 30)), (Fault.REWRITTEN, CHAIN, 15), (Fault.CUT, CHAIN, 30)},
    ),
    "beginning missing": (sql(_BEHEAD), {(Fault.BEHEADED, CHAIN, 1)}),
    "beginning missing behind a checkpoint made an anchor": (
        sql("UPDATE checkpoints SET archived = '1' WHERE chain = 'vpn1' AND sequence = 10", _BEHEAD),
        {(Fault.BEHEADED, CHAIN, 1), (Fault.BAD_SIGNATURE, CHAIN, 10)},
    ),
    "end missing": (sql(_CUT), {(Fault.CUT, CHAIN, 26)}),
    "end missing and set back": (sql(_CUT, _SET_BACK), {(Fault.END_FORGED, CHAIN, 25), (Fault.CUT, CHAIN, 26)}),
    "end missing, set back, no checkpoints": (
        sql(_CUT, _SET_BACK, _NO_CHECKPOINTS),
        {(Fault.END_FORGED, CHAIN, 25)},
    ),
    "end missing, and all that says so": (
        sql(_CUT, "DELETE FROM chains WHERE name = 'vpn1'", _NO_CHECKPOINTS),
        {(Fault.END_LOST, CHAIN, 25)},
    ),
    "end without a seal": (
        sql("UPDATE chains SET seal = NULL"),
        {(Fault.END_FORGED, CHAIN, 30), (Fault.END_FORGED, OTHER, 6), (Fault.END_FORGED, "administration", 5)},
    ),
    "end with another hash": (
        sql(_SET_BACK.replace("sequence = 25, ", "").replace("25", "3")),
        {(Fault.END_FORGED, CHAIN, 30), (Fault.END_CHANGED, CHAIN, 30)},
    ),
    "places swapped": (lambda site: swap_ids(site, 12, 13), {(Fault.MOVED, CHAIN, 13)}),
    "moved to the end": (sql(f"UPDATE events SET id = 1000000 WHERE {_12}"), {(Fault.MOVED, CHAIN, 12)}),
    "last moved to the front": (
        sql("UPDATE events SET id = 0 WHERE chain = 'vpn1' AND sequence = 30"),
        {(Fault.MOVED, CHAIN, 30)},
    ),
    "moved to another chain": (
        sql(f"UPDATE events SET chain = 'vpn2/administration' WHERE {_12}"),
        {(Fault.MISSING, CHAIN, 12), (Fault.INSERTED, OTHER, 12)},
    ),
    "swapped between chains": (
        sql(
            "UPDATE events SET chain = CASE chain WHEN 'vpn1' THEN 'vpn2/administration' ELSE 'vpn1' END "
            "WHERE sequence = 4 AND chain IN ('vpn1', 'vpn2/administration')"
        ),
        {(fault, chain, 4) for fault in (Fault.MISSING, Fault.INSERTED) for chain in (CHAIN, OTHER)},
    ),
    "row outside any chain": (
        sql(f"UPDATE events SET chain = '' WHERE {_12}"),
        {(Fault.MISSING, CHAIN, 12), (Fault.UNCHAINED, "", None)},
    ),
    "row put in": (
        sql(
            f"INSERT INTO events ({_COLUMNS}, chain, sequence, hash) "
            f"SELECT {_COLUMNS}, chain, sequence, hash FROM events WHERE {_12}"
        ),
        {(Fault.INSERTED, CHAIN, 12)},
    ),
    "row appended": (lambda site: append(site, 31), {(Fault.APPENDED, CHAIN, 31)}),
    "row appended, and the end": (_append_with_end, {(Fault.END_FORGED, CHAIN, 31)}),
    "all rewritten from a row on": (_rewrite, {(Fault.REWRITTEN, CHAIN, 15), (Fault.END_CHANGED, CHAIN, 30)}),
    "all rewritten, and the end": (_rewrite_with_end, {(Fault.REWRITTEN, CHAIN, 15), (Fault.END_FORGED, CHAIN, 30)}),
    "a chain of a stranger": (_chain_of_a_stranger, {(Fault.END_LOST, "vpn3", 2)}),
    "a chain of a stranger with an end": (_chain_of_a_stranger_with_end, {(Fault.END_FORGED, "vpn3", 2)}),
    "chain emptied": (sql(_NOTHING_LEFT[0]), {(Fault.VANISHED, CHAIN, 1)}),
    "chain gone, not its checkpoints": (sql(*_NOTHING_LEFT[:2]), {(Fault.VANISHED, CHAIN, 1)}),
    "chain gone": (sql(*_NOTHING_LEFT), {(Fault.VANISHED, CHAIN, None)}),
    "chain gone, and the list": (
        sql(*_NOTHING_LEFT, "DELETE FROM meta WHERE key = 'audit_chains'"),
        {(Fault.LIST_FORGED, "", None)},
    ),
    "chain gone, and the list, not its checkpoints": (
        sql(*_NOTHING_LEFT[:2], "DELETE FROM meta WHERE key = 'audit_chains'"),
        {(Fault.LIST_FORGED, "", None), (Fault.VANISHED, CHAIN, 1)},
    ),
    "list shortened": (
        sql("UPDATE meta SET value = replace(value, 'vpn1', 'vpn0') WHERE key = 'audit_chains'"),
        {(Fault.LIST_FORGED, "", None)},
    ),
    "checkpoint changed": (
        sql("UPDATE checkpoints SET time = time + 1 WHERE chain = 'vpn1' AND sequence = 10"),
        {(Fault.BAD_SIGNATURE, CHAIN, 10)},
    ),
    "checkpoint of another chain": (
        sql("UPDATE checkpoints SET chain = 'vpn2/administration' WHERE chain = 'vpn1' AND sequence = 10"),
        {(Fault.BAD_SIGNATURE, OTHER, 10)},
    ),
    "checkpoint of another key": (
        sql("UPDATE checkpoints SET key = '0123456789abcdef' WHERE chain = 'vpn1' AND sequence = 10"),
        {(Fault.UNKNOWN_KEY, CHAIN, 10)},
    ),
}
