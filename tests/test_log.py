"""Lines on standard error: nothing forges one, nothing secret is in one, and nobody ever waits for one to be written.

Pipes here are real, and full; no test waits for time to pass, only for something to happen, with a deadline.
JSON lines are judged by Python's own parser (RFC 8259), the printed ones by Unicode's categories.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import logging
import os
import pty
import select
import socket
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.audit import Journal, Lines
from radiusd2fa.core.model import Event, Reason
from radiusd2fa.log import Entry, Level, Note, describe, line_writer, shown, trace
from radiusd2fa.settings import LogSettings, SyslogSettings

EVENT: Final = Event(
    time=1_767_225_599.000_007,
    name="access.rejected",
    login="5f3c9a1e7b2d4c60",
    nas="vpn",
    user="alice",
    caller="203.0.113.7",
    factor="hotp",
    serial="FT12345678",
    outcome="rejected",
    reason=Reason.WRONG_CODE,
    latency=0.001_234_4,
)
JSON: Final = LogSettings(format="json")
CONSOLE: Final = LogSettings(format="console")
CANARY: Final = "s3cr3t-canary-755224"

ODD_TEXTS: Final = [
    "alice\nforged",
    "alice\r\nforged",
    'alice" event=access.accepted',
    "alice event=access.accepted",
    "alice\\",
    "CORP\\alice",
    "\x1b[2J\x1b[1;1Hforged",
    "\x1b]0;title\x07",
    "nul\x00",
    "backspace\x08\x08\x08",
    "delete\x7f",
    "next line\x85",
    "csi\x9b31m",
    "line\u2028separator",
    "paragraph\u2029separator",
    "override\u202eecila",
    "embedding\u202b\u202c",
    "isolate\u2066x\u2069",
    "mark\u200f\u061c",
    "zero\u200bwidth\u2060",
    "\ufeffBOM",
    "no-break\u00a0space",
    "half \udc80 a surrogate",
    "tag \U000e0041",
    "private \ue000",
    "müller",
    "日本語",
    " spaces ",
    "%s {user} %(user)s",
    "",
]


def prints(char: str) -> bool:
    return char == " " or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


def lines_of(settings: LogSettings, *entries: Entry, colours: bool = False) -> list[str]:
    written: list[str] = []
    write = line_writer(settings, written.append, colours=colours)
    for entry in entries:
        write(entry)
    return written


def line_of(settings: LogSettings, entry: Entry) -> str:
    (line,) = lines_of(settings, entry)
    return line


def note(name: str = "server.started", level: Level = Level.INFO, /, **fields: object) -> Note:
    return Note(1.5, level, name, fields)


# --- one line --------------------------------------------------------------------------------------------------------


def test_json_has_every_field_in_a_fixed_order() -> None:
    """A decision as a program reads it."""
    assert line_of(JSON, EVENT) == (
        '{"time":"2025-12-31T23:59:59.000007Z","level":"notice","event":"access.rejected","login":"5f3c9a1e7b2d4c60",'
        '"nas":"vpn","user":"alice","caller":"203.0.113.7","factor":"hotp","serial":"FT12345678","outcome":"rejected",'
        '"reason":"wrong_code","latency":0.001234}'
    )


def test_console_has_every_field_in_a_fixed_order() -> None:
    """A decision as a person reads it."""
    assert line_of(CONSOLE, EVENT) == (
        "2025-12-31T23:59:59.000007Z notice   access.rejected login=5f3c9a1e7b2d4c60 nas=vpn user=alice "
        "caller=203.0.113.7 factor=hotp serial=FT12345678 outcome=rejected reason=wrong_code latency=0.001234"
    )


def test_administration_names_its_actor_and_leaves_out_what_is_empty() -> None:
    """An event without client and caller has no empty fields for them."""
    event = Event(0.0, "token.added", "", "", "alice", serial="S1", actor="root")
    assert json.loads(line_of(JSON, event)) == {
        "time": "1970-01-01T00:00:00.000000Z",
        "level": "info",
        "event": "token.added",
        "user": "alice",
        "serial": "S1",
        "latency": 0.0,
        "actor": "root",
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3, 3),
        (True, True),
        (None, None),
        (0.25, 0.25),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (Path("/etc/x"), "/etc/x"),
        (ip_address("2001:db8::1"), "2001:db8::1"),
        (Reason.LOCKED, "locked"),
        (
            FileNotFoundError(2, "No such file or directory", "vault.key"),
            "FileNotFoundError: No such file or directory: vault.key",
        ),
        (b"octets", "***"),
        ([1, 2], "***"),
        ({"a": 1}, "***"),
        (object(), "***"),
    ],
)
def test_notes_show_plain_values_only(value: object, written: object) -> None:
    """Numbers, texts, addresses, paths and exceptions are shown; anything else might hold anything."""
    assert json.loads(line_of(JSON, note(error=value)))["error"] == written


def test_the_levels_of_a_site_are_kept() -> None:
    """`level: warning` shows warnings and louder, of decisions and of notes."""
    entries: list[Entry] = [
        EVENT,
        replace(EVENT, reason=Reason.LOCKED),
        note("a.debug", Level.DEBUG),
        note("a.info"),
        note("a.notice", Level.NOTICE),
        note("a.error", Level.ERROR),
        note("a.alarm", Level.CRITICAL),
    ]

    def seen(level: Literal["debug", "info", "warning", "error"]) -> list[str]:
        lines = lines_of(LogSettings(format="json", level=level), *entries)
        return [json.loads(line).get("reason", json.loads(line)["event"]) for line in lines]

    assert seen("error") == ["a.error", "a.alarm"]
    assert seen("warning") == ["locked", "a.error", "a.alarm"]
    assert seen("info") == ["wrong_code", "locked", "a.info", "a.notice", "a.error", "a.alarm"]
    assert seen("debug") == ["wrong_code", "locked", "a.debug", "a.info", "a.notice", "a.error", "a.alarm"]


# --- values are data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("name", ["user", "caller", "serial", "actor"])
def test_no_value_forges_a_json_line(name: str, text: str) -> None:
    """One line, nothing in it that does not print, and the value comes back exactly as it was."""
    change: dict[str, Any] = {name: text}
    for entry in (replace(EVENT, **change), note(**change)):
        line = line_of(JSON, entry)
        assert all(map(prints, line))
        assert json.loads(line).get(name, "") == text


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("name", ["user", "caller", "serial", "actor"])
@pytest.mark.parametrize("colours", [False, True])
def test_no_value_forges_a_console_line(name: str, text: str, *, colours: bool) -> None:
    """One line, nothing in it that does not print, and no other field than before: a space or quote needs quotes."""
    change: dict[str, Any] = {name: text}
    for entry in (replace(EVENT, **change), note(**change)):
        (line,) = lines_of(CONSOLE, entry, colours=colours)
        for style in structlog.dev.ConsoleRenderer.get_default_column_styles(colors=True).__dict__.values():
            line = line.replace(style, "")
        assert all(map(prints, line))
        outside_quotes = "".join(json_strings_removed(line))
        assert outside_quotes.count("event=") == 0
        assert outside_quotes.count("=") == line_of(CONSOLE, replace_text(entry, name)).count("=") - (
            isinstance(entry, Event) and text == ""
        )


def replace_text(entry: Entry, name: str) -> Entry:
    change: dict[str, Any] = {name: "x"}
    return note(**change) if isinstance(entry, Note) else replace(entry, **change)


def json_strings_removed(line: str) -> Iterator[str]:
    decoder = json.JSONDecoder()
    at = 0
    while at < len(line):
        if line[at] == '"':
            _, at = decoder.raw_decode(line, at)
        else:
            yield line[at]
            at += 1


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_shown_in_a_way_that_can_be_undone(text: str) -> None:
    """Bare or quoted, the console's form of a value names exactly one text, and prints."""
    form = shown(text)
    assert all(map(prints, form))
    assert (json.loads(form) if form.startswith('"') else form) == text


@pytest.mark.parametrize("name", ["alice\nforged", "", "Access.Accepted", "access accepted", "x" * 65, "\x1b[2J"])
def test_a_name_that_may_be_data_is_not_repeated(name: str) -> None:
    """Names of events are constants of ours; what does not look like one is not shown."""
    for entry in (replace(EVENT, name=name), note(name)):
        assert json.loads(line_of(JSON, entry))["event"] == "log.bad_name"


@pytest.mark.parametrize("name", ["time", "level", "event"])
def test_no_field_takes_the_place_of_ours(name: str) -> None:
    """A note's own `event` or `level` does not replace the real one."""
    ours = json.loads(line_of(JSON, note()))
    assert json.loads(line_of(JSON, note(**{name: "forged"}))) == ours


def test_a_field_whose_name_may_be_data_is_left_out() -> None:
    """Names of fields are constants too."""
    assert json.loads(line_of(JSON, note(**{"user\nforged": "x", "a b": "x", "": "x", "count": 1}))) == json.loads(
        line_of(JSON, note(count=1))
    )


def test_long_texts_are_cut() -> None:
    """A note cannot fill the disk with one value."""
    assert len(line_of(JSON, note(message="x" * 1_000_000))) < 2_000


# --- secrets ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holder:
    secret: str = field(repr=True)


@pytest.mark.parametrize("settings", [JSON, CONSOLE])
@pytest.mark.parametrize(
    "fields",
    [
        {"password": CANARY},
        {"code": CANARY},
        {"secret": CANARY},
        {"seed": CANARY},
        {"state": CANARY},
        {"key": CANARY},
        {"uri": CANARY},
        {"anything_else": CANARY},
        {"user": CANARY.encode()},
        {"user": Holder(CANARY)},
        {"user": [CANARY]},
        {"error": ValueError(CANARY)},
        {"exception": ValueError(CANARY)},
        {"error": KeyError(CANARY)},
        {"error": UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY)},
        {CANARY: "x"},
    ],
)
def test_what_is_not_on_the_list_is_not_shown(settings: LogSettings, fields: dict[str, object]) -> None:
    """A secret under a name of its own, in octets, in an object or in an exception's text does not reach a line."""
    line = line_of(settings, note(**fields))
    assert CANARY not in line
    assert "canary" not in line


def test_exceptions_of_system_and_database_are_told_and_others_only_named() -> None:
    """The system's and SQLite's words hold no input; everybody else's may."""
    assert describe(OSError(28, "No space left on device")) == "OSError: No space left on device"
    assert describe(sqlite3.OperationalError("database is locked")) == "OperationalError: database is locked"
    assert describe(ValueError(CANARY)) == "ValueError"

    class StatementError(Exception):
        orig = sqlite3.OperationalError("disk I/O error")

    assert describe(StatementError(CANARY)) == "OperationalError: disk I/O error"


def wrong(secret: str) -> None:
    try:
        int(secret)
    except ValueError as error:
        raise RuntimeError(secret + "\nforged") from error


@pytest.mark.parametrize("settings", [JSON, CONSOLE])
def test_the_way_of_an_exception_is_shown_without_its_values(settings: LogSettings) -> None:
    """Files, lines and kinds are there, causes first; texts and values are not, and no line looks like an entry."""
    with pytest.raises(RuntimeError) as caught:
        wrong(CANARY)
    line = line_of(settings, note("server.bug", Level.ERROR, exception=caught.value))
    assert "canary" not in line
    text = trace(caught.value)
    assert text.index("ValueError") < text.index("RuntimeError")
    assert "in wrong" in text
    first, *others = line.split("\n")
    assert "server.bug" in first
    if settings is JSON:
        assert not others
        assert json.loads(line)["exception"] == text
    else:
        assert [other.removeprefix("    ") for other in others] == text.split("\n")
        assert all(other.startswith("    ") for other in others)


# --- the journal -----------------------------------------------------------------------------------------------------


@dataclass
class Pipe:
    """Something like standard error, of which this side reads when it wants."""

    reader: int
    stream: TextIO
    rest: bytes = b""
    lines: list[dict[str, Any]] = field(default_factory=list)

    def read_until(self, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Read until the whole lines so far are enough; fail after ten seconds."""
        deadline = time.monotonic() + 10
        while True:
            if enough(self.lines):
                return self.lines
            ready, _, _ = select.select([self.reader], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not enough came: {self.lines[-3:]}"
            *whole, self.rest = (self.rest + os.read(self.reader, 1 << 16)).split(b"\n")
            self.lines += map(json.loads, whole)


@pytest.fixture(params=["pipe", "socket"])
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    """A pipe as a shell makes it, a stream socket as journald gives it."""
    if request.param == "pipe":
        reader, writer = os.pipe()
    else:
        near, far = socket.socketpair()
        reader, writer = near.detach(), far.detach()
    with os.fdopen(writer, "w") as stream:
        yield Pipe(reader, stream)
        os.close(reader)


def fill(stream: TextIO) -> int:
    """Write blank lines until not one octet more fits, and leave the stream blocking as it was."""
    flags = fcntl.fcntl(stream.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(stream.fileno(), fcntl.F_SETFL, flags | os.O_NONBLOCK)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            count += os.write(stream.fileno(), b" ")
    fcntl.fcntl(stream.fileno(), fcntl.F_SETFL, flags)
    return count


@contextlib.contextmanager
def journal_to(
    stream: TextIO, syslog: SyslogSettings | None = None, settings: LogSettings = JSON, limit: int = 10_000
) -> Iterator[Journal]:
    journal = Journal(settings, syslog, stream, limit=limit)
    try:
        yield journal
    finally:
        journal.close(0.2)


def at_once(call: Callable[[], object]) -> None:
    """Fail, instead of hanging, when the call waits for something."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits"


def numbered(number: int) -> Event:
    return replace(EVENT, login=str(number))


def logins(lines: list[dict[str, Any]]) -> list[int]:
    return [int(line["login"]) for line in lines if "login" in line]


def lost(lines: list[dict[str, Any]], outlet: str) -> int:
    return sum(line["count"] for line in lines if line["event"] == "log.dropped" and line["outlet"] == outlet)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.001)


def test_one_event_and_the_end() -> None:
    """What a command needs: open, write one event, close; a text in memory will do as the stream."""
    stream = io.StringIO()
    with Journal(JSON, None, stream) as journal:
        journal.record(EVENT)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["access.rejected"]


def test_standard_error_is_looked_up_when_the_journal_opens(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a stream it is standard error."""
    with Journal(JSON) as journal:
        journal.note("info", "server.started")
    assert json.loads(capfd.readouterr().err)["event"] == "server.started"


def test_an_event_goes_to_both_places(pipe: Pipe) -> None:
    """Once to standard error, once to syslog, in the order in which they came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        to = SyslogSettings(scheme="udp", host="127.0.0.1", port=collector.getsockname()[1])
        with journal_to(pipe.stream, to) as journal:
            for number in range(50):
                journal.record(numbered(number))
            assert logins(pipe.read_until(lambda lines: len(lines) >= 50)) == list(range(50))
            for number in range(50):
                assert f' login="{number}" '.encode() in collector.recv(4096)
            assert journal.dropped == {"late": 0, "stderr": 0, "syslog": 0}


def test_a_sleeping_journal_is_woken(pipe: Pipe) -> None:
    """An entry that comes while the thread sleeps is written without waiting for another."""
    with journal_to(pipe.stream) as journal:
        for number in range(3):
            wait_until(lambda: journal._sleeping)
            journal.record(numbered(number))
            pipe.read_until(lambda lines, number=number: len(lines) == number + 1)  # type: ignore[misc]


def test_what_comes_while_it_falls_asleep_wakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that comes when the thread has looked for the last time, and does not sleep yet, is written at once."""
    stream = io.StringIO()
    with journal_to(stream) as journal:
        numbers = iter(range(2))

        def due(_: Lines) -> None:
            """The last question before it sleeps: now something comes."""
            if (number := next(numbers, None)) is not None:
                journal.record(numbered(number))

        wait_until(lambda: journal._sleeping)
        monkeypatch.setattr(Lines, "due", due)
        journal._ring()
        wait_until(lambda: len(stream.getvalue().splitlines()) == 2)


def test_only_the_journals_thread_writes() -> None:
    """Notes, structlog and logging from any thread: one thread touches the stream."""
    writers = set()

    class Watched(io.StringIO):
        def write(self, text: str) -> int:
            writers.add(threading.current_thread().name)
            return super().write(text)

    stream = Watched()
    with Journal(JSON, None, stream) as journal:
        journal.record(EVENT)
        structlog.get_logger().info("from.structlog")
        other = threading.Thread(target=lambda: logging.getLogger("x").error("%s", "from logging"))
        other.start()
        other.join()
    assert writers == {"journal"}
    assert len(stream.getvalue().splitlines()) == 3


def test_a_full_pipe_holds_nobody_and_loses_nothing_uncounted(pipe: Pipe) -> None:
    """Nobody reads: recording goes on at once; when it flows again, one line tells how many are missing."""
    stuffing = fill(pipe.stream)
    count = 0
    with journal_to(pipe.stream, limit=100) as journal:

        def record_until_dropped() -> None:
            nonlocal count
            while not journal.dropped["stderr"]:
                for number in range(count, count + 50):
                    journal.record(numbered(number))
                count += 50
                wait_until(lambda: not journal._has_come)

        at_once(record_until_dropped)
        while stuffing:
            stuffing -= len(os.read(pipe.reader, min(stuffing, 1 << 16)))
        lines = pipe.read_until(lambda lines: len(logins(lines)) + lost(lines, "stderr") >= count)
        assert logins(lines) == list(range(len(logins(lines))))
        assert journal.dropped == {"late": 0, "stderr": count - len(logins(lines))}
        assert [line["event"] for line in lines].count("log.dropped") == 1
        journal.record(numbered(count))
        pipe.read_until(lambda lines: logins(lines)[-1] == count)


def test_a_full_pipe_does_not_hold_syslog() -> None:
    """The two places do not wait for each other: syslog gets everything while standard error is blocked."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        fill(stream)
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        to = SyslogSettings(scheme="udp", host="127.0.0.1", port=collector.getsockname()[1])
        with journal_to(stream, to) as journal:
            for number in range(100):
                journal.record(numbered(number))
            for number in range(100):
                assert f' login="{number}" '.encode() in collector.recv(4096)
        os.close(reader)


def test_a_collector_that_never_reads_holds_nobody(pipe: Pipe) -> None:
    """TCP to a peer that takes nothing: standard error gets everything, what syslog lost is counted and told."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        to = SyslogSettings(scheme="tcp", host="127.0.0.1", port=listener.getsockname()[1])
        with journal_to(pipe.stream, to, limit=1000) as journal:
            count = 0

            def record_until_dropped() -> None:
                nonlocal count
                while not journal.dropped["syslog"]:
                    for number in range(count, count + 200):
                        journal.record(replace(numbered(number), user="u" * 250))
                    count += 200
                    pipe.read_until(lambda lines: len(lines) >= count - 100)  # noqa: B023 - called at once

            at_once(record_until_dropped)
            lines = pipe.read_until(lambda lines: len(lines) >= count)
            assert logins(lines) == list(range(count))
            assert journal.dropped["stderr"] == journal.dropped["late"] == 0


def test_a_collector_that_is_not_there_is_told_once_on_standard_error(pipe: Pipe, tmp_path: Path) -> None:
    """`syslog.down` names the receiver and the error; decisions still reach standard error."""
    with journal_to(pipe.stream, SyslogSettings(scheme="unix", path=str(tmp_path / "absent"))) as journal:
        for number in range(20):
            journal.record(numbered(number))
        lines = pipe.read_until(lambda lines: len(lines) >= 21)
    (down,) = [line for line in lines if line["event"] == "syslog.down"]
    assert down["receiver"] == f"unix:{tmp_path / 'absent'}"
    assert down["error"] == "FileNotFoundError: No such file or directory"
    assert journal.dropped["syslog"] == 20


def test_a_flood_is_written_or_counted(pipe: Pipe) -> None:
    """From four threads at once, more than fits: every entry is on a line or in a count, none twice."""
    with journal_to(pipe.stream, limit=50) as journal:

        def flood(first: int) -> None:
            for number in range(first, first + 2000):
                journal.record(numbered(number))

        threads = [threading.Thread(target=flood, args=(2000 * index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        lines = pipe.read_until(lambda lines: len(logins(lines)) + lost(lines, "stderr") == 8000)
        for thread in threads:
            thread.join()
        assert len(set(logins(lines))) == len(logins(lines))
        assert sum(journal.dropped.values()) == lost(lines, "stderr") > 0


def test_closing_is_bounded_when_nobody_reads(pipe: Pipe) -> None:
    """A blocked pipe delays the end by no more than was allowed; what was left is counted, and the thread is gone."""
    fill(pipe.stream)
    journal = Journal(JSON, None, pipe.stream)
    journal.record(EVENT)
    answers = []
    at_once(lambda: answers.append(journal.close(0.05)))
    assert answers == [False]
    assert journal.dropped["stderr"] == 1
    assert not journal._thread.is_alive()


def test_closing_does_not_wait_for_a_collector_that_is_not_there(pipe: Pipe, tmp_path: Path) -> None:
    """A command on a machine without /dev/log ends as soon as its own line is written."""
    journal = Journal(JSON, SyslogSettings(scheme="unix", path=str(tmp_path / "absent")), pipe.stream)
    journal.record(EVENT)
    at_once(lambda: journal.close(3600))
    events = [line["event"] for line in pipe.read_until(lambda lines: len(lines) == 2)]
    assert events == ["access.rejected", "syslog.down"]
    assert journal.dropped == {"late": 0, "stderr": 0, "syslog": 1}


def test_closing_writes_what_waits(pipe: Pipe) -> None:
    """Everything that was recorded before the end is written before the end."""
    journal = Journal(JSON, None, pipe.stream)
    for number in range(100):
        journal.record(numbered(number))
    assert journal.close()
    assert logins(pipe.read_until(lambda lines: len(lines) == 100)) == list(range(100))


def test_what_comes_after_the_end_is_counted(pipe: Pipe) -> None:
    """A closed journal takes nothing, breaks nothing, and says so; closing twice is harmless."""
    journal = Journal(JSON, None, pipe.stream)
    assert journal.close()
    journal.record(EVENT)
    journal.note("info", "too.late")
    journal.close()
    assert journal.dropped["late"] == 2


def test_a_reader_that_leaves_is_told_to_syslog_and_ends_nothing() -> None:
    """Standard error without a reader: lines are counted as lost, the journal lives, and the collector learns of it."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        os.close(reader)
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        to = SyslogSettings(scheme="udp", host="127.0.0.1", port=collector.getsockname()[1])
        with journal_to(stream, to) as journal:
            journal.record(EVENT)
            assert b" access.rejected [" in collector.recv(4096)
            told = collector.recv(4096)
            assert b" stderr.down [" in told
            assert b'error="BrokenPipeError: Broken pipe"' in told
            assert journal.dropped["stderr"] == 1


def test_a_full_disk_is_outlived() -> None:
    """ENOSPC loses lines, counts them, and does not spin: the next attempt is a second later."""
    with Path("/dev/full").open("w") as stream:
        lines = Lines(JSON, stream)
        lines.offer(EVENT)
        lines.step(100.0)
        assert lines.dropped == 1
        assert [name for _, name, _ in lines.news] == ["stderr.down"]
        lines.offer(EVENT)
        lines.step(100.9)
        assert (lines.dropped, lines.due(), lines.interest(), lines.busy(100.9)) == (1, 101.0, None, False)
        lines.step(101.0)
        assert lines.dropped == 2
        assert len(lines.news) == 1


def test_an_entry_that_cannot_be_written_ends_nothing(pipe: Pipe) -> None:
    """A bug of ours in one entry is counted; the others go on."""
    broken: Any = object()
    with journal_to(pipe.stream) as journal:
        journal.record(replace(EVENT, user=broken))
        journal.record(numbered(2))
        lines = pipe.read_until(lambda lines: len(lines) == 2)
        assert logins(lines) == [2]
        assert lost(lines, "stderr") == 1


def test_a_stopped_reader_gets_whole_lines_later(pipe: Pipe) -> None:
    """Lines longer than a pipe takes at once arrive in one piece."""
    text = "x" * 1000
    exception = RuntimeError()
    with journal_to(pipe.stream) as journal:
        for number in range(300):
            journal.note("error", "server.bug", count=number, message=text, where=text, path=text, file=text, to=text)
        journal.note("error", "server.bug", exception=exception)
        lines = pipe.read_until(lambda lines: len(lines) == 301)
    assert [line["count"] for line in lines[:300]] == list(range(300))


@pytest.mark.parametrize("settings", [CONSOLE, JSON])
def test_colours_are_for_terminals_only(settings: LogSettings) -> None:
    """A terminal gets colours, in the console form; a pipe never does."""
    master, slave = pty.openpty()
    reader, writer = os.pipe()
    with os.fdopen(slave, "w") as terminal, os.fdopen(writer, "w") as other:
        for stream in (terminal, other):
            with Journal(settings, None, stream) as journal:
                journal.record(EVENT)
        assert (b"\x1b[" in os.read(master, 4096)) is (settings is CONSOLE)
        assert b"\x1b" not in os.read(reader, 4096)
    os.close(master)
    os.close(reader)


# --- structlog and logging lead to the journal -----------------------------------------------------------------------

log = structlog.get_logger()
"""As a module makes it: before any journal is open."""


def events_of(
    call: Callable[[], object], level: Literal["debug", "info", "warning", "error"] = "debug"
) -> list[dict[str, Any]]:
    stream = io.StringIO()
    with Journal(LogSettings(format="json", level=level), None, stream):
        call()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_structlog_leads_to_the_journal_that_is_open() -> None:
    """A logger made at import time follows; its level and fields are kept, its secrets are not."""

    def call() -> None:
        log.bind(client="lab").warning("client.unsigned", count=3, password=CANARY)
        try:
            wrong(CANARY)
        except RuntimeError:
            log.exception("server.bug")

    first, second = events_of(call)
    assert (first["level"], first["event"], first["client"], first["count"]) == ("warning", "client.unsigned", "lab", 3)
    assert first["password"] == "***"
    assert (second["level"], second["event"]) == ("error", "server.bug")
    assert "RuntimeError" in second["exception"]
    assert "canary" not in json.dumps([first, second])


def test_structlog_obeys_the_level() -> None:
    """What the site does not want to see is not even queued."""

    def call() -> None:
        log.info("too.quiet")
        log.error("loud.enough")

    assert [line["event"] for line in events_of(call, "warning")] == ["loud.enough"]


def test_libraries_show_their_templates_but_not_what_they_filled_in() -> None:
    """A finished message may hold anything: only Alembic's are shown, since it names migrations and sees no secret."""

    def call() -> None:
        logging.getLogger("sqlalchemy.pool").error("Error closing %s", CANARY)
        logging.getLogger("somebody").warning(f"password is {CANARY}")
        logging.getLogger("alembic.runtime.migration").info("Running upgrade %s", "0001")
        logging.getLogger("sqlalchemy.engine.Engine").info("[raw sql] %s", CANARY)

    lines = events_of(call)
    assert [line["library"] for line in lines] == ["sqlalchemy.pool", "somebody", "alembic.runtime.migration"]
    assert [line.get("message") for line in lines] == ["Error closing %s", None, "Running upgrade 0001"]
    assert [line["level"] for line in lines] == ["error", "warning", "info"]
    assert all(line["event"] == "library.message" and line["where"].startswith("test_log.py:") for line in lines)
    assert CANARY not in json.dumps(lines)


def test_asyncio_does_not_tell_the_arguments_of_a_callback() -> None:
    """Its message about a failed callback repeats the arguments, a password among them: only the way is shown."""

    def call() -> None:
        async def main() -> None:
            asyncio.get_running_loop().call_soon(wrong, CANARY)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        asyncio.run(main())

    (line,) = events_of(call, "info")
    assert line["library"] == "asyncio"
    assert "in wrong" in line["exception"]
    assert "canary" not in json.dumps(line)


def test_sqlalchemy_is_not_slowed_down() -> None:
    """Its loggers stay silent below warnings: it formats every statement as soon as somebody listens."""
    with Journal(LogSettings(format="json", level="debug"), None, io.StringIO()):
        assert not logging.getLogger("sqlalchemy.engine.Engine").isEnabledFor(logging.INFO)


def test_everything_is_as_before_after_the_end() -> None:
    """Closing gives structlog and logging back; an older journal that closes later takes nothing from a newer one."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger("alembic").level
    older, newer = Journal(JSON, None, io.StringIO()), Journal(JSON, None, stream := io.StringIO())
    older.close()
    log.info("still.there")
    newer.close()
    assert json.loads(stream.getvalue())["event"] == "still.there"
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger("alembic").level == level
    assert not structlog.is_configured()
