"""Attestation: what a key's maker says about the key, and whether a site takes it for enough.

Every statement that arrives must hold, asked for or not; it is never taken as proof of a model unless its certificates
lead to a root of the policy. WebAuthn Level 3, 8.2 (packed), 8.6 (fido-u2f), 8.7 (none), and 7.1 steps 21 to 25.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from cryptography import x509

from radiusd2fa.core.record import record
from radiusd2fa.enrolment import cbor
from radiusd2fa.enrolment.authenticator import AuthenticatorData, Credential
from radiusd2fa.enrolment.chain import LONGEST, chain_fault
from radiusd2fa.enrolment.metadata import Metadata, Model
from radiusd2fa.enrolment.outcome import RefusalReason, Refused

FORMATS: Final = ("none", "packed", "fido-u2f")
NO_MODEL: Final = "00000000-0000-0000-0000-000000000000"
"""The AAGUID of keys that name no model: all U2F keys."""
SIGNING_ALGORITHMS: Final = (-7, -8, -35, -36, -37, -257)
"""What a maker may sign with: python-fido2 would take SHA-1 too."""
AAGUID_EXTENSION: Final = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")

_OCTET_STRING_OF_16: Final = b"\x04\x10"


@record
class AttestationPolicy:
    """Which models a site lets its people enrol."""

    required: bool
    """False: any key. True: only keys of the models listed, proven by their makers; an empty list then means none."""
    aaguids: frozenset[str] = frozenset()
    """Lower case, with hyphens. NO_MODEL in it allows U2F-only keys from makers whose root is known."""
    roots: tuple[bytes, ...] = ()
    """DER. Whoever can sign under one of these can vouch for any model of the list."""
    metadata: Metadata | None = None
    """Names, roots for the models that it lists, and models that are refused."""
    key_identifiers: frozenset[str] = frozenset()
    """U2F-only models, by the SHA-1 of their attestation certificate's public key (40 hex digits), as metadata does."""


NO_ATTESTATION: Final = AttestationPolicy(required=False)


@record
class Statement:
    """A key's maker's statement, its format settled."""

    format: str
    members: Mapping[cbor.Key, cbor.Value]
    authenticator_data: AuthenticatorData
    credential: Credential
    client_data_hash: bytes


@record
class Judged:
    """A statement that holds."""

    model: str | None
    attested: bool


def judge(statement: Statement, policy: AttestationPolicy, now: float) -> Judged | Refused:
    """Say whether the statement holds, and whether the policy lets this key in."""
    if not _holds(statement):
        return Refused(RefusalReason.STATEMENT_NOT_VALID, "What the key's maker says about the key does not hold.")
    certificates = _certificates(statement)
    identifier = _key_identifier(certificates[0]) if certificates else None
    model = _model(statement, identifier, policy)
    # Nobody gains by claiming to be an unsafe model: here the claim is enough.
    if model is not None and model.unsafe:
        return Refused(
            RefusalReason.MODEL_COMPROMISED,
            f"The FIDO Alliance reports that keys of this model are not safe ({', '.join(model.unsafe)}).",
        )
    if policy.required:
        refused = _untrusted(statement, certificates, identifier, model, policy, now)
        if refused is not None:
            return refused
    return Judged((model.description or None) if model is not None else None, attested=policy.required)


# --- what any statement must fulfil ----------------------------------------------------------------------------------


def _holds(statement: Statement) -> bool:
    """Check the shape ourselves and let python-fido2 verify the signature and the certificate's own fields (8.2.1)."""
    members = statement.members
    if statement.format == "none":
        return not members
    if not isinstance(members.get("sig"), bytes) or not _has_right_members(statement):
        return False
    if statement.format == "packed" and members["alg"] not in SIGNING_ALGORITHMS:
        return False
    # loading python-fido2 takes 0.1 s, and most statements are empty
    from fido2.attestation.packed import PackedAttestation
    from fido2.attestation.u2f import FidoU2FAttestation
    from fido2.webauthn import AuthenticatorData as LibraryData

    verifier: Any = PackedAttestation() if statement.format == "packed" else FidoU2FAttestation()
    try:
        verifier.verify(members, LibraryData(statement.authenticator_data.octets), statement.client_data_hash)
    except Exception:  # noqa: BLE001 - from assert to OverflowError: a foreign certificate brings out all of them
        return False
    return True


def _has_right_members(statement: Statement) -> bool:
    """Say whether the members are those of the format. An empty chain would pass for a key's own signature."""
    names, chain = set(statement.members), statement.members.get("x5c")
    if statement.format == "packed" and names == {"alg", "sig"}:
        return True
    wanted = {"alg", "sig", "x5c"} if statement.format == "packed" else {"sig", "x5c"}
    longest = LONGEST if statement.format == "packed" else 1  # 8.6: "Check that x5c has exactly one element"
    is_chain = isinstance(chain, list) and all(isinstance(certificate, bytes) for certificate in chain)
    return names == wanted and isinstance(chain, list) and is_chain and 1 <= len(chain) <= longest


# --- what an allow-list asks for -------------------------------------------------------------------------------------


def _untrusted(
    statement: Statement,
    certificates: tuple[bytes, ...],
    identifier: str | None,
    model: Model | None,
    policy: AttestationPolicy,
    now: float,
) -> Refused | None:
    if not certificates:
        return Refused(
            RefusalReason.ATTESTATION_MISSING,
            "Only certain models of key may be used here, and this key did not prove which it is.",
        )
    if policy.metadata is not None and policy.metadata.too_old(now):
        return Refused(
            RefusalReason.METADATA_TOO_OLD,
            "The list of key models that this site has is too old to be used; an administrator must replace it.",
        )
    if not _is_allowed(statement, identifier, policy):
        return Refused(RefusalReason.MODEL_NOT_ALLOWED, "Keys of this model may not be used here.")
    fault = chain_fault(certificates, (*policy.roots, *(model.roots if model is not None else ())), now)
    if fault is not None:
        return Refused(
            RefusalReason.CHAIN_NOT_TRUSTED, f"The certificate of the key's maker is not trusted here: {fault}."
        )
    if statement.format == "packed" and not _names_no_other_model(certificates[0], statement.credential.aaguid):
        return Refused(
            RefusalReason.MODEL_NOT_ALLOWED, "The certificate of the key's maker is for another model of key."
        )
    return None


def _is_allowed(statement: Statement, identifier: str | None, policy: AttestationPolicy) -> bool:
    """Say whether the model is one of the list.

    What a U2F key signs has no AAGUID in it (8.6, "verificationData"), so whoever carries the statement to us could
    write any model beside it: the zero AAGUID is the only one that such a statement may have.
    """
    aaguid = _aaguid(statement)
    if statement.format == "packed":
        return aaguid != NO_MODEL and aaguid in policy.aaguids
    return aaguid == NO_MODEL and (NO_MODEL in policy.aaguids or identifier in policy.key_identifiers)


def _names_no_other_model(certificate: bytes, aaguid: bytes) -> bool:
    """8.2.1: where the extension is present, its value is the AAGUID, an OCTET STRING in the extension's own.

    For packed statements only: the maker may certify one chip for both protocols, and over U2F it names no model.
    """
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        value = extensions.get_extension_for_oid(AAGUID_EXTENSION).value
    except x509.ExtensionNotFound:
        return True
    return isinstance(value, x509.UnrecognizedExtension) and value.value == _OCTET_STRING_OF_16 + aaguid


def _model(statement: Statement, identifier: str | None, policy: AttestationPolicy) -> Model | None:
    if policy.metadata is None:
        return None
    aaguid = _aaguid(statement)
    name = identifier if aaguid == NO_MODEL else aaguid
    return None if name is None else policy.metadata.models.get(name)


def _certificates(statement: Statement) -> tuple[bytes, ...]:
    chain = statement.members.get("x5c", [])
    return tuple(member for member in chain if isinstance(member, bytes)) if isinstance(chain, list) else ()


def _key_identifier(certificate: bytes) -> str:
    """SHA-1 of the public key, as in RFC 5280 4.2.1.2 (1); it names a key and secures nothing."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()


def _aaguid(statement: Statement) -> str:
    return str(UUID(bytes=statement.credential.aaguid))
