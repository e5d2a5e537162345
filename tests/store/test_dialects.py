"""Every statement of a login, in both languages: its parameters stand where the code that calls it puts them.

A store compiles only its own language when it opens, so the other one is looked at here. No RFC speaks here.
"""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, select

import radiusd2fa.store.effects
import radiusd2fa.store.statements  # noqa: F401 - describes the rest of them
from radiusd2fa.store.dialects import STATEMENTS, Statement, described
from radiusd2fa.store.schema import users


def test_a_parameter_in_another_place_is_noticed() -> None:
    """A change of a statement that nobody has told its callers of does not run in either language."""
    known = list(STATEMENTS)
    try:
        wrong = described(
            select(users.c.id).where(users.c.name == bindparam("a"), users.c.source == bindparam("b")), "b a"
        )
        for language in ("sqlite", "postgresql"):
            with pytest.raises(AssertionError, match="parameters stand as a b"):
                getattr(wrong, language)
    finally:
        STATEMENTS[:] = known


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda one: one.name.decode())
def test_every_statement_is_compiled_in_both_languages(statement: Statement) -> None:
    """With as many typed parameters on PostgreSQL as SQLite has places."""
    if statement.sqlite:
        assert statement.sqlite.count("?") == len(statement.types)
    assert statement.postgresql
