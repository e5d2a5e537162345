"""Shows a report on a terminal: its figures, then each table, with bars where people would rather look than read.

It fits 80 characters, needs no colours, and shows the first rows of a long table; `--json` and `--csv` show all. What
people have typed cannot deceive here: what does not print is written out. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final

from radiusd2fa.log import visible
from radiusd2fa.reports.report import Cell, Column, Figure, Report, Shown, Table, share

if TYPE_CHECKING:
    from rich.console import Console

MOST_ROWS: Final = 10
_WIDE: Final = 120
"""From so many characters on, what is aside is shown too."""
_LONGEST_BAR: Final = 40
_SHORTEST_BAR: Final = 8
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_NUMBERS: Final = frozenset({Shown.COUNT, Shown.SHARE})
_GAP: Final = 2
_NARROW: Final = (16, 8)
_LONGEST_WORD: Final = 24
"""Characters of what is never broken."""
"""How narrow texts become, the longest first; those that are short already only when that was not enough."""


def show_report(report: Report, zone: tzinfo | None) -> None:
    """Print a report for people; times are those of the zone, None is the system's."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(heading(report, zone), style="bold"))
    console.print()
    _show_figures(console, report.figures)
    for table in report.tables:
        console.print()
        console.print(Text(table.title, style="bold"))
        if table.rows:
            _show_table(console, table, zone)
        else:
            console.print(Text(f"  {table.nothing}", style="dim"))


def heading(report: Report, zone: tzinfo | None) -> str:
    """Return the line above a report: what it is about, of when, and since when."""
    who = f" of group {visible(report.about)}" if report.about else ""
    period = "" if report.since is None else f", since {day(report.since, zone)}"
    return f"{report.title}{who}: {moment(report.made, zone)}{period}"


def moment(seconds: float, zone: tzinfo | None) -> str:
    """Return a time as people read it."""
    return _local(seconds, zone).strftime("%Y-%m-%d %H:%M")


def moment_for_programs(seconds: float) -> str:
    """Return a time as a spreadsheet reads it (ISO 8601, UTC)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(seconds: float, zone: tzinfo | None) -> str:
    """Return the date of a time."""
    return _local(seconds, zone).date().isoformat()


def _local(seconds: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone)


def written(cell: Cell, shown: Shown, zone: tzinfo | None) -> str:
    """Return a value as people read it; a dash for none."""
    match cell:
        case None | "":
            return "-"
        case bool():
            return "yes" if cell else "no"
        case str():
            return visible(cell.replace("_", " ") if shown is Shown.WORD else cell)
    match shown:
        case Shown.SHARE:
            return f"{cell:.1%}"
        case Shown.DATE:
            return day(cell, zone)
        case Shown.MOMENT:
            return moment(cell, zone)
    return f"{cell:,}"


def left_out(table: Table, shown: int) -> str:
    """Say what is not shown of a table; nothing where all of it is."""
    missing = len(table.rows) - shown
    if not table.whole:
        return f"and more: these are the first {shown:,}"
    return f"and {missing:,} more" if missing else ""


def _show_figures(console: Console, figures: Sequence[Figure]) -> None:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for one in figures:
        part = "" if one.of is None else written(share(one.value, one.of), Shown.SHARE, None)
        grid.add_row(Text(f"{one.value:,}"), Text(part), Text(one.title))
    console.print(grid)


def _show_table(console: Console, table: Table, zone: tzinfo | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    kept = [at for at, column in enumerate(table.columns) if not column.aside or console.width >= _WIDE]
    columns = [table.columns[at] for at in kept]
    rows = table.rows if table.bars else table.rows[:MOST_ROWS]
    encoding = console.encoding
    lines = [[_sayable(written(row[at], table.columns[at].shown, zone), encoding) for at in kept] for row in rows]
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    widths = _widths(columns, lines, console.width - 2 - (_LONGEST_BAR // 2 if table.bars else 0))
    for column, width in zip(columns, widths, strict=True):
        grid.add_column(
            column.title, justify="right" if column.shown in _NUMBERS else "left", width=width, overflow="fold"
        )
    if table.bars:
        grid.add_column("", no_wrap=True)
        room = console.width - 2 - sum(width + _GAP for width in widths)
        lines = [[*line, bar] for line, bar in zip(lines, _bars(console, table, room), strict=True)]
    for line in lines:
        grid.add_row(*map(Text, line))
    console.print(grid)
    more = left_out(table, len(rows))
    if more:
        console.print(Text(f"  {more}; --json and --csv show all there is", style="dim"))


def _sayable(text: str, encoding: str) -> str:
    """Return the text with what this terminal cannot show written out."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _widths(columns: Sequence[Column], lines: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return how wide each column is, so that all fit: titles are broken first, then the longest texts."""
    from rich.cells import cell_len

    cells = [max(cell_len(line[at]) for line in lines) for at in range(len(columns))]
    room -= _GAP * len(columns)
    widths = [max(cell_len(one.title), width) for one, width in zip(columns, cells, strict=True)]
    if sum(widths) <= room:
        return widths
    widths = [max(*map(cell_len, one.title.split()), width) for one, width in zip(columns, cells, strict=True)]
    # a serial or a moment is no use in two halves: rather a line is longer than the terminal
    words = [
        max((cell_len(word) for line in lines for word in line[at].split()), default=0) for at in range(len(cells))
    ]
    longest_first = sorted(range(len(columns)), key=lambda at: -cells[at])
    for least in _NARROW:
        for at in longest_first:
            if columns[at].shown is Shown.TEXT and widths[at] > least:
                whole = min(words[at], _LONGEST_WORD)
                widths[at] = max(widths[at] - max(sum(widths) - room, 0), least, min(whole, widths[at]))
    for at, column in enumerate(columns):  # no title is broken for more than the room that it lacks
        widths[at] += max(min(room - sum(widths), cell_len(column.title) - widths[at]), 0)
    return widths


def _bars(console: Console, table: Table, room: int) -> list[str]:
    """Return a bar for each row, in what is left of the line."""
    length = max(min(room, _LONGEST_BAR), _SHORTEST_BAR)
    counts = counts_of(table)
    plain = not console.encoding.lower().startswith("utf")
    return [_bar(count, max(counts), length, plain=plain) for count in counts]


def counts_of(table: Table) -> list[int]:
    """Return what the bars of a table stand for."""
    at = next(at for at, column in enumerate(table.columns) if column.name == table.bars)
    counts = [row[at] for row in table.rows]
    return [count for count in counts if isinstance(count, int)]


def _bar(count: int, most: int, room: int, *, plain: bool) -> str:
    """Return a bar that is never too short to be seen, unless there is nothing to see."""
    eighths = max(round(count * room * 8 / most), 1) if count else 0
    if plain:
        return "#" * max((eighths + 4) // 8, 1 if count else 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
