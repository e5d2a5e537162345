"""Why a directory refused somebody, and what an entry says of who may log in: everything that makes a Reason.

A reason is for the log alone and never turns a refusal into anything else; what is not understood is no reason. The
control is draft-behera-ldap-password-policy 6.2; the numbers of Active Directory are Windows' system error codes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from radiusd2fa.core.model import Reason
from radiusd2fa.directory import ber
from radiusd2fa.directory.messages import PASSWORD_POLICY, Code, Entry, Result

PERSONS_FAULT: Final = frozenset(
    {
        Code.CONSTRAINT_VIOLATION,  # 389 Directory Server: too many tries
        Code.NO_SUCH_OBJECT,
        Code.INVALID_DN_SYNTAX,
        Code.INAPPROPRIATE_AUTHENTICATION,  # the entry has no password
        Code.INVALID_CREDENTIALS,
        Code.INSUFFICIENT_ACCESS_RIGHTS,
        Code.UNWILLING_TO_PERFORM,  # 389 Directory Server: the account is inactivated
    }
)
"""What a bind may end with for the sake of whoever wants to log in, and not because the directory is unwell."""

_WINDOWS: Final = re.compile(r"\bdata ([0-9a-f]{2,8})\b", re.IGNORECASE)
_WINDOWS_REASONS: Final = {
    0x525: Reason.ACCOUNT_UNKNOWN,
    0x530: Reason.ACCOUNT_DISABLED,  # not at this hour
    0x531: Reason.ACCOUNT_DISABLED,  # not from here
    0x532: Reason.PASSWORD_EXPIRED,
    0x533: Reason.ACCOUNT_DISABLED,
    0x701: Reason.ACCOUNT_EXPIRED,
    0x773: Reason.PASSWORD_EXPIRED,  # must be changed first
    0x775: Reason.ACCOUNT_LOCKED,
}
_POLICY_ERROR: Final = 0x81
_POLICY_REASONS: Final = {0: Reason.PASSWORD_EXPIRED, 1: Reason.ACCOUNT_LOCKED, 2: Reason.PASSWORD_EXPIRED}
_NETSCAPE_PASSWORD_EXPIRED: Final = "2.16.840.1.113730.3.4.4"
_CODE_REASONS: Final = {
    Code.CONSTRAINT_VIOLATION: Reason.ACCOUNT_LOCKED,
    Code.NO_SUCH_OBJECT: Reason.ACCOUNT_UNKNOWN,
    Code.INVALID_DN_SYNTAX: Reason.ACCOUNT_UNKNOWN,
    Code.UNWILLING_TO_PERFORM: Reason.ACCOUNT_DISABLED,
}


def bind_reason(result: Result) -> Reason | None:
    """Return what a bind's answer says beyond yes or no.

    A bind that has succeeded has a reason all the same when the password must be changed before anything else.
    """
    if PASSWORD_POLICY in result.controls and (reason := _policy_reason(result.controls[PASSWORD_POLICY])):
        return reason
    if _NETSCAPE_PASSWORD_EXPIRED in result.controls:
        return Reason.PASSWORD_EXPIRED
    if result.code == Code.SUCCESS:
        return None
    if windows := _WINDOWS.search(result.diagnostic):
        return _WINDOWS_REASONS.get(int(windows[1], 16))
    return _CODE_REASONS.get(Code(result.code)) if result.code in _CODE_REASONS else None


def _policy_reason(value: bytes) -> Reason | None:
    try:
        for _, sequence in ber.elements(value):
            for tag, content in ber.elements(sequence):
                if tag == _POLICY_ERROR:
                    return _POLICY_REASONS.get(ber.number(content))
    except ber.MalformedError:
        return None
    return None


# --- what the entry itself says --------------------------------------------------------------------------------------

STANDING: Final = (
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "nsAccountLock",
    "pwdAccountLockedTime",
    "krbPrincipalExpiration",
    "shadowExpire",
)
"""The attributes that ``standing`` looks at."""

_ACCOUNT_DISABLE: Final = 0x0002
_LOCKOUT: Final = 0x0010
_LOCKED_FOR_EVER: Final = "000001010000Z"
_NEVER: Final = (0, 0x7FFF_FFFF_FFFF_FFFF)
_WINDOWS_EPOCH: Final = 11_644_473_600
"""Seconds from 1601 to 1970."""
_DAY: Final = 86_400
_GENERALIZED_TIME: Final = re.compile(r"(\d{14})(?:[.,]\d+)?Z")


def standing(entry: Entry, now: float) -> Reason | None:
    """Return why nobody may log in as this entry, if the entry says so. ``now`` in seconds since 1970.

    A lock that ends by itself (``pwdAccountLockedTime`` with a date) is left to the bind: only the server knows when.
    """
    if _number(entry, "userAccountControl") & _ACCOUNT_DISABLE or entry.text("nsAccountLock").lower() == "true":
        return Reason.ACCOUNT_DISABLED
    locked = _number(entry, "msDS-User-Account-Control-Computed") & _LOCKOUT
    if locked or entry.text("pwdAccountLockedTime") == _LOCKED_FOR_EVER:
        return Reason.ACCOUNT_LOCKED
    return Reason.ACCOUNT_EXPIRED if _ends(entry) <= now else None


def _ends(entry: Entry) -> float:
    ends = float("inf")
    if (ticks := _number(entry, "accountExpires")) not in _NEVER:
        ends = min(ends, ticks / 1e7 - _WINDOWS_EPOCH)
    if (days := _number(entry, "shadowExpire")) > 0:
        ends = min(ends, days * _DAY)
    if written := _GENERALIZED_TIME.fullmatch(entry.text("krbPrincipalExpiration")):
        try:
            ends = min(ends, datetime.strptime(written[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
        except ValueError:
            return ends
    return ends


def _number(entry: Entry, attribute: str) -> int:
    text = entry.text(attribute)
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else 0
