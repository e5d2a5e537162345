"""`radiusd2fa recovery`: sheets of codes for the day on which somebody's token is lost.

The codes are shown once, or go to a new file of mode 0600 or to standard output; a new sheet makes the old one
worthless. No code ever comes in by an argument. NIST SP 800-63B 3.1.2 (look-up secrets).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.codes_sheet import Paper, PdfFile, TextFile, hand_over, new_sheet, site_name, written
from radiusd2fa.cli.counted import warn_if_uncounted
from radiusd2fa.cli.site import canonical_name, now, program, reason, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import moment, show_json, show_table
from radiusd2fa.cli.when import day

if TYPE_CHECKING:
    from radiusd2fa.store.sheets import SheetRecord

app = typer.Typer(no_args_is_help=True, help="Recovery codes, for the day on which a token is lost.")

Name = Annotated[str, typer.Argument(metavar="USER", help="The person's user name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Why = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
]

_TO_DO: Final = """
Each code lets you in once, when your token is lost, broken or at home. Type it where the code of your token is asked
for, with its dashes; small letters do as well. Then tick it off.

Keep this sheet where you keep your passport: not with your token, not in the bag with your laptop, and not as a
photograph.

When two codes are left, or when somebody may have seen them, ask for a new sheet. It makes this one worthless.
"""
_IF_FOUND: Final = """
without its owner's password it opens nothing. Please bring or send it to the administrators of {site}, or tell them the
serial {serial}: they make it worthless at once.
"""


@app.command()
def issue(
    ctx: typer.Context,
    name: Name,
    count: Annotated[int, typer.Option("--codes", min=1, max=20, metavar="N", help="How many codes.")] = 10,
    pdf: PdfFile = None,
    text: TextFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the codes.")] = False,
    given: Why = None,
) -> None:
    """Make a sheet of recovery codes, each good for one login. It replaces the one before.

    The sheet is printed once, unless it goes to a file. Behind sudo your own shell writes that: --pdf - >sheet.pdf
    """
    from radiusd2fa.core.sheets import RECOVERY

    user, settings = canonical_name(name), site_settings(ctx.obj)
    why, at = reason(settings, given, f"give {user} recovery codes"), now()
    sheet, codes = new_sheet(RECOVERY, "R", count)
    paper = _paper(user, site_name(settings), day(at, settings), sheet.serial, codes)
    with site_registry(ctx.obj) as registry, written(paper, pdf, text, settings, as_json=as_json):
        replaced = registry.issue_recovery(user, sheet, at, why)
    warn_if_uncounted(settings, RECOVERY.kind)
    if as_json:
        issued = {"user": user, "serial": sheet.serial, "issued": at, "replaced": replaced, "codes": codes}
        show_json(issued)
        return
    sentences = [f"{len(codes)} recovery codes for {user}, serial {sheet.serial}"]
    if replaced:
        sentences.append(f"{' '.join(replaced)} is worthless now: tell {user} to throw it away")
    hand_over(paper, sentences, pdf, text)


@app.command()
def status(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[USER]", help="Whose.", show_default=False)] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody who has some.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how many recovery codes are left, and when one was used last."""
    from radiusd2fa.core.sheets import RECOVERY

    if (name is None) is not everybody:
        wrong_usage("say whose recovery codes: USER, or --all")
    user = None if name is None else canonical_name(name)
    with site_registry(ctx.obj) as registry:
        records = registry.sheets(RECOVERY.kind, user)
    if as_json:
        show_json([asdict(record) for record in records])
        return
    show_table(
        ("user", "serial", "left", "issued", "last used"),
        [(r.user, r.serial, left(r), moment(r.created), moment(r.last_used)) for r in records],
        nothing=f"no recovery codes; `{program(ctx)} recovery issue {user or 'USER'}` makes some",
    )


@app.command()
def revoke(ctx: typer.Context, name: Name, given: Why = None) -> None:
    """Let no recovery code of somebody count any more, from the next packet on."""
    user = canonical_name(name)
    why = reason(site_settings(ctx.obj), given, f"revoke the recovery codes of {user}") if given else ""
    with site_registry(ctx.obj) as registry:
        serials = registry.revoke_recovery(user, now(), why)
    typer.echo(f"revoked {' '.join(serials)} of {user}; `{program(ctx)} recovery issue {user}` makes a new sheet")


def left(record: SheetRecord) -> str:
    """Say how many codes of a sheet are left."""
    return f"{record.left} of {record.codes}" if record.codes else "0: this sheet does not open any more"


def _paper(user: str, site: str, made: str, serial: str, codes: tuple[str, ...]) -> Paper:
    return Paper(
        title="Recovery codes",
        facts=(("user", user), ("site", site), ("made on", made), ("serial", serial)),
        codes=codes,
        to_do=_TO_DO,
        if_found=_IF_FOUND.format(site=site, serial=serial),
    )
