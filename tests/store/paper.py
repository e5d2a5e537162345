"""Sheets of codes with known codes, and somebody who types one: found by the factor, spent by the real engine.

Nothing is faked between the typed text and the row. Answers to no RFC.
"""

from __future__ import annotations

from hashlib import shake_256

from radiusd2fa.core.answer import TypedSpare, read_typed
from radiusd2fa.core.finding import Spare, is_usable
from radiusd2fa.core.model import Effect, Token, UseSheet
from radiusd2fa.core.rules import Rules
from radiusd2fa.core.sheets import RECOVERY, Sheet, make, octets_wanted
from radiusd2fa.factors.recovery import find

from .conftest import Desk, Site

Row = tuple[object, ...]


def a_sheet(
    serial: str = "R-1", sheet: Sheet = RECOVERY, count: int = 3, until: float | None = None
) -> tuple[Token, tuple[str, ...]]:
    """Make a sheet whose codes follow from its serial."""
    made = make(sheet, count, shake_256(serial.encode()).digest(octets_wanted(sheet, count)))
    token = Token(
        id=0,
        serial=serial,
        kind=sheet.kind,
        moving_factor=0,
        secret=made.secret,
        digits=sheet.length,
        valid_until=until,
    )
    return token, made.codes


def use(desk: Desk, code: str, now: float, name: str = "alice") -> Effect | None:
    """What a login with that code would write; None where no usable sheet of theirs has it, or has it no more."""
    typed = read_typed(code.encode())
    assert isinstance(typed, TypedSpare)
    user = desk.user(name)
    for token in user.tokens:
        if is_usable(token, now) and isinstance(found := find(token, typed, now, Rules()), Spare):
            return UseSheet(token.id, user.id, found.number, now)
    return None


def lets_in(desk: Desk, code: str, now: float, name: str = "alice") -> bool:
    """Whether a login with that code is let in; it is spent by it."""
    effect = use(desk, code, now, name)
    return effect is not None and desk.commit(effect) is True


def audit(site: Site, after: int = 0) -> list[Row]:
    """The audit rows since then: name, "user", factor, serial, reason, outcome."""
    return site.sql('SELECT name, "user", factor, serial, reason, outcome FROM events WHERE id > ? ORDER BY id', after)


def last_row(site: Site) -> int:
    """Where the audit ends now."""
    return int(site.sql("SELECT max(id) FROM events")[0][0])


def everything(site: Site) -> list[list[Row]]:
    """All that a change of grants could touch."""
    tables = ("users", "tokens", "grants", "requests", "challenges", "invitations", "events")
    return [site.sql(f"SELECT * FROM {table}") for table in tables]  # noqa: S608 - our own names
