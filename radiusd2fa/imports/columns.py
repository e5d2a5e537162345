"""Any list whose columns the administrator names, in their order: for what no other format knows.

It is never recognised by itself, and skips nothing that it was not told to. It answers to no RFC; the columns are those
of our own list, and ``manufacturer``, ``public_id`` and ``private_id``; ``-``, or nothing, skips one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Final

from radiusd2fa.factors.hotp import MIN_SEED_OCTETS
from radiusd2fa.imports import own_csv
from radiusd2fa.imports.fields import seeds_of
from radiusd2fa.imports.secrets_text import hex_or_base32
from radiusd2fa.imports.seeds import Entry, How, LeftOut, UnreadableError
from radiusd2fa.imports.spreadsheet import with_zeros_missed
from radiusd2fa.imports.table import NamedRow, Row, names_in, rows, with_names

NAME: Final = "columns"
TITLE: Final = "a list whose columns --columns names"
COLUMNS: Final = (*own_csv.COLUMNS, "manufacturer", "public_id", "private_id")
_MEANINGS: Final = dict(zip(names_in(COLUMNS), COLUMNS, strict=True))
_SKIPPED: Final = ""


def sniff(head: bytes) -> bool:
    """Never: nothing tells what the columns are."""
    del head
    return False


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield one entry for each line; a first line of names is left out."""
    yield from with_zeros_missed(_entries(file, how, _columns(how)))


def _entries(file: BinaryIO, how: How, columns: tuple[str, ...]) -> Iterator[Entry]:
    lines = rows(file)
    first = next(lines, None)
    if first is None:
        raise UnreadableError(0, "there is nothing in this file", "look whether it is the right one")
    named = (with_names(row, columns) if isinstance(row, Row) else row for row in chain([first], lines))
    head = next(named)
    if isinstance(head, NamedRow) and _is_header(head):
        yield LeftOut(head.line, "the first line", "it names columns, and holds no token")
        yield from seeds_of(named, how)
    else:
        yield from seeds_of(chain([head], named), how)


def _is_header(row: NamedRow) -> bool:
    """Words where a seed and a number should stand."""
    fields = (row.values.get("serial", ""), row.values["secret"])
    words = not any(character.isdigit() for field in fields for character in field)
    return words and len(hex_or_base32(row.values["secret"]) or b"") < MIN_SEED_OCTETS


def _columns(how: How) -> tuple[str, ...]:
    found: list[str] = []
    known = ", ".join(COLUMNS)
    for place, name in enumerate(how.columns, 1):
        meaning = _MEANINGS.get(*names_in([name])) if name.strip(" -") else _SKIPPED
        if meaning is None:
            raise UnreadableError(0, f"--columns names no column with its word {place}", f"the columns are {known}, -")
        if meaning and meaning in found:
            raise UnreadableError(0, f"--columns names {meaning} twice", "put - for one of them")
        found.append(meaning)
    if "secret" not in found or not {"serial", "public_id"} & {*found}:
        raise UnreadableError(0, "--columns must name serial and secret", f"the columns are {known}; - skips one")
    return tuple(found)
