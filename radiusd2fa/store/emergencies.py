"""Emergency codes: sealed in advance, opened for a while by two persons, and sealed again.

One person alone opens nothing, whatever commands they give; two are told apart by their uid, never by a name. A sealed
sheet is one whose time is over, so that the login side knows of no exception. Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, insert, select, update

from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.core.sheets import BREAK_GLASS
from radiusd2fa.store.administration import GONE, TOKENS, RefusedError, find_user
from radiusd2fa.store.endings import Endings, GrantRecord, seal_again
from radiusd2fa.store.schema import grants, requests, tokens, users
from radiusd2fa.store.sheets import SheetRecord, find_enabled

PATIENCE: Final = 15 * 60.0
"""Seconds within which the second person must approve."""
SHORTEST_OPENING: Final = 10 * 60.0
LONGEST_OPENING: Final = 8 * 3600.0
_ROOT: Final = 0


@dataclass(frozen=True, slots=True)
class Person:
    """An administrator of flesh and blood. Two are the same when their ``uid`` is, whatever they are called."""

    uid: int
    name: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what ``str`` has written."""
        uid, _, name = text.partition(" ")
        return cls(int(uid), name)

    def __str__(self) -> str:
        return f"{self.uid} {self.name}"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request to open somebody's emergency codes, which nobody has approved yet."""

    id: int
    user: str
    reason: str
    requested_by: str
    created: float
    expires: float
    lasts: float
    """Seconds that the codes will count."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What two persons have opened."""

    user: str
    serial: str
    until: float
    left: int
    requested_by: str


class Emergencies(Endings):
    """Emergency codes in an open store."""

    def seal(self, user: str, sheet: Token, now: float, reason: str = "") -> tuple[str, ...]:
        """Keep somebody's emergency codes, sealed; returns the serials of the sheets that they replace."""
        with self._change("breakglass.sealed", now, user=user, token=sheet, reason=reason) as connection:
            owner = find_enabled(connection, user)
            why = f"replaced by {sheet.serial}"
            self._end_emergency(connection, owner, now, why)
            replaced = self._revoke_sheets(connection, owner, BREAK_GLASS.kind, now, why)
            self._keep(connection, owner, sheet, now)
            seal_again(connection, sheet.serial)
            return replaced

    def requests(self, now: float) -> list[RequestRecord]:
        """All requests that could still be approved, the oldest first."""
        waiting = select(requests).where(requests.c.approved.is_(None), requests.c.expires > now)
        with self._looking() as connection:
            return [_request(row) for row in connection.execute(waiting.order_by(requests.c.id))]

    def request_opening(self, user: str, reason: str, who: Person, lasts: float, now: float) -> RequestRecord:
        """Ask that somebody's emergency codes count for ``lasts`` seconds, as one of the two persons."""
        if not SHORTEST_OPENING <= lasts <= LONGEST_OPENING:
            raise RefusedError("emergency codes are opened for 10 minutes to 8 hours")
        _refuse_root(who)
        with self._transaction() as connection:
            owner = find_enabled(connection, user)
            sheet = self._openable(connection, owner)
            values = {
                "user_id": owner.id,
                "user": user,
                "reason": reason,
                "requested_by": str(who),
                "created": now,
                "expires": now + PATIENCE,
                "lasts": lasts,
            }
            number = connection.execute(insert(requests).values(values)).inserted_primary_key[0]  # type: ignore[index]
            self._note_emergency(connection, "requested", now, sheet, reason)
            return _request(connection.execute(select(requests).where(requests.c.id == number)).one())

    def approve_opening(self, number: int, who: Person, now: float, reason: str = "") -> Opened:
        """Open what another person has asked for, as the second of the two."""
        _refuse_root(who)
        try:
            with self._transaction() as connection:
                return self._open_requested(connection, number, who, now, reason)
        except OwnRequestError as error:  # somebody has tried to be both: that is worth a row, and an alarm
            with self._transaction() as connection:
                why = f"request {number} was made by the same person"
                self._note(connection, "breakglass.refused", now, user=error.user, reason=why, outcome="refused")
            raise

    def close_emergency(self, user: str, now: float, reason: str = "") -> tuple[GrantRecord, ...]:
        """Seal somebody's emergency codes again, and drop the requests to open them."""
        with self._transaction() as connection:
            owner = find_user(connection, user)
            ended, dropped = self._end_emergency(connection, owner, now, reason)
            if not ended and not dropped:
                raise RefusedError(f"the emergency codes of {user} are not open, and nobody asks for them")
            return ended

    def _open_requested(self, connection: Connection, number: int, who: Person, now: float, reason: str) -> Opened:
        row, owner = _find_request(connection, number, now)
        asker, until = Person.read(row.requested_by), now + row.lasts
        if asker.uid == who.uid:
            raise OwnRequestError(
                f"you have made request {number} yourself: another administrator must approve it", owner.name
            )
        sheet = self._openable(connection, owner)
        approved = update(requests).where(requests.c.id == number)
        connection.execute(approved.values(approved_by=str(who), approved=now))
        self._end_emergency(connection, owner, now, f"opened anew by request {number}")
        opened = update(tokens).where(tokens.c.serial == sheet.serial)
        connection.execute(opened.values(valid_from=now, valid_until=until))
        values = {
            "user_id": owner.id,
            "user": owner.name,
            "kind": BREAK_GLASS.kind,
            "serial": sheet.serial,
            "reason": row.reason,
            "granted_by": asker.name,
            "approved_by": who.name,
            "created": now,
            "until": until,
        }
        connection.execute(insert(grants).values(values))
        self._note_emergency(connection, "approved", now, sheet, reason or row.reason)
        return Opened(owner.name, sheet.serial, until, sheet.left, asker.name)

    def _openable(self, connection: Connection, owner: Row[Any]) -> SheetRecord:
        """Return somebody's emergency sheet, open or not, that has a code left."""
        theirs = TOKENS.where(
            tokens.c.user_id == owner.id,
            tokens.c.kind == BREAK_GLASS.kind,
            tokens.c.state.not_in([state.value for state in GONE]),
        )
        row = connection.execute(theirs).first()
        if row is None:
            raise RefusedError(
                f"{owner.name} has no emergency codes; `radiusd2fa breakglass seal {owner.name}` makes some, in advance"
            )
        sheet = self._sheet(row)
        if sheet.state is not TokenState.ACTIVE:
            raise RefusedError(
                f"{sheet.serial} is {sheet.state}; `radiusd2fa breakglass seal {owner.name}` makes new codes"
            )
        if not sheet.left:
            raise RefusedError(
                f"no emergency code of {owner.name} ({sheet.serial}) is left; "
                f"`radiusd2fa breakglass seal {owner.name}` makes new ones"
            )
        return sheet

    def _end_emergency(
        self, connection: Connection, owner: Row[Any], now: float, reason: str
    ) -> tuple[tuple[GrantRecord, ...], int]:
        """Seal again what is open for somebody, and drop what is asked; returns how many requests that were."""
        theirs = (grants.c.user_id == owner.id) & (grants.c.kind == BREAK_GLASS.kind)
        ended = self._end_grants(connection, theirs, now, reason)
        return ended, self._drop_requests(connection, owner, now)

    def _note_emergency(self, connection: Connection, what: str, now: float, sheet: SheetRecord, reason: str) -> None:
        name = f"breakglass.{what}"
        self._note(connection, name, now, user=sheet.user, factor=sheet.kind, serial=sheet.serial, reason=reason)


class OwnRequestError(RefusedError):
    """Somebody has asked, and wants to approve it too."""

    def __init__(self, text: str, user: str) -> None:
        super().__init__(text)
        self.user = user


def _refuse_root(who: Person) -> None:
    if who.uid == _ROOT:
        raise RefusedError("root is nobody in particular, and so neither of the two: log in as yourself and use sudo")


def _find_request(connection: Connection, number: int, now: float) -> tuple[Row[Any], Row[Any]]:
    """Return a request that may be approved now, and whom it is about."""
    row = connection.execute(select(requests).where(requests.c.id == number)).first()
    if row is None:
        raise RefusedError(f"there is no request {number}; `radiusd2fa breakglass list` shows those that wait")
    if row.approved is not None:
        raise RefusedError(f"request {number} was approved already, by {Person.read(row.approved_by).name}")
    # the number of somebody who was removed may be somebody else's by now
    same = users.c.id == row.user_id, users.c.created <= row.created
    name = connection.execute(select(users.c.name).where(*same)).scalar()
    if name is None or not row.created <= now < row.expires:  # before it was made: the clock was set back
        raise RefusedError(
            f"request {number} was not approved within {PATIENCE / 60:.0f} minutes, or was dropped; "
            f"ask again: `radiusd2fa breakglass request {row.user}`"
        )
    return row, find_enabled(connection, name)


def _request(row: Row[Any]) -> RequestRecord:
    return RequestRecord(
        id=row.id,
        user=row.user,
        reason=row.reason,
        requested_by=Person.read(row.requested_by).name,
        created=row.created,
        expires=row.expires,
        lasts=row.lasts,
    )
