"""RADIUS as the generators in Python write and read it: one Access-Request, and whether a reply is the server's.

Nothing here waits or measures, and no line of radiusd2fa is used.
RFC 2865 3 and 5.2, RFC 3579 3.2.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

from servers import SECRET

ACCEPT, REJECT, CHALLENGE = 2, 3, 11
USER_NAME, USER_PASSWORD, REPLY_MESSAGE, STATE = 1, 2, 18, 24

_SIGNATURE: Final = 80
_SECRET: Final = SECRET.encode()


def request(identifier: int, name: str, password: bytes, state: bytes = b"") -> bytes:
    """Write one signed Access-Request."""
    authenticator = os.urandom(16)
    body = attribute(USER_NAME, name.encode()) + attribute(USER_PASSWORD, _hidden(password, authenticator))
    if state:
        body += attribute(STATE, state)
    body += attribute(_SIGNATURE, bytes(16))
    packet = bytes((1, identifier)) + (20 + len(body)).to_bytes(2, "big") + authenticator + body
    return packet[:-16] + hmac.digest(_SECRET, packet, "md5")


def answers(reply: bytes, asked: bytes) -> bool:
    """Whether a reply was made for this request by somebody who knows the secret."""
    right = hashlib.md5(reply[:4] + asked[4:20] + reply[20:] + _SECRET, usedforsecurity=False).digest()
    return hmac.compare_digest(right, reply[4:20])


def attribute(kind: int, value: bytes) -> bytes:
    """Write one attribute."""
    return bytes((kind, len(value) + 2)) + value


def attributes(packet: bytes) -> list[tuple[int, bytes]]:
    """Take all attributes out of a packet."""
    found, at = [], 20
    while at < len(packet):
        found.append((packet[at], packet[at + 2 : at + packet[at + 1]]))
        at += packet[at + 1]
    return found


def _hidden(password: bytes, authenticator: bytes) -> bytes:
    padded = password.ljust(-(-len(password) // 16) * 16, b"\0")
    hidden, before = b"", authenticator
    for at in range(0, len(padded), 16):
        mask = hashlib.md5(_SECRET + before, usedforsecurity=False).digest()
        before = bytes(a ^ b for a, b in zip(padded[at : at + 16], mask, strict=True))
        hidden += before
    return hidden
