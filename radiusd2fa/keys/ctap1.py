"""A conversation with a key that speaks CTAP1 only (U2F): look, sign, register.

Such a key cannot verify its user: whoever demands that is refused before anybody touches anything. CTAP 2.1, 10 says
how its answers take the forms of WebAuthn; the octets that it signed are handed on as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from fido2.ctap import STATUS, CtapError
from fido2.ctap1 import APDU, ApduError, Ctap1
from fido2.webauthn import AttestationObject

from radiusd2fa.keys.model import Answer, Failed, FailureReason, Ready, Registered, RegisterRequest, Signed, SignRequest
from radiusd2fa.keys.talk import Claim, Talk, failed, registered

T = TypeVar("T")

POLL: Final = 0.2
"""Seconds between two questions whether the key has been touched."""

_LONGEST_HANDLE: Final = 255
_FLAGS_AND_COUNTER: Final = 5
_NO_CHALLENGE: Final = bytes(32)


class U2fConversation:
    """A Conversation over CTAP1."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._ctap = Ctap1(talk.device)
        self._app_param = hashlib.sha256(talk.request.rp_id.encode()).digest()
        self._held = b""

    def look(self) -> Ready | Failed:
        """Ask which key handle the key knows."""
        request, key = self._talk.request, self._talk.key
        if isinstance(request, RegisterRequest):
            return Ready() if self._known(request.exclude) is None else failed(key, FailureReason.ALREADY_REGISTERED)
        held = self._known(request.credentials)
        if held is None:
            return failed(key, FailureReason.NO_CREDENTIAL)
        self._held = held
        return failed(key, FailureReason.VERIFICATION_IMPOSSIBLE) if request.user_verification else Ready()

    def answer(self, claim: Claim | None) -> Answer:
        """Wait for the touch. It is the answer, so there is nothing to claim before it."""
        match self._talk.request:
            case SignRequest():
                return self._sign()
            case RegisterRequest() as request:
                return self._register(request)

    def _sign(self) -> Signed:
        client_param, handle = self._talk.client_data_hash(), self._held
        said = self._touched(lambda: self._ctap.authenticate(client_param, self._app_param, handle))
        return Signed(handle, self._app_param + bytes(said)[:_FLAGS_AND_COUNTER], said.signature)

    def _register(self, request: RegisterRequest) -> Registered:
        client_param = self._talk.client_data_hash()
        said = self._touched(lambda: self._ctap.register(client_param, self._app_param))
        form = AttestationObject.from_ctap1(self._app_param, said)
        return registered(request, form.fmt, form.auth_data, form.att_stmt)

    def _known(self, handles: tuple[bytes, ...]) -> bytes | None:
        return next((handle for handle in handles if len(handle) <= _LONGEST_HANDLE and self._knows(handle)), None)

    def _knows(self, handle: bytes) -> bool:
        try:
            self._ctap.authenticate(_NO_CHALLENGE, self._app_param, handle, check_only=True)
        except ApduError as fault:
            # U2F raw messages, 5.1: "test-of-user-presence-required" is how a key says that the handle is its own
            return bool(fault.code == APDU.USE_NOT_SATISFIED)
        return True

    def _touched(self, command: Callable[[], T]) -> T:
        """Repeat a command until the key has been touched: U2F keys do not wait, they are asked again and again."""
        prompt = self._talk.prompt()
        while True:
            try:
                return command()
            except ApduError as fault:
                if fault.code != APDU.USE_NOT_SATISFIED:
                    raise
            prompt(STATUS.UPNEEDED)
            if self._talk.ended.wait(POLL):
                raise CtapError(CtapError.ERR.KEEPALIVE_CANCEL)
