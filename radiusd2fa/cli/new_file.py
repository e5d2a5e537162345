"""A file for whoever gives the command: a sheet, a report, a page. Or standard output, which their own shell writes.

It writes through no link and over nothing, and takes nothing away that it has not made itself: the folder is opened
once, and whatever its path leads to afterwards, all happens in it. Answers to no RFC; openat(2).
"""

from __future__ import annotations

import os
import secrets
import shlex
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import typer

from radiusd2fa.cli.site import administrator, refuse, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings

STANDARD_OUTPUT: Final = Path("-")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TO_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Output(Protocol):
    """Where the octets go."""

    def write(self, octets: bytes, *, else_say: str) -> None:
        """Write all of it; where that fails, end the command and say how things stand then."""


@contextmanager
def new_file(
    path: Path, settings: Settings, option: str, *, binary: bool = False, replaces: bytes = b"", if_there: str = ""
) -> Iterator[Output]:
    """Make a file of mode 0600, and take it away again when the body ends badly; ``-`` is standard output.

    A file is on the disk once it is written. To standard output it goes when the body has ended well, for there it
    cannot be taken back. ``option`` is what the file was named with. With ``replaces`` it takes the place of an earlier
    file that begins so, in one step, at the end. ``if_there`` says what else to do about one that is there.
    """
    if path == STANDARD_OUTPUT:
        with _standard_output(option, binary=binary) as shown:
            yield shown
        return
    _refuse_behind_sudo(path, settings, option)
    with _folder_of(path) as folder:
        earlier = bool(replaces) and _is_there(folder, path)
        if earlier:
            _refuse_other(folder, path, replaces)
        made = _make(folder, path, if_there, beside=earlier)
        try:
            yield made
            if earlier:
                made.take_the_place(replaces)
        except BaseException:
            made.remove()
            raise
        finally:
            os.close(made.descriptor)


@dataclass(frozen=True, slots=True)
class _NewFile:
    """A file that this command has made."""

    folder: int
    path: Path
    """How it was asked for; in ``folder`` its last part is what it is called, or is to be called."""
    name: str
    descriptor: int

    def write(self, octets: bytes, *, else_say: str) -> None:
        """Write all of it, and flush it to the disk."""
        try:
            with os.fdopen(self.descriptor, "wb", closefd=False) as file:
                file.write(octets)
            os.fsync(self.descriptor)
        except OSError as error:
            refuse(f"{self.path}: cannot write it ({error.strerror}); {else_say}")

    def take_the_place(self, replaces: bytes) -> None:
        """Call it by its own name, over the earlier file, if that is still one."""
        _refuse_other(self.folder, self.path, replaces)
        try:
            if not self._is_mine():
                refuse(f"{self.path}: somebody else is at work in this folder; choose another")
            os.rename(self.name, self.path.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except OSError as error:
            refuse(f"{self.path}: cannot write it ({error.strerror})")

    def remove(self) -> None:
        """Take it away, and nothing that has come in its place."""
        with suppress(OSError):
            if self._is_mine():
                os.unlink(self.name, dir_fd=self.folder)

    def _is_mine(self) -> bool:
        there = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        return os.path.samestat(there, os.fstat(self.descriptor))


@dataclass(slots=True)
class _ToTheShell:
    """Octets that wait for the command to be done."""

    octets: bytes = field(default=b"", repr=False)
    else_say: str = ""

    def write(self, octets: bytes, *, else_say: str) -> None:
        """Keep it until then."""
        self.octets, self.else_say = self.octets + octets, else_say


@contextmanager
def _standard_output(option: str, *, binary: bool) -> Iterator[_ToTheShell]:
    if binary and sys.stdout.isatty():
        wrong_usage(f"{option} -: a terminal cannot show it; let your shell write a file: {option} - >FILE")
    waiting = _ToTheShell()
    yield waiting
    left = memoryview(waiting.octets)
    try:
        while left:  # with PYTHONUNBUFFERED a part of it may be taken
            left = left[sys.stdout.buffer.write(left) :]
        sys.stdout.buffer.flush()
    except OSError as error:
        _write_no_more()
        refuse(f"standard output: cannot write to it ({error.strerror}); {waiting.else_say}")
    if _open_to_others():
        typer.secho("warning: ", fg=typer.colors.YELLOW, err=True, nl=False)
        typer.echo("others can read the file that your shell has made: chmod 600 it, or say umask 077 first", err=True)


def _write_no_more() -> None:
    """Let what could not be written go nowhere, or the end of the program would fail at it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _open_to_others() -> bool:
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & _OF_OTHERS)


def _refuse_behind_sudo(path: Path, settings: Settings, option: str) -> None:
    from radiusd2fa.log import visible

    who = administrator(settings)
    if who.behind_sudo:
        remedy = visible(f"{option} - >{shlex.quote(str(path))}")
        refuse(
            f"with sudo no file is written, because the rights for it would not be {who.account}'s own; "
            f"let your own shell write it: {remedy}"
        )


@contextmanager
def _folder_of(path: Path) -> Iterator[int]:
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        _cannot_write(path, error)
    try:
        yield folder
    finally:
        os.close(folder)


def _is_there(folder: int, path: Path) -> bool:
    try:
        os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        _cannot_write(path, error)
    return True


def _make(folder: int, path: Path, if_there: str, *, beside: bool) -> _NewFile:
    name = f".{path.name}.{secrets.token_hex(4)}" if beside else path.name
    try:
        return _NewFile(folder, path, name, os.open(name, _NEW, 0o600, dir_fd=folder))
    except FileExistsError:
        refuse(f"{path} is there already, and nothing was done; choose another name{if_there}")
    except OSError as error:
        _cannot_write(path, error)


def _refuse_other(folder: int, path: Path, begins: bytes) -> None:
    """End the command where that is no plain file, or begins otherwise."""
    try:
        descriptor = os.open(path.name, _TO_LOOK, dir_fd=folder)
    except OSError:
        descriptor = -1
    try:
        if (
            descriptor >= 0
            and stat.S_ISREG(os.fstat(descriptor).st_mode)
            and os.read(descriptor, len(begins)) == begins
        ):
            return
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    refuse(f"{path} is no page of ours, so it is not replaced; choose another name")


def _cannot_write(path: Path, error: OSError) -> NoReturn:
    refuse(f"{path}: cannot write it ({error.strerror}), and nothing was done")
