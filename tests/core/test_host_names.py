"""One host, one name: what a security key signs must be spelt alike on the laptop and in the daemon.

Refusals first. A host that is not refused has one canonical form, and that form is its own.
RFC 1123 2.1 (host names), RFC 5952 (IPv6 addresses as text).
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radiusd2fa.core.names import canonical_host

NO_HOSTS: Final = {
    "nothing": "",
    "a dot": ".",
    "two dots at the end": "bastion.example.org..",
    "two dots within": "bastion..example.org",
    "a dot before": ".example.org",
    "a space": "bastion example",
    "a space after": "bastion ",
    "a line feed after": "bastion\n",
    "a NUL": "bastion\0",
    "a user": "alice@bastion",
    "a port": "bastion:22",
    "a URL": "ssh://bastion",
    "a path": "bastion/x",
    "a hyphen before": "-oProxyCommand=x",
    "a hyphen after": "bastion-",
    "a hyphen after a label": "bastion-.example.org",
    "a label of 64": "a" * 64,
    "254 characters": ".".join(["a" * 63] * 3 + ["a" * 62]),
    "a Cyrillic letter": "b\N{CYRILLIC SMALL LETTER A}stion",
    "the Kelvin sign": "\N{KELVIN SIGN}",
    "another script's digit": "192.0.2.\N{ARABIC-INDIC DIGIT ONE}",
    "a network": "192.0.2.0/24",
    "IPv6 in brackets": "[2001:db8::1]",
    "IPv6 with a zone": "fe80::1%eth0",
    "IPv6 with an empty zone": "fe80::1%",
    "IPv6 with a dot": "2001:db8::1.",
    "IPv6 cut off": "2001:db8:",
    "IPv6 with two gaps": "2001::db8::1",
}


@pytest.mark.parametrize("text", NO_HOSTS.values(), ids=NO_HOSTS.keys())
def test_what_no_host_is_called(text: str) -> None:
    """Users, ports, brackets, zones, other scripts and broken names are refused, never repaired."""
    assert canonical_host(text) is None


ONE_HOST: Final = {
    "Bastion.Example.ORG": "bastion.example.org",
    "bastion.example.org.": "bastion.example.org",
    "bastion": "bastion",
    "3com": "3com",
    "db_1._tcp.example": "db_1._tcp.example",
    "xn--mller-kva.example": "xn--mller-kva.example",
    ".".join(["a" * 63] * 3 + ["a" * 61]): ".".join(["a" * 63] * 3 + ["a" * 61]),
    ".".join(["a" * 63] * 3 + ["a" * 61]) + ".": ".".join(["a" * 63] * 3 + ["a" * 61]),
    "192.0.2.20": "192.0.2.20",
    "192.0.2.020": "192.0.2.020",
    "2001:DB8:0:0:0:0:0:20": "2001:db8::20",
    "2001:0db8::0020": "2001:db8::20",
    "2001:db8::192.0.2.20": "2001:db8::c000:214",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
    "::FFFF:192.0.2.20": "::ffff:192.0.2.20",
    "::ffff:c000:214": "::ffff:192.0.2.20",
    "::": "::",
}


@pytest.mark.parametrize(("typed", "name"), ONE_HOST.items(), ids=ONE_HOST.keys())
def test_spellings_of_one_host(typed: str, name: str) -> None:
    """Case, one dot at the end and the many ways to write an IPv6 address make no difference."""
    assert canonical_host(typed) == name


def test_different_hosts_stay_different() -> None:
    """A subdomain, a look-alike, a longer name and an address are each another host."""
    hosts = (
        "bastion",
        "bastion.example",
        "bast1on",
        "x.bastion",
        "bastion-x",
        "192.0.2.2",
        "192.0.2.20",
        "::192.0.2.2",
    )
    assert len({canonical_host(host) for host in hosts} - {None}) == len(hosts)


@given(
    st.text(st.characters(max_codepoint=126), max_size=70) | st.from_regex(r"[a-zA-Z0-9:._%-]{1,40}", fullmatch=True)
)
@example("A.B.")
def test_a_canonical_host_is_its_own(text: str) -> None:
    """The canonical form of a canonical form is itself, and holds nothing but what a name or an address can hold."""
    host = canonical_host(text)
    if host is not None:
        assert canonical_host(host) == host
        assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.:_-")


@given(st.ip_addresses(v=6))
@example(IPv6Address("::ffff:1.2.3.4"))
def test_every_spelling_of_an_address_is_one(address: IPv6Address) -> None:
    """Written out, in capitals or short, an IPv6 address is one host, and is still that address."""
    spellings = {address.exploded, address.exploded.upper(), address.compressed, str(address)}

    (host,) = {canonical_host(spelling) for spelling in spellings}
    assert host is not None
    assert IPv6Address(host) == address
