"""A relying party and a browser for the soft key's tests: registration and login as python-fido2 does and judges them.

It knows nothing of the soft key: it gets a device, and would take a real one.
WebAuthn 7.1 (registering) and 7.2 (verifying an assertion).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapDevice
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.hid import CtapHidDevice
from fido2.hid.base import HidDescriptor
from fido2.hid.linux import LinuxCtapHidConnection
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

RP_ID: Final = "auth.example.org"
ORIGIN: Final = "https://auth.example.org"
PIN: Final = "314159"
DISCOURAGED: Final = UserVerificationRequirement.DISCOURAGED
REQUIRED: Final = UserVerificationRequirement.REQUIRED
BOTH: Final = (-7, -8)
ALICE: Final = PublicKeyCredentialUserEntity(id=b"\x01", name="alice")


@dataclass
class Person(UserInteraction):
    """Who sits in front of the key: knows a PIN, and counts how often a touch was asked for."""

    pin: str | None = PIN
    touches: int = 0
    asked: threading.Event = field(default_factory=threading.Event)

    def prompt_up(self) -> None:
        """See "touch now"."""
        self.touches += 1
        self.asked.set()

    def request_pin(self, permissions: ClientPin.PERMISSION, rp_id: str | None) -> str | None:
        """Type the PIN."""
        return self.pin


def relying_party(*algorithms: int) -> Fido2Server:
    """Make a server that wants direct attestation and offers these algorithms."""
    server = Fido2Server(PublicKeyCredentialRpEntity(id=RP_ID, name="Example"), attestation="direct")  # type: ignore[arg-type]  # it takes the text too
    server.allowed_algorithms = [
        PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=algorithm)
        for algorithm in algorithms or BOTH
    ]
    return server


def browser(device: CtapDevice, person: Person | None = None) -> Fido2Client:
    """Make a client for the relying party's pages."""
    return Fido2Client(device, DefaultClientDataCollector(ORIGIN), person or Person(), extensions=[])


def register(
    device: CtapDevice,
    *algorithms: int,
    verification: UserVerificationRequirement = DISCOURAGED,
    person: Person | None = None,
    exclude: list[AttestedCredentialData] | None = None,
    event: threading.Event | None = None,
) -> AttestationObject:
    """Register the key; returns what the server has verified."""
    server = relying_party(*algorithms)
    options, state = server.register_begin(ALICE, exclude, user_verification=verification)
    response = browser(device, person).make_credential(options.public_key, event)
    server.register_complete(state, response)
    return response.response.attestation_object


def log_in(
    device: CtapDevice,
    *credentials: AttestedCredentialData,
    verification: UserVerificationRequirement = DISCOURAGED,
    person: Person | None = None,
    event: threading.Event | None = None,
) -> AuthenticatorData:
    """Log in with the key; returns what the server has verified."""
    server = relying_party()
    options, state = server.authenticate_begin(list(credentials), user_verification=verification)
    response = browser(device, person).get_assertion(options.public_key, event).get_response(0)
    server.authenticate_complete(state, list(credentials), response)
    return response.response.authenticator_data


def credential_of(attestation: AttestationObject) -> AttestedCredentialData:
    """Return the new credential of a registration."""
    credential = attestation.auth_data.credential_data
    assert credential is not None
    return credential


def at_path(path: str) -> CtapHidDevice:
    """Open a character device the way python-fido2 opens a hidraw device, but without its ioctls."""
    descriptor = HidDescriptor(path, 0, 0, 64, 64, None, None)
    return CtapHidDevice(descriptor, LinuxCtapHidConnection(descriptor))  # type: ignore[no-untyped-call]  # that file has no types


def ctap2(device: CtapDevice) -> Ctap2:
    """Return the raw CTAP2 commands of a device."""
    return Ctap2(device)
