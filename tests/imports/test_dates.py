"""Dates of seed files: one form is read, and nothing that two countries read differently.

Each case is the text and the seconds since 1970. RFC 3339 5.6.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.imports.dates import seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "03/01/2026",
        "01.03.2026",
        "2026-3-1",
        "20260301",
        "2026-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "0000-01-01",
        "2026-03-01T24:00:00Z",
        "2026-03-01T08:60:00Z",
        "2026-03-01T08:00:60Z",
        "2026-03-01T08:00:00+24:00",
        "2026-03-01T08",
        "2026-03-01Z",
        "\N{FULLWIDTH DIGIT TWO}026-03-01",
        "2026-03-01T08:00:00Z tomorrow",
        "now",
    ],
)
def test_what_is_no_such_date_is_none(text: str) -> None:
    """Days that do not exist, other orders, other digits and words are not read."""
    assert seconds(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0.0),
        (" 2026-03-01 ", 1772323200.0),
        ("2028-02-29", 1835395200.0),
        ("2026-03-01T08:00:00Z", 1772352000.0),
        ("2026-03-01 08:00", 1772352000.0),
        ("2026-03-01t08:00:00z", 1772352000.0),
        ("2026-03-01T08:00:00.5+02:00", 1772344800.5),
        ("2026-03-01T08:00:00-0230", 1772361000.0),
    ],
)
def test_a_date_is_seconds_in_utc(text: str, expected: float) -> None:
    """Without a zone it is UTC; a zone is taken off."""
    assert seconds(text) == expected


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9999, 12, 30)), st.integers(-1439, 1439))  # noqa: DTZ001 - the zone is drawn beside it
def test_the_standard_library_agrees(when: datetime, zone: int) -> None:
    """Whatever datetime writes in ISO form is read as the same moment."""
    there = when.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=zone)))
    assert seconds(there.isoformat()) == there.timestamp()
    assert seconds(there.astimezone(UTC).isoformat()) == there.timestamp()
