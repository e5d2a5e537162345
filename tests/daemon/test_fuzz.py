"""A hundred thousand broken packets at the living daemon: no answer to a single one that was signed, and it lives on.

All of them go to one loopback port and are paced by Status-Server, so that none is lost before it was looked at; at its
end the daemon must have counted each. The mutations are seeded, hypothesis finds its own.
RFC 2865 3 ("silently discarded"), RFC 3579 3.2 (Message-Authenticator), RFC 5997 3 (Status-Server is signed).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import sqlite3
import struct
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .site import CHALLENGE, CODE_ONLY, OBSERVED, PASSWORD, SECRET, USUAL_CLIENTS, Daemon, Person, Site
from .wire import (
    CALLING_STATION_ID,
    PROXY_STATE,
    SIGNATURE,
    STATE,
    STATUS_SERVER,
    USER_NAME,
    USER_PASSWORD,
    Peer,
    packet,
    request,
)

SEED: Final = 2865
SIGNED: Final = 80_000
UNSIGNED: Final = 20_000
WARM_UP: Final = 10_000
MOST_GROWTH: Final = 24 << 20
"""Octets of memory: the replies that are kept for retransmissions are a part of them."""
_STRIDE: Final = 100
"""Packets between two questions whether the daemon has seen all of them; a receive buffer holds more."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with the usual clients, at any rate."""
    clients = {name: client.replace("{", "{max_pps: 0, ", 1) for name, client in USUAL_CLIENTS.items()}
    return Site.make(tmp_path_factory.mktemp("fuzz"), clients)


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """One daemon for all of it."""
    with site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def alice(site: Site) -> Person:
    """Somebody whose good packets are broken."""
    return site.person("alice", seed=b"alice has a fob like this")


# --- every bit of a signature ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["access-request", "answer to a challenge", "status-server"])
def test_one_changed_bit_of_the_signature_is_silence(daemon: Daemon, alice: Person, what: str) -> None:
    """With one bit of its Message-Authenticator changed, whichever, a packet gets no answer; unchanged, a good one."""
    with daemon.peer(CODE_ONLY if what == "access-request" else CHALLENGE) as peer:
        match what:
            case "access-request":
                good = request(SECRET, "alice", alice.press().encode())
            case "answer to a challenge":
                state = peer.ask("alice", PASSWORD).state
                good = request(SECRET, "alice", alice.press().encode(), state)
            case _:
                good = peer.status_request()
        for octet, bit in itertools.product(range(16), range(8)):
            changed = bytearray(good)
            changed[len(good) - 16 + octet] ^= 1 << bit
            peer.send(bytes(changed))
        _pass_by(daemon, CODE_ONLY)
        assert peer.waiting() == []
        assert peer.exchange(good).kind == "accept"
        # and a changed copy of what was answered is no retransmission of it
        peer.send(good[:-1] + bytes((good[-1] ^ 1,)))
        _pass_by(daemon, CODE_ONLY)
        assert peer.waiting() == []


def test_a_signature_of_another_secret_is_silence(daemon: Daemon, alice: Person) -> None:
    """A packet made with another shared secret, or without a signature, gets no answer, right code or not."""
    code = alice.press().encode()
    with daemon.peer(CODE_ONLY) as peer:
        peer.send(request(b"another secret of this length", "alice", code))
        peer.send(request(SECRET, "alice", code, sign=False))
        peer.send(packet(STATUS_SERVER, os.urandom(16), (), None))
        _pass_by(daemon, CODE_ONLY)
        assert peer.waiting() == []
        assert peer.ask("alice", code).kind == "accept"


# --- a hundred thousand mutations ------------------------------------------------------------------------------------

Mutation = Callable[[random.Random, bytes], bytes]


def _flip_bits(chance: random.Random, good: bytes) -> bytes:
    octets = bytearray(good)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
    return bytes(octets)


def _truncate(chance: random.Random, good: bytes) -> bytes:
    return good[: chance.randrange(len(good))]


def _truncate_honestly(chance: random.Random, good: bytes) -> bytes:
    return _with_length(_truncate(chance, good))


def _extend(chance: random.Random, good: bytes) -> bytes:
    return _with_length(good + chance.randbytes(chance.choice((1, 2, 3, 18, 253, 3900))))


def _change_the_length(chance: random.Random, good: bytes) -> bytes:
    return (
        good[:2] + struct.pack(">H", chance.choice((0, 19, 20, len(good) - 1, len(good) + 1, 4097, 65535))) + good[4:]
    )


def _change_an_attribute_length(chance: random.Random, good: bytes) -> bytes:
    octets = bytearray(good)
    start, _ = chance.choice(_attributes(good))
    octets[start + 1] = chance.choice((0, 1, 2, 3, 17, 19, 255, chance.randrange(256)))
    return bytes(octets)


def _repeat_an_attribute(chance: random.Random, good: bytes) -> bytes:
    start, end = chance.choice(_attributes(good))
    return _with_length(good + good[start:end] * chance.choice((1, 1, 2, 12)))


def _drop_an_attribute(chance: random.Random, good: bytes) -> bytes:
    start, end = chance.choice(_attributes(good))
    return _with_length(good[:start] + good[end:])


def _splice_an_attribute(chance: random.Random, good: bytes) -> bytes:
    start, _ = chance.choice(_attributes(good))
    kind = chance.choice((0, 1, 2, 3, 4, 18, 24, 26, 33, 60, 79, SIGNATURE, 255))
    value = chance.randbytes(chance.choice((0, 1, 15, 16, 17, 127, 128, 253)))
    return _with_length(good[:start] + bytes((kind, len(value) + 2)) + value + good[start:])


def _retype_an_attribute(chance: random.Random, good: bytes) -> bytes:
    octets = bytearray(good)
    start, _ = chance.choice(_attributes(good))
    octets[start] = chance.choice((0, 1, 2, 3, 24, 33, 79, SIGNATURE, chance.randrange(256)))
    return bytes(octets)


def _change_the_code(chance: random.Random, good: bytes) -> bytes:
    return bytes((chance.randrange(256),)) + good[1:]


def _stretch(chance: random.Random, good: bytes) -> bytes:
    return _with_length(good + bytes((chance.randrange(1, 256), 2)) * chance.choice((150, 201, 2000)))


MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(_flip_bits, _truncate, _truncate_honestly, _extend, _change_the_length, _change_an_attribute_length),
    *(_repeat_an_attribute, _drop_an_attribute, _splice_an_attribute, _retype_an_attribute, _change_the_code, _stretch),
)


def _with_length(octets: bytes) -> bytes:
    """The packet with its Length made true, as far as it has one."""
    return octets[:2] + struct.pack(">H", len(octets)) + octets[4:] if len(octets) >= 4 else octets


def _attributes(good: bytes) -> list[tuple[int, int]]:
    """Where each attribute of a good packet begins and ends."""
    found, at = [], 20
    while at < len(good):
        found.append((at, at + good[at + 1]))
        at += good[at + 1]
    return found


def _mutants(chance: random.Random, good: list[bytes], count: int) -> Iterator[bytes]:
    """So many broken copies; what is only padded, and so still the good packet by RFC 2865 3, is not among them."""
    made = 0
    while made < count:
        original = chance.choice(good)
        mutant = chance.choice(MUTATIONS)(chance, original)
        length = struct.unpack_from(">H", mutant, 2)[0] if len(mutant) >= 4 else 0
        if mutant[:length] not in good:
            made += 1
            yield mutant


def test_a_hundred_thousand_mutations(site: Site) -> None:
    """Mutations of good packets: silence where signatures are required, never an Accept, no growth; life goes on."""
    print(f"seed {SEED}")  # noqa: T201 - to play a failure again
    chance = random.Random(SEED)
    bob = site.person("bob", seed=b"bob has another fob here")
    with site.serving() as daemon:
        with daemon.peer(CODE_ONLY) as signing, daemon.peer(OBSERVED) as unsigned:
            right = bob.code_at(0).encode()
            more = [(CALLING_STATION_ID, b"203.0.113.7"), (PROXY_STATE, b"17"), (STATE, b"0123456789abcdef" * 2)]
            signed_ones = [
                request(SECRET, "bob", right),
                request(SECRET, "bob", right, more=more[:2]),
                request(SECRET, "bob", b"x" * 100 + right, more=more),
                signing.status_request(),
            ]
            # unsigned packets can be changed unseen, so there is no right code in them to begin with
            unsigned_ones = [request(SECRET, "bob", b"no code", sign=False, more=more[:count]) for count in (0, 1)]
            sent = _send_all(daemon, signing, _mutants(chance, signed_ones, WARM_UP))
            before = daemon.memory()
            sent += _send_all(daemon, signing, _mutants(chance, signed_ones, SIGNED - WARM_UP))
            assert signing.waiting() == []
            answers: list[bytes] = []
            sent += _send_all(daemon, unsigned, _mutants(chance, unsigned_ones, UNSIGNED), answers)
            assert {raw[0] for raw in answers} == {3}, "an unsigned mutant got something else than a Reject"
            growth = daemon.memory() - before
            assert growth < MOST_GROWTH, f"{growth >> 20} MiB more than before"
            assert signing.ask("bob", right).kind == "accept"
            sent += 1
            asked_for_the_status = sent // _STRIDE + 50
        assert daemon.stop() == 0
        counted = daemon.counters()
    print(growth >> 10, "KiB", counted)  # noqa: T201
    status = counted.pop("status_server")
    assert status < asked_for_the_status
    counted.pop("unsigned")  # counted beside what became of them
    assert "internal_error" not in counted
    assert sum(counted.values()) == sent
    assert counted["access_accept"] == 1


def _send_all(daemon: Daemon, peer: Peer, mutants: Iterator[bytes], answers: list[bytes] | None = None) -> int:
    """Send them no quicker than the daemon takes them; gather what comes back. Returns how many were sent."""
    sent = 0
    with daemon.peer(CODE_ONLY) as pace:
        while batch := list(itertools.islice(mutants, _STRIDE)):
            for mutant in batch:
                peer.send(mutant)
            sent += len(batch)
            pace.exchange(pace.status_request())
            if answers is not None:
                answers += peer.waiting()
    return sent


def _pass_by(daemon: Daemon, source: str) -> None:
    """Return when everything that was sent before has been looked at: one socket is one queue."""
    with daemon.peer(source) as peer:
        peer.exchange(peer.status_request())


# --- what hypothesis thinks of ---------------------------------------------------------------------------------------

_attribute = st.tuples(
    st.sampled_from((0, USER_NAME, USER_PASSWORD, 3, STATE, 26, PROXY_STATE, 79, SIGNATURE)) | st.integers(0, 255),
    st.binary(max_size=253) | st.sampled_from((b"", b"alice", b"\0", b"\xff" * 16, bytes(16), bytes(128))),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    code=st.sampled_from((1, STATUS_SERVER)) | st.integers(0, 255),
    attributes=st.lists(_attribute, max_size=12),
    tail=st.binary(max_size=40),
    sign=st.booleans(),
)
def test_any_packet_is_survived(
    daemon: Daemon, alice: Person, code: int, attributes: list[tuple[int, bytes]], tail: bytes, *, sign: bool
) -> None:
    """Any list of attributes, truly signed or not, is refused or not answered, and the next packet is served."""
    octets = packet(code, os.urandom(16), attributes, SECRET if sign else None) + tail
    with daemon.peer(CHALLENGE) as peer, daemon.peer(OBSERVED) as observed:
        if len(octets) <= 4096:
            peer.send(octets)
            observed.send(octets)
        _pass_by(daemon, CODE_ONLY)
        for raw in (*peer.waiting(), *observed.waiting()):
            assert raw[0] in {3, 11} or code == STATUS_SERVER


def test_a_good_login_after_all_this(site: Site, daemon: Daemon, alice: Person) -> None:
    """The daemon that has seen everything above lets the right person in, and has let in nobody else meanwhile."""
    with daemon.peer(CHALLENGE) as peer:
        state = peer.ask("alice", PASSWORD).state
        assert peer.ask("alice", alice.press(), state).kind == "accept"
    with contextlib.closing(sqlite3.connect(site.database)) as database:
        accepted = database.execute(
            "SELECT count(*) FROM events WHERE outcome = 'accepted' AND user <> 'bob'"
        ).fetchone()
    assert accepted == (alice.fob.counter,)
