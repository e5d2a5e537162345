"""Handing a token out and taking it back: who did it and when, what the first code is for, and what is left of people.

On the real database. Answers to no RFC but RFC 4226 7.2: a used code stays used, in whosever hands the token is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.model import AdvanceMovingFactor, TokenState
from radiusd2fa.core.sheets import RECOVERY
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.registry import Registry

from .conftest import ACTOR, NOW, SEED, Desk, Site, hotp
from .inventory_tokens import FOB, a_sheet, add, put

LATER: Final = NOW + 100
DEADLINE: Final = NOW + 1000


def test_who_handed_it_out_and_when(site: Site) -> None:
    """The desk is written down beside the token while somebody has it, and forgotten there when it comes back."""
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB), None, NOW)
        assert (registry.token("X1").handed_by, registry.token("X1").handed_at) == ("", None)
        registry.assign("X1", "bob", LATER, activate_by=DEADLINE)
        assert (registry.token("X1").handed_by, registry.token("X1").handed_at) == (ACTOR, LATER)
        assert registry.token("X1").activate_by == DEADLINE
        registry.unassign("X1", LATER)
        after = registry.token("X1")
    assert (after.handed_by, after.handed_at, after.activate_by, after.user) == ("", None, None, None)


def test_what_is_handed_out_as_active(site: Site) -> None:
    """Without a deadline it is active at once."""
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB), None, NOW)
        registry.assign("X1", "bob", LATER, reason="its owner sits beside me")
        assert registry.token("X1").state is TokenState.ACTIVE
        assert registry.events(1)[0].reason == "its owner sits beside me"


def test_what_is_past_its_validity_is_not_handed_out(site: Site) -> None:
    """It could log nobody in; the refusal says how it could."""
    with site.registry() as registry:
        registry.add_token(replace(hotp("X1", FOB), valid_until=LATER), None, NOW)
        with pytest.raises(RefusedError, match="token validity X1"):
            registry.assign("X1", "bob", LATER)
        registry.assign("X1", "bob", LATER - 1)


def test_a_switch_does_not_spare_the_first_code(site: Site, desk: Desk) -> None:
    """Disabled and enabled before its first code a token still waits for it; after its first code it does not."""
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB, counter=3), None, NOW)
        site.sql("UPDATE tokens SET last_used = ? WHERE serial = 'X1'", NOW - 1)  # by whoever had it before
        registry.assign("X1", "bob", NOW, activate_by=DEADLINE)
        for _ in range(2):
            registry.set_state("X1", TokenState.DISABLED, NOW)
            registry.set_state("X1", TokenState.ACTIVE, NOW)
            assert registry.token("X1").state is TokenState.ASSIGNED
        desk.commit(AdvanceMovingFactor(desk.token("X1", "bob").id, 2, 4, 0, LATER))
        registry.set_state("X1", TokenState.DISABLED, LATER)
        registry.set_state("X1", TokenState.ACTIVE, LATER)
        assert registry.token("X1").state is TokenState.ACTIVE


def test_the_next_owner_completes_nothing_that_the_last_has_begun(site: Site) -> None:
    """A code that was noted for a resynchronisation is forgotten with whoever gave it."""
    noted = "UPDATE tokens SET candidate = 90, candidate_until = 1e12 WHERE serial = 'H1'"
    changes: tuple[Callable[[Registry], None], ...] = (
        lambda registry: registry.unassign("H1", LATER),
        lambda registry: registry.assign("H1", "bob", LATER),  # noted while somebody tried to take it from the stock
        lambda registry: registry.take_back("H1", LATER),
    )
    with site.registry() as registry:
        for change in changes:
            site.sql(noted)
            change(registry)
            assert site.sql("SELECT candidate, candidate_until FROM tokens WHERE serial = 'H1'") == [(None, 0.0)]


def test_somebody_else_gets_no_key_or_sheet(site: Site) -> None:
    """Nor after its owner has gone: it is revoked with them."""
    with site.registry() as registry:
        registry.add_token(a_sheet(RECOVERY), "alice", NOW)
        registry.remove_user("alice", LATER)
        assert registry.token("X1").state is TokenState.REVOKED
        with pytest.raises(RefusedError, match="revoked and stays so"):
            registry.assign("X1", "bob", LATER)


# --- whose owner is removed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("hotp", TokenState.ASSIGNED, TokenState.STOCK),
        ("hotp", TokenState.ACTIVE, TokenState.STOCK),
        ("yubico", TokenState.DISABLED, TokenState.RETURNED),
        ("hotp", TokenState.LOST, TokenState.LOST),
        ("hotp", TokenState.REVOKED, TokenState.REVOKED),
        ("fido", TokenState.ACTIVE, TokenState.REVOKED),
        ("fido", TokenState.LOST, TokenState.REVOKED),
        ("recovery", TokenState.ACTIVE, TokenState.REVOKED),
        ("temporary", TokenState.ACTIVE, TokenState.REVOKED),
        ("breakglass", TokenState.DISABLED, TokenState.REVOKED),
        ("breakglass", TokenState.EXPIRED, TokenState.EXPIRED),
    ],
)
def test_what_is_left_of_somebody(site: Site, kind: str, before: TokenState, after: TokenState) -> None:
    """Fobs go back to the stock as if never handed out; what is lost stays lost; keys and sheets end."""
    add(site, kind)
    put(site, before)
    site.sql("UPDATE tokens SET activate_by = 1, candidate = 9, candidate_until = 1e12 WHERE serial = 'X1'")
    with site.registry() as registry:
        serials = registry.remove_user("alice", LATER)
        record = registry.token("X1")
        told = [event.name for event in registry.history("X1")][1:]
    assert (record.state, record.user) == (after, None)
    assert (record.handed_by, record.handed_at, record.activate_by) == ("", None, None)
    assert site.sql("SELECT candidate FROM tokens WHERE serial = 'X1'") == [(None,)]
    assert ("X1" in serials) is (after is TokenState.STOCK)
    words = {
        TokenState.STOCK: "token.unassigned",
        TokenState.RETURNED: "token.returned",
        TokenState.REVOKED: "token.revoked",
    }
    assert told == ([words[after]] if after is not before else [])


def test_records_still_hide_every_seed(site: Site) -> None:
    """However much more there is to show of a token, its seed and the codes of a sheet are not in it."""
    with site.registry() as registry:
        registry.add_token(a_sheet(RECOVERY), "alice", NOW)
        shown = f"{registry.tokens()} {registry.history('X1')}"
    assert repr(SEED)[2:-1] not in shown
    assert repr(a_sheet(RECOVERY).secret)[2:-1] not in shown
