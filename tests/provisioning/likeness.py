"""Whether what happened is what the document shows: to the letter, but for what no two runs have in common.

Days and moments are compared by how far they are from the beginning; of how long something took nothing counts. What a
command makes up, a serial or a code, is another one each time, but stays the same one from then on. No RFC speaks here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

BEGAN: Final = datetime(2026, 11, 22, 6, 45)  # noqa: DTZ001 - what is printed names no zone
"""When the document was written."""
NEAR: Final = timedelta(hours=1)
"""The document was not written in one go."""

_SYMBOLS: Final = "0-9A-HJKMNP-TV-Z"
DIFFERS: Final = re.compile(
    rf"""
    (?P<moment> \b\d{{4}}-\d\d-\d\d\ \d\d:\d\d(?::\d\d)?\b)
    | (?P<day> \b\d{{4}}-\d\d-\d\d\b)
    | (?P<took> \b(?:\d+\ ms|\d+\.\d\ s|\d+\ min)\b)
    | (?P<made_up> \b(?: [A-Z]-[{_SYMBOLS}]{{8}}                             # the serial of a sheet
                       | [{_SYMBOLS}]{{4}}(?:-[{_SYMBOLS}]{{4}}){{2,3}}      # a recovery or an emergency code
                       | \d{{5}}-\d{{5}} )\b)                                # a temporary code
    """,
    re.VERBOSE,
)


class UnlikeError(Exception):
    """Something else happened than what is shown; the text says where they part."""


@dataclass(slots=True)
class Likeness:
    """One reading of the document beside what happens."""

    began: datetime
    """When this reading began."""
    now: datetime
    """When the last thing happened."""
    _made_up: dict[str, str] = field(default_factory=dict)
    """What was really made up, by what stands for it in the document."""

    def typed(self, text: str) -> str:
        """Return what is typed where the document has this text."""
        return DIFFERS.sub(lambda word: self._today(word), text)

    def compare(self, shown: Sequence[str], happened: Sequence[str]) -> None:
        """Fail at the first line that is another one; remember what was made up."""
        for number in range(max(len(shown), len(happened))):
            one, other = (lines[number] if number < len(lines) else None for lines in (shown, happened))
            if one is None or other is None or not self._are_alike(one, other):
                raise UnlikeError(f"shown:    {one}\nhappened: {other}\n\nall that happened:\n" + "\n".join(happened))

    def _are_alike(self, shown: str, happened: str) -> bool:
        words, real = list(DIFFERS.finditer(shown)), list(DIFFERS.finditer(happened))
        if DIFFERS.sub("\0", shown) != DIFFERS.sub("\0", happened):
            return False
        return all(
            one.lastgroup == other.lastgroup and self._stands_for(one, other.group())
            for one, other in zip(words, real, strict=True)
        )

    def _stands_for(self, word: re.Match[str], real: str) -> bool:
        match word.lastgroup:
            case "day":
                return real in (
                    word.group(),
                    self._moved(word.group(), self.began),
                    self._moved(word.group(), self.now),
                )
            case "moment":
                expected = datetime.fromisoformat(word.group()) + (self.began - BEGAN)
                return len(real) == len(word.group()) and abs(datetime.fromisoformat(real) - expected) <= NEAR
            case "made_up":
                known = self._made_up.setdefault(word.group(), real)
                return known == real and list(self._made_up.values()).count(real) == 1
        return True

    def _today(self, word: re.Match[str]) -> str:
        """Return what a word of the document is in this reading."""
        if word.lastgroup == "day":
            return self._moved(word.group(), self.now)
        return self._made_up.get(word.group(), word.group())

    @staticmethod
    def _moved(day: str, today: datetime) -> str:
        return str(date.fromisoformat(day) + (today.date() - BEGAN.date()))
