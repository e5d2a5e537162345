"""What a key's answer becomes, and which cards a login is for: pure, table by table.

What the daemon could not rebuild from 74 octets is refused here, before anybody pastes it. WebAuthn 6.1, 6.5.5.
"""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from radiusd2fa.core.invitation import KeyCard
from radiusd2fa.core.responder import KeyResponse, authenticator_data, selector
from radiusd2fa.keys.asking import Failed, FailureReason, Signed, SignRequest
from radiusd2fa.laptop.profile import Unchosen, choose
from radiusd2fa.laptop.signing import key_response, sign_request

from .laptop import CODE, RP_ID

CREDENTIAL = b"one of alice's"
REQUEST = SignRequest(RP_ID, b"{}", (b"another", CREDENTIAL))
DATA = authenticator_data(RP_ID, 0x01, 258)
ES256 = encode_dss_signature(1, 2**256 - 1)
EDDSA = bytes(range(64))


def card(user: str = "alice", rp_id: str = RP_ID, credential: bytes = CREDENTIAL, label: str = "") -> KeyCard:
    """Return a card."""
    return KeyCard(rp_id, f"https://{rp_id}", user, credential, label)


@pytest.mark.parametrize(
    ("credential", "data", "signature"),
    [
        (b"somebody else's", DATA, ES256),
        (b"", DATA, ES256),
        (CREDENTIAL, authenticator_data("example.org", 0x01, 258), ES256),
        (CREDENTIAL, authenticator_data(RP_ID, 0x00, 258), ES256),
        (CREDENTIAL, authenticator_data(RP_ID, 0x04, 258), ES256),
        (CREDENTIAL, authenticator_data(RP_ID, 0x81, 258), ES256),
        (CREDENTIAL, authenticator_data(RP_ID, 0x41, 258), ES256),
        (CREDENTIAL, DATA + b"\xa0", ES256),
        (CREDENTIAL, DATA[:-1], ES256),
        (CREDENTIAL, b"", ES256),
        (CREDENTIAL, DATA, b""),
        (CREDENTIAL, DATA, ES256[:-1]),
        (CREDENTIAL, DATA, ES256 + b"\0"),
        (CREDENTIAL, DATA, EDDSA[:-1]),
        (CREDENTIAL, DATA, EDDSA + b"\0"),
        (CREDENTIAL, DATA, encode_dss_signature(2**256, 1)),
        (CREDENTIAL, DATA, encode_dss_signature(0, 1)),
        (CREDENTIAL, DATA, encode_dss_signature(1, 0)),
        (CREDENTIAL, DATA, b"\x30\x06\x02\x01\xff\x02\x01\x01"),
        (CREDENTIAL, DATA, b"\x30\x07\x02\x02\x00\x01\x02\x01\x01"),
        (CREDENTIAL, DATA, b"\x30\x81\x06\x02\x01\x01\x02\x01\x01"),
    ],
)
def test_an_answer_that_cannot_be_rebuilt_is_refused(credential: bytes, data: bytes, signature: bytes) -> None:
    """Another credential or site, no touch, more data than fits, a signature that is no strict DER: one sentence."""
    response = key_response(Signed(credential, data, signature), REQUEST)
    assert isinstance(response, Failed)
    assert response.reason is FailureReason.BROKEN
    assert response.detail.endswith(".")


def test_a_key_that_was_to_know_its_user_must_say_so() -> None:
    """Without UV the daemon would refuse; the person is told here."""
    request = SignRequest(RP_ID, b"{}", (CREDENTIAL,), user_verification=True)
    assert isinstance(key_response(Signed(CREDENTIAL, DATA, ES256), request), Failed)
    verified = authenticator_data(RP_ID, 0x05, 258)
    assert isinstance(key_response(Signed(CREDENTIAL, verified, ES256), request), KeyResponse)


@pytest.mark.parametrize(
    ("signature", "raw"), [(ES256, b"\0" * 31 + b"\x01" + b"\xff" * 32), (EDDSA, EDDSA)], ids=["ES256", "EdDSA"]
)
def test_a_signature_becomes_64_octets(signature: bytes, raw: bytes) -> None:
    """r and s side by side, with zeros in front; EdDSA's as they are; flags and counter as the key said."""
    response = key_response(Signed(CREDENTIAL, DATA, signature), REQUEST)
    assert response == KeyResponse(selector(CREDENTIAL), 0x01, 258, raw)


def test_what_is_signed_names_user_host_and_origin() -> None:
    """Every card of the user is offered, and the client data are the daemon's, octet for octet."""
    request = sign_request(CODE, [card(), card(credential=b"spare")], "bastion.example.org")
    parts = [CODE.nonce, b"alice", b"bastion.example.org"]
    sized = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    from radiusd2fa.core.texts import base64url

    challenge = base64url(hashlib.sha256(b"radiusd2fa-key-v1\0" + sized).digest())
    wanted = f'{{"type":"radiusd2fa.get","challenge":"{challenge}","origin":"https://{RP_ID}","crossOrigin":false}}'
    assert request == SignRequest(RP_ID, wanted.encode(), (CREDENTIAL, b"spare"), user_verification=False)


# --- which cards -----------------------------------------------------------------------------------------------------

ALICE = card("alice")
SPARE = card("alice", credential=b"spare")
BOB = card("bob")
ELSEWHERE = card("alice", "login.other.example")


@pytest.mark.parametrize(
    ("cards", "how"),
    [
        ([], {"login": "alice"}),
        ([ALICE, BOB], {}),
        ([ALICE, BOB], {"login": "root"}),
        ([ALICE, BOB], {"user": "carol"}),
        ([ALICE], {"user": "bob"}),
        ([ALICE], {"site": "other.example"}),
        ([ALICE, ELSEWHERE], {}),
        ([ALICE, ELSEWHERE], {"login": "alice", "host": "bastion"}),
        ([ALICE, ELSEWHERE], {"login": "alice", "host": "bastion.third.test"}),
    ],
)
def test_where_it_is_open_whose_card_is_meant_nobody_guesses(cards: list[KeyCard], how: dict[str, str]) -> None:
    """No card, several users, several sites: a sentence says how to choose."""
    chosen = choose(cards, **how)
    assert isinstance(chosen, Unchosen)
    assert "radiusd2fa-key" in chosen.why or "--" in chosen.why


@pytest.mark.parametrize(
    ("cards", "how", "chosen"),
    [
        ([ALICE, BOB, SPARE], {"login": "alice"}, (ALICE, SPARE)),
        ([ALICE, BOB], {"login": "ALICE"}, (ALICE,)),
        ([ALICE, BOB], {"login": "alice", "user": "Bob"}, (BOB,)),
        ([ALICE, SPARE], {"login": "root"}, (ALICE, SPARE)),
        ([ALICE, SPARE], {}, (ALICE, SPARE)),
        ([ALICE, ELSEWHERE], {"host": "bastion.example.org"}, (ALICE,)),
        ([ALICE, ELSEWHERE], {"host": "gate.other.example"}, (ELSEWHERE,)),
        ([ALICE, ELSEWHERE], {"host": "bastion", "site": "login.other.example"}, (ELSEWHERE,)),
        ([ALICE, ELSEWHERE], {"host": "bastion.example.org", "site": "login.other.example"}, (ELSEWHERE,)),
    ],
)
def test_the_login_name_and_the_host_choose(
    cards: list[KeyCard], how: dict[str, str], chosen: tuple[KeyCard, ...]
) -> None:
    """The person's word first, then the login name where a card has it, then the site that is nearest to the host."""
    assert choose(cards, **how) == chosen
