"""Registrations: whether an answer is a new credential, made now, for us, by a key that may be used here.

It never takes an attestation for granted, never keeps anything, and answers every fault with a refusal.
WebAuthn Level 3, 7.1; what python-fido2 leaves open (size, exact origin, offered algorithms) is closed here.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from uuid import UUID

from radiusd2fa.core.record import record
from radiusd2fa.core.texts import base64url, json_object
from radiusd2fa.enrolment import authenticator, cbor
from radiusd2fa.enrolment.attestation import FORMATS, AttestationPolicy, Statement, judge
from radiusd2fa.enrolment.authenticator import AuthenticatorData, Credential, is_valid_key, read_authenticator_data
from radiusd2fa.enrolment.outcome import Enrolled, MalformedError, RefusalReason, Refused

__all__ = ["Enrolled", "RefusalReason", "Refused", "verify_registration"]

MAX_PART_OCTETS: Final = 16 * 1024
CREDENTIAL_ID_OCTETS: Final = range(16, 1023 + 1)


def verify_registration(
    client_data: bytes,
    attestation_object: bytes,
    *,
    challenge: bytes,
    rp_id: str,
    origin: str,
    user_verification: bool,
    policy: AttestationPolicy,
    now: float,
) -> Enrolled | Refused:
    """Say whether these two parts, decoded, answer our challenge; ``now`` is in seconds since 1970."""
    if len(client_data) > MAX_PART_OCTETS or len(attestation_object) > MAX_PART_OCTETS:
        return Refused(RefusalReason.TOO_LARGE, "The answer is longer than any key's.")
    try:
        client = _read_client_data(client_data)
        attestation = _read_attestation_object(attestation_object)
    except ValueError:
        return Refused(RefusalReason.MALFORMED, "The answer cannot be read: it was cut or changed on its way.")
    data = attestation.authenticator_data
    refused = _foreign(client, challenge, origin) or _unwilling(data, rp_id)
    if refused is not None:
        return refused
    credential = data.credential
    if credential is None:
        return Refused(RefusalReason.NO_CREDENTIAL, "The key has answered, but made no credential.")
    if user_verification and not _is_user_verified(attestation):
        return Refused(RefusalReason.USER_NOT_VERIFIED, "The key must ask for a PIN or a fingerprint, and did not.")
    refused = _unusable(credential)
    if refused is not None:
        return refused
    if attestation.format not in FORMATS:
        return Refused(
            RefusalReason.FORMAT_NOT_ACCEPTED, "This is not a security key, or one that says so in an unknown way."
        )
    digest = hashlib.sha256(client_data).digest()
    judged = judge(Statement(attestation.format, attestation.statement, data, credential, digest), policy, now)
    if isinstance(judged, Refused):
        return judged
    return Enrolled(
        credential=credential.octets,
        credential_id=credential.id,
        aaguid=str(UUID(bytes=credential.aaguid)),
        algorithm=credential.algorithm,
        counter=data.counter,
        flags=data.flags,
        format=attestation.format,
        model=judged.model,
        attested=judged.attested,
    )


# --- the parts, taken apart ------------------------------------------------------------------------------------------


@record
class _ClientData:
    type: str
    challenge: str
    origin: str
    foreign: bool
    """Whether it names another page around the one that asked."""


@record
class _Attestation:
    format: str
    statement: dict[cbor.Key, cbor.Value]
    authenticator_data: AuthenticatorData


def _read_client_data(octets: bytes) -> _ClientData:
    """Members that nobody knows are passed over: browsers add some at random (5.8.1)."""
    members = json_object(octets)
    kind, challenge, origin = members.get("type"), members.get("challenge"), members.get("origin")
    crosses = members.get("crossOrigin", False)
    if not (isinstance(kind, str) and isinstance(challenge, str) and isinstance(origin, str)):
        raise MalformedError("a member is missing")
    if not isinstance(crosses, bool):
        raise MalformedError("crossOrigin is true or false")
    return _ClientData(kind, challenge, origin, crosses or "topOrigin" in members)


def _read_attestation_object(octets: bytes) -> _Attestation:
    members = cbor.read(octets)
    if not isinstance(members, dict) or members.keys() != {"fmt", "attStmt", "authData"}:
        raise MalformedError("not an attestation object")
    form, statement, data = members["fmt"], members["attStmt"], members["authData"]
    if not (isinstance(form, str) and isinstance(statement, dict) and isinstance(data, bytes)):
        raise MalformedError("not an attestation object")
    return _Attestation(form, statement, read_authenticator_data(data))


# --- the checks ------------------------------------------------------------------------------------------------------


def _foreign(client: _ClientData, challenge: bytes, origin: str) -> Refused | None:
    """Say why this is no answer to our question."""
    if client.type != "webauthn.create":
        return Refused(RefusalReason.WRONG_TYPE, "This answers another kind of question than a registration.")
    # the text is compared, not the octets: base64 has many spellings, and ours is the only one that was asked for
    if not (client.challenge.isascii() and hmac.compare_digest(client.challenge, base64url(challenge))):
        return Refused(RefusalReason.WRONG_CHALLENGE, "This answers another registration than the one that is open.")
    if client.origin != origin:
        return Refused(RefusalReason.WRONG_ORIGIN, "The key was asked in the name of another site.")
    if client.foreign:
        return Refused(RefusalReason.CROSS_ORIGIN, "The key was asked from within another site's page.")
    return None


def _unwilling(data: AuthenticatorData, rp_id: str) -> Refused | None:
    """Say why the key did not mean us, or nobody touched it."""
    if not hmac.compare_digest(data.rp_id_hash, hashlib.sha256(rp_id.encode()).digest()):
        return Refused(RefusalReason.WRONG_RP_ID, "The key was registered for another site.")
    if not data.flags & authenticator.USER_PRESENT:
        return Refused(RefusalReason.USER_NOT_PRESENT, "Nobody touched the key.")
    # 7.1: "If the BE bit of the flags in authData is not set, verify that the BS bit is not set."
    if data.flags & authenticator.BACKED_UP and not data.flags & authenticator.BACKUP_ELIGIBLE:
        return Refused(RefusalReason.BACKUP_NOT_POSSIBLE, "The key says that a credential is copied that cannot be.")
    return None


def _is_user_verified(attestation: _Attestation) -> bool:
    """U2F keys know no user verification, and what they sign has no flags in it (8.6): there the flag is anybody's."""
    return bool(attestation.authenticator_data.flags & authenticator.USER_VERIFIED) and attestation.format != "fido-u2f"


def _unusable(credential: Credential) -> Refused | None:
    """Say why the credential itself cannot be kept."""
    if len(credential.id) not in CREDENTIAL_ID_OCTETS:
        return Refused(RefusalReason.CREDENTIAL_ID_LENGTH, "The key gave its credential a name of impossible length.")
    if credential.algorithm not in authenticator.ALGORITHMS:
        return Refused(RefusalReason.ALGORITHM_NOT_OFFERED, "The key uses an algorithm that it was not offered.")
    if not is_valid_key(credential):
        return Refused(RefusalReason.KEY_NOT_VALID, "The key's public key is not one that its algorithm allows.")
    return None
