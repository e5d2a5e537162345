"""Attributes of RADIUS packets: their numbers, and the few values that a login reads or writes.

Nothing here decides a login, and no text that leaves here can break a line or steer a terminal.
RFC 2865 section 5; Prompt, EAP-Message and Message-Authenticator of RFC 2869; the Microsoft attributes of RFC 2548.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from radiusd2fa.radius.packet import Packet

MAX_VALUE: Final = 253
"""Octets in one attribute's value: 255 less type and length."""

_MICROSOFT: Final = (311).to_bytes(4, "big")
_MSCHAP_TYPES: Final = frozenset({1, 11, 25})
"""MS-CHAP-Response, MS-CHAP-Challenge, MS-CHAP2-Response (RFC 2548 2.1.3, 2.1.2, 2.3.2)."""


class Attribute(IntEnum):
    """The attribute types that this server knows by name."""

    USER_NAME = 1
    USER_PASSWORD = 2
    CHAP_PASSWORD = 3
    NAS_IP_ADDRESS = 4
    NAS_PORT = 5
    SERVICE_TYPE = 6
    REPLY_MESSAGE = 18
    STATE = 24
    VENDOR_SPECIFIC = 26
    CALLING_STATION_ID = 31
    NAS_IDENTIFIER = 32
    PROXY_STATE = 33
    CHAP_CHALLENGE = 60
    NAS_PORT_TYPE = 61
    PROMPT = 76
    EAP_MESSAGE = 79
    MESSAGE_AUTHENTICATOR = 80
    NAS_IPV6_ADDRESS = 95


def text(value: bytes) -> str | None:
    """Strict UTF-8 in which every character is printable, or None.

    Refused are controls (C0, C1, DEL), line and paragraph separators, direction overrides and other invisible
    characters, and every space but U+0020.
    """
    try:
        decoded = value.decode()
    except UnicodeDecodeError:
        return None
    return decoded if decoded.isprintable() else None


def caller(packet: Packet) -> str:
    """Calling-Station-Id in printable characters, at most 253; "" when there is none.

    What is not text is shown escaped (``\\xff``, ``\\n``, ``\\u2028``), so that it can stand in a log line.
    """
    value = packet.first(Attribute.CALLING_STATION_ID)
    if value is None:
        return ""
    plain = text(value)
    if plain is not None:
        return plain
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in value.decode("utf-8", "backslashreplace")
    )
    return shown[:MAX_VALUE]


def is_mschap(packet: Packet) -> bool:
    """Whether the NAS asks for MS-CHAP or MS-CHAPv2, neither of which a one-time code can answer."""
    return any(
        value.startswith(_MICROSOFT) and not _MSCHAP_TYPES.isdisjoint(_vendor_types(value))
        for value in packet.all(Attribute.VENDOR_SPECIFIC)
    )


def _vendor_types(value: bytes) -> list[int]:
    # RFC 2865 5.26: "Multiple subattributes MAY be encoded within a single Vendor-Specific attribute".
    types = []
    at = 4
    while at + 2 <= len(value):
        types.append(value[at])
        at += max(value[at + 1], 2)  # a length of 0 or 1 is nonsense and must not stop the walk on the spot
    return types


def reply_message(message: str) -> tuple[int, bytes]:
    """One Reply-Message attribute, cut to 253 octets between two characters.

    One, because pam_radius shows only the first and ocserv puts a line feed between two.
    """
    value = message.encode()
    if len(value) > MAX_VALUE:
        value = value[:MAX_VALUE].decode("utf-8", "ignore").encode()  # "ignore": drops the half character at the cut
    return Attribute.REPLY_MESSAGE.value, value
