"""pyrad as an independent judge: it reads what we write, we read what it writes, and where it is lax we are not.

No socket is opened; pyrad's packet classes are used alone.
RFC 2865, RFC 3579 section 3.2, RFC 5997.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrad.packet import AuthPacket, PacketError

from radiusd2fa.radius.packet import (
    Code,
    MalformedPacket,
    decode,
    encode_reply,
    encode_request,
    hide_password,
    reveal_password,
    verify_message_authenticator,
)

AUTHENTICATOR: Final = bytes(range(100, 116))
SECRET: Final = b"correct horse battery staple"
USER: Final = (1, b"alice")

# pyrad takes 26 and a few others apart by its dictionary; these it leaves alone.
plain_attributes = st.dictionaries(
    st.sampled_from([4, 5, 6, 18, 24, 31, 32, 33, 60, 61, 87]),
    st.binary(min_size=1, max_size=253),
    max_size=6,
)


def pyrads_request(attributes: dict[int, bytes], *, signed: bool = True, code: int = 1) -> AuthPacket:
    request = AuthPacket(code=code, id=7, secret=SECRET, authenticator=AUTHENTICATOR)
    for kind, value in attributes.items():
        request[kind] = [value]
    if signed:
        request.add_message_authenticator()
    return request


def accepted_by_pyrad(request: AuthPacket, reply: bytes, *, enforce_ma: bool = True) -> bool:
    try:
        decoded = request.CreateReply(packet=reply)
    except PacketError:
        return False
    return bool(request.VerifyReply(decoded, reply, enforce_ma=enforce_ma))


def refusal(octets: bytes) -> str:
    try:
        decode(octets)
    except MalformedPacket as refused:
        return refused.reason
    return ""


@given(attributes=plain_attributes, password=st.binary(max_size=128))
@settings(deadline=None)
def test_requests_of_pyrad_are_read_as_they_were_meant(attributes: dict[int, bytes], password: bytes) -> None:
    """A request built and signed by pyrad verifies here and carries the same attributes and password."""
    request = pyrads_request({1: b"alice", **attributes})
    request[2] = [request.PwCrypt(password)]
    packet = decode(request.RequestPacket())
    assert verify_message_authenticator(packet, SECRET)
    assert {kind: value for kind, value in packet.attributes if kind not in {2, 80}} == {1: b"alice", **attributes}
    assert reveal_password(packet.first(2) or b"", SECRET, packet.authenticator) == password.rstrip(b"\0")


@given(attributes=plain_attributes)
@settings(deadline=None)
def test_pyrad_reads_our_requests(attributes: dict[int, bytes]) -> None:
    """A request of ours verifies with pyrad and carries the same attributes."""
    raw = encode_request(Code.ACCESS_REQUEST, 9, AUTHENTICATOR, [USER, *attributes.items()], SECRET)
    received = AuthPacket(secret=SECRET, packet=raw)
    assert received.verify_message_authenticator()
    assert {kind: received[kind] for kind in attributes} == {kind: [value] for kind, value in attributes.items()}


@pytest.mark.parametrize("password", ["", "hunter2", "x" * 16, "x" * 17, "x" * 128, "pässwörd", "李" * 40])
def test_pyrad_reveals_the_passwords_that_we_hide(password: str) -> None:
    """User-Password hidden here is revealed by pyrad, in one block and in eight."""
    receiver = AuthPacket(secret=SECRET, authenticator=AUTHENTICATOR)
    assert receiver.PwDecrypt(hide_password(password.encode(), SECRET, AUTHENTICATOR)) == password


@pytest.mark.parametrize("code", [Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE])
@pytest.mark.parametrize("states", [(), (b"1",), (b"2", b"1", b"2")])
def test_pyrad_accepts_our_replies(code: Code, states: tuple[bytes, ...]) -> None:
    """Every kind of reply verifies with pyrad, which insists on the Message-Authenticator and checks Proxy-State."""
    request = pyrads_request({1: b"alice"})
    if states:
        request[33] = list(states)
    reply = encode_reply(code, decode(request.RequestPacket()), [(18, b"0x41")], SECRET)
    assert accepted_by_pyrad(request, reply)
    assert request.CreateReply(packet=reply).code == code
    assert request.CreateReply(packet=reply)[18] == [b"0x41"]


def test_pyrad_refuses_each_flipped_bit_of_our_replies() -> None:
    """No bit of a reply can be changed on its way without the client noticing."""
    request = pyrads_request({1: b"alice", 33: b"7"})
    reply = encode_reply(Code.ACCESS_REJECT, decode(request.RequestPacket()), [(18, b"Access denied")], SECRET)
    assert accepted_by_pyrad(request, reply)
    for bit in range(8 * len(reply)):
        octets = bytearray(reply)
        octets[bit // 8] ^= 1 << bit % 8
        assert not accepted_by_pyrad(request, bytes(octets)), f"bit {bit}"


def test_a_reply_belongs_to_one_request() -> None:
    """A reply to another identifier, another authenticator or under another secret is refused by pyrad."""
    request = pyrads_request({1: b"alice"})
    raw = request.RequestPacket()
    other_id = encode_request(Code.ACCESS_REQUEST, 8, AUTHENTICATOR, [USER], SECRET)
    other_authenticator = encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR[::-1], [USER], SECRET)
    assert accepted_by_pyrad(request, encode_reply(Code.ACCESS_ACCEPT, decode(raw), [], SECRET))
    assert not accepted_by_pyrad(request, encode_reply(Code.ACCESS_ACCEPT, decode(other_id), [], SECRET))
    assert not accepted_by_pyrad(request, encode_reply(Code.ACCESS_ACCEPT, decode(other_authenticator), [], SECRET))
    assert not accepted_by_pyrad(request, encode_reply(Code.ACCESS_ACCEPT, decode(raw), [], SECRET + b"x"))


def test_an_unsigned_reply_is_right_but_for_its_signature() -> None:
    """``sign=False`` satisfies a client that does not ask for the Message-Authenticator, and no other."""
    request = pyrads_request({1: b"alice"}, signed=False)
    reply = encode_reply(Code.ACCESS_ACCEPT, decode(request.RequestPacket()), [], SECRET, sign=False)
    assert accepted_by_pyrad(request, reply, enforce_ma=False)
    assert not accepted_by_pyrad(request, reply)


def test_status_server_of_pyrad_is_answered_to_its_satisfaction() -> None:
    """pyrad's Status-Server verifies here, and our Access-Accept verifies there."""
    request = pyrads_request({32: b"probe"}, code=12)
    packet = decode(request.RequestPacket())
    assert packet.code == Code.STATUS_SERVER
    assert verify_message_authenticator(packet, SECRET)
    assert accepted_by_pyrad(request, encode_reply(Code.ACCESS_ACCEPT, packet, [], SECRET))


# --- where pyrad is lax (each seen to be accepted there, and refused here) -------------------------------------------


def unsigned(body: bytes) -> bytes:
    return struct.pack(">BBH", 1, 7, 20 + len(body)) + AUTHENTICATOR + body


LAX: Final = (
    ("cut_attribute", unsigned(b"\x01\x07alice\x04\x06\xc0")),
    ("bad_length", unsigned(b"\x01\x07alice" + (b"\x20\xff" + bytes(253)) * 16)),
    ("attribute_type_zero", unsigned(b"\x01\x07alice\x00\x03x")),
    ("too_many_attributes", unsigned(b"\x01\x07alice" + b"\x20\x02" * 2030)),
    ("two_user_names", unsigned(b"\x01\x07alice\x01\x05bob")),
    ("no_user_name", unsigned(b"")),
)


@pytest.mark.parametrize(("reason", "octets"), LAX, ids=[reason for reason, _ in LAX])
def test_what_pyrad_lets_pass_is_refused(reason: str, octets: bytes) -> None:
    """Malformed packets that pyrad decodes without a word are refused here."""
    AuthPacket(secret=SECRET, packet=octets)
    assert refusal(octets) == reason


def test_a_second_signature_is_refused() -> None:
    """pyrad checks only the first of two Message-Authenticators; two are refused here before either is looked at."""
    body = b"\x01\x07alice\x50\x12" + bytes(16) + b"\x50\x12" + b"\xaa" * 16
    blank = unsigned(body)
    forged = blank[:29] + hmac.digest(SECRET, blank, "md5") + blank[45:]
    assert AuthPacket(secret=SECRET, packet=forged).verify_message_authenticator()
    assert refusal(forged) == "two_message_authenticators"


def test_octets_that_are_no_utf8_stay_in_the_password() -> None:
    """pyrad turns ``12\\xff34\\xfe56`` into 123456; here the octets reach the judge of the password as they are."""
    hidden = hide_password(b"12\xff34\xfe56", SECRET, AUTHENTICATOR)
    assert AuthPacket(secret=SECRET, authenticator=AUTHENTICATOR).PwDecrypt(hidden) == "123456"
    assert reveal_password(hidden, SECRET, AUTHENTICATOR) == b"12\xff34\xfe56"


def test_a_response_authenticator_alone_does_not_satisfy() -> None:
    """A reply forged without Message-Authenticator, as in CVE-2024-3596, differs from ours where a client looks."""
    request = pyrads_request({1: b"alice"})
    packet = decode(request.RequestPacket())
    head = bytes((2, packet.identifier, 0, 20))
    forged = head + hashlib.md5(head + packet.authenticator + SECRET, usedforsecurity=False).digest()
    assert accepted_by_pyrad(request, forged, enforce_ma=False)
    assert not accepted_by_pyrad(request, forged)
