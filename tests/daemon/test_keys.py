"""Security keys and a real daemon: one signature in fifty packets, a kill between touch and Enter, a dead station.

What a key has signed is made here by an emulated key and put together a second time; the station's side is the store's
own waiting room. WebAuthn 7.2; RFC 5080 2.2.2 (none of the packets here is a duplicate).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import Token
from radiusd2fa.emulators.softkey import Misbehaviour, SoftKey
from radiusd2fa.emulators.softkey.pty import PtyKey
from radiusd2fa.primary.local import hasher
from radiusd2fa.settings import LocalSettings
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.keyring import Keyring
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.waiting import Waiting, WaitingRoom
from tests.conversations.keychain import Key, asked_in, make_key, response, station_answer
from tests.factors import keys as bare

from .site import CHALLENGE, PASSWORD, SECRET, Daemon, Site
from .wire import PATIENCE, Peer, Reply, gather, request

CROWD: Final = 50
ROUNDS: Final = 5
KILLS: Final = 3
PENDING: Final = 200
MOST_GROWTH: Final = 20_000_000
"""Octets that two hundred pending ceremonies may cost."""
DESK: Final = "lobby-1"
CLIENTS: Final = frozenset({"ask"})


def _site(folder: Path, usb: str = "/dev/no-key") -> Site:
    """A site whose people may paste, or touch their keys at a station."""
    return Site.make(
        folder,
        fido=f"{{rp_id: {bare.RP_ID}}}",
        stations=f"{{{DESK}: {{clients: [ask], usb: {usb}}}}}",
        rules="[{name: all, factors: [fido, hotp], ceremonies: [ssh, paste, station]}]",
        throttle="{max_failures: 1000, caller_max_failures: 1000000}",
    )


def _give(site: Site, user: str, serial: str, **words: str) -> Key:
    """Give somebody an emulated key."""
    key = make_key(serial, user, words)
    token = Token(0, serial, "fido", key.counter, bytes(key.credential), digits=0)
    with Keyring(SqliteFile(site.database), vault.load(site.folder / "vault.key"), "root") as keyring:
        keyring.add(user, token, "", time.time())
    return key


def _responded(key: Key, question: Reply, **words: str) -> bytes:
    asked = asked_in(question.prompt)
    assert asked is not None
    return response(key, asked, key.owner, "", words)


def _waiting(site: Site) -> list[Waiting]:
    with WaitingRoom(SqliteFile(site.database)) as room:
        return room.waiting(CLIENTS, time.time())


def _touched(site: Site, key: Key) -> tuple[bytes, str]:
    """Let the key sign for its owner's login, which waits; what is to be brought in."""
    (one,) = (one for one in _waiting(site) if one.user == key.owner)
    return one.nonce, station_answer(key, one.nonce, one.user, one.nas, DESK, {}, verify=False)


def _brought(site: Site, nonce: bytes, answer: str) -> bool:
    with WaitingRoom(SqliteFile(site.database)) as room:
        return room.bring(nonce, answer, time.time())


def _kinds(replies: Sequence[Reply]) -> Counter[str]:
    return Counter(reply.kind for reply in replies)


@contextlib.contextmanager
def _crowd(daemon: Daemon, size: int = CROWD) -> Iterator[list[Peer]]:
    """Many ports of one NAS."""
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(daemon.peer(CHALLENGE)) for _ in range(size)]


def _at_once(daemons: Sequence[Daemon], asked: Sequence[tuple[Peer, bytes]], *, stopped: bool) -> list[Reply]:
    """Send everything, then read everything; ``stopped`` lets the daemons find it in one go."""
    for daemon in daemons if stopped else ():
        daemon.pause()
    for peer, octets in asked:
        peer.send(octets)
    for daemon in daemons if stopped else ():
        daemon.resume()
    return gather(asked)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site for all races."""
    return _site(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """One daemon for all races."""
    with site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def counting(site: Site) -> Key:
    """A key that counts."""
    site.person("alice")
    return _give(site, "alice", "K1")


@pytest.fixture(scope="module")
def silent(site: Site) -> Key:
    """A key that never counts: only the challenge keeps its answers from being used twice."""
    site.person("bob")
    return _give(site, "bob", "K2", uncounted="")


@pytest.fixture(params=["counting", "silent"])
def key(request: pytest.FixtureRequest) -> Key:
    """Each of them."""
    found: Key = request.getfixturevalue(request.param)
    return found


# --- races -----------------------------------------------------------------------------------------------------------


def test_one_response_lets_in_once(daemon: Daemon, key: Key) -> None:
    """Of fifty packets with the same response to the same State exactly one is accepted, in each of five rounds."""
    with _crowd(daemon) as crowd:
        for number in range(ROUNDS):
            question = crowd[0].ask(key.owner, PASSWORD)
            answer = _responded(key, question)
            asked = [(peer, request(SECRET, key.owner, answer, question.state)) for peer in crowd]
            assert _kinds(_at_once([daemon], asked, stopped=number % 2 == 0)) == {"accept": 1, "reject": CROWD - 1}


def test_one_count_lets_in_once(site: Site, daemon: Daemon) -> None:
    """Of fifty logins with a response each, but one signature count, as copied keys have it, one is accepted."""
    site.person("carol")
    copied = _give(site, "carol", "K3")
    with _crowd(daemon) as crowd:
        for number in range(ROUNDS):
            asked = [(peer, request(SECRET, "carol", PASSWORD.encode())) for peer in crowd]
            questions = _at_once([daemon], asked, stopped=False)
            answers = [_responded(copied, questions[0])]
            answers += [_responded(copied, question, stale="") for question in questions[1:]]
            asked = [
                (peer, request(SECRET, "carol", answer, question.state))
                for peer, answer, question in zip(crowd, answers, questions, strict=True)
            ]
            assert _kinds(_at_once([daemon], asked, stopped=number % 2 == 0))["accept"] == 1


def test_two_daemons_and_one_response_let_in_once(site: Site, daemon: Daemon, key: Key) -> None:
    """Two daemons on one database accept a response once between them: the database decides, not a process."""
    with site.serving() as second, _crowd(daemon, CROWD // 2) as here, _crowd(second, CROWD // 2) as there:
        for _ in range(ROUNDS):
            question = here[0].ask(key.owner, PASSWORD)
            answer = _responded(key, question)
            asked = [(peer, request(SECRET, key.owner, answer, question.state)) for peer in (*here, *there)]
            assert _kinds(_at_once([daemon, second], asked, stopped=True)) == {"accept": 1, "reject": CROWD - 1}


def test_one_touch_lets_in_once(site: Site, daemon: Daemon, key: Key) -> None:
    """After one touch at a station, of fifty times Enter exactly one is accepted."""
    with _crowd(daemon) as crowd:
        for number in range(ROUNDS):
            question = crowd[0].ask(key.owner, PASSWORD)
            assert _brought(site, *_touched(site, key))
            asked = [(peer, request(SECRET, key.owner, b"", question.state)) for peer in crowd]
            assert _kinds(_at_once([daemon], asked, stopped=number % 2 == 0)) == {"accept": 1, "reject": CROWD - 1}


def test_two_daemons_and_one_touch_let_in_once(site: Site, daemon: Daemon, key: Key) -> None:
    """A touch counts once over two daemons, whichever of them had asked for it."""
    with site.serving() as second, _crowd(daemon, CROWD // 2) as here, _crowd(second, CROWD // 2) as there:
        for number in range(ROUNDS):
            question = (here, there)[number % 2][0].ask(key.owner, PASSWORD)
            assert _brought(site, *_touched(site, key))
            asked = [(peer, request(SECRET, key.owner, b"", question.state)) for peer in (*here, *there)]
            assert _kinds(_at_once([daemon, second], asked, stopped=True)) == {"accept": 1, "reject": CROWD - 1}


def test_one_login_takes_one_answer(site: Site, daemon: Daemon, counting: Key) -> None:
    """Of ten stations that bring in an answer to one login at the same moment exactly one is taken."""
    stations = 10
    with daemon.peer(CHALLENGE) as peer, ThreadPoolExecutor(stations) as crowd:
        for _ in range(ROUNDS):
            question = peer.ask("alice", PASSWORD)
            nonce, answer = _touched(site, counting)
            gate = Barrier(stations)

            def bring(nonce: bytes = nonce, answer: str = answer, gate: Barrier = gate) -> bool:
                with WaitingRoom(SqliteFile(site.database)) as room:
                    gate.wait(PATIENCE)
                    return room.bring(nonce, answer, time.time())

            taken = [each.result(PATIENCE) for each in [crowd.submit(bring) for _ in range(stations)]]
            assert taken.count(True) == 1
            assert peer.ask("alice", b"", question.state).kind == "accept"


# --- kill -9 ---------------------------------------------------------------------------------------------------------


def test_a_touch_outlives_a_kill_and_counts_once(tmp_path: Path) -> None:
    """Killed between touch and Enter, or while Enter is in work, the daemon lets in once and never twice."""
    site = _site(tmp_path / "site")
    site.person("alice")
    key = _give(site, "alice", "K1", uncounted="")
    for number in range(KILLS):
        accepted = 0
        with site.serving() as daemon, daemon.peer(CHALLENGE) as peer:
            question = peer.ask("alice", PASSWORD)
            assert _brought(site, *_touched(site, key))
            if number:  # it dies with Enter on the way, a little later each time
                enter = request(SECRET, "alice", b"", question.state)
                peer.send(enter)
                time.sleep((number - 1) * 0.0004)
            daemon.kill()
            accepted += sum(raw[0] == 2 for raw in peer.waiting())
        with site.serving() as daemon, daemon.peer(CHALLENGE) as peer:
            again = [peer.ask("alice", b"", question.state).kind for _ in range(3)]
            accepted += again.count("accept")
            assert accepted <= 1
            assert number or accepted == 1
            assert again[1:] == ["reject", "reject"]
            question = peer.ask("alice", PASSWORD)
            assert peer.ask("alice", _responded(key, question), question.state).kind == "accept"


# --- a station that hangs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_dead_station_holds_up_nobody(tmp_path: Path, end: signal.Signals) -> None:
    """With a key that says nothing at a station that hangs or is dead, codes and responses go on logging in."""
    soft = SoftKey.make()
    with PtyKey(soft) as plugged:
        site = _site(tmp_path / "site", usb=plugged.path)
        alice = site.person("alice")
        key = _give(site, "alice", "K1")
        soft.misbehaviour = Misbehaviour(silent=True)
        with site.serving() as daemon, daemon.peer(CHALLENGE) as peer, _station(site) as station:
            question = peer.ask("alice", PASSWORD)
            assert _line_with(station, "alice logs in at ask")
            station.send_signal(end)
            assert peer.ask("alice", b"", question.state).kind == "challenge"
            for _ in range(5):
                question = peer.ask("alice", PASSWORD)
                assert peer.ask("alice", alice.press(), question.state).kind == "accept"
                question = peer.ask("alice", PASSWORD)
                assert peer.ask("alice", _responded(key, question), question.state).kind == "accept"


@contextlib.contextmanager
def _station(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(site.config), "station", DESK],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=site.folder,
        start_new_session=True,
        env=os.environ,
    ) as station:
        try:
            yield station
        finally:
            station.kill()


def _line_with(station: subprocess.Popen[bytes], text: str) -> bool:
    assert station.stderr is not None
    return any(text in line.decode() for line in iter(station.stderr.readline, b""))


# --- memory ----------------------------------------------------------------------------------------------------------


def test_two_hundred_touches_that_are_awaited_cost_little(tmp_path: Path) -> None:
    """Two hundred ceremonies pending at once, for stations and for pasting, cost under 20 MB; then all log in."""
    site = _site(tmp_path / "site")
    keys = {f"user{number}": bare.es256(f"user{number}") for number in range(PENDING)}
    _populate(site, keys)
    with site.serving() as daemon, daemon.peer(CHALLENGE) as peer:
        for name in list(keys)[:20]:  # what is loaded once is no ceremony's cost
            question = peer.ask(name, PASSWORD)
            assert peer.ask(name, _bare_response(keys[name], name, question), question.state).kind == "accept"
        before = daemon.memory()
        questions = {name: peer.ask(name, PASSWORD) for name in keys}
        growth = daemon.memory() - before
        waiting = _waiting(site)
        assert len(waiting) == PENDING
        assert growth < MOST_GROWTH
        with WaitingRoom(SqliteFile(site.database)) as room:
            for one in waiting[: PENDING // 2]:
                challenge = bare.challenge_of(b"radiusd2fa-station-v1", one.nonce, one.user, one.nas, DESK)
                answer = bare.station_answer(keys[one.user], challenge, DESK, counter=7)
                assert room.bring(one.nonce, answer, time.time())
        for one in waiting[: PENDING // 2]:
            assert peer.ask(one.user, b"", questions[one.user].state).kind == "accept"
        for one in waiting[PENDING // 2 :]:
            question = questions[one.user]
            answered = _bare_response(keys[one.user], one.user, question, counter=7)
            assert peer.ask(one.user, answered, question.state).kind == "accept"


def _populate(site: Site, keys: dict[str, bare.Key]) -> None:
    hashed = hasher(LocalSettings(memory_kib=64, passes=1)).hash(PASSWORD.encode())
    opened, store = vault.load(site.folder / "vault.key"), SqliteFile(site.database)
    with Registry(store, opened, "root") as registry, Keyring(store, opened, "root") as keyring:
        for number, (name, key) in enumerate(keys.items()):
            registry.add_user(name, hashed, (), 1.0)
            keyring.add(name, key.token(0, f"K{number}", 0), "", 1.0)


def _bare_response(key: bare.Key, user: str, question: Reply, counter: int = 6) -> bytes:
    asked = asked_in(question.prompt)
    assert asked is not None
    return bare.response(key, bare.challenge_of(b"radiusd2fa-key-v1", asked.nonce, user, ""), counter=counter)
