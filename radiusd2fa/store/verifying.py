"""Looks through a store for whatever is not as the program writes it: the file, the tables, the rows, the seals.

It changes nothing and holds up nobody, and it never shows a seed. The audit's chains have a verifier of their own.
RFC 4226 7.2 and RFC 6238 5.2 rest on moving factors that are true.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, create_engine, func, inspect, select

from radiusd2fa.core.ceremonies import KIND
from radiusd2fa.core.model import TokenState
from radiusd2fa.core.record import record
from radiusd2fa.core.rules import FACTORS
from radiusd2fa.core.sheets import SHEETS, count
from radiusd2fa.store.marking import FEW
from radiusd2fa.store.rotation import OPENABLE
from radiusd2fa.store.schema import grants, meta, metadata, tokens, users
from radiusd2fa.store.sealing import FOR_GOOD, owner_in_seal, what_makes_codes
from radiusd2fa.store.upgrade import upgrade
from radiusd2fa.vault import Vault, VaultError

Progress = Callable[[str, int, int], None]
"""Hears what is being done, how far it is, and how far it goes."""

MISSING: Final = "is missing"
_MOST_WRONG: Final = 20
"""Faults of one kind: more of them say nothing more."""
_KINDS: Final = {*FACTORS, *SHEETS}
_STATES: Final = {state.value for state in TokenState}
_MOST_SESSIONS: Final = 0x7FFF << 8 | 0xFF
_MOST_COUNTS: Final = 2**40
_SLACK: Final = 200
"""TOTP: how many steps ahead of now a moving factor may be: a drift of max_drift steps, and windows beside it."""
_REMEDY_ROW: Final = "restore it from a backup, or `radiusd2fa token revoke {}` and give out another one"


@record
class Fault:
    """Something that is not as it should be."""

    where: str
    what: str
    remedy: str


def faults(connection: Connection, vault: Vault, now: float, progress: Progress) -> Iterator[Fault]:
    """Yield what is wrong, within a transaction that looks as of one moment."""
    if connection.dialect.name == "sqlite":
        progress("checking the file", 0, 1)
        yield from _file(connection)
        progress("checking the file", 1, 1)
    wrong = list(_schema(connection))
    yield from wrong
    if not any(map(bars_reading, wrong)):
        yield from _seals(connection, vault, now, progress)
        yield from _people(connection, now)


def bars_reading(fault: Fault) -> bool:
    """Whether a table is missing, or a column of one, so that rows cannot be looked at."""
    return fault.what == MISSING and fault.where.removeprefix("table ").partition(".")[0] in metadata.tables


# --- file and tables --------------------------------------------------------------------------------------------------


def _file(connection: Connection) -> Iterator[Fault]:
    remedy = "stop the daemon, and restore a backup: `radiusd2fa db restore FILE`"
    for (text,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_WRONG})"):
        if text != "ok":
            yield Fault("the file", str(text), remedy)
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_MOST_WRONG):
        yield Fault(f"{table} row {row}", f"refers to a row of {parent} that is not there", remedy)


def _schema(connection: Connection) -> Iterator[Fault]:
    """Compare with a store that was made a moment ago: on PostgreSQL what can be asked of any database."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        here, ours = _objects(driver), _new_objects()
        for name in sorted(ours.keys() - here.keys()):
            yield Fault(name, MISSING, _AGAIN)
        for name in sorted(here.keys() - ours.keys()):
            yield Fault(name, "is not of radiusd2fa", f"whoever has put it there can say why; else: DROP {name}")
        for name in sorted(here.keys() & ours.keys()):
            if here[name] != ours[name]:
                yield Fault(name, "is not as radiusd2fa makes it", _AGAIN)
        return
    known = inspect(connection)
    for name, table in metadata.tables.items():
        if not known.has_table(name):
            yield Fault(name, MISSING, _AGAIN)
            continue
        columns = {column["name"] for column in known.get_columns(name)}
        for missing in sorted({column.name for column in table.columns} - columns):
            yield Fault(f"{name}.{missing}", MISSING, _AGAIN)
        indexes = {index["name"] for index in known.get_indexes(name)}
        for missing in sorted({str(index.name) for index in table.indexes} - indexes):
            yield Fault(missing, MISSING, _AGAIN)
    there = {name for (name,) in connection.exec_driver_sql(_TRIGGERS)}
    for missing in sorted(_trigger_names() - there):
        yield Fault(missing, "is missing, or is switched off", _AGAIN)


_AGAIN: Final = "back up, make an empty store, and restore into it (docs/operations.md)"
_TRIGGERS: Final = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"


@cache
def _new_objects() -> dict[str, str]:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection)
            driver: Any = connection.connection.driver_connection
            return _objects(driver)
    finally:
        engine.dispose()


def _trigger_names() -> set[str]:
    return {name.partition(" ")[2] for name in _new_objects() if name.startswith("trigger ")}


def _objects(database: sqlite3.Connection) -> dict[str, str]:
    """All tables, indexes and triggers with what makes them, in one spelling."""
    with closing(database.cursor()) as cursor:
        rows = cursor.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
    return {f"{kind} {name}": "".join(sql.replace('"', "").split()).lower() for kind, name, sql in rows}


# --- rows -------------------------------------------------------------------------------------------------------------


def _seals(connection: Connection, vault: Vault, now: float, progress: Progress) -> Iterator[Fault]:
    found = dict(connection.execute(select(meta.c.key, meta.c.value)).all())
    if not vault.fits(found.get("vault_key_id"), found.get("fingerprint_key")):
        yield Fault(
            "the vault key",
            f"is {vault.key_id.hex()}, and the store belongs to {found.get('vault_key_id', 'none')}",
            "restore the key file that belongs to this store from your copy",
        )
        return
    wanted = select(tokens, users.c.name.label("user")).select_from(tokens.outerjoin(users)).where(OPENABLE)
    of = connection.execute(select(func.count()).select_from(tokens).where(OPENABLE)).scalar_one()
    last = done = 0
    while rows := connection.execute(wanted.where(tokens.c.id > last).order_by(tokens.c.id).limit(FEW)).all():
        last = rows[-1].id
        for row in rows:
            for what in _token(row, vault, now):
                yield Fault(f"token {row.serial}", what, _REMEDY_ROW.format(row.serial))
        done += len(rows)
        progress("opening seals", done, of)


def _token(row: Row[Any], vault: Vault, now: float) -> Iterator[str]:
    if row.kind not in _KINDS or row.state not in _STATES:
        yield f"is of no kind or state that there is ({row.kind}, {row.state})"
        return
    try:
        secret = vault.open(row.id, bytes(row.sealed), owner_in_seal(row.kind, row.user))
    except VaultError as error:
        yield str(error).partition(": ")[2]
        return
    mark = None if row.kind in FOR_GOOD else vault.fingerprint(what_makes_codes(row.kind, secret, row.algorithm))
    if None not in (mark, row.fingerprint) and row.fingerprint != mark:
        yield "has the mark of another seed"
    most = _most(row, secret, now)
    if not 0 <= row.moving_factor <= most:
        yield f"has a moving factor that no code can have moved it to ({row.moving_factor}, where {most} is most)"


def _most(row: Row[Any], secret: bytes, now: float) -> int:
    """The largest moving factor that makes sense."""
    if row.kind in SHEETS:
        return (1 << count(secret)) - 1
    if row.kind == "totp":
        return int(now // row.step) + _SLACK if row.step > 0 else -1
    if row.kind == "yubico":
        return _MOST_SESSIONS
    return 2**32 - 1 if row.kind == KIND else _MOST_COUNTS


def _people(connection: Connection, now: float) -> Iterator[Fault]:
    open_grants = select(grants.c.user_id).where(grants.c.kind == "skip", grants.c.closed.is_(None))
    unfounded = select(users.c.name).where(users.c.skip_until > now, users.c.id.not_in(open_grants))
    for (name,) in connection.execute(unfounded.order_by(users.c.name).limit(_MOST_WRONG)):
        yield Fault(
            f"user {name}",
            "is asked for no second factor, and nobody has granted that",
            f"`radiusd2fa grant skip {name}` and then `grant close` take it back; find out who has written there",
        )
    unenrolled = (
        select(users.c.name)
        .join(tokens, tokens.c.user_id == users.c.id)
        .where(users.c.enrolled.is_(False), tokens.c.kind.not_in(SHEETS))
        .distinct()
    )
    for (name,) in connection.execute(unenrolled.order_by(users.c.name).limit(_MOST_WRONG)):
        yield Fault(
            f"user {name}",
            "has a token, and is not marked as somebody who has",
            "take the token back and assign it again; find out who has written there",
        )
    unopened = (
        select(tokens.c.serial)
        .where(
            tokens.c.kind == "breakglass",
            tokens.c.valid_until > now,
            tokens.c.state == TokenState.ACTIVE.value,
            tokens.c.serial.not_in(
                select(grants.c.serial).where(grants.c.kind == "breakglass", grants.c.closed.is_(None))
            ),
        )
        .order_by(tokens.c.serial)
    )
    for (serial,) in connection.execute(unopened.limit(_MOST_WRONG)):
        yield Fault(
            f"token {serial}",
            "holds emergency codes that are open, and no two persons have opened them",
            f"`radiusd2fa token revoke {serial}`, and find out who has written there",
        )
