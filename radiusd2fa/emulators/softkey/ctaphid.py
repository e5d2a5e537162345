"""CTAPHID as an emulated key speaks it: 64-octet packets in, 64-octet packets out.

It reads no device and waits for nobody: a transport hands in packets and polls while a touch is awaited.
CTAP 2.1 11.2 (USB HID).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from radiusd2fa.emulators.softkey import ctap2, u2f
from radiusd2fa.emulators.softkey.key import SoftKey, Waiting
from radiusd2fa.emulators.softkey.misbehaviour import Unplug
from radiusd2fa.emulators.softkey.status import Status, refusal

PACKET_OCTETS: Final = 64
BROADCAST: Final = 0xFFFFFFFF
FIRST_CHANNEL: Final = 0x52000001
"""Its first octet is never 0, so a packet can be told from the report id 0 that some clients write before it."""
MAX_PAYLOAD_OCTETS: Final = PACKET_OCTETS - 7 + 128 * (PACKET_OCTETS - 5)
MESSAGE_TIMEOUT: Final = 0.5
"""Seconds for the rest of a message to come."""
_NONCE_OCTETS: Final = 8
_INIT_PACKET: Final = 0x80
_PROTOCOL_VERSION: Final = 2
_CAN_WINK: Final = 0x01
_CAN_CBOR: Final = 0x04
_UP_NEEDED: Final = b"\x02"


class HidCommand(IntEnum):
    """What a message is."""

    PING = 0x01
    MSG = 0x03
    INIT = 0x06
    WINK = 0x08
    CBOR = 0x10
    CANCEL = 0x11
    KEEPALIVE = 0x3B
    ERROR = 0x3F


class HidError(IntEnum):
    """Why a message was refused."""

    INVALID_COMMAND = 0x01
    INVALID_LENGTH = 0x03
    INVALID_SEQUENCE = 0x04
    MESSAGE_TIMEOUT = 0x05
    CHANNEL_BUSY = 0x06
    INVALID_CHANNEL = 0x0B


@dataclass(slots=True)
class Incoming:
    """A message of which not all has come yet."""

    channel: int
    command: int
    length: int
    content: bytes
    next_sequence: int
    since: float


@dataclass(slots=True)
class Blinking:
    """A command that waits to be touched."""

    channel: int
    waiting: Waiting
    keep_alive_at: float


class CtapHid:
    """The USB side of one key. `gone` is set when the key has been pulled out."""

    def __init__(self, key: SoftKey) -> None:
        self.key = key
        self.gone = False
        self.winks = 0
        self._channels: set[int] = set()
        self._incoming: Incoming | None = None
        self._blinking: Blinking | None = None

    @property
    def is_busy(self) -> bool:
        """Whether `poll` has to be called: a touch is awaited, or the rest of a message."""
        return self._incoming is not None or self._blinking is not None

    def abandon(self) -> None:
        """Forget what was going on: its client is gone."""
        self._incoming = self._blinking = None

    def receive(self, packet: bytes) -> list[bytes]:
        """Take one packet of 64 octets; return what the key sends back at once."""
        if self.key.misbehaviour.dead:
            return []
        channel, kind = int.from_bytes(packet[:4], "big"), packet[4]
        if not kind & _INIT_PACKET:
            return self._continue(channel, kind, packet[5:])
        command, length, content = kind & ~_INIT_PACKET, int.from_bytes(packet[5:7], "big"), packet[7:]
        if command == HidCommand.INIT:
            return self._init(channel, length, content)
        if channel not in self._channels:
            return _error(channel, HidError.INVALID_CHANNEL)
        if command == HidCommand.CANCEL:
            return self._cancel(channel)
        if self._incoming is not None and self._incoming.channel == channel:
            self._incoming = None
            return _error(channel, HidError.INVALID_SEQUENCE)
        if self.is_busy:
            return _error(channel, HidError.CHANNEL_BUSY)
        if length > MAX_PAYLOAD_OCTETS:
            return _error(channel, HidError.INVALID_LENGTH)
        if length > len(content):
            self._incoming = Incoming(channel, command, length, content, 0, self.key.clock())
            return []
        return self._obey(channel, command, content[:length])

    def poll(self) -> list[bytes]:
        """Return what time has brought: a keep-alive, the reply after a touch, or the end of a message's time."""
        now = self.key.clock()
        if self._incoming is not None and now - self._incoming.since >= MESSAGE_TIMEOUT:
            channel, self._incoming = self._incoming.channel, None
            return _error(channel, HidError.MESSAGE_TIMEOUT)
        blinking = self._blinking
        if blinking is None:
            return []
        reply = blinking.waiting.poll()
        if reply is not None:
            self._blinking = None
            return self._send(_packets(blinking.channel, HidCommand.CBOR, reply))
        if now < blinking.keep_alive_at:
            return []
        blinking.keep_alive_at = now + self.key.misbehaviour.keep_alive_every
        return _packets(blinking.channel, HidCommand.KEEPALIVE, _UP_NEEDED)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _init(self, channel: int, length: int, content: bytes) -> list[bytes]:
        if length != _NONCE_OCTETS:
            return _error(channel, HidError.INVALID_LENGTH)
        if channel == BROADCAST:
            given = FIRST_CHANNEL + len(self._channels)
            self._channels.add(given)
        elif channel in self._channels:
            given = channel
            self._drop(channel)  # "it will abort the current transaction" of this channel
        else:
            return _error(channel, HidError.INVALID_CHANNEL)
        capabilities = _CAN_WINK if self.key.state.u2f_only else _CAN_WINK | _CAN_CBOR
        about = bytes((_PROTOCOL_VERSION, 0, 0, ctap2.FIRMWARE, capabilities))
        return _packets(channel, HidCommand.INIT, content[:length] + given.to_bytes(4, "big") + about)

    def _continue(self, channel: int, sequence: int, content: bytes) -> list[bytes]:
        incoming = self._incoming
        if incoming is None or incoming.channel != channel:
            return []  # "Spurious continuation packets ... will be ignored"
        if sequence != incoming.next_sequence:
            self._incoming = None
            return _error(channel, HidError.INVALID_SEQUENCE)
        incoming.content += content
        incoming.next_sequence += 1
        if len(incoming.content) < incoming.length:
            return []
        self._incoming = None
        return self._obey(channel, incoming.command, incoming.content[: incoming.length])

    def _cancel(self, channel: int) -> list[bytes]:
        blinking = self._blinking
        if blinking is None or blinking.channel != channel:
            return []
        self._blinking = None
        return _packets(channel, HidCommand.CBOR, refusal(Status.KEEPALIVE_CANCEL))

    def _drop(self, channel: int) -> None:
        if self._incoming is not None and self._incoming.channel == channel:
            self._incoming = None
        if self._blinking is not None and self._blinking.channel == channel:
            self._blinking = None

    def _obey(self, channel: int, command: int, content: bytes) -> list[bytes]:
        match command:
            case HidCommand.PING:
                return _packets(channel, command, content)
            case HidCommand.WINK:
                self.winks += 1
                return _packets(channel, command, b"")
            case HidCommand.MSG:
                return self._u2f(channel, content)
            case HidCommand.CBOR if not self.key.state.u2f_only:
                return self._ctap2(channel, content)
            case _:
                return _error(channel, HidError.INVALID_COMMAND)

    def _u2f(self, channel: int, content: bytes) -> list[bytes]:
        apdu = u2f.read_apdu(content)
        asks = u2f.needs_touch(apdu)
        if asks and self.key.misbehaviour.silent:
            return []
        reply = u2f.StatusWord.WRONG_LENGTH.octets() if apdu is None else u2f.answer(self.key, apdu)
        if asks and len(reply) <= 2 and self.key.misbehaviour.unplug is Unplug.WAITING:
            self.gone = True
            return []
        packets = _packets(channel, HidCommand.MSG, reply)
        return self._send(packets) if asks and len(reply) > 2 else packets

    def _ctap2(self, channel: int, content: bytes) -> list[bytes]:
        if ctap2.needs_touch(content) and self.key.misbehaviour.silent:
            return []
        reply = ctap2.answer(self.key, content)
        if isinstance(reply, bytes):
            return _packets(channel, HidCommand.CBOR, reply)
        self.gone = self.key.misbehaviour.unplug is Unplug.WAITING
        keep_alive_at = self.key.clock() + self.key.misbehaviour.keep_alive_every
        self._blinking = Blinking(channel, reply, keep_alive_at)
        # No person is quicker than the first keep-alive, and by it clients know that they have to ask for the touch.
        # The key looks at its button before that, so that a touch which answers the keep-alive comes after its start.
        after = self.poll()
        return _packets(channel, HidCommand.KEEPALIVE, _UP_NEEDED) + after

    def _send(self, packets: list[bytes]) -> list[bytes]:
        """Send what a touch has earned, unless the key is pulled out in the middle of it."""
        if self.key.misbehaviour.unplug is not Unplug.ANSWERING:
            return packets
        self.gone = True
        return packets[:1]


def _packets(channel: int, command: int, content: bytes) -> list[bytes]:
    """Cut a message into packets."""
    name = channel.to_bytes(4, "big")
    head = name + bytes((_INIT_PACKET | command,)) + len(content).to_bytes(2, "big")
    room = PACKET_OCTETS - len(head)
    packets = [(head + content[:room]).ljust(PACKET_OCTETS, b"\0")]
    step = PACKET_OCTETS - 5
    for sequence, at in enumerate(range(room, len(content), step)):
        packets.append((name + bytes((sequence,)) + content[at : at + step]).ljust(PACKET_OCTETS, b"\0"))
    return packets


def _error(channel: int, error: HidError) -> list[bytes]:
    return _packets(channel, HidCommand.ERROR, bytes((error,)))
