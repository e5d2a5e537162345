"""One conversation with one open key: what its two languages (CTAP1 and CTAP2) have in common.

Nothing here knows how many other keys are being asked. CTAP 2.1, 8.2 (status codes) says what a key's faults mean.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, Protocol

from fido2 import cbor
from fido2.ctap import STATUS, CtapDevice, CtapError

from radiusd2fa.keys.model import (
    Answer,
    Failed,
    FailureReason,
    FoundKey,
    Person,
    Ready,
    Registered,
    RegisterRequest,
    Request,
)

_ERR = CtapError.ERR

BREATH: Final = 0.2
"""Seconds before a key is asked again what it has just declined."""

Claim = Callable[[], bool]
"""Called by a key that was touched: True lets all other keys go, False says that another key was faster."""


class Conversation(Protocol):
    """What can be done with an open key, whichever language it speaks. Any fault of the library may come out of it."""

    def look(self) -> Ready | Failed:
        """Find out, without a touch, whether this key can answer the request."""

    def answer(self, claim: Claim | None) -> Answer:
        """Let the key sign or register, asking for touch and PIN as needed. No claim: no other key is being asked."""


@dataclass(frozen=True, slots=True)
class Talk:
    """Who talks about what: the key, the request, the person, and the sign that it is over."""

    key: FoundKey
    device: CtapDevice
    request: Request
    person: Person
    ended: Event

    def client_data_hash(self) -> bytes:
        """Return what the key signs in place of the client data."""
        return hashlib.sha256(self.request.client_data).digest()

    def prompt(self) -> Callable[[int], None]:
        """Return what to do when the key reports how it goes: the first time that it waits for a touch, say so."""
        told = False

        def on_status(status: int) -> None:
            nonlocal told
            if status == STATUS.UPNEEDED and not told:
                told = True
                self.person.touch(self.key)

        return on_status


def registered(request: RegisterRequest, fmt: str, auth_data: bytes, statement: Mapping[str, Any]) -> Registered:
    """Put a new credential into the form of WebAuthn 6.5.4, with the key's attestation only where it was asked for."""
    if not request.attestation:
        fmt, statement = "none", {}
    return Registered(cbor.encode({"fmt": fmt, "authData": bytes(auth_data), "attStmt": statement}))


# --- faults ----------------------------------------------------------------------------------------------------------

_SENTENCES: Final = {
    FailureReason.NO_CREDENTIAL: "{key} is not registered for this login.",
    FailureReason.ALREADY_REGISTERED: "{key} is registered already.",
    FailureReason.TIMED_OUT: "{key} waited for a touch in vain.",
    FailureReason.CANCELLED: "The request was refused at {key}.",
    FailureReason.PIN_NEEDED: "{key} needs its PIN, and nobody entered it.",
    FailureReason.PIN_WRONG: "That is not the PIN of {key}.",
    FailureReason.PIN_BLOCKED: "The PIN of {key} is blocked after too many wrong tries.",
    FailureReason.VERIFICATION_IMPOSSIBLE: "{key} cannot verify its user: it has no PIN and no fingerprint.",
}

_REASONS: Final = {
    _ERR.NO_CREDENTIALS: FailureReason.NO_CREDENTIAL,
    _ERR.INVALID_CREDENTIAL: FailureReason.NO_CREDENTIAL,
    _ERR.CREDENTIAL_EXCLUDED: FailureReason.ALREADY_REGISTERED,
    _ERR.USER_ACTION_TIMEOUT: FailureReason.TIMED_OUT,
    _ERR.ACTION_TIMEOUT: FailureReason.TIMED_OUT,
    _ERR.KEEPALIVE_CANCEL: FailureReason.CANCELLED,
    _ERR.OPERATION_DENIED: FailureReason.CANCELLED,
    _ERR.PUAT_REQUIRED: FailureReason.PIN_NEEDED,
    _ERR.PIN_INVALID: FailureReason.PIN_WRONG,
    _ERR.UV_INVALID: FailureReason.PIN_WRONG,
    _ERR.PIN_BLOCKED: FailureReason.PIN_BLOCKED,
    _ERR.PIN_AUTH_BLOCKED: FailureReason.PIN_BLOCKED,
    _ERR.UV_BLOCKED: FailureReason.PIN_BLOCKED,
    _ERR.PIN_NOT_SET: FailureReason.VERIFICATION_IMPOSSIBLE,
}

_GONE: Final = {errno.EIO, errno.ENODEV, errno.EPIPE, errno.ESHUTDOWN}
_ABSENT: Final = {errno.ENOENT, errno.ENXIO, errno.ENOTDIR}


def failed(key: FoundKey, reason: FailureReason) -> Failed:
    """Say in one sentence why this key gave no answer."""
    return Failed(reason, _SENTENCES[reason].format(key=key.name))


def failure(key: FoundKey, fault: Exception) -> Failed:
    """Say what a fault of the key, or of the way to it, means to the person before it."""
    name = key.name
    match fault:
        case CtapError() if fault.code in _REASONS:
            return failed(key, _REASONS[fault.code])
        case CtapError():
            return Failed(FailureReason.BROKEN, f"{name} refused with the status 0x{fault.code:02X}.")
        case PermissionError():
            return Failed(FailureReason.NOT_PERMITTED, str(fault.strerror))
        case TimeoutError():
            return Failed(FailureReason.BROKEN, f"{name} does not answer: take it out and plug it in again.")
        case OSError(errno=number) if number in _GONE:
            return Failed(FailureReason.UNPLUGGED, f"{name} was taken away before it had answered.")
        case OSError(errno=number) if number in _ABSENT:
            return Failed(FailureReason.NO_KEY, f"There is no security key at {key.path}.")
        case OSError(errno=errno.ENOSYS):
            return Failed(FailureReason.NO_KEY, str(fault.strerror))
        case OSError(errno=errno.EBUSY):
            return Failed(FailureReason.BROKEN, f"{name} is busy with another request.")
    return Failed(
        FailureReason.BROKEN, f"{name} answered with something that no security key says ({type(fault).__name__})."
    )
