"""In whose hands a token is: handed out, given back, lost, found, switched off and revoked.

Each change is one transaction with an audit row that names token and owner, and works while the daemon runs. What a
command may make of a token stands in one table, STEPS, and nowhere else. A moving factor only grows here.
Answers to no RFC; RFC 4226 7.2 is the reason why a token keeps its place wherever it goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select, true, update

from radiusd2fa.core.ceremonies import KIND
from radiusd2fa.core.model import TokenState
from radiusd2fa.store.administration import Administration, RefusedError, find_token, find_user, refuse_gone
from radiusd2fa.store.marking import mark_of
from radiusd2fa.store.schema import tokens
from radiusd2fa.store.sealing import FOR_GOOD
from radiusd2fa.vault import Vault, VaultError

STOCK, ASSIGNED, ACTIVE, DISABLED = TokenState.STOCK, TokenState.ASSIGNED, TokenState.ACTIVE, TokenState.DISABLED
LOST, RETURNED, REVOKED = TokenState.LOST, TokenState.RETURNED, TokenState.REVOKED

IN_HANDS: Final = frozenset({ASSIGNED, ACTIVE, DISABLED})

STEPS: Final[Mapping[str, tuple[frozenset[TokenState], TokenState]]] = {
    # command: (where the token may be, where it is then)
    "assign": (frozenset({STOCK}), ASSIGNED),  # or ACTIVE, where the administrator says so
    "unassign": (frozenset({ASSIGNED, ACTIVE}), STOCK),  # what is switched off is looked at first
    "return": (IN_HANDS | {LOST}, RETURNED),
    "restock": (frozenset({RETURNED}), STOCK),
    "enable": (frozenset({DISABLED}), ACTIVE),  # or ASSIGNED, where it has still to show its first code
    "disable": (frozenset({ASSIGNED, ACTIVE}), DISABLED),
    "lost": (IN_HANDS | {STOCK, RETURNED}, LOST),
    "revoke": (IN_HANDS | {STOCK, RETURNED, LOST}, REVOKED),
}
_EVENTS: Final = {
    "assign": "token.assigned",
    "unassign": "token.unassigned",
    "return": "token.returned",
    "restock": "token.restocked",
    "enable": "token.enabled",
    "disable": "token.disabled",
    "lost": "token.lost",
    "revoke": "token.revoked",
}
_COMMANDS: Final = {ACTIVE: "enable", DISABLED: "disable", LOST: "lost", REVOKED: "revoke"}
"""Those that may be given again when it is so already."""

_OF_KEYS: Final = frozenset({"enable", "disable", "lost", "revoke"})
_OF_SHEETS: Final = frozenset({"revoke"})

LET_GO: Final[Mapping[str, Any]] = {
    "user_id": None,
    "handed_by": "",
    "handed_at": None,
    "activate_by": None,
    "candidate": None,
    "candidate_until": 0.0,
}
"""What is forgotten of whoever had a token; the audit remembers."""

_STANDING: Final = {
    STOCK: "belongs to nobody, it is in stock; `radiusd2fa token assign {serial} --user NAME` hands it out",
    ASSIGNED: "is handed out to {user}; its first good code makes it active, "
    "and `radiusd2fa token unassign {serial}` takes it back",
    ACTIVE: "belongs to {user} and is active; `radiusd2fa token unassign {serial}` takes it back",
    DISABLED: "belongs to {user} and is disabled; `radiusd2fa token enable {serial}` switches it on, "
    "`radiusd2fa token return {serial}` takes it back",
    LOST: "is lost; `radiusd2fa token return {serial}` when it was found",
    RETURNED: "was given back; look at it, then `radiusd2fa token restock {serial}`",
}
_LOST_KEY: Final = "is lost; `radiusd2fa key register` makes another one, or the same one anew"


class Custody(Administration):
    """Tokens that go from hand to hand, in an open store."""

    def assign(self, serial: str, user: str, now: float, *, activate_by: float | None = None, reason: str = "") -> None:
        """Hand a token out of the stock. Its first good code must come before ``activate_by``; None: it is active."""
        with self._step("assign", serial, now, user=user, reason=reason) as (connection, row):
            owner = find_user(connection, user)
            if row.valid_until is not None and row.valid_until <= now:
                raise RefusedError(
                    f"token {serial} is past its validity; give out another one, or prolong it with "
                    f"`radiusd2fa token validity {serial} --until DATE`"
                )
            mark = row.fingerprint or mark_of(self._vault, row.id, row.kind, row.algorithm, row.sealed)
            self._refuse_same_seed(connection, owner, row.kind, mark)
            state = ACTIVE if activate_by is None else ASSIGNED
            handed = {"handed_by": self._actor, "handed_at": now, "activate_by": activate_by}
            _set(connection, row, **{**LET_GO, **handed, "user_id": owner.id, "state": state.value})

    def unassign(self, serial: str, now: float) -> None:
        """Take a token back into the stock."""
        with self._step("unassign", serial, now) as (connection, row):
            _set(connection, row, state=STOCK.value, **LET_GO)

    def take_back(self, serial: str, now: float) -> None:
        """Note that a token was given back, or found: nobody's, until somebody has looked at it."""
        with self._step("return", serial, now) as (connection, row):
            _set(connection, row, state=RETURNED.value, **LET_GO)

    def restock(self, serial: str, now: float) -> None:
        """Put a token that was given back into the stock."""
        with self._step("restock", serial, now) as (connection, row):
            _set(connection, row, state=STOCK.value)

    def set_state(self, serial: str, state: TokenState, now: float, reason: str = "") -> None:
        """Enable (ACTIVE), disable, lose or revoke a token; effective on the next packet, and said again no error."""
        with self._step(_COMMANDS[state], serial, now, reason=reason) as (connection, row):
            if row.state != state.value:
                _set(connection, row, state=(_woken(row) if state is ACTIVE else state).value)

    @contextmanager
    def _step(
        self, command: str, serial: str, now: float, *, user: str | None = None, reason: str = ""
    ) -> Iterator[tuple[Connection, Row[Any]]]:
        """Do one of STEPS to a token, or refuse it; what is left to do is to write the columns."""
        with self._handling(_EVENTS[command], serial, now, user=user, reason=reason) as (connection, row):
            _refuse_step(command, row)
            yield connection, row
            keep_up(connection, row, self._vault)

    @contextmanager
    def _handling(
        self, what: str, serial: str, now: float, *, user: str | None = None, reason: str = ""
    ) -> Iterator[tuple[Connection, Row[Any]]]:
        """One transaction about one token, with its audit row; ``user`` is its owner, unless it is to be another."""
        with self._transaction() as connection:
            row = find_token(connection, serial)
            yield connection, row
            whose = (row.user or "") if user is None else user
            self._note(connection, what, now, user=whose, factor=row.kind, serial=row.serial, reason=reason)

    def _refuse_same_seed(self, connection: Connection, owner: Row[Any], kind: str, mark: str) -> None:
        """Two tokens with one seed would let one code in twice."""
        theirs = select(tokens).where(
            tokens.c.user_id == owner.id,
            tokens.c.kind == kind,
            (tokens.c.fingerprint == mark) | tokens.c.fingerprint.is_(None),
        )
        for row in connection.execute(theirs):
            if mark == (row.fingerprint or mark_of(self._vault, row.id, kind, row.algorithm, row.sealed, owner.name)):
                raise RefusedError(
                    f"{owner.name} has this seed already, as token {row.serial}; a code must not count twice"
                )


def keep_up(connection: Connection, row: Row[Any], vault: Vault) -> None:
    """Move a token, and those of its seed that are in nobody's hands, to where the farthest of them is.

    Else a code that was used with one of them would count again with another, once that is handed out. Only a token
    that is added for somebody counts by itself beside what others have of its seed: `token add` has warned of it.
    """
    if row.kind in FOR_GOOD:
        return
    mark = row.fingerprint or _marked(connection, row, vault)
    same_count = tokens.c.step == row.step if row.kind == "totp" else true()
    same_codes = (
        tokens.c.fingerprint == mark,
        tokens.c.kind == row.kind,
        tokens.c.algorithm == row.algorithm,
        same_count,
    )
    whose = true() if row.user_id is None else tokens.c.user_id == row.user_id
    nobodys = (tokens.c.id == row.id) | tokens.c.user_id.is_(None)
    known = select(func.max(tokens.c.moving_factor)).where(*same_codes, nobodys | whose)
    farthest = known.scalar_subquery()
    connection.execute(
        update(tokens).where(*same_codes, nobodys, tokens.c.moving_factor < farthest).values(moving_factor=farthest)
    )


def _marked(connection: Connection, row: Row[Any], vault: Vault) -> str | None:
    """Give a token of an older version its mark; what does not open shows no code that could count, and has none."""
    try:
        mark = mark_of(vault, row.id, row.kind, row.algorithm, row.sealed)
    except VaultError:
        return None
    connection.execute(update(tokens).where(tokens.c.id == row.id).values(fingerprint=mark))
    return mark


def _refuse_step(command: str, row: Row[Any]) -> None:
    """Refuse what STEPS does not allow."""
    state = TokenState(row.state)
    allowed, to = STEPS[command]
    if state is to and _COMMANDS.get(to) == command:
        return
    refuse_gone(row)
    if row.kind in FOR_GOOD:
        _refuse_for_good(command, row)
    if state not in allowed:
        standing = _STANDING[state] if row.kind != KIND or state is not LOST else _LOST_KEY
        raise RefusedError(f"token {row.serial} " + standing.format(serial=row.serial, user=row.user or "nobody"))
    if command == "enable" and row.user is None:
        raise RefusedError(
            f"token {row.serial} belongs to nobody; `radiusd2fa token unassign {row.serial}` puts it into the stock"
        )


def _refuse_for_good(command: str, row: Row[Any]) -> None:
    """Refuse to let a key, or a sheet of codes, change hands."""
    if row.kind == KIND and command not in _OF_KEYS:
        raise RefusedError(
            f"{row.serial} is a security key: it belongs to one person for good; `radiusd2fa key` registers and "
            "revokes keys"
        )
    if row.kind != KIND and command not in _OF_SHEETS:
        raise RefusedError(
            f"{row.serial} is a sheet of codes: it belongs to one person for good; "
            f"`radiusd2fa token revoke {row.serial}` makes it worthless"
        )


def _woken(row: Row[Any]) -> TokenState:
    """Switching a token off and on again does not spare it its first code."""
    unseen = row.last_used is None or (row.handed_at is not None and row.last_used < row.handed_at)
    return ASSIGNED if row.activate_by is not None and unseen else ACTIVE


def _set(connection: Connection, row: Row[Any], **values: Any) -> None:  # noqa: ANN401 - column values
    connection.execute(update(tokens).where(tokens.c.id == row.id).values(**values))
