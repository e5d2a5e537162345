"""What is left on a disk when the power goes: images made of a record of everything a program has done to its files.

What was synced is there. Of what was not, any part may be, in pieces of a sector: none, all, or what chance says. A new
name, and one that was taken away, is sure once its folder was synced. After a sync that failed, what it should have
brought out is marked as clean and may never come out: fsync(2), "a subsequent fsync ... may return success".
POSIX.1-2017 (fsync); no RFC speaks here.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SECTOR: Final = 512
_HEAD: Final = struct.Struct("=IIQQ")


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the record: what was done, to which file, where, and with what."""

    kind: str
    file: int
    offset: int
    content: bytes = field(repr=False)


def read_record(path: Path) -> Iterator[Record]:
    """All that was written down, in the order in which it happened; a last line that was cut off is left out."""
    octets, at = path.read_bytes(), 0
    while at + _HEAD.size <= len(octets):
        kind, length, file, offset = _HEAD.unpack_from(octets, at)
        at += _HEAD.size
        if at + length <= len(octets):
            yield Record(chr(kind), file, offset, octets[at : at + length])
        at += length


@dataclass(eq=False, slots=True)
class _File:
    content: bytearray


@dataclass(frozen=True, slots=True)
class _Write:
    """Octets at a place, or, without any, a new end there."""

    file: _File
    offset: int
    content: bytes | None

    def carry_out(self) -> None:
        _put(self.file.content, self.offset, self.content)


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that was given, or with None taken away."""

    name: str
    file: _File | None


def _put(into: bytearray, offset: int, content: bytes | None) -> None:
    if content is None:
        del into[offset:]
    into.extend(bytes(max(0, offset - len(into))))
    if content is not None:
        into[offset : offset + len(content)] = content


class Disk:
    """One folder on a disk, as the program has left it up to now."""

    def __init__(self, folder: Path) -> None:
        """Begin with what is there now, all of it synced."""
        self._folder = str(folder)
        self._number = folder.stat().st_ino
        self._synced: dict[str, _File] = {}
        self._by_number: dict[int, _File] = {}
        self._pending: list[_Write | _Name] = []
        for path in folder.iterdir():
            file = _File(bytearray(path.read_bytes()))
            self._by_number[path.stat().st_ino] = self._synced[path.name] = file
        self._names = dict(self._synced)

    def go_on(self, record: Record) -> None:
        """Do what the program has done next."""
        match record.kind:
            case "O":
                self._open(record)
            case "W":
                self._pending.append(_Write(self._by_number[record.file], record.offset, record.content))
            case "T":
                self._pending.append(_Write(self._by_number[record.file], record.offset, None))
            case "U":
                self._name(self._inside(record.content), None)
            case "R":
                old, _, new = record.content.partition(b"\0")
                self._name(self._inside(new), self._names[self._inside(old)])
                self._name(self._inside(old), None)
            case "S" if record.file == self._number:
                self._sync_names()
            case "S":
                self._sync(self._by_number[record.file])
            case "F" if record.file != self._number:
                self._lose(self._by_number[record.file])

    def _inside(self, path: bytes) -> str:
        return path.decode().removeprefix(self._folder).lstrip("/")

    def _open(self, record: Record) -> None:
        name = self._inside(record.content)
        if not name:
            self._number = record.file
        elif record.offset:
            self._by_number[record.file] = _File(bytearray())
            self._name(name, self._by_number[record.file])

    def _name(self, name: str, file: _File | None) -> None:
        self._pending.append(_Name(name, file))
        if file is None:
            del self._names[name]
        else:
            self._names[name] = file

    def _sync(self, file: _File) -> None:
        mine = [one for one in self._pending if isinstance(one, _Write) and one.file is file]
        for one in mine:
            one.carry_out()
        self._pending = [one for one in self._pending if one not in mine]

    def _sync_names(self) -> None:
        for one in self._pending:
            if isinstance(one, _Name):
                _rename(self._synced, one)
        self._pending = [one for one in self._pending if not isinstance(one, _Name)]

    def _lose(self, file: _File) -> None:
        self._pending = [one for one in self._pending if not (isinstance(one, _Write) and one.file is file)]

    # --- the power goes ----------------------------------------------------------------------------------------------

    @property
    def unsynced(self) -> int:
        """How many changes could be lost now."""
        return len(self._pending)

    def image(self, folder: Path, kept: random.Random | bool) -> None:
        """Write down what is found afterwards: of what was not synced all, nothing, or what chance keeps."""
        contents = {id(file): bytearray(file.content) for file in self._files()}
        names = dict(self._synced)
        for one in self._pending:
            if isinstance(one, _Name):
                if _is_kept(kept):
                    _rename(names, one)
            else:
                _write_some(contents[id(one.file)], one, kept)
        folder.mkdir(exist_ok=True)
        for name, file in names.items():
            (folder / name).write_bytes(contents[id(file)])

    def _files(self) -> set[_File]:
        pending = {one.file for one in self._pending if one.file is not None}
        return {*self._synced.values(), *pending}


def _rename(names: dict[str, _File], one: _Name) -> None:
    if one.file is None:
        names.pop(one.name, None)
    else:
        names[one.name] = one.file


def _is_kept(kept: random.Random | bool) -> bool:
    return kept if isinstance(kept, bool) else kept.random() < 0.5


def _write_some(into: bytearray, one: _Write, kept: random.Random | bool) -> None:
    """Write it, or leave it, or tear it: each sector comes out for itself."""
    if isinstance(kept, bool) or one.content is None or kept.random() < 0.5:
        if _is_kept(kept):
            _put(into, one.offset, one.content)
        return
    at = 0
    while at < len(one.content):
        end = at + SECTOR - (one.offset + at) % SECTOR
        if kept.random() < 0.5:
            _put(into, one.offset + at, one.content[at:end])
        at = end
