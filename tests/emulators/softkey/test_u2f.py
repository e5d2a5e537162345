"""The soft key's U2F commands: APDUs that do not add up, refusals by status word, and what python-fido2 accepts.

Its `RegistrationData` and `SignatureData` verify signatures with code of their own.
FIDO U2F raw message formats 1.2; ISO 7816-4 5.1.
"""

from __future__ import annotations

from typing import Final

import pytest
from fido2.ctap1 import APDU, ApduError, Ctap1

from radiusd2fa.emulators.softkey import PinPolicy, SoftKey, TouchRequest, memory
from radiusd2fa.emulators.softkey.u2f import Apdu, answer, read_apdu

CLIENT: Final = b"c" * 32
APP: Final = b"a" * 32


def _register(key: SoftKey) -> bytes:
    return Ctap1(memory.connect(key)).register(CLIENT, APP).key_handle


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "000300",
        "00030000" + "0000",  # the begin of an extended length
        "00030000" + "0201",  # two octets are said, one is there
        "00030000" + "01aabbcc",  # more after the expected length
        "00030000" + "000002aa",  # two octets are said in the extended way
        "00030000" + "000001aabb",  # one octet of an expected length of two
        "00030000" + "000001aabbccdd",
    ],
)
def test_an_apdu_that_does_not_add_up(octets: str) -> None:
    """A command whose lengths contradict each other is not read."""
    assert read_apdu(bytes.fromhex(octets)) is None


@pytest.mark.parametrize(
    ("octets", "apdu"),
    [
        ("00030000", Apdu(bytes.fromhex("00030000"))),
        ("0003000010", Apdu(bytes.fromhex("00030000"), expected=16)),
        ("0003000000", Apdu(bytes.fromhex("00030000"), expected=256)),
        ("0003000002aabb", Apdu(bytes.fromhex("00030000"), b"\xaa\xbb")),
        ("0003000002aabb20", Apdu(bytes.fromhex("00030000"), b"\xaa\xbb", 32)),
        ("00030000000000", Apdu(bytes.fromhex("00030000"), expected=65536, extended=True)),
        ("00030000000002aabb", Apdu(bytes.fromhex("00030000"), b"\xaa\xbb", 65536, extended=True)),
        ("00030000000002aabb0100", Apdu(bytes.fromhex("00030000"), b"\xaa\xbb", 256, extended=True)),
    ],
)
def test_apdus(octets: str, apdu: Apdu) -> None:
    """Short and extended APDUs are read in each of the four cases of ISO 7816-4."""
    assert read_apdu(bytes.fromhex(octets)) == apdu


@pytest.mark.parametrize(
    ("header", "data", "status"),
    [
        ("80010000", b"", 0x6E00),  # the class of another applet
        ("00040000", b"", 0x6D00),
        ("00010000", CLIENT, 0x6700),
        ("00010000", CLIENT + APP + b"\0", 0x6700),
        ("00020300", b"", 0x6700),
        ("00020300", CLIENT + APP, 0x6700),
        ("00020300", CLIENT + APP + b"\x02k", 0x6700),
        ("00020300", CLIENT + APP + b"\x01kk", 0x6700),
        ("00020300", CLIENT + APP + b"\x02kk", 0x6A80),  # a key handle of nobody
        ("00020700", CLIENT + APP + b"\x02kk", 0x6A80),
        ("00030000", b"?", 0x6700),
    ],
)
def test_refused(header: str, data: bytes, status: int) -> None:
    """A command that is no U2F, or of the wrong length, or about an unknown key handle, ends with its status word."""
    assert answer(SoftKey.make(), Apdu(bytes.fromhex(header), data)) == status.to_bytes(2, "big")


def test_a_check_signs_nothing() -> None:
    """Check-only tells a known key handle by "conditions not satisfied", and the counter stays."""
    key = SoftKey.make()
    handle = _register(key)
    with pytest.raises(ApduError) as known:
        Ctap1(memory.connect(key)).authenticate(CLIENT, APP, handle, check_only=True)
    assert known.value.code == APDU.USE_NOT_SATISFIED
    assert key.state.counter == 0


def test_an_unknown_control_octet_is_refused() -> None:
    """Only 03, 07 and 08 say how to authenticate."""
    key = SoftKey.make()
    handle = _register(key)
    data = CLIENT + APP + bytes((len(handle),)) + handle
    assert answer(key, Apdu(bytes.fromhex("00020400"), data)) == b"\x6a\x86"


def test_without_a_touch_nothing_is_made() -> None:
    """Nobody touches the key: "conditions not satisfied" at once, for a registration and for a login."""
    key = SoftKey.make()
    handle = _register(key)
    key.touch = lambda _asked: False
    data = CLIENT + APP + bytes((len(handle),)) + handle
    assert answer(key, Apdu(bytes.fromhex("00010000"), CLIENT + APP)) == b"\x69\x85"
    assert answer(key, Apdu(bytes.fromhex("00020300"), data)) == b"\x69\x85"


def test_another_application_does_not_get_the_key() -> None:
    """A key handle is good for the application that it was made for."""
    key = SoftKey.make()
    handle = _register(key)
    with pytest.raises(ApduError) as refused:
        Ctap1(memory.connect(key)).authenticate(CLIENT, b"b" * 32, handle)
    assert refused.value.code == APDU.WRONG_DATA


def test_an_ed25519_credential_is_none_of_u2f() -> None:
    """U2F has one algorithm: the key handle of another is unknown to it."""
    from radiusd2fa.emulators.softkey.credential import Algorithm

    key = SoftKey.make()
    handle, _ = key.new_credential(Algorithm.EDDSA, APP)
    with pytest.raises(ApduError) as refused:
        Ctap1(memory.connect(key)).authenticate(CLIENT, APP, handle)
    assert refused.value.code == APDU.WRONG_DATA


def test_a_key_that_always_wants_its_pin_speaks_no_u2f() -> None:
    """U2F cannot carry a PIN, so such a key has none of its commands."""
    key = SoftKey.make(pin_policy=PinPolicy.ALWAYS)
    with pytest.raises(ApduError) as refused:
        Ctap1(memory.connect(key)).register(CLIENT, APP)
    assert refused.value.code == 0x6D00


def test_the_same_wait_goes_on_and_another_begins_anew() -> None:
    """A client that asks again soon is still waiting; one that comes back later, or for something else, begins at 0."""
    now = 100.0
    waited: list[float] = []

    def nobody(asked: TouchRequest) -> bool:
        waited.append(asked.waited)
        return False

    key = SoftKey.make(clock=lambda: now, touch=nobody)
    register = Apdu(bytes.fromhex("00010000"), CLIENT + APP)
    for step in (0.0, 0.5, 1.0, 9.0):
        now += step
        answer(key, register)
    assert waited == [0.0, 0.5, 1.5, 0.0]


def test_register_and_authenticate() -> None:
    """A registration and two logins verify by python-fido2, with the user present and a growing counter."""
    client = Ctap1(memory.connect(SoftKey.make(u2f_only=True)))
    assert client.get_version() == "U2F_V2"
    made = client.register(CLIENT, APP)
    made.verify(APP, CLIENT)
    first, second = (client.authenticate(CLIENT, APP, made.key_handle) for _ in range(2))
    for signed in (first, second):
        signed.verify(APP, CLIENT, made.public_key)
        assert signed.user_presence == 1
    assert first.counter < second.counter


def test_a_signature_without_presence_says_so() -> None:
    """With the control octet 08 the key signs untouched, and UP is 0."""
    key = SoftKey.make()
    handle = _register(key)
    key.touch = lambda _asked: False
    reply = answer(key, Apdu(bytes.fromhex("00020800"), CLIENT + APP + bytes((len(handle),)) + handle))
    assert (reply[0], reply[-2:]) == (0, b"\x90\x00")
