"""Says a thing once, and not again for a minute: a directory in trouble must not drown the log.

What is said is about servers and settings; no name of a person and no password comes here. Answers to no RFC.
"""

from __future__ import annotations

import time
from typing import Final

from radiusd2fa.primary import Say

_PAUSE: Final = 60.0
_MOST: Final = 256


class Seldom:
    """A voice with a memory."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._said: dict[str, float] = {}

    def __call__(self, level: str, sentence: str) -> None:
        """Say it, unless it was said in the last minute."""
        now = time.monotonic()
        if now - self._said.get(sentence, float("-inf")) < _PAUSE:
            return
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[sentence] = now
        self._say(level, sentence)
