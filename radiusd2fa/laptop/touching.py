"""Waiting for a key and for the person at once: a touch, a PIN, or a code that is typed in place of a touch.

What was typed for one question never answers another, and no key is left blinking: whoever types a code, or gives up,
ends the request. CTAP 2.1, 6.5 (PIN) and 11.2.9.1.5 (cancel) are behind what the person sees.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final

from radiusd2fa.keys.model import Answer, Failed, FailureReason, FoundKey
from radiusd2fa.laptop.screen import Screen, Terminal, harmless

SPINNER: Final = "|/-\\"
GIVE_UP: Final = "or press Enter to give up"
TURN: Final = 0.1
"""Seconds between two pictures of the spinner."""
LETTING_GO: Final = 3.0
"""Seconds that a cancelled request may take to end. It ends sooner; this is for a machine that stands still."""
_CLEAR: Final = "\r\x1b[K"


@dataclass(frozen=True, slots=True)
class Typed:
    """What the person has typed in place of touching a key."""

    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _State:
    text: str


@dataclass(frozen=True, slots=True)
class _PinWanted:
    prompt: str
    reply: SimpleQueue[str | None]


@dataclass(frozen=True, slots=True)
class _Done:
    answer: Answer | Exception


class Messenger:
    """The person, as the threads at the keys see them: what they say goes to the thread that has the terminal."""

    def __init__(self, *, may_ask: bool) -> None:
        self._may_ask = may_ask
        self._hung_up = Event()
        self._messages: SimpleQueue[_State | _PinWanted | _Done] = SimpleQueue()

    def touch(self, key: FoundKey) -> None:
        """Say that this key waits for a touch."""
        self.state(f"{'Waiting for' if key.transport == 'nfc' else 'Touch'} {harmless(key.name)}")

    def state(self, text: str) -> None:
        """Say what is being waited for."""
        self._messages.put(_State(text))

    def pin(self, key: FoundKey, tries_left: int | None) -> str | None:
        """Have the PIN of this key typed."""
        if not self._may_ask:
            return None
        left = "" if tries_left is None else f" ({tries_left} {'try' if tries_left == 1 else 'tries'} left)"
        reply: SimpleQueue[str | None] = SimpleQueue()
        self._messages.put(_PinWanted(f"PIN of {harmless(key.name)}{left}: ", reply))
        while not self._hung_up.is_set():
            with suppress(Empty):
                return reply.get(timeout=TURN)
        return None

    def hang_up(self) -> None:
        """Answer nobody any more."""
        self._hung_up.set()

    def done(self, answer: Answer | Exception) -> None:
        """Say that it is over."""
        self._messages.put(_Done(answer))

    def heard(self, patience: float) -> _State | _PinWanted | _Done | None:
        """Return the next message; None when none comes within so many seconds."""
        try:
            return self._messages.get(timeout=patience) if patience else self._messages.get_nowait()
        except Empty:
            return None


Work = Callable[[Messenger, Event], Answer]
"""Ask keys; says meanwhile what it waits for, and ends soon after the event is set."""


def touch_or_type(work: Work, screen: Screen, *, may_type: bool) -> Answer | Typed:
    """Run the work, show how it goes, and give back its answer, or the line that was typed first.

    An empty line gives the key up: `Failed(CANCELLED)`. Without a terminal nothing can be typed, no PIN either.
    """
    messenger, cancel = Messenger(may_ask=screen.terminal is not None), Event()

    def run() -> None:
        try:
            messenger.done(work(messenger, cancel))
        except Exception as fault:  # noqa: BLE001 - raised again by the thread that waits for it
            messenger.done(fault)

    thread = Thread(target=run, name="keys", daemon=True)
    line = _StatusLine(screen, "or type a code" if may_type else GIVE_UP)
    with screen.terminal.asking(b"", hidden=True) if screen.terminal else nullcontext():
        thread.start()
        try:
            return _conversation(messenger, screen.terminal, line, may_type=may_type)
        finally:
            line.hide()
            messenger.hang_up()
            cancel.set()
            thread.join(LETTING_GO)


def _conversation(
    messenger: Messenger, terminal: Terminal | None, line: _StatusLine, *, may_type: bool
) -> Answer | Typed:
    asked: _PinWanted | None = None
    while True:
        if terminal and terminal.has_line(TURN):
            typed = terminal.read_line()
            if asked:
                terminal.show(b"\n")
                asked.reply.put(_pin(typed))
                asked = None
            elif not typed:
                return Failed(FailureReason.CANCELLED, "No key was used.")
            elif may_type:
                return Typed(typed)
        match messenger.heard(0 if terminal else TURN):
            case _State(text):
                line.change(text)
            case _PinWanted() as asked:
                may_type = False  # a PIN may be typed too late, and must never be taken for a code
                line.hide()
                line.offer(GIVE_UP)
                if terminal:
                    terminal.forget_what_was_typed()
                    terminal.show(asked.prompt.encode())
            case _Done(answer):
                if isinstance(answer, Exception):
                    raise answer
                return answer
            case None if not asked:
                line.turn()
        if terminal and terminal.is_deserted():
            return Failed(FailureReason.CANCELLED, "The program that asked has ended.")


def _pin(typed: bytes | None) -> str | None:
    try:
        return typed.decode() if typed else None
    except UnicodeDecodeError:  # no PIN has such octets (CTAP 2.1, 6.5.1: UTF-8)
        return None


class _StatusLine:
    """The one line that says what is being waited for."""

    def __init__(self, screen: Screen, otherwise: str) -> None:
        self._screen = screen
        self._otherwise = otherwise if screen.terminal else ""
        self._text = ""
        self._pictures = itertools.cycle(SPINNER)

    def offer(self, otherwise: str) -> None:
        """Say from now on what else the person can do."""
        self._otherwise = otherwise if self._screen.terminal else ""

    def change(self, text: str) -> None:
        if text == self._text:
            return
        self._text = text
        if self._screen.is_lively:
            self.turn()
        else:
            self._screen.say(self._sentence())

    def turn(self) -> None:
        if self._text:
            self._draw(f"{_CLEAR}{next(self._pictures)} {self._sentence()}: ")

    def hide(self) -> None:
        self._draw(_CLEAR)

    def _sentence(self) -> str:
        return f"{self._text}, {self._otherwise}" if self._otherwise else self._text

    def _draw(self, text: str) -> None:
        terminal: Terminal | None = self._screen.terminal
        if terminal and self._screen.is_lively:
            terminal.show(text.encode("utf-8", "backslashreplace"))
