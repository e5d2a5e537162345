"""The file with the seeds, and the file with the key that opens it: opened once, and judged by the descriptor.

It writes nothing, and shows nothing of what a file holds. A transport key is one of AES or 3DES (RFC 6030 6.1): 16, 24
or 32 octets; LinOTP's own key file has three of them.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from radiusd2fa.cli.site import refuse, wrong_usage

STANDARD_INPUT: Final = Path("-")
LARGEST: Final = 512 * 2**20
"""Octets. The XML of 100,000 encrypted tokens takes a fifth of it."""
_LARGEST_KEY_FILE: Final = 1024
_KEY_OCTETS: Final = (16, 24, 32)
_LINOTP_KEYS: Final = 96
_PLAIN_BASE64: Final = str.maketrans("-_", "+/")
_READABLE_BY_OTHERS: Final = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True, slots=True)
class SeedFile:
    """An open file of seeds."""

    name: str
    """For people, and for the audit."""
    file: BinaryIO
    octets: int
    open_to_others: bool
    """Whether others than its owner may read the seeds."""
    piped: bool = False
    """Whether standard input was it."""

    def somebody_watches(self) -> bool:
        """Whether there is a terminal to ask at; through a pipe, the one that the command was given at."""
        return sys.stdin.isatty() or (self.piped and _terminal_is_there())


@contextmanager
def opened(path: Path) -> Iterator[SeedFile]:
    """Open a plain file of at most 512 MiB, or read standard input; what is neither ends the command."""
    from radiusd2fa.log import visible

    if path == STANDARD_INPUT:
        content = sys.stdin.buffer.read(LARGEST + 1)
        _refuse_size("standard input", len(content))
        yield SeedFile("standard input", io.BytesIO(content), len(content), open_to_others=False, piped=True)
        return
    try:
        # O_NONBLOCK: a FIFO must not hold up the command
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        refuse(f"{path}: cannot open the file ({error.strerror})")
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        os.close(descriptor)
        refuse(f"{path}: this is a folder; name the file in it")
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(found.st_mode):
            refuse(f"{path}: this is no plain file; what comes out of a pipe is read with `-` in place of the name")
        _refuse_size(str(path), found.st_size)
        yield SeedFile(visible(path.name), file, found.st_size, bool(found.st_mode & _READABLE_BY_OTHERS))


def key_from_file(path: Path) -> bytes:
    """Read a transport key: hex, base64, or the octets themselves."""
    from radiusd2fa.settings.files import credentials_folder, open_to_others, read_small_file

    try:
        read = read_small_file(path, _LARGEST_KEY_FILE)
    except OSError as error:
        wrong_usage(f"{path}: cannot read the key ({error.strerror})")
    if open_to_others(path, read.mode, credentials_folder()):
        wrong_usage(f"{path}: the key is open to others; run: chmod 600 {path}")
    return parsed_key(read.content, str(path))


def parsed_key(written: bytes, where: str) -> bytes:
    """Return the key that is written so; what can be read in two ways is hex."""
    from radiusd2fa.imports.secrets_text import base64_seed, hex_seed

    text = written.decode("ascii", errors="replace").strip()
    for key in (hex_seed(text), base64_seed(text.translate(_PLAIN_BASE64)), written.rstrip(b"\r\n")):
        if key is not None and len(key) in _KEY_OCTETS:
            return key
    if len(written) not in (*_KEY_OCTETS, _LINOTP_KEYS):
        wrong_usage(f"{where}: this is no key; a key has 16, 24 or 32 octets, in hex, in base64 or as they are")
    return written


def password_of(typed: bytes) -> str:
    """Return a password as text."""
    try:
        password = typed.decode()
    except UnicodeDecodeError:
        password = ""
    if not password:
        wrong_usage("the password is empty, or not UTF-8")
    return password


def _terminal_is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _refuse_size(name: str, octets: int) -> None:
    if octets == 0:
        refuse(f"{name}: there is nothing in it; was it fetched to the end?")
    if octets > LARGEST:
        refuse(
            f"{name}: the file has more than {LARGEST // 2**20} MiB, and no delivery has; is it the right one? "
            "Else split it into parts"
        )
