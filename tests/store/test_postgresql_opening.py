"""Which servers and databases of PostgreSQL are refused, each for one reason, and what the refusal says to do.

The servers are real ones, started with the one option that must stop us. PostgreSQL 20.5 (write-ahead log): a server
that does not flush forgets used codes, and would accept them again (RFC 6238 5.2).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import AdvanceMovingFactor
from radiusd2fa.store import postgresql, postgresql_opening
from radiusd2fa.store.address import PostgresServer
from radiusd2fa.store.errors import StoreError, StoreUnavailableError
from radiusd2fa.store.postgresql_opening import Opened, Opening
from radiusd2fa.store.upgrade import create
from tests.postgresql import ROLE, Cluster, a_cluster, a_pair

from .conftest import NOW, Site

pytestmark = pytest.mark.postgresql_only


def uses(site: Site) -> tuple[Callable[[], object], ...]:
    """Both ways into a store: the daemon's and the administration's."""
    return (site.desk, site.registry)


# --- servers that would forget ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A server that these tests start as they like."""
    with a_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def own_site(own_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """An empty site on it."""
    key = vault.create(tmp_path_factory.mktemp("own") / "vault.key")
    site = Site(PostgresServer(own_cluster.url(own_cluster.database())), key)
    create(site.address, key)
    return site


@pytest.mark.parametrize("option", ["fsync", "full_page_writes"])
def test_a_server_that_does_not_flush_is_refused(own_cluster: Cluster, own_site: Site, option: str) -> None:
    """What a power failure could take back is no store; the text names the option and the statement that mends it."""
    own_cluster.stop()
    own_cluster.start(**{option: "off"})
    for use in uses(own_site):
        with pytest.raises(StoreError, match=f"ALTER SYSTEM SET {option} = on") as refused:
            use()
        assert not isinstance(refused.value, StoreUnavailableError)
    own_cluster.stop()
    own_cluster.start()
    own_site.desk().store.close()


@pytest.mark.parametrize(
    ("commit", "standbys", "refused"),
    [("off", "", True), ("local", "*", True), ("local", "", False), ("remote_apply", "", False), ("on", "", False)],
)
def test_a_commit_that_waits_for_too_little_is_refused(
    own_cluster: Cluster, own_site: Site, commit: str, standbys: str, refused: bool
) -> None:
    """A commit has to be on the disk, and where the site has a synchronous standby, there too."""
    own_cluster.sql(f"ALTER ROLE {ROLE} SET synchronous_commit = {commit}")
    own_cluster.configure("synchronous_standby_names", standbys)  # from here on nobody else's commit would return
    try:
        for use in uses(own_site):
            if refused:
                with pytest.raises(StoreError, match=f"synchronous_commit is {commit}.*ALTER ROLE"):
                    use()
        if not refused:
            own_site.desk().store.close()
    finally:
        own_cluster.configure("synchronous_standby_names", "")
        own_cluster.sql(f"ALTER ROLE {ROLE} RESET synchronous_commit")


def test_what_is_changed_on_the_server_later_does_not_reach_an_open_store(own_cluster: Cluster, own_site: Site) -> None:
    """A session keeps the synchronous_commit that was found good when it was opened."""
    desk = own_site.desk()
    own_cluster.configure("synchronous_commit", "off")
    try:
        desk.commit()
        database = desk.store._database
        link = database._link  # type: ignore[attr-defined]
        assert link._connection.pgconn.parameter_status(b"server_version")  # still the same session
        settings = "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'"
        assert own_site.sql(settings) == [(1,)]
        with pytest.raises(StoreError, match="synchronous_commit is off"):
            own_site.desk()
    finally:
        own_cluster.configure("synchronous_commit", "on")
        desk.store.close()


def test_a_standby_is_refused_and_its_primary_found_beside_it(tmp_path: Path) -> None:
    """A server that only reads is no store; where the address names both, in whatever order, the primary is used."""
    key = vault.create(tmp_path / "vault.key")
    with a_pair() as (primary, standby):
        name = primary.database()
        create(PostgresServer(primary.url(name)), key)
        primary.wait_for_standby()
        for use in uses(Site(PostgresServer(standby.url(name)), key)):
            with pytest.raises(StoreUnavailableError, match=r"read-only|does not write"):
                use()
        for hosts in (primary.url(name, standby), standby.url(name, primary)):
            desk = Site(PostgresServer(hosts), key).desk()
            assert desk.commit() is True
            desk.store.close()


def test_a_server_that_hangs_does_not_hide_the_next_one(site: Site, cluster: Cluster) -> None:
    """A host that takes connections and says nothing is given up, and the next that the address names is asked."""
    import socket

    assert isinstance(site.address, PostgresServer)
    with socket.create_server(("127.0.0.1", 0)) as dead:
        host, _, rest = site.address.uri.partition("host=")
        both = f"{host}host=127.0.0.1,{rest}&port={dead.getsockname()[1]},5432"
        desk = Site(PostgresServer(both), site.vault).desk()
        assert desk.user().name == "alice"
        desk.store.close()


# --- databases that are not ours -------------------------------------------------------------------------------------

FOREIGN: Final = {
    "newer": ("UPDATE alembic_version SET version_num = '9999'", "newer program"),
    "older": ("UPDATE alembic_version SET version_num = '0001'", "db upgrade"),
    "without a version": ("DELETE FROM alembic_version", "no database of radiusd2fa"),
    "a backup": ("UPDATE alembic_version SET version_num = 'backup of 0005'", "db restore"),
    "another program's": ("DROP TABLE alembic_version", "no database of radiusd2fa"),
    "another vault's": ("UPDATE meta SET value = 'deadbeef' WHERE key = 'vault_key_id'", "deadbeef"),
    "no vault's": ("DELETE FROM meta", "unknown"),
}


@pytest.mark.parametrize("fault", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_database_that_is_not_ours_is_refused(site: Site, fault: tuple[str, str]) -> None:
    """Newer, older, foreign, or sealed by another vault: neither daemon nor administration opens it."""
    plant, reason = fault
    site.sql(plant)
    for use in uses(site):
        with pytest.raises(StoreError, match=reason) as refused:
            use()
        assert not isinstance(refused.value, StoreUnavailableError)


def test_another_encoding_is_refused(cluster: Cluster, site: Site) -> None:
    """A database that cannot hold every name is none for us."""
    cluster.sql("CREATE DATABASE octets ENCODING 'SQL_ASCII' TEMPLATE template0 OWNER radiusd2fa")
    try:
        for use in uses(Site(PostgresServer(cluster.url("octets")), site.vault)):
            with pytest.raises(StoreError, match="ENCODING 'UTF8'"):
                use()
    finally:
        cluster.drop("octets")


def test_an_old_server_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was never tried is not used."""
    monkeypatch.setattr(postgresql, "_OLDEST", 990000)
    with pytest.raises(StoreError, match="too old"):
        site.desk()


def test_a_server_that_is_not_there_is_said_so(cluster: Cluster, site: Site, tmp_path: Path) -> None:
    """No server, or no such database: the text names it, and no password."""
    for url in (f"postgresql://radiusd2fa@/x?host={tmp_path}", cluster.url("nowhere")):
        with pytest.raises(StoreUnavailableError, match="cannot connect"):
            Site(PostgresServer(url), site.vault).desk()


def test_without_psycopg_the_text_says_what_to_install(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver is an extra."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert isinstance(site.address, PostgresServer)
    with pytest.raises(StoreError, match=r"radiusd2fa\[postgres\]"):
        postgresql.open_server(site.address, patience=1.0)


# --- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "told"), [(-3600.0, True), (6.0, True), (2.0, False), (0.0, False)])
def test_a_server_with_another_time_is_told_of(
    site: Site, monkeypatch: pytest.MonkeyPatch, off: float, told: bool
) -> None:
    """More than five seconds between the server's clock and ours raise an alarm, once; the store works all the same."""
    from time import time

    monkeypatch.setattr(postgresql, "time", SimpleNamespace(time=lambda: time() + off))
    desk = site.desk()
    assert [alarm for alarm in desk.alarms if "clock" in alarm] == desk.alarms
    assert len(desk.alarms) == told
    assert desk.commit(AdvanceMovingFactor(1, 1, 6, 0, NOW)) is True
    desk.store.close()


# --- beside the loop -------------------------------------------------------------------------------------------------


def test_who_waits_for_a_connection_waits_as_long_as_they_want() -> None:
    """The attempt goes on beside the loop, and whoever asks again finds what has become of it."""
    from threading import Event

    go = Event()
    opened = Opened(None, 0.0)  # type: ignore[arg-type]

    def attempt() -> Opened:
        assert go.wait(60)
        return opened

    opening = Opening(attempt)
    assert opening.wait(0.0) is None
    assert opening.wait(0.01) is None
    go.set()
    assert opening.wait(60) is opened


def test_an_attempt_that_fails_says_why() -> None:
    """A time-out of the attempt's own is its end, not its going on."""
    for error in (StoreUnavailableError("no"), TimeoutError("its own")):

        def attempt(error: Exception = error) -> Opened:
            raise error

        opening = Opening(attempt)
        with pytest.raises(type(error), match=str(error)):
            opening.wait(60)


def test_what_is_opened_too_late_is_closed(site: Site) -> None:
    """A store that was closed while a connection was being made leaves none behind."""
    from threading import Event

    assert isinstance(site.address, PostgresServer)
    server, go, made = site.address, Event(), []

    def attempt() -> Opened:
        assert go.wait(60)
        made.append(postgresql_opening.open_link(server, site.vault))
        return made[0]

    opening = Opening(attempt)
    opening.abandon()
    go.set()
    opening.wait(60)
    opening._thread.join(60)
    assert made[0].link._connection.closed
