"""Lists in columns, with commas, semicolons or tabs: from lines to fields, and from a header to names.

It takes no line that has more or fewer fields than the others, and never repeats a field in an error, for the header
may be missing and the field a seed. CSV is what RFC 4180 describes, but a field holds no line end.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import BinaryIO, Final

from radiusd2fa.core.record import record
from radiusd2fa.imports.seeds import Flaw, UnreadableError
from radiusd2fa.imports.spreadsheet import is_error_value
from radiusd2fa.imports.text_lines import other_than_text, text_lines

_SEPARATORS: Final = (";", "\t", ",")
_DECLARATION: Final = re.compile(r"sep=([;,\t|])", re.IGNORECASE)
"""What Excel reads and writes as a first line."""
_QUOTED: Final = re.compile(r'"[^"]*"')
_NOT_IN_NAMES: Final = re.compile(r"[\s_.-]+")
_NO_HEADER: Final = "the first line does not name the columns"


@record
class Row:
    """The fields of one line, without the blanks around them."""

    line: int
    fields: tuple[str, ...] = field(repr=False)
    ended: bool = True
    """Whether the line ends with a line end: if not, the file may have been cut in its last field."""


@record
class NamedRow:
    """The fields of one line by what they are."""

    line: int
    values: Mapping[str, str] = field(repr=False)
    last: str = ""
    """What the last field of the line is."""
    ended: bool = True


def rows(file: BinaryIO) -> Iterator[Row | Flaw]:
    """Yield the lines that hold anything; a line that begins with ``#`` is a remark."""
    separator = ""
    for line in text_lines(file):
        text = line.text
        if not text.strip(" \t,;") or _is_remark(text):
            continue
        if not separator:
            declaration = _DECLARATION.fullmatch(text.strip(' "'))
            if declaration is not None:
                separator = declaration[1]
                continue
            separator = _separator(text)
        fields = _split(text, separator)
        if fields is None:
            yield Flaw(line.number, "a quotation mark is not closed, or closed inside a field", "mend the line")
        else:
            yield Row(line.number, fields, line.ended)


def first_row(head: bytes) -> tuple[str, ...]:
    """Return the fields of the first line that holds any, to tell formats apart; none where there is no such line."""
    if other_than_text(head) is not None:
        return ()
    try:
        first = next(rows(io.BytesIO(head)), None)
    except UnreadableError:
        return ()
    return first.fields if isinstance(first, Row) else ()


def names_in(fields: Collection[str]) -> tuple[str, ...]:
    """Return the names of a header as they are compared: without case, blanks, dashes and underscores."""
    return tuple(_NOT_IN_NAMES.sub("", name).casefold() for name in fields)


def named_rows(file: BinaryIO, meanings: Mapping[str, str], needed: Collection[str]) -> Iterator[NamedRow | Flaw]:
    """Yield the rows under a header; ``meanings`` has its names as people write them, and what they stand for."""
    lines = rows(file)
    header = next(lines, None)
    if header is None:
        raise UnreadableError(0, "there is nothing in this file", "look whether it is the right one")
    if isinstance(header, Flaw):
        raise UnreadableError(header.line, header.problem, header.remedy)
    columns = _columns(header, meanings, needed)
    for row in lines:
        yield row if isinstance(row, Flaw) else with_names(row, columns)


def with_names(row: Row, columns: tuple[str, ...]) -> NamedRow | Flaw:
    """Put names to the fields of a row, or say that it has more or fewer; an empty name leaves its field out."""
    has, wanted = len(row.fields), len(columns)
    if has < wanted:
        return Flaw(
            row.line,
            f"the line has {_counted(has)}, and there are {_counted(wanted, 'column')}: it is cut off",
            "take it anew from the vendor's file",
        )
    if any(row.fields[wanted:]):
        return Flaw(
            row.line,
            f"the line has {_counted(has)}, and there are only {_counted(wanted, 'column')}",
            "put quotation marks around a field that holds a separator",
        )
    values = {name: value for name, value in zip(columns, row.fields, strict=False) if name}
    return NamedRow(row.line, values, columns[-1] if has == wanted else "", row.ended)


def _columns(header: Row, meanings: Mapping[str, str], needed: Collection[str]) -> tuple[str, ...]:
    known = dict(zip(names_in(meanings), meanings, strict=True))
    names = list(names_in(header.fields))
    while names and not names[-1]:
        names.pop()
    found = [known.get(name, "") for name in names]
    wanted = "the columns are " + ", ".join(meanings)
    if not any(found):
        raise UnreadableError(header.line, _NO_HEADER, f"write them there ({wanted}), or say them with --columns")
    for place, name in enumerate(found, 1):
        if not name:
            raise UnreadableError(header.line, f"the header's field {place} is the name of no column here", wanted)
        if name in found[: place - 1]:
            raise UnreadableError(header.line, f"two columns are called {name}", "leave one of them out")
    for name in needed:
        if name not in found:
            raise UnreadableError(header.line, f"the header lacks the column {name}", wanted)
    return tuple(meanings[name] for name in found)


def _split(text: str, separator: str) -> tuple[str, ...] | None:
    if '"' not in text:
        return tuple(field.strip() for field in text.split(separator))
    try:
        fields = next(csv.reader([text], delimiter=separator, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    return tuple(field.strip() for field in fields)


def _separator(text: str) -> str:
    """The one that stands most often in the first line, outside of quotation marks."""
    bare = _QUOTED.sub("", text)
    return max(_SEPARATORS, key=lambda separator: (bare.count(separator), separator == ","))


def _is_remark(text: str) -> bool:
    return text.startswith("#") and not is_error_value(text)


def _counted(number: int, what: str = "field") -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
