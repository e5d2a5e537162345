"""Nobody reads the log: standard error is a full pipe, and the syslog collector takes nothing. Logins go on.

What the queue of the real daemon loses is counted and told once it flows again; the audit, which is in the store, loses
nothing. tests/test_log.py and tests/test_syslog.py hold each outlet for itself. RFC 6587 (syslog over TCP).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.daemon.site import Daemon, Site
from tests.daemon.wire import PATIENCE

from .crowd import Crowd

LOGINS = 600
"""More lines than a pipe holds (64 KiB)."""


@contextmanager
def _deaf_collector() -> Iterator[str]:
    """A syslog collector that takes connections and then reads nothing; its address."""
    with socket.socket() as collector:
        collector.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        collector.bind(("127.0.0.1", 0))
        collector.listen()
        yield f"tcp://127.0.0.1:{collector.getsockname()[1]}"


@contextmanager
def _serving_into(reader: subprocess.Popen[bytes], site: Site) -> Iterator[Daemon]:
    """A daemon whose standard error is the reader's standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(site.config), "serve"],
        stdin=subprocess.DEVNULL,
        stderr=reader.stdin,
        cwd=site.folder,
    )
    daemon = Daemon(site, process, 0)
    try:
        daemon.wait_until_listening()
        yield daemon
        reader.send_signal(signal.SIGCONT)
        assert daemon.stop() == 0
    finally:
        reader.send_signal(signal.SIGCONT)
        daemon.kill()


@pytest.mark.parametrize("logins", [LOGINS, pytest.param(40_000, marks=pytest.mark.soak)])
def test_nobody_reads_the_log_and_logins_go_on(crowd: Crowd, logins: int) -> None:
    """With both outlets stuck everybody gets in; when the pipe flows, every login is in it or counted as missing."""
    with _deaf_collector() as collector, crowd.site.log.open("ab") as log:
        words = crowd.site.config.read_text().replace("syslog: off", f'syslog: {{to: "{collector}"}}')
        crowd.site.config.write_text(words)
        with (
            subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log) as reader,
            _serving_into(reader, crowd.site) as daemon,
            crowd.facing(daemon),
        ):
            assert reader.stdin is not None
            crowd.log_in(50)
            reader.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, reader.pid, os.WSTOPPED | os.WNOWAIT)
            crowd.log_in(logins)
            crowd.judge()
            reader.send_signal(signal.SIGCONT)
            accepted = sum(len(member.accepted) for member in crowd.members)
            assert sum(row["name"] == "access.accepted" for row in crowd.site.audit()) == accepted
            daemon.stop()
            reader.stdin.close()
            reader.wait(PATIENCE)
            told = sum(int(line["count"]) for line in daemon.lines("log.dropped") if line["outlet"] != "syslog")
            written = len([line for line in daemon.lines() if line["event"].startswith("access.")])
            decisions = sum(row["name"].startswith("access.") for row in crowd.site.audit())
            assert written + told >= decisions
            assert (told > 0) == (logins > LOGINS)
