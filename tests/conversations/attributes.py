"""Attributes in the words of a transcript, ``Name="value"``: to octets for a request, from octets for a reply.

Both ways are pyrad's, with names and types written down here: the daemon's own dictionaries are not looked at.
RFC 2865 5, RFC 2868 3 (tags and Tunnel-Password), RFC 2865 5.26 (Vendor-Specific).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cache
from typing import Final

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessRequest, AuthPacket

Attributes = list[tuple[int, bytes]]

NAMES: Final = """
ATTRIBUTE User-Name                1   string
ATTRIBUTE NAS-Port                 5   integer
ATTRIBUTE Service-Type             6   integer
ATTRIBUTE Filter-Id               11   string
ATTRIBUTE Class                   25   octets
ATTRIBUTE Session-Timeout         27   integer
ATTRIBUTE Called-Station-Id       30   string
ATTRIBUTE NAS-Port-Type           61   integer
ATTRIBUTE Tunnel-Type             64   integer has_tag
ATTRIBUTE Tunnel-Medium-Type      65   integer has_tag
ATTRIBUTE Tunnel-Password         69   string  has_tag,encrypt=2
ATTRIBUTE Tunnel-Private-Group-Id 81   string  has_tag
VENDOR Cisco 9
BEGIN-VENDOR Cisco
ATTRIBUTE Cisco-AVPair             1   string
END-VENDOR Cisco
VENDOR Fortinet 12356
BEGIN-VENDOR Fortinet
ATTRIBUTE Fortinet-Group-Name      1   string
END-VENDOR Fortinet
"""
_VENDOR_SPECIFIC: Final = 26
_HIGHEST_TAG: Final = 0x1F


@cache
def dictionary() -> Dictionary:
    """Return the names that transcripts know."""
    return Dictionary(io.StringIO(NAMES))


def is_attribute(word: str) -> bool:
    """Whether a word of a transcript is an attribute: it begins with a capital letter and has a value."""
    name, equals, _ = word.partition("=")
    return bool(equals) and name[:1].isupper() and '"' not in name


def attribute_of(name: str, value: bytes) -> tuple[int, bytes]:
    """Return type and value; KeyError for a name that transcripts do not know."""
    packet = AuthPacket(code=AccessRequest, id=0, secret=b"-", authenticator=bytes(16), dict=dictionary())
    number = dictionary().attributes[name].type == "integer"
    packet.AddAttribute(name, int(value) if number else value if name == "Class" else value.decode())
    [pair] = attributes_of(packet.RequestPacket())
    return pair


def attributes_of(raw: bytes) -> Attributes:
    """Take a packet apart; that it is whole was checked by the NAS."""
    found, at = [], 20
    while at < len(raw):
        found.append((raw[at], raw[at + 2 : at + raw[at + 1]]))
        at += raw[at + 1]
    return found


def in_words(attributes: Iterable[tuple[int, bytes]], secret: bytes, authenticator: bytes) -> list[str]:
    """Return each attribute of a reply as a transcript says it; ``authenticator`` is that of the request."""
    return [word for number, value in attributes for word in _in_words(number, value, secret, authenticator)]


def _in_words(number: int, value: bytes, secret: bytes, authenticator: bytes) -> list[str]:
    raw = bytes((AccessAccept, 0)) + (22 + len(value)).to_bytes(2, "big") + bytes(16)
    packet = AuthPacket(secret=secret, dict=dictionary(), packet=raw + bytes((number, len(value) + 2)) + value)
    packet.request_authenticator = authenticator
    names = [name for name in packet.keys() if isinstance(name, str)]  # noqa: SIM118 - pyrad's keys() are names
    return [_named(packet, name, value) for name in names] or [f"Attribute-{number}={shown(value)}"]


def _named(packet: AuthPacket, name: str, value: bytes) -> str:
    said = b" ".join(one if isinstance(one, bytes) else str(one).encode() for one in packet[name])
    tagged = dictionary().attributes[name].has_tag and 0 < value[0] <= _HIGHEST_TAG
    return f"{name}{f':{value[0]}' if tagged else ''}={shown(said)}"


def shown(value: bytes) -> str:
    """Return a value in quotes, its odd octets escaped."""
    text = value.decode("utf-8", "surrogateescape")
    return '"' + "".join(one if one.isprintable() and one not in '"\\' else _escaped(one) for one in text) + '"'


def _escaped(one: str) -> str:
    return "".join(f"\\x{octet:02x}" for octet in one.encode("utf-8", "surrogateescape"))
