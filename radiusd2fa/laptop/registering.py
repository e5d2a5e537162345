"""From an invitation to the answer that goes back: a new credential on a key, and the card that remembers it here.

It believes nothing of an answer but the credential id in it: the daemon verifies it, and only then does it count.
WebAuthn 7.1 (registering a credential), 6.5.4 (attestation objects).
"""

from __future__ import annotations

from threading import Event

from radiusd2fa.core.invitation import (
    Invitation,
    KeyCard,
    RegistrationAnswer,
    registration_challenge,
    registration_client_data,
)
from radiusd2fa.core.record import record
from radiusd2fa.keys.model import Answer, Failed, FailureReason, Registered, RegisterRequest
from radiusd2fa.laptop.screen import Screen
from radiusd2fa.laptop.signing import ask_keys
from radiusd2fa.laptop.touching import Messenger, touch_or_type


@record
class NewKey:
    """A key that has registered itself: what the daemon must get, and what stays here."""

    answer: RegistrationAnswer
    card: KeyCard


def register(invitation: Invitation, label: str, screen: Screen, *, device: str) -> NewKey | Failed:
    """Have a key make a credential as the invitation asks."""
    request = register_request(invitation)

    def work(messenger: Messenger, cancel: Event) -> Answer:
        return ask_keys(request, messenger, cancel, device=device)

    result = touch_or_type(work, screen, may_type=False)
    if isinstance(result, Failed):
        return result
    credential = credential_id(result) if isinstance(result, Registered) else None
    if credential is None or not isinstance(result, Registered):
        return Failed(FailureReason.BROKEN, "The key has answered with something that is no registration.")
    return NewKey(
        RegistrationAnswer(invitation.nonce, request.client_data, result.attestation_object),
        KeyCard(invitation.rp_id, invitation.origin, invitation.user, credential, label),
    )


def register_request(invitation: Invitation) -> RegisterRequest:
    """Return what a key is asked."""
    challenge = registration_challenge(invitation.nonce, invitation.user)
    return RegisterRequest(
        rp_id=invitation.rp_id,
        rp_name=invitation.rp_id,
        user_name=invitation.user,
        user_handle=invitation.handle,
        client_data=registration_client_data(challenge, invitation.origin),
        exclude=invitation.exclude,
        attestation=invitation.attestation,
    )


def credential_id(registered: Registered) -> bytes | None:
    """Return the id of a new credential; None when the answer holds none that can be read."""
    from fido2.webauthn import AttestationObject

    try:
        data = AttestationObject(registered.attestation_object).auth_data.credential_data
    except Exception:  # noqa: BLE001 - the parser raises whatever strange octets lead it to
        return None
    return bytes(data.credential_id) if data else None
