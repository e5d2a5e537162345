"""Attributes as a rule speaks of them: what an Access-Accept says about a person, and what a request must say to fit.

Values only, made by ``radius.reply`` and ``radius.condition``; no name is looked up here and nothing is encoded.
RFC 2865 5 and 5.26 (Vendor-Specific), RFC 2868 3 (tags).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from typing import Final

from radiusd2fa.core.record import record

VENDOR_SPECIFIC: Final = 26
VENDOR_OCTETS: Final = 4
"""Of a vendor's number."""
HIGHEST_TAG: Final = 0x1F


@record
class Person:
    """Whom a reply speaks about: all names canonical (core.names)."""

    user: str
    """The whole name."""
    name: str
    """It without its realm."""
    realm: str = ""
    groups: tuple[str, ...] = ()


class Substitution(StrEnum):
    """What ``%{…}`` in a reply attribute can stand for."""

    USER = "user"
    NAME = "name"
    REALM = "realm"
    GROUP = "group"
    """Each of the person's groups that the rule names, in an attribute of its own."""


@record
class Layout:
    """In how many octets a vendor writes type and length inside Vendor-Specific (``format=`` in a dictionary)."""

    type_octets: int = 1
    length_octets: int = 1
    """0: there is no length, the rest of the attribute is the value."""
    continuation: bool = False
    """Whether one octet behind the length says if more of the value follows (WiMAX)."""

    def header_octets(self) -> int:
        """What stands before the value, the vendor's number included."""
        return VENDOR_OCTETS + self.type_octets + self.length_octets + self.continuation


@record
class ReplyAttribute:
    """One attribute that an Access-Accept gets, checked and ready but for what depends on the login."""

    name: str
    """As the site wrote it, for messages: ``Tunnel-Type:1``."""
    number: int
    """The type on the wire; 26 for a vendor's."""
    vendor: int = 0
    """The vendor's number (IANA enterprise number); 0: none."""
    vendor_type: int = 0
    layout: Layout = Layout()
    tag: int | None = None
    """The octet in front of the value (RFC 2868 3.1); None: there is none."""
    salted: bool = False
    """Whether the value is hidden as RFC 2868 3.5 does it for Tunnel-Password."""
    pair: tuple[int, bytes] | None = field(default=None, repr=False)
    """Type and value when they are the same in every login; else ``template`` says what they are made of."""
    template: tuple[bytes | Substitution, ...] = field(default=(), repr=False)
    groups: tuple[tuple[str, str], ...] = ()
    """For GROUP: canonical name, and what is sent for it."""
    single: bool = False
    """Whether an Access-Accept holds at most one of this kind."""


@record
class AttributeCondition:
    """An attribute of the request that must have one of some values. Octets count: case and blanks are told apart."""

    name: str
    """As the site wrote it, for messages: ``NAS-Identifier``."""
    number: int
    vendor: int = 0
    vendor_type: int = 0
    layout: Layout = Layout()
    tagged: bool = False
    """Whether a tag may stand in front of the value; it is not compared."""
    values: frozenset[bytes] = frozenset()
    prefixes: tuple[bytes, ...] = ()

    def fits(self, attributes: Sequence[tuple[int, bytes]]) -> bool:
        """Whether any of the request's attributes of this kind has one of the values, or begins with a prefix."""
        number = self.number
        for kind, value in attributes:
            if kind == number:
                if not self.vendor:
                    if self._has(value):
                        return True
                elif any(map(self._has, self._of_vendor(value))):
                    return True
        return False

    def exact(self) -> tuple[tuple[int, bytes], ...]:
        """Return what the request must hold one of, as it is; nothing where that cannot be said so simply."""
        if self.vendor or self.tagged or self.prefixes:
            return ()
        return tuple((self.number, value) for value in sorted(self.values))

    def _has(self, value: bytes) -> bool:
        if self.tagged and value and value[0] <= HIGHEST_TAG:
            value = value[1:]
        return value in self.values or value.startswith(self.prefixes)

    def _of_vendor(self, value: bytes) -> list[bytes]:
        """The values of this kind in one Vendor-Specific. What is cut off or contradicts itself ends the search."""
        found: list[bytes] = []
        if len(value) < VENDOR_OCTETS or int.from_bytes(value[:VENDOR_OCTETS]) != self.vendor:
            return found
        type_octets, length_octets = self.layout.type_octets, self.layout.length_octets
        head = type_octets + length_octets + self.layout.continuation
        at = VENDOR_OCTETS
        # RFC 2865 5.26: "Multiple subattributes MAY be encoded within a single Vendor-Specific attribute".
        while at + head <= len(value):
            kind = int.from_bytes(value[at : at + type_octets])
            length = int.from_bytes(value[at + type_octets : at + type_octets + length_octets])
            end = at + length if length_octets else len(value)
            if not at + head <= end <= len(value):
                break
            if kind == self.vendor_type:
                found.append(value[at + head : end])
            at = end
        return found
