"""What the daemon remembers of one datagram, for whoever looks for the fault between a device and us.

Values without a password, a code, a name or a State: nothing here lets anybody in, or tells who it was. RFC 2865 3 and
5 (packets and attributes), RFC 3579 3.2 (Message-Authenticator).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from radiusd2fa.core.record import record

ACCESS_REQUEST: Final = 1
STATUS_SERVER: Final = 12
DUPLICATES: Final = frozenset({"duplicate_in_progress", "duplicate_answered"})
"""Fates of retransmissions that the daemon knew for what they are."""


class Credential(StrEnum):
    """What a request offers as proof."""

    PAP = "pap"
    CHAP = "chap"
    MSCHAP = "mschap"
    EAP = "eap"
    NONE = "none"


class NameForm(StrEnum):
    """How a User-Name is written; the name itself is never kept."""

    PLAIN = "plain"
    REALM = "realm"
    """``user@realm``"""
    DOMAIN = "domain"
    """``DOMAIN\\user``"""
    UNREADABLE = "unreadable"
    ABSENT = "absent"


class CallerForm(StrEnum):
    """How a Calling-Station-Id is written."""

    ABSENT = "absent"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    IPV4_WITH_PORT = "ipv4-with-port"
    MAC = "mac"
    TEXT = "text"


@record
class SeenPacket:
    """One sound packet without anything that tells who it was or lets anybody in."""

    code: int
    identifier: int
    authenticator: str
    """A short hash, in which a retransmission and a new packet differ."""
    attributes: tuple[str, ...]
    """Types in the order of the wire; of a Vendor-Specific ``26.vendor.type``."""
    signed: bool
    credential: Credential
    name: NameForm
    person: str
    """A short keyed hash of the name: the same person has the same one, until the daemon starts again."""
    states: int
    proxy_states: int
    caller: CallerForm
    service_type: int | None
    nas_port_type: int | None
    length: int
    """Octets of the packet."""


@record
class Seen:
    """One datagram and what became of it. Times in seconds."""

    time: float
    """Since 1970."""
    source: str
    port: int
    fate: str
    """``accepted:reason``, ``rejected:reason``, ``challenged:reason``, or the bare reason why it got no answer of its
    own; "" while it is in work."""
    latency: float | None
    """From its arrival until the reply left; None without a reply."""
    packet: SeenPacket | None
    """None for what could not be read, and for a stranger's."""

    @property
    def outcome(self) -> str:
        """``accepted``, ``rejected`` or ``challenged``; "" for all else."""
        return self.fate.partition(":")[0] if ":" in self.fate else ""

    @property
    def reason(self) -> str:
        """Why it ended so."""
        return self.fate.rpartition(":")[2]

    @property
    def duplicate(self) -> bool:
        """Whether it was a retransmission of a request that the daemon still knew."""
        return self.fate in DUPLICATES
