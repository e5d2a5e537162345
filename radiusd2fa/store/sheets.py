"""Sheets of codes in an open store: kept once, replaced as a whole, and how many codes are left of each.

No code is kept and none is shown; one that was used stays used. Each change is one transaction with its audit rows.
NIST SP 800-63B 3.1.2 (look-up secrets).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from radiusd2fa.core import sheets as codes
from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.core.sheets import RECOVERY
from radiusd2fa.store.administration import GONE, TOKENS, Administration, RefusedError, find_user
from radiusd2fa.store.schema import tokens, users
from radiusd2fa.store.sealing import owner_in_seal
from radiusd2fa.vault import VaultError

_IN_FORCE: Final = tokens.c.state.not_in([state.value for state in GONE])


@dataclass(frozen=True, slots=True)
class SheetRecord:
    """A sheet that was neither replaced nor revoked, as the administrator sees it."""

    serial: str
    kind: str
    user: str
    state: TokenState
    codes: int
    """How many it was made with; 0 where it does not open any more, so that none of them counts."""
    left: int
    created: float
    last_used: float | None
    valid_until: float | None


class Sheets(Administration):
    """Sheets of codes in an open store."""

    def sheets(self, kind: str, user: str | None = None) -> list[SheetRecord]:
        """All sheets of that kind by their owners' names, or one person's."""
        query = TOKENS.where(tokens.c.kind == kind, _IN_FORCE, users.c.name.is_not(None)).order_by(users.c.name)
        with self._looking() as connection:
            if user is not None:
                query = query.where(users.c.name == find_user(connection, user).name)
            return [self._sheet(row) for row in connection.execute(query)]

    def issue_recovery(self, user: str, sheet: Token, now: float, reason: str = "") -> tuple[str, ...]:
        """Give somebody a new sheet of recovery codes; returns the serials of what it has replaced."""
        with self._change("recovery.issued", now, user=user, token=sheet, reason=reason) as connection:
            owner = find_enabled(connection, user)
            replaced = self._revoke_sheets(connection, owner, RECOVERY.kind, now, f"replaced by {sheet.serial}")
            self._keep(connection, owner, sheet, now)
            return replaced

    def revoke_recovery(self, user: str, now: float, reason: str = "") -> tuple[str, ...]:
        """Let no recovery code of somebody count any more; returns the serials."""
        with self._transaction() as connection:
            revoked = self._revoke_sheets(connection, find_user(connection, user), RECOVERY.kind, now, reason)
            if not revoked:
                raise RefusedError(f"{user} has no recovery codes; `radiusd2fa recovery status {user}` would show them")
            return revoked

    def _keep(self, connection: Connection, owner: Row[Any], sheet: Token, now: float) -> None:
        """Keep a new sheet, sealed to its row and its owner."""
        result = connection.execute(
            insert(tokens).values(
                serial=sheet.serial,
                user_id=owner.id,
                kind=sheet.kind,
                sealed=b"",
                digits=sheet.digits,
                algorithm="sha256",
                step=0,
                state=TokenState.ACTIVE.value,
                valid_from=now,  # a clock that is set back makes nothing good again
                valid_until=sheet.valid_until,
                created=now,
                moving_factor=0,
                label=f"{codes.count(sheet.secret)} codes",
            )
        )
        token_id = result.inserted_primary_key[0]  # type: ignore[index]
        sealed = self._vault.seal(token_id, sheet.secret, owner_in_seal(sheet.kind, owner.name))
        connection.execute(update(tokens).where(tokens.c.id == token_id).values(sealed=sealed))

    def _revoke_sheets(
        self, connection: Connection, owner: Row[Any], kind: str, now: float, reason: str
    ) -> tuple[str, ...]:
        """Revoke all sheets of that kind that somebody has, with an audit row each."""
        theirs = select(tokens.c.serial).where(tokens.c.user_id == owner.id, tokens.c.kind == kind, _IN_FORCE)
        serials = tuple(connection.execute(theirs.order_by(tokens.c.id)).scalars())
        for serial in serials:
            self._revoke_token(connection, serial, kind, owner.name, now, reason)
        return serials

    def _revoke_token(self, connection: Connection, serial: str, kind: str, user: str, now: float, reason: str) -> None:
        """Revoke one token, of whatever kind, with its audit row; nothing happens to one that is gone already."""
        alive = update(tokens).where(tokens.c.serial == serial, _IN_FORCE)
        if connection.execute(alive.values(state=TokenState.REVOKED.value)).rowcount:
            self._note(connection, "token.revoked", now, user=user, factor=kind, serial=serial, reason=reason)

    def _sheet(self, row: Row[Any]) -> SheetRecord:
        try:
            secret = self._vault.open(row.id, row.sealed, owner_in_seal(row.kind, row.user))
            count = codes.count(secret)
        except VaultError:
            count = 0
        return SheetRecord(
            serial=row.serial,
            kind=row.kind,
            user=row.user,
            state=TokenState(row.state),
            codes=count,
            left=max(0, count - row.moving_factor.bit_count()),
            created=row.created,
            last_used=row.last_used,
            valid_until=row.valid_until,
        )


def find_enabled(connection: Connection, name: str) -> Row[Any]:
    """Return the row of somebody who may log in; RefusedError when there is nobody, or they are disabled."""
    row = find_user(connection, name)
    if not row.enabled:
        raise RefusedError(f"{name} is disabled, so no code would let them in; `radiusd2fa user enable {name}` first")
    return row
