"""Conditions on attributes of a request: what fits, what does not, and what no octets can do to them.

Values are made by hand here; ``tests/radius/test_reply.py`` makes them from names.
RFC 2865 5.26, RFC 2868 3.1.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.attributes import AttributeCondition, Layout

NAS_IDENTIFIER: Final = 32
TUNNEL_TYPE: Final = 64

IDENTIFIER: Final = AttributeCondition("NAS-Identifier", NAS_IDENTIFIER, values=frozenset({b"core-1", b"core-2"}))
EDGE: Final = AttributeCondition("NAS-Identifier", NAS_IDENTIFIER, prefixes=(b"edge-",))
VENDOR: Final = AttributeCondition("PaloAlto-Client-OS", 26, 25461, 8, values=frozenset({b"Linux"}))

PALO_ALTO: Final = (25461).to_bytes(4, "big")


def sub(kind: int, value: bytes) -> bytes:
    """A vendor's attribute in the usual layout."""
    return bytes((kind, 2 + len(value))) + value


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [(31, b"core-1")],
        [(NAS_IDENTIFIER, b"")],
        [(NAS_IDENTIFIER, b"core-3")],
        [(NAS_IDENTIFIER, b"core-1\0")],
        [(NAS_IDENTIFIER, b"Core-1")],
        [(NAS_IDENTIFIER, b"core-")],
        [(26, b"core-1")],
    ],
)
def test_another_value_does_not_fit(attributes: list[tuple[int, bytes]]) -> None:
    """Nothing fits but the very octets, in an attribute of that kind."""
    assert not IDENTIFIER.fits(attributes)


def test_one_of_several_is_enough() -> None:
    """Any of the request's attributes of the kind may have any of the values."""
    assert IDENTIFIER.fits([(1, b"alice"), (NAS_IDENTIFIER, b"other"), (NAS_IDENTIFIER, b"core-2")])


def test_a_prefix_fits_what_begins_so() -> None:
    """A prefix fits itself and all that is longer, and nothing that only contains it."""
    assert EDGE.fits([(NAS_IDENTIFIER, b"edge-berlin")])
    assert EDGE.fits([(NAS_IDENTIFIER, b"edge-")])
    assert not EDGE.fits([(NAS_IDENTIFIER, b"edge")])
    assert not EDGE.fits([(NAS_IDENTIFIER, b"my-edge-1")])


def test_a_condition_without_values_fits_nothing() -> None:
    """Where nothing is allowed nothing fits, not even an empty value."""
    assert not AttributeCondition("x", NAS_IDENTIFIER).fits([(NAS_IDENTIFIER, b""), (NAS_IDENTIFIER, b"x")])


@pytest.mark.parametrize(
    "value",
    [
        b"",
        PALO_ALTO,
        PALO_ALTO[:3],
        PALO_ALTO + b"\x08",
        PALO_ALTO + sub(7, b"Linux"),
        PALO_ALTO + sub(8, b"Windows"),
        PALO_ALTO + b"\x08\x06Linux",  # its length says "Linu"
        PALO_ALTO + b"\x08\x08Linux",  # its length reaches beyond the end
        PALO_ALTO + b"\x08\x00Linux",
        PALO_ALTO + b"\x08\x01Linux",
        PALO_ALTO + b"\x07\x00" + sub(8, b"Linux"),  # nonsense ends the search
        (9).to_bytes(4, "big") + sub(8, b"Linux"),
        sub(8, b"Linux"),
    ],
)
def test_another_vendor_attribute_does_not_fit(value: bytes) -> None:
    """Vendor, type and value must all be right, and the lengths must be true."""
    assert not VENDOR.fits([(26, value)])


def test_a_vendors_attributes_may_come_together() -> None:
    """Several attributes of a vendor in one Vendor-Specific are all looked at, in several of them too."""
    assert VENDOR.fits([(26, PALO_ALTO + sub(8, b"Linux"))])
    assert VENDOR.fits([(26, PALO_ALTO + sub(9, b"pc") + sub(8, b"") + sub(8, b"Linux"))])
    assert VENDOR.fits([(26, (9).to_bytes(4, "big") + sub(8, b"x")), (26, PALO_ALTO + sub(8, b"Linux"))])


@pytest.mark.parametrize(
    ("layout", "inner"),
    [
        (Layout(2, 1), b"\x00\x08\x08Linux"),
        (Layout(2, 2), b"\x00\x08\x00\x09Linux"),
        (Layout(4, 0), b"\x00\x00\x00\x08Linux"),
        (Layout(1, 1, continuation=True), b"\x08\x08\x00Linux"),
        (Layout(1, 0), b"\x08Linux"),
    ],
)
def test_each_layout_of_vendors_is_read(layout: Layout, inner: bytes) -> None:
    """Type and length in one, two, four or no octets are found where they are, and read as nothing else elsewhere."""
    condition = AttributeCondition("x", 26, 25461, 8, layout, values=frozenset({b"Linux"}))
    assert condition.fits([(26, PALO_ALTO + inner)])
    assert not VENDOR.fits([(26, PALO_ALTO + inner)])
    assert not condition.fits([(26, PALO_ALTO + inner[:-1])])


def test_a_tag_is_not_compared() -> None:
    """A value fits behind any tag, and text without one; what is above 0x1F is no tag."""
    text = AttributeCondition("Tunnel-Client-Endpoint", 66, tagged=True, values=frozenset({b"10.0.0.1"}))
    assert text.fits([(66, b"\x0110.0.0.1")])
    assert text.fits([(66, b"10.0.0.1")])
    assert not text.fits([(66, b"\x2010.0.0.1")])
    assert not text.fits([(66, b"\x01\x0110.0.0.1")])
    number = AttributeCondition("Tunnel-Type", TUNNEL_TYPE, tagged=True, values=frozenset({b"\0\0\x0d"}))
    assert number.fits([(TUNNEL_TYPE, b"\x1f\0\0\x0d")])
    assert not number.fits([(TUNNEL_TYPE, b"\x1f\0\0\x0c")])


@given(
    value=st.binary(max_size=253),
    layout=st.sampled_from([Layout(), Layout(2, 1), Layout(2, 2), Layout(4, 0), Layout(1, 1, continuation=True)]),
)
def test_no_octets_break_the_search(value: bytes, layout: Layout) -> None:
    """Whatever stands in a Vendor-Specific, the search ends with an answer."""
    condition = AttributeCondition("x", 26, 25461, 8, layout, values=frozenset({b"Linux"}))
    assert condition.fits([(26, PALO_ALTO + value), (26, value)]) in {True, False}


@given(
    others=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6),
    wanted=st.binary(min_size=1, max_size=40),
)
def test_a_value_that_is_there_is_found(others: list[tuple[int, bytes]], wanted: bytes) -> None:
    """A sub-attribute with the wanted value fits behind whatever well-formed ones stand before it."""
    inner = b"".join(sub(kind, value) for kind, value in others)
    condition = AttributeCondition("x", 26, 25461, 8, values=frozenset({wanted}))
    if len(inner) + len(wanted) + 6 <= 253:
        assert condition.fits([(26, PALO_ALTO + inner + sub(8, wanted))])
