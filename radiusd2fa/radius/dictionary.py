"""Dictionaries: which attribute a name means, in files as FreeRADIUS 3 writes them.

Text comes in, a Dictionary goes out; no file is opened here, and what is not understood is a fault, never skipped. The
format is that of dictionary(5); RFC 2865 5 and 5.26, RFC 2868 (tags), RFC 6929 (extended types).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from radiusd2fa.core.attributes import Layout
from radiusd2fa.core.record import record
from radiusd2fa.radius.data_types import RANGES, TYPE_NAMES, DataType

DEEPEST_INCLUDE: Final = 16

Include = Callable[[str, str], tuple[str, str]]
"""``include(file, written)``: name and text of what ``$INCLUDE written`` in ``file`` means. OSError says why not."""

_NUMBER: Final = re.compile(r"-?[0-9]{1,20}|0[xX][0-9A-Fa-f]{1,16}")
_NAME: Final = re.compile(r"[!-~]{1,128}")
_SIZED: Final = re.compile(r"([a-z0-9-]+)\[([0-9]{1,3})\]")
_LAYOUT: Final = re.compile(r"format=([124]),([012])(,c)?")
_EXTENDED: Final = re.compile(r"format=Extended-Vendor-Specific-[1-6]")
_ENTERPRISES: Final = 1 << 32
_FLAGS: Final = frozenset({"array", "concat", "virtual", "secret"})
"""Flags that change nothing for somebody who writes single attributes."""


class DictionaryFault(ValueError):  # noqa: N818  what it is, not that it is an error
    """A dictionary cannot be used: which file and line, and why. Line 0 means the file as a whole."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}" if line else f"{file}: {problem}")
        self.file = file
        self.line = line
        self.problem = problem


@record
class Vendor:
    """Somebody with attributes of their own (RFC 2865 5.26)."""

    name: str
    number: int
    layout: Layout = Layout()


@record
class AttributeType:
    """What a dictionary says of one attribute."""

    name: str
    path: tuple[int, ...]
    """Its number; for one inside another attribute the numbers of all those around it come first."""
    kind: DataType
    vendor: Vendor | None = None
    extended: bool = False
    """Whether it is a vendor's inside an extended attribute (RFC 6929 2.4)."""
    size: int | None = None
    """How many octets the value has, where the dictionary says so."""
    tagged: bool = False
    encryption: int = 0
    """1: as User-Password, 2: as Tunnel-Password, 3: as Ascend-Send-Secret; 0: none."""
    values: dict[str, int] = field(default_factory=dict, compare=False)
    """The numbers that have names."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """All attributes that have a name. Names are the same in upper and lower case."""

    attributes: Mapping[str, AttributeType]
    """By their names in lower case."""
    vendors: Mapping[str, Vendor]
    """By their names in lower case."""

    def find(self, name: str) -> AttributeType | None:
        """Return the attribute of that name, or None."""
        return self.attributes.get(name.lower())

    def closest(self, name: str, most: int = 3) -> tuple[str, ...]:
        """Return names that look like this one, the best first: for somebody who has mistyped it."""
        near = get_close_matches(name.lower(), self.attributes, n=most, cutoff=0.7)
        return tuple(self.attributes[found].name for found in near)


def read_dictionary(files: Iterable[tuple[str, str]], include: Include | None = None) -> Dictionary:
    """Read files, given as name and text, in their order: the last one to define a name has the say.

    Raises DictionaryFault. Without ``include`` no file may include another.
    """
    reader = _Reader(include)
    for file, text in files:
        reader.read(file, text)
    reader.name_values()
    return Dictionary(reader.attributes, reader.vendors)


class _Wrong(Exception):  # noqa: N818
    """What is wrong with a line; whoever knows its number adds it."""


@dataclass(slots=True)
class _Where:
    """What a line means depends on where it stands."""

    vendor: Vendor | None = None
    extended: bool = False
    inside: list[AttributeType] = field(default_factory=list)
    """The attributes whose BEGIN-TLV is open."""


class _Reader:
    """Everything that was read so far."""

    def __init__(self, include: Include | None) -> None:
        self.attributes: dict[str, AttributeType] = {}
        self.vendors: dict[str, Vendor] = {}
        self._include = include
        self._file = ""
        self._defined_by: dict[str, str] = {}
        self._values: list[tuple[str, int, str, str, str]] = []  # file, line, attribute, name, number

    def read(self, file: str, text: str, depth: int = 0) -> None:
        """Read one file, which is included by so many around it."""
        if depth > DEEPEST_INCLUDE:
            raise DictionaryFault(file, 0, f"more than {DEEPEST_INCLUDE} files include one another, or one itself")
        where = _Where()
        self._file = file
        for number, line in enumerate(text.split("\n"), 1):
            words = line.partition("#")[0].split()
            if words:
                try:
                    self._line(where, file, number, words, depth)
                except _Wrong as wrong:
                    raise DictionaryFault(file, number, str(wrong)) from None
        if where.inside or where.vendor is not None:
            raise DictionaryFault(file, 0, "END-TLV or END-VENDOR is missing at its end")

    def _line(self, where: _Where, file: str, line: int, words: list[str], depth: int) -> None:
        match words[0].upper(), len(words) - 1:
            case "VALUE", 3:
                self._values.append((file, line, words[1], words[2], words[3]))
            case "ATTRIBUTE", 3 | 4:
                self._attribute(where, *words[1:])
            case ("$INCLUDE" | "$INCLUDE-") as word, 1:
                self._included(file, words[1], depth + 1, optional=word.endswith("-"))
            case "VENDOR", 2 | 3:
                self._vendor(*words[1:])
            case "BEGIN-VENDOR", 1 | 2:
                self._begin_vendor(where, *words[1:])
            case "END-VENDOR", 1:
                self._end_vendor(where, words[1])
            case "BEGIN-TLV", 1:
                self._begin_tlv(where, words[1])
            case "END-TLV", 1:
                self._end_tlv(where, words[1])
            case _:
                raise _Wrong("this is no line of a FreeRADIUS 3 dictionary")

    def name_values(self) -> None:
        """Give the numbers their names, when all attributes are known."""
        for file, line, attribute, name, written in self._values:
            found = self.attributes.get(attribute.lower())
            if found is None:
                raise DictionaryFault(file, line, f"VALUE for {attribute}, which no ATTRIBUTE has defined")
            if found.kind in RANGES:
                try:
                    found.values[name] = _number(written)
                except _Wrong as wrong:
                    raise DictionaryFault(file, line, str(wrong)) from None

    def _included(self, file: str, written: str, depth: int, *, optional: bool) -> None:
        if self._include is None:
            raise _Wrong("a file is included, and there is nowhere to look for it")
        try:
            name, text = self._include(file, written)
        except FileNotFoundError:
            if optional:
                return
            raise _Wrong("the file that is included does not exist") from None
        except OSError as fault:
            raise _Wrong(f"the file that is included cannot be read ({fault.strerror or fault})") from None
        before = self._file
        self.read(name, text, depth)
        self._file = before

    def _attribute(self, where: _Where, name: str, number: str, written_kind: str, flags: str = "") -> None:
        if not _NAME.fullmatch(name):
            raise _Wrong("the attribute's name is too long or has odd characters")
        kind, size = _kind(written_kind)
        path = tuple(map(_number, number.split(".")))
        if where.inside:
            path = where.inside[-1].path + path
        vendor, tagged, encryption = where.vendor, False, 0
        for flag in flags.split(",") if flags else ():
            if flag == "has_tag":
                tagged = True
            elif flag in {"encrypt=1", "encrypt=2", "encrypt=3"}:
                encryption = int(flag[-1])
            elif flag not in _FLAGS:  # before there were flags, the vendor stood in their place
                vendor = self._known_vendor(flag, "one of the flags is unknown")
        made = AttributeType(name, path, kind, vendor, where.extended, size, tagged, encryption)
        key = name.lower()
        before = self.attributes.get(key)
        if before is not None and before != made and self._defined_by.get(key) == self._file:
            raise _Wrong(f"{name} was something else further up in this file")
        self.attributes[key] = made
        self._defined_by[key] = self._file

    def _vendor(self, name: str, number: str, layout: str = "") -> None:
        made = Vendor(name, _number(number), _layout(layout) if layout else Layout())
        if not 0 < made.number < _ENTERPRISES:
            raise _Wrong("there is no such vendor's number")
        before = self.vendors.setdefault(name.lower(), made)
        if (before.number, before.layout) != (made.number, made.layout):
            raise _Wrong(f"the vendor {name} has another number or format already")

    def _known_vendor(self, name: str, otherwise: str) -> Vendor:
        vendor = self.vendors.get(name.lower())
        if vendor is None:
            raise _Wrong(otherwise)
        return vendor

    def _begin_vendor(self, where: _Where, name: str, parent: str = "") -> None:
        if where.vendor is not None or where.inside:
            raise _Wrong("BEGIN-VENDOR stands inside another block")
        if parent and not _EXTENDED.fullmatch(parent):
            raise _Wrong("BEGIN-VENDOR takes the format of an extended attribute, and this is none")
        where.vendor = self._known_vendor(name, f"BEGIN-VENDOR for {name}, which no VENDOR has defined")
        where.extended = bool(parent)

    def _end_vendor(self, where: _Where, name: str) -> None:
        if where.vendor is None or where.vendor.name.lower() != name.lower() or where.inside:
            raise _Wrong("END-VENDOR ends no block that is open")
        where.vendor, where.extended = None, False

    def _begin_tlv(self, where: _Where, name: str) -> None:
        found = self.attributes.get(name.lower())
        if found is None or found.kind is not DataType.TLV:
            raise _Wrong(f"BEGIN-TLV for {name}, which is no attribute of the type tlv")
        where.inside.append(found)

    def _end_tlv(self, where: _Where, name: str) -> None:
        if not where.inside or where.inside[-1].name.lower() != name.lower():
            raise _Wrong("END-TLV ends no block that is open")
        where.inside.pop()


def _kind(written: str) -> tuple[DataType, int | None]:
    lower = written.lower()
    sized = _SIZED.fullmatch(lower)
    kind = TYPE_NAMES.get(sized[1] if sized else lower)
    if kind is None:
        raise _Wrong("the type is unknown")
    return kind, int(sized[2]) if sized else None


def _number(written: str) -> int:
    if not _NUMBER.fullmatch(written):
        raise _Wrong("the number is none")
    return int(written, 16 if written[:2] in {"0x", "0X"} else 10)


def _layout(written: str) -> Layout:
    found = _LAYOUT.fullmatch(written)
    if found is None or (found[3] and found[1] + found[2] != "11"):
        raise _Wrong("the format of the vendor's attributes is none that there is")
    return Layout(int(found[1]), int(found[2]), continuation=found[3] is not None)
