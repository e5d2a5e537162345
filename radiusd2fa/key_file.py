"""Changes the vault's key file while it is in use: a second key joins the first, and later the old one leaves.

The file is never half written: another one takes its place, of the same owner and mode, and is on the disk before it
does. It seals and opens nothing; that is ``vault``. rename(2), fsync(2); no RFC speaks here.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from radiusd2fa import vault
from radiusd2fa.vault import Key, Vault, VaultError


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the file's folder: of two that would change the file at once, one is refused. Ends with the process."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise VaultError(f"{path.parent}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise VaultError(f"{path}: another `radiusd2fa db rotate-key` is at work") from error
    finally:
        os.close(folder)


def add_key(path: Path) -> Vault:
    """Put a new key in front of the one that is there."""
    there = vault.load(path)
    if len(there.keys) > 1:
        raise VaultError(f"{path}: holds two keys already")
    _replace(path, (vault.new_key(), *there.keys))
    return vault.load(path)


def drop_old_key(path: Path) -> Vault:
    """Leave the first key alone in the file."""
    _replace(path, vault.load(path).keys[:1])
    return vault.load(path)


def can_be_replaced(path: Path) -> bool:
    """Whether another file could take its place; systemd's credentials, for one, only show a file of elsewhere."""
    return os.access(path.parent, os.W_OK)


def _replace(path: Path, keys: tuple[Key, ...]) -> None:
    there = path.stat()
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)  # of one that was killed: nothing was ever sealed with it
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, there.st_uid, there.st_gid)
            file.write(b"".join(key.line() for key in keys))
            file.flush()
            os.fsync(descriptor)
        new.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise VaultError(f"{path}: the key file cannot be replaced ({error.strerror})") from error
