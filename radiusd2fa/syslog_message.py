"""One syslog message for each entry: RFC 5424, with everything in structured data.

Pure: it never looks at a socket or a clock, and never lets a value leave its quotes or the message its bound.
RFC 5424 6 (the message), RFC 5612 (the number in SD_ID).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from radiusd2fa.core.model import Event
from radiusd2fa.log import (
    EVENT_TEXTS,
    Entry,
    Level,
    Note,
    describe,
    event_name,
    fields_of,
    is_plain,
    level_of,
    shown,
    timestamp,
    visible,
)

SD_ID: Final = "radiusd2fa@32473"
"""RFC 5424 6.3.2 wants a private enterprise number after the @; we own none, and RFC 5612 offers this for examples."""

MAX_OCTETS: Final = 2048
"""RFC 5424 6.1: receivers "SHOULD be able to accept messages of up to and including 2048 octets in length"."""

_MAX_VALUE: Final[Mapping[str, int]] = {"user": 256, "caller": 256, "message": 256, "error": 256, "reason": 256}
_MAX_OTHER_VALUE: Final = 96
"""Octets of a value as it is sent. In an event the sum of all bounds leaves room for the longest header."""

_NIL: Final = "-"
_BOM: Final = b"\xef\xbb\xbf"

# RFC 5424 6.2.1, table 2
_SEVERITY: Final[Mapping[Level, int]] = {
    Level.CRITICAL: 1,  # alert: action must be taken immediately
    Level.ERROR: 3,
    Level.WARNING: 4,
    Level.NOTICE: 5,
    Level.INFO: 6,
    Level.DEBUG: 7,
}

_NOT_PRINTUSASCII: Final = re.compile(r"[^\x21-\x7e]")


def render(entry: Entry, facility: int, hostname: str, app_name: str, procid: str) -> bytes:
    """Make the message of one entry, at most MAX_OCTETS long, without framing.

    ``HEADER SP STRUCTURED-DATA [SP MSG]`` (RFC 5424 6): the parameters hold everything; MSG repeats what a person looks
    for, since many receivers write nothing else into their files.
    """
    name = event_name(entry.name)
    priority = facility * 8 + _SEVERITY[level_of(entry)]
    head = f"<{priority}>1 {timestamp(entry.time)} {_origin(hostname, app_name, procid)} {name[:32]} [{SD_ID}"
    if isinstance(entry, Event) and is_plain(entry):
        short = _plain_message(head, name, entry)
        if len(short) <= MAX_OCTETS:
            return short
    values = _event_values(entry) if isinstance(entry, Event) else _note_values(entry)
    # what does not fit is left out from the end: first of MSG, then whole parameters, so that the rest still parses
    room = MAX_OCTETS - len(head) - len("]")
    parameters = []
    for key, value in values.items():
        parameter = f' {key}="{_param_value(value, _MAX_VALUE.get(key, _MAX_OTHER_VALUE))}"'
        size = len(parameter) if parameter.isascii() else len(parameter.encode())
        if size <= room:
            parameters.append(parameter)
            room -= size
    data = f"{head}{''.join(parameters)}]".encode()
    return data + _message(name, values, room)


def _plain_message(head: str, name: str, event: Event) -> bytes:
    """The rest of a decision in which nothing needs an escape: what the long way would give, for half its price."""
    e = event
    parameters = (
        f' login="{e.login}" nas="{e.nas}" user="{e.user}" caller="{e.caller}" factor="{e.factor}" serial="{e.serial}"'
        f' outcome="{e.outcome}" reason="{e.reason}" latency="{e.latency:.6f}"'
    )
    words = (
        (f" nas={e.nas}" if e.nas else "")
        + (f" user={e.user}" if e.user else "")
        + (f" caller={e.caller}" if e.caller else "")
        + (f" factor={e.factor}" if e.factor else "")
        + (f" serial={e.serial}" if e.serial else "")
        + (f" reason={e.reason}" if e.reason else "")
    )
    return f"{head}{parameters}] {name}{words}".encode("ascii")


def _event_values(event: Event) -> dict[str, str]:
    values: dict[str, str] = {name: getattr(event, name) for name in EVENT_TEXTS}
    values["latency"] = f"{event.latency:.6f}"
    if event.actor:
        values["actor"] = event.actor
    return values


def _note_values(note: Note) -> dict[str, str]:
    values = {}
    for name, value in fields_of(note).items():
        if name == "exception":
            # the way through the source is for standard error; here a word is enough
            error = note.fields[name]
            value = describe(error) if isinstance(error, BaseException) else value
        values[name] = value if isinstance(value, str) else shown(value)
    return values


@lru_cache(maxsize=4)
def _origin(hostname: str, app_name: str, procid: str) -> str:
    return f"{_token(hostname, 255)} {_token(app_name, 48)} {_token(procid, 128)}"


def _token(text: str, length: int) -> str:
    # RFC 5424 6: HOSTNAME, APP-NAME and PROCID are NILVALUE or PRINTUSASCII
    return _NOT_PRINTUSASCII.sub("_", text)[:length] or _NIL


def _param_value(text: str, room: int) -> str:
    """Escape a value, and cut it to ``room`` octets between two characters, never inside an escape."""
    if len(text) <= room and _NOTHING_TO_DO.fullmatch(text):
        return text
    escaped = _escape(visible(text))
    if len(escaped.encode()) <= room:
        return escaped
    kept: list[str] = []
    room -= len("...")
    for char in text:
        piece = _escape(visible(char))
        room -= len(piece.encode())
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + "..."


_NOTHING_TO_DO: Final = re.compile(r"[\w.:@/+-]*", re.ASCII)


def _escape(text: str) -> str:
    # RFC 5424 6.3.3: "the characters '"' (ABNF %d34), '\' (ABNF %d92), and ']' (ABNF %d93) MUST be escaped"
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _message(name: str, values: Mapping[str, str], room: int) -> bytes:
    words = [name, *(f"{key}={shown(value)}" for key, value in values.items() if value and key not in _NOT_IN_WORDS)]
    text = " ".join(words)
    # RFC 5424 6: MSG-UTF8 = BOM UTF-8-STRING, anything else is MSG-ANY; ASCII needs no BOM, and many receivers would
    # write it into their files
    message = b" " + (text.encode() if text.isascii() else _BOM + text.encode())
    if len(message) <= room:
        return message
    cut = message[:room].decode(errors="ignore").encode()
    return cut if len(cut) > len(_BOM) + 1 else b""


_NOT_IN_WORDS: Final = frozenset({"login", "outcome", "latency"})
