"""What the shared secret signs and hides: Message-Authenticator and User-Password.

The standard library's HMAC and the worked example of the RFC are the judges.
RFC 3579 section 3.2, RFC 2865 sections 5.2 and 7.1.
"""

from __future__ import annotations

import hmac
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.radius.packet import (
    Code,
    choose_secret,
    decode,
    encode_request,
    hide_password,
    reveal_password,
    verify_message_authenticator,
)

AUTHENTICATOR: Final = bytes(range(16))
SECRET: Final = b"correct horse battery staple"
OTHER: Final = b"another secret of ours"
USER: Final = (1, b"alice")

# RFC 2865 7.1
RFC_SECRET: Final = b"xyzzy5461"
RFC_REQUEST: Final = bytes.fromhex(
    "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee0406c0a801100506 00000003"
)


def test_every_other_value_of_every_octet_of_the_signature_is_refused() -> None:
    """Of all values that differ in one octet from the right Message-Authenticator none verifies."""
    raw = encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, [USER], SECRET)
    at = decode(raw).message_authenticator_at
    for place in range(at, at + 16):
        for octet in set(range(256)) - {raw[place]}:
            assert not verify_message_authenticator(decode(raw[:place] + bytes((octet,)) + raw[place + 1 :]), SECRET)


def test_no_signature_is_no_signature() -> None:
    """A packet without Message-Authenticator does not verify, whatever the secret."""
    packet = decode(encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, [USER], SECRET, sign=False))
    assert not verify_message_authenticator(packet, SECRET)
    assert choose_secret(packet, [SECRET, OTHER]) is None


def test_a_signature_of_zeros_is_refused() -> None:
    """The sixteen zeros that stand in for the value while it is computed are not a value."""
    packet = decode(encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, [USER, (80, bytes(16))], SECRET, sign=False))
    assert not verify_message_authenticator(packet, SECRET)


@pytest.mark.parametrize("length", [1, 16, 63, 64, 65, 200])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_signature_is_hmac_md5_over_the_packet(length: int, position: int) -> None:
    """Wherever in the packet it stands and however long the secret, the value is the standard library's HMAC-MD5."""
    secret = bytes(range(33, 33 + length)) if length < 200 else b"s" * length
    attributes = [USER, (33, b"17")]
    attributes.insert(position, (80, bytes(16)))
    blank = encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, attributes, secret, sign=False)
    attributes[position] = (80, hmac.digest(secret, blank, "md5"))
    packet = decode(encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, attributes, secret, sign=False))
    assert verify_message_authenticator(packet, secret)
    assert not verify_message_authenticator(packet, secret + b"x")


def test_the_secret_that_signed_is_chosen() -> None:
    """While a secret is being changed either one verifies and is named; a third is nobody's."""
    packet = decode(encode_request(Code.STATUS_SERVER, 7, AUTHENTICATOR, [], SECRET))
    assert choose_secret(packet, [SECRET, OTHER]) == SECRET
    assert choose_secret(packet, [OTHER, SECRET]) == SECRET
    assert choose_secret(packet, [OTHER]) is None
    assert choose_secret(packet, []) is None


def test_the_example_of_the_rfc_is_hidden_and_revealed() -> None:
    """The password of RFC 2865 7.1 goes both ways."""
    packet = decode(RFC_REQUEST)
    assert reveal_password(packet.first(2) or b"", RFC_SECRET, packet.authenticator) == b"arctangent"
    assert hide_password(b"arctangent", RFC_SECRET, packet.authenticator) == packet.first(2)


@given(password=st.binary(max_size=128).map(lambda value: value.rstrip(b"\0")), secret=st.binary(min_size=1))
def test_a_password_comes_back_as_it_was(password: bytes, secret: bytes) -> None:
    """Hiding and revealing gives the same octets, whatever they are, in blocks that a decoder accepts."""
    hidden = hide_password(password, secret, AUTHENTICATOR)
    assert len(hidden) in range(16, 129, 16)
    assert reveal_password(hidden, secret, AUTHENTICATOR) == password


@pytest.mark.parametrize(
    ("password", "revealed"),
    [
        (b"", b""),
        (b"123456\0\0", b"123456"),
        (b"123\x00456", b"123\x00456"),
        (b"\x00123456", b"\x00123456"),
        (b"12\xff34\xfe56", b"12\xff34\xfe56"),
        (b" 123456 \n", b" 123456 \n"),
    ],
)
def test_only_nuls_at_the_end_are_cut(password: bytes, revealed: bytes) -> None:
    """An inner NUL, an octet that is no UTF-8 and a space all reach the caller, who has to judge them."""
    assert reveal_password(hide_password(password, SECRET, AUTHENTICATOR), SECRET, AUTHENTICATOR) == revealed


def test_a_password_over_128_octets_cannot_be_hidden() -> None:
    """RFC 2865 5.2 ends at 128 octets, and nothing is cut to fit."""
    with pytest.raises(ValueError, match="128"):
        hide_password(b"x" * 129, SECRET, AUTHENTICATOR)


def test_another_secret_or_authenticator_reveals_something_else() -> None:
    """Both the secret and the Request Authenticator hide the password."""
    hidden = hide_password(b"hunter2", SECRET, AUTHENTICATOR)
    assert reveal_password(hidden, OTHER, AUTHENTICATOR) != b"hunter2"
    assert reveal_password(hidden, SECRET, AUTHENTICATOR[::-1]) != b"hunter2"
