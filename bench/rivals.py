"""What else answers codes over RADIUS, for the same people and packets: FreeRADIUS with pam_oath, pyrad with pyotp.

They are set up as their own documentation says, and nothing of the machine is changed but one file in /etc/pam.d, which
is there for as long as it is measured. Neither keeps what docs/promises.md lists; RFC 2865, RFC 4226.
"""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import report
import servers
from report import Row
from servers import HERE, SECRET, NotReadyError, Server, name_of, seed_of

BEGIN: Final = "<!-- rivals: begin (bench/run.py --rivals writes what follows) -->"
END: Final = "<!-- rivals: end -->"
SIZES: Final = (1_000, 10_000)
WANTED: Final = {1_000: 30.0, 10_000: 80.0}
"""How many times as many logins as FreeRADIUS with pam_oath, by the number of its users."""

PAM_OATH: Final = "FreeRADIUS + pam_oath"
PYRAD: Final = "pyrad + pyotp"
OURS: Final = "radiusd2fa"
_SERVICE: Final = Path("/etc/pam.d/radiusd2fa-bench")

Measure = Callable[[Server, int, Path, tuple[str, ...]], Row]
"""Load a server with the codes of so many people; their fobs' counters are in a file."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was measured, and why what is missing is missing."""

    rows: tuple[Row, ...]
    missing: str
    load_average: float


def measure(folder: Path, ours: Callable[[int], Iterator[Row]], load: Measure) -> Found:
    """Load each with 1,000 people and with 10,000; ``ours`` yields our own rows for so many."""
    folder.mkdir()
    load_average = os.getloadavg()[0]
    missing = why_no_pam_oath()
    rows: list[Row] = []
    for users in SIZES:
        rows += ours(users)
        with pyrad(folder / f"pyrad-{users}", users) as server:
            rows.append(load(server, users, folder / f"pyrad-{users}" / "counters", ()))
        if not missing:
            with pam_oath(folder / f"pam-{users}", users) as server:
                rows.append(load(server, users, folder / f"pam-{users}" / "counters", ("--unsigned",)))
    return Found(tuple(rows), missing, load_average)


def why_no_pam_oath() -> str:
    """Install what is lacking where that starts no service; return why it cannot be measured, or nothing."""
    if os.geteuid() != 0:
        return "only root can put a service into /etc/pam.d"
    module = Path("/usr/lib/freeradius/rlm_pam.so")
    if not (module.exists() and _pam_module()):
        servers.install("freeradius", "libpam-oath")
    if not module.exists():
        return "no FreeRADIUS with rlm_pam (Debian's package freeradius)"
    return "" if _pam_module() else "no pam_oath (Debian's package libpam-oath)"


def _pam_module() -> bool:
    return any(Path("/usr/lib").glob("*/security/pam_oath.so")) or any(Path("/lib").glob("*/security/pam_oath.so"))


@contextmanager
def pyrad(folder: Path, users: int) -> Iterator[Server]:
    """Run the server of pyrad_server.py."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "codes.db")) as database:
        database.execute("CREATE TABLE users (name TEXT PRIMARY KEY, secret TEXT NOT NULL, counter INTEGER NOT NULL)")
        people = ((name_of(i), base64.b32encode(seed_of(i)).decode()) for i in range(users))
        database.executemany("INSERT INTO users VALUES (?, ?, 0)", people)
        database.commit()
    port = servers.free_port()
    command: list[str | Path] = [sys.executable, HERE / "pyrad_server.py", folder / "codes.db", SECRET, str(port)]
    with servers.running(command, subprocess.PIPE, None) as process, servers.soon_ready(process):
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise NotReadyError("the server on pyrad ended before it was ready")
        yield Server(PYRAD, process.pid, port)


@contextmanager
def pam_oath(folder: Path, users: int) -> Iterator[Server]:
    """Run a private FreeRADIUS that asks PAM, which asks pam_oath."""
    folder.mkdir(mode=0o700)
    fobs = folder / "users.oath"
    fobs.touch(mode=0o600)
    fobs.write_text("".join(f"HOTP {name_of(i)} - {seed_of(i).hex()}\n" for i in range(users)))
    modules = f"pam {{\n    pam_auth = {_SERVICE.name}\n  }}"
    authorize, authenticate = "update control {\n      &Auth-Type := PAM\n    }", "Auth-Type PAM {\n      pam\n    }"
    _SERVICE.write_text(
        f"auth required pam_oath.so usersfile={fobs} window=10 digits=6\naccount required pam_permit.so\n"
    )
    try:
        with servers.radiusd(PAM_OATH, folder, modules, authorize, authenticate) as server:
            yield server
    finally:
        _SERVICE.unlink()


def page(found: Found) -> str:
    """Write everything as Markdown."""
    return "\n".join(
        (
            *report.machine(found.load_average),
            "",
            *([f"{PAM_OATH}: not measured, {found.missing}.\n"] if found.missing else []),
            *report.table(("promised", "measured", ""), _promises(found)),
            *report.table(report.COLUMNS, map(report.cells, found.rows)),
        )
    )


def _promises(found: Found) -> Iterable[tuple[str, ...]]:
    rates = {(row.server, row.load.users): row.load.logins_per_second for row in found.rows}
    for users, wanted in WANTED.items():
        promise = f"at least {wanted:.0f} times {PAM_OATH} with {users:,} users"
        ours, theirs = rates.get((OURS, users)), rates.get((PAM_OATH, users))
        if ours is None or theirs is None:
            yield promise, "not measured", "-"
        else:
            yield promise, f"{ours / theirs:.0f} times", report.verdict(ours / theirs >= wanted, "too few")
