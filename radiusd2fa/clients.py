"""Which client a packet comes from, and whether the packet is really from it.

Looks at addresses and Message-Authenticators only, never at who wants to log in. RFC 2865 3 (source address decides),
RFC 3579 3.2 (Message-Authenticator), RFC 5997 3 (Status-Server is always signed).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from radiusd2fa.core.model import AccessRequest, Chap, Nas
from radiusd2fa.core.names import read_name
from radiusd2fa.core.record import record
from radiusd2fa.radius.attributes import Attribute, caller, is_mschap
from radiusd2fa.radius.packet import Code, Packet, choose_secret, reveal_password
from radiusd2fa.settings import ClientSettings

_MOST_REMEMBERED: Final = 4096


class ClientTable:
    """Finds the client of a source address: the longest prefix that holds it."""

    def __init__(self, clients: Sequence[ClientSettings]) -> None:
        networks = [(network, client) for client in clients for network in client.networks]
        self._networks = sorted(networks, key=lambda entry: entry[0].prefixlen, reverse=True)
        self._remembered: dict[str, ClientSettings | None] = {}

    def find(self, source: str) -> ClientSettings | None:
        """Return the client, or None: then nothing is ever sent back."""
        try:
            return self._remembered[source]
        except KeyError:
            pass
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        client = self._remembered[source] = self._search(source)
        return client

    def _search(self, source: str) -> ClientSettings | None:
        address: IPv4Address | IPv6Address | None = ip_address(source.partition("%")[0])
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        return next((client for network, client in self._networks if address in network), None)


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
    user_name = packet.first(Attribute.USER_NAME) or b""
    hidden = packet.first(Attribute.USER_PASSWORD)
    state = packet.first(Attribute.STATE)
    name, realm = read_name(user_name, strip_realm=nas.strip_realm)
    return AccessRequest(
        nas=nas,
        user_name=name,
        password=None if hidden is None else _text(reveal_password(hidden, secret, packet.authenticator), nas),
        chap=_chap(packet),
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
