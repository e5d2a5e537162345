"""The parent of several daemons that share each address: starts them, and again, and speaks to systemd for them.

It reads no configuration and holds no secret: `serve` becomes this program, with nothing but the sockets. No worker
knows of it; to each it looks like systemd. sd_notify(3), sd_listen_fds(3), prctl(2); no RFC speaks of this.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from radiusd2fa import handover, systemd
from radiusd2fa.worker import SIGNALS, Worker

_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_CREDENTIALS: Final = struct.Struct("3i")

_USUAL_WATCHDOG: Final = 30.0


class Supervisor:
    """Everything happens in ``run``, on one thread, and nothing there waits for one worker."""

    def __init__(self, command: Sequence[str]) -> None:
        """``command`` starts a daemon; the sockets are those that ``systemd.leave_sockets`` has left, by worker."""
        self._command = command
        hands: dict[int, list[socket.socket]] = {}
        named: dict[str, socket.socket] = {}
        for name, one in systemd.take_sockets():
            if name.isdecimal():
                hands.setdefault(int(name), []).append(one)
            else:
                named[name] = one
        self._workers = [Worker(number, hand) for number, hand in sorted(hands.items())]
        self._control = named.get(handover.CONTROL)
        self._predecessor = named.get(handover.PREDECESSOR)
        self._asking: socket.socket | None = None
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._notices.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._notices.bind("")  # the kernel chooses an abstract name
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._watchdog = systemd.watchdog_period() or _USUAL_WATCHDOG
        self._told_alive = 0.0
        self._told_ready = False
        self._is_ending = False
        self._status = ""
        self._exit = 0

    # --- the loop -----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until asked to end; the exit code."""
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno())
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self._selector.register(self._woken, selectors.EVENT_READ, self._obey)
        self._selector.register(self._notices, selectors.EVENT_READ, self._hear_workers)
        if self._control is not None:
            self._selector.register(self._control, selectors.EVENT_READ, self._hand_out)
        for worker in self._workers:
            self._begin(worker)
        while not self._is_ending or any(worker.pid for worker in self._workers):
            for key, _ in self._selector.select(self._until_next()):
                key.data()
            self._look_at_the_clock(time.monotonic())
        return self._exit

    def _until_next(self) -> float:
        now = time.monotonic()
        starts = [worker.begin_at - now for worker in self._workers if worker.begin_at is not None]
        return max(0.0, min([self._watchdog / 2, *starts]))

    def _look_at_the_clock(self, now: float) -> None:
        for worker in self._workers:
            if worker.begin_at is not None and now >= worker.begin_at and not self._is_ending:
                self._begin(worker)
            elif worker.pid and now > worker.heard + (self._watchdog if worker.is_ready else _USUAL_WATCHDOG):
                os.kill(worker.pid, signal.SIGKILL)  # its loop no longer turns
        if self._told_ready and now >= self._told_alive + self._watchdog / 2:
            self._told_alive = now
            systemd.tell("WATCHDOG=1")

    def _obey(self) -> None:
        for number in self._woken.recv(64):
            if number == signal.SIGCHLD:
                self._bury()
            elif number == signal.SIGHUP:
                self._reload()
            elif number in _ENDING:
                self._end()

    # --- one worker ---------------------------------------------------------------------------------------------------

    def _begin(self, worker: Worker) -> None:
        try:
            worker.bind_again()
        except OSError as error:
            self._begin_later(worker, f"no socket: {error.strerror}")
            return
        worker.start(self._command, self._notices.getsockname(), self._watchdog)

    def _bury(self) -> None:
        for worker in self._workers:
            if worker.pid:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    self._has_ended(worker, os.waitstatus_to_exitcode(status))

    def _has_ended(self, worker: Worker, code: int) -> None:
        worker.pid = 0
        worker.is_ready = worker.is_reloading = False
        if self._is_ending:
            self._exit = self._exit or (code and 1)
        elif not self._told_ready:  # it cannot be started as it is configured, and has said why
            self._exit = code if code > 0 else 1
            self._end()
        else:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            worker.ended = f"worker {worker.number} {how}"
            self._begin_later(worker, worker.ended)
            self._tell_reloaded()

    def _begin_later(self, worker: Worker, why: str) -> None:
        """Start it again: at once, for packets wait in its sockets; one that does not live must not hold them."""
        pause = worker.wait_for_its_turn(time.monotonic())
        if pause:
            worker.let_others_answer()
            sys.stderr.write(f"radiusd2fa: {why}; the others answer, and it begins again in {pause:g} s\n")

    def _hear_workers(self) -> None:
        with suppress(BlockingIOError):
            while True:
                said, ancillary, _, _ = self._notices.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
                for _, _, credentials in ancillary:
                    pid, _, _ = _CREDENTIALS.unpack(credentials)
                    for worker in self._workers:
                        if worker.pid == pid:
                            self._hear(worker, said.decode(errors="replace").split("\n"))

    def _hear(self, worker: Worker, said: Sequence[str]) -> None:
        worker.heard = time.monotonic()
        for line in said:
            if line.startswith("STATUS="):
                self._status = line
        if "READY=1" in said:
            worker.is_ready, worker.is_reloading = True, False
            if self._told_ready:
                self._tell_reloaded()
            elif all(one.is_ready for one in self._workers):
                self._all_are_ready()

    # --- all of them --------------------------------------------------------------------------------------------------

    def _all_are_ready(self) -> None:
        self._told_ready = True
        if self._predecessor is not None:
            handover.say_ready(self._predecessor)
            self._predecessor = None
        systemd.tell("READY=1")

    def _running(self) -> Iterator[Worker]:
        return (worker for worker in self._workers if worker.pid)

    def _reload(self) -> None:
        if not self._is_ending:
            systemd.tell(systemd.reloading())
            for worker in self._running():
                worker.is_reloading = True
                os.kill(worker.pid, signal.SIGHUP)

    def _tell_reloaded(self) -> None:
        if self._status and not any(worker.is_reloading for worker in self._running()):
            systemd.tell(f"READY=1\n{self._status}")
            self._status = ""

    def _end(self) -> None:
        """Let all finish what is in work; asked once more, none of them waits for that."""
        if not self._is_ending:
            self._is_ending = True
            systemd.tell("STOPPING=1")
            for asked in (self._control, self._asking):
                if asked is not None:
                    self._selector.unregister(asked)
                    asked.close()
        for worker in self._running():
            os.kill(worker.pid, signal.SIGTERM)

    # --- the next daemon ----------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        assert self._control is not None  # noqa: S101 - for the type checker
        asking = handover.give(self._control, [one.fileno() for worker in self._workers for one in worker.sockets])
        if asking is not None:
            self._forget_asking()
            self._asking = asking
            self._selector.register(asking, selectors.EVENT_READ, self._hear_from_asking)

    def _hear_from_asking(self) -> None:
        if self._asking is not None and handover.is_ready(self._asking):
            self._end()
        else:
            self._forget_asking()

    def _forget_asking(self) -> None:
        if self._asking is not None:
            self._selector.unregister(self._asking)
            self._asking.close()
            self._asking = None


def become(config: Path, hands: Sequence[Sequence[int]], others: Sequence[tuple[str, int]]) -> None:
    """Turn this process into the supervisor of one worker for each hand of sockets; never returns."""
    named = [(str(number), descriptor) for number, hand in enumerate(hands, 1) for descriptor in hand]
    left = systemd.leave_sockets([*named, *others])
    # -P: nothing is imported from the folder that the daemon may write
    arguments = [sys.executable, "-P", "-m", "radiusd2fa.supervisor", str(config)]
    os.execve(sys.executable, arguments, {**os.environ, **left})  # noqa: S606 - no shell is wanted


def main() -> None:
    """Supervise the daemons of the configuration that is named."""
    (config,) = sys.argv[1:]
    command = [sys.executable, "-P", "-m", "radiusd2fa.cli.app", "--config", config, "serve"]
    sys.exit(Supervisor(command).run())


if __name__ == "__main__":
    main()
