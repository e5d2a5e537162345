"""The windows of a fob with a button: what is accepted, what only notes a candidate, what is refused.

Nothing is stored here; each case says where the token stands and what comes back.
RFC 4226 7.2 (look-ahead) and 7.4 (resynchronisation).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.core.answer import TypedCode
from radiusd2fa.core.finding import Beyond, Finding, Matched, NotFound, Used
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import HotpRules, Rules
from radiusd2fa.factors.hotp import code_maker, find, nearest
from tests.core.facts import NOW, SECRET

from .reference import code_of, code_of_nobody

EXPECTED: Final = 200
FOB: Final = Token(id=1, serial="H", kind="hotp", moving_factor=EXPECTED, secret=SECRET, digits=8)
"""Eight digits: no code of the tests' range is another's by chance."""

RULES: Final = Rules()


def judge(counter: int, token: Token = FOB, rules: Rules = RULES, now: float = NOW) -> Finding:
    """Hold the code of this counter against the token."""
    answer = TypedCode.read(code_of(SECRET, counter, token.digits))
    assert answer is not None
    return find(token, answer, now, rules)


def test_the_codes_of_these_tests_are_all_different() -> None:
    """No case below can pass because two counters happen to have one code."""
    assert len({code_of(SECRET, counter, 8) for counter in range(700)}) == 700


EDGES: Final[tuple[tuple[int, Finding], ...]] = (
    (-200, NotFound()),
    (-12, NotFound()),
    (-11, Used()),
    (-1, Used()),
    (0, Matched(at=200, to=201, drift=0)),
    (1, Matched(at=201, to=202, drift=0)),
    (10, Matched(at=210, to=211, drift=0)),
    (11, Beyond(211)),
    (100, Beyond(300)),
    (101, NotFound()),
    (400, NotFound()),
)


@pytest.mark.parametrize(("ahead", "finding"), EDGES)
def test_edges_of_the_windows(ahead: int, finding: Finding) -> None:
    """Ten ahead is in, eleven is a candidate, a hundred and one is nothing, and what is behind is used."""
    assert judge(EXPECTED + ahead) == finding


@pytest.mark.parametrize(("look_ahead", "resync_window"), [(0, 0), (0, 5), (1, 1), (50, 1000), (7, 7)])
def test_the_windows_are_as_wide_as_the_site_says(look_ahead: int, resync_window: int) -> None:
    """Each window ends exactly where the settings say; a resynchronisation window no wider than the other is none."""
    rules = Rules(hotp=HotpRules(look_ahead, resync_window))
    token = replace(FOB, digits=8)
    assert isinstance(judge(EXPECTED + look_ahead, token, rules), Matched)
    assert not isinstance(judge(EXPECTED + look_ahead + 1, token, rules), Matched)
    widest = max(look_ahead, resync_window)
    assert isinstance(judge(EXPECTED + widest + 1, token, rules), NotFound)
    if resync_window > look_ahead:
        assert judge(EXPECTED + resync_window, token, rules) == Beyond(EXPECTED + resync_window)


def test_a_new_token_looks_at_no_counter_before_zero() -> None:
    """A token that was never used has no used codes."""
    new = replace(FOB, moving_factor=0)
    assert judge(0, new) == Matched(at=0, to=1, drift=0)
    assert judge(300, new) == NotFound()
    assert judge(0, replace(FOB, moving_factor=1)) == Used()


WAITING: Final = replace(FOB, candidate=EXPECTED + 40, candidate_until=NOW + 300)
"""A token of which the code 40 ahead has been seen."""

AFTER_A_CANDIDATE: Final[tuple[tuple[int, Finding], ...]] = (
    (40, Beyond(240)),
    (41, Matched(at=241, to=242, drift=0, resynchronised=True)),
    (42, Beyond(242)),
    (39, Beyond(239)),
    (0, Matched(at=200, to=201, drift=0)),
    (-1, Used()),
)


@pytest.mark.parametrize(("ahead", "finding"), AFTER_A_CANDIDATE)
def test_only_the_direct_successor_of_a_candidate_resynchronises(ahead: int, finding: Finding) -> None:
    """Neither the candidate again, nor the one after next, nor the one before: the next code, or one in the window."""
    assert judge(EXPECTED + ahead, WAITING) == finding


@pytest.mark.parametrize(("late", "accepted"), [(-1.0, True), (-0.001, True), (0.0, False), (60.0, False)])
def test_a_candidate_waits_for_its_time_and_no_longer(late: float, accepted: bool) -> None:
    """At the very end of its life a candidate is worth nothing."""
    found = judge(EXPECTED + 41, WAITING, now=WAITING.candidate_until + late)
    assert isinstance(found, Matched) is accepted
    assert accepted or found == Beyond(EXPECTED + 41)


BEHIND: Final = ((0, NotFound()), (100, NotFound()), (EXPECTED - 3, Used()), (EXPECTED - 2, Used()))


@pytest.mark.parametrize(("candidate", "finding"), BEHIND)
def test_a_candidate_never_leads_backwards(candidate: int, finding: Finding) -> None:
    """A candidate that the token has passed meanwhile re-opens no used code."""
    assert judge(candidate + 1, replace(FOB, candidate=candidate, candidate_until=NOW + 300)) == finding


def test_a_candidate_at_the_edge_of_the_window_has_its_successor_outside() -> None:
    """The candidate a hundred ahead is completed by the code a hundred and one ahead, which alone is nothing."""
    at_the_edge = replace(FOB, candidate=EXPECTED + 100, candidate_until=NOW + 300)
    assert judge(EXPECTED + 101) == NotFound()
    assert judge(EXPECTED + 101, at_the_edge) == Matched(at=301, to=302, drift=0, resynchronised=True)


@given(
    expected=st.integers(0, 2**40),
    ahead=st.integers(-300, 300),
    candidate=st.none() | st.integers(-300, 300),
    digits=st.sampled_from((6, 7, 8)),
    algorithm=st.sampled_from(("sha1", "sha256", "sha512")),
)
@settings(deadline=None)
def test_never_backwards(expected: int, ahead: int, candidate: int | None, digits: int, algorithm: str) -> None:
    """Whatever is typed and whatever is waiting, what is accepted is a counter not yet used, and moves beyond it."""
    token = Token(
        id=1,
        serial="H",
        kind="hotp",
        moving_factor=expected,
        secret=SECRET,
        digits=digits,
        algorithm=algorithm,
        candidate=None if candidate is None else max(0, expected + candidate),
        candidate_until=NOW + 1,
    )
    counter = max(0, expected + ahead)
    answer = TypedCode.read(code_of(SECRET, counter, digits, algorithm))
    assert answer is not None
    found = find(token, answer, NOW, Rules())
    if isinstance(found, Matched):
        assert found.at >= expected
        assert found.to == found.at + 1
        assert answer.code == code_of(SECRET, found.at, digits, algorithm)
    elif isinstance(found, Beyond):
        assert found.moving_factor > expected + 10
    if expected <= counter <= expected + 10:
        assert isinstance(found, Matched)


@dataclass
class Counting:
    """An answer that counts what it is compared with."""

    code: bytes
    compared: list[bytes] = field(default_factory=list)

    def may_have(self, digits: int) -> bool:
        """Any length."""
        return True

    def equals(self, code: bytes) -> bool:
        """Compare, and remember."""
        self.compared.append(code)
        return code == self.code


def test_a_wrong_code_costs_the_same_however_wrong_it_is() -> None:
    """How many codes are compared does not tell a code from far away from one that never was, nor its length."""
    wrong = [Counting(code_of(SECRET, 600, 8)), Counting(code_of_nobody(SECRET, range(700), 8)), Counting(b"")]
    for answer in wrong:
        assert find(FOB, answer, NOW, Rules()) == NotFound()
        assert len(answer.compared) == 112  # the windows from 11 behind to 100 ahead
        assert len(set(answer.compared)) == 112


def test_the_first_of_two_equal_codes_counts() -> None:
    """When two counters of a window share a code, the lower is taken, so that no code in between is lost."""
    code = code_maker(SECRET, "sha1", 6)
    assert nearest(lambda _: b"123456", Counting(b"123456"), range(5, 9)) == 5
    assert nearest(code, Counting(code(3)), range(4, 9)) is None
    assert nearest(code, Counting(b"123456"), ()) is None
