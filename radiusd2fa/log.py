"""One line for each thing that happened: structlog, for a person at a terminal (console) or for a program (JSON).

Never lets a value forge a line or a name, never shows a field that is not on the list below nor the text of an
exception that may quote its input, and never writes anything itself: the journal's thread takes the lines away.
JSON is that of RFC 8259; what is shown as it is, and what is escaped, follows Unicode's notion of "printable".
"""

from __future__ import annotations

import json
import logging
import math
import re
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any, Final, Protocol

import structlog
from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter
from structlog.processors import JSONRenderer
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from radiusd2fa.core.model import Event, Reason
from radiusd2fa.settings import LogSettings


class Level(StrEnum):
    """How loud a line is. CRITICAL is for alarms: somebody should look now."""

    DEBUG = "debug"
    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Note:
    """An operational line: started, store unavailable, alarm. Not a decision about anybody."""

    time: float
    """Seconds since 1970, UTC."""
    level: Level
    name: str
    fields: Mapping[str, object] = field(default_factory=dict)


Entry = Event | Note


class TakesNotes(Protocol):
    """What structlog and `logging` are connected to: `Journal.note`."""

    def __call__(self, level: Level, name: str, /, **fields: object) -> None:
        """Take a line over without waiting."""


# --- which fields may be shown ---------------------------------------------------------------------------------------

EVENT_TEXTS: Final = ("login", "nas", "user", "caller", "factor", "serial", "outcome", "reason")

SHOWN_FIELDS: Final = frozenset(
    (
        *EVENT_TEXTS,
        *("actor", "latency"),
        # what went wrong, and where
        *("attempt", "delay", "error", "exception", "library", "line", "message", "remedy", "setting", "where"),
        # who and what: names, addresses, places
        *("address", "attribute", "backend", "client", "database", "destination", "file", "group", "host", "kind"),
        *("listener", "node", "outlet", "path", "pid", "port", "primary", "protocol", "receiver", "rule", "source"),
        *("status", "thread", "to", "uid", "version"),
        # how many, how long, how much
        *(
            "challenges",
            "clients",
            "count",
            "duplicates",
            "failures",
            "free",
            "interval",
            "length",
            "limit",
            "listeners",
        ),
        *(
            "queue",
            "rate",
            "rules",
            "seconds",
            "since",
            "size",
            "threads",
            "tokens",
            "total",
            "until",
            "users",
            "waited",
        ),
        *("workers",),
        # settings and states with names of their own
        *("algorithm", "counter", "digits", "drift", "facility", "flow", "format", "journal_mode", "key_id"),
        *("message_authenticator", "moving_factor", "packet_code", "revision", "schema", "signal", "step"),
        *("synchronous",),
        # where a chain of the audit has got to, for whoever verifies it later
        *("archived", "chain", "hash", "sequence", "signature", "signed_at"),
    )
)
"""Fields by name. A password, code, seed, State or shared secret has none here, so none is shown by accident."""

HIDDEN: Final = "***"
_MAX_TEXT: Final = 1024
_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_EVENT_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_ADDRESSES_AND_PATHS: Final = (PurePath, IPv4Address, IPv6Address, IPv4Network, IPv6Network)


@lru_cache(maxsize=256)
def event_name(name: str) -> str:
    """Pass a name that looks like ours; anything else may be data, and is not repeated."""
    return name if _EVENT_NAME.fullmatch(name) else "log.bad_name"


def fields_of(note: Note) -> dict[str, str | int | float | bool | None]:
    """Take the fields of a note that have a proper name; a value that may not be shown becomes HIDDEN."""
    return {name: _plain(name, value) for name, value in note.fields.items() if _FIELD_NAME.fullmatch(name)}


def _plain(name: str, value: object) -> str | int | float | bool | None:
    if name not in SHOWN_FIELDS:
        return HIDDEN
    match value:
        case str():
            return value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "..."
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case BaseException():
            return trace(value) if name == "exception" else describe(value)
        case PurePath() | IPv4Address() | IPv6Address() | IPv4Network() | IPv6Network():
            return str(value)
    return HIDDEN


# --- how loud --------------------------------------------------------------------------------------------------------

_LEVEL_BY_REASON: Final[Mapping[str, Level]] = {
    Reason.LOCKED: Level.WARNING,
    Reason.CALLER_LOCKED: Level.WARNING,
    Reason.REPLAYED: Level.WARNING,
    Reason.STATION_CONTESTED: Level.WARNING,
    Reason.SKIP_GRANTED: Level.NOTICE,
    Reason.SELF_ASSIGNED: Level.NOTICE,
    Reason.EMERGENCY: Level.CRITICAL,
    Reason.KEY_CLONED: Level.ERROR,
    Reason.PRIMARY_UNAVAILABLE: Level.ERROR,
    Reason.STORE_UNAVAILABLE: Level.ERROR,
    Reason.OVERSIZED_REPLY: Level.ERROR,
    Reason.INTERNAL_ERROR: Level.ERROR,
}

_LEVEL_OF_CHANGE: Final[Mapping[str, Level]] = {
    "administration.refused": Level.WARNING,
    # somebody gets in more easily than before
    "grant.opened": Level.NOTICE,
    "recovery.issued": Level.NOTICE,
    "token.enabled": Level.NOTICE,
    "token.validity_set": Level.NOTICE,
    "user.bound": Level.NOTICE,
    "user.enabled": Level.NOTICE,
    "user.password_set": Level.NOTICE,
    "user.unlocked": Level.NOTICE,
}
"""What administrators do; everything else is INFO."""

_ALWAYS_LOUD: Final = ("alarm.", "breakglass.")


def level_of(entry: Entry) -> Level:
    """Say how loud an entry is: a note says so itself, a decision by its reason, a change by its name.

    Alarms and emergency codes are always CRITICAL. The reason of a change is what somebody has typed, and says nothing.
    """
    if isinstance(entry, Note):
        return entry.level
    if entry.name.startswith(_ALWAYS_LOUD):
        return Level.CRITICAL
    if entry.actor:
        return _LEVEL_OF_CHANGE.get(entry.name, Level.INFO)
    usual = Level.NOTICE if entry.name == "access.rejected" else Level.INFO
    return _LEVEL_BY_REASON.get(entry.reason, usual)


# --- text that cannot deceive ----------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """Write out what does not print: controls, line separators, bidi marks, lone surrogates, as ``\\x1b``, ``\\u2028``.

    For people; a text that already holds such an escape looks the same afterwards. JSON is exact.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_encode_as_is: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def one_line(value: object, **_options: object) -> str:
    """Encode as JSON: letters of any language as they are, but all in ASCII as soon as one character does not print."""
    line = _encode_as_is(value)
    return line if line.isprintable() else _encode_ascii(value)


_BARE: Final = re.compile(r'[^\s"=]+')


def shown(value: object) -> str:
    """Write a value for a person: bare where that is unmistakable, else quoted and escaped as JSON does."""
    if isinstance(value, str):
        return value if value.isprintable() and _BARE.fullmatch(value) else one_line(value)
    return one_line(value)


@lru_cache(maxsize=8)
def timestamp(seconds: float) -> str:
    """Write a moment in UTC with microseconds (RFC 3339 5.6)."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micros:06d}Z"


@lru_cache(maxsize=8)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def describe(error: BaseException) -> str:
    """Name an exception. Its text is added only where it comes from the system or SQLite; others quote their input."""
    error = getattr(error, "orig", None) or error  # SQLAlchemy wraps the driver's error and adds the parameters to it
    kind = type(error).__qualname__
    if isinstance(error, OSError) and error.strerror:
        about = f": {error.filename}" if isinstance(error.filename, str) else ""
        return f"{kind}: {error.strerror}{about}"
    return f"{kind}: {error}" if isinstance(error, sqlite3.Error) else kind


def trace(error: BaseException) -> str:
    """Write the way of an exception through the source, causes first: files, lines and source text, no values."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None and len(parts) < 4:
        frames = "".join(traceback.format_tb(link.__traceback__, limit=-20))
        parts.append("\n".join(visible(line) for line in (frames + describe(link)).split("\n")))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(reversed(parts))


# --- lines -----------------------------------------------------------------------------------------------------------


def unfold(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Turn an entry into its fields, always in the same order; empty ones of an event are left out."""
    entry: Entry = event_dict["entry"]
    line: dict[str, Any] = {
        "time": timestamp(entry.time),
        "level": level_of(entry).value,
        "event": event_name(entry.name),
    }
    if isinstance(entry, Note):
        for name, value in fields_of(entry).items():
            line.setdefault(name, value)
        return line
    for name in EVENT_TEXTS:
        if text := getattr(entry, name):
            line[name] = text
    line["latency"] = round(entry.latency, 6)
    if entry.actor:
        line["actor"] = entry.actor
    return line


def _indent_exception(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    # the only value that a console shows on lines of its own; none of them can look like the beginning of an entry
    if "exception" in line:
        line["exception"] = "\n".join(f"    {text}" for text in line["exception"].split("\n"))
    return line


def _console(*, colours: bool) -> ConsoleRenderer:
    style = ConsoleRenderer.get_default_column_styles(colors=colours)
    level_style = ConsoleRenderer.get_default_level_styles(colors=colours)

    def level(key: str, value: object) -> str:
        return f"{level_style.get(str(value), '')}{value:<8}{style.reset}"

    def plain_text(before: str) -> KeyValueColumnFormatter:
        return KeyValueColumnFormatter(None, before, style.reset, value_repr=str)

    pair = KeyValueColumnFormatter(style.kv_key, style.kv_value, style.reset, value_repr=shown)
    columns = [
        Column("time", plain_text(style.timestamp)),
        Column("level", level),
        Column("event", plain_text(style.bright)),
        Column("", pair),
    ]
    return ConsoleRenderer(columns=columns, sort_keys=False)


_PLAIN: Final = re.compile(r"[\w.:@/+-]{0,200}", re.ASCII)


def is_plain(event: Event) -> bool:
    """Whether no text of a decision needs a quotation mark or an escape anywhere: nearly all of them, nearly always."""
    texts = (event.login, event.nas, event.user, event.caller, event.factor, event.serial, event.outcome, event.reason)
    return _PLAIN.fullmatch("".join(texts)) is not None and not event.actor


def _plain_json(event: Event) -> str:
    """The JSON line of a plain decision: what the long way would give, for a quarter of its price."""
    e = event
    return (
        f'{{"time":"{timestamp(e.time)}","level":"{level_of(e)}","event":"{event_name(e.name)}"'
        + (f',"login":"{e.login}"' if e.login else "")
        + (f',"nas":"{e.nas}"' if e.nas else "")
        + (f',"user":"{e.user}"' if e.user else "")
        + (f',"caller":"{e.caller}"' if e.caller else "")
        + (f',"factor":"{e.factor}"' if e.factor else "")
        + (f',"serial":"{e.serial}"' if e.serial else "")
        + (f',"outcome":"{e.outcome}"' if e.outcome else "")
        + (f',"reason":"{e.reason}"' if e.reason else "")
        + f',"latency":{round(e.latency, 6)}}}'
    )


def _plain_words(event: Event) -> str:
    """The same for a console without colours."""
    e = event
    return (
        f"{timestamp(e.time)} {level_of(e):<8} {event_name(e.name)}"
        + (f" login={e.login}" if e.login else "")
        + (f" nas={e.nas}" if e.nas else "")
        + (f" user={e.user}" if e.user else "")
        + (f" caller={e.caller}" if e.caller else "")
        + (f" factor={e.factor}" if e.factor else "")
        + (f" serial={e.serial}" if e.serial else "")
        + (f" outcome={e.outcome}" if e.outcome else "")
        + (f" reason={e.reason}" if e.reason else "")
        + f" latency={round(e.latency, 6)}"
    )


class _Taker:
    """The end of a structlog chain: whatever the level, one function takes what comes out."""

    def __init__(self, take: Callable[..., object]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = take


def line_writer(settings: LogSettings, write: Callable[[str], object], *, colours: bool) -> Callable[[Entry], None]:
    """Make the function that renders an entry with structlog and hands the line, without its end, to ``write``."""
    chain: list[Processor] = [unfold]
    if settings.format == "json":
        chain += [JSONRenderer(serializer=one_line)]
    else:
        chain += [_indent_exception, _console(colours=colours)]
    log: FilteringBoundLogger = structlog.wrap_logger(
        _Taker(write),
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        context_class=dict,
    ).bind()
    # structlog knows no "notice": it passes where "info" does
    by_level = {level: getattr(log, "info" if level is Level.NOTICE else level.value) for level in Level}

    def write_entry(entry: Entry) -> None:
        by_level[level_of(entry)](entry.name, entry=entry)

    plain = _plain_json if settings.format == "json" else _plain_words

    def write_plainly(entry: Entry) -> None:
        if isinstance(entry, Event) and is_plain(entry):
            write(plain(entry))
        else:
            write_entry(entry)

    in_colour = colours and settings.format == "console"
    return write_entry if in_colour or settings.level not in {"debug", "info"} else write_plainly


# --- what others log -------------------------------------------------------------------------------------------------

_SPEAKS_FREELY: Final = "alembic"
"""The one library whose finished messages are shown: it names migrations, and sees no secret."""


class _LibraryHandler(logging.Handler):
    """Hands over what libraries log. A template is source text; a finished message may hold anything: not shown."""

    def __init__(self, note: TakesNotes) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"library": record.name, "where": f"{record.filename}:{record.lineno}"}
        if record.name.split(".")[0] == _SPEAKS_FREELY:
            fields["message"] = record.getMessage()
        elif record.args:
            fields["message"] = str(record.msg)
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = record.exc_info[1]
        self._note(_level_from(record.levelno), "library.message", **fields)


def _level_from(number: int) -> Level:
    if number >= logging.CRITICAL:
        # a library does not know what is an alarm here
        return Level.ERROR
    return {10: Level.DEBUG, 20: Level.INFO, 30: Level.WARNING, 40: Level.ERROR}.get(number // 10 * 10, Level.DEBUG)


def _hand_over(_logger: WrappedLogger, method: str, event_dict: EventDict) -> tuple[tuple[Level, str], EventDict]:
    name = event_dict.pop("event", "")
    error = event_dict.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event_dict["exception"] = error
    return (Level(method), name), event_dict


def route(note: TakesNotes, level: str) -> Callable[[], None]:
    """Lead `structlog.get_logger()` and `logging` to ``note``, from any thread; the answer undoes it."""

    def factory(*_args: object) -> _Taker:
        return _Taker(note)

    structlog.configure(
        processors=[_hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        logger_factory=factory,
        cache_logger_on_first_use=False,  # a logger made by a module follows the journal that is open now
    )
    handler = _LibraryHandler(note)
    root, migrations = logging.getLogger(), logging.getLogger(_SPEAKS_FREELY)
    root.addHandler(handler)
    # others stay at WARNING: SQLAlchemy slows down as soon as somebody listens to more
    migrations.setLevel(logging.INFO)

    def undo() -> None:
        root.removeHandler(handler)
        if not any(isinstance(other, _LibraryHandler) for other in root.handlers):
            migrations.setLevel(logging.NOTSET)
        if structlog.get_config()["logger_factory"] is factory:
            structlog.reset_defaults()

    return undo
