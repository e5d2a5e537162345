"""Makes a database, and brings an old one to today's schema, in one transaction.

It never touches a database that is newer than the program, nor one that holds anything else, and nothing else of the
program writes a schema. No RFC speaks here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Executable, create_engine, insert, inspect, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DatabaseError, NoResultFound, OperationalError, ProgrammingError

from radiusd2fa.store.address import Address, PostgresServer, SqliteFile
from radiusd2fa.store.connecting import one_line, open_engine
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.schema import REVISION, meta
from radiusd2fa.store.sqlite import make_durable
from radiusd2fa.vault import Vault

_PATIENCE: Final = 10.0
_PAGE_OCTETS: Final = 2048
"""Each login changes a token's page of its own: half of SQLite's usual page is half to write and to flush."""
_VERSION: Final = "alembic_version"


def is_there(address: Address) -> bool:
    """Whether there is a store already, or what is left of one."""
    if isinstance(address, SqliteFile):
        return address.path.exists()
    engine = open_engine(address, checked=False)
    try:
        with engine.connect() as connection:
            return inspect(connection).has_table(_VERSION)
    finally:
        engine.dispose()


def create(address: Address, vault: Vault) -> None:
    """Make a new store whose seeds will be sealed by that vault; StoreError when there is one.

    A file is made with mode 0600. On a server the database must be there, and empty.
    """
    _create(address, insert(meta).values(key="vault_key_id", value=vault.key_id.hex()))


def create_incomplete(address: Address, version: str) -> None:
    """Make a new store that nobody can open until it has another version than this one."""
    _create(address, text(f"UPDATE {_VERSION} SET version_num = :version").bindparams(version=version))  # noqa: S608


def _create(address: Address, last: Executable) -> None:
    """Make all tables, and run one more statement, in one transaction."""
    engine = _new_file(address.path) if isinstance(address, SqliteFile) else _empty_database(address)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                upgrade(connection)
            else:
                from radiusd2fa.store.postgresql_schema import create_schema

                create_schema(connection)
            connection.execute(last)
    except ProgrammingError as error:
        raise StoreError(f"{address}: cannot make the tables ({one_line(error.orig)})") from error
    finally:
        engine.dispose()


def _new_file(path: Path) -> Engine:
    try:
        _make_file(path)
    except FileExistsError as error:
        raise StoreError(f"{path}: there is a database already") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot make the database ({error.strerror})") from error
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - for the type checker: the connection is open
        driver.execute(f"PRAGMA page_size={_PAGE_OCTETS}")
        make_durable(driver)
    return engine


def _empty_database(server: PostgresServer) -> Engine:
    engine = open_engine(server, checked=False)
    with engine.connect() as connection:
        found = inspect(connection).get_table_names() + inspect(connection).get_view_names()
    if _VERSION in found:
        raise StoreError(f"{server}: there is a database of radiusd2fa already")
    if found:
        some = ", ".join(sorted(found)[:3])
        raise StoreError(
            f"{server}: the database is not empty, it has {some}; make one of its own: CREATE DATABASE radiusd2fa"
        )
    return engine


def _make_file(path: Path) -> None:
    """An empty file for its owner only; made by root, it belongs to the owner of its folder: the service's user."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
    finally:
        os.close(descriptor)


def bring_up_to_date(address: Address) -> tuple[str, str]:
    """Bring an older database to today's schema, in one transaction; returns the schema before and after.

    Ended in the middle it leaves the old one. A running daemon of the older version stops answering: restart it.
    """
    engine = open_engine(address, patience=_PATIENCE, checked=False)
    try:
        with engine.begin() as connection:
            before = str(connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION}").scalar_one())  # noqa: S608
            if before > REVISION:
                raise StoreError(f"{address}: schema {before} is newer than this program, which knows {REVISION}")
            upgrade(connection)
    except OperationalError as error:
        raise StoreError(f"{address}: cannot be brought up to date: {one_line(error.orig)}") from error
    except (DatabaseError, NoResultFound, CommandError) as error:
        raise StoreError(f"{address}: this is no database of radiusd2fa") from error
    finally:
        engine.dispose()
    return before, REVISION


def upgrade(connection: Connection) -> None:
    """Run the missing migrations on an open SQLAlchemy connection, inside its transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
