"""What is told to an upstream server about a login, and what of its answer may come back to ours.

Nothing here sends or believes anything: replies were verified before (radius.reply_packet), and nothing that only the
upstream's secret can reveal is passed back.
RFC 2865 4.1, 4.4 and 5; RFC 2869 5.10 (Prompt); RFC 2868 3.5 and RFC 2548 2.4 (attributes that a secret encrypts).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from radiusd2fa.radius.attributes import MAX_VALUE, Attribute
from radiusd2fa.radius.packet import MAX_PASSWORD, Packet

MAX_PROMPT: Final = 200
"""Characters of an upstream's question that are shown."""
PROMPT_WITHOUT_WORDS: Final = "Answer: "
"""What is shown when the upstream asks without a word: NASes give up on a challenge without a text."""

Attributes = Sequence[tuple[int, bytes]]

_TUNNEL_PASSWORD: Final = 69
_MICROSOFT: Final = (311).to_bytes(4, "big")
_MPPE_KEYS: Final = frozenset({12, 16, 17})
"""MS-CHAP-MPPE-Keys, MS-MPPE-Send-Key, MS-MPPE-Recv-Key (RFC 2548 2.4)."""
_ECHO: Final = (1).to_bytes(4, "big")

NEVER_ON: Final = frozenset(
    {
        Attribute.USER_NAME,
        Attribute.USER_PASSWORD,
        Attribute.CHAP_PASSWORD,
        Attribute.REPLY_MESSAGE,
        Attribute.STATE,
        Attribute.PROXY_STATE,  # ours to return; and it is what carried the collision of CVE-2024-3596
        Attribute.CHAP_CHALLENGE,
        Attribute.EAP_MESSAGE,
        Attribute.MESSAGE_AUTHENTICATOR,
    }
)
"""What belongs to the conversation between the NAS and us, whatever the settings say."""

NEVER_BACK: Final = NEVER_ON - {Attribute.USER_NAME} | {_TUNNEL_PASSWORD, Attribute.PROMPT}
"""What belongs to the conversation between the upstream and us, or is encrypted with the secret of that one."""


def is_sendable(password: bytes) -> bool:
    """Whether a User-Password carries exactly these octets: padding swallows NULs at the end (RFC 2865 5.2).

    One within is refused as well: servers written in C read no further, so that ``right NUL anything`` would pass.
    """
    return len(password) <= MAX_PASSWORD and b"\0" not in password


def asked_about(name: str, given: Attributes, pass_on: Sequence[int], nas_identifier: str) -> list[tuple[int, bytes]]:
    """User-Name, and of the NAS's attributes those to pass on; without a NAS-Identifier among them it is our own."""
    told = [(Attribute.USER_NAME.value, name.encode())]
    told += [(kind, value) for kind, value in given if kind in pass_on and kind not in NEVER_ON and value]
    if all(kind != Attribute.NAS_IDENTIFIER for kind, _ in told):
        told.append((Attribute.NAS_IDENTIFIER.value, nas_identifier.encode()))
    return told


def passed_back(given: Attributes, pass_back: Sequence[int]) -> tuple[tuple[int, bytes], ...]:
    """Of the attributes in the upstream's Access-Accept those that may go into ours, in their order."""
    return tuple(
        [
            (kind, value)
            for kind, value in given
            if kind in pass_back and kind not in NEVER_BACK and value and not _is_key(kind, value)
        ]
    )


def _is_key(kind: int, value: bytes) -> bool:
    """Whether this is a Vendor-Specific of Microsoft's with a key inside, which only its receiver can read."""
    if kind != Attribute.VENDOR_SPECIFIC or not value.startswith(_MICROSOFT):
        return False
    at = len(_MICROSOFT)
    while at < len(value):
        if value[at] in _MPPE_KEYS:
            return True
        # a length that leads nowhere ends the walk: what cannot be read is taken for a key
        if at + 1 == len(value) or value[at + 1] < 2:
            return True
        at += value[at + 1]
    return False


def prompt_of(reply: Packet) -> str:
    """What an Access-Challenge shows the person: its Reply-Messages as one line of printable text, never empty.

    A text that was split into full attributes is put together again; others have a space between. Markup is taken out:
    ocserv puts the text into XML as it is. The space at the end parts it from what is typed.
    """
    whole = b""
    for part in reply.all(Attribute.REPLY_MESSAGE):
        whole += part if len(part) == MAX_VALUE else part + b" "
    text = "".join(c if c.isprintable() and c not in "<>&" else " " for c in whole.decode("utf-8", "ignore"))
    shown = " ".join(text.split())
    return f"{shown[: MAX_PROMPT - 1].rstrip()} " if shown else PROMPT_WITHOUT_WORDS


def is_hidden(reply: Packet) -> bool:
    """Whether the answer should not be seen while it is typed; so it is unless Prompt says Echo (RFC 2869 5.10)."""
    return reply.first(Attribute.PROMPT) != _ECHO
