"""Certificate chains: whether a certificate was issued, step by step, under a root that we were given.

It never looks beyond the chain and the roots handed in (no system store, no network, no revocation list), and what it
answers names certificates by their place only, because their names are anybody's text. RFC 5280, 4.2.1 and 6.1: dates,
names, signatures, CA flag, path length, key usage. python-fido2 checks the signatures only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LONGEST: Final = 6
"""Certificates in a chain, without its root."""
MIN_RSA_BITS: Final = 2048

_HASHES: Final = {"sha256", "sha384", "sha512"}
_UNDERSTOOD: Final = {x509.BasicConstraints.oid, x509.KeyUsage.oid}


def chain_fault(chain: Sequence[bytes], roots: Collection[bytes], now: float) -> str | None:
    """Say what is wrong with the chain (DER, leaf first, the root may be missing); None when it holds.

    A certificate that is itself one of the roots ends the chain, be it the leaf: metadata lists such keys.
    """
    if not 1 <= len(chain) <= LONGEST:
        return "the chain has no certificate, or too many"
    try:
        faults = [_path_fault(path, now) for path in _paths(chain, roots)]
    except Exception:  # noqa: BLE001 - a foreign certificate can be broken in more ways than its parser has documented
        return "a certificate of the chain cannot be read"
    if not faults:
        return "the chain does not end in a root that is trusted here"
    return None if None in faults else faults[0]


def _paths(chain: Sequence[bytes], roots: Collection[bytes]) -> list[list[x509.Certificate]]:
    """Return every way from the leaf to a root; several roots may bear the name that is wanted."""
    path = []
    for octets in chain:
        path.append(x509.load_der_x509_certificate(octets))
        if octets in roots:
            return [path]
    issuer = path[-1].issuer
    candidates = [x509.load_der_x509_certificate(octets) for octets in roots]
    return [[*path, root] for root in candidates if root.subject == issuer]


def _path_fault(path: Sequence[x509.Certificate], now: float) -> str | None:
    for place, certificate in enumerate(path):
        fault = _certificate_fault(certificate, now)
        if fault is not None:
            return f"{_name(place)} {fault}"
    for place, (certificate, issuer) in enumerate(pairwise(path)):
        fault = _issuer_fault(issuer, intermediates=place)
        if fault is not None:
            return f"{_name(place + 1)} {fault}"
        if certificate.issuer != issuer.subject:
            return f"{_name(place + 1)} has another name than the issuer of {_name(place)}"
        if not _has_signed(issuer, certificate):
            return f"{_name(place + 1)} has not signed {_name(place)}"
    return None


def _certificate_fault(certificate: x509.Certificate, now: float) -> str | None:
    # 6.1.3 (a) (2): "The certificate validity period includes the current time."
    if now < certificate.not_valid_before_utc.timestamp():
        return "is not valid yet"
    if now > certificate.not_valid_after_utc.timestamp():
        return "has expired"
    # 4.2: "A certificate-using system MUST reject the certificate if it encounters a critical extension it does not
    # recognize or a critical extension that contains information that it cannot process."
    if any(extension.critical and extension.oid not in _UNDERSTOOD for extension in certificate.extensions):
        return "has a critical extension that is not understood here"
    return None


def _issuer_fault(issuer: x509.Certificate, intermediates: int) -> str | None:
    """Say why this certificate may not stand above a leaf and so many intermediates."""
    constraints = _constraints(issuer)
    # 6.1.4 (k): "verify that the basicConstraints extension is present and that cA is set to TRUE"
    if constraints is None or not constraints.ca:
        return "is not a certification authority's"
    # 4.2.1.9 does not count self-issued intermediates; we do, because no attestation chain has one
    if constraints.path_length is not None and intermediates > constraints.path_length:
        return "allows only a shorter chain below it"
    # 6.1.4 (n): "If a key usage extension is present, verify that the keyCertSign bit is set."
    usage = _key_usage(issuer)
    if usage is not None and not usage.key_cert_sign:
        return "may not sign certificates"
    return None


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    key, digest = issuer.public_key(), certificate.signature_hash_algorithm
    match key:
        case RSAPublicKey():
            strong = key.key_size >= MIN_RSA_BITS
        case EllipticCurvePublicKey():
            strong = isinstance(key.curve, SECP256R1 | SECP384R1 | SECP521R1)
        case _:
            strong = isinstance(key, Ed25519PublicKey)
    if not strong or (digest is not None and digest.name not in _HASHES):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    return True


def _constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _name(place: int) -> str:
    return "the first certificate" if place == 0 else f"the certificate {place} above it"
