"""The rows that a look has found, as the nouns of a decision: a person with tokens, a question that is open.

It asks no database. A token whose sealed seed does not open is left out; whoever calls hears of it. No RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from radiusd2fa.core.model import ChallengeKind, KeyCeremony, PendingChallenge, Relay, Token, TokenState, User
from radiusd2fa.core.texts import octets
from radiusd2fa.store.effects import octets_as_attributes
from radiusd2fa.store.sealing import owner_in_seal
from radiusd2fa.store.statements import Row
from radiusd2fa.vault import Vault, VaultError

_STATES: Final = {state.value: state for state in TokenState}


class Seeds:
    """Opens sealed seeds; ``alarm`` hears once of each that does not open."""

    def __init__(self, vault: Vault, alarm: Callable[[str], None]) -> None:
        self._vault = vault
        self._alarm = alarm
        self._unreadable: set[int] = set()

    def user(self, rows: Sequence[Row]) -> User:
        """Read the rows of LOAD_USER, of which there is one at least."""
        first = rows[0]
        tokens = [
            token for row in rows if row[11] is not None and (token := self.token(row[11:], first[1])) is not None
        ]
        if len(tokens) > 1:
            tokens.sort(key=lambda token: (-(token.last_used or 0.0), token.id))  # the one used last is tried first
        (
            number,
            name,
            enabled,
            failures,
            locked_until,
            groups,
            source,
            password,
            directory_id,
            enrolled,
            skip_until,
            *_,
        ) = first
        return User(
            number,
            name,
            bool(enabled),
            failures,
            locked_until,
            tuple(groups.split("\n")) if groups else (),
            source,
            password,
            tuple(tokens),
            directory_id,
            bool(enrolled),
            skip_until,
        )

    def token(self, row: Row, owner: str) -> Token | None:
        """Read the columns of a token; None when its seed does not open."""
        number, serial, kind, moving_factor, sealed, digits, algorithm, step, drift, state, *life = row
        try:
            secret = self._vault.open(number, sealed, owner_in_seal(kind, owner))
        except VaultError as error:
            if number not in self._unreadable:
                self._unreadable.add(number)
                self._alarm(str(error))
            return None
        # the columns of LOAD_USER stand as the fields of Token do
        return Token(number, serial, kind, moving_factor, secret, digits, algorithm, step, drift, _STATES[state], *life)


def challenge(row: Row) -> PendingChallenge:
    """Read the row of LOAD_CHALLENGE."""
    return PendingChallenge(
        handle=row[0],
        nas=row[1],
        user_name=row[2],
        user_id=row[3],
        kind=ChallengeKind(row[4]),
        password_passed=bool(row[5]),
        login=row[6],
        expires=row[7],
        tries=row[8],
        ceremony=None if row[9] is None else _ceremony(row),
        rule=row[15],
        backend=row[16],
        doomed=bool(row[17]),
        relay=None if row[19] is None else Relay("", row[18], row[19]),
        reply=() if row[20] is None else octets_as_attributes(row[20]),
        attributes=() if row[21] is None else octets_as_attributes(row[21]),
    )


def _ceremony(row: Row) -> KeyCeremony:
    return KeyCeremony(
        nonce=bytes.fromhex(row[9]),
        station=bool(row[10]),
        contested=bool(row[11]),
        user_verification=bool(row[12]),
        credentials=tuple(map(octets, row[13].split(","))) if row[13] else (),
        answer=row[14],
    )
