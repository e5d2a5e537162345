"""`radiusd2fa breakglass`: emergency codes in sealed envelopes, which two administrators open together.

Nobody opens anything alone: who asks and who approves are two accounts of this machine, whatever the shell claims.
Every step is an alarm in syslog. Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.codes_sheet import Paper, PdfFile, TextFile, hand_over, new_sheet, site_name, written
from radiusd2fa.cli.counted import warn_if_uncounted
from radiusd2fa.cli.recovery import left
from radiusd2fa.cli.site import (
    administrator,
    canonical_name,
    now,
    program,
    reason,
    refuse,
    site_registry,
    site_settings,
)
from radiusd2fa.cli.tables import moment, show_json, show_table
from radiusd2fa.cli.when import day, duration_of

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.emergencies import Person
    from radiusd2fa.store.sheets import SheetRecord

app = typer.Typer(no_args_is_help=True, help="Sealed emergency codes, opened by two administrators together.")

Name = Annotated[str, typer.Argument(metavar="USER", help="The account.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Why = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
]

_TO_DO: Final = """
Put this sheet into an opaque envelope. Write on it: emergency codes, the account, the site, the day and the serial from
above. Seal it, sign across the flap, and lock it away.

No code counts yet. In an emergency one administrator gives the command `radiusd2fa breakglass request {user} --reason
...`, and another one, within 15 minutes, `radiusd2fa breakglass approve` with the number of the request. Then open the
envelope: each code lets the account in once, until the time is over. Type it where the code of a token is asked for, or
in place of the password where the site says so.

After the emergency make new ones: `radiusd2fa breakglass seal {user}`.
"""
_IF_FOUND: Final = """
without two administrators it opens nothing, but an envelope that is open, or not in its place, is an incident: tell the
administrators of {site} at once, and name the serial {serial}.
"""


@app.command()
def seal(
    ctx: typer.Context,
    name: Name,
    count: Annotated[int, typer.Option("--codes", min=1, max=10, metavar="N", help="How many codes.")] = 3,
    pdf: PdfFile = None,
    text: TextFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the codes.")] = False,
    given: Why = None,
) -> None:
    """Make an account's emergency codes in advance, for a sealed envelope. They replace those before.

    None of them counts until `breakglass request` and `breakglass approve` have opened them. Behind sudo your own shell
    writes the file: --pdf - >sheet.pdf
    """
    from radiusd2fa.core.sheets import BREAK_GLASS

    user, settings = canonical_name(name), site_settings(ctx.obj)
    why, at = reason(settings, given, f"seal emergency codes for {user}"), now()
    sheet, codes = new_sheet(BREAK_GLASS, "E", count, valid_until=at)
    paper = _paper(user, site_name(settings), day(at, settings), sheet.serial, codes)
    with site_registry(ctx.obj) as registry, written(paper, pdf, text, settings, as_json=as_json):
        replaced = registry.seal(user, sheet, at, why)
    warn_if_uncounted(settings, BREAK_GLASS.kind)
    if as_json:
        show_json({"user": user, "serial": sheet.serial, "sealed": at, "replaced": replaced, "codes": codes})
        return
    sentences = [f"{len(codes)} emergency codes for {user}, serial {sheet.serial}, sealed"]
    if replaced:
        sentences.append(f"{' '.join(replaced)} is worthless now: shred it")
    hand_over(paper, sentences, pdf, text)


@app.command()
def request(
    ctx: typer.Context,
    name: Name,
    given: Why = None,
    lasts: Annotated[
        str, typer.Option("--open", metavar="TIME", help="How long the codes shall count, 10m to 8h.")
    ] = "1h",
    as_json: AsJson = False,
) -> None:
    """Ask for an account's emergency codes to be opened, as the first of two administrators. --reason is needed."""
    from radiusd2fa.store.emergencies import LONGEST_OPENING, SHORTEST_OPENING

    user, settings = canonical_name(name), site_settings(ctx.obj)
    seconds = duration_of(lasts, "--open", least=SHORTEST_OPENING, most=LONGEST_OPENING)
    who = _person(settings)
    why = reason(settings, given, f"open the emergency codes of {user}", always=True)
    with site_registry(ctx.obj) as registry:
        made = registry.request_opening(user, why, who, seconds, now())
    warn_if_uncounted(settings, "breakglass")
    if as_json:
        show_json(asdict(made))
        return
    typer.echo(f"request {made.id}: open the emergency codes of {user} for {lasts}")
    typer.echo(
        f"Another administrator approves it by {moment(made.expires)}:\n\n{program(ctx)} breakglass approve {made.id}"
    )


@app.command()
def approve(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="The number of the request.", show_default=False)],
    given: Why = None,
    as_json: AsJson = False,
) -> None:
    """Open emergency codes that another administrator has asked for, within 15 minutes, as the second of the two."""
    settings = site_settings(ctx.obj)
    who = _person(settings)
    why = reason(settings, given, f"approve request {number}") if given else ""
    with site_registry(ctx.obj) as registry:
        opened = registry.approve_opening(number, who, now(), why)
    if as_json:
        show_json(asdict(opened))
        return
    typer.echo(f"the emergency codes of {opened.user} ({opened.serial}) count until {moment(opened.until)}")
    typer.echo(f"{opened.left} left, each good for one login; {opened.requested_by} has asked for it")
    typer.echo(f"to seal them again sooner: {program(ctx)} breakglass close {opened.user}")


@app.command("list")
def list_all(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the emergency codes there are, which of them are open, and the requests that wait."""
    from radiusd2fa.core.sheets import BREAK_GLASS

    at = now()
    with site_registry(ctx.obj) as registry:
        sheets, waiting = registry.sheets(BREAK_GLASS.kind), registry.requests(at)
    if as_json:
        shown = [{**asdict(sheet), "is": _standing(sheet, at)} for sheet in sheets]
        show_json({"sheets": shown, "requests": [asdict(one) for one in waiting]})
        return
    show_table(
        ("user", "serial", "left", "is", "until", "made", "last used"),
        [
            (
                sheet.user,
                sheet.serial,
                left(sheet),
                _standing(sheet, at),
                moment(sheet.valid_until) if _standing(sheet, at) == "open" else "-",
                moment(sheet.created),
                moment(sheet.last_used),
            )
            for sheet in sheets
        ],
        nothing=f"no emergency codes; `{program(ctx)} breakglass seal USER` makes some, in advance",
    )
    show_table(
        ("request", "user", "for", "asked by", "approve by", "why"),
        [
            (str(one.id), one.user, f"{one.lasts / 60:.0f} min", one.requested_by, moment(one.expires), one.reason)
            for one in waiting
        ],
        nothing="no request waits",
    )


@app.command()
def close(ctx: typer.Context, name: Name, given: Why = None) -> None:
    """Seal an account's emergency codes again, from the next packet on, and drop what was asked."""
    user = canonical_name(name)
    why = reason(site_settings(ctx.obj), given, f"seal the emergency codes of {user}") if given else ""
    with site_registry(ctx.obj) as registry:
        closed = registry.close_emergency(user, now(), why)
    typer.echo(f"the emergency codes of {user} are sealed again" if closed else f"dropped what was asked for {user}")
    if closed:
        typer.echo(f"an open envelope is no envelope: {program(ctx)} breakglass seal {user} makes new codes")


def _person(settings: Settings) -> Person:
    """Return the human being who gives this command; without one the command ends."""
    from radiusd2fa.store.emergencies import Person

    who = administrator(settings)
    if not who.is_person:
        refuse(f"{who.name} is nobody in particular, and so neither of the two: log in as yourself and use sudo")
    return Person(who.uid, who.account)


def _standing(sheet: SheetRecord, at: float) -> str:
    if sheet.state != "active":
        return sheet.state
    if not sheet.left:
        return "used up"
    return "open" if sheet.valid_until is not None and at < sheet.valid_until else "sealed"


def _paper(user: str, site: str, made: str, serial: str, codes: tuple[str, ...]) -> Paper:
    return Paper(
        title="Emergency codes",
        facts=(("account", user), ("site", site), ("sealed on", made), ("serial", serial)),
        codes=codes,
        to_do=_TO_DO.format(user=user),
        if_found=_IF_FOUND.format(site=site, serial=serial),
    )
