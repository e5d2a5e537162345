"""The assertions in ``tests/vectors/softkey.json``, each with what we say of it.

They were made once, by the emulated key: a verifier that changes its mind about one of them is noticed here.
WebAuthn 7.2, CTAP 2.1 6.2, and U2F raw messages 5.4, whose signatures verify just the same.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa.core.answer import Assertion, KeyAnswer
from radiusd2fa.core.finding import Asserted, Finding, NotFound, Refused
from radiusd2fa.core.model import Reason, Token
from radiusd2fa.core.responder import selector
from radiusd2fa.core.rules import FidoRules, Rules
from radiusd2fa.factors import fido

CONTENT: Final[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "softkey.json").read_text())
RULES: Final = Rules(fido=FidoRules(CONTENT["rp_id"], CONTENT["origin"]))
NOW: Final = 1_700_000_000.0
UNVERIFIED: Final = Refused(Reason.NO_USER_VERIFICATION)
CLONED: Final = Refused(Reason.KEY_CLONED)

EXPECTED: Final[dict[str, tuple[Finding, Finding]]] = {
    "es256-packed": (Asserted(3), UNVERIFIED),
    "eddsa-packed": (Asserted(3), UNVERIFIED),
    "es256-self": (Asserted(3), UNVERIFIED),
    "eddsa-self": (Asserted(3), UNVERIFIED),
    "es256-none": (Asserted(3), UNVERIFIED),
    "es256-user-verified": (Asserted(3), Asserted(3)),
    "eddsa-user-verified": (Asserted(3), Asserted(3)),
    "es256-without-counter": (Asserted(0), UNVERIFIED),
    "u2f": (Asserted(1), UNVERIFIED),
}
"""What comes of each where a touch is enough, and where the key must verify its user."""

each = pytest.mark.parametrize("vector", CONTENT["vectors"], ids=lambda vector: vector["id"])


def octets(text: str) -> bytes:
    """Read base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def reading_of(vector: dict[str, Any]) -> Assertion:
    """What was signed, and what had been asked."""
    signed = {name: octets(text) for name, text in vector["assertion"].items() if isinstance(text, str)}
    client_data = signed["clientDataJSON"]
    challenge = octets(json.loads(client_data)["challenge"])
    own = selector(octets(vector["credential_id"]))
    return Assertion(own, client_data, signed["authenticatorData"], signed["signature"], challenge, type="webauthn.get")


def token_of(vector: dict[str, Any], counter: int) -> Token:
    """The credential as it is stored."""
    credential_id = octets(vector["credential_id"])
    attested = bytes(16) + len(credential_id).to_bytes(2, "big") + credential_id + octets(vector["public_key"])
    return Token(1, vector["id"], "fido", counter, attested, digits=0)


def found(vector: dict[str, Any], reading: Assertion, counter: int, *, user_verification: bool = False) -> Finding:
    """Hold an assertion against that credential."""
    return fido.find(token_of(vector, counter), KeyAnswer((reading,), user_verification), NOW, RULES)


def test_there_is_an_expectation_for_every_vector() -> None:
    """A vector that is new in the file is noticed, and so is one that is gone."""
    assert [vector["id"] for vector in CONTENT["vectors"]] == list(EXPECTED)


@each
@pytest.mark.parametrize("user_verification", [False, True])
def test_what_we_say_of_each(vector: dict[str, Any], user_verification: bool) -> None:
    """The counter of the registration is what the login must exceed."""
    before = vector["registration"]["counter"]
    finding = found(vector, reading_of(vector), before, user_verification=user_verification)
    assert finding == EXPECTED[vector["id"]][user_verification]


@each
def test_each_is_refused_a_second_time(vector: dict[str, Any]) -> None:
    """With its own counter stored an answer is a clone's, except by a key that does not count; and then, after one."""
    counter = vector["assertion"]["counter"]
    assert found(vector, reading_of(vector), counter) == (CLONED if counter else Asserted(0))
    assert found(vector, reading_of(vector), counter + 1) == CLONED


@each
def test_each_answers_its_own_question_for_its_own_key(vector: dict[str, Any]) -> None:
    """To another challenge it is a replay, and no other key has made it."""
    reading = reading_of(vector)
    assert found(vector, replace(reading, challenge=bytes(32)), 0) == Refused(Reason.REPLAYED)
    for other in CONTENT["vectors"]:
        if other is not vector:
            claimed = replace(reading, selector=reading_of(other).selector)
            assert found(other, claimed, 0) == NotFound()
