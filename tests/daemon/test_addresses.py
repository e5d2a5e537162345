"""Where the daemon listens, from where it answers, and whom it takes a packet for.

Loopback only: all of 127.0.0.0/8 is this machine's, so every address can be asked and asked from.
RFC 2865 3 (source address and shared secret make the client; a reply comes from where the request went).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

import pytest

from .site import CODE_ONLY, OBSERVED, SECRET, USUAL_CLIENTS, Daemon, Person, Site
from .wire import PATIENCE, Peer, packet, read, request

NEW: Final = b"the secret that is coming in"
OLD: Final = b"the secret that is going out"
WIDE: Final = b"the secret of the whole network"

_BOTH: Final = f'secret: "{NEW.decode()}", secret_old: "{OLD.decode()}"'
CLIENTS: Final = USUAL_CLIENTS | {
    "six": f'{{networks: ["::1/128"], secret: "{SECRET.decode()}", flow: code-only, reject_delay: 0s}}',
    "mapped": f'{{networks: ["::ffff:127.0.7.0/120"], secret: "{SECRET.decode()}", flow: code-only}}',
    "plain": f'{{networks: [127.0.0.1/32], secret: "{SECRET.decode()}", flow: code-only}}',
    "wide": f'{{networks: [127.0.8.0/24], secret: "{WIDE.decode()}", flow: code-only}}',
    "narrow": f'{{networks: [127.0.8.8/32], secret: "{SECRET.decode()}", flow: code-only}}',
    "rotating": f"{{networks: [127.0.6.1/32], {_BOTH}, flow: code-only}}",
    "rotating-unsigned": f"{{networks: [127.0.6.2/32], {_BOTH}, flow: code-only, message_authenticator: observe}}",
}
LISTEN: Final = ("127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0", "127.0.0.3:0")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site that listens everywhere."""
    return Site.make(tmp_path_factory.mktemp("addresses"), CLIENTS, LISTEN)


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """One daemon for all of them."""
    with site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def alice(site: Site) -> Person:
    """Somebody with a fob."""
    return site.person("alice")


@pytest.mark.parametrize(
    ("listener", "to", "source"),
    [
        (0, "127.0.0.1", CODE_ONLY),
        (1, "::1", "::1"),
        (2, "127.0.0.1", CODE_ONLY),
        (2, "127.0.0.2", CODE_ONLY),
        (2, "127.0.0.3", "127.0.0.1"),
        (3, "::1", "::1"),
        (4, "127.0.0.3", CODE_ONLY),
    ],
)
def test_every_address_is_served_and_answers_from_itself(
    daemon: Daemon, alice: Person, listener: int, to: str, source: str
) -> None:
    """A login at any configured address, or any address behind a wildcard, is answered from the address asked."""
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:  # not connected: it hears whoever answers
        asking.bind((source, 0))
        asking.settimeout(PATIENCE)
        octets = request(SECRET, "alice", alice.press().encode())
        asking.sendto(octets, (to, daemon.addresses[listener][1]))
        raw, sender = asking.recvfrom(4096)
    assert sender[:2] == (to, daemon.addresses[listener][1])
    assert read(raw, octets, SECRET).kind == "accept"


def test_a_retransmission_to_another_address_is_another_request(daemon: Daemon, alice: Person) -> None:
    """What one listener has answered is no duplicate at another one: the same packet there meets a used code."""
    octets = request(SECRET, "alice", alice.press().encode())
    with Peer(daemon.addresses[0], SECRET, CODE_ONLY) as peer:
        assert peer.exchange(octets).kind == "accept"
        assert peer.exchange(octets).kind == "accept"
        peer.socket.connect(("127.0.0.3", daemon.addresses[4][1]))
        assert peer.exchange(octets).kind == "reject"


def test_an_ipv4_client_may_be_written_as_ipv6(daemon: Daemon, alice: Person) -> None:
    """A network in IPv4-mapped form is that IPv4 network."""
    with daemon.peer("127.0.7.77") as peer:
        assert peer.ask("alice", alice.press()).kind == "accept"
    with daemon.peer("127.0.9.77") as stranger:
        assert not stranger.is_served()


def test_the_longest_prefix_decides(daemon: Daemon, alice: Person) -> None:
    """An address in a network of one client and in a smaller one of another belongs to the smaller one."""
    with daemon.peer("127.0.8.9", WIDE) as wide, daemon.peer("127.0.8.8", SECRET) as narrow:
        assert wide.ask("alice", alice.press()).kind == "accept"
        assert narrow.ask("alice", alice.press()).kind == "accept"
    with daemon.peer("127.0.8.8", WIDE) as wrong:
        assert not wrong.is_served()


def test_two_secrets_are_valid_during_rotation(daemon: Daemon, alice: Person) -> None:
    """A request under the old or the new secret is answered under the same one; a third secret gets silence."""
    for secret in (OLD, NEW):
        with daemon.peer("127.0.6.1", secret) as peer:
            assert peer.ask("alice", alice.press()).kind == "accept"
    with daemon.peer("127.0.6.1", SECRET) as peer:
        assert not peer.is_served()


def test_two_secrets_are_valid_for_a_client_that_cannot_sign(daemon: Daemon, alice: Person) -> None:
    """Unsigned requests are read under the secret that makes text of the password, and answered under it."""
    for secret in (OLD, NEW):
        with daemon.peer("127.0.6.2", secret) as peer:
            assert peer.ask("alice", alice.press(), sign=False).kind == "accept"


def test_an_unsigned_request_that_came_through_a_proxy_is_dropped(daemon: Daemon, alice: Person) -> None:
    """Where signatures are only observed, a Proxy-State needs one all the same: CVE-2024-3596 works through it."""
    code = alice.press().encode()
    with daemon.peer(OBSERVED) as peer:
        peer.send(request(SECRET, "alice", code, sign=False, more=[(33, b"1")]))
        peer.send(packet(12, bytes(16), [], None))
        assert peer.exchange(request(SECRET, "alice", code, more=[(33, b"1"), (33, b"2")])).attributes[1:] == (
            (33, b"1"),
            (33, b"2"),
        )


def test_a_flood_of_strangers_drowns_no_other_line(site: Site) -> None:
    """Of unknown sources only so many are named; a wrong signature from a client is still said after them."""
    with site.serving() as daemon:
        for number in range(1, 101):
            with Peer(daemon.address, SECRET, f"127.9.9.{number}") as stranger:
                stranger.send(request(SECRET, "alice", b"123456"))
        with daemon.peer() as client:
            client.send(request(b"a wrong shared secret", "alice", b"123456"))
        assert daemon.wait_for("packet.dropped", reason="wrong_message_authenticator")
        named = [line["source"] for line in daemon.lines("packet.dropped") if line["reason"] == "unknown_client"]
        assert len(named) == len(set(named)) == 64
