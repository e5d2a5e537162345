"""What a store has learned since a backup was made, kept apart while the backup takes its place, and then laid over it.

Only what makes stricter comes back: codes that were used, tokens and people that were stopped, guesses that were
counted. It gives nothing back that the backup has not. RFC 4226 7.2: no code counts twice.
"""

# ruff: noqa: S608 - all that is put together here stands in this file
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, text

from radiusd2fa.core.record import record
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.store.marking import mark_of
from radiusd2fa.store.schema import tokens, users
from radiusd2fa.vault import Vault, VaultError

_FOBS: Final = "('hotp', 'totp', 'yubico')"
_NO_SHEETS: Final = ", ".join(f"'{kind}'" for kind in SHEETS)


@record
class Differing:
    """Of whom, or of what, the store has known more than the backup, and what can be done about it."""

    what: str
    names: tuple[str, ...]
    remedy: str


def set_aside(connection: Connection) -> None:
    """Keep people and tokens as they are, in tables that only this connection sees."""
    for table in (users, tokens):
        drop = " ON COMMIT DROP" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE since_{table.name}{drop} AS SELECT * FROM {table.name}")
    for statement in _INDEXES:
        connection.exec_driver_sql(statement)


def forget(connection: Connection) -> None:
    """Let go of what was set aside."""
    for table in (users, tokens):
        connection.exec_driver_sql(f"DROP TABLE since_{table.name}")


def lay_over(connection: Connection, vault: Vault, *, continued: bool) -> list[Differing]:
    """Make the rows of the backup as strict as those that were set aside, and say which were not.

    ``vault`` marks seeds as the backup does. ``continued``: the store had the backup's past, so whoever was not in it
    any more was removed since.
    """
    found = []
    for what, looks, changes, remedy in _RULES:
        if what == _REMOVED and not continued:
            continue
        names = tuple(str(name) for (name,) in connection.execute(text(looks)))
        if names and changes:
            connection.execute(text(changes))
        found.append(Differing(what, names, remedy))
    for statement in _SILENTLY:
        connection.execute(text(statement))
    found.append(Differing(_CAME_SINCE, tuple(_keep_fobs(connection, vault)), "`radiusd2fa token restock SERIAL`"))
    return [one for one in found if one.names]


def _keep_fobs(connection: Connection, vault: Vault) -> Iterable[str]:
    """Keep the fobs that came since in nobody's hands: added again, their used codes would count again."""
    for row in connection.execute(text(_FOBS_SINCE)).mappings().all():
        values: dict[str, Any] = dict(row)
        number, sealed = values.pop("id"), bytes(values.pop("sealed"))
        try:
            secret = vault.open(number, sealed)
            mark = mark_of(vault, number, values["kind"], values["algorithm"], sealed)
        except VaultError:
            continue  # no code of it could ever count
        values |= {"user_id": None, "fingerprint": mark, "sealed": b"", "candidate": None, "candidate_until": 0.0}
        if values["state"] not in {"revoked", "expired", "lost"}:
            values["state"] = "returned"
        new = connection.execute(tokens.insert().values(values)).inserted_primary_key
        assert new is not None  # noqa: S101 - for the type checker
        connection.execute(tokens.update().where(tokens.c.id == new[0]).values(sealed=vault.seal(new[0], secret)))
        yield values["serial"]


_INDEXES: Final = (
    "CREATE INDEX since_tokens_serial ON since_tokens (serial)",
    "CREATE INDEX since_tokens_fingerprint ON since_tokens (fingerprint)",
    "CREATE INDEX since_users_name ON since_users (name)",
    "CREATE INDEX since_users_id ON since_users (id)",
)

_RANK: Final = (
    "CASE {}.state WHEN 'revoked' THEN 5 WHEN 'expired' THEN 4 WHEN 'returned' THEN 3 WHEN 'lost' THEN 2 "
    "WHEN 'disabled' THEN 1 ELSE 0 END"
)
_SAME: Final = "since.serial = tokens.serial AND since.kind = tokens.kind"
_COUNT_ALIKE: Final = "since.kind = tokens.kind AND (since.kind <> 'totp' OR since.step = tokens.step)"
_FARTHER: Final = f"""
    UPDATE tokens SET moving_factor = (
        SELECT max(since.moving_factor) FROM since_tokens AS since WHERE {{same}} AND {_COUNT_ALIKE}
    )
    WHERE kind NOT IN ({_NO_SHEETS}) AND EXISTS (
        SELECT 1 FROM since_tokens AS since
        WHERE {{same}} AND {_COUNT_ALIKE} AND since.moving_factor > tokens.moving_factor
    )
"""
_STOPPED: Final = f"""
    EXISTS (SELECT 1 FROM since_tokens AS since
        WHERE {_SAME} AND {_RANK.format("since")} > {_RANK.format("tokens")})
    AND tokens.kind NOT IN ({_NO_SHEETS})
"""
_IS_THEIRS: Final = """
    EXISTS (SELECT 1 FROM since_tokens AS since JOIN since_users AS owner ON owner.id = since.user_id
        JOIN users AS theirs ON theirs.id = tokens.user_id
        WHERE since.serial = tokens.serial AND owner.id = theirs.id AND owner.created = theirs.created)
"""
_KNOWN: Final = "EXISTS (SELECT 1 FROM since_tokens AS since WHERE since.serial = tokens.serial)"
_CHANGED_HANDS: Final = f"""
    tokens.state IN ('active', 'assigned') AND tokens.kind NOT IN ({_NO_SHEETS}) AND {_KNOWN} AND NOT {_IS_THEIRS}
"""
_HANDED_OUT: Final = """
    tokens.state = 'stock' AND EXISTS (
        SELECT 1 FROM since_tokens AS since WHERE since.serial = tokens.serial AND since.user_id IS NOT NULL)
"""
_SAME_PERSON: Final = "(since.name = users.name OR (since.id = users.id AND since.created = users.created))"
_OF_THEM: Final = "EXISTS (SELECT 1 FROM since_users AS since WHERE {} AND {})"
_DISABLED: Final = f"users.enabled AND {_OF_THEM.format(_SAME_PERSON, 'NOT since.enabled')}"
_GONE: Final = f"users.enabled AND NOT EXISTS (SELECT 1 FROM since_users AS since WHERE {_SAME_PERSON})"
_OTHER_PASSWORD: Final = _OF_THEM.format(
    _SAME_PERSON, "since.password_hash IS NOT NULL AND since.password_hash <> users.password_hash"
)
_NEW: Final = """
    since.enrolled AND NOT EXISTS (
        SELECT 1 FROM users WHERE users.name = since.name
            OR (users.id = since.id AND users.created = since.created)
            OR (users.source = since.source AND users.directory_id = since.directory_id))
"""
_PERSON: Final = ", ".join(column.name for column in users.c if column.name not in {"id", "groups"})

_REMOVED: Final = "people removed since, now disabled"
_CAME_SINCE: Final = "fobs that came since, kept as returned"

_RULES: Final = (
    (
        "tokens stopped since, which stay so",
        f"SELECT serial FROM tokens WHERE {_STOPPED} ORDER BY serial",
        f"UPDATE tokens SET state = (SELECT since.state FROM since_tokens AS since WHERE {_SAME}) WHERE {_STOPPED}",
        "`radiusd2fa token enable SERIAL`, where that is possible",
    ),
    (
        "tokens that have changed hands since, now disabled",
        f"SELECT serial FROM tokens WHERE {_CHANGED_HANDS} ORDER BY serial",
        f"UPDATE tokens SET state = 'disabled' WHERE {_CHANGED_HANDS}",
        "find out who holds it, then `radiusd2fa token enable SERIAL` or `token unassign`",
    ),
    (
        "tokens handed out since, now returned",
        f"SELECT serial FROM tokens WHERE {_HANDED_OUT} ORDER BY serial",
        f"UPDATE tokens SET state = 'returned' WHERE {_HANDED_OUT}",
        "`radiusd2fa token restock SERIAL`, then `token assign`",
    ),
    (
        "people disabled since, who stay so",
        f"SELECT name FROM users WHERE {_DISABLED} ORDER BY name",
        f"UPDATE users SET enabled = (1 = 0) WHERE {_DISABLED}",
        "`radiusd2fa user enable NAME`",
    ),
    (
        _REMOVED,
        f"SELECT name FROM users WHERE {_GONE} ORDER BY name",
        f"UPDATE users SET enabled = (1 = 0) WHERE {_GONE}",
        "`radiusd2fa user enable NAME`, or `user remove`",
    ),
    (
        "people with another password since, which stays",
        f"SELECT name FROM users WHERE {_OTHER_PASSWORD} ORDER BY name",
        (
            "UPDATE users SET password_hash = coalesce("
            "(SELECT since.password_hash FROM since_users AS since WHERE since.name = users.name), "
            "(SELECT since.password_hash FROM since_users AS since WHERE since.id = users.id AND "
            f"since.created = users.created), password_hash) WHERE {_OTHER_PASSWORD}"
        ),
        "",
    ),
    (
        "people who came since and have had a token, kept without one",
        f"SELECT since.name FROM since_users AS since WHERE {_NEW} ORDER BY since.name",
        f'INSERT INTO users ("groups", {_PERSON}) SELECT "groups", {_PERSON} FROM since_users AS since WHERE {_NEW}',
        "`radiusd2fa token assign SERIAL --user NAME`",
    ),
)

_MORE: Final = "CASE WHEN {0} > users.{1} THEN {0} ELSE users.{1} END"
_SINCE: Final = "(SELECT max(since.{}) FROM since_users AS since WHERE " + _SAME_PERSON + ")"
_SILENTLY: Final = (
    _FARTHER.format(same="since.serial = tokens.serial"),
    _FARTHER.format(same="since.fingerprint = tokens.fingerprint"),
    (
        "UPDATE tokens SET valid_until = (SELECT since.valid_until FROM since_tokens AS since WHERE "
        f"{_SAME}) WHERE EXISTS (SELECT 1 FROM since_tokens AS since WHERE {_SAME} AND since.valid_until < "
        "coalesce(tokens.valid_until, 1e300))"
    ),
    (
        f"UPDATE users SET failures = {_MORE.format(_SINCE.format('failures'), 'failures')}, "
        f"locked_until = {_MORE.format(_SINCE.format('locked_until'), 'locked_until')} "
        f"WHERE EXISTS (SELECT 1 FROM since_users AS since WHERE {_SAME_PERSON} AND "
        "(since.failures > users.failures OR since.locked_until > users.locked_until))"
    ),
    "UPDATE users SET skip_until = 0 WHERE skip_until <> 0",
    f"UPDATE users SET enrolled = (1 = 1) WHERE NOT enrolled AND {_OF_THEM.format(_SAME_PERSON, 'since.enrolled')}",
)
"""What nobody needs to be told, because nobody notices."""

_FOBS_SINCE: Final = f"""
    SELECT since.* FROM since_tokens AS since WHERE since.kind IN {_FOBS}
        AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.serial = since.serial) ORDER BY since.id
"""
