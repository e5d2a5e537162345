"""Ends a piece of work with SIGKILL at one point after the other: before and after each statement, flush and rename.

The work runs in a child of its own, which is this process again; what it has written is then for the test to judge.
Answers to no RFC.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

SEVERAL = 3


def killed_at_each_point(work: Callable[[], object], prepare: Callable[[], None], every: int = 1) -> Iterator[int]:
    """Prepare, begin the work and kill it: at the first point, at the second, and so on, until it comes to its end.

    Yields each time it was killed; ``every`` leaves points out.
    """
    for point in count(1, every):
        prepare()
        if not _dies(work, point):
            return
        yield point


def _dies(work: Callable[[], object], at: int) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork: no other thread is at work here
        child = os.fork()
    if child == 0:
        code = 1
        try:
            _count_down(at)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"the work has failed before point {at}"
    return os.WIFSIGNALED(status)


def _count_down(left: int) -> None:
    """Let the process end itself at that point."""
    points = count(1)

    def point(*_: object, **__: object) -> None:
        if next(points) == left:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            point()
            result = function(*arguments, **named)
            point()
            return result

        return counted

    for name in ("fsync", "unlink", "fchown"):
        setattr(os, name, around(getattr(os, name)))
    for name in ("rename", "hardlink_to"):
        setattr(Path, name, around(getattr(Path, name)))
    event.listen(Engine, "before_cursor_execute", point)
    event.listen(Engine, "commit", point)
