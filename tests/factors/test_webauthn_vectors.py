"""The assertions of the W3C's WebAuthn test vectors, each with what we say of it and why.

The vectors are no part of the project: they are read from beside the checkout, and without them nothing here runs.
WebAuthn Level 3, section "Test Vectors": one registration and one assertion each, by keys of every algorithm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from fido2.webauthn import AttestationObject, AttestedCredentialData

from radiusd2fa.core.answer import Assertion, KeyAnswer
from radiusd2fa.core.finding import Asserted, Finding, NotFound, Refused
from radiusd2fa.core.model import Reason, Token
from radiusd2fa.core.responder import selector
from radiusd2fa.core.rules import FidoRules, Rules
from radiusd2fa.factors import fido

VECTORS: Final = Path(__file__).parents[3] / "shared" / "vectors" / "webauthn-l3-test-vectors.json"
NOW: Final = 1_700_000_000.0

pytestmark = pytest.mark.skipif(not VECTORS.is_file(), reason=f"{VECTORS}: the W3C's vectors are not here")

ACCEPTED: Final = Asserted(0)
FRAMED: Final = Refused(Reason.WRONG_CLIENT_DATA)
UNVERIFIED: Final = Refused(Reason.NO_USER_VERIFICATION)
NOT_OFFERED: Final = NotFound()

EXPECTED: Final[dict[str, tuple[Finding, Finding]]] = {
    "none-es256": (ACCEPTED, UNVERIFIED),
    "packed-self-es256": (ACCEPTED, UNVERIFIED),
    "none-es256-crossOrigin": (FRAMED, FRAMED),
    "none-es256-topOrigin": (FRAMED, FRAMED),
    "none-es256-long-credential-id": (ACCEPTED, ACCEPTED),
    "packed-es256": (ACCEPTED, ACCEPTED),
    "packed-es384": (NOT_OFFERED, NOT_OFFERED),
    "packed-es512": (NOT_OFFERED, NOT_OFFERED),
    "packed-rs256": (NOT_OFFERED, NOT_OFFERED),
    "packed-eddsa": (ACCEPTED, UNVERIFIED),
    "packed-ed448": (NOT_OFFERED, NOT_OFFERED),
    "tpm-es256": (ACCEPTED, ACCEPTED),
    "android-key-es256": (ACCEPTED, UNVERIFIED),
    "apple-es256": (ACCEPTED, UNVERIFIED),
    "fido-u2f-es256": (ACCEPTED, UNVERIFIED),
}
"""What comes of each: where a touch is enough, and where the key must verify its user. None of these keys counts."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One registered credential and what it has signed."""

    token: Token
    reading: Assertion
    rules: Rules

    def found(self, reading: Assertion | None = None, *, user_verification: bool = False) -> Finding:
        """Hold its assertion, or another one, against its credential."""
        answer = KeyAnswer((reading or self.reading,), user_verification)
        return fido.find(self.token, answer, NOW, self.rules)


def read(name: str) -> Vector:
    """Read one vector out of the file."""
    text = _file()
    vector = next(one for one in text["vectors"] if one["id"] == f"sctn-test-vectors-{name}")
    credential = _credential(vector)
    asked = {key: bytes.fromhex(value) for key, value in vector["authentication"].items()}
    reading = Assertion(
        selector(credential.credential_id),
        asked["clientDataJSON"],
        asked["authenticatorData"],
        asked["signature"],
        asked["challenge"],
        type="webauthn.get",
    )
    token = Token(1, name, "fido", 0, bytes(credential), digits=0)
    return Vector(token, reading, Rules(fido=FidoRules(text["rp_id"], text["origin"])))


def _file() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(VECTORS.read_text())
    return content


def _credential(vector: dict[str, Any]) -> AttestedCredentialData:
    registered = AttestationObject(bytes.fromhex(vector["registration"]["attestationObject"]))
    credential = registered.auth_data.credential_data
    assert credential is not None
    assert credential.credential_id == bytes.fromhex(vector["registration"]["credential_id"])
    return credential


def test_there_is_an_expectation_for_every_vector() -> None:
    """A vector that is new in the file is noticed, and so is one that is gone."""
    assert {vector["id"] for vector in _file()["vectors"]} == {f"sctn-test-vectors-{name}" for name in EXPECTED}


@pytest.mark.parametrize("user_verification", [False, True])
@pytest.mark.parametrize("name", EXPECTED)
def test_what_we_say_of_each(name: str, user_verification: bool) -> None:
    """ES256 and EdDSA are accepted, other algorithms and frames refused, and verified users told from touches."""
    assert read(name).found(user_verification=user_verification) == EXPECTED[name][user_verification]


@pytest.mark.parametrize("name", [name for name, (finding, _) in EXPECTED.items() if finding == ACCEPTED])
def test_no_answer_answers_another_challenge(name: str) -> None:
    """What was signed for one challenge is told from what was signed by somebody else, and refused like it."""
    vector = read(name)
    for other in EXPECTED:
        reading = vector.reading
        challenge = read(other).reading.challenge
        again = Assertion(
            reading.selector,
            reading.client_data,
            reading.authenticator_data,
            reading.signature,
            challenge,
            type="webauthn.get",
        )
        expected = ACCEPTED if other == name else Refused(Reason.REPLAYED)
        assert vector.found(again) == expected


def test_no_credential_has_signed_for_another() -> None:
    """Each assertion is found with its own credential and with none of the others, whatever selector it names."""
    vectors = {name: read(name) for name in EXPECTED}
    for name, vector in vectors.items():
        for other, theirs in vectors.items():
            reading = theirs.reading
            claimed = Assertion(
                vector.reading.selector,
                reading.client_data,
                reading.authenticator_data,
                reading.signature,
                reading.challenge,
                type="webauthn.get",
            )
            assert vector.found(claimed) == (EXPECTED[name][0] if other == name else NotFound())
