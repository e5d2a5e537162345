"""The CTAP2 commands of an emulated key: one request in, its reply out, or a wait for a touch.

It makes no discoverable credential, knows no extension, and has no fingerprint reader: what it cannot do it refuses by
the status that the specification names.
CTAP 2.1 6.1 (makeCredential), 6.2 (getAssertion), 6.4 (getInfo), 6.6 (reset), 6.9 (selection), 8 (message encoding).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from fido2 import cbor

from radiusd2fa.emulators.softkey import attestation, pin
from radiusd2fa.emulators.softkey.credential import (
    Algorithm,
    Flag,
    KeyPair,
    attested_credential,
    authenticator_data,
    hash_of,
)
from radiusd2fa.emulators.softkey.key import MIN_PIN_LENGTH, SoftKey, Waiting
from radiusd2fa.emulators.softkey.pin_protocol import PROTOCOLS
from radiusd2fa.emulators.softkey.state import PinPolicy
from radiusd2fa.emulators.softkey.status import Outcome, Status, refusal, success

MAX_MESSAGE_OCTETS: Final = 1200
MAX_CREDENTIALS_IN_LIST: Final = 8
MAX_CREDENTIAL_ID_OCTETS: Final = 128
FIRMWARE: Final = 1
_MAX_NAME: Final = 100

Parameters = dict[int, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it does, and the types of its parameters."""

    run: Callable[[SoftKey, Parameters], Outcome]
    types: dict[int, type] = field(default_factory=dict)
    required: tuple[int, ...] = ()


def answer(key: SoftKey, request: bytes) -> bytes | Waiting:
    """Answer a request: its reply, or a wait for a touch."""
    outcome = _outcome(key, request)
    return refusal(outcome) if isinstance(outcome, Status) else outcome


def _outcome(key: SoftKey, request: bytes) -> Outcome:
    if not request:
        return Status.INVALID_LENGTH
    command = None if key.state.u2f_only else COMMANDS.get(request[0])
    if command is None:
        return Status.INVALID_COMMAND
    if len(request) > MAX_MESSAGE_OCTETS:
        return Status.REQUEST_TOO_LARGE
    parameters = _parameters(request[1:])
    if isinstance(parameters, Status):
        return parameters
    for name, expected in command.types.items():
        if name in parameters and type(parameters[name]) is not expected:
            return Status.CBOR_UNEXPECTED_TYPE
    if any(name not in parameters for name in command.required):
        return Status.MISSING_PARAMETER
    return command.run(key, parameters)


def _parameters(octets: bytes) -> Parameters | Status:
    if not octets:
        return {}
    try:
        parameters: Any = cbor.decode(octets)
        # "The encoding must be canonical": the parser is lenient, so what it read is written again and compared.
        if not isinstance(parameters, dict) or cbor.encode(parameters) != octets:
            return Status.INVALID_CBOR
    except Exception:  # noqa: BLE001 the parser raises ValueError, KeyError, IndexError, struct.error, RecursionError
        return Status.INVALID_CBOR
    return parameters


# --- getInfo, reset, selection ---------------------------------------------------------------------------------------


def _get_info(key: SoftKey, _parameters: Parameters) -> Outcome:
    state = key.state
    always = state.pin_policy is PinPolicy.ALWAYS
    options = {
        "rk": False,
        "up": True,
        "clientPin": state.pin_hash is not None,
        "pinUvAuthToken": True,
        "makeCredUvNotRqd": state.pin_policy is PinPolicy.WHEN_ASKED,
    }
    return success(
        {
            0x01: ["FIDO_2_0", "FIDO_2_1"] if always else ["U2F_V2", "FIDO_2_0", "FIDO_2_1"],
            0x03: state.aaguid,
            0x04: options | {"alwaysUv": True} if always else options,
            0x05: MAX_MESSAGE_OCTETS,
            0x06: list(PROTOCOLS),
            0x07: MAX_CREDENTIALS_IN_LIST,
            0x08: MAX_CREDENTIAL_ID_OCTETS,
            0x09: ["nfc", "usb"],
            0x0A: [{"alg": int(algorithm), "type": "public-key"} for algorithm in Algorithm],
            0x0D: MIN_PIN_LENGTH,
            0x0E: FIRMWARE,
        }
    )


def _reset(key: SoftKey, _parameters: Parameters) -> Outcome:
    def finish() -> bytes:
        key.forget_everything()
        return success()

    return Waiting(key, "forget everything", finish)


def _selection(key: SoftKey, _parameters: Parameters) -> Outcome:
    return Waiting(key, "be the one that is meant", success)


def _get_next_assertion(_key: SoftKey, _parameters: Parameters) -> Outcome:
    return Status.NOT_ALLOWED  # there is never more than one


# --- makeCredential --------------------------------------------------------------------------------------------------


def _make_credential(key: SoftKey, parameters: Parameters) -> Outcome:
    client_data_hash, rp, user = parameters[1], parameters[2], parameters[3]
    rp_id, proof = rp.get("id"), parameters.get(8)
    if not isinstance(rp_id, str) or not isinstance(user.get("id"), bytes):
        return Status.MISSING_PARAMETER
    if proof == b"":
        return _touch_that_tells_keys_apart(key)
    algorithm = _first_algorithm(parameters[4])
    if isinstance(algorithm, Status):
        return algorithm
    if fault := _option_fault(parameters.get(7, {}), up_may_be_off=False):
        return fault
    if 10 in parameters:  # enterprise attestation
        return Status.INVALID_PARAMETER
    verified = _verify_user(key, proof, parameters.get(9), client_data_hash, rp_id, pin.MAKE_CREDENTIAL, touched=True)
    if isinstance(verified, Status):
        return verified
    excluded = _first_known(key, parameters.get(5, []), hash_of(rp_id)) is not None

    def finish() -> bytes:
        pin.use_up_token(key.power)
        if excluded:
            return refusal(Status.CREDENTIAL_EXCLUDED)
        return _new_credential(key, algorithm, hash_of(rp_id), verified, client_data_hash)

    return Waiting(key, f"register at {_plain(rp_id)}", finish)


def _new_credential(
    key: SoftKey, algorithm: Algorithm, rp_id_hash: bytes, verified: Flag, client_data_hash: bytes
) -> bytes:
    credential_id, pair = key.new_credential(algorithm, rp_id_hash)
    state = key.state
    flags = Flag.ATTESTED | verified | _presence(key)
    attested = attested_credential(state.aaguid, credential_id, pair)
    data = authenticator_data(key.claimed_rp(rp_id_hash), flags, key.count(), attested)
    match state.attestation:
        case attestation.Format.PACKED:
            statement = attestation.packed(key.attesting_batch(), data + client_data_hash)
        case attestation.Format.SELF:
            statement = attestation.packed_self(pair, data + client_data_hash)
        case attestation.Format.NONE:
            return success({1: "none", 2: data, 3: {}})
    statement["sig"] = key.spoiled(_octets(statement["sig"]))
    return success({1: "packed", 2: data, 3: statement})


def _first_algorithm(offered: list[Any]) -> Algorithm | Status:
    """Return the first of the client's algorithms that the key knows."""
    for one in offered:
        if not isinstance(one, dict) or type(one.get("alg")) is not int or not isinstance(one.get("type"), str):
            return Status.INVALID_CBOR
        if one["type"] == "public-key" and one["alg"] in set(Algorithm):
            return Algorithm(one["alg"])
    return Status.UNSUPPORTED_ALGORITHM


# --- getAssertion ----------------------------------------------------------------------------------------------------


def _get_assertion(key: SoftKey, parameters: Parameters) -> Outcome:
    rp_id, client_data_hash, options, proof = parameters[1], parameters[2], parameters.get(5, {}), parameters.get(6)
    if proof == b"":
        return _touch_that_tells_keys_apart(key)
    if fault := _option_fault(options, up_may_be_off=True):
        return fault
    touched = options.get("up", True)
    verified = _verify_user(key, proof, parameters.get(7), client_data_hash, rp_id, pin.GET_ASSERTION, touched=touched)
    if isinstance(verified, Status):
        return verified
    # without a list only discoverable credentials would do, and there are none
    known = _first_known(key, parameters.get(3, []), hash_of(rp_id))
    if known is None:
        return Status.NO_CREDENTIALS
    if not touched:
        return _assertion(key, *known, hash_of(rp_id), verified, client_data_hash)

    def finish() -> bytes:
        pin.use_up_token(key.power)
        return _assertion(key, *known, hash_of(rp_id), verified | _presence(key), client_data_hash)

    return Waiting(key, f"log in at {_plain(rp_id)}", finish)


def _assertion(
    key: SoftKey, credential_id: bytes, pair: KeyPair, rp_id_hash: bytes, flags: Flag, client_data_hash: bytes
) -> bytes:
    credential_id, pair = key.signer(credential_id, pair, rp_id_hash)
    data = authenticator_data(key.claimed_rp(rp_id_hash), flags, key.count())
    signature = key.spoiled(pair.sign(data + client_data_hash))
    return success({1: {"id": credential_id, "type": "public-key"}, 2: data, 3: signature})


# --- what both share -------------------------------------------------------------------------------------------------


def _option_fault(options: dict[Any, Any], *, up_may_be_off: bool) -> Status | None:
    if any(type(value) is not bool for value in options.values()):
        return Status.CBOR_UNEXPECTED_TYPE
    if options.get("rk"):
        return Status.UNSUPPORTED_OPTION
    # `uv` asks for a reader of fingerprints, which is not here
    if options.get("uv") or not (up_may_be_off or options.get("up", True)):
        return Status.INVALID_OPTION
    return None


def _verify_user(
    key: SoftKey,
    proof: bytes | None,
    protocol: int | None,
    client_data_hash: bytes,
    rp_id: str,
    permission: int,
    *,
    touched: bool,
) -> Flag | Status:
    """Return UV or nothing, by the token's proof; a refusal where it is wrong, or missing on a key that wants it."""
    if proof is not None:
        fault = pin.token_fault(key, protocol, proof, client_data_hash, permission, rp_id)
        return Flag.USER_VERIFIED if fault is None else fault
    state = key.state
    wanted = touched and state.pin_policy is PinPolicy.ALWAYS
    wanted |= permission == pin.MAKE_CREDENTIAL and state.pin_policy is PinPolicy.TO_REGISTER and bool(state.pin_hash)
    return Status.PUAT_REQUIRED if wanted else Flag.NONE


def _touch_that_tells_keys_apart(key: SoftKey) -> Outcome:
    """Answer an empty proof: a client of CTAP 2.0 finds out which of several keys is meant."""
    status = Status.PIN_NOT_SET if key.state.pin_hash is None else Status.PIN_INVALID
    return Waiting(key, "be the one that is meant", lambda: refusal(status))


def _first_known(key: SoftKey, descriptors: list[Any], rp_id_hash: bytes) -> tuple[bytes, KeyPair] | None:
    for descriptor in descriptors:
        credential_id = descriptor.get("id") if isinstance(descriptor, dict) else None
        if not isinstance(credential_id, bytes) or descriptor.get("type") != "public-key":
            continue
        pair = key.key_pair(credential_id, rp_id_hash)
        if pair is not None:
            return credential_id, pair
    return None


def _presence(key: SoftKey) -> Flag:
    return Flag.NONE if key.misbehaviour.no_user_presence else Flag.USER_PRESENT


def _octets(value: object) -> bytes:
    assert isinstance(value, bytes)  # noqa: S101 both statements hold their signature as octets
    return value


def _plain(name: str) -> str:
    """Return a name that a terminal can show: a client may have put anything into it."""
    return "".join(sign if sign.isprintable() else "?" for sign in name[:_MAX_NAME])


COMMANDS: Final = {
    0x01: Command(
        _make_credential,
        {1: bytes, 2: dict, 3: dict, 4: list, 5: list, 6: dict, 7: dict, 8: bytes, 9: int, 10: int},
        (1, 2, 3, 4),
    ),
    0x02: Command(_get_assertion, {1: str, 2: bytes, 3: list, 4: dict, 5: dict, 6: bytes, 7: int}, (1, 2)),
    0x04: Command(_get_info),
    0x06: Command(pin.client_pin, pin.TYPES, pin.REQUIRED),
    0x07: Command(_reset),
    0x08: Command(_get_next_assertion),
    0x0B: Command(_selection),
}


def needs_touch(request: bytes) -> bool:
    """Whether a request is one that a person has to touch the key for."""
    return request[:1] in {b"\x01", b"\x02", b"\x07", b"\x0b"}
