"""A clock that is set back half a minute, or forward an hour: no code counts again, and no lock ends before its time.

The clock on the daemon's wall is set by order (surroundings.c) while it works; the fobs' clocks and the test's go on.
RFC 6238 5.2 ("MUST NOT accept the second attempt of the OTP") knows no exception for clocks; RFC 5080 2.2.2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon, Person, Site
from tests.daemon.wire import CALLING_STATION_ID, request

from .crowd import Crowd
from .surroundings import Surroundings, surrounding

BACK: Final = -31.0
FORWARD: Final = 3600.0
LOCK: Final = 600.0
_THROTTLE: Final = "{max_failures: 3, first_lock: 10m, caller_max_failures: 3, caller_window: 10m}"


@dataclass(frozen=True)
class Strict:
    """A daemon that locks after three wrong codes, its clock, and people each of whom one test may lock out."""

    daemon: Daemon
    people: dict[str, Person]
    surroundings: Surroundings


@pytest.fixture(scope="module")
def one_strict(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Iterator[Strict]:
    """One for all tests that look at locks."""
    site = Site.make(tmp_path_factory.mktemp("strict") / "site", throttle=_THROTTLE)
    people = {name: site.person(name) for name in ("alice", "bob", "carol", "dave")}
    with surrounding(site.folder, library) as surroundings, site.serving(surroundings.environment) as daemon:
        yield Strict(daemon, people, surroundings)


@pytest.fixture
def strict(one_strict: Strict) -> Iterator[Strict]:
    """The same, its clock put right afterwards."""
    yield one_strict
    one_strict.surroundings.set_clock(0)


def _step() -> int:
    return int(time.time() // 30)


def test_no_step_counts_again_when_the_clock_goes_back(crowd: Crowd, surroundings: Surroundings) -> None:
    """The code that was used, and every one of an earlier step, is refused however far the clock is set back."""
    clock = crowd.members[-1].person
    with crowd.site.serving(surroundings.environment) as daemon, daemon.peer(CODE_ONLY) as peer:
        used = _step()
        assert peer.ask(clock.name, clock.code_at(used)).kind == "accept"
        for ahead in (BACK, 2 * BACK, -FORWARD):
            surroundings.set_clock(ahead)
            there = int((time.time() + ahead) // 30)
            for step in {used, used - 1, there - 1, there, there + 1} - {used + 1}:
                assert peer.ask(clock.name, clock.code_at(step)).kind == "reject"
        surroundings.set_clock(0)
        assert peer.ask(clock.name, clock.code_at(used + 1)).kind == "accept"


def test_an_hour_that_comes_and_goes_gives_nothing_back(crowd: Crowd, surroundings: Surroundings) -> None:
    """What was used an hour ahead stays used when the hour is over, and so does every step before it."""
    clock = crowd.members[-1].person
    with crowd.site.serving(surroundings.environment) as daemon, daemon.peer(CODE_ONLY) as peer:
        surroundings.set_clock(FORWARD)
        used = _step() + 120
        assert peer.ask(clock.name, clock.code_at(used)).kind == "accept"
        assert peer.ask(clock.name, clock.code_at(used)).kind == "reject"
        surroundings.set_clock(0)
        for step in (_step(), _step() + 1, used - 1, used):
            assert peer.ask(clock.name, clock.code_at(step)).kind == "reject"


def test_a_lock_ends_early_by_the_step_of_the_clock_and_no_more(strict: Strict) -> None:
    """Set back, the lock lasts the longer; set forward by less than its time it holds, by more it is over."""
    alice = strict.people["alice"]
    with strict.daemon.peer(CODE_ONLY) as peer:
        for code in alice.wrong_codes(3):
            assert peer.ask("alice", code).kind == "reject"
        for ahead in (BACK, -FORWARD, 31.0, LOCK - 30.0):
            strict.surroundings.set_clock(ahead)
            assert peer.ask("alice", alice.code_at(0)).kind == "reject"
        strict.surroundings.set_clock(LOCK + 1.0)
        assert peer.ask("alice", alice.code_at(0)).kind == "accept"


def test_a_waiting_caller_waits_as_long(strict: Strict) -> None:
    """The same for who has guessed at many names from one telephone."""
    bob, *others = [strict.people[name] for name in ("bob", "carol", "dave", "carol")]
    calling = ((CALLING_STATION_ID, b"+47 22 22 55 55"),)

    def asks(person: Person, code: str) -> str:
        return peer.exchange(request(SECRET, person.name, code.encode(), more=calling)).kind

    with strict.daemon.peer(CODE_ONLY) as peer:
        for person in others:
            assert asks(person, person.wrong_codes(1)[0]) == "reject"
        for ahead in (0.0, BACK, 31.0, LOCK - 30.0):
            strict.surroundings.set_clock(ahead)
            assert asks(bob, bob.code_at(0)) == "reject"
        strict.surroundings.set_clock(LOCK + 1.0)
        assert asks(bob, bob.code_at(0)) == "accept"


def test_a_question_is_too_old_an_hour_later(strict: Strict) -> None:
    """Its answer is refused and the code not spent; a clock that goes back only gives more time to answer."""
    carol = strict.people["carol"]
    with strict.daemon.peer(CHALLENGE) as peer:
        state = peer.ask("carol", PASSWORD).state
        strict.surroundings.set_clock(FORWARD)
        assert peer.ask("carol", carol.code_at(0), state).kind == "reject"
        state = peer.ask("carol", PASSWORD).state
        strict.surroundings.set_clock(FORWARD + BACK)
        assert peer.ask("carol", carol.code_at(0), state).kind == "accept"
        assert peer.ask("carol", carol.code_at(0), state).kind == "reject"


def test_a_retransmission_is_known_by_another_clock(strict: Strict) -> None:
    """The same packet gets the same octets again, whatever the clock on the wall says by then."""
    with strict.daemon.peer(CODE_ONLY) as peer:
        octets = request(SECRET, "dave", strict.people["dave"].code_at(0).encode())
        first = peer.exchange(octets)
        assert first.kind == "accept"
        for ahead in (BACK, FORWARD):
            strict.surroundings.set_clock(ahead)
            assert peer.exchange(octets).raw == first.raw


@pytest.mark.parametrize("jumps", [10, pytest.param(300, marks=pytest.mark.soak)])
def test_a_clock_that_jumps_under_load_gives_nothing_back(crowd: Crowd, surroundings: Surroundings, jumps: int) -> None:
    """People with a button log in whatever the time is said to be; nobody gets in with anything used, then or later."""
    with_a_button = [member for member in crowd.members if member.person.fob.kind == "hotp"]
    with crowd.site.serving(surroundings.environment) as daemon, crowd.facing(daemon):
        crowd.log_in(30)
        for _ in range(jumps):
            crowd.finish()
            crowd.forget_questions()  # an hour from now they will be too old
            jumps_to = [0, BACK, 2 * BACK, -FORWARD, FORWARD, crowd.chance.uniform(-90, 90)]
            surroundings.set_clock(crowd.chance.choice(jumps_to))
            crowd.press_on(8, with_a_button)
        crowd.finish()
        crowd.forget_questions()
        surroundings.set_clock(0)
        crowd.judge(everything=True)
