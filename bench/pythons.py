"""Finds the Pythons of this machine, so that the daemon is measured on the quickest: they differ by a fifth.

Each gets an environment of its own below bench/build, filled from constraints.txt with every hash checked; one that
cannot be filled is left out. Nothing is measured here. PEP 405 (environments); no RFC speaks here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
_NEWEST: Final = 19
_OLDEST: Final = 11


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter that can run the daemon."""

    path: Path
    version: str


OWN: Final = Python(Path(sys.executable), ".".join(map(str, sys.version_info[:3])))
"""The checkout's."""


def found() -> Iterator[Python]:
    """Yield the checkout's own Python, then the others that could be prepared, the newest first."""
    yield OWN
    for minor in range(_NEWEST, _OLDEST - 1, -1):
        if minor == sys.version_info[1]:
            continue
        for candidate in _candidates(f"python3.{minor}"):
            if python := _prepared(candidate, HERE / f"build/python3.{minor}"):
                yield python
                break


def _candidates(name: str) -> Iterator[Path]:
    if on_path := shutil.which(name):
        yield Path(on_path)
    yield from sorted(Path.home().glob(f".pyenv/versions/*/bin/{name}"), reverse=True)


def _prepared(python: Path, environment: Path) -> Python | None:
    inside = environment / "bin/python"
    if not (environment / "filled").exists():
        shutil.rmtree(environment, ignore_errors=True)
        pip: list[str | Path] = [inside, "-m", "pip", "install", "-q", "--only-binary", ":all:", "--require-hashes"]
        constraints = HERE.parent / "constraints.txt"
        if not (_runs([python, "-m", "venv", environment]) and _runs([*pip, "-r", constraints])):
            print(f"bench: {python} could not be prepared, so it is not measured", file=sys.stderr)
            return None
        (environment / "filled").touch()
    version = subprocess.run([inside, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return Python(inside, version)


def _runs(command: list[str | Path]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
