"""SafeNet's (Aladdin's) XML for the eToken PASS: a ``Tokens`` element with a serial, a seed and a counter for each fob.

It reads no DOCTYPE, so no entity either, and holds one token at a time. It answers to no RFC; the elements are those
that LinOTP and privacyIDEA read. Seeds are hex, and those of 32 octets are for SHA-256; the fobs count presses (HOTP)
unless ``--kind`` says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final
from xml.parsers import expat

from radiusd2fa.imports.fields import seeds_of
from radiusd2fa.imports.secrets_text import hex_seed
from radiusd2fa.imports.seeds import Entry, Flaw, How, UnreadableError
from radiusd2fa.imports.table import NamedRow
from radiusd2fa.imports.text_lines import other_than_text

NAME: Final = "safenet"
TITLE: Final = "SafeNet or Aladdin eToken PASS (XML)"
_ROOT: Final = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:[\w.-]+:)?Tokens[\s>]", re.DOTALL)
_CHUNK: Final = 65536
_DEEPEST: Final = 16
_LONGEST_TEXT: Final = 1024
_FIELDS: Final = {"seed": "secret", "movingfactor": "counter", "productname": "model"}
_BY_LENGTH: Final = {32: "sha256", 64: "sha512"}
_AGAIN: Final = "take the vendor's file again"


def sniff(head: bytes) -> bool:
    """Whether this is XML whose first element is called Tokens."""
    return _ROOT.match(head) is not None


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield one entry for each ``Token``."""
    return seeds_of((_with_algorithm(row, how) for row in _tokens(file)), how, hex_seed, kind="hotp")


def _tokens(file: BinaryIO) -> Iterator[NamedRow | Flaw]:
    reader = _Reader()
    chunk = file.read(_CHUNK)
    if (trouble := other_than_text(chunk)) is not None:
        raise trouble
    while chunk:
        yield from reader.feed(chunk)
        chunk = file.read(_CHUNK)
    yield from reader.feed(b"", last=True)


def _with_algorithm(row: NamedRow | Flaw, how: How) -> NamedRow | Flaw:
    if isinstance(row, Flaw) or how.algorithm is not None:
        return row
    octets = len(hex_seed(row.values.get("secret", "")) or b"")
    return NamedRow(row.line, {**row.values, "algorithm": _BY_LENGTH.get(octets, "sha1")})


class _Reader:
    """Follows the XML parser, and remembers of it no more than the token that is open."""

    def __init__(self) -> None:
        self._depth = 0
        self._line = 0
        self._values: dict[str, str] = {}
        self._seeds = 0
        self._text: list[str] = []
        self._length = 0
        self._ended: list[NamedRow | Flaw] = []
        # whatever encoding the file claims for itself: Python raises LookupError for one that it does not know
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._characters
        self._parser.EndElementHandler = self._end

    def feed(self, octets: bytes, *, last: bool = False) -> list[NamedRow | Flaw]:
        """Read on, and return the tokens that have ended since."""
        self._ended = []
        try:
            self._parser.Parse(octets, last)
        except expat.ExpatError as error:
            line = error.lineno
        else:
            return self._ended
        raise UnreadableError(line, "the XML ends too early" if last else "this is no well-formed XML", _AGAIN)

    def _doctype(self, *_: object) -> None:
        raise UnreadableError(
            self._parser.CurrentLineNumber, "there is a DOCTYPE, and none is read", "no vendor's file has one"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        line = self._parser.CurrentLineNumber
        local = name.rpartition(":")[2].casefold()
        if self._depth > _DEEPEST:
            raise UnreadableError(line, "elements stand too deep in one another", _AGAIN)
        if self._depth == 1 and local != "tokens":
            raise UnreadableError(line, "the XML does not begin with Tokens", "look whether it is SafeNet's file")
        if self._depth == 2:
            self._line, self._values, self._seeds = line, {"serial": attributes.get("serial", "").strip()}, 0
        self._text, self._length = [], 0

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST_TEXT:
            raise UnreadableError(self._parser.CurrentLineNumber, "an element's text is too long", _AGAIN)
        self._text.append(text)

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2].casefold()
        field = _FIELDS.get(local, "")
        if self._depth > 2 and field:
            self._seeds += field == "secret"
            self._values[field] = "".join(self._text).strip()
        if self._depth == 2 and local == "token":
            self._ended.append(
                NamedRow(self._line, self._values)
                if self._seeds < 2
                else Flaw(self._line, "the token has more than one seed", "ask the vendor which one is in use")
            )
        self._depth -= 1
        self._text, self._length = [], 0
