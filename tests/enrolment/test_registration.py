"""Registrations: each one is refused when a single thing about it is wrong, and kept as it came when nothing is.

No key is involved; `workshop` signs in the place of one. Statements of makers are in `test_attestation`.
WebAuthn Level 3, 7.1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

from radiusd2fa.enrolment.registration import RefusalReason as Why

from .workshop import (
    AAGUID,
    AT,
    BE,
    BS,
    CHALLENGE,
    CREDENTIAL_ID,
    ED,
    ORIGIN,
    UP,
    UV,
    Made,
    Parts,
    SigningKey,
    accepted,
    b64url,
    client_data,
    cose,
    ed,
    p256,
    packed,
    point,
    refusal,
    self_signed,
    u2f,
    without_attestation,
    wrapped,
)


def client(
    type: str = "webauthn.create",  # noqa: A002 - the member's name
    challenge: bytes | str = CHALLENGE,
    origin: str = ORIGIN,
    **others: object,
) -> Parts:
    """A registration with other client data."""
    return without_attestation(client=client_data(type, challenge, origin, **others))


def raw_client(text: str) -> Parts:
    """A registration with these very octets as client data."""
    return without_attestation(client=text.encode())


def made_key(**changes: object) -> Made:
    """A credential whose COSE key has other members; None takes one away."""
    numbers = {"kty": 1, "alg": 3, "crv": -1, "x": -2, "y": -3, "key_ops": 4}
    key = cose(p256()) | {numbers[label]: value for label, value in changes.items()}
    return Made(cose=cbor.encode({label: value for label, value in key.items() if value is not None}))


def changed(**changes: object) -> Parts:
    """A registration whose attestation object has other members; None takes one away."""
    members = {"fmt": "none", "attStmt": {}, "authData": Made().data} | changes
    return client_data(), cbor.encode({label: value for label, value in members.items() if value is not None})


# --- refused: what the client says -----------------------------------------------------------------------------------

OTHER_CHALLENGE: Final = bytes(reversed(CHALLENGE))

CLIENT_DATA: Final[dict[str, tuple[Parts, Why]]] = {
    "an assertion": (client(type="webauthn.get"), Why.WRONG_TYPE),
    "a type in capitals": (client(type="WebAuthn.Create"), Why.WRONG_TYPE),
    "no type": (raw_client('{"challenge":"","origin":""}'), Why.MALFORMED),
    "a type that is null": (raw_client('{"type":null,"challenge":"","origin":""}'), Why.MALFORMED),
    "another challenge": (client(challenge=OTHER_CHALLENGE), Why.WRONG_CHALLENGE),
    "a shorter challenge": (client(challenge=CHALLENGE[:-1]), Why.WRONG_CHALLENGE),
    "an empty challenge": (client(challenge=b""), Why.WRONG_CHALLENGE),
    "our challenge, padded": (client(challenge=b64url(CHALLENGE) + "="), Why.WRONG_CHALLENGE),
    "our challenge, its last bits changed": (client(challenge=b64url(CHALLENGE)[:-1] + "9"), Why.WRONG_CHALLENGE),
    "a challenge that is not ASCII": (client(challenge="é" * 43), Why.WRONG_CHALLENGE),
    "a challenge with half a surrogate pair": (client(challenge="\ud800" + "A" * 42), Why.WRONG_CHALLENGE),
    "a challenge that is a number": (raw_client('{"type":"","challenge":7,"origin":""}'), Why.MALFORMED),
    "another host": (client(origin="https://auth.example.com"), Why.WRONG_ORIGIN),
    "a subdomain": (client(origin="https://sub.auth.example.org"), Why.WRONG_ORIGIN),
    "a parent domain": (client(origin="https://example.org"), Why.WRONG_ORIGIN),
    "another port": (client(origin=ORIGIN + ":8443"), Why.WRONG_ORIGIN),
    "the default port": (client(origin=ORIGIN + ":443"), Why.WRONG_ORIGIN),
    "a slash after the origin": (client(origin=ORIGIN + "/"), Why.WRONG_ORIGIN),
    "the origin in capitals": (client(origin=ORIGIN.upper()), Why.WRONG_ORIGIN),
    "plain http": (client(origin="http://auth.example.org"), Why.WRONG_ORIGIN),
    "localhost": (client(origin="http://localhost"), Why.WRONG_ORIGIN),
    "from within another page": (client(crossOrigin=True), Why.CROSS_ORIGIN),
    "another page named": (client(topOrigin="https://example.com"), Why.CROSS_ORIGIN),
    "another page named, but denied": (client(crossOrigin=False, topOrigin=ORIGIN), Why.CROSS_ORIGIN),
    "another page named as null": (client(topOrigin=None), Why.CROSS_ORIGIN),
    "crossOrigin as a text": (client(crossOrigin="false"), Why.MALFORMED),
    "crossOrigin as a number": (client(crossOrigin=0), Why.MALFORMED),
    "crossOrigin as null": (client(crossOrigin=None), Why.MALFORMED),
    "a member twice": (raw_client(client_data().decode()[:-1] + ',"type":"webauthn.create"}'), Why.MALFORMED),
    "an unknown member twice, deep inside": (
        raw_client(client_data().decode()[:-1] + ',"a":[{"b":1,"b":1}]}'),
        Why.MALFORMED,
    ),
    "not a number": (raw_client(client_data().decode()[:-1] + ',"a":NaN}'), Why.MALFORMED),
    "a number of 5,000 digits": (raw_client(client_data().decode()[:-1] + f',"a":{"9" * 5000}}}'), Why.MALFORMED),
    "not JSON": (raw_client("webauthn.create"), Why.MALFORMED),
    "a list": (raw_client(f"[{client_data().decode()}]"), Why.MALFORMED),
    "nothing": (without_attestation(client=b" "), Why.MALFORMED),
    "a byte order mark": (without_attestation(client=b"\xef\xbb\xbf" + client_data()), Why.MALFORMED),
    "UTF-16": (without_attestation(client=client_data().decode().encode("utf-16")), Why.MALFORMED),
    "not UTF-8": (without_attestation(client=client_data()[:-1] + b',"a":"\xff"}'), Why.MALFORMED),
    "something after it": (raw_client(client_data().decode() + "{}"), Why.MALFORMED),
    "8,000 lists in each other": (
        raw_client(client_data().decode()[:-1] + ',"a":' + "[" * 8000 + "]" * 8000 + "}"),
        Why.MALFORMED,
    ),
}


@pytest.mark.parametrize(("parts", "why"), CLIENT_DATA.values(), ids=CLIENT_DATA.keys())
def test_client_data_that_is_refused(parts: Parts, why: Why) -> None:
    """Client data with one thing wrong is refused, for that reason."""
    assert refusal(parts) == why


# --- refused: what the key says --------------------------------------------------------------------------------------

OFF_THE_CURVE: Final = bytes(31) + b"\x05"
LONG: Final = bytes(1024)
X, Y = point(p256())

KEY_DATA: Final[dict[str, tuple[Made | Parts, Why]]] = {
    "another site": (Made(rp_id="example.org"), Why.WRONG_RP_ID),
    "a site in capitals": (Made(rp_id="AUTH.example.org"), Why.WRONG_RP_ID),
    "untouched": (Made(flags=AT), Why.USER_NOT_PRESENT),
    "untouched, but the person is known": (Made(flags=AT | UV), Why.USER_NOT_PRESENT),
    "backed up, though it cannot be": (Made(flags=UP | AT | BS), Why.BACKUP_NOT_POSSIBLE),
    "no credential": (Made(flags=UP), Why.NO_CREDENTIAL),
    "a credential without its flag": (Made(flags=UP, tail=Made().credential), Why.MALFORMED),
    "an empty credential id": (Made(credential_id=b""), Why.CREDENTIAL_ID_LENGTH),
    "15 octets of credential id": (Made(credential_id=LONG[:15]), Why.CREDENTIAL_ID_LENGTH),
    "1,024 octets of credential id": (Made(credential_id=LONG), Why.CREDENTIAL_ID_LENGTH),
    "ES384": (made_key(alg=-35), Why.ALGORITHM_NOT_OFFERED),
    "RS256": (
        Made(cose=cbor.encode({1: 3, 3: -257, -1: LONG[:256], -2: b"\1\0\1"})),
        Why.ALGORITHM_NOT_OFFERED,
    ),
    "ES256 under its newer number": (made_key(alg=-9), Why.ALGORITHM_NOT_OFFERED),
    "no algorithm": (made_key(alg=None), Why.MALFORMED),
    "an algorithm that is a text": (made_key(alg="ES256"), Why.MALFORMED),
    "an algorithm that is true": (made_key(alg=True), Why.MALFORMED),
    "ES256 with an Ed25519 key": (Made(cose=cbor.encode(cose(ed()) | {3: -7})), Why.KEY_NOT_VALID),
    "EdDSA with a P-256 key": (made_key(alg=-8), Why.KEY_NOT_VALID),
    "another key type": (made_key(kty=1), Why.KEY_NOT_VALID),
    "P-384 named": (made_key(crv=2), Why.KEY_NOT_VALID),
    "true named as the curve": (made_key(crv=True), Why.KEY_NOT_VALID),
    "no curve": (made_key(crv=None), Why.KEY_NOT_VALID),
    "a point beside the curve": (made_key(x=OFF_THE_CURVE), Why.KEY_NOT_VALID),
    "the point at nought": (made_key(x=bytes(32), y=bytes(32)), Why.KEY_NOT_VALID),
    "a coordinate beyond the field": (made_key(x=b"\xff" * 32), Why.KEY_NOT_VALID),
    "31 octets of x": (made_key(x=X[1:]), Why.KEY_NOT_VALID),
    "33 octets of y": (made_key(y=b"\0" + Y), Why.KEY_NOT_VALID),
    "x as a text": (made_key(x="x" * 32), Why.KEY_NOT_VALID),
    "y as a text": (made_key(y="y" * 32), Why.KEY_NOT_VALID),
    "y as its sign only": (made_key(y=True), Why.KEY_NOT_VALID),
    "no x": (made_key(x=None), Why.KEY_NOT_VALID),
    "no y": (made_key(y=None), Why.KEY_NOT_VALID),
    "a member that no key needs": (made_key(key_ops=[2]), Why.KEY_NOT_VALID),
    "31 octets of Ed25519": (
        Made(cose=cbor.encode(cose(ed()) | {-2: bytes(31)})),
        Why.KEY_NOT_VALID,
    ),
    "true named as the type of an Ed25519 key": (Made(cose=cbor.encode(cose(ed()) | {1: True})), Why.KEY_NOT_VALID),
    "Ed448 named": (Made(cose=cbor.encode(cose(ed()) | {-1: 7})), Why.KEY_NOT_VALID),
    "Ed25519 with a y": (Made(cose=cbor.encode(cose(ed()) | {-3: bytes(32)})), Why.KEY_NOT_VALID),
    "a key that is a list": (Made(cose=cbor.encode([1, 2])), Why.MALFORMED),
    "a member of the key twice": (
        Made(cose=b"\xa6" + cbor.encode(cose(p256()))[1:] + b"\x03\x26"),
        Why.MALFORMED,
    ),
    "an octet after the credential": (Made(tail=b"\0"), Why.MALFORMED),
    "extensions without their flag": (Made(tail=cbor.encode({"credProtect": 2})), Why.MALFORMED),
    "the flag of extensions, and none": (Made(flags=UP | AT | ED), Why.MALFORMED),
    "extensions that are a list": (
        Made(flags=UP | AT | ED, tail=cbor.encode(["credProtect"])),
        Why.MALFORMED,
    ),
    "extensions with numbers for names": (
        Made(flags=UP | AT | ED, tail=cbor.encode({1: 2})),
        Why.MALFORMED,
    ),
    "extensions with null in them": (
        Made(flags=UP | AT | ED, tail=b"\xa1\x61a\xf6"),
        Why.MALFORMED,
    ),
    "something after the extensions": (
        Made(flags=UP | AT | ED, tail=b"\xa1\x61a\x01\0"),
        Why.MALFORMED,
    ),
    "an octet after the whole": ((client_data(), without_attestation()[1] + b"\0"), Why.MALFORMED),
    "no format": (changed(fmt=None), Why.MALFORMED),
    "no statement": (changed(attStmt=None), Why.MALFORMED),
    "no authenticator data": (changed(authData=None), Why.MALFORMED),
    "a member too many": (changed(epAtt=True), Why.MALFORMED),
    "a format that is a number": (changed(fmt=1), Why.MALFORMED),
    "a statement that is a list": (changed(attStmt=[]), Why.MALFORMED),
    "authenticator data that are a text": (changed(authData="text"), Why.MALFORMED),
    "authenticator data as the whole": ((client_data(), Made().data), Why.MALFORMED),
    "a list as the whole": ((client_data(), cbor.encode([1])), Why.MALFORMED),
    "nothing": ((client_data(), b""), Why.MALFORMED),
    **{
        f"format {form}": ((client_data(), wrapped(form, {}, Made().data)), Why.FORMAT_NOT_ACCEPTED)
        for form in ("tpm", "android-key", "android-safetynet", "apple", "compound", "None", "")
    },
}


@pytest.mark.parametrize(("wrong", "why"), KEY_DATA.values(), ids=KEY_DATA.keys())
def test_key_data_that_is_refused(wrong: Made | Parts, why: Why) -> None:
    """What a key says with one thing wrong is refused, for that reason."""
    assert refusal(without_attestation(wrong) if isinstance(wrong, Made) else wrong) == why


def test_a_rebuilt_member_order_is_no_fault() -> None:
    """The maps of the attestation object may come in any order: nothing depends on it."""
    members = cbor.encode("attStmt") + b"\xa0", cbor.encode("fmt") + cbor.encode("none")
    data = cbor.encode("authData") + cbor.encode(Made().data)
    assert accepted((client_data(), b"\xa3" + data + members[0] + members[1])).format == "none"


def test_a_person_who_must_be_verified() -> None:
    """Where a PIN or a fingerprint is asked for, the flag must be there; a U2F key's flag counts for nothing."""
    assert refusal(without_attestation(), user_verification=True) == Why.USER_NOT_VERIFIED
    assert refusal(packed(), user_verification=True) == Why.USER_NOT_VERIFIED
    with_flag = Made(flags=UP | UV | AT)
    assert refusal(u2f(with_flag), user_verification=True) == Why.USER_NOT_VERIFIED
    assert accepted(packed(with_flag), user_verification=True).flags == UP | UV | AT


def test_sizes() -> None:
    """A part of 16 KiB is read; one octet more is refused before anything looks at it."""
    full = client_data(padding="") + b" " * (16384 - len(client_data(padding="")))
    assert accepted(without_attestation(client=full)).format == "none"
    assert refusal(without_attestation(client=full + b" ")) == Why.TOO_LARGE
    client, attestation = without_attestation()
    assert refusal((client, attestation + bytes(16384 - len(attestation)))) == Why.MALFORMED
    assert refusal((client, attestation + bytes(16385 - len(attestation)))) == Why.TOO_LARGE
    assert refusal((b"{" * 10_000_000, b"\x81" * 10_000_000)) == Why.TOO_LARGE


@pytest.mark.parametrize("make", [without_attestation, self_signed, packed, u2f])
def test_cut_anywhere(make: Callable[[], Parts]) -> None:
    """A registration that was cut at any octet, in either part, is malformed."""
    client, attestation = make()
    for length in range(len(client)):
        assert refusal((client[:length], attestation)) == Why.MALFORMED
    for length in range(len(attestation)):
        assert refusal((client, attestation[:length])) == Why.MALFORMED


def test_authenticator_data_cut_anywhere() -> None:
    """Authenticator data that end too early are malformed, though the object around them is whole."""
    data = Made().data
    for length in range(len(data)):
        assert refusal((client_data(), wrapped("none", {}, data[:length]))) == Why.MALFORMED
    flagged = Made(flags=UP | AT | ED, tail=cbor.encode({"credProtect": 2})).data
    for length in range(len(data), len(flagged)):
        assert refusal((client_data(), wrapped("none", {}, flagged[:length]))) == Why.MALFORMED


NESTS: Final[dict[str, Callable[[int], bytes]]] = {
    "lists": lambda depth: b"\x81" * depth + b"\0",
    "maps": lambda depth: b"\xa1\x01" * depth + b"\0",
    "maps as keys": lambda depth: b"\xa1" * depth + b"\0",
    "tags": lambda depth: b"\xc1" * depth + b"\0",
    "lists that never end": lambda depth: b"\x9f" * depth,
}


@pytest.mark.parametrize("depth", [5, 2000, 8000])
@pytest.mark.parametrize("nest", NESTS.values(), ids=NESTS.keys())
def test_nested_values(nest: Callable[[int], bytes], depth: int) -> None:
    """Values in values without end are malformed, wherever they stand."""
    deep = nest(depth)
    statement = b"\xa3" + cbor.encode("fmt") + cbor.encode("none") + cbor.encode("attStmt") + deep
    assert refusal((client_data(), deep)) == Why.MALFORMED
    assert refusal((client_data(), statement + cbor.encode("authData") + cbor.encode(Made().data))) == Why.MALFORMED
    assert refusal(without_attestation(Made(cose=deep))) == Why.MALFORMED
    assert refusal(without_attestation(Made(flags=UP | AT | ED, tail=b"\xa1\x61a" + deep))) == Why.MALFORMED


# --- kept ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [p256(), ed()], ids=["ES256", "EdDSA"])
def test_what_is_kept(key: SigningKey) -> None:
    """Of a good registration everything is kept as the key said it, and nobody vouches for the model."""
    new = Made(key=key, flags=UP | UV | BE | AT, counter=0xFFFFFFFE)
    enrolled = accepted(without_attestation(new))
    assert enrolled.credential == new.credential
    assert enrolled.credential_id == CREDENTIAL_ID
    assert UUID(enrolled.aaguid) == AAGUID
    assert enrolled.algorithm == cose(key)[3]
    assert (enrolled.counter, enrolled.flags) == (0xFFFFFFFE, UP | UV | BE | AT)
    assert (enrolled.format, enrolled.model, enrolled.attested) == ("none", None, False)


def test_the_key_is_kept_in_its_own_octets() -> None:
    """A COSE key whose members come in another order is kept so: it is what may have been signed."""
    members = [cbor.encode(label) + cbor.encode(value) for label, value in cose(p256()).items()]
    new = Made(cose=b"\xa5" + b"".join(reversed(members)))
    assert accepted(without_attestation(new)).credential == new.credential


def test_the_shortest_and_the_longest_credential_id() -> None:
    """16 and 1,023 octets are lengths that a credential id may have."""
    for length in (16, 1023):
        enrolled = accepted(without_attestation(Made(credential_id=LONG[:length])))
        assert enrolled.credential_id == LONG[:length]


def test_members_that_nobody_knows() -> None:
    """Browsers add members to the client data at random; they change nothing, nor does a missing crossOrigin."""
    members = json.loads(client_data(other_keys_can_be_added_here="do not compare", extraData=[1, {"a": None}]))
    del members["crossOrigin"]
    assert accepted(raw_client(json.dumps(members, indent=1))).format == "none"


def test_extensions_that_nobody_asked_for() -> None:
    """Extension outputs that are well-formed are passed over, and are no part of the credential that is kept."""
    new = Made(flags=UP | AT | ED, tail=cbor.encode({"credProtect": 2, "hmac-secret": True}))
    enrolled = accepted(without_attestation(new))
    assert enrolled.credential == new.credential
    assert enrolled.flags & ED
    assert accepted(packed(new)).credential == new.credential


def test_another_question_is_another_answer() -> None:
    """The same registration is refused when challenge, origin or site of the question are others."""
    parts = without_attestation()
    assert refusal(parts, challenge=OTHER_CHALLENGE) == Why.WRONG_CHALLENGE
    assert refusal(parts, origin="https://auth.example.net") == Why.WRONG_ORIGIN
    assert refusal(parts, rp_id="example.org") == Why.WRONG_RP_ID
    assert accepted(parts).credential_id == CREDENTIAL_ID


def test_python_fido2_is_loaded_only_for_statements() -> None:
    """A program that only knows of enrolment does not pay for the loading of python-fido2."""
    code = "import sys, radiusd2fa.enrolment.registration; sys.exit('fido2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_key_of_another_curve_in_the_right_size() -> None:
    """A point of secp256k1 has 32-octet coordinates, and is none of P-256."""
    foreign = ec.derive_private_key(12345, ec.SECP256K1()).public_key().public_numbers()
    new = made_key(x=foreign.x.to_bytes(32, "big"), y=foreign.y.to_bytes(32, "big"))
    assert refusal(without_attestation(new)) == Why.KEY_NOT_VALID


def test_the_same_credential_under_another_model() -> None:
    """Without attestation the model is the key's own claim: it is kept, and nothing calls it proven."""
    other = UUID(int=AAGUID.int ^ 1)
    enrolled = accepted(without_attestation(replace(Made(), aaguid=other)))
    assert (UUID(enrolled.aaguid), enrolled.attested) == (other, False)
