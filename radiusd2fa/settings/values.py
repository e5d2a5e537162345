"""What a running daemon knows of its configuration: frozen values, checked, with every path absolute.

Nothing here reads a file or checks a bound, and no ``repr`` shows a shared secret.
The syslog facility is the number of RFC 5424 6.2.1; networks are those of RADIUS clients (RFC 2865 3).
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from radiusd2fa.core.attributes import ReplyAttribute
from radiusd2fa.core.model import Nas
from radiusd2fa.core.rules import Rules
from radiusd2fa.settings.profiles import Profile

Network = IPv4Network | IPv6Network

PATIENCE: Final = 5.0
"""Seconds after which the daemon waits for no primary backend any more."""
USUAL_ACTIVATION: Final = 30 * 86_400.0
"""Seconds that a token which was handed out waits for its first code."""
_SHORT_STATE: Final = 22


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
    profile: Profile | None = None
    """What is known about the product; None when the site does not name it."""
    tags: frozenset[str] = frozenset()
    prompt_attribute: bool = False
    """Whether each question says whether its answer may be seen (Prompt, RFC 2869 5.10)."""
    state_length: int = 32
    """Characters of a State: 32 in hexadecimal digits, or 22 in base64url for the same 128 bits."""
    max_reply: int = 4096
    """Octets that the device can read."""
    reply: tuple[ReplyAttribute, ...] = ()
    """What each Access-Accept carries, unless the rule says the same attribute."""
    timeout: float = 3.0
    """Seconds that it waits for a reply; an older request it has sent again, or given up."""
    tries: int = 3
    """How often it sends one request in all, ``timeout`` apart."""
    max_pps: int = 10_000
    """Packets that are judged of it in a second; 0: all."""

    def wire_state(self, handle: str) -> bytes:
        """Spell the handle of a challenge as this client's State."""
        if self.state_length == len(handle):
            return handle.encode()
        return urlsafe_b64encode(bytes.fromhex(handle)).rstrip(b"=")

    def handle(self, state: bytes) -> str:
        """Read the handle of a challenge back from a State; what is none comes out as nobody's."""
        if self.state_length == len(state) == _SHORT_STATE:
            with suppress(ValueError):
                return urlsafe_b64decode(state + b"==").hex()
        return state.decode("ascii", errors="replace")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Passwords of our own, and what one argon2id hash may cost."""

    name: str = "local"
    kind: Literal["local"] = "local"
    memory_kib: int = 19456
    passes: int = 2
    workers: int = 2
    """Hashes computed at the same time."""
    queue: int = 64
    """Logins that may wait for a worker."""


@dataclass(frozen=True, slots=True)
class NoneSettings:
    """Nobody checks a password, or the NAS does."""

    name: str = "none"
    kind: Literal["none"] = "none"


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """A directory (RFC 4511). Times in seconds; ``{user}``, ``{name}`` and ``{realm}`` stand for what was typed.

    ``{user}`` is the whole name, ``{name}`` is it without its realm.
    """

    name: str
    """What accounts from here have as their source."""
    servers: tuple[str, ...]
    """``ldaps://host``, ``ldap://host:port`` or ``ldapi://…``, in the order in which they are preferred."""
    kind: Literal["ldap"] = "ldap"
    start_tls: bool = False
    """For ldap:// servers: nothing is sent before TLS is up (RFC 4511 4.14)."""
    ca_file: Path | None = None
    """PEM; None: the authorities that the system trusts."""
    certificate: Path | None = None
    """The client's certificate and key, PEM; both or neither."""
    certificate_key: Path | None = None
    bind_template: str | None = None
    """The DN, or the userPrincipalName, that a person binds with. None: the person is searched for first."""
    search_base: str | None = None
    search_filter: str = "(uid={name})"
    search_user: str | None = None
    """The DN that searches; None searches anonymously."""
    search_password: bytes | None = field(default=None, repr=False)
    id_attribute: str | None = "entryUUID"
    """What binds tokens to the person: entryUUID, objectGUID, ipaUniqueID, nsUniqueId; None binds to the name only."""
    groups: Literal["none", "member_of", "search", "nested"] = "member_of"
    """How groups are found: by the entry's own memberOf, by a search for groups that hold the person, or by that search
    with Active Directory's LDAP_MATCHING_RULE_IN_CHAIN (nested); a plain search can climb up to ``group_depth`` too."""
    group_base: str | None = None
    group_filter: str = "(|(member={dn})(uniqueMember={dn})(memberUid={name}))"
    group_name: Literal["cn", "dn"] = "cn"
    group_depth: int = 1
    """How many levels of groups within groups a search climbs; 1 does not climb."""
    connect_timeout: float = 1.0
    """For TCP and TLS together."""
    timeout: float = 2.0
    """For one bind or one search, all its octets included."""
    calls: int = 8
    """Calls in flight at one time."""
    queue: int = 64
    """Logins that may wait for one of them."""
    retry_after: float = 10.0
    """For how long a server that has failed is left alone; it is tried again beside the logins, not by one of them."""


@dataclass(frozen=True, slots=True)
class UpstreamServer:
    """One RADIUS server behind us."""

    address: str
    """An IP address."""
    port: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RadiusSettings:
    """Another RADIUS server that checks the password, or, while a site moves over, everything (RFC 2865)."""

    name: str
    servers: tuple[UpstreamServer, ...]
    kind: Literal["radius"] = "radius"
    require_message_authenticator: bool = True
    """Whether a reply without one is thrown away (CVE-2024-3596). Requests always carry one."""
    timeout: float = 2.0
    """Seconds until the next server is asked."""
    tries: int = 1
    """How often one server is asked, ``timeout`` apart, with the same octets."""
    calls: int = 256
    """Requests in flight at one time, each on a socket of its own."""
    retry_after: float = 10.0
    """For how long a server that was silent is left alone."""
    nas_identifier: str = "radiusd2fa"
    pass_on: tuple[int, ...] = (4, 5, 6, 30, 31, 32, 61, 87)
    """Attributes of the request that go upstream, by number: NAS-IP-Address, NAS-Port, Service-Type, Called- and
    Calling-Station-Id, NAS-Identifier, NAS-Port-Type, NAS-Port-Id."""
    pass_back: tuple[int, ...] = ()
    """Attributes of the upstream's Access-Accept that go into ours, by number; 26 passes every Vendor-Specific."""
    strip_realm: bool = False
    """Whether the upstream is told the name without its realm."""


@dataclass(frozen=True, slots=True)
class PamSettings:
    """The host's PAM (pam_start(3))."""

    name: str = "pam"
    kind: Literal["pam"] = "pam"
    service: str = "radiusd2fa"
    """The file in /etc/pam.d."""
    folder: Path | None = None
    """Another folder in the place of /etc/pam.d (pam_start_confdir(3))."""
    timeout: float = 2.5
    calls: int = 4
    """Threads, and so conversations at one time; one that PAM never gives back stays lost."""
    queue: int = 32
    strip_realm: bool = False


BackendSettings = LocalSettings | NoneSettings | LdapSettings | RadiusSettings | PamSettings


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
class Administrators:
    """The operating system's groups behind each role. A role may do what those before it may."""

    helpdesk: frozenset[str] = frozenset()
    operator: frozenset[str] = frozenset()
    admin: frozenset[str] = frozenset()


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
    primary: BackendSettings
    """What checks a password where no rule says otherwise."""
    rules: Rules
    syslog: SyslogSettings | None
    log: LogSettings
    attestation: AttestationSettings | None = None
    """None: every key model may be registered."""
    workers: int = 1
    """Processes that share the addresses."""
    stations: tuple[StationSettings, ...] = ()
    backends: tuple[BackendSettings, ...] = ()
    """All that a rule can name, ``primary`` among them."""
    time_zone: str | None = None
    """None: the system's."""
    activation: float = USUAL_ACTIVATION
    """Seconds that a token which was handed out waits for its first code."""
    administrators: Administrators | None = None
    """Who may do what on the command line; None: whoever can open the files, everything."""
    dictionaries: tuple[Path, ...] = ()
    """Those of the site, which come on top of the package's."""
    node: str = "node"
    """What this daemon is called among those that share the store."""
    writer: int | None = field(default=None, compare=False)
    """The uid of who alone can change the file; None: others can too."""
    warnings: tuple[str, ...] = ()
    """What is allowed but weaker than it should be: one sentence each, to be said at every start."""

    def zone(self) -> tzinfo | None:
        """Return the time zone; None is the system's."""
        return None if self.time_zone is None else ZoneInfo(self.time_zone)
