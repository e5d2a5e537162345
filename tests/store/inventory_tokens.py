"""A token X1 of any kind, in any state, as if all its life had led there. Answers to no RFC."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.core.sheets import BREAK_GLASS, RECOVERY, TEMPORARY, Sheet, make, octets_wanted

from .conftest import ACTOR, NOW, Site, hotp

FOB: Final = b"the seed of a fob of its own"
SHEETS: Final = {"recovery": RECOVERY, "temporary": TEMPORARY, "breakglass": BREAK_GLASS}


def a_sheet(sheet: Sheet, serial: str = "X1") -> Token:
    """A sheet of three codes."""
    made = make(sheet, 3, bytes(range(octets_wanted(sheet, 3))))
    return Token(id=0, serial=serial, kind=sheet.kind, moving_factor=0, secret=made.secret, digits=sheet.length)


def add(site: Site, kind: str) -> None:
    """Put a token X1 into alice's hands."""
    token = a_sheet(SHEETS[kind]) if kind in SHEETS else replace(hotp("X1", FOB, counter=3), kind=kind)
    with site.registry() as registry:
        registry.add_token(token, "alice", NOW)


def put(site: Site, state: TokenState) -> None:
    """Let X1 be in that state as if all its life had led there: alice's, where it is in somebody's hands."""
    mine = (None, "", None) if whose(state) is None else (1, ACTOR, NOW)
    site.sql(
        "UPDATE tokens SET state = ?, user_id = ?, handed_by = ?, handed_at = ?, activate_by = NULL "
        "WHERE serial = 'X1'",
        *(state.value, *mine),
    )


def whose(state: TokenState) -> str | None:
    """Who has a token in that state."""
    return None if state in (TokenState.STOCK, TokenState.RETURNED) else "alice"
