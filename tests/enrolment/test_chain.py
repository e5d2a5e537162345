"""Certificate chains: every rule of RFC 5280 that is claimed is seen to refuse, and python-fido2 is seen not to.

All certificates are made here; no system store is looked at. RFC 5280, 4.2.1 and 6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.attestation.base import InvalidSignature, verify_x509_chain

from radiusd2fa.enrolment.chain import chain_fault

from .workshop import LEAF, MIDDLE, NOW, ROOT, Cert, ed, p256, rsa_key

YEAR: Final = 365 * 86400
SECOND: Final = Cert("Second", p256("second"), "Middle", p256("middle"), ca=True, cert_sign=True)
DEEP_LEAF: Final = replace(LEAF, issuer="Second", signer=p256("second"))
UNKNOWN: Final = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\5\0"), True)
LIMITS: Final = (x509.NameConstraints([x509.DNSName("example.org")], None), True)


def fault(chain: Sequence[Cert], *roots: Cert, now: float = NOW) -> str | None:
    """Judge a chain."""
    return chain_fault([certificate.der() for certificate in chain], [root.der() for root in roots or (ROOT,)], now)


def library_accepts(chain: Sequence[Cert], root: Cert) -> bool:
    """Judge it with python-fido2."""
    try:
        verify_x509_chain([certificate.der() for certificate in (*chain, root)])
    except InvalidSignature:
        return False
    return True


WRONG: Final[dict[str, tuple[tuple[Cert, ...], Cert, str]]] = {
    "leaf expired": ((replace(LEAF, ends=NOW - 1), MIDDLE), ROOT, "first certificate has expired"),
    "intermediate expired": ((LEAF, replace(MIDDLE, ends=NOW - 1)), ROOT, "1 above it has expired"),
    "root expired": ((LEAF, MIDDLE), replace(ROOT, ends=NOW - 1), "2 above it has expired"),
    "leaf not valid yet": ((replace(LEAF, starts=NOW + 1), MIDDLE), ROOT, "first certificate is not valid yet"),
    "intermediate not valid yet": ((LEAF, replace(MIDDLE, starts=NOW + 1)), ROOT, "1 above it is not valid yet"),
    "root not valid yet": ((LEAF, MIDDLE), replace(ROOT, starts=NOW + 1), "2 above it is not valid yet"),
    "leaf of another issuer": ((replace(LEAF, issuer="Other"), MIDDLE), ROOT, "another name"),
    "intermediate of another issuer": ((LEAF, replace(MIDDLE, issuer="Other")), ROOT, "root that is trusted"),
    "intermediate without CA": ((LEAF, replace(MIDDLE, ca=False)), ROOT, "1 above it is not a certification"),
    "intermediate without constraints": ((LEAF, replace(MIDDLE, ca=None)), ROOT, "1 above it is not a certification"),
    "root without CA": ((LEAF, MIDDLE), replace(ROOT, ca=False), "2 above it is not a certification"),
    "root without constraints": ((LEAF, MIDDLE), replace(ROOT, ca=None), "2 above it is not a certification"),
    "root allows no intermediate": ((LEAF, MIDDLE), replace(ROOT, path_length=0), "2 above it allows only a shorter"),
    "intermediate allows no other": (
        (DEEP_LEAF, SECOND, replace(MIDDLE, path_length=0)),
        ROOT,
        "2 above it allows only a shorter",
    ),
    "root allows one intermediate of two": (
        (DEEP_LEAF, SECOND, MIDDLE),
        replace(ROOT, path_length=1),
        "3 above it allows only a shorter",
    ),
    "intermediate may not sign": ((LEAF, replace(MIDDLE, cert_sign=False)), ROOT, "1 above it may not sign"),
    "root may not sign": ((LEAF, MIDDLE), replace(ROOT, cert_sign=False), "2 above it may not sign"),
    "leaf with a critical extension": ((replace(LEAF, extensions=(UNKNOWN,)), MIDDLE), ROOT, "critical extension"),
    "intermediate with limits to names": ((LEAF, replace(MIDDLE, extensions=(LIMITS,))), ROOT, "critical extension"),
    "a hash that is not listed": ((replace(LEAF, digest=hashes.SHA224()), MIDDLE), ROOT, "1 above it has not signed"),
}
"""Chains whose signatures hold."""


@pytest.mark.parametrize(("chain", "root", "why"), WRONG.values(), ids=WRONG.keys())
def test_wrong_though_every_signature_holds(chain: tuple[Cert, ...], root: Cert, why: str) -> None:
    """Such a chain is refused, for that reason; python-fido2 alone accepts it, which is why there is our own check."""
    assert why in str(fault(chain, root))
    assert library_accepts(chain, root)


def test_wrong_signatures() -> None:
    """A chain in which somebody else has signed is refused, wherever it is."""
    other = p256("other")
    assert "1 above it has not signed the first" in str(fault((replace(LEAF, signer=other), MIDDLE)))
    assert "2 above it has not signed the certificate 1" in str(fault((LEAF, replace(MIDDLE, signer=other))))
    assert "2 above it has not signed" in str(fault((LEAF, MIDDLE), replace(ROOT, key=other, signer=other)))


def test_signatures_of_two_certificates_swapped() -> None:
    """A certificate that bears the signature of another one is refused."""
    one, two = LEAF.der(), replace(LEAF, ends=NOW + YEAR).der()
    swapped = one[: len(one) - 64] + two[len(two) - 64 :]
    assert "has not signed" in str(chain_fault([swapped, MIDDLE.der()], [ROOT.der()], NOW))


def test_weak_keys() -> None:
    """Issuers with short RSA keys or uncommon curves are refused."""
    weak = rsa_key(1024)
    assert "has not signed" in str(fault((replace(MIDDLE, signer=weak),), replace(ROOT, key=weak, signer=weak)))
    odd = ec.derive_private_key(54321, ec.SECP256K1())
    assert "has not signed" in str(fault((replace(MIDDLE, signer=odd),), replace(ROOT, key=odd, signer=odd)))


def test_roots_that_are_not_this_one() -> None:
    """A chain ends in a root that was given, or is refused: a foreign root in the chain itself counts for nothing."""
    foreign = Cert("Foreign", p256("foreign"), "Foreign", p256("foreign"), ca=True, cert_sign=True)
    chain = replace(LEAF, issuer="Foreign", signer=p256("foreign")), foreign
    assert "root that is trusted" in str(fault(chain))
    assert "root that is trusted" in str(chain_fault([LEAF.der(), MIDDLE.der()], [], NOW))
    assert "root that is trusted" in str(fault((LEAF,)))
    assert "root that is trusted" in str(fault((ROOT,), foreign))
    assert fault(chain, foreign) is None


def test_a_chain_in_the_wrong_order() -> None:
    """The leaf comes first and its issuers follow; nothing is looked for elsewhere in the chain."""
    assert fault((MIDDLE, LEAF)) is not None
    assert fault((LEAF, LEAF, MIDDLE)) is not None


def test_lengths() -> None:
    """No certificate is no chain, and neither are seven."""
    assert "no certificate, or too many" in str(fault(()))
    assert "no certificate, or too many" in str(fault((LEAF, MIDDLE, *[ROOT] * 5)))


def test_octets_that_are_no_certificate() -> None:
    """What cannot be read is refused, in the chain and among the roots, cut at any octet."""
    whole = LEAF.der()
    for cut in range(0, len(whole), 7):
        assert "cannot be read" in str(chain_fault([whole[:cut], MIDDLE.der()], [ROOT.der()], NOW))
    assert "cannot be read" in str(chain_fault([whole, MIDDLE.der()], [ROOT.der()[:-1]], NOW))
    assert "cannot be read" in str(chain_fault([whole + b"\0", MIDDLE.der()], [ROOT.der()], NOW))


GOOD: Final[dict[str, tuple[tuple[Cert, ...], Cert]]] = {
    "with an intermediate": ((LEAF, MIDDLE), ROOT),
    "with two": ((DEEP_LEAF, SECOND, MIDDLE), replace(ROOT, path_length=2)),
    "with the root in it": ((LEAF, MIDDLE, ROOT), ROOT),
    "straight under the root": ((replace(LEAF, issuer="Root", signer=p256("root")),), replace(ROOT, path_length=0)),
    "the intermediate is what is trusted": ((LEAF, MIDDLE), MIDDLE),
    "so it is, and is not sent": ((LEAF,), MIDDLE),
    "the leaf is what is trusted": ((LEAF,), LEAF),
    "without key usage": ((LEAF, replace(MIDDLE, cert_sign=None)), replace(ROOT, cert_sign=None)),
    "on its first second": ((replace(LEAF, starts=NOW), MIDDLE), ROOT),
    "on its last second": ((replace(LEAF, ends=NOW), MIDDLE), ROOT),
    "under RSA": ((LEAF, replace(MIDDLE, signer=rsa_key())), replace(ROOT, key=rsa_key(), signer=rsa_key())),
    "under Ed25519": ((LEAF, replace(MIDDLE, signer=ed("root"))), replace(ROOT, key=ed("root"), signer=ed("root"))),
    "with SHA-384": ((replace(LEAF, digest=hashes.SHA384()), MIDDLE), ROOT),
}


@pytest.mark.parametrize(("chain", "root"), GOOD.values(), ids=GOOD.keys())
def test_good(chain: tuple[Cert, ...], root: Cert) -> None:
    """Such a chain holds."""
    assert fault(chain, root) is None


def test_two_roots_of_one_name() -> None:
    """Where a maker has two roots of the same name, the one that has signed is found, whichever comes first."""
    other = replace(ROOT, key=p256("other root"), signer=p256("other root"))
    assert fault((LEAF, MIDDLE), other, ROOT) is None
    assert fault((LEAF, MIDDLE), ROOT, other) is None


def test_a_trusted_leaf_has_dates_too() -> None:
    """A certificate that is itself a root is refused before and after its time."""
    assert "has expired" in str(fault((LEAF,), LEAF, now=NOW + YEAR))
    assert "not valid yet" in str(fault((LEAF,), LEAF, now=NOW - YEAR))
