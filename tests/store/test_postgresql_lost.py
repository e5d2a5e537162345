"""The server goes away, hangs or changes its mind at every step of a login; what is not known is never a yes.

The real server is stopped, frozen, crashed and cut off; the same store goes on with it afterwards. PostgreSQL 52.3
(termination), 27.2.8 (synchronous replication); promises P6 and P8.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Final

import pytest

from radiusd2fa.core.model import AddAccount, OpenChallenge
from radiusd2fa.store import engine, postgresql_database
from radiusd2fa.store.address import PostgresServer
from radiusd2fa.store.errors import StoreUnavailableError
from radiusd2fa.store.postgresql_database import PostgresDatabase
from radiusd2fa.store.postgresql_link import Answer, Call, Link, LostError, RefusedError
from tests.postgresql import Cluster, a_cluster

from .conftest import NOW, Desk, Site, settle
from .test_commit import H1, PENDING, SPEND, fail

pytestmark = pytest.mark.postgresql_only

_END_ALL: Final = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'radiusd2fa'"


def spent(site: Site) -> int:
    """How far alice's fob has got."""
    [(to,)] = site.sql("SELECT moving_factor FROM tokens WHERE id = ?", H1)
    return int(to)


def goes_on(desk: Desk) -> None:
    """The store works again, and says so once."""
    assert desk.in_the_end(desk.store.answers)
    assert [alarm.rpartition(": ")[2] for alarm in desk.alarms].count("works again") == 1
    assert desk.commit(fail()) is True


# --- a connection that is ended between two rounds --------------------------------------------------------------------


@contextmanager
def ended_before(round_: int, end: Callable[[], object]) -> Iterator[None]:
    """Do that before so many rounds to the server have been begun."""
    rounds = iter(range(100))
    run = Link.run

    def perhaps(self: Link, calls: Sequence[Call], until: float) -> list[Answer]:
        if next(rounds) == round_:
            end()
        return run(self, calls, until)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "run", perhaps)
        yield


@pytest.mark.parametrize("round_", [0, 1])
def test_a_connection_that_is_ended_within_a_group_writes_nothing(
    site: Site, desk: Desk, cluster: Cluster, round_: int
) -> None:
    """Before the locks or before COMMIT: nothing is known, nothing is left, and the same codes are good afterwards."""
    desk.queue(SPEND)
    desk.queue(fail())
    with ended_before(round_, lambda: cluster.sql(_END_ALL)):
        results = desk.write()
    assert [type(result) for result in results] == [StoreUnavailableError] * 2
    assert spent(site) == 5
    assert site.sql("SELECT failures FROM users WHERE id = 1") == [(0,)]
    goes_on(desk)
    assert desk.commit(SPEND) is True


def test_a_connection_that_was_ended_between_logins_is_noticed(site: Site, desk: Desk, cluster: Cluster) -> None:
    """A look that nobody answers says so, for all that were looked up together; then the store goes on."""
    heard: list[object] = []
    cluster.sql(_END_ALL)
    for _ in range(3):
        desk.store.load("alice", None, "vpn", "", NOW, heard.append)
    desk.store.flush()
    assert [type(one) for one in heard] == [StoreUnavailableError] * 3
    goes_on(desk)
    assert desk.user().name == "alice"


@pytest.mark.parametrize("ask", ["namesake", "in_stock", "has_kin", "note_sightings"])
def test_rare_questions_hear_it_too(desk: Desk, cluster: Cluster, ask: str) -> None:
    """Whatever is asked of a server that has gone, the answer is that nothing is known, or nothing at all."""
    cluster.sql(_END_ALL)
    if ask == "note_sightings":
        desk.store.note_sightings([("vpn", "[]")], NOW)
    else:
        arguments = {"namesake": ("x", "ldap", "id"), "in_stock": ("S1",), "has_kin": ("x", "ldap", None)}[ask]
        with pytest.raises(StoreUnavailableError):
            getattr(desk.store, ask)(*arguments)
    goes_on(desk)


# --- a socket that is cut at COMMIT -----------------------------------------------------------------------------------


class Cutter:
    """Stands between a store and its server, and cuts when a COMMIT comes by: before, or after it was handed on."""

    def __init__(self, folder: Path, server: Path, *, hand_on: bool) -> None:
        self.armed = Event()
        self._hand_on = hand_on
        self._server = str(server / ".s.PGSQL.5432")
        self._mark = b"\0" + postgresql_database._COMMIT.name + b"\0"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._threads = [Thread(target=self._listen)]
        self._threads[0].start()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            thread = Thread(target=self._carry, args=(near,))
            self._threads.append(thread)
            thread.start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(self._server)
            while True:
                for one in select.select([near, far], [], [])[0]:
                    octets = one.recv(65536)
                    cut = one is near and self.armed.is_set() and self._mark in octets
                    if not octets or (cut and not self._hand_on):
                        return
                    (far if one is near else near).sendall(octets)
                    if cut:
                        far.recv(1)  # it is on the disk now, and nobody hears of it
                        return

    def close(self) -> None:
        """Take no more connections, and end with the last."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(60)


@pytest.mark.parametrize("hand_on", [False, True], ids=["COMMIT is lost", "its answer is lost"])
def test_a_socket_that_is_cut_at_commit_is_never_a_yes(
    site: Site, cluster: Cluster, tmp_path: Path, hand_on: bool
) -> None:
    """Nobody can know whether the code is spent, so nobody is let in; afterwards the database says which it was."""
    assert isinstance(site.address, PostgresServer)
    cutter = Cutter(tmp_path, cluster.folder, hand_on=hand_on)
    database = site.address.uri.rpartition("/")[2].partition("?")[0]
    desk = Site(PostgresServer(f"postgresql://radiusd2fa@/{database}?host={tmp_path}"), site.vault).desk()
    try:
        cutter.armed.set()
        assert isinstance(desk.commit(SPEND), StoreUnavailableError)
        cutter.armed.clear()
        goes_on(desk)
        assert spent(site) == (6 if hand_on else 5)
        assert desk.commit(SPEND) is not hand_on
        assert spent(site) == 6
        assert site.sql("SELECT count(*) FROM events WHERE name = 'access.accepted'") == [(2,)]
    finally:
        desk.store.close()
        cutter.close()


# --- a server that stops ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A server that these tests may break."""
    with a_cluster() as cluster:
        yield cluster


@pytest.fixture
def own(own_cluster: Cluster, site: Site) -> Site:
    """A site on it."""
    own = Site(PostgresServer(own_cluster.url(own_cluster.database())), site.vault)
    settle(own.address, own.vault)
    return own


def test_a_frozen_server_holds_up_nobody(own_cluster: Cluster, own: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its processes are stopped each call comes back with nothing; when they go on, so does the store."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0.2)
    desk = own.desk()
    link = desk.store._database._link  # type: ignore[attr-defined]
    frozen = [own_cluster.pid, link._server.backend_pid]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            assert isinstance(desk.commit(SPEND), StoreUnavailableError)
            with pytest.raises(StoreUnavailableError):
                desk.load()
            assert not desk.store.answers()
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    goes_on(desk)
    assert spent(own) == 5
    assert desk.commit(SPEND) is True
    desk.store.close()


def test_a_server_that_crashes_and_comes_back(own_cluster: Cluster, own: Site) -> None:
    """What was committed before the crash stays spent, what was not is good; the store needs no restart."""
    desk = own.desk()
    assert desk.commit(SPEND) is True
    own_cluster.stop("immediate")
    for _ in range(3):
        assert isinstance(desk.commit(replace(SPEND, to=7)), StoreUnavailableError)
    own_cluster.start()
    goes_on(desk)
    assert desk.commit(SPEND) is False
    assert desk.commit(replace(SPEND, to=7)) is True
    desk.store.close()


def test_a_commit_that_no_standby_has_is_no_yes(own_cluster: Cluster, own: Site) -> None:
    """When somebody ends the wait for a synchronous standby, the server says COMMIT with a warning: not good enough."""
    desk = own.desk()
    own_cluster.configure("synchronous_standby_names", "*")
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    found = Event()

    def cancel() -> None:
        while not found.is_set():
            for (pid,) in own_cluster.sql(waits):
                own_cluster.sql("SELECT pg_cancel_backend(%s)", pid)
                found.set()

    impatient = Thread(target=cancel)
    impatient.start()
    try:
        assert isinstance(desk.commit(SPEND), StoreUnavailableError)
    finally:
        found.set()
        impatient.join(60)
        own_cluster.configure("synchronous_standby_names", "")
    assert "canceling wait for synchronous replication" in desk.alarms[0]
    goes_on(desk)
    assert desk.commit(SPEND) is False
    desk.store.close()


def test_a_database_of_another_vault_in_its_place_is_refused(own_cluster: Cluster, own: Site) -> None:
    """What was checked at the start is checked at each new connection: another site's rows let nobody in."""
    desk = own.desk()
    own.sql("UPDATE meta SET value = 'deadbeef' WHERE key = 'vault_key_id'")
    own_cluster.sql(_END_ALL)
    assert isinstance(desk.commit(SPEND), StoreUnavailableError)
    for _ in range(3):
        assert isinstance(desk.commit(SPEND), StoreUnavailableError)
    assert not desk.store.answers()
    own.sql("UPDATE meta SET value = ? WHERE key = 'vault_key_id'", own.vault.key_id.hex())
    goes_on(desk)
    assert desk.commit(SPEND) is True
    desk.store.close()


# --- what PostgreSQL does not take ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["\0", "5" * 32 + "\0", "\0" + "5" * 32])
def test_a_state_that_is_no_text_is_nobodys_and_spoils_no_look(desk: Desk, state: str) -> None:
    """A NUL cuts nothing off, finds nothing, and does not silence whoever is looked up at the same time."""
    assert desk.commit(OpenChallenge(PENDING)) is True
    heard: list[object] = []
    desk.store.load("alice", state, "vpn", "", NOW, heard.append)
    desk.store.load("bob", PENDING.handle, "vpn", "", NOW, heard.append)
    desk.store.flush()
    first, second = heard
    assert first.user is not None  # type: ignore[attr-defined]
    assert first.challenge is None  # type: ignore[attr-defined]
    assert second.challenge == PENDING  # type: ignore[attr-defined]
    assert desk.alarms == []


def test_a_look_that_the_server_does_not_take_spoils_no_other(desk: Desk) -> None:
    """Whatever else no text can hold is its own login's silence."""
    heard: list[object] = []
    for name in ("alice", "no\0body", "bob", "\ud800"):
        desk.store.load(name, None, "vpn", "", NOW, heard.append)
    desk.store.flush()
    assert [type(one).__name__ for one in heard] == ["Known", "StoreUnavailableError", "Known", "StoreUnavailableError"]
    goes_on(desk)


@pytest.mark.parametrize("name", ["no\0body", "\ud800"])
def test_a_write_that_the_server_does_not_take_spoils_no_other(site: Site, desk: Desk, name: str) -> None:
    """The login alone is not known; the others of its group are written, over the same connection if it still works."""
    desk.queue(SPEND)
    desk.queue(AddAccount(name, "ldap", None, (), NOW))
    desk.queue(fail())
    first, second, third = desk.write()
    assert (first, third) == (True, True)
    assert isinstance(second, StoreUnavailableError)
    assert site.sql("SELECT count(*) FROM users") == [(2,)]


def test_a_refusal_keeps_the_connection_and_a_loss_does_not(desk: Desk) -> None:
    """Only what may be broken is thrown away."""
    database = desk.store._database
    assert isinstance(database, PostgresDatabase)
    link = database._link
    database.failed(RefusedError("no"))
    assert database._link is link
    database.failed(LostError("gone"))
    assert database._link is None
    database.failed(TypeError("a bug"))


def test_a_server_that_rolls_back_instead_of_committing_is_not_believed(desk: Desk) -> None:
    """COMMIT on a transaction that has failed answers ROLLBACK: that is no yes."""
    link = desk.store._database._link  # type: ignore[attr-defined]
    with pytest.raises(LostError, match="rolled back"):
        link.commit([(postgresql_database._BEGIN, ())], postgresql_database._ROLLBACK, time.monotonic() + 60)
    desk.store._database.failed(LostError("gone"))
    assert desk.in_the_end(desk.store.answers)
