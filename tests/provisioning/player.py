"""Plays the document: writes its files, gives its commands at a real terminal, types what it types, and looks.

Commands run on a host of the test's own, as the people that the document names. `systemctl` starts what it would start:
the real daemon, and the real rsyslogd; both are ended with the player. No RFC speaks here.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Final

import pexpect

from .document import Command, File, Step
from .host import PROGRAM, ROOT, SERVICE, Host
from .likeness import Likeness, UnlikeError
from .screen import seen

PATIENCE: Final = 20.0
WIDTH: Final = 120
_TYPED: Final = re.compile(r"«([^»]*)»")
_UNSEEN: Final = ("Password: «", "Repeat for confirmation: «")
_REFUSED: Final = ("error: ", "Refused", "No answer")
"""How the last words of a command begin that did not do what it was asked for."""
_SERVICES: Final = {
    "systemctl start radiusd2fa": (1812, SERVICE, (str(PROGRAM), "serve")),
    "systemctl restart rsyslog": (514, ROOT, ("rsyslogd", "-n", "-i", "NONE", "-f", "/etc/rsyslog.d/radiusd2fa.conf")),
}
"""What stands in for systemd: the UDP port that says that it is ready, as whom it runs, and what."""


@dataclass(slots=True)
class Player:
    """Somebody who follows the document."""

    host: Host
    folder: Path
    likeness: Likeness = field(default_factory=lambda: Likeness(_now(), _now()))
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def play(self, step: Step) -> None:
        """Do one thing, and fail where something else happens than what is shown."""
        try:
            match step:
                case File():
                    self._write(step)
                case Command() if step.words in _SERVICES:
                    self._start(*_SERVICES[step.words])
                case Command():
                    self._give(step)
        except (UnlikeError, AssertionError) as error:
            raise AssertionError(f"docs/provisioning.md, line {step.line}:\n{error}") from None

    def end(self) -> None:
        """End what was started."""
        for process in reversed(self._running):
            process.terminate()
        for process in reversed(self._running):
            process.wait(PATIENCE)

    def _write(self, file: File) -> None:
        before = self.host.read(file.path) if file.appended else ""
        mode = 0o755 if file.text.startswith("#!") else None
        self.host.write(file.path, before + file.text, mode)

    # --- commands ----------------------------------------------------------------------------------------------------

    def _give(self, command: Command) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            code, output = self._at_a_terminal(command)
            happened, self.likeness.now = seen(output), _now()
            try:
                self.likeness.compare(on_the_screen(command.shown), happened)
            except UnlikeError:
                # a log is written a moment after what it tells of
                if not command.words.startswith("grep ") or time.monotonic() > deadline:
                    raise
                continue
            refused = any(line.startswith(_REFUSED) for line in command.shown)
            assert (code != 0) == refused, f"it has ended with {code}"
            return

    def _at_a_terminal(self, command: Command) -> tuple[int | None, str]:
        umask = "" if command.who == ROOT else "umask 077; "
        words = self.host.command(command.who, "sh", "-c", umask + self.likeness.typed(command.words))
        child = pexpect.spawn(words[0], words[1:], timeout=PATIENCE, encoding="utf-8", dimensions=(60, WIDTH))
        child.delaybeforesend = None
        child.logfile_read = output = StringIO()
        try:
            for line in command.shown:
                if (typed := _TYPED.search(line)) is not None:
                    child.expect_exact(self.likeness.typed(line[: typed.start()]))
                    child.sendline(self.likeness.typed(typed[1]))
            child.expect(pexpect.EOF)
            child.wait()
        except (pexpect.EOF, pexpect.TIMEOUT):
            screen = "\n".join(seen(output.getvalue()))
            raise UnlikeError(f"it has ended, or asks something else than is shown:\n{screen}") from None
        else:
            return child.exitstatus, output.getvalue()
        finally:
            child.close(force=True)

    # --- services ----------------------------------------------------------------------------------------------------

    def _start(self, port: int, who: str, words: Sequence[str]) -> None:
        with (self.folder / f"{Path(words[0]).name}.log").open("ab") as log:
            process = subprocess.Popen(self.host.command(who, *words), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running.append(process)
        deadline = time.monotonic() + PATIENCE
        while not self.host.has_bound(port):
            assert process.poll() is None, f"{words[0]} has ended: {Path(log.name).read_text()}"
            assert time.monotonic() < deadline, f"{words[0]} never listened"
            time.sleep(0.01)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def on_the_screen(shown: Sequence[str]) -> list[str]:
    """Write the document's lines as a screen has them: marks are not on it, and neither is what is typed unseen."""
    return [line.partition("«")[0].rstrip() if line.startswith(_UNSEEN) else _TYPED.sub(r"\1", line) for line in shown]
