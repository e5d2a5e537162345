"""Reasons: what a bind's answer says, and what an entry says of who may log in.

The controls are draft-behera-ldap-password-policy 6.2; the texts are those of Active Directory's diagnostic messages.
"""

from __future__ import annotations

from typing import Final

import pytest

from radiusd2fa.core.model import Reason
from radiusd2fa.directory.messages import PASSWORD_POLICY, Entry, Result
from radiusd2fa.directory.reasons import bind_reason, standing

NOW: Final = 1_800_000_000.0

WINDOWS: Final = {
    "525": Reason.ACCOUNT_UNKNOWN,
    "52e": None,
    "530": Reason.ACCOUNT_DISABLED,
    "532": Reason.PASSWORD_EXPIRED,
    "533": Reason.ACCOUNT_DISABLED,
    "701": Reason.ACCOUNT_EXPIRED,
    "773": Reason.PASSWORD_EXPIRED,
    "775": Reason.ACCOUNT_LOCKED,
    "999": None,
}


@pytest.mark.parametrize(("data", "reason"), WINDOWS.items(), ids=WINDOWS)
def test_the_numbers_of_active_directory(data: str, reason: Reason | None) -> None:
    """The number behind "data" says why; a wrong password and unknown numbers say nothing."""
    text = f"80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data {data}, v3839"
    assert bind_reason(Result(49, text)) is reason


CONTROLS: Final = {
    "expired": ("3003 810100", 49, Reason.PASSWORD_EXPIRED),
    "locked": ("3003 810101", 49, Reason.ACCOUNT_LOCKED),
    "to be changed": ("3003 810102", 0, Reason.PASSWORD_EXPIRED),
    "too young to change": ("3003 810107", 49, None),
    "expires soon": ("3006 a004 80020100", 0, None),
    "soon and to be changed": ("3009 a004 80020100 810102", 0, Reason.PASSWORD_EXPIRED),
    "nothing": ("3000", 49, None),
    "garbage": ("30ff", 49, None),
    "empty": ("", 49, None),
}


@pytest.mark.parametrize(("value", "code", "reason"), CONTROLS.values(), ids=CONTROLS)
def test_the_password_policy_control(value: str, code: int, reason: Reason | None) -> None:
    """Its error says why; warnings and what cannot be read say nothing."""
    assert bind_reason(Result(code, controls={PASSWORD_POLICY: bytes.fromhex(value)})) is reason


CODES: Final = {0: None, 19: Reason.ACCOUNT_LOCKED, 32: Reason.ACCOUNT_UNKNOWN, 49: None, 53: Reason.ACCOUNT_DISABLED}


@pytest.mark.parametrize(("code", "reason"), CODES.items())
def test_codes_that_say_enough(code: int, reason: Reason | None) -> None:
    """389 Directory Server says by its code that an account is locked or inactivated."""
    assert bind_reason(Result(code)) is reason


ENTRIES: Final = {
    "nothing": ({}, None),
    "enabled": ({"userAccountControl": "512", "accountExpires": "0"}, None),
    "disabled": ({"userAccountControl": "514"}, Reason.ACCOUNT_DISABLED),
    "never expires": ({"accountExpires": "9223372036854775807"}, None),
    "expired": ({"accountExpires": "132223104000000000"}, Reason.ACCOUNT_EXPIRED),
    "expires later": ({"accountExpires": "157766400000000000"}, None),
    "locked by Windows": ({"msDS-User-Account-Control-Computed": "16"}, Reason.ACCOUNT_LOCKED),
    "password expired only": ({"msDS-User-Account-Control-Computed": "8388608"}, None),
    "nsAccountLock": ({"nsAccountLock": "TRUE"}, Reason.ACCOUNT_DISABLED),
    "not nsAccountLock": ({"nsAccountLock": "false"}, None),
    "locked for ever": ({"pwdAccountLockedTime": "000001010000Z"}, Reason.ACCOUNT_LOCKED),
    "locked for a while": ({"pwdAccountLockedTime": "20260101000000Z"}, None),
    "shadowExpire over": ({"shadowExpire": "15000"}, Reason.ACCOUNT_EXPIRED),
    "shadowExpire never": ({"shadowExpire": "-1"}, None),
    "Kerberos principal over": ({"krbPrincipalExpiration": "20200101000000Z"}, Reason.ACCOUNT_EXPIRED),
    "Kerberos principal not over": ({"krbPrincipalExpiration": "20990101000000Z"}, None),
    "no date": ({"krbPrincipalExpiration": "20209901000000Z"}, None),
    "no number": ({"userAccountControl": "two", "accountExpires": "9" * 40}, None),
}


@pytest.mark.parametrize(("attributes", "reason"), ENTRIES.values(), ids=ENTRIES)
def test_what_an_entry_says(attributes: dict[str, str], reason: Reason | None) -> None:
    """Disabled, locked and past its day are seen in the entry; what makes no sense is no reason."""
    entry = Entry("cn=x", {name.lower(): (value.encode(),) for name, value in attributes.items()})
    assert standing(entry, NOW) is reason
