"""Measures logins a second, and what else takes time: `make bench`, or `bench/run.py --help`.

It starts everything that it loads and leaves nothing behind but the figures; a single Access-Reject, unverified reply
or silence fails the run. Which conditions hold is said in docs/performance.md (RFC 2865, RFC 4226).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import backends
import deliveries
import keys
import population
import report
import reports
import servers
from report import Delivery, Findings, Flush, Load, Row
from servers import SECRET, Server

PAGE: Final = servers.HERE.parent / "docs/performance.md"
OUTSTANDING: Final = (1, 16, 64, 128)
SIZES: Final = (1_000, 10_000, 1_000_000)
ARGON2_OUTSTANDING: Final = 16
KEY_USERS: Final = 1_000
QUICK_DELIVERY: Final = 10_000


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
    sites: dict[int, population.Site] = field(default_factory=dict)
    decisions: int = 0
    syslog_lines: int = 0
    log_octets: int = 0

    def measure(self, server: Server, flow: str, mode: str, users: int, outstanding: int, *options: str | Path) -> Row:
        """Load a server once; the CPU counted is that of the whole load, warm-up and end included, per login of it."""
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
            servers.install_freeradius()
        version = servers.freeradius_version()
        if version is None:
            return "not installed, so not compared (Debian's package `freeradius`)"
        with servers.freeradius(self.folder / "freeradius", self.users) as rival:
            for outstanding in self.outstanding:
                row = self.measure(rival, "static PAP", "fixed", self.users, outstanding, "--unsigned")
                self.rows.append(row)
        return version

    def flows(self, site: population.Site) -> None:
        """Load the daemon in both flows, then with passwords that cost what they should."""
        with self.daemon(site, "none") as ours:
            for outstanding in self.outstanding:
                self.rows.append(self.code_only(ours, site, outstanding))
            for outstanding in self.outstanding:
                self.rows.append(self.challenge(ours, site, "challenge", outstanding))
        crowd = population.settle(self.folder / "site-keys", KEY_USERS, with_keys=True)
        with self.daemon(crowd, "none") as ours:
            self.rows.append(self.security_keys(ours, crowd))
        with self.daemon(site, "local") as ours:
            self.rows.append(self.challenge(ours, site, "challenge + argon2id", ARGON2_OUTSTANDING))

    def code_only(self, server: Server, site: population.Site, outstanding: int) -> Row:
        """One packet a login."""
        return self.measure(server, "code-only", "code-only", site.users, outstanding, "--counters", site.counters)

    def challenge(self, server: Server, site: population.Site, flow: str, outstanding: int) -> Row:
        """Password, Access-Challenge, code: two packets a login."""
        options: tuple[str | Path, ...] = ("--from", "127.0.0.2", "--password", population.PASSWORD)
        return self.measure(server, flow, "challenge", site.users, outstanding, "--counters", site.counters, *options)

    def security_keys(self, server: Server, site: population.Site) -> Row:
        """Password, prompt with a code, response: two packets and one ES256 signature a login."""
        before = server.usage()
        load = keys.Crowd(server.port, site.users, report.MEASURED_AT).run(self.seconds)
        after = server.usage()
        row = Row(
            server.name, "security key", load, (after.cpu - before.cpu) / load.accepts * 1e6, after.rss, after.peak
        )
        print(report.line(row), file=sys.stderr)
        return row

    @contextmanager
    def daemon(self, site: population.Site, primary: str) -> Iterator[Server]:
        """Run radiusd2fa on a site, its log in a file and its syslog read as it comes."""
        site.syslog.unlink(missing_ok=True)
        sink = servers.Sink(site.syslog)
        before = len(self.rows) + len(self.size_rows)
        try:
            with servers.daemon(site.configuration(primary), sink) as server:
                yield server
        finally:
            lines, octets = sink.close()
        self.decisions += sum(row.load.accepts + row.load.challenges for row in (*self.rows, *self.size_rows)[before:])
        self.syslog_lines += lines
        self.log_octets += octets

    def site(self, users: int) -> population.Site:
        """Return the site with so many people; make it the first time."""
        if users not in self.sites:
            self.sites[users] = population.settle(self.folder / f"site-{users}", users)
        return self.sites[users]

    def run(self) -> Findings:
        """Measure everything."""
        load_average = os.getloadavg()[0]
        flush = flush_cost(self.folder)
        freeradius = self.rivals()
        self.flows(self.site(self.users))
        for users in self.sizes:
            site = self.site(users)
            with self.daemon(site, "none") as ours:
                self.size_rows.append(self.code_only(ours, site, report.MEASURED_AT))
        return Findings(
            load_average,
            report.filesystem_of(self.folder),
            flush,
            freeradius,
            tuple(self.rows),
            tuple(self.size_rows),
            tuple((site.users, site.populated_in) for site in self.sites.values()),
            Delivery(self.decisions, self.syslog_lines, self.log_octets),
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


def main() -> int:
    """Read the command line, measure, print, and keep the page of a full run."""
    parser = argparse.ArgumentParser(description="Measure logins a second.")
    parser.add_argument("--quick", action="store_true", help="1 s each, fewer rows, no million; the page is left alone")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--backends", action="store_true", help="only what servers behind us cost")
    parser.add_argument("--deliveries", action="store_true", help="only what token deliveries cost")
    parser.add_argument("--reports", action="store_true", help="only what the reports cost")
    parser.add_argument("--seconds", type=float, default=None, help="of each measurement, 5 by default")
    asked = parser.parse_args()
    parts = asked.backends or asked.deliveries or asked.reports
    whole = not (parts or asked.quick)
    try:
        servers.build()
        # not /tmp, which is often kept in memory, where nothing is durable and fsync is free
        with tempfile.TemporaryDirectory(prefix="radiusd2fa-bench-", dir="/var/tmp") as folder:
            seconds = asked.seconds or (1.0 if asked.quick else 5.0)
            if not parts:
                bench = Bench(
                    Path(folder),
                    asked.users,
                    seconds,
                    (1, 64) if asked.quick else OUTSTANDING,
                    SIZES[:2] if asked.quick else SIZES,
                )
                keep(report.page(bench.run()), report.BEGIN, report.END, quick=asked.quick)
            if asked.backends or whole:
                text = backends.page(backends.measure(Path(folder) / "backends", seconds))
                keep(text, backends.BEGIN, backends.END, quick=asked.quick)
            if asked.deliveries or whole:
                sizes = (QUICK_DELIVERY, SIZES[:2]) if asked.quick else (deliveries.TOKENS, deliveries.SIZES)
                text = deliveries.page(deliveries.measure(Path(folder) / "deliveries", *sizes))
                keep(text, deliveries.BEGIN, deliveries.END, quick=asked.quick)
            if asked.reports or whole:
                text = reports.page(reports.measure(Path(folder) / "reports"))
                keep(text, reports.BEGIN, reports.END, quick=asked.quick)
    except servers.NotReadyError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def keep(text: str, begin: str, end: str, *, quick: bool) -> None:
    """Print a page, and write it down unless it was made in a hurry."""
    print(text)
    if not quick:
        report.insert_into(PAGE, text, begin, end)


if __name__ == "__main__":
    sys.exit(main())
