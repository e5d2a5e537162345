"""The FIDO Alliance's list of key models (MDS3 blob): names, roots, and which models are no longer safe.

It is given as octets and never fetched; nothing in it is read before its signature held. FIDO Metadata Service 3.0, 3.1
(payload) and 3.2 (processing rules); RFC 7515 (JWS) and RFC 7518 3.3, 3.4 (RS256, ES256 with r || s).
"""

from __future__ import annotations

import base64
import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from radiusd2fa.core.record import record
from radiusd2fa.core.texts import json_object, octets
from radiusd2fa.enrolment.chain import MIN_RSA_BITS, chain_fault
from radiusd2fa.enrolment.outcome import MalformedError

MAX_BLOB_OCTETS: Final = 32 * 1024 * 1024
MAX_HEADER_CHARACTERS: Final = 64 * 1024
SIGNER: Final = "mds.fidoalliance.org"
"""The host name in the signing certificate."""
GRACE_DAYS: Final = 30
"""So long after ``nextUpdate`` the list is still used, with a warning: a file that somebody fetches by hand must not
stop enrolment on the first day that it is late, and a revocation must not stay unknown for ever."""
UNSAFE: Final = frozenset(
    {
        "REVOKED",
        "USER_VERIFICATION_BYPASS",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
    }
)
"""A model with any of these in its history is refused: a later report does not say which keys it is true of."""

_DAY: Final = 86400.0
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_KEY_IDENTIFIER: Final = re.compile(r"[0-9a-f]{40}")
_RAW_OCTETS: Final = 32


class MetadataError(Exception):
    """The list cannot be used; the text says why and what to do."""


@record
class Model:
    """One model of key."""

    description: str
    roots: tuple[bytes, ...] = field(repr=False)
    """DER; any of them may end the chain of a key of this model."""
    unsafe: tuple[str, ...] = ()
    """Status reports that speak against it."""


@record
class Metadata:
    """The list, by AAGUID (lower case, with hyphens) and by attestation certificate key identifier (40 hex digits)."""

    number: int
    """Grows with every issue of the list."""
    next_update: float
    """Seconds since 1970: when a newer list should have been fetched."""
    models: Mapping[str, Model] = field(repr=False)

    def stale(self, now: float) -> bool:
        """Say whether a newer list should be fetched."""
        return now >= self.next_update

    def too_old(self, now: float) -> bool:
        """Say whether the list may no longer be used."""
        return now >= self.next_update + GRACE_DAYS * _DAY


def read_metadata(blob: bytes, root: bytes, now: float, signer: str = SIGNER) -> Metadata:
    """Read a blob that ``signer`` has signed under ``root`` (DER); MetadataError when it cannot be used at ``now``."""
    if len(blob) > MAX_BLOB_OCTETS:
        raise MetadataError(f"the metadata is larger than {MAX_BLOB_OCTETS >> 20} MiB: this is no MDS3 blob")
    try:
        head, payload, signature = blob.strip().decode("ascii").split(".")
        header = _header(head)
        raw_signature = octets(signature)
    except ValueError as error:
        raise MetadataError("not an MDS3 blob; fetch it again from https://mds3.fidoalliance.org/") from error
    _verify(f"{head}.{payload}".encode(), raw_signature, header, root, now, signer)
    try:
        metadata = _payload(json_object(octets(payload), brackets=MAX_BLOB_OCTETS))
    except (ValueError, KeyError) as error:
        raise MetadataError("the metadata is signed, but this program cannot read what it says") from error
    if metadata.too_old(now):
        raise MetadataError(
            f"the metadata should have been replaced more than {GRACE_DAYS} days ago;"
            " fetch it from https://mds3.fidoalliance.org/"
        )
    return metadata


# --- the signature ---------------------------------------------------------------------------------------------------


@record
class _Header:
    algorithm: str
    chain: tuple[bytes, ...]


def _header(text: str) -> _Header:
    if len(text) > MAX_HEADER_CHARACTERS:
        raise MalformedError("too long")
    members = json_object(octets(text))
    algorithm, chain = members.get("alg"), members.get("x5c")
    # RFC 7515 4.1.11: a "crit" that is not understood makes the JWS invalid
    if not isinstance(algorithm, str) or not isinstance(chain, list) or "crit" in members:
        raise MalformedError("no header of a signed list")
    return _Header(algorithm, _certificates(chain))


def _verify(message: bytes, signature: bytes, header: _Header, root: bytes, now: float, signer: str) -> None:
    fault = chain_fault(header.chain, (root,), now)
    if fault is not None:
        raise MetadataError(f"the metadata's signer is not trusted: {fault}")
    leaf = x509.load_der_x509_certificate(header.chain[0])
    # The root is a public one, whose other customers can sign too: only the name tells the list's maker from them.
    if signer not in _host_names(leaf):
        raise MetadataError(f"the metadata is not signed by {signer}, but by somebody else under the same root")
    if not _has_signed(leaf, header.algorithm, message, signature):
        raise MetadataError("the metadata's signature is wrong: the file was changed or cut; fetch it again")


def _has_signed(leaf: x509.Certificate, algorithm: str, message: bytes, signature: bytes) -> bool:
    key = leaf.public_key()
    try:
        if algorithm == "RS256" and isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
            key.verify(signature, message, PKCS1v15(), SHA256())
            return True
        is_p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        if algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey) and is_p256:
            key.verify(_der(signature), message, ECDSA(SHA256()))
            return True
    except InvalidSignature:
        return False
    return False


def _der(signature: bytes) -> bytes:
    """Return the form that cryptography wants of the one that JWS writes (r || s)."""
    if len(signature) != 2 * _RAW_OCTETS:
        raise InvalidSignature
    r, s = signature[:_RAW_OCTETS], signature[_RAW_OCTETS:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def _host_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


# --- the payload -----------------------------------------------------------------------------------------------------


def _payload(payload: Mapping[str, object]) -> Metadata:
    models: dict[str, Model] = {}
    for entry in _objects(payload["entries"]):
        names, model = _names(entry), _model(entry)
        for name in names:
            models[name] = _joined(models[name], model) if name in models else model
    number = payload["no"]
    if not isinstance(number, int):
        raise MalformedError("no number")
    return Metadata(number, _after(_text(payload["nextUpdate"])), models)


def _names(entry: Mapping[str, object]) -> list[str]:
    """Return under what names a key of this model may come; none for models of the older UAF."""
    identifiers = [_text(name).lower() for name in _list(entry.get("attestationCertificateKeyIdentifiers", []))]
    if not all(_KEY_IDENTIFIER.fullmatch(name) for name in identifiers):
        raise MalformedError("not a key identifier")
    return [str(UUID(_text(entry["aaguid"]))), *identifiers] if "aaguid" in entry else identifiers


def _model(entry: Mapping[str, object]) -> Model:
    statement = entry.get("metadataStatement", {})
    if not isinstance(statement, dict):
        raise MalformedError("no statement")
    statuses = {_text(report["status"]) for report in _objects(entry["statusReports"])}
    description = _text(statement.get("description", ""))
    roots = _certificates(_list(statement.get("attestationRootCertificates", [])))
    return Model(_printable(description), roots, tuple(sorted(statuses & UNSAFE)))


def _joined(one: Model, other: Model) -> Model:
    unsafe = tuple(sorted({*one.unsafe, *other.unsafe}))
    return Model(one.description, (*one.roots, *other.roots), unsafe)


def _after(date: str) -> float:
    """Return the end of a day."""
    match = _DATE.fullmatch(date)
    if match is None:
        raise MalformedError("no date")
    year, month, day = (int(part) for part in match.groups())
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise MalformedError("no such day")
    return calendar.timegm((year, month, day, 0, 0, 0)) + _DAY


def _certificates(texts: Sequence[object]) -> tuple[bytes, ...]:
    """RFC 7515 4.1.6: "base64-encoded (… not base64url-encoded) DER"; some vendors' texts have line breaks."""
    return tuple(base64.b64decode("".join(_text(text).split()), validate=True) for text in texts)


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:100]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise MalformedError("not a text")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise MalformedError("not a list")
    return value


def _objects(value: object) -> list[Mapping[str, object]]:
    objects = _list(value)
    if not all(isinstance(member, dict) for member in objects):
        raise MalformedError("not objects")
    return [member for member in objects if isinstance(member, dict)]
