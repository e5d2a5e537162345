"""What every section of the file has in common: no key but its own, and lists that say something.

Nothing of any one section is here. Answers to no RFC.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from radiusd2fa.settings.words import refused

T = TypeVar("T")


class Section(BaseModel):
    """A set of keys, of which no other is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def some(items: T) -> T:
    """Refuse an empty list: where a list narrows something, it would mean everything."""
    if not items:
        raise refused("is empty", "name at least one")
    return items


def each_once(items: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names something twice."""
    if len(set(items)) < len(items):
        raise refused("names one of them twice", "keep one of the two")
    return items


def one_of_two(from_file: bytes | None, inline: bytes | None, key: str) -> bytes | None:
    """Refuse a secret that is given both in the file and beside it."""
    if from_file is not None and inline is not None:
        raise refused(f"stands beside {key}", "keep one of the two")
    return from_file
