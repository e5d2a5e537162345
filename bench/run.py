"""Measures logins a second, and what else takes time: `make bench`, or `bench/run.py --help`.

It reads the command line, measures one part after the other, and keeps the pages of a full run; each part can be
measured alone. Which conditions hold is said in docs/performance.md (RFC 2865, RFC 4226).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import backends
import deliveries
import overload
import postgresql
import pythons
import report
import reports
import rivals
import servers
from logins import OUTSTANDING, SIZES, Bench

PAGE: Final = servers.HERE.parent / "docs/performance.md"
FLOOD_SECONDS: Final = 60.0
QUICK_FLOOD_SECONDS: Final = 8.0
QUICK_DELIVERY: Final = 10_000

Part = tuple[str, str, str, Callable[[Bench, bool], str]]
"""Its option, the marks around its page, and what measures and writes it: in a hurry or not."""


def _logins(bench: Bench, _: bool) -> str:
    return report.page(bench.all())


def _rivals(bench: Bench, _: bool) -> str:
    return rivals.page(rivals.measure(bench.folder / "rivals", bench.small, bench.rival))


def _postgresql(bench: Bench, _: bool) -> str:
    return postgresql.page(postgresql.measure(bench.folder / "postgresql", bench.on))


def _overload(bench: Bench, quick: bool) -> str:
    site = bench.site(overload.site_size(quick=quick))
    with bench.daemon(site, "none") as ours:
        found = overload.measure(ours, site, QUICK_FLOOD_SECONDS if quick else FLOOD_SECONDS, bench.code_only)
    return overload.page(found)


def _backends(bench: Bench, _: bool) -> str:
    return backends.page(backends.measure(bench.folder / "backends", bench.seconds))


def _deliveries(bench: Bench, quick: bool) -> str:
    sizes = (QUICK_DELIVERY, SIZES[:2]) if quick else (deliveries.TOKENS, deliveries.SIZES)
    return deliveries.page(deliveries.measure(bench.folder / "deliveries", *sizes))


def _reports(bench: Bench, _: bool) -> str:
    return reports.page(reports.measure(bench.folder / "reports"))


PARTS: Final[dict[str, Part]] = {
    "logins": ("logins of every flow, and the echo and FreeRADIUS beside them", report.BEGIN, report.END, _logins),
    "rivals": ("what else answers codes over RADIUS", rivals.BEGIN, rivals.END, _rivals),
    "postgres": ("PostgreSQL, and two workers", postgresql.BEGIN, postgresql.END, _postgresql),
    "overload": ("ten times as much as can be done", overload.BEGIN, overload.END, _overload),
    "backends": ("what servers behind us cost", backends.BEGIN, backends.END, _backends),
    "deliveries": ("what token deliveries cost", deliveries.BEGIN, deliveries.END, _deliveries),
    "reports": ("what the reports cost", reports.BEGIN, reports.END, _reports),
}


def main() -> int:
    """Read the command line, measure, print, and keep the pages of a full run."""
    parser = argparse.ArgumentParser(description="Measure logins a second, and what else takes time.")
    parser.add_argument("--quick", action="store_true", help="1 s each, fewer rows, no million; the page is left alone")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=None, help="of each measurement, 5 by default")
    parser.add_argument(
        "--own-python", action="store_true", help="the checkout's Python, not the quickest that is here"
    )
    for name, (what, *_) in PARTS.items():
        parser.add_argument(f"--{name}", action="store_true", help=f"only {what}")
    asked = parser.parse_args()
    named = [name for name in PARTS if getattr(asked, name)]
    wanted = named or (["logins"] if asked.quick else list(PARTS))
    try:
        servers.build()
        # not /tmp, which is often kept in memory, where nothing is durable and fsync is free
        with tempfile.TemporaryDirectory(prefix="radiusd2fa-bench-", dir="/var/tmp") as folder:
            seconds = asked.seconds or (1.0 if asked.quick else 5.0)
            outstanding, sizes = ((1, 64), SIZES[:2]) if asked.quick else (OUTSTANDING, SIZES)
            bench = Bench(Path(folder), asked.users, seconds, outstanding, sizes)
            if not (asked.own_python or asked.quick):
                bench.quickest(pythons.found())
            for name in wanted:
                _, begin, end, measured = PARTS[name]
                text = measured(bench, asked.quick)
                print(text)
                if not asked.quick:
                    report.insert_into(PAGE, text, begin, end)
    except servers.NotReadyError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
