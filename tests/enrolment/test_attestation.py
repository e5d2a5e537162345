"""Statements of makers: false ones are refused whoever asks, and an allow-list lets in proven models only.

The statements are signed here with made-up makers' keys; a list of models comes from `test_metadata`.
WebAuthn Level 3, 8.2, 8.2.1, 8.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.attestation.packed import PackedAttestation
from fido2.webauthn import AttestationObject

from radiusd2fa.enrolment.attestation import NO_ATTESTATION, NO_MODEL, AttestationPolicy
from radiusd2fa.enrolment.metadata import Metadata, Model
from radiusd2fa.enrolment.registration import RefusalReason as Why

from .workshop import (
    AAGUID,
    AT,
    CREDENTIAL_ID,
    LEAF,
    LEAF_NAME,
    MIDDLE,
    NO_AAGUID,
    NOW,
    ROOT,
    U2F_LEAF,
    UP,
    Cert,
    Made,
    Parts,
    aaguid_extension,
    accepted,
    allowing,
    client_data,
    ed,
    p256,
    packed,
    refusal,
    rsa_key,
    self_signed,
    sign,
    u2f,
    without_attestation,
    wrapped,
)

OTHER: Final = UUID("00000000-0000-0000-0000-00000000beef")
DAY: Final = 86400.0
ALLOWED: Final = allowing()
U2F_ALLOWED: Final = replace(ALLOWED, aaguids=frozenset({str(AAGUID), NO_MODEL}))
"""It lets in the workshop's model, and U2F keys under its root."""
U2F_MADE: Final = Made(aaguid=NO_AAGUID, counter=0)


# --- statements that are false ---------------------------------------------------------------------------------------


def named(**changes: str | None) -> tuple[Cert, ...]:
    """A chain whose leaf has another name; None takes a part away."""
    parts = {**LEAF_NAME, **changes}
    return replace(LEAF, subject={kind: value for kind, value in parts.items() if value is not None}), MIDDLE


def extended(value: bytes, critical: bool = False) -> tuple[Cert, ...]:
    """A chain whose leaf names a model."""
    return replace(LEAF, extensions=((aaguid_extension(value), critical),)), MIDDLE


def moved(parts: Parts, made: Made) -> Parts:
    """The same statement, beside other authenticator data."""
    old = AttestationObject(parts[1])
    return parts[0], wrapped(old.fmt, old.att_stmt, made.data)


SHA1: Final = hashes.SHA1()  # noqa: S303 - to see it refused

FALSE: Final[dict[str, Parts]] = {
    "none, with a member": (client_data(), wrapped("none", {"sig": b"x"}, Made().data)),
    "packed, empty": (client_data(), wrapped("packed", {}, Made().data)),
    "packed, signed by another": packed(signer=p256("other")),
    "packed, signed over another credential": moved(packed(), Made(credential_id=bytes(48))),
    "packed, signed over another key": moved(packed(), Made(key=p256("other"))),
    "packed, signed over another model": moved(packed(), Made(aaguid=OTHER)),
    "packed, signed over another counter": moved(packed(), Made(counter=8)),
    "packed, signed over another registration": (client_data(extra=1), packed()[1]),
    "packed, no signature": packed(sig=b""),
    "packed, a signature that is a text": packed(sig="signature"),
    "packed, an algorithm of another kind of key": packed(alg=-8),
    "packed, an algorithm of another curve": packed(alg=-35),
    "packed, an unknown algorithm": packed(alg=-99),
    "packed, an algorithm that is a text": packed(alg="ES256"),
    "packed, an algorithm that is a list": packed(alg=[-7]),
    "packed, an algorithm that is true": packed(alg=True),
    "packed, SHA-1": packed(
        chain=(replace(LEAF, key=rsa_key()), MIDDLE),
        alg=-65535,
        sig=sign(rsa_key(), Made().to_sign(client_data()), SHA1),
    ),
    "packed, a member too many": packed(ver="2.0"),
    "packed, ECDAA": packed(ecdaaKeyId=b"x"),
    "packed, the chain is empty": self_signed(x5c=[]),
    "packed, the chain is no list": packed(x5c=LEAF.der()),
    "packed, a text in the chain": packed(x5c=[LEAF.der(), "Middle"]),
    "packed, a number first in the chain": packed(x5c=[1]),
    "packed, no certificate": packed(x5c=[b"not a certificate"]),
    "packed, a certificate cut off": packed(x5c=[LEAF.der()[:-1]]),
    "packed, seven certificates": packed(x5c=[LEAF.der()] * 7),
    "packed, the leaf is an authority": packed(chain=(replace(LEAF, ca=True), MIDDLE)),
    "packed, the leaf has no constraints": packed(chain=(replace(LEAF, ca=None), MIDDLE)),
    "packed, no country": packed(chain=named(C=None)),
    "packed, no organisation": packed(chain=named(O=None)),
    "packed, no unit": packed(chain=named(OU=None)),
    "packed, another unit": packed(chain=named(OU="Authenticator attestation")),
    "packed, no name": packed(chain=named(CN=None)),
    "packed, the certificate is for another model": packed(chain=extended(b"\x04\x10" + OTHER.bytes)),
    "packed, the certificate is for no model": packed(chain=extended(b"\x04\x10" + bytes(16))),
    "packed, the model is marked critical": packed(chain=extended(b"\x04\x10" + AAGUID.bytes, critical=True)),
    "self, signed by another": self_signed(sig=sign(p256("other"), Made().to_sign(client_data()))),
    "self, another algorithm named": self_signed(alg=-8),
    "self, another algorithm of the same key": self_signed(alg=-9),
    "self, no algorithm": self_signed(alg=None),
    "self, no signature": self_signed(sig=None),
    "self, raw instead of DER": self_signed(sig=bytes(64)),
    "u2f, signed by another": u2f(signer=p256("other")),
    "u2f, signed over another credential": moved(u2f(), replace(U2F_MADE, credential_id=bytes(48))),
    "u2f, signed over another key": moved(u2f(), replace(U2F_MADE, key=p256("other"))),
    "u2f, no certificate": u2f(x5c=[]),
    "u2f, two certificates": u2f(x5c=[U2F_LEAF.der(), ROOT.der()]),
    "u2f, a member too many": u2f(alg=-7),
    "u2f, a chain that is no list": u2f(x5c=U2F_LEAF.der()),
    "u2f, no signature": u2f(sig=b""),
    "u2f, an Ed25519 credential": (
        client_data(),
        wrapped("fido-u2f", {"sig": b"x", "x5c": [U2F_LEAF.der()]}, Made(key=ed(), aaguid=NO_AAGUID).data),
    ),
    "u2f, a maker's key that is no P-256 key": u2f(
        leaf=replace(U2F_LEAF, key=ec.derive_private_key(99, ec.SECP384R1()))
    ),
}


@pytest.mark.parametrize("policy", [NO_ATTESTATION, U2F_ALLOWED], ids=["not asked", "asked"])
@pytest.mark.parametrize("parts", FALSE.values(), ids=FALSE.keys())
def test_false_statements(parts: Parts, policy: AttestationPolicy) -> None:
    """A statement that does not hold is refused, whether the site asked for one or not."""
    assert refusal(parts, policy) == Why.STATEMENT_NOT_VALID


# --- statements that do not suffice ----------------------------------------------------------------------------------


def test_no_statement() -> None:
    """An allow-list refuses keys that prove nothing: no attestation, or none but their own signature."""
    assert refusal(without_attestation(), ALLOWED) == Why.ATTESTATION_MISSING
    assert refusal(self_signed(), ALLOWED) == Why.ATTESTATION_MISSING


def test_models_that_are_not_listed() -> None:
    """A proven model that is not on the list is refused, and an empty list has nobody on it."""
    assert refusal(packed(Made(aaguid=OTHER)), ALLOWED) == Why.MODEL_NOT_ALLOWED
    assert refusal(packed(), replace(ALLOWED, aaguids=frozenset())) == Why.MODEL_NOT_ALLOWED
    assert refusal(packed(), replace(ALLOWED, aaguids=frozenset({str(AAGUID).upper()}))) == Why.MODEL_NOT_ALLOWED


def test_a_packed_statement_without_a_model() -> None:
    """Only U2F keys may come without a model: the zero AAGUID in the list is no way in for others."""
    assert refusal(packed(Made(aaguid=NO_AAGUID)), U2F_ALLOWED) == Why.MODEL_NOT_ALLOWED


CHAINS: Final[dict[str, tuple[Cert, ...]]] = {
    "expired leaf": (replace(LEAF, ends=NOW - 1), MIDDLE),
    "leaf not valid yet": (replace(LEAF, starts=NOW + 1), MIDDLE),
    "expired intermediate": (LEAF, replace(MIDDLE, ends=NOW - 1)),
    "wrong issuer": (replace(LEAF, issuer="Other"), MIDDLE),
    "intermediate that is no authority": (LEAF, replace(MIDDLE, ca=False)),
    "intermediate that may not sign": (LEAF, replace(MIDDLE, cert_sign=False)),
    "no intermediate": (LEAF,),
    "leaf signed by another": (replace(LEAF, signer=p256("other")), MIDDLE),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_chains_that_are_not_trusted(chain: tuple[Cert, ...]) -> None:
    """A listed model is refused when the maker's certificates do not lead to a root of the policy, rule by rule."""
    assert refusal(packed(chain=chain), ALLOWED) == Why.CHAIN_NOT_TRUSTED
    assert not accepted(packed(chain=chain)).attested


@pytest.mark.parametrize(
    "root",
    [
        replace(ROOT, ends=NOW - 1),
        replace(ROOT, ca=False),
        replace(ROOT, path_length=0),
        replace(ROOT, key=p256("other"), signer=p256("other")),
        Cert("Foreign", p256("foreign"), "Foreign", p256("foreign"), ca=True),
    ],
    ids=["expired", "no authority", "path length 0", "same name, other key", "foreign"],
)
def test_roots_that_do_not_fit(root: Cert) -> None:
    """The same key is refused under another root, or one that may not vouch for it."""
    assert refusal(packed(), allowing(root)) == Why.CHAIN_NOT_TRUSTED


def test_the_moment_counts() -> None:
    """A chain that holds today is refused when it has run out, and before it began."""
    assert accepted(packed(), ALLOWED).attested
    assert refusal(packed(), ALLOWED, now=NOW + 2 * DAY) == Why.CHAIN_NOT_TRUSTED
    assert refusal(packed(), ALLOWED, now=NOW - 2 * DAY) == Why.CHAIN_NOT_TRUSTED


def test_no_root() -> None:
    """An allow-list without any root lets nobody in."""
    assert refusal(packed(), replace(ALLOWED, roots=())) == Why.CHAIN_NOT_TRUSTED


def test_a_model_written_as_something_else() -> None:
    """The model in the certificate must be an octet string; python-fido2 looks at its last 16 octets only."""
    made, chain = Made(), extended(b"\x0c\x10" + AAGUID.bytes)
    parts = packed(made, chain)
    assert refusal(parts, ALLOWED) == Why.MODEL_NOT_ALLOWED
    attestation = AttestationObject(parts[1])
    digest = hashes.Hash(hashes.SHA256())
    digest.update(parts[0])
    PackedAttestation().verify(attestation.att_stmt, attestation.auth_data, digest.finalize())


# --- U2F keys under an allow-list ------------------------------------------------------------------------------------

IDENTIFIER: Final = x509.SubjectKeyIdentifier.from_public_key(p256("u2f leaf").public_key()).digest.hex()


def test_u2f_keys_that_nobody_listed() -> None:
    """A list of models has no U2F key on it, unless it names the zero AAGUID or the very certificate."""
    assert refusal(u2f(), ALLOWED) == Why.MODEL_NOT_ALLOWED
    assert refusal(u2f(), replace(ALLOWED, key_identifiers=frozenset({"00" * 20}))) == Why.MODEL_NOT_ALLOWED
    assert accepted(u2f(), U2F_ALLOWED).attested
    assert accepted(u2f(), replace(ALLOWED, key_identifiers=frozenset({IDENTIFIER}))).attested


def test_a_u2f_key_that_names_a_model() -> None:
    """A U2F statement has not signed the AAGUID beside it: a listed one there is refused, not believed."""
    forged = moved(u2f(), replace(U2F_MADE, aaguid=AAGUID))
    assert refusal(forged, U2F_ALLOWED) == Why.MODEL_NOT_ALLOWED
    assert refusal(forged, replace(U2F_ALLOWED, key_identifiers=frozenset({IDENTIFIER}))) == Why.MODEL_NOT_ALLOWED
    enrolled = accepted(forged)
    assert (enrolled.attested, enrolled.model) == (False, None)


def test_u2f_chains_that_are_not_trusted() -> None:
    """A U2F key is refused when its certificate is not from a root of the policy, or out of its time."""
    for leaf in (
        replace(U2F_LEAF, ends=NOW - 1),
        replace(U2F_LEAF, issuer="Other"),
        replace(U2F_LEAF, signer=p256("other")),
    ):
        assert refusal(u2f(leaf=leaf), U2F_ALLOWED) == Why.CHAIN_NOT_TRUSTED


def test_one_certificate_for_both_protocols() -> None:
    """A U2F certificate that names the chip's model is accepted, though over U2F the key names none."""
    leaf = replace(U2F_LEAF, extensions=((aaguid_extension(b"\x04\x10" + AAGUID.bytes), False),))
    assert accepted(u2f(leaf=leaf), U2F_ALLOWED).attested


# --- what lists of models add ----------------------------------------------------------------------------------------


def listing(*unsafe: str, roots: tuple[Cert, ...] = (ROOT,), name: str = str(AAGUID)) -> Metadata:
    """A list with one model."""
    model = Model("Example Key 1", tuple(root.der() for root in roots), unsafe)
    return Metadata(1, NOW + 10 * DAY, {name: model})


def test_names_and_roots_from_metadata() -> None:
    """A list of models gives an allowed model its name and its root."""
    policy = replace(ALLOWED, roots=(), metadata=listing())
    enrolled = accepted(packed(), policy)
    assert (enrolled.model, enrolled.attested) == ("Example Key 1", True)
    assert refusal(packed(), replace(policy, metadata=listing(name=str(OTHER)))) == Why.CHAIN_NOT_TRUSTED
    assert refusal(packed(), replace(policy, metadata=listing(roots=()))) == Why.CHAIN_NOT_TRUSTED
    assert refusal(packed(Made(aaguid=OTHER)), replace(policy, metadata=listing(name=str(OTHER)))) == (
        Why.MODEL_NOT_ALLOWED
    )


def test_u2f_keys_in_metadata() -> None:
    """A U2F key finds its model by its certificate's key; that gives a root, and is no leave to come in."""
    metadata = listing(name=IDENTIFIER)
    assert refusal(u2f(), replace(ALLOWED, roots=(), metadata=metadata)) == Why.MODEL_NOT_ALLOWED
    assert accepted(u2f(), replace(U2F_ALLOWED, roots=(), metadata=metadata)).model == "Example Key 1"
    assert refusal(u2f(), replace(U2F_ALLOWED, roots=(), metadata=listing(name=NO_MODEL))) == Why.CHAIN_NOT_TRUSTED


def test_models_that_are_no_longer_safe() -> None:
    """A model that metadata calls unsafe is refused, even where nobody asked for attestation."""
    unsafe = listing("REVOKED")
    assert refusal(packed(), replace(ALLOWED, metadata=unsafe)) == Why.MODEL_COMPROMISED
    for parts in (packed(), self_signed(), without_attestation()):
        assert refusal(parts, replace(NO_ATTESTATION, metadata=unsafe)) == Why.MODEL_COMPROMISED
    unsafe_u2f = listing("ATTESTATION_KEY_COMPROMISE", name=IDENTIFIER)
    assert refusal(u2f(), replace(U2F_ALLOWED, metadata=unsafe_u2f)) == Why.MODEL_COMPROMISED


def test_metadata_that_nobody_renewed() -> None:
    """For 30 days after its time a list is still used; then an allow-list refuses, for it knows no revocations."""
    long = replace(LEAF, ends=NOW + 99 * DAY), replace(MIDDLE, ends=NOW + 99 * DAY)
    policy = replace(allowing(replace(ROOT, ends=NOW + 99 * DAY)), metadata=listing())
    assert accepted(packed(chain=long), policy, now=NOW + 40 * DAY - 1).attested
    assert refusal(packed(chain=long), policy, now=NOW + 40 * DAY) == Why.METADATA_TOO_OLD


# --- statements that hold --------------------------------------------------------------------------------------------

HOLDING: Final[dict[str, Callable[[], Parts]]] = {
    "packed": packed,
    "packed, the model named": lambda: packed(chain=extended(b"\x04\x10" + AAGUID.bytes)),
    "packed, an RSA maker": lambda: packed(chain=(replace(LEAF, key=rsa_key()), MIDDLE), alg=-257),
    "packed, an Ed25519 credential": lambda: packed(Made(key=ed())),
    "packed, the root sent along": lambda: packed(chain=(LEAF, MIDDLE, ROOT)),
}


@pytest.mark.parametrize("make", HOLDING.values(), ids=HOLDING.keys())
def test_what_is_let_in(make: Callable[[], Parts]) -> None:
    """A listed model whose maker vouches for it is enrolled as attested; without a list nothing calls it so."""
    enrolled = accepted(make(), ALLOWED)
    assert (enrolled.format, enrolled.attested, enrolled.credential_id) == ("packed", True, CREDENTIAL_ID)
    assert not accepted(make()).attested


def test_statements_that_nobody_asked_for() -> None:
    """Without an allow-list a good statement is accepted in each format, and believed in none."""
    for parts, form in ((self_signed(), "packed"), (self_signed(Made(key=ed())), "packed"), (u2f(), "fido-u2f")):
        enrolled = accepted(parts)
        assert (enrolled.format, enrolled.attested) == (form, False)
    assert accepted(u2f()).flags == UP | AT
    assert UUID(accepted(u2f()).aaguid) == NO_AAGUID
