"""A conversation as text: who is there, what is sent, what must come back, and what must be written down.

It plays nothing and repairs nothing: a line that it cannot read ends with file, line and reason.
The packets are those of RFC 2865 4; README.txt explains the words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

SEPARATOR: Final = "----"
HEAD: Final = (
    *("client", "settings", "primary", "rule", "station", "user", "token", "key", "sheet", "clock", "zone"),
    *("directory", "upstream", "person", "network", "language"),
)
MARKS: Final = "> ! @ $ = or #"
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_WORD: Final = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_PIECE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^"]+)')
_ESCAPE: Final = re.compile(r"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_SHORT: Final = {"n": b"\n", "r": b"\r", "t": b"\t", "b": b"\b", "0": b"\0"}
_PASSING: Final = re.compile(
    r"(\d+)([smhd]) later|clock (back|forward) (\d+)([smhd])|the server restarts(?: with (.+))?"
)
_CHANGING: Final = re.compile(r"(\S+) (knows|forgets|renames|is) (.+)")

Words = Mapping[str, str]
"""``key=value`` words; words alone are keys without a value."""


class TranscriptError(Exception):
    """A transcript that cannot be read, with its file and line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it stands in the file."""

    file: str
    number: int
    text: str

    def fault(self, why: str) -> TranscriptError:
        """Return what is wrong with this line, to be raised."""
        return TranscriptError(f"{self.file}:{self.number}: {why}\n    {self.text}")


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of the head: who and what there is before anybody speaks."""

    line: Line
    noun: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """``> CLIENT WHAT < REPLY``: one request, and the reply that must come."""

    line: Line
    client: str
    words: tuple[str, ...]
    reply: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """``! EVENT key=value``: what the line above has left in the audit, or in the counters."""

    line: Line
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AtStation:
    """``@ STATION WHAT < END``: what the station's screen shows, or a key that is touched there."""

    line: Line
    station: str
    words: tuple[str, ...]
    end: str


@dataclass(frozen=True, slots=True)
class Command:
    """``$ COMMAND``: an administrator at the command line."""

    line: Line
    words: tuple[str, ...]
    end: str
    printed: tuple[str, ...] = ()
    """What must stand in its output."""


@dataclass(frozen=True, slots=True)
class Passing:
    """``= 31s later``: the clock moves."""

    line: Line
    seconds: int


@dataclass(frozen=True, slots=True)
class Restart:
    """``= the server restarts``, maybe with another line in its configuration."""

    line: Line
    change: Setting | None


@dataclass(frozen=True, slots=True)
class Changing:
    """``= corp forgets bob``: something happens in a directory."""

    line: Line
    who: str
    verb: str
    words: tuple[str, ...]


Step = Packet | Written | AtStation | Command | Passing | Restart | Changing


@dataclass(frozen=True, slots=True)
class Conversation:
    """One scene: its title, the head, and what is said."""

    line: Line
    title: str
    head: tuple[Setting, ...]
    steps: tuple[Step, ...]


def octets(word: str) -> bytes:
    r"""Return what a word stands for: quotes hold spaces and escapes (``\n \r \t \b \0 \x7f \" \\``)."""
    return b"".join(plain.encode() if plain else _unescaped(quoted) for quoted, plain in _PIECE.findall(word))


def seconds(text: str) -> int:
    """Read ``31s``, ``5m``, ``2h`` or ``30d``."""
    return int(text[:-1]) * SECONDS[text[-1]]


def options(words: tuple[str, ...], line: Line, *known: str) -> dict[str, str]:
    """Read ``key=value`` words, and words alone as ``key=``; keys that nobody knows are refused."""
    pairs = dict(word.partition("=")[::2] for word in words)
    if unknown := [key for key in pairs if key not in known]:
        raise line.fault(f"{unknown[0]}: not one of {', '.join(known)}")
    return pairs


def read(path: Path) -> list[Conversation]:
    """Return the conversations of one file."""
    return parse(path.name, path.read_text(encoding="utf-8"))


def parse(file: str, text: str) -> list[Conversation]:
    """Return the conversations in a text; ``file`` is for the places in errors."""
    lines = [Line(file, number, text.rstrip()) for number, text in enumerate(text.splitlines(), 1)]
    scenes: list[list[Line]] = [[]]
    for line in lines:
        if line.text.startswith(SEPARATOR):
            scenes.append([])
        elif line.text:
            scenes[-1].append(line)
    return [conversation for scene in scenes for conversation in _each(scene)]


def _each(scene: list[Line]) -> Iterator[Conversation]:
    """One conversation, or one for each choice of values that an ``each: NAME = a b c`` line names."""
    each = [line for line in scene if line.text.startswith("each:")]
    rest = [line for line in scene if line not in each]
    names = [line.text[5:].partition("=")[0].strip() for line in each]
    for values in itertools.product(*(line.text.partition("=")[2].split() for line in each)):
        chosen = {f"{{{name}}}": value for name, value in zip(names, values, strict=True)}
        yield _conversation([replace(line, text=_filled(line.text, chosen)) for line in rest], values)


def _filled(text: str, chosen: dict[str, str]) -> str:
    for name, value in chosen.items():
        text = text.replace(name, value)
    return text


def _conversation(scene: list[Line], values: tuple[str, ...]) -> Conversation:
    if not scene or not scene[0].text.startswith("# "):
        line = scene[0] if scene else Line("?", 0, "")
        raise line.fault("a conversation begins with a comment that says what it shows")
    title = scene[0].text[2:]
    if values:
        title += f" ({', '.join(value[:24] for value in values)})"
    said = [line for line in scene if not line.text.startswith("#")]
    head = tuple(_setting(line) for line in said if line.text[0].isalpha())
    steps = tuple(step for line in said if not line.text[0].isalpha() for step in _steps(line))
    return Conversation(scene[0], title, head, steps)


def _setting(line: Line) -> Setting:
    noun, _, rest = line.text.partition(":")
    if noun not in HEAD:
        raise line.fault(f"{noun}: not one of {', '.join(HEAD)}, nor a line that begins with {MARKS}")
    return Setting(line, noun, _words(line, rest))


def _steps(line: Line) -> Iterator[Step]:
    mark, rest = line.text[0], line.text[1:]
    match mark:
        case ">":
            talk, *written = _split(_words(line, rest), "!")
            match _split(talk, "<"):
                case [(client, *said), reply] if said and reply:
                    yield Packet(line, client, tuple(said), reply)
                case _:
                    raise line.fault("a packet line is: > CLIENT WHAT < REPLY")
            yield from (Written(line, words) for words in written)
        case "!":
            yield Written(line, _words(line, rest))
        case "@":
            match _split(_words(line, rest), "<"):
                case [(station, *what)] if what:
                    yield AtStation(line, station, tuple(what), "taken")
                case [(station, *what), end] if what and end:
                    yield AtStation(line, station, tuple(what), " ".join(end))
                case _:
                    raise line.fault("a line at a station is: @ STATION shows WHO, or @ STATION touch KEY < END")
        case "$":
            match _split(_words(line, rest), "<"):
                case [words]:
                    yield Command(line, words, "done")
                case [words, end]:
                    printed = tuple(octets(word).decode() for word in end if word.startswith('"'))
                    yield Command(line, words, " ".join(end[: len(end) - len(printed)]) or "done", printed)
                case _:
                    raise line.fault("a command line is: $ COMMAND, or $ COMMAND < refused")
        case "=":
            yield _passing(line, rest.strip())
        case _:
            raise line.fault(f"a line begins with {MARKS}")


def _passing(line: Line, text: str) -> Passing | Restart | Changing:
    match = _PASSING.fullmatch(text)
    if match is None and (changing := _CHANGING.fullmatch(text)):
        return Changing(line, changing[1], changing[2], _words(line, changing[3]))
    if match is None:
        raise line.fault("time passes like this: = 31s later, = clock back 60s, = the server restarts")
    later, unit, way, by, by_unit, change = match.groups()
    if later:
        return Passing(line, int(later) * SECONDS[unit])
    if way:
        return Passing(line, int(by) * SECONDS[by_unit] * (-1 if way == "back" else 1))
    return Restart(line, _setting(replace(line, text=change)) if change else None)


def _split(words: tuple[str, ...], mark: str) -> list[tuple[str, ...]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == mark:
            parts.append([])
        else:
            parts[-1].append(word)
    return [tuple(part) for part in parts]


def _words(line: Line, text: str) -> tuple[str, ...]:
    if _WORD.sub("", text).strip():
        raise line.fault("a quotation mark has no partner")
    return tuple(_WORD.findall(text))


def _unescaped(text: str) -> bytes:
    out, at = b"", 0
    for match in _ESCAPE.finditer(text):
        name = match[1]
        meant = bytes.fromhex(name[1:]) if len(name) == 3 else _SHORT.get(name, name.encode())
        out += text[at : match.start()].encode() + meant
        at = match.end()
    return out + text[at:].encode()
