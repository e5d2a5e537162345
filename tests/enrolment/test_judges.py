"""Other implementations as judges: what we accept they accept, and the vectors of the W3C come out as stated.

python-fido2's server and libfido2's fido2-cred look at the same registrations; the vectors are read from beside the
checkout and never copied into it. WebAuthn Level 3, section "Test Vectors".
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypedDict
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fido2 import cbor
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationObject,
    AuthenticatorAttestationResponse,
    CollectedClientData,
    PublicKeyCredentialRpEntity,
    RegistrationResponse,
)

from radiusd2fa.enrolment.attestation import NO_ATTESTATION, AttestationPolicy
from radiusd2fa.enrolment.registration import Enrolled, RefusalReason, Refused, verify_registration

from .workshop import (
    AT,
    CHALLENGE,
    CREDENTIAL_ID,
    ED,
    NOW,
    ORIGIN,
    RP_ID,
    UP,
    Made,
    Parts,
    accepted,
    b64url,
    client_data,
    ed,
    p256,
    packed,
    refusal,
    self_signed,
    u2f,
    without_attestation,
)

# --- python-fido2 ----------------------------------------------------------------------------------------------------


def library_registers(parts: Parts) -> bytes:
    """Register with python-fido2's server and return the credential that it would keep."""
    server = Fido2Server(PublicKeyCredentialRpEntity(name="Example", id=RP_ID))
    response = RegistrationResponse(
        raw_id=CREDENTIAL_ID,
        response=AuthenticatorAttestationResponse(
            client_data=CollectedClientData(parts[0]), attestation_object=AttestationObject(parts[1])
        ),
    )
    state = {"challenge": b64url(CHALLENGE), "user_verification": None}
    credential = server.register_complete(state, response).credential_data
    assert credential is not None
    return bytes(credential)


@pytest.mark.parametrize("made", [Made(), Made(key=ed()), Made(flags=UP | AT | ED, tail=cbor.encode({"a": True}))])
@pytest.mark.parametrize("make", [without_attestation, self_signed, packed])
def test_python_fido2_keeps_the_same_credential(make: Callable[[Made], Parts], made: Made) -> None:
    """What we enrol, python-fido2's server registers too, with the same octets for the credential."""
    assert accepted(make(made)).credential == library_registers(make(made)) == made.credential


LOOSE: Final = {
    "another port": client_data(origin=ORIGIN + ":8443"),
    "a subdomain": client_data(origin="https://evil.auth.example.org"),
    "from within another page": client_data(crossOrigin=True),
    "a member twice": client_data()[:-1] + b',"type":"webauthn.create"}',
}


@pytest.mark.parametrize("client", LOOSE.values(), ids=LOOSE.keys())
def test_python_fido2_is_looser(client: bytes) -> None:
    """What python-fido2's server lets through by default, we refuse."""
    parts = without_attestation(client=client)
    assert library_registers(parts)
    assert refusal(parts)


# --- libfido2 --------------------------------------------------------------------------------------------------------

needs_fido2_cred = pytest.mark.skipif(shutil.which("fido2-cred") is None, reason="needs the Debian package fido2-tools")


def fido2_cred_verifies(parts: Parts, algorithm: str) -> bytes | None:
    """Ask fido2-cred -V; return the public key that it prints (PEM), or None when it refuses."""
    attestation = AttestationObject(parts[1])
    lines = [
        base64.b64encode(hashlib.sha256(parts[0]).digest()),
        RP_ID.encode(),
        attestation.fmt.encode(),
        base64.b64encode(cbor.encode(bytes(attestation.auth_data))),
        base64.b64encode(CREDENTIAL_ID),
        base64.b64encode(attestation.att_stmt["sig"]),
        *[base64.b64encode(certificate) for certificate in attestation.att_stmt.get("x5c", [])[:1]],
    ]
    said = subprocess.run(
        ["fido2-cred", "-V", algorithm], input=b"\n".join(lines) + b"\n", capture_output=True, check=False, timeout=10
    )
    pem = said.stdout[said.stdout.find(b"-----BEGIN") :]
    return pem.strip() if said.returncode == 0 else None


def pem_of(made: Made) -> bytes:
    """Write a public key as fido2-cred does."""
    return made.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip()


@needs_fido2_cred
@pytest.mark.parametrize(("made", "algorithm"), [(Made(), "es256"), (Made(key=ed()), "eddsa")])
@pytest.mark.parametrize("make", [self_signed, packed])
def test_libfido2_agrees_on_packed_statements(make: Callable[[Made], Parts], made: Made, algorithm: str) -> None:
    """A packed statement that we accept, libfido2 verifies, and finds the same key in it."""
    assert accepted(make(made)).attested is False
    assert fido2_cred_verifies(make(made), algorithm) == pem_of(made)


@needs_fido2_cred
def test_libfido2_agrees_on_false_statements() -> None:
    """A statement that another key has signed is refused by both, and so is one over another registration."""
    false = packed(signer=p256("other"))
    for parts in (false, (client_data(extra=1), packed()[1])):
        assert refusal(parts) == RefusalReason.STATEMENT_NOT_VALID
        assert fido2_cred_verifies(parts, "es256") is None


@needs_fido2_cred
def test_libfido2_agrees_on_u2f_statements() -> None:
    """A U2F statement that we accept, libfido2 verifies, and refuses the one that another key has signed."""
    assert accepted(u2f()).format == "fido-u2f"
    assert fido2_cred_verifies(u2f(), "es256") == pem_of(Made())
    assert fido2_cred_verifies(u2f(signer=p256("other")), "es256") is None


# --- the W3C's vectors -----------------------------------------------------------------------------------------------

VECTORS: Final = Path(__file__).parents[2].parent / "shared" / "vectors" / "webauthn-l3-test-vectors.json"
PREFIX: Final = "sctn-test-vectors-"


class Registration(TypedDict):
    """What is used of a registration in the file; all in hex."""

    challenge: str
    aaguid: str
    credential_id: str
    clientDataJSON: str
    attestationObject: str


class Vector(TypedDict):
    """One credential of the file."""

    id: str
    registration: Registration


class VectorFile(TypedDict):
    """The file."""

    rp_id: str
    origin: str
    attestation_root: dict[str, str]
    vectors: list[Vector]


ENROLLED: Final = None
NOT_PROVEN: Final = RefusalReason.ATTESTATION_MISSING
OTHER_ALGORITHM: Final = RefusalReason.ALGORITHM_NOT_OFFERED
OTHER_FORMAT: Final = RefusalReason.FORMAT_NOT_ACCEPTED
OTHER_PAGE: Final = RefusalReason.CROSS_ORIGIN

EXPECTED: Final[dict[str, tuple[RefusalReason | None, RefusalReason | None]]] = {
    # vector: without attestation asked for, and with its model on the allow-list and the W3C's root
    "none-es256": (ENROLLED, NOT_PROVEN),
    "packed-self-es256": (ENROLLED, NOT_PROVEN),  # the key's own word is no proof of its model
    "none-es256-crossOrigin": (OTHER_PAGE, OTHER_PAGE),  # no ceremony of ours runs inside another site's page
    "none-es256-topOrigin": (OTHER_PAGE, OTHER_PAGE),
    "none-es256-long-credential-id": (ENROLLED, NOT_PROVEN),  # 1,023 octets
    "packed-es256": (ENROLLED, ENROLLED),
    "packed-es384": (OTHER_ALGORITHM, OTHER_ALGORITHM),  # we offer ES256 and EdDSA: 64 octets of signature
    "packed-es512": (OTHER_ALGORITHM, OTHER_ALGORITHM),
    "packed-rs256": (OTHER_ALGORITHM, OTHER_ALGORITHM),
    "packed-eddsa": (ENROLLED, ENROLLED),
    "packed-ed448": (OTHER_ALGORITHM, OTHER_ALGORITHM),
    "tpm-es256": (OTHER_FORMAT, OTHER_FORMAT),  # built into a computer: no security key
    "android-key-es256": (OTHER_FORMAT, OTHER_FORMAT),
    "apple-es256": (OTHER_FORMAT, OTHER_FORMAT),
    "fido-u2f-es256": (ENROLLED, RefusalReason.MODEL_NOT_ALLOWED),  # names a model that no U2F statement signs
}


@pytest.fixture(scope="module")
def vectors() -> VectorFile:
    """The file, from beside the checkout."""
    if not VECTORS.exists():
        pytest.skip("the W3C's test vectors are not beside this checkout (../shared/vectors)")
    content: VectorFile = json.loads(VECTORS.read_text(encoding="utf-8"))
    return content


def outcome(vectors: VectorFile, name: str, policy: AttestationPolicy) -> Enrolled | Refused:
    """Verify one registration of the file."""
    registration = next(vector["registration"] for vector in vectors["vectors"] if vector["id"] == PREFIX + name)
    return verify_registration(
        bytes.fromhex(registration["clientDataJSON"]),
        bytes.fromhex(registration["attestationObject"]),
        challenge=bytes.fromhex(registration["challenge"]),
        rp_id=vectors["rp_id"],
        origin=vectors["origin"],
        user_verification=False,
        policy=policy,
        now=NOW,
    )


def test_every_vector_has_an_expectation(vectors: VectorFile) -> None:
    """The table above is about the vectors of the file, all of them and no others."""
    assert [vector["id"] for vector in vectors["vectors"]] == [PREFIX + name for name in EXPECTED]


@pytest.mark.parametrize("name", EXPECTED)
def test_registrations_of_the_w3c(vectors: VectorFile, name: str) -> None:
    """Each registration of the W3C is enrolled or refused as the table says, with and without an allow-list."""
    (registration,) = (vector["registration"] for vector in vectors["vectors"] if vector["id"] == PREFIX + name)
    model = str(UUID(registration["aaguid"]))
    root = bytes.fromhex(vectors["attestation_root"]["attestation_ca_cert"])
    for policy, expected in zip(
        (NO_ATTESTATION, AttestationPolicy(True, frozenset({model}), (root,))), EXPECTED[name], strict=True
    ):
        said = outcome(vectors, name, policy)
        assert (said.reason if isinstance(said, Refused) else None) == expected
        if isinstance(said, Enrolled):
            assert said.credential_id.hex() == registration["credential_id"]
            assert (said.aaguid, said.attested) == (model, policy.required)
