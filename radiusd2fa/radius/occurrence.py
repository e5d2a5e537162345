"""Which attributes belong into which packets: what a site may put into an Access-Accept, and look for in a request.

Only numbers are known here, so that no dictionary can open a way around it; what is not listed is allowed.
The tables of RFC 2865 5.44, 2866 5.13, 2868 4, 2869 5.19, 3162 3, 4372, 4675 3 and 5607; RFC 2548 (MS-CHAP).
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.radius.data_types import AttributeFault
from radiusd2fa.radius.dictionary import AttributeType

_MICROSOFT: Final = 311

_PROOFS: Final = frozenset({2, 3, 60, 70, 73, 74, 79})
"""What people prove themselves with: User-Password, CHAP-Password and -Challenge, those of ARAP, EAP-Message."""
_MSCHAP: Final = frozenset({1, 2, 3, 4, 5, 6, 10, 11, 12, 19, 20, 25, 26, 27, 33})
"""The same among Microsoft's attributes."""
_PROTOCOL: Final = frozenset({24, 33, 80})
"""State, Proxy-State, Message-Authenticator: what the protocol itself needs."""
_ACCOUNTING: Final = frozenset({40, 41, 42, 43, 45, 46, 47, 48, 49, 51, 52, 53, 55, 68, 86})
_REQUESTS: Final = frozenset({4, 5, 30, 31, 32, 44, 50, 61, 77, 87, 95})
"""What a NAS says of itself, of the caller and of the session."""
_CHALLENGES_AND_REJECTS: Final = frozenset({75, 76, 101})
"""Password-Retry, Prompt, Error-Cause."""
_REPLIES: Final = frozenset(
    {10, 11, 15, 16, 18, 20, 22, 23, 25, 27, 28, 29, 37, 38, 39, 69, 71, 72, 75, 76, 78, 82, 84, 85, 88, 92, 99, 100}
    | {101, 135, 136}
)
"""What stands in replies and never in an Access-Request."""
_SINGLE: Final = frozenset(
    {1, 6, 7, 8, 9, 10, 12, 15, 16, 19, 20, 23, 27, 28, 29, 34, 35, 36, 37, 39, 57, 59, 62, 63, 71, 72, 84, 85, 88}
    | {89, 96, 100, 133, 134, 135, 136}
)
"""What an Access-Accept holds at most once ("0-1")."""

_USER_NAME: Final = 1
_REPLY_MESSAGE: Final = 18
_VENDOR_SPECIFIC: Final = 26


def refuse_in_accept(kind: AttributeType) -> None:
    """Raise AttributeFault for an attribute that no site may put into an Access-Accept."""
    number = kind.path[0]
    if kind.vendor is not None:
        if kind.vendor.number == _MICROSOFT and number in _MSCHAP:
            raise AttributeFault("it belongs to MS-CHAP, which cannot check a code", "leave it out")
    elif number in _PROOFS:
        raise AttributeFault("it is what somebody logs in with and stands in no reply of a site's", "leave it out")
    elif number in _PROTOCOL:
        raise AttributeFault("the protocol needs it, and it is put into replies where it belongs", "leave it out")
    elif number == _REPLY_MESSAGE:
        raise AttributeFault("what people read is not set here", "leave it out")
    elif number == _VENDOR_SPECIFIC:
        raise AttributeFault("it only wraps the attributes of vendors", "write the vendor's attribute by its own name")
    elif number in _REQUESTS:
        raise AttributeFault("it is an attribute of requests, which a NAS sends", "leave it out (RFC 2865 5.44)")
    elif number in _ACCOUNTING:
        raise AttributeFault("it is an attribute of accounting", "leave it out (RFC 2866 5.13)")
    elif number in _CHALLENGES_AND_REJECTS:
        raise AttributeFault("it stands in no Access-Accept", "leave it out (RFC 2869 5.19, RFC 5176 3.5)")


def refuse_as_condition(kind: AttributeType) -> None:
    """Raise AttributeFault for an attribute that a rule cannot ask about, or that never comes in an Access-Request."""
    number = kind.path[0]
    if kind.vendor is not None:
        if kind.vendor.number == _MICROSOFT and number in _MSCHAP:
            raise AttributeFault("no rule may depend on what somebody logs in with", "leave it out")
    elif number in _PROOFS or number in _PROTOCOL:
        raise AttributeFault("no rule may depend on what somebody logs in with", "leave it out")
    elif number == _USER_NAME:
        # A comparison of octets would know one spelling of a name and miss all others.
        raise AttributeFault("a name has many spellings", "write users, groups or realms, which know them all")
    elif number == _VENDOR_SPECIFIC:
        raise AttributeFault("it only wraps the attributes of vendors", "write the vendor's attribute by its own name")
    elif number in _REPLIES or number in _ACCOUNTING:
        raise AttributeFault("it never comes in an Access-Request, so the rule would fit nobody", "leave it out")


def is_single(kind: AttributeType) -> bool:
    """Whether an Access-Accept holds at most one of these."""
    return kind.vendor is None and kind.path[0] in _SINGLE
