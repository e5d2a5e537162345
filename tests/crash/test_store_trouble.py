"""A database that is locked, out of room or torn: silence, and all as good as before when the trouble is over.

The lock is held by this process, the full disk is a small tmpfs of the test's own; test_disk.py has all other ways in
which a disk can fail. Nothing is restarted.
RFC 5997 (a server that cannot decide does not say that it is alive, so that the NAS takes its next one).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon, Site
from tests.daemon.wire import PATIENCE, request

MOUNT_SIZE: Final = 4 << 20

SILENT: Final = 20
"""Packets that meet a lock which is held on."""

# --- a locked database -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_locked_database_is_silence_and_nothing_is_lost(site: Site, daemon: Daemon, lock: str) -> None:
    """Two seconds of patience, then quick silence; afterwards the same State and the same code get in, once."""
    alice = site.person("alice")
    with daemon.peer(CHALLENGE) as peer, daemon.peer(CODE_ONLY) as other, daemon.peer(CODE_ONLY) as status:
        state = peer.ask("alice", PASSWORD).state
        answer = request(SECRET, "alice", alice.press().encode(), state)
        with contextlib.closing(sqlite3.connect(site.database, isolation_level=None)) as holder:
            holder.execute(f"BEGIN {lock}")
            peer.send(answer)
            daemon.wait_for("packet.dropped", reason="store_unavailable")
            begun = time.monotonic()
            for _ in range(SILENT):
                other.send(request(SECRET, "alice", b"00000000"))
                daemon.wait_until_read()
            # promise P8 is about time: a second for all of them, or two for each
            assert time.monotonic() - begun < SILENT
            assert not status.is_served()
            assert peer.waiting() == other.waiting() == []
            holder.execute("ROLLBACK")
        status.wait_until_served()
        # the very same packet: what met silence is forgotten, and is no duplicate
        assert peer.exchange(answer).kind == "accept"
        assert other.ask("alice", alice.code_at(0)).kind == "reject"
        assert other.ask("alice", alice.press()).kind == "accept"
    assert daemon.stop() == 0
    assert daemon.counters()["store_unavailable"] > SILENT
    assert len(daemon.lines("store.alarm")) == 2


def test_a_lock_of_a_moment_is_waited_for(site: Site, daemon: Daemon) -> None:
    """A login that meets a lock which is soon let go is answered, not refused and not dropped."""
    alice = site.person("alice")
    with daemon.peer() as peer, contextlib.closing(sqlite3.connect(site.database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        asked = request(SECRET, "alice", alice.press().encode())
        peer.send(asked)
        daemon.wait_until_read()
        assert peer.waiting() == []
        holder.execute("ROLLBACK")
        assert peer.receive(PATIENCE)[0] == 2


# --- a full disk -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _no_room(site: Site) -> Iterator[None]:
    """Fill the small file system to its last octet."""
    filler = site.folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@pytest.fixture
def small_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for a database and not much more."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    options = f"size={MOUNT_SIZE},mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "radiusd2fa-test", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_silence_and_an_alarm(small_folder: Path) -> None:
    """On a full disk nobody gets in, with new codes or used ones; with room again the daemon goes on by itself."""
    site = Site.make(small_folder)
    alice = site.person("alice")
    with (
        site.serving() as daemon,
        daemon.peer(CHALLENGE) as peer,
        daemon.peer(CODE_ONLY) as replaying,
        daemon.peer(CODE_ONLY) as other,
        daemon.peer(CODE_ONLY) as status,
    ):
        used = [alice.press() for _ in range(3)]
        assert [other.ask("alice", code).kind for code in used] == ["accept"] * 3
        state = peer.ask("alice", PASSWORD).state
        answer = request(SECRET, "alice", alice.press().encode(), state)
        with _no_room(site):
            peer.send(answer)
            daemon.wait_for("packet.dropped", reason="store_unavailable")
            for code in used:
                replaying.send(request(SECRET, "alice", code.encode()))
            assert peer.waiting() == []
        assert daemon.lines("store.alarm")[0]["level"] == "error"
        status.wait_until_served()
        assert peer.exchange(answer).kind == "accept"
        assert [other.ask("alice", code).kind for code in used] == ["reject"] * 3
        assert other.ask("alice", alice.press()).kind == "accept"
        # between the last page that was full and the first that was missing there may have been room for a refusal
        assert {raw[0] for raw in replaying.waiting()} <= {3}


# --- a torn row ------------------------------------------------------------------------------------------------------


def test_a_seed_that_does_not_open_is_no_way_in(site: Site, daemon: Daemon) -> None:
    """A sealed seed moved to another row opens for nobody: a Reject and an alarm, and others are served."""
    alice, mallory = site.person("alice"), site.person("mallory")
    with contextlib.closing(sqlite3.connect(site.database)) as database, database:
        (sealed,) = database.execute("SELECT sealed FROM tokens WHERE serial = ?", (mallory.fob.serial,)).fetchone()
        database.execute("UPDATE tokens SET sealed = ? WHERE serial = ?", (sealed, alice.fob.serial))
    with daemon.peer() as peer:
        assert peer.ask("alice", mallory.code_at(0)).kind == "reject"
        assert peer.ask("alice", alice.code_at(0)).kind == "reject"
        assert "changed or belongs to another row" in daemon.wait_for("store.alarm")["error"]
        assert peer.ask("mallory", mallory.press()).kind == "accept"


def test_an_error_in_the_middle_of_a_login_is_silence(site: Site, daemon: Daemon) -> None:
    """A row that makes the program stumble is silence with a traceback, never an Accept; others are served."""
    alice, bob = site.person("alice"), site.person("bob")
    with contextlib.closing(sqlite3.connect(site.database)) as database, database:
        database.execute("UPDATE tokens SET algorithm = 'md5' WHERE serial = ?", (alice.fob.serial,))
    with daemon.peer() as peer:
        peer.send(request(SECRET, "alice", alice.press().encode()))
        line = daemon.wait_for("packet.dropped", reason="internal_error")
        assert "KeyError" in line["exception"]
        assert peer.waiting() == []
        assert peer.ask("bob", bob.press()).kind == "accept"
