"""Registration and login with the soft key, in memory and at a pseudo-terminal, judged by python-fido2.

Its server verifies attestation statements and signatures with code of its own; no wire is faked.
WebAuthn 7.1 and 7.2; CTAP 2.1 6.1 and 6.2; FIDO U2F 1.2.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import pytest
from fido2.client import ClientError, PinRequiredError
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap1 import APDU, ApduError, Ctap1
from fido2.webauthn import AttestedCredentialData, AuthenticatorData

from radiusd2fa.emulators.softkey import Button, Format, PinPolicy, SoftKey, TouchRequest, memory
from radiusd2fa.emulators.softkey.pty import PtyKey

from .ceremonies import BOTH, PIN, REQUIRED, Person, at_path, credential_of, ctap2, log_in, register

FLAG: Final = AuthenticatorData.FLAG
ES256: Final = -7
EDDSA: Final = -8


@contextmanager
def _in_memory(key: SoftKey) -> Iterator[CtapDevice]:
    yield memory.connect(key)


@contextmanager
def _at_a_terminal(key: SoftKey) -> Iterator[CtapDevice]:
    with PtyKey(key) as plugged_in:
        device = at_path(plugged_in.path)
        try:
            yield device
        finally:
            device.close()


Connected = Callable[[SoftKey], AbstractContextManager[CtapDevice]]
TRANSPORTS: Final = pytest.mark.parametrize("connected", [_in_memory, _at_a_terminal])


# --- refused ---------------------------------------------------------------------------------------------------------


def test_another_key_does_not_know_the_credential() -> None:
    """A credential id made by one key is nothing to another: DEVICE_INELIGIBLE."""
    credential = credential_of(register(memory.connect(SoftKey.make(b"one"))))
    with pytest.raises(ClientError) as refused:
        log_in(memory.connect(SoftKey.make(b"two")), credential)
    assert refused.value.code == ClientError.ERR.DEVICE_INELIGIBLE


def test_a_changed_credential_id_is_unknown() -> None:
    """Each octet of a credential id counts: with any one changed the key does not know it."""
    key = SoftKey.make(b"one")
    credential = credential_of(register(memory.connect(key)))
    for place in range(len(credential.credential_id)):
        changed = bytearray(credential.credential_id)
        changed[place] ^= 1
        other = AttestedCredentialData.create(credential.aaguid, bytes(changed), credential.public_key)
        with pytest.raises(ClientError):
            log_in(memory.connect(key), other)


def test_a_credential_is_bound_to_its_relying_party() -> None:
    """The same key at another relying party does not know the credential, by neither protocol."""
    key = SoftKey.make()
    device = memory.connect(key)
    credential = credential_of(register(device, ES256))
    descriptor = {"type": "public-key", "id": credential.credential_id}
    with pytest.raises(CtapError) as refused:
        ctap2(device).get_assertion("auth.example.com", bytes(32), [descriptor])
    assert refused.value.code == CtapError.ERR.NO_CREDENTIALS
    with pytest.raises(ApduError) as not_mine:
        Ctap1(device).authenticate(bytes(32), hashlib.sha256(b"auth.example.com").digest(), credential.credential_id)
    assert not_mine.value.code == APDU.WRONG_DATA


def test_a_key_that_is_registered_already_is_refused() -> None:
    """A credential of this key on the exclude list ends the registration, after the touch."""
    device, person = memory.connect(SoftKey.make()), Person()
    credential = credential_of(register(device))
    with pytest.raises(ClientError) as refused:
        register(device, exclude=[credential], person=person)
    assert isinstance(refused.value.cause, CtapError)
    assert refused.value.cause.code == CtapError.ERR.CREDENTIAL_EXCLUDED
    assert person.touches == 1


def test_a_key_without_pin_cannot_verify_its_user() -> None:
    """User verification is required and the key has no PIN: CONFIGURATION_UNSUPPORTED."""
    with pytest.raises(ClientError) as refused:
        register(memory.connect(SoftKey.make()), verification=REQUIRED)
    assert refused.value.code == ClientError.ERR.CONFIGURATION_UNSUPPORTED


@TRANSPORTS
def test_a_cancelled_wait_ends(connected: Connected) -> None:
    """The client cancels while the key blinks: TIMEOUT, and the key can be used again."""
    key, event = SoftKey.make(touch=Button()), threading.Event()

    class Impatient(Person):
        def prompt_up(self) -> None:
            event.set()

    with connected(key) as device:
        with pytest.raises(ClientError) as ended:
            register(device, person=Impatient(), event=event)
        assert ended.value.code == ClientError.ERR.TIMEOUT
        key.touch = lambda _asked: True
        register(device)


# --- accepted --------------------------------------------------------------------------------------------------------


@TRANSPORTS
@pytest.mark.parametrize("algorithm", BOTH)
@pytest.mark.parametrize("attestation", list(Format))
def test_ctap2(connected: Connected, algorithm: int, attestation: Format) -> None:
    """A credential of either algorithm is registered under each attestation, and its counter grows at logins."""
    with connected(SoftKey.make(attestation=attestation)) as device:
        made = register(device, algorithm)
        assert made.fmt == ("none" if attestation is Format.NONE else "packed")
        assert ("x5c" in made.att_stmt) == (attestation is Format.PACKED)
        assert made.auth_data.flags == FLAG.UP | FLAG.AT
        credential = credential_of(made)
        assert credential.public_key[3] == algorithm
        first, second = log_in(device, credential), log_in(device, credential)
        assert first.flags == second.flags == FLAG.UP
        assert made.auth_data.counter < first.counter < second.counter


@TRANSPORTS
def test_u2f(connected: Connected) -> None:
    """A U2F-only key registers with fido-u2f attestation and logs in, and says nothing of CTAP2."""
    with connected(SoftKey.make(u2f_only=True)) as device:
        made = register(device)
        assert made.fmt == "fido-u2f"
        first, second = log_in(device, credential_of(made)), log_in(device, credential_of(made))
        assert first.flags == FLAG.UP
        assert 0 < first.counter < second.counter


@TRANSPORTS
@pytest.mark.parametrize("algorithm", BOTH)
def test_pin(connected: Connected, algorithm: int) -> None:
    """With its PIN the key says UV at registration and login; where nobody asks, it says UP alone."""
    with connected(SoftKey.make(pin=PIN)) as device:
        made = register(device, algorithm, verification=REQUIRED)
        assert made.auth_data.flags == FLAG.UP | FLAG.UV | FLAG.AT
        assert log_in(device, credential_of(made), verification=REQUIRED).flags == FLAG.UP | FLAG.UV
        assert log_in(device, credential_of(made)).flags == FLAG.UP


def test_keys_that_want_their_pin_whatever_is_asked() -> None:
    """`to register` wants the PIN for new credentials, `always` for logins too; without one they refuse."""
    nobody = Person(pin=None)
    for policy in (PinPolicy.TO_REGISTER, PinPolicy.ALWAYS):
        device = memory.connect(SoftKey.make(pin=PIN, pin_policy=policy))
        with pytest.raises(PinRequiredError):
            register(device, person=nobody)
        credential = credential_of(register(device))
        if policy is PinPolicy.ALWAYS:
            with pytest.raises(PinRequiredError):
                log_in(device, credential, person=nobody)
            assert log_in(device, credential).flags == FLAG.UP | FLAG.UV
        else:
            assert log_in(device, credential, person=nobody).flags == FLAG.UP


def test_a_credential_made_by_u2f_logs_in_by_ctap2() -> None:
    """Both protocols share their credentials: registered by U2F, then used by CTAP2 of the same key."""
    key = SoftKey.make(b"one", u2f_only=True)
    credential = credential_of(register(memory.connect(key)))
    both = SoftKey.make(b"one")
    assert log_in(memory.connect(both), credential).flags == FLAG.UP


def test_a_counter_that_stays_0() -> None:
    """A key that has no counter says 0 always."""
    device = memory.connect(SoftKey.make(counts=False))
    made = register(device)
    assert made.auth_data.counter == 0
    assert log_in(device, credential_of(made)).counter == 0


def test_the_right_one_of_several_credentials_signs() -> None:
    """Of a list the key picks what is its own, and the client learns which."""
    device, other = memory.connect(SoftKey.make(b"one")), memory.connect(SoftKey.make(b"two"))
    mine, foreign = credential_of(register(device, EDDSA)), credential_of(register(other, ES256))
    assert log_in(device, foreign, mine).flags == FLAG.UP
    assert log_in(other, foreign, mine).flags == FLAG.UP


@TRANSPORTS
@pytest.mark.parametrize("u2f_only", [False, True])
def test_a_touch_by_hand(connected: Connected, u2f_only: bool) -> None:
    """With a button the key blinks until it is pressed; pressing it before that does nothing."""
    button = Button()
    key, person = SoftKey.make(u2f_only=u2f_only, touch=button), Person()
    button.press()

    def touch_when_asked() -> None:
        assert person.asked.wait(20)
        button.press()

    hand = threading.Thread(target=touch_when_asked)
    hand.start()
    with connected(key) as device:
        made = register(device, person=person)
    hand.join()
    assert made.auth_data.flags & FLAG.UP
    assert person.touches == 1


def test_what_a_touch_is_for_is_said_in_plain_words() -> None:
    """Whoever touches the key is told what for; control characters from a client do not reach a terminal."""
    asked: list[str] = []

    def touch(request: TouchRequest) -> bool:
        asked.append(request.purpose)
        return True

    device = memory.connect(SoftKey.make(touch=touch))
    log_in(device, credential_of(register(device)))
    assert asked == ["register at auth.example.org", "log in at auth.example.org"]
