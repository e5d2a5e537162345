"""The objects of a JSON array, one after another, with the line at which each begins.

It holds one object at a time, of bounded size and depth, takes no key twice and never shows what it reads. The format
is RFC 8259; every value comes as text, because none is more than that to what follows.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Final, NoReturn

from radiusd2fa.imports.seeds import UnreadableError
from radiusd2fa.imports.text_lines import BYTE_ORDER_MARK, other_than_text

LARGEST_OBJECT: Final = 256 * 1024
"""Characters."""
_BLANKS: Final = " \t\r\n"
_LONGEST_NUMBER: Final = 40
_CUT: Final = "export it again: it may have been cut"

Object = dict[str, str]
"""Names to values; those of an object within an object stand behind its name and a dot."""


class _RefusedError(ValueError):
    """What the decoder must not make of it."""


def objects(chunks: Iterable[bytes]) -> Iterator[tuple[int, Object]]:
    """Yield line and object; UnreadableError where it is no array of objects, ends too early, or goes on behind it."""
    text = _Text(chunks)
    if text.next_character() != "[":
        raise UnreadableError(text.line, "this is no list in JSON", "it would begin with [")
    text.skip(1)
    if text.next_character() == "]":
        text.skip(1)
    else:
        while True:
            yield text.line, _object(text)
            separator = text.next_character()
            text.skip(1)
            if separator == "]":
                break
            if separator != ",":
                raise UnreadableError(text.line, "neither a comma nor the end of the list follows here", _CUT)
            text.next_character()
    if text.next_character():
        raise UnreadableError(text.line, "something follows behind the list", "look whether this is the right file")


class _Text:
    """What was decoded and not yet used, and the line at which it begins."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.held = ""
        self.line = 1
        self._characters = _decoded(chunks)

    def more(self, at_least: int) -> bool:
        """Take more of the file in; False at its end."""
        parts, length = [self.held], 0
        for characters in self._characters:
            parts.append(characters)
            length += len(characters)
            if length >= at_least:
                break
        self.held = "".join(parts)
        return length > 0

    def skip(self, length: int) -> None:
        """Have done with so many characters."""
        self.line += self.held.count("\n", 0, length)
        self.held = self.held[length:]

    def next_character(self) -> str:
        """Go on to the next character that is no blank, and return it; "" at the end."""
        while True:
            bare = self.held.lstrip(_BLANKS)
            self.skip(len(self.held) - len(bare))
            if self.held:
                return self.held[0]
            if not self.more(1):
                return ""


def _object(text: _Text) -> Object:
    if text.next_character() != "{":
        raise UnreadableError(text.line, "an object is wanted here", _CUT)
    while True:
        problem = "the entry is no JSON, or its end is missing"
        try:
            found, end = _DECODER.raw_decode(text.held)
        except _RefusedError as refused:
            problem = str(refused)
            break
        except RecursionError:
            problem = "the entry is nested too deeply"
            break
        except ValueError:
            # the end may be in what was not read yet
            if len(text.held) > LARGEST_OBJECT or not text.more(len(text.held)):
                break
        else:
            text.skip(end)
            return _flat(found)
    raise UnreadableError(text.line, problem, _CUT) from None


def _flat(found: dict[str, object]) -> Object:
    values: Object = {}
    for name, value in found.items():
        if isinstance(value, dict):
            values |= {f"{name}.{inner}": _as_text(held) for inner, held in value.items()}
        else:
            values[name] = _as_text(value)
    return values


def _as_text(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return ""


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_first = True
    for octets in chunks:
        if (is_first or b"\0" in octets) and (trouble := other_than_text(octets)) is not None:
            raise trouble
        chunk = octets.removeprefix(BYTE_ORDER_MARK) if is_first else octets
        is_first = False
        yield _decode(decoder, chunk)
    yield _decode(decoder, b"", final=True)


def _decode(decoder: codecs.IncrementalDecoder, octets: bytes, *, final: bool = False) -> str:
    try:
        return decoder.decode(octets, final)
    except UnicodeDecodeError:
        # not from it: it holds the octets
        raise UnreadableError(0, "a character is not UTF-8", "JSON is UTF-8: convert it with iconv") from None


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RefusedError("a name stands twice in one entry")
    return found


def _number(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise _RefusedError("a number has too many digits")
    return int(digits)


def _constant(_: str) -> NoReturn:
    raise _RefusedError("NaN and Infinity are no JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_number, parse_constant=_constant)
