"""What a running daemon knows of its configuration: frozen values, checked, with every path absolute.

Nothing here reads a file or checks a bound, and no ``repr`` shows a shared secret.
The syslog facility is the number of RFC 5424 6.2.1; networks are those of RADIUS clients (RFC 2865 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from radiusd2fa.core.model import Nas
from radiusd2fa.core.rules import Rules

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to listen on. Port 0 lets the kernel choose one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One entry of ``clients:``: who it is, how its packets are checked, and how it is answered."""

    nas: Nas
    networks: tuple[Network, ...]
    """IPv4-mapped IPv6 networks are already written as IPv4."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """The present shared secret, then the old one while it is being replaced."""
    require_message_authenticator: bool = True
    sign_replies: bool = True
    reject_delay: float = 1.0
    """Seconds after its arrival at which a request is refused, whatever the reason."""


@dataclass(frozen=True, slots=True)
class PrimarySettings:
    """Where passwords are checked, and what one argon2id hash may cost."""

    kind: Literal["local", "none"] = "local"
    memory_kib: int = 19456
    passes: int = 2
    workers: int = 2
    """Hashes computed at the same time."""
    queue: int = 64
    """Logins that may wait for a worker."""


@dataclass(frozen=True, slots=True)
class AttestationSettings:
    """Which key models may be registered, and whose certificates prove it."""

    aaguids: frozenset[str]
    roots: tuple[Path, ...] = ()
    """PEM files."""
    metadata: Path | None = None
    """A FIDO Metadata Service blob (MDS3)."""
    metadata_root: Path | None = None
    """The certificate that the blob's signature ends at, PEM."""


@dataclass(frozen=True, slots=True)
class StationSettings:
    """Where a station finds its keys; with neither, every key and reader of its host."""

    name: str
    usb: Path | None = None
    reader: str | None = None
    """The beginning of a PC/SC reader's name."""


@dataclass(frozen=True, slots=True)
class SyslogSettings:
    """Where events are sent. ``path`` is for a Unix socket, ``host`` and ``port`` for the others."""

    scheme: Literal["unix", "udp", "tcp"] = "unix"
    path: str = "/dev/log"
    host: str = ""
    port: int = 0
    facility: int = 10
    """RFC 5424 6.2.1; 10 is authpriv."""
    app_name: str = "radiusd2fa"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What standard error shows."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the configuration file says."""

    path: Path
    """The file itself."""
    listen: tuple[Endpoint, ...]
    store: str
    """An SQLAlchemy URL."""
    vault_key: Path
    clients: tuple[ClientSettings, ...]
    primary: PrimarySettings
    rules: Rules
    syslog: SyslogSettings | None
    log: LogSettings
    attestation: AttestationSettings | None = None
    """None: every key model may be registered."""
    stations: tuple[StationSettings, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is allowed but weaker than it should be: one sentence each, to be said at every start."""
