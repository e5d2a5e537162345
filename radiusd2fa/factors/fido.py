"""Security keys: FIDO2 and U2F assertions, as WebAuthn 7.2 says that a relying party must verify them.

It judges what a key has signed against one registered credential; it remembers nothing and spends nothing, that is the
store's work. python-fido2 takes COSE keys apart and checks signatures; every rule beyond that is kept here, because its
server checks neither counters nor single use nor the exact origin. A moving factor is the signature counter (6.1.1).
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from fido2.cose import CoseKey
from fido2.webauthn import AttestedCredentialData

from radiusd2fa.core.answer import Answer, Assertion, KeyAnswer
from radiusd2fa.core.ceremonies import KIND, credential_id
from radiusd2fa.core.finding import Asserted, Finding, NotFound, Refused
from radiusd2fa.core.model import Reason, Token
from radiusd2fa.core.responder import SIGNATURE_OCTETS, selector
from radiusd2fa.core.rules import FidoRules, Rules
from radiusd2fa.core.texts import base64url, json_object, string

__all__ = ["ALGORITHMS", "EDDSA", "ES256", "KIND", "MAX_CLIENT_DATA", "find"]

ES256: Final = -7
EDDSA: Final = -8
ALGORITHMS: Final = (ES256, EDDSA)
"""What is offered at a registration, and nothing else is ever accepted (COSE numbers, RFC 9053)."""
MAX_CLIENT_DATA: Final = 16 * 1024

_BOM: Final = "\ufeff".encode()
"""What WebAuthn's "UTF-8 decode" passes over (7.2 step 5)."""
_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_MORE_FOLLOWS: Final = 0xC0
"""Attested credential data or extensions, neither of which we ask for in an assertion."""
_AUTHENTICATOR_DATA_OCTETS: Final = 37


def find(token: Token, answer: Answer, now: float, rules: Rules) -> Finding:
    """Say whether this credential has signed what was asked, and whether that is good enough. ``now`` is not used.

    A response for another credential costs next to nothing, so nobody need do stand-in work for people without a key.
    """
    if not isinstance(answer, KeyAnswer) or rules.fido is None:
        return NotFound()
    own = selector(credential_id(token.secret))
    readings = [reading for reading in answer.readings if reading.selector == own]
    refused = [reading for reading in answer.refused if reading.selector == own]
    if not readings and not refused:
        return NotFound()
    key: CoseKey = AttestedCredentialData(token.secret).public_key
    if key.get(3) not in ALGORITHMS:
        return NotFound()
    for reading in readings:
        if _has_signed(key, reading):
            return _good_enough(token, reading, rules.fido, answer)
    if any(_has_signed(key, reading) for reading in refused):
        return Refused(Reason.NOT_BOUND_TO_HOST)
    return NotFound()


def _has_signed(key: CoseKey, reading: Assertion) -> bool:
    """WebAuthn 7.2: "verify that sig is a valid signature over the binary concatenation of authData and hash"."""
    signature = reading.signature
    if reading.compact and key[3] == ES256:
        half = SIGNATURE_OCTETS // 2
        signature = encode_dss_signature(
            int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        )
    signed = reading.authenticator_data + hashlib.sha256(reading.client_data).digest()
    try:
        key.verify(signed, signature)
    except (InvalidSignature, ValueError):
        return False
    return True


def _good_enough(token: Token, reading: Assertion, fido: FidoRules, answer: KeyAnswer) -> Finding:
    """The rules beyond the signature. What is refused here was signed by the key itself, so the log may say why."""
    data = reading.authenticator_data
    if len(data) != _AUTHENTICATOR_DATA_OCTETS or data[32] & _MORE_FOLLOWS:
        return Refused(Reason.KEY_RESPONSE_MALFORMED)
    if not compare_digest(data[:32], hashlib.sha256(fido.rp_id.encode()).digest()):
        return Refused(Reason.WRONG_CLIENT_DATA)
    wrong = _wrong_client_data(reading, fido.origin)
    if wrong is not None:
        return Refused(wrong)
    flags, counter = data[32], int.from_bytes(data[33:], "big")
    if not flags & _USER_PRESENT:
        return Refused(Reason.NO_USER_PRESENCE)
    if answer.user_verification and not flags & _USER_VERIFIED:
        return Refused(Reason.NO_USER_VERIFICATION)
    # a key may count by two for one login, and one that never counts stays at zero
    if (counter or token.moving_factor) and counter <= token.moving_factor:
        # two logins of one person, answered in the other order, look like a clone and are none
        overtaken = token.last_used is not None and answer.asked <= token.last_used
        return Refused(Reason.KEY_OUT_OF_ORDER if overtaken else Reason.KEY_CLONED)
    return Asserted(counter)


def _wrong_client_data(reading: Assertion, origin: str) -> Reason | None:
    """WebAuthn 7.2, steps 10 to 14, to the letter: no subdomain, no other port, no frame of another origin."""
    if len(reading.client_data) > MAX_CLIENT_DATA:
        return Reason.KEY_RESPONSE_MALFORMED
    try:
        members = json_object(reading.client_data.removeprefix(_BOM))
        is_this_one = compare_digest(string(members, "challenge").encode(), base64url(reading.challenge).encode())
    except ValueError:
        return Reason.KEY_RESPONSE_MALFORMED
    if not is_this_one:
        return Reason.REPLAYED
    expected = members.get("type") == reading.type and members.get("origin") == origin
    framed = members.get("crossOrigin", False) is not False or "topOrigin" in members
    return Reason.WRONG_CLIENT_DATA if framed or not expected else None
