"""The daemon's memory of the last datagrams of each client, for `radiusd2fa doctor`.

It delays no login (a datagram costs it one small object), and writes down no password, code, name or State, nor
anything from which one could be had. RFC 2865 5 (attributes); the JSON is ours and read by `read_sightings` alone.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import deque
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from radiusd2fa.core.seen import CallerForm, Credential, NameForm, Seen, SeenPacket
from radiusd2fa.radius.attributes import Attribute, is_mschap, text
from radiusd2fa.radius.packet import Packet

STRANGERS: Final = ""
"""The client of those who are none."""
MOST_OF_A_CLIENT: Final = 32
MOST_OF_STRANGERS: Final = 64
MOST_CLIENTS_A_CALL: Final = 64
MOST_PACKETS_A_CALL: Final = 128
"""Each takes some 20 us to describe, while logins wait: a call of ``news`` stays within a few milliseconds."""
MOST_ATTRIBUTES: Final = 64
"""So many types of one packet are written down, so that nobody can fill the database with odd packets."""


class Sighting:
    """One datagram. The server sets ``latency``, then ``fate``, which ends it (core.seen.Seen says what they are)."""

    __slots__ = ("_facts", "fate", "latency", "packet", "port", "source", "time")

    def __init__(self, source: str, port: int, now: float, packet: Packet | None, fate: str) -> None:
        self.time = now
        self.source = source
        self.port = port
        self.packet = packet
        self.fate = fate
        self.latency: float | None = None
        self._facts: str | None = None

    @property
    def described(self) -> bool:
        """Whether the packet itself is needed no more."""
        return self._facts is not None

    def describe(self, key: bytes) -> None:
        """Let go of the packet, and keep what may be written down of it."""
        self._facts = "null" if self.packet is None else json.dumps(_facts(self.packet, key), separators=(",", ":"))
        self.packet = None

    def written(self) -> str:
        """Return the JSON."""
        latency = "null" if self.latency is None else f"{self.latency:.6f}"
        return (
            f'{{"time":{self.time:.6f},"source":{json.dumps(self.source)},"port":{self.port},'
            f'"fate":{json.dumps(self.fate)},"latency":{latency},"packet":{self._facts}}}'
        )


class Sightings:
    """The last datagrams of every client and of strangers. Everything happens on one thread."""

    def __init__(self) -> None:
        self._of: dict[str, deque[Sighting]] = {STRANGERS: deque(maxlen=MOST_OF_STRANGERS)}
        self._told: dict[str, int] = {}
        self._new: dict[str, None] = {}  # clients with something to tell, the longest waiting first
        self._key = secrets.token_bytes(16)

    def saw(self, client: str, source: str, port: int, now: float, packet: Packet | None, fate: str = "") -> Sighting:
        """Remember a datagram of a client, or of ``STRANGERS``; ``now`` is in seconds since 1970.

        ``packet`` is None for what could not be read. The fate may be set later, on what is returned.
        """
        sighting = Sighting(source, port, now, packet, fate)
        seen = self._of.get(client)
        if seen is None:
            seen = self._of[client] = deque(maxlen=MOST_OF_A_CLIENT)
        seen.append(sighting)
        self._new[client] = None
        return sighting

    def news(self) -> list[tuple[str, str]]:
        """Return each client of which something is new since the last call, with the JSON of all that is kept of it.

        At most MOST_CLIENTS_A_CALL, and about MOST_PACKETS_A_CALL new packets: the others come with the next calls.
        """
        news = []
        packets = 0
        for client in list(self._new)[:MOST_CLIENTS_A_CALL]:
            if packets >= MOST_PACKETS_A_CALL:
                break
            seen = self._of[client]
            packets += self._describe(seen)
            written = f"[{','.join([sighting.written() for sighting in seen])}]"
            del self._new[client]
            if not all(sighting.fate for sighting in seen):
                self._new[client] = None  # what is still in work will be news
            told = hash(written)
            if told != self._told.get(client):
                self._told[client] = told
                news.append((client, written))
        return news

    def _describe(self, seen: deque[Sighting]) -> int:
        fresh = [sighting for sighting in seen if not sighting.described]
        for sighting in fresh:
            sighting.describe(self._key)
        return len(fresh)


# --- what may be written down of a packet ----------------------------------------------------------------------------


def _facts(packet: Packet, key: bytes) -> dict[str, object]:
    name = packet.first(Attribute.USER_NAME)
    return {
        "code": packet.code,
        "identifier": packet.identifier,
        "authenticator": blake2b(packet.authenticator, digest_size=6).hexdigest(),
        "attributes": [kind for number, value in packet.attributes for kind in _kinds(number, value)][:MOST_ATTRIBUTES],
        "signed": bool(packet.message_authenticator_at),
        "credential": _credential(packet),
        "name": _name_form(name),
        # keyed, so that nobody who reads the database can try names; the key is gone when the daemon ends
        "person": "" if name is None else blake2b(name.lower(), digest_size=4, key=key).hexdigest(),
        "states": len(packet.all(Attribute.STATE)),
        "proxy_states": len(packet.all(Attribute.PROXY_STATE)),
        "caller": _caller_form(packet.first(Attribute.CALLING_STATION_ID)),
        "service_type": _integer(packet.first(Attribute.SERVICE_TYPE)),
        "nas_port_type": _integer(packet.first(Attribute.NAS_PORT_TYPE)),
        "length": len(packet.raw),
    }


def _kinds(number: int, value: bytes) -> list[str]:
    """``26.9.1`` for what a vendor has numbered in one octet, as nearly all do; the number alone for the rest."""
    if number != Attribute.VENDOR_SPECIFIC or len(value) < 6:
        return [str(number)]
    vendor = int.from_bytes(value[:4], "big")
    kinds = []
    at = 4
    while at + 2 <= len(value):
        kinds.append(f"{number}.{vendor}.{value[at]}")
        at += max(value[at + 1], 2)
    return kinds


def _credential(packet: Packet) -> Credential:
    kinds = {number for number, _ in packet.attributes}
    if Attribute.USER_PASSWORD in kinds:
        return Credential.PAP
    if Attribute.CHAP_PASSWORD in kinds:
        return Credential.CHAP
    if Attribute.EAP_MESSAGE in kinds:
        return Credential.EAP
    return Credential.MSCHAP if is_mschap(packet) else Credential.NONE


def _name_form(name: bytes | None) -> NameForm:
    if name is None:
        return NameForm.ABSENT
    if text(name) is None:
        return NameForm.UNREADABLE
    if b"\\" in name:
        return NameForm.DOMAIN
    return NameForm.REALM if b"@" in name else NameForm.PLAIN


_MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", re.IGNORECASE)
_BEHIND: Final = re.compile(r"\[\d{1,5}\]|:\d{1,5}")
"""A port behind an address, as strongSwan and others write it."""


def _caller_form(value: bytes | None) -> CallerForm:
    written = None if value is None else text(value)
    if not value:
        return CallerForm.ABSENT
    if written is None:
        return CallerForm.TEXT
    if _is(IPv4Address, written):
        return CallerForm.IPV4
    if _is(IPv6Address, written):
        return CallerForm.IPV6
    port = _BEHIND.search(written)
    if port is not None and port.end() == len(written) and _is(IPv4Address, written[: port.start()]):
        return CallerForm.IPV4_WITH_PORT
    return CallerForm.MAC if _MAC.fullmatch(written) else CallerForm.TEXT


def _is(kind: type[IPv4Address | IPv6Address], written: str) -> bool:
    try:
        kind(written)
    except ValueError:
        return False
    return True


def _integer(value: bytes | None) -> int | None:
    return None if value is None or len(value) != 4 else int.from_bytes(value, "big")


# --- reading it again ------------------------------------------------------------------------------------------------


def read_sightings(written: str) -> list[Seen]:
    """Return what a client's JSON says, oldest first; ValueError for what this version has not written."""
    try:
        return [_seen(entry) for entry in json.loads(written)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it was written by another version of this program") from error


def _seen(entry: dict[str, Any]) -> Seen:
    packet = entry["packet"]
    return Seen(
        time=float(entry["time"]),
        source=str(entry["source"]),
        port=int(entry["port"]),
        fate=str(entry["fate"]),
        latency=None if entry["latency"] is None else float(entry["latency"]),
        packet=None if packet is None else _packet(packet),
    )


def _packet(facts: dict[str, Any]) -> SeenPacket:
    return SeenPacket(
        code=int(facts["code"]),
        identifier=int(facts["identifier"]),
        authenticator=str(facts["authenticator"]),
        attributes=tuple(map(str, facts["attributes"])),
        signed=bool(facts["signed"]),
        credential=Credential(facts["credential"]),
        name=NameForm(facts["name"]),
        person=str(facts["person"]),
        states=int(facts["states"]),
        proxy_states=int(facts["proxy_states"]),
        caller=CallerForm(facts["caller"]),
        service_type=_optional(facts["service_type"]),
        nas_port_type=_optional(facts["nas_port_type"]),
        length=int(facts["length"]),
    )


def _optional(number: object) -> int | None:
    return number if isinstance(number, int) else None
