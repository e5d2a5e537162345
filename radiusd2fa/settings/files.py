"""Small files that hold secrets: read whole, once, and only when nobody but their owner can.

A file is opened first and judged by its descriptor, so that it cannot be exchanged between look and use.
Answers to no RFC; systemd's credentials are those of systemd.exec(5), LoadCredential=.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

_GROUP_AND_OTHERS = 0o077
_OTHERS = 0o007
_OTHERS_WRITE = 0o022


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in a file, the mode that it had, and whose it was."""

    content: bytes = field(repr=False)
    mode: int
    owner: int
    """A uid."""

    @property
    def writer(self) -> int | None:
        """Who alone can change the file; None: others can too."""
        return None if self.mode & _OTHERS_WRITE else self.owner


def read_small_file(path: Path, limit: int) -> Opened:
    """Read a regular file of at most ``limit`` octets; OSError says why not."""
    # O_NONBLOCK: a FIFO in the place of the file must not hold up the start
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "not a regular file")
        content = file.read(limit + 1)
        if len(content) > limit:
            raise OSError(0, f"larger than {limit} octets")
        return Opened(content, stat.S_IMODE(found.st_mode), found.st_uid)


def open_to_others(path: Path, mode: int, credentials: Path | None) -> bool:
    """Whether a file of this mode can be read or written by anybody but its owner.

    systemd lets the service read a credential by an access list where it can, and then the group bits of the mode
    are the mask of that list, not the rights of a group.
    """
    is_credential = credentials is not None and path.parent == credentials
    return bool(mode & (_OTHERS if is_credential else _GROUP_AND_OTHERS))


def mode_of(path: Path) -> int | None:
    """Return the mode of a file, or None where there is none to be seen."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def credentials_folder() -> Path | None:
    """Return where systemd has put this service's credentials, if it has."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None
