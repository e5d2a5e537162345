"""What one administrator grants for a while: codes for whose fob is not there, or that no code is asked for.

Each grant has a reason and an end, and there is one of a kind for a person. Each is one transaction with its audit
rows, and works while the daemon runs. Not on the way of a login: that is ``engine``. Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.store.administration import GONE, RefusedError, find_token
from radiusd2fa.store.custody import keep_up
from radiusd2fa.store.emergencies import Emergencies
from radiusd2fa.store.endings import SKIP, GrantRecord
from radiusd2fa.store.schema import grants, tokens, users
from radiusd2fa.store.sheets import find_enabled

__all__ = ["GrantRecord", "Granted", "Grants"]

LONGEST_TEMPORARY: Final = 72 * 3600.0
LONGEST_SKIP: Final = 32 * 86400.0 + 3600.0
"""31 days and the rest of the last one, and the hour that clocks are put back by."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What was granted, and what has ended by it."""

    id: int
    lost: str | None
    """The serial of the fob that was set to lost."""
    closed: tuple[GrantRecord, ...]
    """What was granted before, of the same kind."""


class Grants(Emergencies):
    """Sheets and grants in an open store."""

    def grant_temporary(
        self, user: str, sheet: Token, reason: str, now: float, *, lost: str | None = None, keep: bool = False
    ) -> Granted:
        """Give somebody codes that count until ``sheet.valid_until``, and set their lost fob to lost.

        It is the one they have, or that of the serial ``lost``; ``keep`` leaves all as they are.
        """
        until = sheet.valid_until
        if until is None or not now < until <= now + LONGEST_TEMPORARY:
            raise RefusedError("temporary codes count for 1 to 72 hours")
        with self._change("grant.opened", now, user=user, token=sheet, reason=reason) as connection:
            owner = find_enabled(connection, user)
            gone = None if keep else self._set_lost(connection, owner, lost, now, reason)
            closed = self._end_same(connection, owner, sheet.kind, now, f"replaced by {sheet.serial}")
            self._keep(connection, owner, sheet, now)
            return Granted(self._grant(connection, owner, sheet.kind, reason, now, until, sheet.serial), gone, closed)

    def grant_skip(self, user: str, until: float, reason: str, now: float) -> Granted:
        """Ask somebody for no second factor until that moment, where a rule lets that count."""
        if not now < until <= now + LONGEST_SKIP:
            raise RefusedError("nobody is let in without a second factor for longer than 31 days, or until a past day")
        with self._transaction() as connection:
            owner = find_enabled(connection, user)
            closed = self._end_same(connection, owner, SKIP, now, "replaced by another one")
            connection.execute(update(users).where(users.c.id == owner.id).values(skip_until=until))
            number = self._grant(connection, owner, SKIP, reason, now, until)
            self._note(connection, "grant.opened", now, user=user, factor=SKIP, reason=reason)
            return Granted(number, None, closed)

    def _grant(
        self,
        connection: Connection,
        owner: Row[Any],
        kind: str,
        reason: str,
        now: float,
        until: float,
        serial: str = "",
    ) -> int:
        values = {
            "user_id": owner.id,
            "user": owner.name,
            "kind": kind,
            "serial": serial,
            "reason": reason,
            "granted_by": self._actor,
            "created": now,
            "until": until,
        }
        number: int = connection.execute(insert(grants).values(values)).inserted_primary_key[0]  # type: ignore[index]
        return number

    def _end_same(
        self, connection: Connection, owner: Row[Any], kind: str, now: float, reason: str
    ) -> tuple[GrantRecord, ...]:
        return self._end_grants(connection, (grants.c.user_id == owner.id) & (grants.c.kind == kind), now, reason)

    def _set_lost(
        self, connection: Connection, owner: Row[Any], serial: str | None, now: float, reason: str
    ) -> str | None:
        """Set the fob to lost that somebody has not at hand; returns its serial, or None where they have none."""
        row = _only_fob(connection, owner, now) if serial is None else _their_fob(connection, owner, serial)
        if row is None or row.state == TokenState.LOST:
            return None if row is None else str(row.serial)
        connection.execute(update(tokens).where(tokens.c.id == row.id).values(state=TokenState.LOST.value))
        keep_up(connection, row, self._vault)
        self._note(connection, "token.lost", now, user=owner.name, factor=row.kind, serial=row.serial, reason=reason)
        return str(row.serial)


def _only_fob(connection: Connection, owner: Row[Any], now: float) -> Row[Any] | None:
    """Return the one fob or key that somebody could use; RefusedError where there are several."""
    usable = (
        tokens.c.user_id == owner.id,
        tokens.c.kind.not_in(list(SHEETS)),
        tokens.c.state.in_([TokenState.ACTIVE.value, TokenState.ASSIGNED.value]),
        tokens.c.valid_until.is_(None) | (tokens.c.valid_until > now),
    )
    rows = connection.execute(select(tokens).where(*usable).order_by(tokens.c.serial)).all()
    if len(rows) > 1:
        raise RefusedError(
            f"{owner.name} has {', '.join(row.serial for row in rows)}: say which is lost with --lost SERIAL, "
            "or --keep if none is"
        )
    return rows[0] if rows else None


def _their_fob(connection: Connection, owner: Row[Any], serial: str) -> Row[Any]:
    row = find_token(connection, serial)
    if row.user_id != owner.id or row.kind in SHEETS:
        raise RefusedError(f"{serial} is no fob or key of {owner.name}; `radiusd2fa token list` shows whose it is")
    if row.state in GONE - {TokenState.LOST}:
        raise RefusedError(f"{serial} is {row.state} already; say --keep if nothing else is lost")
    return row
