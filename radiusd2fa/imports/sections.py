"""Several text files in one, as ``tail -v -n +1 FILE...`` prints them: each under a line with its name.

It opens no file and trusts no name further than to say whose it is. It answers to no RFC: ``==> NAME <==`` is what GNU
coreutils and BSD write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import BinaryIO, Final

from radiusd2fa.core.record import record
from radiusd2fa.imports.seeds import Flaw, UnreadableError
from radiusd2fa.imports.text_lines import TextLine, text_lines

HEADER: Final = re.compile(r"==> (.{1,1024}) <==")
_MOST_LINES: Final = 200_000


@record
class Section:
    """One of the files."""

    line: int
    name: str
    """Its path, or "" where no header says it."""
    lines: tuple[TextLine, ...] = field(repr=False)
    """Those that hold anything."""
    whole: bool
    """Whether its last line had an end: without one it may have been cut there, within a counter perhaps."""

    @property
    def file_name(self) -> str:
        """The last part of the path."""
        return self.name.rpartition("/")[2]

    @property
    def folder_name(self) -> str:
        """The last but one."""
        return self.name.rpartition("/")[0].rpartition("/")[2]


def sections(file: BinaryIO) -> Iterator[Section]:
    """Yield the files, those without a line that says anything left out."""
    name, start, whole = "", 1, True
    held: list[TextLine] = []
    for line in text_lines(file):
        header = HEADER.fullmatch(line.text)
        if header is not None:
            if held:
                # tail ends a file without a line end itself, and then leaves no blank line before the next header
                yield Section(start, name, tuple(held), held[-1].number < line.number - 1)
            name, start, held, whole = header[1], line.number, [], True
        elif line.text.strip():
            held.append(line)
            whole = line.ended
        if len(held) > _MOST_LINES:
            raise UnreadableError(
                line.number, f"more than {_MOST_LINES} lines in one piece", "look whether this is the right file"
            )
    if held:
        yield Section(start, name, tuple(held), whole)


def cut(section: Section) -> Flaw:
    """Return the flaw of a file whose last line has no end."""
    return Flaw(
        section.lines[-1].number,
        "the last line has no end: the file may have been cut there, and a counter cut short lets used codes in",
        "take the file anew; if it is whole, end its last line with a line end",
    )
