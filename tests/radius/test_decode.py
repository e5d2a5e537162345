"""Strict decoding: which datagrams are refused and under which name, and what is taken from the sound ones.

Packets are put together octet by octet here, not with the encoder under test.
RFC 2865 section 3, RFC 3579 section 3, RFC 5997 section 3.
"""

from __future__ import annotations

import struct
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.radius.attributes import Attribute
from radiusd2fa.radius.packet import Code, MalformedPacket, Packet, decode, encode_request, verify_message_authenticator

AUTHENTICATOR: Final = bytes(range(16))
SECRET: Final = b"correct horse battery staple"


def attribute(kind: int, value: bytes = b"") -> bytes:
    return bytes((kind, len(value) + 2)) + value


def datagram(body: bytes, *, code: int = 1, length: int | None = None) -> bytes:
    return struct.pack(">BBH", code, 7, 20 + len(body) if length is None else length) + AUTHENTICATOR + body


USER: Final = attribute(1, b"alice")
PASSWORD: Final = attribute(2, bytes(16))
CHAP: Final = attribute(3, bytes(17))
STATE: Final = attribute(24, b"0" * 32)
EAP: Final = attribute(79, b"\x02\x01\x00\x05\x01")
SIGNATURE: Final = attribute(80, bytes(16))

MALFORMED: Final = (
    ("short_header", b""),
    ("short_header", datagram(b"")[:19]),
    ("unexpected_code", datagram(USER, code=0)),
    ("unexpected_code", datagram(USER, code=2)),
    ("unexpected_code", datagram(USER, code=3)),
    ("unexpected_code", datagram(USER, code=4)),
    ("unexpected_code", datagram(USER, code=11)),
    ("unexpected_code", datagram(USER, code=13)),
    ("unexpected_code", datagram(USER, code=40)),
    ("unexpected_code", datagram(USER, code=255)),
    ("bad_length", datagram(USER, length=0)),
    ("bad_length", datagram(USER, length=19)),
    ("bad_length", datagram(USER + attribute(26, bytes(253)) * 16, length=4097)),
    ("bad_length", datagram(USER, length=65535)),
    ("short_datagram", datagram(USER, length=28)),
    ("short_datagram", datagram(USER)[:-1]),
    ("attribute_type_zero", datagram(USER + attribute(0, b"x"))),
    ("attribute_type_zero", datagram(USER + bytes(2))),
    ("short_attribute", datagram(USER + b"\x04\x00")),
    ("short_attribute", datagram(USER + b"\x04\x01")),
    ("cut_attribute", datagram(USER + b"\x04")),
    ("cut_attribute", datagram(USER + attribute(4, bytes(4))[:-1])),
    ("cut_attribute", datagram(USER + b"\x20\xff")),
    ("cut_attribute", datagram(USER + attribute(4, bytes(4)), length=20 + 7 + 5)),
    ("cut_attribute", datagram(USER + SIGNATURE[:-1])),
    ("too_many_attributes", datagram(USER + attribute(26) * 200)),
    ("too_many_attributes", datagram(attribute(26) * 2038)),
    ("two_message_authenticators", datagram(USER + SIGNATURE + SIGNATURE)),
    ("message_authenticator_length", datagram(USER + attribute(80))),
    ("message_authenticator_length", datagram(USER + attribute(80, bytes(15)))),
    ("message_authenticator_length", datagram(USER + attribute(80, bytes(17)))),
    ("no_user_name", datagram(b"")),
    ("no_user_name", datagram(PASSWORD + SIGNATURE)),
    ("two_user_names", datagram(USER + PASSWORD + USER)),
    ("two_user_names", datagram(USER + attribute(1))),
    ("empty_user_name", datagram(attribute(1) + PASSWORD)),
    ("two_user_passwords", datagram(USER + PASSWORD + PASSWORD)),
    ("user_password_length", datagram(USER + attribute(2))),
    ("user_password_length", datagram(USER + attribute(2, bytes(15)))),
    ("user_password_length", datagram(USER + attribute(2, bytes(17)))),
    ("user_password_length", datagram(USER + attribute(2, bytes(129)))),
    ("user_password_length", datagram(USER + attribute(2, bytes(144)))),
    ("two_chap_passwords", datagram(USER + CHAP + CHAP)),
    ("chap_password_length", datagram(USER + attribute(3))),
    ("chap_password_length", datagram(USER + attribute(3, bytes(16)))),
    ("chap_password_length", datagram(USER + attribute(3, bytes(18)))),
    ("two_kinds_of_password", datagram(USER + PASSWORD + CHAP)),
    ("two_kinds_of_password", datagram(USER + CHAP + PASSWORD)),
    ("two_states", datagram(USER + PASSWORD + STATE + STATE)),
    ("unsigned_eap_message", datagram(USER + EAP)),
    ("unsigned_eap_message", datagram(USER + attribute(79))),
    ("eap_message_with_password", datagram(USER + EAP + PASSWORD + SIGNATURE)),
    ("eap_message_with_password", datagram(SIGNATURE + CHAP + USER + EAP)),
    ("unsigned_status_server", datagram(b"", code=12)),
    ("unsigned_status_server", datagram(USER, code=12)),
    ("two_message_authenticators", datagram(SIGNATURE + SIGNATURE, code=12)),
    ("cut_attribute", datagram(SIGNATURE + b"\x20", code=12)),
)


@pytest.mark.parametrize(
    ("reason", "octets"), MALFORMED, ids=[f"{reason}-{number}" for number, (reason, _) in enumerate(MALFORMED)]
)
def test_malformed_datagrams_are_refused_by_name(reason: str, octets: bytes) -> None:
    """Each structural fault is refused, and counted under its own name."""
    with pytest.raises(MalformedPacket) as refused:
        decode(octets)
    assert refused.value.reason == reason


SOUND: Final = (
    ("PAP", USER + PASSWORD),
    ("PAP, 128 octets", USER + attribute(2, bytes(128))),
    ("CHAP", USER + CHAP + attribute(60, bytes(16))),
    ("no password, as a NAS asks with EAP or by authorise-only", USER),
    ("an answer to a challenge", USER + PASSWORD + STATE),
    ("EAP in two pieces", USER + EAP + EAP + SIGNATURE),
    ("EAP start", USER + attribute(79) + SIGNATURE),
    ("signature first", SIGNATURE + USER + PASSWORD),
    ("signature last", USER + PASSWORD + SIGNATURE),
    ("one letter", attribute(1, b"a") + PASSWORD),
    ("a name that fills its attribute", attribute(1, b"a" * 253) + PASSWORD),
    ("Proxy-State, twice the same", USER + PASSWORD + attribute(33, b"1") * 2),
    ("200 attributes", USER + attribute(26) * 199),
)


@pytest.mark.parametrize("body", [body for _, body in SOUND], ids=[name for name, _ in SOUND])
def test_sound_requests_are_decoded(body: bytes) -> None:
    """What a NAS may send is taken apart into exactly the octets that it sent."""
    packet = decode(datagram(body))
    assert (packet.code, packet.identifier, packet.authenticator) == (Code.ACCESS_REQUEST, 7, AUTHENTICATOR)
    assert b"".join(attribute(kind, value) for kind, value in packet.attributes) == body
    assert packet.raw == datagram(body)


def test_a_packet_of_4096_octets_is_decoded() -> None:
    """The longest packet that RFC 2865 allows is sound, and one octet of padding behind it changes nothing."""
    body = USER + attribute(26, bytes(253)) * 15 + attribute(26, bytes(242))
    assert len(datagram(body)) == 4096
    assert decode(datagram(body)).raw == decode(datagram(body) + b"x").raw == datagram(body)


@pytest.mark.parametrize("padding", [b"\0", b"\1\7alice", bytes(5000)])
def test_padding_is_ignored(padding: bytes) -> None:
    """Octets behind Length, even if they look like attributes, are no part of the packet."""
    assert decode(datagram(USER + PASSWORD) + padding) == decode(datagram(USER + PASSWORD))


def test_a_status_server_needs_no_user_name() -> None:
    """A signed Status-Server with nothing else is sound."""
    assert decode(datagram(SIGNATURE, code=12)).code == Code.STATUS_SERVER


@pytest.mark.parametrize(("body", "at"), [(SIGNATURE + USER, 22), (USER + PASSWORD + SIGNATURE, 47), (USER, 0)])
def test_the_place_of_the_signature_is_known(body: bytes, at: int) -> None:
    """``message_authenticator_at`` points at the 16 octets of the value, or is 0 when there are none."""
    assert decode(datagram(body)).message_authenticator_at == at


def test_first_and_all_look_attributes_up() -> None:
    """``first`` gives the first value or None, ``all`` every value in the order of the wire."""
    packet = decode(datagram(USER + attribute(33, b"b") + attribute(33, b"a")))
    assert packet.first(Attribute.PROXY_STATE) == b"b"
    assert packet.all(Attribute.PROXY_STATE) == (b"b", b"a")
    assert packet.first(Attribute.STATE) is None
    assert packet.all(Attribute.STATE) == ()


def test_a_packet_does_not_show_what_it_carries() -> None:
    """The ``repr`` of a packet shows neither authenticator nor attributes."""
    packet = decode(datagram(USER + PASSWORD + SIGNATURE))
    assert repr(packet) == "Packet(code=1, identifier=7, message_authenticator_at=47)"


# --- fuzzing ---------------------------------------------------------------------------------------------------------

signed = encode_request(
    Code.ACCESS_REQUEST,
    7,
    AUTHENTICATOR,
    [(1, b"alice"), (2, bytes(16)), (4, b"\xc0\0\2\1"), (24, b"0" * 32), (31, b"198.51.100.23"), (33, b"17")],
    SECRET,
)
attributes = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([1, 2, 3, 24, 26, 33, 79, 80]), st.integers(0, 255)),
        st.one_of(st.binary(max_size=253), st.sampled_from([bytes(16), bytes(17)])),
    ),
    max_size=14,
)


def decoded(octets: bytes) -> Packet | None:
    try:
        return decode(octets)
    except MalformedPacket:
        return None


@given(octets=st.binary(max_size=5000))
@settings(deadline=None)
def test_any_octets_are_decoded_or_refused(octets: bytes) -> None:
    """Whatever comes, the decoder answers with a packet or with MalformedPacket, and a packet is what came."""
    packet = decoded(octets)
    assert packet is None or octets.startswith(packet.raw)


@given(given_attributes=attributes, code=st.sampled_from([1, 12]), tail=st.binary(max_size=3))
@settings(deadline=None)
def test_decoding_keeps_attributes_and_their_order(
    given_attributes: list[tuple[int, bytes]], code: int, tail: bytes
) -> None:
    """A packet that is not refused holds the attributes that were put in, and encodes to the same octets again."""
    body = b"".join(attribute(kind, value) for kind, value in given_attributes)
    packet = decoded(datagram(body, code=code) + tail)
    if packet is not None:
        assert packet.attributes == tuple(given_attributes)
        again = encode_request(code, 7, AUTHENTICATOR, packet.attributes, SECRET, sign=False)
        assert again == packet.raw == datagram(body, code=code)


@given(
    changes=st.dictionaries(st.integers(0, len(signed) - 1), st.integers(0, 255), min_size=1, max_size=6),
    cut=st.integers(0, len(signed)),
)
@settings(deadline=None, max_examples=300)
def test_a_changed_packet_is_never_genuine(changes: dict[int, int], cut: int) -> None:
    """Changing or cutting a signed packet leaves something that is refused or does not verify."""
    octets = bytearray(signed)
    for at, octet in changes.items():
        octets[at] = octet
    forged = bytes(octets)[: cut or None]
    packet = decoded(forged)
    if packet is not None and packet.raw != signed:
        assert not verify_message_authenticator(packet, SECRET)


def test_every_flipped_bit_is_noticed() -> None:
    """Each single bit of a signed packet, header and attributes alike, is covered by the Message-Authenticator."""
    assert verify_message_authenticator(decode(signed), SECRET)
    for bit in range(8 * len(signed)):
        octets = bytearray(signed)
        octets[bit // 8] ^= 1 << bit % 8
        packet = decoded(bytes(octets))
        assert packet is None or not verify_message_authenticator(packet, SECRET), f"bit {bit}"
