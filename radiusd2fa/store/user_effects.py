"""What a login changes in people: the throttle, an account that comes to be, and a login that needs no code.

Nothing here opens or commits anything. A guess is counted by the statement that judges it, however many come at once
(RFC 4226 7.3).
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Double,
    Executable,
    Integer,
    Select,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    update,
)

from radiusd2fa.store.dialects import Insert, described, least, parameter
from radiusd2fa.store.schema import users

_p: Final = parameter
_ZERO: Final = literal_column("0", Integer)
_ONE: Final = literal_column("1", Integer)
_MOST_DOUBLINGS: Final = literal_column("30", Integer)

MAY_LOG_IN: Final = (users.c.id == _p("user"), users.c.enabled == true(), users.c.locked_until <= _p("now"))

_one_more: Final = users.c.failures + _ONE
_doublings: Final = least(_one_more - _p("over"), _MOST_DOUBLINGS, type_=Integer)
_times: Final = _ONE.bitwise_lshift(cast(_doublings, Integer))
FAIL: Final = described(
    update(users)
    .where(users.c.id == _p("user"), users.c.locked_until <= _p("now"))
    .values(
        failures=_one_more,
        locked_until=case(
            (_one_more < _p("most"), users.c.locked_until),
            else_=_p("since", Double) + least(_p("longest", Double), _p("first", Double) * _times, type_=Double),
        ),
    ),
    "most since longest first over user now",
)

CLEAR: Final = described(
    update(users).where(users.c.id == _p("user")).values(failures=_ZERO, locked_until=_ZERO), "user"
)

REHASH: Final = described(
    update(users).where(users.c.id == _p("user"), users.c.password_hash == _p("old")).values(password_hash=_p("new")),
    "new user old",
)

_NEWCOMER: Final = "name source groups created directory_id last_login bare"
ADD_ACCOUNT: Final = described(
    lambda insert: insert(users).values({name: _p(name) for name in _NEWCOMER.split()}).on_conflict_do_nothing(),
    _NEWCOMER,
)

_kin: Final = users.alias("kin")


def _no_kin(name: Any, source: Any, identity: Any, same: Any, itself: Any) -> ColumnElement[bool]:  # noqa: ANN401
    """Nobody who has, or had, a token is called the same but for a realm, unless one directory tells the two apart."""
    told_apart = and_(_kin.c.source == source, _kin.c.directory_id.is_not(None), identity.is_not(None))
    alike = or_(and_(_kin.c.bare == name, not_(told_apart)), _kin.c.directory_id == same)
    return not_(exists().where(_kin.c.id != itself, _kin.c.enrolled == true(), alike))


def _admit(insert: Insert) -> Executable:
    newcomer: Select[Any] = select(*(_p(name, users.c[name].type) for name in _NEWCOMER.split()))
    text = users.c.bare.type
    without_kin = newcomer.where(_no_kin(_p("bare1"), _p("source1"), _p("id1", text), _p("id2"), literal_column("-1")))
    return insert(users).from_select(_NEWCOMER.split(), without_kin).on_conflict_do_nothing()


ADMIT: Final = described(_admit, f"{_NEWCOMER} bare1 source1 id1 id2")
"""The same for somebody who is let in by it."""

_other: Final = users.alias("other")
NOTE_ACCOUNT: Final = described(
    update(users)
    .where(
        users.c.id == _p("user"),
        or_(users.c.directory_id.is_(None), users.c.directory_id.is_not_distinct_from(_p("same"))),
        not_(
            exists().where(
                _other.c.source == users.c.source, _other.c.directory_id == _p("theirs"), _other.c.id != users.c.id
            )
        ),
    )
    .values(groups=func.coalesce(_p("groups", users.c.groups.type), users.c.groups), directory_id=_p("directory")),
    "groups directory user same theirs",
)
"""Who is known under another id, or by which somebody else is known by now, is not that account."""

NOTE_LOGIN: Final = described(update(users).where(*MAY_LOG_IN).values(last_login=_p("at")), "at user now")
NOTE_UNENROLLED: Final = described(
    update(users)
    .where(
        *MAY_LOG_IN,
        users.c.enrolled == false(),
        _no_kin(users.c.bare, users.c.source, users.c.directory_id, users.c.directory_id, users.c.id),
    )
    .values(last_login=_p("at")),
    "at user now",
)

NOTE_GRANTED: Final = described(
    update(users).where(*MAY_LOG_IN, users.c.skip_until > _p("still")).values(last_login=_p("at")),
    "at user now still",
)
