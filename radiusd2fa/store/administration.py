"""An open store for administration: one transaction a change, each with its audit row, the same refusals everywhere.

It works while the daemon runs, and it is not on the way of a login: that is ``engine``. What is changed stands in
``registry`` (people and tokens) and ``keyring`` (security keys); no RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.exc import OperationalError

from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.model import Event, Token, TokenState
from radiusd2fa.store.address import Address
from radiusd2fa.store.chains import ADMINISTRATION, Chain, load_chain, save_chain
from radiusd2fa.store.connecting import How, check_vault, one_line, open_engine, put, transaction
from radiusd2fa.store.schema import EVENT_COLUMNS, events, tokens, users
from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError
from radiusd2fa.store.statements import event_row
from radiusd2fa.vault import Vault

_CHAINED: Final = (*(column.name for column in EVENT_COLUMNS), "chain", "sequence", "hash")

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

    ``chain`` is the hash chain that its rows go to. ``tell`` hears of each row, and of what signs them, once they are
    committed: it must neither wait nor fail.
    """

    _changes = How.CHANGING

    def __init__(
        self,
        address: Address,
        vault: Vault,
        actor: str,
        *,
        chain: str = ADMINISTRATION,
        tell: Callable[[Event | Checkpoint], object] = lambda _: None,
    ) -> None:
        self._address = address
        self._vault = vault
        self._actor = actor
        self._chain_name = chain
        self._tell = tell
        self._written: list[Event | Checkpoint] = []
        """The audit rows of the open transaction, and what signs them."""
        self._chain: Chain | None = None
        """Where the last of them ends the chain."""
        self._engine = open_engine(address)
        with self._looking() as connection:
            check_vault(connection, vault, address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._engine.dispose()
        if isinstance(error, OperationalError):  # locked, full or gone: not the fault of what was asked
            raise unavailable(error) from error

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        """Read as of one moment, and hold up nobody who writes meanwhile."""
        with self._engine.connect() as connection, transaction(connection, How.LOOKING):
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
        put(connection, events.name, _CHAINED, [event_row(row) + chain.link(row) for row in rows])

    @contextmanager
    def _transaction(self, on: Connection | None = None, how: How | None = None) -> Iterator[Connection]:
        """A change that writes its audit rows itself, with `_note`; they are told once they are committed.

        ``on`` is a connection that has tables of its own.
        """
        self._written.clear()
        self._chain = None
        with (
            nullcontext(on) if on is not None else self._engine.connect() as connection,
            transaction(connection, how or self._changes),
        ):
            check_vault(connection, self._vault, self._address)  # it may have been exchanged since we began
            yield connection
            self._save_chain(connection)
        for row in self._written:
            if isinstance(row, Checkpoint) or row.name not in NOT_TOLD:
                self._tell(row)
        self._written.clear()

    def _end_of_chain(self, connection: Connection) -> Chain:
        if self._chain is None:
            self._chain = load_chain(connection, self._chain_name)
        return self._chain

    def _save_chain(self, connection: Connection) -> None:
        if self._chain is not None:
            self._written.append(save_chain(connection, self._chain, self._vault))

    def refused(self, what: str, now: float) -> None:
        """Write down that somebody has asked for what their role does not allow."""
        with self._transaction(how=How.CHANGING) as connection:
            self._note(connection, "administration.refused", now, reason=what, outcome="refused")


def unavailable(error: OperationalError) -> StoreUnavailableError:
    """Say that the store could not do it now, whatever was asked."""
    return StoreUnavailableError(f"the database does not answer now ({one_line(error.orig)}); try again")


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
