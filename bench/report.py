"""Turns what a run has measured into a page: machine, tables, ratios, and each promised figure beside the one measured.

It measures nothing, and what was missed stands as plainly as what was kept.
The promised figures are the project's own; no RFC says how fast a RADIUS server must be.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- measured: begin (bench/run.py writes what follows) -->"
END: Final = "<!-- measured: end -->"

WANTED_LOGINS: Final = 15_000
WANTED_CHALLENGES: Final = 7_000
WANTED_OF_FREERADIUS: Final = 0.4
WANTED_P99: Final = 10.0
"""Milliseconds, at half load."""
WANTED_START: Final = 1.0
"""Seconds to the first answer."""
WANTED_SPREAD: Final = 0.20
WANTED_MEMORY: Final = 120
MEASURED_AT: Final = 64
"""Outstanding logins at which the promised figures hold."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the generator reports of one run; the names are those of its JSON. Latencies in microseconds."""

    outstanding: int
    users: int
    seconds: float
    logins: int
    logins_per_second: float
    p50_us: float
    p95_us: float
    p99_us: float
    max_us: float
    accepts: int
    challenges: int
    rejects: int
    silences: int
    bad_replies: int
    retransmissions: int
    strays: int
    generator_us_per_login: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: who was asked, how, and what came of it."""

    server: str
    flow: str
    load: Load
    server_us: float
    """CPU microseconds of the server for each login, all threads."""
    rss: float
    peak: float
    """Megabytes, after the run."""


@dataclass(frozen=True, slots=True)
class HalfLoad:
    """Logins that come at half the highest rate, whether or not those before them are done. Latencies in ms."""

    rate: float
    p50: float
    p99: float
    lost: int
    """Refused, or not answered within a quarter of a second."""


@dataclass(frozen=True, slots=True)
class Flush:
    """What the file system takes to make 4 KiB durable, in microseconds."""

    append_median: float
    append_p95: float
    overwrite_median: float
    overwrite_p95: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """How much of what the daemon decided reached the other end of syslog and of the log."""

    syslog_lines: int
    log_octets: int


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that one run has found out."""

    load_average: float
    filesystem: str
    flush: Flush
    freeradius: str
    """Its version, or why it is missing."""
    rows: tuple[Row, ...]
    sizes: tuple[Row, ...]
    populated: tuple[tuple[int, float], ...]
    """Users, and seconds to insert them."""
    delivery: Delivery
    half: HalfLoad | None
    first_answer: float
    """Seconds from the command to the first Access-Accept, on the largest store."""
    python: str


def page(found: Findings) -> str:
    """Write everything as Markdown."""
    parts = (
        *machine(found.load_average),
        *_surroundings(found),
        "### Promised and measured\n",
        *table(("promised", "measured", ""), _promises(found)),
        "### Logins\n",
        *table(COLUMNS, map(cells, found.rows)),
        *_bound(found),
        "### From a thousand tokens to a million\n",
        *table(COLUMNS, map(cells, found.sizes)),
        f"Populated by bulk insertion, seeds sealed: {_list(f'{n:,} in {s:.1f} s' for n, s in found.populated)}.\n",
        "### Ratios\n",
        *table(("at the same number outstanding", *(str(n) for n in _outstandings(found))), _ratios(found)),
    )
    return "\n".join(parts)


def insert_into(path: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace what stands between the two marks of a page."""
    before, rest = path.read_text().split(begin)
    after = rest.split(end)[1]
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def filesystem_of(path: Path) -> str:
    """Return the type of the file system that holds a path."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    holding = [fields for fields in mounts if path.is_relative_to(fields[4])]
    deepest = max(holding, key=lambda fields: len(fields[4]))
    return deepest[deepest.index("-") + 1]


def machine(load_average: float) -> Iterable[str]:
    """Write when it was, and on what."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    yield f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, all in one run.\n"
    yield (
        f"- {cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.1f} GiB, Linux {platform.release()}; generator, "
        f"server, syslog and log readers share them; load average before the run {load_average:.2f}"
    )


def _surroundings(found: Findings) -> Iterable[str]:
    flush, delivery = found.flush, found.delivery
    yield f"- Python {found.python}, SQLite {sqlite3.sqlite_version}, FreeRADIUS {found.freeradius}"
    yield (
        f"- {found.filesystem}: `fsync` of 4 KiB appended {flush.append_median:.0f} us (p95 {flush.append_p95:.0f}), "
        f"overwritten {flush.overwrite_median:.0f} us (p95 {flush.overwrite_p95:.0f})"
    )
    yield (
        f"- {delivery.syslog_lines:,} lines, one for each decision, reached syslog, "
        f"with {delivery.log_octets / 1e6:.0f} MB of JSON log\n"
    )


COLUMNS: Final = (
    "server",
    "flow",
    "users",
    "outstanding",
    "logins/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "max ms",
    "server CPU us/login",
    "generator CPU us/login",
    "sent again",
    "RSS MB",
    "peak MB",
)


def cells(row: Row) -> tuple[str, ...]:
    """Write one row of the table."""
    load = row.load
    return (
        row.server,
        row.flow,
        f"{load.users:,}",
        f"{load.outstanding}",
        f"{load.logins_per_second:,.0f}",
        *(f"{us / 1000:.2f}" for us in (load.p50_us, load.p95_us, load.p99_us, load.max_us)),
        f"{row.server_us:.1f}",
        f"{load.generator_us_per_login:.1f}",
        f"{load.retransmissions}",
        f"{row.rss:.0f}",
        f"{row.peak:.0f}",
    )


def line(row: Row) -> str:
    """Write one result for a terminal."""
    load = row.load
    return (
        f"{row.server:22} {row.flow:22} {load.users:9,} users {load.outstanding:4} outstanding "
        f"{load.logins_per_second:9,.0f}/s  p50 {load.p50_us / 1000:7.2f}  p99 {load.p99_us / 1000:7.2f} ms "
        f"{row.server_us:7.1f} us CPU  {row.rss:5.0f} MB"
    )


def _promises(found: Findings) -> Iterable[tuple[str, ...]]:
    code_only = _rate(found, "radiusd2fa", "code-only", MEASURED_AT)
    challenge = _rate(found, "radiusd2fa", "challenge", MEASURED_AT)
    static = _rate(found, "FreeRADIUS", "static PAP", MEASURED_AT)
    for flow, rate, wanted in (
        ("durable code-only logins/s", code_only, WANTED_LOGINS),
        ("logins/s by challenge, two commits each", challenge, WANTED_CHALLENGES),
    ):
        if rate is not None:
            yield (
                f"at least {wanted:,} {flow} at {MEASURED_AT} outstanding",
                f"{rate:,.0f}",
                verdict(rate >= wanted, f"{1 - rate / wanted:.0%} short"),
            )
    if code_only and static:
        yield (
            f"at least {WANTED_OF_FREERADIUS} of FreeRADIUS with static passwords, at {MEASURED_AT} outstanding",
            f"{code_only / static:.2f}",
            verdict(code_only / static >= WANTED_OF_FREERADIUS, "too few"),
        )
    if found.half is not None:
        half = found.half
        yield (
            f"p99 under {WANTED_P99:.0f} ms at half load ({half.rate:,.0f} logins/s, open loop)",
            f"{half.p99:.1f} ms (p50 {half.p50:.1f} ms), {half.lost} lost",
            verdict(half.p99 < WANTED_P99 and not half.lost, "too long"),
        )
    if len(found.sizes) > 1:
        rates = [row.load.logins_per_second for row in found.sizes]
        spread = max(max(rates) / rates[0] - 1, 1 - min(rates) / rates[0])
        yield (
            f"within {WANTED_SPREAD:.0%} from {found.sizes[0].load.users:,} to {found.sizes[-1].load.users:,} tokens",
            f"{spread:.0%}",
            verdict(spread <= WANTED_SPREAD, "not flat"),
        )
    if found.sizes:
        largest = found.sizes[-1]
        yield (
            f"first answer within {WANTED_START:.0f} s of the start, with {largest.load.users:,} tokens",
            f"{found.first_answer:.2f} s",
            verdict(found.first_answer < WANTED_START, "too long"),
        )
        yield (
            f"memory under {WANTED_MEMORY} MB with {largest.load.users:,} tokens",
            f"{largest.peak:.0f} MB at most",
            verdict(largest.peak < WANTED_MEMORY, "too much"),
        )


def _bound(found: Findings) -> Iterable[str]:
    """Say how near to one core the daemon came: Python runs one thread at a time, so it can hardly use more."""
    for row in found.rows:
        if (row.server, row.flow, row.load.outstanding) == ("radiusd2fa", "code-only", MEASURED_AT):
            cores = row.server_us * row.load.logins_per_second / 1e6
            yield f"At {MEASURED_AT} outstanding code-only logins the daemon kept {cores:.2f} of a core busy.\n"


def verdict(kept: bool, missed: str) -> str:
    """Write whether a promise was kept."""
    return "kept" if kept else f"**missed**: {missed}"


def _outstandings(found: Findings) -> Sequence[int]:
    return sorted({row.load.outstanding for row in found.rows if row.server == "UDP echo"})


def _rate(found: Findings, server: str, flow: str, outstanding: int) -> float | None:
    matching = (
        row.load.logins_per_second
        for row in found.rows
        if (row.server, row.flow, row.load.outstanding) == (server, flow, outstanding)
    )
    return next(matching, None)


def _ratios(found: Findings) -> Iterable[tuple[str, ...]]:
    for flow in ("code-only", "challenge"):
        for rival, its_flow in (("UDP echo", "any reply"), ("FreeRADIUS", "static PAP")):
            cells = []
            for outstanding in _outstandings(found):
                ours = _rate(found, "radiusd2fa", flow, outstanding)
                theirs = _rate(found, rival, its_flow, outstanding)
                cells.append(f"{ours / theirs:.2f}" if ours and theirs else "-")
            yield (f"radiusd2fa {flow} / {rival}", *cells)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """Write a table."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" if n < 2 else "---:" for n in range(len(head))) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _list(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "nothing"
