"""One code or one State in fifty packets at the same moment: one of them lets the person in.

The daemon is stopped while half of the bursts are sent, so that it finds all packets at once and has looked at every
one before the first is written; the other bursts reach it running, so that packets also meet what was just written.
RFC 4226 7.2, RFC 6238 5.2 ("MUST NOT accept the second attempt of the OTP"), RFC 5080 2.2.2 (none is a duplicate here).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from tests.daemon.site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon, Person, Site
from tests.daemon.wire import Peer, Reply, gather, request

CROWD: Final = 50
ROUNDS: Final = 6
"""Even ones find the daemon stopped, odd ones running."""

Question = tuple[Peer, str, str, bytes | None]
"""Who asks, for whom, with which code, in answer to which State."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site in which a thousand wrong codes lock nobody: what is tested is the code, not the lock."""
    return Site.make(tmp_path_factory.mktemp("race"), throttle="{max_failures: 1000, caller_max_failures: 1000000}")


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """One daemon for all of them."""
    with site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def alice(site: Site) -> Person:
    """Somebody with a fob with a button."""
    return site.person("alice")


@contextlib.contextmanager
def _crowd(daemon: Daemon, source: str, size: int = CROWD) -> Iterator[list[Peer]]:
    """Many ports of one NAS."""
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(daemon.peer(source)) for _ in range(size)]


def _at_once(daemon: Daemon, questions: Sequence[Question], *, stopped: bool) -> list[Reply]:
    """Send everything, then read everything; ``stopped`` lets the daemon find it in one go."""
    asked = [(peer, request(SECRET, name, code.encode(), state)) for peer, name, code, state in questions]
    if stopped:
        daemon.pause()
    for peer, octets in asked:
        peer.send(octets)
    if stopped:
        daemon.resume()
    return gather(asked)


def _kinds(replies: Sequence[Reply]) -> Counter[str]:
    return Counter(reply.kind for reply in replies)


def _states(daemon: Daemon, crowd: Sequence[Peer], person: Person) -> list[bytes]:
    """Open one challenge for each peer, by the password."""
    return [
        reply.state
        for reply in _at_once(daemon, [(peer, person.name, PASSWORD, None) for peer in crowd], stopped=False)
    ]


def test_one_hotp_code_lets_in_once(daemon: Daemon, alice: Person) -> None:
    """Of fifty packets with the same HOTP code exactly one is accepted, in each of several rounds."""
    with _crowd(daemon, CODE_ONLY) as crowd:
        for number in range(ROUNDS):
            code = alice.press()
            kinds = _kinds(_at_once(daemon, [(peer, "alice", code, None) for peer in crowd], stopped=number % 2 == 0))
            assert kinds == {"accept": 1, "reject": CROWD - 1}


def test_one_totp_code_lets_in_once(site: Site, daemon: Daemon) -> None:
    """Of fifty packets with the same TOTP code exactly one is accepted, for each of several fobs."""
    people = [site.person(f"clock{number}", "totp", password=None) for number in range(ROUNDS)]
    with _crowd(daemon, CODE_ONLY) as crowd:
        for number, person in enumerate(people):
            code = person.press()
            questions: list[Question] = [(peer, person.name, code, None) for peer in crowd]
            assert _kinds(_at_once(daemon, questions, stopped=number % 2 == 0)) == {"accept": 1, "reject": CROWD - 1}


def test_one_state_and_one_code_let_in_once(daemon: Daemon, alice: Person) -> None:
    """Of fifty answers to one challenge with the right code exactly one is accepted, in each of several rounds."""
    with _crowd(daemon, CHALLENGE) as crowd:
        for number in range(ROUNDS):
            state = crowd[0].ask("alice", PASSWORD).state
            code = alice.press()
            kinds = _kinds(_at_once(daemon, [(peer, "alice", code, state) for peer in crowd], stopped=number % 2 == 0))
            assert kinds == {"accept": 1, "reject": CROWD - 1}


def test_one_state_lets_in_once_with_ten_right_codes(site: Site, daemon: Daemon, alice: Person) -> None:
    """A challenge is answered once: ten right codes in fifty answers are one login, and only its code is spent."""
    with _crowd(daemon, CHALLENGE) as crowd:
        for number in range(ROUNDS):
            state = crowd[0].ask("alice", PASSWORD).state
            expected = site.token(alice.fob.serial)["moving_factor"]
            codes = [alice.code_at(expected + ahead) for ahead in range(10)]
            questions: list[Question] = [(peer, "alice", codes[at % 10], state) for at, peer in enumerate(crowd)]
            replies = _at_once(daemon, questions, stopped=number % 2 == 0)
            assert _kinds(replies) == {"accept": 1, "reject": CROWD - 1}
            (winner,) = (at for at, reply in enumerate(replies) if reply.kind == "accept")
            alice.fob.counter = site.token(alice.fob.serial)["moving_factor"]
            assert alice.fob.counter == expected + winner % 10 + 1


def test_fifty_challenges_and_one_code_let_in_once(daemon: Daemon, alice: Person) -> None:
    """Fifty logins that have all been asked for the code share one code: exactly one of them gets in."""
    with _crowd(daemon, CHALLENGE) as crowd:
        for number in range(ROUNDS):
            states = _states(daemon, crowd, alice)
            code = alice.press()
            questions: list[Question] = [
                (peer, "alice", code, state) for peer, state in zip(crowd, states, strict=True)
            ]
            kinds = _kinds(_at_once(daemon, questions, stopped=number % 2 == 0))
            assert kinds["accept"] == 1
            assert kinds.total() == CROWD


def test_two_ways_and_one_code_let_in_once(daemon: Daemon, alice: Person) -> None:
    """A code that comes through two clients with different flows at the same moment is accepted by one of them."""
    with _crowd(daemon, CODE_ONLY, 25) as direct, _crowd(daemon, CHALLENGE, 25) as asked:
        for number in range(ROUNDS):
            states = _states(daemon, asked, alice)
            code = alice.press()
            questions: list[Question] = [(peer, "alice", code, None) for peer in direct]
            questions += [(peer, "alice", code, state) for peer, state in zip(asked, states, strict=True)]
            assert _kinds(_at_once(daemon, questions[::-1], stopped=number % 2 == 0))["accept"] == 1


def test_two_daemons_and_one_code_let_in_once(site: Site, daemon: Daemon, alice: Person) -> None:
    """Two daemons on one database accept a code once between them: the database decides, not a process."""
    with site.serving() as second, _crowd(daemon, CODE_ONLY, 25) as here, _crowd(second, CODE_ONLY, 25) as there:
        for _ in range(ROUNDS):
            code = alice.press()
            asked = [(peer, request(SECRET, "alice", code.encode())) for peer in (*here, *there)]
            daemon.pause()
            second.pause()
            for peer, octets in asked:
                peer.send(octets)
            daemon.resume()
            second.resume()
            assert _kinds(gather(asked)) == {"accept": 1, "reject": CROWD - 1}


# --- guessing --------------------------------------------------------------------------------------------------------

MAX_FAILURES: Final = 5
GUESSES: Final = 200


@pytest.fixture(scope="module")
def strict_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site that locks after five wrong codes."""
    throttle = f"{{max_failures: {MAX_FAILURES}, first_lock: 1h, caller_max_failures: 1000000}}"
    return Site.make(tmp_path_factory.mktemp("guess"), throttle=throttle)


@pytest.fixture(scope="module")
def strict_daemon(strict_site: Site) -> Iterator[Daemon]:
    """Its daemon."""
    with strict_site.serving() as daemon:
        yield daemon


@pytest.mark.parametrize("stopped", [True, False], ids=["at once", "in a row"])
@pytest.mark.parametrize("flow", [CODE_ONLY, CHALLENGE], ids=["code-only", "challenge"])
def test_a_burst_of_guesses_meets_the_lock(
    strict_site: Site, strict_daemon: Daemon, flow: str, *, stopped: bool
) -> None:
    """Of two hundred guesses five count before the lock; the right code among them, sent after those, never gets in."""
    person = strict_site.person(f"guessed{flow[-1]}{stopped:d}")
    crowd_size = GUESSES if flow == CODE_ONLY else CROWD  # as many passwords may wait for their hash
    guesses = person.wrong_codes(crowd_size)
    guesses[crowd_size // 2] = right = person.press()
    with _crowd(strict_daemon, flow, crowd_size) as crowd:
        states = [None] * crowd_size if flow == CODE_ONLY else _states(strict_daemon, crowd, person)
        questions = [(peer, person.name, code, state) for peer, code, state in zip(crowd, guesses, states, strict=True)]
        replies = _at_once(strict_daemon, questions, stopped=stopped)
        assert "accept" not in _kinds(replies)
        facts = strict_site.facts(person.name)
        assert facts["failures"] == MAX_FAILURES
        assert facts["locked"]
        again = crowd[0].ask(person.name, PASSWORD).state if flow == CHALLENGE else None
        assert crowd[0].ask(person.name, right, again).kind != "accept"
        # nothing was spent by all this: after the lock the code is as good as it was
        strict_site.cli("user", "unlock", person.name)
        again = crowd[0].ask(person.name, PASSWORD).state if flow == CHALLENGE else None
        assert crowd[0].ask(person.name, right, again).kind == "accept"
