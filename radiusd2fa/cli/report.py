"""`radiusd2fa report`: what an auditor, a helpdesk and whoever is responsible ask each month, counted from the store.

It changes nothing and holds up nobody: what it shows is the store as it was at one moment. It fetches and shows; what
is counted, and how, stands in ``reports``. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.report_making import (
    Asked,
    begins,
    make_coverage,
    make_exceptions,
    make_failures,
    make_inventory,
    make_recovery,
    make_stale,
)
from radiusd2fa.cli.site import now, permitted, program, site_figures, site_settings, wrong_usage
from radiusd2fa.cli.tables import show_json

if TYPE_CHECKING:
    from radiusd2fa.reports.report import Report

LOOK_BACK: Final = 30
UNUSED: Final = 90
LONGEST: Final = 3650

app = typer.Typer(no_args_is_help=True, help="What is counted for the monthly review; it changes nothing.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: all rows, times in seconds since 1970.")]
AsCsv = Annotated[
    bool, typer.Option("--csv", help="Print comma-separated values: all rows, times in UTC, nothing that is a formula.")
]
Days = Annotated[int, typer.Option(metavar="N", min=1, max=LONGEST, help="How many days to look back, besides today.")]


@app.command()
def coverage(
    ctx: typer.Context,
    group: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Only of these people.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Who can log in with what: by factor, by rule, and who cannot at all.

    People who are switched off are left out. Sheets of codes count as no token.
    """
    _report(ctx, make_coverage, as_json=as_json, as_csv=as_csv, group=group)


@app.command()
def stale(
    ctx: typer.Context,
    days: Annotated[
        int, typer.Option(metavar="N", min=1, max=LONGEST, help="Not used for so many days is stale.")
    ] = UNUSED,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Tokens that nobody uses, or never has, and people who do not come."""
    _report(ctx, make_stale, as_json=as_json, as_csv=as_csv, days=days)


@app.command()
def exceptions(ctx: typer.Context, days: Days = LOOK_BACK, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Who comes in without a second factor of their own, who has allowed it, why, and until when."""
    _report(ctx, make_exceptions, as_json=as_json, as_csv=as_csv, days=days)


@app.command()
def recovery(ctx: typer.Context, days: Days = LOOK_BACK, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Recovery codes that people have left, temporary codes, and emergency codes: made, opened, used."""
    _report(ctx, make_recovery, as_json=as_json, as_csv=as_csv, days=days)


@app.command()
def inventory(ctx: typer.Context, days: Days = LOOK_BACK, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """How many tokens there are, where, how old, and what was lost."""
    _report(ctx, make_inventory, as_json=as_json, as_csv=as_csv, days=days)


@app.command()
def failures(ctx: typer.Context, days: Days = LOOK_BACK, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Logins that were refused: why, where, when and whose; and who is locked out now."""
    _report(ctx, make_failures, as_json=as_json, as_csv=as_csv, days=days)


@app.command()
def page(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to write it; - for standard output.", show_default=False)
    ],
    days: Days = LOOK_BACK,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier page.")] = False,
) -> None:
    """Write the monthly review: all reports on one HTML page, for a browser or for paper.

    It holds names: only its owner may read it (0600). It loads nothing and runs nothing. Behind sudo your own shell
    writes it: report page - >page.html
    """
    from radiusd2fa.cli.new_file import STANDARD_OUTPUT, new_file
    from radiusd2fa.cli.report_page import FIRST_LINE, html

    settings, at = site_settings(ctx.obj), now()
    page_file = new_file(
        file,
        settings,
        "report page",
        replaces=FIRST_LINE.encode() if force else b"",
        if_there=f", or `{program(ctx)} report page --force` to replace an earlier page",
    )
    permitted(settings)  # before anything is said about a file
    with site_figures(ctx.obj) as figures, page_file as output:
        look_back = Asked(figures, settings, at, begins(at, days, settings.zone()), days)
        unused = Asked(figures, settings, at, days=UNUSED)
        reports = (
            make_coverage(look_back),
            make_exceptions(look_back),
            make_recovery(look_back),
            make_failures(look_back),
            make_stale(unused),
            make_inventory(look_back),
        )
        output.write(html(reports, settings.zone()).encode(), else_say="give the command again")
    if file == STANDARD_OUTPUT:
        typer.echo("the page is on standard output; open it in a browser, or print it", err=True)
    else:
        typer.echo(f"wrote {file}; open it in a browser, or print it")


def _report(
    ctx: typer.Context,
    make: Callable[[Asked], Report],
    *,
    as_json: bool,
    as_csv: bool,
    days: int = 0,
    group: str | None = None,
) -> None:
    from radiusd2fa.cli.charts import moment_for_programs, show_report
    from radiusd2fa.core.names import canonical_group
    from radiusd2fa.reports.report import for_programs
    from radiusd2fa.reports.spreadsheet import for_spreadsheets

    if as_json and as_csv:
        wrong_usage("--json and --csv exclude each other")
    wanted = "" if group is None else canonical_group(group)
    if wanted is None or (group is not None and not wanted):
        wrong_usage("--group: a group name has no spaces at its ends, no control characters, and is not empty")
    settings, at = site_settings(ctx.obj), now()
    permitted(settings)
    with site_figures(ctx.obj) as figures:
        report = make(Asked(figures, settings, at, begins(at, days, settings.zone()), days, wanted))
    if as_json:
        show_json(for_programs(report))
    elif as_csv:
        typer.echo(for_spreadsheets(report, moment_for_programs), nl=False)
    else:
        show_report(report, settings.zone())
