"""The soft key misbehaves on command, and a client or server that looks can see it.

Each switch alone is tried: what it breaks is broken, and a key without switches is whole.
CTAP 2.1 11.2; WebAuthn 6.1 and 7.2.
"""

from __future__ import annotations

import errno
import threading
from dataclasses import fields
from typing import Final

import pytest
from fido2.attestation.base import Attestation
from fido2.attestation.base import InvalidSignature as InvalidAttestation
from fido2.client import ClientError
from fido2.hid import CtapHidDevice
from fido2.webauthn import AttestedCredentialData, AuthenticatorData

from radiusd2fa.emulators.softkey import Misbehaviour, SoftKey, Unplug, memory
from radiusd2fa.emulators.softkey.pty import PtyKey

from .ceremonies import ALICE, BOTH, DISCOURAGED, at_path, browser, credential_of, log_in, register, relying_party

FLAG: Final = AuthenticatorData.FLAG
KINDS: Final = pytest.mark.parametrize(("u2f_only", "algorithm"), [(False, -7), (False, -8), (True, -7)])


def _registered(*, u2f_only: bool, algorithm: int) -> tuple[SoftKey, CtapHidDevice, AttestedCredentialData]:
    key = SoftKey.make(u2f_only=u2f_only)
    device = memory.connect(key)
    return key, device, credential_of(register(device, algorithm))


def _assertion(device: CtapHidDevice, credential: AttestedCredentialData) -> tuple[bytes, AuthenticatorData, bytes]:
    """Ask for an assertion without judging it: credential id, authenticator data, signature."""
    options, _ = relying_party().authenticate_begin([credential], user_verification=DISCOURAGED)
    answer = browser(device).get_assertion(options.public_key).get_response(0)
    return answer.raw_id, answer.response.authenticator_data, answer.response.signature


@KINDS
def test_stale_counter(u2f_only: bool, algorithm: int) -> None:
    """The counter of a login is the one that was seen before; the signature is good."""
    key, device, credential = _registered(u2f_only=u2f_only, algorithm=algorithm)
    before = log_in(device, credential).counter
    key.misbehaviour = Misbehaviour(stale_counter=True)
    assert log_in(device, credential).counter == before
    key.misbehaviour = Misbehaviour()
    assert log_in(device, credential).counter > before


@KINDS
def test_no_user_presence(u2f_only: bool, algorithm: int) -> None:
    """UP is 0, under a good signature: python-fido2's server refuses for that alone."""
    key, device, credential = _registered(u2f_only=u2f_only, algorithm=algorithm)
    key.misbehaviour = Misbehaviour(no_user_presence=True)
    assert not _assertion(device, credential)[1].flags & FLAG.UP
    with pytest.raises(ValueError, match="User Present flag not set"):
        log_in(device, credential)


@pytest.mark.parametrize("algorithm", BOTH)
def test_wrong_rp_id_hash(algorithm: int) -> None:
    """The assertion is for another relying party, under a good signature."""
    key, device, credential = _registered(u2f_only=False, algorithm=algorithm)
    key.misbehaviour = Misbehaviour(wrong_rp_id_hash=True)
    with pytest.raises(ValueError, match="Wrong RP ID hash"):
        log_in(device, credential)


def test_wrong_application_by_u2f() -> None:
    """U2F does not send the hash: the signature does not fit."""
    key, device, credential = _registered(u2f_only=True, algorithm=-7)
    key.misbehaviour = Misbehaviour(wrong_rp_id_hash=True)
    with pytest.raises(ValueError, match="Invalid signature"):
        log_in(device, credential)


@KINDS
def test_broken_signature(u2f_only: bool, algorithm: int) -> None:
    """The signature lacks an octet: neither DER nor 64 octets; a login is refused, and so is a registration."""
    key, device, credential = _registered(u2f_only=u2f_only, algorithm=algorithm)
    key.misbehaviour = Misbehaviour(broken_signature=True)
    signature = _assertion(device, credential)[2]
    assert len(signature) == (63 if algorithm == -8 else signature[1] + 1)
    with pytest.raises(ValueError, match="Invalid signature"):
        log_in(device, credential)
    made = browser(device).make_credential(
        relying_party(algorithm).register_begin(ALICE, user_verification=DISCOURAGED)[0].public_key
    )
    with pytest.raises(InvalidAttestation):
        _verify_attestation(made.response.attestation_object, made.response.client_data.hash)


def _verify_attestation(made: object, client_data_hash: bytes) -> None:
    verifier = Attestation.for_type(made.fmt)()  # type: ignore[attr-defined]
    verifier.verify(made.att_stmt, made.auth_data, client_data_hash)  # type: ignore[attr-defined]


@pytest.mark.parametrize("algorithm", BOTH)
def test_unknown_credential(algorithm: int) -> None:
    """The assertion comes under an id that was never registered."""
    key, device, credential = _registered(u2f_only=False, algorithm=algorithm)
    key.misbehaviour = Misbehaviour(unknown_credential=True)
    with pytest.raises(ValueError, match="Unknown credential"):
        log_in(device, credential)


@pytest.mark.parametrize("u2f_only", [False, True])
def test_never_touched(u2f_only: bool) -> None:
    """The client waits until it gives up."""
    key, device, credential = _registered(u2f_only=u2f_only, algorithm=-7)
    key.misbehaviour = Misbehaviour(never_touched=True)
    enough = threading.Event()
    threading.Timer(0.2, enough.set).start()
    with pytest.raises(ClientError) as ended:
        log_in(device, credential, event=enough)
    assert ended.value.code == ClientError.ERR.TIMEOUT


@pytest.mark.parametrize("u2f_only", [False, True])
def test_silent(u2f_only: bool) -> None:
    """The key says hello and who it is, and nothing more: only closing the connection ends the read."""
    key, device, credential = _registered(u2f_only=u2f_only, algorithm=-7)
    key.misbehaviour = Misbehaviour(silent=True)
    assert device.ping(b"there?") == b"there?"
    threading.Timer(0.2, device.close).start()
    with pytest.raises(OSError, match="Bad file descriptor"):
        log_in(device, credential)


def test_dead() -> None:
    """The key does not even say hello."""
    from fido2.hid.base import HidDescriptor

    from radiusd2fa.emulators.softkey.ctaphid import CtapHid

    key = SoftKey.make()
    key.misbehaviour = Misbehaviour(dead=True)
    connection = memory.Connection(CtapHid(key))
    threading.Timer(0.1, connection.close).start()
    with pytest.raises(OSError, match="Bad file descriptor"):
        CtapHidDevice(HidDescriptor("", 0, 0, 64, 64, None, None), connection)


@pytest.mark.parametrize("u2f_only", [False, True])
@pytest.mark.parametrize("unplug", [Unplug.WAITING, Unplug.ANSWERING])
def test_unplugged(u2f_only: bool, unplug: Unplug) -> None:
    """The key goes away while it waits, or inside its answer: the client's read fails as on real hardware."""
    key, device, credential = _registered(u2f_only=u2f_only, algorithm=-7)
    key.misbehaviour = Misbehaviour(unplug=unplug)
    if unplug is Unplug.WAITING:
        key.touch = lambda _asked: False
    with pytest.raises(OSError, match="Input/output error") as gone:
        log_in(device, credential)
    assert gone.value.errno == errno.EIO


@pytest.mark.parametrize("unplug", [Unplug.WAITING, Unplug.ANSWERING])
def test_unplugged_from_a_terminal(unplug: Unplug) -> None:
    """At a pseudo-terminal the client's open descriptor ends, and the path is gone."""
    key = SoftKey.make()
    with PtyKey(key) as plugged_in:
        device = at_path(plugged_in.path)
        credential = credential_of(register(device))
        key.misbehaviour = Misbehaviour(unplug=unplug)
        if unplug is Unplug.WAITING:
            key.touch = lambda _asked: False
        with pytest.raises(Exception, match=r"Input/output error|unpack_from"):  # python-fido2 does not expect an end
            log_in(device, credential)
        device.close()
        with pytest.raises(OSError, match=r"No such file|Input/output error"):
            at_path(plugged_in.path)


def test_a_key_without_switches_behaves() -> None:
    """All switches are off at first, and none can be turned by accident."""
    calm = Misbehaviour()
    assert [getattr(calm, one.name) for one in fields(calm)] == [False] * 8 + [Unplug.NEVER, 0.1]
    with pytest.raises(AttributeError):
        calm.dead = True  # type: ignore[misc]
