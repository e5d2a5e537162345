"""The logins that are measured: every flow and size in one run, each on a daemon of its own, with the disk's own price.

It starts everything that it loads and leaves nothing behind but the figures; a single Access-Reject, unverified reply
or silence fails the run. Which conditions hold is said in docs/performance.md (RFC 2865, RFC 4226).
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import keys
import packets
import population
import report
import servers
from population import Site
from postgresql import name_of
from pythons import OWN, Python
from report import Delivery, Findings, Flush, HalfLoad, Load, Row
from servers import SECRET, Server

OUTSTANDING: Final = (1, 16, 64, 128)
SIZES: Final = (1_000, 10_000, 1_000_000)
ARGON2_OUTSTANDING: Final = 16
KEY_USERS: Final = 1_000
RIVAL_OUTSTANDING: Final = 16
"""They answer one at a time; whoever waits for a second asks again, and pyrad's server takes that for a replay."""


@dataclass(slots=True)
class Bench:
    """One run: how long each measurement lasts, where its files are, and what was found so far."""

    folder: Path
    users: int
    seconds: float
    outstanding: tuple[int, ...]
    sizes: tuple[int, ...]
    rows: list[Row] = field(default_factory=list)
    size_rows: list[Row] = field(default_factory=list)
    server_sites: dict[str, Site] = field(default_factory=dict)
    sites: dict[int, Site] = field(default_factory=dict)
    syslog_lines: int = 0
    log_octets: int = 0
    python: Python = OWN
    half: HalfLoad | None = None
    first_answer: float = 0.0
    """Seconds."""

    def measure(self, server: Server, flow: str, mode: str, users: int, outstanding: int, *options: str | Path) -> Row:
        """Load a server once; the CPU counted is that of the whole load, warm-up and end included, per login of it."""
        outstanding = min(outstanding, users // 2)
        before = server.usage()
        command = [servers.BUILD / "load", mode, str(server.port), SECRET, *options]
        command += ["--users", str(users), "--outstanding", str(outstanding), "--seconds", str(self.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"bench: {server.name}, {flow}: {done.stderr.strip()}\n{done.stdout.strip()}")
        load = Load(**json.loads(done.stdout))
        after = server.usage()
        row = Row(server.name, flow, load, (after.cpu - before.cpu) / load.accepts * 1e6, after.rss, after.peak)
        print(report.line(row), file=sys.stderr)
        return row

    def rivals(self) -> str:
        """Load the echo and FreeRADIUS; return FreeRADIUS's version, or why there is none."""
        with servers.echo() as echo:
            for outstanding in self.outstanding:
                self.rows.append(self.measure(echo, "any reply", "echo", self.users, outstanding))
        if servers.freeradius_version() is None:
            servers.install("freeradius")
        version = servers.freeradius_version()
        if version is None:
            return "not installed, so not compared (Debian's package `freeradius`)"
        with servers.freeradius(self.folder / "freeradius", self.users) as rival:
            for outstanding in self.outstanding:
                row = self.measure(rival, "static PAP", "fixed", self.users, outstanding, "--unsigned")
                self.rows.append(row)
        return version

    def flows(self, site: Site) -> None:
        """Load the daemon in both flows, then with passwords that cost what they should."""
        with self.daemon(site, "none") as ours:
            for outstanding in self.outstanding:
                self.rows.append(self.code_only(ours, site, outstanding))
            for outstanding in self.outstanding:
                self.rows.append(self.challenge(ours, site, "challenge", outstanding))
            self.half = self.half_load(ours, site)
        crowd = population.settle(self.folder / "site-keys", KEY_USERS, with_keys=True)
        with self.daemon(crowd, "none") as ours:
            self.rows.append(self.security_keys(ours, crowd))
        with self.daemon(site, "local") as ours:
            self.rows.append(self.challenge(ours, site, "challenge + argon2id", ARGON2_OUTSTANDING))

    def code_only(self, server: Server, site: Site, outstanding: int) -> Row:
        """One packet a login."""
        return self.measure(server, "code-only", "code-only", site.users, outstanding, "--counters", site.counters)

    def challenge(self, server: Server, site: Site, flow: str, outstanding: int) -> Row:
        """Password, Access-Challenge, code: two packets a login."""
        options: tuple[str | Path, ...] = ("--from", "127.0.0.2", "--password", population.PASSWORD)
        return self.measure(server, flow, "challenge", site.users, outstanding, "--counters", site.counters, *options)

    def security_keys(self, server: Server, site: Site) -> Row:
        """Password, prompt with a code, response: two packets and one ES256 signature a login."""
        before = server.usage()
        load = keys.Crowd(server.port, site.users, report.MEASURED_AT).run(self.seconds)
        after = server.usage()
        row = Row(
            server.name, "security key", load, (after.cpu - before.cpu) / load.accepts * 1e6, after.rss, after.peak
        )
        print(report.line(row), file=sys.stderr)
        return row

    def half_load(self, server: Server, site: Site) -> HalfLoad:
        """Let people come at half the rate of the best closed loop, whether or not those before them are done."""
        best = max(row.load.logins_per_second for row in self.rows if row.flow == "code-only")
        command: list[str | Path] = [servers.BUILD / "flood", str(server.port), SECRET, f"{best / 2:.0f}"]
        command += ["--users", str(site.users), "--seconds", str(self.seconds), "--timeout", "0.25", "--tries", "1"]
        done = subprocess.run([*command, "--counters", site.counters], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        print(f"half load: {best / 2:,.0f}/s, p99 {told['p99_ms']} ms", file=sys.stderr)
        return HalfLoad(best / 2, told["p50_ms"], told["p99_ms"], told["given_up"] + told["rejects"])

    def start_up(self, site: Site) -> float:
        """Start a daemon and log in as soon as it listens; return the seconds from the command to the Access-Accept."""
        site.syslog.unlink(missing_ok=True)
        sink = servers.Sink(site.syslog)
        try:
            began = time.monotonic()
            with (
                servers.daemon(site.configuration("none"), sink, self.python) as server,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nas,
            ):
                nas.bind(("127.0.0.1", 0))
                nas.settimeout(servers.READY_WITHIN)
                asked = packets.request(1, servers.name_of(0), site.next_code(0).encode())
                nas.sendto(asked, ("127.0.0.1", server.port))
                reply = nas.recv(4096)
                took = time.monotonic() - began
        finally:
            sink.close()
        if reply[0] != packets.ACCEPT or not packets.answers(reply, asked):
            raise SystemExit("bench: the first login was refused")
        return took

    def small(self, users: int) -> Iterator[Row]:
        """Load the daemon with so many people, as its rivals are loaded."""
        site = self.site(users)
        with self.daemon(site, "none") as ours:
            yield self.code_only(ours, site, report.MEASURED_AT)

    def rival(self, server: Server, users: int, counters: Path, options: tuple[str, ...]) -> Row:
        """Load another server with the same codes."""
        return self.measure(
            server, "code-only", "code-only", users, RIVAL_OUTSTANDING, "--counters", counters, *options
        )

    def on(self, store: str, workers: int, both: bool) -> Iterable[Row]:
        """Load so many workers on a PostgreSQL database, or on SQLite where there is none."""
        key = f"{'server' if store else 'file'}-{self.users}"
        folder = self.folder / f"site-{key}"
        site = self.server_sites.get(key)
        if site is None:
            site = self.server_sites[key] = population.settle(folder, self.users, server=store)
        name = name_of("postgresql" if store else "sqlite", workers)
        with self.daemon(site, "none", workers, name) as ours:
            for outstanding in self.outstanding:
                if outstanding > 1:
                    yield self.code_only(ours, site, outstanding)
            if both:
                yield self.challenge(ours, site, "challenge", report.MEASURED_AT)

    def quickest(self, found: Iterable[Python]) -> Python:
        """Load the daemon on each Python for a second, twice; return the one with the highest rate."""
        site = self.site(SIZES[0])
        rates: dict[Python, float] = {}
        candidates = list(found)
        for python in (*candidates, *candidates):
            self.python = python
            with self.daemon(site, "none") as ours:
                rate = self.code_only(ours, site, report.MEASURED_AT).load.logins_per_second
            rates[python] = max(rate, rates.get(python, 0.0))
        self.python = max(rates, key=lambda python: rates[python])
        print(f"Python {self.python.version} is the quickest of {len(rates)}", file=sys.stderr)
        return self.python

    @contextmanager
    def daemon(self, site: Site, primary: str, workers: int = 1, name: str = "radiusd2fa") -> Iterator[Server]:
        """Run radiusd2fa on a site, its log in a file and its syslog read as it comes."""
        site.syslog.unlink(missing_ok=True)
        sink = servers.Sink(site.syslog)
        try:
            with servers.daemon(site.configuration(primary, workers=workers), sink, self.python, name) as server:
                yield server
        finally:
            lines, octets = sink.close()
        self.syslog_lines += lines
        self.log_octets += octets

    def site(self, users: int) -> Site:
        """Return the site with so many people; make it the first time."""
        if users not in self.sites:
            self.sites[users] = population.settle(self.folder / f"site-{users}", users)
        return self.sites[users]

    def all(self) -> Findings:
        """Measure everything."""
        load_average = os.getloadavg()[0]
        flush = flush_cost(self.folder)
        freeradius = self.rivals()
        self.flows(self.site(self.users))
        for users in self.sizes:
            site = self.site(users)
            with self.daemon(site, "none") as ours:
                self.size_rows.append(self.code_only(ours, site, report.MEASURED_AT))
        self.first_answer = statistics.median(self.start_up(self.site(self.sizes[-1])) for _ in range(3))
        return Findings(
            load_average,
            report.filesystem_of(self.folder),
            flush,
            freeradius,
            tuple(self.rows),
            tuple(self.size_rows),
            tuple((site.users, site.populated_in) for site in self.sites.values()),
            Delivery(self.syslog_lines, self.log_octets),
            self.half,
            self.first_answer,
            self.python.version,
        )


def flush_cost(folder: Path, times: int = 300) -> Flush:
    """Time bare fsync: 4 KiB at the end of a growing file, then 4 KiB over what is there."""
    block = bytes(4096)
    costs: list[list[float]] = []
    descriptor = os.open(folder / "flush", os.O_RDWR | os.O_CREAT, 0o600)
    for _ in ("append", "overwrite"):
        os.lseek(descriptor, 0, os.SEEK_SET)
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            os.write(descriptor, block)
            os.fsync(descriptor)
            taken.append((time.perf_counter() - began) * 1e6)
        costs.append(taken)
    os.close(descriptor)
    append, overwrite = costs
    return Flush(
        statistics.median(append),
        statistics.quantiles(append, n=20)[-1],
        statistics.median(overwrite),
        statistics.quantiles(overwrite, n=20)[-1],
    )
