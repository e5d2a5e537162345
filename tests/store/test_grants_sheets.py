"""Recovery sheets on the real database: refused without a trace, replaced as a whole, each code good once.

A login is the real one: the factor finds the code, the engine spends it. NIST SP 800-63B 3.1.2 (look-up secrets).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from radiusd2fa.core.model import TokenState
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.registry import Registry

from .conftest import NOW, Desk, Site
from .paper import a_sheet, audit, everything, last_row, lets_in, use

LATER: Final = NOW + 100
SHEET, CODES = a_sheet()
NEXT, NEXT_CODES = a_sheet("R-2")


def issued(site: Site, user: str = "alice") -> None:
    """Give somebody R-1."""
    with site.registry() as registry:
        registry.issue_recovery(user, SHEET, NOW)


# --- refusals --------------------------------------------------------------------------------------------------------

REFUSALS: Final[dict[str, tuple[Callable[[Registry], object], str]]] = {
    "for somebody unknown": (lambda r: r.issue_recovery("carol", SHEET, LATER), "no user carol"),
    "for somebody disabled": (lambda r: r.issue_recovery("bob", SHEET, LATER), "bob is disabled"),
    "what somebody unknown has": (lambda r: r.sheets("recovery", "carol"), "no user carol"),
    "revoking of somebody unknown": (lambda r: r.revoke_recovery("carol", LATER), "no user carol"),
    "revoking what nobody has": (lambda r: r.revoke_recovery("alice", LATER), "no recovery codes"),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_says_why_and_leaves_no_trace(site: Site, case: tuple[Callable[[Registry], object], str]) -> None:
    """Nothing is changed and nothing is written, and the text names what is wrong."""
    change, why = case
    site.sql("UPDATE users SET enabled = false WHERE name = 'bob'")
    before = everything(site)
    with site.registry() as registry, pytest.raises(RefusedError, match=why):
        change(registry)
    assert everything(site) == before


def test_one_code_at_one_moment_is_good_once(site: Site, desk: Desk) -> None:
    """Of two logins with one code in one flush one is let in, the other is a replay."""
    issued(site)
    effect = use(desk, CODES[0], LATER)
    assert effect is not None
    desk.queue(effect)
    desk.queue(effect)
    assert sorted(map(str, desk.write())) == ["False", "True"]


def test_one_code_at_two_nodes_is_good_once(site: Site) -> None:
    """Two daemons have both found the code unused; the database lets one of them in."""
    issued(site)
    one, other = site.desk(), site.desk()
    effects = [use(node, CODES[0], LATER) for node in (one, other)]
    assert None not in effects
    assert [node.commit(effect) for node, effect in zip((one, other), effects, strict=True) if effect] == [True, False]
    one.store.close()
    other.store.close()


def test_two_codes_at_one_moment_are_both_good(site: Site, desk: Desk) -> None:
    """What one login spends does not undo what the other has spent."""
    issued(site)
    effects = [use(desk, code, LATER) for code in CODES[:2]]
    for effect in effects:
        assert effect is not None
        desk.queue(effect)
    assert desk.write() == [True, True]
    assert not any(lets_in(desk, code, LATER) for code in CODES[:2])
    assert lets_in(desk, CODES[2], LATER)


def test_a_code_is_good_once_for_ever(site: Site, desk: Desk) -> None:
    """Used, it is found used at every later login, and no other code is."""
    issued(site)
    assert [lets_in(desk, CODES[1], LATER + at) for at in range(3)] == [True, False, False]
    assert [lets_in(desk, code, LATER) for code in CODES] == [True, False, True]


def test_a_row_copied_to_somebody_else_opens_nothing(site: Site, desk: Desk) -> None:
    """Whoever can write to the database cannot make one person's sheet another's."""
    issued(site)
    site.sql("UPDATE tokens SET user_id = 2 WHERE serial = 'R-1'")
    assert not lets_in(desk, CODES[0], LATER, "bob")
    assert "another row" in " ".join(desk.alarms)
    with site.registry() as registry:
        (record,) = registry.sheets("recovery", "bob")
    assert (record.codes, record.left) == (0, 0)


def test_a_sheet_copied_into_another_row_opens_nothing(site: Site, desk: Desk) -> None:
    """Nor can a used sheet be had again by putting its seal into a fresh row of its own owner."""
    issued(site)
    with site.registry() as registry:
        registry.issue_recovery("alice", NEXT, LATER)
    site.sql("UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE serial = 'R-1') WHERE serial = 'R-2'")
    assert not lets_in(desk, CODES[0], LATER)


def test_no_code_is_marked_unused_again(site: Site, desk: Desk) -> None:
    """Not even by a statement past the program."""
    issued(site)
    assert lets_in(desk, CODES[0], LATER)
    with pytest.raises(Exception, match=r"stays used|only grows"):
        site.sql("UPDATE tokens SET moving_factor = 6 WHERE serial = 'R-1'")


# --- what the changes do ---------------------------------------------------------------------------------------------


def test_a_new_sheet_replaces_the_old_one_at_once(site: Site, desk: Desk) -> None:
    """The old one is revoked in the same transaction, and each has its audit row."""
    issued(site)
    after = last_row(site)
    with site.registry() as registry:
        assert registry.issue_recovery("alice", NEXT, LATER, "two are left") == ("R-1",)
    assert audit(site, after) == [
        ("token.revoked", "alice", "recovery", "R-1", "replaced by R-2", "done"),
        ("recovery.issued", "alice", "recovery", "R-2", "two are left", "done"),
    ]
    assert not lets_in(desk, CODES[0], LATER)
    assert lets_in(desk, NEXT_CODES[0], LATER)


def test_a_disabled_sheet_is_replaced_too(site: Site) -> None:
    """Else it could be enabled later, and there would be two."""
    issued(site)
    site.sql("UPDATE tokens SET state = 'disabled' WHERE serial = 'R-1'")
    with site.registry() as registry:
        assert registry.issue_recovery("alice", NEXT, LATER) == ("R-1",)
        with pytest.raises(RefusedError, match="revoked and stays so"):
            registry.set_state("R-1", TokenState.ACTIVE, LATER)


def test_somebody_elses_sheet_stays(site: Site, desk: Desk) -> None:
    """A new sheet is about one person."""
    issued(site, "bob")
    with site.registry() as registry:
        assert registry.issue_recovery("alice", NEXT, LATER) == ()
    assert lets_in(desk, CODES[0], LATER, "bob")


def test_a_revoked_sheet_lets_nobody_in(site: Site, desk: Desk) -> None:
    """From the next packet on; and a login half-way through is refused by its commit."""
    issued(site)
    half_way = use(desk, CODES[0], LATER)
    assert half_way is not None
    with site.registry() as registry:
        assert registry.revoke_recovery("alice", LATER, "seen by others") == ("R-1",)
    assert desk.commit(half_way) is False
    assert not lets_in(desk, CODES[1], LATER)
    assert audit(site)[-1] == ("token.revoked", "alice", "recovery", "R-1", "seen by others", "done")


def test_what_is_left_is_counted(site: Site, desk: Desk) -> None:
    """How many codes, how many of them left, when issued and when used last."""
    issued(site)
    assert lets_in(desk, CODES[2], LATER)
    with site.registry() as registry:
        (record,) = registry.sheets("recovery", "alice")
        assert registry.sheets("recovery") == [record]
        assert registry.sheets("temporary") == []
    assert (record.codes, record.left, record.created, record.last_used) == (3, 2, NOW, LATER)


def test_a_sheet_is_no_token_to_have(site: Site) -> None:
    """Who has codes and nothing else is as unenrolled as before."""
    with site.registry() as registry:
        registry.add_user("carol", None, (), NOW)
        registry.issue_recovery("carol", SHEET, NOW)
        assert not registry.user("carol").enrolled


def test_codes_stay_good_under_a_new_name(site: Site, desk: Desk) -> None:
    """A sheet is sealed to its owner's name, and is sealed anew with it."""
    issued(site)
    with site.registry() as registry:
        registry.rename("alice", "alicia", LATER)
    assert lets_in(desk, CODES[0], LATER, "alicia")


@pytest.mark.sqlite_only
def test_the_store_holds_no_code(site: Site) -> None:
    """Neither file of the database has one, with or without dashes, nor the octets that open it."""
    issued(site)
    kept = b"".join(path.read_bytes() for path in site.path.parent.glob("radiusd2fa.db*"))
    assert SHEET.secret not in kept
    assert not any(code.encode() in kept for code in CODES)
