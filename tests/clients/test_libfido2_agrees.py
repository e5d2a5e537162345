"""libfido2 against our verifier and our own client: what one makes the other accepts, and both refuse one changed bit.

fido2-cred and fido2-assert get the hash of *our* client data, so they vouch for exactly what a login signs; the soft
key in between knows neither of us. WebAuthn 6.1, 6.5 and 7.2; fido2-cred(1), fido2-assert(1).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Final
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from fido2 import cbor

from radiusd2fa.core.answer import Assertion, KeyAnswer
from radiusd2fa.core.finding import Asserted, Finding, NotFound, Refused
from radiusd2fa.core.invitation import KeyCard, registration_challenge, registration_client_data
from radiusd2fa.core.model import Reason, Token
from radiusd2fa.core.responder import (
    KeyResponse,
    ResponderCode,
    authenticator_data,
    client_data,
    read_response,
    responder_challenge,
    selector,
)
from radiusd2fa.core.rules import FidoRules, Rules
from radiusd2fa.emulators.softkey import AAGUID, TEST_ROOT, SoftKey
from radiusd2fa.emulators.softkey.pty import PtyKey
from radiusd2fa.enrolment.attestation import NO_MODEL, AttestationPolicy
from radiusd2fa.enrolment.registration import Enrolled, verify_registration
from radiusd2fa.factors.fido import ES256, find
from radiusd2fa.keys.asking import ask
from radiusd2fa.keys.model import FoundKey, Registered, RegisterRequest, Signed
from radiusd2fa.keys.usb import named_key
from radiusd2fa.laptop.signing import key_response, sign_request
from tests.daemon.wire import PATIENCE

from .libfido2 import asked, attestation_object, base64_of, data_of, hash_of, pieces, tool
from .machines import needs

pytestmark = [needs("fido2-cred", "fido2-tools")]

RP_ID: Final = "auth.example.org"
ORIGIN: Final = "https://auth.example.org"
HOST: Final = "bastion.example.org"
RULES: Final = Rules(fido=FidoRules(RP_ID, ORIGIN))
POLICY: Final = AttestationPolicy(
    required=True, aaguids=frozenset({str(UUID(bytes=AAGUID)), NO_MODEL}), roots=(TEST_ROOT.certificate(),)
)
NOW: Final = 1_800_000_000.0
NONCE: Final = bytes(range(16))
CREATING: Final = registration_client_data(registration_challenge(NONCE, "alice"), ORIGIN)
CHALLENGE: Final = responder_challenge(NONCE, "alice", HOST)
GETTING: Final = client_data(CHALLENGE, ORIGIN)


class Nobody:
    """A person who need not do anything: the key is touched at once."""

    def touch(self, key: FoundKey) -> None:
        """See "touch now"."""

    def pin(self, key: FoundKey, tries_left: int | None) -> str | None:
        """Know no PIN."""


# --- one key of each kind --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of credential, as the tools name it, and how they are told that the key speaks U2F."""

    algorithm: str
    u2f: tuple[str, ...] = ()


KINDS: Final = {"es256": Kind("es256"), "eddsa": Kind("eddsa"), "u2f": Kind("es256", ("-u",))}


@dataclass(frozen=True, slots=True)
class Made:
    """An assertion, in the pieces that are sent and signed."""

    client: bytes
    data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that fido2-cred has made and verified, and what our enrolment makes of it."""

    kind: Kind
    key: FoundKey
    made: list[str]
    enrolled: Enrolled
    public_key: Path

    @property
    def token(self) -> Token:
        """It as alice's second factor."""
        return Token(1, "K1", "fido", self.enrolled.counter, self.enrolled.credential, digits=0)

    @property
    def card(self) -> KeyCard:
        """What alice's laptop knows of it."""
        return KeyCard(RP_ID, ORIGIN, "alice", self.enrolled.credential_id, "")

    def is_verified(self, made: Made) -> bool:
        """Whether fido2-assert verifies an assertion, with the user present."""
        command = ("fido2-assert", "-V", "-p", str(self.public_key), self.kind.algorithm)
        lines = (hash_of(made.client), RP_ID, base64_of(cbor.encode(made.data)), base64_of(made.signature))
        return tool(*command, lines=lines).returncode == 0


@pytest.fixture(scope="module", params=KINDS)
def credential(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Credential]:
    """Let fido2-cred register a soft key with the hash of our client data."""
    kind, public_key = KINDS[request.param], tmp_path_factory.mktemp("keys") / "public.pem"
    with PtyKey(SoftKey.make(u2f_only=bool(kind.u2f))) as plugged_in:
        lines = (hash_of(CREATING), RP_ID, "alice", base64_of(b"handle"))
        made = asked("fido2-cred", "-M", *kind.u2f, plugged_in.path, kind.algorithm, lines=lines)
        judged = asked("fido2-cred", "-V", kind.algorithm, lines=tuple(made))
        public_key.write_text("\n".join([*judged[1:], ""]))
        enrolled = _enrolled(attestation_object(made))
        assert isinstance(enrolled, Enrolled), enrolled
        yield Credential(kind, named_key(plugged_in.path), made, enrolled, public_key)


def _enrolled(registration: bytes) -> object:
    return verify_registration(
        CREATING,
        registration,
        challenge=registration_challenge(NONCE, "alice"),
        rp_id=RP_ID,
        origin=ORIGIN,
        user_verification=False,
        policy=POLICY,
        now=NOW,
    )


def _to_assert(credential: Credential, *flags: str) -> tuple[str, ...]:
    return ("fido2-assert", "-G", *flags, *credential.kind.u2f, credential.key.path)


def _asked_for(credential: Credential, client: bytes = GETTING) -> tuple[str, ...]:
    return (hash_of(client), RP_ID, base64_of(credential.enrolled.credential_id))


def _by_libfido2(credential: Credential, client: bytes = GETTING, *flags: str) -> Made:
    """Let fido2-assert get an assertion from the key; without flags it asks for a touch."""
    printed = asked(*_to_assert(credential, *(flags or ("-p",))), lines=_asked_for(credential, client))
    return Made(client, data_of(printed[2]), base64.b64decode(printed[3]))


def _by_us(credential: Credential) -> KeyResponse:
    """Let our own client get one, and make the response of 99 characters that a person sends."""
    request = sign_request(ResponderCode(NONCE), [credential.card], HOST)
    signed = ask([credential.key], request, Nobody(), timeout=PATIENCE, cancel=Event())
    assert isinstance(signed, Signed), signed
    response = key_response(signed, request)
    assert isinstance(response, KeyResponse)
    read = read_response(str(response).encode())
    assert isinstance(read, KeyResponse)
    return read


def _rebuilt(credential: Credential, response: KeyResponse) -> Made:
    """Build anew what a response says was signed, with the signature as WebAuthn has it."""
    signature = response.signature
    if credential.enrolled.algorithm == ES256:
        signature = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    return Made(GETTING, authenticator_data(RP_ID, response.flags, response.counter), signature)


def _found(
    credential: Credential, made: Made, challenge: bytes = CHALLENGE, *, user_verification: bool = False
) -> Finding:
    reading = Assertion(selector(credential.enrolled.credential_id), made.client, made.data, made.signature, challenge)
    return find(credential.token, KeyAnswer((reading,), user_verification), NOW, RULES)


def _changed(octets: bytes, at: int) -> bytes:
    return bytes(octet ^ (position == at % len(octets)) for position, octet in enumerate(octets))


def _spoiled(made: Made) -> list[Made]:
    """The same with one bit changed: in each part, at its beginning and at its end, and in flags and counter."""
    return [
        *(Made(_changed(made.client, at), made.data, made.signature) for at in (0, -1)),
        *(Made(made.client, _changed(made.data, at), made.signature) for at in (0, 32, -1)),
        *(Made(made.client, made.data, _changed(made.signature, at)) for at in (0, -1)),
    ]


# --- what libfido2 makes, judged by us -------------------------------------------------------------------------------


def test_a_registration_of_libfido2_with_one_bit_changed(credential: Credential) -> None:
    """Changed authenticator data, and a changed statement of the maker's, are refused."""
    for at in (3, 5):
        bad = [*credential.made]
        octets = data_of(bad[at]) if at == 3 else base64.b64decode(bad[at])
        bad[at] = base64_of(cbor.encode(_changed(octets, -1))) if at == 3 else base64_of(_changed(octets, -1))
        assert not isinstance(_enrolled(attestation_object(bad)), Enrolled)


def test_an_assertion_of_libfido2_with_one_bit_changed(credential: Credential) -> None:
    """One changed bit in client data, authenticator data or signature makes it nobody's."""
    for bad in _spoiled(_by_libfido2(credential)):
        assert _found(credential, bad) == NotFound()


def test_an_assertion_of_libfido2_for_another_host(credential: Credential) -> None:
    """Signed for another host's challenge it answers neither ours nor, taken as it is, this login."""
    made = _by_libfido2(credential, client_data(responder_challenge(NONCE, "alice", "evil.example.org"), ORIGIN))
    assert _found(credential, replace(made, client=GETTING)) == NotFound()
    assert _found(credential, made) == Refused(Reason.REPLAYED)


def test_an_assertion_of_libfido2_without_a_touch(credential: Credential) -> None:
    """Where libfido2 asks for no user presence, the assertion is refused for that."""
    if credential.kind.u2f:
        assert tool(*_to_assert(credential, "-t", "up=false"), lines=_asked_for(credential)).returncode == 1
    else:
        made = _by_libfido2(credential, GETTING, "-t", "up=false")
        assert _found(credential, made) == Refused(Reason.NO_USER_PRESENCE)


def test_an_assertion_of_libfido2(credential: Credential) -> None:
    """It is accepted once, for its own client data, with a counter that has grown; and its user is not verified."""
    made = _by_libfido2(credential)
    found = _found(credential, made)
    assert isinstance(found, Asserted)
    assert found.counter > credential.enrolled.counter
    assert _found(credential, made, user_verification=True) == Refused(Reason.NO_USER_VERIFICATION)
    later = replace(credential, enrolled=replace(credential.enrolled, counter=found.counter))
    assert _found(later, made) == Refused(Reason.KEY_CLONED)


# --- what we make, judged by libfido2 --------------------------------------------------------------------------------


def test_our_response_with_one_bit_changed(credential: Credential) -> None:
    """fido2-assert refuses what was rebuilt from our response when one bit of it is another, and another host's."""
    good = _rebuilt(credential, _by_us(credential))
    others = replace(good, client=client_data(responder_challenge(NONCE, "alice", "evil.example.org"), ORIGIN))
    assert [credential.is_verified(bad) for bad in (*_spoiled(good), others)] == [False] * 8


def test_our_response(credential: Credential) -> None:
    """fido2-assert verifies what is rebuilt from the 99 characters of a response."""
    assert credential.is_verified(_rebuilt(credential, _by_us(credential)))


@pytest.mark.parametrize("u2f_only", [False, True], ids=["ctap2", "u2f"])
def test_our_registration(*, u2f_only: bool) -> None:
    """fido2-cred verifies a registration that our client has asked for, and refuses it when one bit is another."""
    wanted = RegisterRequest(RP_ID, RP_ID, "alice", b"handle", CREATING, attestation=True)
    with PtyKey(SoftKey.make(u2f_only=u2f_only)) as plugged_in:
        made = ask([named_key(plugged_in.path)], wanted, Nobody(), timeout=PATIENCE, cancel=Event())
    assert isinstance(made, Registered), made
    good = pieces(CREATING, RP_ID, made.attestation_object)
    for at in (0, 5):
        bad = (*good[:at], base64_of(_changed(base64.b64decode(good[at]), -1)), *good[at + 1 :])
        assert tool("fido2-cred", "-V", "es256", lines=bad).returncode == 1
    assert tool("fido2-cred", "-V", "es256", lines=good).returncode == 0
