"""A report as comma-separated values: one table whose first column says which of the report's tables a row is from.

No cell can be taken for a formula by the program that opens it: where one begins with ``= + - @`` or a tab, or has such
a character behind something that may separate cells, an apostrophe is put before it. RFC 4180 is the format.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Final

from radiusd2fa.reports.report import TOTALS, Cell, Report, Shown

_FORMULA: Final = re.compile(r'(^|[;,\t\r\n"])(?=[=+\-@\t\r\n＝＋－＠])')  # noqa: RUF001 - spreadsheets take the wide ones too


def for_spreadsheets(report: Report, moment: Callable[[float], str]) -> str:
    """Return the text; ``moment`` writes a time. Text is in quotes, numbers are not, and shares go from 0 to 1."""
    names = list(dict.fromkeys(column.name for table in report.tables for column in table.columns))
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["table", "figure", "value", *names])
    for figure in report.figures:
        writer.writerow([TOTALS, figure.name, figure.value, *("" for _ in names)])
    for table in report.tables:
        for row in table.rows:
            cells = {
                column.name: _written(cell, column.shown, moment)
                for column, cell in zip(table.columns, row, strict=True)
            }
            writer.writerow([table.name, "", "", *(cells.get(name, "") for name in names)])
    return file.getvalue()


def _written(cell: Cell, shown: Shown, moment: Callable[[float], str]) -> str | int | float:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case str():
            return harmless(cell)
    return moment(cell) if shown in (Shown.DATE, Shown.MOMENT) else cell


def harmless(text: str) -> str:
    """Return the text as no spreadsheet takes it for a formula."""
    return _FORMULA.sub(r"\1'", text)
