"""docs/provisioning.md taken apart: its chapters, what they write into files, and what they show on a terminal.

What stands in a block is played, all of it, and a block that is neither a file nor a terminal is a fault. Nothing here
runs or compares anything. No RFC speaks here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).parents[2] / "docs" / "provisioning.md"

_BLOCK: Final = re.compile(
    r"(?:^<!-- file: (?P<file>[/~]\S+?)(?P<appended>, appended)? -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_PROMPT: Final = re.compile(r"^(?:(?P<root>root)#|(?P<person>[a-z]+)\$) (?P<words>.*)$")
_CHAPTER: Final = re.compile(r"^## (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class File:
    """What is to be written."""

    line: int
    path: str
    text: str
    appended: bool


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody types at a prompt, and what they see then."""

    line: int
    who: str
    words: str
    shown: tuple[str, ...]


Step = File | Command


@dataclass(frozen=True, slots=True)
class Chapter:
    """One part of the walk."""

    title: str
    steps: tuple[Step, ...]


def chapters(path: Path = PATH) -> list[Chapter]:
    """Read the document."""
    page = path.read_text()
    begins = [match.start() for match in _CHAPTER.finditer(page)]
    ends = [*begins[1:], len(page)]
    assert not list(_steps(page, 0, begins[0])), "a block stands before the first chapter"
    return [
        Chapter(page[begin:end].splitlines()[0].removeprefix("## "), tuple(_steps(page, begin, end)))
        for begin, end in zip(begins, ends, strict=True)
    ]


def _steps(page: str, begin: int, end: int) -> Iterator[Step]:
    for block in _BLOCK.finditer(page, begin, end):
        line = page.count("\n", 0, block.start("text")) + 1
        if block["file"] is not None:
            yield File(line, block["file"], block["text"], block["appended"] is not None)
        else:
            assert block["language"] == "console", f"line {line}: neither a file nor a terminal"
            yield from _commands(block["text"].splitlines(), line)


def _commands(lines: list[str], first: int) -> Iterator[Command]:
    prompts = [number for number, line in enumerate(lines) if _PROMPT.match(line)]
    assert prompts[:1] == [0], f"line {first}: a terminal begins with a prompt"
    for number, end in zip(prompts, [*prompts[1:], len(lines)], strict=True):
        prompt = _PROMPT.match(lines[number])
        assert prompt is not None
        words, shown = prompt["words"], lines[number + 1 : end]
        while words.endswith("\\"):
            words = words.removesuffix("\\") + shown.pop(0).strip()
        while shown and not shown[-1]:
            shown.pop()
        yield Command(first + number, prompt["root"] or prompt["person"], words, tuple(shown))
