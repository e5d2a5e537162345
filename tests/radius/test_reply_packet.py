"""Replies of an upstream server: each fault by its name, each changed bit refused, pyrad's own replies read.

Replies are put together and signed octet by octet here, not with the encoder under test.
RFC 2865 3, RFC 3579 3.2, RFC 2869 5.10; CVE-2024-3596.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket

from radiusd2fa.radius.packet import MalformedPacket, Packet, encode_request
from radiusd2fa.radius.reply_packet import read_reply
from radiusd2fa.radius.upstream import (
    MAX_PROMPT,
    PROMPT_WITHOUT_WORDS,
    asked_about,
    is_hidden,
    is_sendable,
    passed_back,
    prompt_of,
)

SECRET: Final = b"correct horse battery staple"
IDENTIFIER: Final = 77
AUTHENTICATOR: Final = bytes(range(100, 116))
REQUEST: Final = encode_request(1, IDENTIFIER, AUTHENTICATOR, [(1, b"alice"), (2, bytes(16))], SECRET)

ACCEPT, REJECT, CHALLENGE = 2, 3, 11


def attribute(kind: int, value: bytes = b"") -> bytes:
    """One attribute on the wire."""
    return bytes((kind, len(value) + 2)) + value


BLANK: Final = attribute(80, bytes(16))


def reply(
    body: bytes,
    *,
    code: int = ACCEPT,
    identifier: int = IDENTIFIER,
    authenticator: bytes = AUTHENTICATOR,
    secret: bytes = SECRET,
    length: int | None = None,
    signature: bytes | None = None,
) -> bytes:
    """A reply; the first blank Message-Authenticator in ``body`` is filled in, with the right one if none is given."""
    head = struct.pack(">BBH", code, identifier, 20 + len(body) if length is None else length)
    right = hmac.digest(secret, head + authenticator + body, "md5")
    body = body.replace(BLANK, attribute(80, right if signature is None else signature), 1)
    return head + hashlib.md5(head + authenticator + body + secret, usedforsecurity=False).digest() + body


SOUND: Final = reply(BLANK + attribute(18, b"welcome"))
STATE: Final = attribute(24, b"s")

IGNORED: Final = (
    ("short_header", b""),
    ("short_header", SOUND[:19]),
    ("unexpected_code", reply(BLANK, code=0)),
    ("unexpected_code", reply(BLANK, code=1)),
    ("unexpected_code", reply(BLANK, code=4)),
    ("unexpected_code", reply(BLANK, code=5)),
    ("unexpected_code", reply(BLANK, code=12)),
    ("unexpected_code", reply(BLANK, code=40)),
    ("unexpected_code", reply(BLANK, code=255)),
    ("wrong_identifier", reply(BLANK, identifier=IDENTIFIER + 1)),
    ("bad_length", reply(BLANK, length=19)),
    ("bad_length", reply(BLANK, length=0)),
    ("short_datagram", reply(BLANK, length=39)),
    ("short_datagram", SOUND[:-1]),
    ("long_datagram", SOUND.ljust(4097, b"\0")),
    ("long_datagram", reply(BLANK + attribute(26, bytes(253)) * 16 + attribute(26, bytes(15)), length=4096)),
    ("wrong_response_authenticator", reply(BLANK, authenticator=bytes(16))),
    ("wrong_response_authenticator", reply(BLANK, secret=b"another")),
    ("wrong_response_authenticator", SOUND[:4] + bytes(16) + SOUND[20:]),
    ("wrong_response_authenticator", bytes((REJECT,)) + SOUND[1:]),
    ("no_message_authenticator", reply(b"")),
    ("no_message_authenticator", reply(attribute(18, b"welcome"))),
    ("no_message_authenticator", reply(b"", code=REJECT)),
    ("wrong_message_authenticator", reply(BLANK, signature=bytes(16))),
    ("wrong_message_authenticator", reply(attribute(18, b"welcome") + BLANK, signature=bytes(15) + b"\1")),
    ("wrong_message_authenticator", reply(BLANK, signature=hmac.digest(SECRET, SOUND, "md5"))),
    ("two_message_authenticators", reply(BLANK + BLANK)),
    ("message_authenticator_length", reply(attribute(80))),
    ("message_authenticator_length", reply(attribute(80, bytes(15)))),
    ("message_authenticator_length", reply(attribute(80, bytes(17)))),
    ("two_states", reply(BLANK + STATE + STATE, code=CHALLENGE)),
    ("attribute_type_zero", reply(BLANK + attribute(0, b"x"))),
    ("attribute_type_zero", reply(BLANK + bytes(2))),
    ("short_attribute", reply(BLANK + b"\x12\x00")),
    ("short_attribute", reply(BLANK + b"\x12\x01")),
    ("cut_attribute", reply(BLANK + b"\x12")),
    ("cut_attribute", reply(BLANK + b"\x12\xff")),
    ("cut_attribute", reply(BLANK[:-1])),
    ("too_many_attributes", reply(BLANK + attribute(26) * 200)),
)


@pytest.mark.parametrize(("reason", "octets"), IGNORED, ids=[f"{word}-{at}" for at, (word, _) in enumerate(IGNORED)])
def test_what_is_no_sound_reply_is_refused_by_name(reason: str, octets: bytes) -> None:
    """Each fault is refused and has its own name, also where the secret is right."""
    with pytest.raises(MalformedPacket) as refused:
        read_reply(octets, REQUEST, SECRET)
    assert refused.value.reason == reason


def test_every_changed_bit_is_refused() -> None:
    """No bit of a signed reply can be changed, the unused ones of its Message-Authenticator included."""
    for bit in range(len(SOUND) * 8):
        changed = bytearray(SOUND)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MalformedPacket):
            read_reply(bytes(changed), REQUEST, SECRET)


def test_a_reply_to_another_request_is_refused() -> None:
    """What is right for one Request Authenticator is nothing for the next request, even with the same identifier."""
    other = encode_request(1, IDENTIFIER, bytes(16), [(1, b"alice")], SECRET)
    with pytest.raises(MalformedPacket, match="wrong_response_authenticator"):
        read_reply(SOUND, other, SECRET)


@given(st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_no_octets_break_the_reader(body: bytes) -> None:
    """Whatever stands in a reply, it is read or refused; a reply without a valid signature is never read."""
    try:
        read = read_reply(reply(body), REQUEST, SECRET)
    except MalformedPacket:
        return
    assert read.message_authenticator_at


def test_an_unsigned_reply_is_read_only_where_that_is_allowed() -> None:
    """Without the requirement the Response Authenticator alone is enough, but a wrong Message-Authenticator is not."""
    read = read_reply(reply(attribute(18, b"welcome")), REQUEST, SECRET, require_message_authenticator=False)
    assert read.first(18) == b"welcome"
    with pytest.raises(MalformedPacket, match="wrong_message_authenticator"):
        read_reply(reply(BLANK, signature=bytes(16)), REQUEST, SECRET, require_message_authenticator=False)


@pytest.mark.parametrize("code", [ACCEPT, REJECT, CHALLENGE])
@pytest.mark.parametrize("body", [BLANK + STATE, STATE + BLANK, STATE + BLANK + attribute(25, b"class")])
def test_a_signed_reply_is_read(code: int, body: bytes) -> None:
    """The signature may stand anywhere; code and attributes come as they were sent."""
    read = read_reply(reply(body, code=code), REQUEST, SECRET)
    assert read.code == code
    assert read.first(24) == b"s"
    assert [kind for kind, _ in read.attributes].count(80) == 1


def test_padding_is_ignored() -> None:
    """Octets behind Length are not part of the reply (RFC 2865 3)."""
    assert read_reply(SOUND + b"\x18\x03x", REQUEST, SECRET).first(24) is None


def test_a_reply_of_4096_octets_is_read() -> None:
    """The largest reply that the protocol knows."""
    body = BLANK + attribute(26, bytes(253)) * 15 + attribute(26, bytes(231))
    assert len(reply(body)) == 4096
    assert len(read_reply(reply(body), REQUEST, SECRET).all(26)) == 16


@pytest.mark.parametrize("code", [AccessAccept, AccessReject, AccessChallenge])
def test_pyrads_replies_are_read(code: int) -> None:
    """Another implementation's signatures are found right, and wrong under another secret."""
    request = AuthPacket(code=1, id=IDENTIFIER, secret=SECRET, authenticator=AUTHENTICATOR)
    answer = request.CreateReply()
    answer.code = code
    answer[18] = [b"welcome"]
    answer.add_message_authenticator()
    octets = answer.ReplyPacket()
    assert read_reply(octets, REQUEST, SECRET).first(18) == b"welcome"
    with pytest.raises(MalformedPacket):
        read_reply(octets, REQUEST, b"another")


# --- what is told to the upstream ------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [b"\0", b"secret\0", b"sec\0ret", b"x" * 129])
def test_a_password_that_would_not_arrive_whole_is_not_sendable(password: bytes) -> None:
    """Octets that padding, a C string or the size of the attribute would take away do not go upstream."""
    assert not is_sendable(password)


@pytest.mark.parametrize("password", [b"", b"x", bytes(range(1, 129)), b"\xff\xfe"])
def test_other_passwords_arrive_whole(password: bytes) -> None:
    """Up to 128 octets, of which none need be text."""
    assert is_sendable(password)


GIVEN: Final = [(kind, b"%d" % kind) for kind in range(1, 256)]


def test_only_what_was_chosen_goes_on() -> None:
    """The name is told first, then the chosen attributes, in the NAS's order; nothing else."""
    assert asked_about("alice", GIVEN, (31, 4, 32), "ours") == [(1, b"alice"), (4, b"4"), (31, b"31"), (32, b"32")]


def test_what_is_between_the_nas_and_us_never_goes_on() -> None:
    """Passwords, State, Proxy-State, EAP and signatures stay here, even when the settings choose everything."""
    told = [kind for kind, _ in asked_about("alice", GIVEN, range(256), "ours")]
    assert not {2, 3, 18, 24, 33, 60, 79, 80} & set(told)
    assert told.count(1) == 1
    assert len(told) == 255 - 8


def test_our_own_nas_identifier_stands_in() -> None:
    """A request without a NAS-Identifier to pass on has ours; an attribute without a value is left out."""
    assert asked_about("zoë", [(32, b"nas"), (31, b"")], (31,), "ours") == [(1, "zoë".encode()), (32, b"ours")]


# --- what comes back -------------------------------------------------------------------------------------------------

MICROSOFT: Final = (311).to_bytes(4, "big")
KEYS: Final = {
    "MS-MPPE-Send-Key": MICROSOFT + attribute(16, bytes(34)),
    "MS-MPPE-Recv-Key": MICROSOFT + attribute(17, bytes(34)),
    "MS-CHAP-MPPE-Keys": MICROSOFT + attribute(12, bytes(32)),
    "a key behind something else": MICROSOFT + attribute(7, bytes(4)) + attribute(17, bytes(34)),
    "a length of 0": MICROSOFT + b"\x07\x00" + attribute(17, bytes(34)),
    "a cut head": MICROSOFT + b"\x07",
}


@pytest.mark.parametrize("value", KEYS.values(), ids=KEYS.keys())
def test_keys_are_not_passed_back(value: bytes) -> None:
    """What is encrypted with the upstream's secret is useless to our NAS and is dropped, or may be that."""
    assert passed_back([(26, value)], (26,)) == ()


def test_what_is_between_the_upstream_and_us_never_comes_back() -> None:
    """State, texts, signatures and Tunnel-Password stay here, even when the settings choose everything."""
    back = {kind for kind, _ in passed_back(GIVEN, range(256))}
    assert back == set(range(1, 256)) - {2, 3, 18, 24, 33, 60, 69, 76, 79, 80}


def test_only_what_was_chosen_comes_back() -> None:
    """Attributes come in the upstream's order, each as often as there, those without a value not at all."""
    cisco = (9).to_bytes(4, "big") + attribute(1, b"shell:priv-lvl=15")
    quarantine = MICROSOFT + attribute(7, bytes(4))
    given = [(25, b"a"), (26, cisco), (11, b"filter"), (25, b"b"), (26, quarantine), (25, b"")]
    assert passed_back(given, (25, 26)) == ((25, b"a"), (26, cisco), (25, b"b"), (26, quarantine))
    assert passed_back(given, ()) == ()


def challenge(*texts: bytes, prompt: bytes | None = None) -> Packet:
    """An Access-Challenge with these Reply-Messages."""
    body = BLANK + b"".join(attribute(18, text) for text in texts)
    if prompt is not None:
        body += attribute(76, prompt)
    return read_reply(reply(body, code=CHALLENGE), REQUEST, SECRET)


PROMPTS: Final = (
    ((), PROMPT_WITHOUT_WORDS),
    ((b"",), PROMPT_WITHOUT_WORDS),
    ((b" \r\n\t",), PROMPT_WITHOUT_WORDS),
    ((b"\x1b\x07",), PROMPT_WITHOUT_WORDS),
    ((b"\xff\xfe",), PROMPT_WITHOUT_WORDS),
    ((b"Code:",), "Code: "),
    ((b"Code: ",), "Code: "),
    ((b"Enter\r\nyour code\n",), "Enter your code "),
    ((b"\x1b[31mred",), "[31mred "),
    ((b"<b>bold</b> & more",), "b bold /b more "),
    ((b"first", b"second"), "first second "),
    (("Código: ".encode(),), "Código: "),
    (("\u202ereversed\u2028".encode(),), "reversed "),
    ((b"x" * 253,), "x" * 199 + " "),
    ((b"x" * 99 + b" " * 154, b"y"), "x" * 99 + " y "),
    ((b" " * 252 + "ö".encode()[:1], "ö".encode()[1:]), "ö "),
)


@pytest.mark.parametrize(("texts", "shown"), PROMPTS, ids=[str(at) for at in range(len(PROMPTS))])
def test_a_question_is_one_printable_line(texts: tuple[bytes, ...], shown: str) -> None:
    """Several texts are one, controls and markup are gone, it is never empty and at most 200 characters long."""
    assert prompt_of(challenge(*texts)) == shown


@given(st.lists(st.binary(max_size=253), max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_question_can_steer_a_terminal(texts: list[bytes]) -> None:
    """Whatever the upstream writes, what is shown is printable, short and no markup."""
    shown = prompt_of(challenge(*texts))
    assert shown.isprintable()
    assert 0 < len(shown.strip()) < len(shown) <= MAX_PROMPT
    assert not set("<>&") & set(shown)


@pytest.mark.parametrize(
    ("prompt", "hidden"), [(None, True), (bytes(4), True), (b"\0\0\0\1", False), (b"\1", True), (b"\0\0\0\2", True)]
)
def test_an_answer_is_hidden_unless_the_upstream_says_echo(prompt: bytes | None, *, hidden: bool) -> None:
    """Only Prompt = Echo shows what is typed (RFC 2869 5.10)."""
    assert is_hidden(challenge(b"Code:", prompt=prompt)) is hidden
