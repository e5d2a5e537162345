"""Which make of device a packet looks like, by what it carries and what it leaves out.

A guess for a sentence of advice, never for a decision. The marks of pam_radius, ocserv, radiusplugin, strongSwan and
libkrad were measured, the others are public: vendors' numbers are those of RFC 2865 5.26, as IANA gives them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from radiusd2fa.core.seen import ACCESS_REQUEST, CallerForm, Seen, SeenPacket

LIBKRAD: Final = "libkrad"
"""The RADIUS client of MIT Kerberos: no profile of ours, and worth knowing."""

_USER_NAME, _NAS_IP, _NAS_PORT, _NAS_ID, _NAS_PORT_TYPE = "1", "4", "5", "32", "61"
_FRAMED_PROTOCOL, _ACCT_SESSION_ID, _CONNECT_INFO, _NAS_PORT_ID = "7", "44", "77", "87"
_VENDORS: Final = {
    "12356": "fortigate",
    "25461": "paloalto",
    "3076": "asa",
    "2636": "junos",
    "14988": "mikrotik",
    "5951": "netscaler",
    "3375": "f5",
    "2620": "checkpoint",
    "9": "ios",
}
"""By the vendor whose attributes it sends. An ASA sends those of 3076 and Cisco's own: hence the order."""


def looks_like(seen: Sequence[Seen]) -> str | None:
    """Return the profile, or ``libkrad``, that all first packets of logins look like; None when they do not agree."""
    packets = [one.packet for one in seen if one.packet is not None and one.packet.code == ACCESS_REQUEST]
    makes = {_maker(packet) for packet in packets if not packet.states and not packet.proxy_states}
    return makes.pop() if len(makes) == 1 else None


def _maker(packet: SeenPacket) -> str | None:
    kinds = frozenset(packet.attributes)
    vendors = {kind.split(".")[1] for kind in kinds if kind.startswith("26.")}
    for vendor, make in _VENDORS.items():
        if vendor in vendors:
            return make
    match packet.service_type, packet.nas_port_type:
        case 8, 5 if {_NAS_IP, _NAS_PORT, _NAS_ID} <= kinds and _CONNECT_INFO not in kinds:
            return "pam_radius"
        case 8, 0 if _CONNECT_INFO in kinds:
            return "ocserv"
        case 5, 5 if _ACCT_SESSION_ID in kinds and not packet.signed:
            return "openvpn"
        case 2, 5 if _NAS_PORT_ID in kinds and packet.caller is CallerForm.IPV4_WITH_PORT:
            return "strongswan"
        case 1, 15 if _FRAMED_PROTOCOL in kinds and not packet.signed:
            return "opnsense"
        case 8, None if packet.attributes[-1:] == (_USER_NAME,) and not {_NAS_IP, _NAS_PORT} & kinds:
            return LIBKRAD
    return None
