"""What devices of one make have in common: defaults for an entry of ``clients:``, and what to tell people about them.

A profile never overrides what a site writes, holds no secret, and knows nothing of the daemon. What was tried here says
so, and so does what was only read in a maker's documentation or remembered; RFC 2865 4 and 5, RFC 2869 5.10 (Prompt).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from radiusd2fa.core.model import Flow
from radiusd2fa.core.rules import MAX_PROMPT_LENGTH

MEASURED: Final = "(measured by us)"
DOCUMENTED: Final = "(documented; not run by us)"
REMEMBERED: Final = "(remembered; not run by us)"
"""How a note ends: where it comes from."""

_MAX_PACKET: Final = 4096


@dataclass(frozen=True, slots=True)
class Profile:
    """One make of device. Times in seconds."""

    name: str
    product: str
    """What people call it."""
    timeout: float
    """How long it waits for a reply before it asks again or gives up, unless told otherwise."""
    tries: int
    """How often it asks one server in all, unless told otherwise."""
    mschap_hint: str
    """What to set there so that it sends PAP."""
    notes: tuple[str, ...]
    """Sentences for people; each ends with MEASURED, DOCUMENTED or REMEMBERED."""
    flow: Flow = Flow.CHALLENGE
    message_authenticator: Literal["required", "observe"] = "required"
    """``observe`` only where we know that the usual release cannot sign: everything else is found out by asking."""
    reject_delay: float = 1.0
    """Always less than ``timeout``: a refusal that comes too late is asked for again."""
    strip_realm: bool = False
    """No profile sets it: only a site knows whether alice and alice@realm are one person."""
    prompt_length: int = MAX_PROMPT_LENGTH
    """Characters of a question that it shows at most."""
    prompt_ending: Literal[": ", "\n", ""] = ": "
    """What stands between the text of a question and the answer."""
    prompt_attribute: bool = False
    """Whether Prompt goes with every question, saying whether the answer may be shown while it is typed."""
    state_length: Literal[32, 22] = 32
    """The same 128 bits as 32 hexadecimal characters, or as 22 of base64url where 32 are too many."""
    max_reply: int = _MAX_PACKET
    """Octets of the longest packet that it reads."""
    reply: tuple[tuple[str, str], ...] = ()
    """Attributes for every Access-Accept, by their dictionary names."""
    ports: tuple[int, ...] = (1812,)
    """Where it asks by default."""

    @property
    def run_by_us(self) -> bool:
        """Whether anything about it was tried against a live server here."""
        return any(note.endswith(MEASURED) for note in self.notes)


def _measured(fact: str) -> str:
    return f"{fact} {MEASURED}"


def _documented(fact: str) -> str:
    return f"{fact} {DOCUMENTED}"


def _remembered(fact: str) -> str:
    return f"{fact} {REMEMBERED}"


# --- programs that we have run ---------------------------------------------------------------------------------------

_PAP_ONLY: Final = "it sends nothing but PAP, so another program asks from that address: give that one PAP too"

_PAM_RADIUS: Final = Profile(
    name="pam_radius",
    product="OpenSSH and other PAM programs through pam_radius",
    timeout=3.0,
    tries=1,
    mschap_hint=_PAP_ONLY,
    notes=(
        _measured("pam_radius 2.0.0 signs no request; for a release that does, write message_authenticator: required"),
        _measured("it asks once and waits 3 s; the answer to a question is sent once, whatever `retry` says"),
        _measured("replies over about 1,000 octets never reach it: 901 do, 1,109 do not"),
        _measured("the response to a question carries no Service-Type: a rule about it is chosen at the first packet"),
        _measured("what is typed is shown, unless pam_radius has `prompt_attribute` and Prompt says otherwise"),
        _measured("of a question in several Reply-Messages it shows the first"),
    ),
    message_authenticator="observe",
    prompt_attribute=True,
    max_reply=1000,
)

_OCSERV: Final = Profile(
    name="ocserv",
    product="OpenConnect VPN server (ocserv) with radcli",
    timeout=10.0,
    tries=4,
    mschap_hint=_PAP_ONLY,
    notes=(
        _measured("radcli 1.2.11 signs no request; for a release that does, write message_authenticator: required"),
        _remembered("radcli 1.5 and newer refuse replies without a Message-Authenticator; ours carry one"),
        _measured("openconnect puts the question on a line of its own and asks for a password below it"),
        _measured("passwords are cut at 112 octets: a long password with a code behind it may not fit"),
        _measured("radcli as shipped waits 10 s (radius_timeout) and asks three times more (radius_retries)"),
    ),
    message_authenticator="observe",
    prompt_ending="",
)

_OPENVPN: Final = Profile(
    name="openvpn",
    product="OpenVPN with radiusplugin (with its auth-pam plugin the profile is pam_radius)",
    timeout=1.0,
    tries=2,
    mschap_hint=_PAP_ONLY,
    notes=(
        _measured("radiusplugin 2.1 signs no request and shows no question"),
        _measured(
            "with `static-challenge` in the client's file OpenVPN itself asks for the code, and both arrive together; "
            "without it people type the code behind the password"
        ),
        _measured(
            "its retry is a new packet, so a login whose reply is late or lost spends the code and is refused: "
            "write wait=5 in radiusplugin.cnf, which is shipped with wait=1 and retry=1"
        ),
    ),
    flow=Flow.APPEND,
    message_authenticator="observe",
    reject_delay=0.5,
)

_STRONGSWAN: Final = Profile(
    name="strongswan",
    product="strongSwan with eap-radius",
    timeout=2.0,
    tries=4,
    mschap_hint="auth = xauth-radius in a remote section of swanctl.conf: IKEv1 with XAuth sends PAP",
    notes=(
        _measured("strongSwan 5.9.8 signs every request, behind the other attributes"),
        _measured("XAuth through RADIUS shows no question: people type the code behind the password"),
        _measured("Calling-Station-Id has the port behind the address, as in 192.0.2.7[4500]"),
        _measured("IKEv2 with EAP asks in a way that is not answered here: use IKEv1 with XAuth"),
        _documented("it waits 2 s, then longer each time, and asks four times"),
    ),
    flow=Flow.APPEND,
)


# --- products that we cannot run -------------------------------------------------------------------------------------

_SIGNS_PERHAPS: Final = _remembered(
    "releases from before CVE-2024-3596 (July 2024) may sign no request: update, or write "
    "message_authenticator: observe"
)
_CODE_BEHIND_PASSWORD: Final = _remembered("it shows no question: people type the code behind the password")

_FORTIGATE: Final = Profile(
    name="fortigate",
    product="Fortinet FortiGate",
    timeout=5.0,
    tries=2,
    mschap_hint="config user radius / edit NAME / set auth-type pap",
    notes=(
        _documented(
            "FortiOS 7.2.10, 7.4.5 and 7.6.1 refuse replies without a Message-Authenticator, and replies with a "
            "Proxy-State that they did not send; ours are signed"
        ),
        _documented(
            "`set auth-type auto` tries PAP, MS-CHAPv2 and CHAP, each when the one before was refused: "
            "write `set auth-type pap`"
        ),
        _documented(
            "remoteauthtimeout (5 s) ends the wait for a reply: for security keys, where somebody must find one, write "
            "`config system global / set remoteauthtimeout 60`"
        ),
        _SIGNS_PERHAPS,
    ),
)

_PALOALTO: Final = Profile(
    name="paloalto",
    product="Palo Alto Networks PAN-OS (GlobalProtect, administrators)",
    timeout=3.0,
    tries=3,
    mschap_hint="Device > Server Profiles > RADIUS > NAME: Authentication Protocol PAP",
    notes=(
        _documented("it waits 3 s and asks three times unless told otherwise"),
        _documented(
            "up to PAN-OS 8.0 each login tries CHAP first and PAP after the refusal; later releases send what the "
            "server profile says: choose PAP"
        ),
        _documented("NAS-Identifier is the name of the authentication profile"),
        _SIGNS_PERHAPS,
    ),
)

_ASA: Final = Profile(
    name="asa",
    product="Cisco ASA and Secure Firewall",
    timeout=10.0,
    tries=3,
    mschap_hint="no mschapv2-capable in the aaa-server host, no password-management in the tunnel-group",
    notes=(
        _documented("it asks at port 1645 unless told `authentication-port 1812`"),
        _documented("it asks again after 10 s unless told otherwise"),
        _remembered("`password-management` in the tunnel-group makes it ask with MS-CHAPv2"),
        _remembered("AnyConnect shows the question of a challenge"),
        _SIGNS_PERHAPS,
    ),
    ports=(1645,),
)

_IOS: Final = Profile(
    name="ios",
    product="Cisco IOS and IOS XE (logins to the device)",
    timeout=5.0,
    tries=4,
    mschap_hint="logins use PAP anyway; for PPP: `ppp authentication pap` on the interface",
    notes=(
        _remembered("it asks at port 1645 unless told `auth-port 1812`"),
        _remembered("it waits 5 s and asks three times more (`radius-server retransmit 3`)"),
        _remembered(
            "with `aaa authorization exec` it lets nobody in without a Service-Type: the profile sends "
            'NAS-Prompt-User; for enable mode send Cisco-AVPair "shell:priv-lvl=15" by a rule for administrators'
        ),
        _SIGNS_PERHAPS,
    ),
    reply=(("Service-Type", "NAS-Prompt-User"),),
    ports=(1645,),
)

_JUNOS: Final = Profile(
    name="junos",
    product="Juniper Junos OS (logins to the device)",
    timeout=3.0,
    tries=3,
    mschap_hint="delete system radius-options password-protocol",
    notes=(
        _documented("it waits 3 s and asks three times unless told otherwise"),
        _documented("it sends PAP, unless `system radius-options password-protocol mschap-v2` is set"),
        _remembered(
            "people without a local account get the template user `remote`; Juniper-Local-User-Name in a rule's reply "
            "names another"
        ),
        _SIGNS_PERHAPS,
    ),
)

_MIKROTIK: Final = Profile(
    name="mikrotik",
    product="MikroTik RouterOS",
    timeout=0.3,
    tries=3,
    mschap_hint="authentication=pap in the VPN or PPP server; logins to the router itself know MS-CHAPv2 only",
    notes=(
        _remembered(
            "it waits 300 ms: `/radius set [find] timeout=3s` gives slow backends time, and then reject_delay can be 1s"
        ),
        _CODE_BEHIND_PASSWORD,
        _documented(
            "require-message-auth exists since RouterOS 7.15: for older releases, which sign nothing, write "
            "message_authenticator: observe"
        ),
        _remembered(
            "logins to the router itself (WinBox, ssh, with `/user aaa set use-radius=yes`) use MS-CHAPv2 since "
            "RouterOS 6.43 and cannot be served here; PPP, VPN and hotspot logins can use PAP"
        ),
    ),
    flow=Flow.APPEND,
    reject_delay=0.0,
)

_OPNSENSE: Final = Profile(
    name="opnsense",
    product="OPNsense",
    timeout=5.0,
    tries=3,
    mschap_hint="System > Access > Servers > NAME: Protocol PAP",
    notes=(
        _documented("it takes a question for a failure: people type the code behind the password"),
        _documented("it sends no Calling-Station-Id, so guessing cannot be slowed down by caller"),
        _remembered("it signs no request with PAP"),
    ),
    flow=Flow.APPEND,
    message_authenticator="observe",
)

_PFSENSE: Final = Profile(
    name="pfsense",
    product="pfSense",
    timeout=5.0,
    tries=3,
    mschap_hint="System > User Manager > Authentication Servers > NAME: Protocol PAP",
    notes=(
        _documented("a new authentication server has MS-CHAPv2 for its protocol: choose PAP"),
        _CODE_BEHIND_PASSWORD,
        _remembered("it signs no request with PAP"),
    ),
    flow=Flow.APPEND,
    message_authenticator="observe",
)

_NETSCALER: Final = Profile(
    name="netscaler",
    product="Citrix NetScaler",
    timeout=3.0,
    tries=3,
    mschap_hint="set authentication radiusAction NAME -passEncoding pap",
    notes=(
        _documented("it waits 3 s (-authTimeout)"),
        _documented("it signs requests unless told -messageAuthenticator OFF"),
        _documented("it shows the question of a challenge"),
        _documented("it sends Calling-Station-Id only with -callingstationid ENABLED"),
    ),
)

_F5: Final = Profile(
    name="f5",
    product="F5 BIG-IP APM",
    timeout=5.0,
    tries=3,
    mschap_hint="the item RADIUS Auth of an access policy sends PAP: use no other for this server",
    notes=(
        _remembered("it waits 5 s and asks three times"),
        _remembered("its logon page shows the question of a challenge"),
        _SIGNS_PERHAPS,
    ),
)

_CHECKPOINT: Final = Profile(
    name="checkpoint",
    product="Check Point Security Gateway",
    timeout=5.0,
    tries=2,
    mschap_hint="RADIUS server object in SmartConsole: Protocol PAP",
    notes=(
        _remembered("the service RADIUS asks at port 1645, the service NEW-RADIUS at 1812"),
        _remembered("its Remote Access clients show the question of a challenge"),
        _remembered("old releases throw away signed replies: update, or write sign_replies: no"),
        _SIGNS_PERHAPS,
    ),
    ports=(1645, 1812),
)

_ALL: Final = (
    _PAM_RADIUS,
    _OCSERV,
    _OPENVPN,
    _STRONGSWAN,
    _FORTIGATE,
    _PALOALTO,
    _ASA,
    _IOS,
    _JUNOS,
    _MIKROTIK,
    _OPNSENSE,
    _PFSENSE,
    _NETSCALER,
    _F5,
    _CHECKPOINT,
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType({profile.name: profile for profile in _ALL})
"""By name, in the order in which people are told about them."""


def mschap_advice(client: str, profile: Profile | None) -> str:
    """Return why MS-CHAP was refused, and what to set on that device: one sentence for the log."""
    return (
        f"client {client}: it asks with MS-CHAP, against which no one-time code and no directory's password can be "
        f"checked; {mschap_remedy(profile)}"
    )


def mschap_remedy(profile: Profile | None) -> str:
    """Return what to set on a device of that make so that it sends PAP."""
    return "let it send PAP" if profile is None else f"let it send PAP; on {profile.product}: {profile.mschap_hint}"
