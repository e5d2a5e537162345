"""The status octets with which an emulated key answers CTAP2 commands.

Only those are here that the key can give; the others of the table belong to functions that it does not have.
CTAP 2.1 8.2.
"""

from __future__ import annotations

from enum import IntEnum

from fido2 import cbor

from radiusd2fa.emulators.softkey.key import Waiting


class Status(IntEnum):
    """Why a command was refused."""

    INVALID_COMMAND = 0x01
    INVALID_PARAMETER = 0x02
    INVALID_LENGTH = 0x03
    CBOR_UNEXPECTED_TYPE = 0x11
    INVALID_CBOR = 0x12
    MISSING_PARAMETER = 0x14
    CREDENTIAL_EXCLUDED = 0x19
    UNSUPPORTED_ALGORITHM = 0x26
    UNSUPPORTED_OPTION = 0x2B
    INVALID_OPTION = 0x2C
    KEEPALIVE_CANCEL = 0x2D
    NO_CREDENTIALS = 0x2E
    USER_ACTION_TIMEOUT = 0x2F
    NOT_ALLOWED = 0x30
    PIN_INVALID = 0x31
    PIN_BLOCKED = 0x32
    PIN_AUTH_INVALID = 0x33
    PIN_AUTH_BLOCKED = 0x34
    PIN_NOT_SET = 0x35
    PUAT_REQUIRED = 0x36
    PIN_POLICY_VIOLATION = 0x37
    REQUEST_TOO_LARGE = 0x39
    INVALID_SUBCOMMAND = 0x3E
    UNAUTHORIZED_PERMISSION = 0x40


Outcome = Status | bytes | Waiting
"""A refusal, a whole reply, or a command that waits to be touched."""


def success(content: dict[int, object] | None = None) -> bytes:
    """Return the reply of a command that was done."""
    return b"\0" + (cbor.encode(content) if content else b"")


def refusal(status: Status) -> bytes:
    """Return the reply of a command that was refused."""
    return bytes((status,))
