"""What is wrong with a configuration file: where, in which key, and what to write instead.

A fault never repeats a value from the file, because a secret may stand where something else was meant.
Answers to no RFC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOOKS_LIKE_A_KEY: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(?::[0-9]{1,2})?"
)  # with the tag of an attribute
_HOLDS_SECRETS: Final = frozenset({"secret", "secret_old", "search_password"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to correct. ``key`` is empty when the file as a whole is meant."""

    file: Path
    line: int
    key: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        subject = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {subject}{self.problem}; {self.remedy}"


class SettingsError(Exception):
    """The file cannot be used: all its faults, in the order of their lines."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.line, fault.key)))
        super().__init__("\n".join(map(str, self.faults)))


def dotted(path: Sequence[str | int]) -> str:
    """Write a path in the file as ``clients.lab.secret``; list positions are left to the line number.

    What does not look like a key is shown as ``?``: in ``{secret:abc}`` the forgotten space makes the secret a key.
    """
    shown: list[str] = []
    for part in path:
        if isinstance(part, int):
            continue
        shown.append(part if _LOOKS_LIKE_A_KEY.fullmatch(part) else "?")
        if part in _HOLDS_SECRETS:
            break
    return ".".join(shown)
