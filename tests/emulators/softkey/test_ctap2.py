"""The soft key's CTAP2 commands octet by octet: what it refuses, and by which status.

Requests are written with python-fido2's CBOR; nothing here goes through a client that would tidy them up.
CTAP 2.1 6.1, 6.2, 6.4, 6.6, 6.9 and 8.2.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from fido2 import cbor

from radiusd2fa.emulators.softkey import Misbehaviour, PinPolicy, SoftKey
from radiusd2fa.emulators.softkey.credential import Algorithm, hash_of
from radiusd2fa.emulators.softkey.ctap2 import answer
from radiusd2fa.emulators.softkey.key import Waiting

HASH: Final = bytes(32)
MAKE: Final[dict[int, Any]] = {
    1: HASH,
    2: {"id": "auth.example.org", "name": "Example"},
    3: {"id": b"\x01", "name": "alice"},
    4: [{"alg": -7, "type": "public-key"}],
}
GET: Final[dict[int, Any]] = {1: "auth.example.org", 2: HASH}


def _request(command: int, parameters: dict[int, Any]) -> bytes:
    return bytes((command,)) + cbor.encode(parameters)


def _reply(key: SoftKey, request: bytes) -> bytes:
    """The reply, after a touch where one is wanted."""
    outcome = answer(key, request)
    if isinstance(outcome, Waiting):
        reply = outcome.poll()
        assert reply is not None
        return reply
    return outcome


def _make(key: SoftKey) -> dict[str, Any]:
    """Register; the descriptor of the new credential."""
    reply = _reply(key, _request(1, MAKE))
    assert reply[0] == 0
    data = cbor.decode(reply[1:])[2]  # type: ignore[index]  # CBOR may hold anything
    assert isinstance(data, bytes)
    return {"id": data[55 : 55 + int.from_bytes(data[53:55], "big")], "type": "public-key"}


REFUSED: Final[list[tuple[str, bytes, int]]] = [
    ("nothing", b"", 0x03),
    ("a command that is not there", b"\x0a", 0x01),
    ("getNextAssertion: there is never another", b"\x08", 0x30),
    ("no CBOR", b"\x01\xff", 0x12),
    ("CBOR that ends early", b"\x01\xa1\x01", 0x12),
    ("a list for a map", b"\x01\x80", 0x12),
    ("two things", b"\x01\xa0\xa0", 0x12),
    ("a number written too long", b"\x02\xa1\x18\x01\x61a", 0x12),
    ("the same name twice", b"\x02\xa2\x01\x61a\x01\x61b", 0x12),
    ("1,100 lists in each other", b"\x01" + b"\x81" * 1100, 0x12),
    ("too long", b"\x01" + bytes(1200), 0x39),
    ("no user", _request(1, {1: HASH, 2: MAKE[2], 4: MAKE[4]}), 0x14),
    ("a user without id", _request(1, MAKE | {3: {"name": "alice"}}), 0x14),
    ("a relying party without id", _request(1, MAKE | {2: {"name": "Example"}}), 0x14),
    ("a hash that is text", _request(1, MAKE | {1: "x"}), 0x11),
    ("a truth for a number", _request(1, MAKE | {9: True}), 0x11),
    ("RS256 alone", _request(1, MAKE | {4: [{"alg": -257, "type": "public-key"}]}), 0x26),
    ("an algorithm of another type", _request(1, MAKE | {4: [{"alg": -7, "type": "secret"}]}), 0x26),
    ("an algorithm without type", _request(1, MAKE | {4: [{"alg": -7}]}), 0x12),
    ("a discoverable credential", _request(1, MAKE | {7: {"rk": True}}), 0x2B),
    ("its own user verification", _request(1, MAKE | {7: {"uv": True}}), 0x2C),
    ("a registration without touch", _request(1, MAKE | {7: {"up": False}}), 0x2C),
    ("an option that is no truth", _request(1, MAKE | {7: {"rk": 1}}), 0x11),
    ("enterprise attestation", _request(1, MAKE | {10: 1}), 0x02),
    ("a proof without protocol", _request(1, MAKE | {8: bytes(32)}), 0x14),
    ("a proof of protocol 3", _request(1, MAKE | {8: bytes(32), 9: 3}), 0x02),
    ("a proof without token", _request(1, MAKE | {8: bytes(32), 9: 2}), 0x33),
    ("an empty proof on a key without PIN", _request(1, MAKE | {8: b""}), 0x35),
    ("no relying party", _request(2, {2: HASH}), 0x14),
    ("its own user verification, at login", _request(2, GET | {5: {"uv": True}}), 0x2C),
    ("an empty proof at login", _request(2, GET | {6: b""}), 0x35),
    ("a proof without token, at login", _request(2, GET | {6: bytes(32), 7: 2}), 0x33),
    ("no list: only discoverable ones would do", _request(2, GET), 0x2E),
    ("an empty list", _request(2, GET | {3: []}), 0x2E),
    ("a list of other things", _request(2, GET | {3: [1, {"id": "x"}, {"id": bytes(62)}]}), 0x2E),
    ("an unknown credential", _request(2, GET | {3: [{"id": bytes(62), "type": "public-key"}]}), 0x2E),
    ("a credential id of one octet", _request(2, GET | {3: [{"id": b"\x01", "type": "public-key"}]}), 0x2E),
]


@pytest.mark.parametrize(("octets", "status"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(octets: bytes, status: int) -> None:
    """The request ends with the status that the specification names for it, and the counter stays where it was."""
    key = SoftKey.make(b"one")
    assert _reply(key, octets) == bytes((status,))
    assert key.state.counter == 0


def test_a_u2f_only_key_knows_no_ctap2() -> None:
    """A U2F-only key answers even getInfo with "invalid command"."""
    assert _reply(SoftKey.make(u2f_only=True), b"\x04") == b"\x01"


def test_a_credential_of_another_type_is_not_used() -> None:
    """A descriptor must say public-key: the right id under another type is unknown."""
    key = SoftKey.make()
    descriptor = _make(key) | {"type": "secret"}
    assert _reply(key, _request(2, GET | {3: [descriptor]})) == b"\x2e"


@pytest.mark.parametrize(("policy", "is_refused_login"), [(PinPolicy.TO_REGISTER, False), (PinPolicy.ALWAYS, True)])
def test_a_client_that_forgets_the_pin(policy: PinPolicy, is_refused_login: bool) -> None:
    """A key that wants its PIN is not satisfied by a client that sends no proof: PUAT_REQUIRED."""
    key = SoftKey.make(pin="314159", pin_policy=policy)
    assert _reply(key, _request(1, MAKE)) == b"\x36"
    credential_id, _ = key.new_credential(Algorithm.ES256, hash_of("auth.example.org"))
    login = GET | {3: [{"id": credential_id, "type": "public-key"}]}
    assert (_reply(key, _request(2, login)) == b"\x36") == is_refused_login
    assert _reply(key, _request(2, login | {5: {"up": False}}))[0] == 0, "a look wants no PIN"


def test_a_touch_that_does_not_come_is_a_time_out() -> None:
    """After its own 30 seconds the key stops blinking: USER_ACTION_TIMEOUT, and nothing was made."""
    now = 1000.0
    key = SoftKey.make(clock=lambda: now)
    key.misbehaviour = Misbehaviour(never_touched=True)
    waiting = answer(key, _request(1, MAKE))
    assert isinstance(waiting, Waiting)
    assert waiting.poll() is None
    now += 29.9
    assert waiting.poll() is None
    now += 0.1
    assert waiting.poll() == b"\x2f"
    assert key.state.counter == 0


def test_the_key_says_what_it_is() -> None:
    """`getInfo` names versions, model, options and algorithms, in canonical CBOR."""
    reply = _reply(SoftKey.make(aaguid=b"A" * 16), b"\x04")
    info: Any = cbor.decode(reply[1:])
    assert (reply[0], cbor.encode(info)) == (0, reply[1:])
    assert info[1] == ["U2F_V2", "FIDO_2_0", "FIDO_2_1"]
    assert info[3] == b"A" * 16
    assert info[4] == {
        "rk": False,
        "up": True,
        "clientPin": False,
        "pinUvAuthToken": True,
        "makeCredUvNotRqd": True,
    }
    assert [algorithm["alg"] for algorithm in info[0x0A]] == [-7, -8]


def test_a_key_that_always_wants_its_pin_offers_no_u2f() -> None:
    """`alwaysUv` is said, and U2F, which knows no PIN, is not offered."""
    info: Any = cbor.decode(_reply(SoftKey.make(pin_policy=PinPolicy.ALWAYS), b"\x04")[1:])
    assert info[1] == ["FIDO_2_0", "FIDO_2_1"]
    assert info[4]["alwaysUv"] is True
    assert info[4]["makeCredUvNotRqd"] is False


def test_a_look_before_the_login_needs_no_touch() -> None:
    """With `up` off the key says at once whether it knows a credential, signs with UP = 0, and counts."""
    key = SoftKey.make()
    descriptor = _make(key)
    key.misbehaviour = Misbehaviour(never_touched=True)
    before = key.state.counter
    reply = answer(key, _request(2, GET | {3: [descriptor], 5: {"up": False}}))
    assert isinstance(reply, bytes)
    said: Any = cbor.decode(reply[1:])
    assert said[2][32] == 0
    assert key.state.counter == before + 1


def test_the_first_algorithm_of_the_client_is_taken() -> None:
    """The client's order decides, and unknown algorithms before it do not matter."""
    offered = [
        {"alg": -257, "type": "public-key"},
        {"alg": -8, "type": "public-key"},
        {"alg": -7, "type": "public-key"},
    ]
    reply: Any = cbor.decode(_reply(SoftKey.make(), _request(1, MAKE | {4: offered}))[1:])
    assert b"\x03\x27" in reply[2][55:], "the COSE key says EdDSA"


def test_reset_forgets_every_credential() -> None:
    """After a touched reset no old credential is known, there is no PIN, and the counter goes on."""
    key = SoftKey.make(pin="314159")
    descriptor = _make(key)
    counter = key.state.counter
    assert _reply(key, b"\x07") == b"\0"
    assert _reply(key, _request(2, GET | {3: [descriptor]})) == b"\x2e"
    assert key.state.pin_hash is None
    assert key.state.counter == counter


def test_selection_is_a_touch_and_nothing_else() -> None:
    """A touched selection is answered with success."""
    assert _reply(SoftKey.make(), b"\x0b") == b"\0"
