"""What a login changes in tokens. Each guard is a condition in the statement: the database decides who was first.

Nothing here opens or commits anything, and no moving factor is ever set to less. RFC 4226 7.2 and RFC 6238 5.2: a code
is spent once; Web Authentication 6.1.1: what a key has counted only grows.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Integer, and_, exists, literal_column, not_, or_, update

from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.store.dialects import described, parameter
from radiusd2fa.store.schema import tokens
from radiusd2fa.store.statements import IN_HANDS
from radiusd2fa.store.user_effects import MAY_LOG_IN

_p: Final = parameter
_ZERO: Final = literal_column("0", Integer)
_FOBS: Final[tuple[ColumnElement[str], ...]] = tuple(literal_column(f"'{kind}'") for kind in ("hotp", "totp", "yubico"))
_SHEETS: Final[tuple[ColumnElement[str], ...]] = tuple(literal_column(f"'{kind}'") for kind in SHEETS)

_usable: Final = tokens.c.state.in_(IN_HANDS)
ADVANCE: Final = described(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id == _p("owner"),
        or_(
            tokens.c.state == literal_column("'active'"),
            and_(
                tokens.c.state == literal_column("'assigned'"),
                or_(tokens.c.activate_by.is_(None), tokens.c.activate_by > _p("in_time")),
            ),
        ),
        or_(tokens.c.valid_until.is_(None), tokens.c.valid_until > _p("still")),
        tokens.c.moving_factor < _p("below"),
        exists().where(*MAY_LOG_IN),
    )
    .values(
        state=literal_column("'active'"),
        moving_factor=_p("to"),
        drift=_p("to_drift"),
        last_used=_p("used"),
        candidate=literal_column("NULL"),
        candidate_until=_ZERO,
    ),
    "to to_drift used token owner in_time still below user now",
)
"""A token that was handed out becomes active by its first code, if that comes in time."""

USE_SHEET: Final = described(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id == _p("owner"),
        tokens.c.state == literal_column("'active'"),
        tokens.c.valid_until.is_(None) | (tokens.c.valid_until > _p("still")),
        tokens.c.moving_factor.bitwise_and(_p("unused")) == _ZERO,
        exists().where(*MAY_LOG_IN),
    )
    .values(moving_factor=tokens.c.moving_factor.bitwise_or(_p("used")), last_used=_p("at")),
    "used at token owner still unused user now",
)
"""Two codes of one sheet at one moment are both good; one code twice is not."""

_theirs: Final = tokens.alias("theirs")
TAKE: Final = described(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id.is_(None),
        tokens.c.state == literal_column("'stock'"),
        tokens.c.fingerprint.is_not(None),
        or_(tokens.c.valid_until.is_(None), tokens.c.valid_until > _p("still")),
        tokens.c.moving_factor < _p("below"),
        exists().where(*MAY_LOG_IN),
        not_(
            exists().where(
                _theirs.c.id != tokens.c.id,
                or_(
                    and_(
                        _theirs.c.user_id == _p("person"),
                        _theirs.c.kind.not_in(_SHEETS),
                        or_(
                            _theirs.c.state == literal_column("'disabled'"),
                            and_(
                                _theirs.c.state.in_(IN_HANDS),
                                or_(_theirs.c.valid_until.is_(None), _theirs.c.valid_until > _p("over")),
                                or_(
                                    _theirs.c.state == literal_column("'active'"),
                                    _theirs.c.activate_by.is_(None),
                                    _theirs.c.activate_by > _p("late"),
                                ),
                            ),
                        ),
                    ),
                    _theirs.c.fingerprint == tokens.c.fingerprint,
                    and_(_theirs.c.fingerprint.is_(None), _theirs.c.kind.in_(_FOBS)),
                ),
            )
        ),
    )
    .values(
        user_id=_p("owner"),
        state=literal_column("'active'"),
        moving_factor=_p("to"),
        drift=_p("to_drift"),
        last_used=_p("at"),
        handed_at=_p("handed"),
        handed_by=literal_column("''"),
        activate_by=literal_column("NULL"),
        candidate=literal_column("NULL"),
        candidate_until=_ZERO,
    ),
    "owner to to_drift at handed token still below user now person over late",
)
"""Who has a token that works, or was switched off, takes none; nobody takes one whose seed another token has."""

_never_counts: Final = _p("zero", BigInteger) == _ZERO
ASSERTED: Final = described(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id == _p("owner"),
        tokens.c.state == literal_column("'active'"),
        or_(
            tokens.c.moving_factor < _p("below"), and_(tokens.c.moving_factor == _ZERO, _p("zero", BigInteger) == _ZERO)
        ),
        exists().where(*MAY_LOG_IN),
    )
    .values(moving_factor=_p("to"), last_used=_p("used")),
    "to used token owner below zero user now",
)

DISABLE: Final = described(
    update(tokens).where(tokens.c.id == _p("token"), _usable).values(state=literal_column("'disabled'")),
    "token",
)

NOTE_CANDIDATE: Final = described(
    update(tokens)
    .where(tokens.c.id == _p("token"), tokens.c.moving_factor <= _p("above"))
    .values(candidate=_p("to"), candidate_until=_p("until")),
    "to until token above",
)
