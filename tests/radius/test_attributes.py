"""Values of attributes: what counts as text, what a log may show, and which requests ask for MS-CHAP.

Packets come from the encoder; no value here is ever a secret.
RFC 2865 sections 5.18, 5.26 and 5.31; RFC 2548 section 2.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radiusd2fa.radius.attributes import Attribute, caller, is_mschap, reply_message, text
from radiusd2fa.radius.packet import Packet, decode, encode_request

MICROSOFT: Final = b"\x00\x00\x01\x37"


def packet(*attributes: tuple[int, bytes]) -> Packet:
    return decode(encode_request(1, 7, bytes(16), [(1, b"alice"), *attributes], b"secret"))


@pytest.mark.parametrize(
    "value",
    [
        b"\xff",
        b"al\xffice",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"j\xc3",
        b"alice\0",
        b"alice\n",
        b"a\tb",
        b"\x1b[31m",
        b"\x7f",
        "\x85".encode(),
        "\x9b".encode(),
        "\u2028".encode(),
        "\u2029".encode(),
        "\u202eecila".encode(),
        "\u200balice".encode(),
        "\ufeffalice".encode(),
        "a\u00a0b".encode(),
    ],
)
def test_what_could_break_a_line_is_no_text(value: bytes) -> None:
    """Broken UTF-8, controls, line separators and invisible characters are refused, not repaired."""
    assert text(value) is None


@pytest.mark.parametrize("value", ["", "alice", "jörg", "CORP\\alice", "alice@example.org", "a b", "李", "🔑"])
def test_printable_text_is_text(value: str) -> None:
    """Names of all scripts pass unchanged."""
    assert text(value.encode()) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"198.51.100.23", "198.51.100.23"),
        (b"10.99.0.2[4500]", "10.99.0.2[4500]"),
        ("büro".encode(), "büro"),
        (b"", ""),
        (b"a\nb", "a\\nb"),
        (b"\x1b[2Ja", "\\x1b[2Ja"),
        (b"a\xffb", "a\\xffb"),
        ("a\u2028b".encode(), "a\\u2028b"),
        (b"\0", "\\x00"),
        (b"\xff" * 253, ("\\xff" * 64)[:253]),
    ],
)
def test_the_caller_is_shown_safely(value: bytes, shown: str) -> None:
    """Calling-Station-Id is shown as it is, or with what is not printable escaped."""
    assert caller(packet((31, value))) == shown


def test_no_calling_station_is_no_caller() -> None:
    """A request without Calling-Station-Id has the caller ""."""
    assert caller(packet()) == ""


@given(value=st.binary(max_size=253))
def test_no_caller_can_forge_a_log_line(value: bytes) -> None:
    """Whatever the octets, the caller is printable and at most 253 characters long."""
    shown = caller(packet((31, value)))
    assert shown.isprintable()
    assert len(shown) <= 253


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MICROSOFT + b"\x01\x34" + bytes(50), True),
        (MICROSOFT + b"\x0b\x12" + bytes(16), True),
        (MICROSOFT + b"\x19\x34" + bytes(50), True),
        (MICROSOFT + b"\x07\x06\0\0\0\1" + b"\x19\x34" + bytes(50), True),
        (MICROSOFT + b"\x07\x06\0\0\0\1", False),
        (MICROSOFT + b"\x07\x00\x19\x34", True),
        (MICROSOFT + b"\x07\x06\0\x19\x01\x0b", False),
        (MICROSOFT + b"\x19", False),
        (MICROSOFT, False),
        (b"\x00\x00\x01", False),
        (b"", False),
        (b"\x00\x00\x00\x09" + b"\x19\x34" + bytes(50), False),
    ],
)
def test_mschap_is_recognised(value: bytes, expected: bool) -> None:
    """MS-CHAP-Response, -Challenge and MS-CHAP2-Response are seen, also behind another of Microsoft's attributes."""
    assert is_mschap(packet((26, value))) is expected
    assert is_mschap(packet((26, b"\0\0\0\x09\1\4ab"), (26, value))) is expected


@given(value=st.binary(max_size=253))
def test_no_vendor_attribute_stops_the_walk(value: bytes) -> None:
    """Whatever a Vendor-Specific attribute holds, the question has an answer."""
    assert is_mschap(packet((26, MICROSOFT[: len(value) % 5] + value[:249]))) in {True, False}


@example(message="x" * 253)
@example(message="x" * 254)
@example(message="é" * 127)
@example(message="x" * 252 + "李")
@example(message="x" * 250 + "🔑")
@given(message=st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_a_message_is_cut_between_characters(message: str) -> None:
    """One Reply-Message holds as many whole characters as fit 253 octets, and all of them if they fit."""
    kind, value = reply_message(message)
    shown = value.decode()
    assert kind == Attribute.REPLY_MESSAGE
    assert message.startswith(shown)
    assert len(value) <= 253
    assert shown == message or len(value) + len(message[len(shown)].encode()) > 253


def test_attribute_numbers_are_those_of_the_rfcs() -> None:
    """The numbers that this server reads by name."""
    assert {member.name: member.value for member in Attribute} == {
        "USER_NAME": 1,
        "USER_PASSWORD": 2,
        "CHAP_PASSWORD": 3,
        "NAS_IP_ADDRESS": 4,
        "NAS_PORT": 5,
        "SERVICE_TYPE": 6,
        "REPLY_MESSAGE": 18,
        "STATE": 24,
        "VENDOR_SPECIFIC": 26,
        "CALLING_STATION_ID": 31,
        "NAS_IDENTIFIER": 32,
        "PROXY_STATE": 33,
        "CHAP_CHALLENGE": 60,
        "NAS_PORT_TYPE": 61,
        "PROMPT": 76,
        "EAP_MESSAGE": 79,
        "MESSAGE_AUTHENTICATOR": 80,
        "NAS_IPV6_ADDRESS": 95,
    }
