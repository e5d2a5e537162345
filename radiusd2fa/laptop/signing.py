"""From a responder code to the response that goes back: which key is asked, for what, and what its answer becomes.

It never hands on an answer that the daemon could not rebuild: other authenticator data than 37 plain octets, another
credential, a signature in another form. WebAuthn 6.1 (authenticator data) and 6.5.5 (signatures).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from threading import Event
from typing import Final

from radiusd2fa.core.invitation import KeyCard
from radiusd2fa.core.responder import (
    SIGNATURE_OCTETS,
    KeyResponse,
    ResponderCode,
    client_data,
    responder_challenge,
    selector,
)
from radiusd2fa.keys.model import Answer, Failed, FailureReason, FoundKey, Request, Signed, SignRequest
from radiusd2fa.laptop.screen import Screen
from radiusd2fa.laptop.touching import Messenger, Typed, touch_or_type

PATIENCE: Final = 60.0
"""Seconds for plugging in and touching. A challenge lives for two minutes, and sshd waits no longer."""
LOOK_AGAIN: Final = 0.5

_AUTHENTICATOR_DATA_OCTETS: Final = 37
_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_MORE_DATA: Final = 0xC0
"""AT and ED: something follows the 37 octets."""


def sign_request(code: ResponderCode, cards: Sequence[KeyCard], host: str) -> SignRequest:
    """Return what a key is asked. The cards are those of one user at one site; ``host`` is empty when unbound."""
    challenge = responder_challenge(code.nonce, cards[0].user, host)
    return SignRequest(
        rp_id=cards[0].rp_id,
        client_data=client_data(challenge, cards[0].origin),
        credentials=tuple(card.credential for card in cards),
        user_verification=code.user_verification,
    )


def key_response(signed: Signed, request: SignRequest) -> KeyResponse | Failed:
    """Return the response that a signature makes, or why it makes none."""
    octets, rp_id_hash = signed.authenticator_data, hashlib.sha256(request.rp_id.encode()).digest()
    if len(octets) != _AUTHENTICATOR_DATA_OCTETS or octets[32] & _MORE_DATA:
        return _broken("The key adds data of its own to what it signs, and a response has no room for it.")
    if signed.credential_id not in request.credentials or octets[:32] != rp_id_hash:
        return _broken("The key has signed for something else than it was asked for.")
    flags = octets[32]
    if not flags & _USER_PRESENT:
        return _broken("The key has signed without a touch, and no login may follow from that.")
    if request.user_verification and not flags & _USER_VERIFIED:
        return _broken("The key has not verified its user (PIN or finger), and this login asks for it.")
    signature = _raw(signed.signature)
    if signature is None:
        return _broken("The key has signed in a form that neither ES256 nor EdDSA has.")
    return KeyResponse(selector(signed.credential_id), flags, int.from_bytes(octets[33:], "big"), signature)


def _raw(signature: bytes) -> bytes | None:
    """Return the 64 octets of a signature: r and s of ES256, or EdDSA's as they are."""
    if len(signature) == SIGNATURE_OCTETS:  # an ES256 signature in DER is that short once in 2^50
        return signature
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    half = SIGNATURE_OCTETS // 2
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(half, "big") + s.to_bytes(half, "big") if r and s else None
    except (ValueError, OverflowError):
        return None


def sign(
    code: ResponderCode,
    cards: Sequence[KeyCard],
    host: str,
    screen: Screen,
    *,
    device: str = "",
    may_type: bool = False,
) -> KeyResponse | Failed | Typed:
    """Have a key sign for this code, bound to the host; with ``may_type`` the person may type another code instead."""
    request = sign_request(code, cards, host)

    def work(messenger: Messenger, cancel: Event) -> Answer:
        return ask_keys(request, messenger, cancel, device=device)

    match touch_or_type(work, screen, may_type=may_type):
        case Signed() as signed:
            return key_response(signed, request)
        case Failed() | Typed() as other:
            return other
        case _:
            return _broken("The key has done something else than sign.")


def _broken(detail: str) -> Failed:
    return Failed(FailureReason.BROKEN, detail)


# --- asking ----------------------------------------------------------------------------------------------------------


def keys_at_hand(device: str = "") -> list[FoundKey]:
    """Return the keys that may be asked: the named one (a device file or a reader's name), or all that are there."""
    from radiusd2fa.keys import nfc, usb

    if device.startswith("/"):
        return [usb.named_key(device)]
    return [key for key in [*usb.find_keys(), *nfc.find_keys()] if device in {"", key.path}]


def ask_keys(request: Request, messenger: Messenger, cancel: Event, *, device: str = "") -> Answer:
    """Ask the keys that are there; where there is none, wait until one is plugged in or held to a reader."""
    from radiusd2fa.keys.asking import ask

    for _ in range(int(PATIENCE / LOOK_AGAIN)):
        if keys := keys_at_hand(device):
            messenger.state("Looking at your key" if len(keys) == 1 else "Looking at your keys")
            return ask(keys, request, messenger, timeout=PATIENCE, cancel=cancel)
        messenger.state("Plug in your key")
        if cancel.wait(LOOK_AGAIN):
            return Failed(FailureReason.CANCELLED, "No key was used.")
    return Failed(FailureReason.NO_KEY, "No security key was plugged in; radiusd2fa-key doctor looks for the reason.")
