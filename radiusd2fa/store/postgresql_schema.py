"""The same tables in PostgreSQL, and its triggers: what the database itself refuses, whoever writes.

It makes everything anew in an empty database and changes nothing in one that has tables. The triggers are those of
``schema.TRIGGERS`` in PostgreSQL's words (PostgreSQL 43.10); no RFC speaks here.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from radiusd2fa.store.schema import REVISION, metadata

_REFUSE: Final = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'check_violation';
    END $$
"""
_ARCHIVED: Final = """
    CREATE FUNCTION refuse_unless_archived() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM checkpoints WHERE chain = OLD.chain AND archived AND sequence >= OLD.sequence) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'check_violation';
    END $$
"""
_ENROL: Final = """
    CREATE FUNCTION enrol() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE users SET enrolled = true WHERE id = NEW.user_id AND NOT enrolled;
        RETURN NULL;
    END $$
"""

_ROW: Final = "CREATE TRIGGER {name} {moment} ON {table} FOR EACH ROW {when}EXECUTE FUNCTION {function}"
_ALL: Final = "CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse('{why}')"
_APPEND_ONLY: Final = "the audit is append-only"
_SHEETS: Final = "('recovery', 'temporary', 'breakglass')"


def _refusal(name: str, moment: str, table: str, why: str, when: str = "", function: str = "refuse") -> str:
    when = f"WHEN ({when}) " if when else ""
    return _ROW.format(name=name, moment=moment, table=table, when=when, function=f"{function}('{why}')")


def _enrolment(name: str, moment: str) -> str:
    when = f"WHEN (NEW.user_id IS NOT NULL AND NEW.kind NOT IN {_SHEETS}) "
    return _ROW.format(name=name, moment=moment, table="tokens", when=when, function="enrol()")


TRIGGERS: Final = (
    _REFUSE,
    _ARCHIVED,
    _ENROL,
    _refusal("events_no_update", "BEFORE UPDATE", "events", _APPEND_ONLY),
    _refusal("events_no_delete", "BEFORE DELETE", "events", _APPEND_ONLY, function="refuse_unless_archived"),
    _ALL.format(name="events_no_truncate", table="events", why=_APPEND_ONLY),
    _refusal("checkpoints_no_update", "BEFORE UPDATE", "checkpoints", _APPEND_ONLY),
    _refusal("checkpoints_no_delete", "BEFORE DELETE", "checkpoints", _APPEND_ONLY),
    _ALL.format(name="checkpoints_no_truncate", table="checkpoints", why=_APPEND_ONLY),
    _refusal(
        "tokens_only_grow",
        "BEFORE UPDATE OF moving_factor",
        "tokens",
        "a moving factor only grows",
        "NEW.moving_factor < OLD.moving_factor",
    ),
    _refusal(
        "tokens_used_codes_stay_used",
        "BEFORE UPDATE OF moving_factor",
        "tokens",
        "a code that was used stays used",
        f"OLD.kind IN {_SHEETS} AND NEW.moving_factor & OLD.moving_factor <> OLD.moving_factor",
    ),
    _enrolment("users_enrolled_by_token", "AFTER UPDATE OF user_id"),
    _enrolment("users_enrolled_by_new_token", "AFTER INSERT"),
)


TUNING: Final = (
    # per cent of a page that are filled at first: a row that logins change finds its next version's place beside it
    "ALTER TABLE users SET (fillfactor = 70)",
    "ALTER TABLE tokens SET (fillfactor = 70)",
    "DROP INDEX challenges_station",
    "CREATE INDEX challenges_station ON challenges (user_id, contested) WHERE station",
)
"""What schema.py does not say in its tables, because that would load this dialect at every start."""


def create_schema(connection: Connection) -> None:
    """Make tables, indexes and triggers, and write down which schema it is, inside the caller's transaction."""
    metadata.create_all(connection, checkfirst=False)
    for statement in (*TUNING, *TRIGGERS):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.exec_driver_sql(f"INSERT INTO alembic_version (version_num) VALUES ('{REVISION}')")  # noqa: S608 - ours
