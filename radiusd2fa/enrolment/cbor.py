"""CBOR as security keys write it, read strictly: one value has one reading.

It refuses what python-fido2's decoder lets through: duplicate keys, null, lengths beyond the end, longer spellings of a
number, and nesting without end. CTAP 2.1, section 8 (message encoding), and RFC 8949; the order of a map's keys is left
free, because nothing here depends on it and some clients write another one.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.enrolment.outcome import MalformedError

Key = int | str
Value = int | str | bytes | bool | list["Value"] | dict[Key, "Value"]

MAX_DEPTH: Final = 4
"""CTAP 2.1, section 8: nested CBOR structures are "limited to at most four (4) levels"."""

_SMALLEST: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""The least number that deserves 1, 2, 4 or 8 octets of its own."""
_FALSE: Final = 20
_TRUE: Final = 21


def read(octets: bytes) -> Value:
    """Return the one value that these octets spell; ValueError for anything else."""
    value, end = read_at(octets, 0)
    if end != len(octets):
        raise MalformedError("something follows the value")
    return value


def read_at(octets: bytes, start: int, depth: int = 0) -> tuple[Value, int]:
    """Return the value that begins there, and where it ends; ValueError when there is none."""
    major, number, at = _head(octets, start)
    match major:
        case 0:
            return number, at
        case 1:
            return -1 - number, at
        case 2:
            return _take(octets, at, number), at + number
        case 3:
            return _take(octets, at, number).decode(), at + number
        case 4 if depth < MAX_DEPTH:
            return _list(octets, at, number, depth + 1)
        case 5 if depth < MAX_DEPTH:
            return _map(octets, at, number, depth + 1)
        case 7 if number in {_FALSE, _TRUE}:
            return number == _TRUE, at
    raise MalformedError("a kind of value that no key sends, or nested too deeply")


def _list(octets: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    values: list[Value] = []
    for _ in range(count):  # however large the count: the octets run out first
        value, at = read_at(octets, at, depth)
        values.append(value)
    return values, at


def _map(octets: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    values: dict[Key, Value] = {}
    for _ in range(count):
        key, at = read_at(octets, at, depth)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise MalformedError("keys are numbers or texts")
        if key in values:
            raise MalformedError("a key stands twice in a map")
        values[key], at = read_at(octets, at, depth)
    return values, at


def _head(octets: bytes, at: int) -> tuple[int, int, int]:
    """Return the major type, its number, and where the content begins."""
    first = _take(octets, at, 1)[0]
    major, short = first >> 5, first & 31
    if short < 24:
        return major, short, at + 1
    if short not in _SMALLEST:
        raise MalformedError("indefinite or reserved length")
    size = 1 << (short - 24)
    number = int.from_bytes(_take(octets, at + 1, size), "big")
    if number < _SMALLEST[short]:
        raise MalformedError("a number is spelt longer than it must be")
    return major, number, at + 1 + size


def _take(octets: bytes, at: int, count: int) -> bytes:
    if count > len(octets) - at:
        raise MalformedError("cut off")
    return octets[at : at + count]
