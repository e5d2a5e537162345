"""What a report is made of, whoever shows it: a few figures, and tables with a word for what each column holds.

It draws nothing and cuts nothing short: a terminal, a page, JSON and a spreadsheet each take what they can show. The
names of figures, tables and columns are for programs, and stay as they are. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from radiusd2fa.core.record import record

Cell = str | int | float | bool | None

TOTALS: Final = "totals"
"""What the figures are called where they stand beside the tables."""


class Shown(StrEnum):
    """How a value is to be read."""

    TEXT = "text"
    """As it is: names, serials, the words of the audit."""
    WORD = "word"
    """A word of ours for programs; people read it with spaces in the place of underscores."""
    COUNT = "count"
    SHARE = "share"
    """0 to 1; None where there is nothing to have a share of."""
    DATE = "date"
    """Seconds since 1970, of which the day matters."""
    MOMENT = "moment"
    """Seconds since 1970."""
    YES_NO = "yes_no"


@record
class Column:
    """One column of a table."""

    name: str
    title: str
    shown: Shown = Shown.TEXT
    aside: bool = False
    """Whether it is left out where a line has room for 80 characters only."""


@record
class Table:
    """Rows of one kind. The first column says what a row is about."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    nothing: str
    """The sentence for no rows."""
    bars: str = ""
    """The column with the counts that people would rather see as bars."""
    in_time: bool = False
    """Whether the rows follow one another in time."""
    whole: bool = True
    """Whether every row is here; False: only the newest, or those with the most."""


@record
class Figure:
    """One number that matters by itself."""

    name: str
    title: str
    value: int
    of: int | None = None
    """The whole that it is a part of."""


@record
class Report:
    """One report. ``since`` is where the period begins, for those that look back; it ends when it was ``made``."""

    name: str
    title: str
    made: float
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    since: float | None = None
    about: str = ""
    """The group that it is about; "": everybody."""

    def figure(self, name: str) -> Figure:
        """Return one of its figures."""
        return next(one for one in self.figures if one.name == name)


def share(part: int, whole: int) -> float | None:
    """Return the part as a share of the whole; None where there is no whole."""
    return part / whole if whole else None


def ranked(counts: Mapping[str, int]) -> tuple[tuple[Cell, ...], ...]:
    """Return what was counted with its share, the most first; what is the same often goes by name."""
    whole = sum(counts.values())
    order = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple((name, count, share(count, whole)) for name, count in order)


def ranking(name: str, title: str, what: Column, unit: str, counts: Mapping[str, int], nothing: str) -> Table:
    """Return a table of what was counted, with a bar each."""
    columns = (what, Column(unit, unit, Shown.COUNT), Column("share", "share", Shown.SHARE))
    return Table(name, title, columns, ranked(counts), nothing, bars=unit)


def for_programs(report: Report) -> dict[str, object]:
    """Return the report as one JSON document: figures by name, and each table as a list of its rows."""
    tables = {
        table.name: [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]
        for table in report.tables
    }
    cut = [table.name for table in report.tables if not table.whole]
    return {
        "report": report.name,
        "made": report.made,
        "since": report.since,
        "group": report.about or None,
        TOTALS: {figure.name: figure.value for figure in report.figures},
        **tables,
        "cut_short": cut,
    }
