"""Data types: what a site writes as text, as the octets of one attribute's value.

Nothing is guessed or cut: what does not fit its type is a fault, and a fault never repeats the value, for it may be a
secret. RFC 8044 3 names the types; the older names are those of FreeRADIUS' dictionaries.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final


class DataType(StrEnum):
    """The types of values, by the name that dictionaries give them."""

    STRING = "string"
    OCTETS = "octets"
    INTEGER = "integer"
    BYTE = "byte"
    SHORT = "short"
    SIGNED = "signed"
    INTEGER64 = "integer64"
    DATE = "date"
    IPADDR = "ipaddr"
    IPV6ADDR = "ipv6addr"
    IPV4PREFIX = "ipv4prefix"
    IPV6PREFIX = "ipv6prefix"
    COMBO_IP = "combo-ip"
    IFID = "ifid"
    ETHER = "ether"
    ABINARY = "abinary"
    TLV = "tlv"
    STRUCT = "struct"
    VSA = "vsa"
    EXTENDED = "extended"
    LONG_EXTENDED = "long-extended"
    EVS = "evs"


TYPE_NAMES: Final[Mapping[str, DataType]] = {kind.value: kind for kind in DataType} | {
    # RFC 8044 calls text "text" and octets "string"; a dictionary that says "string" means text.
    "text": DataType.STRING,
    "enum": DataType.INTEGER,
    "time": DataType.DATE,
    "ipv4addr": DataType.IPADDR,
    "bool": DataType.BYTE,
    "uint8": DataType.BYTE,
    "uint16": DataType.SHORT,
    "uint32": DataType.INTEGER,
    "uint64": DataType.INTEGER64,
    "int32": DataType.SIGNED,
}

RANGES: Final[Mapping[DataType, tuple[int, int]]] = {
    DataType.BYTE: (0, 0xFF),
    DataType.SHORT: (0, 0xFFFF),
    DataType.INTEGER: (0, 0xFFFF_FFFF),
    DataType.SIGNED: (-0x8000_0000, 0x7FFF_FFFF),
    DataType.INTEGER64: (0, 0xFFFF_FFFF_FFFF_FFFF),
    DataType.DATE: (0, 0xFFFF_FFFF),
}
"""The types that are numbers, and what they hold."""

COMPOSITE: Final = frozenset(
    {
        DataType.ABINARY,
        DataType.TLV,
        DataType.STRUCT,
        DataType.VSA,
        DataType.EXTENDED,
        DataType.LONG_EXTENDED,
        DataType.EVS,
    }
)
"""The types that hold more than one value."""

_FEW: Final = 8
"""Names that a fault can still list."""
_WIDTHS: Final = {DataType.BYTE: 1, DataType.SHORT: 2, DataType.INTEGER64: 8}
_TAGGED_MAX: Final = 0xFF_FFFF

_NUMBER: Final = re.compile(r"-?[0-9]{1,20}|0[xX][0-9A-Fa-f]{1,16}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_ETHER: Final = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}")
_IFID: Final = re.compile(r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){3}")
_PREFIX_LENGTH: Final = re.compile(r"/[0-9]{1,3}$")
_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[Zz]|\+00:00)",
)


class AttributeFault(ValueError):  # noqa: N818  what it is, not that it is an error
    """An attribute that a site has written cannot be used: what is wrong, and what to write instead."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


def is_printable(text: str) -> bool:
    """Whether text can stand in a packet and a log line: no controls, no invisible characters, no space but U+0020."""
    return text.isprintable()


def is_text(kind: DataType, value: str) -> bool:
    """Whether a value is written as text: octets are so too, unless they begin with ``0x``."""
    return kind is DataType.STRING or (kind is DataType.OCTETS and not value.startswith(("0x", "0X")))


def encode_text(text: str) -> bytes:
    """Text as UTF-8 (RFC 8044 3.4)."""
    if not text:
        raise AttributeFault("the value is empty", "leave the attribute out, or give it a value (RFC 2865 5)")
    if not is_printable(text):
        raise AttributeFault("the value has control or invisible characters", "write printable text")
    return text.encode()


def encode_octets(text: str) -> bytes:
    """Octets, written as hex digits behind ``0x`` or else as the text that they spell (RFC 8044 3.5)."""
    if is_text(DataType.OCTETS, text):
        return encode_text(text)
    if not _HEX.fullmatch(text, 2):
        raise AttributeFault("what begins with 0x must go on with hex digits in pairs", "write it like 0x0a1b2c")
    return bytes.fromhex(text[2:])


def encode_value(kind: DataType, text: str, names: Mapping[str, int], *, tagged: bool = False) -> bytes:
    """The octets of one value. ``names`` are what the dictionary calls some numbers.

    ``tagged`` numbers have three octets, since the tag takes the first (RFC 2868 3.1).
    """
    if kind in RANGES:
        return _encode_number(kind, text, names, tagged=tagged)
    if kind in COMPOSITE:
        raise AttributeFault(f"attributes of the type {kind} cannot be written here", "use one of a simple type")
    try:
        return _ENCODERS[kind](text)
    except AttributeFault:
        raise
    except ValueError:
        wanted, example = _WANTED[kind]
        raise AttributeFault(f"the value must be {wanted}", f"write it like {example}") from None


def _encode_number(kind: DataType, text: str, names: Mapping[str, int], *, tagged: bool) -> bytes:
    number = next((number for name, number in names.items() if name.lower() == text.lower()), None)
    if number is None and kind is DataType.DATE:
        number = _seconds(text)
    if number is None and _NUMBER.fullmatch(text):
        number = int(text, 16 if text[:2] in {"0x", "0X"} else 10)
    least, most = RANGES[kind]
    if tagged:
        most = min(most, _TAGGED_MAX)
    if number is None:
        raise AttributeFault(*_no_number(kind, text, names, f"a number from {least} to {most}"))
    if not least <= number <= most:
        raise AttributeFault("the number is out of range", f"write one from {least} to {most}")
    width = 3 if tagged else _WIDTHS.get(kind, 4)
    return number.to_bytes(width, "big", signed=kind is DataType.SIGNED)


def _no_number(kind: DataType, text: str, names: Mapping[str, int], number: str) -> tuple[str, str]:
    if kind is DataType.DATE:
        return "the value must be a moment", "write it like 2026-12-31T23:59:59Z, or as seconds since 1970"
    if not names:
        return "the value must be a number", f"write {number}"
    near = list(names) if len(names) <= _FEW else get_close_matches(text, names, n=3)
    return "the dictionary has no such value", f"write {number}" + "".join(f", or {name}" for name in near)


def _seconds(text: str) -> int | None:
    """Seconds since 1970 of a moment as RFC 3339 writes it, in UTC; None when it is no such moment."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _ipv4_address(text: str) -> bytes:
    return IPv4Address(text).packed


def _ipv6_address(text: str) -> bytes:
    address = IPv6Address(text)
    if address.scope_id is not None:
        raise AttributeFault("an address in a packet has no zone", "leave out what begins with %")
    return address.packed


def _either_address(text: str) -> bytes:
    return _ipv6_address(text) if ":" in text else _ipv4_address(text)


def _ipv4_prefix(text: str) -> bytes:
    network = IPv4Network(_with_prefix_length(text))
    # RFC 8044 3.11: an octet "Reserved", the length of the prefix, and always all four octets of it
    return bytes((0, network.prefixlen)) + network.network_address.packed


def _ipv6_prefix(text: str) -> bytes:
    network = IPv6Network(_with_prefix_length(text))
    # RFC 8044 3.10: "The Prefix field SHOULD NOT contain more octets than necessary to encode the Prefix field."
    octets = -(-network.prefixlen // 8)
    return bytes((0, network.prefixlen)) + network.network_address.packed[:octets]


def _with_prefix_length(text: str) -> str:
    # The module would take a lone address for a prefix of one, and a netmask for a length.
    if not _PREFIX_LENGTH.search(text):
        raise ValueError
    return text


def _interface_id(text: str) -> bytes:
    if not _IFID.fullmatch(text):
        raise ValueError
    return b"".join(int(part, 16).to_bytes(2, "big") for part in text.split(":"))


def _ethernet_address(text: str) -> bytes:
    if not _ETHER.fullmatch(text):
        raise ValueError
    return bytes.fromhex(text.replace(":", "").replace("-", ""))


_ENCODERS: Final[Mapping[DataType, Callable[[str], bytes]]] = {
    DataType.STRING: encode_text,
    DataType.OCTETS: encode_octets,
    DataType.IPADDR: _ipv4_address,
    DataType.IPV6ADDR: _ipv6_address,
    DataType.COMBO_IP: _either_address,
    DataType.IPV4PREFIX: _ipv4_prefix,
    DataType.IPV6PREFIX: _ipv6_prefix,
    DataType.IFID: _interface_id,
    DataType.ETHER: _ethernet_address,
}

_WANTED: Final[Mapping[DataType, tuple[str, str]]] = {
    DataType.IPADDR: ("an IPv4 address", "192.0.2.1"),
    DataType.IPV6ADDR: ("an IPv6 address", "2001:db8::1"),
    DataType.COMBO_IP: ("an IP address", "192.0.2.1 or 2001:db8::1"),
    DataType.IPV4PREFIX: ("an IPv4 network without bits behind its prefix", "192.0.2.0/24"),
    DataType.IPV6PREFIX: ("an IPv6 network without bits behind its prefix", "2001:db8::/32"),
    DataType.IFID: ("an interface identifier", "0:0:0:1"),
    DataType.ETHER: ("an Ethernet address", "02:00:5e:10:00:00"),
}
"""What a value must be that is none, and an example of it."""
