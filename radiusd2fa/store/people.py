"""People, as the administrator sees and changes them.

Each change is one transaction with its audit row, and works while the daemon runs. Not on the way of a login: that is
``engine``. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from radiusd2fa.core.model import TokenState
from radiusd2fa.core.names import bare
from radiusd2fa.store.administration import GONE, RefusedError, find_user
from radiusd2fa.store.custody import IN_HANDS, LET_GO, keep_up
from radiusd2fa.store.endings import Endings, GrantRecord
from radiusd2fa.store.schema import challenges, grants, invitations, tokens, users
from radiusd2fa.store.sealing import FOR_GOOD


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
class Revoked:
    """A token that was somebody's until they left."""

    serial: str
    kind: str
    state: TokenState
    """What it was before."""


@dataclass(frozen=True, slots=True)
class Offboarded:
    """What was somebody's, and has ended."""

    was_enabled: bool
    revoked: tuple[Revoked, ...]
    grants: tuple[GrantRecord, ...]
    requests: int
    """To open their emergency codes."""
    questions: int
    """Logins half-way in."""
    invitations: int
    """To register a security key."""


_OWNED: Final = select(tokens.c.user_id, tokens.c.serial, tokens.c.last_used, tokens.c.state)


class People(Endings):
    """People in an open store."""

    def users(self) -> list[UserRecord]:
        """All people, by name."""
        with self._looking() as connection:
            owned: dict[int, list[Any]] = {}
            for token in connection.execute(_OWNED.where(tokens.c.user_id.is_not(None)).order_by(tokens.c.id)):
                owned.setdefault(token.user_id, []).append(token)
            rows = connection.execute(select(users).order_by(users.c.name))
            return [_user_record(row, owned.get(row.id, ())) for row in rows]

    def user(self, name: str) -> UserRecord:
        """One person; RefusedError when there is nobody of that name."""
        with self._looking() as connection:
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

    def bind(self, name: str, source: str, directory_id: str | None, now: float, reason: str = "") -> None:
        """Say anew where a person comes from, and who they are there; None binds whoever logs in next."""
        why = f"to {source}: {reason}" if reason else f"to {source}"
        with self._change("user.bound", now, user=name, reason=why) as connection:
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
            theirs = select(tokens.c.id, tokens.c.sealed).where(tokens.c.user_id == row.id, tokens.c.kind.in_(FOR_GOOD))
            for one in connection.execute(theirs).all():  # sealed under its owner's name
                resealed = self._vault.seal(one.id, self._vault.open(one.id, one.sealed, name), new)
                connection.execute(update(tokens).where(tokens.c.id == one.id).values(sealed=resealed))

    def revoke_all(self, name: str, now: float, reason: str = "") -> tuple[str, ...]:
        """Offboard a person whom the directory does not know any more; returns the serials of what was revoked."""
        return tuple(token.serial for token in self.offboard(name, now, reason).revoked)

    def offboard(self, name: str, now: float, reason: str = "") -> Offboarded:
        """Disable a person and end all that is theirs, in one transaction with an audit row each."""
        with self._change("user.offboarded", now, user=name, reason=reason) as connection:
            row = find_user(connection, name)
            theirs = tokens.c.user_id == row.id, tokens.c.state.not_in([state.value for state in GONE])
            revoked = connection.execute(select(tokens).where(*theirs).order_by(tokens.c.id)).all()
            for token in revoked:
                self._revoke_token(connection, token.serial, token.kind, name, now, reason)
                keep_up(connection, token, self._vault)
            connection.execute(update(users).where(users.c.id == row.id).values(enabled=False, skip_until=0.0))
            return Offboarded(
                was_enabled=bool(row.enabled),
                revoked=tuple(Revoked(token.serial, token.kind, TokenState(token.state)) for token in revoked),
                grants=self._end_grants(connection, grants.c.user_id == row.id, now, reason),
                requests=self._drop_requests(connection, row, now),
                questions=connection.execute(challenges.delete().where(challenges.c.user_id == row.id)).rowcount,
                invitations=connection.execute(invitations.delete().where(invitations.c.user_id == row.id)).rowcount,
            )

    def set_password(self, name: str, password_hash: str, now: float, reason: str = "") -> None:
        """Replace a person's local password."""
        with self._change("user.password_set", now, user=name, reason=reason) as connection:
            user_id = find_user(connection, name).id
            connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))
            # whoever was half-way in with the old password begins again
            connection.execute(challenges.delete().where(challenges.c.user_id == user_id))

    def set_enabled(self, name: str, now: float, *, enabled: bool, reason: str = "") -> None:
        """Let a person log in, or not; effective on the next packet."""
        self._update_user(name, "user.enabled" if enabled else "user.disabled", now, reason, enabled=enabled)

    def unlock(self, name: str, now: float, reason: str = "") -> None:
        """End a lock and forget the failures that led to it."""
        self._update_user(name, "user.unlocked", now, reason, failures=0, locked_until=0.0)

    def remove_user(self, name: str, now: float, reason: str = "") -> tuple[str, ...]:
        """Remove a person with their open questions: fobs go back to stock, keys and sheets are revoked.

        Returns the serials of the former. What is lost stays so, until somebody brings it.
        """
        with self._change("user.removed", now, user=name, reason=reason) as connection:
            row = find_user(connection, name)
            restocked = []
            for token in connection.execute(
                select(tokens).where(tokens.c.user_id == row.id).order_by(tokens.c.id)
            ).all():
                left = _left_behind(token)
                connection.execute(
                    update(tokens).where(tokens.c.id == token.id).values({**LET_GO, "state": left.value})
                )
                keep_up(connection, token, self._vault)
                if left.value != token.state:
                    self._note(connection, _LEFT[left], now, user=name, factor=token.kind, serial=token.serial)
                if left is TokenState.STOCK:
                    restocked.append(token.serial)
            # the row's number may become somebody else's: nothing must be open for it
            self._end_grants(connection, grants.c.user_id == row.id, now, "the person was removed")
            self._drop_requests(connection, row, now)
            connection.execute(challenges.delete().where(challenges.c.user_id == row.id))
            connection.execute(invitations.delete().where(invitations.c.user_id == row.id))
            connection.execute(users.delete().where(users.c.id == row.id))
            return tuple(restocked)

    def _update_user(
        self,
        name: str,
        what: str,
        now: float,
        reason: str,
        **values: Any,  # noqa: ANN401 - column values
    ) -> None:
        with self._change(what, now, user=name, reason=reason) as connection:
            connection.execute(update(users).where(users.c.id == find_user(connection, name).id).values(**values))


_LEFT: Final = {
    TokenState.STOCK: "token.unassigned",
    TokenState.RETURNED: "token.returned",
    TokenState.REVOKED: "token.revoked",
}
"""What the audit says of a token whose owner is removed."""


def _left_behind(token: Row[Any]) -> TokenState:
    """What becomes of a token whose owner is removed."""
    state = TokenState(token.state)
    if token.kind in FOR_GOOD:
        return state if state in GONE else TokenState.REVOKED
    if state is TokenState.DISABLED:  # somebody has had a reason, and has to look at it first
        return TokenState.RETURNED
    return TokenState.STOCK if state in IN_HANDS else state


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
        live=tuple(token.serial for token in owned if token.state not in GONE | {TokenState.LOST}),
        last_login=max(filter(None, (row.last_login, *(token.last_used for token in owned))), default=None),
    )
