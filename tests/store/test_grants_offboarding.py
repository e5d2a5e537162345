"""Somebody leaves: all that was theirs ends in one transaction, with a row each, and at the next packet.

On the real database, with logins that are half-way in. Answers to no RFC.
"""

from __future__ import annotations

from typing import Final

import pytest

from radiusd2fa.core.model import AdvanceMovingFactor, CloseChallenge, NoteLogin, TokenState
from radiusd2fa.core.sheets import BREAK_GLASS, TEMPORARY
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.emergencies import Person

from .conftest import NOW, Desk, Site
from .paper import a_sheet, audit, everything, last_row, lets_in, use

LATER: Final = NOW + 100
HOUR: Final = 3600.0
QUESTION: Final = (
    "INSERT INTO challenges (handle, nas, user_name, user_id, kind, password_passed, login, expires, tries) "
    "SELECT name, 'vpn', name, id, 'code', true, '1', 1e12, 3 FROM users"
)
TEMPORARY_SHEET, TEMPORARY_CODES = a_sheet("G-1", TEMPORARY, until=NOW + HOUR)
RECOVERY_SHEET, RECOVERY_CODES = a_sheet("R-1")
EMERGENCY_SHEET, EMERGENCY_CODES = a_sheet("E-1", BREAK_GLASS, until=NOW)


@pytest.fixture
def busy(site: Site) -> Site:
    """Alice has everything that somebody can have; bob has some of it."""
    with site.registry() as registry:
        for name, suffix in (("alice", ""), ("bob", "b")):
            registry.issue_recovery(name, a_sheet(f"R-1{suffix}")[0], NOW)
            registry.grant_skip(name, NOW + HOUR, "x", NOW)
        registry.grant_temporary("alice", TEMPORARY_SHEET, "x", NOW, lost="T1")
        registry.seal("alice", EMERGENCY_SHEET, NOW)
        first = registry.request_opening("alice", "x", Person(1001, "ann"), HOUR, NOW).id
        registry.approve_opening(first, Person(1002, "ben"), NOW)
        registry.request_opening("alice", "y", Person(1001, "ann"), HOUR, NOW)
    site.sql(QUESTION)
    site.sql("INSERT INTO invitations SELECT name, id, '', 1e12 FROM users")
    return site


def test_offboarding_of_somebody_unknown_leaves_no_trace(busy: Site) -> None:
    """It says where to look."""
    before = everything(busy)
    with busy.registry() as registry, pytest.raises(RefusedError, match="user list"):
        registry.offboard("eve", LATER)
    assert everything(busy) == before


def test_no_code_of_theirs_is_good_any_more(busy: Site, desk: Desk) -> None:
    """Neither for a new packet nor for a login that has looked already: each guard refuses its write."""
    codes = (TEMPORARY_CODES[0], RECOVERY_CODES[0], EMERGENCY_CODES[0])
    half_way = [use(desk, code, NOW + 1) for code in codes]
    half_way += [AdvanceMovingFactor(1, 1, 9, 0, NOW + 1), NoteLogin(1, NOW + 1, unenrolled=False, granted=True)]
    half_way += [CloseChallenge("alice", NOW + 1)]
    with busy.registry() as registry:
        registry.offboard("alice", NOW + 1)
    for effect in half_way:
        assert effect is not None
        assert desk.commit(effect) is False
    assert not any(lets_in(desk, code, NOW + 2) for code in codes)
    assert (desk.user().enabled, desk.user().tokens, desk.user().skip_until) == (False, (), 0)


def test_what_was_theirs_does_not_come_back_with_the_account(busy: Site, desk: Desk) -> None:
    """Enabled again, the person has nothing: no token, no skip, no invitation, no open question."""
    with busy.registry() as registry:
        registry.offboard("alice", LATER)
        registry.set_enabled("alice", LATER, enabled=True)
    assert (desk.user().tokens, desk.user().skip_until) == ((), 0)
    assert busy.sql("SELECT count(*) FROM challenges WHERE user_id = 1") == [(0,)]
    assert busy.sql("SELECT count(*) FROM invitations WHERE user_id = 1") == [(0,)]


def test_each_thing_has_its_audit_row(busy: Site) -> None:
    """Every token by its serial, every grant by its kind, and the person; once each, with the reason."""
    after = last_row(busy)
    with busy.registry() as registry:
        registry.offboard("alice", LATER, "left the company")
    rows = audit(busy, after)
    assert [row[:4] for row in rows] == [
        ("token.revoked", "alice", "hotp", "H1"),
        ("token.revoked", "alice", "totp", "T1"),
        ("token.revoked", "alice", "recovery", "R-1"),
        ("token.revoked", "alice", "temporary", "G-1"),
        ("token.revoked", "alice", "breakglass", "E-1"),
        ("grant.closed", "alice", "skip", ""),
        ("grant.closed", "alice", "temporary", "G-1"),
        ("breakglass.closed", "alice", "breakglass", "E-1"),
        ("user.offboarded", "alice", "", ""),
    ]
    assert {row[4] for row in rows} == {"left the company"}


def test_what_was_done_is_told(busy: Site) -> None:
    """With what each token was before: what is in a pocket must be collected, what is lost cannot be."""
    with busy.registry() as registry:
        done = registry.offboard("alice", LATER)
    assert [(one.serial, one.state) for one in done.revoked] == [
        ("H1", TokenState.ACTIVE),
        ("T1", TokenState.LOST),
        ("R-1", TokenState.ACTIVE),
        ("G-1", TokenState.ACTIVE),
        ("E-1", TokenState.ACTIVE),
    ]
    assert [one.kind for one in done.grants] == ["skip", "temporary", "breakglass"]
    assert (done.was_enabled, done.requests, done.questions, done.invitations) == (True, 1, 1, 1)


def test_nobody_else_is_touched(busy: Site) -> None:
    """Others keep their tokens, grants, questions and invitations."""
    with busy.registry() as registry:
        registry.offboard("alice", LATER)
        assert [one.user for one in registry.grants(LATER)] == ["bob"]
    assert busy.sql("SELECT serial, state FROM tokens WHERE user_id = 2 ORDER BY id") == [
        ("H2", "active"),
        ("R-1b", "active"),
    ]
    assert busy.sql("SELECT enabled, skip_until > 0 FROM users WHERE name = 'bob'") == [(1, 1)]
    for table in ("challenges", "invitations"):
        assert busy.sql(f"SELECT user_id FROM {table}") == [(2,)]  # noqa: S608 - our own names


def test_offboarding_twice_is_no_error(busy: Site) -> None:
    """The second time nothing is left to end, and one row says that it was done."""
    with busy.registry() as registry:
        registry.offboard("alice", LATER)
        after = last_row(busy)
        done = registry.offboard("alice", LATER + 1)
    assert (done.was_enabled, done.revoked, done.grants, done.requests) == (False, (), (), 0)
    assert [row[0] for row in audit(busy, after)] == ["user.offboarded"]


def test_an_error_half_way_through_leaves_everything(busy: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is left half offboarded, and no row speaks of it."""
    before = everything(busy)
    with busy.registry() as registry:

        def failing(*_: object, **__: object) -> int:
            raise OSError("the disk is full")

        monkeypatch.setattr(registry, "_drop_requests", failing)
        with pytest.raises(OSError, match="disk is full"):
            registry.offboard("alice", LATER)
    assert everything(busy) == before


def test_revoke_all_is_an_offboarding(busy: Site) -> None:
    """`user sync` ends all the same things, and hears the serials."""
    with busy.registry() as registry:
        assert registry.revoke_all("alice", LATER) == ("H1", "T1", "R-1", "G-1", "E-1")
        assert registry.grants(LATER) == [one for one in registry.grants(LATER) if one.user == "bob"]
    assert busy.sql("SELECT enabled FROM users WHERE name = 'alice'") == [(0,)]


def test_somebody_removed_leaves_nothing_open(busy: Site) -> None:
    """Sheets are revoked, not put into the stock; grants are closed before the row's number can be somebody else's."""
    with busy.registry() as registry:
        registry.remove_user("alice", LATER)
        assert [one.user for one in registry.grants(LATER)] == ["bob"]
    serials = "('R-1', 'G-1', 'E-1')"
    assert busy.sql(f"SELECT DISTINCT state, user_id FROM tokens WHERE serial IN {serials}") == [  # noqa: S608 - ours
        ("revoked", None)
    ]
