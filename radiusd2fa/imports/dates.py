"""Dates of seed files as seconds since 1970.

It asks no clock and guesses at nothing: a date that reads differently in two countries is none. What it reads is
ISO 8601 as RFC 3339 5.6 narrows it, with the seconds and the zone left out or not; without a zone it is UTC.
"""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from typing import Final

_FORM: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(?:[Zz]|([+-])(\d{2}):?(\d{2}))?)?",
    re.ASCII,
)


def seconds(text: str) -> float | None:
    """Read ``2026-03-01``, ``2026-03-01T08:00:00Z`` and the like; None for what is no such date."""
    form = _FORM.fullmatch(text.strip())
    if form is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in form.group(1, 2, 3, 4, 5, 6))
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return None
    sign, zone_hour, zone_minute = form[8], int(form[9] or 0), int(form[10] or 0)
    if max(hour, zone_hour) > 23 or max(minute, second, zone_minute) > 59:
        return None
    offset = (zone_hour * 60 + zone_minute) * 60
    there = timegm((year, month, day, hour, minute, second)) + float(form[7] or 0)
    return there + offset if sign == "-" else there - offset
