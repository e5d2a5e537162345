"""Who and what tests of asking keys need: a person, requests, and python-fido2 as the judge of the answers."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from fido2.attestation.base import Attestation
from fido2.ctap2.base import Ctap2
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from radiusd2fa.emulators.softkey import SoftKey, memory
from radiusd2fa.keys.asking import (
    Answer,
    Failed,
    FoundKey,
    Registered,
    RegisterRequest,
    Request,
    Signed,
    SignRequest,
    ask,
)

RP_ID: Final = "auth.example.org"
ORIGIN: Final = "https://auth.example.org"
LONG: Final = 30.0
"""Seconds that no test waits for."""
UNKNOWN: Final = bytes(range(64))
"""A credential id that no key made."""


class Witness:
    """A person who notes what is asked, and has these PINs to enter, one after the other."""

    def __init__(self, *pins: str | None, on_touch: Callable[[FoundKey], Any] = lambda _key: None) -> None:
        self.touches: list[FoundKey] = []
        self.tries: list[tuple[FoundKey, int | None]] = []
        self._pins = list(pins)
        self._on_touch = on_touch

    def touch(self, key: FoundKey) -> None:
        self.touches.append(key)
        self._on_touch(key)

    def pin(self, key: FoundKey, tries_left: int | None) -> str | None:
        self.tries.append((key, tries_left))
        return self._pins.pop(0) if self._pins else None


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be no longer root, who may open everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def client_data(kind: str, challenge: str = "Y2hhbGxlbmdl") -> bytes:
    return f'{{"type":"webauthn.{kind}","challenge":"{challenge}","origin":"{ORIGIN}","crossOrigin":false}}'.encode()


def to_register(*, exclude: tuple[bytes, ...] = (), attestation: bool = False, user: str = "alice") -> RegisterRequest:
    return RegisterRequest(
        RP_ID, "Example", user, b"handle-of-" + user.encode(), client_data("create"), exclude, attestation
    )


def to_sign(*credentials: bytes, user_verification: bool = False, rp_id: str = RP_ID) -> SignRequest:
    return SignRequest(rp_id, client_data("get"), credentials, user_verification)


def asked(
    keys: FoundKey | Sequence[FoundKey],
    request: Request,
    person: Witness | None = None,
    *,
    timeout: float = LONG,
    cancel: threading.Event | None = None,
) -> Answer:
    several = [keys] if isinstance(keys, FoundKey) else keys
    return ask(several, request, person or Witness(), timeout=timeout, cancel=cancel or threading.Event())


def registered(key: FoundKey, person: Witness | None = None) -> AttestedCredentialData:
    """Register at this key; return the new credential."""
    answer = asked(key, to_register(), person)
    assert isinstance(answer, Registered), answer
    data = AttestationObject(answer.attestation_object).auth_data.credential_data
    assert data is not None
    return data


def made(key: SoftKey, algorithm: int = -7) -> AttestedCredentialData:
    """Return a credential of this algorithm that the key has made for another client."""
    with memory.connect(key) as device:
        rp, user = {"id": RP_ID, "name": "Example"}, {"id": b"alice", "name": "alice"}
        wanted: list[Mapping[str, Any]] = [{"type": "public-key", "alg": algorithm}]
        data = Ctap2(device).make_credential(bytes(32), rp, user, wanted).auth_data.credential_data
    assert data is not None
    return data


def judge_assertion(answer: Answer, request: SignRequest, credential: AttestedCredentialData) -> AuthenticatorData:
    """See the answer verified by python-fido2, over the client data of the request as it is."""
    assert isinstance(answer, Signed), answer
    assert answer.credential_id == credential.credential_id
    signed = answer.authenticator_data + hashlib.sha256(request.client_data).digest()
    credential.public_key.verify(signed, answer.signature)
    data = AuthenticatorData(answer.authenticator_data)
    assert data.rp_id_hash == hashlib.sha256(request.rp_id.encode()).digest()
    return data


def judge_attestation(answer: Answer, request: RegisterRequest) -> AttestationObject:
    """See the attestation verified by python-fido2, over the client data of the request as it is."""
    assert isinstance(answer, Registered), answer
    form = AttestationObject(answer.attestation_object)
    verifier = Attestation.for_type(form.fmt)()
    verifier.verify(form.att_stmt, form.auth_data, hashlib.sha256(request.client_data).digest())
    assert form.auth_data.rp_id_hash == hashlib.sha256(request.rp_id.encode()).digest()
    return form


def reason_of(answer: Answer) -> str:
    """Return why there is no answer. Each comes with one sentence for the person."""
    assert isinstance(answer, Failed), answer
    assert answer.detail.endswith(".")
    assert answer.detail.isprintable()
    return str(answer.reason)
