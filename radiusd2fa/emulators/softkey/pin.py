"""The PIN of an emulated key: set it, change it, exchange it for a token, and judge what carries a token.

A try is written down before it is judged, and neither a PIN nor a token is ever in a reply, a `repr` or an error.
CTAP 2.1 6.5 (authenticatorClientPIN).
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any, Final

from radiusd2fa.emulators.softkey.key import PowerCycle, SoftKey, is_fit_for_a_pin, pin_hash
from radiusd2fa.emulators.softkey.pin_protocol import (
    PROTOCOLS,
    decrypt,
    encrypt,
    is_authentic,
    public_half,
    shared_secret,
)
from radiusd2fa.emulators.softkey.state import MAX_PIN_RETRIES
from radiusd2fa.emulators.softkey.status import Outcome, Status, success

MAX_MISMATCHES: Final = 3
"""Wrong PINs in a row until the key wants to be pulled out."""
TOKEN_LIFE: Final = 600.0
"""Seconds."""
MAKE_CREDENTIAL: Final = 0x01
GET_ASSERTION: Final = 0x02
_TOKEN_OCTETS: Final = 32
_PADDED_PIN_OCTETS: Final = 64

# subcommands
_GET_RETRIES: Final = 0x01
_GET_KEY_AGREEMENT: Final = 0x02
_SET_PIN: Final = 0x03
_CHANGE_PIN: Final = 0x04
_GET_TOKEN: Final = 0x05
_GET_TOKEN_WITH_PERMISSIONS: Final = 0x09

# parameters
_PROTOCOL: Final = 0x01
_SUBCOMMAND: Final = 0x02
_KEY_AGREEMENT: Final = 0x03
_PROOF: Final = 0x04
_NEW_PIN: Final = 0x05
_PIN_HASH: Final = 0x06
_PERMISSIONS: Final = 0x09
_RP_ID: Final = 0x0A

TYPES: Final[dict[int, type]] = {
    _PROTOCOL: int,
    _SUBCOMMAND: int,
    _KEY_AGREEMENT: dict,
    _PROOF: bytes,
    _NEW_PIN: bytes,
    _PIN_HASH: bytes,
    _PERMISSIONS: int,
    _RP_ID: str,
}
REQUIRED: Final = (_SUBCOMMAND,)
_NEEDED: Final[dict[int, tuple[int, ...]]] = {
    _GET_RETRIES: (),
    _GET_KEY_AGREEMENT: (_PROTOCOL,),
    _SET_PIN: (_PROTOCOL, _KEY_AGREEMENT, _PROOF, _NEW_PIN),
    _CHANGE_PIN: (_PROTOCOL, _KEY_AGREEMENT, _PROOF, _NEW_PIN, _PIN_HASH),
    _GET_TOKEN: (_PROTOCOL, _KEY_AGREEMENT, _PIN_HASH),
    _GET_TOKEN_WITH_PERMISSIONS: (_PROTOCOL, _KEY_AGREEMENT, _PIN_HASH, _PERMISSIONS),
}


def client_pin(key: SoftKey, parameters: dict[int, Any]) -> Outcome:
    """Answer authenticatorClientPIN. The parameters have the types that TYPES says."""
    subcommand = parameters[_SUBCOMMAND]
    needed = _NEEDED.get(subcommand)
    if needed is None:
        return Status.INVALID_SUBCOMMAND
    if any(name not in parameters for name in needed):
        return Status.MISSING_PARAMETER
    if subcommand == _GET_RETRIES:
        return success({3: key.state.pin_retries, 4: key.power.mismatches >= MAX_MISMATCHES})
    protocol = parameters[_PROTOCOL]
    if protocol not in PROTOCOLS:
        return Status.INVALID_PARAMETER
    if subcommand == _GET_KEY_AGREEMENT:
        return success({1: public_half(key.power.key_agreement)})
    secret = shared_secret(protocol, key.power.key_agreement, parameters[_KEY_AGREEMENT])
    if secret is None:
        return Status.INVALID_PARAMETER
    match subcommand:
        case 0x03:
            return _set_pin(key, protocol, secret, parameters)
        case 0x04:
            return _change_pin(key, protocol, secret, parameters)
        case _:
            return _get_token(key, protocol, secret, parameters)


def token_fault(
    key: SoftKey, protocol: int | None, proof: bytes, client_data_hash: bytes, permission: int, rp_id: str
) -> Status | None:
    """Return why a token's proof does not show that the user was verified for this; None where it does."""
    if protocol is None:
        return Status.MISSING_PARAMETER
    if protocol not in PROTOCOLS:
        return Status.INVALID_PARAMETER
    power = key.power
    is_good = (
        power.token != b""
        and power.token_protocol == protocol
        and key.clock() - power.token_issued_at < TOKEN_LIFE
        and is_authentic(protocol, power.token, client_data_hash, proof)
        and power.token_permissions & permission != 0
        and power.token_rp_id in {None, rp_id}
    )
    if not is_good:
        return Status.PIN_AUTH_INVALID
    power.token_rp_id = rp_id  # a token without a relying party belongs to the first that it is used for
    return None


def use_up_token(power: PowerCycle) -> None:
    """After a touch: a token verifies one ceremony."""
    power.token_permissions = 0


# --- the subcommands -------------------------------------------------------------------------------------------------


def _set_pin(key: SoftKey, protocol: int, secret: bytes, parameters: dict[int, Any]) -> Outcome:
    new_pin = parameters[_NEW_PIN]
    if key.state.pin_hash is not None or not is_authentic(protocol, secret, new_pin, parameters[_PROOF]):
        return Status.PIN_AUTH_INVALID
    return _keep_pin(key, decrypt(protocol, secret, new_pin))


def _change_pin(key: SoftKey, protocol: int, secret: bytes, parameters: dict[int, Any]) -> Outcome:
    new_pin, old_hash = parameters[_NEW_PIN], parameters[_PIN_HASH]
    if fault := _blocked(key):
        return fault
    if not is_authentic(protocol, secret, new_pin + old_hash, parameters[_PROOF]):
        return Status.PIN_AUTH_INVALID
    if fault := _wrong_pin(key, decrypt(protocol, secret, old_hash)):
        return fault
    return _keep_pin(key, decrypt(protocol, secret, new_pin))


def _get_token(key: SoftKey, protocol: int, secret: bytes, parameters: dict[int, Any]) -> Outcome:
    with_permissions = parameters[_SUBCOMMAND] == _GET_TOKEN_WITH_PERMISSIONS
    permissions, rp_id = parameters.get(_PERMISSIONS), parameters.get(_RP_ID)
    if with_permissions:
        if not permissions:
            return Status.INVALID_PARAMETER
        if permissions & ~(MAKE_CREDENTIAL | GET_ASSERTION):
            return Status.UNAUTHORIZED_PERMISSION
        if rp_id is None:
            return Status.MISSING_PARAMETER
    elif permissions is not None or rp_id is not None:
        return Status.INVALID_PARAMETER
    if fault := _blocked(key) or _wrong_pin(key, decrypt(protocol, secret, parameters[_PIN_HASH])):
        return fault
    power = key.power
    power.token = key.random(_TOKEN_OCTETS)
    power.token_protocol = protocol
    power.token_permissions = permissions or MAKE_CREDENTIAL | GET_ASSERTION
    power.token_rp_id = rp_id
    power.token_issued_at = key.clock()
    return success({2: encrypt(protocol, secret, power.token, key.random)})


def _blocked(key: SoftKey) -> Status | None:
    state = key.state
    if state.pin_hash is None:
        return Status.PIN_NOT_SET
    if state.pin_retries == 0:
        return Status.PIN_BLOCKED
    if key.power.mismatches >= MAX_MISMATCHES:
        return Status.PIN_AUTH_BLOCKED
    return None


def _wrong_pin(key: SoftKey, shown_hash: bytes | None) -> Status | None:
    """Judge one try. It is written down first, so that pulling the key out gives no try back."""
    state = key.place.change(lambda state: replace(state, pin_retries=state.pin_retries - 1))
    if hmac.compare_digest(state.pin_hash or b"", shown_hash or b"\0"):
        key.power.mismatches = 0
        key.place.change(lambda state: replace(state, pin_retries=MAX_PIN_RETRIES))
        return None
    mismatches = key.power.mismatches + 1
    key.power_up()  # a new key agreement, and no token any more
    key.power.mismatches = mismatches
    return _blocked(key) or Status.PIN_INVALID


def _keep_pin(key: SoftKey, padded: bytes | None) -> Outcome:
    if padded is None or len(padded) != _PADDED_PIN_OCTETS:
        return Status.INVALID_PARAMETER
    pin = padded.rstrip(b"\0")
    if not is_fit_for_a_pin(pin):
        return Status.PIN_POLICY_VIOLATION
    kept = pin_hash(pin)
    key.place.change(lambda state: replace(state, pin_hash=kept, pin_retries=MAX_PIN_RETRIES))
    key.power.token = b""
    return success()
