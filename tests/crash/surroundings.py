"""The disk and the clock of one daemon, in the hands of a test: the Python half of surroundings.c.

What is ordered here happens at the daemon's next system call; nothing of it reaches another process or another folder.
ld.so(8) (LD_PRELOAD), fsync(2), write(2), open(2); no RFC speaks here.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

import pytest

_SOURCE: Final = Path(__file__).with_name("surroundings.c")
_CLOCK: Final = struct.Struct("=q")
_FAULT: Final = struct.Struct("=iii")
_FAILED: Final = struct.Struct("=i")
_FAULTS_AT: Final = 16
_SIZE_OF_FAULT: Final = 16
_SIZE: Final = _FAULTS_AT + 3 * _SIZE_OF_FAULT

ALWAYS: Final = -1


class Act(IntEnum):
    """What can fail."""

    WRITE = 0
    SYNC = 1
    OPEN = 2


@dataclass(slots=True)
class Surroundings:
    """Orders to one library, and what it has written down."""

    library: Path
    folder: Path
    """What is watched."""
    record: Path
    """Every change to that folder and every datagram, in order."""
    _board: mmap.mmap = field(repr=False)
    board: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process must find in its environment to live here."""
        return {
            "LD_PRELOAD": str(self.library),
            "SURROUNDINGS_FOLDER": str(self.folder),
            "SURROUNDINGS_BOARD": str(self.board),
            "SURROUNDINGS_RECORD": str(self.record),
        }

    @contextmanager
    def failing(self, act: Act, error: int, *, after: int = 0, count: int = ALWAYS) -> Iterator[None]:
        """Let calls fail with that errno, ``count`` of them once ``after`` have gone well; lifted with the block."""
        place = _FAULTS_AT + act * _SIZE_OF_FAULT
        _FAULT.pack_into(self._board, place, 0, after, count)
        _FAULT.pack_into(self._board, place, error, after, count)
        try:
            yield
        finally:
            _FAULT.pack_into(self._board, place, 0, 0, 0)

    def failed(self, act: Act) -> int:
        """How many calls have failed so far."""
        (count,) = _FAILED.unpack_from(self._board, _FAULTS_AT + act * _SIZE_OF_FAULT + _FAULT.size)
        return int(count)

    def has_failed(self, act: Act, times: int) -> bool:
        """Whether so many calls have failed."""
        return self.failed(act) >= times

    def set_clock(self, ahead: float) -> None:
        """Set the clock on the wall to so many seconds ahead of the machine's, or behind."""
        _CLOCK.pack_into(self._board, 0, round(ahead * 1e9))

    def slow_down(self, seconds: float) -> None:
        """Let each sync take so much longer."""
        _CLOCK.pack_into(self._board, _CLOCK.size, round(seconds * 1e9))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: apt-get install gcc libc6-dev")
    library = tmp_path_factory.mktemp("surroundings") / "surroundings.so"
    flags = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compiler, *flags, "-o", library, _SOURCE, "-ldl"], check=True)
    return library


@contextmanager
def surrounding(folder: Path, library: Path) -> Iterator[Surroundings]:
    """Surroundings of that folder in which nothing is wrong yet; what they need lies beside it."""
    board = folder.with_name("board")
    board.write_bytes(bytes(_SIZE))
    with board.open("r+b") as file, mmap.mmap(file.fileno(), _SIZE) as shared:
        yield Surroundings(library, folder.resolve(), folder.with_name("record"), shared, board)


@pytest.fixture
def surroundings(library: Path, tmp_path: Path) -> Iterator[Surroundings]:
    """Those of the site in the folder ``site`` of this test."""
    with surrounding(tmp_path / "site", library) as surroundings:
        yield surroundings
