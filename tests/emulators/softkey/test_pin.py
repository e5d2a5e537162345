"""The soft key's PIN, by python-fido2's ClientPin over both protocols: set, changed, guessed wrong, blocked.

What a stranger without the PIN can get is tested first.
CTAP 2.1 6.5.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import pytest
from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin, PinProtocol, PinProtocolV1, PinProtocolV2

from radiusd2fa.emulators.softkey import KeyFileError, SoftKey, memory

from .ceremonies import PIN, RP_ID

ERR: Final = CtapError.ERR
MAKE: Final = ClientPin.PERMISSION.MAKE_CREDENTIAL
GET: Final = ClientPin.PERMISSION.GET_ASSERTION
HASH: Final = bytes(32)
BOTH: Final = pytest.mark.parametrize("protocol", [PinProtocolV1(), PinProtocolV2()], ids=["protocol 1", "protocol 2"])


def _client(key: SoftKey, protocol: PinProtocol) -> ClientPin:
    return ClientPin(Ctap2(memory.connect(key)), protocol)


def _make(client: ClientPin, token: bytes, rp_id: str = RP_ID) -> int:
    """Make a credential by a token; the flags that the key said."""
    made = client.ctap.make_credential(
        HASH,
        {"id": rp_id},
        {"id": b"\x01"},
        [{"alg": -7, "type": "public-key"}],
        pin_uv_param=client.protocol.authenticate(token, HASH),
        pin_uv_protocol=client.protocol.VERSION,
    )
    return made.auth_data.flags


def _code(refused: pytest.ExceptionInfo[CtapError]) -> Any:  # noqa: ANN401 python-fido2 has two enums for codes
    return refused.value.code


@BOTH
def test_wrong_pins_block_the_key(protocol: PinProtocol) -> None:
    """Three wrong PINs in a row want a power cycle, eight want a reset; then even the right PIN gets nothing."""
    key = SoftKey.make(pin=PIN)
    client = _client(key, protocol)
    for attempt in range(1, 9):
        with pytest.raises(CtapError) as refused:
            client.get_pin_token("000000")
        expected = ERR.PIN_BLOCKED if attempt == 8 else ERR.PIN_AUTH_BLOCKED if attempt % 3 == 0 else ERR.PIN_INVALID
        assert _code(refused) == expected
        assert client.get_pin_retries() == (8 - attempt, attempt % 3 == 0)
        if attempt % 3 == 0:
            with pytest.raises(CtapError) as blocked:
                client.get_pin_token(PIN)
            assert _code(blocked) == ERR.PIN_AUTH_BLOCKED
            assert key.state.pin_retries == 8 - attempt, "a blocked try is no try"
            key.power_up()
    with pytest.raises(CtapError) as blocked:
        client.get_pin_token(PIN)
    assert _code(blocked) == ERR.PIN_BLOCKED
    with pytest.raises(CtapError) as blocked:
        client.change_pin(PIN, "000000")
    assert _code(blocked) == ERR.PIN_BLOCKED


@BOTH
def test_a_pin_is_changed_only_with_the_old_one(protocol: PinProtocol) -> None:
    """A wrong old PIN changes nothing and costs a try; `setPIN` on a key that has one is refused."""
    key = SoftKey.make(pin=PIN)
    client, before = _client(key, protocol), key.state.pin_hash
    with pytest.raises(CtapError) as refused:
        client.change_pin("000000", "271828")
    assert _code(refused) == ERR.PIN_INVALID
    with pytest.raises(CtapError) as refused:
        client.set_pin("271828")
    assert _code(refused) == ERR.PIN_AUTH_INVALID
    assert (key.state.pin_hash, key.state.pin_retries) == (before, 7)


@BOTH
def test_a_pin_that_is_too_short_is_refused(protocol: PinProtocol) -> None:
    """Four characters, not four octets: three times two octets are too short, and so is nothing."""
    key = SoftKey.make()
    client = _client(key, protocol)
    for padded in ("äöü".encode().ljust(64, b"\0"), bytes(64)):
        agreement, secret = client._get_shared_secret()  # type: ignore[no-untyped-call]  # theirs
        new_pin = protocol.encrypt(secret, padded)
        with pytest.raises(CtapError) as refused:
            client.ctap.client_pin(
                protocol.VERSION, 3, agreement, protocol.authenticate(secret, new_pin), new_pin_enc=new_pin
            )
        assert _code(refused) == ERR.PIN_POLICY_VIOLATION
    assert key.state.pin_hash is None


@BOTH
def test_a_tampered_pin_is_refused(protocol: PinProtocol) -> None:
    """A new PIN whose proof does not fit is not set, nor one of another length."""
    key = SoftKey.make()
    client = _client(key, protocol)
    agreement, secret = client._get_shared_secret()  # type: ignore[no-untyped-call]  # theirs
    new_pin = protocol.encrypt(secret, PIN.encode().ljust(64, b"\0"))
    with pytest.raises(CtapError) as refused:
        client.ctap.client_pin(protocol.VERSION, 3, agreement, bytes(32), new_pin_enc=new_pin)
    assert _code(refused) == ERR.PIN_AUTH_INVALID
    short = new_pin[:-16]
    with pytest.raises(CtapError) as refused:
        client.ctap.client_pin(protocol.VERSION, 3, agreement, protocol.authenticate(secret, short), new_pin_enc=short)
    assert _code(refused) == ERR.INVALID_PARAMETER
    assert key.state.pin_hash is None


@BOTH
def test_a_tampered_change_is_refused(protocol: PinProtocol) -> None:
    """A change whose proof does not fit is refused before a try is spent, though the old PIN in it is right."""
    key = SoftKey.make(pin=PIN)
    client, before = _client(key, protocol), key.state.pin_hash
    agreement, secret = client._get_shared_secret()  # type: ignore[no-untyped-call]  # theirs
    new_pin = protocol.encrypt(secret, b"271828".ljust(64, b"\0"))
    old_hash = protocol.encrypt(secret, hashlib.sha256(PIN.encode()).digest()[:16])
    with pytest.raises(CtapError) as refused:
        client.ctap.client_pin(protocol.VERSION, 4, agreement, bytes(32), new_pin_enc=new_pin, pin_hash_enc=old_hash)
    assert _code(refused) == ERR.PIN_AUTH_INVALID
    assert (key.state.pin_hash, key.state.pin_retries) == (before, 8)


def _agreement(key: SoftKey) -> dict[int, Any]:
    """The key's own half, as good as any point of the curve."""
    client = _client(key, PinProtocolV2())
    return dict(client.ctap.client_pin(2, 2)[1])


PARAMETERS: Final[list[tuple[str, dict[str, Any], int]]] = [
    ("an unknown subcommand", {"sub_cmd": 0x42}, ERR.INVALID_SUBCOMMAND),
    ("a fingerprint's token", {"sub_cmd": 6}, ERR.INVALID_SUBCOMMAND),
    ("protocol 3", {"pin_uv_protocol": 3}, ERR.INVALID_PARAMETER),
    ("no hash", {"pin_hash_enc": None}, ERR.MISSING_PARAMETER),
    ("no half of the agreement", {"key_agreement": None}, ERR.MISSING_PARAMETER),
    ("a point off the curve", {"key_agreement": {-2: bytes(32), -3: bytes(32)}}, ERR.INVALID_PARAMETER),
    ("half a point", {"key_agreement": {-2: bytes(32)}}, ERR.INVALID_PARAMETER),
    ("no permissions", {"permissions": None}, ERR.MISSING_PARAMETER),
    ("the permission to do nothing", {"permissions": 0}, ERR.INVALID_PARAMETER),
    ("the permission to manage credentials", {"permissions": 4}, ERR.UNAUTHORIZED_PERMISSION),
    ("no relying party", {"permissions_rpid": None}, ERR.MISSING_PARAMETER),
    ("permissions in the old subcommand", {"sub_cmd": 5}, ERR.INVALID_PARAMETER),
    ("a hash of an impossible length", {"pin_hash_enc": bytes(17)}, ERR.PIN_INVALID),
]


@pytest.mark.parametrize(("change", "code"), [case[1:] for case in PARAMETERS], ids=[case[0] for case in PARAMETERS])
def test_odd_requests_for_a_token(change: dict[str, Any], code: int) -> None:
    """A request that is not as the specification has it gets its own refusal, and never a token."""
    key = SoftKey.make(pin=PIN)
    asked: dict[str, Any] = {
        "pin_uv_protocol": 2,
        "sub_cmd": 9,
        "key_agreement": _agreement(key),
        "pin_hash_enc": bytes(32),
        "permissions": MAKE,
        "permissions_rpid": RP_ID,
    }
    with pytest.raises(CtapError) as refused:
        Ctap2(memory.connect(key)).client_pin(**asked | change)
    assert _code(refused) == code
    assert key.power.token == b""


@BOTH
def test_a_token_is_good_for_what_it_was_issued_for(protocol: PinProtocol) -> None:
    """For another permission, another relying party or a second ceremony, or with a bit changed, it is refused."""
    client = _client(SoftKey.make(pin=PIN), protocol)

    def is_refused(token: bytes, rp_id: str = RP_ID) -> bool:
        with pytest.raises(CtapError) as refused:
            _make(client, token, rp_id)
        return bool(_code(refused) == ERR.PIN_AUTH_INVALID)

    assert is_refused(client.get_pin_token(PIN, GET, RP_ID))
    assert is_refused(client.get_pin_token(PIN, MAKE, "auth.example.com"))
    token = client.get_pin_token(PIN, MAKE, RP_ID)
    assert is_refused(bytes((token[0] ^ 1,)) + token[1:])
    assert _make(client, token) & 0x04
    assert is_refused(token), "a token verifies one ceremony"


def test_a_token_belongs_to_its_protocol() -> None:
    """A token of protocol 2 proves nothing under protocol 1."""
    key = SoftKey.make(pin=PIN)
    token = _client(key, PinProtocolV2()).get_pin_token(PIN, MAKE, RP_ID)
    with pytest.raises(CtapError) as refused:
        _make(_client(key, PinProtocolV1()), token)
    assert _code(refused) == ERR.PIN_AUTH_INVALID


def test_a_token_ends_after_ten_minutes_and_with_the_power() -> None:
    """An old token, or one from before the key was pulled out, is refused."""
    now = 1000.0
    key = SoftKey.make(pin=PIN, clock=lambda: now)
    client = _client(key, PinProtocolV2())
    token = client.get_pin_token(PIN, MAKE, RP_ID)
    now += 600
    with pytest.raises(CtapError) as refused:
        _make(client, token)
    assert _code(refused) == ERR.PIN_AUTH_INVALID
    token = client.get_pin_token(PIN, MAKE, RP_ID)
    key.power_up()
    with pytest.raises(CtapError) as refused:
        _make(client, token)
    assert _code(refused) == ERR.PIN_AUTH_INVALID


@BOTH
def test_a_wrong_pin_ends_the_token_of_the_right_one(protocol: PinProtocol) -> None:
    """Whoever guesses after the owner has typed finds no token left over."""
    client = _client(SoftKey.make(pin=PIN), protocol)
    token = client.get_pin_token(PIN, MAKE, RP_ID)
    with pytest.raises(CtapError):
        client.get_pin_token("000000")
    with pytest.raises(CtapError) as refused:
        _make(client, token)
    assert _code(refused) == ERR.PIN_AUTH_INVALID


def test_a_key_without_pin_gives_no_token() -> None:
    """No PIN is set: PIN_NOT_SET, for a token and for a change."""
    client = _client(SoftKey.make(), PinProtocolV2())
    for ask in (lambda: client.get_pin_token(PIN), lambda: client.change_pin(PIN, "271828")):
        with pytest.raises(CtapError) as refused:
            ask()
        assert _code(refused) == ERR.PIN_NOT_SET


def test_a_pin_that_no_key_takes() -> None:
    """`make` refuses a PIN that CTAP would refuse, without repeating it."""
    for bad in ("123", "x" * 64):
        with pytest.raises(KeyFileError) as refused:
            SoftKey.make(pin=bad)
        assert bad not in str(refused.value)


@BOTH
def test_set_change_use(protocol: PinProtocol) -> None:
    """A PIN is set, used by both kinds of token, and changed; then only the new one is right, with all its tries."""
    key = SoftKey.make()
    client = _client(key, protocol)
    client.set_pin(PIN)
    assert client.ctap.get_info().options["clientPin"] is True
    assert _make(client, client.get_pin_token(PIN)) & 0x04
    client.change_pin(PIN, "271828")
    client = _client(key, protocol)
    with pytest.raises(CtapError):
        client.get_pin_token(PIN)
    assert key.state.pin_retries == 7
    assert _make(client, client.get_pin_token("271828", MAKE, RP_ID)) & 0x04
    assert key.state.pin_retries == 8


def test_a_token_without_relying_party_belongs_to_its_first() -> None:
    """A token of the old kind is bound to the relying party that it is first used for."""
    key = SoftKey.make(pin=PIN)
    client = _client(key, PinProtocolV1())
    token = client.get_pin_token(PIN)
    proof = client.protocol.authenticate(token, HASH)
    with pytest.raises(CtapError) as refused:
        client.ctap.get_assertion(RP_ID, HASH, None, None, {"up": False}, proof, 1)
    assert _code(refused) == ERR.NO_CREDENTIALS, "the token was good; there is only nothing to sign with"
    with pytest.raises(CtapError) as refused:
        client.ctap.get_assertion("auth.example.com", HASH, None, None, {"up": False}, proof, 1)
    assert _code(refused) == ERR.PIN_AUTH_INVALID


def test_no_secret_is_in_a_repr() -> None:
    """`repr` of a key, its state and its power cycle holds neither PIN hash, token nor private key."""
    key = SoftKey.make(pin=PIN)
    _client(key, PinProtocolV2()).get_pin_token(PIN, MAKE, RP_ID)
    state = key.state
    assert state.pin_hash is not None
    shown = repr(key) + repr(state) + repr(key.power) + repr(key.attesting_batch())
    for secret in (state.wrapping_key, state.pin_hash, key.power.token):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    assert "private" not in shown.lower()
