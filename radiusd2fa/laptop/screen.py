"""The person's terminal: what is shown there and what is typed there, wherever standard input and output lead.

It never reads standard input, never leaves a terminal without echo behind, and shows a foreign text only without what
could move the cursor or hide a word. POSIX.1-2017 11 (terminals) and readpassphrase(3), whose habits are kept.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_USUAL_WIDTH: Final = 80
_LOOK_AROUND: Final = 1.0
"""Seconds after which a waiting read looks whether its caller is still there."""


class Ended(BaseException):
    """A signal wants the program to end. No `Exception`: nothing on the way up may take it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def harmless(text: str) -> str:
    """Return a text that shows what it holds: controls, bidirectional marks and the like stand there as escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


class Terminal:
    """The controlling terminal. One question at a time, from the main thread only."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._parent = os.getppid()

    def show(self, octets: bytes) -> None:
        """Write as it is. A terminal that has gone away takes nothing, and that is no reason to fail."""
        with suppress(OSError):
            while octets:
                octets = octets[os.write(self.descriptor, octets) :]

    @contextmanager
    def asking(self, prompt: bytes, *, hidden: bool) -> Iterator[None]:
        """Show the prompt and, with ``hidden``, switch the echo off; put all back at the end, whatever ends it.

        What was typed before the prompt is thrown away, as readpassphrase(3) does. Ctrl-Z works, and the prompt comes
        again afterwards. A signal that ends programs is raised as `Ended`.
        """
        before = termios.tcgetattr(self.descriptor)
        during = [*before]
        if hidden:
            during[3] &= ~(termios.ECHO | termios.ECHONL)

        def begin() -> None:
            termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, during)
            self.show(prompt)

        def pause(_number: int, _frame: FrameType | None) -> None:
            termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, before)
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, pause)
            begin()

        def end(number: int, _frame: FrameType | None) -> None:
            raise Ended(number)

        wanted = dict.fromkeys(_ENDING, end) | {signal.SIGTSTP: pause}
        handlers = {number: kept for number in wanted if (kept := signal.getsignal(number)) != signal.SIG_IGN}
        try:
            for number in handlers:
                signal.signal(number, wanted[number])
            begin()
            yield
        finally:
            with suppress(termios.error):  # the terminal has gone away
                termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, before)
            for number, kept in handlers.items():
                signal.signal(number, kept)

    def forget_what_was_typed(self) -> None:
        """Throw away what was typed and not yet read, so that it answers no later question."""
        with suppress(termios.error):
            termios.tcflush(self.descriptor, termios.TCIFLUSH)

    def has_line(self, patience: float) -> bool:
        """Whether a line (or the end of input) can be read within so many seconds."""
        return bool(select.select([self.descriptor], [], [], patience)[0])

    def read_line(self) -> bytes | None:
        """Wait for a line; None at the end of input, or when the program that asks us has gone away."""
        line = b""
        while not line.endswith((b"\n", b"\r")):
            if not self.has_line(_LOOK_AROUND):
                if self.is_deserted():
                    return None
                continue
            try:
                read = os.read(self.descriptor, 4096)
            except OSError:  # the terminal has gone away, or is another program's now
                return None
            if not read:
                return line or None
            line += read
        return line.rstrip(b"\r\n")

    def is_deserted(self) -> bool:
        """Whether the program that started us has ended, so that the terminal belongs to somebody else."""
        return os.getppid() != self._parent

    def ask(self, prompt: bytes, *, hidden: bool) -> bytes | None:
        """Put a question; None when there is no answer."""
        with self.asking(prompt, hidden=hidden):
            line = self.read_line()
            if hidden:
                self.show(b"\n")  # the person's own line end was not echoed
            return line


def open_terminal() -> Terminal | None:
    """Return the terminal of this login session; None for a program without one (a desktop's, a job's)."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    return Terminal(descriptor)


class Screen:
    """Where the person reads what we say: the terminal, or standard error where there is none."""

    def __init__(self, terminal: Terminal | None) -> None:
        self.terminal = terminal

    def say(self, text: str) -> None:
        """Show one line. Foreign text in it must have gone through `harmless`."""
        if self.terminal:
            self.terminal.show(text.encode("utf-8", "backslashreplace") + b"\n")
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    @property
    def width(self) -> int:
        """Columns."""
        try:
            return (
                os.get_terminal_size(self.terminal.descriptor).columns or _USUAL_WIDTH
                if self.terminal
                else _USUAL_WIDTH
            )
        except OSError:
            return _USUAL_WIDTH

    @property
    def is_lively(self) -> bool:
        """Whether a line can be drawn again and again."""
        return self.terminal is not None and os.environ.get("TERM", "dumb") != "dumb"
