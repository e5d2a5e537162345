"""The windows of a fob with a clock: steps, drift and what a clock set back cannot re-open.

Time is a number handed in; nothing waits. A TOTP token's moving factor is the last step that was used.
RFC 6238 4.2 (steps), 5.2 (once only) and 6 (drift).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.core.answer import TypedCode
from radiusd2fa.core.finding import Beyond, Finding, Matched, NotFound, Used
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import Rules, TotpRules
from radiusd2fa.factors.totp import find, step_at
from tests.core.facts import SECRET

from .reference import code_of

STEP: Final = 56_000_000
"""A step in 2023."""
NOW: Final = STEP * 30 + 11.5
FOB: Final = Token(id=1, serial="T", kind="totp", moving_factor=STEP - 500, secret=SECRET, digits=8)
DAY: Final = 86_400.0
RULES: Final = TotpRules()


def judge(step: int, token: Token = FOB, rules: TotpRules = RULES, now: float = NOW) -> Finding:
    """Hold the code of this step against the token."""
    answer = TypedCode.read(code_of(SECRET, step, token.digits))
    assert answer is not None
    return find(token, answer, now, Rules(totp=rules))


def test_the_codes_of_these_tests_are_all_different() -> None:
    """No case below can pass because two steps happen to have one code."""
    assert len({code_of(SECRET, STEP + offset, 8) for offset in range(-600, 300)}) == 900


EDGES: Final[tuple[tuple[int, Finding], ...]] = (
    (-21, NotFound()),
    (-20, Beyond(STEP - 20)),
    (-2, Beyond(STEP - 2)),
    (-1, Matched(at=STEP - 1, to=STEP - 1, drift=-1)),
    (0, Matched(at=STEP, to=STEP, drift=0)),
    (1, Matched(at=STEP + 1, to=STEP + 1, drift=1)),
    (2, Beyond(STEP + 2)),
    (20, Beyond(STEP + 20)),
    (21, NotFound()),
    (-500, NotFound()),
)


@pytest.mark.parametrize(("offset", "finding"), EDGES)
def test_edges_of_the_windows(offset: int, finding: Finding) -> None:
    """One step either side is in, two to twenty are candidates, twenty-one is nothing."""
    assert judge(STEP + offset) == finding


BOUNDARIES: Final = (
    (0.0, 0),
    (29.999, 0),
    (30.0, 1),
    (59.0, 1),
    (60.0, 2),
    (-0.001, -1),
)


@pytest.mark.parametrize(("seconds", "later"), BOUNDARIES)
def test_a_step_begins_at_its_first_second(seconds: float, later: int) -> None:
    """The step changes with the whole second that begins it, and not before."""
    assert step_at(STEP * 30 + seconds, 30) == STEP + later


@pytest.mark.parametrize("seconds", [0.0, 0.001, 14.9, 29.999])
def test_at_any_moment_of_a_step_the_same_three_codes_count(seconds: float) -> None:
    """The window moves with the steps, not with the seconds."""
    accepted = [o for o in range(-4, 5) if isinstance(judge(STEP + o, now=STEP * 30 + seconds), Matched)]
    assert accepted == [-1, 0, 1]


@pytest.mark.parametrize("length", [15, 30, 45, 60, 120])
def test_steps_of_other_lengths(length: int) -> None:
    """A token's own step length decides which step it is."""
    token = replace(FOB, step=length, moving_factor=0)
    here = int(NOW) // length
    assert judge(here, token) == Matched(at=here, to=here, drift=0)
    assert isinstance(judge(here + 2, token), Beyond)


def test_no_step_before_1970() -> None:
    """Around the beginning of time the window is cut off at the first step."""
    new = replace(FOB, moving_factor=0)
    assert judge(0, new, now=5.0) == Used()  # step 0 is what a token is born with
    assert judge(1, new, now=5.0) == Matched(at=1, to=1, drift=1)


# --- once only -------------------------------------------------------------------------------------------------------

ONCE: Final = ((-1, -1, Used()), (0, 0, Used()), (0, -1, Used()), (1, 1, Used()), (1, 0, Used()), (1, -1, Used()))


@pytest.mark.parametrize(("used", "offset", "finding"), ONCE)
def test_a_step_that_was_used_and_those_before_it_are_closed(used: int, offset: int, finding: Finding) -> None:
    """After a code, neither it nor an older one of the window is accepted."""
    assert judge(STEP + offset, replace(FOB, moving_factor=STEP + used)) == finding


def test_the_step_after_the_one_used_is_open() -> None:
    """A person can log in again with the next code."""
    assert judge(STEP + 1, replace(FOB, moving_factor=STEP)) == Matched(at=STEP + 1, to=STEP + 1, drift=1)
    assert judge(STEP, replace(FOB, moving_factor=STEP - 1)) == Matched(at=STEP, to=STEP, drift=0)


@pytest.mark.parametrize("back", [30.0, 600.0, DAY, 40 * 365 * DAY])
def test_a_clock_set_back_reopens_nothing(back: float) -> None:
    """However far our clock steps back, every step up to the last used one stays closed."""
    used = replace(FOB, moving_factor=STEP)
    then = NOW - back
    for offset in range(-25, 26):
        found = judge(max(0, step_at(then, 30) + offset), used, now=then)
        assert not isinstance(found, Matched) or found.at > STEP
    assert not isinstance(judge(STEP, used, now=then), Matched | Beyond)


# --- drift -----------------------------------------------------------------------------------------------------------


def test_drift_is_learned_and_moves_the_window() -> None:
    """A fob found one step ahead is expected there next time: its window goes with it."""
    ahead = replace(FOB, drift=5)
    accepted = [o for o in range(-10, 11) if isinstance(judge(STEP + o, ahead), Matched)]
    assert accepted == [4, 5, 6]
    assert judge(STEP + 6, ahead) == Matched(at=STEP + 6, to=STEP + 6, drift=6)
    assert judge(STEP + 4, ahead) == Matched(at=STEP + 4, to=STEP + 4, drift=4)


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_learned_drift_stays_within_its_bound(direction: int) -> None:
    """At the bound a fob still gets in, but the drift is not led further."""
    rules = TotpRules(max_drift=4)
    token = replace(FOB, drift=4 * direction)
    found = judge(STEP + 5 * direction, token, rules)
    assert found == Matched(at=STEP + 5 * direction, to=STEP + 5 * direction, drift=4 * direction)


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_fob_that_is_led_on_for_ever_ends_at_the_bound(direction: int) -> None:
    """A hundred logins, each at the far edge of the window, move the window by no more than the bound."""
    rules, token = TotpRules(max_drift=7), FOB
    for login in range(1, 101):
        now = NOW + login * 3000
        step = step_at(now, 30) + token.drift + direction
        found = judge(step, token, rules, now)
        assert isinstance(found, Matched)
        assert abs(found.drift) <= 7
        token = replace(token, moving_factor=found.to, drift=found.drift)
    assert token.drift == 7 * direction


def test_resynchronisation_reaches_no_further_than_the_drift_may() -> None:
    """A candidate that could never be learned is none."""
    assert judge(STEP + 5, rules=TotpRules(resync_steps=20, max_drift=5)) == Beyond(STEP + 5)
    assert judge(STEP + 6, rules=TotpRules(resync_steps=20, max_drift=5)) == NotFound()
    assert judge(STEP + 2, rules=TotpRules(resync_steps=0)) == NotFound()


# --- candidates ------------------------------------------------------------------------------------------------------

WAITING: Final = replace(FOB, candidate=STEP + 12, candidate_until=NOW + 300)
AFTER_A_CANDIDATE: Final[tuple[tuple[int, Finding], ...]] = (
    (12, Beyond(STEP + 12)),
    (13, Matched(at=STEP + 13, to=STEP + 13, drift=13, resynchronised=True)),
    (14, Beyond(STEP + 14)),
    (11, Beyond(STEP + 11)),
    (0, Matched(at=STEP, to=STEP, drift=0)),
)


@pytest.mark.parametrize(("offset", "finding"), AFTER_A_CANDIDATE)
def test_only_the_direct_successor_of_a_candidate_resynchronises(offset: int, finding: Finding) -> None:
    """The next code of the fob, and no other one outside the window, brings it back, with its drift."""
    assert judge(STEP + offset, WAITING) == finding


@pytest.mark.parametrize(("late", "accepted"), [(-0.001, True), (0.0, False), (1.0, False)])
def test_a_candidate_waits_for_its_time_and_no_longer(late: float, accepted: bool) -> None:
    """At the very end of its life a candidate is worth nothing."""
    until = NOW + 5
    found = judge(STEP + 13, replace(WAITING, candidate_until=until), now=until + late)
    assert isinstance(found, Matched) is accepted


@pytest.mark.parametrize("behind", [-1, -2, -15])
def test_a_candidate_never_leads_backwards(behind: int) -> None:
    """The successor of a candidate that is not newer than the last used step is refused."""
    used = STEP + 13
    token = replace(FOB, moving_factor=used, candidate=used + behind, candidate_until=NOW + 300)
    assert not isinstance(judge(used + behind + 1, token), Matched | Beyond)


def test_a_slow_fob_comes_back_too() -> None:
    """A fob whose clock is behind is found and learned, as long as its step was never used."""
    slow = replace(FOB, candidate=STEP - 12, candidate_until=NOW + 300)
    assert judge(STEP - 11, slow) == Matched(at=STEP - 11, to=STEP - 11, drift=-11, resynchronised=True)


# --- widening --------------------------------------------------------------------------------------------------------

WIDENING: Final = TotpRules(widen_every=30 * DAY, widen_at_most=2)
IDLE: Final = (
    (None, 1),
    (0.0, 1),
    (30 * DAY - 1, 1),
    (30 * DAY, 2),
    (60 * DAY - 1, 2),
    (60 * DAY, 3),
    (9999 * DAY, 3),
    (-5.0, 1),
)


@pytest.mark.parametrize(("idle", "either_side"), IDLE)
def test_the_window_widens_with_idle_time(idle: float | None, either_side: int) -> None:
    """One step more for each idle period, up to the bound; never for a token without use or used in the future."""
    token = replace(FOB, last_used=None if idle is None else NOW - idle)
    accepted = [o for o in range(-8, 9) if isinstance(judge(STEP + o, token, WIDENING), Matched)]
    assert accepted == list(range(-either_side, either_side + 1))


def test_without_the_option_nothing_widens() -> None:
    """A token that lay in a drawer for years has the usual window, unless the site says otherwise."""
    token = replace(FOB, last_used=NOW - 3000 * DAY)
    accepted = [o for o in range(-8, 9) if isinstance(judge(STEP + o, token), Matched)]
    assert accepted == [-1, 0, 1]


@given(
    used=st.integers(-40, 40),
    offset=st.integers(-45, 45),
    drift=st.integers(-100, 100),
    candidate=st.none() | st.integers(-45, 45),
    idle=st.none() | st.floats(-DAY, 400 * DAY),
    digits=st.sampled_from((6, 7, 8)),
)
@settings(deadline=None)
def test_never_backwards(
    used: int, offset: int, drift: int, candidate: int | None, idle: float | None, digits: int
) -> None:
    """Whatever is typed and waiting, an accepted step is newer than the last used one, and the drift is bounded."""
    token = Token(
        id=1,
        serial="T",
        kind="totp",
        moving_factor=STEP + used,
        secret=SECRET,
        digits=digits,
        drift=drift,
        last_used=None if idle is None else NOW - idle,
        candidate=None if candidate is None else STEP + candidate,
        candidate_until=NOW + 1,
    )
    found = judge(STEP + offset, token, WIDENING)
    if isinstance(found, Matched):
        assert found.to == found.at > token.moving_factor
        assert abs(found.drift) <= WIDENING.max_drift
    elif isinstance(found, Beyond):
        assert found.moving_factor > token.moving_factor
