"""How wide the windows are, how guessing is slowed, and what people are asked: for a whole site, and for one rule.

A rule writes what is other for it; the rest stays the site's. The windows are those of RFC 4226 7.2 and 7.4 and RFC
6238 5.2 and 6, capped by ``core.rules``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from radiusd2fa.core.rules import (
    MAX_LOOK_AHEAD,
    MAX_RESYNC_STEPS,
    MAX_RESYNC_WINDOW,
    MAX_STEPS_EITHER_SIDE,
    ChallengeRules,
    HotpRules,
    ThrottleRules,
    TotpRules,
)
from radiusd2fa.settings.section import Section
from radiusd2fa.settings.words import Surroundings, a_prompt, a_text, duration, reader, refused, whole
from radiusd2fa.settings.yaml_lines import Word

T = TypeVar("T")
Windows = TypeVar("Windows", HotpRules, TotpRules, ThrottleRules, ChallengeRules)

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
MAX_DRIFT: Final = 1000

HOTP: Final = HotpRules()
TOTP: Final = TotpRules()
THROTTLE: Final = ThrottleRules()
CHALLENGE: Final = ChallengeRules()

Prompt = Annotated[str, reader(a_prompt)]


def merged(section: Section | None, usual: Windows) -> Windows:
    """Return the site's values with those in their place that the section does write."""
    if section is None:
        return usual
    return replace(usual, **{key: getattr(section, key) for key in section.model_fields_set})


class HotpSection(Section):
    """``hotp:``."""

    look_ahead: Annotated[int, whole(0, MAX_LOOK_AHEAD)] = HOTP.look_ahead
    resync_window: Annotated[int, whole(0, MAX_RESYNC_WINDOW)] = Field(HOTP.resync_window, validate_default=True)

    @field_validator("resync_window")
    @classmethod
    def _beyond_the_window(cls, resync_window: int, info: ValidationInfo) -> int:
        return _at_least("look_ahead", resync_window, info)


class TotpSection(Section):
    """``totp:``."""

    steps_either_side: Annotated[int, whole(0, MAX_STEPS_EITHER_SIDE)] = TOTP.steps_either_side
    resync_steps: Annotated[int, whole(0, MAX_RESYNC_STEPS)] = Field(TOTP.resync_steps, validate_default=True)
    max_drift: Annotated[int, whole(0, MAX_DRIFT)] = TOTP.max_drift
    widen_every: Annotated[float, duration(1, 3650 * DAY, or_never=True)] = TOTP.widen_every
    widen_at_most: Annotated[int, whole(0, MAX_STEPS_EITHER_SIDE)] = Field(TOTP.widen_at_most, validate_default=True)

    @field_validator("resync_steps")
    @classmethod
    def _beyond_the_window(cls, resync_steps: int, info: ValidationInfo) -> int:
        return _at_least("steps_either_side", resync_steps, info)

    @field_validator("widen_at_most")
    @classmethod
    def _within_the_cap(cls, widen_at_most: int, info: ValidationInfo) -> int:
        left = MAX_STEPS_EITHER_SIDE - info.data.get("steps_either_side", 0)
        if info.data.get("widen_every") and widen_at_most > left:
            problem = f"widens the window to more than {MAX_STEPS_EITHER_SIDE} steps either side"
            raise refused(problem, f"write {left} or less, or a smaller steps_either_side")
        return widen_at_most


class ThrottleSection(Section):
    """``throttle:``."""

    max_failures: Annotated[int, whole(1, 1000)] = THROTTLE.max_failures
    first_lock: Annotated[float, duration(1, DAY)] = THROTTLE.first_lock
    max_lock: Annotated[float, duration(1, 30 * DAY)] = Field(THROTTLE.max_lock, validate_default=True)
    caller_max_failures: Annotated[int, whole(1, 1_000_000)] = THROTTLE.caller_max_failures
    caller_window: Annotated[float, duration(1, DAY)] = THROTTLE.caller_window

    @field_validator("max_lock")
    @classmethod
    def _grows(cls, max_lock: float, info: ValidationInfo) -> float:
        return _at_least("first_lock", max_lock, info)


class ChallengeSection(Section):
    """``challenge:``."""

    lifetime: Annotated[float, duration(2, 10 * MINUTE)] = CHALLENGE.lifetime
    tries: Annotated[int, whole(1, 10)] = CHALLENGE.tries
    code_prompt: Prompt = CHALLENGE.code_prompt
    next_code_prompt: Prompt = CHALLENGE.next_code_prompt
    password_prompt: Prompt = CHALLENGE.password_prompt
    token_prompt: Prompt = CHALLENGE.token_prompt
    resync_lifetime: Annotated[float, duration(2, HOUR)] = CHALLENGE.resync_lifetime


def _way(*names: str) -> object:
    """Read a part of a question, with each of these placeholders once."""

    def read(word: Word, around: Surroundings) -> str:
        text = a_text(word, around)
        if set(text) & set("<>&"):
            raise refused("holds one of < > &", "write it without: some clients put a prompt into XML unchanged")
        bare = text
        for name in names:
            if text.count(name) != 1:
                raise refused(f"does not hold {name} once", f"put {name} where it belongs")
            bare = bare.replace(name, "")
        if set(bare) & set("{}"):
            raise refused("holds a placeholder that means nothing", f"write {' and '.join(names) or 'no brackets'}")
        return text

    return reader(read)


class LanguageSection(Section):
    """One entry of ``languages:``: what people who speak it are asked."""

    code_prompt: Prompt = CHALLENGE.code_prompt
    next_code_prompt: Prompt = CHALLENGE.next_code_prompt
    password_prompt: Prompt = CHALLENGE.password_prompt
    token_prompt: Prompt = CHALLENGE.token_prompt
    code_way: Annotated[str, _way()] = CHALLENGE.code_way
    next_code_way: Annotated[str, _way()] = CHALLENGE.next_code_way
    station_way: Annotated[str, _way("{places}", "{code}")] = CHALLENGE.station_way
    key_way: Annotated[str, _way("{nas}", "{code}")] = CHALLENGE.key_way
    short_key_way: Annotated[str, _way("{code}")] = CHALLENGE.short_key_way
    some_station: Annotated[str, _way()] = CHALLENGE.some_station
    between_stations: Annotated[str, _way()] = CHALLENGE.between_stations
    between_ways: Annotated[str, _way()] = CHALLENGE.between_ways


def _at_least(other: str, value: T, info: ValidationInfo) -> T:
    """Refuse a value smaller than that of another key of the section. (An invalid other key is fault enough.)"""
    bound = info.data.get(other)
    if bound is not None and value < bound:
        raise refused(f"is less than {other}", f"write at least as much as {other}, or make that smaller")
    return value
