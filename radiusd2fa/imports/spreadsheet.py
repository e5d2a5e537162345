"""What a spreadsheet does to a list of tokens when somebody opens and saves it.

It names the damage and never undoes it: what a spreadsheet has rounded or shortened is not in the file any more. It
answers to no RFC; what is looked for is what Excel and LibreOffice write.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

from radiusd2fa.imports.seeds import Entry, Flaw, Seed

REMEDY: Final = "take the vendor's own file, and open it in a text editor only"
_ROUNDED: Final = re.compile(r"\d(?:[.,]\d+)?E[+-]\d+", re.IGNORECASE | re.ASCII)
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE: Final = re.compile(
    r"(?:0?[1-9]|[12]\d|3[01])([./])(?:0?[1-9]|[12]\d|3[01])\1(?:\d{2}|\d{4})"
    rf"|\d{{1,2}}-{_MONTH}(?:-\d{{2,4}})?|{_MONTH}-\d{{2,4}}"
    r"|(?:19|20)\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])",
    re.IGNORECASE | re.ASCII,
)
_ERROR_VALUE: Final = re.compile(r"#(?:#+|N/A|NAME\?|REF!|VALUE!|NUM!|NULL!|DIV/0!)(?=[,;\t]|$)")
_SAMPLE: Final = 1000
"""Rows that show which length serials have, before the first of them is judged."""
_ENOUGH: Final = 10
_NEARLY_ALL: Final = 0.9


def is_error_value(text: str) -> bool:
    """Say whether a line begins with what a cell shows that cannot be shown, and goes on behind it."""
    found = _ERROR_VALUE.match(text)
    return found is not None and found.end() < len(text)


def damage(serial: str) -> str | None:
    """Return what has happened to a serial, or None: ``a spreadsheet has made a date of the serial``."""
    if _ROUNDED.fullmatch(serial):
        return "a spreadsheet has made a number of the serial and rounded it"
    if _DATE.fullmatch(serial):
        return "a spreadsheet has made a date of the serial"
    if serial.startswith(("=", "'")):
        return "a spreadsheet has made a formula or a marked text of the serial"
    if _ERROR_VALUE.fullmatch(serial):
        return "a spreadsheet shows an error in place of the serial"
    return None


def is_rounded(text: str) -> bool:
    """Say whether this is a number as a spreadsheet writes a long one: ``1.23E+11``."""
    return _ROUNDED.fullmatch(text) is not None


def with_zeros_missed(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Hand on the entries; a seed whose serial is shorter than all others show it to be becomes a flaw."""
    stream = iter(entries)
    sample = list(islice(stream, _SAMPLE))
    serials = [entry.serial for entry in sample if isinstance(entry, Seed) and _is_number(entry.serial)]
    padded = _padded_length(serials)
    usual = padded or _usual_length(serials)
    for entry in chain(sample, stream):
        if isinstance(entry, Seed) and _is_short(entry.serial, usual, grows=not padded):
            yield Flaw(
                entry.line,
                f"the serial has {len(entry.serial)} digits and the others have {usual}: "
                "a spreadsheet has taken its leading zeros",
                f"{REMEDY}; a serial that really is shorter goes into a file of its own",
                entry.serial,
            )
        else:
            yield entry


def _is_short(serial: str, usual: int, *, grows: bool) -> bool:
    if not _is_number(serial) or len(serial) >= usual:
        return False
    # 9998, 9999, 10000: numbers that grow by a digit have lost nothing
    return not (grows and len(serial) == usual - 1 and serial[0] == "9")


def _padded_length(serials: Sequence[str]) -> int:
    """How long the numbers are that begin with a zero, if they are as long as the longest; 0: they do not say."""
    lengths = {len(serial) for serial in serials if serial[0] == "0"}
    return lengths.pop() if len(lengths) == 1 and max(map(len, serials)) in lengths else 0


def _usual_length(serials: Sequence[str]) -> int:
    """How long nearly all of the numbers are, where that is the longest; 0: they differ, or are too few to tell."""
    if len(serials) < _ENOUGH:
        return 0
    length, times = Counter(map(len, serials)).most_common(1)[0]
    return length if times >= _NEARLY_ALL * len(serials) and length == max(map(len, serials)) else 0


def _is_number(serial: str) -> bool:
    return serial.isascii() and serial.isdigit()
