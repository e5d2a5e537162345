"""Syslog messages against a reader written from the grammar of RFC 5424; the sender against receivers that misbehave.

The reader shares nothing with the code under test and forgives nothing; time is handed to the sender, nobody waits.
RFC 5424 section 6, RFC 6587 section 3.4.1.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.model import Event, Reason
from radiusd2fa.log import SHOWN_FIELDS, Level, Note, is_plain, line_writer
from radiusd2fa.settings import LogSettings, SyslogSettings
from radiusd2fa.syslog import Patience, Sender
from radiusd2fa.syslog_message import MAX_OCTETS, render

EVENT: Final = Event(
    time=1_767_225_599.000_007,
    name="access.accepted",
    login="5f3c9a1e7b2d4c60",
    nas="vpn",
    user="alice",
    caller="203.0.113.7",
    factor="hotp",
    serial="FT12345678",
    outcome="accepted",
    reason=Reason.OK,
    latency=0.001_234_4,
)

ODD_TEXTS: Final = [
    'al"ice',
    "CORP\\alice",
    "al]ice",
    '"] <0>1 - - - - - - forged',
    "\\",
    '\\\\]"',
    "ends with \\",
    "alice\nforged",
    "alice\r\nforged",
    "\x1b[2Jalice",
    "nul\x00",
    "delete\x7f",
    "next line\x85",
    "csi\x9b31m",
    "line\u2028separator",
    "paragraph\u2029separator",
    "override\u202eecila",
    "isolate\u2066x\u2069",
    "zero\u200bwidth",
    "\ufeffbegins with a BOM",
    "half \udc80 a surrogate",
    "tag \U000e0041",
    "müller",
    "日本語",
    "😀",
    "אליס",
    " spaces around ",
    "a=b",
    "%s %n {user}",
    "#012",
]


# --- a strict reader of RFC 5424 -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parsed:
    facility: int
    severity: int
    timestamp: str
    hostname: str
    app_name: str
    procid: str
    msgid: str
    data: dict[str, dict[str, str]]
    words: str | None


HEADER: Final = re.compile(
    rb"<(0|[1-9][0-9]{0,2})>1 "
    rb"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{1,6}Z) "
    rb"([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) ([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,32}) "
)
SD_NAME: Final = re.compile(rb"[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}")


class Reader:
    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = 0

    def expect(self, wanted: bytes) -> None:
        assert self.octets.startswith(wanted, self.at), (wanted, self.octets[self.at :])
        self.at += len(wanted)

    def sees(self, wanted: bytes) -> bool:
        return self.octets.startswith(wanted, self.at)

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        match = pattern.match(self.octets, self.at)
        assert match, (pattern, self.octets[self.at :])
        self.at = match.end()
        return match

    def param_value(self) -> str:
        value = bytearray()
        while not self.sees(b'"'):
            if self.sees(b"\\"):
                self.at += 1
                assert self.octets[self.at : self.at + 1] in {b'"', b"\\", b"]"}, "an escape that is none"
            else:
                assert not self.sees(b"]"), "a bracket that is not escaped"
            value += self.octets[self.at : self.at + 1]
            self.at += 1
            assert self.at < len(self.octets), "the quote is never closed"
        return value.decode()


def parse(octets: bytes) -> Parsed:
    reader = Reader(octets)
    priority, timestamp, hostname, app_name, procid, msgid = (part.decode() for part in reader.take(HEADER).groups())
    assert int(priority) <= 191
    data: dict[str, dict[str, str]] = {}
    while reader.sees(b"["):
        reader.expect(b"[")
        params = data.setdefault(reader.take(SD_NAME).group().decode(), {})
        while reader.sees(b" "):
            reader.expect(b" ")
            name = reader.take(SD_NAME).group().decode()
            assert name not in params
            reader.expect(b'="')
            params[name] = reader.param_value()
            reader.expect(b'"')
        reader.expect(b"]")
    assert data
    words = None
    if reader.at < len(octets):
        reader.expect(b" ")
        rest = octets[reader.at :]
        # a sender that puts UTF-8 into MSG says so with a BOM
        words = rest[3:].decode() if rest.startswith(b"\xef\xbb\xbf") else rest.decode("ascii")
    return Parsed(int(priority) // 8, int(priority) % 8, timestamp, hostname, app_name, procid, msgid, data, words)


def prints(char: str) -> bool:
    return char == " " or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


def as_it_should_look(text: str) -> str:
    def escaped(code: int) -> str:
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"

    return "".join(char if prints(char) else escaped(ord(char)) for char in text)


def sent(entry: Event | Note, **header: str) -> bytes:
    return render(
        entry,
        10,
        header.get("hostname", "auth.example.org"),
        header.get("app_name", "radiusd2fa"),
        header.get("procid", "4711"),
    )


def event_with(texts: Sequence[str]) -> Event:
    login, nas, user, caller, factor, serial, outcome, reason, actor = texts
    return Event(EVENT.time, EVENT.name, login, nas, user, caller, factor, serial, outcome, reason, 1.0, actor)


def params(entry: Event | Note) -> dict[str, str]:
    return parse(sent(entry)).data["radiusd2fa@32473"]


# --- the message -----------------------------------------------------------------------------------------------------


def test_an_event_has_every_field_in_its_place() -> None:
    """Header, parameters and words of one accepted login are where RFC 5424 wants them, in UTC and microseconds."""
    assert parse(sent(EVENT)) == Parsed(
        facility=10,
        severity=6,
        timestamp="2025-12-31T23:59:59.000007Z",
        hostname="auth.example.org",
        app_name="radiusd2fa",
        procid="4711",
        msgid="access.accepted",
        data={
            "radiusd2fa@32473": {
                "login": "5f3c9a1e7b2d4c60",
                "nas": "vpn",
                "user": "alice",
                "caller": "203.0.113.7",
                "factor": "hotp",
                "serial": "FT12345678",
                "outcome": "accepted",
                "reason": "ok",
                "latency": "0.001234",
            }
        },
        words="access.accepted nas=vpn user=alice caller=203.0.113.7 factor=hotp serial=FT12345678 reason=ok",
    )


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1_767_225_599.999_999_9, "2026-01-01T00:00:00.000000Z"),
        (1_767_225_599.999_999, "2025-12-31T23:59:59.999999Z"),
        (951_782_400.5, "2000-02-29T00:00:00.500000Z"),
    ],
)
def test_moments_round_into_the_next_second(moment: float, text: str) -> None:
    """A fraction that rounds up carries into second, day and year."""
    assert parse(sent(replace(EVENT, time=moment))).timestamp == text


@pytest.mark.parametrize(
    ("name", "reason", "severity"),
    [
        ("access.accepted", Reason.OK, 6),
        ("access.challenged", Reason.CODE_WANTED, 6),
        ("access.rejected", Reason.WRONG_CODE, 5),
        ("access.rejected", Reason.LOCKED, 4),
        ("access.rejected", Reason.CALLER_LOCKED, 4),
        ("access.rejected", Reason.REPLAYED, 4),
        ("access.silent", Reason.STORE_UNAVAILABLE, 3),
        ("access.silent", Reason.PRIMARY_UNAVAILABLE, 3),
        ("access.silent", Reason.INTERNAL_ERROR, 3),
        ("alarm.counter_went_back", Reason.REPLAYED, 1),
        ("alarm.counter_went_back", "", 1),
        ("token.added", "", 6),
    ],
)
def test_severity_follows_the_outcome(name: str, reason: str, severity: int) -> None:
    """What an administrator must act on is louder than what is every day's."""
    assert parse(sent(replace(EVENT, name=name, reason=reason))).severity == severity


@pytest.mark.parametrize(
    ("level", "severity"), [("debug", 7), ("info", 6), ("notice", 5), ("warning", 4), ("error", 3), ("critical", 1)]
)
def test_a_note_says_its_own_severity(level: str, severity: int) -> None:
    """The levels of notes are those of RFC 5424, critical being an alert."""
    assert parse(sent(Note(1.0, Level(level), "store.unavailable"))).severity == severity


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("field", ["user", "caller", "nas", "serial", "actor"])
def test_no_value_leaves_its_quotes(field: str, text: str) -> None:
    """Whatever a user name holds, the message still parses, and the value is what was given, made visible."""
    change: dict[str, Any] = {field: text}
    event = replace(EVENT, **change)
    assert params(event) == params(EVENT) | {field: as_it_should_look(text)}
    assert all(prints(char) for char in sent(event).decode().replace("\ufeff", ""))


def test_words_in_utf_8_begin_with_a_bom_and_ascii_has_none() -> None:
    """RFC 5424 6.4: MSG in UTF-8 starts with the BOM; plain ASCII is spared it."""
    assert b"] \xef\xbb\xbfaccess.accepted" in sent(replace(EVENT, user="müller"))
    assert b"\xef\xbb\xbf" not in sent(replace(EVENT, user="al\u202eice"))
    words = parse(sent(replace(EVENT, user="müller"))).words
    assert words is not None
    assert "user=müller" in words


@pytest.mark.parametrize(
    ("given_text", "hostname", "app_name", "procid"),
    [
        ("", "-", "-", "-"),
        ("a b\tc\nd", "a_b_c_d", "a_b_c_d", "a_b_c_d"),
        ("müller", "m_ller", "m_ller", "m_ller"),
        ("x" * 300, "x" * 255, "x" * 48, "x" * 128),
    ],
)
def test_header_fields_are_printable_ascii_within_their_lengths(
    given_text: str, hostname: str, app_name: str, procid: str
) -> None:
    """HOSTNAME, APP-NAME and PROCID are cut and cleaned to PRINTUSASCII, or are the NILVALUE."""
    parsed = parse(sent(EVENT, hostname=given_text, app_name=given_text, procid=given_text))
    assert (parsed.hostname, parsed.app_name, parsed.procid) == (hostname, app_name, procid)


@pytest.mark.parametrize("char", ["a", "]", '"', "\\", "ü", "日", "😀", "\x00", "\u2028", "\U000e0041"])
def test_a_message_is_never_too_long_and_still_parses(char: str) -> None:
    """Values and words are cut between characters until 2048 octets are kept, and every parameter survives."""
    for length in [*range(80, 100), *range(240, 270), 1000, 5000]:
        event = event_with([char * length] * 9)
        message = sent(event, hostname="h" * 255, app_name="a" * 48, procid="p" * 128)
        assert len(message) <= MAX_OCTETS
        found = parse(message).data["radiusd2fa@32473"]
        assert list(found) == [
            *("login", "nas", "user", "caller", "factor", "serial", "outcome", "reason", "latency", "actor")
        ]
        whole = as_it_should_look(char) * length
        for value in (found["user"], found["login"]):
            assert value == whole or (value.endswith("...") and whole.startswith(value[:-3]))


@pytest.mark.parametrize("char", ["ü", "日", "😀"])
def test_words_are_cut_between_characters(char: str) -> None:
    """Wherever the bound falls, MSG stays valid UTF-8."""
    for shift in range(8):
        message = sent(replace(EVENT, user=char * 2000), hostname="h" * (10 + shift))
        assert MAX_OCTETS - 4 < len(message) <= MAX_OCTETS
        words = parse(message).words
        assert words is not None
        assert words.endswith(char)


def test_the_longest_radius_name_is_kept_whole() -> None:
    """253 octets, the most that a User-Name can hold, are not cut."""
    name = "ü" * 126 + "x"
    assert params(replace(EVENT, user=name))["user"] == name


def test_a_note_with_too_many_fields_loses_whole_parameters() -> None:
    """What does not fit is left out from the end; the message still parses."""
    note = Note(1.0, Level.INFO, "server.started", dict.fromkeys(sorted(SHOWN_FIELDS), "v" * 90))
    message = sent(note)
    assert len(message) <= MAX_OCTETS
    found = list(parse(message).data["radiusd2fa@32473"])
    assert 10 < len(found) < len(SHOWN_FIELDS)
    assert found == sorted(SHOWN_FIELDS)[: len(found)]


@given(
    name=st.sampled_from(["access.accepted", "token.added"]) | st.text(),
    texts=st.tuples(*[st.text(st.characters(exclude_categories=[])) for _ in range(9)]),
    moment=st.floats(0, 4e9),
)
def test_any_text_at_all_gives_a_message(name: str, texts: tuple[str, ...], moment: float) -> None:
    """For all texts in all fields at once: it parses, it is short enough, and nothing in it does not print."""
    message = sent(replace(event_with(texts), time=moment, name=name))
    assert len(message) <= MAX_OCTETS
    parsed = parse(message)
    assert parsed.words is None or all(map(prints, parsed.words))
    for value in parsed.data["radiusd2fa@32473"].values():
        assert all(map(prints, value))


# --- the sender ------------------------------------------------------------------------------------------------------

PATIENCE: Final = Patience()


def numbered(number: int) -> Event:
    return replace(EVENT, login=f"{number:06d}")


def number_of(message: bytes) -> int:
    return int(parse(message).data["radiusd2fa@32473"]["login"])


def tcp_to(port: int, host: str = "127.0.0.1") -> SyslogSettings:
    return SyslogSettings(scheme="tcp", host=host, port=port)


def udp_to(port: int) -> SyslogSettings:
    return SyslogSettings(scheme="udp", host="127.0.0.1", port=port)


def unix_to(path: Path) -> SyslogSettings:
    return SyslogSettings(scheme="unix", path=str(path))


@contextlib.contextmanager
def listening(
    kind: int = socket.SOCK_STREAM, *, backlog: int = 5, buffer: int = 0
) -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.settimeout(5)
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen(backlog)
        yield listener, listener.getsockname()[1]


@contextlib.contextmanager
def sending(settings: SyslogSettings, *, limit: int = 10_000, patience: Patience = PATIENCE) -> Iterator[Sender]:
    sender = Sender(settings, limit=limit, patience=patience)
    try:
        yield sender
    finally:
        sender.close()


def at_once(call: Callable[[], None]) -> None:
    """Fail, instead of hanging, when the call waits for something."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive(), "it waits"


def read_all(connection: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return bytes(received)


def frames(stream: bytes) -> list[bytes]:
    """Take octet-counted frames apart: MSG-LEN SP SYSLOG-MSG, nothing between, nothing left over."""
    found = []
    while stream:
        length = re.match(rb"([1-9][0-9]*) ", stream)
        assert length, stream[:80]
        end = length.end() + int(length[1])
        assert end <= len(stream), "a frame is cut"
        found.append(stream[length.end() : end])
        stream = stream[end:]
    return found


def test_udp_sends_one_bare_message_in_each_datagram() -> None:
    """RFC 5426: a datagram is a message, with no framing."""
    with listening(socket.SOCK_DGRAM) as (receiver, port), sending(udp_to(port)) as sender:
        for number in range(3):
            sender.offer(numbered(number))
        sender.step(0.0)
        assert [number_of(receiver.recv(4096)) for _ in range(3)] == [0, 1, 2]
        assert (sender.sent, sender.dropped) == (3, 0)


def test_tcp_counts_octets() -> None:
    """RFC 6587 3.4.1: each message is preceded by its length in octets, not in characters."""
    with listening() as (listener, port), sending(tcp_to(port)) as sender:
        events = [replace(numbered(number), user="müller" * number) for number in range(200)]
        for event in events:
            sender.offer(event)
        for _ in range(10):
            sender.step(0.0)
        connection, _ = listener.accept()
        with connection:
            sender.close()
            assert [parse(frame).data["radiusd2fa@32473"]["login"] for frame in frames(read_all(connection))] == [
                event.login for event in events
            ]


def test_a_name_is_looked_up_elsewhere() -> None:
    """A host given by name is resolved without the caller, then connected to."""
    answered = threading.Event()
    with listening() as (listener, port):
        sender = Sender(tcp_to(port, "localhost"), wake=answered.set)
        sender.offer(numbered(1))
        sender.step(0.0)
        assert answered.wait(5)
        for _ in range(3):
            sender.step(0.1)
        connection, _ = listener.accept()
        with connection:
            sender.close()
            assert [number_of(frame) for frame in frames(read_all(connection))] == [1]


def test_a_resolver_that_hangs_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller goes on at once, gives up in time, and never asks twice at the same time."""
    release = threading.Event()
    asked = []
    real = socket.getaddrinfo

    def hanging(host: str, port: int, **options: int) -> object:
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            return real(host, port, **options)
        asked.append(host)
        release.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    with sending(tcp_to(601, "collector.example.org")) as sender:
        sender.offer(numbered(1))
        at_once(lambda: sender.step(0.0))
        assert sender.due() == PATIENCE.resolve
        at_once(lambda: sender.step(PATIENCE.resolve))
        assert [name for _, name, _ in sender.news] == ["syslog.down"]
        at_once(lambda: sender.step(PATIENCE.resolve + PATIENCE.first_pause))
        assert asked == ["collector.example.org"]
        release.set()


def test_a_unix_datagram_socket_gets_bare_messages(tmp_path: Path) -> None:
    """/dev/log as rsyslog and journald offer it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver, sending(unix_to(tmp_path / "log")) as sender:
        receiver.bind(str(tmp_path / "log"))
        receiver.settimeout(5)
        sender.offer(numbered(7))
        sender.step(0.0)
        assert number_of(receiver.recv(4096)) == 7


def test_a_unix_stream_socket_gets_messages_ended_by_nul(tmp_path: Path) -> None:
    """/dev/log as a stream, framed as the C library frames it; found out by trying."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, sending(unix_to(tmp_path / "log")) as sender:
        listener.bind(str(tmp_path / "log"))
        listener.listen()
        for number in range(3):
            sender.offer(numbered(number))
        sender.step(0.0)
        connection, _ = listener.accept()
        with connection:
            sender.close()
            *messages, rest = read_all(connection).split(b"\0")
            assert rest == b""
            assert [number_of(message) for message in messages] == [0, 1, 2]


def test_what_comes_while_others_are_written_waits_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever records on another thread, in the middle of a step, disturbs nothing and loses nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, sending(unix_to(tmp_path / "log")) as sender:
        listener.bind(str(tmp_path / "log"))
        listener.listen()
        frame, numbers = sender._frame, iter(range(3, 6))

        def frame_meanwhile(message: bytes) -> bytes:
            if (number := next(numbers, None)) is not None:
                sender.offer(numbered(number))
            return frame(message)

        monkeypatch.setattr(sender, "_frame", frame_meanwhile)
        for number in range(3):
            sender.offer(numbered(number))
        sender.step(0.0)
        sender.step(0.0)
        connection, _ = listener.accept()
        with connection:
            sender.close()
            *messages, _ = read_all(connection).split(b"\0")
            assert [number_of(message) for message in messages] == list(range(6))
            assert sender.dropped == 0


def test_nobody_there_is_told_once_and_tried_ever_less_often(tmp_path: Path) -> None:
    """The pause doubles up to its bound; what waits is kept up to the limit, the rest is counted."""
    with sending(unix_to(tmp_path / "absent"), limit=3) as sender:
        for number in range(5):
            sender.offer(numbered(number))
        now, pauses = 0.0, []
        for _ in range(9):
            sender.step(now)
            due = sender.due()
            assert due is not None
            pauses.append(due - now)
            assert not sender.busy(now)
            now = due
        assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        assert [name for _, name, _ in sender.news] == ["syslog.down"]
        assert sender.dropped == 2
        assert not sender.flows()

        sender.news.clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(str(tmp_path / "absent"))
            receiver.settimeout(5)
            sender.step(now)
            assert [number_of(receiver.recv(4096)) for _ in range(3)] == [0, 1, 2]
        assert [name for _, name, _ in sender.news] == ["syslog.up"]
        assert sender.flows()


def test_no_attempt_is_made_before_its_time(tmp_path: Path) -> None:
    """During the pause nothing is tried, even when the receiver is back."""
    with sending(unix_to(tmp_path / "log")) as sender, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        sender.offer(numbered(1))
        sender.step(0.0)
        receiver.bind(str(tmp_path / "log"))
        sender.step(PATIENCE.first_pause - 0.01)
        assert sender.sent == 0
        sender.step(PATIENCE.first_pause)
        assert sender.sent == 1


def test_a_datagram_that_found_nobody_is_counted() -> None:
    """ICMP tells with the next datagram that the last one was lost: counted, and the next one is kept for later."""
    with listening(socket.SOCK_DGRAM) as (receiver, port), sending(udp_to(port)) as sender:
        receiver.close()
        sender.offer(numbered(1))
        sender.step(0.0)
        sender.offer(numbered(2))
        sender.step(0.0)
        assert (sender.dropped, sender.sent) == (1, 0)
        assert [name for _, name, _ in sender.news] == ["syslog.down"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind(("127.0.0.1", port))
            back.settimeout(5)
            sender.step(PATIENCE.first_pause)
            assert number_of(back.recv(4096)) == 2
            assert [name for _, name, _ in sender.news] == ["syslog.down"]
            sender.offer(numbered(3))
            sender.step(PATIENCE.first_pause)
            assert [name for _, name, _ in sender.news] == ["syslog.down", "syslog.up"]


def fill(sender: Sender, now: float) -> None:
    """Offer more than any buffer takes, and write until nothing more goes."""
    for number in range(1, 5001):
        sender.offer(replace(event_with(["u" * 250] * 9), login=f"{number:06d}"))
    while sender.due() == 0.0:
        sender.step(now)


def test_a_receiver_that_never_reads_holds_nobody(tmp_path: Path) -> None:
    """Steps return at once; after the stall time the connection is given up and told."""
    # a Unix stream, because its buffers change only when somebody reads; TCP may take a little more a moment later
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, sending(unix_to(tmp_path / "log")) as sender:
        listener.bind(str(tmp_path / "log"))
        listener.listen()
        sender.offer(numbered(0))
        at_once(lambda: sender.step(0.0))
        at_once(lambda: fill(sender, 1.0))
        assert sender.due() == 1.0 + PATIENCE.stall
        assert sender.busy(1.0)
        at_once(lambda: sender.step(1.0 + PATIENCE.stall - 0.1))
        assert not sender.news
        at_once(lambda: sender.step(1.0 + PATIENCE.stall))
        assert [name for _, name, _ in sender.news] == ["syslog.down"]


def test_a_receiver_that_does_not_answer_holds_nobody() -> None:
    """A connection that is not made in time is given up: here the queue of the listener is full."""
    with listening(backlog=0) as (_listener, port), contextlib.ExitStack() as others, sending(tcp_to(port)) as sender:
        for _ in range(4):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        sender.offer(numbered(1))
        at_once(lambda: sender.step(0.0))
        assert sender.due() == PATIENCE.connect
        at_once(lambda: sender.step(PATIENCE.connect))
        assert [name for _, name, _ in sender.news] == ["syslog.down"]


def test_a_frame_that_was_cut_is_sent_again_whole_and_no_other() -> None:
    """After a break in the middle of a frame, the next connection begins with that frame, from its first octet."""
    with listening(buffer=4096) as (listener, port), sending(tcp_to(port)) as sender:
        sender.offer(numbered(0))
        sender.step(0.0)
        first, _ = listener.accept()
        fill(sender, 0.0)
        whole = sender.sent
        assert 0 < whole < 5000
        assert sender._begun > 0, "the buffers were full at the end of a frame: the test proves nothing"
        first.close()
        sender.step(1.0)
        assert sender.sent == whole
        sender.step(1.0 + PATIENCE.first_pause)
        second, _ = listener.accept()
        with second:
            received = bytearray()
            second.settimeout(5)
            while sender.busy(2.0) or not received:
                sender.step(2.0)
                received += second.recv(1 << 20)
            sender.close()
            received += read_all(second)
        assert [number_of(frame) for frame in frames(bytes(received))] == list(range(whole, 5001))


def test_a_receiver_that_has_closed_is_noticed_before_anything_is_written_to_it() -> None:
    """An orderly restart of the receiver loses nothing: the next message goes over a new connection."""
    with listening() as (listener, port), sending(tcp_to(port)) as sender:
        sender.offer(numbered(1))
        sender.step(0.0)
        first, _ = listener.accept()
        assert [number_of(frame) for frame in frames(first.recv(4096))] == [1]
        first.close()
        sender.offer(numbered(2))
        sender.step(1.0)
        sender.step(1.0 + PATIENCE.first_pause)
        second, _ = listener.accept()
        with second:
            assert [number_of(frame) for frame in frames(second.recv(4096))] == [2]
        assert (sender.sent, sender.dropped) == (2, 0)


def test_debugging_is_not_for_the_collector() -> None:
    """Notes at debug level stay on this machine."""
    with listening(socket.SOCK_DGRAM) as (_receiver, port), sending(udp_to(port)) as sender:
        sender.offer(Note(1.0, Level.DEBUG, "packet.dropped"))
        sender.offer(Note(1.0, Level.INFO, "server.started"))
        sender.step(0.0)
        assert sender.sent == 1


def test_closing_counts_what_was_left() -> None:
    """Messages that wait when the sender ends are dropped, and counted."""
    sender = Sender(unix_to(Path("/nonexistent/log")))
    sender.offer(numbered(1))
    sender.step(0.0)
    sender.close()
    assert sender.dropped == 1


plain_texts = st.text(alphabet="abcXYZ019_.:@/+-", max_size=20)


@given(user=plain_texts, caller=plain_texts, serial=plain_texts, latency=st.floats(0, 9), time=st.floats(0, 4e9))
def test_the_short_way_writes_what_the_long_way_would(
    user: str, caller: str, serial: str, latency: float, time: float
) -> None:
    """A decision without anything to escape has the same message and the same lines by either way."""
    event = Event(time, "access.rejected", "0f", "vpn", user, caller, "hotp", serial, "rejected", "replayed", latency)

    def written() -> tuple[bytes, list[str]]:
        lines: list[str] = []
        line_writer(LogSettings("json", "info"), lines.append, colours=False)(event)
        line_writer(LogSettings("console", "info"), lines.append, colours=False)(event)
        return render(event, 10, "host", "app", "1"), lines

    assert is_plain(event)
    by_the_short_way = written()
    with pytest.MonkeyPatch.context() as patch:
        for module in ("radiusd2fa.log", "radiusd2fa.syslog_message"):
            patch.setattr(f"{module}.is_plain", lambda _: False)
        assert written() == by_the_short_way


@pytest.mark.parametrize("user", ['a"b', "a b", "a\\b", "a]b", "a\nb", "jörg", "a=b", "x" * 201])
def test_a_text_that_needs_care_goes_the_long_way(user: str) -> None:
    """Quotes, spaces, brackets, escapes, letters beyond ASCII and long texts are never taken as they are."""
    assert not is_plain(Event(0.0, "access.rejected", "0f", "vpn", user))
