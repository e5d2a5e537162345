"""Our messages as Debian's rsyslogd understands them: over UDP, over TCP and through a Unix socket, field by field.

A private rsyslogd with a configuration of the test's own; the system's is never touched, and ours is ended by its id.
RFC 5424 and RFC 6587 as an implementation of other people's reads them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa.audit import Journal
from radiusd2fa.core.model import Event, Reason
from radiusd2fa.settings import LogSettings, SyslogSettings
from radiusd2fa.syslog_message import SD_ID

RSYSLOGD: Final = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

pytestmark = pytest.mark.skipif(RSYSLOGD is None, reason="needs Debian package rsyslog")

CONFIGURATION: Final = """
global(workDirectory="{folder}" maxMessageSize="8k")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" SysSock.Use="off")
module(load="mmpstrucdata")
template(name="fields" type="list" option.jsonf="on") {{
    property(outname="timestamp" name="timereported" dateFormat="rfc3339" date.inUTC="on" format="jsonf")
    property(outname="hostname" name="hostname" format="jsonf")
    property(outname="app_name" name="app-name" format="jsonf")
    property(outname="procid" name="procid" format="jsonf")
    property(outname="msgid" name="msgid" format="jsonf")
    property(outname="words" name="msg" format="jsonf")
    property(outname="facility" name="syslogfacility-text" format="jsonf")
    property(outname="severity" name="syslogseverity-text" format="jsonf")
    property(outname="version" name="protocol-version" format="jsonf")
    property(outname="data" name="$!rfc5424-sd" format="jsonf")
}}
ruleset(name="all") {{
    action(type="mmpstrucdata" sd_name.lowercase="off")
    action(type="omfile" file="{folder}/received" template="fields")
}}
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="{tcp}" ruleset="all")
input(type="imuxsock" Socket="{folder}/log" UseSpecialParser="off" ParseHostname="on" IgnoreTimestamp="off"
      RateLimit.Interval="0" ruleset="all")
"""

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

ODD_NAMES: Final = [
    "alice",
    'al"ice',
    "CORP\\alice",
    "al]ice",
    '"] forged [x y="z',
    '\\\\]"\\',
    "with space",
    "a=b",
    "müller",
    "日本語 😀",
    "line\nbreak",
    "<13>1 2025-01-01T00:00:00Z forged - - - - x",
    "\x1b[2Jalice",
    "nul\x00",
    "override\u202eecila",
    "%s %n",
    "x" * 253,
]


class Rsyslogd:
    """A private rsyslogd that may be ended and started again, on the same ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.udp, self.tcp = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        self.settings: Final = {
            "unix": SyslogSettings(scheme="unix", path=str(folder / "log")),
            "udp": SyslogSettings(scheme="udp", host="127.0.0.1", port=self.udp),
            "tcp": SyslogSettings(scheme="tcp", host="127.0.0.1", port=self.tcp),
        }
        self._configuration = folder / "rsyslog.conf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder, udp=self.udp, tcp=self.tcp))

    def start(self) -> None:
        assert RSYSLOGD is not None
        command = [RSYSLOGD, "-n", "-f", str(self._configuration), "-i", str(self.folder / "pid")]
        with (self.folder / "complaints").open("ab") as complaints:
            self._process = subprocess.Popen(command, stdout=complaints, stderr=complaints)
        wait_until(lambda: self._process.poll() is not None or self._listens(), "rsyslogd does not start")
        assert self._process.poll() is None, (self.folder / "complaints").read_text()

    def _listens(self) -> bool:
        return (
            (self.folder / "log").exists()
            and taken(self.udp, socket.SOCK_DGRAM)
            and taken(self.tcp, socket.SOCK_STREAM)
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def received(self) -> list[dict[str, Any]]:
        """What its parsers have made of the whole lines that it has written so far."""
        with contextlib.suppress(FileNotFoundError):
            whole = (self.folder / "received").read_bytes().rpartition(b"\n")[0]
            lines = [json.loads(line) for line in whole.split(b"\n") if line]
            return [line | {"data": json.loads(line["data"])} for line in lines]
        return []


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def taken(port: int, kind: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


@pytest.fixture(scope="module")
def rsyslogd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rsyslogd]:
    daemon = Rsyslogd(tmp_path_factory.mktemp("rsyslog"))
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def as_it_should_look(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1].replace("\\n", "\\x0a") for char in text)


@pytest.mark.parametrize("scheme", ["unix", "udp", "tcp"])
def test_its_parser_agrees_field_by_field(rsyslogd: Rsyslogd, scheme: str) -> None:
    """Every event arrives once, in order, and each field is what was sent, odd user names included."""
    events = [
        replace(EVENT, login=f"{scheme}-{number}", user=name, time=EVENT.time + number)
        for number, name in enumerate(ODD_NAMES)
    ]
    with Journal(LogSettings(), rsyslogd.settings[scheme], io.StringIO()) as journal:
        for event in events:
            journal.record(event)
        procid = str(os.getpid())

    def mine() -> list[dict[str, Any]]:
        return [line for line in rsyslogd.received() if line["data"][SD_ID]["login"].startswith(f"{scheme}-")]

    wait_until(lambda: len(mine()) >= len(events), f"only {len(mine())} of {len(events)} arrive")
    for event, line in zip(events, mine(), strict=True):
        words = line.pop("words")
        assert words.removeprefix("\ufeff").startswith("access.accepted nas=vpn user=")
        assert words.startswith("\ufeff") is (not event.user.isascii() and event.user.isprintable())
        second = 59 + int(event.time - EVENT.time)
        assert line == {
            "timestamp": f"{'2025-12-31T23:59' if second < 60 else '2026-01-01T00:00'}:{second % 60:02d}.000007+00:00",
            "hostname": socket.gethostname(),
            "app_name": "radiusd2fa",
            "procid": procid,
            "msgid": "access.accepted",
            "data": {
                SD_ID: {
                    "login": event.login,
                    "nas": "vpn",
                    "user": as_it_should_look(event.user),
                    "caller": "203.0.113.7",
                    "factor": "hotp",
                    "serial": "FT12345678",
                    "outcome": "accepted",
                    "reason": "ok",
                    "latency": "0.001234",
                }
            },
            "facility": "authpriv",
            "severity": "info",
            "version": "1",
        }


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_restart_of_it_loses_and_repeats_nothing(rsyslogd: Rsyslogd, scheme: str) -> None:
    """Events before, during and after an orderly restart arrive once each, in order, and the break is told."""
    lines = io.StringIO()

    def mine() -> list[str]:
        found = [line["data"].get(SD_ID, {}).get("login", "") for line in rsyslogd.received()]
        return [login for login in found if login.startswith(f"restart-{scheme}-")]

    with Journal(LogSettings(format="json"), rsyslogd.settings[scheme], lines) as journal:

        def record(first: int) -> list[str]:
            events = [replace(EVENT, login=f"restart-{scheme}-{number}") for number in range(first, first + 50)]
            for event in events:
                journal.record(event)
            return [event.login for event in events]

        sent = record(0)
        wait_until(lambda: mine() == sent, "the first do not arrive")
        rsyslogd.stop()
        sent += record(50)
        wait_until(lambda: "syslog.down" in lines.getvalue(), "nobody notices")
        rsyslogd.start()
        sent += record(100)
        wait_until(lambda: len(mine()) >= len(sent), "not all arrive")
        assert mine() == sent
    assert journal.dropped == {"late": 0, "stderr": 0, "syslog": 0}
