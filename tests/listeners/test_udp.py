"""The UDP listener: whole batches in, replies from the address that was asked, and no address ever shared.

Real sockets on loopback with ports that the kernel chooses; the test waits for datagrams, never for time.
RFC 2865 3; RFC 3542 6.2 for IPv6.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import pytest

from radiusd2fa.listeners import udp
from radiusd2fa.listeners.udp import Datagram, UdpListener

PATIENCE: Final = 20.0
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - on ports that the kernel chooses


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="there is no IPv6 on loopback here")


@contextmanager
def asking(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A client's socket, not connected: it would hear an answer from anywhere."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind((host, 0))
        client.settimeout(PATIENCE)
        yield client


@contextmanager
def bound(host: str, port: int = 0) -> Iterator[UdpListener]:
    """A listener."""
    listener = UdpListener(host, port)
    try:
        yield listener
    finally:
        listener.close()


def serve(listener: UdpListener, act: Callable[[], object], batches: int = 1) -> list[list[Datagram]]:
    """Run the listener on a loop, do something, and return the first batches that come in."""

    async def main() -> list[list[Datagram]]:
        loop = asyncio.get_running_loop()
        came: asyncio.Queue[list[Datagram]] = asyncio.Queue()
        listener.start(loop, lambda _, batch: came.put_nowait(batch))
        act()
        try:
            return [await asyncio.wait_for(came.get(), PATIENCE) for _ in range(batches)]
        finally:
            listener.stop(loop)

    return asyncio.run(main())


# --- no address is shared --------------------------------------------------------------------------------------------

TAKEN: Final = (
    ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.1", EVERYWHERE),
    (EVERYWHERE, "127.0.0.1"),
    (EVERYWHERE, "127.0.0.2"),
    (EVERYWHERE, EVERYWHERE),
    pytest.param("::1", "::1", marks=needs_ipv6),
    pytest.param("::", "::1", marks=needs_ipv6),
)


@pytest.mark.parametrize(("first", "second"), TAKEN)
def test_a_port_that_is_taken_is_refused(first: str, second: str) -> None:
    """A second listener on the same address, or on one that holds it, cannot be: no two share a packet."""
    with bound(first) as listener, pytest.raises(OSError, match="in use"):
        UdpListener(second, listener.address[1])


def test_somebody_elses_socket_cannot_be_shared() -> None:
    """Not even with a program that offers its port to others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            UdpListener("127.0.0.1", other.getsockname()[1])


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_nobody_can_sit_down_beside_us(option: int) -> None:
    """A program that wants to share our port is refused by the kernel."""
    with bound("127.0.0.1") as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(listener.address)


@needs_ipv6
def test_both_families_can_have_one_port() -> None:
    """The IPv6 wildcard takes no IPv4, so that both can be listed with the same port."""
    with bound(EVERYWHERE) as four, bound("::", four.address[1]) as six:
        assert four.address[1] == six.address[1]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "localhost", "radius.example.org", "127.0.0.1:1812"])
def test_what_is_not_our_address(host: str) -> None:
    """Somebody else's address, or a name, is an error; nothing is looked up, and no socket is left open."""
    with pytest.raises(OSError, match=r".+"):
        UdpListener(host, 0)


# --- in --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", EVERYWHERE, pytest.param("::1", marks=needs_ipv6)])
def test_a_datagram_arrives_whole_with_its_source(host: str) -> None:
    """Octets and source are those of the packet, up to one octet more than RADIUS allows."""
    to = "127.0.0.1" if host == EVERYWHERE else host
    own = "::1" if ":" in host else "127.0.0.1"
    for octets in (b"", b"x", bytes(range(256)) * 16, b"x" * 4097, b"x" * 5000):
        with bound(host) as listener, asking(own) as client:
            question = (octets, (to, listener.address[1]))
            ((datagram,),) = serve(listener, partial(client.sendto, *question))
            assert datagram.octets == octets[:4097]
            assert datagram.source[:2] == client.getsockname()[:2]


@pytest.mark.parametrize("host", ["127.0.0.1", EVERYWHERE])
def test_a_burst_comes_at_once(host: str) -> None:
    """What waits in the socket is handed on together, in order and without loss."""
    with bound(host) as listener, asking() as client:

        def burst() -> None:
            for number in range(150):
                client.sendto(str(number).encode(), ("127.0.0.1", listener.address[1]))

        (batch,) = serve(listener, burst)
    assert [datagram.octets for datagram in batch] == [str(n).encode() for n in range(150)]


def test_an_endless_flood_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits, the loop gets its turn after so many datagrams."""
    monkeypatch.setattr(udp, "_MOST_BATCHES", 2)
    with bound("127.0.0.1") as listener, asking() as client:

        def flood() -> None:
            for number in range(150):
                client.sendto(str(number).encode(), listener.address)

        batches = serve(listener, flood, batches=2)
    assert [len(batch) for batch in batches] == [128, 22]
    assert [datagram.octets for batch in batches for datagram in batch] == [str(n).encode() for n in range(150)]


def test_a_datagram_knows_how_long_it_has_waited() -> None:
    """What lay in the kernel while nobody read is older than what came after it."""
    with bound("127.0.0.1") as listener, asking() as client:
        client.sendto(b"first", listener.address)
        began = time.monotonic()
        while time.monotonic() - began < 0.05:
            client.sendto(b"next", ("127.0.0.1", 9))
        (batch,) = serve(listener, lambda: client.sendto(b"last", listener.address))
    assert [datagram.octets for datagram in batch] == [b"first", b"last"]
    first, last = batch
    assert first.waited >= last.waited + 0.05
    assert last.waited >= 0


def test_every_batch_finds_room_for_all_that_the_kernel_says() -> None:
    """What the kernel has written of one batch does not shorten what it may write of the next."""
    with bound(EVERYWHERE) as listener, asking() as client:
        serve(listener, lambda: client.sendto(b"question", ("127.0.0.1", listener.address[1])))
        assert listener._reader._headers.raw == listener._reader._fresh


def test_a_clock_that_was_set_back_makes_nothing_older(monkeypatch: pytest.MonkeyPatch) -> None:
    """A datagram from the future counts as new."""
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with bound("127.0.0.1") as listener, asking() as client:
        ((datagram,),) = serve(listener, lambda: client.sendto(b"question", listener.address))
    assert datagram.waited == 0.0


@pytest.mark.parametrize("host", ["127.0.0.1", EVERYWHERE, pytest.param("::1", marks=needs_ipv6)])
def test_more_sources_than_are_remembered(host: str) -> None:
    """Each datagram keeps its own source, whoever came before; a reply finds its way to the last of them."""
    own = "::1" if ":" in host else "127.0.0.1"
    to = own if host == EVERYWHERE else host
    with bound(host) as listener:
        listener._reader._sources.update({number.to_bytes(28, "big"): ("192.0.2.1", number) for number in range(4096)})
        for _ in range(3):
            with asking(own) as client:
                question = (b"question", (to, listener.address[1]))
                ((datagram,),) = serve(listener, partial(client.sendto, *question))
                assert datagram.source == client.getsockname()
                assert listener.send(b"reply", datagram)
                assert client.recv(100) == b"reply"
        assert len(listener._reader._sources) == 3


@pytest.mark.parametrize("host", ["127.0.0.1", EVERYWHERE, pytest.param("::1", marks=needs_ipv6)])
def test_a_socket_that_was_bound_by_somebody_else(host: str) -> None:
    """A socket handed over serves as one of our own: time of arrival, address asked, replies."""
    own = "::1" if ":" in host else "127.0.0.1"
    given = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    given.bind((host, 0))
    listener = UdpListener.on(given)
    try:
        with asking(own) as client:
            to = (own, listener.address[1])
            ((datagram,),) = serve(listener, lambda: client.sendto(b"question", to))
            assert listener.send(b"reply", datagram)
            octets, sender = client.recvfrom(100)
    finally:
        listener.close()
    assert octets == b"reply"
    assert sender[:2] == to


def test_after_a_stop_nothing_comes_in_and_replies_still_leave() -> None:
    """A daemon that ends takes no new packet, and what is in work is answered."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        batches: list[list[Datagram]] = []
        with bound("127.0.0.1") as listener, asking() as client:
            came = asyncio.Event()

            def receive(_: UdpListener, batch: list[Datagram]) -> None:
                batches.append(batch)
                came.set()

            listener.start(loop, receive)
            client.sendto(b"first", listener.address)
            await asyncio.wait_for(came.wait(), PATIENCE)
            listener.stop(loop)
            client.sendto(b"second", listener.address)
            for _ in range(10):
                await asyncio.sleep(0)
            assert listener.send(b"reply", batches[0][0])
            assert client.recvfrom(100) == (b"reply", listener.address)
        assert [[datagram.octets for datagram in batch] for batch in batches] == [[b"first"]]

    asyncio.run(main())


# --- out -------------------------------------------------------------------------------------------------------------

ASKED: Final = (
    (EVERYWHERE, "127.0.0.1", "127.0.0.1"),
    (EVERYWHERE, "127.0.0.2", "127.0.0.1"),
    (EVERYWHERE, "127.0.0.2", "127.0.0.2"),
    (EVERYWHERE, "127.255.255.254", "127.0.0.1"),
    ("0", "127.0.0.2", "127.0.0.1"),
    ("127.0.0.1", "127.0.0.1", "127.0.0.3"),
    ("127.0.0.2", "127.0.0.2", "127.0.0.1"),
    pytest.param("::1", "::1", "::1", marks=needs_ipv6),
    pytest.param("::", "::1", "::1", marks=needs_ipv6),
    pytest.param("::0", "::1", "::1", marks=needs_ipv6),
)


@pytest.mark.parametrize(("host", "to", "own"), ASKED)
def test_a_reply_leaves_from_the_address_that_was_asked(host: str, to: str, own: str) -> None:
    """Behind a wildcard too: a client that asked 127.0.0.2 hears 127.0.0.2, whatever route the kernel would take."""
    with bound(host) as listener, asking(own) as client:
        port = listener.address[1]
        ((datagram,),) = serve(listener, lambda: client.sendto(b"question", (to, port)))
        assert listener.send(b"reply", datagram)
        octets, sender = client.recvfrom(100)
    assert octets == b"reply"
    assert sender[:2] == (to, port)


@needs_ipv6
def test_a_wildcard_of_ipv6_remembers_the_address_and_the_interface() -> None:
    """The reply is bound to what was asked; only loopback is here, so what is handed to the kernel is looked at."""
    with bound("::") as listener, asking("::1") as client:
        port = listener.address[1]
        ((datagram,),) = serve(listener, lambda: client.sendto(b"question", ("::1", port)))
    ((level, kind, data),) = datagram.asked
    assert (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
    assert data[:16] == socket.inet_pton(socket.AF_INET6, "::1")
    assert int.from_bytes(data[16:20], "little") > 0 or int.from_bytes(data[16:20], "big") > 0


@pytest.mark.parametrize("host", ["127.0.0.1", EVERYWHERE])
def test_a_reply_that_the_network_does_not_take(host: str) -> None:
    """A port nobody has, or a reply too large for any packet, is False and no exception; the listener goes on."""
    with bound(host) as listener, asking() as client:
        port = listener.address[1]
        ((datagram,),) = serve(listener, lambda: client.sendto(b"question", ("127.0.0.1", port)))
        assert listener.send(b"x" * 70_000, datagram) is False
        assert listener.send(b"reply", Datagram(b"", ("127.0.0.1", 0), datagram.asked)) is False
        with asking() as gone:
            nobody = gone.getsockname()
        for _ in range(3):  # the kernel's "nobody there" may come back as an error of a later call
            listener.send(b"reply", Datagram(b"", nobody, datagram.asked))
        ((again,),) = serve(listener, lambda: client.sendto(b"again", ("127.0.0.1", port)))
        assert again.octets == b"again"
        assert listener.send(b"reply", again)
        assert client.recv(100) == b"reply"


def test_a_closed_listener_has_left_its_port() -> None:
    """The next daemon can have it at once."""
    with bound("127.0.0.1") as listener:
        port = listener.address[1]
    with bound("127.0.0.1", port) as again:
        assert again.address == ("127.0.0.1", port)


def test_a_datagram_shows_no_octets() -> None:
    """A packet that is printed shows where it came from and not what was in it."""
    assert "hunter2" not in repr(Datagram(b"hunter2", ("127.0.0.1", 1)))
