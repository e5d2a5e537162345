"""Security keys, as the administrator registers, names and revokes them, and the invitations to register one from afar.

A credential belongs to one person for good. What is kept of it is no secret, but it is sealed all the same, to row and
person: nobody who can only write to the database can put a key of their own there. WebAuthn 7.1, last steps.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from radiusd2fa.core.ceremonies import KIND, credential_id
from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.store.administration import (
    GONE,
    TOKENS,
    Administration,
    RefusedError,
    find_user,
    refuse_gone,
)
from radiusd2fa.store.schema import invitations, meta, stations, tokens, users
from radiusd2fa.vault import VaultError

LONGEST_LABEL: Final = 64
RP_ID: Final = "rp_id"
"""Where ``meta`` keeps the RP ID that the keys were registered for."""


_OVER: Final = [state.value for state in GONE | {TokenState.LOST}]
"""A key in one of these states is nobody's any more; a lost one that is found is registered anew."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A security key as the administrator sees it."""

    serial: str
    label: str
    user: str | None
    state: TokenState
    model: str
    """The AAGUID; empty where it cannot be read any more."""
    algorithm: str
    counter: int
    created: float
    last_used: float | None


@dataclass(frozen=True, slots=True)
class Registrant:
    """Somebody who is about to register a key."""

    user: str
    handle: bytes
    """The user handle (WebAuthn 5.4.3): 16 octets that say nothing about who it is."""
    credentials: tuple[bytes, ...]
    """Ids of the credentials that are theirs already."""


@dataclass(frozen=True, slots=True)
class StationRecord:
    """A station that has been run."""

    name: str
    seen: float
    device: str


class Keyring(Administration):
    """Security keys in an open store."""

    def keys(self, user: str | None = None) -> list[KeyRecord]:
        """All keys in the order of their serials, or one person's."""
        query = TOKENS.where(tokens.c.kind == KIND).order_by(tokens.c.serial)
        if user is not None:
            query = query.where(users.c.name == user)
        with self._looking() as connection:
            if user is not None:
                find_user(connection, user)
            return [self._record(row) for row in connection.execute(query)]

    def key(self, serial: str) -> KeyRecord:
        """One key; RefusedError when there is none of that serial."""
        with self._looking() as connection:
            return self._record(_find_key(connection, serial))

    def credential(self, serial: str) -> Token:
        """One key with its credential, to try it or to print its card."""
        with self._looking() as connection:
            row = _find_key(connection, serial)
            refuse_gone(row)
            return Token(
                id=row.id,
                serial=row.serial,
                kind=row.kind,
                moving_factor=row.moving_factor,
                secret=self._vault.open(row.id, row.sealed, row.user or ""),
                digits=0,
                algorithm=row.algorithm,
                state=TokenState(row.state),
            )

    def registrant(self, user: str) -> Registrant:
        """What a key must be told about the person that it is registered for."""
        with self._looking() as connection:
            return self._registrant(connection, find_user(connection, user))

    def add(self, user: str, token: Token, label: str, now: float, *, invitation: bytes | None = None) -> None:
        """Keep a verified credential as a key of that person; an ``invitation`` (its nonce) is used up with it."""
        identity = hashlib.sha256(credential_id(token.secret)).hexdigest()
        with self._change("key.registered", now, user=user, token=token) as connection:
            owner = find_user(connection, user)
            if connection.execute(select(tokens.c.id).where(tokens.c.credential == identity)).first() is not None:
                raise RefusedError("this credential is registered already; a key makes a new one for each registration")
            if invitation is not None and not _use_up(connection, invitation, owner.id, now):
                raise RefusedError(
                    "this invitation was used, or has run out; `radiusd2fa key invite` makes another one"
                )
            result = connection.execute(
                insert(tokens).values(
                    serial=token.serial,
                    user_id=owner.id,
                    kind=KIND,
                    sealed=b"",
                    digits=0,
                    algorithm=token.algorithm,
                    step=0,
                    state=TokenState.ACTIVE.value,
                    created=now,
                    moving_factor=token.moving_factor,
                    label=label,
                    credential=identity,
                )
            )
            token_id = result.inserted_primary_key[0]  # type: ignore[index]
            sealed = self._vault.seal(token_id, token.secret, user)
            connection.execute(update(tokens).where(tokens.c.id == token_id).values(sealed=sealed))

    def belongs_to(self) -> str | None:
        """Which RP ID the keys are registered for; None where there was never one."""
        with self._looking() as connection:
            return connection.execute(select(meta.c.value).where(meta.c.key == RP_ID)).scalar()

    def belong_to(self, rp_id: str) -> None:
        """Say which RP ID the keys are registered for; RefusedError where there are keys for another one."""
        with self._transaction() as connection:
            before = connection.execute(select(meta.c.value).where(meta.c.key == RP_ID)).scalar()
            if before == rp_id:
                return
            alive = tokens.c.kind == KIND, tokens.c.state.not_in(_OVER)
            if before is not None and connection.execute(select(tokens.c.id).where(*alive)).first() is not None:
                raise RefusedError(another_relying_party(rp_id, before))
            connection.execute(meta.delete().where(meta.c.key == RP_ID))
            connection.execute(insert(meta).values(key=RP_ID, value=rp_id))

    def rename(self, serial: str, label: str, now: float) -> None:
        """Give a key another label."""
        with self._change("key.renamed", now, serial=serial) as connection:
            row = _find_key(connection, serial)
            connection.execute(update(tokens).where(tokens.c.id == row.id).values(label=label))

    def revoke(self, serial: str, now: float) -> None:
        """Refuse a key for ever, from the next packet on."""
        with self._change("token.revoked", now, serial=serial) as connection:
            row = _find_key(connection, serial)
            if row.state != TokenState.REVOKED:
                refuse_gone(row)
            connection.execute(update(tokens).where(tokens.c.id == row.id).values(state=TokenState.REVOKED.value))

    def tried(self, token: Token, counter: int, now: float) -> None:
        """Note what a key has counted while it was tried at the desk, so that the assertion is worth nothing later."""
        with self._change("key.tried", now, token=token) as connection:
            connection.execute(
                update(tokens)
                .where(tokens.c.id == token.id, tokens.c.moving_factor < counter)
                .values(moving_factor=counter)
            )

    # --- invitations --------------------------------------------------------------------------------------------------

    def invite(self, user: str, label: str, nonce: bytes, expires: float, now: float) -> Registrant:
        """Let that person register one key from afar, until ``expires``."""
        with self._change("key.invited", now, user=user) as connection:
            owner = find_user(connection, user)
            connection.execute(invitations.delete().where(invitations.c.expires <= now))
            connection.execute(
                insert(invitations).values(nonce=_digest(nonce), user_id=owner.id, label=label, expires=expires)
            )
            return self._registrant(connection, owner)

    def invited(self, nonce: bytes, now: float) -> tuple[Registrant, str]:
        """Whose invitation this is, and the label that was written on it; RefusedError when it is nobody's now."""
        query = select(users, invitations.c.label).join(invitations, invitations.c.user_id == users.c.id)
        query = query.where(invitations.c.nonce == _digest(nonce), invitations.c.expires > now)
        with self._looking() as connection:
            row = connection.execute(query).first()
            if row is None:
                raise RefusedError(
                    "this invitation was used, or has run out; `radiusd2fa key invite` makes another one"
                )
            return self._registrant(connection, row), row.label

    # --- stations -----------------------------------------------------------------------------------------------------

    def stations(self) -> list[StationRecord]:
        """The stations that have been run, and when they were last alive."""
        with self._looking() as connection:
            return [StationRecord(*row) for row in connection.execute(select(stations).order_by(stations.c.name))]

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _registrant(self, connection: Connection, owner: Row[Any]) -> Registrant:
        rows = connection.execute(
            select(tokens.c.id, tokens.c.sealed).where(
                tokens.c.user_id == owner.id,
                tokens.c.kind == KIND,
                tokens.c.state.not_in(_OVER),
            )
        )
        credentials = tuple(credential_id(self._vault.open(row.id, row.sealed, owner.name)) for row in rows)
        handle = hashlib.sha256(f"radiusd2fa-user-v1 {owner.id} {owner.created!r}".encode()).digest()[:16]
        return Registrant(owner.name, handle, credentials)

    def _record(self, row: Row[Any]) -> KeyRecord:
        return KeyRecord(
            serial=row.serial,
            label=row.label,
            user=row.user,
            state=TokenState(row.state),
            model=self._model(row),
            algorithm=row.algorithm,
            counter=row.moving_factor,
            created=row.created,
            last_used=row.last_used,
        )

    def _model(self, row: Row[Any]) -> str:
        """The AAGUID; empty for a key that has lost its person, or whose row was changed past the program."""
        try:
            return str(UUID(bytes=self._vault.open(row.id, row.sealed, row.user or "")[:16]))
        except VaultError:
            return ""


def another_relying_party(rp_id: str, before: str) -> str:
    """What to say where the settings have left the keys behind."""
    return (
        f"fido.rp_id is {rp_id}, but the keys here were registered for {before}: put it back, or revoke them and "
        "register them again"
    )


def _find_key(connection: Connection, serial: str) -> Row[Any]:
    row = connection.execute(TOKENS.where(tokens.c.serial == serial)).first()
    if row is None or row.kind != KIND:
        raise RefusedError(f"there is no security key {serial}; `radiusd2fa key list` shows them")
    return row


def _use_up(connection: Connection, nonce: bytes, owner: int, now: float) -> bool:
    used = connection.execute(
        invitations.delete().where(
            invitations.c.nonce == _digest(nonce), invitations.c.user_id == owner, invitations.c.expires > now
        )
    )
    return used.rowcount == 1


def _digest(nonce: bytes) -> str:
    """Who reads the database must not learn what an invitation says."""
    return hashlib.sha256(nonce).hexdigest()
