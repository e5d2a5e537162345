"""One daemon among several that share each address, as their parent sees it: its process, its sockets, how it fares.

It knows nothing of the others and waits for nothing. fork(2) and prctl(2) for its start; no RFC speaks of this.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Sequence
from typing import Final

from radiusd2fa import systemd
from radiusd2fa.listeners.binding import bind

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
"""Those that the parent obeys, and its children are not to."""
SETTLED: Final = 60.0
"""Seconds between two ends of a worker that leave it trusted to be started again at once."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_PR_SET_PDEATHSIG: Final = 1


class Worker:
    """One daemon among several, and what is known of it."""

    def __init__(self, number: int, sockets: list[socket.socket]) -> None:
        self.number = number
        self.sockets = sockets
        self.pid = 0
        """0: none runs."""
        self.is_ready = False
        self.is_reloading = False
        self.heard = 0.0
        """When it last said that it lives."""
        self.begin_at: float | None = None
        self.ended = ""
        """How the last one has ended."""
        self._addresses = [one.getsockname()[:2] for one in sockets]
        self._ended_at = -SETTLED
        self._pause = 0.0

    def wait_for_its_turn(self, now: float) -> float:
        """It has ended: say after how many seconds it begins again. The first time at once, for packets wait for it."""
        since, self._ended_at = now - self._ended_at, now
        longer = min(max(_FIRST_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        self._pause = 0.0 if since >= SETTLED + self._pause else longer
        self.begin_at = now + self._pause
        return self._pause

    def let_others_answer(self) -> None:
        """Close the sockets: the kernel then gives this worker's senders to the others."""
        for one in self.sockets:
            one.close()
        self.sockets = []

    def bind_again(self) -> None:
        """Join the other workers' addresses; OSError when that cannot be."""
        if not self.sockets:
            self.sockets = [bind(host, port, group=True) for host, port in self._addresses]

    def start(self, command: Sequence[str], notices: bytes, watchdog: float) -> None:
        """Start its process, which tells the abstract socket ``notices`` of itself within ``watchdog`` seconds."""
        self.begin_at = None
        self.is_ready = self.is_reloading = False
        self.heard = time.monotonic()
        arguments = [*command, "--worker", str(self.number), *(["--after", self.ended] if self.ended else [])]
        told = {"NOTIFY_SOCKET": "@" + notices[1:].decode(), "WATCHDOG_USEC": str(round(watchdog * 1e6))}
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the child must not answer with our handlers
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become(arguments, told, parent)
            finally:
                os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _become(self, arguments: list[str], told: dict[str, str], parent: int) -> None:
        """In the child: end with the parent, and be in no group with it, so that Ctrl-C reaches the parent alone."""
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            return
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS - {signal.SIGHUP})  # that one waits until it is ready
        left = systemd.leave_sockets([("", one.fileno()) for one in self.sockets])
        os.execve(arguments[0], arguments, {**os.environ, **left, **told})  # noqa: S606 - no shell is wanted
