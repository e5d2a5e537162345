"""What the store does when the database is in trouble: nobody is let in by it, nobody suffers for another, it goes on.

The database is locked, broken, replaced and taken away under an open store. RFC 4226 7.2: a code is spent once, also
by whoever asks again.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from radiusd2fa.core.model import OpenChallenge
from radiusd2fa.store import engine
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.errors import StoreUnavailableError

from .conftest import Desk, Site, an_event
from .test_commit import PENDING, SPEND, fail

pytestmark = pytest.mark.both_stores


def test_one_login_that_fails_fails_alone(desk: Desk) -> None:
    """What no database takes is "not known" for its own login; the others of its group are written."""
    desk.commit(OpenChallenge(PENDING))
    desk.queue(SPEND)
    desk.queue(OpenChallenge(PENDING))  # a handle that exists: the insertion fails
    desk.queue(fail())
    first, second, third = desk.write()
    assert (first, third) == (True, True)
    assert isinstance(second, StoreUnavailableError)
    assert [alarm.rpartition(": ")[2] for alarm in desk.alarms][-1:] == ["works again"]


def test_the_store_goes_on_after_an_error(desk: Desk) -> None:
    """The next group is written as if nothing had been, again and again."""
    desk.commit(OpenChallenge(PENDING))
    for to in (6, 7, 8):
        assert isinstance(desk.commit(OpenChallenge(PENDING)), StoreUnavailableError)
        assert desk.commit(replace(SPEND, to=to)) is True
    assert desk.store.answers()


def test_a_bug_in_one_effect_is_nobodys_yes(desk: Desk) -> None:
    """An effect that the store does not know, or values that no database takes, end in "not known" and no crash."""
    wrong: list[object] = ["nonsense", replace(SPEND, to=2**63), None]
    for effect in wrong:
        desk.store.commit([effect], an_event(), desk.results.append)  # type: ignore[list-item]
        (result,) = desk.write()
        assert result is not True
    assert desk.commit(SPEND) is True


def test_an_error_leaves_no_lock_behind(site: Site, desk: Desk) -> None:
    """After a login that no database takes, other programs can write at once: the broken transaction is undone."""
    assert isinstance(desk.commit(replace(SPEND, to=2**63)), StoreUnavailableError)
    with site.held():
        pass


def test_a_locked_database_is_waited_for_and_then_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a command holds the database the answer is "not known"; afterwards the very same code is accepted."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0.05)
    desk = site.desk()
    try:
        with site.held():
            assert isinstance(desk.commit(SPEND), StoreUnavailableError)
            assert not desk.store.answers()
            assert desk.in_the_end(lambda: desk.load().user is not None)
        assert desk.in_the_end(desk.store.answers)
        assert desk.commit(SPEND) is True
    finally:
        desk.store.close()


def test_after_a_failure_status_server_hears_the_truth(site: Site, desk: Desk) -> None:
    """A store that cannot be written does not answer; when it can again it says so, without a login in between."""
    site.sql("ALTER TABLE events RENAME TO gone")
    assert isinstance(desk.commit(SPEND), StoreUnavailableError)
    site.sql("ALTER TABLE gone RENAME TO events")
    assert desk.in_the_end(desk.store.answers)
    assert desk.commit(SPEND) is True


@pytest.mark.sqlite_only
def test_a_database_that_was_replaced_is_opened_anew(site: Site, desk: Desk) -> None:
    """After a restore the daemon goes by the file that is there, not by the one it had open, and says so."""
    other = site.path.with_name("other.db")
    shutil.copy(site.path, other)
    replaced = Site(SqliteFile(other), site.vault)
    replaced.sql("UPDATE tokens SET moving_factor = 500 WHERE id = 1")
    replaced.sql("UPDATE users SET enabled = false WHERE id = 2")
    assert desk.token().moving_factor == 5
    other.rename(site.path)
    assert not desk.user("bob").enabled
    assert desk.commit(SPEND) is False
    assert desk.commit(replace(SPEND, to=501)) is True
    assert any("replaced" in alarm for alarm in desk.alarms)


@pytest.mark.sqlite_only
def test_another_vaults_database_in_its_place_is_refused(site: Site, desk: Desk) -> None:
    """What was checked at the start is checked again: a file that is not ours is silence, until ours is back."""
    ours, other = site.path.with_name("ours.db"), site.path.with_name("other.db")
    desk.commit(fail())
    desk.store.close()
    shutil.copy(site.path, ours)
    shutil.copy(site.path, other)
    Site(SqliteFile(other), site.vault).sql("UPDATE meta SET value = 'deadbeef' WHERE key = 'vault_key_id'")
    again = site.desk()
    other.rename(site.path)
    assert isinstance(again.commit(SPEND), StoreUnavailableError)
    assert not again.store.answers()
    ours.rename(site.path)
    assert again.store.answers()
    assert again.commit(SPEND) is True
    again.store.close()


@pytest.mark.sqlite_only
def test_a_file_that_was_taken_away_is_not_made_anew(site: Site, desk: Desk) -> None:
    """Without its database the store is silent; it does not begin a new, empty one. With it back, it goes on."""
    desk.commit(OpenChallenge(PENDING))
    assert isinstance(desk.commit(OpenChallenge(PENDING)), StoreUnavailableError)  # the connection is thrown away
    hidden = site.path.with_suffix(".hidden")
    site.path.rename(hidden)
    assert not desk.store.answers()
    assert isinstance(desk.commit(SPEND), StoreUnavailableError)
    with pytest.raises(StoreUnavailableError):
        desk.load()
    assert not site.path.exists()
    hidden.rename(site.path)
    assert desk.store.answers()
    assert desk.commit(SPEND) is True
