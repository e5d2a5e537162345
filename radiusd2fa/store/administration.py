"""An open store for administration: one transaction a change, each with its audit row, the same refusals everywhere.

It works while the daemon runs, and it is not on the way of a login: that is ``engine``. What is changed stands in
``registry`` (people and tokens) and ``keyring`` (security keys); no RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, create_engine, event, func, insert, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.store.engine import check_vault
from radiusd2fa.store.schema import events, tokens, users
from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError, connect
from radiusd2fa.vault import Vault

_BUSY_TIMEOUT: Final = 5.0

GONE: Final = frozenset({TokenState.REVOKED, TokenState.LOST, TokenState.EXPIRED})
"""States that no token comes back from."""

TOKENS: Final = select(tokens, users.c.name.label("user")).select_from(tokens.outerjoin(users))
"""All tokens with their owners' names."""


class RefusedError(StoreError):
    """The change cannot be made as things are. The text says why and what to do."""


class Administration:
    """An open store. ``actor`` goes into each audit row, ``now`` into each change."""

    def __init__(self, path: Path, vault: Vault, actor: str) -> None:
        with closing(connect(path, busy_timeout=_BUSY_TIMEOUT)) as probe:
            check_vault(probe, vault, path)  # what is sealed under another key no login could open
        self._vault = vault
        self._actor = actor
        self._engine = _engine(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._engine.dispose()
        if isinstance(error, OperationalError):  # locked, full or gone: not the fault of what was asked
            raise StoreUnavailableError(f"the database does not answer now ({error.orig}); try again") from error

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
        with self._engine.begin() as connection:
            yield connection
            connection.execute(
                insert(events).values(
                    time=now,
                    name=what,
                    login="",
                    nas="",
                    user=user,
                    caller="",
                    factor="" if token is None else token.kind,
                    serial=serial if token is None else token.serial,
                    outcome="done",
                    reason=reason,
                    latency=0.0,
                    actor=self._actor,
                )
            )


def _engine(path: Path) -> Engine:
    engine = create_engine(
        "sqlite://", creator=lambda: connect(path, busy_timeout=_BUSY_TIMEOUT), poolclass=NullPool, hide_parameters=True
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

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
