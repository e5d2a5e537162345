"""The monthly review as one HTML page: nothing is loaded, nothing runs, and it prints on A4.

Every value is escaped, and written as on a terminal (charts), so that no name can become a part of the page or turn it
around. Long tables are cut short here; the commands show all. Standards: HTML, SVG 1.1 and CSP 3 of the W3C and WHATWG.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from html import escape
from typing import Final

from radiusd2fa.cli.charts import counts_of, day, left_out, moment, written
from radiusd2fa.reports.report import Cell, Column, Figure, Report, Shown, Table, share

FIRST_LINE: Final = "<!doctype html><!-- made by radiusd2fa report -->\n"
"""By which a page of ours is known."""
MOST_ROWS: Final = 12
_LONGEST_WORD: Final = 24
"""Longer ones are broken anywhere, or one name would push the rest off the page."""

_TILES: Final = (
    ("coverage", "phishing_resistant", "of people can use a key that resists phishing"),
    ("coverage", "unable", "people have no token that works"),
    ("exceptions", "open_grants", "grants are open"),
    ("exceptions", "fallback_logins", "of logins without a factor of their own"),
    ("failures", "rejected", "of logins were refused"),
    ("stale", "idle", "tokens lie idle"),
    ("recovery", "people_with_few", "people run out of recovery codes"),
    ("inventory", "stock", "tokens in stock"),
)
_AS_SHARE: Final = frozenset({"phishing_resistant", "fallback_logins", "rejected"})
_NUMBERS: Final = frozenset({Shown.COUNT, Shown.SHARE})

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2127; --pale: #5f6b7a; --line: #d8dde3; --bar: #2f6f9f; --ground: #fff;
  --tile: #f3f5f7 }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --pale: #9aa7b5; --line: #39424d;
  --bar: #6fb1de; --ground: #15191e; --tile: #1f252c } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 62rem; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
h1 { font-size: 1.7rem; margin: 0 }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .6rem; padding-top: .8rem; border-top: 3px solid var(--bar) }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem }
p { margin: .2rem 0 }
.pale, caption, th { color: var(--pale) }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .7rem; margin: 1.3rem 0 }
.tile { background: var(--tile); border-radius: .5rem; padding: .8rem 1rem }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; max-width: 100% } .drawn { width: 100% }
th { text-align: left; font-weight: 600; font-size: .85em; vertical-align: bottom }
th, td { padding: .28rem 1.4rem .28rem 0; border-bottom: 1px solid var(--line) }
td { vertical-align: top; unicode-bidi: isolate } .long { overflow-wrap: anywhere }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.when { white-space: nowrap }
.figures td { border: 0; padding: .1rem .9rem .1rem 0 }
.bar { width: 40%; vertical-align: middle }
svg { display: block } rect { fill: var(--bar) } text { fill: var(--pale); font-size: 11px }
@media (max-width: 46rem) { .tiles { grid-template-columns: repeat(2, 1fr) } section { overflow-x: auto } }
@page { size: A4; margin: 14mm }
@media print { body { padding: 0; max-width: none; font-size: 9.5pt } .tile { border: 1px solid var(--line) }
  h2, h3 { break-after: avoid } tr, svg, .tile { break-inside: avoid } thead { display: table-header-group } }
"""
_NOTHING_FROM_ELSEWHERE: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html(reports: Sequence[Report], zone: tzinfo | None) -> str:
    """Return the page."""
    return "".join((FIRST_LINE, *_page(reports, zone)))


def _text(value: str) -> str:
    return escape(value, quote=True)


def _page(reports: Sequence[Report], zone: tzinfo | None) -> Iterator[str]:
    made = moment(max(report.made for report in reports), zone)
    yield '<html lang="en"><head><meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FROM_ELSEWHERE}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="referrer" content="no-referrer">\n'
    yield f"<title>Second factors: review of {_text(made)}</title>\n<style>{_STYLE}</style></head>\n<body><main>\n"
    yield "<h1>Second factors: monthly review</h1>\n"
    since = [report.since for report in reports if report.since is not None]
    if since:
        yield f'<p class="pale">{_text(day(min(since), zone))} to {_text(made)}</p>\n'
    yield from _tiles(reports)
    for report in reports:
        yield from _section(report, zone)
    yield "</main></body></html>\n"


def _tiles(reports: Sequence[Report]) -> Iterator[str]:
    by_name = {report.name: report for report in reports}
    yield '<div class="tiles">\n'
    for report, name, says in _TILES:
        if report in by_name:
            figure = by_name[report].figure(name)
            part = share(figure.value, figure.of or 0)
            shown = f"{figure.value:,}" if name not in _AS_SHARE else written(part, Shown.SHARE, None)
            yield f'<div class="tile"><b>{_text(shown)}</b>{_text(says)}</div>\n'
    yield "</div>\n"


def _section(report: Report, zone: tzinfo | None) -> Iterator[str]:
    yield f'<section id="{_text(report.name)}"><h2>{_text(report.title)}</h2>\n'
    since = f"since {day(report.since, zone)}" if report.since is not None else f"as of {moment(report.made, zone)}"
    yield f'<p class="pale">{_text(since)}</p>\n'
    yield from _figures(report.figures)
    for table in report.tables:
        yield f"<h3>{_text(table.title)}</h3>\n"
        if not table.rows:
            yield f'<p class="pale">{_text(table.nothing)}</p>\n'
        elif table.in_time:
            yield _columns_in_time(table)
        else:
            yield from _table(table, zone)
    yield f'<p class="pale">All of it: radiusd2fa report {_text(report.name)} --json</p></section>\n'


def _figures(figures: Sequence[Figure]) -> Iterator[str]:
    yield '<table class="figures"><tbody>\n'
    for one in figures:
        part = "" if one.of is None else written(share(one.value, one.of), Shown.SHARE, None)
        yield f'<tr><td class="number">{one.value:,}</td><td class="number">{_text(part)}</td>'
        yield f"<td>{_text(one.title)}</td></tr>\n"
    yield "</tbody></table>\n"


def _table(table: Table, zone: tzinfo | None) -> Iterator[str]:
    kept = [(at, column) for at, column in enumerate(table.columns) if not column.aside]
    rows = table.rows if table.bars else table.rows[:MOST_ROWS]
    yield '<table class="drawn"><thead><tr>' if table.bars else "<table><thead><tr>"
    for _, column in kept:
        yield f'<th scope="col"{_kind(column)}>{_text(column.title)}</th>'
    yield '<th scope="col"></th>' if table.bars else ""
    yield "</tr></thead><tbody>\n"
    bars = _bars(table) if table.bars else [""] * len(rows)
    for row, bar in zip(rows, bars, strict=True):
        yield "<tr>" + "".join(_cell(row[at], column, zone) for at, column in kept) + bar + "</tr>\n"
    yield "</tbody></table>\n"
    more = left_out(table, len(rows))
    yield f'<p class="pale">{_text(more)}</p>\n' if more else ""


def _cell(cell: Cell, column: Column, zone: tzinfo | None) -> str:
    shown = written(cell, column.shown, zone)
    breaks = max(map(len, shown.split()), default=0) > _LONGEST_WORD
    kind = ' class="long"' if breaks else _kind(column)
    return f"<td{kind}>{_text(shown)}</td>"


def _kind(column: Column) -> str:
    if column.shown in _NUMBERS:
        return ' class="number"'
    return ' class="when"' if column.shown in (Shown.DATE, Shown.MOMENT) else ""


def _bars(table: Table) -> Iterator[str]:
    """Yield a cell with a bar for each row. It is drawn, not a background: those are left out on paper."""
    counts = counts_of(table)
    most = max(max(counts), 1)
    for count in counts:
        width = max(100 * count / most, 0.5) if count else 0.0
        yield (
            '<td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" width="100%" height="12" '
            f'aria-hidden="true"><rect width="{width:.2f}" height="10"/></svg></td>'
        )


def _columns_in_time(table: Table) -> str:
    """Draw a column for each day or month, with the first, the last and the highest written out."""
    counts = counts_of(table)
    most, step = max(max(counts), 1), 600 / len(counts)
    labels = [str(row[0]) for row in table.rows]
    drawn = "".join(
        f'<rect x="{at * step:.2f}" y="{16 + 100 * (1 - count / most):.2f}" width="{step * 0.8:.2f}" '
        f'height="{100 * count / most:.2f}"><title>{_text(label)}: {count:,}</title></rect>'
        for at, (label, count) in enumerate(zip(labels, counts, strict=True))
    )
    says = f"{labels[0]} to {labels[-1]}, at most {most:,}"
    return (
        f'<svg viewBox="0 0 600 134" width="100%" role="img" aria-label="{_text(says)}">'
        f'<text x="0" y="10">at most {most:,}</text>{drawn}'
        f'<text x="0" y="131">{_text(labels[0])}</text>'
        f'<text x="600" y="131" text-anchor="end">{_text(labels[-1])}</text></svg>\n'
    )
