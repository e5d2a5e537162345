"""Registrations changed at random: never an exception, and never a key that the statement has not signed.

The changes are stretches of octets replaced, dropped, doubled, or set to what a parser dislikes.
WebAuthn Level 3, 7.1; the oracle is the registration before the change.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.enrolment.attestation import NO_ATTESTATION, NO_MODEL, AttestationPolicy
from radiusd2fa.enrolment.registration import Enrolled

from .workshop import AAGUID, NO_AAGUID, ROOT, Made, Parts, ed, packed, self_signed, u2f, verify

U2F: Final = u2f(Made(aaguid=NO_AAGUID, counter=0))
POLICY: Final = AttestationPolicy(True, frozenset({str(AAGUID), NO_MODEL}), (ROOT.der(),))
SIGNED: Final = {
    "packed": (packed(), Made()),
    "packed, Ed25519": (packed(Made(key=ed())), Made(key=ed())),
    "self": (self_signed(), Made()),
    "self, Ed25519": (self_signed(Made(key=ed())), Made(key=ed())),
    "u2f": (U2F, Made(aaguid=NO_AAGUID, counter=0)),
}
NASTY: Final = (b"\x00", b"\xff", b"\xf6", b"\x80", b"\xa0", b"\x9f", b"\xbf", b"[" * 50, b"\x81" * 50)


@st.composite
def changed(draw: st.DrawFn, octets: bytes) -> bytes:
    """The octets with up to three stretches of them changed."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(octets)))
        length = draw(st.integers(0, 8))
        new = draw(st.binary(max_size=8) | st.sampled_from(NASTY) | st.just(octets[start : start + 2 * length]))
        octets = octets[:start] + new + octets[start + length :]
    return octets


@pytest.mark.parametrize(("parts", "made"), SIGNED.values(), ids=SIGNED.keys())
@settings(max_examples=250)
@given(data=st.data())
def test_changed_registrations(parts: Parts, made: Made, data: st.DataObject) -> None:
    """A registration that was changed on its way is refused, or enrols the very key that was signed for."""
    client = data.draw(st.just(parts[0]) | changed(parts[0]))
    attestation = data.draw(changed(parts[1]))
    for policy in (NO_ATTESTATION, POLICY):
        outcome = verify((client, attestation), policy)
        if isinstance(outcome, Enrolled) and outcome.format != "none":
            assert outcome.credential_id == made.credential_id
            assert outcome.credential[16:] == made.credential[16:]
            assert client == parts[0]


@settings(max_examples=200)
@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_octets(client: bytes, attestation: bytes) -> None:
    """Octets of any kind are refused with a reason, as either part."""
    for parts in ((client, attestation), (client, U2F[1]), (U2F[0], attestation)):
        assert not isinstance(verify(parts), Enrolled)


@pytest.mark.parametrize(("parts", "made"), SIGNED.values(), ids=SIGNED.keys())
def test_every_bit_of_the_credential(parts: Parts, made: Made) -> None:
    """With any one bit of the credential changed, the registration is refused, but for a U2F key's unsigned AAGUID."""
    client, attestation = parts
    start = attestation.index(made.credential)
    for place in range(start, start + len(made.credential)):
        for bit in (1, 128):
            other = attestation[:place] + bytes((attestation[place] ^ bit,)) + attestation[place + 1 :]
            outcome = verify((client, other), POLICY)
            assert not isinstance(outcome, Enrolled)
            if isinstance(outcome := verify((client, other)), Enrolled):
                assert outcome.format == "fido-u2f"
                assert place < start + 16
