"""`radiusd2fa fob`: a key fob in the terminal, with a button (HOTP) or a running clock (TOTP).

It never talks to the daemon, and it never shows a code that is not yet kept in the fob's file.
What it shows are the codes of RFC 4226 and RFC 6238, computed by the soft fob.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:  # loaded inside the command, so that `--help` stays quick
    from rich.console import Console, RenderableType

    from radiusd2fa.emulators.softfob import SoftFob

DEFAULT_NAME: Final = "fob.json"
BUTTON: Final = b"\r\n "
LEAVE: Final = b"qQ\x04"
ESCAPE_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")
"""An arrow or function key: none of its letters is a key of its own."""
REDRAW_EVERY: Final = 0.25
"""Seconds between two pictures of a running clock."""

NextKeys = Callable[[float | None], bytes]
"""Wait for keys, at most so many seconds; nothing when none came, Ctrl-D when the terminal is gone."""


def fob(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The fob's file.", show_default=f"{DEFAULT_NAME} beside the configuration file"
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one code and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print it as JSON.")] = False,
) -> None:
    """Be a key fob: Enter is the button of an HOTP fob, a TOTP fob shows its code and how long it lasts; q leaves.

    Exit code: 0 done, 1 the press could not be kept, 2 wrong usage.
    """
    from rich.console import Console
    from rich.text import Text

    from radiusd2fa.emulators.softfob import FobError, SoftFob

    def complain(text: str, code: int) -> typer.Exit:
        Console(stderr=True).print(Text.assemble(("error: ", "red"), text), soft_wrap=True)
        return typer.Exit(code)

    path = file if file is not None else ctx.obj.parent / DEFAULT_NAME
    if as_json and not once:
        raise complain("--json goes with --once", 2)
    if not once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise complain("there is no terminal with a button to press: use --once", 2)
    try:
        device = SoftFob.load(path)
    except FobError as fault:
        raise complain(str(fault), 2) from None
    try:
        if once:
            typer.echo(_one_code(device, time.time(), as_json))
        else:
            # Ctrl-C is one way to put a fob away; in the middle of a press it costs one unseen code, like a real fob.
            with suppress(KeyboardInterrupt):
                _hold(device, Console(highlight=False))
    except FobError as fault:
        raise complain(str(fault), 1) from None


def _one_code(device: SoftFob, now: float, as_json: bool) -> str:
    code = device.press(now)
    if not as_json:
        return code
    shown: dict[str, str | int | float] = {"serial": device.serial, "kind": device.kind, "code": code}
    if device.kind == "hotp":
        return json.dumps(shown | {"counter": device.counter - 1})
    return json.dumps(shown | {"seconds_left": round(device.seconds_left(now), 3)})


# --- the device in a person's hand ---------------------------------------------------------------------------------


def _hold(device: SoftFob, console: Console) -> None:
    """Show the fob until the person puts it away."""
    from rich.live import Live

    code = ""
    with _keyboard() as next_keys, Live(console=console, auto_refresh=False) as live:
        while True:
            now = time.time()
            if device.kind == "totp":
                code = device.code(now)
            live.update(_picture(device, code, now, console), refresh=True)
            for key in next_keys(REDRAW_EVERY if device.kind == "totp" else None):
                if key in LEAVE:
                    return
                if key in BUTTON and device.kind == "hotp":
                    code = device.press(now)


@contextmanager
def _keyboard() -> Iterator[NextKeys]:
    """Keys from the terminal, unseen; its old ways come back at the end, however it ends."""
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)

    def next_keys(seconds: float | None) -> bytes:
        ready, _, _ = select.select([keys], [], [], seconds)
        return ESCAPE_SEQUENCE.sub(b"", os.read(keys, 256) or b"\x04") if ready else b""

    try:
        tty.setcbreak(keys)
        yield next_keys
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


# --- how it looks --------------------------------------------------------------------------------------------------

SEGMENTS: Final = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": ("  #", "  #", "  #", "  #", "  #"),
    "2": ("###", "  #", "###", "#  ", "###"),
    "3": ("###", "  #", "###", "  #", "###"),
    "4": ("# #", "# #", "###", "  #", "  #"),
    "5": ("###", "#  ", "###", "  #", "###"),
    "6": ("###", "#  ", "###", "# #", "###"),
    "7": ("###", "  #", "  #", "  #", "  #"),
    "8": ("###", "# #", "###", "# #", "###"),
    "9": ("###", "# #", "###", "  #", "###"),
    "-": ("   ", "   ", "###", "   ", "   "),
}
"""The digits of a liquid crystal display."""


def _picture(device: SoftFob, code: str, now: float, console: Console) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    rows = _big(code or "-" * device.digits, "##" if console.options.ascii_only else "██")
    if len(rows[0]) + 8 > console.width:
        rows = [_in_groups(code or "-" * device.digits)]
    width = max(len(rows[0]), 40)
    display = Text("\n".join(rows), style="bold bright_cyan" if code else "dim", justify="center", no_wrap=True)
    body: list[RenderableType] = [Text(), display, Text()]
    if device.kind == "totp":
        body += [_countdown(device.seconds_left(now), device.step, width), Text()]
    body.append(_hint(device, code))
    title = f"{device.serial} · {device.kind.upper()} {device.algorithm.upper().replace('SHA', 'SHA-')}"
    return Panel(Group(*body), title=Text(title), width=min(width + 8, console.width), padding=(0, 3))


def _hint(device: SoftFob, code: str) -> RenderableType:
    from rich.text import Text

    if device.kind == "totp":
        return Text.assemble((code, "bold"), ("   q: leave", "dim"), justify="center")
    shown = (code, "bold") if code else ("not pressed yet", "dim")
    counter = f"   counter {device.counter - 1}" if code else ""
    return Text.assemble(shown, (f"{counter}   Enter: button   q: leave", "dim"), justify="center")


def _countdown(left: float, step: int, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    style = "red" if left < 5 else "yellow" if left < 10 else "green"
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_row(
        ProgressBar(total=step, completed=left, width=width - 6, complete_style=style, finished_style=style),
        f"{math.ceil(left):3d} s",
    )
    return row


def _big(code: str, dot: str) -> list[str]:
    """The code in digits five lines high, with a wider gap in its middle."""
    middle = len(code) // 2
    return [
        "".join(
            (("    " if place == middle else "  ") if place else "")
            + SEGMENTS[digit][line].replace("#", dot).replace(" ", "  ")
            for place, digit in enumerate(code)
        )
        for line in range(5)
    ]


def _in_groups(code: str) -> str:
    """`755224` as `755 224`, the way people read it aloud."""
    return f"{code[: len(code) // 2]} {code[len(code) // 2 :]}"
