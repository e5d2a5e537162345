"""What becomes of a registration: a credential that may be kept, or the reason why not.

A refusal has a name for the log and one sentence for the person; it never repeats what the key or the browser sent.
WebAuthn Level 3, 7.1 (registering a new credential).
"""

from __future__ import annotations

from enum import StrEnum

from radiusd2fa.core.record import record


class MalformedError(ValueError):
    """These octets are not what they should be. Never leaves this folder."""


class RefusalReason(StrEnum):
    """Why a registration was refused."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    WRONG_TYPE = "wrong_type"
    WRONG_CHALLENGE = "wrong_challenge"
    WRONG_ORIGIN = "wrong_origin"
    CROSS_ORIGIN = "cross_origin"
    WRONG_RP_ID = "wrong_rp_id"
    USER_NOT_PRESENT = "user_not_present"
    USER_NOT_VERIFIED = "user_not_verified"
    NO_CREDENTIAL = "no_credential"
    BACKUP_NOT_POSSIBLE = "backup_not_possible"
    CREDENTIAL_ID_LENGTH = "credential_id_length"
    ALGORITHM_NOT_OFFERED = "algorithm_not_offered"
    KEY_NOT_VALID = "key_not_valid"
    FORMAT_NOT_ACCEPTED = "format_not_accepted"
    STATEMENT_NOT_VALID = "statement_not_valid"
    ATTESTATION_MISSING = "attestation_missing"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_COMPROMISED = "model_compromised"
    CHAIN_NOT_TRUSTED = "chain_not_trusted"
    METADATA_TOO_OLD = "metadata_too_old"


@record
class Refused:
    """Keep nothing."""

    reason: RefusalReason
    sentence: str
    """For the person; holds nothing that came from outside."""


@record
class Enrolled:
    """A credential that may be kept. Whether it is new, and whose it is, are questions for the store."""

    credential: bytes
    """AttestedCredentialData as the key wrote it: AAGUID, length (2 octets), credential id, COSE key."""
    credential_id: bytes
    aaguid: str
    """The model as the key names it, such as ``2fc0579f-8113-47ea-b116-bb5a8db9202a``; all zero: it names none."""
    algorithm: int
    """COSE: -7 (ES256) or -8 (EdDSA)."""
    counter: int
    """The signature counter that the next assertion must exceed, unless both are 0."""
    flags: int
    """UP 1, UV 4, backup eligible 8, backed up 16, AT 64, ED 128."""
    format: str
    """``none``, ``packed`` or ``fido-u2f``."""
    model: str | None = None
    """The model's name, where metadata knows it. Only as good as ``attested``."""
    attested: bool = False
    """Whether certificates up to a root of the policy vouch for the model; without that it is the key's own claim."""
