"""One statement in the two languages that it is spoken in: described once, compiled once, the same on both stores.

Nothing runs here. The order of the parameters is written beside each statement and compared with what is compiled: a
store compiles all of its statements when it opens. PostgreSQL is told each parameter's type, and infers none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, Connection, Dialect, Executable, Table, bindparam, types
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

if TYPE_CHECKING:  # a site with a file never loads it
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert

Insert = Callable[..., "SqliteInsert | PostgresInsert"]
"""What makes an INSERT that says what happens where the row is there already: each language has its own."""

_SQLITE: Final = sqlite.dialect(paramstyle="qmark")
_Type = types.TypeEngine[Any]
_OIDS: Final[tuple[tuple[type[_Type], int], ...]] = (
    (types.Boolean, 16),
    (types.LargeBinary, 17),
    (types.BigInteger, 20),
    (types.Integer, 23),
    (types.String, 25),
    (types.Double, 701),
)
"""pg_type.dat; BigInteger is an Integer, so it comes before."""
_numbers: Final = count(1)

STATEMENTS: Final[list[Statement]] = []
"""All there are."""


class Statement:
    """What a login asks or changes. It is compiled for the store that a process has, and kept."""

    def __init__(self, what: Executable | Callable[[Insert], Executable] | str, places: tuple[str, ...]) -> None:
        self._what = what
        self._places = places
        self.name = b"s%d" % next(_numbers)
        """Under which a connection to PostgreSQL has it prepared."""
        STATEMENTS.append(self)

    @cached_property
    def sqlite(self) -> str:
        """As SQLite is asked; empty where it never is."""
        what = self._what
        if isinstance(what, str):
            return ""
        return str(self._compiled(what(sqlite_insert) if callable(what) else what, _SQLITE))

    @cached_property
    def postgresql(self) -> str:
        """As PostgreSQL is asked."""
        return self._what if isinstance(self._what, str) else str(self._theirs)

    @cached_property
    def types(self) -> tuple[int, ...]:
        """Of its parameters, as PostgreSQL numbers them."""
        return tuple(_oid(self._theirs.binds[place].type, place) for place in self._places)

    @cached_property
    def _theirs(self) -> SQLCompiler:
        from sqlalchemy.dialects.postgresql import insert

        what = self._what
        assert not isinstance(what, str)  # noqa: S101 - for the type checker: that one is written as it is asked
        return self._compiled(what(insert) if callable(what) else what, _postgresql())

    def _compiled(self, what: Executable, dialect: Dialect) -> SQLCompiler:
        text = what.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(text, SQLCompiler)  # noqa: S101 - for the type checker: no statement here makes a table
        if tuple(text.positiontup or ()) != self._places:
            msg = f"parameters stand as {' '.join(text.positiontup or ())}"
            raise AssertionError(msg)
        return text


class _OfPostgresql(Statement):
    """One that only PostgreSQL is ever asked."""

    def __init__(self, text: str, oids: tuple[int, ...]) -> None:
        super().__init__(text, ())
        self.types = oids


def parameter(
    name: str, type_: types.TypeEngine[Any] | type[types.TypeEngine[Any]] | None = None
) -> BindParameter[Any]:
    """A place for a value; ``type_`` where no column beside it tells of what type."""
    return bindparam(name, type_=type_)


def described(what: Executable | Callable[[Insert], Executable], order: str) -> Statement:
    """Describe a statement; ``order`` names its parameters as they stand."""
    return Statement(what, tuple(order.split()))


def of_postgresql(text: str, *oids: int) -> Statement:
    """Return a statement that only PostgreSQL is ever asked."""
    return _OfPostgresql(text, oids)


def insert_on(connection: Connection, table: Table) -> SqliteInsert | PostgresInsert:
    """Return an INSERT in the language of an open connection."""
    if connection.dialect.name != "postgresql":
        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert

    return insert(table)


@cache
def _postgresql() -> Dialect:
    from sqlalchemy.dialects.postgresql.base import PGDialect

    return PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def _oid(type_: _Type, place: str) -> int:
    there = type_.dialect_impl(_postgresql())
    for known, oid in _OIDS:
        if isinstance(there, known):
            return oid
    msg = f"the type of parameter {place} is not known: write parameter({place!r}, TYPE)"
    raise AssertionError(msg)


class least(GenericFunction[Any]):  # noqa: N801 - as in SQL
    """The smaller of two values."""

    inherit_cache = True


class greatest(GenericFunction[Any]):  # noqa: N801 - as in SQL
    """The greater of two values."""

    inherit_cache = True


@compiles(least, "sqlite")
def _least(element: least, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as SQLAlchemy hands it on
    return f"min({compiler.process(element.clauses, **options)})"


@compiles(greatest, "sqlite")
def _greatest(element: greatest, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as SQLAlchemy hands it on
    return f"max({compiler.process(element.clauses, **options)})"
