"""Looks at replies: says them in the words of a transcript, compares them, and finds what is wrong with their form.

It judges octets only and knows nothing of logins; that they are signed and whole was pyrad's to say.
RFC 2865 4.2 to 4.4 and 5.33, RFC 3579 3.2 (Message-Authenticator), RFC 2869 5.10 (Prompt).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Final

from radiusd2fa.emulators.nas import PROMPT, REPLY_MESSAGE, STATE, Answer

from .attributes import Attributes, attributes_of
from .keychain import unvaried

PROXY_STATE: Final = 33
MESSAGE_AUTHENTICATOR: Final = 80
ACCESS_CHALLENGE: Final = 11
ACCESS_ACCEPT: Final = 2
LONGEST_PROMPT: Final = 200
LONGEST_VALUE: Final = 253
QUESTION: Final = {STATE, REPLY_MESSAGE, PROMPT}
"""What only a question has."""
PLUMBING: Final = {PROXY_STATE, MESSAGE_AUTHENTICATOR}
"""What belongs to the protocol, whoever logs in."""

_HOW_SEEN: Final[dict[object, str]] = {None: "", (0,): " hidden", (1,): " shown"}
_ALPHABETS: Final = {32: set(b"0123456789abcdef"), 22: set(b"-_" + (string.ascii_letters + string.digits).encode())}


def describe(answer: Answer, said: Sequence[str] = ()) -> str:
    """Return a reply in the words of a transcript; ``said`` are those of its attributes that are the site's."""
    prompt = quoted(unvaried(answer.prompt))
    if answer.kind == "challenge":
        return f"challenge {prompt}{_HOW_SEEN[answer.attributes.get('Prompt')]}"
    return " ".join((answer.kind, *((prompt,) if answer.prompt else ()), *said))


def quoted(text: str) -> str:
    """Return a text as it stands in a transcript."""
    return f'"{text}"'


def likeness(raw: bytes) -> tuple[int, int, Attributes]:
    """Return what a caller could tell replies apart by: all but identifier, authenticators, State, key codes."""
    return raw[0] if raw else 0, len(raw), [(kind, _without_chance(kind, value)) for kind, value in attributes_of(raw)]


def _without_chance(kind: int, value: bytes) -> bytes:
    if kind in {STATE, MESSAGE_AUTHENTICATOR}:
        return bytes(len(value))
    return unvaried(value.decode()).encode() if kind == REPLY_MESSAGE else value


def said_in(raw: bytes) -> Attributes:
    """Return the attributes of a reply that are neither the protocol's nor a question's."""
    return [(kind, value) for kind, value in attributes_of(raw) if kind not in {*PLUMBING, *QUESTION}]


def form_fault(raw: bytes, proxied: Sequence[bytes], *, signed: bool, state_length: int = 32) -> str:
    """Say what is wrong with the form of a reply; nothing, if all is well."""
    if not raw:  # silence has no form
        return ""
    attributes = attributes_of(raw)
    kinds = [kind for kind, _ in attributes]
    if signed and kinds[:1] != [MESSAGE_AUTHENTICATOR]:
        return f"Message-Authenticator is not the first attribute: {kinds}"
    if not signed and MESSAGE_AUTHENTICATOR in kinds:
        return "a Message-Authenticator for a client that wants none"
    if [value for kind, value in attributes if kind == PROXY_STATE] != list(proxied):
        return f"Proxy-State {[value for kind, value in attributes if kind == PROXY_STATE]}, sent were {list(proxied)}"
    rest = sorted(kind for kind in kinds if kind not in {*PLUMBING, PROMPT})
    if raw[0] == ACCESS_ACCEPT:  # what a site lets it say is none of the protocol's business
        rest = [kind for kind in rest if kind in QUESTION]
    if rest != ([REPLY_MESSAGE, STATE] if raw[0] == ACCESS_CHALLENGE else []):
        return f"a reply of code {raw[0]} with the attributes {kinds}"
    if PROMPT in kinds and (raw[0] != ACCESS_CHALLENGE or kinds.count(PROMPT) != 1):
        return f"Prompt in a reply of code {raw[0]}, {kinds.count(PROMPT)} times"
    state = next((value for kind, value in attributes if kind == STATE), b"0" * state_length)
    if len(state) != state_length or not set(state) <= _ALPHABETS[state_length]:
        return f"State is not {state_length} characters of hex or base64url: {state!r}"
    prompts = [value for kind, value in attributes if kind == REPLY_MESSAGE]
    if any(len(value.decode()) > LONGEST_PROMPT or len(value) > LONGEST_VALUE for value in prompts):
        return f"a prompt of more than {LONGEST_PROMPT} characters"
    if not all(value for _, value in attributes):
        return "an attribute without a value"
    return ""
