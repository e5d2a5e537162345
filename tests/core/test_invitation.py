"""Cards, invitations and their answers: every member is looked at, and nothing that is not one becomes one.

Nothing here is believed because it could be read; but what could not be read is not handed on either.
WebAuthn 5.8.1 (client data), 7.1 (registering a credential).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.invitation import (
    Invitation,
    KeyCard,
    RegistrationAnswer,
    registration_challenge,
    registration_client_data,
)
from radiusd2fa.core.texts import Text
from tests.factors.keys import challenge_of

Kind = type[KeyCard] | type[Invitation] | type[RegistrationAnswer]
Members = dict[str, object]

NONCE: Final = bytes(range(16))
CARD: Final = KeyCard("auth.example.org", "https://auth.example.org", "alice", b"credential", "blue key")
INVITATION: Final = Invitation(
    "auth.example.org", "https://auth.example.org", "alice", b"handle", NONCE, (b"one", b"other"), attestation=True
)
ANSWER: Final = RegistrationAnswer(NONCE, b'{"type":"webauthn.create"}', b"\xa3attestation")
TEXTS: Final = (CARD, INVITATION, ANSWER)


def text_of(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def line(prefix: str, members: object) -> str:
    """Write a line by hand."""
    return prefix + text_of(json.dumps(members).encode())


CARD_MEMBERS: Final[Members] = {
    "rp_id": "auth.example.org",
    "origin": "https://auth.example.org",
    "user": "alice",
    "credential": text_of(b"credential"),
    "label": "blue key",
}
INVITATION_MEMBERS: Final[Members] = {
    "rp_id": "auth.example.org",
    "origin": "https://auth.example.org",
    "user": "alice",
    "handle": text_of(b"handle"),
    "nonce": text_of(NONCE),
    "exclude": [text_of(b"one"), text_of(b"other")],
    "attestation": True,
}
ANSWER_MEMBERS: Final[Members] = {
    "nonce": text_of(NONCE),
    "clientDataJSON": text_of(b'{"type":"webauthn.create"}'),
    "attestationObject": text_of(b"\xa3attestation"),
}
KINDS: Final[tuple[tuple[Kind, str, Members, Text], ...]] = (
    (KeyCard, "RKC1-", CARD_MEMBERS, CARD),
    (Invitation, "RKI1-", INVITATION_MEMBERS, INVITATION),
    (RegistrationAnswer, "RKR1-", ANSWER_MEMBERS, ANSWER),
)

WRONG_TEXTS: Final = (None, 7, True, ["alice"], {"alice": 1}, "\ud800")
WRONG_OCTETS: Final = (*WRONG_TEXTS, "A", "AB", "AA==", "A+", "AA AA", "é")
WRONG_NONCES: Final = (*WRONG_OCTETS, "", text_of(bytes(15)), text_of(bytes(17)), text_of(bytes(32)), NONCE.hex())
WRONG_LISTS: Final[tuple[object, ...]] = (
    None,
    "",
    "AAAA",
    7,
    True,
    {},
    [None],
    [7],
    [True],
    [["AAAA"]],
    ["AB"],
    ["AAAA", "A"],
    ["\ud800"],
)
WRONG_ANSWERS_TO_YES_OR_NO: Final[tuple[object, ...]] = (None, 0, 1, "true", "", [], {})

WRONG: Final[dict[str, tuple[object, ...]]] = {
    "rp_id": WRONG_TEXTS,
    "origin": WRONG_TEXTS,
    "user": WRONG_TEXTS,
    "label": WRONG_TEXTS,
    "credential": WRONG_OCTETS,
    "handle": WRONG_OCTETS,
    "clientDataJSON": WRONG_OCTETS,
    "attestationObject": WRONG_OCTETS,
    "nonce": WRONG_NONCES,
    "exclude": WRONG_LISTS,
    "attestation": WRONG_ANSWERS_TO_YES_OR_NO,
}


@pytest.mark.parametrize(("kind", "prefix", "members", "value"), KINDS)
def test_each_member_is_looked_at(kind: Kind, prefix: str, members: Members, value: Text) -> None:
    """With one member missing or of another type or form it is no such text; with all of them right it is."""
    assert kind.read(line(prefix, members)) == value
    for name in members:
        assert kind.read(line(prefix, {one: it for one, it in members.items() if one != name})) is None, name
        for wrong in WRONG[name]:
            assert kind.read(line(prefix, members | {name: wrong})) is None, (name, wrong)


@pytest.mark.parametrize(("kind", "prefix", "members", "value"), KINDS)
def test_one_kind_is_not_read_as_another(kind: Kind, prefix: str, members: Members, value: Text) -> None:
    """The prefix says what a text is, and members of another kind under it do not help."""
    for other, _, others, text in KINDS:
        if other is not kind:
            assert other.read(str(value)) is None
            assert kind.read(line(prefix, others)) is None
            assert kind.read(str(text)) is None


@pytest.mark.parametrize(("kind", "prefix", "members", "value"), KINDS)
@pytest.mark.parametrize("depth", [2, 100, 18_000])
def test_depth_is_no_way_in(kind: Kind, prefix: str, members: Members, value: Text, depth: int) -> None:
    """Brackets within brackets, in place of the members or of any one of them, are refused and break nothing."""
    assert kind.read(prefix + text_of(b"[" * depth + b"]" * depth)) is None
    assert kind.read(prefix + text_of(b"[" * 2 * depth)) is None
    if depth < 10_000:
        for name in members:
            deep = json.dumps(members | {name: 0}).replace(f'"{name}": 0', f'"{name}": ' + "[" * depth + "]" * depth)
            assert kind.read(prefix + text_of(deep.encode())) is None


@pytest.mark.parametrize("depth", [20_000])
def test_a_text_that_is_longer_than_any_is_not_even_parsed(depth: int) -> None:
    """What is too deep for every bound is too long as well."""
    for kind, prefix, _, _ in KINDS:
        assert kind.read(prefix + text_of(b"[" * depth + b"]" * depth)) is None
        assert kind.read(prefix + "A" * 10_000_000) is None


@pytest.mark.parametrize("value", TEXTS, ids=lambda value: type(value).__name__)
def test_a_text_that_was_damaged_is_refused(value: KeyCard | Invitation | RegistrationAnswer) -> None:
    """Cut anywhere, or with one sign put in, it is not read."""
    text, kind = str(value), type(value)
    assert kind.read(text) == value
    assert not [at for at in range(len(text)) if kind.read(text[:at]) is not None]
    assert not [at for at in range(len(text)) if kind.read(text[:at] + "!" + text[at:]) is not None]


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "prefix", "members", "value"), KINDS)
def test_the_texts_are_written_as_they_were_agreed(kind: Kind, prefix: str, members: Members, value: Text) -> None:
    """Prefix and members are those that installed helpers know."""
    text = str(value)
    assert text.startswith(prefix)
    raw = base64.urlsafe_b64decode(text.removeprefix(prefix) + "===")
    assert json.loads(raw) == members
    assert b" " not in raw.replace(b"blue key", b"")


WORDS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RAW: Final = st.binary(max_size=40)
NONCES: Final = st.binary(min_size=16, max_size=16)


@given(
    st.builds(KeyCard, WORDS, WORDS, WORDS, RAW, WORDS)
    | st.builds(Invitation, WORDS, WORDS, WORDS, RAW, NONCES, st.lists(RAW, max_size=4).map(tuple), st.booleans())
    | st.builds(RegistrationAnswer, NONCES, RAW, RAW)
)
def test_every_value_comes_back(value: KeyCard | Invitation | RegistrationAnswer) -> None:
    """What was written is read again, whatever it says and however a mail has broken it."""
    text = str(value)
    broken = "\n".join(text[at : at + 60] for at in range(0, len(text), 60))
    assert type(value).read(text) == type(value).read(f"{broken}\n") == value


@given(st.text(max_size=60) | st.text("RKCI1-eyJA_", max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    """Whatever is pasted is read or refused."""
    for kind, prefix, _, _ in KINDS:
        assert kind.read(text) is None
        assert kind.read(prefix + text) is None


# --- what is signed at a registration --------------------------------------------------------------------------------


def test_the_challenge_of_a_registration_is_as_it_was_agreed() -> None:
    """SHA-256 over a label of its own, a zero octet, nonce and user: no assertion can be made of it."""
    written_down = b"radiusd2fa-register-v1\0\0\x10" + NONCE + b"\0\x05alice"
    made = registration_challenge(NONCE, "alice").hex()
    assert made == hashlib.sha256(written_down).hexdigest()
    assert made == "feeca9497f7135c67216c2c198bf2f7d208993220f3fe1b4d2fd94d642e7b84c"
    assert registration_challenge(NONCE, "élan") == challenge_of(b"radiusd2fa-register-v1", NONCE, "élan")


def test_no_two_registrations_share_a_challenge() -> None:
    """Another nonce or another user is another challenge."""
    asked = [(NONCE, "alice"), (NONCE, "alic"), (NONCE, "Alice"), (NONCE, ""), (bytes(16), "alice")]
    assert len({registration_challenge(*one) for one in asked}) == len(asked)


def test_the_client_data_of_a_registration_is_as_it_was_agreed() -> None:
    """Its type says that it is no login."""
    expected = (
        b'{"type":"webauthn.create","challenge":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8",'
        b'"origin":"https://auth.example.org","crossOrigin":false}'
    )
    assert registration_client_data(bytes(range(31)) + b"\xff", "https://auth.example.org") == expected


def test_what_is_printed_of_them_shows_no_nonce() -> None:
    """Who reads a log cannot answer an invitation."""
    for value in (INVITATION, ANSWER):
        assert "nonce" not in repr(value)
        assert repr(NONCE) not in repr(value)
