"""A person at a terminal: a command on a pseudo-terminal of its own, what it shows, and keys to press.

It never sleeps: it waits until a text is on the screen, and gives up after half a minute.
The two commands are put into a small program here, because the whole one has much more to load.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Self

import typer

from radiusd2fa.cli.fob import fob
from radiusd2fa.cli.login import login

app = typer.Typer()


@app.callback()
def root(ctx: typer.Context, config: Annotated[Path, typer.Option("-c", "--config")] = Path("radiusd2fa.yaml")) -> None:
    """The root of the command line, as far as these two commands know it."""
    ctx.obj = config


app.command()(login)
app.command()(fob)

PATIENCE: Final = 30.0

AT_A_TERMINAL: Final = """
import os, sys
# a session leader that opens a terminal has it as its own (/dev/tty) from then on
terminal = os.open(sys.argv[1], os.O_RDWR)
if sys.argv[2] == "attached":
    for stream in (0, 1, 2):
        os.dup2(terminal, stream)
sys.path.insert(0, sys.argv[3])
from terminal import app
app(sys.argv[4:])
"""


class Terminal:
    """One command at one terminal. Detached, its standard streams lead elsewhere and only /dev/tty is the terminal."""

    def __init__(self, *arguments: str, attached: bool = True) -> None:
        self._master, slave = pty.openpty()
        self._before = termios.tcgetattr(slave)
        name, here = os.ttyname(slave), str(Path(__file__).parent)
        self._slave = slave
        self._process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, name, "attached" if attached else "detached", here, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "90", "LINES": "30", "PYTHONUTF8": "1"},
        )
        self.screen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        os.close(self._master)
        os.close(self._slave)

    def wait_for(self, text: str) -> str:
        """Read until the text has appeared; gives back what came up to then, and forgets it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} never came; there was {self.screen!r}"
            self.screen += os.read(self._master, 4096).decode(errors="replace")
        seen, text, self.screen = self.screen.partition(text)
        return seen + text

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def echoes(self) -> bool:
        """Whether what is typed now can be seen."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit code, standard output and standard error (empty while attached)."""
        out, err = self._process.communicate(timeout=PATIENCE)
        while select.select([self._master], [], [], 0)[0]:
            self.screen += os.read(self._master, 4096).decode(errors="replace")
        return self._process.returncode, out.decode(), err.decode()

    def is_as_before(self) -> bool:
        """Whether the terminal works as it did before the command."""
        return termios.tcgetattr(self._slave) == self._before
