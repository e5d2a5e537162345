"""What was granted for a while, and how it ends before its time.

A grant that has ended is kept, with who has closed it: the monthly review reads it. Ending one takes effect on the next
packet, and gives no used code back. Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, select, update

from radiusd2fa.core.sheets import BREAK_GLASS, TEMPORARY
from radiusd2fa.store.administration import RefusedError, find_user
from radiusd2fa.store.schema import grants, requests, tokens, users
from radiusd2fa.store.sheets import Sheets

SKIP: Final = "skip"
SEALED: Final = 0.0
"""Until when a sealed sheet counts, so that a clock which is set back opens none."""


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """Something that was granted for a while."""

    id: int
    user: str
    """As the person was called then."""
    kind: str
    """``skip``, ``temporary`` or ``breakglass``."""
    serial: str
    """Of the sheet with the codes; empty for ``skip``."""
    reason: str
    granted_by: str
    approved_by: str
    """The second of two persons; empty where one is enough."""
    created: float
    until: float
    closed: float | None
    closed_by: str


class Endings(Sheets):
    """Grants in an open store, and their ends."""

    def grants(self, open_at: float | None = None) -> list[GrantRecord]:
        """All grants, the oldest first; or those alone that are open at that moment."""
        query = select(grants).order_by(grants.c.id)
        if open_at is not None:
            query = query.where(_open(open_at))
        with self._looking() as connection:
            return [_record(row) for row in connection.execute(query)]

    def close_grant(self, number: int, now: float, reason: str = "") -> GrantRecord:
        """End one grant before its time."""
        with self._transaction() as connection:
            row = connection.execute(select(grants).where(grants.c.id == number)).first()
            if row is None:
                raise RefusedError(f"there is no grant {number}; `radiusd2fa grant list` shows those that are open")
            if row.kind == BREAK_GLASS.kind:
                raise RefusedError(f"that was opened by two; `radiusd2fa breakglass close {row.user}` seals it again")
            ended = self._end_grants(connection, grants.c.id == number, now, reason)
            if not ended:
                raise RefusedError(f"grant {number} for {row.user} has ended already")
            return ended[0]

    def close_grants(self, user: str, now: float, reason: str = "") -> tuple[GrantRecord, ...]:
        """End all open grants of somebody before their time; not what two persons have opened."""
        with self._transaction() as connection:
            owner = find_user(connection, user)
            theirs = (grants.c.user_id == owner.id) & (grants.c.kind != BREAK_GLASS.kind)
            ended = self._end_grants(connection, theirs, now, reason)
            if not ended:
                raise RefusedError(f"{user} has no open grants; `radiusd2fa grant list` shows those of everybody")
            return ended

    def _end_grants(
        self, connection: Connection, which: ColumnElement[bool], now: float, reason: str
    ) -> tuple[GrantRecord, ...]:
        """End those grants that are still open, each with what it has given and its audit row."""
        rows = connection.execute(select(grants).where(which, _open(now)).order_by(grants.c.id)).all()
        for row in rows:
            connection.execute(update(grants).where(grants.c.id == row.id).values(closed=now, closed_by=self._actor))
            self._take_back(connection, row, now, reason)
            name = "breakglass.closed" if row.kind == BREAK_GLASS.kind else "grant.closed"
            self._note(connection, name, now, user=row.user, factor=row.kind, serial=row.serial, reason=reason)
        return tuple(map(_record, rows))

    def _drop_requests(self, connection: Connection, owner: Row[Any], now: float) -> int:
        """Let nobody approve any more what is asked for somebody's emergency codes; returns how many that were."""
        theirs = (requests.c.user_id == owner.id, requests.c.approved.is_(None), requests.c.expires > now)
        # no row is deleted: the number of a request must never come again
        return connection.execute(update(requests).where(*theirs).values(expires=0.0)).rowcount

    def _take_back(self, connection: Connection, row: Row[Any], now: float, reason: str) -> None:
        if row.kind == SKIP:
            connection.execute(update(users).where(users.c.id == row.user_id).values(skip_until=0.0))
        elif row.kind == TEMPORARY.kind:
            self._revoke_token(connection, row.serial, row.kind, row.user, now, reason)
        else:
            seal_again(connection, row.serial)


def seal_again(connection: Connection, serial: str) -> None:
    """Let no code of that sheet count until two persons open it: its time ended long before any clock can say."""
    connection.execute(update(tokens).where(tokens.c.serial == serial).values(valid_until=SEALED))


def _open(now: float) -> ColumnElement[bool]:
    return grants.c.closed.is_(None) & (grants.c.until > now)


def _record(row: Row[Any]) -> GrantRecord:
    return GrantRecord(
        id=row.id,
        user=row.user,
        kind=row.kind,
        serial=row.serial,
        reason=row.reason,
        granted_by=row.granted_by,
        approved_by=row.approved_by,
        created=row.created,
        until=row.until,
        closed=row.closed,
        closed_by=row.closed_by,
    )
