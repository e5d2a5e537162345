"""Shows records to people as a table, to programs as JSON. It never shows a secret, because no record holds one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from radiusd2fa.store.registry import UserRecord


def show_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


_LONGEST_WORD: Final = 24
"""Characters of what is never broken, as a serial or a moment; a name may be longer."""
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_GAP: Final = 3


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, nothing: str) -> None:
    """Print a table, or the sentence ``nothing`` when there are no rows."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from radiusd2fa.log import visible

    if not rows:
        typer.echo(nothing)
        return
    cells = [[visible(cell) for cell in row] for row in rows]
    table, least, most = Table(box=SIMPLE_HEAD, pad_edge=False), 0, 0
    for name, *column in zip(columns, *cells, strict=True):
        widest = max(map(len, column))
        whole = all(_MOMENT.fullmatch(cell) or " " not in cell for cell in column) and widest <= _LONGEST_WORD
        title = name.replace(" ", "\n") if whole and len(name) > widest else name
        table.add_column(title, no_wrap=whole, overflow="fold")
        words = [len(word) for text in (name, *(() if whole else column)) for word in text.split()]
        least += _GAP + max((*words, widest if whole else 0))
        most += _GAP + max(widest, len(name))
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console(highlight=False)
    # what somebody copies into the next command is never cut: rather a line goes on below; a program gets whole lines
    if not console.is_terminal or least > console.width:
        console.width = max(console.width, most)
    console.print(table)


def show_facts(facts: Mapping[str, str]) -> None:
    """Print one record, a line a fact."""
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def moment(seconds: float | None) -> str:
    """Return a time as people read it, in the local zone; a dash for never."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def user_state(record: UserRecord) -> str:
    """Return whether a person can log in now: enabled, disabled, or locked until when."""
    if not record.enabled:
        return "disabled"
    return f"locked until {moment(record.locked_until)}" if record.locked_until > time.time() else "enabled"
