"""Waiting for a key and the person at once, with keys that are a few lines of a test: what was typed goes where.

A PIN never becomes a code and a code never becomes a PIN; whatever ends the waiting ends the request. CTAP 2.1, 6.5.
"""

from __future__ import annotations

import os
import pty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from radiusd2fa.keys.asking import Answer, Failed, FailureReason, FoundKey, Signed
from radiusd2fa.laptop.screen import Screen, Terminal
from radiusd2fa.laptop.touching import Messenger, Typed, touch_or_type

KEY = FoundKey("/dev/hidraw0", "Key \x1b[2J", "usb")
DONE = Signed(b"id", b"data", b"signature")


class Desk:
    """A terminal with a person at it."""

    def __init__(self, master: int, terminal: Terminal) -> None:
        self._master = master
        self.terminal = terminal
        self.screen = Screen(terminal)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read until the text is on the screen."""
        while text not in self.seen:
            self.seen += os.read(self._master, 4096).decode()
        self.seen = self.seen.partition(text)[2]

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._master, keys.encode())


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A terminal that can draw a line again and again."""
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    try:
        yield Desk(master, Terminal(slave))
    finally:
        os.close(master)
        os.close(slave)


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Let the person act while the waiting goes on."""
    thread = Thread(target=act, daemon=True)
    thread.start()
    yield
    thread.join()


@pytest.mark.usefixtures("nothing_left_behind")
def test_what_was_typed_ahead_is_no_pin(desk: Desk) -> None:
    """The beginning of a code, typed before the PIN was asked for, is thrown away: the PIN is what is typed then."""
    typed_ahead, pins = Event(), list[str | None]()

    def work(messenger: Messenger, cancel: Event) -> Answer:
        del cancel
        messenger.touch(KEY)
        assert typed_ahead.wait(30)
        pins.append(messenger.pin(KEY, 3))
        return DONE

    def act() -> None:
        desk.wait_for("or type a code")
        desk.type("123")
        typed_ahead.set()
        desk.wait_for("PIN of Key \\x1b[2J (3 tries left): ")
        desk.type("4711\n")

    with meanwhile(act):
        assert touch_or_type(work, desk.screen, may_type=True) == DONE
    assert pins == ["4711"]


@pytest.mark.usefixtures("nothing_left_behind")
@pytest.mark.parametrize(
    ("typed", "pin"), [("\n", None), ("\x04", None), ("p\N{LATIN SMALL LETTER A WITH DIAERESIS}n1\n", "p\xe4n1")]
)
def test_a_pin_is_what_was_typed_or_nothing(desk: Desk, typed: str, pin: str | None) -> None:
    """Nothing typed means that nobody wants to enter one; the last try is called by its name."""
    pins = list[str | None]()

    def work(messenger: Messenger, cancel: Event) -> Answer:
        del cancel
        pins.append(messenger.pin(KEY, 1))
        return DONE

    def act() -> None:
        desk.wait_for("(1 try left): ")
        desk.type(typed)

    with meanwhile(act):
        assert touch_or_type(work, desk.screen, may_type=True) == DONE
    assert pins == [pin]


@pytest.mark.usefixtures("nothing_left_behind")
def test_whoever_types_a_code_ends_the_request(desk: Desk) -> None:
    """The key is told to stop, and a PIN that it asks for too late gets no answer."""
    pins = list[str | None]()

    def work(messenger: Messenger, cancel: Event) -> Answer:
        messenger.touch(KEY)
        assert cancel.wait(30)
        pins.append(messenger.pin(KEY, None))
        return Failed(FailureReason.CANCELLED, "Cancelled.")

    def act() -> None:
        desk.wait_for("or type a code")
        desk.type("123456\n")

    with meanwhile(act):
        assert touch_or_type(work, desk.screen, may_type=True) == Typed(b"123456")
    assert pins == [None]


@pytest.mark.usefixtures("nothing_left_behind")
def test_after_the_pin_nothing_typed_is_a_code(desk: Desk) -> None:
    """What is typed then may be the PIN once more, and must never go to the server; Enter still gives the key up."""
    pins = list[str | None]()

    def work(messenger: Messenger, cancel: Event) -> Answer:
        pins.append(messenger.pin(KEY, None))
        messenger.touch(KEY)
        assert cancel.wait(30)
        return Failed(FailureReason.CANCELLED, "Cancelled.")

    def act() -> None:
        desk.wait_for("PIN of Key \\x1b[2J: ")
        desk.type("4711\n")
        desk.wait_for("or press Enter to give up")
        desk.type("4711\n")
        for _ in range(3):  # it was read, and nothing has come of it
            desk.wait_for("or press Enter to give up")
        desk.type("\n")

    with meanwhile(act):
        assert touch_or_type(work, desk.screen, may_type=True) == Failed(FailureReason.CANCELLED, "No key was used.")
    assert pins == ["4711"]


@pytest.mark.usefixtures("nothing_left_behind")
@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_of_ours_is_raised_where_it_is_seen(desk: Desk, terminal: bool) -> None:
    """It does not hang, and it is no answer of a key."""

    def work(messenger: Messenger, cancel: Event) -> Answer:
        del messenger, cancel
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        touch_or_type(work, desk.screen if terminal else Screen(None), may_type=True)


@pytest.mark.usefixtures("nothing_left_behind")
def test_without_a_terminal_no_pin_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """What is waited for is said once, on standard error."""
    pins = list[str | None]()

    def work(messenger: Messenger, cancel: Event) -> Answer:
        del cancel
        messenger.touch(KEY)
        messenger.touch(KEY)
        pins.append(messenger.pin(KEY, 3))
        return DONE

    assert touch_or_type(work, Screen(None), may_type=True) == DONE
    assert pins == [None]
    assert capsys.readouterr() == ("", "Touch Key \\x1b[2J\n")


@pytest.mark.usefixtures("nothing_left_behind")
def test_nobody_asks_any_more_where_the_caller_has_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key blinks for nobody then: the request ends."""
    cancelled = Event()

    def work(messenger: Messenger, cancel: Event) -> Answer:
        messenger.touch(KEY)
        if cancel.wait(30):
            cancelled.set()
        return DONE

    monkeypatch.setattr(os, "getppid", lambda: 1)
    result = touch_or_type(work, desk.screen, may_type=True)
    assert isinstance(result, Failed)
    assert result.reason is FailureReason.CANCELLED
    assert cancelled.is_set()
