"""A reply of an upstream server: whether it answers our request, whether that server made it, and what it says.

Nothing here repairs a reply, and no octet of one is believed before both signatures have been found right.
RFC 2865 3 (Response Authenticator); RFC 3579 3.2 (Message-Authenticator); CVE-2024-3596 is why both are asked for.
"""

from __future__ import annotations

import hmac
from hashlib import md5
from struct import Struct
from typing import Final

from radiusd2fa.radius.attributes import Attribute
from radiusd2fa.radius.packet import (
    HEADER_LENGTH,
    MAX_ATTRIBUTES,
    MAX_LENGTH,
    Code,
    MalformedPacket,
    Packet,
    verify_message_authenticator,
)

UNSIGNED: Final = "no_message_authenticator"
"""The reason of a reply that is right but for the signature it lacks."""

_HEADER: Final = Struct(">BBH")  # Code, Identifier, Length
_SIGNATURE: Final = 16
_REPLIES: Final = frozenset({Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE})
_ONCE: Final = {
    Attribute.STATE.value: "two_states",
    Attribute.MESSAGE_AUTHENTICATOR.value: "two_message_authenticators",
}
"""Attributes that decide what a reply means, and the name of the fault when one comes twice."""


def read_reply(datagram: bytes, request: bytes, secret: bytes, *, require_message_authenticator: bool = True) -> Packet:
    """Take the reply to ``request`` apart, or raise MalformedPacket: then it is to be ignored, whatever it says.

    A Message-Authenticator that is there must be right, required or not.
    """
    size = len(datagram)
    if size < HEADER_LENGTH:
        raise MalformedPacket("short_header")
    if size > MAX_LENGTH:
        raise MalformedPacket("long_datagram")
    code, identifier, length = _HEADER.unpack_from(datagram)
    if code not in _REPLIES:
        raise MalformedPacket("unexpected_code")
    if identifier != request[1]:
        raise MalformedPacket("wrong_identifier")
    if length < HEADER_LENGTH:
        raise MalformedPacket("bad_length")
    # RFC 2865 3: "If the packet is shorter than the Length field indicates, it MUST be silently discarded."
    if size < length:
        raise MalformedPacket("short_datagram")
    # "Octets outside the range of the Length field MUST be treated as padding and ignored on reception."
    raw = datagram[:length]
    # both signatures are made over the Request Authenticator, in the place where the reply has its own
    signed = raw[:4] + request[4:HEADER_LENGTH] + raw[HEADER_LENGTH:]
    # RFC 2865 3: "ResponseAuth = MD5(Code+ID+Length+RequestAuth+Attributes+Secret)"
    expected = md5(signed + secret, usedforsecurity=False).digest()
    if not hmac.compare_digest(expected, raw[4:HEADER_LENGTH]):
        raise MalformedPacket("wrong_response_authenticator")
    attributes, signature_at = _attributes(signed)
    reply = Packet(code, identifier, raw[4:HEADER_LENGTH], attributes, dict(reversed(attributes)), signed, signature_at)
    if signature_at:
        if not verify_message_authenticator(reply, secret):
            raise MalformedPacket("wrong_message_authenticator")
    elif require_message_authenticator:
        raise MalformedPacket(UNSIGNED)
    return reply


def _attributes(raw: bytes) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """Type and value of each attribute, and where the 16 octets of the Message-Authenticator are (0: nowhere)."""
    attributes: list[tuple[int, bytes]] = []
    seen: set[int] = set()
    signature_at = 0
    at, length = HEADER_LENGTH, len(raw)
    while at < length:
        if at + 1 == length:
            raise MalformedPacket("cut_attribute")
        kind, size = raw[at], raw[at + 1]
        if kind == 0:
            raise MalformedPacket("attribute_type_zero")
        if size < 2:
            raise MalformedPacket("short_attribute")
        if at + size > length:
            raise MalformedPacket("cut_attribute")
        if kind in _ONCE:
            if kind in seen:
                raise MalformedPacket(_ONCE[kind])
            seen.add(kind)
            if kind == Attribute.MESSAGE_AUTHENTICATOR:
                if size != 2 + _SIGNATURE:
                    raise MalformedPacket("message_authenticator_length")
                signature_at = at + 2
        attributes.append((kind, raw[at + 2 : at + size]))
        if len(attributes) > MAX_ATTRIBUTES:
            raise MalformedPacket("too_many_attributes")
        at += size
    return tuple(attributes), signature_at
