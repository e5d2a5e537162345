"""The station: what its screen says, which key it asks, and that nothing of it is left behind or believed.

The keys are emulated and plugged into pseudo-terminals, the store is a real one, and the daemon stands behind it with
all but its sockets: whether a touch was worth anything is seen by pressing Enter. WebAuthn 6.3.3 and 7.2.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa import station as station_module
from radiusd2fa import vault
from radiusd2fa.core.login import decide
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    Challenge,
    ChallengeKind,
    Event,
    KeyCeremony,
    Nas,
    OpenChallenge,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    Reject,
    Reply,
    Token,
    Verdict,
)
from radiusd2fa.core.nonce import NONCE_OCTETS
from radiusd2fa.core.rules import FACTORS, FidoRules, Rule, Rules, Station
from radiusd2fa.emulators.softkey import Button, Misbehaviour, SoftKey, Unplug, automatic
from radiusd2fa.factors import find_functions
from radiusd2fa.keys.model import FoundKey, Signed
from radiusd2fa.laptop.screen import Screen
from radiusd2fa.station import StationDesk
from radiusd2fa.store import waiting
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.database import Committed
from radiusd2fa.store.engine import Store
from radiusd2fa.store.keyring import Keyring
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.upgrade import create
from radiusd2fa.vault import Vault
from tests.laptop.laptop import AT_TERMINAL, Running
from tests.looking import look

from .conftest import Plug
from .scene import ORIGIN, RP_ID, asked, registered, to_sign

pytestmark = pytest.mark.usefixtures("nothing_left_behind")

PATIENCE: Final = 20.0
"""Seconds after which something that must come has not come."""
DESK: Final = "lobby-1"
PASSWORD: Final = b"hunter2"
FIND: Final = find_functions(FACTORS)
RULES: Final = Rules(
    rules=(Rule(name="all", factors=FACTORS),),
    fido=FidoRules(RP_ID, ORIGIN),
    stations=(Station(DESK, frozenset({"vpn"})),),
)
PASSED: Final = PrimaryAnswer(Verdict.PASSED)


@dataclass(slots=True)
class House:
    """The daemon without its sockets: people, their keys, and whoever asks to be let in."""

    database: Path
    vault: Vault
    store: Store

    def gives(self, user: str, serial: str, key: FoundKey) -> bytes:
        """Let the key register itself for somebody; return its credential's id."""
        credential = registered(key)
        with Keyring(SqliteFile(self.database), self.vault, "root") as keyring:
            keyring.add(user, Token(0, serial, "fido", 0, bytes(credential), digits=0), "", 1.0)
        return bytes(credential.credential_id)

    def asks(self, user: str, answer: bytes = b"", state: str | None = None) -> Reply:
        """One packet of a login at the VPN; what the daemon decides, once it is on the disk."""
        now, nonce = time.time(), os.urandom(NONCE_OCTETS)
        known = look(self.store, user, state, now=now)
        request = AccessRequest(nas=Nas("vpn"), user_name=user, password=answer, state=state)
        outcome = decide(request, replace(known, primary={PASSWORD: PASSED}), now, nonce, RULES, FIND)
        assert isinstance(outcome, Accept | Challenge | Reject)
        results: list[Committed] = []
        event = Event(time=now, name="access", login=nonce.hex(), nas="vpn", user=user)
        self.store.commit(outcome.effects, event, results.append)
        self.store.flush()
        assert results == [True]
        return outcome

    def begins(self, user: str) -> Challenge:
        """Begin a login; return the question."""
        outcome = self.asks(user, PASSWORD)
        assert isinstance(outcome, Challenge)
        return outcome

    def enters(self, user: str, question: Challenge) -> Reason:
        """Press Enter at that question; return why it ended as it did (OK: let in)."""
        outcome = self.asks(user, b"", question.state)
        assert (outcome.reason is Reason.OK) is isinstance(outcome, Accept)
        return outcome.reason


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house with alice and bob, who have no keys yet."""
    database, key = tmp_path / "radiusd2fa.db", vault.create(tmp_path / "vault.key")
    create(SqliteFile(database), key)
    with Registry(SqliteFile(database), key, "root") as registry:
        registry.add_user("alice", None, (), 1.0)
        registry.add_user("bob", None, (), 1.0)
    with closing(Store(SqliteFile(database), key, lambda _: None)) as store:
        yield House(database, key, store)


class Watched(Screen):
    """A screen whose lines are remembered, so that somebody can wait for one."""

    def __init__(self) -> None:
        super().__init__(None)
        self.lines: list[str] = []
        self._read = 0
        self._news = threading.Condition()

    def say(self, text: str) -> None:
        with self._news:
            self.lines.append(text)
            self._news.notify_all()

    def shows(self, text: str) -> str:
        """Wait for a new line with that text, and return it."""
        with self._news:
            found = self._news.wait_for(lambda: self._next(text) is not None, PATIENCE)
            assert found, f"{text!r} never came; the screen has {self.lines}"
            at = self._next(text)
            assert at is not None
            self._read = at + 1
            return self.lines[at]

    def _next(self, text: str) -> int | None:
        return next((at for at in range(self._read, len(self.lines)) if text in self.lines[at]), None)


@dataclass(slots=True)
class Desk:
    """A station at work in a thread, the keys that lie there, and its screen."""

    screen: Watched = field(default_factory=Watched)
    keys: list[FoundKey] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def at_work(house: House, *keys: FoundKey, clock: Callable[[], float] = time.time) -> Iterator[Desk]:
    """Run the station; it must end by itself when it is told to."""
    desk, faults = Desk(keys=list(keys)), []
    work = StationDesk(
        RULES.stations[0],
        FidoRules(RP_ID, ORIGIN),
        SqliteFile(house.database),
        lambda: list(desk.keys),
        desk.screen,
        clock,
    )

    def run() -> None:
        try:
            work.run(desk.stop)
        except BaseException as fault:  # noqa: BLE001 - shown by the assert below
            faults.append(fault)

    thread = threading.Thread(target=run, name="station")
    thread.start()
    try:
        yield desk
    finally:
        desk.stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert faults == []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station_module, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(station_module, "TRY_AGAIN", 0.02)


def _code_in(text: str) -> str:
    found = re.findall(r"[Cc]ode (\d{4})", text)
    assert len(found) == 1, text
    return str(found[0])


# --- what opens nothing ----------------------------------------------------------------------------------------------


def test_a_touch_while_nobody_waits_is_no_touch(house: House, plug: Plug) -> None:
    """While no login waits no key is asked, and the login that comes then wants a touch of its own."""
    button = Button()
    key = plug(SoftKey.make(touch=button))
    _given(house, "alice", "K1", key, button)
    with at_work(house, key) as desk:
        assert desk.screen.shows("waiting for a login") == "lobby-1: waiting for a login at vpn."
        assert not button.blinks.is_set()
        button.press()
        question = house.begins("alice")
        assert button.blinks.wait(PATIENCE)
        assert house.enters("alice", question) is Reason.STATION_NOT_TOUCHED


def test_the_key_of_somebody_else_is_not_asked(house: House, plug: Plug) -> None:
    """With another person's key at the station the login waits on, and that key is never asked for a touch."""
    button = Button()
    bobs, alices = plug(SoftKey.make(touch=button)), plug(SoftKey.make())
    _given(house, "bob", "K2", bobs, button)
    house.gives("alice", "K1", alices)
    with at_work(house, bobs) as desk:
        question = house.begins("alice")
        desk.screen.shows("alice logs in at vpn")
        desk.screen.shows("Another key is here: plug in your own")
        assert not button.blinks.is_set()
        again = house.asks("alice", b"", question.state)
        assert isinstance(again, Challenge)
        assert again.reason is Reason.STATION_NOT_TOUCHED
        desk.keys[:] = [alices]
        desk.screen.shows("Now press Enter at your prompt.")
        assert house.enters("alice", again) is Reason.OK


def test_a_second_login_ends_the_touch_of_the_first(house: House, plug: Plug) -> None:
    """When a second login as the same person appears, the key is let go, the screen says why, and neither gets in."""
    button = Button()
    key = plug(SoftKey.make(touch=button))
    credential = _given(house, "alice", "K1", key, button)
    with at_work(house, key) as desk:
        mine = house.begins("alice")
        assert button.blinks.wait(PATIENCE)
        theirs = house.begins("alice")
        assert "somebody else has your password" in desk.screen.shows("Two logins as alice at once")
        assert _can_be_asked(key, credential, button)
        assert house.enters("alice", mine) is Reason.STATION_CONTESTED
        assert house.enters("alice", theirs) is Reason.STATION_CONTESTED


def test_a_login_that_ends_lets_the_key_go(house: House, plug: Plug) -> None:
    """When the login ends during the touch, the key stops blinking at once and can be asked by somebody else."""
    button = Button()
    key = plug(SoftKey.make(touch=button))
    credential = _given(house, "alice", "K1", key, button)
    with at_work(house, key) as desk:
        question = house.begins("alice")
        assert button.blinks.wait(PATIENCE)
        _give_up(house, "alice", question)
        assert desk.screen.shows("The login of alice has ended.")
        assert _can_be_asked(key, credential, button)


def test_a_touch_that_comes_too_late_is_said_to_be_so(
    house: House, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever touches in the moment in which the login ends is not sent to press Enter."""
    monkeypatch.setattr(station_module, "LOOK_AGAIN", PATIENCE)  # it sees the end only when it brings in the touch
    button = Button()
    key = plug(SoftKey.make(touch=button))
    _given(house, "alice", "K1", key, button)
    question = house.begins("alice")
    with at_work(house, key) as desk:
        assert button.blinks.wait(PATIENCE)
        _give_up(house, "alice", question)
        button.press()
        desk.screen.shows("That login has ended meanwhile.")


@pytest.mark.parametrize("fault", [Misbehaviour(silent=True), Misbehaviour(never_touched=True)])
def test_a_key_that_says_nothing_holds_nobody_up(house: House, plug: Plug, fault: Misbehaviour) -> None:
    """A silent or untouched key keeps neither its login from ending nor the station from the next one."""
    soft = SoftKey.make()
    key, good = plug(soft), plug(SoftKey.make())
    house.gives("alice", "K1", key)
    house.gives("bob", "K2", good)
    soft.misbehaviour = fault
    with at_work(house, key) as desk:
        question = house.begins("alice")
        desk.screen.shows("alice logs in at vpn")
        _give_up(house, "alice", question)
        desk.keys[:] = [good]
        question = house.begins("bob")
        desk.screen.shows("bob logs in at vpn")
        desk.screen.shows("Now press Enter")
        assert house.enters("bob", question) is Reason.OK


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Misbehaviour(broken_signature=True), Reason.WRONG_KEY_RESPONSE),
        (Misbehaviour(wrong_rp_id_hash=True), Reason.WRONG_CLIENT_DATA),
        (Misbehaviour(no_user_presence=True), Reason.NO_USER_PRESENCE),
    ],
)
def test_a_key_that_signs_nonsense_lets_nobody_in(
    house: House, plug: Plug, fault: Misbehaviour, reason: Reason
) -> None:
    """What a broken or lying key has signed is brought in, and refused when Enter is pressed."""
    soft = SoftKey.make()
    key = plug(soft)
    house.gives("alice", "K1", key)
    soft.misbehaviour = fault
    with at_work(house, key) as desk:
        question = house.begins("alice")
        desk.screen.shows("Now press Enter")
        assert house.enters("alice", question) is reason


def test_what_is_shown_can_move_no_cursor(house: House) -> None:
    """A name that holds controls or turns text around is shown with escapes in their place."""
    with at_work(house) as desk:
        _open_for(house, "al\x1b[2Jice\n\u202eroot")
        line = desk.screen.shows("logs in at vpn")
        assert line.startswith(r"al\x1b[2Jice\n\u202eroot logs in at vpn. Code ")
        assert line.isprintable()
        _open_for(house, "bo\x9bb", 1)
        line = desk.screen.shows("Waiting: ")
        assert r"bo\x9bb at vpn (code " in line
        assert line.isprintable()


# --- what goes wrong around it ---------------------------------------------------------------------------------------


def test_a_key_can_be_taken_away_and_come_back(house: House, plug: Plug) -> None:
    """A key that is pulled out while it blinks signs nothing; plugged in again it is asked again."""
    soft = SoftKey.make()
    house.gives("alice", "K1", plug(soft))
    soft.misbehaviour, soft.touch = Misbehaviour(unplug=Unplug.WAITING), Button()
    with at_work(house, plug(soft)) as desk:
        question = house.begins("alice")
        desk.screen.shows("was taken away before it had answered")
        desk.keys.clear()
        desk.screen.shows("Plug in your key, or hold it here")
        soft.misbehaviour, soft.touch = Misbehaviour(), automatic
        desk.keys.append(plug(soft))
        desk.screen.shows("Now press Enter")
        assert house.enters("alice", question) is Reason.OK


def test_a_locked_database_is_waited_for(house: House, plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    """A touch that cannot be brought in counts for nothing, and is asked for again when the database answers."""
    monkeypatch.setattr(waiting, "_PATIENCE", 0.05)
    button = Button()
    key = plug(SoftKey.make(touch=button))
    _given(house, "alice", "K1", key, button)
    with at_work(house, key) as desk, closing(sqlite3.connect(house.database, isolation_level=None)) as other:
        question = house.begins("alice")
        assert button.blinks.wait(PATIENCE)
        other.execute("BEGIN IMMEDIATE")
        button.press()
        desk.screen.shows("the database does not answer")
        other.execute("ROLLBACK")
        again = house.asks("alice", b"", question.state)
        assert isinstance(again, Challenge)
        assert again.reason is Reason.STATION_NOT_TOUCHED
        assert button.blinks.wait(PATIENCE)
        button.press()
        desk.screen.shows("Now press Enter")
        assert house.enters("alice", again) is Reason.OK


def test_a_database_that_is_replaced_is_opened_anew(house: House, plug: Plug) -> None:
    """While the file is away the station says so; the one that comes in its place, as by a restore, is used."""
    key = plug(SoftKey.make())
    house.gives("alice", "K1", key)
    copy, database = house.database.with_name("copy.db"), house.database
    with at_work(house, key) as desk:
        desk.screen.shows("waiting for a login")
        with closing(sqlite3.connect(database)) as original:
            original.execute("VACUUM INTO ?", (str(copy),))
        house.store.close()
        for name in ("radiusd2fa.db-wal", "radiusd2fa.db-shm"):
            database.with_name(name).unlink(missing_ok=True)
        database.unlink()
        desk.screen.shows("the database does not answer")
        copy.rename(database)
        desk.screen.shows("waiting for a login")
        question = house.begins("alice")
        desk.screen.shows("Now press Enter")
        assert house.enters("alice", question) is Reason.OK


def test_stopping_ends_a_touch(house: House, plug: Plug) -> None:
    """A station that is stopped while a key blinks ends at once, turns nobody away, and the login goes on waiting."""
    button = Button()
    key = plug(SoftKey.make(touch=button))
    _given(house, "alice", "K1", key, button)
    question = house.begins("alice")
    with at_work(house, key) as desk:
        assert button.blinks.wait(PATIENCE)
    assert "turned away" not in " ".join(desk.screen.lines)
    button.blinks.clear()
    with at_work(house, key) as desk:
        assert button.blinks.wait(PATIENCE)
        button.press()
        desk.screen.shows("Now press Enter")
        assert house.enters("alice", question) is Reason.OK


# --- what opens ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("u2f_only", [False, True])
def test_the_right_touch_lets_in(house: House, plug: Plug, *, u2f_only: bool) -> None:
    """User, client and the code of the person's prompt are shown first; after the touch, Enter lets them in once."""
    button = Button()
    key = plug(SoftKey.make(touch=button, u2f_only=u2f_only))
    _given(house, "alice", "K1", key, button)
    with at_work(house, key) as desk:
        question = house.begins("alice")
        line = desk.screen.shows("alice logs in at vpn")
        assert _code_in(line) == _code_in(question.prompt)
        assert button.blinks.wait(PATIENCE)
        button.press()
        desk.screen.shows("Now press Enter at your prompt.")
        assert house.enters("alice", question) is Reason.OK
        assert house.enters("alice", question) is Reason.CHALLENGE_UNKNOWN
        desk.screen.shows("lobby-1: waiting for a login")


def test_two_people_are_served_in_turn(house: House, plug: Plug) -> None:
    """Two logins wait and both keys are there: each signs for its own login, and each person gets in."""
    keys = [plug(SoftKey.make()), plug(SoftKey.make())]
    house.gives("alice", "K1", keys[0])
    house.gives("bob", "K2", keys[1])
    questions = {user: house.begins(user) for user in ("alice", "bob")}
    with at_work(house, *keys) as desk:
        desk.screen.shows("alice logs in at vpn")
        desk.screen.shows("Now press Enter")
        desk.screen.shows("bob logs in at vpn")
        desk.screen.shows("Now press Enter")
        for user, question in questions.items():
            assert house.enters(user, question) is Reason.OK


def test_who_is_not_there_keeps_nobody_waiting(house: House, plug: Plug) -> None:
    """The login whose key is not there gives way to the one whose key is, and is served later."""
    keys = [plug(SoftKey.make()), plug(SoftKey.make())]
    house.gives("alice", "K1", keys[0])
    house.gives("bob", "K2", keys[1])
    questions = {user: house.begins(user) for user in ("alice", "bob")}
    with at_work(house, keys[1]) as desk:
        desk.screen.shows("bob logs in at vpn")
        desk.screen.shows("Now press Enter")
        assert house.enters("bob", questions["bob"]) is Reason.OK
        desk.keys[:] = [keys[0]]
        desk.screen.shows("Now press Enter")
        assert house.enters("alice", questions["alice"]) is Reason.OK


def test_who_comes_later_with_a_key_is_served_first(house: House, plug: Plug) -> None:
    """A login that waits alone for a key gives way when somebody else begins whose key is here."""
    keys = [plug(SoftKey.make()), plug(SoftKey.make())]
    house.gives("alice", "K1", keys[0])
    house.gives("bob", "K2", keys[1])
    house.begins("alice")
    with at_work(house, keys[1]) as desk:
        desk.screen.shows("Another key is here: plug in your own")
        question = house.begins("bob")
        desk.screen.shows("bob logs in at vpn")
        desk.screen.shows("Now press Enter")
        assert house.enters("bob", question) is Reason.OK


@pytest.mark.parametrize("strangers", [0, 1], ids=["no key", "a stranger's key"])
def test_a_crowd_is_shown_together(house: House, plug: Plug, strangers: int) -> None:
    """While several people wait and nobody's key is here, all are shown with their codes, but no more than fit."""
    for number, user in enumerate(("alice", "bob")):
        house.gives(user, f"K{number}", plug(SoftKey.make()))
    codes = {user: _code_in(house.begins(user).prompt) for user in ("alice", "bob")}
    with at_work(house, *(plug(SoftKey.make()) for _ in range(strangers))) as desk:
        line = desk.screen.shows("Waiting: ")
        assert line.startswith(f"Waiting: alice at vpn (code {codes['alice']}), bob at vpn (code {codes['bob']}). ")
        for number in range(8):
            _open_for(house, f"user{number}", 10 + number)
        line = desk.screen.shows(" and 4 more. ")
        assert line.count("(code ") == station_module.MOST_SHOWN


def test_it_says_that_it_is_alive(house: House, plug: Plug) -> None:
    """A station notes when it was last alive and what is plugged in, at its start and every half minute."""
    now = [1_000_000.0]
    key = replace(plug(SoftKey.make()), name="Blue key")
    with at_work(house, key, clock=lambda: now[0]) as desk:
        _until(lambda: _alive(house) == [(DESK, 1_000_000.0, "Blue key")])
        desk.keys.clear()
        now[0] += station_module.ALIVE_EVERY
        _until(lambda: _alive(house) == [(DESK, 1_000_030.0, "no key")])


def test_a_card_that_lies_on_the_reader_is_not_needed_now(house: House) -> None:
    """With no login waiting, a key that lies on an NFC reader is not opened, and its owner is told so."""
    with at_work(house, FoundKey("a reader", "a card", "nfc")) as desk:
        desk.screen.shows("The key on the reader is not needed: no login waits.")


# --- at a real terminal ----------------------------------------------------------------------------------------------


def test_at_a_terminal(house: House, plug: Plug, tmp_path: Path) -> None:
    """`radiusd2fa station` shows the login and a spinner; Enter turns it away, a touch serves the next, Ctrl-C ends."""
    button = Button()
    key = plug(SoftKey.make(touch=button))
    _given(house, "alice", "K1", key, button)
    with _station_at_terminal(tmp_path, key) as station:
        station.wait_for("lobby-1: waiting for a login at vpn.")
        question = house.begins("alice")
        line = station.wait_for("the same code.")
        assert f"alice logs in at vpn. Code {_code_in(question.prompt)}: " in line
        assert "\r\x1b[K" in station.wait_for(", or press Enter to give up: ")
        assert not station.echoes()
        assert button.blinks.wait(PATIENCE)
        station.type("\n")
        station.wait_for("The login of alice was turned away here.")
        assert "logs in" not in station.wait_for("lobby-1: waiting for a login at vpn.")
        again = house.asks("alice", b"", question.state)
        assert again.reason is Reason.STATION_NOT_TOUCHED
        assert isinstance(again, Challenge)
        _give_up(house, "alice", again)
        button.blinks.clear()
        question = house.begins("alice")
        station.wait_for(f"Code {_code_in(question.prompt)}")
        assert button.blinks.wait(PATIENCE)
        button.press()
        station.wait_for("Now press Enter at your prompt.")
        assert house.enters("alice", question) is Reason.OK
        station.wait_for("lobby-1: waiting for a login at vpn.")
        station.type("\x03")
        code, _, err = station.end()
        assert (code, err) == (0, "")
        assert station.is_as_before()


def test_ctrl_c_while_a_key_blinks(house: House, plug: Plug, tmp_path: Path) -> None:
    """Ctrl-C during a touch ends the station without a traceback and leaves the terminal as it was."""
    button = Button()
    key = plug(SoftKey.make(touch=button))
    _given(house, "alice", "K1", key, button)
    house.begins("alice")
    with _station_at_terminal(tmp_path, key) as station:
        station.wait_for(", or press Enter to give up: ")
        station.type("\x03")
        code, _, err = station.end()
        assert (code, err) == (0, "")
        assert station.is_as_before()


# --- scenery ---------------------------------------------------------------------------------------------------------


def _given(house: House, user: str, serial: str, key: FoundKey, button: Button) -> bytes:
    """Register a key that has to be touched."""
    with _touched_once(button):
        return house.gives(user, serial, key)


def _can_be_asked(key: FoundKey, credential: bytes, button: Button) -> bool:
    """Whether the key is free for others and signs for them."""
    with _touched_once(button):
        return isinstance(asked(key, to_sign(credential)), Signed)


@contextmanager
def _touched_once(button: Button) -> Iterator[None]:
    button.blinks.clear()

    def touch() -> None:
        assert button.blinks.wait(PATIENCE)
        button.press()

    hand = threading.Thread(target=touch)
    hand.start()
    yield
    hand.join()


def _give_up(house: House, user: str, question: Challenge) -> None:
    """Answer wrongly until the login has ended."""
    outcome: Reply = question
    while isinstance(outcome, Challenge):
        outcome = house.asks(user, b"no code", outcome.state)
    assert isinstance(outcome, Reject)


def _open_for(house: House, user: str, number: int = 0) -> None:
    """Put a waiting login into the store, past everything that would refuse such a name."""
    begun = KeyCeremony(bytes([number]) * 16, station=True, credentials=(b"nobody's",))
    until, handle, login = time.time() + 60 + number, f"{number:032}", f"{number:016}"
    question = PendingChallenge(handle, "vpn", user, number, ChallengeKind.CODE, True, login, until, 3, begun)
    house.store.commit((OpenChallenge(question),), Event(1.0, "test", login, "vpn", ""), lambda _: None)
    house.store.flush()


def _alive(house: House) -> list[tuple[str, float, str]]:
    with Keyring(SqliteFile(house.database), house.vault, "root") as keyring:
        return [(one.name, one.seen, one.device) for one in keyring.stations()]


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def _station_at_terminal(folder: Path, key: FoundKey) -> Iterator[Running]:
    """Run the real command at a terminal of its own."""
    config = folder / "radiusd2fa.yaml"
    config.touch(0o600)
    config.write_text(
        "listen: {udp: ['127.0.0.1:0']}\n"
        "store: sqlite:///radiusd2fa.db\n"
        "vault: {key_file: vault.key}\n"
        "clients: {vpn: {networks: [127.0.0.1], secret: 'sixteen octets!!'}}\n"
        f"fido: {{rp_id: {RP_ID}}}\n"
        f"stations: {{{DESK}: {{clients: [vpn], usb: {key.path}}}}}\n"
    )
    master, slave = os.openpty()
    command = [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(config), "station", DESK]
    process = subprocess.Popen(
        ["/bin/sh", "-c", AT_TERMINAL, os.ttyname(slave), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm"},
    )
    with Running(process, master, slave) as running:
        yield running
