"""Which client a packet comes from, and whether the packet is really from it.

Looks at addresses and Message-Authenticators only, never at who wants to log in. RFC 2865 3 (source address decides),
RFC 3579 3.2 (Message-Authenticator), RFC 5997 3 (Status-Server is always signed).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Final

from radiusd2fa.core.model import AccessRequest, Chap, Nas
from radiusd2fa.core.names import read_name
from radiusd2fa.core.record import record
from radiusd2fa.radius.attributes import Attribute, caller, is_mschap
from radiusd2fa.radius.packet import Code, Packet, choose_secret, reveal_password
from radiusd2fa.settings import ClientSettings

_MOST_REMEMBERED: Final = 4096

# Plain numbers: naming a member of an enumeration costs more than looking up what it stands for.
_USER_NAME: Final = Attribute.USER_NAME.value
_USER_PASSWORD: Final = Attribute.USER_PASSWORD.value
_STATE: Final = Attribute.STATE.value


class ClientTable:
    """Finds the client of a source address: the longest prefix that holds it.

    However many clients there are, an address that was never seen costs a few look-ups, and strangers, who can be as
    many as there are addresses, never put a client out of mind.
    """

    def __init__(self, clients: Sequence[ClientSettings]) -> None:
        shelves: dict[tuple[int, int], dict[int, ClientSettings]] = {}
        for client in clients:
            for network in client.networks:
                shelf = shelves.setdefault((network.version, network.prefixlen), {})
                shelf.setdefault(int(network.network_address) >> network.max_prefixlen - network.prefixlen, client)
        self._shelves = [
            (version, length, shelves[version, length]) for version, length in sorted(shelves, reverse=True)
        ]
        self._known: dict[str, ClientSettings] = {}
        self._strangers: set[str] = set()

    def find(self, source: str) -> ClientSettings | None:
        """Return the client, or None: then nothing is ever sent back."""
        known = self._known.get(source)
        if known is not None or source in self._strangers:
            return known
        client = self._search(source)
        if client is None:
            if len(self._strangers) >= _MOST_REMEMBERED:
                self._strangers.clear()
            self._strangers.add(source)
        else:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[source] = client
        return client

    def _search(self, source: str) -> ClientSettings | None:
        address = ip_address(source.partition("%")[0])
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        number, most = int(address), address.max_prefixlen
        for version, length, shelf in self._shelves:
            if version == address.version and (client := shelf.get(number >> most - length)) is not None:
                return client
        return None


@record
class Refused:
    """The packet gets no answer; why is a word for the counters."""

    reason: str


@record
class Vetted:
    """The packet is this client's, under this secret."""

    secret: bytes
    signed: bool


def vet(packet: Packet, client: ClientSettings) -> Vetted | Refused:
    """Check the signature as this client's settings want it. A wrong signature is never better than none."""
    if packet.message_authenticator_at:
        secret = choose_secret(packet, client.secrets)
        return Refused("wrong_message_authenticator") if secret is None else Vetted(secret, signed=True)
    if packet.code == Code.STATUS_SERVER:
        return Refused("unsigned_status_server")
    if client.require_message_authenticator:
        return Refused("no_message_authenticator")
    if packet.first(Attribute.PROXY_STATE) is not None:
        return Refused("unsigned_with_proxy_state")  # what BlastRADIUS needs (CVE-2024-3596)
    if packet.first(Attribute.CHAP_PASSWORD) is not None:
        return Refused("unsigned_chap")  # it takes no shared secret to make one: guesses would be anybody's
    return Vetted(_likely_secret(packet, client.secrets), signed=False)


def _likely_secret(packet: Packet, secrets: Sequence[bytes]) -> bytes:
    """Unsigned, and two secrets during rotation: take the one under which the password is text."""
    hidden = packet.first(Attribute.USER_PASSWORD)
    if hidden is not None:
        for secret in secrets:
            with suppress(UnicodeDecodeError):
                reveal_password(hidden, secret, packet.authenticator).decode("utf-8")
                return secret
    return secrets[0]


def access_request(packet: Packet, client: ClientSettings, secret: bytes) -> AccessRequest:
    """Turn a vetted Access-Request into what the decision machine reads."""
    nas = client.nas
    values = packet.values
    hidden = values.get(_USER_PASSWORD)
    state = values.get(_STATE)
    name, realm = read_name(values.get(_USER_NAME, b""), strip_realm=nas.strip_realm)
    return AccessRequest(
        nas=nas,
        user_name=name,
        password=None if hidden is None else _text(reveal_password(hidden, secret, packet.authenticator), nas),
        chap=None if hidden is not None else _chap(packet),
        mschap=hidden is None and is_mschap(packet),
        state=None if state is None else client.handle(state),
        caller=caller(packet),
        realm=realm,
        attributes=packet.attributes,
    )


def _text(password: bytes, nas: Nas) -> bytes:
    """Passwords are UTF-8; a client that speaks another encoding says so. Anything else stays as it came."""
    if nas.password_encoding is None or password.isascii():
        return password
    try:
        password.decode("utf-8")
    except UnicodeDecodeError:
        with suppress(UnicodeDecodeError):
            return password.decode(nas.password_encoding).encode("utf-8")
    return password


def _chap(packet: Packet) -> Chap | None:
    value = packet.first(Attribute.CHAP_PASSWORD)
    if value is None:
        return None
    return Chap(value[0], value[1:], packet.first(Attribute.CHAP_CHALLENGE) or packet.authenticator)
