"""Temporary codes and skips on the real database: each with a reason and an end, one of a kind for a person.

A login is the real one: the factor finds the code, the engine spends it. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from radiusd2fa.core.model import NoteLogin, TokenState
from radiusd2fa.core.sheets import TEMPORARY
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.registry import Registry

from .conftest import ACTOR, NOW, Desk, Site, hotp
from .paper import a_sheet, audit, everything, last_row, lets_in, use

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
UNTIL: Final = NOW + 8 * HOUR
SHEET, CODES = a_sheet("G-1", TEMPORARY, until=UNTIL)
NEXT, NEXT_CODES = a_sheet("G-2", TEMPORARY, until=UNTIL)
ENDLESS, _ = a_sheet("G-3", TEMPORARY)
TOO_LONG, _ = a_sheet("G-4", TEMPORARY, until=NOW + 73 * HOUR)
OVER, _ = a_sheet("G-5", TEMPORARY, until=NOW)


def states(site: Site) -> dict[str, str]:
    """Where each token is."""
    return dict(site.sql("SELECT serial, state FROM tokens ORDER BY id"))


def skip_until(site: Site, name: str = "alice") -> float:
    """Until when somebody is asked for no second factor."""
    return float(site.sql("SELECT skip_until FROM users WHERE name = ?", name)[0][0])


# --- refusals --------------------------------------------------------------------------------------------------------

Change = Callable[[Registry], object]
REFUSALS: Final[dict[str, tuple[Change, str]]] = {
    "codes for somebody unknown": (lambda r: r.grant_temporary("eve", SHEET, "x", NOW), "no user eve"),
    "codes for somebody disabled": (lambda r: r.grant_temporary("carol", SHEET, "x", NOW), "carol is disabled"),
    "codes without an end": (lambda r: r.grant_temporary("bob", ENDLESS, "x", NOW), "1 to 72 hours"),
    "codes for too long": (lambda r: r.grant_temporary("bob", TOO_LONG, "x", NOW), "1 to 72 hours"),
    "codes that have ended": (lambda r: r.grant_temporary("bob", OVER, "x", NOW), "1 to 72 hours"),
    "which of two is lost": (lambda r: r.grant_temporary("alice", SHEET, "x", NOW), "H1, T1: say which"),
    "the loss of an unknown token": (lambda r: r.grant_temporary("bob", SHEET, "x", NOW, lost="H9"), "no token H9"),
    "the loss of somebody else's": (lambda r: r.grant_temporary("bob", SHEET, "x", NOW, lost="H1"), "no fob or key of"),
    "the loss of what is revoked": (lambda r: r.grant_temporary("bob", SHEET, "x", NOW, lost="H3"), "revoked already"),
    "the loss of a sheet": (lambda r: r.grant_temporary("bob", SHEET, "x", NOW, lost="R-1"), "no fob or key of"),
    "a skip for somebody unknown": (lambda r: r.grant_skip("eve", NOW + DAY, "x", NOW), "no user eve"),
    "a skip for somebody disabled": (lambda r: r.grant_skip("carol", NOW + DAY, "x", NOW), "carol is disabled"),
    "a skip for too long": (lambda r: r.grant_skip("bob", NOW + 33 * DAY, "x", NOW), "longer than 31 days"),
    "a skip that has ended": (lambda r: r.grant_skip("bob", NOW, "x", NOW), "past day"),
    "closing what is not there": (lambda r: r.close_grant(9, NOW), "no grant 9"),
    "closing what has ended": (lambda r: r.close_grant(1, UNTIL), "has ended already"),
    "closing of somebody unknown": (lambda r: r.close_grants("eve", NOW), "no user eve"),
    "closing where nothing is open": (lambda r: r.close_grants("bob", NOW), "no open grants"),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_says_why_and_leaves_no_trace(site: Site, case: tuple[Change, str]) -> None:
    """Nothing is changed and nothing is written, and the text names what is wrong."""
    change, why = case
    with site.registry() as registry:
        registry.add_user("carol", None, (), NOW)
        registry.set_enabled("carol", NOW, enabled=False)
        registry.add_user("dave", None, (), NOW)
        registry.grant_temporary("dave", a_sheet("G-0", TEMPORARY, until=UNTIL)[0], "x", NOW)
        registry.add_token(hotp("H3", seed=b"a third seed, of bob's"), "bob", NOW)
        registry.set_state("H3", TokenState.REVOKED, NOW)
        registry.issue_recovery("bob", a_sheet("R-1")[0], NOW)
    before = everything(site)
    with site.registry() as registry, pytest.raises(RefusedError, match=why):
        change(registry)
    assert everything(site) == before


def test_a_temporary_code_is_good_once(site: Site, desk: Desk) -> None:
    """There is no code that could be used again, not even within its hours."""
    with site.registry() as registry:
        registry.grant_temporary("alice", SHEET, "lost", NOW, keep=True)
    assert [lets_in(desk, CODES[0], NOW + at) for at in range(3)] == [True, False, False]


def test_temporary_codes_end_by_themselves(site: Site, desk: Desk) -> None:
    """Good a second before their end, and not at their end; nor does a login that looked before write after it."""
    with site.registry() as registry:
        registry.grant_temporary("alice", SHEET, "lost", NOW, keep=True)
    in_time = use(desk, CODES[0], UNTIL - 1)
    assert in_time is not None
    assert use(desk, CODES[0], UNTIL) is None
    site.sql("UPDATE tokens SET valid_until = ? WHERE serial = 'G-1'", UNTIL - 2)
    assert desk.commit(in_time) is False


# --- temporary codes -------------------------------------------------------------------------------------------------


def test_the_only_token_is_lost(site: Site, desk: Desk) -> None:
    """Who has one token has lost that one; both rows of the audit name it and why."""
    after = last_row(site)
    with site.registry() as registry:
        granted = registry.grant_temporary("bob", SHEET, "left in a taxi", NOW)
    assert (granted.lost, granted.closed) == ("H2", ())
    assert states(site)["H2"] == "lost"
    assert audit(site, after) == [
        ("token.lost", "bob", "hotp", "H2", "left in a taxi", "done"),
        ("grant.opened", "bob", "temporary", "G-1", "left in a taxi", "done"),
    ]
    assert [token.serial for token in desk.user("bob").tokens] == ["G-1"]
    assert lets_in(desk, CODES[0], NOW, "bob")


def test_of_several_the_named_one_is_lost(site: Site) -> None:
    """The others are left as they are."""
    with site.registry() as registry:
        assert registry.grant_temporary("alice", SHEET, "x", NOW, lost="T1").lost == "T1"
    assert states(site) == {"H1": "active", "T1": "lost", "H2": "active", "G-1": "active"}


def test_what_cannot_be_used_is_not_asked_about(site: Site) -> None:
    """Of two tokens one of which is disabled, over, or lost, the other one is meant."""
    for column in ("state = 'disabled'", f"valid_until = {NOW}", "state = 'lost'"):
        site.sql(f"UPDATE tokens SET {column} WHERE serial = 'T1'")  # noqa: S608 - our own text
        with site.registry() as registry:
            sheet, _ = a_sheet(f"G-{column}", TEMPORARY, until=UNTIL)
            assert registry.grant_temporary("alice", sheet, "x", NOW).lost == "H1"
            registry.set_state("H1", TokenState.REVOKED, NOW)
        site.sql("UPDATE tokens SET state = 'active', valid_until = NULL WHERE serial IN ('T1', 'H1')")


def test_what_is_lost_already_may_be_named(site: Site) -> None:
    """It was reported before; nothing more happens to it, and no second row says so."""
    with site.registry() as registry:
        registry.set_state("H1", TokenState.LOST, NOW)
        after = last_row(site)
        assert registry.grant_temporary("alice", SHEET, "x", NOW, lost="H1").lost == "H1"
    assert [row[0] for row in audit(site, after)] == ["grant.opened"]


def test_what_is_at_home_is_not_lost(site: Site) -> None:
    """With `keep` all tokens stay in use."""
    with site.registry() as registry:
        assert registry.grant_temporary("bob", SHEET, "x", NOW, keep=True).lost is None
    assert states(site)["H2"] == "active"


def test_who_has_no_token_has_lost_none(site: Site) -> None:
    """They get their codes all the same."""
    with site.registry() as registry:
        registry.add_user("carol", None, (), NOW)
        assert registry.grant_temporary("carol", SHEET, "x", NOW).lost is None


def test_there_is_one_set_of_temporary_codes(site: Site, desk: Desk) -> None:
    """The one before is closed and its codes are revoked, in the same transaction."""
    with site.registry() as registry:
        first = registry.grant_temporary("alice", SHEET, "x", NOW, keep=True)
        second = registry.grant_temporary("alice", NEXT, "x", NOW + 1, keep=True)
        assert [one.id for one in second.closed] == [first.id]
        assert [one.id for one in registry.grants(NOW + 2)] == [second.id]
    assert not lets_in(desk, CODES[0], NOW + 2)
    assert lets_in(desk, NEXT_CODES[0], NOW + 2)


def test_a_grant_is_written_down(site: Site) -> None:
    """For whom, why, by whom, since when and until when; whoever made it and which codes."""
    with site.registry() as registry:
        registry.grant_temporary("alice", SHEET, "broken", NOW, keep=True)
        (grant,) = registry.grants()
    assert (grant.user, grant.kind, grant.serial, grant.reason) == ("alice", "temporary", "G-1", "broken")
    assert (grant.granted_by, grant.approved_by) == (ACTOR, "")
    assert (grant.created, grant.until, grant.closed) == (NOW, UNTIL, None)


# --- skips -----------------------------------------------------------------------------------------------------------


def test_a_skip_counts_until_its_end(site: Site, desk: Desk) -> None:
    """The login's own guard holds before it and not at it."""
    with site.registry() as registry:
        registry.grant_skip("alice", NOW + DAY, "new fob on its way", NOW)
    assert skip_until(site) == NOW + DAY
    assert desk.commit(NoteLogin(1, NOW + DAY - 1, unenrolled=False, granted=True)) is True
    assert desk.commit(NoteLogin(1, NOW + DAY, unenrolled=False, granted=True)) is False
    assert skip_until(site, "bob") == 0


def test_a_closed_skip_counts_no_more(site: Site, desk: Desk) -> None:
    """From the next packet on, and for a login half-way through."""
    with site.registry() as registry:
        granted = registry.grant_skip("alice", NOW + DAY, "x", NOW)
        closed = registry.close_grant(granted.id, NOW + 1, "the fob is here")
    assert closed.id == granted.id
    assert skip_until(site) == 0
    assert desk.commit(NoteLogin(1, NOW + 2, unenrolled=False, granted=True)) is False
    assert audit(site)[-1] == ("grant.closed", "alice", "skip", "", "the fob is here", "done")


def test_a_new_skip_takes_the_place_of_the_old(site: Site) -> None:
    """It may end sooner; the old one is closed and does not end the new."""
    with site.registry() as registry:
        first = registry.grant_skip("alice", NOW + 9 * DAY, "x", NOW)
        second = registry.grant_skip("alice", NOW + DAY, "y", NOW)
        assert [one.id for one in second.closed] == [first.id]
        with pytest.raises(RefusedError):
            registry.close_grant(first.id, NOW)
    assert skip_until(site) == NOW + DAY


# --- what is open, and how it ends -----------------------------------------------------------------------------------


def test_what_is_open_and_what_has_ended(site: Site) -> None:
    """Closed and run out are not open; both are kept, with who has closed them."""
    with site.registry() as registry:
        over = registry.grant_temporary("alice", SHEET, "x", NOW, keep=True).id
        skip = registry.grant_skip("alice", NOW + DAY, "x", NOW).id
        closed = registry.grant_skip("bob", NOW + DAY, "x", NOW).id
        registry.close_grant(closed, NOW + 5)
        assert [one.id for one in registry.grants(UNTIL)] == [skip]
        assert [one.id for one in registry.grants()] == [over, skip, closed]
        assert (registry.grants()[2].closed, registry.grants()[2].closed_by) == (NOW + 5, ACTOR)


def test_closing_all_of_somebody(site: Site, desk: Desk) -> None:
    """Codes and skip end together, each with its row; somebody else's stay."""
    with site.registry() as registry:
        registry.grant_temporary("alice", SHEET, "x", NOW, keep=True)
        registry.grant_skip("alice", NOW + DAY, "x", NOW)
        registry.grant_skip("bob", NOW + DAY, "x", NOW)
        after = last_row(site)
        assert [one.kind for one in registry.close_grants("alice", NOW + 1, "back")] == ["temporary", "skip"]
    assert [row[0] for row in audit(site, after)] == ["token.revoked", "grant.closed", "grant.closed"]
    assert not lets_in(desk, CODES[0], NOW + 1)
    assert (skip_until(site), skip_until(site, "bob")) == (0, NOW + DAY)


def test_an_error_inside_leaves_the_token_in_use(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the codes cannot be kept, nothing is lost and nothing granted."""
    before = everything(site)

    def failing(*_: object) -> bytes:
        raise OSError("no randomness")

    with site.registry() as registry:
        monkeypatch.setattr(type(site.vault), "seal", failing)
        with pytest.raises(OSError, match="no randomness"):
            registry.grant_temporary("bob", SHEET, "x", NOW)
    assert everything(site) == before
