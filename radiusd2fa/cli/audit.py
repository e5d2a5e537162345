"""`radiusd2fa audit`: who did what, and whether the record of it is whole.

It shows rows and keys, and changes nothing; `verify` is in audit_verify, `rotate` in audit_rotate. What the chains are
worth against whom: docs/audit.md. Answers to no RFC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.audit_rotate import rotate
from radiusd2fa.cli.audit_verify import verify
from radiusd2fa.cli.site import canonical_name, site_audit, site_settings
from radiusd2fa.cli.tables import moment, show_json, show_table
from radiusd2fa.cli.when import start_of_day

if TYPE_CHECKING:
    from radiusd2fa.core.chain_findings import Linked

app = typer.Typer(no_args_is_help=True, help="Who did what, and whether the record of it is whole.")


@app.command("list")
def list_rows(
    ctx: typer.Context,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only about this person.", show_default=False)
    ] = None,
    client: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only logins at this client.", show_default=False)
    ] = None,
    serial: Annotated[str | None, typer.Option(metavar="S", help="Only about this token.", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only from this day on, as in 2027-01-31.", show_default=False)
    ] = None,
    last: Annotated[int, typer.Option(metavar="N", min=1, help="At most the last N rows.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what has happened: logins, and what administrators did, the latest last."""
    from radiusd2fa.core.archive import shown
    from radiusd2fa.store.auditing import Wanted

    begin = None if since is None else start_of_day(since, "--since", site_settings(ctx.obj))
    name = "" if user is None else canonical_name(user)
    with site_audit(ctx.obj) as audit:
        rows = audit.rows(Wanted(name, client or "", serial or "", begin, most=last))
    if as_json:
        show_json([shown(row) for row in rows])
        return
    show_table(
        ("when", "what", "user", "where from", "token", "why", "by"), [_cells(row) for row in rows], nothing="no rows"
    )


def _cells(row: Linked) -> tuple[str, ...]:
    e = row.event
    place = " ".join(part for part in (e.nas, e.caller) if part)
    token = " ".join(part for part in (e.factor, e.serial) if part)
    return moment(e.time), e.name, e.user or "-", place or "-", token or "-", e.reason or "-", e.actor or "-"


@app.command()
def key(ctx: typer.Context) -> None:
    """Print the public keys that verify the checkpoints, for whoever audits this site elsewhere."""
    with site_audit(ctx.obj) as audit:
        typer.echo(audit.public_keys().pem(), nl=False)


app.command()(verify)
app.command()(rotate)
