"""Shows records to people as a table, to programs as JSON. It never shows a secret, because no record holds one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from radiusd2fa.store.registry import UserRecord


def show_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


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
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console(highlight=False).print(table)


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
