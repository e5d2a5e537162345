"""What a login changes in the questions that are open, and in what is held against those who call.

Nothing here opens or commits anything. A State is spent as a code is: by the one statement that finds it still open
(RFC 2865 5.24).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Double,
    Executable,
    Integer,
    case,
    delete,
    exists,
    false,
    insert,
    literal_column,
    true,
    update,
)

from radiusd2fa.store.dialects import Insert, described, greatest, parameter
from radiusd2fa.store.schema import callers, challenges

_p: Final = parameter
_ONE: Final = literal_column("1", Integer)

_still_open: Final = (challenges.c.handle == _p("handle"), challenges.c.expires > _p("now"))
CLOSE: Final = described(delete(challenges).where(*_still_open), "handle now")
CLOSE_TOUCHED: Final = described(
    delete(challenges).where(*_still_open, challenges.c.contested == false()), "handle now"
)

_QUESTION: Final = "handle nas user_name user_id kind password_passed login expires tries"
_UNDER: Final = "rule backend doomed relay_state relay_server reply attributes"
OPEN: Final = described(
    insert(challenges).values({name: _p(name) for name in f"{_QUESTION} {_UNDER}".split()}), f"{_QUESTION} {_UNDER}"
)

_CEREMONY: Final = f"{_QUESTION} nonce station contested user_verification credentials answer {_UNDER}"
OPEN_TO_KEYS: Final = described(insert(challenges).values({name: _p(name) for name in _CEREMONY.split()}), _CEREMONY)

_other: Final = challenges.alias("other")
CONTEST: Final = described(
    update(challenges)
    .where(
        challenges.c.station == true(),
        challenges.c.user_id == _p("user"),
        challenges.c.contested == false(),
        challenges.c.expires > _p("now"),
        exists().where(
            _other.c.station == true(),
            _other.c.user_id == _p("user2"),
            _other.c.login != challenges.c.login,
            _other.c.password_passed >= challenges.c.password_passed,
            _other.c.expires > _p("now2"),
        ),
    )
    .values(contested=true()),
    "user now user2 now2",
)
"""Only what is not marked yet is looked at, or a flood of questions would cost more with each one."""


def _fail_caller(insert: Insert) -> Executable:
    seen = insert(callers).values(
        nas=_p("in_nas"), caller=_p("in_caller"), failures=_ONE, window_ends=_p("until"), blocked_until=_p("at_once")
    )
    more, ends = callers.c.failures + _ONE, callers.c.window_ends
    return seen.on_conflict_do_update(
        index_elements=[callers.c.nas, callers.c.caller],
        set_={
            "failures": case((ends <= _p("now1"), _ONE), else_=more),
            "window_ends": case((ends <= _p("now2"), _p("until2", Double)), else_=ends),
            "blocked_until": case(
                (ends <= _p("now3"), greatest(seen.excluded.blocked_until, callers.c.blocked_until)),
                (more >= _p("most"), _p("until3", Double)),
                else_=callers.c.blocked_until,
            ),
        },
    )


FAIL_CALLER: Final = described(_fail_caller, "in_nas in_caller until at_once now1 now2 until2 now3 most until3")
