"""What the reports count, read at one moment, while the daemon and other administrators go on.

It writes nothing, takes no lock that anybody waits for, and opens no seed. The audit has no index on time: its ids grow
with time, so the beginning of a period is found by halving, and what was written while the clock had been set back may
be missed, or counted. Answers to no RFC.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final, Self

from sqlalchemy import BigInteger, Row, Select, and_, case, func, not_, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from radiusd2fa.core import sheets
from radiusd2fa.core.model import Event, Token, TokenState
from radiusd2fa.reports.exceptions import (
    REASON_IS_NO_REASON,
    REFUSED,
    STRENGTHENING,
    WEAKENING,
    WEAKENING_KINDS,
    WITHOUT_OWN_FACTOR,
)
from radiusd2fa.reports.records import Blocked, Deeds, Fallback, Grant, Holding, Logins, Person, Request
from radiusd2fa.store.administration import Administration
from radiusd2fa.store.connecting import How
from radiusd2fa.store.schema import EVENT_COLUMNS, callers, events, grants, requests, tokens, users

MOST_DEEDS: Final = 10_000
MOST_REFUSED: Final = 1000
"""Rows that are brought of what strangers can make long; the counts are of all."""
QUARTER: Final = 900
"""Seconds: every time zone begins its day with a quarter of an hour."""

_ACCEPTED: Final = "access.accepted"
_REJECTED: Final = "access.rejected"
_OUTCOMES: Final = {_ACCEPTED: "accepted", _REJECTED: "rejected"}
_A_LOGIN: Final = events.c.name.in_(list(_OUTCOMES))

_HELD: Final[Select[Any]] = select(
    tokens.c.id,
    tokens.c.serial,
    tokens.c.kind,
    tokens.c.moving_factor,
    tokens.c.state,
    tokens.c.valid_from,
    tokens.c.valid_until,
    tokens.c.last_used,
    tokens.c.activate_by,
    tokens.c.created,
    tokens.c.user_id,
    users.c.name.label("user"),
    tokens.c.model,
    tokens.c.batch,
    tokens.c.box,
    tokens.c.delivered,
    tokens.c.handed_by,
    tokens.c.handed_at,
    case((tokens.c.kind.in_(list(sheets.SHEETS)), func.length(tokens.c.sealed)), else_=0).label("sealed_octets"),
).select_from(tokens.outerjoin(users))
"""All that is told of a token but its seed; of a sheet also how long it is, which tells how many codes it has."""


_WEAKENS: Final = and_(
    events.c.actor != "",
    events.c.name.not_in(list(REASON_IS_NO_REASON)),
    or_(
        events.c.reason != "",
        events.c.name.in_(list(WEAKENING)),
        *(events.c.name.startswith(beginning) for beginning in WEAKENING_KINDS),
    ),
    *(not_(events.c.name.endswith(ending)) for ending in (*STRENGTHENING, REFUSED)),
)
_WAS_REFUSED: Final = and_(events.c.actor != "", events.c.name.endswith(REFUSED))


class Figures(Administration):
    """An open store that is only read, as it was when the first question was asked."""

    _changes = How.LOOKING

    def __enter__(self) -> Self:
        self._wrapping = len(self._vault.seal(0, b""))
        self._first: dict[float, int] = {}
        with ExitStack() as opened:
            self._connection = opened.enter_context(self._looking())
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._opened.close()
        super().__exit__(kind, error, trace)

    # --- as it is now -------------------------------------------------------------------------------------------------

    def people(self) -> tuple[Person, ...]:
        """Everybody, by name."""
        return tuple(_person(row) for row in self._connection.execute(select(users).order_by(users.c.name)))

    def holdings(self) -> tuple[Holding, ...]:
        """All tokens and sheets of codes, in the order of their serials."""
        rows = self._connection.execute(_HELD.order_by(tokens.c.serial))
        return tuple(_holding(row, self._codes(row.sealed_octets)) for row in rows)

    def _codes(self, sealed_octets: int) -> int:
        return sheets.count(bytes(sealed_octets - self._wrapping)) if sealed_octets else 0

    def blocked(self, now: float) -> tuple[Blocked, ...]:
        """Return the callers that are blocked, those for longest first."""
        rows = self._connection.execute(
            select(callers.c.nas, callers.c.caller, callers.c.blocked_until)
            .where(callers.c.blocked_until > now)
            .order_by(callers.c.blocked_until.desc(), callers.c.nas, callers.c.caller)
        )
        return tuple(Blocked(*row) for row in rows)

    # --- what was granted ---------------------------------------------------------------------------------------------

    def grants(self, since: float, now: float) -> tuple[Grant, ...]:
        """Return what was granted since then, or is still open."""
        columns = [column for column in grants.c if column.name not in ("id", "user_id")]
        still_open = and_(grants.c.closed.is_(None), grants.c.until > now)
        rows = self._connection.execute(select(*columns).where(or_(grants.c.created >= since, still_open)))
        return tuple(Grant(**row._mapping) for row in rows)  # noqa: SLF001 - SQLAlchemy's public name

    def requests(self, since: float) -> tuple[Request, ...]:
        """Return what was asked of a second administrator since then."""
        wanted = ("user", "reason", "requested_by", "created", "expires", "approved_by", "approved")
        rows = self._connection.execute(
            select(*(requests.c[name] for name in wanted)).where(requests.c.created >= since)
        )
        named = (row._mapping for row in rows)  # noqa: SLF001 - SQLAlchemy's public name
        return tuple(
            Request(**{**one, "requested_by": _who(one["requested_by"]), "approved_by": _who(one["approved_by"])})
            for one in named
        )

    # --- what the audit says ------------------------------------------------------------------------------------------

    def logins(self, since: float) -> tuple[Logins, ...]:
        """Return how often logins ended how, by client, factor and reason."""
        kinds = (events.c.name, events.c.nas, events.c.factor, events.c.reason)
        rows = self._connection.execute(self._of(since, *kinds, func.count()).where(_A_LOGIN).group_by(*kinds))
        return tuple(Logins(_OUTCOMES[name], nas, factor, reason, n) for name, nas, factor, reason, n in rows)

    def times(self, since: float) -> tuple[tuple[str, float, int], ...]:
        """Return how many logins were accepted and rejected in each quarter of an hour."""
        quarter = _Whole(events.c.time / QUARTER)
        asked = self._of(since, events.c.name, quarter, func.count()).where(_A_LOGIN).group_by(events.c.name, quarter)
        return tuple((_OUTCOMES[name], at * float(QUARTER), n) for name, at, n in self._connection.execute(asked))

    def refused_people(self, since: float, most: int = MOST_REFUSED) -> tuple[tuple[str, int], ...]:
        """Return whose logins were rejected, and how often; those with the most first."""
        count = func.count()
        asked = self._of(since, events.c.user, count).where(events.c.name == _REJECTED).group_by(events.c.user)
        rows = self._connection.execute(asked.order_by(count.desc(), events.c.user).limit(most))
        return tuple((user, n) for user, n in rows)

    def refused_callers(self, since: float, most: int = MOST_REFUSED) -> tuple[tuple[str, str, int], ...]:
        """Return from where logins were rejected (client, caller), and how often; those with the most first."""
        count, place = func.count(), (events.c.nas, events.c.caller)
        asked = self._of(since, *place, count).where(events.c.name == _REJECTED, events.c.caller != "").group_by(*place)
        rows = self._connection.execute(asked.order_by(count.desc(), *place).limit(most))
        return tuple((nas, caller, n) for nas, caller, n in rows)

    def fallbacks(self, since: float) -> tuple[Fallback, ...]:
        """Return who was let in without a second factor of their own, in which way, and how often."""
        kinds = (events.c.user, events.c.factor, events.c.reason)
        other = or_(
            events.c.factor.in_(list(sheets.SHEETS)), events.c.reason.in_([why.value for why in WITHOUT_OWN_FACTOR])
        )
        asked = self._of(since, *kinds, func.count(), func.max(events.c.time)).where(events.c.name == _ACCEPTED, other)
        return tuple(Fallback(*row) for row in self._connection.execute(asked.group_by(*kinds).order_by(*kinds)))

    def deeds(self, since: float, most: int = MOST_DEEDS) -> tuple[Event, ...]:
        """Return what administrators have weakened since then, the newest first."""
        return self._events(self._of(since, *EVENT_COLUMNS).where(_WEAKENS).order_by(events.c.id.desc()).limit(most))

    def deed_counts(self, since: float) -> tuple[Deeds, ...]:
        """Return how often that was; and how often somebody was refused what is not theirs to do."""
        kinds = (events.c.name, events.c.actor)
        asked = self._of(since, *kinds, func.count()).where(or_(_WEAKENS, _WAS_REFUSED))
        return tuple(Deeds(*row) for row in self._connection.execute(asked.group_by(*kinds).order_by(*kinds)))

    def lost(self, since: float) -> tuple[Event, ...]:
        """Return the tokens that were lost since then, the newest first."""
        return self._events(
            self._of(since, *EVENT_COLUMNS).where(events.c.name == "token.lost").order_by(events.c.id.desc())
        )

    def _events(self, asked: Select[Any]) -> tuple[Event, ...]:
        return tuple(Event(**row._mapping) for row in self._connection.execute(asked))  # noqa: SLF001 - the same

    def _of(self, since: float, *what: Any) -> Select[Any]:  # noqa: ANN401 - columns
        """Return a question about the audit from that moment on."""
        return select(*what).where(events.c.id >= self._first_id(since), events.c.time >= since)

    def _first_id(self, since: float) -> int:
        """Return the id with which a period begins, by halving."""
        if since not in self._first:
            low = self._connection.execute(select(func.min(events.c.id))).scalar() or 0
            high = (self._connection.execute(select(func.max(events.c.id))).scalar() or 0) + 1
            while low < high:
                middle = (low + high) // 2
                at = select(events.c.time).where(events.c.id >= middle).order_by(events.c.id).limit(1)
                moment = self._connection.execute(at).scalar()
                if moment is None or moment >= since:
                    high = middle
                else:
                    low = middle + 1
            self._first[since] = low
        return self._first[since]


class _Whole(FunctionElement[int]):
    """The whole part of a time: SQLite has no floor() everywhere, and PostgreSQL rounds when it casts."""

    inherit_cache = True
    type = BigInteger()


@compiles(_Whole, "sqlite")
def _whole_of_sqlite(element: _Whole, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - of SQLAlchemy
    return f"CAST({compiler.process(element.clauses, **how)} AS INTEGER)"


@compiles(_Whole, "postgresql")
def _whole_of_postgresql(element: _Whole, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - of SQLAlchemy
    return f"CAST(floor({compiler.process(element.clauses, **how)}) AS BIGINT)"


def _who(asked: str | None) -> str | None:
    """Return the name alone, of somebody who stands in the table with the number of their account."""
    return None if asked is None else asked.lstrip("0123456789").lstrip() or asked


def _person(row: Row[Any]) -> Person:
    return Person(
        id=row.id,
        name=row.name,
        enabled=bool(row.enabled),
        groups=tuple(row.groups.split("\n")) if row.groups else (),
        created=row.created,
        enrolled=bool(row.enrolled),
        last_login=row.last_login,
        locked_until=row.locked_until,
        skip_until=row.skip_until,
        failures=row.failures,
        source=row.source,
    )


def _holding(row: Row[Any], codes: int) -> Holding:
    token = Token(
        id=row.id,
        serial=row.serial,
        kind=row.kind,
        moving_factor=row.moving_factor,
        secret=b"",
        state=TokenState(row.state),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        last_used=row.last_used,
        activate_by=row.activate_by,
    )
    return Holding(
        token=token,
        created=row.created,
        owner=row.user_id,
        user=row.user,
        model=row.model,
        batch=row.batch,
        box=row.box,
        delivered=row.delivered,
        handed_by=row.handed_by,
        handed_at=row.handed_at,
        codes=codes,
    )
