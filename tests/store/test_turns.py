"""Logins and administration take turns on PostgreSQL: what one changes the other sees, and a stalled command ends.

On a real server, with two connections that meet where it is said. PostgreSQL 13.3.5 (advisory locks).
"""

from __future__ import annotations

import threading
from typing import Final

import pytest
from sqlalchemy.exc import DBAPIError

from radiusd2fa.core.model import AdvanceMovingFactor, TokenState
from radiusd2fa.store import engine, postgresql
from radiusd2fa.store.administration import Administration
from radiusd2fa.store.connecting import How, lock_logins, open_engine, transaction
from radiusd2fa.store.errors import StoreUnavailableError

from .conftest import NOW, Desk, Site

LATER: Final = NOW + 100

pytestmark = pytest.mark.postgresql_only  # SQLite has one writer: there nobody needs to be told to take turns


def spend(desk: Desk, by: int = 1) -> AdvanceMovingFactor:
    """The login with alice's next code."""
    alice, token = desk.user(), desk.token("H1")
    return AdvanceMovingFactor(token.id, alice.id, token.moving_factor + by, 0, LATER)


def test_no_login_comes_between_a_change(site: Site, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a command is in the middle of one a login gets no answer, whatever rows the two are about."""
    login = spend(desk)
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0.2)
    hurried = site.desk()
    with site.held():
        assert isinstance(hurried.commit(login), StoreUnavailableError)
    hurried.store.close()
    assert desk.commit(login) is True


def test_what_a_command_has_done_meanwhile_counts(site: Site, desk: Desk) -> None:
    """A login that waited for the command is judged by what it has left behind: here the token is disabled."""
    login = spend(desk)
    answered: list[object] = []
    with open_engine(site.address).connect() as other, transaction(other, How.CHANGING):
        other.exec_driver_sql("UPDATE tokens SET state = 'disabled' WHERE serial = 'H1'")
        waiting = threading.Thread(target=lambda: answered.append(desk.commit(login)))
        waiting.start()
        while not site.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")[0][0]:
            pass
    waiting.join()
    assert answered == [False]
    with site.registry() as registry:
        assert registry.token("H1").state is TokenState.DISABLED


def test_logins_go_on_beside_what_no_login_could_touch(site: Site, desk: Desk) -> None:
    """As while a delivery into the stock is written; as soon as it comes to rows of theirs, they wait."""
    with open_engine(site.address).connect() as other, transaction(other, How.BESIDE):
        assert desk.commit(spend(desk)) is True
        lock_logins(other)
        assert site.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == [(2,)]


def test_logins_go_on_while_somebody_looks(site: Site, desk: Desk) -> None:
    """And whoever looks sees all of it as of one moment."""
    with site.registry() as registry, registry._looking() as connection:
        before = connection.exec_driver_sql("SELECT moving_factor FROM tokens ORDER BY id").all()
        assert desk.commit(spend(desk)) is True
        assert connection.exec_driver_sql("SELECT moving_factor FROM tokens ORDER BY id").all() == before


def test_one_command_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two the second waits for the first, and gives up in the end."""
    monkeypatch.setattr("radiusd2fa.store.connecting.PATIENCE", 0.05)
    with (
        site.held(),
        pytest.raises(StoreUnavailableError, match="try again"),
        Administration(site.address, site.vault, "root") as desk,
    ):
        desk.refused("user add", LATER)


def test_a_command_that_stalls_in_the_middle_is_thrown_out(
    site: Site, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its terminal was stopped, or its machine is gone: what it had begun is undone, and logins go on."""
    login = spend(desk)
    monkeypatch.setattr(postgresql, "_STALLED", 0.05)
    stalled = pytest.raises(DBAPIError, match="idle-in-transaction")
    with open_engine(site.address).connect() as other, stalled, transaction(other, How.CHANGING):
        other.exec_driver_sql("UPDATE tokens SET state = 'revoked'")
        assert desk.commit(login) is True
        other.exec_driver_sql("SELECT 1")
    assert desk.token("H1").state is TokenState.ACTIVE
