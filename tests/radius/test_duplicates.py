"""The memory of requests seen: retransmissions dropped while in progress, answered with the same octets afterwards.

Time is a number handed in; nothing here waits.
RFC 5080 section 2.2.2.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.radius.duplicates import IN_PROGRESS, NEW, Duplicates
from radiusd2fa.radius.packet import encode_request

KEEP: Final = 30.0
SOURCE: Final = ("192.0.2.10", 40000)
REPLY: Final = b"the reply"


def request(authenticator: bytes = bytes(16), identifier: int = 7) -> bytes:
    return encode_request(1, identifier, authenticator, [(1, b"alice")], b"secret")


def key(number: int = 0) -> bytes:
    return number.to_bytes(16, "big")


KEY: Final = Duplicates.key(SOURCE, 0, request())


def test_a_retransmission_is_dropped_while_the_first_is_in_progress() -> None:
    """The second copy of a request that is being worked on is not worked on, however often it comes."""
    seen = Duplicates(KEEP)
    assert seen.begin(KEY, 0.0) is NEW
    assert [seen.begin(KEY, now) for now in (0.0, 3.0, 6.0, 12.0, 24.0)] == [IN_PROGRESS] * 5


def test_a_retransmission_gets_the_same_octets() -> None:
    """Once answered, a request is answered again with the very same reply, for at least ``keep`` seconds."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, 0.0)
    seen.finish(KEY, REPLY, 2.5)
    assert [seen.begin(KEY, now) for now in (2.5, 5.0, 12.0, 22.5, 32.5)] == [REPLY] * 5


OTHERS: Final = {
    "port": Duplicates.key(("192.0.2.10", 40001), 0, request()),
    "address": Duplicates.key(("192.0.2.11", 40000), 0, request()),
    "address family": Duplicates.key(("192.0.2.10", 40000, 0, 0), 0, request()),
    "interface": Duplicates.key(("fe80::1", 40000, 0, 2), 0, request()),
    "listener": Duplicates.key(SOURCE, 1, request()),
    "authenticator": Duplicates.key(SOURCE, 0, request(b"x" * 16)),
    "identifier": Duplicates.key(SOURCE, 0, request(identifier=8)),
    "last octet": Duplicates.key(SOURCE, 0, request()[:-1] + b"x"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_another_request_is_new(other: bytes) -> None:
    """Another port, address, socket, authenticator or octet is another request, and gets nobody else's reply."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, 0.0)
    assert seen.begin(other, 0.0) is NEW
    seen.finish(KEY, REPLY, 1.0)
    seen.forget(other)
    assert seen.begin(other, 1.0) is NEW


where = st.tuples(
    st.tuples(st.text(max_size=4), st.integers(0, 70000)),
    st.integers(0, 120),
    st.binary(max_size=6),
)


@given(one=where, other=where)
def test_keys_run_nothing_together(
    one: tuple[tuple[str, int], int, bytes], other: tuple[tuple[str, int], int, bytes]
) -> None:
    """Two keys are equal only if source, listener and packet are."""
    assert (Duplicates.key(*one) == Duplicates.key(*other)) is (one == other)
    assert len(Duplicates.key(*one)) == 16


def test_no_octet_moves_between_the_parts_of_a_key() -> None:
    """Where the address ends and the packet begins cannot be shifted by what they contain."""
    parts = (
        (("h", 1), 2, b"3"),
        (("h", 1), 23, b""),
        (("h", 12), 3, b""),
        (("h\0", 1), 2, b"3"),
        (("h\0(1,)", 1), 2, b""),
        (("h", 1), 2, b"\0(1,)"),
        (("h", 1), 2, b"\x003"),
        (("h', 1)\0", 1), 2, b""),
        (("h",), 2, b"\0"),
        (("1 ('h', 1)",), 2, b""),
    )
    assert len({Duplicates.key(*part) for part in parts}) == len(parts)


@given(
    finished=st.floats(0, 1e6),
    traffic=st.lists(st.floats(0.01, 40), max_size=12),
)
@settings(deadline=None)
def test_a_reply_is_kept_for_its_time_and_not_for_ever(finished: float, traffic: list[float]) -> None:
    """Whatever the traffic around it, a reply is there for ``keep`` seconds and gone after twice as long."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, finished)
    seen.finish(KEY, REPLY, finished)
    now = finished
    for number, pause in enumerate(traffic):
        now += pause
        if now - finished <= KEEP - 0.001:
            assert seen.begin(KEY, now) == REPLY
        if now - finished >= 2 * KEEP:
            break
        seen.begin(key(number), now)
        seen.finish(key(number), b"another", now)
    assert seen.begin(KEY, max(now, finished + 2 * KEEP)) is NEW


def test_a_reply_that_comes_late_is_kept_from_then_on() -> None:
    """The time counts from the reply, not from the request."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, 0.0)
    seen.finish(KEY, REPLY, 29.0)
    assert seen.begin(KEY, 58.9) == REPLY


def test_nothing_is_left_after_a_quiet_night() -> None:
    """The first request after a long pause finds no reply of yesterday, and the memory is empty but for itself."""
    seen = Duplicates(KEEP)
    for number in range(100):
        seen.begin(key(number), 1.0)
        seen.finish(key(number), REPLY, 1.0)
    assert len(seen) == 100
    assert seen.begin(key(0), 40_000.0) is NEW
    assert len(seen) == 1


def test_a_forgotten_request_is_a_new_chance() -> None:
    """After ``forget`` (the store was away) the next retransmission is processed, and answered from then on."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, 0.0)
    seen.forget(KEY)
    assert len(seen) == 0
    assert seen.begin(KEY, 3.0) is NEW
    seen.finish(KEY, REPLY, 3.1)
    assert seen.begin(KEY, 6.0) == REPLY


def test_forgetting_takes_no_reply_away() -> None:
    """``forget`` undoes a beginning; a reply that has left stays known."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, 0.0)
    seen.finish(KEY, REPLY, 0.1)
    seen.forget(KEY)
    seen.forget(key(99))
    assert seen.begin(KEY, 1.0) == REPLY


def test_replies_are_bounded_and_the_oldest_go_first() -> None:
    """However many requests come, at most ``max_entries`` replies are held, and the newest are among them."""
    seen = Duplicates(KEEP, max_entries=64)
    for number in range(1000):
        assert seen.begin(key(number), 0.0) is NEW
        seen.finish(key(number), REPLY, 0.0)
        assert len(seen) <= 64
    assert [seen.begin(key(number), 0.0) for number in range(1000 - 48, 1000)] == [REPLY] * 48
    assert seen.begin(key(1), 0.0) is NEW


def test_a_small_burst_drops_nothing_early() -> None:
    """Filling some generations early does not shorten the life of a reply while the bound is far."""
    seen = Duplicates(KEEP, max_entries=64)
    seen.begin(KEY, 0.0)
    seen.finish(KEY, REPLY, 0.0)
    for number in range(40):
        seen.begin(key(number), 0.1)
        seen.finish(key(number), REPLY, 0.1)
    assert [seen.begin(KEY, now) for now in (9.0, 10.2, 20.4, 29.9)] == [REPLY] * 4


def test_requests_in_progress_are_bounded_and_none_is_put_out() -> None:
    """When too many are in progress the next one is turned away and counted; none of the others can be begun twice."""
    seen = Duplicates(KEEP, max_entries=8)
    assert [seen.begin(key(number), 0.0) for number in range(8)] == [NEW] * 8
    assert seen.begin(key(8), 1.0) is IN_PROGRESS
    assert seen.turned_away == 1
    assert [seen.begin(key(number), 2.0) for number in range(8)] == [IN_PROGRESS] * 8
    assert seen.turned_away == 1
    assert len(seen) == 8
    seen.finish(key(3), REPLY, 3.0)
    assert seen.begin(key(8), 3.0) is NEW


def test_a_flood_of_replies_puts_out_nothing_in_progress() -> None:
    """The bound on replies never touches a request that is still being worked on."""
    seen = Duplicates(KEEP, max_entries=64)
    seen.begin(KEY, 0.0)
    for number in range(1000):
        seen.begin(key(number), 0.01 * number)
        seen.finish(key(number), REPLY, 0.01 * number)
    assert seen.begin(KEY, 10.0) is IN_PROGRESS


def test_a_request_that_never_ends_is_dropped_and_counted() -> None:
    """A bug that loses a request blocks it for ``keep`` seconds, not for ever, and leaves a number behind."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, 0.0)
    seen.begin(key(1), 25.0)
    assert seen.begin(KEY, 29.9) is IN_PROGRESS
    assert seen.abandoned == 0
    assert seen.begin(KEY, 45.0) is NEW
    assert seen.abandoned == 1
    assert seen.begin(key(1), 46.0) is IN_PROGRESS


def test_a_clock_that_stands_or_steps_back_loses_nothing() -> None:
    """A time before the last one is odd but harmless: states stay as they were."""
    seen = Duplicates(KEEP)
    seen.begin(KEY, 100.0)
    assert seen.begin(KEY, 50.0) is IN_PROGRESS
    seen.finish(KEY, REPLY, 40.0)
    assert seen.begin(KEY, 30.0) == REPLY
    assert seen.begin(KEY, 100.0) == REPLY


@pytest.mark.parametrize(("keep", "max_entries"), [(0.0, 64), (-1.0, 64), (30.0, 7), (30.0, 0)])
def test_a_memory_that_could_hold_nothing_is_refused(keep: float, max_entries: int) -> None:
    """A memory without time or room would answer no retransmission."""
    with pytest.raises(ValueError, match="keep"):
        Duplicates(keep, max_entries)
