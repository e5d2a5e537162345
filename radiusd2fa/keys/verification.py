"""Making a CTAP2 key sure of its user: by its own sensor where it has one, else by the PIN that a person enters.

A PIN that the key has refused is never sent again, and none is sent before its owner was told how many tries are left;
no PIN is kept, shown or logged. CTAP 2.1, 6.5 (clientPIN) and 6.9 (selection).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Final

from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin

from radiusd2fa.keys.model import Failed, FailureReason, SignRequest
from radiusd2fa.keys.talk import BREATH, Claim, Talk, failed

_ERR = CtapError.ERR
_CHOSEN: Final = {_ERR.PIN_INVALID, _ERR.PIN_NOT_SET, _ERR.PIN_AUTH_INVALID}
_SHORTEST_PIN: Final = 4
"""Characters (CTAP 2.1, 6.5.1)."""
_LONGEST_PIN: Final = 63
"""Octets (CTAP 2.1, 6.5.1)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How a command shows that the user is verified: by a token, or by telling a key with a sensor to look itself."""

    token: bytes | None = field(default=None, repr=False)
    pin: ClientPin | None = field(default=None, repr=False)
    by_sensor: bool = False

    def options(self) -> dict[str, bool]:
        """Return the options of the command."""
        return {"uv": True} if self.by_sensor else {}

    def param(self, client_data_hash: bytes) -> bytes | None:
        """Return pinUvAuthParam."""
        return self.pin.protocol.authenticate(self.token, client_data_hash) if self.pin and self.token else None

    def protocol(self) -> int | None:
        """Return pinUvAuthProtocol."""
        return self.pin.protocol.VERSION if self.pin else None


UNVERIFIED: Final = Proof()


def verified(talk: Talk, ctap: Ctap2, claim: Claim | None) -> Proof | Failed:
    """Have the user verified for the talk's request. With a claim, the key is first chosen by a touch."""
    if ctap.info.options.get("uv") is True:
        proof = _by_sensor(talk, ctap)
        if proof is not None:
            return proof if claim is None or claim() else failed(talk.key, FailureReason.CANCELLED)
    if ctap.info.options.get("clientPin") is not True:
        return failed(talk.key, FailureReason.VERIFICATION_IMPOSSIBLE)
    if claim is not None:
        _wait_to_be_chosen(talk, ctap)
        if not claim():
            return failed(talk.key, FailureReason.CANCELLED)
    return _by_pin(talk, ClientPin(ctap))


def _permission(talk: Talk) -> ClientPin.PERMISSION:
    signs = isinstance(talk.request, SignRequest)
    return ClientPin.PERMISSION.GET_ASSERTION if signs else ClientPin.PERMISSION.MAKE_CREDENTIAL


# --- by a sensor -----------------------------------------------------------------------------------------------------


def _by_sensor(talk: Talk, ctap: Ctap2) -> Proof | None:
    """Let the sensor look, as often as the key permits it; None when it is blocked and the PIN must do."""
    if ctap.info.options.get("pinUvAuthToken") is not True:
        return Proof(by_sensor=True)
    pin = ClientPin(ctap)
    while True:
        try:
            return Proof(pin.get_uv_token(_permission(talk), talk.request.rp_id, talk.ended, talk.prompt()), pin)
        except CtapError as fault:
            if fault.code == _ERR.UV_BLOCKED:
                return None
            if fault.code not in {_ERR.UV_INVALID, _ERR.USER_ACTION_TIMEOUT} or talk.ended.wait(BREATH):
                raise


# --- by PIN ----------------------------------------------------------------------------------------------------------


def _by_pin(talk: Talk, client_pin: ClientPin) -> Proof | Failed:
    refused: set[str] = set()
    while True:
        tries_left, replug = client_pin.get_pin_retries()
        if replug or not tries_left:
            return _blocked(talk, replug=bool(tries_left))
        pin = talk.person.pin(talk.key, tries_left)
        if not pin:
            return failed(talk.key, FailureReason.PIN_WRONG if refused else FailureReason.PIN_NEEDED)
        pin = unicodedata.normalize("NFC", pin)
        if pin in refused:  # nobody types the same twice on purpose: an automaton would use up all tries
            return failed(talk.key, FailureReason.PIN_WRONG)
        if _can_be_a_pin(pin):
            try:
                return Proof(client_pin.get_pin_token(pin, _permission(talk), talk.request.rp_id), client_pin)
            except CtapError as fault:
                if fault.code == _ERR.PIN_AUTH_BLOCKED:
                    return _blocked(talk, replug=True)
                if fault.code != _ERR.PIN_INVALID:
                    raise
        refused.add(pin)


def _can_be_a_pin(pin: str) -> bool:
    """A PIN that no key can have is not worth one of its tries."""
    return len(pin) >= _SHORTEST_PIN and len(pin.encode()) <= _LONGEST_PIN


def _blocked(talk: Talk, *, replug: bool) -> Failed:
    if replug:
        remedy = "take the key out, put it in again, and try once more."
        return Failed(FailureReason.PIN_BLOCKED, f"{talk.key.name} takes no more PINs for now: {remedy}")
    return failed(talk.key, FailureReason.PIN_BLOCKED)


def _wait_to_be_chosen(talk: Talk, ctap: Ctap2) -> None:
    """Return when the key was touched. Keys before CTAP 2.1 wait for a touch before they refuse an empty PIN proof."""
    while True:
        try:
            if "FIDO_2_1" in ctap.info.versions:
                ctap.selection(event=talk.ended, on_keepalive=talk.prompt())
            else:
                _refused_registration(talk, ctap)
            return
        except CtapError as fault:
            if fault.code in _CHOSEN:
                return
            if fault.code != _ERR.USER_ACTION_TIMEOUT or talk.ended.wait(BREATH):
                raise


def _refused_registration(talk: Talk, ctap: Ctap2) -> None:
    ctap.make_credential(
        bytes(32),
        {"id": talk.request.rp_id, "name": talk.request.rp_id},
        {"id": b"\0", "name": "nobody"},
        [{"type": "public-key", "alg": -7}],
        pin_uv_param=b"",
        pin_uv_protocol=ctap.info.pin_uv_protocols[0],
        event=talk.ended,
        on_keepalive=talk.prompt(),
    )
