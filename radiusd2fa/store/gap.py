"""The gap: after it no code counts that may have been used since the database was as it is now.

Whoever goes back in time, by a backup or by a fail-over that has lost commits, has forgotten which codes were used. So
all moving factors go forward, by more than anybody can have used, and whatever else could be used is closed. It gives
nothing back. RFC 4226 7.2 and RFC 6238 5.2: no code counts twice.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Integer, case, cast, func, insert, literal, select, update
from sqlalchemy.sql.dml import Update

from radiusd2fa.core.model import Event, TokenState
from radiusd2fa.core.record import record
from radiusd2fa.core.rules import Rules
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.store.administration import GONE
from radiusd2fa.store.chains import Chain
from radiusd2fa.store.schema import (
    EVENT_COLUMNS,
    challenges,
    events,
    grants,
    invitations,
    requests,
    tokens,
    users,
)
from radiusd2fa.store.statements import event_row

RESTORED: Final = "database.restored"
"""The row at which a chain may jump: what was written between is lost."""
_USES: Final = 256
"""Of a Yubico OTP within one session."""


@record
class Gap:
    """How far moving factors go forward."""

    codes: int
    """HOTP: codes. Yubico OTP: sessions, of which each is one time that the key was plugged in."""
    ahead: int
    """TOTP: how many steps beyond now a code can have been accepted, from a fob whose clock is right."""
    beyond: int
    """The same beyond what the drift says of a fob whose clock is known to be fast."""


@record
class Closed:
    """What the gap has moved and closed, counted; ``wait`` is in seconds."""

    hotp: int
    totp: int
    yubico: int
    sheets: int
    grants: int
    requests: int
    questions: int
    invitations: int
    wait: float
    """Until the code of the slowest TOTP fob counts again."""


def gap_of(rules: Rules, more: int = 0) -> Gap:
    """Return the gap of a site, for the widest windows that one of its rules has, with at least ``more`` codes."""
    hotp = [rules.hotp, *(rule.hotp for rule in rules.rules if rule.hotp is not None)]
    totp = [rules.totp, *(rule.totp for rule in rules.rules if rule.totp is not None)]
    beyond = max(one.steps_either_side + (one.widen_at_most if one.widen_every else 0) for one in totp) + 1
    # a resynchronisation may have taken a code from there (factors/totp.py), and learned that drift
    resynchronised = max(min(one.resync_steps, one.max_drift) for one in totp) + 1
    return Gap(max(more, *(one.look_ahead + 1 for one in hotp), 1), resynchronised + beyond, beyond)


def force_gap(connection: Connection, gap: Gap, now: float, actor: str) -> Closed:
    """Move and close, within the caller's transaction. ``now`` must not be behind the last login."""
    here = cast(literal(int(now)), tokens.c.moving_factor.type) // tokens.c.step
    ahead = here + case(
        (tokens.c.drift + gap.beyond > gap.ahead, tokens.c.drift + gap.beyond), else_=literal(gap.ahead, Integer)
    )
    farthest = case((tokens.c.moving_factor > ahead, tokens.c.moving_factor), else_=ahead)
    next_session = (tokens.c.moving_factor // _USES + gap.codes) * _USES + (_USES - 1)
    forgotten: dict[str, Any] = {"candidate": None, "candidate_until": 0.0}
    wait = func.max((tokens.c.moving_factor + 1 - tokens.c.drift - here) * tokens.c.step)
    return Closed(
        hotp=_count(connection, _of("hotp").values(moving_factor=tokens.c.moving_factor + gap.codes, **forgotten)),
        totp=_count(connection, _of("totp").values(moving_factor=farthest, **forgotten)),
        yubico=_count(connection, _of("yubico").values(moving_factor=next_session, **forgotten)),
        sheets=_count(
            connection,
            update(tokens)
            .where(tokens.c.kind.in_(SHEETS), tokens.c.state.not_in([state.value for state in GONE]))
            .values(state=TokenState.REVOKED.value),
        ),
        grants=_end_grants(connection, now, actor),
        requests=_count(
            connection,
            # no row is deleted: the number of a request must never come again
            update(requests).where(requests.c.approved.is_(None), requests.c.expires > 0).values(expires=0.0),
        ),
        questions=_count(connection, challenges.delete()),
        invitations=_count(connection, invitations.delete()),
        wait=float(connection.execute(select(wait).where(_usable(tokens.c.kind == "totp"))).scalar() or 0.0),
    )


def busiest(connection: Connection, since: float) -> int:
    """Return how many logins with one fob were the most in one day, as far as the audit knows, from ``since`` on."""
    which = (events.c.outcome == "accepted", events.c.factor.in_(["hotp", "yubico"]), events.c.time >= since)
    day = cast(events.c.time / 86_400, Integer)
    counts = select(func.count().label("uses")).where(*which).group_by(events.c.serial, day).subquery()
    return int(connection.execute(select(func.max(counts.c.uses))).scalar() or 0)


def mark_jump(connection: Connection, chain: Chain, row: Event) -> None:
    """Write the row of a restore behind the end of a chain, where no number was ever given.

    What was written after that end, and is lost, may stand in checkpoints elsewhere: its numbers must not come again.
    """
    jump(chain, row.time)
    linked = event_row(row) + chain.link(row)
    columns = (*EVENT_COLUMNS, events.c.chain, events.c.sequence, events.c.hash)
    connection.execute(insert(events).values(dict(zip((column.name for column in columns), linked, strict=True))))


def jump(chain: Chain, now: float) -> None:
    """Let the next row of a chain have a number that none had before ``now``: no chain grows by a row a microsecond."""
    chain.sequence = max(chain.sequence, int(now * 1_000_000) - 1)


def _end_grants(connection: Connection, now: float, actor: str) -> int:
    connection.execute(update(users).where(users.c.skip_until != 0).values(skip_until=0.0))
    still = grants.c.closed.is_(None) & (grants.c.until > now)
    return _count(connection, update(grants).where(still).values(closed=now, closed_by=actor))


def _of(kind: str) -> Update:
    return update(tokens).where(tokens.c.kind == kind)


def _usable(which: ColumnElement[bool]) -> ColumnElement[bool]:
    return which & tokens.c.state.in_([TokenState.ACTIVE.value, TokenState.ASSIGNED.value])


def _count(connection: Connection, statement: Any) -> int:  # noqa: ANN401 - of SQLAlchemy's many statements
    return connection.execute(statement).rowcount
