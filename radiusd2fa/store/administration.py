"""An open store for administration: one transaction a change, each with its audit row, the same refusals everywhere.

It works while the daemon runs, and it is not on the way of a login: that is ``engine``. What is changed stands in
``registry`` (people and tokens) and ``keyring`` (security keys); no RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, create_engine, event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from radiusd2fa.core.model import Event, Token, TokenState
from radiusd2fa.store.chains import ADMINISTRATION, Chain, load_chain, save_chain
from radiusd2fa.store.engine import check_vault
from radiusd2fa.store.schema import tokens, users
from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError, connect
from radiusd2fa.store.statements import EVENT, event_row
from radiusd2fa.vault import Vault

_BUSY_TIMEOUT: Final = 5.0

_LOOKING: Final = "radiusd2fa_looking"
"""The option of a connection that is to read only: a lock of its own would make logins wait."""

NOT_TOLD: Final = frozenset({"token.imported"})
"""Rows that come by the thousand: they stand in the audit, and one row that counts them goes out."""

GONE: Final = frozenset({TokenState.REVOKED, TokenState.EXPIRED})
"""States that no token comes back from."""

TOKENS: Final = select(tokens, users.c.name.label("user")).select_from(tokens.outerjoin(users))
"""All tokens with their owners' names."""


class RefusedError(StoreError):
    """The change cannot be made as things are. The text says why and what to do."""


class Administration:
    """An open store. ``actor`` goes into each audit row, ``now`` into each change.

    ``tell`` hears of each row once it is committed: it must neither wait nor fail.
    """

    def __init__(
        self, path: Path, vault: Vault, actor: str, *, tell: Callable[[Event], object] = lambda _: None
    ) -> None:
        with closing(connect(path, busy_timeout=_BUSY_TIMEOUT)) as probe:
            check_vault(probe, vault, path)  # what is sealed under another key no login could open
        self._vault = vault
        self._actor = actor
        self._tell = tell
        self._written: list[Event] = []
        """The audit rows of the open transaction."""
        self._chain: Chain | None = None
        """Where the last of them ends the chain."""
        self._engine = _engine(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._engine.dispose()
        if isinstance(error, OperationalError):  # locked, full or gone: not the fault of what was asked
            raise StoreUnavailableError(f"the database does not answer now ({error.orig}); try again") from error

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        """Read as of one moment, and hold up nobody who writes meanwhile."""
        with self._engine.connect().execution_options(**{_LOOKING: True}) as connection:
            yield connection

    @contextmanager
    def _change(
        self,
        what: str,
        now: float,
        *,
        user: str = "",
        serial: str = "",
        token: Token | None = None,
        reason: str = "",
    ) -> Iterator[Connection]:
        """One transaction with its audit row; an error inside leaves neither."""
        factor, serial = (str(token.kind), token.serial) if token is not None else ("", serial)
        with self._transaction() as connection:
            yield connection
            self._note(connection, what, now, user=user, factor=factor, serial=serial, reason=reason)

    def _note(
        self,
        connection: Connection,
        what: str,
        now: float,
        *,
        user: str = "",
        factor: str = "",
        serial: str = "",
        reason: str = "",
        outcome: str = "done",
    ) -> None:
        """Write one audit row into the open transaction; a change may have several."""
        row = Event(
            time=now,
            name=what,
            login="",
            nas="",
            user=user,
            factor=factor,
            serial=serial,
            outcome=outcome,
            reason=reason,
            actor=self._actor,
        )
        self._note_many(connection, [row])
        self._written.append(row)

    def _note_many(self, connection: Connection, rows: Sequence[Event]) -> None:
        """Write audit rows into the open transaction; whoever calls it tells of them."""
        chain = self._end_of_chain(connection)
        linked = [event_row(row) + chain.link(row) for row in rows]
        if linked:
            connection.exec_driver_sql(EVENT, linked)

    @contextmanager
    def _transaction(self, on: Connection | None = None) -> Iterator[Connection]:
        """A change that writes its audit rows itself, with `_note`; they are told once they are committed.

        ``on`` is a connection that has tables of its own.
        """
        self._written.clear()
        self._chain = None
        with nullcontext(on) if on is not None else self._engine.connect() as connection, connection.begin():
            yield connection
            self._save_chain(connection)
        for row in self._written:
            if row.name not in NOT_TOLD:
                self._tell(row)
        self._written.clear()

    def _end_of_chain(self, connection: Connection) -> Chain:
        if self._chain is None:
            self._chain = load_chain(connection, ADMINISTRATION)
        return self._chain

    def _save_chain(self, connection: Connection) -> None:
        if self._chain is not None:
            save_chain(connection, self._chain, self._vault)

    def refused(self, what: str, now: float) -> None:
        """Write down that somebody has asked for what their role does not allow."""
        with self._transaction() as connection:
            self._note(connection, "administration.refused", now, reason=what, outcome="refused")


def _engine(path: Path) -> Engine:
    engine = create_engine(
        "sqlite://", creator=lambda: connect(path, busy_timeout=_BUSY_TIMEOUT), poolclass=NullPool, hide_parameters=True
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(_LOOKING) else "BEGIN IMMEDIATE")

    return engine


def find_user(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a person; RefusedError when there is nobody of that name."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    if row is None:
        count = connection.execute(select(func.count()).select_from(users)).scalar_one()
        raise RefusedError(
            f"there is no user {name}; `radiusd2fa user list` shows the {count} there are, `user add` adds one"
        )
    return row


def find_token(connection: Connection, serial: str) -> Row[Any]:
    """Return the row of a token with its owner's name; RefusedError when there is none of that serial."""
    row = connection.execute(TOKENS.where(tokens.c.serial == serial)).first()
    if row is None:
        raise RefusedError(f"there is no token {serial}; `radiusd2fa token list` shows them")
    return row


def refuse_gone(row: Row[Any]) -> None:
    """Refuse to do anything more with a token that no token comes back from."""
    if row.state in GONE:
        raise RefusedError(f"token {row.serial} is {row.state} and stays so; give out another one")
