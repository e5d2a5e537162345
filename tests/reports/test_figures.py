"""What the reports are made of, out of a real store: read at one moment, in nobody's way, and changing nothing.

Rows are written past our code, and counted here once more in Python. Answers to no RFC.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from radiusd2fa.core import sheets
from radiusd2fa.core.model import TokenState
from radiusd2fa.reports.exceptions import WITHOUT_OWN_FACTOR
from radiusd2fa.reports.records import Fallback, Logins
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.figures import QUARTER
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.schema import users

from .conftest import Site
from .population import NOW

pytestmark = pytest.mark.both_stores


def test_it_cannot_write(site: Site) -> None:
    """Whatever is asked of that connection."""
    with site.figures() as figures, pytest.raises(DBAPIError, match=r"read-?only"):
        figures._connection.execute(insert(users).values(name="eve", created=NOW))


def test_nor_can_it_change_what_administrators_change(site: Site) -> None:
    """It is a desk like the others, but none of its transactions writes."""
    refused = pytest.raises(DBAPIError, match=r"read-?only")
    with site.figures() as figures, refused, figures._change("user.added", NOW):
        pass
    assert site.sql("SELECT count(*) FROM events") == [(0,)]


@pytest.mark.sqlite_only
def test_it_waits_for_nobody_and_nobody_waits_for_it(site: Site) -> None:
    """While another process holds the one lock for writing it reads; and while it reads, others write."""
    site.put("users", name="alice")
    with closing(sqlite3.connect(site.path, isolation_level=None, timeout=0)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE users SET enabled = 0")
        with site.figures() as figures:
            assert [one.enabled for one in figures.people()] == [True]
            writer.execute("COMMIT")
            with Registry(SqliteFile(site.path), site.vault, "root") as registry:
                registry.add_user("bob", None, (), NOW)


def test_all_of_it_is_of_one_moment(site: Site) -> None:
    """What happens between two questions is in neither answer."""
    with site.figures() as figures:
        assert figures.people() == ()
        site.put("users", name="alice")
        site.put("tokens", serial="T1", user_id=1)
        assert (figures.people(), figures.holdings()) == ((), ())
    with site.figures() as figures:
        assert [one.name for one in figures.people()] == ["alice"]


def test_people(site: Site) -> None:
    """With their groups, locks and grants; by name."""
    site.put("users", {"name": "bob", "groups": "staff\nsales"}, {"name": "alice", "skip_until": 7.0, "enabled": 0})
    with site.figures() as figures:
        alice, bob = figures.people()
    assert (alice.name, alice.enabled, alice.skip_until, alice.groups) == ("alice", False, 7.0, ())
    assert (bob.name, bob.groups, bob.created) == ("bob", ("staff", "sales"), NOW - 50)


def test_holdings_hold_no_seed(site: Site) -> None:
    """Neither the seed nor what it is sealed in is read out; of a sheet the number of codes is known all the same."""
    site.put("users", name="alice")
    made = sheets.make(sheets.RECOVERY, 7, bytes(sheets.octets_wanted(sheets.RECOVERY, 7)))
    site.put(
        "tokens",
        {"id": 1, "serial": "T1", "sealed": site.vault.seal(1, b"12345678901234567890"), "box": "7", "model": "c200"},
        {"id": 2, "serial": "S1", "sealed": site.vault.seal(2, made.secret, "alice"), "kind": "recovery"},
        {"id": 3, "serial": "T2", "user_id": None, "state": "stock"},
        user_id=1,
        moving_factor=5,
    )
    with site.figures() as figures:
        sheet, fob, spare = figures.holdings()
    assert (sheet.codes, sheet.codes_left, sheet.user, sheet.token.secret) == (7, 5, "alice", b"")
    assert (fob.codes, fob.box, fob.model, fob.token.secret, fob.owner) == (0, "7", "c200", b"", 1)
    assert (spare.owner, spare.user, spare.token.state) == (None, None, TokenState.STOCK)


def test_grants_that_are_over_are_brought_for_their_period_only(site: Site) -> None:
    """What is open is brought whenever it was granted; what is over or closed, if it was granted since."""
    rows = [
        {"serial": "open", "created": 0.0, "until": NOW + 1},
        {"serial": "over", "created": 0.0, "until": NOW},
        {"serial": "closed", "created": 0.0, "until": NOW + 1, "closed": 5.0},
        {"serial": "over, but new", "created": NOW - 9, "until": NOW - 1},
    ]
    site.put("grants", *rows)
    with site.figures() as figures:
        assert {one.serial for one in figures.grants(NOW - 9, NOW)} == {"open", "over, but new"}


def test_who_has_asked(site: Site) -> None:
    """By name, without the number of the account that may stand before it."""
    row = {"user_id": 1, "user": "root", "reason": "down", "created": NOW, "expires": NOW, "lasts": 1.0}
    site.put(
        "requests",
        {**row, "requested_by": "1000 alice as root", "approved_by": "bob", "approved": NOW},
        {**row, "requested_by": "1001", "approved_by": None, "approved": None},
        {**row, "requested_by": "old", "created": NOW - 1},
    )
    with site.figures() as figures:
        named = [(one.requested_by, one.approved_by) for one in figures.requests(NOW)]
    assert named == [("alice as root", "bob"), ("1001", None)]


@pytest.mark.parametrize("since", [0.0, NOW - 1, NOW, NOW + 49, NOW + 50, NOW + 99, NOW + 100, NOW + 1000])
def test_where_a_period_begins(site: Site, since: float) -> None:
    """Found by halving, with gaps among the ids: the first event of that moment, none before, none left out."""
    site.put("events", *({"id": 3 * at + 7, "time": NOW + at} for at in range(100)))
    with site.figures() as figures:
        counted = sum(one.count for one in figures.logins(since))
        first = figures._first_id(since)
    assert counted == sum(NOW + at >= since for at in range(100))
    assert site.sql(f"SELECT count(*) FROM events WHERE id >= {first}")  # noqa: S608 - a number == [(counted,)]


def test_an_empty_audit(site: Site) -> None:
    """Nothing has happened, and nothing is found."""
    with site.figures() as figures:
        assert [figures.logins(0.0), figures.times(0.0), figures.deeds(0.0), figures.fallbacks(0.0)] == [(), (), (), ()]


def test_the_counts_are_those_of_a_plain_recount(site: Site) -> None:
    """Logins, quarters of an hour, people, callers and fallbacks, over a drawn audit."""
    chance, since = random.Random(5), NOW + 300 * 60
    names = ("access.accepted", "access.rejected", "access.challenged", "user.unlocked")
    audit: list[dict[str, Any]] = [
        {
            "time": NOW + minute * 60.0,
            "name": chance.choice(names),
            "nas": chance.choice("ab"),
            "user": chance.choice("xyz"),
            "caller": chance.choice(("", "c1", "c2")),
            "factor": chance.choice(("", "totp", "recovery")),
            "reason": chance.choice(("ok", "wrong_code", "grace", "skip_granted")),
        }
        for minute in range(600)
    ]
    site.put("events", *audit)
    meant = [row for row in audit if row["time"] >= since]
    words = {"access.accepted": "accepted", "access.rejected": "rejected"}
    logins = [row for row in meant if row["name"] in words]
    refused = [row for row in meant if row["name"] == "access.rejected"]
    with site.figures() as figures:
        keys = Counter((words[row["name"]], row["nas"], row["factor"], row["reason"]) for row in logins)
        assert set(figures.logins(since)) == {Logins(*key, count) for key, count in keys.items()}
        quarters = Counter((words[row["name"]], row["time"] // QUARTER * QUARTER) for row in logins)
        assert {(name, at): count for name, at, count in figures.times(since)} == quarters
        people = Counter(row["user"] for row in refused)
        assert dict(figures.refused_people(since)) == people
        assert [count for _, count in figures.refused_people(since, 2)] == [n for _, n in people.most_common(2)]
        callers = Counter((row["nas"], row["caller"]) for row in refused if row["caller"])
        assert {(nas, caller): count for nas, caller, count in figures.refused_callers(since)} == callers
        found = set(figures.fallbacks(since))
    ways = [
        (row["user"], row["factor"], row["reason"], row["time"])
        for row in meant
        if row["name"] == "access.accepted" and (row["factor"] == "recovery" or row["reason"] in WITHOUT_OWN_FACTOR)
    ]
    counts, last = Counter(way[:3] for way in ways), {way[:3]: way[3] for way in ways}
    assert found == {Fallback(*way, count, last[way]) for way, count in counts.items()}


WEAKENING = ("user.unlocked", "grant.skip", "breakglass.approved", "recovery.issued", "token.enabled", "user.bound")
NOT_WEAKENING = ("token.lost", "grant.closed", "user.renamed", "token.imported", "user.offboarded", "recovery.revoked")
REFUSED = ("administration.refused", "breakglass.refused")


def test_what_weakens_is_found_with_a_reason_or_without(site: Site) -> None:
    """By its name, or because somebody had to say why; what strengthens, and what no administrator did, is not."""
    for name in (*WEAKENING, *NOT_WEAKENING, *REFUSED):
        site.put("events", {"name": name, "reason": ""}, {"name": name, "reason": "because"}, actor="alice")
    site.put("events", {"name": "user.removed", "actor": "alice"}, {"name": "user.disabled", "actor": "alice"})
    site.put("events", {"name": "key.renamed", "reason": ""}, {"name": "key.renamed", "reason": "because"}, actor="bob")
    site.put("events", {"name": "token.assigned", "reason": "self_assigned", "actor": ""})
    with site.figures() as figures:
        deeds, counts = figures.deeds(0.0), figures.deed_counts(0.0)
        newest = figures.deeds(0.0, most=1)
    assert Counter(one.name for one in deeds) == {**dict.fromkeys(WEAKENING, 2), "key.renamed": 1}
    assert {(one.name, one.actor): one.count for one in counts} == {
        **{(name, "alice"): 2 for name in (*WEAKENING, *REFUSED)},
        ("key.renamed", "bob"): 1,
    }
    assert [one.name for one in newest] == ["key.renamed"]


def test_what_was_lost(site: Site) -> None:
    """The newest first."""
    site.put("events", {"time": NOW - 1, "serial": "T1"}, {"serial": "T2"}, {"serial": "T3"}, name="token.lost")
    with site.figures() as figures:
        assert [one.serial for one in figures.lost(NOW)] == ["T3", "T2"]


def test_blocked_callers(site: Site) -> None:
    """Those whose time is not over, for longest first."""
    row = {"nas": "vpn", "failures": 9, "window_ends": NOW}
    site.put("callers", *({**row, "caller": str(at), "blocked_until": NOW + at} for at in range(3)))
    with site.figures() as figures:
        assert [one.caller for one in figures.blocked(NOW)] == ["2", "1"]
