"""Which tokens are meant: a selection as the administrator says it, and the conditions that the database decides it by.

Nothing is asked here and nothing is changed. A hundred thousand tokens are not looked at in Python to find ten. Answers
to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, false, func, or_

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.sheets import BREAK_GLASS, SHEETS
from radiusd2fa.store.administration import GONE
from radiusd2fa.store.custody import IN_HANDS
from radiusd2fa.store.schema import tokens, users

AVAILABLE = frozenset({TokenState.STOCK, TokenState.RETURNED})


@dataclass(frozen=True, slots=True)
class Selection:
    """What must be true of each token; the times are seconds since 1970."""

    now: float
    user: str | None = None
    unassigned: bool = False
    """Nobody's, and still to be handed out."""
    state: TokenState | None = None
    """EXPIRED: whose validity has ended, wherever they are; ACTIVE: those that it has not."""
    kind: str | None = None
    batch: str | None = None
    box: str | None = None
    unused_since: float | None = None
    """In somebody's hands, and neither used nor handed out since then."""
    ends_before: float | None = None
    """Validity, time for the first code, or battery ends by then. A validity that has ended already is not meant."""
    batteries: Mapping[str, float] = field(default_factory=dict)
    """Seconds that the batteries of some models last, by what ``model`` may say in small letters."""
    never_used: bool = False
    """Those in somebody's hands: not since they were handed out."""
    sheets: bool = False
    """Whether sheets of codes are meant too, although neither ``user`` nor ``kind`` names them."""


def conditions(chosen: Selection) -> list[ColumnElement[bool]]:
    """Say the selection in the database's words."""
    return list(_conditions(chosen))


def _conditions(chosen: Selection) -> Iterator[ColumnElement[bool]]:
    if chosen.user is not None:
        yield users.c.name == chosen.user
    if chosen.unassigned:
        yield and_(tokens.c.user_id.is_(None), _in_state(*AVAILABLE))
    if chosen.state is not None:
        yield _standing(chosen.state, chosen.now)
    if chosen.kind is not None:
        yield tokens.c.kind == chosen.kind
    if chosen.batch is not None:
        yield tokens.c.batch == chosen.batch
    if chosen.box is not None:
        yield tokens.c.box == chosen.box
    if chosen.unused_since is not None:
        handed_out = func.coalesce(tokens.c.handed_at, tokens.c.created)
        not_used = or_(tokens.c.last_used.is_(None), tokens.c.last_used <= chosen.unused_since)
        yield and_(tokens.c.user_id.is_not(None), _in_state(*IN_HANDS), not_used, handed_out <= chosen.unused_since)
    if chosen.ends_before is not None:
        yield _ends(chosen, chosen.ends_before)
    if chosen.never_used:
        yield tokens.c.user_id.is_not(None)
        yield or_(tokens.c.last_used.is_(None), tokens.c.last_used < tokens.c.handed_at)
    if not (chosen.sheets or chosen.user is not None or chosen.kind is not None):
        yield tokens.c.kind.not_in(list(SHEETS))


def _in_state(*states: TokenState) -> ColumnElement[bool]:
    return tokens.c.state.in_(sorted(state.value for state in states))


def _standing(state: TokenState, now: float) -> ColumnElement[bool]:
    """In that state as it is shown. A sealed emergency sheet has no validity yet, and so none that has ended."""
    ended = and_(tokens.c.valid_until <= now, tokens.c.kind != BREAK_GLASS.kind)
    match state:
        case TokenState.EXPIRED:
            return or_(_in_state(state), ended)
        case TokenState.ACTIVE:
            return and_(_in_state(state), or_(tokens.c.valid_until.is_(None), tokens.c.valid_until > now))
        case _:
            return _in_state(state)


def _ends(chosen: Selection, before: float) -> ColumnElement[bool]:
    """Something about the token ends by then: it is still to be replaced, or its owner still to be reminded."""
    batteries = [
        and_(func.lower(tokens.c.model) == model, tokens.c.delivered <= before - lasts)
        for model, lasts in chosen.batteries.items()
    ]
    return and_(
        tokens.c.state.not_in(sorted(state.value for state in GONE | {TokenState.LOST})),
        or_(tokens.c.valid_until.is_(None), tokens.c.valid_until > chosen.now),
        or_(
            tokens.c.valid_until <= before,
            and_(_in_state(TokenState.ASSIGNED), tokens.c.activate_by <= before),
            or_(false(), *batteries),
        ),
    )
