"""What the verifier of security keys refuses, and what little it accepts.

The keys of these tests sign whatever they are told, so that each rule is met by an answer with a right signature and
one thing wrong. WebAuthn 7.2 (verifying an assertion), 6.1 (authenticator data), 6.1.1 (signature counter).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from fido2.webauthn import AttestedCredentialData

from radiusd2fa.core.answer import Answer, Assertion, ChapAnswer, KeyAnswer, TypedCode
from radiusd2fa.core.finding import Asserted, Finding, NotFound, Refused
from radiusd2fa.core.model import Chap, Reason
from radiusd2fa.core.rules import FidoRules, Rules
from radiusd2fa.factors import fido

from .keys import (
    AT,
    BE,
    BS,
    ED,
    FIDO,
    ORIGIN,
    RP_ID,
    UP,
    UV,
    Key,
    assertion,
    authenticator_data,
    client_data,
    ed448_key,
    eddsa,
    es256,
    es256k,
    es384,
    es512,
    ml_dsa_44,
    rsa_key,
    text_of,
)

NOW: Final = 1_700_000_000.0
RULES: Final = Rules(fido=FIDO)
CHALLENGE: Final = hashlib.sha256(b"what was asked").digest()
KEY: Final = es256()
KEYS: Final = {"ES256": es256(), "EdDSA": eddsa()}
GOOD: Final = Asserted(6)

each_key = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
each_form = pytest.mark.parametrize("compact", [False, True], ids=["as WebAuthn has it", "in 64 octets"])


def found(
    reading: Assertion,
    key: Key = KEY,
    *,
    counter: int = 5,
    user_verification: bool = False,
    refused: tuple[Assertion, ...] = (),
) -> Finding:
    """Hold one reading against one credential."""
    answer = KeyAnswer((reading,), user_verification, refused)
    return fido.find(key.token(counter=counter), answer, NOW, RULES)


def flipped(octets: bytes) -> Iterator[bytes]:
    """The same octets with one bit changed, for each bit."""
    for place in range(8 * len(octets)):
        yield octets[: place // 8] + bytes([octets[place // 8] ^ (1 << place % 8)]) + octets[place // 8 + 1 :]


def changed(reading: Assertion, part: str, octets: bytes) -> Assertion:
    """The same reading with one part replaced."""
    return replace(reading, **{part: octets})  # type: ignore[arg-type]  # each part named here is octets


# --- changed on the way ----------------------------------------------------------------------------------------------


@each_key
@each_form
@pytest.mark.parametrize("part", ["selector", "client_data", "authenticator_data", "signature"])
def test_no_bit_can_be_changed(key: Key, compact: bool, part: str) -> None:
    """Whichever bit is changed of what a key has signed, or of its signature, the answer is nobody's."""
    reading = assertion(key, CHALLENGE, compact=compact)
    assert found(reading, key) == GOOD
    for octets in flipped(getattr(reading, part)):
        assert found(changed(reading, part, octets), key) == NotFound()


@each_key
@each_form
@pytest.mark.parametrize("part", ["client_data", "authenticator_data", "signature"])
def test_nothing_can_be_cut_or_added(key: Key, compact: bool, part: str) -> None:
    """A part that lost its first or last octet, or has gained one, is refused as if somebody else had signed."""
    reading = assertion(key, CHALLENGE, compact=compact)
    octets = getattr(reading, part)
    for other in (b"", octets[1:], octets[:-1], octets + b"\0", b"\0" + octets):
        assert found(changed(reading, part, other), key) == NotFound()


ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points P-256 has: neither r nor s may reach it (FIPS 186-5, 6.4.2)."""

IMPOSSIBLE: Final = {
    "r is zero": (0, 1),
    "s is zero": (1, 0),
    "both are zero": (0, 0),
    "r is the order": (ORDER, 1),
    "s is the order": (1, ORDER),
    "r is too big": (2**256 - 1, 1),
    "both are too big": (2**256 - 1, 2**256 - 1),
}


@each_form
@pytest.mark.parametrize("numbers", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_impossible_signatures_are_refused(numbers: tuple[int, int], compact: bool) -> None:
    """Numbers that no signature can have are a wrong signature, and no error."""
    r, s = numbers
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") if compact else encode_dss_signature(r, s)
    assert found(replace(assertion(KEY, CHALLENGE, compact=compact), signature=signature)) == NotFound()


def test_the_two_forms_of_a_signature_are_not_mixed() -> None:
    """An ECDSA signature in the other form is no signature."""
    for compact in (False, True):
        assert found(replace(assertion(KEY, CHALLENGE, compact=compact), compact=not compact)) == NotFound()


@pytest.mark.parametrize("signature", [b"\x30", b"\x30\x00", b"\x30\x84\xff\xff\xff\xff", b"\x02" * 70, b"\0" * 64])
@each_key
def test_a_broken_signature_is_no_signature(key: Key, signature: bytes) -> None:
    """Whatever octets stand where a signature should, nothing is raised."""
    assert found(replace(assertion(key, CHALLENGE), signature=signature), key) == NotFound()


# --- whose signature -------------------------------------------------------------------------------------------------


@each_key
def test_the_credential_of_somebody_else_is_refused(key: Key) -> None:
    """A right answer from another person's key is nobody's, even when it names this credential."""
    others = es256("bob's") if key is KEY else eddsa("bob's")
    assert found(assertion(others, CHALLENGE), key) == NotFound()
    claimed = replace(assertion(others, CHALLENGE), selector=key.selector)
    assert found(claimed, key) == NotFound()


def test_keys_with_one_selector_are_told_apart() -> None:
    """Two credential ids whose hashes begin alike: only the credential that has signed is found."""
    one = replace(es256("one"), credential_id=b"credential 78091")
    other = replace(eddsa("other"), credential_id=b"credential 94452")
    assert one.selector == other.selector
    for key, not_this in ((one, other), (other, one)):
        reading = assertion(key, CHALLENGE)
        assert found(reading, key) == GOOD
        assert found(reading, not_this) == NotFound()


NOT_OFFERED: Final = {
    "ES384": es384(),
    "ES512": es512(),
    "ES256K": es256k(),
    "RS256": rsa_key(-257),
    "PS256": rsa_key(-37),
    "Ed448": ed448_key(),
    "ESP256": es256(algorithm=-9),
    "Ed25519 by its other number": eddsa(algorithm=-19),
    "ML-DSA-44": ml_dsa_44(),
}


@pytest.mark.parametrize("key", NOT_OFFERED.values(), ids=NOT_OFFERED.keys())
def test_an_algorithm_that_was_not_offered_is_refused(key: Key | None) -> None:
    """A credential of another algorithm lets nobody in, though python-fido2 finds its signature right."""
    if key is None:
        pytest.skip("this cryptography has no ML-DSA")
    reading = assertion(key, CHALLENGE)
    signed = reading.authenticator_data + hashlib.sha256(reading.client_data).digest()
    AttestedCredentialData(key.attested()).public_key.verify(signed, reading.signature)
    assert found(reading, key) == NotFound()


def test_only_two_algorithms_are_offered() -> None:
    """ES256 and EdDSA, by their COSE numbers, in that order."""
    assert fido.ALGORITHMS == (-7, -8)


@pytest.mark.parametrize("curve", [b"\x02", b"\x03", b"\x08"], ids=["P-384", "P-521", "secp256k1"])
def test_a_key_on_another_curve_is_refused(curve: bytes) -> None:
    """ES256 means P-256 here (WebAuthn 5.8.5): a key that says otherwise verifies nothing, and raises nothing."""
    assert KEY.cose.count(b"\x20\x01") == 1
    other = replace(KEY, cose=KEY.cose.replace(b"\x20\x01", b"\x20" + curve))
    assert found(assertion(other, CHALLENGE), other) == NotFound()


def test_a_point_off_the_curve_is_refused() -> None:
    """A public key that is none verifies nothing, and raises nothing."""
    other = replace(KEY, cose=KEY.cose[:-1] + bytes([KEY.cose[-1] ^ 1]))
    assert found(assertion(other, CHALLENGE), other) == NotFound()


@pytest.mark.parametrize(
    "answer",
    [TypedCode(b"123456"), ChapAnswer(Chap(1, bytes(16), bytes(16))), KeyAnswer((), user_verification=False)],
    ids=["a code", "CHAP", "nothing readable"],
)
def test_what_no_key_has_signed_is_refused(answer: Answer) -> None:
    """A code is no answer of a key, in whatever form it comes, and neither is an answer without a reading."""
    assert fido.find(KEY.token(), answer, NOW, RULES) == NotFound()


def test_without_a_relying_party_no_key_counts() -> None:
    """Where the site has set up no security keys, a right answer is refused."""
    answer = KeyAnswer((assertion(KEY, CHALLENGE),), user_verification=False)
    assert fido.find(KEY.token(), answer, NOW, Rules()) == NotFound()
    assert fido.find(KEY.token(), answer, NOW, RULES) == GOOD


# --- signed, but not what was asked ----------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """Right client data of that many octets."""
    bare = len(client_data(CHALLENGE, padding=""))
    return client_data(CHALLENGE, padding="x" * (size - bare))


RIGHT: Final = client_data(CHALLENGE)
PAIRS: Final = json.dumps([list(pair) for pair in json.loads(RIGHT).items()]).encode()
OTHER: Final = hashlib.sha256(b"what another was asked").digest()
MALFORMED: Final = Reason.KEY_RESPONSE_MALFORMED
WRONG: Final = Reason.WRONG_CLIENT_DATA
REPLAYED: Final = Reason.REPLAYED

WRONG_CLIENT_DATA: Final = {
    "a registration": (client_data(CHALLENGE, type="webauthn.create"), WRONG),
    "a payment": (client_data(CHALLENGE, type="payment.get"), WRONG),
    "another case of the type": (client_data(CHALLENGE, type="WebAuthn.get"), WRONG),
    "space behind the type": (client_data(CHALLENGE, type="radiusd2fa.get "), WRONG),
    "no type": (client_data(CHALLENGE, type=...), WRONG),
    "null for a type": (client_data(CHALLENGE, type=None), WRONG),
    "a list of types": (client_data(CHALLENGE, type=["radiusd2fa.get"]), WRONG),
    "another origin": (client_data(CHALLENGE, origin="https://example.org"), WRONG),
    "a subdomain": (client_data(CHALLENGE, origin="https://evil.auth.example.org"), WRONG),
    "the parent domain": (client_data(CHALLENGE, origin="https://example.org"), WRONG),
    "a port": (client_data(CHALLENGE, origin="https://auth.example.org:8443"), WRONG),
    "the usual port": (client_data(CHALLENGE, origin="https://auth.example.org:443"), WRONG),
    "http": (client_data(CHALLENGE, origin="http://auth.example.org"), WRONG),
    "a trailing slash": (client_data(CHALLENGE, origin="https://auth.example.org/"), WRONG),
    "a trailing dot": (client_data(CHALLENGE, origin="https://auth.example.org."), WRONG),
    "another case of the host": (client_data(CHALLENGE, origin="https://Auth.example.org"), WRONG),
    "another case of the scheme": (client_data(CHALLENGE, origin="HTTPS://auth.example.org"), WRONG),
    "a user in the origin": (client_data(CHALLENGE, origin="https://x@auth.example.org"), WRONG),
    "a longer host": (client_data(CHALLENGE, origin="https://auth.example.org.evil.example"), WRONG),
    "the RP ID alone": (client_data(CHALLENGE, origin=RP_ID), WRONG),
    "an app's origin": (client_data(CHALLENGE, origin="android:apk-key-hash:x"), WRONG),
    "no origin": (client_data(CHALLENGE, origin=...), WRONG),
    "null for an origin": (client_data(CHALLENGE, origin=None), WRONG),
    "a list of origins": (client_data(CHALLENGE, origin=[ORIGIN]), WRONG),
    "in a frame": (client_data(CHALLENGE, crossOrigin=True), WRONG),
    "in a frame, as a text": (client_data(CHALLENGE, crossOrigin="true"), WRONG),
    "in no frame, as a text": (client_data(CHALLENGE, crossOrigin="false"), WRONG),
    "in no frame, as a number": (client_data(CHALLENGE, crossOrigin=0), WRONG),
    "in a frame, as a number": (client_data(CHALLENGE, crossOrigin=1), WRONG),
    "null for a frame": (client_data(CHALLENGE, crossOrigin=None), WRONG),
    "an empty text for a frame": (client_data(CHALLENGE, crossOrigin=""), WRONG),
    "below another page": (client_data(CHALLENGE, topOrigin="https://evil.example"), WRONG),
    "below our own page": (client_data(CHALLENGE, topOrigin=ORIGIN), WRONG),
    "null for a page above": (client_data(CHALLENGE, topOrigin=None), WRONG),
    "an empty page above": (client_data(CHALLENGE, topOrigin=""), WRONG),
    "another challenge": (client_data(OTHER), REPLAYED),
    "no challenge": (client_data(CHALLENGE, challenge=...), MALFORMED),
    "an empty challenge": (client_data(CHALLENGE, challenge=""), REPLAYED),
    "a challenge with padding": (client_data(CHALLENGE, challenge=text_of(CHALLENGE) + "="), REPLAYED),
    "a challenge that was cut": (client_data(CHALLENGE, challenge=text_of(CHALLENGE)[:-1]), REPLAYED),
    "a challenge that goes on": (client_data(CHALLENGE, challenge=text_of(CHALLENGE) + "A"), REPLAYED),
    "a challenge in hexadecimal": (client_data(CHALLENGE, challenge=CHALLENGE.hex()), REPLAYED),
    "a challenge in capitals": (client_data(CHALLENGE, challenge=text_of(CHALLENGE).upper()), REPLAYED),
    "a challenge in other letters": (client_data(CHALLENGE, challenge="é" * 43), REPLAYED),
    "a number for a challenge": (client_data(CHALLENGE, challenge=7), MALFORMED),
    "null for a challenge": (client_data(CHALLENGE, challenge=None), MALFORMED),
    "a list for a challenge": (client_data(CHALLENGE, challenge=[text_of(CHALLENGE)]), MALFORMED),
    "half a character for a challenge": (client_data(CHALLENGE, challenge="\ud800"), MALFORMED),
    "two challenges": (RIGHT[:-1] + b',"challenge":"' + text_of(OTHER).encode() + b'"}', MALFORMED),
    "two challenges, the right one last": (
        client_data(OTHER)[:-1] + b',"challenge":"' + text_of(CHALLENGE).encode() + b'"}',
        MALFORMED,
    ),
    "the right challenge twice": (
        RIGHT[:-1] + b',"challenge":"' + text_of(CHALLENGE).encode() + b'"}',
        MALFORMED,
    ),
    "two types": (b'{"type":"webauthn.create",' + RIGHT[1:], MALFORMED),
    "two origins": (b'{"origin":"https://evil.example",' + RIGHT[1:], MALFORMED),
    "two words about the frame": (b'{"crossOrigin":true,' + RIGHT[1:], MALFORMED),
    "two members that nobody knows": (RIGHT[:-1] + b',"x":1,"x":1}', MALFORMED),
    "one member in two spellings": (RIGHT[:-1] + b',"\\u0074ype":"webauthn.get"}', MALFORMED),
    "nothing": (b"", MALFORMED),
    "no JSON": (b"webauthn.get", MALFORMED),
    "cut JSON": (RIGHT[:-1], MALFORMED),
    "more behind it": (RIGHT + b"}", MALFORMED),
    "NUL behind it": (RIGHT + b"\0", MALFORMED),
    "two of them": (RIGHT + RIGHT, MALFORMED),
    "null": (b"null", MALFORMED),
    "a number": (b"7", MALFORMED),
    "a text": (b'"webauthn.get"', MALFORMED),
    "an empty list": (b"[]", MALFORMED),
    "a list of the right one": (b"[" + RIGHT + b"]", MALFORMED),
    "a list of pairs": (PAIRS, MALFORMED),
    "a list of two-letter texts": (b'["ab","cd"]', MALFORMED),
    "invalid UTF-8": (client_data(CHALLENGE, x="?").replace(b"?", b"\xff"), MALFORMED),
    "half a character in UTF-8": (client_data(CHALLENGE, x="?").replace(b"?", b"\xed\xa0\x80"), MALFORMED),
    "UTF-16": (RIGHT.decode().encode("utf-16"), MALFORMED),
    "UTF-16 without a mark": (RIGHT.decode().encode("utf-16-le"), MALFORMED),
    "UTF-32": (RIGHT.decode().encode("utf-32-be"), MALFORMED),
    "lists 8,000 deep": (b"[" * 8_000, MALFORMED),
    "lists 8,000 deep in a member": (RIGHT[:-1] + b',"x":' + b"[" * 8_000 + b"]" * 8_000 + b"}", MALFORMED),
    "no number": (RIGHT[:-1] + b',"x":NaN}', MALFORMED),
    "no end": (RIGHT[:-1] + b',"x":-Infinity}', MALFORMED),
    "33 brackets": (client_data(CHALLENGE, x=[[]] * 31), MALFORMED),
    "members 2,000 deep": (b'{"x":' * 2_000 + b"1" + b"}" * 2_000, MALFORMED),
    "a number of 9,000 digits": (RIGHT[:-1] + b',"x":' + b"9" * 9_000 + b"}", MALFORMED),
    "16 KiB and one octet": (padded(16 * 1024 + 1), MALFORMED),
    "a megabyte": (padded(1_000_000), MALFORMED),
}


@pytest.mark.parametrize("case", WRONG_CLIENT_DATA.values(), ids=WRONG_CLIENT_DATA.keys())
def test_client_data_that_says_something_else(case: tuple[bytes, Reason]) -> None:
    """The key has signed it and the counter has grown, but it is not what was asked for: refused, with the reason."""
    client, reason = case
    assert found(assertion(KEY, CHALLENGE, client)) == Refused(reason)


GOOD_CLIENT_DATA: Final = {
    "as our own clients write it": RIGHT,
    "members that browsers add": client_data(CHALLENGE, other_keys_can_be_added_here="do not compare", x=[1, {"y": 2}]),
    "no word about a frame": client_data(CHALLENGE, crossOrigin=...),
    "another order": json.dumps(dict(reversed(json.loads(RIGHT).items()))).encode(),
    "spaces and lines": json.dumps(json.loads(RIGHT), indent=3).encode() + b"\n",
    "an escaped letter": RIGHT.replace(b"webauthn", b"\\u0077ebauthn"),
    "a byte order mark": b"\xef\xbb\xbf" + RIGHT,
    "other letters": RIGHT[:-1] + ',"x":"žluťoučký kůň"}'.encode(),
    "32 brackets": client_data(CHALLENGE, x=[[]] * 30),
    "exactly 16 KiB": padded(16 * 1024),
}


@pytest.mark.parametrize("client", GOOD_CLIENT_DATA.values(), ids=GOOD_CLIENT_DATA.keys())
def test_client_data_that_says_the_same_otherwise(client: bytes) -> None:
    """Nobody may compare client data with a template (WebAuthn 5.8.1): members may be added, spelling may differ."""
    assert found(assertion(KEY, CHALLENGE, client)) == GOOD


WRONG_AUTHENTICATOR_DATA: Final = {
    "nothing": (b"", MALFORMED),
    "the hash alone": (authenticator_data()[:32], MALFORMED),
    "36 octets": (authenticator_data()[:-1], MALFORMED),
    "38 octets": (authenticator_data() + b"\0", MALFORMED),
    "extensions": (authenticator_data(UP | ED) + b"\xa0", MALFORMED),
    "extensions that do not come": (authenticator_data(UP | ED), MALFORMED),
    "credential data": (authenticator_data(UP | AT) + KEY.attested(), MALFORMED),
    "credential data that does not come": (authenticator_data(UP | AT), MALFORMED),
    "both, and neither comes": (authenticator_data(UP | AT | ED), MALFORMED),
    "another relying party": (authenticator_data(rp_id="example.org"), WRONG),
    "a subdomain": (authenticator_data(rp_id="x.auth.example.org"), WRONG),
    "the origin for its RP ID": (authenticator_data(rp_id=ORIGIN), WRONG),
    "an app id of U2F": (authenticator_data(rp_id="https://auth.example.org/app-id.json"), WRONG),
    "another case": (authenticator_data(rp_id="AUTH.example.org"), WRONG),
    "zeros": (bytes(32) + authenticator_data()[32:], WRONG),
    "nobody there": (authenticator_data(0), Reason.NO_USER_PRESENCE),
    "nobody there, but verified": (authenticator_data(UV), Reason.NO_USER_PRESENCE),
    "nobody there, but backed up": (authenticator_data(BE | BS), Reason.NO_USER_PRESENCE),
}


@pytest.mark.parametrize("user_verification", [False, True])
@pytest.mark.parametrize("case", WRONG_AUTHENTICATOR_DATA.values(), ids=WRONG_AUTHENTICATOR_DATA.keys())
def test_authenticator_data_that_says_something_else(case: tuple[bytes, Reason], user_verification: bool) -> None:
    """The key has signed it, but for another relying party, without a touch, or with what nobody has asked for."""
    data, reason = case
    reading = assertion(KEY, CHALLENGE, data=data)
    assert found(reading, user_verification=user_verification) == Refused(reason)


@pytest.mark.parametrize("flags", [UP, UP | BE, UP | BE | BS])
def test_a_user_who_was_not_verified_is_refused_where_that_is_wanted(flags: int) -> None:
    """A touch alone is not enough where the rule wants a PIN or a fingerprint; elsewhere it is."""
    reading = assertion(KEY, CHALLENGE, data=authenticator_data(flags))
    assert found(reading, user_verification=True) == Refused(Reason.NO_USER_VERIFICATION)
    assert found(reading) == GOOD


@pytest.mark.parametrize("flags", [UP | UV, UP | UV | BE, UP | UV | BE | BS])
@pytest.mark.parametrize("user_verification", [False, True])
def test_a_verified_user_is_always_welcome(flags: int, user_verification: bool) -> None:
    """A key that verifies its user without being told to is as good; so is one that can be backed up."""
    reading = assertion(KEY, CHALLENGE, data=authenticator_data(flags))
    assert found(reading, user_verification=user_verification) == GOOD


def test_another_site_has_other_words() -> None:
    """RP ID and origin are the site's own: what was signed for one is refused at the other."""
    elsewhere = FidoRules("login.example.net", "https://login.example.net:8443")
    for rules in (replace(FIDO, rp_id=elsewhere.rp_id), replace(FIDO, origin=elsewhere.origin), elsewhere):
        answer = KeyAnswer((assertion(KEY, CHALLENGE),), user_verification=False)
        assert fido.find(KEY.token(), answer, NOW, Rules(fido=rules)) == Refused(WRONG)
    there = assertion(
        KEY,
        CHALLENGE,
        client_data(CHALLENGE, origin=elsewhere.origin),
        authenticator_data(rp_id=elsewhere.rp_id),
    )
    answer = KeyAnswer((there,), user_verification=False)
    assert fido.find(KEY.token(), answer, NOW, Rules(fido=elsewhere)) == GOOD
    assert found(there) == Refused(WRONG)


# --- the counter -----------------------------------------------------------------------------------------------------

MOST: Final = 2**32 - 1
CLONED: Final = Refused(Reason.KEY_CLONED)

COUNTERS: Final = {
    "the same": (5, 5, CLONED),
    "one less": (5, 4, CLONED),
    "far less": (MOST, 1, CLONED),
    "back to nothing": (5, 0, CLONED),
    "one, back to nothing": (1, 0, CLONED),
    "one, again": (1, 1, CLONED),
    "the greatest, again": (MOST, MOST, CLONED),
    "wrapped round": (MOST, 0, CLONED),
    "more than a key can count was stored": (MOST + 1, MOST, CLONED),
    "one more": (5, 6, Asserted(6)),
    "two more": (5, 7, Asserted(7)),
    "far more": (5, 1_000_000, Asserted(1_000_000)),
    "the greatest": (5, MOST, Asserted(MOST)),
    "a key that does not count": (0, 0, Asserted(0)),
    "the first that it counts": (0, 1, Asserted(1)),
    "a jump to the greatest": (0, MOST, Asserted(MOST)),
}


@each_key
@pytest.mark.parametrize("case", COUNTERS.values(), ids=COUNTERS.keys())
def test_the_counter_must_grow(key: Key, case: tuple[int, int, Finding]) -> None:
    """A counter that has not grown betrays a copy of the key, unless the key has never counted at all."""
    stored, sent, finding = case
    assert found(assertion(key, CHALLENGE, data=authenticator_data(UP, sent)), key, counter=stored) == finding


def test_a_counter_raised_on_the_way_is_no_way_out() -> None:
    """The counter is among what was signed: a copy that lifts it in the text breaks its own signature."""
    reading = assertion(KEY, CHALLENGE, data=authenticator_data(UP, 5))
    assert found(reading) == CLONED
    assert found(replace(reading, authenticator_data=authenticator_data(UP, 6))) == NotFound()


# --- several readings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 4])
def test_the_reading_that_was_signed_decides(place: int) -> None:
    """Of several things that may have been signed, the one that was is found wherever it stands."""
    signed = assertion(KEY, CHALLENGE)
    others = [replace(signed, client_data=client_data(bytes([n]) * 32), challenge=bytes([n]) * 32) for n in range(4)]
    readings = (*others[:place], signed, *others[place:])
    assert fido.find(KEY.token(), KeyAnswer(readings, user_verification=False), NOW, RULES) == GOOD
    assert fido.find(KEY.token(), KeyAnswer(tuple(others), user_verification=False), NOW, RULES) == NotFound()


@each_form
def test_what_is_not_allowed_is_never_accepted(compact: bool) -> None:
    """A reading that is held against the key only for the log refuses, even when all else about it is right."""
    signed, other = assertion(KEY, CHALLENGE, compact=compact), assertion(KEY, OTHER, compact=compact)
    wrong = replace(other, client_data=client_data(bytes(32)))
    assert found(wrong, refused=(signed,)) == Refused(Reason.NOT_BOUND_TO_HOST)
    answer = KeyAnswer((), user_verification=False, refused=(signed,))
    assert fido.find(KEY.token(), answer, NOW, RULES) == Refused(Reason.NOT_BOUND_TO_HOST)


def test_what_somebody_else_signed_is_not_blamed_on_this_key() -> None:
    """Only the key's own signature says that it was not bound to a host; anything else is nobody's."""
    others = assertion(es256("bob's"), CHALLENGE)
    for reading in (others, replace(others, selector=KEY.selector)):
        answer = KeyAnswer((), user_verification=False, refused=(reading,))
        assert fido.find(KEY.token(), answer, NOW, RULES) == NotFound()


def test_time_plays_no_part() -> None:
    """How long an answer may take is the challenge's business."""
    answer = KeyAnswer((assertion(KEY, CHALLENGE),), user_verification=False)
    for now in (0.0, NOW, 1e12):
        assert fido.find(KEY.token(), answer, now, RULES) == GOOD


@pytest.mark.parametrize(
    ("last_used", "reason"),
    [(None, Reason.KEY_CLONED), (NOW - 1, Reason.KEY_CLONED), (NOW, Reason.KEY_OUT_OF_ORDER)],
    ids=["never used", "used before the question", "used after the question"],
)
def test_an_overtaken_login_is_no_clone(last_used: float | None, reason: Reason) -> None:
    """A counter proves a copy only if the key has not been used since the question; it is refused in either case."""
    token = replace(KEY.token(), moving_factor=9, last_used=last_used)
    answer = KeyAnswer((assertion(KEY, CHALLENGE),), user_verification=False, asked=NOW - 0.5)
    assert fido.find(token, answer, NOW + 1, RULES) == Refused(reason)


def test_no_web_page_can_have_a_key_sign_for_us() -> None:
    """What a browser writes into client data is refused, although everything else in it is right."""
    text = client_data(CHALLENGE, type="webauthn.get")
    assert found(assertion(KEY, CHALLENGE, text)) == Refused(Reason.WRONG_CLIENT_DATA)
