"""PostgreSQL for tests: a cluster of the test's own on a private socket, its streaming replica, and empty databases.

It is Debian's PostgreSQL 15 as it comes, listens on no address, and ends with the tests that have started it; nothing
of the machine's own PostgreSQL is touched. PostgreSQL 19 (server setup) and 27 (standby servers); no RFC speaks here.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

PACKAGE: Final = "postgresql-15"
BIN: Final = Path("/usr/lib/postgresql/15/bin")
ROLE: Final = "radiusd2fa"
"""Whom the program connects as: it owns its databases, and is nobody else's master."""
MASTER: Final = "postgres"
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - quick, and gone with the machine
DISK: Final = Path("/var/tmp")  # noqa: S108 - survives what `MEMORY` survives, and takes as long as a disk takes

_PATIENCE: Final = 60.0
_PARENT_DIES: Final = 1
_prctl: Final = ctypes.CDLL(None).prctl  # looked up before there is a child, which must do as little as it can
_SIGNALS: Final = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_OPTIONS: Final = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "wal_level": "replica",
    "log_line_prefix": "%m [%p] ",
}


class Cluster:
    """One server: its data, its socket and its process. ``folder`` holds all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)

    @classmethod
    def make(cls, folder: Path) -> Cluster:
        """Make an empty one, which is not started."""
        _run("initdb", "-D", folder / "data", "-A", "trust", "-U", MASTER, "-E", "UTF8", "--locale=C", "--no-sync")
        return cls(folder)

    # --- its process --------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The postmaster's."""
        assert self._process is not None
        return self._process.pid

    def start(self, **options: str) -> None:
        """Start it, and return once it takes connections; ``options`` are for this run."""
        given = [f"-c{name}={value}" for name, value in (_OPTIONS | options).items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / "postgres", "-D", self.data, "-k", self.folder, *given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_us,
                **_account(),
            )
        self._wait_for(lambda: self._status() == "ready")

    def stop(self, how: str = "fast") -> None:
        """End it as ``pg_ctl stop -m`` does: smart, fast, or ``immediate``, which is a crash."""
        if self._process is not None:
            self._process.send_signal(_SIGNALS[how])
            self._process.wait(_PATIENCE)
            self._process = None

    def promote(self) -> None:
        """Make a standby the primary, and return once it writes."""
        self.sql("SELECT pg_promote(true)")
        self._wait_for(lambda: self.sql("SELECT pg_is_in_recovery()") == [(False,)])

    def _status(self) -> str:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[7].strip() if len(lines) > 7 and int(lines[0]) == self.pid else ""

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < until, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.01)

    # --- its databases ------------------------------------------------------------------------------------------------

    def url(self, database: str, *others: Cluster, user: str = ROLE, **parameters: str) -> str:
        """Return the address of a database as ``store:`` takes it; on several servers where there are ``others``."""
        hosts = ",".join(quote(str(one.folder), safe="") for one in (self, *others))
        rest = "".join(f"&{name}={quote(value, safe=',')}" for name, value in parameters.items())
        return f"postgresql://{user}@/{database}?host={hosts}{rest}"

    def sql(self, statement: str, *parameters: object, database: str = MASTER) -> list[tuple[Any, ...]]:
        """Ask, or plant a fault, past all of our code and as the master of all databases."""
        import psycopg

        with psycopg.connect(self.url(database, user=MASTER), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def database(self, template: str = "template0") -> str:
        """Make a database that is like another one, or empty, and return its name."""
        name = f"db{os.getpid()}_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {ROLE}")
        return name

    def drop(self, name: str) -> None:
        """Take a database away, whoever is connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    # --- its replica --------------------------------------------------------------------------------------------------

    def configure(self, name: str, value: str) -> None:
        """Change an option while it runs, as ``synchronous_standby_names``."""
        self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")
        self._wait_for(lambda: self.sql(f"SHOW {name}") == [(value,)])

    def standby(self, folder: Path) -> Cluster:
        """Make a streaming replica of this one, which is not started."""
        _run("pg_basebackup", "-h", self.folder, "-U", MASTER, "-D", folder / "data", "-R", "-c", "fast", "--no-sync")
        return Cluster(folder)

    def wait_for_standby(self) -> None:
        """Return once a standby has replayed all that is written here."""
        behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()"
        self._wait_for(lambda: self.sql(behind) == [(1,)])


@contextmanager
def a_folder(where: Path = MEMORY) -> Iterator[Path]:
    """A folder that the server may write to, with a name short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="radiusd2fa-pg-", dir=where))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, MASTER, MASTER)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def a_cluster(where: Path = MEMORY) -> Iterator[Cluster]:
    """A cluster of its own that runs, for a test that stops it or makes it fail."""
    missing()
    with a_folder(where) as folder:
        cluster = Cluster.make(folder)
        try:
            cluster.start()
            cluster.sql(f"CREATE ROLE {ROLE} LOGIN")
            yield cluster
        finally:
            cluster.stop("immediate")


@contextmanager
def a_pair(where: Path = MEMORY) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary with a streaming replica, both running; the replica can be promoted."""
    with a_cluster(where) as primary, a_folder(where) as folder:
        standby = primary.standby(folder)
        try:
            standby.start()
            primary.wait_for_standby()
            yield primary, standby
        finally:
            standby.stop("immediate")


def missing() -> None:
    """Skip the test where PostgreSQL, or what speaks with it, is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgres`)")
    if not (BIN / "postgres").exists():
        pytest.skip(f"{PACKAGE} is not installed")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that tests share, each with a database of its own; who stops it takes one of their own."""
    with a_cluster() as cluster:
        yield cluster


@pytest.fixture
def fresh_database(cluster: Cluster) -> Iterator[str]:
    """The name of an empty database that nobody else uses."""
    name = cluster.database()
    yield name
    cluster.drop(name)


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": MASTER, "group": MASTER, "extra_groups": []} if os.geteuid() == 0 else {}


def _run(program: str, *arguments: object) -> None:
    done = subprocess.run(
        [BIN / program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd="/", **_account()
    )
    assert done.returncode == 0, done.stderr


def _end_with_us() -> None:
    """Where the tests are killed, the server ends too (prctl(2), PR_SET_PDEATHSIG)."""
    _prctl(_PARENT_DIES, signal.SIGQUIT)
