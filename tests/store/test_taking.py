"""Taking a token out of the stock, using a code of a sheet, skipping: each guard of the commit stopped alone.

Each case changes one fact between look and write; the commit is refused and leaves no trace. RFC 4226 7.2.
"""

# ruff: noqa: S608 - the statements are the tests' own

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from radiusd2fa.core.model import AdvanceMovingFactor, Effect, NoteLogin, TakeToken, Token, UseSheet
from radiusd2fa.core.sheets import RECOVERY, make, octets_wanted

from .conftest import NOW, Desk, Site, hotp

pytestmark = pytest.mark.both_stores

ALICE, BOB = 1, 2
H1, T1, H2, S1, R1 = 1, 2, 3, 4, 5
LATER: Final = NOW + 60
TAKE: Final = TakeToken(S1, BOB, 8, 0, LATER)
USE: Final = UseSheet(R1, ALICE, 2, LATER)
SPEND: Final = AdvanceMovingFactor(H1, ALICE, 60, 0, LATER)
SKIP: Final = NoteLogin(ALICE, LATER, unenrolled=False, granted=True)
STOCK_SEED: Final = b"a seed in the stock!"


@pytest.fixture
def stocked(site: Site) -> Iterator[Desk]:
    """Bob has no token that works, one is in stock, and alice has a sheet and leave for a while."""
    with site.registry() as registry:
        registry.add_token(hotp("S1", seed=STOCK_SEED, counter=5), None, NOW)
        made = make(RECOVERY, 4, bytes(range(octets_wanted(RECOVERY, 4))))
        sheet = Token(id=0, serial="R1", kind="recovery", moving_factor=0, secret=made.secret, digits=12)
        registry.add_token(sheet, "alice", NOW)
    site.sql("UPDATE tokens SET state = 'lost' WHERE id = ?", H2)
    site.sql("UPDATE users SET skip_until = ? WHERE id = ?", LATER + 1, ALICE)
    desk = site.desk()
    yield desk
    desk.store.close()


NEGATIONS: Final[dict[str, tuple[str, Effect]]] = {
    "the code was used": (f"UPDATE tokens SET moving_factor = 8 WHERE id = {S1}", TAKE),
    "it is somebody's": (f"UPDATE tokens SET user_id = 1 WHERE id = {S1}", TAKE),
    **{
        f"it is {state}": (f"UPDATE tokens SET state = '{state}' WHERE id = {S1}", TAKE)
        for state in ("assigned", "active", "disabled", "lost", "returned", "revoked")
    },
    "it has ended": (f"UPDATE tokens SET valid_until = {LATER} WHERE id = {S1}", TAKE),
    "it has no fingerprint": (f"UPDATE tokens SET fingerprint = NULL WHERE id = {S1}", TAKE),
    "the person is disabled": (f"UPDATE users SET enabled = false WHERE id = {BOB}", TAKE),
    "the person is locked": (f"UPDATE users SET locked_until = {LATER + 1} WHERE id = {BOB}", TAKE),
    "the person has a token": (f"UPDATE tokens SET state = 'active' WHERE id = {H2}", TAKE),
    "the person has one for long": (
        f"UPDATE tokens SET state = 'active', activate_by = {NOW} WHERE id = {H2}",
        TAKE,
    ),
    "the person has one handed out": (f"UPDATE tokens SET state = 'assigned' WHERE id = {H2}", TAKE),
    "theirs is switched off": (f"UPDATE tokens SET state = 'disabled' WHERE id = {H2}", TAKE),
    "theirs had that seed": (
        f"UPDATE tokens SET fingerprint = (SELECT fingerprint FROM tokens WHERE id = {S1}) WHERE id = {H2}",
        TAKE,
    ),
    "another's has that seed": (
        f"UPDATE tokens SET fingerprint = (SELECT fingerprint FROM tokens WHERE id = {S1}) WHERE id = {H1}",
        TAKE,
    ),
    "another's may have it": (f"UPDATE tokens SET fingerprint = NULL WHERE id = {H1}", TAKE),
    "that code of the sheet was used": (f"UPDATE tokens SET moving_factor = 4 WHERE id = {R1}", USE),
    "the sheet was revoked": (f"UPDATE tokens SET state = 'revoked' WHERE id = {R1}", USE),
    "the sheet has ended": (f"UPDATE tokens SET valid_until = {LATER} WHERE id = {R1}", USE),
    "the sheet is another's": (f"UPDATE tokens SET user_id = 2 WHERE id = {R1}", USE),
    "its owner is disabled": (f"UPDATE users SET enabled = false WHERE id = {ALICE}", USE),
    "its owner is locked": (f"UPDATE users SET locked_until = {LATER + 1} WHERE id = {ALICE}", USE),
    "the fob has ended": (f"UPDATE tokens SET valid_until = {LATER} WHERE id = {H1}", SPEND),
    "its first code comes too late": (
        f"UPDATE tokens SET state = 'assigned', activate_by = {LATER} WHERE id = {H1}",
        SPEND,
    ),
    "the leave has ended": (f"UPDATE users SET skip_until = {LATER} WHERE id = {ALICE}", SKIP),
    "who has leave is disabled": (f"UPDATE users SET enabled = false WHERE id = {ALICE}", SKIP),
    "who has leave is locked": (f"UPDATE users SET locked_until = {LATER + 1} WHERE id = {ALICE}", SKIP),
}


@pytest.mark.parametrize("negation", NEGATIONS.values(), ids=NEGATIONS.keys())
def test_each_guard_holds_alone(site: Site, stocked: Desk, negation: tuple[str, Effect]) -> None:
    """With this one thing changed since the look, nothing is written, not even in the audit."""
    plant, effect = negation
    site.sql(plant)
    before = [site.sql(f"SELECT * FROM {table}") for table in ("tokens", "users", "events")]
    assert stocked.commit(effect) is False
    assert [site.sql(f"SELECT * FROM {table}") for table in ("tokens", "users", "events")] == before


@pytest.mark.parametrize("effect", [TAKE, USE, SPEND, SKIP], ids=["take", "use", "spend", "skip"])
def test_with_nothing_changed_each_is_written(stocked: Desk, effect: Effect) -> None:
    """The guards above hold for the reason named."""
    assert stocked.commit(effect) is True
    assert stocked.commit(effect) is (effect is SKIP)


def test_two_codes_of_one_sheet_are_both_good(site: Site, stocked: Desk) -> None:
    """Each sets a bit of its own, whatever the other login has seen."""
    assert stocked.commit(USE) is True
    assert stocked.commit(UseSheet(R1, ALICE, 0, LATER)) is True
    assert site.sql("SELECT moving_factor FROM tokens WHERE id = ?", R1) == [(5,)]
    with pytest.raises(Exception, match="a code that was used stays used"):
        site.sql("UPDATE tokens SET moving_factor = 8 WHERE id = ?", R1)


def test_a_first_code_makes_a_token_active(site: Site, stocked: Desk) -> None:
    """Handed out before, in its owner's hands from then on."""
    site.sql("UPDATE tokens SET state = 'assigned', activate_by = ? WHERE id = ?", LATER + 1, H1)
    assert stocked.commit(SPEND) is True
    assert site.sql("SELECT state, moving_factor FROM tokens WHERE id = ?", H1) == [("active", 60)]


def test_what_was_taken_is_the_persons(site: Site, stocked: Desk) -> None:
    """Owner, state, moving factor and the moment are written with it; and the person counts as enrolled."""
    assert stocked.commit(TAKE) is True
    row = site.sql("SELECT user_id, state, moving_factor, last_used, handed_at, handed_by FROM tokens WHERE id = ?", S1)
    assert row == [(BOB, "active", 8, LATER, LATER, "")]
    assert site.sql("SELECT enrolled FROM users WHERE id = ?", BOB) == [(1,)]
