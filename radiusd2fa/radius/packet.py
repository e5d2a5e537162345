"""One RADIUS packet: strict decoding, encoding, and what the shared secret signs and hides.

Nothing here repairs a packet, decides a login, or knows a socket, a clock or a source of randomness.
RFC 2865 sections 3, 4 and 5.2; RFC 3579 section 3.2 (Message-Authenticator); RFC 5997 (Status-Server).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import IntEnum
from functools import lru_cache, partial
from hashlib import md5
from struct import Struct
from typing import TYPE_CHECKING, Final

from radiusd2fa.core.record import record
from radiusd2fa.radius.attributes import MAX_VALUE, Attribute

if TYPE_CHECKING:
    from hashlib import _Hash

HEADER_LENGTH: Final = 20
MAX_LENGTH: Final = 4096
MAX_ATTRIBUTES: Final = 200
"""So that 4096 octets of empty attributes cost no more than a large honest packet."""
MAX_AMPLIFICATION: Final = 512
"""Octets by which a reply may outgrow its request, so that a forged source address gains nothing."""
MAX_PASSWORD: Final = 128

_HEADER: Final = Struct(">BBH")  # Code, Identifier, Length
_BLOCK: Final = 16
_SIGNATURE_LENGTH: Final = 2 + _BLOCK
REPLY_OVERHEAD: Final = HEADER_LENGTH + _SIGNATURE_LENGTH
"""Octets of a signed reply that are none of the caller's attributes."""
_SIGNATURE_HEAD: Final = bytes((Attribute.MESSAGE_AUTHENTICATOR, _SIGNATURE_LENGTH))
_SIGNATURE_BLANK: Final = bytes(_BLOCK)

# Plain numbers: naming a member of an enumeration costs more than the comparison it is for.
_USER_NAME: Final = Attribute.USER_NAME.value
_USER_PASSWORD: Final = Attribute.USER_PASSWORD.value
_CHAP_PASSWORD: Final = Attribute.CHAP_PASSWORD.value
_REPLY_MESSAGE: Final = Attribute.REPLY_MESSAGE.value
_PROXY_STATE: Final = Attribute.PROXY_STATE.value
_EAP_MESSAGE: Final = Attribute.EAP_MESSAGE.value
_MESSAGE_AUTHENTICATOR: Final = Attribute.MESSAGE_AUTHENTICATOR.value
_OURS: Final = frozenset({_PROXY_STATE, _MESSAGE_AUTHENTICATOR})

# MD5 is what the protocol is made of; this keeps it callable in FIPS builds, where `hmac` would refuse it.
_md5 = partial(md5, usedforsecurity=False)


class Code(IntEnum):
    """Packet types of the authentication port (RFC 2865 3, RFC 5997 3)."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCESS_CHALLENGE = 11
    STATUS_SERVER = 12


_REQUESTS: Final = frozenset({Code.ACCESS_REQUEST, Code.STATUS_SERVER})
_REPLIES: Final = frozenset({Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE})
_ACCESS_ACCEPT: Final = Code.ACCESS_ACCEPT.value
_ACCESS_REJECT: Final = Code.ACCESS_REJECT.value
_STATUS_SERVER: Final = Code.STATUS_SERVER.value

_ONCE: Final = {
    _USER_NAME: "two_user_names",
    _USER_PASSWORD: "two_user_passwords",
    _CHAP_PASSWORD: "two_chap_passwords",
    Attribute.STATE.value: "two_states",
    _MESSAGE_AUTHENTICATOR: "two_message_authenticators",
}
"""Attributes that come once, and the name of the fault when one comes twice."""


class MalformedPacket(Exception):  # noqa: N818  what it is, not that it is an error
    """The datagram is nothing that this port answers. ``reason`` is a short stable word for counters."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OversizedReply(ValueError):  # noqa: N818
    """The reply would pass 4096 octets, or outgrow its request by over 512: too much Proxy-State can cause it."""


@record
class Packet:
    """A sound Access-Request or Status-Server, not yet known to be genuine."""

    code: int
    identifier: int
    authenticator: bytes = field(repr=False)
    attributes: tuple[tuple[int, bytes], ...] = field(repr=False)
    """Type and value, in the order of the wire."""
    values: Mapping[int, bytes] = field(repr=False, compare=False)
    """The first value of each type."""
    raw: bytes = field(repr=False)
    """The packet without padding."""
    message_authenticator_at: int = 0
    """Where in ``raw`` the 16 octets of the Message-Authenticator are; 0 when it has none."""

    def first(self, kind: int) -> bytes | None:
        """The value of the first attribute of a type, or None."""
        return self.values.get(kind)

    def all(self, kind: int) -> tuple[bytes, ...]:
        """The values of all attributes of a type, in the order of the wire."""
        return tuple([value for number, value in self.attributes if number == kind]) if kind in self.values else ()


# --- decoding --------------------------------------------------------------------------------------------------------


def decode(datagram: bytes) -> Packet:
    """Take a request apart, or raise MalformedPacket. Says nothing about its signature."""
    size = len(datagram)
    if size < HEADER_LENGTH:
        raise MalformedPacket("short_header")
    code, identifier, length = _HEADER.unpack_from(datagram)
    if code not in _REQUESTS:
        raise MalformedPacket("unexpected_code")
    # RFC 2865 3: "The minimum length is 20 and maximum length is 4096."
    if not HEADER_LENGTH <= length <= MAX_LENGTH:
        raise MalformedPacket("bad_length")
    # "If the packet is shorter than the Length field indicates, it MUST be silently discarded."
    if size < length:
        raise MalformedPacket("short_datagram")
    # "Octets outside the range of the Length field MUST be treated as padding and ignored on reception."
    raw = datagram[:length]

    attributes: list[tuple[int, bytes]] = []
    values: dict[int, bytes] = {}
    signed_at = 0
    at, last = HEADER_LENGTH, length - 1
    while at < last:
        kind = raw[at]
        size = raw[at + 1]
        if kind == 0:
            raise MalformedPacket("attribute_type_zero")
        if size < 2:
            raise MalformedPacket("short_attribute")
        end = at + size
        value = raw[at + 2 : end]
        if kind not in values:
            values[kind] = value
            if kind == _MESSAGE_AUTHENTICATOR:
                signed_at = at + 2
        elif kind in _ONCE:
            raise MalformedPacket(_ONCE[kind])
        attributes.append((kind, value))
        at = end
        if len(attributes) > MAX_ATTRIBUTES:
            raise MalformedPacket("too_many_attributes")
    if at != length:
        raise MalformedPacket("cut_attribute")
    if fault := _fault(code, values):
        raise MalformedPacket(fault)
    return Packet(code, identifier, raw[4:HEADER_LENGTH], tuple(attributes), values, raw, signed_at)


def _fault(code: int, values: Mapping[int, bytes]) -> str:
    """What is wrong with the attributes that decide whether a packet is sound; "" when nothing is."""
    name = values.get(_USER_NAME)
    password = values.get(_USER_PASSWORD)
    chap = values.get(_CHAP_PASSWORD)
    signature = values.get(_MESSAGE_AUTHENTICATOR)
    if signature is not None and len(signature) != _BLOCK:
        return "message_authenticator_length"
    if name is not None and not name:
        return "empty_user_name"
    if password is not None and (len(password) % _BLOCK or not _BLOCK <= len(password) <= MAX_PASSWORD):
        return "user_password_length"
    if chap is not None and len(chap) != 1 + _BLOCK:
        return "chap_password_length"
    # RFC 2865 4.1: "An Access-Request MUST NOT contain both a User-Password and a CHAP-Password."
    if password is not None and chap is not None:
        return "two_kinds_of_password"
    if _EAP_MESSAGE in values:
        # RFC 2869 5.13: "Access-Request packets including an EAP-Message attribute without a Message-Authenticator
        # attribute SHOULD be silently discarded by the RADIUS server."
        if signature is None:
            return "unsigned_eap_message"
        if password is not None or chap is not None:
            return "eap_message_with_password"
    if code == _STATUS_SERVER:
        # RFC 5997 3: without a Message-Authenticator anybody could ask, in anybody's name.
        return "unsigned_status_server" if signature is None else ""
    return "no_user_name" if name is None else ""


# --- what the shared secret signs ------------------------------------------------------------------------------------


def verify_message_authenticator(packet: Packet, secret: bytes) -> bool:
    """Whether the packet carries a Message-Authenticator made with this secret (RFC 3579 3.2)."""
    at = packet.message_authenticator_at
    if not at:
        return False
    raw = packet.raw
    # "the signature string should be considered to be sixteen octets of zero"
    expected = _hmac_md5(secret, raw[:at] + _SIGNATURE_BLANK + raw[at + _BLOCK :])
    return hmac.compare_digest(expected, raw[at : at + _BLOCK])


def choose_secret(packet: Packet, secrets: Sequence[bytes]) -> bytes | None:
    """The first secret that verifies the packet, or None; a client has two while its secret is being changed."""
    for secret in secrets:
        if verify_message_authenticator(packet, secret):
            return secret
    return None


def _hmac_md5(secret: bytes, message: bytes) -> bytes:
    inner, outer = _keyed(secret)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=4096)
def _keyed(secret: bytes) -> tuple[_Hash, _Hash]:
    """Both hashes of RFC 2104 section 2 after their padded key: a copy costs half of `hmac.digest`."""
    key = (_md5(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
    return _md5(bytes(octet ^ 0x36 for octet in key)), _md5(bytes(octet ^ 0x5C for octet in key))


# --- encoding --------------------------------------------------------------------------------------------------------


def encode_reply(
    code: int,
    request: Packet,
    attributes: Sequence[tuple[int, bytes]],
    secret: bytes,
    *,
    sign: bool = True,
) -> bytes:
    """The reply to a request: Message-Authenticator, the given attributes, then the request's Proxy-State.

    Nothing is ever dropped to make a reply fit: OversizedReply is raised instead. pam_radius reads 1024 octets at
    most; keeping within them is the caller's part.
    """
    if code not in _REPLIES:
        raise ValueError(f"code {code} is no reply")
    for kind, value in attributes:
        if kind in _OURS:
            raise ValueError(f"attribute {kind} is put into a reply here, never by the caller")
        if not value:
            raise ValueError(f"attribute {kind} has no value: it must be left out (RFC 2865 5)")
        if code == _ACCESS_REJECT and kind != _REPLY_MESSAGE:
            raise ValueError(f"an Access-Reject cannot carry attribute {kind}")
    # RFC 2865 5.33: Proxy-State "MUST be returned unmodified in the Access-Accept, Access-Reject or Access-Challenge".
    given = _attributes(attributes)
    if _PROXY_STATE in request.values:
        given += _attributes([(_PROXY_STATE, value) for value in request.all(_PROXY_STATE)])
    length = HEADER_LENGTH + (_SIGNATURE_LENGTH if sign else 0) + len(given)
    # an Access-Accept goes to somebody who has proved who they are: nobody's amplifier
    if length > MAX_LENGTH or (code != _ACCESS_ACCEPT and length > len(request.raw) + MAX_AMPLIFICATION):
        raise OversizedReply(f"{length} octets in reply to {len(request.raw)}")
    header = _HEADER.pack(code, request.identifier, length)
    body = _signed(header + request.authenticator, given, secret) if sign else given
    # RFC 2865 3: "ResponseAuth = MD5(Code+ID+Length+RequestAuth+Attributes+Secret)"
    return header + _md5(header + request.authenticator + body + secret).digest() + body


def encode_request(
    code: int,
    identifier: int,
    authenticator: bytes,
    attributes: Sequence[tuple[int, bytes]],
    secret: bytes,
    *,
    sign: bool = True,
) -> bytes:
    """A request of our own; ``authenticator`` is 16 unpredictable octets, User-Password is hidden already."""
    if code not in _REQUESTS:
        raise ValueError(f"code {code} is no request")
    if len(authenticator) != _BLOCK:
        raise ValueError("a Request Authenticator has 16 octets")
    if sign and any(kind == _MESSAGE_AUTHENTICATOR for kind, _ in attributes):
        raise ValueError("a packet has one Message-Authenticator")
    given = _attributes(attributes)
    length = HEADER_LENGTH + (_SIGNATURE_LENGTH if sign else 0) + len(given)
    if length > MAX_LENGTH:
        raise ValueError(f"{length} octets are no RADIUS packet")
    head = _HEADER.pack(code, identifier, length) + authenticator
    return head + (_signed(head, given, secret) if sign else given)


def _signed(head: bytes, attributes: bytes, secret: bytes) -> bytes:
    """The attributes behind a Message-Authenticator over ``head``, which ends with the Request Authenticator.

    First, so that nobody can foresee the octets before a Proxy-State of his choice and compute the collision of
    CVE-2024-3596.
    """
    signature = _hmac_md5(secret, head + _SIGNATURE_HEAD + _SIGNATURE_BLANK + attributes)
    return _SIGNATURE_HEAD + signature + attributes


def _attributes(attributes: Iterable[tuple[int, bytes]]) -> bytes:
    encoded = b""
    for kind, value in attributes:
        if not 0 < kind < 256 or len(value) > MAX_VALUE:
            raise ValueError(f"attribute {kind} with {len(value)} octets cannot be encoded")
        encoded += b"%c%c%b" % (kind, len(value) + 2, value)
    return encoded


# --- what the shared secret hides ------------------------------------------------------------------------------------


def hide_password(password: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """The value of User-Password (RFC 2865 5.2). NULs at the end of a password are lost on the way."""
    if len(password) > MAX_PASSWORD:
        raise ValueError("a User-Password holds 128 octets")
    # "The password is first padded at the end with nulls to a multiple of 16 octets."
    length = max(1, -(-len(password) // _BLOCK)) * _BLOCK
    padded = password.ljust(length, b"\0")
    hidden, previous = b"", authenticator
    for at in range(0, length, _BLOCK):
        previous = _xor(padded[at : at + _BLOCK], _md5(secret + previous).digest())
        hidden += previous
    return hidden


def reveal_password(hidden: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """The password in a User-Password of whole blocks, without the NULs at its end (an inner NUL stays)."""
    mask, previous = b"", authenticator
    for at in range(0, len(hidden), _BLOCK):
        mask += _md5(secret + previous).digest()
        previous = hidden[at : at + _BLOCK]
    return _xor(hidden, mask).rstrip(b"\0")


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
