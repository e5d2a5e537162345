"""A conversation with a key that speaks CTAP2: look, sign, register.

The first look signs nothing that anybody asked for, and no discoverable credential is ever made. What the key says is
handed on unjudged, for the server judges it. CTAP 2.1, 6.1 (makeCredential) and 6.2 (getAssertion).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2

from radiusd2fa.keys.model import (
    ALGORITHMS,
    Answer,
    Failed,
    FailureReason,
    Ready,
    Registered,
    RegisterRequest,
    Signed,
    SignRequest,
)
from radiusd2fa.keys.talk import BREATH, Claim, Talk, failed, registered
from radiusd2fa.keys.verification import UNVERIFIED, Proof, verified

_ERR = CtapError.ERR
_NO_CHALLENGE: Final = bytes(32)
_CANNOT_TELL: Final = {_ERR.PUAT_REQUIRED, _ERR.UP_REQUIRED, _ERR.UNSUPPORTED_OPTION, _ERR.INVALID_OPTION}


class Ctap2Conversation:
    """A Conversation over CTAP2."""

    def __init__(self, talk: Talk, ctap: Ctap2) -> None:
        self._talk = talk
        self._ctap = ctap
        self._held: bytes | None = None
        self._sure = True

    def look(self) -> Ready | Failed:
        """Ask which credential the key holds, by a getAssertion without user presence over 32 zero octets."""
        request = self._talk.request
        listed = request.credentials if isinstance(request, SignRequest) else request.exclude
        try:
            self._held = self._find(listed)
        except CtapError as fault:
            if fault.code not in _CANNOT_TELL:
                raise
            self._sure = False
            return self._able()
        if isinstance(request, SignRequest) and self._held is None:
            return failed(self._talk.key, FailureReason.NO_CREDENTIAL)
        if isinstance(request, RegisterRequest) and self._held is not None:
            return failed(self._talk.key, FailureReason.ALREADY_REGISTERED)
        return self._able()

    def answer(self, claim: Claim | None) -> Answer:
        """Let the person verify and touch. Where others are asked too, a key whose PIN is needed is chosen by touch."""
        must_verify = self._must_verify()
        while True:
            proof = verified(self._talk, self._ctap, claim) if must_verify else UNVERIFIED
            if isinstance(proof, Failed):
                return proof
            try:
                return self._command(proof)
            except CtapError as fault:
                if fault.code == _ERR.PUAT_REQUIRED and not must_verify:
                    must_verify = True
                # A key gives up after some 30 s by itself; how long to wait for a person is for the caller to say.
                elif fault.code != _ERR.USER_ACTION_TIMEOUT or proof.token or self._talk.ended.wait(BREATH):
                    raise

    # --- looking -----------------------------------------------------------------------------------------------------

    def _find(self, credentials: tuple[bytes, ...]) -> bytes | None:
        info = self._ctap.info
        left = [c for c in credentials if len(c) <= (info.max_cred_id_length or len(c))]
        size = info.max_creds_in_list or 1
        while left:
            chunk = left[:size]
            try:
                said = self._get_assertion(chunk, _NO_CHALLENGE, {"up": False}, UNVERIFIED)
            except CtapError as fault:
                if fault.code == _ERR.NO_CREDENTIALS:
                    left = left[size:]
                elif fault.code == _ERR.REQUEST_TOO_LARGE and size > 1:
                    size -= 1
                else:
                    raise
            else:
                return _credential(said, chunk)
        return None

    def _able(self) -> Ready | Failed:
        if self._must_verify() and not (self._has("uv") or self._has("clientPin")):
            return failed(self._talk.key, FailureReason.VERIFICATION_IMPOSSIBLE)
        return Ready(self._sure)

    def _must_verify(self) -> bool:
        match self._talk.request:
            case SignRequest(user_verification=wanted):
                return wanted or self._has("alwaysUv")
            case RegisterRequest():
                # CTAP 2.1, 6.1.2: a protected key makes credentials without its user only if makeCredUvNotRqd
                protected = self._has("uv") or self._has("clientPin")
                return self._has("alwaysUv") or (protected and not self._has("makeCredUvNotRqd"))

    def _has(self, option: str) -> bool:
        return self._ctap.info.options.get(option) is True

    # --- signing and registering -------------------------------------------------------------------------------------

    def _command(self, proof: Proof) -> Signed | Registered:
        match self._talk.request:
            case SignRequest() as request:
                return self._sign(request, proof)
            case RegisterRequest() as request:
                return self._register(request, proof)

    def _sign(self, request: SignRequest, proof: Proof) -> Signed:
        allowed = list(request.credentials) if self._held is None else [self._held]
        said = self._get_assertion(allowed, self._talk.client_data_hash(), {}, proof)
        return Signed(_credential(said, allowed), bytes(said[2]), bytes(said[3]))

    def _register(self, request: RegisterRequest, proof: Proof) -> Registered:
        client_data_hash = self._talk.client_data_hash()
        said = self._send(
            Ctap2.CMD.MAKE_CREDENTIAL,
            {
                1: client_data_hash,
                2: {"id": request.rp_id, "name": request.rp_name},
                3: {"id": request.user_handle, "name": request.user_name, "displayName": request.user_name},
                4: [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
                5: [] if self._sure else _descriptors(request.exclude),
                7: proof.options(),
                8: proof.param(client_data_hash),
                9: proof.protocol(),
            },
        )
        return registered(request, str(said[1]), bytes(said[2]), said[3])

    def _get_assertion(
        self,
        credentials: list[bytes],
        client_data_hash: bytes,
        options: dict[str, bool],
        proof: Proof,
    ) -> Mapping[int, Any]:
        parameters = {
            1: self._talk.request.rp_id,
            2: client_data_hash,
            3: _descriptors(credentials),
            5: options | proof.options(),
            6: proof.param(client_data_hash),
            7: proof.protocol(),
        }
        return self._send(Ctap2.CMD.GET_ASSERTION, parameters)

    def _send(self, command: int, parameters: Mapping[int, Any]) -> Mapping[int, Any]:
        # CTAP 2.1, 6.1 and 6.2: lists and maps that are present are not empty
        given = {number: value for number, value in parameters.items() if value}
        return self._ctap.send_cbor(command, given, event=self._talk.ended, on_keepalive=self._talk.prompt())


def _descriptors(credentials: Iterable[bytes]) -> list[dict[str, Any]]:
    return [{"type": "public-key", "id": credential} for credential in credentials]


def _credential(said: Mapping[int, Any], asked: list[bytes]) -> bytes:
    """Return which credential was used. CTAP 2.0, 5.2: it may be left out where only one was asked for."""
    return asked[0] if len(asked) == 1 else bytes(said[1]["id"])
