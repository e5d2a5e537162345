"""How an emulated device keeps its file: one change at a time, whole or not at all, on the disk before it counts.

It knows nothing of what stands in the file, and every fault is an OSError for the device to put into words. No RFC.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock_folder(path: Path) -> int:
    """Wait until nobody else changes a file in this one's folder; the descriptor must be closed to let others in.

    The folder is locked, because a lock on the file would go with the file.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(folder, fcntl.LOCK_EX)
    return folder


def replace_file(path: Path, text: str) -> None:
    """Write the new file beside the old one, bring it to disk, and put it in its place. The folder must be locked."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)  # left over from a power cut; nobody else writes while we hold the lock
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        new.unlink(missing_ok=True)
        raise
