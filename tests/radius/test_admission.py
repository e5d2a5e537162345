"""Which packets are judged when more come than can be: what is refused, what is let go, and who is served when.

Time is a number handed in; nothing here waits. RFC 5080 2.2.1.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.radius.admission import Line, Rate, TurnedAway

FOR_EVER: Final = 1e9


class Gone:
    """What was put in and never comes out."""

    def __init__(self) -> None:
        self.packets: list[tuple[str, TurnedAway]] = []

    def __call__(self, packet: str, reason: TurnedAway) -> None:
        self.packets.append((packet, reason))


# --- rates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 100, 10_000])
def test_one_more_than_the_rate_is_too_many(most: int) -> None:
    """After a pause a client may send as many packets at once as in a second, and not one more."""
    rate = Rate(most)
    assert [rate.allows(50.0) for _ in range(most + 3)] == [True] * most + [False] * 3


@pytest.mark.parametrize("most", [1, 7, 100])
def test_a_flood_gets_its_rate_and_no_more(most: int) -> None:
    """Ten seconds of a hundred times as much let in ten seconds' worth, and the one burst before."""
    rate = Rate(most)
    let_in = sum(rate.allows(5.0 + number / (100 * most)) for number in range(1000 * most))
    assert 10 * most <= let_in <= 11 * most


def test_a_second_of_quiet_is_enough() -> None:
    """Whoever was refused is let in again as if nothing had been: refused packets are not held against anybody."""
    rate = Rate(10)
    for number in range(1000):
        rate.allows(number / 1000)
    assert [rate.allows(2.0) for _ in range(11)] == [True] * 10 + [False]


def test_no_limit_is_no_limit() -> None:
    """A rate of 0 lets everything in."""
    rate = Rate(0)
    assert all(rate.allows(1.0) for _ in range(10_000))


@given(st.integers(1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=300))
def test_no_second_has_more_than_twice_the_rate(most: int, times: list[float]) -> None:
    """However packets are spread, what is let in within any second is a burst and a second's worth at most."""
    rate = Rate(most)
    let_in = [now for now in sorted(times) if rate.allows(now)]
    for begin in let_in:
        assert sum(begin <= now < begin + 1 for now in let_in) <= 2 * most + 1


# --- what is let go --------------------------------------------------------------------------------------------------


def test_what_the_client_has_given_up_is_not_judged() -> None:
    """A packet past its time is let go as too late, and takes nobody's turn."""
    gone = Gone()
    line = Line(gone)
    line.put("a", "old", 3.0, 0.0)
    line.put("a", "new", 5.0, 2.0)
    assert line.take(2, 3.0) == ["new"]
    assert gone.packets == [("old", TurnedAway.TOO_LATE)]
    assert len(line) == 0


def test_without_room_the_late_ones_go_first() -> None:
    """When the line is full, what is past its time goes before anything that still has some."""
    gone = Gone()
    line = Line(gone, 64)
    for number in range(40):
        line.put("a", f"late {number}", 1.0, 0.0)
    for number in range(24):
        line.put("a", f"in time {number}", 9.0, 0.0)
    line.put("a", "last", 9.0, 5.0)
    assert gone.packets == [(f"late {number}", TurnedAway.TOO_LATE) for number in range(40)]
    assert len(line) == 25


def test_without_room_the_fullest_lane_loses_its_oldest() -> None:
    """One client's flood costs the flood's oldest packets, and none of another client's."""
    gone = Gone()
    line = Line(gone, 64)
    for number in range(8):
        line.put("quiet", f"quiet {number}", FOR_EVER, 0.0)
    for number in range(1000):
        line.put("flood", f"flood {number}", FOR_EVER, 0.0)
    assert {reason for _, reason in gone.packets} == {TurnedAway.NO_ROOM}
    assert all(packet.startswith("flood") for packet, _ in gone.packets)
    left = line.take(1000, 1.0)
    assert sorted(packet for packet in left if packet.startswith("quiet")) == [f"quiet {n}" for n in range(8)]
    assert "flood 999" in left


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans(), st.integers(0, 3)), max_size=600))
def test_the_line_never_holds_more_than_it_may(steps: list[tuple[str, bool, int]]) -> None:
    """Whatever comes and goes, memory is bounded, and each packet comes out or is let go exactly once."""
    gone = Gone()
    line = Line(gone, 64)
    taken: list[str] = []
    put = 0
    for now, (lane, takes, wait) in enumerate(steps):
        if takes:
            taken += line.take(5, now)
        for _ in range(10):
            line.put(lane, str(put), now + wait, now)
            put += 1
        assert len(line) <= 64
    taken += line.take(64, 0.0)
    assert Counter(taken) + Counter(packet for packet, _ in gone.packets) == Counter(map(str, range(put)))


def test_a_line_without_room_is_refused() -> None:
    """A bound so small that every client would lose its packets is a mistake."""
    with pytest.raises(ValueError, match="64"):
        Line(Gone(), 63)


# --- turns -----------------------------------------------------------------------------------------------------------


def test_every_client_has_its_share_of_a_batch() -> None:
    """A client with one packet does not wait for a thousand of another: the lanes are served in turn."""
    line = Line(Gone())
    for number in range(1000):
        line.put("flood", f"flood {number}", FOR_EVER, 0.0)
    for name in ("a", "b", "c"):
        for number in range(5):
            line.put(name, f"{name} {number}", FOR_EVER, 0.0)
    batch = line.take(20, 1.0)
    assert Counter(packet.split()[0] for packet in batch) == {"flood": 5, "a": 5, "b": 5, "c": 5}


def test_what_can_be_done_at_once_is_done_in_order() -> None:
    """As long as nothing waits for a second batch, packets are judged in the order in which they came."""
    line = Line(Gone())
    for number in range(20):
        line.put("a", str(number), FOR_EVER, 0.0)
    assert line.take(20, 1.0) == [str(number) for number in range(20)]


def test_in_a_flood_the_newest_is_first() -> None:
    """When not all can be served in time, those are whose client will wait longest; the rest get what time is left."""
    line = Line(Gone())
    for number in range(20):
        line.put("a", str(number), FOR_EVER, 0.0)
    assert line.take(5, 1.0) == ["19", "18", "17", "16", "15"]
    assert line.take(15, 1.0) == [str(number) for number in range(15)]
