"""Makes a database, and brings an old one to today's schema, in one transaction.

It never touches a database that is newer than the program, and nothing else of the program writes a schema.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DatabaseError, NoResultFound, OperationalError
from sqlalchemy.pool import NullPool

from radiusd2fa.store.schema import REVISION
from radiusd2fa.store.sqlite import StoreError, make_durable, open_file
from radiusd2fa.vault import Vault

_BUSY_TIMEOUT: Final = 10.0
_PAGE_OCTETS: Final = 2048
"""Each login changes a token's page of its own: half of SQLite's usual page is half to write and to flush."""


def create(path: Path, vault: Vault) -> None:
    """Make a new database file (mode 0600) whose seeds will be sealed by that vault; StoreError when one is there."""
    try:
        _make_file(path)
    except FileExistsError as error:
        raise StoreError(f"{path}: there is a database already") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot make the database ({error.strerror})") from error
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None  # noqa: S101 - for the type checker: the connection is open
            driver.execute(f"PRAGMA page_size={_PAGE_OCTETS}")
            make_durable(driver)
        with engine.begin() as connection:
            upgrade(connection)
            connection.execute(
                text("INSERT INTO meta (key, value) VALUES ('vault_key_id', :id)"), {"id": vault.key_id.hex()}
            )
    finally:
        engine.dispose()


def _make_file(path: Path) -> None:
    """An empty file for its owner only; made by root, it belongs to the owner of its folder: the service's user."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
    finally:
        os.close(descriptor)


def bring_up_to_date(path: Path) -> tuple[str, str]:
    """Bring an older database to today's schema, in one transaction; returns the schema before and after.

    Ended in the middle it leaves the old one. A running daemon of the older version stops answering: restart it.
    """
    engine = create_engine("sqlite://", creator=lambda: open_file(path, busy_timeout=_BUSY_TIMEOUT), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            before = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
            if before > REVISION:
                raise StoreError(f"{path}: schema {before} is newer than this program, which knows {REVISION}")
            upgrade(connection)
    except OperationalError as error:
        raise StoreError(f"{path}: cannot be brought up to date: {error.orig}") from error
    except (DatabaseError, NoResultFound, CommandError) as error:
        raise StoreError(f"{path}: this is no database of radiusd2fa") from error
    finally:
        engine.dispose()
    return before, REVISION


def upgrade(connection: object) -> None:
    """Run the missing migrations on an open SQLAlchemy connection, inside its transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
