"""Whose packet it is: strangers first, then the longest prefix, and that strangers cannot crowd clients out.

No packet is sent; addresses are texts, as the socket gives them. RFC 2865 3 (the source address decides).
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest

from radiusd2fa.clients import ClientTable
from radiusd2fa.core.model import Nas
from radiusd2fa.settings import ClientSettings

Network = IPv4Network | IPv6Network


def client(name: str, *networks: str) -> ClientSettings:
    """A client with nothing but networks."""
    made = [IPv6Network(text) if ":" in text else IPv4Network(text) for text in networks]
    return ClientSettings(Nas(name), tuple(made), (b"secret",))


LAB = client("lab", "192.0.2.0/24", "2001:db8::/32")
ROUTER = client("router", "192.0.2.7/32", "2001:db8::7/128")
TABLE = ClientTable([LAB, ROUTER])


@pytest.mark.parametrize("source", ["192.0.3.1", "0.0.0.0", "255.255.255.255", "2001:db9::1", "::", "::192.0.2.7"])  # noqa: S104
def test_a_stranger_is_nobody(source: str) -> None:
    """An address outside all networks is no client's, asked once or twice."""
    assert TABLE.find(source) is None
    assert TABLE.find(source) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        *(("192.0.2.0", LAB), ("192.0.2.255", LAB), ("192.0.2.7", ROUTER), ("::ffff:192.0.2.7", ROUTER)),
        *(("2001:db8:ffff::1", LAB), ("2001:db8::7", ROUTER), ("2001:db8::7%eth0", ROUTER)),
    ],
)
def test_the_longest_prefix_decides(source: str, expected: ClientSettings) -> None:
    """A client within another's network is itself; IPv4 within IPv6 is IPv4, and a zone is no part of an address."""
    assert TABLE.find(source) is expected


def test_everybody_and_somebody() -> None:
    """A network of all addresses holds what no other does, of its own family."""
    everybody = client("everybody", "0.0.0.0/0")
    table = ClientTable([everybody, LAB])
    assert table.find("203.0.113.1") is everybody
    assert table.find("192.0.2.1") is LAB
    assert table.find("2001:db9::1") is None


def test_it_finds_what_a_plain_search_finds() -> None:
    """For networks of every length and addresses near them, the answer is that of looking at every network."""
    chance = random.Random(2865)
    for _ in range(40):
        clients, networks = [], []
        for number in range(12):
            mine: list[Network] = [
                IPv4Network((chance.getrandbits(4) << 28 | chance.getrandbits(3) << 20, length), strict=False)
                for length in (chance.choice((0, 4, 8, 12, 24, 32)),)
            ]
            mine.append(IPv6Network((chance.getrandbits(4) << 124, chance.choice((0, 3, 4, 64, 128))), strict=False))
            clients.append(ClientSettings(Nas(str(number)), tuple(mine), ()))
            networks += [(network, clients[-1]) for network in mine]
        networks.sort(key=lambda entry: entry[0].prefixlen, reverse=True)
        table = ClientTable(clients)
        for _ in range(40):
            four, six = chance.getrandbits(4) << 28 | chance.getrandbits(3) << 20, chance.getrandbits(4) << 124
            for source in (str(IPv4Address(four)), str(IPv6Address(six))):
                plain = next((owner for network, owner in networks if ip_address(source) in network), None)
                assert table.find(source) is plain


def test_a_flood_of_strangers_puts_no_client_out_of_mind() -> None:
    """Twenty thousand forged addresses later the client is still remembered; what is kept of strangers is bounded."""
    table = ClientTable([ROUTER])
    assert table.find("192.0.2.7") is ROUTER
    for number in range(20_000):
        assert table.find(str(IPv4Address((10 << 24) + number))) is None
    assert table._known == {"192.0.2.7": ROUTER}
    assert len(table._strangers) <= 4096


def test_what_is_kept_of_a_large_network_is_bounded() -> None:
    """A client whose network is a whole country's is found at each address, and not all of them are kept."""
    everybody = client("everybody", "10.0.0.0/8")
    table = ClientTable([everybody])
    for number in range(10_000):
        assert table.find(str(IPv4Address((10 << 24) + number))) is everybody
    assert len(table._known) <= 4096
