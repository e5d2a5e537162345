"""Asking keys: every way in which it fails, the answers it gives, and which of several keys is asked.

All but a few keys are emulated ones on pseudo-terminals; python-fido2 judges what they sign.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from fido2 import cbor
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from radiusd2fa.emulators.softkey import Button, Misbehaviour, PinPolicy, SoftKey, Unplug
from radiusd2fa.keys import asking, ctap1, usb, working
from radiusd2fa.keys.asking import Answer, FoundKey, Registered, Signed
from radiusd2fa.keys.usb import named_key
from tests.keys.between import (
    CLIENT_PIN,
    GET_ASSERTION,
    GET_INFO,
    MAKE_CREDENTIAL,
    SELECTION,
    Between,
    Parameters,
    WithSensor,
    found,
    instead,
)
from tests.keys.conftest import Plug
from tests.keys.scene import (
    RP_ID,
    UNKNOWN,
    Witness,
    asked,
    judge_assertion,
    judge_attestation,
    made,
    reason_of,
    registered,
    somebody_else,
    to_register,
    to_sign,
)

pytestmark = pytest.mark.usefixtures("nothing_left_behind")

PIN = "correct horse"
U2F_TOO = pytest.mark.parametrize("u2f_only", [False, True], ids=["ctap2", "u2f"])

Open = Callable[[Between], FoundKey]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Have a device opened in place of a file; return the key to ask for."""
    devices: dict[str, Between] = {}
    monkeypatch.setattr(usb, "open_key", lambda key, _ended: instead(devices[key.path]))

    def put(device: Between) -> FoundKey:
        key = found(f"between {len(devices)}")
        devices[key.path] = device
        return key

    return put


def misbehave(key: SoftKey, misbehaviour: Misbehaviour) -> None:
    key.misbehaviour = misbehaviour


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give keys less time to stop, and ask U2F keys more often."""
    monkeypatch.setattr(usb, "GRACE", 0.1)
    monkeypatch.setattr(ctap1, "POLL", 0.02)


# --- no answer -------------------------------------------------------------------------------------------------------


def test_no_key_at_all() -> None:
    """Without a key the request ends at once."""
    assert reason_of(asked([], to_sign(UNKNOWN))) == "no-key"


def test_key_that_is_not_there_any_more(tmp_path: Path) -> None:
    """A device file that has gone since it was found is no key."""
    assert reason_of(asked(named_key(str(tmp_path / "hidraw7")), to_sign(UNKNOWN))) == "no-key"


@U2F_TOO
def test_key_without_the_credential_is_not_to_be_touched(plug: Plug, u2f_only: bool) -> None:
    """A key that holds none of the credentials says so without a touch."""
    person = Witness()
    assert reason_of(asked(plug(SoftKey.make(u2f_only=u2f_only)), to_sign(UNKNOWN), person)) == "no-credential"
    assert person.touches == []


@U2F_TOO
def test_credential_of_another_relying_party_is_not_held(plug: Plug, u2f_only: bool) -> None:
    """A key does not use a credential for another relying party than the one it was made for."""
    key = plug(SoftKey.make(u2f_only=u2f_only))
    credential = registered(key).credential_id
    assert reason_of(asked(key, to_sign(credential, rp_id="other.example.org"))) == "no-credential"


@U2F_TOO
def test_key_that_is_registered_is_not_registered_again(plug: Plug, u2f_only: bool) -> None:
    """A key that holds an excluded credential is refused without a touch."""
    key = plug(SoftKey.make(u2f_only=u2f_only))
    credential = registered(key).credential_id
    person = Witness()
    assert reason_of(asked(key, to_register(exclude=(UNKNOWN, credential)), person)) == "already-registered"
    assert person.touches == []


@U2F_TOO
def test_nobody_touches_the_key(plug: Plug, u2f_only: bool) -> None:
    """When the time is up, a key that still blinks is let go, and it can be asked again."""
    soft = SoftKey.make(u2f_only=u2f_only)
    key = plug(soft)
    credential = registered(key)
    request = to_sign(credential.credential_id)
    misbehave(soft, Misbehaviour(never_touched=True))
    person = Witness()
    assert reason_of(asked(key, request, person, timeout=0.3)) == "timed-out"
    assert person.touches == [key]
    misbehave(soft, Misbehaviour())
    judge_assertion(asked(key, request), request, credential)


@pytest.mark.parametrize("broken", [Misbehaviour(dead=True), Misbehaviour(silent=True)], ids=["dead", "silent"])
@U2F_TOO
def test_silence_ends_with_the_time(plug: Plug, u2f_only: bool, broken: Misbehaviour) -> None:
    """A key that says nothing at all, or nothing more, does not hold the request up beyond its time."""
    soft = SoftKey.make(u2f_only=u2f_only)
    key = plug(soft)
    credential = registered(key)
    misbehave(soft, broken)
    assert reason_of(asked(key, to_sign(credential.credential_id), timeout=0.1)) == "timed-out"


@U2F_TOO
def test_silence_is_a_fault(plug: Plug, u2f_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is silent for longer than any key may be is broken, though time is left."""
    monkeypatch.setattr(usb, "SILENCE", 0.1)
    soft = SoftKey.make(u2f_only=u2f_only)
    key = plug(soft)
    misbehave(soft, Misbehaviour(dead=True))
    assert reason_of(asked(key, to_sign(UNKNOWN))) == "broken"


@U2F_TOO
def test_cancel_while_the_key_blinks(plug: Plug, u2f_only: bool) -> None:
    """A cancel during the wait for a touch ends the request; the key stops blinking and can be asked again."""
    button, cancel = Button(), threading.Event()
    key = plug(SoftKey.make(u2f_only=u2f_only, touch=button))
    person = Witness(on_touch=lambda _key: cancel.set())
    assert reason_of(asked(key, to_register(), person, cancel=cancel)) == "cancelled"
    again = asked(key, to_register(), Witness(on_touch=lambda _key: button.press()))
    assert isinstance(again, Registered)


def test_u2f_key_is_not_asked_after_a_cancel(between: Open) -> None:
    """A U2F key, which has to be asked again and again, is asked no more when the request is over."""
    cancel = threading.Event()
    key = between(Between(SoftKey.make(u2f_only=True, touch=lambda _asked: False)))
    person = Witness(on_touch=lambda _key: cancel.set())
    assert reason_of(asked(key, to_register(), person, cancel=cancel)) == "cancelled"


def test_cancel_before_anything_was_asked(plug: Plug) -> None:
    """A request that was cancelled before it began asks nobody."""
    cancel, person = threading.Event(), Witness()
    cancel.set()
    assert reason_of(asked(plug(SoftKey.make()), to_register(), person, cancel=cancel)) == "cancelled"


@pytest.mark.parametrize("broken", [Misbehaviour(dead=True), Misbehaviour(silent=True)], ids=["dead", "silent"])
def test_cancel_of_a_silent_key(plug: Plug, broken: Misbehaviour) -> None:
    """A cancel ends the wait for a key that says nothing."""
    soft, cancel = SoftKey.make(), threading.Event()
    misbehave(soft, broken)
    key = plug(soft)
    timer = threading.Timer(0.1, cancel.set)
    timer.start()
    assert reason_of(asked(key, to_register(), cancel=cancel)) == "cancelled"
    timer.join()


def test_cancel_between_two_rare_keep_alives(plug: Plug) -> None:
    """A key that hardly ever sends a keep-alive is told to stop all the same, and stops."""
    button, cancel = Button(), threading.Event()
    soft = SoftKey.make(touch=button)
    misbehave(soft, Misbehaviour(keep_alive_every=1000.0))
    key = plug(soft)
    person = Witness(on_touch=lambda _key: cancel.set())
    assert reason_of(asked(key, to_register(), person, cancel=cancel)) == "cancelled"
    assert isinstance(asked(key, to_register(), Witness(on_touch=lambda _key: button.press())), Registered)


@pytest.mark.parametrize("when", [Unplug.WAITING, Unplug.ANSWERING])
@U2F_TOO
def test_key_pulled_out_in_the_middle(plug: Plug, u2f_only: bool, when: Unplug) -> None:
    """A key that is pulled out while it blinks, or while it answers, has given no answer."""
    soft = SoftKey.make(u2f_only=u2f_only, touch=lambda asked: when is Unplug.ANSWERING)
    misbehave(soft, Misbehaviour(unplug=when))
    assert reason_of(asked(plug(soft), to_register())) == "unplugged"


def test_refusal_at_the_key(between: Open) -> None:
    """A key on which its user declined has cancelled the request."""

    class Declining(Between):
        def change(self, command: int, parameters: Parameters) -> Parameters | bytes:
            return b"\x27" if command == MAKE_CREDENTIAL else parameters

    assert reason_of(asked(between(Declining(SoftKey.make())), to_register())) == "cancelled"


def test_key_that_may_not_be_opened(plug: Plug) -> None:
    """A key whose file is closed to us is told from no key: the file and the udev rule are named."""
    key = plug(SoftKey.make())
    Path(key.path).chmod(0)
    with somebody_else():
        answer = asked(key, to_sign(UNKNOWN))
    assert reason_of(answer) == "not-permitted"
    assert key.path in str(answer)
    assert "udev rule" in str(answer)


@pytest.mark.parametrize(
    "nonsense",
    [b"\x00", b"\x00\xff", b"\x00\xa0", b"\x00" + b"\x81" * 2000, b"\x00\xa1\x01\x61x", b"\x7f", b"\xf0"],
    ids=["nothing", "no CBOR", "empty", "nested", "wrong types", "other", "vendor"],
)
def test_nonsense_from_a_key(between: Open, nonsense: bytes) -> None:
    """A key whose answer cannot be understood is broken, whatever its parser raises."""

    class Babbling(Between):
        def change(self, command: int, parameters: Parameters) -> Parameters | bytes:
            return nonsense if command == MAKE_CREDENTIAL else parameters

    assert reason_of(asked(between(Babbling(SoftKey.make())), to_register())) == "broken"


def test_key_that_is_asked_already(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request waits for a touch, a second request for the same key is refused; afterwards it is not."""
    monkeypatch.setattr(usb, "SILENCE", float("inf"))  # it is not the lock on the file that refuses
    button = Button()
    key = plug(SoftKey.make(touch=button))
    second: list[Answer] = []

    def meanwhile(_key: FoundKey) -> None:
        second.append(asked(key, to_register()))
        button.press()

    assert isinstance(asked(key, to_register(), Witness(on_touch=meanwhile)), Registered)
    assert [reason_of(answer) for answer in second] == ["broken"]
    assert isinstance(asked(key, to_register(), Witness(on_touch=lambda _key: button.press())), Registered)


# --- PIN -------------------------------------------------------------------------------------------------------------


def verified_key(plug: Plug, **how: PinPolicy) -> tuple[SoftKey, FoundKey, AttestedCredentialData]:
    soft = SoftKey.make(pin=PIN, **how)  # type: ignore[arg-type]  # one keyword only is ever given
    key = plug(soft)
    return soft, key, registered(key, Witness(PIN))


@U2F_TOO
def test_key_that_cannot_verify_its_user(plug: Plug, u2f_only: bool) -> None:
    """A key without PIN and sensor is refused without a touch where the user must be verified."""
    key = plug(SoftKey.make(u2f_only=u2f_only))
    credential, person = registered(key), Witness(PIN)
    request = to_sign(credential.credential_id, user_verification=True)
    assert reason_of(asked(key, request, person)) == "verification-impossible"
    assert (person.touches, person.tries) == ([], [])


def test_key_that_wants_a_pin_but_has_none(plug: Plug) -> None:
    """A key that always verifies and has no PIN yet can be neither registered nor used."""
    key = plug(SoftKey.make(pin_policy=PinPolicy.ALWAYS))
    assert reason_of(asked(key, to_register(), Witness(PIN))) == "verification-impossible"


def test_nobody_enters_a_pin(plug: Plug) -> None:
    """Where a PIN is needed and nobody enters one, no try is used."""
    soft, key, credential = verified_key(plug)
    person = Witness()
    request = to_sign(credential.credential_id, user_verification=True)
    assert reason_of(asked(key, request, person)) == "pin-needed"
    assert (person.tries, soft.state.pin_retries) == ([(key, 8)], 8)


def test_wrong_pin_is_asked_again_with_the_tries_left(plug: Plug) -> None:
    """A wrong PIN is asked again; the person is told each time how many tries are left, and the right one does."""
    _, key, credential = verified_key(plug)
    person = Witness("wrong one", PIN)
    request = to_sign(credential.credential_id, user_verification=True)
    data = judge_assertion(asked(key, request, person), request, credential)
    assert data.flags & AuthenticatorData.FLAG.UV
    assert [tries for _, tries in person.tries] == [8, 7]


def test_giving_up_after_a_wrong_pin(plug: Plug) -> None:
    """Whoever gives up after a wrong PIN is told that it was wrong."""
    soft, key, credential = verified_key(plug)
    request = to_sign(credential.credential_id, user_verification=True)
    assert reason_of(asked(key, request, Witness("wrong one"))) == "pin-wrong"
    assert soft.state.pin_retries == 7


def test_wrong_pin_is_never_sent_twice(plug: Plug) -> None:
    """An automaton that enters the same wrong PIN again and again costs the key one try."""
    soft, key, credential = verified_key(plug)
    request = to_sign(credential.credential_id, user_verification=True)
    assert reason_of(asked(key, request, Witness(*["wrong one"] * 9))) == "pin-wrong"
    assert soft.state.pin_retries == 7


def test_pin_that_no_key_has_costs_no_try(plug: Plug) -> None:
    """A PIN that is too short or too long for any key is not sent."""
    soft, key, credential = verified_key(plug)
    request = to_sign(credential.credential_id, user_verification=True)
    assert reason_of(asked(key, request, Witness("123", "x" * 64))) == "pin-wrong"
    assert soft.state.pin_retries == 8


def test_third_wrong_pin_in_a_row(plug: Plug) -> None:
    """After three wrong PINs the key wants to be taken out and put in; no fourth is asked for."""
    soft, key, credential = verified_key(plug)
    person = Witness("wrong 1", "wrong 2", "wrong 3", PIN)
    request = to_sign(credential.credential_id, user_verification=True)
    answer = asked(key, request, person)
    assert reason_of(answer) == "pin-blocked"
    assert "put it in again" in str(answer)
    assert ([tries for _, tries in person.tries], soft.state.pin_retries) == ([8, 7, 6], 5)
    assert reason_of(asked(key, request, person)) == "pin-blocked"
    assert len(person.tries) == 3


def test_last_try_is_announced_and_then_none_is_asked_for(plug: Plug) -> None:
    """The person knows that a try is the last one; when it is used up, the PIN is blocked and never asked for again."""
    soft, key, credential = verified_key(plug)
    request = to_sign(credential.credential_id, user_verification=True)
    person = Witness(*(f"wrong {number}" for number in range(8)))
    for _ in range(3):
        assert reason_of(asked(key, request, person)) == "pin-blocked"
        soft.power_up()
    assert ([tries for _, tries in person.tries], soft.state.pin_retries) == ([8, 7, 6, 5, 4, 3, 2, 1], 0)
    assert reason_of(asked(key, request, person)) == "pin-blocked"
    assert len(person.tries) == 8


def test_pin_is_in_no_answer(plug: Plug) -> None:
    """Neither a right nor a wrong PIN is in what is returned."""
    _, key, credential = verified_key(plug)
    request = to_sign(credential.credential_id, user_verification=True)
    answers = [asked(key, request, Witness("wrong one")), asked(key, request, Witness(PIN))]
    assert not any(pin in repr(answer) for pin in (PIN, "wrong one") for answer in answers)


def test_pin_has_one_spelling(plug: Plug) -> None:
    """A PIN with a letter of two parts is the same as with that letter in one, as CTAP wants it."""
    soft = SoftKey.make(pin="zauberkr\u00e4fte", pin_policy=PinPolicy.ALWAYS)
    answer = asked(plug(soft), to_register(), Witness("zauberkra\u0308fte"))
    assert isinstance(answer, Registered)


def test_pin_is_asked_only_where_it_is_needed(plug: Plug) -> None:
    """A key with a PIN that does not insist on it is asked for neither registration nor login."""
    _, key, credential = verified_key(plug)
    person, request = Witness(PIN), to_sign(credential.credential_id)
    data = judge_assertion(asked(key, request, person), request, credential)
    assert not data.flags & AuthenticatorData.FLAG.UV
    assert isinstance(asked(key, to_register(), person), Registered)
    assert person.tries == []


def test_key_that_always_wants_its_pin(plug: Plug) -> None:
    """A key that always verifies is asked for its PIN although the request does not demand it."""
    _, key, credential = verified_key(plug, pin_policy=PinPolicy.ALWAYS)
    person, request = Witness(PIN), to_sign(credential.credential_id)
    data = judge_assertion(asked(key, request, person), request, credential)
    assert data.flags & AuthenticatorData.FLAG.UV
    assert person.tries == [(key, 8)]


def test_key_that_wants_its_pin_to_register(plug: Plug) -> None:
    """A key that protects registration by its PIN is asked for it then, and not for a login."""
    _, key, credential = verified_key(plug, pin_policy=PinPolicy.TO_REGISTER)
    assert reason_of(asked(key, to_register())) == "pin-needed"
    request = to_sign(credential.credential_id)
    judge_assertion(asked(key, request), request, credential)


def test_key_that_announced_its_wish_is_not_sent_a_request_without_proof(between: Open) -> None:
    """A key that always verifies gets the proof with the first request that a touch answers, registration or login."""
    device = Between(SoftKey.make(pin=PIN, pin_policy=PinPolicy.ALWAYS))
    key = between(device)
    request = to_sign(registered(key, Witness(PIN)).credential_id)
    assert isinstance(asked(key, request, Witness(PIN)), Signed)
    _look, *signing = device.requests(GET_ASSERTION)
    assert [6 in said for said in signing] == [True]
    assert [8 in said for said in device.requests(MAKE_CREDENTIAL)] == [True]


def test_key_that_protects_registration_is_not_sent_one_without_proof(between: Open) -> None:
    """A key that is known to protect registration by its PIN gets the proof with the first request."""
    device = Between(SoftKey.make(pin=PIN, pin_policy=PinPolicy.TO_REGISTER))
    registered(between(device), Witness(PIN))
    assert [8 in said for said in device.requests(MAKE_CREDENTIAL)] == [True]


def test_key_that_asks_for_its_pin_by_surprise(between: Open) -> None:
    """A key that did not announce that it wants its PIN gets it when it says so."""
    soft = SoftKey.make(pin=PIN, pin_policy=PinPolicy.ALWAYS)

    class Secretive(Between):
        changed_options: ClassVar = {"alwaysUv": False, "makeCredUvNotRqd": True}

    person, request = Witness(PIN), to_register(attestation=True)
    judge_attestation(asked(between(Secretive(soft)), request, person), request)
    assert len(person.tries) == 1


def test_pin_prompt_that_outlasts_the_time(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who thinks about the PIN for too long holds nobody up; what is entered later is not sent."""
    monkeypatch.setattr(asking, "_PARTING", 0.1)
    soft, key, credential = verified_key(plug)
    entered, asked_for = threading.Event(), threading.Event()

    class Slow(Witness):
        def pin(self, key: FoundKey, tries_left: int | None) -> str | None:
            asked_for.set()
            entered.wait()
            return "wrong one"

    request = to_sign(credential.credential_id, user_verification=True)
    assert reason_of(asked(key, request, Slow(), timeout=0.2)) == "timed-out"
    assert asked_for.is_set()
    entered.set()
    for thread in threading.enumerate():
        if thread.name == f"key {key.path}":
            thread.join()
    assert soft.state.pin_retries == 8


# --- fingerprint -----------------------------------------------------------------------------------------------------


def test_finger_comes_before_the_pin(between: Open) -> None:
    """A key with a sensor verifies by it, trying again after a finger that it did not know; no PIN is asked for."""
    soft = SoftKey.make(pin=PIN)
    credential = made(soft)
    person, request = Witness(), to_sign(credential.credential_id, user_verification=True)
    answer = asked(between(WithSensor(soft, PIN, False, True)), request, person)
    assert judge_assertion(answer, request, credential).flags & AuthenticatorData.FLAG.UV
    assert person.tries == []


def test_blocked_sensor_falls_back_to_the_pin(between: Open) -> None:
    """When the sensor is blocked, the PIN is asked for."""
    soft = SoftKey.make(pin=PIN)
    credential = made(soft)
    person, request = Witness(PIN), to_sign(credential.credential_id, user_verification=True)
    answer = asked(between(WithSensor(soft, PIN, blocked=True)), request, person)
    assert judge_assertion(answer, request, credential).flags & AuthenticatorData.FLAG.UV
    assert len(person.tries) == 1


class WithoutTokens(Between):
    """A key with a sensor, from before there were tokens."""

    changed_options: ClassVar = {"uv": True, "pinUvAuthToken": False}

    def change(self, _command: int, parameters: Parameters) -> Parameters | bytes:
        return parameters | {5: {}} if parameters.get(5) == {"uv": True} else parameters


def test_old_key_with_a_sensor_is_told_to_look_itself(between: Open) -> None:
    """A key with a sensor but without tokens gets the option `uv`."""
    device = WithoutTokens(SoftKey.make())
    credential = made(device.key)
    request = to_sign(credential.credential_id, user_verification=True)
    judge_assertion(asked(between(device), request), request, credential)
    assert [said[5] for said in device.requests(GET_ASSERTION)] == [{"up": False}, {"uv": True}]


# --- answers ---------------------------------------------------------------------------------------------------------


def test_assertion_is_over_our_client_data(plug: Plug) -> None:
    """A CTAP2 key signs the hash of exactly the client data that it was given, present and unverified."""
    key = plug(SoftKey.make())
    credential, person = registered(key), Witness()
    request = to_sign(credential.credential_id)
    data = judge_assertion(asked(key, request, person), request, credential)
    assert (data.flags, len(data), person.touches) == (AuthenticatorData.FLAG.UP, 37, [key])


def test_u2f_key_signs_in_the_form_of_webauthn(plug: Plug) -> None:
    """A U2F key's assertion has authenticator data of 37 octets, over exactly the client data that it was given."""
    button = Button()
    button.press()
    key = plug(SoftKey.make(u2f_only=True, touch=lambda asked: asked.waited > 0))
    credential, person = registered(key), Witness()
    request = to_sign(UNKNOWN, b"x" * 300, credential.credential_id)
    data = judge_assertion(asked(key, request, person), request, credential)
    assert (data.flags, len(data), person.touches) == (AuthenticatorData.FLAG.UP, 37, [key])


def test_assertion_of_ed25519_is_64_octets(plug: Plug) -> None:
    """An EdDSA credential signs with 64 raw octets."""
    soft = SoftKey.make()
    credential = made(soft, -8)
    request = to_sign(credential.credential_id)
    answer = asked(plug(soft), request)
    judge_assertion(answer, request, credential)
    assert isinstance(answer, Signed)
    assert len(answer.signature) == 64


@U2F_TOO
def test_attestation_is_the_keys_own(plug: Plug, u2f_only: bool) -> None:
    """Where attestation is asked for, the key's own is handed back and verifies over exactly our client data."""
    person, request = Witness(), to_register(attestation=True)
    key = plug(SoftKey.make(u2f_only=u2f_only, touch=lambda asked: asked.waited > 0))
    form = judge_attestation(asked(key, request, person), request)
    assert form.fmt == ("fido-u2f" if u2f_only else "packed")
    assert form.auth_data.flags == AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.AT
    assert person.touches == [key]


@U2F_TOO
def test_no_attestation_unless_it_is_asked_for(plug: Plug, u2f_only: bool) -> None:
    """Where no attestation is asked for, there is none in the answer, but the same authenticator data."""
    answer = asked(plug(SoftKey.make(u2f_only=u2f_only)), to_register())
    assert isinstance(answer, Registered)
    form = AttestationObject(answer.attestation_object)
    assert (form.fmt, form.att_stmt) == ("none", {})
    assert form.auth_data.credential_data is not None


def test_what_a_registration_asks_of_the_key(between: Open) -> None:
    """A key is offered ES256, then EdDSA, and is never asked for a discoverable credential or for an extension."""
    device = Between(SoftKey.make())
    assert isinstance(asked(between(device), to_register(exclude=(UNKNOWN,))), Registered)
    (said,) = device.requests(MAKE_CREDENTIAL)
    assert [kind["alg"] for kind in said[4]] == [-7, -8]
    assert said[3]["id"] == b"handle-of-alice"
    assert sorted(said) == [1, 2, 3, 4]


def test_first_look_signs_nothing_that_was_asked_for(between: Open) -> None:
    """What a key signs without a touch is 32 zero octets, and never the client data of the request."""
    device = Between(SoftKey.make())
    credential = made(device.key)
    request = to_sign(credential.credential_id)
    judge_assertion(asked(between(device), request), request, credential)
    look, answer = device.requests(GET_ASSERTION)
    assert (look[2], look[5]) == (bytes(32), {"up": False})
    assert answer[2] != look[2]
    assert 5 not in answer


def test_long_lists_are_asked_in_parts(between: Open) -> None:
    """A key is shown no more credentials at once than it says, none longer than it knows, and no message too long."""
    device = Between(SoftKey.make())
    credential = made(device.key)
    strangers = [bytes((number,)) * (16 if number < 30 else 128) for number in range(50)]
    request = to_sign(*strangers, b"x" * 129, credential.credential_id)
    judge_assertion(asked(between(device), request), request, credential)
    lists = [[one["id"] for one in said[3]] for said in device.requests(GET_ASSERTION)]
    assert all(len(part) <= 8 for part in lists)
    assert not any(b"x" * 129 in part for part in lists)
    assert lists[-1] == [credential.credential_id]


def test_credential_id_may_be_left_out(between: Open) -> None:
    """A key that was asked for one credential need not repeat which it was."""

    class Terse(Between):
        def changed(self, command: int, reply: bytes) -> bytes:
            if command != GET_ASSERTION:
                return reply
            said = cbor.decode(reply[1:])
            assert isinstance(said, dict)
            return reply[:1] + cbor.encode({name: value for name, value in said.items() if name != 1})

    device = Terse(SoftKey.make())
    credential = made(device.key)
    request = to_sign(credential.credential_id)
    judge_assertion(asked(between(device), request), request, credential)


def test_key_that_claims_ctap2_and_does_not_speak_it(between: Open) -> None:
    """A key that refuses getInfo as unknown is spoken to in U2F."""

    class Pretending(Between):
        def change(self, command: int, parameters: Parameters) -> Parameters | bytes:
            return b"\x01" if command == GET_INFO else parameters

    device = Pretending(SoftKey.make())
    request = to_register(attestation=True)
    assert judge_attestation(asked(between(device), request), request).fmt == "fido-u2f"


def test_key_that_gives_up_early_is_asked_again(plug: Plug) -> None:
    """A key that stops blinking before the time is up is made to blink again."""
    soft = SoftKey.make()
    soft.touch_timeout = 0.05
    blinks: list[FoundKey] = []

    def touch_at_the_third(key: FoundKey) -> None:
        blinks.append(key)
        if len(blinks) == 3:
            soft.touch_timeout = 30.0
            soft.touch = lambda _asked: True

    soft.touch = lambda _asked: False
    key = plug(soft)
    assert isinstance(asked(key, to_register(), Witness(on_touch=touch_at_the_third)), Registered)
    assert blinks == [key] * 3


class Discreet(Between):
    """A key that shows nothing without its PIN."""

    changed_options: ClassVar = {"alwaysUv": True}

    def change(self, command: int, parameters: Parameters) -> Parameters | bytes:
        return b"\x36" if command == GET_ASSERTION and 6 not in parameters else parameters


def test_key_that_cannot_tell_before_its_pin(between: Open) -> None:
    """A key that shows nothing without its PIN is asked for it, and then for any of the credentials."""
    device = Discreet(SoftKey.make(pin=PIN))
    credential, person = made(device.key), Witness(PIN)
    request = to_sign(UNKNOWN, credential.credential_id)
    judge_assertion(asked(between(device), request, person), request, credential)
    assert reason_of(asked(between(device), to_sign(UNKNOWN), Witness(PIN))) == "no-credential"
    excluding = to_register(exclude=(UNKNOWN, credential.credential_id))
    assert reason_of(asked(between(device), excluding, Witness(PIN))) == "already-registered"


# --- several keys ----------------------------------------------------------------------------------------------------


class Pair:
    """Two keys with a button each."""

    def __init__(self, plug: Plug, *, pin: str | None = None, policy: PinPolicy = PinPolicy.WHEN_ASKED) -> None:
        self.buttons = [Button(), Button()]
        self.soft = [SoftKey.make(touch=button, pin=pin, pin_policy=policy) for button in self.buttons]
        self.keys = [plug(soft) for soft in self.soft]

    def credential(self, which: int) -> AttestedCredentialData:
        button = self.buttons[which]
        return registered(self.keys[which], Witness(PIN, on_touch=lambda _key: button.press()))

    def touched_when_both_blink(self, which: int) -> Callable[[FoundKey], None]:
        """Press this key's button as soon as both keys have asked for a touch."""
        waiting: set[FoundKey] = set()

        def on_touch(key: FoundKey) -> None:
            waiting.add(key)
            if len(waiting) == len(self.keys):
                self.buttons[which].press()

        return on_touch


@pytest.mark.parametrize("which", [0, 1])
def test_only_the_key_with_the_credential_blinks(plug: Plug, which: int) -> None:
    """Of two keys, only the one that holds the credential asks for a touch."""
    pair = Pair(plug)
    credential = pair.credential(which)
    person = Witness(on_touch=lambda _key: pair.buttons[which].press())
    request = to_sign(credential.credential_id)
    judge_assertion(asked(pair.keys, request, person), request, credential)
    assert person.touches == [pair.keys[which]]
    assert not pair.buttons[1 - which].blinks.is_set()


def test_u2f_key_beside_a_ctap2_key(plug: Plug) -> None:
    """A U2F key that holds the credential is found beside a CTAP2 key that does not."""
    old, new = plug(SoftKey.make(u2f_only=True, touch=lambda asked: asked.waited > 0)), plug(SoftKey.make())
    credential, person = registered(old), Witness()
    request = to_sign(credential.credential_id)
    judge_assertion(asked([new, old], request, person), request, credential)
    assert person.touches == [old]


@pytest.mark.parametrize("which", [0, 1])
def test_first_touch_wins(plug: Plug, which: int) -> None:
    """Where both keys hold a credential, both blink; the one that is touched answers, the other stops."""
    pair = Pair(plug)
    credentials = [pair.credential(0), pair.credential(1)]
    request = to_sign(*(credential.credential_id for credential in credentials))
    before = pair.soft[1 - which].state.counter
    person = Witness(on_touch=pair.touched_when_both_blink(which))
    judge_assertion(asked(pair.keys, request, person), request, credentials[which])
    assert set(person.touches) == set(pair.keys)
    assert pair.soft[1 - which].state.counter == before + 1  # its look alone
    again = Witness(on_touch=lambda _key: pair.buttons[1 - which].press())
    assert isinstance(asked(pair.keys[1 - which], request, again), Signed)


@pytest.mark.parametrize("which", [0, 1])
def test_touch_chooses_the_key_to_register(plug: Plug, which: int) -> None:
    """Where two keys could be registered, both blink, and the one that is touched is."""
    pair = Pair(plug)
    request = to_register()
    answer = asked(pair.keys, request, Witness(on_touch=pair.touched_when_both_blink(which)))
    assert isinstance(answer, Registered)
    data = AttestationObject(answer.attestation_object).auth_data.credential_data
    assert data is not None
    assert pair.soft[which].key_pair(data.credential_id, hashlib.sha256(RP_ID.encode()).digest()) is not None


def test_registered_key_does_not_blink_beside_a_new_one(plug: Plug) -> None:
    """Of two keys, one of which is registered already, only the new one blinks."""
    pair = Pair(plug)
    credential = pair.credential(0)
    person = Witness(on_touch=lambda _key: pair.buttons[1].press())
    assert isinstance(asked(pair.keys, to_register(exclude=(credential.credential_id,)), person), Registered)
    assert person.touches == [pair.keys[1]]


def choosing(pair: Pair, which: int) -> Callable[[FoundKey], None]:
    """Touch this key when both blink, and again when it alone does."""
    both = pair.touched_when_both_blink(which)
    seen: list[FoundKey] = []

    def on_touch(key: FoundKey) -> None:
        seen.append(key)
        if len(seen) <= 2:
            both(key)
        else:
            pair.buttons[which].press()

    return on_touch


@pytest.mark.parametrize("versions", [["FIDO_2_0"], ["FIDO_2_0", "FIDO_2_1"]], ids=["2.0", "2.1"])
@pytest.mark.parametrize("which", [0, 1])
def test_pin_is_asked_for_the_key_that_was_touched(
    between: Open, monkeypatch: pytest.MonkeyPatch, which: int, versions: list[str]
) -> None:
    """Where two keys want their PIN, a touch chooses one, and only the PIN of that one is asked for."""
    monkeypatch.setattr(Between, "changed_info", {1: versions})
    devices: list[Between] = []

    def plug_between(soft: SoftKey) -> FoundKey:
        devices.append(Between(soft))
        return between(devices[-1])

    pair = Pair(plug_between, pin=PIN, policy=PinPolicy.TO_REGISTER)
    person = Witness(PIN, on_touch=choosing(pair, which))
    assert isinstance(asked(pair.keys, to_register(), person), Registered)
    assert person.tries == [(pair.keys[which], 8)]
    assert [len(device.requests(SELECTION)) for device in devices] == [len(versions) - 1] * 2


def test_pin_of_the_only_key_is_asked_without_choosing(plug: Plug) -> None:
    """Where only one of two keys holds the credential, its PIN is asked for at once and it blinks once."""
    pair = Pair(plug, pin=PIN)
    credential = pair.credential(1)
    person = Witness(PIN, on_touch=lambda _key: pair.buttons[1].press())
    request = to_sign(credential.credential_id, user_verification=True)
    judge_assertion(asked(pair.keys, request, person), request, credential)
    assert (person.touches, person.tries) == ([pair.keys[1]], [(pair.keys[1], 8)])


def test_key_that_is_sure_comes_before_one_that_cannot_tell(between: Open) -> None:
    """Beside a key that holds the credential, one that would have to be asked for its PIN first is let go."""
    sure, discreet = Between(SoftKey.make()), Discreet(SoftKey.make(pin=PIN))
    credential, person = made(sure.key), Witness(PIN)
    keys = [between(discreet), between(sure)]
    request = to_sign(credential.credential_id)
    judge_assertion(asked(keys, request, person), request, credential)
    assert (person.touches, person.tries) == ([keys[1]], [])
    assert discreet.requests(CLIENT_PIN) == []


def test_key_that_cannot_verify_is_no_rival(plug: Plug) -> None:
    """Where both keys hold a credential and one has no PIN, the other is asked for its PIN without being chosen."""
    soft = [SoftKey.make(), SoftKey.make(pin=PIN)]
    credentials = [made(one) for one in soft]
    keys = [plug(one) for one in soft]
    person = Witness(PIN)
    request = to_sign(*(one.credential_id for one in credentials), user_verification=True)
    judge_assertion(asked(keys, request, person), request, credentials[1])
    assert (person.touches, person.tries) == ([keys[1]], [(keys[1], 8)])


def test_key_that_was_not_touched_stops_blinking_at_once(plug: Plug) -> None:
    """When one key was chosen by touch, the other is told to stop before the PIN is entered."""
    pair = Pair(plug, pin=PIN, policy=PinPolicy.TO_REGISTER)
    rival = f"key {pair.keys[1].path}"

    class Observant(Witness):
        def pin(self, key: FoundKey, tries_left: int | None) -> str | None:
            for thread in threading.enumerate():
                if thread.name == rival:
                    thread.join(10)
            assert rival not in {thread.name for thread in threading.enumerate()}
            return super().pin(key, tries_left)

    assert isinstance(asked(pair.keys, to_register(), Observant(PIN, on_touch=choosing(pair, 0))), Registered)


def test_only_one_key_is_ever_chosen() -> None:
    """A key that was touched second, or after it was let go, is not chosen, and does not disturb the one that is."""
    keys = [asking.Asked(found(name)) for name in ("first", "second", "gone")]
    keys[2].let_go()
    table = asking.Table(Witness(), keys)
    assert not table.claim(keys[2])
    assert table.claim(keys[0])
    assert not table.claim(keys[1])
    assert [key.ended.is_set() for key in keys] == [False, True, True]


def test_chosen_key_is_not_outwaited(between: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure of the key that was chosen is the answer even while another key does not stop."""
    monkeypatch.setattr(asking, "_PARTING", 0.1)
    release = threading.Event()

    class Stuck(Between):
        def change(self, command: int, parameters: Parameters) -> Parameters | bytes:
            if command == SELECTION:
                release.wait()
            return parameters

    soft = [SoftKey.make(pin=PIN, pin_policy=PinPolicy.TO_REGISTER) for _ in range(2)]
    keys = [between(Stuck(soft[0])), between(Between(soft[1]))]
    assert reason_of(asked(keys, to_register(), timeout=2)) == "pin-needed"
    release.set()
    for thread in threading.enumerate():
        if thread.name == f"key {keys[0].path}":
            thread.join()


def test_failure_of_the_chosen_key_is_the_answer(plug: Plug) -> None:
    """When the key that was chosen by touch fails, the others are not asked in its place."""
    pair = Pair(plug, pin=PIN, policy=PinPolicy.TO_REGISTER)
    person = Witness(None, on_touch=choosing(pair, 0))
    assert reason_of(asked(pair.keys, to_register(), person)) == "pin-needed"
    assert person.tries == [(pair.keys[0], 8)]


def test_finger_chooses_as_a_touch_does(between: Open) -> None:
    """Of two keys with sensors that hold a credential, the one that knows the finger answers."""
    soft = [SoftKey.make(pin=PIN), SoftKey.make(pin=PIN)]
    credentials = [made(one) for one in soft]

    class Waiting(WithSensor):
        def change(self, command: int, parameters: Parameters) -> Parameters | bytes:
            changed = super().change(command, parameters)
            return b"\x2f" if changed == b"\x3f" else changed

    keys = [between(Waiting(soft[0], PIN, *[False] * 999)), between(Waiting(soft[1], PIN, True))]
    request = to_sign(*(one.credential_id for one in credentials), user_verification=True)
    judge_assertion(asked(keys, request), request, credentials[1])


def test_dead_key_does_not_stop_a_good_one(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that says nothing delays the others by the time that any key may be silent, and no more."""
    monkeypatch.setattr(usb, "SILENCE", 0.1)
    dead, good = SoftKey.make(), plug(SoftKey.make())
    misbehave(dead, Misbehaviour(dead=True))
    credential = registered(good)
    request = to_sign(credential.credential_id)
    judge_assertion(asked([plug(dead), good], request), request, credential)


def test_key_pulled_out_does_not_stop_another(plug: Plug) -> None:
    """When one of two blinking keys is pulled out, the other can still be touched."""
    pulled, button = SoftKey.make(), Button()
    misbehave(pulled, Misbehaviour(unplug=Unplug.WAITING))
    keys = [plug(pulled), plug(SoftKey.make(touch=button))]
    assert isinstance(asked(keys, to_register(), Witness(on_touch=lambda _key: button.press())), Registered)


def test_most_telling_failure_is_returned(plug: Plug, tmp_path: Path) -> None:
    """Of several failures, the person hears of the one that something can be done about."""
    stranger, verifier = plug(SoftKey.make()), plug(SoftKey.make())
    request = to_sign(registered(verifier).credential_id, user_verification=True)
    keys = [named_key(str(tmp_path / "gone")), stranger, verifier]
    assert reason_of(asked(keys, request)) == "verification-impossible"
    assert reason_of(asked(keys[:2], request)) == "no-credential"


def test_key_named_twice_is_asked_once(plug: Plug) -> None:
    """The same key named twice is not its own rival."""
    key, person = plug(SoftKey.make()), Witness()
    assert isinstance(asked([key, key], to_register(), person), Registered)
    assert person.touches == [key]
    assert reason_of(asked([key, key], to_sign(UNKNOWN))) == "no-credential"


# --- the person ------------------------------------------------------------------------------------------------------


class Fled(BaseException):
    """Raised by a person who has no time."""


@pytest.mark.parametrize("fault", [RuntimeError("no terminal"), Fled()])
def test_fault_of_the_person_is_raised(plug: Plug, fault: BaseException) -> None:
    """What the person raises comes out of `ask`, and is not taken for a fault of the key."""

    def flee(_key: FoundKey) -> None:
        raise fault

    with pytest.raises(type(fault)):
        asked(plug(SoftKey.make()), to_register(), Witness(on_touch=flee))


def test_person_hears_one_key_at_a_time(plug: Plug) -> None:
    """Two keys that blink at the same time speak one after the other."""
    pair = Pair(plug)
    busy = threading.Lock()
    both = pair.touched_when_both_blink(0)

    def listen(key: FoundKey) -> None:
        assert busy.acquire(blocking=False)
        threading.Event().wait(0.05)
        both(key)
        busy.release()

    assert isinstance(asked(pair.keys, to_register(), Witness(on_touch=listen)), Registered)


def test_person_does_not_hear_a_key_that_was_let_go() -> None:
    """A key whose request is over can neither ask for a touch nor for a PIN."""
    person, key = Witness(PIN), found()
    asked_key = asking.Asked(key)
    ear = working._Ear(asked_key, asking.Table(person, [asked_key]))
    asked_key.let_go()
    ear.touch(key)
    assert ear.pin(key, 8) is None
    assert (person.touches, person.tries) == ([], [])


def test_interrupt_lets_every_key_go(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the caller is interrupted (Ctrl-C), the keys stop blinking and nothing stays behind."""
    button = Button()
    key = plug(SoftKey.make(touch=button))

    def interrupted(*_: object) -> None:
        assert button.blinks.wait(10)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(asking, "_next_report", interrupted_after(asking._next_report, interrupted))
        with pytest.raises(KeyboardInterrupt):
            asked(key, to_register())
    assert isinstance(asked(key, to_register(), Witness(on_touch=lambda _key: button.press())), Registered)


def interrupted_after(first: Callable[..., object], then: Callable[..., object]) -> Callable[..., object]:
    """Return a function that works once, for the first look, and is interrupted when called again."""
    calls = iter((first, then))
    return lambda *args: next(calls)(*args)
