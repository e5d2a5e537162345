"""Tokens, as the administrator sees them: added, listed, described, and moved forward.

Each change is one transaction with its audit row, and works while the daemon runs. It never lowers a moving factor and
never shows a seed that is in the store. Not on the way of a login: that is ``engine``; who has a token is ``custody``.
RFC 4226 7.2: no code twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from radiusd2fa.core.ceremonies import KIND
from radiusd2fa.core.finding import is_usable
from radiusd2fa.core.model import Event, Token, TokenState
from radiusd2fa.core.sheets import SHEETS, count
from radiusd2fa.store.administration import TOKENS, RefusedError, find_token, find_user, refuse_gone
from radiusd2fa.store.custody import Custody, keep_up
from radiusd2fa.store.schema import EVENT_COLUMNS, events, tokens, users
from radiusd2fa.store.sealing import FOR_GOOD, owner_in_seal, what_makes_codes
from radiusd2fa.store.selecting import Selection, conditions
from radiusd2fa.vault import VaultError

_LARGEST_COUNTER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Papers:
    """What is written down of a token besides what it computes with."""

    label: str = ""
    model: str = ""
    """As the catalogue calls it, by key or by name, where it should know how long the battery lasts."""
    batch: str = ""
    box: str = ""
    delivered: float | None = None


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
    label: str
    model: str
    batch: str
    box: str
    delivered: float | None
    handed_by: str
    """The administrator; empty where nobody is known, and where the owner took it."""
    handed_at: float | None
    activate_by: float | None
    valid_from: float
    valid_until: float | None
    left: int | None
    """How many codes of a sheet were not used yet; None for what is no sheet."""


def can_log_in(one: TokenRecord, now: float) -> bool:
    """Whether a token may log anybody in at that moment, by the question that a login asks."""
    return is_usable(
        Token(
            id=0,
            serial=one.serial,
            kind=one.kind,
            moving_factor=one.moving_factor,
            secret=b"",
            state=one.state,
            valid_from=one.valid_from,
            valid_until=one.valid_until,
            activate_by=one.activate_by,
        ),
        now,
    )


class Inventory(Custody):
    """Tokens in an open store."""

    def tokens(self, user: str | None = None) -> list[TokenRecord]:
        """All tokens in the order of their serials, sheets of codes among them; or one person's."""
        query = TOKENS.order_by(tokens.c.serial)
        if user is not None:
            query = query.where(users.c.name == user)
        with self._looking() as connection:
            return [self._record(row) for row in connection.execute(query)]

    def selected(self, chosen: Selection) -> list[TokenRecord]:
        """Return the tokens of a selection in the order of their serials."""
        with self._looking() as connection:
            query = TOKENS.where(*conditions(chosen)).order_by(tokens.c.serial)
            return [self._record(row) for row in connection.execute(query)]

    def token(self, serial: str) -> TokenRecord:
        """One token; RefusedError when there is none of that serial."""
        with self._looking() as connection:
            return self._record(find_token(connection, serial))

    def history(self, serial: str, *, logins: bool = False) -> list[Event]:
        """What the audit says of one token, oldest first; with ``logins`` also each packet that it was named at."""
        query = select(*EVENT_COLUMNS).where(events.c.serial == serial).order_by(events.c.id)
        if not logins:
            query = query.where(events.c.name.not_like("access.%"))
        with self._looking() as connection:
            find_token(connection, serial)
            return [Event(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - its public name

    def add_token(self, token: Token, user: str | None, now: float, papers: Papers = Papers()) -> tuple[str, ...]:
        """Add a token with its seed, active in a person's hands or in stock. The token's ``id`` and state are ours.

        Returns the serials of other people's tokens, and of those in stock, that have the same seed.
        """
        with self._change("token.added", now, user=user or "", token=token) as connection:
            if connection.execute(select(tokens.c.id).where(tokens.c.serial == token.serial)).first() is not None:
                raise RefusedError(f"there is a token {token.serial} already; serials are given once")
            owner = None if user is None else find_user(connection, user)
            mark = self._vault.fingerprint(what_makes_codes(token.kind, token.secret, token.algorithm))
            if owner is not None and token.kind != KIND:
                self._refuse_same_seed(connection, owner, token.kind, mark)
            twins = select(tokens.c.serial).where(tokens.c.fingerprint == mark, tokens.c.kind == token.kind)
            elsewhere = tuple(connection.execute(twins.order_by(tokens.c.serial)).scalars())
            result = connection.execute(
                insert(tokens).values(
                    serial=token.serial,
                    user_id=None if owner is None else owner.id,
                    kind=token.kind,
                    sealed=b"",
                    digits=token.digits,
                    algorithm=token.algorithm,
                    step=token.step,
                    state=(TokenState.STOCK if owner is None else TokenState.ACTIVE).value,
                    created=now,
                    moving_factor=token.moving_factor,
                    valid_from=token.valid_from,
                    valid_until=token.valid_until,
                    fingerprint=mark,
                    handed_by="" if owner is None else self._actor,
                    handed_at=None if owner is None else now,
                    **asdict(papers),
                )
            )
            token_id = result.inserted_primary_key[0]  # type: ignore[index]
            sealed = self._vault.seal(token_id, token.secret, owner_in_seal(token.kind, user))
            connection.execute(update(tokens).where(tokens.c.id == token_id).values(sealed=sealed))
            keep_up(connection, find_token(connection, token.serial), self._vault)
            return elsewhere

    # --- what is written down of a token ------------------------------------------------------------------------------

    def describe(self, serials: Sequence[str], changes: Mapping[str, str | float | None], now: float) -> None:
        """Write down some of ``Papers`` anew, for all these tokens or for none; an audit row each says what."""
        said = ", ".join(f"{name} {value}" if value else f"no {name}" for name, value in changes.items())
        with self._transaction() as connection:
            for serial in serials:
                row = find_token(connection, serial)
                connection.execute(update(tokens).where(tokens.c.id == row.id).values(**changes))
                self._note(
                    connection,
                    "token.labelled",
                    now,
                    user=row.user or "",
                    factor=row.kind,
                    serial=serial,
                    reason=said,
                )

    def set_validity(
        self, serial: str, now: float, *, begins: float | None = None, ends: float | None = None, reason: str = ""
    ) -> None:
        """Say when a token's time begins and ends. None leaves it as it is; an end of ``inf`` is none."""
        with self._handling("token.validity_set", serial, now, reason=reason) as (connection, row):
            refuse_gone(row)
            if row.kind in SHEETS:  # an emergency sheet is opened by two people, and by nothing else
                raise RefusedError(f"{serial} is a sheet of codes: its time was given with it; make another one")
            first = row.valid_from if begins is None else begins
            last = row.valid_until if ends is None else None if ends == inf else ends
            if last is not None and last <= first:
                raise RefusedError(f"token {serial} would end before it begins; say both --from and --until")
            connection.execute(update(tokens).where(tokens.c.id == row.id).values(valid_from=first, valid_until=last))

    # --- moving forward -----------------------------------------------------------------------------------------------

    def raise_counter(self, serial: str, to: int, now: float, reason: str = "") -> None:
        """Say which counter of an HOTP token is the next to count; never a lower one than before."""
        with self._handling("token.counter_raised", serial, now, reason=reason) as (connection, row):
            refuse_gone(row)
            if row.kind != "hotp":
                raise RefusedError(f"token {serial} has no counter that could be set: it is a {row.kind} token")
            if not row.moving_factor < to <= _LARGEST_COUNTER:
                raise RefusedError(
                    f"token {serial} is at {row.moving_factor}: a counter is raised, never lowered, "
                    "or codes that were used would count again"
                )
            connection.execute(
                update(tokens)
                .where(tokens.c.id == row.id, tokens.c.moving_factor < to)
                .values(moving_factor=to, candidate=None, candidate_until=0.0)
            )

    def with_seed(self, serial: str) -> Token:
        """One token with its seed, for a resynchronisation."""
        with self._looking() as connection:
            row = find_token(connection, serial)
            refuse_gone(row)
            if row.state == TokenState.LOST:
                raise RefusedError(f"token {serial} is lost; `radiusd2fa token return {serial}` when it was found")
            if row.kind in FOR_GOOD:
                what = "a security key" if row.kind == KIND else "a sheet of codes"
                raise RefusedError(
                    f"{serial} is {what}: it belongs to one person for good, and there is nothing to resynchronise"
                )
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
        with self._handling("token.resynchronised", token.serial, now) as (connection, _):
            moved = connection.execute(
                update(tokens)
                .where(tokens.c.id == token.id, tokens.c.moving_factor < to)
                .values(moving_factor=to, drift=drift, candidate=None, candidate_until=0.0)
            )
            if moved.rowcount != 1:
                raise RefusedError(f"token {token.serial} was used meanwhile; give two fresh codes")

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _record(self, row: Row[Any]) -> TokenRecord:
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
            label=row.label,
            model=row.model,
            batch=row.batch,
            box=row.box,
            delivered=row.delivered,
            handed_by=row.handed_by,
            handed_at=row.handed_at,
            activate_by=row.activate_by,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            left=self._left(row) if row.kind in SHEETS else None,
        )

    def _left(self, row: Row[Any]) -> int | None:
        """How many codes of a sheet are unused; None when its seal does not open."""
        try:
            codes = count(self._vault.open(row.id, row.sealed, row.user or ""))
        except VaultError:
            return None
        return codes - int(row.moving_factor).bit_count()
