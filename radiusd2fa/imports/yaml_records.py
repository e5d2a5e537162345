"""The entries of a YAML list as ``yaml.safe_dump`` writes it, one after another, with the line at which each begins.

It holds one entry at a time, of bounded size and depth, constructs nothing but text, and takes no key twice. YAML is
what PyYAML reads (YAML 1.1); an entry begins with a dash in the first column and nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import yaml

from radiusd2fa.imports.json_elements import LARGEST_OBJECT, Object
from radiusd2fa.imports.seeds import UnreadableError
from radiusd2fa.imports.text_lines import TextLine, text_lines

# ten times as fast, where PyYAML was built with libyaml
_Loader: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEPEST: Final = 32
"""Lists and mappings within one another; an export has three."""
_CUT: Final = "export it again: it may have been cut"


def records(file: BinaryIO) -> Iterator[tuple[int, Object]]:
    """Yield line and entry; those of a mapping within an entry stand behind its name and a dot."""
    held: list[TextLine] = []
    length = 0
    for line in text_lines(file):
        if line.text.startswith("- ") and held:
            yield held[0].number, _record(held)
            held, length = [], 0
        if held or line.text.startswith("- "):
            held.append(line)
        elif line.text.strip() not in ("", "---", "[]"):
            raise UnreadableError(line.number, "the list does not begin here", "an entry begins with a dash")
        length += len(line.text)
        if length > LARGEST_OBJECT:
            raise UnreadableError(line.number, "the entry is too long", "look whether this is the right file")
    if held:
        if not held[-1].ended:
            raise UnreadableError(held[-1].number, "the last line has no end", _CUT)
        yield held[0].number, _record(held)


def _record(lines: list[TextLine]) -> Object:
    line, text = lines[0].number, "\n".join(each.text for each in lines) + "\n"
    try:
        _refuse_depth(text, line)
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError):
        # not from it: it quotes the line
        raise UnreadableError(line, "the entry is no YAML", _CUT) from None
    if not isinstance(node, yaml.SequenceNode) or len(node.value) != 1:
        raise UnreadableError(line, "the entry is none of a list", _CUT)
    values: Object = {}
    for name, value in _named(node.value[0], line):
        if isinstance(value, yaml.MappingNode):
            values |= {f"{name}.{inner}": _text(held) for inner, held in _named(value, line)}
        else:
            values[name] = _text(value)
    return values


def _refuse_depth(text: str, line: int) -> None:
    """Refuse what stands too deep in one another: nodes are made by calls within calls, whose end is a crash."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):  # one after another, however deep
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            here = line if event.start_mark is None else line + event.start_mark.line
            problem = "lists and mappings stand too deep in one another"
            raise UnreadableError(here, problem, "no export has so many: look whether this is the right file")


def _named(node: yaml.Node, line: int) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise UnreadableError(line, "the entry has no names", _CUT)
    named = [(_text(name), value) for name, value in node.value]
    if len(dict(named)) != len(named):
        raise UnreadableError(line, "a name stands twice in one entry", "leave one of them out")
    return named


def _text(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else ""
