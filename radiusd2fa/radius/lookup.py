"""From the name that a site has written to the attribute on the wire.

Nothing is encoded here and no value looked at; what the wire of this server cannot carry is refused with a sentence.
RFC 2865 5.26 (Vendor-Specific), RFC 2868 3.1 (tags), RFC 6929 (extended types, which are refused).
"""

from __future__ import annotations

from radiusd2fa.core.attributes import HIGHEST_TAG, VENDOR_SPECIFIC, Layout
from radiusd2fa.core.record import record
from radiusd2fa.radius.data_types import COMPOSITE, AttributeFault
from radiusd2fa.radius.dictionary import AttributeType, Dictionary


@record
class Place:
    """Where an attribute is on the wire."""

    kind: AttributeType
    number: int
    vendor: int
    vendor_type: int
    layout: Layout
    tag: int | None
    """As written behind the name: ``Tunnel-Type:1``."""


def look_up(dictionary: Dictionary, name: str) -> Place:
    """Find an attribute by its name, with or without a tag. AttributeFault says why there is none to be used."""
    kind, tag = dictionary.find(name), None
    if kind is None and ":" in name:
        plain, _, written = name.rpartition(":")
        kind = dictionary.find(plain)
        tag = _tag(kind, written) if kind is not None else None
    if kind is None:
        near = dictionary.closest(name.partition(":")[0])
        remedy = f"did you mean {' or '.join(near)}?" if near else "add the file that defines it to dictionaries"
        raise AttributeFault("no dictionary has this attribute", remedy)
    _refuse_depth(kind)
    number = kind.path[0]
    if kind.vendor is None:
        if not 0 < number < 256:
            raise AttributeFault("it is no attribute of packets: its number is over 255", "leave it out")
        return Place(kind, number, 0, 0, Layout(), tag)
    layout = kind.vendor.layout
    if not 0 <= number < 256**layout.type_octets:
        raise AttributeFault("its number does not fit the vendor's format", "correct the dictionary")
    return Place(kind, VENDOR_SPECIFIC, kind.vendor.number, number, layout, tag)


def _tag(kind: AttributeType, written: str) -> int:
    if not kind.tagged:
        raise AttributeFault("this attribute has no tags", "leave out the colon and what follows it")
    # RFC 2868 3.1: "Valid values for this field are 0x01 through 0x1F, inclusive."
    if not (written.isascii() and written.isdigit() and len(written) <= 2 and 1 <= int(written) <= HIGHEST_TAG):
        raise AttributeFault("the tag behind the colon is none", f"write a number from 1 to {HIGHEST_TAG}")
    return int(written)


def _refuse_depth(kind: AttributeType) -> None:
    if kind.extended or len(kind.path) > 1 or kind.kind in COMPOSITE:
        raise AttributeFault(
            f"it is of the type {kind.kind} or inside such an attribute, which is not supported",
            "use an attribute of a simple type",
        )
