"""What leaves of a decision: the attributes of the reply, and the event that stays behind.

It sends and commits nothing. RFC 2865 5 (attributes of replies), 5.18 (Reply-Message), 5.24 (State); Prompt is
RFC 2869 5.10.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.core.attributes import Person
from radiusd2fa.core.model import Accept, Challenge, Event, Reject, Reply
from radiusd2fa.core.names import split_realm
from radiusd2fa.core.nonce import login_id
from radiusd2fa.radius.attributes import Attribute, reply_message
from radiusd2fa.radius.packet import REPLY_OVERHEAD, OversizedReply
from radiusd2fa.radius.reply import encode
from radiusd2fa.radius.wrapping import SALT_OCTETS
from radiusd2fa.settings import ClientSettings
from radiusd2fa.under_way import Login

_PROMPT_HIDDEN: Final = (Attribute.PROMPT, (0).to_bytes(4, "big"))
_PROMPT_SHOWN: Final = (Attribute.PROMPT, (1).to_bytes(4, "big"))

Attributes = tuple[tuple[int, bytes], ...]


def spelled_out(login: Login, outcome: Accept) -> Attributes:
    """Encode what an Access-Accept will carry; UnsayableReply or OversizedReply when it cannot be said."""
    request = login.request
    if not (outcome.reply or outcome.passed_on or login.client.reply):
        return ()
    name = request.user_name or ""
    person = Person(name, split_realm(name)[0], request.realm, outcome.groups)
    named = {(one.number, one.vendor, one.vendor_type) for one in outcome.reply}
    usual = [one for one in login.client.reply if (one.number, one.vendor, one.vendor_type) not in named]
    salt = login.nonce[:SALT_OCTETS]
    said = encode([*usual, *outcome.reply], person, login.secret, login.packet.authenticator, salt)
    attributes = (*said, *outcome.passed_on)
    if sum(2 + len(value) for _, value in attributes) > login.client.max_reply - REPLY_OVERHEAD:
        raise OversizedReply
    return attributes


def question(client: ClientSettings, outcome: Challenge) -> Attributes:
    """Return what an Access-Challenge carries."""
    asked = ((Attribute.STATE, client.wire_state(outcome.state)), reply_message(outcome.prompt))
    if outcome.hidden:
        return (*asked, _PROMPT_HIDDEN)
    return (*asked, _PROMPT_SHOWN) if client.prompt_attribute else asked


def event_of(login: Login, outcome: Reply, now: float, latency: float) -> Event:
    """Return the row of the audit that says what became of a login."""
    match outcome:
        case Accept():
            word = "accepted"
        case Challenge():
            word = "challenged"
        case Reject():
            word = "rejected"
    token = outcome.token
    return Event(
        time=now,
        name=f"access.{word}",
        login=login_id(login.known, login.nonce),
        nas=login.client.nas.name,
        user=login.request.user_name or "",
        caller=login.request.caller,
        factor="" if token is None else token.kind,
        serial="" if token is None else token.serial,
        outcome=word,
        reason=outcome.reason,
        latency=latency,
    )
