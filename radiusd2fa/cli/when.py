"""Times as they are typed on the command line: `90d` and `2h`, and days such as 2027-01-31 in the site's own zone.

They are read as the settings read theirs, and a wrong one ends the command with the option's name and how to write it.
Nothing here looks at a clock. Dates are ISO 8601 calendar dates.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from radiusd2fa.cli.site import wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings
    from radiusd2fa.settings.words import Surroundings

A_DAY: Final = 86_400.0
LONGEST: Final = 36_500 * A_DAY


def duration_of(typed: str, option: str, *, least: float = 0.0, most: float = LONGEST) -> float:
    """Return the seconds that somebody means by ``90d``, or end the command."""
    from pathlib import Path

    from pydantic import TypeAdapter, ValidationError

    from radiusd2fa.settings.words import Surroundings, duration
    from radiusd2fa.settings.yaml_lines import Word

    seconds: TypeAdapter[float] = TypeAdapter(Annotated[float, duration(least, most)])
    try:
        return seconds.validate_python(Word(typed, 0, '"'), context=Surroundings(Path()))
    except ValidationError as error:
        said = error.errors()[0].get("ctx", {})
        wrong_usage(f"{option} {said.get('problem')}; {said.get('remedy')}")


def end_of_day(typed: str, option: str, settings: Settings) -> float:
    """Return when the day that is typed has ended, in seconds since 1970, or end the command."""
    from pydantic_core import PydanticCustomError

    from radiusd2fa.settings.calendar import last_day
    from radiusd2fa.settings.yaml_lines import Word

    try:
        return last_day(Word(typed, 0, '"'), _around(settings))
    except PydanticCustomError:
        wrong_usage(f"{option} is no date; write it as in 2027-01-31")


def start_of_day(typed: str, option: str, settings: Settings) -> float:
    """Return when the day that is typed begins."""
    ended = datetime.fromtimestamp(end_of_day(typed, option, settings) - 1, settings.zone())
    return ended.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def day(moment: float, settings: Settings) -> str:
    """Return the day of a moment, as it would be typed."""
    return datetime.fromtimestamp(moment, settings.zone()).date().isoformat()


def _around(settings: Settings) -> Surroundings:
    from radiusd2fa.settings.words import Surroundings

    return Surroundings(settings.path.parent, time_zone=settings.time_zone)
