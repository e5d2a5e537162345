"""Replies and requests as they leave: what an encoder refuses to send, and what it puts where.

The worked example of RFC 2865 section 7.1 and the standard library's hashes are the judges; pyrad has its own file.
RFC 2865 sections 3, 4 and 5.33; RFC 3579 section 3.2.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import pytest

from radiusd2fa.radius.packet import Code, OversizedReply, Packet, decode, encode_reply, encode_request

AUTHENTICATOR: Final = bytes(range(16))
SECRET: Final = b"correct horse battery staple"

RFC_SECRET: Final = b"xyzzy5461"
RFC_REQUEST: Final = bytes.fromhex(
    "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee0406c0a801100506 00000003"
)
RFC_REPLY: Final = bytes.fromhex("0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103")


def request(*more: tuple[int, bytes]) -> Packet:
    return decode(encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, [(1, b"alice"), *more], SECRET))


def body(reply: bytes) -> list[tuple[int, bytes]]:
    attributes, at = [], 20
    while at < len(reply):
        attributes.append((reply[at], reply[at + 2 : at + reply[at + 1]]))
        at += reply[at + 1]
    return attributes


@pytest.mark.parametrize(
    "attribute", [(24, b"0" * 32), (6, bytes(4)), (26, b"\0\0\x01\x37x"), (79, b"\4\1\0\4"), (1, b"a")]
)
def test_a_reject_carries_no_more_than_a_message(attribute: tuple[int, bytes]) -> None:
    """An Access-Reject with anything but Reply-Message is a bug, and does not leave."""
    with pytest.raises(ValueError, match="Access-Reject"):
        encode_reply(Code.ACCESS_REJECT, request(), [(18, b"Access denied"), attribute], SECRET)


@pytest.mark.parametrize("attribute", [(80, bytes(16)), (33, b"invented")])
@pytest.mark.parametrize("code", [Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE])
def test_signature_and_proxy_state_are_not_the_callers(code: Code, attribute: tuple[int, bytes]) -> None:
    """Nobody hands in a Message-Authenticator or a Proxy-State: the one is computed, the other copied."""
    with pytest.raises(ValueError, match="never by the caller"):
        encode_reply(code, request(), [attribute], SECRET)


@pytest.mark.parametrize("code", [0, 1, 4, 5, 12, 255])
def test_only_replies_are_replies(code: int) -> None:
    """A reply is an Access-Accept, -Reject or -Challenge."""
    with pytest.raises(ValueError, match="no reply"):
        encode_reply(code, request(), [], SECRET)


def test_an_empty_attribute_is_refused() -> None:
    """RFC 2865 5 forbids attributes without a value, and the encoder does not decide to leave one out."""
    with pytest.raises(ValueError, match="no value"):
        encode_reply(Code.ACCESS_ACCEPT, request(), [(18, b"")], SECRET)


@pytest.mark.parametrize("attribute", [(18, b"x" * 254), (0, b"x"), (256, b"x"), (-1, b"x")])
def test_what_does_not_fit_an_attribute_is_refused(attribute: tuple[int, bytes]) -> None:
    """A type outside 1..255 or a value over 253 octets cannot be encoded, neither in a reply nor in a request."""
    with pytest.raises(ValueError, match="cannot be encoded"):
        encode_reply(Code.ACCESS_ACCEPT, request(), [attribute], SECRET)
    with pytest.raises(ValueError, match="cannot be encoded"):
        encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, [attribute], SECRET)


def test_a_reply_outgrows_its_request_by_512_octets_at_most() -> None:
    """Of two replies that differ in one octet the longer is refused, and nothing is dropped to make it fit."""
    asked = request()
    room = len(asked.raw) + 512 - 20 - 18
    fits = [(18, b"x" * 253), (18, b"x" * (room - 255 - 2 - 10 - 2)), (18, b"x" * 10)]
    assert len(encode_reply(Code.ACCESS_REJECT, asked, fits, SECRET)) == len(asked.raw) + 512
    with pytest.raises(OversizedReply):
        encode_reply(Code.ACCESS_REJECT, asked, [*fits[:2], (18, b"x" * 11)], SECRET)


def test_a_reply_never_passes_4096_octets() -> None:
    """Proxy-States that fill a request to the brim leave no room for more than they took."""
    states = [(33, bytes(253))] * 15
    asked = request(*states)
    assert len(encode_reply(Code.ACCESS_REJECT, asked, [(18, b"x" * 200)], SECRET)) <= 4096
    with pytest.raises(OversizedReply):
        encode_reply(Code.ACCESS_REJECT, asked, [(18, b"x" * 253)], SECRET)


def test_the_example_of_the_rfc_is_encoded() -> None:
    """The unsigned Access-Accept of RFC 2865 7.1 comes out octet for octet."""
    attributes = [(6, b"\0\0\0\1"), (15, bytes(4)), (14, bytes((192, 168, 1, 3)))]
    reply = encode_reply(Code.ACCESS_ACCEPT, decode(RFC_REQUEST), attributes, RFC_SECRET, sign=False)
    assert reply == RFC_REPLY


@pytest.mark.parametrize("code", [Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE])
def test_the_signature_is_the_first_attribute_of_every_reply(code: Code) -> None:
    """Message-Authenticator comes first, then what was given, then each Proxy-State in order, empty ones too."""
    asked = request((33, b"second"), (4, bytes(4)), (33, b"first"), (33, b""))
    reply = encode_reply(code, asked, [(18, b"Hello"), (18, b"again")], SECRET)
    (kind, signature), *others = body(reply)
    assert kind == 80
    assert others == [(18, b"Hello"), (18, b"again"), (33, b"second"), (33, b"first"), (33, b"")]
    blank = reply[:4] + AUTHENTICATOR + reply[20:22] + bytes(16) + reply[38:]
    assert signature == hmac.digest(SECRET, blank, "md5")
    assert reply[:4] == bytes((code, 7)) + len(reply).to_bytes(2, "big")
    assert reply[4:20] == hashlib.md5(reply[:4] + AUTHENTICATOR + reply[20:] + SECRET, usedforsecurity=False).digest()


def test_an_unsigned_reply_carries_no_signature() -> None:
    """``sign=False`` is for clients that throw a signed reply away: what was given and Proxy-State, nothing else."""
    reply = encode_reply(Code.ACCESS_ACCEPT, request((33, b"7")), [(18, b"Hello")], SECRET, sign=False)
    assert body(reply) == [(18, b"Hello"), (33, b"7")]


@pytest.mark.parametrize("value", [b"0x41", b"123", b"0", b"\xff\0\n", b"%s"])
def test_values_are_sent_as_they_are(value: bytes) -> None:
    """No value is taken for a number, an escape or a text on its way into a packet."""
    assert body(encode_reply(Code.ACCESS_ACCEPT, request(), [(25, value)], SECRET))[1:] == [(25, value)]


def test_a_status_server_is_answered() -> None:
    """Status-Server gets a signed Access-Accept under its own identifier."""
    asked = decode(encode_request(Code.STATUS_SERVER, 201, AUTHENTICATOR, [], SECRET))
    reply = encode_reply(Code.ACCESS_ACCEPT, asked, [], SECRET)
    assert reply[:2] == bytes((2, 201))
    assert [kind for kind, _ in body(reply)] == [80]


def test_a_request_of_ours_is_signed_first() -> None:
    """Our own requests, too, put the Message-Authenticator in front."""
    raw = encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, [(1, b"alice"), (4, bytes(4))], SECRET)
    assert [kind for kind, _ in decode(raw).attributes] == [80, 1, 4]


@pytest.mark.parametrize("code", [0, 2, 3, 4, 11])
def test_only_requests_are_requests(code: int) -> None:
    """A request is an Access-Request or a Status-Server."""
    with pytest.raises(ValueError, match="no request"):
        encode_request(code, 7, AUTHENTICATOR, [(1, b"alice")], SECRET)


def test_a_request_is_not_signed_twice() -> None:
    """A request that brings a Message-Authenticator is not given a second one."""
    with pytest.raises(ValueError, match="one Message-Authenticator"):
        encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, [(1, b"alice"), (80, bytes(16))], SECRET)


@pytest.mark.parametrize("authenticator", [b"", bytes(15), bytes(17)])
def test_a_request_authenticator_has_16_octets(authenticator: bytes) -> None:
    """Anything else would shift every attribute."""
    with pytest.raises(ValueError, match="16 octets"):
        encode_request(Code.ACCESS_REQUEST, 7, authenticator, [(1, b"alice")], SECRET)


def test_a_request_over_4096_octets_is_refused() -> None:
    """The longest request is sent, one octet more is not."""
    full = [(26, bytes(253))] * 15 + [(26, bytes(4096 - 20 - 18 - 15 * 255 - 2))]
    assert len(encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, full, SECRET)) == 4096
    full[-1] = (26, full[-1][1] + b"x")
    with pytest.raises(ValueError, match="4097"):
        encode_request(Code.ACCESS_REQUEST, 7, AUTHENTICATOR, full, SECRET)
