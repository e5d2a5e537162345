"""Days, hours and dates as people write them, in the site's own time.

Nothing here asks for the time: what is made is a moment, or parts of a week, to hold against a time that comes later.
Dates are ISO 8601 calendar dates; zones are those of the IANA time zone database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from radiusd2fa.core.rules import MINUTES_A_WEEK
from radiusd2fa.settings.words import Surroundings, a_text, refused
from radiusd2fa.settings.yaml_lines import Word

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
A_DAY: Final = 24 * 60

_DATE: Final = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}", re.ASCII)
_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")

Hours = tuple[int, int]
"""Minutes since midnight; an end before the beginning is on the next day."""


@cache
def minutes_of_week(zone: tzinfo | None) -> Callable[[float], int]:
    """Return what takes seconds since 1970 to minutes since Monday 00:00 there; None is the system's own zone."""

    @lru_cache(maxsize=4)
    def of_minute(minute: int) -> int:
        local = datetime.fromtimestamp(minute * 60, zone)
        return local.weekday() * A_DAY + local.hour * 60 + local.minute

    def minute_of_week(now: float) -> int:
        return of_minute(int(now // 60))  # all zones are whole minutes away from UTC

    return minute_of_week


def parts_of_week(days: Sequence[int], hours: Sequence[Hours]) -> tuple[tuple[int, int], ...]:
    """Return the parts of a week that such days and hours mean together; a night belongs to the day it begins on."""
    parts = []
    for day in sorted(set(days or range(7))):
        for begin, end in hours or [(0, A_DAY)]:
            first = day * A_DAY + begin
            last = day * A_DAY + end + (A_DAY if end <= begin else 0)
            parts.append((first, min(last, MINUTES_A_WEEK)))
            if last > MINUTES_A_WEEK:  # Sunday night ends on Monday
                parts.append((0, last - MINUTES_A_WEEK))
    return tuple(parts)


def is_a_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def a_zone(word: Word, around: Surroundings) -> str:
    """Read the name of a time zone."""
    name = a_text(word, around)
    if not is_a_zone(name):
        raise refused("is no time zone", "write one as in Europe/Berlin, or UTC")
    return name


def days(word: Word, around: Surroundings) -> tuple[int, ...]:
    """Read a day, or a row of days as in ``mon-fri``; over the end of the week too."""
    text = a_text(word, around).lower()
    first, dash, last = text.partition("-")
    for name in (first, last) if dash else (first,):
        if name not in DAYS:
            raise refused("is no day", "write mon, tue, wed, thu, fri, sat or sun, or a row of them, as in mon-fri")
    begin = DAYS.index(first)
    end = DAYS.index(last) if dash else begin
    return tuple((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def hours(word: Word, _: Surroundings) -> Hours:
    """Read hours as in ``"08:00-18:00"``; ``"22:00-06:00"`` goes over midnight, and 24:00 is the end of a day."""
    found = _HOURS.fullmatch(word)
    if found is None:
        raise refused("are no hours", 'write them in quotes, as in "08:00-18:00" or "22:00-06:00"')
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if end > A_DAY:
        raise refused("end after midnight", 'write the end as on the next day, as in "22:00-06:00"')
    if begin == end:
        raise refused("begin when they end", "delete them where every hour is meant")
    return begin, end


def last_day(word: Word, around: Surroundings) -> float:
    """Read a date; what is meant ends with that day. Returns seconds since 1970."""
    try:
        day = date.fromisoformat(word) if _DATE.fullmatch(word) else None
    except ValueError:
        day = None
    if day is None:
        raise refused("is no date", "write it as in 2027-01-31: the last day on which it holds")
    zone = None if around.time_zone is None else ZoneInfo(around.time_zone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=1)
    return midnight.timestamp()


def last_day_before(moment: float, zone: tzinfo | None) -> str:
    """Return the last day of what ends at that moment, as it was written."""
    return datetime.fromtimestamp(moment - 1, zone).date().isoformat()
