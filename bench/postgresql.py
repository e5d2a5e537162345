"""The same logins on PostgreSQL, and by several processes that share one port.

It is a private server of Debian's PostgreSQL with the options it comes with (fsync, synchronous_commit and
full_page_writes are on), on the same disk and cores; the machine's own is left alone. PostgreSQL 19; no RFC speaks.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import report
import servers
from report import Row
from servers import NotReadyError

BEGIN: Final = "<!-- postgresql: begin (bench/run.py --postgres writes what follows) -->"
END: Final = "<!-- postgresql: end -->"
WANTED: Final = 5_000
OUTSTANDING: Final = (16, 64, 128)
WORKERS: Final = 2

_BIN: Final = Path("/usr/lib/postgresql/15/bin")
_ROLE: Final = "radiusd2fa"
_DATABASE: Final = "bench"
_READY_WITHIN: Final = 30.0

Measure = Callable[[str, int, bool], Iterable[Row]]
"""Load daemons on that store with so many workers each, in both flows where wanted."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was measured, and why what is missing is missing."""

    rows: tuple[Row, ...]
    missing: str
    version: str
    load_average: float


def measure(folder: Path, ours: Measure) -> Found:
    """Load one process and several on PostgreSQL, then several on SQLite."""
    load_average = os.getloadavg()[0]
    if not (_BIN / "postgres").exists():
        servers.install("postgresql-15")
    if not (_BIN / "postgres").exists():
        return Found((), "not installed, so not measured (Debian's package `postgresql-15`)", "", load_average)
    version = subprocess.run([_BIN / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    rows: list[Row] = []
    with _server(folder) as url:
        rows += ours(url, 1, True)
        rows += ours(url, WORKERS, False)
    rows += ours("", WORKERS, False)
    return Found(tuple(rows), "", version.split()[-1].strip("()") if version else "", load_average)


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Run a private server with one empty database; yield its URL."""
    folder.mkdir()
    as_somebody: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_somebody = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
        folder.parent.chmod(0o711)
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": "/", **as_somebody}
    data = folder / "data"
    made: list[str | Path] = [_BIN / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"]
    subprocess.run(made, check=True, **quiet)
    command: list[str | Path] = [_BIN / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, **quiet)
    try:
        _create(folder, process)
        yield f"postgresql://{_ROLE}@/{_DATABASE}?host={quote(str(folder), safe='')}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _create(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Make role and database, as soon as the server takes connections."""
    import psycopg

    until = time.monotonic() + _READY_WITHIN
    while True:
        try:
            with psycopg.connect(f"host={folder} user=postgres dbname=postgres", autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {_ROLE} LOGIN")
                connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {_ROLE}")
                return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise NotReadyError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()[-1000:]}") from error
            time.sleep(0.05)


def page(found: Found) -> str:
    """Write everything as Markdown."""
    if found.missing:
        return f"PostgreSQL: {found.missing}.\n"
    return "\n".join(
        (
            *report.machine(found.load_average),
            f"- PostgreSQL {found.version}, with the options it comes with\n",
            *report.table(("promised", "measured", ""), _promises(found.rows)),
            *report.table(report.COLUMNS, map(report.cells, found.rows)),
        )
    )


def _promises(rows: Iterable[Row]) -> Iterable[tuple[str, ...]]:
    best = max(
        row.load.logins_per_second for row in rows if row.flow == "code-only" and row.server == name_of("postgresql", 1)
    )
    yield (
        f"at least {WANTED:,} code-only logins/s on PostgreSQL, one process",
        f"{best:,.0f}",
        report.verdict(best >= WANTED, f"{1 - best / WANTED:.0%} short"),
    )


def name_of(store: str, workers: int) -> str:
    """Return what the tables call a daemon."""
    return f"radiusd2fa, {store}" + (f", {workers} workers" if workers > 1 else "")
