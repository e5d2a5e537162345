"""The soft key's USB framing, packet by packet: what a broken or a second client sends, and what comes back.

Packets are written by hand here, because python-fido2 would not send most of them.
CTAP 2.1 11.2.4 (transactions and their errors) and 11.2.9 (commands).
"""

from __future__ import annotations

from typing import Final

import pytest
from fido2 import cbor

from radiusd2fa.emulators.softkey import Misbehaviour, SoftKey, memory
from radiusd2fa.emulators.softkey.ctaphid import CtapHid

NONCE: Final = b"12345678"
SELECTION: Final = b"\x0b"
PING, MSG, LOCK, INIT, WINK, CBOR, CANCEL, KEEPALIVE, ERROR = 0x81, 0x83, 0x84, 0x86, 0x88, 0x90, 0x91, 0xBB, 0xBF
BUSY: Final = 0x06


def _packet(channel: int, kind: int, content: bytes = b"", length: int | None = None) -> bytes:
    head = channel.to_bytes(4, "big") + bytes((kind,))
    if kind & 0x80:
        head += (len(content) if length is None else length).to_bytes(2, "big")
    return (head + content).ljust(64, b"\0")


def _error(channel: int, code: int) -> list[bytes]:
    return [_packet(channel, ERROR, bytes((code,)))]


class Usb:
    """A soft key in a USB port, whose clock stands still until the test moves it."""

    def __init__(self, *, u2f_only: bool = False) -> None:
        self.now = 1000.0
        self.key = SoftKey.make(b"usb", u2f_only=u2f_only, clock=lambda: self.now)
        self.hid = CtapHid(self.key)

    def open(self) -> int:
        """Return a new channel."""
        (reply,) = self.hid.receive(_packet(0xFFFFFFFF, INIT, NONCE))
        assert reply[:15] == _packet(0xFFFFFFFF, INIT, NONCE, 17)[:15]
        return int.from_bytes(reply[15:19], "big")


@pytest.fixture
def usb() -> Usb:
    """A well-behaved key that has just been plugged in."""
    return Usb()


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", [0, 1, 0xFFFFFFFF])
def test_a_channel_that_was_not_given_out(usb: Usb, channel: int) -> None:
    """Messages on no channel, on a stranger's, or on the broadcast channel: INVALID_CHANNEL."""
    assert usb.hid.receive(_packet(channel, PING, b"hello")) == _error(channel, 0x0B)


def test_init_on_a_channel_that_was_not_given_out(usb: Usb) -> None:
    """INIT resynchronises a channel of ours, and invents none."""
    assert usb.hid.receive(_packet(7, INIT, NONCE)) == _error(7, 0x0B)


def test_init_with_a_short_nonce(usb: Usb) -> None:
    """A nonce has eight octets."""
    assert usb.hid.receive(_packet(0xFFFFFFFF, INIT, b"short")) == _error(0xFFFFFFFF, 0x03)


@pytest.mark.parametrize("kind", [LOCK, 0xC0, KEEPALIVE, ERROR])
def test_a_command_that_the_key_does_not_have(usb: Usb, kind: int) -> None:
    """LOCK, vendor commands and what only keys say: INVALID_COMMAND."""
    channel = usb.open()
    assert usb.hid.receive(_packet(channel, kind)) == _error(channel, 0x01)


def test_ctap2_on_a_u2f_only_key() -> None:
    """A U2F-only key does not even know CBOR messages, and does not claim to."""
    usb = Usb(u2f_only=True)
    channel = usb.open()
    assert usb.hid.receive(_packet(channel, CBOR, b"\x04")) == _error(channel, 0x01)
    assert memory.connect(usb.key).capabilities == 1


def test_a_message_that_is_too_long(usb: Usb) -> None:
    """More than 128 continuation packets can carry: INVALID_LENGTH."""
    channel = usb.open()
    assert usb.hid.receive(_packet(channel, PING, b"x" * 57, 7610)) == _error(channel, 0x03)
    assert usb.hid.receive(_packet(channel, PING, b"x" * 57, 7609)) == []


def test_a_packet_out_of_order(usb: Usb) -> None:
    """A continuation with the wrong number ends the message: INVALID_SEQUENCE."""
    channel = usb.open()
    usb.hid.receive(_packet(channel, PING, b"x" * 57, 200))
    assert usb.hid.receive(_packet(channel, 1, b"x" * 59)) == _error(channel, 0x04)
    assert usb.hid.receive(_packet(channel, 0, b"x" * 59)) == [], "the message is over"


def test_a_packet_of_another_client_does_not_get_into_a_message(usb: Usb) -> None:
    """A continuation from another channel, or one that continues nothing, is ignored."""
    first, second = usb.open(), usb.open()
    assert usb.hid.receive(_packet(first, 0, b"y" * 59)) == []
    usb.hid.receive(_packet(first, PING, b"x" * 57, 100))
    assert usb.hid.receive(_packet(second, 0, b"y" * 59)) == []
    reply = usb.hid.receive(_packet(first, 0, b"x" * 43))
    assert len(reply) == 2
    assert b"y" not in reply[1]


def test_a_message_inside_a_message(usb: Usb) -> None:
    """A new message where a continuation is due: INVALID_SEQUENCE."""
    channel = usb.open()
    usb.hid.receive(_packet(channel, PING, b"x" * 57, 200))
    assert usb.hid.receive(_packet(channel, PING, b"hello")) == _error(channel, 0x04)


def test_a_message_whose_rest_never_comes(usb: Usb) -> None:
    """Half a second after its begin an unfinished message is over: MESSAGE_TIMEOUT."""
    channel = usb.open()
    usb.hid.receive(_packet(channel, PING, b"x" * 57, 200))
    usb.now += 0.4
    assert usb.hid.poll() == []
    usb.now += 0.2
    assert usb.hid.poll() == _error(channel, 0x05)
    assert not usb.hid.is_busy


def test_a_second_channel_is_busy(usb: Usb) -> None:
    """While one client sends or waits for a touch the other is told BUSY, and the first is not disturbed."""
    first, second = usb.open(), usb.open()
    usb.hid.receive(_packet(first, PING, b"x" * 57, 100))
    assert usb.hid.receive(_packet(second, PING, b"hello")) == _error(second, BUSY)
    assert len(usb.hid.receive(_packet(first, 0, b"x" * 43))) == 2
    usb.key.misbehaviour = Misbehaviour(never_touched=True)
    usb.hid.receive(_packet(first, CBOR, SELECTION))
    assert usb.hid.receive(_packet(second, PING, b"hello")) == _error(second, BUSY)
    usb.key.misbehaviour = Misbehaviour()
    assert usb.hid.poll() == [_packet(first, CBOR, b"\0")]


def test_a_stranger_cannot_cancel(usb: Usb) -> None:
    """CANCEL works on the channel that waits; on another, and where nobody waits, it is ignored."""
    usb.key.misbehaviour = Misbehaviour(never_touched=True)
    first, second = usb.open(), usb.open()
    assert usb.hid.receive(_packet(first, CANCEL)) == []
    usb.hid.receive(_packet(first, CBOR, SELECTION))
    assert usb.hid.receive(_packet(second, CANCEL)) == []
    assert usb.hid.is_busy
    assert usb.hid.receive(_packet(first, CANCEL)) == [_packet(first, CBOR, b"\x2d")]
    assert not usb.hid.is_busy


@pytest.mark.parametrize("apdu", [b"", b"\x00\x03"])
def test_u2f_that_is_no_apdu(usb: Usb, apdu: bytes) -> None:
    """A U2F message that cannot be read ends with "wrong length"."""
    channel = usb.open()
    assert usb.hid.receive(_packet(channel, MSG, apdu)) == [_packet(channel, MSG, b"\x67\x00")]


# --- accepted --------------------------------------------------------------------------------------------------------


def test_channels_differ_and_cannot_be_taken_for_a_report_id(usb: Usb) -> None:
    """Each client gets a channel of its own, whose first octet is not 0."""
    channels = {usb.open() for _ in range(20)}
    assert len(channels) == 20
    assert all(channel >> 24 not in {0, 0xFF} for channel in channels)


@pytest.mark.parametrize("length", [0, 1, 57, 58, 116, 117, 1000, 7609])
def test_pings_of_every_size_come_back(length: int) -> None:
    """What is cut into packets on one side is whole on the other."""
    content = bytes(place % 251 for place in range(length))
    assert memory.connect(SoftKey.make()).ping(content) == content


def test_wink(usb: Usb) -> None:
    """WINK is answered, and can be seen."""
    channel = usb.open()
    assert usb.hid.receive(_packet(channel, WINK)) == [_packet(channel, WINK)]
    assert usb.hid.winks == 1


def test_keep_alives_until_the_touch(usb: Usb) -> None:
    """The first keep-alive comes at once, the others in their rhythm, and after the touch the reply."""
    touched = False
    usb.key.touch = lambda _asked: touched
    channel = usb.open()
    keep_alive = _packet(channel, KEEPALIVE, b"\x02")
    assert usb.hid.receive(_packet(channel, CBOR, SELECTION)) == [keep_alive]
    usb.now += 0.05
    assert usb.hid.poll() == []
    usb.now += 0.06
    assert usb.hid.poll() == [keep_alive]
    usb.key.misbehaviour = Misbehaviour(keep_alive_every=5.0)
    usb.now += 0.11
    assert usb.hid.poll() == [keep_alive]
    usb.now += 4.9
    assert usb.hid.poll() == []
    touched = True
    assert usb.hid.poll() == [_packet(channel, CBOR, b"\0")]


def test_init_on_a_channel_ends_what_it_was_doing(usb: Usb) -> None:
    """A client that has lost its place says INIT on its channel and can begin anew."""
    usb.key.misbehaviour = Misbehaviour(never_touched=True)
    channel = usb.open()
    for begun in (_packet(channel, CBOR, SELECTION), _packet(channel, PING, b"x" * 57, 200)):
        usb.hid.receive(begun)
        assert usb.hid.is_busy
        (reply,) = usb.hid.receive(_packet(channel, INIT, NONCE))
        assert reply[15:19] == channel.to_bytes(4, "big")
        assert not usb.hid.is_busy


def test_long_requests_reach_the_key_whole(usb: Usb) -> None:
    """A CTAP2 request over several packets is put together and obeyed."""
    channel = usb.open()
    request = b"\x02" + cbor.encode(
        {1: "auth.example.org", 2: bytes(32), 3: [{"id": b"x" * 100, "type": "public-key"}]}
    )
    assert usb.hid.receive(_packet(channel, CBOR, request[:57], len(request))) == []
    assert usb.hid.receive(_packet(channel, 0, request[57:116])) == []
    assert usb.hid.receive(_packet(channel, 1, request[116:])) == [_packet(channel, CBOR, b"\x2e")]
