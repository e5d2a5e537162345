"""An emulated security key: CTAP2 and U2F in one, in memory, on a pseudo-terminal, or held to a smart-card reader.

It is a file or less, so it is no second factor: it serves the demo and the tests, and misbehaves when told to.
FIDO CTAP 2.1 and U2F 1.2; WebAuthn 6.1 and 8.
"""

from radiusd2fa.emulators.softkey.attestation import AAGUID, TEST_ROOT, Authority, Format, batch
from radiusd2fa.emulators.softkey.key import Button, SoftKey, TouchRequest, automatic
from radiusd2fa.emulators.softkey.misbehaviour import Misbehaviour, Unplug
from radiusd2fa.emulators.softkey.state import KeyFileError, PinPolicy

__all__ = [
    "AAGUID",
    "TEST_ROOT",
    "Authority",
    "Button",
    "Format",
    "KeyFileError",
    "Misbehaviour",
    "PinPolicy",
    "SoftKey",
    "TouchRequest",
    "Unplug",
    "automatic",
    "batch",
]
