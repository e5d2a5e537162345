"""Looks at replies: says them in the words of a transcript, compares them, and finds what is wrong with their form.

It judges octets only and knows nothing of logins; that they are signed and whole was pyrad's to say.
RFC 2865 4.2 to 4.4 and 5.33, RFC 3579 3.2 (Message-Authenticator), RFC 2869 5.10 (Prompt).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from radiusd2fa.emulators.nas import PROMPT, REPLY_MESSAGE, STATE, Answer

from .keychain import unvaried

PROXY_STATE: Final = 33
MESSAGE_AUTHENTICATOR: Final = 80
ACCESS_CHALLENGE: Final = 11
LONGEST_PROMPT: Final = 200

Attributes = list[tuple[int, bytes]]


def describe(answer: Answer) -> str:
    """Return a reply in the words of a transcript."""
    prompt = quoted(unvaried(answer.prompt))
    if answer.kind != "challenge":
        return f"{answer.kind} {prompt}" if answer.prompt else answer.kind
    return f"challenge {prompt}{' hidden' if answer.hidden else ''}"


def quoted(text: str) -> str:
    """Return a text as it stands in a transcript."""
    return f'"{text}"'


def attributes_of(raw: bytes) -> Attributes:
    """Take a reply apart; that it is whole was checked by the NAS."""
    found, at = [], 20
    while at < len(raw):
        found.append((raw[at], raw[at + 2 : at + raw[at + 1]]))
        at += raw[at + 1]
    return found


def likeness(raw: bytes) -> tuple[int, int, Attributes]:
    """Return what a caller could tell replies apart by: all but identifier, authenticators, State, key codes."""
    return raw[0] if raw else 0, len(raw), [(kind, _without_chance(kind, value)) for kind, value in attributes_of(raw)]


def _without_chance(kind: int, value: bytes) -> bytes:
    if kind in {STATE, MESSAGE_AUTHENTICATOR}:
        return bytes(len(value))
    return unvaried(value.decode()).encode() if kind == REPLY_MESSAGE else value


def form_fault(raw: bytes, proxied: Sequence[bytes], *, signed: bool) -> str:
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
    rest = sorted(kind for kind in kinds if kind not in {PROXY_STATE, MESSAGE_AUTHENTICATOR, PROMPT})
    if rest != ([REPLY_MESSAGE, STATE] if raw[0] == ACCESS_CHALLENGE else []):
        return f"a reply of code {raw[0]} with the attributes {kinds}"
    if PROMPT in kinds and (raw[0] != ACCESS_CHALLENGE or kinds.count(PROMPT) != 1):
        return f"Prompt in a reply of code {raw[0]}, {kinds.count(PROMPT)} times"
    state = next((value for kind, value in attributes if kind == STATE), b"0" * 32)
    if len(state) != 32 or not set(state) <= set(b"0123456789abcdef"):
        return f"State is not 32 lowercase hex characters: {state!r}"
    if any(len(value) > LONGEST_PROMPT for kind, value in attributes if kind == REPLY_MESSAGE):
        return f"a prompt of more than {LONGEST_PROMPT} characters"
    if not all(value for _, value in attributes):
        return "an attribute without a value"
    return ""
