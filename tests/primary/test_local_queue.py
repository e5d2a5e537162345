"""Passwords of our own under a flood: who waits, who is given up, who is next, and that nobody learns from it.

The test's own pool computes a hash when the test says so, and its clock stands still until it is moved.
RFC 9106 (argon2) for the hashes, which are small here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from math import inf
from typing import Any, Final

import pytest

from radiusd2fa.core.model import PrimaryAnswer, User, Verdict
from radiusd2fa.primary import Question
from radiusd2fa.primary.local import LocalPasswords, hasher
from radiusd2fa.settings import LocalSettings

SETTINGS: Final = LocalSettings(memory_kib=64, passes=1, workers=2, queue=8)
PEOPLE: Final = {
    name: User(id=number, name=name, password_hash=hasher(SETTINGS).hash(b"hunter2"))
    for number, name in enumerate(("alice", "bob"), 1)
}


class Pool(Executor):
    """Hashes that have begun, each of which ends when the test says so."""

    def __init__(self) -> None:
        self.begun: deque[tuple[Future[Any], Callable[[], Any], User | None]] = deque()
        self.most = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:  # noqa: ANN401 - as in Executor
        work: Future[Any] = Future()
        self.begun.append((work, lambda: fn(*args), args[0]))
        self.most = max(self.most, len(self.begun))
        return work

    def end_one(self) -> None:
        """End the hash that began first; what waits for its place begins."""
        work, compute, _ = self.begun.popleft()
        work.set_result(compute())

    def end_all(self) -> None:
        while self.begun:
            self.end_one()

    def names(self) -> list[str | None]:
        return [None if user is None else user.name for _, _, user in self.begun]


class House:
    """The backend with the test's pool and clock, and every answer in the order in which it came."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pool = Pool()
        self.answers: list[tuple[str, Verdict]] = []
        self.backend = LocalPasswords(SETTINGS, lambda: self.now, self.pool)

    def ask(self, name: str, password: bytes = b"hunter2", client: str = "vpn", until: float = inf) -> None:
        question = Question(name, password, PEOPLE.get(name), client=client, until=until)

        def done(answer: PrimaryAnswer) -> None:
            self.answers.append((name, answer.verdict))

        self.backend.verify(question, done)

    def fill(self, name: str = "alice", client: str = "vpn") -> None:
        """Two hashes that have begun, and eight that wait."""
        for _ in range(10):
            self.ask(name, b"a guess", client)
        assert (len(self.pool.begun), self.answers) == (2, [])


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.pool.end_all()
    made.backend.close()


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_guesses_for_one_name_are_bounded(house: House, name: str) -> None:
    """Beyond two hashes and eight that wait the answer is UNAVAILABLE at once, for a name that exists as for none."""
    house.fill(name)
    for _ in range(100):
        house.ask(name, b"a guess")
    assert house.answers == [(name, Verdict.UNAVAILABLE)] * 100
    house.pool.end_all()
    assert house.answers[100:] == [(name, Verdict.REFUSED)] * 10
    assert house.pool.most == 2


@pytest.mark.parametrize("guessed", ["alice", "nobody"])
def test_guesses_for_one_name_keep_nobody_else_waiting(house: House, guessed: str) -> None:
    """With the queue full of one name somebody else is hashed next, whether or not that name exists."""
    house.fill(guessed)
    house.ask("bob")
    assert house.answers == [(guessed, Verdict.UNAVAILABLE)]
    for _ in range(4):
        house.pool.end_one()
    assert ("bob", Verdict.PASSED) in house.answers


def test_one_clients_flood_keeps_no_other_client_waiting(house: House) -> None:
    """The same person asks through another device, and is hashed next."""
    house.fill("alice", client="flood")
    house.ask("alice", client="vpn")
    for _ in range(4):
        house.pool.end_one()
    assert ("alice", Verdict.PASSED) in house.answers


def test_what_the_device_has_given_up_is_not_hashed(house: House) -> None:
    """A question that is past its time when a thread is free is UNAVAILABLE, and the thread takes the next."""
    for _ in range(2):
        house.ask("alice", b"a guess")
    house.ask("alice", until=3.0)
    house.ask("bob", until=6.0)
    house.now = 3.0
    house.pool.end_one()
    assert house.answers == [("alice", Verdict.REFUSED), ("alice", Verdict.UNAVAILABLE)]
    assert house.pool.names() == ["alice", "bob"]


def test_a_full_queue_lets_go_of_what_is_late(house: House) -> None:
    """Room that is held by questions past their time is room for somebody who still waits."""
    for _ in range(2):
        house.ask("alice", b"a guess")
    for number in range(8):
        house.ask(f"user{number}", until=3.0)
    house.now = 3.0
    house.ask("bob")
    assert sorted(house.answers) == [(f"user{number}", Verdict.UNAVAILABLE) for number in range(8)]
    house.pool.end_all()
    assert house.answers[-1] == ("bob", Verdict.PASSED)


def test_the_end_answers_everybody_once(house: House) -> None:
    """What waits is UNAVAILABLE at the end, what has begun is finished, and what comes later is UNAVAILABLE."""
    house.fill()
    house.backend.close()
    assert house.answers == [("alice", Verdict.UNAVAILABLE)] * 8
    house.pool.end_all()
    assert house.answers[8:] == [("alice", Verdict.REFUSED)] * 2
    house.ask("bob")
    assert house.answers[10:] == [("bob", Verdict.UNAVAILABLE)]
