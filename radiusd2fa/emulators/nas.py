"""A network access server made of pyrad: asks for a login as a VPN gateway would, and judges what comes back.

It never imports `radiusd2fa.radius`: packets, hidden passwords and signatures are pyrad's work, so that the two ends
cannot share one mistake. It answers to RFC 2865 4 (requests and replies), RFC 3579 3.2 (Message-Authenticator)
and RFC 5997 (Status-Server).
"""

from __future__ import annotations

import io
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Final, Literal, Self

from pyrad.client import Client, Timeout
from pyrad.dictionary import Dictionary
from pyrad.packet import (
    AccessAccept,
    AccessChallenge,
    AccessReject,
    AccessRequest,
    AuthPacket,
    Packet,
    PacketError,
    StatusServer,
)

Kind = Literal["accept", "reject", "challenge", "silence"]
Value = str | int | bytes

USER_NAME: Final = 1
USER_PASSWORD: Final = 2
SERVICE_TYPE: Final = 6
REPLY_MESSAGE: Final = 18
STATE: Final = 24
CALLING_STATION_ID: Final = 31
NAS_IDENTIFIER: Final = 32
NAS_PORT_TYPE: Final = 61
PROMPT: Final = 76

MAX_PASSWORD_OCTETS: Final = 128
AUTHENTICATE_ONLY: Final = (8).to_bytes(4, "big")
VIRTUAL: Final = (5).to_bytes(4, "big")

KINDS: Final[dict[int, Kind]] = {AccessAccept: "accept", AccessReject: "reject", AccessChallenge: "challenge"}

DICTIONARY: Final = """
ATTRIBUTE User-Name              1   string
ATTRIBUTE User-Password          2   octets
ATTRIBUTE NAS-IP-Address         4   ipaddr
ATTRIBUTE Service-Type           6   integer
ATTRIBUTE Framed-IP-Address      8   ipaddr
ATTRIBUTE Framed-IP-Netmask      9   ipaddr
ATTRIBUTE Filter-Id             11   string
ATTRIBUTE Framed-MTU            12   integer
ATTRIBUTE Reply-Message         18   string
ATTRIBUTE State                 24   octets
ATTRIBUTE Class                 25   octets
ATTRIBUTE Session-Timeout       27   integer
ATTRIBUTE Idle-Timeout          28   integer
ATTRIBUTE Calling-Station-Id    31   string
ATTRIBUTE NAS-Identifier        32   string
ATTRIBUTE Proxy-State           33   octets
ATTRIBUTE NAS-Port-Type         61   integer
ATTRIBUTE Prompt                76   integer
ATTRIBUTE Message-Authenticator 80   octets
VENDOR Cisco 9
BEGIN-VENDOR Cisco
ATTRIBUTE Cisco-AVPair           1   string
END-VENDOR Cisco
"""
"""Names and types of what a reply may carry. Requests are written by number and in octets: pyrad would turn a State of
`0x41` or `65` into the letter A."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the reply in one word, and the parts that a NAS acts on."""

    kind: Kind
    prompt: str = ""
    """All Reply-Message attributes, one after the other."""
    state: bytes | None = field(default=None, repr=False)
    attributes: Mapping[str, tuple[Value, ...]] = field(default_factory=dict, repr=False)
    """By name, in the order of their first appearance; those that `DICTIONARY` does not name are
    `Attribute-79` or `Vendor-311-Attribute-1`, in octets."""
    raw: bytes = field(default=b"", repr=False)
    """The reply as it came; empty for silence."""
    refused: bool = False
    """Silence, because no program listens at that address and port (ICMP port unreachable)."""
    discarded: int = 0
    """Replies to this request that were thrown away: not signed by our secret, malformed, of no known kind."""

    @property
    def hidden(self) -> bool:
        """Whether the answer to the prompt should not be seen. RFC 2869 5.10: "0 No Echo"."""
        return self.attributes.get("Prompt") == (0,)


class _Request(AuthPacket):  # type: ignore[misc]  # pyrad has no types
    """A request that counts the replies it refuses, and refuses some that pyrad lets through."""

    def __init__(self, code: int, identifier: int, nas: Nas) -> None:
        super().__init__(
            code=code,
            id=identifier,
            secret=nas.secret,
            authenticator=secrets.token_bytes(16),
            dict=_dictionary(),
            # RFC 5997 3: "Status-Server packets MUST include a Message-Authenticator"
            message_authenticator=True if nas.sign or code == StatusServer else None,
        )
        self.discarded = 0

    def CreateReply(self, **attributes: object) -> Packet:  # noqa: N802  # pyrad's name
        """A received reply taken apart; what cannot be taken apart is counted."""
        try:
            return super().CreateReply(**attributes)
        except PacketError:
            self.discarded += 1
            raise

    def VerifyReply(self, reply: Packet, rawreply: bytes | None = None, enforce_ma: bool = False) -> bool:  # noqa: N802
        """Whether this reply is one: its kind, its form, its signatures."""
        good = (
            reply.code in KINDS
            and _fills_packet_exactly(reply.raw_packet)
            and bool(super().VerifyReply(reply, rawreply, enforce_ma=enforce_ma))
        )
        # A late second copy of an earlier reply is no fault of anybody's.
        self.discarded += not good and reply.id == self.id
        return good


class _Client(Client):  # type: ignore[misc]  # pyrad has no types
    """pyrad's client on a socket that belongs to one server and to nobody else."""

    def __init__(self, nas: Nas) -> None:
        host, port = nas.server
        super().__init__(
            server=host,
            authport=port,
            secret=nas.secret,
            dict=_dictionary(),
            retries=1 + nas.retries,  # pyrad counts every sending
            timeout=nas.timeout,
            enforce_ma=nas.enforce_ma,
        )
        self._SocketOpen()
        # With pyrad's SO_REUSEADDR the kernel may give one port to two clients at once; each would lose replies.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        # pyrad takes a reply from anybody. A connected socket takes it from the address that was asked, as a NAS does.
        self._socket.connect((host, port))

    def local_address(self) -> str:
        """The address that the server sees."""
        return str(self._socket.getsockname()[0])

    def close(self) -> None:
        """Give the port back."""
        self._CloseSocket()


@dataclass(slots=True)
class Nas:
    """One NAS with its own port. `retries` are sendings after the first one, `timeout` seconds apart."""

    server: tuple[str, int]
    secret: bytes = field(repr=False)
    nas_identifier: str = "radiusd2fa-login"
    calling_station_id: str | None = None
    timeout: float = 3.0
    retries: int = 2
    sign: bool = True
    """Whether requests carry Message-Authenticator."""
    enforce_ma: bool = True
    """Whether replies must."""
    _client: _Client = field(init=False, repr=False)
    _last: _Request | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self._client = _Client(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._client.close()

    @property
    def address(self) -> str:
        """Our own address as the server sees it: the one its `networks` must contain."""
        return self._client.local_address()

    def ask(
        self,
        user: str,
        password: str | bytes,
        state: bytes | None = None,
        attributes: Iterable[tuple[int, bytes]] = (),
    ) -> Answer:
        """One Access-Request by PAP, with the State of a challenge if it answers one, and further attributes by number.

        Raises ValueError for a password over 128 octets (RFC 2865 5.2) and for an attribute over 253.
        """
        secret = password.encode() if isinstance(password, str) else password
        if len(secret) > MAX_PASSWORD_OCTETS:
            raise ValueError(f"a User-Password holds at most {MAX_PASSWORD_OCTETS} octets, this one has {len(secret)}")
        request = self._request(AccessRequest)
        request[USER_NAME] = [user.encode()]
        request[USER_PASSWORD] = [request.PwCrypt(secret)]
        request[SERVICE_TYPE] = [AUTHENTICATE_ONLY]
        request[NAS_PORT_TYPE] = [VIRTUAL]
        if self.calling_station_id is not None:
            request[CALLING_STATION_ID] = [self.calling_station_id.encode()]
        if state is not None:
            request[STATE] = [state]
        for number, value in attributes:
            request.setdefault(number, []).append(value)
        self._last = request
        return self._send(request)

    def repeat(self) -> Answer:
        """Send the last request again, octet for octet and from the same port, as a NAS does that missed the reply."""
        if self._last is None:
            raise ValueError("nothing was asked yet")
        return self._send(self._last)

    def status(self) -> bool:
        """Whether the server answers "are you there?" (RFC 5997 4.1)."""
        return self._send(self._request(StatusServer)).kind == "accept"

    def _request(self, code: int) -> _Request:
        # RFC 2865 3: "The Identifier field MUST be changed whenever the content of the Attributes field changes"
        identifier = secrets.randbelow(256)
        if self._last is not None and self._last.id == identifier:
            identifier = (identifier + 1 + secrets.randbelow(255)) % 256
        request = _Request(code, identifier, self)
        request[NAS_IDENTIFIER] = [self.nas_identifier.encode()]
        return request

    def _send(self, request: _Request) -> Answer:
        request.discarded = 0
        try:
            reply = self._client.SendPacket(request)
        except Timeout:
            return Answer("silence", discarded=request.discarded)
        except ConnectionRefusedError:
            return Answer("silence", refused=True, discarded=request.discarded)
        return Answer(
            kind=KINDS[reply.code],
            prompt=b"".join(reply.get(REPLY_MESSAGE, [])).decode(errors="replace"),
            state=next(iter(reply.get(STATE, [])), None),
            attributes={_name(key): _values(reply, key) for key in reply.keys()},  # noqa: SIM118  # pyrad's keys() are names
            raw=reply.raw_packet,
            discarded=request.discarded,
        )


@cache
def _dictionary() -> Dictionary:
    return Dictionary(io.StringIO(DICTIONARY))


def _fills_packet_exactly(packet: bytes) -> bool:
    """Whether every attribute ends inside the packet and at most one is a signature: pyrad looks at neither."""
    place, signatures = 20, 0
    while place < len(packet):
        if place + 2 > len(packet) or packet[place + 1] < 2:
            return False
        signatures += packet[place] == 80
        place += packet[place + 1]
    return place == len(packet) and signatures <= 1


def _name(key: str | int | tuple[int, int]) -> str:
    match key:
        case str():
            return key
        case int():
            return f"Attribute-{key}"
        case (vendor, number):
            return f"Vendor-{vendor}-Attribute-{number}"


def _values(reply: Packet, key: str | int | tuple[int, int]) -> tuple[Value, ...]:
    try:
        return tuple(reply[key])
    except ValueError:  # a number or address of a wrong length: show the octets
        number = reply._EncodeKey(key)  # noqa: SLF001  # pyrad has no other way from a name to the octets
        return tuple(reply[number])
