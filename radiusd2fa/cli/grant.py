"""`radiusd2fa grant`: what helps somebody through a day without their token, or until a date, and then ends by itself.

Each grant has a reason and an end. Codes are shown once; each is good for one login. Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.codes_sheet import new_sheet
from radiusd2fa.cli.counted import warn_if_uncounted
from radiusd2fa.cli.site import canonical_name, now, program, reason, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import moment, show_json, show_table
from radiusd2fa.cli.when import A_DAY, day, end_of_day

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.endings import GrantRecord
    from radiusd2fa.store.grants import Granted
    from radiusd2fa.store.registry import Registry

app = typer.Typer(no_args_is_help=True, help="Exceptions that end by themselves: temporary codes, or no code at all.")

Name = Annotated[str, typer.Argument(metavar="USER", help="The person's user name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Why = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
]

_LONGEST_SKIP_DAYS: Final = 31


@app.command()
def temporary(
    ctx: typer.Context,
    name: Name,
    given: Why = None,
    hours: Annotated[int, typer.Option(min=1, max=72, metavar="N", help="How long the codes count.")] = 8,
    count: Annotated[int, typer.Option("--codes", min=1, max=10, metavar="N", help="How many codes.")] = 3,
    lost: Annotated[
        str | None,
        typer.Option(metavar="SERIAL", help="Which token is lost, where there are several.", show_default=False),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="No token is lost: it was left at home.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the codes.")] = False,
) -> None:
    """Give somebody a few codes, each good for one login, and set their lost token to lost.

    Without --lost it is the one token that they have. What was granted so before ends. --reason is needed.
    """
    from radiusd2fa.core.ceremonies import KIND
    from radiusd2fa.core.sheets import TEMPORARY

    if keep and lost is not None:
        wrong_usage("--lost SERIAL and --keep exclude each other: is the token lost, or at home?")
    user, settings = canonical_name(name), site_settings(ctx.obj)
    why, at = reason(settings, given, f"give {user} temporary codes", always=True), now()
    sheet, codes = new_sheet(TEMPORARY, "G", count, valid_until=at + hours * 3600)
    with site_registry(ctx.obj) as registry:
        granted = registry.grant_temporary(user, sheet, why, at, lost=lost, keep=keep)
        is_fob = granted.lost is not None and registry.token(granted.lost).kind != KIND
        _warn_if_locked(ctx, registry, user, at)
    warn_if_uncounted(settings, TEMPORARY.kind)
    if as_json:
        facts = {"id": granted.id, "user": user, "serial": sheet.serial, "until": sheet.valid_until}
        show_json({**facts, "lost": granted.lost, "closed": [one.id for one in granted.closed], "codes": codes})
        return
    typer.echo(f"Codes for {user}, each good for one login, until {moment(sheet.valid_until)}:\n")
    for code in codes:
        typer.echo(f"  {code}")
    typer.echo("\nThey go where the token's code is asked for. They are not shown again.")
    if granted.lost is not None:
        found = f"; when it is found: {program(ctx)} token return {granted.lost}" if is_fob else ""
        typer.echo(f"{granted.lost} is lost from now on{found}")
    elif not keep:
        typer.echo(f"{user} has no token in use, so none was set to lost")
    _say_closed(granted)
    typer.echo(f"to end it sooner: {program(ctx)} grant close {granted.id}")


@app.command()
def skip(
    ctx: typer.Context,
    name: Name,
    until: Annotated[
        str, typer.Option(metavar="DATE", help="The last day, as in 2027-01-31; at most 31 days.", show_default=False)
    ],
    given: Why = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody in with the password alone, to the end of a day. --reason is needed."""
    user, settings = canonical_name(name), site_settings(ctx.obj)
    at = now()
    end = _end_of(until, settings, at)
    why = reason(settings, given, f"ask {user} for no second factor", always=True)
    with site_registry(ctx.obj) as registry:
        granted = registry.grant_skip(user, end, why, at)
        _warn_if_locked(ctx, registry, user, at)
    warn_if_uncounted(settings, "skip")
    if as_json:
        closed = [one.id for one in granted.closed]
        show_json({"id": granted.id, "user": user, "until": end, "closed": closed})
        return
    typer.echo(f"{user} gets in with the password alone until the end of {until}")
    _say_closed(granted)
    typer.echo(f"to end it sooner: {program(ctx)} grant close {granted.id}")


@app.command("list")
def list_grants(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that have ended too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the grants that are open: for whom, why, by whom, since when and until when."""
    at = now()
    with site_registry(ctx.obj) as registry:
        records = registry.grants(None if everything else at)
        left = {sheet.serial: sheet.left for kind in ("temporary", "breakglass") for sheet in registry.sheets(kind)}
    if as_json:
        show_json([{**asdict(r), "open": is_open(r, at), "codes_left": left.get(r.serial)} for r in records])
        return
    show_table(
        ("id", "user", "kind", "age", "until", "codes left", "by", "why"),
        [
            (
                str(r.id),
                r.user,
                r.kind,
                age(at - r.created),
                moment(r.until) if r.closed is None else f"closed {moment(r.closed)} by {r.closed_by}",
                str(left.get(r.serial, "-")),
                r.granted_by + (f" and {r.approved_by}" if r.approved_by else ""),
                r.reason,
            )
            for r in records
        ],
        nothing="no grants" if everything else "no grant is open; --all shows those that have ended",
    )


@app.command()
def close(
    ctx: typer.Context,
    number: Annotated[int | None, typer.Argument(metavar="[ID]", help="Which one.", show_default=False)] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="All that this person has.", show_default=False)
    ] = None,
    given: Why = None,
) -> None:
    """End a grant before its time, from the next packet on."""
    if (number is None) is (user is None):
        wrong_usage("say which grant to close: ID, or --user NAME for all that somebody has")
    why = reason(site_settings(ctx.obj), given, "close a grant") if given else ""
    with site_registry(ctx.obj) as registry:
        if user is None:
            closed = [registry.close_grant(number or 0, now(), why)]
        else:
            closed = [*registry.close_grants(canonical_name(user), now(), why)]
    for one in closed:
        typer.echo(f"closed grant {one.id} ({named(one)}) for {one.user}")


def named(grant: GrantRecord) -> str:
    """Say in a word or two what was granted."""
    return f"{grant.kind} {grant.serial}" if grant.serial else grant.kind


def is_open(grant: GrantRecord, at: float) -> bool:
    """Whether it still counts at that moment."""
    return grant.closed is None and at < grant.until


def age(seconds: float) -> str:
    """Say how old something is, as people do."""
    minutes = max(0, int(seconds // 60))
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _end_of(written: str, settings: Settings, at: float) -> float:
    """Return when that day ends in the site's zone; the command ends where it is none, over, or too far away."""
    end = end_of_day(written, "--until", settings)
    latest = day(at + _LONGEST_SKIP_DAYS * A_DAY, settings)
    if not at < end or written > latest:
        wrong_usage(f"--until {written}: nobody goes without a second factor beyond {latest}, nor until a past day")
    return end


def _warn_if_locked(ctx: typer.Context, registry: Registry, user: str, at: float) -> None:
    locked_until = registry.user(user).locked_until
    if locked_until > at:
        end = moment(locked_until)
        typer.echo(f"warning: {user} is locked until {end}; `{program(ctx)} user unlock {user}`", err=True)


def _say_closed(granted: Granted) -> None:
    for one in granted.closed:
        typer.echo(f"closed grant {one.id} ({named(one)}), which was open before")
