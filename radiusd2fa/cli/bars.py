"""A bar for each thing that takes time, on standard error, for whoever watches a terminal.

Where nobody watches it shows nothing at all. Answers to no RFC.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Bar = Callable[[str, int, int], None]
"""Hears what is being done, how far it is, and how far it goes."""


@contextmanager
def bars(*, quiet: bool = False) -> Iterator[Bar]:
    """Show bars while the block runs, and take them off the screen behind it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as shown:

        def show(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=of)
            shown.update(tasks[what], completed=done)

        yield show
