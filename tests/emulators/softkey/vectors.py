"""Makes tests/vectors/softkey.json: registrations and logins of soft keys, for those who test a verifier.

Everything follows from fixed seeds, so the file is the same whenever it is made; it uses no clock and no chance.
WebAuthn 5.8.1, 6.1 and 6.5; run `python -m tests.emulators.softkey.vectors > tests/vectors/softkey.json`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from dataclasses import dataclass
from typing import Final

from fido2 import cbor
from fido2.webauthn import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialCreationOptions,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRequestOptions,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
)

from radiusd2fa.emulators.softkey import TEST_ROOT, Format, SoftKey, memory

from .ceremonies import ALICE, DISCOURAGED, ORIGIN, PIN, REQUIRED, RP_ID, browser

PUBLIC_KEY: Final = PublicKeyCredentialType.PUBLIC_KEY


@dataclass(frozen=True)
class Kind:
    """One vector: which key, and what is asked of it."""

    name: str
    algorithm: int
    u2f_only: bool = False
    attestation: Format = Format.PACKED
    counts: bool = True
    pin: str | None = None


KINDS: Final = (
    Kind("es256-packed", -7),
    Kind("eddsa-packed", -8),
    Kind("es256-self", -7, attestation=Format.SELF),
    Kind("eddsa-self", -8, attestation=Format.SELF),
    Kind("es256-none", -7, attestation=Format.NONE),
    Kind("es256-user-verified", -7, pin=PIN),
    Kind("eddsa-user-verified", -8, pin=PIN),
    Kind("es256-without-counter", -7, counts=False),
    Kind("u2f", -7, u2f_only=True),
)


def vectors() -> dict[str, object]:
    """Return the content of the file."""
    return {
        "about": "Made by tests/emulators/softkey/vectors.py with seeds that anybody can read: nothing here is secret.",
        "encoding": "octets are base64url without padding; public_key is a COSE key, test_root a certificate in DER",
        "rp_id": RP_ID,
        "origin": ORIGIN,
        "test_root": _text(TEST_ROOT.certificate()),
        "vectors": [_vector(kind) for kind in KINDS],
    }


def _vector(kind: Kind) -> dict[str, object]:
    seed = f"radiusd2fa vector {kind.name}".encode()
    key = SoftKey.make(
        seed, u2f_only=kind.u2f_only, attestation=kind.attestation, counts=kind.counts, pin=kind.pin, clock=lambda: 0.0
    )
    client = browser(memory.connect(key))
    verification = DISCOURAGED if kind.pin is None else REQUIRED
    made = client.make_credential(
        PublicKeyCredentialCreationOptions(
            rp=PublicKeyCredentialRpEntity(id=RP_ID, name="Example"),
            user=ALICE,
            challenge=hashlib.sha256(seed + b", registration").digest(),
            pub_key_cred_params=[PublicKeyCredentialParameters(type=PUBLIC_KEY, alg=kind.algorithm)],
            authenticator_selection=AuthenticatorSelectionCriteria(user_verification=verification),
        )
    )
    credential = made.response.attestation_object.auth_data.credential_data
    assert credential is not None
    signed = client.get_assertion(
        PublicKeyCredentialRequestOptions(
            challenge=hashlib.sha256(seed + b", login").digest(),
            rp_id=RP_ID,
            allow_credentials=[PublicKeyCredentialDescriptor(type=PUBLIC_KEY, id=credential.credential_id)],
            user_verification=verification,
        )
    ).get_response(0)
    said = signed.response.authenticator_data
    return {
        "id": kind.name,
        "algorithm": kind.algorithm,
        "format": made.response.attestation_object.fmt,
        "credential_id": _text(credential.credential_id),
        "public_key": _text(cbor.encode(credential.public_key)),
        "registration": {
            "clientDataJSON": _text(made.response.client_data),
            "attestationObject": _text(made.response.attestation_object),
            "flags": int(made.response.attestation_object.auth_data.flags),
            "counter": made.response.attestation_object.auth_data.counter,
        },
        "assertion": {
            "clientDataJSON": _text(signed.response.client_data),
            "authenticatorData": _text(said),
            "signature": _text(signed.response.signature),
            "flags": int(said.flags),
            "counter": said.counter,
        },
    }


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=2)
    sys.stdout.write("\n")
