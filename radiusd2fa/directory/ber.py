"""The few forms of ASN.1 BER that LDAP uses (RFC 4511 5.1), written and read.

Reading never copies what it has no room for, never recurses, and refuses what LDAP does not allow: indefinite lengths,
tags of several octets, elements that end beyond their parent. X.690 8.1 is the rest of the truth.
"""

from __future__ import annotations

from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTETS: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31

_LONG_FORM: Final = 0x80
_MANY_OCTETS: Final = 0x1F
_LONGEST_LENGTH: Final = 4
"""Octets of a length; Active Directory always spends four."""
_LONGEST_HEADER: Final = 2 + _LONGEST_LENGTH
_LONGEST_INTEGER: Final = 8
MOST_ELEMENTS: Final = 8192
"""In one parent: reading must not take the time of other people's logins."""


class MalformedError(ValueError):
    """These octets are not what LDAP calls BER."""


def element(tag: int, *parts: bytes) -> bytes:
    """Write one element with these octets as its content."""
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    length = len(content)
    if length < _LONG_FORM:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, _LONG_FORM | size)) + length.to_bytes(size, "big") + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Write a whole number that is not negative."""
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def boolean(value: bool) -> bytes:  # it is the value itself
    """Write a truth value; RFC 4511 5.1 wants true to be FF."""
    return element(BOOLEAN, b"\xff" if value else b"\0")


def octets(value: bytes | str, tag: int = OCTETS) -> bytes:
    """Write octets, or a text as UTF-8."""
    return element(tag, value.encode() if isinstance(value, str) else value)


def size_of(data: bytes | bytearray, at: int = 0) -> int | None:
    """Return how many octets the element that starts ``at`` has, header included; None until that can be told."""
    header = _header(data, at)
    return None if header is None else header[1] - at


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """Read the elements that fill ``data``: their tags and contents."""
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while at < end:
        header = _header(data, at)
        if header is None or header[1] > end:
            raise MalformedError("an element ends beyond its parent")
        if len(found) == MOST_ELEMENTS:
            raise MalformedError("too many elements")
        start, stop = header
        found.append((data[at], data[start:stop]))
        at = stop
    return found


def number(content: bytes) -> int:
    """Read the content of an INTEGER or ENUMERATED."""
    if not 0 < len(content) <= _LONGEST_INTEGER:
        raise MalformedError("a number of no sensible length")
    return int.from_bytes(content, "big", signed=True)


def _header(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return where the content starts and where it ends."""
    if len(data) < at + 2:
        if len(data) > at:
            _check_tag(data[at])
        return None
    _check_tag(data[at])
    length = data[at + 1]
    start = at + 2
    if length >= _LONG_FORM:
        size = length - _LONG_FORM
        # RFC 4511 5.1: "Only the definite form of length encoding is used."
        if not 0 < size <= _LONGEST_LENGTH:
            raise MalformedError("a length that LDAP does not allow")
        start += size
        if len(data) < start:
            return None
        length = int.from_bytes(data[start - size : start], "big")
    return start, start + length


def _check_tag(tag: int) -> None:
    if tag & _MANY_OCTETS == _MANY_OCTETS:
        raise MalformedError("a tag of several octets")
