"""Values as they stand in a packet: wrapped for a vendor, tagged, and hidden where the RFC hides them.

What a value means, or whether it may be sent, is not known here; nothing is cut to fit.
RFC 2865 5.26 (Vendor-Specific), RFC 2868 3.1 (tags) and 3.5 (salt encryption, RFC 2548 2.4.2 too).
"""

from __future__ import annotations

from functools import partial
from hashlib import md5
from typing import Final

from radiusd2fa.core.attributes import VENDOR_OCTETS, ReplyAttribute
from radiusd2fa.radius.attributes import MAX_VALUE

SALT_OCTETS: Final = 2

_BLOCK: Final = 16
_SALT_MARK: Final = 0x8000

# MD5 is what the protocol is made of; this keeps it callable in FIPS builds.
_md5 = partial(md5, usedforsecurity=False)


def capacity(attribute: ReplyAttribute) -> int:
    """How many octets of value one such attribute holds."""
    room = MAX_VALUE - (attribute.layout.header_octets() if attribute.vendor else 0) - (attribute.tag is not None)
    # RFC 2868 3.5: the salt, then whole blocks that begin with the length of the data
    return (room - SALT_OCTETS) // _BLOCK * _BLOCK - 1 if attribute.salted else room


def hidden_octets(octets: int) -> int:
    """How long so many octets of value are when they are hidden."""
    return SALT_OCTETS + -(-(1 + octets) // _BLOCK) * _BLOCK


def wrap(attribute: ReplyAttribute, value: bytes) -> bytes:
    """The value behind its tag and, for a vendor's, behind the vendor's number, type and length (RFC 2865 5.26)."""
    if attribute.tag is not None:
        value = bytes((attribute.tag,)) + value
    if not attribute.vendor:
        return value
    layout = attribute.layout
    inner = layout.header_octets() - VENDOR_OCTETS + len(value)
    return (
        attribute.vendor.to_bytes(VENDOR_OCTETS, "big")
        + attribute.vendor_type.to_bytes(layout.type_octets, "big")
        + (inner.to_bytes(layout.length_octets, "big") if layout.length_octets else b"")
        + (b"\0" if layout.continuation else b"")  # nothing follows in another attribute
        + value
    )


def salt_of(salts: bytes, index: int) -> bytes:
    """The salt of the index-th hidden value of a packet."""
    if len(salts) < SALT_OCTETS:
        raise ValueError(f"{SALT_OCTETS} octets of salt are needed")
    # RFC 2868 3.5: "The most significant bit (leftmost) of the Salt field MUST be set (1). The contents of each Salt
    # field in a given Access-Accept packet MUST be unique." Counting on from a start that nobody foresees does both.
    counted = int.from_bytes(salts[:SALT_OCTETS], "big") + index
    return (_SALT_MARK | counted % _SALT_MARK).to_bytes(SALT_OCTETS, "big")


def hide(value: bytes, salt: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """Salt and hidden value (RFC 2868 3.5)."""
    plain = bytes((len(value),)) + value
    plain += bytes(-len(plain) % _BLOCK)
    hidden, previous = b"", authenticator + salt
    for at in range(0, len(plain), _BLOCK):
        mask = _md5(secret + previous).digest()
        previous = bytes(left ^ right for left, right in zip(plain[at : at + _BLOCK], mask, strict=True))
        hidden += previous
    return salt + hidden
