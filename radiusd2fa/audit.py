"""The journal: lines are made by whoever has something to say; one thread takes them to standard error and syslog.

Never makes a login wait for a terminal, a pipe or a collector, never holds more than a bounded number of lines, and
never loses one without counting it; what must not be lost at all is the audit row, which the store commits.
No RFC speaks of this; the form of what leaves is in log.py and, for RFC 5424, in syslog.py.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import stat
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from radiusd2fa.core.model import Event
from radiusd2fa.log import Entry, Level, Note, line_writer, route
from radiusd2fa.settings import LogSettings, SyslogSettings
from radiusd2fa.syslog import News, Sender

QUEUE_LIMIT: Final = 10_000
LINGER: Final = 0.01
"""Seconds between two looks under load: nobody has to wake the thread, and it takes the interpreter away from whoever
answers packets a hundred times a second, not at each line. That is also why lines are made where they arise."""


class Outlet(Protocol):
    """A place where lines go. It never waits: `step` does what can be done now.

    `offer` may run on another thread than all the rest, and on one at a time.
    """

    name: str
    news: deque[News]
    """What the outlet has to say about itself."""

    @property
    def dropped(self) -> int:
        """Entries lost here, ever."""

    def offer(self, entry: Entry) -> None:
        """Render and keep an entry, or count it as dropped."""

    def step(self, now: float) -> None:
        """Write what can be written without waiting; ``now`` is monotonic seconds."""

    def interest(self) -> tuple[int, int] | None:
        """Name the descriptor and poll events that make the next step worthwhile."""

    def due(self) -> float | None:
        """Name the moment at which a step is worthwhile anyway."""

    def busy(self, now: float) -> bool:
        """Whether something waits here that may leave in a moment."""

    def flows(self) -> bool:
        """Whether lines leave, so that it can be told here what was lost."""

    def close(self) -> None:
        """Give up what still waits; count it as dropped."""


class Lines:
    """Standard error as an outlet. Asks before it writes, because the other end may be a pipe that nobody reads."""

    def __init__(self, settings: LogSettings, stream: TextIO, limit: int = QUEUE_LIMIT) -> None:
        self.name = "stderr"
        self._refused = 0
        self._gone = 0
        self.news: deque[News] = deque()
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._poll = select.poll()
        self._at_once = select.PIPE_BUF
        if self._descriptor is not None:
            self._poll.register(self._descriptor, select.POLLOUT)
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                self._at_once = 1 << 16
        self._limit = limit
        self._lines: deque[bytes] = deque()
        self._rest = b""
        """What is being written: whole lines, but for the first, which may have begun to leave."""
        self._retry_at = 0.0
        self._in_trouble = False
        self._render = line_writer(settings, self._keep, colours=stream.isatty())

    def _keep(self, line: str) -> None:
        self._lines.append(line.encode() + b"\n")

    @property
    def dropped(self) -> int:
        """Entries lost here, ever."""
        return self._refused + self._gone  # apart, because two threads count

    def offer(self, entry: Entry) -> None:
        """Render and keep an entry, or count it as dropped."""
        if len(self._lines) >= self._limit:
            self._refused += 1
        else:
            self._render(entry)

    def step(self, now: float) -> None:
        """Write as long as the other end takes it."""
        if now < self._retry_at:
            return
        self._retry_at = 0.0
        while self._rest or self._lines:
            if not self._rest:
                self._rest = self._next_block()
            try:
                if not self._writable():
                    return
                sent = self._write(self._rest[: self._at_once])
            except BlockingIOError:
                return
            except (OSError, ValueError) as error:  # the reader is gone, the disk is full, the owner has closed it
                self._give_up_block(error, now)
                return
            self._rest = self._rest[sent:]
            self._in_trouble = False

    def _give_up_block(self, error: OSError | ValueError, now: float) -> None:
        self._gone += self._rest.count(b"\n")
        self._rest = b""
        self._retry_at = now + 1.0
        if not self._in_trouble:
            self._in_trouble = True
            self.news.append((Level.WARNING, "stderr.down", {"error": error}))

    def _next_block(self) -> bytes:
        block = [self._lines.popleft()]
        size = len(block[0])
        while self._lines and size + len(self._lines[0]) <= self._at_once:
            block.append(self._lines.popleft())
            size += len(block[-1])
        return b"".join(block)

    def _writable(self) -> bool:
        # pipe(7): a pipe that polls as writable takes PIPE_BUF bytes without blocking; so does a socket on Linux. We do
        # not set O_NONBLOCK: the open file is shared with whoever started us
        return self._descriptor is None or bool(self._poll.poll(0))

    def _write(self, block: bytes) -> int:
        if self._descriptor is not None:
            return os.write(self._descriptor, block)
        self._stream.write(block.decode())
        self._stream.flush()
        return len(block)

    def interest(self) -> tuple[int, int] | None:
        """Wake up when the other end takes more."""
        if self._descriptor is None or self._retry_at or not self._waiting():
            return None
        return self._descriptor, select.POLLOUT

    def due(self) -> float | None:
        """After an error, look again a second later; a text in memory has nothing to wait for."""
        return self._retry_at if self._waiting() and (self._retry_at or self._descriptor is None) else None

    def busy(self, now: float) -> bool:
        """Whether something waits here that may leave in a moment."""
        return self._waiting() > 0 and now >= self._retry_at

    def flows(self) -> bool:
        """Whether lines leave, so that it can be told here what was lost."""
        return not self._in_trouble and self._waiting() <= self._limit // 2

    def _waiting(self) -> int:
        return len(self._lines) + self._rest.count(b"\n")

    def close(self) -> None:
        """Give up what still waits. The stream belongs to somebody else and stays open."""
        self._gone += self._waiting()
        self._lines.clear()
        self._rest = b""


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # a text in memory has none
        return None


class Journal:
    """Takes decisions and notes, from any thread, and brings them out.

    ``with Journal(settings.log, settings.syslog) as journal:`` is enough for a command that writes one event: leaving
    waits, for a bounded time, until it is written. While a journal is open, structlog and `logging` lead to it.
    """

    def __init__(
        self,
        log: LogSettings,
        syslog: SyslogSettings | None = None,
        stream: TextIO | None = None,
        *,
        limit: int = QUEUE_LIMIT,
    ) -> None:
        self._lock = threading.Lock()
        """Held while an entry is taken, which is a matter of microseconds: nobody waits for anything under it."""
        self._ended = False
        self._late = 0
        self._unwritable: Counter[str] = Counter()
        self._has_come = False
        self._sleeping = False
        self._deadline: float | None = None
        """When to give up, once closing."""
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._outlets: list[Outlet] = [Lines(log, sys.stderr if stream is None else stream, limit)]
        if syslog is not None:
            self._outlets.append(Sender(syslog, wake=self._ring, limit=limit))
        self._told = dict.fromkeys(self.dropped, 0)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()
        self._unroute = route(self.note, log.level)

    # from any thread, never waiting

    def record(self, event: Event) -> None:
        """Take one decision. Costs some microseconds; where too much waits already it is counted and dropped."""
        self._take(event)

    def note(self, level: Level | str, name: str, /, **fields: object) -> None:
        """Take an operational line. ``name`` is a constant; fields that are not in `log.SHOWN_FIELDS` show as ``***``.

        Give an exception as ``error`` when its kind says enough, as ``exception`` to show its way through the source.
        """
        self._take(Note(time.time(), Level(level), name, fields))

    @property
    def dropped(self) -> Mapping[str, int]:
        """Entries lost so far, by outlet; under ``late`` those that came after the end."""
        lost = {outlet.name: outlet.dropped + self._unwritable[outlet.name] for outlet in self._outlets}
        return {"late": self._late} | lost

    def _take(self, entry: Entry) -> None:
        with self._lock:
            if self._ended:
                self._late += 1
                return
            self._offer(entry, self._outlets)
        self._has_come = True
        if self._sleeping:
            self._ring()

    def _offer(self, entry: Entry, outlets: list[Outlet]) -> None:
        for outlet in outlets:
            try:
                outlet.offer(entry)
            except Exception as error:  # noqa: BLE001 - one line that cannot be written must not end all others
                self._unwritable[outlet.name] += 1
                if entry.name != "log.not_written":
                    outlet.news.append((Level.ERROR, "log.not_written", {"outlet": outlet.name, "exception": error}))

    def _ring(self) -> None:
        self._sleeping = False
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    # ending

    def close(self, timeout: float = 2.0) -> bool:
        """Bring out what leaves within ``timeout`` seconds, then end the thread. False: something was left behind."""
        self._unroute()
        with self._lock:
            self._ended = True
        lost = sum(self.dropped.values())
        self._deadline = time.monotonic() + timeout
        self._ring()
        # the thread keeps the deadline itself; only a terminal stopped in the middle of a write holds it longer
        self._thread.join(timeout + 0.5)
        return not self._thread.is_alive() and sum(self.dropped.values()) == lost

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # the thread

    def _run(self) -> None:
        while True:
            busy, self._has_come = self._has_come, False
            now = time.monotonic()
            for outlet in self._outlets:
                outlet.step(now)
            self._tell_news()
            if self._deadline is not None and (now >= self._deadline or not self._worth_waiting(now)):
                break
            self._pause(now, busy=busy)
        for outlet in self._outlets:
            outlet.close()
        with self._lock:
            os.close(self._bell)
            self._bell = -1

    def _tell_news(self) -> None:
        with self._lock:  # the room that is seen here is nobody else's meanwhile
            for outlet in self._outlets:
                others = [other for other in self._outlets if other is not outlet]
                while outlet.news:
                    level, name, fields = outlet.news.popleft()
                    # not to the outlet itself: its own trouble would keep it busy for ever
                    self._tell(Note(time.time(), level, name, fields), others)
            flowing = [outlet for outlet in self._outlets if outlet.flows()]
            for outlet in flowing:
                self._tell_lost(outlet.name, flowing)

    def _tell_lost(self, place: str, outlets: list[Outlet]) -> None:
        lost = self.dropped[place]
        new = lost - self._told[place]
        if new:
            self._told[place] = lost
            self._tell(Note(time.time(), Level.WARNING, "log.dropped", {"outlet": place, "count": new}), outlets)

    def _tell(self, note: Note, outlets: list[Outlet]) -> None:
        self._offer(note, outlets)
        self._has_come = True

    def _worth_waiting(self, now: float) -> bool:
        return any(outlet.busy(now) for outlet in self._outlets)

    def _pause(self, now: float, *, busy: bool) -> None:
        until = [due for outlet in self._outlets if (due := outlet.due()) is not None]
        if self._deadline is not None:
            until.append(self._deadline)
        if busy:
            until.append(now + LINGER)
        else:
            self._sleeping = True
            if self._has_come:  # before anybody could know that we sleep
                self._sleeping = False
                return
        wakers = select.poll()
        wakers.register(self._bell, select.POLLIN)
        for outlet in self._outlets:
            if interest := outlet.interest():
                wakers.register(*interest)
        wakers.poll(max(1, math.ceil((min(until) - now) * 1000)) if until else None)
        self._sleeping = False
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
