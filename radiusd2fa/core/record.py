"""Values that are frozen to the type checker and cheap to the interpreter.

A frozen dataclass pays for its refusal with every field that is set, and a login sets more than a hundred: measured, a
tenth of its time. Here mypy keeps everybody from assigning to a field (PEP 681), and running code is spared the price.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a dataclass with slots, equality and a hash, whose fields are never assigned to after it is made."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
