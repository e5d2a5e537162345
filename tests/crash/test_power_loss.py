"""The power goes, at every moment of a working day: no code whose Access-Accept had left is good for anything again.

One daemon works once, and everything it does to its files is written down; hundreds of disks are made of that, each as
it may be found after a power cut, and opened with the real store. The same with settings that are not safe must be seen
to fail, or nothing was looked at. RFC 4226 7.2, RFC 6238 5.2.
"""

from __future__ import annotations

import contextlib
import errno
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.clients import ClientTable, access_request
from radiusd2fa.core.chain import START, link
from radiusd2fa.core.login import decide
from radiusd2fa.core.model import Accept, Event, Known
from radiusd2fa.core.nonce import NONCE_OCTETS
from radiusd2fa.factors import find_functions
from radiusd2fa.radius.packet import decode
from radiusd2fa.settings import load_settings
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.engine import Store
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.schema import EVENT_COLUMNS
from tests.daemon.site import CODE_ONLY, SECRET, Site
from tests.daemon.wire import request
from tests.looking import look

from .crowd import Crowd, Member
from .disk import Disk, read_record
from .surroundings import Act, Surroundings

SEED: Final = 3_1415
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - images come and go, and need no disk

Kept = bool | random.Random

_CHECKPOINT: Final = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=10)
for kind in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
    database.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()
"""

_WEAKENED: Final = """
from radiusd2fa.store import sqlite

def make_durable(connection):
    connection.execute("PRAGMA foreign_keys=ON")
    for pragma in {pragmas!r}:
        connection.execute("PRAGMA " + pragma).fetchall()

sqlite.make_durable = make_durable
"""


@dataclass(frozen=True, slots=True)
class Left:
    """An Access-Accept that has left, and for what."""

    member: Member
    number: int


@pytest.fixture
def images() -> Iterator[Path]:
    """A folder for them, in memory where there is a place."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


# --- a day's work, written down --------------------------------------------------------------------------------------


def _record_a_day(crowd: Crowd, surroundings: Surroundings, logins: int, environment: dict[str, str]) -> Disk:
    """Logins, a checkpoint in the middle of them, a stop and a new start; returns the disk as it was before."""
    disk = Disk(surroundings.folder)
    with crowd.site.serving(environment) as daemon, crowd.facing(daemon):
        crowd.log_in(logins // 3)
        database = str(crowd.site.database)
        with subprocess.Popen([sys.executable, "-c", _CHECKPOINT, database], env=environment) as checkpointing:
            crowd.work(lambda: checkpointing.poll() is not None)
        assert checkpointing.returncode == 0
        crowd.finish()
        crowd.log_in(logins // 3)
    with crowd.site.serving(environment) as daemon, crowd.facing(daemon):
        crowd.log_in(logins // 3)
        daemon.kill()
    return disk


def _record_failing_syncs(crowd: Crowd, surroundings: Surroundings, logins: int, environment: dict[str, str]) -> Disk:
    """Logins of some while syncs fail, and what they should have brought out never comes out; then of the others.

    Every other time the daemon is killed before that, and the next one knows nothing of what has failed.
    """
    disk = Disk(surroundings.folder)
    in_a_row = cycle(range(2, 6))
    while crowd.answers < logins:
        with crowd.site.serving(environment) as daemon, crowd.facing(daemon):
            for is_killed in (False, True):
                crowd.log_in(8)
                failures = surroundings.failed(Act.SYNC) + next(in_a_row)
                unlucky = crowd.chance.sample(crowd.members, 4)
                with surroundings.failing(Act.SYNC, errno.EIO):
                    crowd.work(partial(surroundings.has_failed, Act.SYNC, failures), unlucky)
                    if is_killed:
                        daemon.kill()
                        crowd.hear_the_last()
                        break
                crowd.log_in(8)
    with crowd.site.serving(environment) as daemon, crowd.facing(daemon):
        crowd.log_in(8)
        daemon.kill()
    return disk


# --- the judge -------------------------------------------------------------------------------------------------------


class Court:
    """Opens a disk as the daemon would, and finds out what is wrong with it."""

    def __init__(self, site: Site) -> None:
        settings = load_settings(site.config)
        client = ClientTable(settings.clients).find(CODE_ONLY)
        assert client is not None
        self._client, self._rules = client, settings.rules
        self._factors = find_functions(settings.rules.factors())
        self._vault = vault.load(settings.vault_key)

    def faults(self, folder: Path, left: list[Left], members: list[Member], now: float) -> list[str]:
        """Everything that is wrong: codes that get in again, a database or an audit that is torn."""
        alarms: list[str] = []
        path = folder / "radiusd2fa.db"
        try:
            store = Store(SqliteFile(path), self._vault, alarms.append)
            known = {one: look(store, one.person.name, nas=self._client.nas.name, now=now) for one in members}
            store.close()
            torn = _torn(path)
        except (StoreError, sqlite3.Error) as error:
            return [f"it cannot be read: {error}"]
        found = [
            f"{one.member.person.name} gets in again with {one.number}"
            for one in left
            if self._gets_in(one.member, one.number, known[one.member], now)
        ]
        # the next code of everybody is good: what refuses the others is not a broken court
        for member, facts in known.items():
            assert facts.user is not None
            (token,) = facts.user.tokens
            following = token.moving_factor + (token.kind == "totp") if token.last_used else member.first
            if not self._gets_in(member, following, facts, now):
                found.append(f"{member.person.name} does not get in with {following}")
        return found + alarms + torn

    def _gets_in(self, member: Member, number: int, known: Known, now: float) -> bool:
        packet = decode(request(SECRET, member.person.name, member.person.code_at(number).encode()))
        asked = access_request(packet, self._client, SECRET)
        return isinstance(decide(asked, known, now, bytes(NONCE_OCTETS), self._rules, self._factors), Accept)


def _torn(path: Path) -> list[str]:
    """What SQLite itself finds wrong, and whether each audit row follows from the one before it."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        found = [row[0] for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
        ends = dict(database.execute("SELECT name, hash FROM chains").fetchall())
        columns = ", ".join(f'"{column.name}"' for column in EVENT_COLUMNS)
        hashes: dict[str, bytes] = {}
        for chain, sequence, digest, *row in database.execute(
            f"SELECT chain, sequence, hash, {columns} FROM events ORDER BY chain, sequence"  # noqa: S608
        ):
            hashes[chain] = link(hashes.get(chain, START), chain, sequence, Event(*row))
            if hashes[chain] != digest:
                found.append(f"{chain} is broken at {sequence}")
        return found if hashes == ends else [*found, "a chain does not end where it says"]


def _days_in_court(
    crowd: Crowd, disk: Disk, surroundings: Surroundings, images: Path, points: int
) -> Iterator[tuple[str, list[str]]]:
    """Cut the power at so many points, four times each; yields where, and what was wrong then."""
    court = Court(crowd.site)
    accepts = {
        one.reply: Left(member, one.number)
        for member in crowd.members
        for one in member.tries
        if one.kind == "accept" and one.number is not None
    }
    chance = random.Random(SEED)
    records = list(read_record(surroundings.record))
    turns = [at for at, (one, following) in enumerate(pairwise(records)) if one.kind != following.kind]
    chosen = set(chance.sample(turns, min(points, len(turns)))) | {len(records) - 1}
    left: list[Left] = []
    now = time.time()
    for at, record in enumerate(records):
        disk.go_on(record)
        if record.kind == "D" and record.content in accepts:
            left.append(accepts.pop(record.content))
        if at in chosen:
            ways: list[tuple[str, Kept]] = [("nothing", False), ("all", True)]
            ways += [(f"some ({number})", random.Random(at * 16 + number)) for number in range(2)] * bool(disk.unsynced)
            for name, kept in ways:
                folder = images / "image"
                disk.image(folder, kept)
                faults = court.faults(folder, _telling(left, chance), crowd.members, now)
                yield f"{name} of {disk.unsynced} kept at {at} ({record.kind})", faults
                shutil.rmtree(folder)
    assert not accepts, "some Accept left unnoted: the record is not whole"


def _telling(left: list[Left], chance: random.Random) -> list[Left]:
    """Of all that was let in, what can best show that it was forgotten: each member's last, and some of before."""
    last = {one.member: one for one in left}
    return [*last.values(), *chance.sample(left, min(5, len(left)))]


# --- the cases -------------------------------------------------------------------------------------------------------

_LONG: Final = pytest.mark.soak


@pytest.mark.parametrize(("logins", "points"), [(75, 40), pytest.param(900, 1500, marks=_LONG)])
def test_no_power_cut_brings_a_code_back(
    crowd: Crowd, surroundings: Surroundings, images: Path, logins: int, points: int
) -> None:
    """Whatever part of what was not synced is lost: no used code gets in, and everybody's next code does."""
    disk = _record_a_day(crowd, surroundings, logins, surroundings.environment)
    bad = [(where, faults) for where, faults in _days_in_court(crowd, disk, surroundings, images, points) if faults]
    assert not bad, f"{len(bad)}: {bad[:3]}"


@pytest.mark.parametrize(("logins", "points"), [(45, 160), pytest.param(600, 1000, marks=_LONG)])
def test_no_failing_sync_and_power_cut_bring_a_code_back(
    crowd: Crowd, surroundings: Surroundings, images: Path, logins: int, points: int
) -> None:
    """After syncs that failed nothing relies on what they should have brought out: the same holds."""
    disk = _record_failing_syncs(crowd, surroundings, logins, surroundings.environment)
    bad = [(where, faults) for where, faults in _days_in_court(crowd, disk, surroundings, images, points) if faults]
    assert not bad, f"{len(bad)}: {bad[:3]}"


@pytest.mark.parametrize(
    "pragmas",
    [("journal_mode=DELETE", "synchronous=FULL"), ("journal_mode=WAL", "synchronous=NORMAL")],
    ids=["the default", "a quick one"],
)
def test_other_settings_are_seen_to_bring_codes_back(
    crowd: Crowd, surroundings: Surroundings, images: Path, tmp_path: Path, pragmas: tuple[str, ...]
) -> None:
    """With the journal that SQLite has by default, or without a sync for each commit, used codes do get in again."""
    (tmp_path / "sitecustomize.py").write_text(_WEAKENED.format(pragmas=pragmas))
    disk = _record_a_day(crowd, surroundings, 30, surroundings.environment | {"PYTHONPATH": str(tmp_path)})
    seen = (faults for _, faults in _days_in_court(crowd, disk, surroundings, images, 1000))
    assert any("gets in again" in fault for faults in seen for fault in faults)
