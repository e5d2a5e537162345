"""YAML read strictly: every value stays the text it was, and knows its line and whether it stood in quotes.

It never guesses a type, follows an alias, obeys a tag, lets the second of two equal keys win, or repeats a value in a
fault. The language is YAML 1.1 as PyYAML scans it, less everything that has ever surprised somebody in a configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import yaml

MAX_DEPTH: Final = 8

Path = tuple[str | int, ...]


class Word(str):
    """One scalar of the file. Its ``repr`` hides it, because it may be a secret."""

    __slots__ = ("line", "plain", "style")
    line: int
    plain: bool
    """Written without quotes, so that another YAML reader might take it for a number or a truth value."""
    style: str | None

    def __new__(cls, text: str, line: int, style: str | None) -> Word:
        """Keep the text with its place; ``style`` is the quotation mark, or None."""
        word = super().__new__(cls, text)
        word.line, word.style, word.plain = line, style, style is None
        return word

    def __repr__(self) -> str:
        return f"<word on line {self.line}>"


Tree = Word | dict[Word, "Tree"] | list["Tree"]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the YAML itself."""

    line: int
    path: Path = field(repr=False)
    problem: str
    remedy: str


@dataclass(slots=True)
class Document:
    """A file as a tree of words, the line of each path in it, and what was wrong on the way."""

    root: Tree | None = field(default=None, repr=False)
    lines: dict[Path, int] = field(default_factory=dict, repr=False)
    flaws: list[Flaw] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """Return the line of a path, or of the nearest part of it that is in the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


class _TooDeepError(Exception):
    """Nothing below this place is worth reading."""


def read_yaml(text: str) -> Document:
    """Read one document. With a syntax error ``root`` is None, and the flaws found before it are kept."""
    document = Document()
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        _read_stream(events, document)
    except yaml.YAMLError as error:
        document.root = None
        document.flaws.append(_syntax_flaw(error, text))
    except _TooDeepError:
        document.root = None
    return document


def _read_stream(events: Iterator[yaml.Event], document: Document) -> None:
    for event in events:
        if not isinstance(event, yaml.DocumentStartEvent):
            continue
        if document.root is not None:
            flaw = Flaw(_line(event), (), "is a second document", "keep one document, and delete the line `---`")
            document.flaws.append(flaw)
            return
        document.root = _read_node(next(events), events, document, ())


def _read_node(event: yaml.Event, events: Iterator[yaml.Event], document: Document, path: Path) -> Tree:
    line = _line(event)
    document.lines.setdefault(path, line)
    if len(path) > MAX_DEPTH:
        document.flaws.append(Flaw(line, path, "lies too deep", "no option has this many levels: unfold it"))
        raise _TooDeepError
    if isinstance(event, yaml.AliasEvent):
        document.flaws.append(Flaw(line, path, "is a YAML alias", "write the value out, or put a text in quotes"))
        return Word("", line, None)
    node = cast("yaml.ScalarEvent | yaml.CollectionStartEvent", event)
    if node.anchor is not None:
        document.flaws.append(Flaw(line, path, "has a YAML anchor", "delete the word that begins with &"))
    if node.tag is not None:
        document.flaws.append(Flaw(line, path, "has a YAML tag", "delete the word that begins with !"))
    match event:
        case yaml.MappingStartEvent():
            return _read_mapping(events, document, path)
        case yaml.SequenceStartEvent():
            items: list[Tree] = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                items.append(_read_node(item, events, document, (*path, len(items))))
            return items
        case _:
            scalar = cast("yaml.ScalarEvent", event)
            # the scanner calls a text without quotes "plain" by giving it no style, or an empty one
            return Word(scalar.value, line, scalar.style or None)


def _read_mapping(events: Iterator[yaml.Event], document: Document, path: Path) -> dict[Word, Tree]:
    entries: dict[Word, Tree] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _read_node(event, events, document, (*path, "?"))
        line = _line(event)
        if not isinstance(key, Word):
            document.flaws.append(Flaw(line, path, "has a list or a set of keys as a key", "write a plain word"))
            _skip_node(next(events), events)
        elif key == "<<" and key.plain:
            document.flaws.append(Flaw(line, path, "has a YAML merge", "write the keys out"))
            _skip_node(next(events), events)
        elif key in entries:
            first = document.lines[*path, str(key)]
            remedy = f"it stands on line {first} already: keep one of them"
            document.flaws.append(Flaw(line, (*path, str(key)), "is written twice", remedy))
            _skip_node(next(events), events)
        else:
            document.lines[*path, str(key)] = line
            entries[key] = _read_node(next(events), events, document, (*path, str(key)))
    return entries


def _skip_node(event: yaml.Event, events: Iterator[yaml.Event]) -> None:
    depth = 0
    while True:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth == 0:
            return
        event = next(events)


def _line(event: yaml.Event) -> int:
    return int(cast("yaml.Mark", event.start_mark).line) + 1


def _syntax_flaw(error: yaml.YAMLError, text: str) -> Flaw:
    """Say in our own words what the scanner met: its own message quotes the line, and the line may hold a secret."""
    problem, remedy = "is not YAML", "put the text in quotes, or look for a missing bracket or colon here or just above"
    match error:
        case yaml.reader.ReaderError():
            line = text.count("\n", 0, error.position) + 1
            return Flaw(line, (), "holds a control character", "delete it")
        case yaml.MarkedYAMLError():
            said = f"{error.context} {error.problem}"
            mark = error.problem_mark
            if "end of stream" in said or "<stream end>" in said:
                mark = error.context_mark or mark
                problem, remedy = "opens something that is never closed", "add the missing quotation mark or bracket"
            elif "'\\t'" in said:
                problem, remedy = "is indented with a tab", "use spaces"
            elif "mapping values are not allowed" in said:
                problem = "has a colon where no key can be"
                remedy = "put a text with a colon in quotes, give the key a space after its colon, check the indent"
            elif "escape" in said:
                problem, remedy = "has a backslash that means nothing", "write it twice, or use single quotes"
            elif "cannot start any token" in said:
                problem, remedy = "begins with a character that YAML keeps for itself", "put the text in quotes"
            return Flaw(mark.line + 1 if mark else 1, (), problem, remedy)
    return Flaw(1, (), problem, remedy)
