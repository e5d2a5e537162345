"""Seed files for the command that takes them in, as an administrator keeps them: readable by nobody else.

The lists are in our own format; the encrypted one is PSKC. Answers to no RFC.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tests.imports.pskc_files import package, protected, sealed

KEY: Final = bytes(range(16))
"""That of ``protected``."""
HEADER: Final = "serial,kind,secret,counter,user"


def seed_of(serial: str) -> str:
    """The seed of a made-up token, in hex."""
    return hashlib.sha1(serial.encode()).hexdigest()  # noqa: S324 - a name turned into a seed


def row(serial: str, user: str = "", secret: str = "", counter: int = 0) -> str:
    """A line of our own list."""
    return f"{serial},hotp,{secret or seed_of(serial)},{counter},{user}"


def a_file(folder: Path, *rows: str, name: str = "seeds.csv") -> Path:
    """A list of these rows, of mode 0600."""
    return private(folder / name, "\n".join((HEADER, *rows, "")).encode())


def encrypted(folder: Path) -> Path:
    """A PSKC file of one token, S1, that is opened by KEY."""
    return private(folder / "seeds.xml", protected(package(sealed(b"opened by the key of test"))))


def private(path: Path, content: bytes) -> Path:
    """A file of mode 0600."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path
