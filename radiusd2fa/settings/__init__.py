"""One YAML file in, one frozen Settings out; or every fault of the file at once, each with its line and its remedy.

Nothing here decides a login, opens a socket or the store, or ever shows a value from the file: faults name keys only.
Answers to no RFC; the numbers it bounds are those of RFC 2865, 4226, 5424 and 6238.
"""

from radiusd2fa.settings.faults import Fault, SettingsError
from radiusd2fa.settings.loading import load_settings
from radiusd2fa.settings.values import (
    Administrators,
    AttestationSettings,
    BackendSettings,
    ClientSettings,
    Endpoint,
    LdapSettings,
    LocalSettings,
    LogSettings,
    Network,
    NoneSettings,
    PamSettings,
    RadiusSettings,
    Settings,
    StationSettings,
    SyslogSettings,
    UpstreamServer,
)

__all__ = [
    "Administrators",
    "AttestationSettings",
    "BackendSettings",
    "ClientSettings",
    "Endpoint",
    "Fault",
    "LdapSettings",
    "LocalSettings",
    "LogSettings",
    "Network",
    "NoneSettings",
    "PamSettings",
    "RadiusSettings",
    "Settings",
    "SettingsError",
    "StationSettings",
    "SyslogSettings",
    "UpstreamServer",
    "load_settings",
]
