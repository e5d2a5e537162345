"""Search filters with places in them: read once from the settings, then filled with names (RFC 4515).

A name is put into the finished structure and never into text: whatever characters it has, it is one value, and no
parenthesis, star, backslash or NUL of it means anything. The string form is read as RFC 4515 3 writes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from radiusd2fa.directory import ber

_AND, _OR, _NOT = 0xA0, 0xA1, 0xA2
_EQUAL, _SUBSTRINGS, _PRESENT, _EXTENSIBLE = 0xA3, 0xA4, 0x87, 0xA9
_COMPARISONS: Final = {"=": _EQUAL, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82
_RULE, _TYPE, _VALUE, _DN_ATTRIBUTES = 0x81, 0x82, 0x83, 0x84

IN_CHAIN: Final = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_IN_CHAIN: Active Directory walks through groups within groups by itself."""

_ATTRIBUTE: Final = r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)(?:;[A-Za-z0-9-]+)*"
_ITEM: Final = re.compile(rf"({_ATTRIBUTE})(>=|<=|~=|=)")
_EXTENSIBLE_ITEM: Final = re.compile(rf"({_ATTRIBUTE})?(:[dD][nN])?(?::([A-Za-z0-9.-]+))?:=")
_PIECE: Final = re.compile(r"\\([0-9A-Fa-f]{2})|\{([a-z]+)\}|([^\\{}()*\0]+)")
_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name goes."""

    name: str


Value = tuple[bytes | Place, ...]
Names = Mapping[str, bytes]


def fill(value: Value, names: Names) -> bytes:
    """Return a value with every name in its place."""
    return b"".join([piece if isinstance(piece, bytes) else names[piece.name] for piece in value])


@dataclass(frozen=True, slots=True)
class Several:
    """Filters that are joined by *and*, *or*, or one that is denied."""

    tag: int
    parts: tuple[Filter, ...]

    def encode(self, names: Names) -> bytes:
        """Return the octets of a search request's filter."""
        return ber.element(self.tag, *(part.encode(names) for part in self.parts))


@dataclass(frozen=True, slots=True)
class Comparison:
    """An attribute's value compared with one of ours; an extensible one may name a matching rule."""

    attribute: str
    tag: int
    value: Value
    rule: str = ""
    dn_attributes: bool = False

    def encode(self, names: Names) -> bytes:
        """Return the octets of a search request's filter."""
        value = fill(self.value, names)
        if self.tag != _EXTENSIBLE:
            return ber.element(self.tag, ber.octets(self.attribute), ber.octets(value))
        parts = [ber.octets(self.rule, _RULE)] if self.rule else []
        parts += [ber.octets(self.attribute, _TYPE)] if self.attribute else []
        parts.append(ber.octets(value, _VALUE))
        parts += [ber.element(_DN_ATTRIBUTES, b"\xff")] if self.dn_attributes else []
        return ber.element(_EXTENSIBLE, *parts)


@dataclass(frozen=True, slots=True)
class Substrings:
    """Parts of a value, with anything between them."""

    attribute: str
    parts: tuple[tuple[int, Value], ...]

    def encode(self, names: Names) -> bytes:
        """Return the octets of a search request's filter."""
        parts = [ber.octets(fill(value, names), tag) for tag, value in self.parts]
        return ber.element(_SUBSTRINGS, ber.octets(self.attribute), ber.element(ber.SEQUENCE, *parts))


@dataclass(frozen=True, slots=True)
class Present:
    """Whether there is any value at all."""

    attribute: str

    def encode(self, _: Names) -> bytes:
        """Return the octets of a search request's filter."""
        return ber.octets(self.attribute, _PRESENT)


Filter = Several | Comparison | Substrings | Present


def equality(attribute: str, value: bytes) -> bytes:
    """Return the octets of the simplest filter."""
    return Comparison(attribute, _EQUAL, (value,)).encode({})


def any_of(filters: list[bytes]) -> bytes:
    """Join encoded filters by *or*."""
    return filters[0] if len(filters) == 1 else ber.element(_OR, *filters)


def parse_filter(text: str, places: frozenset[str]) -> Filter:
    """Read a filter. ValueError: a sentence that says what is wrong with it."""
    found, at = _filter(text, 0, places, 0)
    if at != len(text):
        raise ValueError(f"something follows the filter, from character {at + 1} on")
    return found


def compared_with(one: Filter, places: frozenset[str]) -> Iterator[Comparison]:
    """Name the comparisons that must hold for an entry to be somebody of that name, or one of which must."""
    match one:
        case Several(tag, parts) if tag != _NOT:
            for part in parts:
                yield from compared_with(part, places)
        case Comparison(attribute, tag, value) if attribute and tag in {_EQUAL, _EXTENSIBLE}:
            if any(isinstance(piece, Place) and piece.name in places for piece in value):
                yield one


def through_groups(one: Filter, place: str) -> Filter:
    """Return the filter with every ``(attribute={place})`` walking through groups within groups."""
    match one:
        case Several(tag, parts):
            return Several(tag, tuple(through_groups(part, place) for part in parts))
        case Comparison(attribute, tag, value) if tag == _EQUAL and value == (Place(place),):
            return Comparison(attribute, _EXTENSIBLE, value, IN_CHAIN)
    return one


def _filter(text: str, at: int, places: frozenset[str], depth: int) -> tuple[Filter, int]:
    if depth > _DEEPEST:
        raise ValueError("the filter is nested too deeply")
    if text[at : at + 1] != "(":
        raise ValueError(f'a "(" is missing at character {at + 1}')
    sign = text[at + 1 : at + 2]
    found: Filter
    if sign in {"&", "|"}:
        found, at = _joined(text, at + 2, places, depth, _AND if sign == "&" else _OR)
    elif sign == "!":
        inner, at = _filter(text, at + 2, places, depth + 1)
        found = Several(_NOT, (inner,))
    else:
        found, at = _item(text, at + 1, places)
    if text[at : at + 1] != ")":
        raise ValueError(f'a ")" is missing, or something should be escaped, at character {at + 1}')
    return found, at + 1


def _joined(text: str, at: int, places: frozenset[str], depth: int, tag: int) -> tuple[Filter, int]:
    parts = []
    while text[at : at + 1] == "(":
        part, at = _filter(text, at, places, depth + 1)
        parts.append(part)
    if not parts:
        raise ValueError(f'nothing follows the "&" or "|" at character {at}')
    return Several(tag, tuple(parts)), at


def _item(text: str, at: int, places: frozenset[str]) -> tuple[Filter, int]:
    if simple := _ITEM.match(text, at):
        values, end = _values(text, simple.end(), places)
        return _simple(simple[1], simple[2], values), end
    extensible = _EXTENSIBLE_ITEM.match(text, at)
    if extensible and (extensible[1] or extensible[3]):
        values, end = _values(text, extensible.end(), places)
        if len(values) != 1:
            raise ValueError('a star has no place after ":="')
        attribute, dn, rule = extensible.groups(default="")
        return Comparison(attribute, _EXTENSIBLE, values[0], rule, bool(dn)), end
    raise ValueError(f"no comparison such as uid={{name}} at character {at + 1}")


def _simple(attribute: str, sign: str, values: list[Value]) -> Filter:
    match values:
        case [value]:
            return Comparison(attribute, _COMPARISONS[sign], value)
        case _ if sign != "=":
            raise ValueError(f'a star has no place after "{sign}"')
        case [(), ()]:
            return Present(attribute)
    first, *between, last = values
    if not all(between):
        raise ValueError("two stars follow each other")
    parts = [(_INITIAL, first)] if first else []
    parts += [(_ANY, value) for value in between]
    parts += [(_FINAL, last)] if last else []
    return Substrings(attribute, tuple(parts))


def _values(text: str, at: int, places: frozenset[str]) -> tuple[list[Value], int]:
    """Read values with stars between them."""
    values: list[list[bytes | Place]] = [[]]
    while at < len(text) and text[at] != ")":
        if text[at] == "*":
            values.append([])
            at += 1
            continue
        piece = _PIECE.match(text, at)
        if piece is None:
            raise ValueError(f"character {at + 1} must be escaped, as \\{ord(text[at]):02x}")
        values[-1].append(_piece(piece, places))
        at = piece.end()
    return [tuple(value) for value in values], at


def _piece(piece: re.Match[str], places: frozenset[str]) -> bytes | Place:
    octet, place, literal = piece.groups()
    if octet:
        return bytes.fromhex(octet)
    if place is None:
        return str(literal).encode()
    if place not in places:
        raise ValueError(f"there is no {{{place}}} here, only {{{'}, {'.join(sorted(places))}}}")
    return Place(place)


Take = Callable[[str], str | None]


def taking(comparison: Comparison) -> Take:
    """Return what takes the name back out of an attribute's value that such a comparison has found."""
    pattern = "".join(
        re.escape(piece.decode(errors="replace")) if isinstance(piece, bytes) else "(.+)" for piece in comparison.value
    )
    whole = re.compile(pattern, re.IGNORECASE | re.DOTALL)

    def take(value: str) -> str | None:
        match = whole.fullmatch(value)
        return match[1] if match else None

    return take
