"""The attestation of an emulated key: a test root, a batch certificate under it, and the two statements it signs.

It attests nothing: the private keys follow from this very text, so anybody can make such a statement. Never put the
test root on the list of a site that has real users.
WebAuthn 8.2 (packed, 8.2.1: the certificate), 8.6 (fido-u2f).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from radiusd2fa.emulators.softkey.credential import Algorithm, KeyPair, p256_key, sign_es256

AAGUID: Final = bytes.fromhex("19453c89e1434c28ba84b021f4483271")
"""The model of emulated key that this is."""
NOT_BEFORE: Final = datetime(2025, 1, 1, tzinfo=UTC)
NOT_AFTER: Final = datetime(2064, 12, 31, tzinfo=UTC)
_AAGUID_EXTENSION: Final = ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")


class Format(StrEnum):
    """How a new credential is attested over CTAP2. U2F knows one way only."""

    PACKED = "packed"
    """With a certificate of the batch."""
    SELF = "self"
    """Packed, signed by the new credential itself."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs batch certificates. Its private key follows from both fields."""

    name: str = "radiusd2fa soft key test root, trust it never"
    impostor: str = ""
    """Not empty: another private key under the same name."""

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Return its private key, which is as public as this file."""
        return p256_key(_digest("root", self.name, self.impostor))

    def subject(self) -> x509.Name:
        """Return its name in certificates."""
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    def certificate(self, not_before: datetime = NOT_BEFORE, not_after: datetime = NOT_AFTER) -> bytes:
        """Return its certificate, signed by itself, in DER."""
        return _signed(
            _builder(self.subject(), self.key(), not_before, not_after)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_KEY_CERT_SIGN, critical=True),
            self,
        )


TEST_ROOT: Final = Authority()


@dataclass(frozen=True, slots=True)
class Batch:
    """The private key that all keys of one batch share, and its chain in DER, root excluded."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)


@cache
def batch(
    aaguid: bytes = AAGUID,
    authority: Authority = TEST_ROOT,
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
) -> Batch:
    """Make a batch; another authority or other dates give a foreign or an expired chain."""
    key = p256_key(_digest("batch", authority.name, aaguid.hex()))
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "AA"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "radiusd2fa"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Soft key, a file and no second factor"),
        ]
    )
    certificate = _signed(
        _builder(subject, key, not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # "the extension value ... is wrapped in an OCTET STRING": once more, inside the extension's own
        .add_extension(x509.UnrecognizedExtension(_AAGUID_EXTENSION, b"\x04\x10" + aaguid), critical=False),
        authority,
    )
    return Batch(key, (certificate,))


# --- the statements --------------------------------------------------------------------------------------------------


def packed(batch: Batch, signed: bytes) -> dict[str, object]:
    """Return the statement about authenticator data and client data hash that the batch key signs."""
    return {"alg": int(Algorithm.ES256), "sig": sign_es256(batch.key, signed), "x5c": list(batch.chain)}


def packed_self(pair: KeyPair, signed: bytes) -> dict[str, object]:
    """Return the statement that the new credential signs about itself."""
    return {"alg": int(pair.algorithm), "sig": pair.sign(signed)}


# --- inside ----------------------------------------------------------------------------------------------------------

_KEY_CERT_SIGN: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(int.from_bytes(x509.SubjectKeyIdentifier.from_public_key(public).digest[:16], "big") >> 1 or 1)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _signed(builder: x509.CertificateBuilder, authority: Authority) -> bytes:
    issued = builder.issuer_name(authority.subject()).sign(authority.key(), SHA256(), ecdsa_deterministic=True)
    return issued.public_bytes(Encoding.DER)


def _digest(*words: str) -> bytes:
    return hashlib.sha256("\0".join(("radiusd2fa soft key", *words)).encode()).digest()
