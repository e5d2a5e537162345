"""People and tokens, as the administrator sees and changes them.

Each change is one transaction with its audit row, and works while the daemon runs. It never lowers a moving factor and
never shows a seed that is in the store. Not on the way of a login: that is ``engine``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from radiusd2fa.core.ceremonies import KIND
from radiusd2fa.core.model import Event, Token, TokenState
from radiusd2fa.core.names import bare
from radiusd2fa.store.administration import (
    GONE,
    TOKENS,
    Administration,
    RefusedError,
    find_token,
    find_user,
    refuse_gone,
)
from radiusd2fa.store.schema import challenges, events, invitations, sightings, tokens, users


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A person as the administrator sees them."""

    name: str
    source: str
    enabled: bool
    groups: tuple[str, ...]
    has_password: bool
    failures: int
    locked_until: float
    created: float
    tokens: tuple[str, ...]
    directory_id: str | None
    """Who this is in the directory, whatever the name; None when it is not known yet."""
    enrolled: bool
    """Whether this person has ever had a token."""
    last_login: float | None
    live: tuple[str, ...]
    """Those of the tokens that could still be used."""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as the administrator sees it: all but its seed."""

    serial: str
    kind: str
    user: str | None
    state: TokenState
    digits: int
    algorithm: str
    step: int
    moving_factor: int
    drift: int
    created: float
    last_used: float | None


_OWNED: Final = select(tokens.c.user_id, tokens.c.serial, tokens.c.last_used, tokens.c.state)


class Registry(Administration):
    """People and tokens in an open store."""

    # --- people -------------------------------------------------------------------------------------------------------

    def users(self) -> list[UserRecord]:
        """All people, by name."""
        with self._engine.connect() as connection:
            owned: dict[int, list[Any]] = {}
            for token in connection.execute(_OWNED.where(tokens.c.user_id.is_not(None)).order_by(tokens.c.id)):
                owned.setdefault(token.user_id, []).append(token)
            rows = connection.execute(select(users).order_by(users.c.name))
            return [_user_record(row, owned.get(row.id, ())) for row in rows]

    def user(self, name: str) -> UserRecord:
        """One person; RefusedError when there is nobody of that name."""
        with self._engine.connect() as connection:
            row = find_user(connection, name)
            owned = connection.execute(_OWNED.where(tokens.c.user_id == row.id).order_by(tokens.c.id)).all()
            return _user_record(row, owned)

    def add_user(
        self,
        name: str,
        password_hash: str | None,
        groups: Sequence[str],
        now: float,
        *,
        source: str = "local",
        directory_id: str | None = None,
    ) -> None:
        """Add a person whose password ``source`` knows; without a hash it knows none if it is ``local``."""
        with self._change("user.added", now, user=name) as connection:
            if connection.execute(select(users.c.id).where(users.c.name == name)).first() is not None:
                raise RefusedError(
                    f"there is a user {name} already; `radiusd2fa user password {name}` sets the password"
                )
            connection.execute(
                insert(users).values(
                    name=name,
                    password_hash=password_hash,
                    groups="\n".join(groups),
                    created=now,
                    source=source,
                    directory_id=directory_id,
                    bare=bare(name),
                )
            )

    def bind(self, name: str, source: str, directory_id: str | None, now: float) -> None:
        """Say anew where a person comes from, and who they are there; None binds whoever logs in next."""
        with self._change("user.bound", now, user=name, reason=f"to {source}") as connection:
            row = find_user(connection, name)
            _refuse_second_of(connection, source, directory_id, row.id)
            groups = row.groups if source == row.source else ""  # those of another directory mean nothing here
            connection.execute(
                update(users)
                .where(users.c.id == row.id)
                .values(source=source, directory_id=directory_id, groups=groups)
            )
            connection.execute(challenges.delete().where(challenges.c.user_id == row.id))

    def rename(self, name: str, new: str, now: float) -> None:
        """Give a person another name, as the directory has; tokens and keys stay theirs."""
        with self._change("user.renamed", now, user=new, reason=f"was {name}") as connection:
            row = find_user(connection, name)
            if connection.execute(select(users.c.id).where(users.c.name == new)).first() is not None:
                raise RefusedError(f"there is a user {new} already; remove or rename that one first")
            connection.execute(update(users).where(users.c.id == row.id).values(name=new, bare=bare(new)))
            connection.execute(challenges.delete().where(challenges.c.user_id == row.id))
            keys = select(tokens.c.id, tokens.c.sealed).where(tokens.c.user_id == row.id, tokens.c.kind == KIND)
            for key in connection.execute(keys).all():  # a key's row is sealed under its owner's name
                resealed = self._vault.seal(key.id, self._vault.open(key.id, key.sealed, name), new)
                connection.execute(update(tokens).where(tokens.c.id == key.id).values(sealed=resealed))

    def revoke_all(self, name: str, now: float) -> tuple[str, ...]:
        """Disable a person whom the directory does not know any more, and revoke all their tokens."""
        with self._change("user.offboarded", now, user=name) as connection:
            row = find_user(connection, name)
            mine = (tokens.c.user_id == row.id, tokens.c.state.not_in([state.value for state in GONE]))
            serials = connection.execute(select(tokens.c.serial).where(*mine).order_by(tokens.c.id)).scalars().all()
            connection.execute(update(tokens).where(*mine).values(state=TokenState.REVOKED.value))
            connection.execute(update(users).where(users.c.id == row.id).values(enabled=False))
            connection.execute(challenges.delete().where(challenges.c.user_id == row.id))
            return tuple(serials)

    def set_password(self, name: str, password_hash: str, now: float) -> None:
        """Replace a person's local password."""
        with self._change("user.password_set", now, user=name) as connection:
            user_id = find_user(connection, name).id
            connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))
            # whoever was half-way in with the old password begins again
            connection.execute(challenges.delete().where(challenges.c.user_id == user_id))

    def set_enabled(self, name: str, now: float, *, enabled: bool) -> None:
        """Let a person log in, or not; effective on the next packet."""
        self._update_user(name, "user.enabled" if enabled else "user.disabled", now, enabled=enabled)

    def unlock(self, name: str, now: float) -> None:
        """End a lock and forget the failures that led to it."""
        self._update_user(name, "user.unlocked", now, failures=0, locked_until=0.0)

    def remove_user(self, name: str, now: float) -> tuple[str, ...]:
        """Remove a person with their open questions; fobs go back to stock, keys are revoked. Returns the former."""
        with self._change("user.removed", now, user=name) as connection:
            row = find_user(connection, name)
            owned = connection.execute(
                select(tokens.c.serial, tokens.c.state).where(tokens.c.user_id == row.id, tokens.c.kind != KIND)
            ).all()
            mine = (tokens.c.user_id == row.id, tokens.c.state.not_in([state.value for state in GONE]))
            connection.execute(
                update(tokens).where(*mine, tokens.c.kind == KIND).values(state=TokenState.REVOKED.value)
            )
            connection.execute(update(tokens).where(*mine, tokens.c.kind != KIND).values(state=TokenState.STOCK.value))
            connection.execute(update(tokens).where(tokens.c.user_id == row.id).values(user_id=None))
            connection.execute(challenges.delete().where(challenges.c.user_id == row.id))
            connection.execute(invitations.delete().where(invitations.c.user_id == row.id))
            connection.execute(users.delete().where(users.c.id == row.id))
            return tuple(serial for serial, state in owned if state not in GONE)

    def _update_user(self, name: str, what: str, now: float, **values: Any) -> None:  # noqa: ANN401 - column values
        with self._change(what, now, user=name) as connection:
            connection.execute(update(users).where(users.c.id == find_user(connection, name).id).values(**values))

    # --- tokens -------------------------------------------------------------------------------------------------------

    def tokens(self, user: str | None = None) -> list[TokenRecord]:
        """All tokens in the order of their serials, or one person's."""
        query = TOKENS.order_by(tokens.c.serial)
        if user is not None:
            query = query.where(users.c.name == user)
        with self._engine.connect() as connection:
            return [_token_record(row) for row in connection.execute(query)]

    def token(self, serial: str) -> TokenRecord:
        """One token; RefusedError when there is none of that serial."""
        with self._engine.connect() as connection:
            return _token_record(find_token(connection, serial))

    def add_token(self, token: Token, user: str | None, now: float) -> None:
        """Add a token with its seed, active in a person's hands or in stock. The token's ``id`` and state are ours."""
        with self._change("token.added", now, user=user or "", token=token) as connection:
            if connection.execute(select(tokens.c.id).where(tokens.c.serial == token.serial)).first() is not None:
                raise RefusedError(f"there is a token {token.serial} already; serials are given once")
            owner = None if user is None else find_user(connection, user)
            if owner is not None and token.kind != KIND:
                self._refuse_same_seed(connection, owner.id, token.kind, token.secret, user or "")
            state = TokenState.STOCK if owner is None else TokenState.ACTIVE
            result = connection.execute(
                insert(tokens).values(
                    serial=token.serial,
                    user_id=None if owner is None else owner.id,
                    kind=token.kind,
                    sealed=b"",
                    digits=token.digits,
                    algorithm=token.algorithm,
                    step=token.step,
                    state=state.value,
                    created=now,
                    moving_factor=token.moving_factor,
                )
            )
            token_id = result.inserted_primary_key[0]  # type: ignore[index]
            sealed = self._vault.seal(token_id, token.secret, (user or "") if token.kind == KIND else "")
            connection.execute(update(tokens).where(tokens.c.id == token_id).values(sealed=sealed))

    def assign(self, serial: str, user: str, now: float) -> None:
        """Hand a token out of the stock to a person."""
        with self._change("token.assigned", now, user=user, serial=serial) as connection:
            row = find_token(connection, serial)
            _refuse_key(row)
            if row.user is not None:
                raise RefusedError(f"token {serial} belongs to {row.user}; `radiusd2fa token unassign {serial}` first")
            refuse_gone(row)
            owner = find_user(connection, user)
            self._refuse_same_seed(connection, owner.id, row.kind, self._vault.open(row.id, row.sealed), user)
            connection.execute(
                update(tokens).where(tokens.c.id == row.id).values(user_id=owner.id, state=TokenState.ACTIVE.value)
            )

    def unassign(self, serial: str, now: float) -> None:
        """Take a token back into the stock."""
        with self._change("token.unassigned", now, serial=serial) as connection:
            row = find_token(connection, serial)
            _refuse_key(row)
            if row.user is None:
                raise RefusedError(f"token {serial} belongs to nobody")
            refuse_gone(row)
            connection.execute(
                update(tokens).where(tokens.c.id == row.id).values(user_id=None, state=TokenState.STOCK.value)
            )

    def set_state(self, serial: str, state: TokenState, now: float) -> None:
        """Enable (ACTIVE), disable or revoke a token; effective on the next packet. Nothing comes back from revoked."""
        words = {TokenState.ACTIVE: "enabled", TokenState.DISABLED: "disabled", TokenState.REVOKED: "revoked"}
        with self._change(f"token.{words[state]}", now, serial=serial) as connection:
            row = find_token(connection, serial)
            if row.state == state.value:
                return
            refuse_gone(row)
            if state is TokenState.ACTIVE and row.user is None:
                raise RefusedError(f"token {serial} belongs to nobody; `radiusd2fa token assign {serial} USER` instead")
            connection.execute(update(tokens).where(tokens.c.id == row.id).values(state=state.value))

    def with_seed(self, serial: str) -> Token:
        """One token with its seed, for a resynchronisation."""
        with self._engine.connect() as connection:
            row = find_token(connection, serial)
            refuse_gone(row)
            _refuse_key(row)
            return Token(
                id=row.id,
                serial=row.serial,
                kind=row.kind,
                moving_factor=row.moving_factor,
                secret=self._vault.open(row.id, row.sealed),
                digits=row.digits,
                algorithm=row.algorithm,
                step=row.step,
                drift=row.drift,
                state=TokenState(row.state),
                last_used=row.last_used,
            )

    def resynchronise(self, token: Token, to: int, drift: int, now: float) -> None:
        """Move a token forward to where two codes in a row have shown it to be; never backwards."""
        with self._change("token.resynchronised", now, token=token) as connection:
            moved = connection.execute(
                update(tokens)
                .where(tokens.c.id == token.id, tokens.c.moving_factor < to)
                .values(moving_factor=to, drift=drift, candidate=None, candidate_until=0.0)
            )
            if moved.rowcount != 1:
                raise RefusedError(f"token {token.serial} was used meanwhile; give two fresh codes")

    def _refuse_same_seed(self, connection: Connection, owner: int, kind: str, seed: bytes, name: str) -> None:
        """Two tokens with one seed would let one code in twice."""
        rows = connection.execute(
            select(tokens.c.id, tokens.c.serial, tokens.c.sealed).where(
                tokens.c.user_id == owner, tokens.c.kind == kind
            )
        )
        for row in rows:
            if self._vault.open(row.id, row.sealed).rstrip(b"\0") == seed.rstrip(b"\0"):  # the same HMAC key
                raise RefusedError(f"{name} has this seed already, as token {row.serial}; a code must not count twice")

    # --- audit --------------------------------------------------------------------------------------------------------

    def sightings(self) -> list[tuple[str, float, str]]:
        """What the daemon has seen of its clients' packets: client ("" is nobody's), when it was written, the JSON."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(sightings).order_by(sightings.c.client))
            return [(row.client, row.updated, row.packets) for row in rows]

    def events(self, last: int = 50) -> list[Event]:
        """The newest audit rows, oldest first."""
        columns = [column for column in events.c if column.name != "id"]
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(events.c.id.desc()).limit(last)).all()
        return [Event(**row._mapping) for row in reversed(rows)]  # noqa: SLF001 - SQLAlchemy's public name


def _refuse_key(row: Row[Any]) -> None:
    if row.kind == KIND:
        raise RefusedError(
            f"{row.serial} is a security key: it belongs to one person for good and has nothing to resynchronise; "
            "`radiusd2fa key` registers and revokes keys"
        )


def _refuse_second_of(connection: Connection, source: str, directory_id: str | None, user_id: int) -> None:
    same = select(users.c.name).where(
        users.c.source == source, users.c.directory_id == directory_id, users.c.id != user_id
    )
    other = None if directory_id is None else connection.execute(same).scalar()
    if other is not None:
        raise RefusedError(f"that person of {source} is {other} here already")


def _user_record(row: Row[Any], owned: Sequence[Any]) -> UserRecord:
    return UserRecord(
        name=row.name,
        source=row.source,
        enabled=bool(row.enabled),
        groups=tuple(row.groups.split("\n")) if row.groups else (),
        has_password=row.password_hash is not None,
        failures=row.failures,
        locked_until=row.locked_until,
        created=row.created,
        tokens=tuple(token.serial for token in owned),
        directory_id=row.directory_id,
        enrolled=bool(row.enrolled),
        live=tuple(token.serial for token in owned if token.state not in GONE),
        last_login=max(filter(None, (row.last_login, *(token.last_used for token in owned))), default=None),
    )


def _token_record(row: Row[Any]) -> TokenRecord:
    return TokenRecord(
        serial=row.serial,
        kind=row.kind,
        user=row.user,
        state=TokenState(row.state),
        digits=row.digits,
        algorithm=row.algorithm,
        step=row.step,
        moving_factor=row.moving_factor,
        drift=row.drift,
        created=row.created,
        last_used=row.last_used,
    )
