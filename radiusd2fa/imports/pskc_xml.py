"""A seed file in XML, piece by piece: its outermost element, and then each child of that when it is complete.

It never holds more than one child, refuses DOCTYPE and with it every entity, and shows no text in a repr or an error.
XML 1.0 and Namespaces in XML 1.0; the bounds are ours, and far beyond what a file of RFC 6030 has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import BinaryIO, Final
from xml.parsers import expat

from radiusd2fa.core.record import record
from radiusd2fa.imports.seeds import UnreadableError

CHUNK: Final = 1 << 16
LONGEST_TEXT: Final = 1 << 14
"""Characters of one element; a certificate has some 2,000."""
LONGEST_TAG: Final = 1 << 18
"""Octets that may go by without a tag or a text: one tag, or comments, longer than all that makes sense."""
MOST_ELEMENTS: Final = 500
"""In one child of the outermost element."""
MOST_NAMES: Final = 1_000
"""Different names and namespaces in a file: the parser remembers each."""
DEEPEST: Final = 32

NAMESPACES: Final = frozenset(
    {
        "urn:ietf:params:xml:ns:keyprov:pskc",
        "urn:ietf:params:xml:ns:keyprov:pskc:1.0",  # draft-hoyer-keyprov-pskc-algorithm-profiles-01
        "http://www.w3.org/2000/09/xmldsig#",
        "http://www.w3.org/2001/04/xmlenc#",
        "http://www.w3.org/2009/xmlenc11#",
        "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#",
    }
)
_CUT: Final = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
_FETCH_AGAIN: Final = "fetch the file again"
_ASK_THE_VENDOR: Final = "ask whoever made the file for one as RFC 6030 has it"


class FlawError(Exception):
    """One entry is at fault, and the rest of the file need not be."""

    def __init__(self, line: int, problem: str, remedy: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem
        self.remedy = remedy


@record
class Element:
    """An element with all that is in it."""

    name: str
    """Without its namespace, when that is one of NAMESPACES or none; else ``{namespace}name``."""
    line: int
    attributes: dict[str, str] = field(repr=False)
    text: str = field(repr=False)
    children: tuple[Element, ...] = field(repr=False)

    def child(self, *names: str) -> Element | None:
        """Return the one child of these names; FlawError when there are several, for nobody knows which one counts."""
        found = [child for child in self.children if child.name in names]
        if len(found) > 1:
            raise FlawError(found[1].line, f"<{found[1].name}> stands twice in <{self.name}>", _ASK_THE_VENDOR)
        return found[0] if found else None

    def attribute(self, *names: str) -> str | None:
        """Return the first of these attributes that it has, without the spaces around it."""
        return next((self.attributes[name].strip() for name in names if name in self.attributes), None)


def shown(text: str, most: int = 60) -> str:
    """Return text of the file as one short printable line in quotation marks."""
    return f'"{line_of(text, most)}"'


def line_of(text: str, most: int = 80) -> str:
    """Return text of the file as one printable line of at most so many characters."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:most]


def pieces(file: BinaryIO) -> Iterator[Element]:
    """Yield the outermost element without its children, then each child; UnreadableError when it is no such XML."""
    parser = _Parser()
    while chunk := file.read(CHUNK):
        yield from parser.feed(chunk)
    yield from parser.feed(b"", last=True)


class _Open:
    """An element whose end has not come yet."""

    __slots__ = ("attributes", "children", "length", "line", "name", "text")

    def __init__(self, name: str, line: int, attributes: dict[str, str]) -> None:
        self.name = name
        self.line = line
        self.attributes = attributes
        self.text: list[str] = []
        self.length = 0
        self.children: list[Element] = []

    def closed(self) -> Element:
        return Element(self.name, self.line, self.attributes, "".join(self.text), tuple(self.children))


class _Parser:
    """expat, told to refuse, and what it has said so far."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        parser = expat.ParserCreate(None, " ", self._names)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        # set so that namespaces and their prefixes are counted among the names
        parser.StartNamespaceDeclHandler = lambda prefix, uri: None
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._expat = parser
        self._open: list[_Open] = []
        self._elements = 0
        self._quiet = 0
        self._empty = True
        self._done: list[Element] = []

    def feed(self, chunk: bytes, *, last: bool = False) -> list[Element]:
        """Return the pieces that this chunk completes."""
        self._empty = self._empty and not chunk
        if last and self._empty:
            raise UnreadableError(0, "the file is empty", _FETCH_AGAIN)
        self._quiet += len(chunk)
        try:
            self._expat.Parse(chunk, last)
        except expat.ExpatError as error:
            raise _unreadable(error) from None
        except (LookupError, ValueError):
            # Python's own charsets, which expat asks for those that it does not know itself
            raise UnreadableError(1, "its XML names a character set that is not known", "save it as UTF-8") from None
        if self._quiet > LONGEST_TAG:
            raise self._too_much(f"more than {LONGEST_TAG} octets without an element")
        done, self._done = self._done, []
        return done

    def _doctype(self, *_: object) -> None:
        raise UnreadableError(
            self._expat.CurrentLineNumber,
            "it has a DOCTYPE, which no seed file needs and which is refused because of what can hide in it",
            "ask whoever made the file for one without",
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._quiet = 0
        self._elements += 1
        opened, line = self._open, self._expat.CurrentLineNumber
        if len(opened) >= DEEPEST:
            raise self._too_much(f"elements in each other, {DEEPEST} deep")
        if self._elements > MOST_ELEMENTS:
            raise self._too_much(f"more than {MOST_ELEMENTS} elements for one token")
        if len(self._names) > MOST_NAMES:
            raise self._too_much(f"more than {MOST_NAMES} different names")
        new = _Open(_local(name), line, attributes)
        if not opened:
            self._done.append(new.closed())
        opened.append(new)

    def _end(self, _: str) -> None:
        self._quiet = 0
        closed = self._open.pop()
        match len(self._open):
            case 0:
                pass
            case 1:
                self._elements = 1
                self._done.append(closed.closed())
            case _:
                self._open[-1].children.append(closed.closed())

    def _text(self, text: str) -> None:
        self._quiet = 0
        if len(self._open) < 2:
            return  # between the pieces
        inside = self._open[-1]
        inside.length += len(text)
        if inside.length > LONGEST_TEXT:
            raise self._too_much(f"a text of more than {LONGEST_TEXT} characters")
        inside.text.append(text)

    def _too_much(self, what: str) -> UnreadableError:
        return UnreadableError(self._expat.CurrentLineNumber, f"it has {what}", _ASK_THE_VENDOR)


def _local(name: str) -> str:
    namespace, _, local = name.rpartition(" ")
    return local if not namespace or namespace in NAMESPACES else f"{{{namespace}}}{local}"


def _unreadable(error: expat.ExpatError) -> UnreadableError:
    if error.code in _CUT:
        return UnreadableError(error.lineno, "the file ends in the middle", _FETCH_AGAIN)
    what = expat.ErrorString(error.code)
    return UnreadableError(error.lineno, f"it is no XML, or damaged: {what}", _FETCH_AGAIN)
