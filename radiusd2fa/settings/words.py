"""How one word of the file becomes a text, a number, a duration, a yes, or one of a few choices.

Nothing is guessed and nothing is repaired: what could be read in two ways is refused, and no refusal repeats the word.
Answers to no RFC; the prompt rules come from what RADIUS clients do with a Reply-Message (RFC 2865 5.18).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeVar, cast

from pydantic import PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from radiusd2fa.core.rules import MAX_PROMPT_LENGTH, Network
from radiusd2fa.radius.dictionary import Dictionary
from radiusd2fa.settings.dictionaries import shipped_dictionary
from radiusd2fa.settings.yaml_lines import Tree, Word

T = TypeVar("T")

REFUSED: Final = "refused"
"""The type of every pydantic error that is ours."""

_UNITS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_LOOKS_LIKE_A_NUMBER: Final = re.compile(
    r"[-+]?\.?[0-9][-+0-9_.,: eExXoOtTzZ]*|0[xX][0-9a-fA-F_]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
"""Everything that one or another YAML reader takes for a number, a time or a date."""
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_YES_NO: Final = {"yes": True, "true": True, "no": False, "false": False}
_MAX_REPLY_MESSAGE: Final = 253


@dataclass(slots=True, repr=False)
class Surroundings:
    """What a word is judged by besides itself. No ``repr``: a secret may stand where a name was meant."""

    folder: Path
    """Relative paths begin here."""
    readable_by_others: bool = False
    """Whether the configuration file is open to group or others."""
    credentials: Path | None = None
    """Where systemd has put this service's credentials."""
    clients: frozenset[str] = frozenset()
    """All client names of the file."""
    has_fido: bool = False
    """Whether the file has a section ``fido:``."""
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """All tags of the file, each with the names of the clients that have it."""
    networks: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    """The entries of ``networks:``."""
    backends: Mapping[str, str] = field(default_factory=dict)
    """All names that a rule can give for its primary, each with its kind."""
    no_password_anywhere: bool = False
    """Whether nobody checks a password at this site: its primary is none, and no rule names another."""
    languages: frozenset[str] = frozenset()
    windows: Mapping[str, Mapping[str, Tree]] = field(default_factory=dict)
    """What the site writes under ``hotp:``, ``totp:`` and ``throttle:``, as far as it is right."""
    time_zone: str | None = None
    """None: the system's."""
    dictionary: Callable[[], Dictionary] = shipped_dictionary
    """The site's dictionaries of attributes, read when they are first asked for."""
    seen: dict[tuple[str, Hashable], int] = field(default_factory=dict)

    def only_once(self, kind: str, value: Hashable, line: int) -> None:
        """Refuse the second of two equal things."""
        if first := self.seen.get((kind, value)):
            raise refused(f"repeats the {kind} of line {first}", "keep one of them")
        self.seen[kind, value] = line


def refused(problem: str, remedy: str, *, key: str = "") -> PydanticCustomError:
    """Make the error that ends as a Fault. ``key`` names a sibling when another key than the present one is meant."""
    what = {"problem": problem, "remedy": remedy, "key": key}
    return PydanticCustomError(REFUSED, "{problem}", what)


def surroundings(info: ValidationInfo) -> Surroundings:
    """Return what the validation was started with."""
    return cast("Surroundings", info.context)


def reader(read: Callable[[Word, Surroundings], T]) -> PlainValidator:
    """Let pydantic read a word with this function. What is not from the file is a default, and passes."""

    def validate(raw: object, info: ValidationInfo) -> object:
        if isinstance(raw, dict | list):
            kind = "a set of keys" if isinstance(raw, dict) else "a list"
            raise refused(f"is {kind} where one value is meant", "write a single value")
        if not isinstance(raw, Word):
            return raw
        if raw.plain and raw in _NOTHING:
            raise refused("has no value", "write one, or delete the line to take the default")
        return read(raw, surroundings(info))

    return PlainValidator(validate)


def closest(word: str, known: Mapping[str, object] | tuple[str, ...] | frozenset[str]) -> str | None:
    """Return what was probably meant."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


# --- texts -----------------------------------------------------------------------------------------------------------


def a_text(word: Word, _: Surroundings) -> str:
    """Read a text of printable characters."""
    if word.plain and _LOOKS_LIKE_A_NUMBER.fullmatch(word):
        raise refused("is a number where a text is meant", "put it in quotes")
    if not word:
        raise refused("is empty", "write a text, or delete the line to take the default")
    if not word.isprintable():
        raise refused("holds a character that cannot be printed", "delete the line feeds and control characters")
    return str(word)


def a_name(kind: str) -> Callable[[Word, Surroundings], str]:
    """Read a name of letters, digits, ``.``, ``_`` and ``-``, as it goes to logs; ``kind`` says whose."""

    def read(word: Word, around: Surroundings) -> str:
        name = a_text(word, around)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise refused(f"is no name for a {kind}", "use up to 64 letters, digits, dots, dashes and underscores")
        return name

    return read


def a_prompt(word: Word, around: Surroundings) -> str:
    """Read a text that every RADIUS client can show: ocserv puts it into XML, OpenVPN looks at how it begins."""
    prompt = a_text(word, around)
    if len(prompt) > MAX_PROMPT_LENGTH or len(prompt.encode()) > _MAX_REPLY_MESSAGE:
        remedy = f"at most {MAX_PROMPT_LENGTH} characters in {_MAX_REPLY_MESSAGE} octets go into a Reply-Message"
        raise refused("is too long", remedy)
    if set(prompt) & set("<>&"):
        raise refused("holds one of < > &", "write it without: some clients put a prompt into XML unchanged")
    if prompt.lstrip().casefold().startswith("password"):
        raise refused("begins with `password`", "begin otherwise: OpenVPN would answer it with the password")
    if not prompt.endswith(": "):
        raise refused("does not end with a colon and a space", 'write it in quotes, as in "Enter the code: "')
    return prompt


# --- numbers, durations, choices -------------------------------------------------------------------------------------


def whole(least: int, most: int) -> PlainValidator:
    """Read a whole number within bounds, both included."""

    def read(word: Word, _: Surroundings) -> int:
        if not _WHOLE.fullmatch(word):
            raise refused("is not a whole number", f"write a number from {least} to {most}")
        number = int(word)
        if not least <= number <= most:
            raise refused("is out of bounds", f"write a number from {least} to {most}")
        return number

    return reader(read)


def duration(least: float, most: float, *, or_never: bool = False) -> PlainValidator:
    """Read a time with its unit, within bounds in seconds, both included; a plain 0 needs no unit.

    ``or_never`` allows 0 although ``least`` is more.
    """
    bounds = f"from {_in_words(least)} to {_in_words(most)}" + (", or 0 for never" if or_never else "")

    def read(word: Word, _: Surroundings) -> float:
        found = _DURATION.fullmatch(word)
        if found is None and word != "0":
            if _LOOKS_LIKE_A_NUMBER.fullmatch(word):
                raise refused("has no unit of time", f"add a unit, as in 500ms, 60s, 2m, 1h or 90d ({bounds})")
            raise refused("is not a duration", f"write it as 500ms, 60s, 2m, 1h or 90d ({bounds})")
        seconds = float(Decimal(found[1]) * _UNITS[found[2]]) if found else 0.0
        if not (least <= seconds <= most or (or_never and seconds == 0)):
            raise refused("is out of bounds", f"write a duration {bounds}")
        return seconds

    return reader(read)


def _in_words(seconds: float) -> str:
    """Write seconds in the largest unit that leaves a whole number."""
    for unit, size in reversed(_UNITS.items()):
        count = Decimal(str(seconds)) / size
        if count and count == int(count):
            return f"{int(count)}{unit}"
    return "0"


def _read_yes_no(word: Word, _: Surroundings) -> bool:
    if word not in _YES_NO:
        raise refused("is neither yes nor no", "write yes or no")
    return _YES_NO[word]


yes_no: Final = reader(_read_yes_no)


def choice(known: Mapping[str, object], *, later: tuple[str, ...] = ()) -> PlainValidator:
    """Read one of a few words. Those of ``later`` exist in the design, but not in this version."""

    def read(word: Word, _: Surroundings) -> object:
        if word in later:
            raise refused("is not in this version", f"write {alternatives(known)}")
        if word not in known:
            meant = closest(word, known)
            remedy = f"did you mean {meant}?" if meant else f"write {alternatives(known)}"
            raise refused("is not one of the choices", remedy)
        return known[word]

    return reader(read)


def alternatives(words: Iterable[str]) -> str:
    """Name the choices."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
