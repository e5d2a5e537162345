"""The waiting room: which logins a station sees, and what it can do to them.

It can put one answer to a login that waits, and nothing else; the daemon reads it with the challenge.
Answers to no RFC; WebAuthn 7.2 is what the daemon does with the answer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.core.model import (
    ChallengeKind,
    CloseChallenge,
    ContestStations,
    KeyCeremony,
    OpenChallenge,
    PendingChallenge,
)
from radiusd2fa.store import waiting
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError
from radiusd2fa.store.waiting import Waiting, WaitingRoom

from .conftest import NOW, Desk, Site

NONCE: Final = bytes(range(16))
CREDENTIALS: Final = (b"one", b"\x00\xff" * 40)
CEREMONY: Final = KeyCeremony(NONCE, station=True, credentials=CREDENTIALS)
QUESTION: Final = PendingChallenge(
    "a" * 32, "vpn", "alice", 1, ChallengeKind.CODE, True, "10619", NOW + 120, 3, CEREMONY
)
CLIENTS: Final = frozenset({"vpn"})


@pytest.fixture
def room(site: Site) -> Iterator[WaitingRoom]:
    """The same database, seen from a station."""
    with WaitingRoom(site.address) as room:
        yield room


def _opened(desk: Desk, question: PendingChallenge = QUESTION) -> PendingChallenge:
    assert desk.commit(OpenChallenge(question)) is True
    return question


def _ceremony(desk: Desk, question: PendingChallenge = QUESTION) -> KeyCeremony:
    challenge = desk.load(state=question.handle).challenge
    assert challenge is not None
    assert challenge.ceremony is not None
    return challenge.ceremony


# --- what is not seen and not taken ----------------------------------------------------------------------------------


def test_logins_at_other_clients_are_not_seen(desk: Desk, room: WaitingRoom) -> None:
    """A station sees the logins at its own clients only."""
    _opened(desk, replace(QUESTION, nas="ssh"))
    assert room.waiting(CLIENTS, NOW) == []
    assert len(room.waiting({"ssh", "vpn"}, NOW)) == 1


@pytest.mark.parametrize("ceremony", [None, replace(CEREMONY, station=False)], ids=["no key", "responder only"])
def test_logins_that_want_no_touch_are_not_seen(desk: Desk, room: WaitingRoom, ceremony: KeyCeremony | None) -> None:
    """A login that was not offered to stations is not shown there and takes no answer."""
    question = _opened(desk, replace(QUESTION, ceremony=ceremony))
    assert room.waiting(CLIENTS, NOW) == []
    assert not room.bring(NONCE, "signed", NOW)
    challenge = desk.load(state=question.handle).challenge
    assert challenge is not None
    assert challenge.ceremony is None or challenge.ceremony.answer is None


def test_a_login_that_has_run_out_is_over(desk: Desk, room: WaitingRoom) -> None:
    """At the very second at which a challenge expires it is no longer shown, and takes no answer."""
    _opened(desk)
    assert room.waiting(CLIENTS, NOW + 119.9)
    assert room.waiting(CLIENTS, NOW + 120) == []
    assert not room.bring(NONCE, "signed", NOW + 120)
    assert _ceremony(desk).answer is None


def test_a_login_that_has_ended_is_over(desk: Desk, room: WaitingRoom) -> None:
    """Once the State is spent nothing can be brought in."""
    _opened(desk)
    assert desk.commit(CloseChallenge(QUESTION.handle, NOW)) is True
    assert room.waiting(CLIENTS, NOW) == []
    assert not room.bring(NONCE, "signed", NOW)


def test_a_contested_login_takes_no_answer(desk: Desk, room: WaitingRoom) -> None:
    """Of two logins as one person both are shown as contested, and neither takes an answer."""
    _opened(desk)
    other = replace(QUESTION, handle="b" * 32, login="1", ceremony=replace(CEREMONY, nonce=bytes(16)))
    assert desk.commit(OpenChallenge(other), ContestStations(1, NOW)) is True
    assert [one.contested for one in room.waiting(CLIENTS, NOW)] == [True, True]
    assert not room.bring(NONCE, "signed", NOW)
    assert not room.bring(bytes(16), "signed", NOW)
    assert _ceremony(desk).answer is None


def test_the_first_answer_stays(desk: Desk, room: WaitingRoom) -> None:
    """A second answer cannot take the place of the first, whichever station brings it."""
    _opened(desk)
    assert room.bring(NONCE, "signed", NOW)
    assert not room.bring(NONCE, "signed again", NOW)
    assert _ceremony(desk).answer == "signed"


def test_an_answer_for_one_login_is_not_given_to_another(desk: Desk, room: WaitingRoom) -> None:
    """An answer goes to the login whose nonce was signed, and to no other."""
    _opened(desk)
    assert not room.bring(bytes(16), "signed", NOW)
    assert _ceremony(desk).answer is None


# --- what is seen and taken ------------------------------------------------------------------------------------------


def test_a_waiting_login_is_seen_as_it_is(desk: Desk, room: WaitingRoom) -> None:
    """The station learns whose login waits where, for which credentials, and nothing that would let anybody in."""
    _opened(desk, replace(QUESTION, ceremony=replace(CEREMONY, user_verification=True)))
    expected = Waiting(NONCE, "alice", "vpn", "10619", NOW + 120, False, True, CREDENTIALS)
    assert room.waiting(CLIENTS, NOW) == [expected]
    assert QUESTION.handle not in repr(expected)


def test_the_login_that_ends_first_comes_first(desk: Desk, room: WaitingRoom) -> None:
    """Logins are served in the order in which they will run out."""
    for number, left in enumerate((90, 30, 60)):
        question = replace(QUESTION, handle=f"{number:032}", user_id=number, expires=NOW + left)
        _opened(desk, replace(question, ceremony=replace(CEREMONY, nonce=bytes([number]) * 16)))
    assert [one.expires - NOW for one in room.waiting(CLIENTS, NOW)] == [30, 60, 90]


@pytest.mark.parametrize("spoilt", [True, False], ids=["contested", "proved nothing"])
def test_a_flood_hides_nobody(desk: Desk, room: WaitingRoom, *, spoilt: bool) -> None:
    """However many logins are spoilt, or have no password behind them, a good one is in front of them all."""
    for number in range(50):
        begun = replace(CEREMONY, nonce=number.to_bytes(16), contested=spoilt)
        flood = replace(QUESTION, handle=f"{number:032}", user_id=2, expires=NOW + 1, ceremony=begun)
        desk.queue(OpenChallenge(replace(flood, password_passed=spoilt)))
    assert set(desk.write()) == {True}
    _opened(desk, replace(QUESTION, ceremony=replace(CEREMONY, nonce=b"\xff" * 16)))
    assert room.waiting(CLIENTS, NOW)[0].nonce == b"\xff" * 16


@pytest.mark.both_stores
def test_an_answer_is_handed_to_the_daemon(desk: Desk, room: WaitingRoom) -> None:
    """What was brought in is loaded with the challenge, and the login is not shown any more."""
    _opened(desk)
    assert _ceremony(desk) == CEREMONY
    assert room.bring(NONCE, "signed", NOW)
    assert _ceremony(desk) == replace(CEREMONY, answer="signed")
    assert room.waiting(CLIENTS, NOW) == []


@pytest.mark.both_stores
def test_a_station_says_that_it_is_alive(site: Site, room: WaitingRoom) -> None:
    """Each station has one row, the newest."""
    room.seen("lobby-1", NOW, "no key")
    room.seen("lobby-2", NOW, "blue key")
    room.seen("lobby-1", NOW + 30, "red key")
    assert site.sql("SELECT name, seen, device FROM stations ORDER BY name") == [
        ("lobby-1", NOW + 30, "red key"),
        ("lobby-2", NOW, "blue key"),
    ]


# --- a database in trouble -------------------------------------------------------------------------------------------


@pytest.mark.sqlite_only  # PostgreSQL has more than one writer, and a station's one row is in nobody's way
def test_a_locked_database_takes_nothing(site: Site, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody else writes for longer than a station waits, an answer is an error and never lost in silence."""
    monkeypatch.setattr(waiting, "_PATIENCE", 0.01)
    _opened(desk)
    with WaitingRoom(site.address) as room, closing(sqlite3.connect(site.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(room.waiting(CLIENTS, NOW)) == 1
        with pytest.raises(StoreUnavailableError, match="locked"):
            room.bring(NONCE, "signed", NOW)
        other.execute("ROLLBACK")
        assert room.bring(NONCE, "signed", NOW)


@pytest.mark.sqlite_only
def test_a_database_that_is_gone_or_replaced_is_an_error(desk: Desk, site: Site, room: WaitingRoom) -> None:
    """Nobody logs in at the old file any more, so looking there is an error and not an empty room."""
    _opened(desk)
    copy = site.path.with_name("copy.db")
    site.sql("VACUUM INTO ?", str(copy))
    site.path.rename(site.path.with_name("old.db"))
    with pytest.raises(StoreUnavailableError, match="replaced"):
        room.waiting(CLIENTS, NOW)
    copy.rename(site.path)
    with pytest.raises(StoreUnavailableError, match="replaced"):
        room.waiting(CLIENTS, NOW)


def test_no_database_is_made(tmp_path: Path) -> None:
    """A station never makes a database of its own, and never works with a strange one."""
    with pytest.raises(StoreUnavailableError), WaitingRoom(SqliteFile(tmp_path / "radiusd2fa.db")):
        pytest.fail("it was opened")
    assert not (tmp_path / "radiusd2fa.db").exists()
    (tmp_path / "strange.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="no SQLite database"), WaitingRoom(SqliteFile(tmp_path / "strange.db")):
        pytest.fail("it was opened")
