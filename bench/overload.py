"""Ten times as many packets as can be answered: how many logins are answered all the same, and what it leaves behind.

One client floods and asks again as devices do; another has 50 logins a second that ask once. Both are real generators
on the cores of the daemon, whose share of them is part of the result. RFC 2865 3, RFC 5080 2.2.1.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pace
import report
import servers
from population import Site
from report import Row
from servers import SECRET, Server

BEGIN: Final = "<!-- overload: begin (bench/run.py --overload writes what follows) -->"
END: Final = "<!-- overload: end -->"
TIMES: Final = 10.0
TRIES: Final = 3
TIMEOUT: Final = 3.0
"""Seconds after which a device asks again."""
WANTED_GOODPUT: Final = 0.70
WANTED_GROWTH: Final = 1.10
WANTED_RECOVERY: Final = 0.80

_NEARLY: Final = 0.85
_OTHERS: Final = 1_000
_OTHERS_RATE: Final = 50.0
_OTHERS_FROM: Final = "127.0.0.4"
_SOME: Final = 5
"""Seconds at the beginning and at the end that are compared."""

Measure = Callable[[Server, Site, int], Row]
"""Load a server with code-only logins, so many outstanding."""


@dataclass(frozen=True, slots=True)
class Found:
    """One flood. Rates in logins a second."""

    peak: float
    offered: float
    """Packets a second, those that are asked again included."""
    answered: tuple[int, ...]
    """In each second of the flood."""
    logins: int
    given_up: int
    others: int
    """Logins of the other client."""
    others_silent: int
    others_p50: float
    others_p99: float
    """Milliseconds, here and above."""
    memory: tuple[float, ...]
    """MB, each second."""
    afterwards: float
    """Right after it, in a closed loop as for ``peak``."""
    load_average: float

    @property
    def goodput(self) -> float:
        """Logins that were answered in a second of the flood, the first one not counted."""
        return statistics.mean(self.answered[1:]) + self.others / len(self.answered)


def measure(server: Server, site: Site, seconds: float, load: Measure) -> Found:
    """Find the peak, flood for so long, and look what it does then."""
    load_average = os.getloadavg()[0]
    peak = max(load(server, site, outstanding).load.logins_per_second for outstanding in (64, 128))
    begun = min(peak * TIMES / TRIES, (site.users - _OTHERS) / (TIMEOUT * TRIES * 1.2))
    with _watched(server) as memory:
        flood = _flood(server, site, begun, seconds)
        others = _others(server, site, seconds)
        done, _ = flood.communicate()
        if flood.returncode:
            raise SystemExit("bench: the flood failed")
    told = json.loads(done)
    afterwards = load(server, site, 64).load.logins_per_second
    print(f"overload: peak {peak:,.0f}/s, answered {told['answered']}", file=sys.stderr)
    return Found(
        peak,
        told["packets"] / (seconds + TIMEOUT * (TRIES - 1)),
        tuple(told["answered"][: int(seconds)]),
        told["logins"],
        told["given_up"],
        len(others.latencies) + others.silences,
        others.silences,
        others.p(0.5),
        others.p(0.99),
        tuple(memory[: int(seconds)]),
        afterwards,
        load_average,
    )


def _flood(server: Server, site: Site, begun: float, seconds: float) -> subprocess.Popen[str]:
    """Start the generator: so many new logins a second."""
    options: dict[str, Any] = {
        "--users": site.users - _OTHERS,
        "--seconds": seconds,
        "--timeout": TIMEOUT,
        "--tries": TRIES,
        "--counters": site.counters,
    }
    command: list[str | Path] = [servers.BUILD / "flood", str(server.port), SECRET, f"{begun:.0f}"]
    command += [str(part) for option in options.items() for part in option]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _others(server: Server, site: Site, seconds: float) -> pace.Stream:
    """Let the others log in meanwhile, with fobs that the flood does not use."""
    first = site.users - _OTHERS
    with site.counters.open("r+b") as kept:
        kept.truncate(site.users * 4)
        kept.seek(first * 4)
        before = array("I", kept.read())
        fobs = pace.Fobs(first, site.users, dict(enumerate(before, first)))
        stream = pace.Stream("others", _OTHERS_FROM, _OTHERS_RATE, fobs)
        pace.run(server.port, [stream], seconds - 2.0)
        kept.seek(first * 4)
        kept.write(array("I", [fobs.counters[index] for index in range(first, site.users)]).tobytes())
    return stream


@contextmanager
def _watched(server: Server) -> Iterator[list[float]]:
    """Write down each second how much memory it has."""
    memory: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            memory.append(server.usage().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


def page(found: Found) -> str:
    """Write everything as Markdown."""
    memory = found.memory
    others = f"p50 {found.others_p50:.1f} ms, p99 {found.others_p99:.1f} ms"
    measured = (
        ("peak before it", f"{found.peak:,.0f} logins/s"),
        ("packets that came", f"{found.offered:,.0f}/s, {found.offered / found.peak:.1f} times the peak"),
        ("answered during it", f"{found.goodput:,.0f} logins/s; {min(found.answered[1:]):,} in the worst second"),
        ("of its logins", f"{found.logins:,} begun, {found.given_up:,} given up after {TRIES} tries"),
        (
            f"of another client's, {_OTHERS_RATE:.0f} a second, each asked once",
            f"{found.others_silent} of {found.others:,} silent; {others}",
        ),
        ("memory", f"{memory[0]:.0f} MB at first, {max(memory):.0f} MB at most, {memory[-1]:.0f} MB at the end"),
        ("right after it", f"{found.afterwards:,.0f} logins/s"),
    )
    return "\n".join(
        (
            *report.machine(found.load_average),
            "",
            f"{len(found.answered)} s; each device asks after {TIMEOUT:.0f} s again, {TRIES} times in all.\n",
            *report.table(("promised", "measured", ""), _promises(found)),
            *report.table(("", ""), measured),
        )
    )


def _promises(found: Found) -> Iterable[tuple[str, ...]]:
    part, times = found.goodput / found.peak, found.offered / found.peak
    enough = times > TIMES * _NEARLY  # else the generator had too little of the cores
    yield (
        f"at {TIMES:.0f} times the capacity at least {WANTED_GOODPUT:.0%} of the peak is answered",
        f"{part:.0%}",
        report.verdict(part >= WANTED_GOODPUT and enough, "too few" if enough else f"only {times:.1f} times came"),
    )
    growth = max(found.memory[-_SOME:]) / max(found.memory[: 2 * _SOME])
    yield "memory stays flat", f"{growth - 1:+.1%}", report.verdict(growth <= WANTED_GROWTH, "it grows")
    answered = 1 - found.others_silent / found.others
    yield (
        "another client's logins are answered",
        f"{answered:.1%}",
        report.verdict(found.others_silent == 0, f"{found.others_silent} silent"),
    )
    recovered = found.afterwards / found.peak
    yield "recovery at once", f"{recovered:.0%} of the peak", report.verdict(recovered >= WANTED_RECOVERY, "slow")


def site_size(*, quick: bool) -> int:
    """Return how many people it takes: each is asked for once within the time in which a login is tried."""
    return 150_000 if quick else 1_000_000
