"""An emulated key as a contactless card: APDUs in, responses and status words out.

It opens no reader and waits for nobody: on NFC the tap is the touch, and a key that still wants one says "not yet".
CTAP 2.1 11.3 (NFC), ISO 7816-4 5.1 (APDUs, command chaining, GET RESPONSE), PC/SC 3 3.1.3.2.3 (ATR).
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import xor
from typing import Final

from radiusd2fa.emulators.softkey import ctap2, u2f
from radiusd2fa.emulators.softkey.key import SoftKey, Waiting
from radiusd2fa.emulators.softkey.misbehaviour import Unplug
from radiusd2fa.emulators.softkey.state import PinPolicy
from radiusd2fa.emulators.softkey.status import Status, refusal
from radiusd2fa.emulators.softkey.u2f import Apdu, StatusWord, read_apdu

APPLET: Final = bytes.fromhex("a0000006472f0001")
_CHAINING: Final = 0x10
_CTAP_CLASS: Final = 0x80
_CTAP_MESSAGE: Final = 0x10
_CTAP_GET_RESPONSE: Final = 0x11
_CAN_ASK_LATER: Final = 0x80
_CANCEL: Final = 0x11
_SELECT: Final = 0xA4
_GET_RESPONSE: Final = 0xC0
_UP_NEEDED: Final = b"\x02"
_NOT_YET: Final = b"\x91\x00"
_SHORT: Final = 256
_HISTORICAL: Final = b"softkey"


def _atr() -> bytes:
    body = bytes((0x80 | len(_HISTORICAL), 0x80, 0x01)) + _HISTORICAL  # T=1, no voltage, no clock to agree on
    return b"\x3b" + body + bytes((reduce(xor, body),))


ATR: Final = _atr()


class Card:
    """One key held to a reader. `gone` is set when it has been taken away."""

    def __init__(self, key: SoftKey) -> None:
        self.key = key
        self.gone = False
        self._selected = False
        self._chained = b""
        self._rest = b""
        self._waiting: Waiting | None = None

    def power_up(self) -> None:
        """Enter the reader's field, anew."""
        self.key.power_up()
        self._selected, self._chained, self._rest, self._waiting = False, b"", b"", None

    def exchange(self, octets: bytes) -> bytes | None:
        """Answer one command APDU; None where the key says nothing."""
        apdu = read_apdu(octets)
        if self.key.misbehaviour.dead:
            return None
        if apdu is None:
            return StatusWord.WRONG_LENGTH.octets()
        if apdu.header[:2] == bytes((0, _GET_RESPONSE)):
            return self._next_part(apdu)
        if apdu.cla & _CHAINING:
            self._chained += apdu.data
            if len(self._chained) > ctap2.MAX_MESSAGE_OCTETS:
                self._chained = b""
                return StatusWord.WRONG_LENGTH.octets()
            return StatusWord.OK.octets()
        apdu, self._chained = replace(apdu, data=self._chained + apdu.data), b""
        return self._obey(apdu)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _obey(self, apdu: Apdu) -> bytes | None:
        if apdu.header[:2] == bytes((0, _SELECT)):
            return self._select(apdu)
        if not self._selected:
            return StatusWord.COMMAND_NOT_ALLOWED.octets()
        needs_touch = u2f.needs_touch(apdu) or (self._is_message(apdu) and ctap2.needs_touch(apdu.data))
        if needs_touch and self.key.misbehaviour.silent:
            return None
        reply = self._ctap2(apdu) if apdu.cla == _CTAP_CLASS else u2f.answer(self.key, apdu)
        if self._is_taken_away(needs_touch=needs_touch):
            return None
        return self._first_part(apdu, reply[:-2], reply[-2:])

    def _select(self, apdu: Apdu) -> bytes:
        self._selected = apdu.data == APPLET
        if not self._selected:
            return StatusWord.FILE_NOT_FOUND.octets()
        speaks_u2f = self.key.state.pin_policy is not PinPolicy.ALWAYS
        return (u2f.VERSION if speaks_u2f else b"FIDO_2_0") + StatusWord.OK.octets()

    def _is_message(self, apdu: Apdu) -> bool:
        return apdu.cla == _CTAP_CLASS and apdu.ins == _CTAP_MESSAGE

    def _is_taken_away(self, *, needs_touch: bool) -> bool:
        unplug = self.key.misbehaviour.unplug
        waits = self._waiting is not None
        self.gone = (unplug is Unplug.WAITING and waits) or (unplug is Unplug.ANSWERING and needs_touch and not waits)
        return self.gone

    def _ctap2(self, apdu: Apdu) -> bytes:
        match apdu.ins:
            case _ if self.key.state.u2f_only:
                return StatusWord.INS_NOT_SUPPORTED.octets()
            case 0x10:
                reply = ctap2.answer(self.key, apdu.data)
                if isinstance(reply, bytes):
                    return reply + StatusWord.OK.octets()
                self._waiting = reply
                return self._look(may_ask_later=bool(apdu.p1 & _CAN_ASK_LATER))
            case 0x11 if self._waiting is None:
                return StatusWord.CONDITIONS_NOT_SATISFIED.octets()
            case 0x11 if apdu.p1 == _CANCEL:
                self._waiting = None
                return refusal(Status.KEEPALIVE_CANCEL) + StatusWord.OK.octets()
            case 0x11:
                return self._look(may_ask_later=True)
            case _:
                return StatusWord.INS_NOT_SUPPORTED.octets()

    def _look(self, *, may_ask_later: bool) -> bytes:
        """Say what the touch has earned, or that it has not come."""
        reply = None if self._waiting is None else self._waiting.poll()
        if reply is None and may_ask_later:
            return _UP_NEEDED + _NOT_YET
        self._waiting = None
        return (refusal(Status.USER_ACTION_TIMEOUT) if reply is None else reply) + StatusWord.OK.octets()

    def _first_part(self, apdu: Apdu, content: bytes, status: bytes) -> bytes:
        if len(content) <= apdu.expected:
            return content + status
        self._rest = content[apdu.expected :]
        return content[: apdu.expected] + self._more()

    def _next_part(self, apdu: Apdu) -> bytes:
        if not self._rest:
            return StatusWord.CONDITIONS_NOT_SATISFIED.octets()
        part, self._rest = self._rest[: apdu.expected], self._rest[apdu.expected :]
        return part + (self._more() if self._rest else StatusWord.OK.octets())

    def _more(self) -> bytes:
        # ISO 7816-4: 61xx, "xx: number of data bytes still available", 00 for 256 and more
        return bytes((0x61, len(self._rest) if len(self._rest) < _SHORT else 0))
