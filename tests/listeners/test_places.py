"""Which given socket serves which line of ``listen.udp``, and that no address is ever shared with a stranger.

Every socket is on loopback. socket(7) SO_REUSEPORT, sd_listen_fds(3); no RFC speaks of this.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from radiusd2fa.listeners.binding import bind
from radiusd2fa.listeners.places import Place, address_of, dealt, fill, places
from radiusd2fa.settings import Endpoint


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """What is closed in the end."""
    with ExitStack() as opened:
        yield opened


def given(opened: ExitStack, host: str = "127.0.0.1") -> socket.socket:
    """A socket that somebody else has bound."""
    return opened.enter_context(bind(host, 0))


def test_a_socket_serves_the_line_of_its_address_alone(opened: ExitStack) -> None:
    """Another host, another port and another kind of socket are no match, and come back."""
    one, other = given(opened), given(opened, "127.0.0.2")
    stream = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    port = address_of(one)[1]
    found, surplus = places([Endpoint("127.0.0.1", port), Endpoint("127.0.0.3", port)], [stream, other, one])
    assert [place.sockets for place in found] == [[one], []]
    assert surplus == [stream, other]


def test_a_line_without_a_port_takes_what_no_other_line_names(opened: ExitStack) -> None:
    """Port 0 means any; a line that names the port has it, wherever it stands."""
    one, other = given(opened), given(opened)
    found, surplus = places([Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", address_of(one)[1])], [one, other])
    assert [place.sockets for place in found] == [[other], [one]]
    assert surplus == []


def test_an_address_of_several_sockets_is_shared_by_nobody_else(opened: ExitStack) -> None:
    """The first is bound alone: where anybody listens, whatever they allow, it is refused."""
    place = Place(Endpoint("127.0.0.1", 0))
    fill(place, 3)
    for one in place.sockets:
        opened.enter_context(one)
    host, port = address_of(place.sockets[0])
    assert {address_of(one) for one in place.sockets} == {(host, port)}
    for count in (1, 2):
        with pytest.raises(OSError, match="in use"):
            fill(Place(Endpoint(host, port)), count)


def test_a_single_socket_lets_nobody_join(opened: ExitStack) -> None:
    """Not even somebody of the same user who asks for it."""
    one = given(opened)
    with pytest.raises(OSError, match="in use"):
        bind(*address_of(one), group=True)


def test_every_socket_has_a_reader_however_many_there_are(opened: ExitStack) -> None:
    """Two workers for three sockets read all three, and each reads every address."""
    first, second = Place(Endpoint("127.0.0.1", 0)), Place(Endpoint("127.0.0.2", 0))
    for place, count in ((first, 3), (second, 2)):
        fill(place, count)
        for one in place.sockets:
            opened.enter_context(one)
    hands = dealt([first, second], 2)
    assert sorted(one.fileno() for hand in hands for one in hand) == sorted(
        one.fileno() for place in (first, second) for one in place.sockets
    )
    for hand in hands:
        assert {address_of(one)[0] for one in hand} == {"127.0.0.1", "127.0.0.2"}
