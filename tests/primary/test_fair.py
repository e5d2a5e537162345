"""The queue that nobody can fill for others: first what it refuses and gives up, then whose turn it is.

Time is a number handed in; nothing here waits. No RFC speaks of this.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.fair_queue import FairQueue

FOR_EVER: Final = 1e9


class Desk:
    """A queue, and what it has given up."""

    def __init__(self, room: int = 8) -> None:
        self.given_up: list[str] = []
        self.queue: FairQueue[str] = FairQueue(room, self.given_up.append)

    def put(self, client: str, person: str, item: str, until: float = FOR_EVER, now: float = 0.0) -> bool:
        return self.queue.put(client, person, item, until, now)

    def take_all(self, now: float = 0.0) -> list[str]:
        taken = []
        while (item := self.queue.take(now)) is not None:
            taken.append(item)
        return taken


def test_one_more_for_the_same_person_is_refused() -> None:
    """Whoever fills the queue has nobody to blame: one more of the same person finds no room, and nothing is lost."""
    desk = Desk()
    assert [desk.put("vpn", "alice", str(number)) for number in range(10)] == [True] * 8 + [False] * 2
    assert desk.given_up == []
    assert desk.take_all() == [str(number) for number in range(8)]


def test_one_more_of_equals_is_refused() -> None:
    """Where everybody has one, the next one waits for nobody else's place."""
    desk = Desk()
    assert all(desk.put("vpn", f"user{number}", str(number)) for number in range(8))
    assert not desk.put("vpn", "another", "8")
    assert desk.given_up == []


def test_one_more_client_among_equals_is_refused() -> None:
    """A client's only question is not given up for another client's first."""
    desk = Desk()
    assert all(desk.put(f"client{number}", "alice", str(number)) for number in range(8))
    assert not desk.put("another", "alice", "8")
    assert desk.given_up == []


def test_what_nobody_waits_for_is_given_up_first() -> None:
    """A full queue lets go of what is past its time before it takes anybody's place."""
    desk = Desk()
    for number in range(8):
        desk.put("vpn", f"user{number}", str(number), until=1.0 if number in {2, 5} else 9.0)
    assert desk.put("vpn", "another", "new", until=9.0, now=2.0)
    assert sorted(desk.given_up) == ["2", "5"]
    assert sorted(desk.take_all(2.0)) == ["0", "1", "3", "4", "6", "7", "new"]


def test_what_is_late_is_not_begun() -> None:
    """A thread is not given to a question whose answer would come too late."""
    desk = Desk()
    desk.put("vpn", "alice", "late", until=1.0)
    desk.put("vpn", "bob", "in time", until=2.0)
    assert desk.take_all(1.0) == ["in time"]
    assert desk.given_up == ["late"]


def test_a_flood_for_one_person_keeps_nobody_waiting() -> None:
    """With the queue full of one name, another person of the same client gets in, and is next."""
    desk = Desk()
    for number in range(20):
        desk.put("vpn", "alice", f"guess {number}")
    assert desk.put("vpn", "bob", "bob")
    assert desk.given_up == ["guess 0"]
    assert "bob" in [desk.queue.take(0.0), desk.queue.take(0.0)]


def test_a_flood_from_one_client_keeps_no_other_waiting() -> None:
    """With the queue full of one client's people, another client's gets in, and is next."""
    desk = Desk()
    for number in range(20):
        desk.put("flood", f"user{number}", f"guess {number}")
    assert desk.put("vpn", "bob", "bob")
    assert len(desk.given_up) == 1
    assert "bob" in [desk.queue.take(0.0), desk.queue.take(0.0)]


def test_clients_and_people_take_turns() -> None:
    """One of each client, and within a client one of each person, whoever came first with however many."""
    desk = Desk(100)
    for number in range(4):
        desk.put("a", "alice", f"a alice {number}")
    desk.put("a", "amy", "a amy")
    for number in range(2):
        desk.put("b", "bob", f"b bob {number}")
    assert desk.take_all() == [
        *("a alice 0", "b bob 0", "a amy", "b bob 1"),
        *("a alice 1", "a alice 2", "a alice 3"),
    ]


def test_emptied_is_empty() -> None:
    """At the end everything that waits is given up, once."""
    desk = Desk()
    for number in range(8):
        desk.put(f"client{number % 3}", f"user{number % 2}", str(number))
    desk.queue.empty()
    assert Counter(desk.given_up) == Counter(map(str, range(8)))
    assert len(desk.queue) == 0
    assert desk.take_all() == []


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 5), st.booleans()), max_size=200)
)
def test_everything_comes_out_once(steps: list[tuple[str, str, int, bool]]) -> None:
    """Whatever comes and goes, the queue stays within its room, and each item is taken, given up or refused once."""
    desk = Desk(6)
    taken: list[str] = []
    refused: list[str] = []
    for now, (client, person, wait, takes) in enumerate(steps):
        if takes and (item := desk.queue.take(now)) is not None:
            taken.append(item)
        if not desk.put(client, person, str(now), until=now + wait, now=now):
            refused.append(str(now))
        assert len(desk.queue) <= 6
    taken += desk.take_all(0.0)
    assert Counter(taken) + Counter(desk.given_up) + Counter(refused) == Counter(map(str, range(len(steps))))
