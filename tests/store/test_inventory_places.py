"""Where a token stands in its life: raised and never lowered, kept up with its twins, valid from when until when.

On the real database, and past all of our code where a fault must be planted. RFC 4226 7.2: a code that was used stays
used, whatever administrators do.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Final

import pytest

from radiusd2fa.core.model import AdvanceMovingFactor, TokenState
from radiusd2fa.core.sheets import RECOVERY
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.inventory import Papers
from radiusd2fa.store.registry import Registry

from .conftest import ACTOR, NOW, SEED, Site, hotp
from .inventory_tokens import FOB, a_sheet

LATER: Final = NOW + 100
LARGEST: Final = 2**62


def factor(registry: Registry, serial: str) -> int:
    """Where a token stands."""
    return registry.token(serial).moving_factor


# --- the counter ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [0, 4, 5, LARGEST + 1])
def test_a_counter_is_not_lowered(site: Site, to: int) -> None:
    """To a smaller number, to the same one, or beyond what can be counted on: refused without a trace."""
    before = site.sql("SELECT * FROM tokens"), site.sql("SELECT * FROM events")
    with site.registry() as registry, pytest.raises(RefusedError, match="raised, never lowered"):
        registry.raise_counter("H1", to, LATER)
    assert (site.sql("SELECT * FROM tokens"), site.sql("SELECT * FROM events")) == before


def test_a_counter_is_raised(site: Site) -> None:
    """The next code that counts is the one that was said; why stands in the audit."""
    site.sql("UPDATE tokens SET candidate = 7, candidate_until = 1e12 WHERE serial = 'H1'")
    with site.registry() as registry:
        registry.raise_counter("H1", 6, LATER, "the old system has used it")
        event = registry.events(1)[0]
        assert factor(registry, "H1") == 6
    assert (event.name, event.user, event.serial, event.factor) == ("token.counter_raised", "alice", "H1", "hotp")
    assert (event.reason, event.actor) == ("the old system has used it", ACTOR)
    assert site.sql("SELECT candidate, candidate_until FROM tokens WHERE serial = 'H1'") == [(None, 0.0)]


@pytest.mark.parametrize("kind", ["totp", "yubico", "fido", "recovery"])
def test_what_has_no_counter_to_set(site: Site, kind: str) -> None:
    """A clock would be blocked for ever, and the bits of a sheet are its used codes."""
    with site.registry() as registry:
        token = a_sheet(RECOVERY) if kind == "recovery" else replace(hotp("X1", FOB), kind=kind)
        registry.add_token(token, "alice", NOW)
        with pytest.raises(RefusedError, match=f"it is a {kind} token"):
            registry.raise_counter("X1", 1000, LATER)


@pytest.mark.parametrize("state", ["revoked", "expired"])
def test_the_counter_of_what_is_gone(site: Site, state: str) -> None:
    """Nothing more is done with it."""
    site.sql("UPDATE tokens SET state = ? WHERE serial = 'H1'", state)
    with site.registry() as registry, pytest.raises(RefusedError, match="stays so"):
        registry.raise_counter("H1", 1000, LATER)


# --- twins: several tokens with one seed ------------------------------------------------------------------------------


def test_a_twin_out_of_the_stock_goes_on_where_the_first_was(site: Site) -> None:
    """A code that was used with one token of a seed does not count again with another, whoever gets that."""
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB, counter=3), "bob", NOW)
        assert registry.add_token(hotp("X2", FOB, counter=0), None, NOW) == ("X1",)
        assert factor(registry, "X2") == 3
        desk = site.desk()
        x1 = desk.token("X1", "bob")
        assert desk.commit(AdvanceMovingFactor(x1.id, 2, 80, 0, LATER)) is True
        desk.store.close()
        assert factor(registry, "X2") == 3
        registry.unassign("X1", LATER)
        assert factor(registry, "X2") == 80  # from the stock somebody may take it without an administrator
        site.sql("UPDATE tokens SET moving_factor = 90 WHERE serial = 'X1'")
        registry.assign("X2", "bob", LATER)
        assert (factor(registry, "X1"), factor(registry, "X2")) == (90, 90)


def test_a_twin_in_other_hands_is_left_alone(site: Site) -> None:
    """What somebody uses is not moved on by what becomes of another's."""
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB, counter=50), "bob", NOW)
        registry.add_token(hotp("X2", FOB, counter=0), "alice", NOW)
        site.sql("UPDATE tokens SET moving_factor = 99 WHERE serial = 'X1'")
        registry.unassign("X1", LATER)
        assert (factor(registry, "X1"), factor(registry, "X2")) == (99, 0)


def test_twins_that_count_otherwise_are_none(site: Site) -> None:
    """The steps of a clock are no counter, and those of another length are others."""
    clock = replace(hotp("X1", FOB, counter=50_000_000), kind="totp", step=30)
    with site.registry() as registry:
        registry.add_token(clock, "bob", NOW)
        registry.add_token(hotp("X2", FOB, counter=1), None, NOW)
        registry.add_token(replace(clock, serial="X3", moving_factor=0, step=60), None, NOW)
        registry.unassign("X1", LATER)
        assert (factor(registry, "X2"), factor(registry, "X3")) == (1, 0)


def test_twins_of_somebody_removed(site: Site) -> None:
    """Their tokens go back to the stock as far as the farthest of their seed."""
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB, counter=3), "bob", NOW)
        registry.add_token(hotp("X2", FOB), None, NOW)
        site.sql("UPDATE tokens SET moving_factor = 70 WHERE serial = 'X1'")
        registry.remove_user("bob", LATER)
        assert factor(registry, "X2") == 70


def test_a_seed_of_before_fingerprints(site: Site) -> None:
    """A row without a fingerprint is opened and compared: the same person does not get its seed twice."""
    site.sql("UPDATE tokens SET fingerprint = NULL")
    with site.registry() as registry:
        with pytest.raises(RefusedError, match="as token H1"):
            registry.add_token(hotp("X1", SEED), "alice", NOW)
        registry.add_token(hotp("X1", SEED), None, NOW)
        site.sql("UPDATE tokens SET fingerprint = NULL")
        with pytest.raises(RefusedError, match="as token H1"):
            registry.assign("X1", "alice", LATER)
        registry.assign("X1", "bob", LATER)


@pytest.mark.parametrize("state", ["lost", "revoked", "disabled"])
def test_a_seed_that_somebody_has_had_in_a_token_of_theirs(site: Site, state: str) -> None:
    """Also where that one does not work any more: its codes were used."""
    site.sql("UPDATE tokens SET state = ? WHERE serial = 'H1'", state)
    with site.registry() as registry:
        registry.add_token(hotp("X1", SEED), None, NOW)
        with pytest.raises(RefusedError, match="as token H1"):
            registry.assign("X1", "alice", LATER)


# --- validity ---------------------------------------------------------------------------------------------------------


def test_a_token_has_its_time(site: Site) -> None:
    """Beginning and end are set one by one or together, and taken away; each with its row."""
    with site.registry() as registry:
        seen = []
        for begins, ends in ((None, LATER), (NOW, None), (LATER, LATER + 9), (None, inf), (0.0, None)):
            registry.set_validity("H1", LATER, begins=begins, ends=ends, reason="a contract")
            seen.append((registry.token("H1").valid_from, registry.token("H1").valid_until))
        rows = [event for event in registry.events() if event.name == "token.validity_set"]
    assert seen == [(0.0, LATER), (NOW, LATER), (LATER, LATER + 9), (LATER, None), (0.0, None)]
    assert {(row.user, row.serial, row.reason) for row in rows} == {("alice", "H1", "a contract")}
    assert len(rows) == 5


def test_no_token_ends_before_it_begins(site: Site) -> None:
    """Neither by two dates, nor by one beside what is there."""
    with site.registry() as registry:
        for begins, ends in ((LATER, LATER), (LATER + 1, LATER)):
            with pytest.raises(RefusedError, match="before it begins"):
                registry.set_validity("H1", NOW, begins=begins, ends=ends)
        registry.set_validity("H1", NOW, begins=LATER)
        with pytest.raises(RefusedError, match="before it begins"):
            registry.set_validity("H1", NOW, ends=LATER)


@pytest.mark.parametrize("kind", ["recovery", "temporary", "breakglass"])
def test_no_desk_opens_a_sheet(site: Site, kind: str) -> None:
    """A sealed sheet is one whose time has ended: two people open it, or a new one is made, but no date does it."""
    sheet = replace(a_sheet(RECOVERY), kind=kind, valid_until=NOW)
    with site.registry() as registry:
        registry.add_token(sheet, "alice", NOW)
        with pytest.raises(RefusedError, match="is a sheet of codes"):
            registry.set_validity("X1", LATER, ends=inf)
        assert registry.token("X1").valid_until == NOW


# --- what is written down ---------------------------------------------------------------------------------------------


def test_papers_come_with_a_token(site: Site) -> None:
    """Label, model, batch, box and day of delivery are kept as they are said."""
    papers = Papers("blue", "feitian-c200", "2026-03", "B1", NOW - 5)
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB), None, NOW, papers)
        one = registry.token("X1")
    assert Papers(one.label, one.model, one.batch, one.box, one.delivered) == papers


def test_papers_are_written_anew_for_all_or_none(site: Site) -> None:
    """What is not said stays; a serial that does not exist leaves everything as it was."""
    with site.registry() as registry:
        registry.describe(["H1", "H2"], {"box": "B2", "delivered": NOW}, LATER)
        registry.describe(["H2"], {"box": ""}, LATER)
        with pytest.raises(RefusedError, match="no token H9"):
            registry.describe(["H1", "H9"], {"box": "B3"}, LATER)
        said = [(event.serial, event.user, event.reason) for event in registry.events() if "labelled" in event.name]
        h1, h2 = registry.token("H1"), registry.token("H2")
    assert [(one.box, one.delivered) for one in (h1, h2)] == [("B2", NOW), ("", NOW)]
    assert said == [
        ("H1", "alice", f"box B2, delivered {NOW}"),
        ("H2", "bob", f"box B2, delivered {NOW}"),
        ("H2", "bob", "no box"),
    ]


def test_the_history_of_one_token(site: Site) -> None:
    """Everything that was done to it, by whom, and nothing of the others; logins only when they are asked for."""
    with site.registry() as registry:
        registry.unassign("H1", NOW)
        registry.assign("H1", "bob", LATER, activate_by=LATER + 9)
        registry.set_state("H2", TokenState.DISABLED, LATER)
        site.sql(
            'INSERT INTO events (time, name, login, nas, "user", caller, factor, serial, outcome, reason, latency, '
            "actor) VALUES (1, 'access.accepted', '1', 'vpn', 'bob', '', 'hotp', 'H1', 'accept', 'ok', 0, ''),"
            " (2, 'token.activated', '1', 'vpn', 'bob', '', 'hotp', 'H1', 'done', '', 0, '')"
        )
        told = [(event.name, event.user) for event in registry.history("H1")]
        all_told = [event.name for event in registry.history("H1", logins=True)]
        with pytest.raises(RefusedError, match="no token H9"):
            registry.history("H9")
    assert told == [
        ("token.added", "alice"),
        ("token.unassigned", "alice"),
        ("token.assigned", "bob"),
        ("token.activated", "bob"),
    ]
    assert all_told == [*(name for name, _ in told[:3]), "access.accepted", "token.activated"]


def test_how_many_codes_are_left_of_a_sheet(site: Site) -> None:
    """Those whose bit is not set; of a sheet that does not open nobody knows, and it is listed all the same."""
    with site.registry() as registry:
        registry.add_token(a_sheet(RECOVERY), "alice", NOW)
        assert registry.token("X1").left == 3
        site.sql("UPDATE tokens SET moving_factor = 5 WHERE serial = 'X1'")
        assert registry.token("X1").left == 1
        site.sql("UPDATE tokens SET sealed = ? WHERE serial = 'X1'", b"\0")
        assert registry.token("X1").left is None
        assert registry.token("H1").left is None
