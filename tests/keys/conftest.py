"""Security keys to be asked, and the proof that asking them leaves no thread and no open file behind.

The keys are emulated and plugged into pseudo-terminals: the way to them is the real one, from the file upwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from radiusd2fa.emulators.softkey import SoftKey
from radiusd2fa.emulators.softkey.pty import PtyKey
from radiusd2fa.keys.asking import FoundKey
from radiusd2fa.keys.usb import named_key

Plug = Callable[[SoftKey], FoundKey]


def _open_files() -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{link.name} {link.readlink()}")
        except FileNotFoundError:  # the one that lists the folder
            continue
    return found


@pytest.fixture
def nothing_left_behind() -> Iterator[None]:
    """Fail the test that leaves a thread or an open file behind."""
    threads, files = set(threading.enumerate()), _open_files()
    yield
    assert set(threading.enumerate()) == threads
    assert _open_files() <= files


@pytest.fixture
def plug() -> Iterator[Plug]:
    """Plug emulated keys in; they are pulled out after the test."""
    with ExitStack() as stack:
        yield lambda key: named_key(stack.enter_context(PtyKey(key)).path)
