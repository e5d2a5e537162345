"""RADIUS as a NAS writes and reads it, in a page of our own: hashlib, hmac, struct, and no line of `radiusd2fa`.

A reply that is not signed as it must be, or that is not complete, is a failed test and never an answer.
RFC 2865 3 and 5.2; RFC 3579 3.2 (Message-Authenticator, which must stand first in a reply); RFC 5997 (Status-Server).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

ACCESS_REQUEST: Final = 1
STATUS_SERVER: Final = 12
KINDS: Final = {2: "accept", 3: "reject", 11: "challenge"}

USER_NAME: Final = 1
USER_PASSWORD: Final = 2
REPLY_MESSAGE: Final = 18
STATE: Final = 24
CALLING_STATION_ID: Final = 31
PROXY_STATE: Final = 33
SIGNATURE: Final = 80

PATIENCE: Final = 20.0
"""Seconds after which something that must come has not come."""

Attributes = Sequence[tuple[int, bytes]]
Address = tuple[str, int]


# --- writing ---------------------------------------------------------------------------------------------------------


def request(
    secret: bytes,
    user: str | bytes,
    password: bytes,
    state: bytes | None = None,
    *,
    more: Attributes = (),
    sign: bool = True,
) -> bytes:
    """One Access-Request with a new identifier and a new Request Authenticator."""
    authenticator = os.urandom(16)
    attributes = [
        (USER_NAME, user.encode() if isinstance(user, str) else user),
        (USER_PASSWORD, hidden(password, secret, authenticator)),
        *([] if state is None else [(STATE, state)]),
        *more,
    ]
    return packet(ACCESS_REQUEST, authenticator, attributes, secret if sign else None)


def packet(code: int, authenticator: bytes, attributes: Attributes, secret: bytes | None) -> bytes:
    """Any request; with a secret it is signed, the signature in the last place, as most clients do."""
    body = b"".join(bytes((kind, 2 + len(value))) + value for kind, value in attributes)
    length = 20 + len(body) + (18 if secret is not None else 0)
    head = struct.pack(">BBH", code, os.urandom(1)[0], length) + authenticator
    if secret is None:
        return head + body
    unsigned = head + body + bytes((SIGNATURE, 18))
    return unsigned + hmac.digest(secret, unsigned + bytes(16), "md5")


def hidden(password: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """The value of User-Password (RFC 2865 5.2)."""
    padded = password.ljust(max(16, -(-len(password) // 16) * 16), b"\0")
    value, mask = b"", authenticator
    for at in range(0, len(padded), 16):
        digest = hashlib.md5(secret + mask, usedforsecurity=False).digest()
        mask = bytes(a ^ b for a, b in zip(padded[at : at + 16], digest, strict=True))
        value += mask
    return value


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that belongs to its request and is signed with the secret of both."""

    kind: str
    attributes: tuple[tuple[int, bytes], ...]
    raw: bytes

    @property
    def state(self) -> bytes:
        """The State of a challenge."""
        (value,) = (value for kind, value in self.attributes if kind == STATE)
        return value

    @property
    def prompt(self) -> str:
        """What a person reads."""
        return b"".join(value for kind, value in self.attributes if kind == REPLY_MESSAGE).decode()


def read(raw: bytes, asked: bytes, secret: bytes) -> Reply:
    """Take a reply apart; AssertionError when anything about it is not as it must be."""
    code, identifier, length = struct.unpack_from(">BBH", raw)
    assert identifier == asked[1]
    assert length == len(raw)
    head = raw[:4] + asked[4:20]
    assert raw[4:20] == hashlib.md5(head + raw[20:] + secret, usedforsecurity=False).digest()
    attributes = []
    at = 20
    while at < len(raw):
        kind, size = raw[at], raw[at + 1]
        assert 2 <= size <= len(raw) - at
        attributes.append((kind, raw[at + 2 : at + size]))
        at += size
    assert [kind for kind, _ in attributes].count(SIGNATURE) == 1
    assert attributes[0][0] == SIGNATURE
    assert attributes[0][1] == hmac.digest(secret, head + raw[20:22] + bytes(16) + raw[38:], "md5")
    return Reply(KINDS[code], tuple(attributes), raw)


# --- a NAS, and many of them -----------------------------------------------------------------------------------------


class Peer:
    """One NAS with a port of its own. The address it sends from says which client of the site it is."""

    def __init__(self, to: Address, secret: bytes, source: str = "127.0.0.1") -> None:
        self.secret = secret
        self.socket = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.connect(to)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def ask(self, user: str | bytes, password: bytes | str, state: bytes | None = None, *, sign: bool = True) -> Reply:
        """One question, and the answer, which must come."""
        octets = password.encode() if isinstance(password, str) else password
        return self.exchange(request(self.secret, user, octets, state, sign=sign))

    def exchange(self, octets: bytes) -> Reply:
        """Send a packet of the caller's own making; the answer must come."""
        self.send(octets)
        return read(self.receive(PATIENCE), octets, self.secret)

    def is_answered(self, octets: bytes, seconds: float) -> bool:
        """Send a packet; say whether anything at all comes back within ``seconds``."""
        self.send(octets)
        try:
            self.receive(seconds)
        except (TimeoutError, ConnectionRefusedError):
            return False
        return True

    def send(self, octets: bytes) -> None:
        """Send and do not wait. That nobody listened to an earlier packet is no matter."""
        try:
            self.socket.send(octets)
        except ConnectionRefusedError:
            self.socket.send(octets)

    def receive(self, seconds: float) -> bytes:
        """The next datagram; TimeoutError when none comes in time."""
        self.socket.settimeout(seconds)
        return self.socket.recv(8192)

    def waiting(self) -> list[bytes]:
        """All datagrams that are there already."""
        self.socket.setblocking(False)
        found = []
        while True:
            try:
                found.append(self.socket.recv(8192))
            except (BlockingIOError, ConnectionRefusedError):
                return found

    def status_request(self) -> bytes:
        """One Status-Server."""
        return packet(STATUS_SERVER, os.urandom(16), (), self.secret)

    def is_served(self, seconds: float = 0.3) -> bool:
        """Whether a Status-Server is answered by an Access-Accept."""
        octets = self.status_request()
        self.send(octets)
        try:
            return read(self.receive(seconds), octets, self.secret).kind == "accept"
        except (TimeoutError, ConnectionRefusedError):
            return False

    def wait_until_served(self) -> None:
        """Send one Status-Server again and again until it is answered. Late answers to it may be waiting afterwards."""
        octets = self.status_request()
        deadline = time.monotonic() + PATIENCE
        while not self.is_answered(octets, 0.05):
            assert time.monotonic() < deadline, "the daemon never answered Status-Server"


def gather(asked: Iterable[tuple[Peer, bytes]]) -> list[Reply]:
    """The replies to packets that were sent, one for each peer, in the order of the packets."""
    pending = dict(asked)
    replies: dict[Peer, Reply] = {}
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        for peer in pending:
            peer.socket.setblocking(False)
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        while len(replies) < len(pending):
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            assert ready, f"{len(pending) - len(replies)} of {len(pending)} packets were not answered"
            for key, _ in ready:
                peer = key.data
                replies[peer] = read(peer.socket.recv(8192), pending[peer], peer.secret)
                selector.unregister(peer.socket)
    return [replies[peer] for peer in pending]
