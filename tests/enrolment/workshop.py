"""A workshop for the tests: credentials, registrations, certificates and lists of key models, right or wrong on demand.

It shares no code with `radiusd2fa.enrolment`: python-fido2 writes the CBOR, and cryptography makes keys and signatures.
WebAuthn Level 3, 6.5 (attestation), RFC 5280 (certificates), FIDO Metadata Service 3.0.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Final, TypedDict, Unpack
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from fido2 import cbor

from radiusd2fa.enrolment.attestation import NO_ATTESTATION, AttestationPolicy
from radiusd2fa.enrolment.registration import Enrolled, RefusalReason, Refused, verify_registration

NOW: Final = 1_800_000_000.0
"""15 January 2027."""
CHALLENGE: Final = bytes(range(32))
RP_ID: Final = "auth.example.org"
ORIGIN: Final = "https://auth.example.org"
CREDENTIAL_ID: Final = bytes(range(100, 148))
AAGUID: Final = UUID("6f1c3a52-9b7d-4e08-a1b4-5d2f7c8e9a01")
NO_AAGUID: Final = UUID(int=0)
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80

SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


# --- keys ------------------------------------------------------------------------------------------------------------


@cache
def p256(name: str = "credential") -> ec.EllipticCurvePrivateKey:
    """The same key for the same name."""
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") >> 1, ec.SECP256R1())


@cache
def ed(name: str = "credential") -> ed25519.Ed25519PrivateKey:
    """The same key for the same name."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key of each size."""
    return rsa.generate_private_key(65537, bits)


def sign(key: SigningKey, message: bytes, digest: hashes.HashAlgorithm | None = None) -> bytes:
    """Sign as COSE and X.509 do: DER for ECDSA, raw for Ed25519, PKCS 1 for RSA."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(message, ec.ECDSA(digest or hashes.SHA256()))
        case rsa.RSAPrivateKey():
            return key.sign(message, padding.PKCS1v15(), digest or hashes.SHA256())
        case _:
            return key.sign(message)


def cose(key: SigningKey) -> dict[int, int | bytes]:
    """Write a public key as COSE."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)}
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    x, y = point(key)
    return {1: 2, 3: -7, -1: 1, -2: x, -3: y}


def point(key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """The coordinates of a public key."""
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


# --- certificates ----------------------------------------------------------------------------------------------------

LEAF_NAME: Final = {"C": "SE", "O": "Example Keys", "OU": "Authenticator Attestation", "CN": "Example Key 1"}
OIDS: Final = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
}


def name(parts: Mapping[str, str] | str) -> x509.Name:
    """Write a name."""
    parts = {"CN": parts} if isinstance(parts, str) else parts
    return x509.Name([x509.NameAttribute(OIDS[kind], value) for kind, value in parts.items()])


@dataclass(frozen=True)
class Cert:
    """What one certificate says, and who signs it with what."""

    subject: Mapping[str, str] | str
    key: SigningKey
    issuer: Mapping[str, str] | str
    signer: SigningKey
    ca: bool | None = False
    """None: without the extension."""
    path_length: int | None = None
    starts: float = NOW - 86400
    ends: float = NOW + 86400
    cert_sign: bool | None = None
    """The bit in the key usage; None: without the extension."""
    digest: hashes.HashAlgorithm | None = field(default_factory=hashes.SHA256)
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()

    def der(self) -> bytes:
        """Return it; it is made once, because every signature is another."""
        return self._der

    @cached_property
    def _der(self) -> bytes:
        builder = x509.CertificateBuilder(
            name(self.issuer),
            name(self.subject),
            self.key.public_key(),
            1234567,
            datetime.fromtimestamp(self.starts, UTC),
            datetime.fromtimestamp(self.ends, UTC),
        )
        if self.ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(self.ca, self.path_length), critical=True)
        if self.cert_sign is not None:
            others = (not self.cert_sign, False, False, False, False)
            builder = builder.add_extension(x509.KeyUsage(*others, self.cert_sign, False, False, False), critical=True)
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        digest = None if isinstance(self.signer, ed25519.Ed25519PrivateKey) else self.digest
        return builder.sign(self.signer, digest).public_bytes(Encoding.DER)  # type: ignore[arg-type]  # any hash, for tests


def aaguid_extension(value: bytes) -> x509.UnrecognizedExtension:
    """Write the extension that names a model."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4"), value)


ROOT: Final = Cert("Root", p256("root"), "Root", p256("root"), ca=True, cert_sign=True)
MIDDLE: Final = Cert("Middle", p256("middle"), "Root", p256("root"), ca=True, cert_sign=True)
LEAF: Final = Cert(LEAF_NAME, p256("leaf"), "Middle", p256("middle"))


# --- registrations ---------------------------------------------------------------------------------------------------


def client_data(
    type: str = "webauthn.create",  # noqa: A002 - the member's name
    challenge: bytes | str = CHALLENGE,
    origin: str = ORIGIN,
    **others: object,
) -> bytes:
    """Write client data as a browser does."""
    text = challenge if isinstance(challenge, str) else b64url(challenge)
    members = {"type": type, "challenge": text, "origin": origin, "crossOrigin": False} | others
    return json.dumps(members, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Made:
    """A credential that a key has just made."""

    key: SigningKey = field(default_factory=p256)
    rp_id: str = RP_ID
    flags: int = UP | AT
    counter: int = 7
    aaguid: UUID = AAGUID
    credential_id: bytes = CREDENTIAL_ID
    cose: bytes | None = None
    """Other octets in the place of the public key."""
    tail: bytes = b""

    @property
    def credential(self) -> bytes:
        """Attested credential data."""
        key = cbor.encode(cose(self.key)) if self.cose is None else self.cose
        return self.aaguid.bytes + len(self.credential_id).to_bytes(2, "big") + self.credential_id + key

    @property
    def data(self) -> bytes:
        """Authenticator data."""
        head = hashlib.sha256(self.rp_id.encode()).digest() + bytes((self.flags,)) + self.counter.to_bytes(4, "big")
        return head + (self.credential if self.flags & AT else b"") + self.tail

    def to_sign(self, client: bytes) -> bytes:
        """What a packed statement signs."""
        return self.data + hashlib.sha256(client).digest()

    def to_sign_u2f(self, client: bytes) -> bytes:
        """What a U2F statement signs."""
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        x, y = point(self.key)
        return b"\0" + self.data[:32] + hashlib.sha256(client).digest() + self.credential_id + b"\4" + x + y


Parts = tuple[bytes, bytes]
"""Client data and attestation object."""


def wrapped(form: str, statement: Mapping[str, object], data: bytes) -> bytes:
    """Write an attestation object."""
    return cbor.encode({"fmt": form, "attStmt": statement, "authData": data})


def without_attestation(made: Made | None = None, client: bytes | None = None) -> Parts:
    """Register as most browsers do."""
    return client or client_data(), wrapped("none", {}, (made or Made()).data)


def self_signed(made: Made | None = None, **changes: object) -> Parts:
    """Register with a statement that the new credential has signed itself."""
    made, client = made or Made(), client_data()
    statement = {"alg": cose(made.key)[3], "sig": sign(made.key, made.to_sign(client))} | changes
    return client, wrapped("packed", {key: value for key, value in statement.items() if value is not None}, made.data)


def packed(
    made: Made | None = None,
    chain: Sequence[Cert] = (LEAF, MIDDLE),
    signer: SigningKey | None = None,
    **changes: object,
) -> Parts:
    """Register with a statement of the key's maker."""
    made, client = made or Made(), client_data()
    signature = sign(signer or chain[0].key, made.to_sign(client))
    statement = {"alg": -7, "sig": signature, "x5c": [certificate.der() for certificate in chain]} | changes
    return client, wrapped("packed", statement, made.data)


def u2f(
    made: Made | None = None, leaf: Cert | None = None, signer: SigningKey | None = None, **changes: object
) -> Parts:
    """Register as a U2F key does."""
    made, client = made or Made(aaguid=NO_AAGUID, counter=0), client_data()
    leaf = leaf or U2F_LEAF
    signature = sign(signer or leaf.key, made.to_sign_u2f(client))
    return client, wrapped("fido-u2f", {"sig": signature, "x5c": [leaf.der()]} | changes, made.data)


U2F_LEAF: Final = Cert("Example U2F Key", p256("u2f leaf"), "Root", p256("root"), ca=None)


class Question(TypedDict, total=False):
    """What may be asked otherwise."""

    challenge: bytes
    rp_id: str
    origin: str
    user_verification: bool
    now: float


def verify(parts: Parts, policy: AttestationPolicy = NO_ATTESTATION, **changes: Unpack[Question]) -> Enrolled | Refused:
    """Ask the verifier as the daemon would."""
    return verify_registration(
        *parts,
        challenge=changes.get("challenge", CHALLENGE),
        rp_id=changes.get("rp_id", RP_ID),
        origin=changes.get("origin", ORIGIN),
        user_verification=changes.get("user_verification", False),
        policy=policy,
        now=changes.get("now", NOW),
    )


def refusal(parts: Parts, policy: AttestationPolicy = NO_ATTESTATION, **changes: Unpack[Question]) -> RefusalReason:
    """Return why this is refused; it must be, and with one printable sentence."""
    outcome = verify(parts, policy, **changes)
    assert isinstance(outcome, Refused), outcome
    assert outcome.sentence.isprintable()
    assert outcome.sentence.endswith(".")
    return outcome.reason


def accepted(parts: Parts, policy: AttestationPolicy = NO_ATTESTATION, **changes: Unpack[Question]) -> Enrolled:
    """Return what is kept; nothing may be refused."""
    outcome = verify(parts, policy, **changes)
    assert isinstance(outcome, Enrolled), outcome
    return outcome


def allowing(*roots: Cert) -> AttestationPolicy:
    """A policy that allows the one model of this workshop."""
    return AttestationPolicy(True, frozenset({str(AAGUID)}), tuple(root.der() for root in roots or (ROOT,)))


# --- lists of models -------------------------------------------------------------------------------------------------

MDS_ROOT: Final = Cert("Public Root", p256("mds root"), "Public Root", p256("mds root"), ca=True, cert_sign=True)
MDS_MIDDLE: Final = Cert("Public CA", p256("mds ca"), "Public Root", p256("mds root"), ca=True, cert_sign=True)
MDS_HOST: Final = (x509.SubjectAlternativeName([x509.DNSName("mds.fidoalliance.org")]), False)
MDS_LEAF: Final = Cert("mds.fidoalliance.org", p256("mds"), "Public CA", p256("mds ca"), extensions=(MDS_HOST,))


Entry = dict[str, object]
"""What JSON says."""


def entry(aaguid: UUID | None = AAGUID, roots: Sequence[Cert] = (ROOT,), status: str = "FIDO_CERTIFIED") -> Entry:
    """Write what the list says about one model."""
    certificates = [base64.b64encode(root.der()).decode() for root in roots]
    return {
        **({} if aaguid is None else {"aaguid": str(aaguid)}),
        "metadataStatement": {"description": "Example Key 1", "attestationRootCertificates": certificates},
        "statusReports": [{"status": status, "effectiveDate": "2026-01-01"}],
        "timeOfLastStatusChange": "2026-01-01",
    }


def payload(*entries: Entry, **changes: object) -> Entry:
    """Write a list that is to be replaced ten days from now."""
    later = datetime.fromtimestamp(NOW, UTC) + timedelta(days=10)
    return {
        "legalHeader": "Test data",
        "no": 42,
        "nextUpdate": later.date().isoformat(),
        "entries": list(entries or [entry()]),
    } | changes


def blob(
    content: Entry | bytes,
    chain: Sequence[Cert] = (MDS_LEAF, MDS_MIDDLE),
    algorithm: str = "ES256",
    **header: object,
) -> bytes:
    """Sign a list as the FIDO Alliance does."""
    certificates = [base64.b64encode(certificate.der()).decode() for certificate in chain]
    head = json.dumps({"alg": algorithm, "typ": "JWT", "x5c": certificates} | header).encode()
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    message = f"{b64url(head)}.{b64url(body)}".encode()
    return message + b"." + b64url(jws(chain[0].key, message)).encode()


def jws(key: SigningKey, message: bytes) -> bytes:
    """Sign as JWS does: r || s for ECDSA."""
    signature = sign(key, message)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return signature
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))


def b64url(octets: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
