"""The soft key as a card, APDU by APDU: what is refused, chains and cut responses, and a card that waits.

No reader is here; test_reader.py has the real pcscd.
CTAP 2.1 11.3 (NFC); ISO 7816-4 5.1.1 (chaining), 7.6.1 (GET RESPONSE).
"""

from __future__ import annotations

from typing import Final

import pytest
from fido2 import cbor

from radiusd2fa.emulators.softkey import Misbehaviour, PinPolicy, SoftKey, Unplug
from radiusd2fa.emulators.softkey.nfc import ATR, Card

SELECT: Final = bytes.fromhex("00a4040008a0000006472f000100")
GET_INFO: Final = bytes.fromhex("80108000010400")
SELECTION: Final = bytes.fromhex("80108000010b00")
NEXT: Final = bytes.fromhex("8011000000")
CANCEL: Final = bytes.fromhex("8011110000")
VERSION: Final = bytes.fromhex("0003000000")
MAKE: Final = b"\x01" + cbor.encode(
    {
        1: bytes(32),
        2: {"id": "auth.example.org"},
        3: {"id": b"\x01" * 64, "name": "a" * 60},
        4: [{"alg": alg, "type": "public-key"} for alg in (-257, -36, -7)],
    }
)


def _card(key: SoftKey | None = None) -> Card:
    """A card that is in the field, with our applet selected."""
    card = Card(key or SoftKey.make())
    card.power_up()
    answer = card.exchange(SELECT)
    assert answer is not None
    assert answer[-2:] == b"\x90\x00"
    return card


def _chained(message: bytes, last: bytes = b"\0") -> list[bytes]:
    """A CTAP2 request in short APDUs of 250 octets."""
    parts = [message[at : at + 250] for at in range(0, len(message), 250)]
    chained = [bytes.fromhex("90108000") + bytes((len(part),)) + part for part in parts[:-1]]
    return [*chained, bytes.fromhex("80108000") + bytes((len(parts[-1]),)) + parts[-1] + last]


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        ("00a40400", "6a82"),  # no applet's name
        ("00a4040008a0000006472f000200", "6a82"),
        ("0010", "6700"),
        ("8012000000", "6d00"),
        ("8011000000", "6985"),  # nothing is being waited for
        ("00c0000000", "6985"),  # there is no rest
        ("8003000000", "6d00"),
        ("0042000000", "6d00"),
    ],
)
def test_refused(apdu: str, status: str) -> None:
    """An APDU that means nothing here ends with its status word."""
    assert _card().exchange(bytes.fromhex(apdu)) == bytes.fromhex(status)


@pytest.mark.parametrize("apdu", [GET_INFO, VERSION])
def test_nothing_works_before_the_applet_is_selected(apdu: bytes) -> None:
    """Before SELECT, after the selection of something else, and after a reset, the key says nothing of itself."""
    card = _card()
    card.exchange(bytes.fromhex("00a4040001aa"))
    assert card.exchange(apdu) == bytes.fromhex("6986")
    card.exchange(SELECT)
    card.power_up()
    assert card.exchange(apdu) == bytes.fromhex("6986")


def test_a_chain_without_end_is_refused() -> None:
    """A chain longer than any request is dropped, and a new one begins at its beginning."""
    card = _card()
    link = bytes.fromhex("90108000fa") + bytes(250)
    answers = [card.exchange(link) for _ in range(5)]
    assert answers == [b"\x90\x00"] * 4 + [b"\x67\x00"]
    answer = card.exchange(GET_INFO)
    assert answer is not None
    assert answer[0] == 0


def test_a_u2f_only_card_has_no_ctap2() -> None:
    """The CTAP2 instruction is unknown to it, and U2F works."""
    card = _card(SoftKey.make(u2f_only=True))
    assert card.exchange(GET_INFO) == bytes.fromhex("6d00")
    assert card.exchange(VERSION) == b"U2F_V2\x90\x00"


def test_a_touch_that_never_comes() -> None:
    """A client that cannot ask later gets a time-out at once, one that can is told "not yet" until it cancels."""
    card = _card()
    card.key.misbehaviour = Misbehaviour(never_touched=True)
    assert card.exchange(bytes.fromhex("80100000010b00")) == b"\x2f\x90\x00"
    assert card.exchange(SELECTION) == bytes.fromhex("029100")
    assert card.exchange(NEXT) == bytes.fromhex("029100")
    assert card.exchange(CANCEL) == b"\x2d\x90\x00"
    assert card.exchange(NEXT) == b"\x69\x85"


def test_a_dead_card_and_a_silent_one() -> None:
    """A dead card answers nothing, a silent one nothing that wants a touch."""
    card = _card()
    card.key.misbehaviour = Misbehaviour(silent=True)
    assert card.exchange(SELECTION) is None
    assert card.exchange(bytes.fromhex("00010000")) is None
    assert card.exchange(VERSION) is not None
    card.key.misbehaviour = Misbehaviour(dead=True)
    assert card.exchange(VERSION) is None


@pytest.mark.parametrize("unplug", [Unplug.WAITING, Unplug.ANSWERING])
def test_a_card_that_is_taken_away(unplug: Unplug) -> None:
    """The card leaves the field while it waits, or before what a touch has earned is said."""
    card = _card(SoftKey.make(touch=lambda _asked: unplug is Unplug.ANSWERING))
    card.key.misbehaviour = Misbehaviour(unplug=unplug)
    assert card.exchange(GET_INFO) is not None
    assert not card.gone
    assert card.exchange(SELECTION) is None
    assert card.gone


def test_a_touch_that_comes_late() -> None:
    """Until the touch "not yet", afterwards the reply, once."""
    touched = False
    card = _card(SoftKey.make(touch=lambda _asked: touched))
    assert card.exchange(SELECTION) == bytes.fromhex("029100")
    touched = True
    assert card.exchange(NEXT) == b"\0\x90\x00"
    assert card.exchange(NEXT) == b"\x69\x85"


def test_chained_request_and_cut_response() -> None:
    """A long request in two APDUs; its response in parts of 256, of which the last says how long it is."""
    card = _card()
    first, last = _chained(MAKE)
    assert card.exchange(first) == b"\x90\x00"
    answer = card.exchange(last)
    assert answer is not None
    whole = b""
    while answer[-2] == 0x61:
        assert len(answer) == 258
        whole += answer[:-2]
        answer = card.exchange(bytes.fromhex("00c00000") + answer[-1:])
        assert answer is not None
    whole += answer[:-2]
    assert answer[-2:] == b"\x90\x00"
    assert whole[0] == 0
    assert cbor.encode(cbor.decode(whole[1:])) == whole[1:]
    assert card.exchange(bytes.fromhex("00c0000000")) == b"\x69\x85", "the rest is given once"


def test_an_extended_apdu_is_answered_whole() -> None:
    """A client that sends extended APDUs gets the response in one piece."""
    answer = _card().exchange(bytes.fromhex("80108000") + len(MAKE).to_bytes(3, "big") + MAKE + bytes(2))
    assert answer is not None
    assert answer[0] == 0
    assert answer[-2:] == b"\x90\x00"
    assert len(answer) > 600


def test_a_short_expected_length_is_kept() -> None:
    """A client that asks for four octets gets four, and is told of the others."""
    card = _card()
    assert card.exchange(bytes.fromhex("0003000004")) == b"U2F_\x61\x02"
    assert card.exchange(bytes.fromhex("00c0000002")) == b"V2\x90\x00"


def test_the_version_that_is_selected() -> None:
    """SELECT says U2F_V2, or FIDO_2_0 where the key has no U2F."""
    assert Card(SoftKey.make()).exchange(SELECT) == b"U2F_V2\x90\x00"
    assert Card(SoftKey.make(pin_policy=PinPolicy.ALWAYS)).exchange(SELECT) == b"FIDO_2_0\x90\x00"


def test_the_atr_adds_up() -> None:
    """The check octet makes the XOR of all octets after the first 0."""
    total = 0
    for octet in ATR[1:]:
        total ^= octet
    assert (ATR[0], total) == (0x3B, 0)
