"""A site that moves out of its file: at no moment can anybody log in by both, and nothing is lost on the way.

Real stores on both sides, and real kills. RFC 4226 7.2: a code that was used in one of them must be used in the other.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.core.model import AdvanceMovingFactor
from radiusd2fa.store import copying
from radiusd2fa.store.address import Address, PostgresServer, SqliteFile
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.connecting import How, open_engine, transaction
from radiusd2fa.store.copying import TABLES, digest, last_ids
from radiusd2fa.store.errors import StoreError, StoreUnavailableError
from radiusd2fa.store.moving import Closing, move, reopen
from radiusd2fa.store.schema import meta
from radiusd2fa.store.upgrade import create
from tests.postgresql import Cluster

from .conftest import ACTOR, NOW, Site, hotp

pytestmark = pytest.mark.sqlite_only

LATER: Final = NOW + 100
Progress = Callable[[str, int, int], None]


@pytest.fixture(params=["to a file", "to a server"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Where nothing is yet."""
    if request.param == "to a file":
        return SqliteFile(tmp_path / "new.db")
    cluster = request.getfixturevalue("cluster")
    return PostgresServer(cluster.url(request.getfixturevalue("fresh_database")))


def closing(site: Site) -> Closing:
    """Open the file to close it."""
    return Closing(site.address, site.vault, ACTOR)


def moved(site: Site, to: Address, progress: Progress = lambda *_: None) -> dict[str, int]:
    """Move the site, as the command does."""
    assert isinstance(site.address, SqliteFile)
    return move(site.address, to, lambda: closing(site), LATER, progress)


def opened_again(site: Site) -> None:
    """Stay where the site is."""
    assert isinstance(site.address, SqliteFile)
    reopen(site.address, lambda: closing(site), LATER)


def at(part: str, act: Callable[[], object]) -> Progress:
    """Do this when a table has come to its first rows."""
    waiting = [act]

    def progress(what: str, done: int, _: int) -> None:
        if what == part and done and waiting:
            waiting.pop()()

    return progress


def stop() -> None:
    """End a copy."""
    raise KeyboardInterrupt


def is_open(site: Site) -> bool:
    """Whether somebody could log in by it."""
    try:
        site.desk().store.close()
    except StoreError:
        return False
    return True


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_is_not_empty_is_left_alone(site: Site, target: Address) -> None:
    """A store that is there is not written over, and the file stays open."""
    create(target, site.vault)
    with pytest.raises(RefusedError, match="something already"):
        moved(site, target)
    assert is_open(site)
    assert is_open(Site(target, site.vault))


def test_strange_tables_are_left_alone(site: Site, cluster: Cluster, fresh_database: str) -> None:
    """A database of somebody else's is refused by name, and the file stays open."""
    cluster.sql("CREATE TABLE public.invoices (id int)", database=fresh_database)
    with pytest.raises(StoreError, match="not empty, it has invoices"):
        moved(site, PostgresServer(cluster.url(fresh_database)))
    assert is_open(site)


def test_a_server_that_is_not_there_closes_nothing(site: Site, tmp_path: Path) -> None:
    """Where the copy cannot be begun the site goes on."""
    nowhere = PostgresServer(f"postgresql://radiusd2fa@/radiusd2fa?host={tmp_path}")
    with pytest.raises(StoreUnavailableError, match="cannot connect"):
        moved(site, nowhere)
    assert is_open(site)


def test_a_daemon_that_runs_accepts_nothing_once_the_file_is_closed(site: Site, target: Address) -> None:
    """From before the first row is copied: else it would accept codes that the copy knows nothing of."""
    desk = site.desk()
    alice, token = desk.user(), desk.token("H1")
    spend = AdvanceMovingFactor(token.id, alice.id, token.moving_factor + 1, 0, LATER)
    heard: list[object] = []
    moved(site, target, at("copying users", lambda: heard.append(desk.commit(spend))))
    heard.append(desk.commit(spend))
    desk.store.close()
    assert [type(one) for one in heard] == [StoreUnavailableError, StoreUnavailableError]
    with Site(target, site.vault).registry() as registry:
        assert registry.token("H1").moving_factor == token.moving_factor


def test_a_closed_file_opens_for_nobody(site: Site, target: Address) -> None:
    """Neither for a daemon nor for a command, while it is copied and afterwards; and it says where the site is."""
    with pytest.raises(KeyboardInterrupt):
        moved(site, target, at("copying tokens", stop))
    for use in (site.desk, site.registry):
        with pytest.raises(StoreError, match="being copied; give `radiusd2fa db copy --to"):
            use()
    moved(site, target)
    for use in (site.desk, site.registry):
        with pytest.raises(StoreError, match="has moved; write into the settings: store: "):
            use()


@pytest.mark.parametrize("part", ["copying users", "copying events", "comparing events"])
def test_a_copy_that_is_not_complete_opens_for_nobody(site: Site, target: Address, part: str) -> None:
    """Not before its last row was compared."""
    with pytest.raises(KeyboardInterrupt):
        moved(site, target, at(part, stop))
    with pytest.raises(StoreError, match="beginning of a copy"):
        Site(target, site.vault).registry()


def test_a_copy_that_differs_stays_closed(site: Site, target: Address) -> None:
    """Whatever has changed a row of it, the comparison sees it; and the file can be opened again."""

    def change() -> None:
        with open_engine(target, checked=False).connect() as other, transaction(other, How.ASIDE):
            other.exec_driver_sql("UPDATE users SET password_hash = 'of somebody else' WHERE name = 'alice'")

    with pytest.raises(StoreError, match="users is not the same in the copy"):
        moved(site, target, at("copying tokens", change))
    with pytest.raises(StoreError, match="beginning of a copy"):
        Site(target, site.vault).registry()
    opened_again(site)
    assert is_open(site)


def test_another_target_is_refused_while_one_is_begun(site: Site, target: Address, tmp_path: Path) -> None:
    """There is one copy of a site, or it would be in two places."""
    with pytest.raises(KeyboardInterrupt):
        moved(site, target, at("copying tokens", stop))
    with pytest.raises(RefusedError, match="--reopen first"):
        moved(site, SqliteFile(tmp_path / "another.db"))


def test_a_file_that_was_opened_again_leaves_its_copy_behind(site: Site, target: Address) -> None:
    """What was begun before can never be completed: codes were used in the file since."""
    with pytest.raises(KeyboardInterrupt):
        moved(site, target, at("copying tokens", stop))
    opened_again(site)
    assert is_open(site)
    with pytest.raises(RefusedError, match="the beginning of another copy"):
        moved(site, target)


def test_a_site_that_has_moved_is_not_opened_again(site: Site, target: Address) -> None:
    """Nor while nothing was begun."""
    with pytest.raises(RefusedError, match="no copy of it was begun"):
        opened_again(site)
    moved(site, target)
    with pytest.raises(RefusedError, match="or it is complete"):
        opened_again(site)
    with pytest.raises(RefusedError, match="has moved already"):
        moved(site, target)


# --- what comes along ------------------------------------------------------------------------------------------------


def test_all_of_it_is_the_same_there(site: Site, target: Address) -> None:
    """Every table but for what says where the copy is; the row that says so is in the audit of both."""
    with site.registry() as registry:
        registry.grant_skip("bob", LATER + 50, "no fob", NOW)
    rows = moved(site, target)
    assert (rows["users"], rows["tokens"], rows["grants"]) == (2, 3, 1)
    with open_engine(site.address, checked=False).connect() as ours, open_engine(target).connect() as theirs:
        for table in TABLES:
            if table is not meta:
                assert digest(ours, table) == digest(theirs, table), table.name
    with Site(target, site.vault).registry() as registry:
        assert registry.with_seed("H1").secret == hotp("H1").secret
        assert registry.events(1)[0].name == "database.moved"


def test_logins_go_on_where_they_were(site: Site, target: Address) -> None:
    """A code that was used in the file is used in the copy, and the next one counts there."""
    desk = site.desk()
    alice, token = desk.user(), desk.token("H1")
    spend = AdvanceMovingFactor(token.id, alice.id, token.moving_factor + 1, 0, LATER)
    assert desk.commit(spend) is True
    desk.store.close()
    moved(site, target)
    there = Site(target, site.vault).desk()
    assert there.commit(spend) is False
    assert there.commit(AdvanceMovingFactor(token.id, alice.id, token.moving_factor + 2, 0, LATER)) is True
    there.store.close()


def test_an_id_is_given_once_in_both_together(site: Site, target: Address) -> None:
    """Also one whose row is gone by now: sealed seeds are bound to it."""
    site.sql("DELETE FROM tokens WHERE serial = 'H2'")
    moved(site, target)
    with open_engine(target).connect() as connection:
        assert last_ids(connection)["tokens"] == 3
    with Site(target, site.vault).registry() as registry:
        registry.add_token(hotp("N1", b"of a token that is new"), "bob", LATER)
    assert Site(target, site.vault).sql("SELECT id FROM tokens WHERE serial = 'N1'") == [(4,)]


@pytest.mark.parametrize("part", ["copying users", "copying tokens", "copying events", "comparing events"])
def test_a_killed_copy_goes_on(site: Site, target: Address, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 with a row or two copied: the same command completes it, and every row is there once."""
    monkeypatch.setattr(copying, "_CHUNK", 2)
    child = os.fork()
    if not child:
        moved(site, target, at(part, lambda: os.kill(os.getpid(), signal.SIGKILL)))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not is_open(site)
    assert moved(site, target)["tokens"] == 3
    assert is_open(Site(target, site.vault))
