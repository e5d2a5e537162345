"""Emergency codes on the real database: nobody opens them alone, and nothing opens them for longer than two have said.

Persons are told apart by uid. A login is the real one: the factor finds the code, the engine spends it. Answers to no
RFC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.sheets import BREAK_GLASS
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.emergencies import LONGEST_OPENING, PATIENCE, SHORTEST_OPENING, Person
from radiusd2fa.store.registry import Registry

from .conftest import ACTOR, NOW, Desk, Site
from .paper import a_sheet, audit, everything, last_row, lets_in, use

HOUR: Final = 3600.0
ASKED: Final = NOW + 100
APPROVED: Final = ASKED + 60
SHEET, CODES = a_sheet("E-1", BREAK_GLASS, count=2, until=NOW)
NEXT, NEXT_CODES = a_sheet("E-2", BREAK_GLASS, count=2, until=NOW)
ANN: Final = Person(1001, "ann")
BEN: Final = Person(1002, "ben")
ROOT: Final = Person(0, "root")
ANN_AGAIN: Final = Person(1001, "ann.admin")
"""The same uid by another name."""


def sealed(site: Site, user: str = "alice") -> None:
    """Make E-1."""
    with site.registry() as registry:
        registry.seal(user, SHEET, NOW)


def asked(site: Site, user: str = "alice", who: Person = ANN, at: float = ASKED) -> int:
    """Ask, and return the number of the request."""
    with site.registry() as registry:
        return registry.request_opening(user, "directory down", who, HOUR, at).id


def opened(site: Site) -> None:
    """Seal, ask and approve."""
    sealed(site)
    number = asked(site)
    with site.registry() as registry:
        registry.approve_opening(number, BEN, APPROVED)


# --- refusals: asking ------------------------------------------------------------------------------------------------

Change = Callable[[Registry], object]
REFUSED_REQUESTS: Final[dict[str, tuple[Change, str]]] = {
    "for somebody unknown": (lambda r: r.request_opening("eve", "x", ANN, HOUR, ASKED), "no user eve"),
    "for somebody disabled": (lambda r: r.request_opening("carol", "x", ANN, HOUR, ASKED), "carol is disabled"),
    "without a sheet": (lambda r: r.request_opening("bob", "x", ANN, HOUR, ASKED), "bob has no emergency codes"),
    "by root alone": (lambda r: r.request_opening("alice", "x", ROOT, HOUR, ASKED), "use sudo"),
    "for too short": (lambda r: r.request_opening("alice", "x", ANN, SHORTEST_OPENING - 1, ASKED), "10 minutes to 8"),
    "for too long": (lambda r: r.request_opening("alice", "x", ANN, LONGEST_OPENING + 1, ASKED), "10 minutes to 8"),
    "sealing for somebody unknown": (lambda r: r.seal("eve", NEXT, NOW), "no user eve"),
    "sealing for somebody disabled": (lambda r: r.seal("carol", NEXT, NOW), "carol is disabled"),
    "closing of somebody unknown": (lambda r: r.close_emergency("eve", NOW), "no user eve"),
    "closing what is not open": (lambda r: r.close_emergency("alice", NOW), "not open"),
    "approving what nobody asked": (lambda r: r.approve_opening(7, BEN, NOW), "no request 7"),
    "approving by root alone": (lambda r: r.approve_opening(7, ROOT, NOW), "use sudo"),
}


@pytest.mark.parametrize("case", REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS.keys())
def test_a_refusal_says_why_and_leaves_no_trace(site: Site, case: tuple[Change, str]) -> None:
    """Nothing is changed and nothing is written, and the text names what is wrong."""
    change, why = case
    sealed(site)
    with site.registry() as registry:
        registry.add_user("carol", None, (), NOW)
        registry.set_enabled("carol", NOW, enabled=False)
    before = everything(site)
    with site.registry() as registry, pytest.raises(RefusedError, match=why):
        change(registry)
    assert everything(site) == before


def test_used_up_codes_are_not_asked_for(site: Site, desk: Desk) -> None:
    """An opening that could let nobody in is refused before the envelope is fetched, and its approval too."""
    opened(site)
    second = asked(site, at=APPROVED + 1)
    assert all(lets_in(desk, code, APPROVED + 1) for code in CODES)
    with site.registry() as registry, pytest.raises(RefusedError, match="no emergency code of alice"):
        registry.request_opening("alice", "x", ANN, HOUR, APPROVED + 2)
    with site.registry() as registry, pytest.raises(RefusedError, match="no emergency code of alice"):
        registry.approve_opening(second, BEN, APPROVED + 2)


def test_a_disabled_sheet_is_not_asked_for(site: Site) -> None:
    """Two persons open what is sealed, not what somebody has switched off."""
    sealed(site)
    site.sql("UPDATE tokens SET state = ? WHERE serial = 'E-1'", TokenState.DISABLED.value)
    with site.registry() as registry, pytest.raises(RefusedError, match="E-1 is disabled"):
        registry.request_opening("alice", "x", ANN, HOUR, ASKED)


# --- refusals: approving ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [ANN, ANN_AGAIN], ids=["as the same", "by another name"])
def test_nobody_approves_their_own_request(site: Site, desk: Desk, second: Person) -> None:
    """The uid tells; the sheet stays sealed, the request stays for somebody else, and the attempt is written down."""
    sealed(site)
    number, after = asked(site), last_row(site)
    with site.registry() as registry:
        with pytest.raises(RefusedError, match="another administrator"):
            registry.approve_opening(number, second, APPROVED)
        assert [one.id for one in registry.requests(APPROVED)] == [number]
        assert registry.grants() == []
    why = f"request {number} was made by the same person"
    assert audit(site, after) == [("breakglass.refused", "alice", "", "", why, "refused")]
    assert not lets_in(desk, CODES[0], APPROVED)


def test_a_late_approval_is_none(site: Site, desk: Desk) -> None:
    """Within fifteen minutes, their end not included; and not before it was asked either."""
    sealed(site)
    number = asked(site)
    for at in (ASKED + PATIENCE, ASKED - 1):
        with site.registry() as registry, pytest.raises(RefusedError, match="within 15 minutes"):
            registry.approve_opening(number, BEN, at)
    assert not lets_in(desk, CODES[0], APPROVED)
    with site.registry() as registry:
        assert registry.approve_opening(number, BEN, ASKED + PATIENCE - 1).until == ASKED + PATIENCE - 1 + HOUR


def test_a_request_is_approved_once(site: Site, desk: Desk) -> None:
    """What was opened by it and has ended is not opened by it again."""
    opened(site)
    with site.registry() as registry:
        registry.close_emergency("alice", APPROVED + 1)
        with pytest.raises(RefusedError, match="approved already, by ben"):
            registry.approve_opening(1, Person(1003, "cid"), APPROVED + 2)
    assert not lets_in(desk, CODES[0], APPROVED + 2)


DROPPED: Final[dict[str, Change]] = {
    "closed": lambda r: r.close_emergency("alice", ASKED + 1),
    "sealed anew": lambda r: r.seal("alice", NEXT, ASKED + 1),
    "offboarded": lambda r: r.offboard("alice", ASKED + 1),
    "removed": lambda r: r.remove_user("alice", ASKED + 1),
}


@pytest.mark.parametrize("drop", DROPPED.values(), ids=DROPPED.keys())
def test_a_dropped_request_opens_nothing(site: Site, drop: Change) -> None:
    """It was about what was there then; and its number never comes again for something else."""
    sealed(site)
    number = asked(site)
    with site.registry() as registry:
        drop(registry)
        assert registry.requests(ASKED + 2) == []
        with pytest.raises(RefusedError, match="was dropped"):
            registry.approve_opening(number, BEN, ASKED + 2)
    with site.registry() as registry:
        registry.seal("bob", a_sheet("E-9", BREAK_GLASS, until=NOW)[0], NOW)
    assert asked(site, "bob") == number + 1


@pytest.mark.sqlite_only  # PostgreSQL gives no number twice
def test_the_number_of_somebody_removed_opens_nothing_for_who_comes_after(site: Site) -> None:
    """A user's row number is given again; a request of before must not be about the newcomer."""
    with site.registry() as registry:
        registry.add_user("carol", None, (), NOW)
        registry.seal("carol", SHEET, NOW)
        number = registry.request_opening("carol", "x", ANN, HOUR, ASKED).id
        registry.remove_user("carol", ASKED + 1)
        registry.add_user("mallory", None, (), ASKED + 2)
        registry.seal("mallory", NEXT, ASKED + 2)
        assert site.sql("SELECT user_id FROM requests") == site.sql("SELECT id FROM users WHERE name = 'mallory'")
        with pytest.raises(RefusedError):
            registry.approve_opening(number, BEN, ASKED + 3)


def test_a_request_is_not_approved_for_somebody_disabled_meanwhile(site: Site) -> None:
    """Disabling stands over two administrators too."""
    sealed(site)
    number = asked(site)
    with site.registry() as registry:
        registry.set_enabled("alice", ASKED + 1, enabled=False)
        with pytest.raises(RefusedError, match="alice is disabled"):
            registry.approve_opening(number, BEN, APPROVED)


def test_what_is_sealed_lets_nobody_in(site: Site, desk: Desk) -> None:
    """Neither from the moment it was made, nor later, nor while somebody asks, nor by a login's own write."""
    sealed(site)
    asked(site)
    assert all(use(desk, CODES[0], at) is None for at in (NOW, NOW + 0.001, ASKED, NOW + 1e9))
    site.sql("UPDATE tokens SET valid_until = ? WHERE serial = 'E-1'", ASKED + 1)
    half_way = use(desk, CODES[0], ASKED)
    assert half_way is not None
    site.sql("UPDATE tokens SET valid_until = created WHERE serial = 'E-1'")
    assert desk.commit(half_way) is False


@pytest.mark.parametrize("until", [None, NOW + HOUR], ids=["without an end", "with an end to come"])
def test_whatever_is_sealed_is_sealed(site: Site, desk: Desk, until: float | None) -> None:
    """A sheet that would count by itself is shut all the same."""
    sheet, codes = a_sheet("E-3", BREAK_GLASS, until=until)
    with site.registry() as registry:
        registry.seal("alice", sheet, NOW)
    assert use(desk, codes[0], NOW + 1) is None


# --- what two persons open -------------------------------------------------------------------------------------------


def test_two_persons_open_it_for_a_while(site: Site, desk: Desk) -> None:
    """Each code lets in once until the time is over, and then none does."""
    opened(site)
    assert [lets_in(desk, CODES[0], APPROVED), lets_in(desk, CODES[0], APPROVED)] == [True, False]
    assert use(desk, CODES[1], APPROVED + HOUR - 1) is not None
    assert use(desk, CODES[1], APPROVED + HOUR) is None


def test_every_step_is_in_the_audit(site: Site) -> None:
    """Sealed, requested, approved, closed; and the grant names both persons, why and until when."""
    after = last_row(site)
    opened(site)
    with site.registry() as registry:
        registry.close_emergency("alice", APPROVED + 5, "over")
        (grant,) = registry.grants()
    assert audit(site, after) == [
        ("breakglass.sealed", "alice", "breakglass", "E-1", "", "done"),
        ("breakglass.requested", "alice", "breakglass", "E-1", "directory down", "done"),
        ("breakglass.approved", "alice", "breakglass", "E-1", "directory down", "done"),
        ("breakglass.closed", "alice", "breakglass", "E-1", "over", "done"),
    ]
    assert (grant.granted_by, grant.approved_by, grant.reason) == ("ann", "ben", "directory down")
    assert (grant.created, grant.until, grant.closed, grant.closed_by) == (
        APPROVED,
        APPROVED + HOUR,
        APPROVED + 5,
        ACTOR,
    )


def test_what_is_closed_is_sealed_again(site: Site, desk: Desk) -> None:
    """At once; what was not used stays good for the next emergency, what was used stays used."""
    opened(site)
    assert lets_in(desk, CODES[0], APPROVED)
    with site.registry() as registry:
        registry.close_emergency("alice", APPROVED + 1)
    assert use(desk, CODES[1], APPROVED + 1) is None
    number = asked(site, who=BEN, at=APPROVED + 2)
    with site.registry() as registry:
        assert registry.approve_opening(number, ANN, APPROVED + 3).left == 1
    assert [lets_in(desk, code, APPROVED + 3) for code in CODES] == [False, True]


def test_what_two_have_opened_is_no_grant_of_the_helpdesk(site: Site, desk: Desk) -> None:
    """It is closed by its own command alone, whichever way it is named."""
    opened(site)
    with site.registry() as registry:
        (grant,) = registry.grants(APPROVED + 1)
        with pytest.raises(RefusedError, match="no open grants"):
            registry.close_grants("alice", APPROVED + 1)
        with pytest.raises(RefusedError, match="breakglass close alice"):
            registry.close_grant(grant.id, APPROVED + 1)
    assert use(desk, CODES[0], APPROVED + 1) is not None


@pytest.mark.parametrize("at", [0.0, 1.0, 86_400.0, NOW - 1, NOW])
def test_no_clock_opens_what_is_sealed(site: Site, desk: Desk, at: float) -> None:
    """Neither one that begins in 1970 nor one that was set back, before the first opening or after the last."""
    assert use(desk, CODES[0], at) is None
    opened(site)
    assert use(desk, CODES[0], at) is None
    with site.registry() as registry:
        registry.close_emergency("alice", APPROVED + 1)
    assert use(desk, CODES[0], at) is None


def test_an_opening_can_be_prolonged_by_two(site: Site) -> None:
    """The new grant takes the place of the old one, and all other requests about it are done with."""
    opened(site)
    second, third = asked(site, at=APPROVED + 1), asked(site, who=BEN, at=APPROVED + 2)
    with site.registry() as registry:
        until = registry.approve_opening(third, ANN, APPROVED + 3).until
        assert [(one.created, one.until) for one in registry.grants(APPROVED + 4)] == [(APPROVED + 3, until)]
        with pytest.raises(RefusedError):
            registry.approve_opening(second, BEN, APPROVED + 4)


def test_new_codes_take_the_place_of_the_old(site: Site, desk: Desk) -> None:
    """Also of those that are open: they end, and the new ones are sealed."""
    opened(site)
    with site.registry() as registry:
        assert registry.seal("alice", NEXT, APPROVED + 1) == ("E-1",)
        assert registry.grants(APPROVED + 1) == []
        (sheet,) = registry.sheets("breakglass")
    assert (sheet.serial, sheet.left) == ("E-2", 2)
    assert not any(lets_in(desk, code, APPROVED + 1) for code in (*CODES, *NEXT_CODES))


def test_a_request_is_shown_until_it_is_over(site: Site) -> None:
    """With whom it is about, why, by whom and until when it can be approved."""
    sealed(site)
    number = asked(site)
    with site.registry() as registry:
        (request,) = registry.requests(ASKED)
        assert registry.requests(ASKED + PATIENCE) == []
    assert (request.id, request.user, request.reason, request.requested_by) == (
        number,
        "alice",
        "directory down",
        "ann",
    )
    assert (request.created, request.expires, request.lasts) == (ASKED, ASKED + PATIENCE, HOUR)
