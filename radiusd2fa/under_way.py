"""A login on its way through the house, from the packet that came in to the reply that leaves.

It holds facts and does nothing; the server moves it on. RFC 2865 4 says what comes in and what may leave.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from radiusd2fa.core.model import AccessRequest, Known, NeedPrimary
from radiusd2fa.listeners.recvmmsg import Datagram
from radiusd2fa.listeners.udp import UdpListener
from radiusd2fa.radius.packet import Packet
from radiusd2fa.regime import Regime
from radiusd2fa.settings import ClientSettings
from radiusd2fa.sightings import Sighting


@dataclass(eq=False, slots=True)
class Login:
    """One Access-Request."""

    regime: Regime
    """What it is judged by, whatever is reloaded meanwhile."""
    listener: UdpListener
    datagram: Datagram
    packet: Packet
    client: ClientSettings
    secret: bytes = field(repr=False)
    key: bytes
    request: AccessRequest
    nonce: bytes = field(repr=False)
    arrived: float
    known: Known
    sighting: Sighting
    now: float = 0.0
    """Seconds since 1970 at which it was looked up, and is decided."""
    reply: tuple[tuple[int, bytes], ...] = ()
    """What the Access-Accept will carry."""
    waiting: Waiting | None = None
    """The question to a primary backend that has no answer yet."""
    is_over: bool = False
    retried: bool = False
    """Whether it was decided anew because an account came to be meanwhile."""


@dataclass(eq=False, slots=True)
class Waiting:
    """A login that a primary backend has been asked about."""

    login: Login
    need: NeedPrimary
    deadline: asyncio.TimerHandle
