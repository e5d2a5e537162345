"""The soft key's attestation: its chain ends at our test root, and foreign or expired ones can be put in.

Statements are verified by python-fido2, certificates by cryptography.
WebAuthn 8.2.1 (certificate of a packed attestation) and 8.6 (fido-u2f).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from fido2.attestation.base import Attestation
from fido2.attestation.packed import PackedAttestation
from fido2.attestation.u2f import FidoU2FAttestation
from fido2.server import Fido2Server
from fido2.webauthn import AttestationObject

from radiusd2fa.emulators.softkey import AAGUID, TEST_ROOT, Authority, Format, SoftKey, batch, memory

from .ceremonies import ALICE, DISCOURAGED, browser, relying_party

ROOT: Final = x509.load_der_x509_certificate(TEST_ROOT.certificate())


def _made(key: SoftKey) -> tuple[AttestationObject, bytes]:
    """Register; the attestation object and the client data hash."""
    server: Fido2Server = relying_party()
    options, _ = server.register_begin(ALICE, user_verification=DISCOURAGED)
    response = browser(memory.connect(key)).make_credential(options.public_key).response
    return response.attestation_object, response.client_data.hash


def _leaf(key: SoftKey) -> x509.Certificate:
    return x509.load_der_x509_certificate(_made(key)[0].att_stmt["x5c"][0])


def test_a_foreign_chain_does_not_end_at_our_root() -> None:
    """With another authority's batch the statement verifies, and the certificate is none of ours."""
    key = SoftKey.make()
    key.batch = batch(authority=Authority("somebody else"))
    made, client_data_hash = _made(key)
    PackedAttestation().verify(made.att_stmt, made.auth_data, client_data_hash)
    with pytest.raises(ValueError, match="Issuer"):
        _leaf(key).verify_directly_issued_by(ROOT)


def test_an_impostor_is_called_like_our_root() -> None:
    """A chain whose issuer has the right name and the wrong key: only the signature tells."""
    key = SoftKey.make()
    key.batch = batch(authority=Authority(impostor="1"))
    leaf = _leaf(key)
    assert leaf.issuer == ROOT.subject
    with pytest.raises(InvalidSignature):
        leaf.verify_directly_issued_by(ROOT)


def test_an_expired_chain() -> None:
    """The dates of a batch are the test's to choose."""
    key, end = SoftKey.make(), datetime(2020, 1, 1, tzinfo=UTC)
    key.batch = batch(not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=end)
    leaf = _leaf(key)
    leaf.verify_directly_issued_by(ROOT)
    assert leaf.not_valid_after_utc == end


@pytest.mark.parametrize(("u2f_only", "verifier"), [(False, PackedAttestation), (True, FidoU2FAttestation)])
def test_our_own_chain(u2f_only: bool, verifier: type[Attestation]) -> None:
    """The statement verifies, and its certificate was issued by our test root, which is a CA and signs itself."""
    made, client_data_hash = _made(SoftKey.make(u2f_only=u2f_only))
    result = verifier().verify(made.att_stmt, made.auth_data, client_data_hash)
    (leaf,) = (x509.load_der_x509_certificate(der) for der in result.trust_path)
    leaf.verify_directly_issued_by(ROOT)
    ROOT.verify_directly_issued_by(ROOT)
    assert ROOT.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_self_attestation_signs_with_the_new_key() -> None:
    """Self attestation has no certificate and verifies by the credential's own key."""
    made, client_data_hash = _made(SoftKey.make(attestation=Format.SELF))
    result = PackedAttestation().verify(made.att_stmt, made.auth_data, client_data_hash)
    assert result.trust_path == []


@pytest.mark.parametrize("aaguid", [AAGUID, b"another model..."])
def test_the_model_is_in_the_certificate(aaguid: bytes) -> None:
    """The AAGUID stands in the authenticator data and, as 8.2.1 wants it, in the certificate."""
    made, client_data_hash = _made(SoftKey.make(aaguid=aaguid))
    credential = made.auth_data.credential_data
    assert credential is not None
    assert credential.aaguid == aaguid
    PackedAttestation().verify(made.att_stmt, made.auth_data, client_data_hash)
    leaf = x509.load_der_x509_certificate(made.att_stmt["x5c"][0])
    extension = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4"))
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    assert extension.value.value == b"\x04\x10" + aaguid


def test_certificates_are_always_the_same() -> None:
    """Root and batch follow from the source alone, so that a site for tests can name them beforehand."""
    assert Authority().certificate() == TEST_ROOT.certificate()
    assert batch.__wrapped__().chain == batch().chain
