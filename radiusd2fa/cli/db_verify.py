"""`radiusd2fa db verify`: says whether the store is whole, and what to do where it is not.

It changes nothing and holds up no login. Exit code 1 when anything is wrong. No RFC speaks of this.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.bars import Bar, bars
from radiusd2fa.cli.db_ground import Ground, ground, several
from radiusd2fa.cli.site import REFUSED, now
from radiusd2fa.cli.tables import show_json

if TYPE_CHECKING:
    from radiusd2fa.store.verifying import Fault

_MOST_SHOWN = 50


def verify(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether the store is whole: file, tables, seals, moving factors, grants, and the audit's chains.

    It takes about half a minute for a million tokens, and logins go on meanwhile.
    """
    with ground(ctx.obj) as site:
        with bars() as bar:
            found = _faults(site, bar)
        if as_json:
            show_json([asdict(one) for one in found])
        else:
            _show(found)
        if found:
            raise typer.Exit(REFUSED)


def _faults(site: Ground, bar: Bar) -> list[Fault]:
    from sqlalchemy.exc import DBAPIError

    from radiusd2fa.store.auditing import verify as verify_audit
    from radiusd2fa.store.connecting import How, one_line, open_engine, transaction
    from radiusd2fa.store.verifying import Fault, bars_reading, faults

    found: list[Fault] = []
    engine = open_engine(site.address)
    try:
        with engine.connect() as connection, transaction(connection, How.LOOKING):
            found.extend(faults(connection, site.vault, now(), bar))
            if any(map(bars_reading, found)):
                return found
            audit = verify_audit(connection, site.vault, progress=lambda done, of: bar("reading the audit", done, of))
    except DBAPIError as error:
        return [*found, Fault("the store", f"cannot be read to its end: {one_line(error.orig)}", "restore a backup")]
    finally:
        engine.dispose()
    return found + [
        Fault(f"audit, chain {one.chain}", f"{one.fault}, {one.meaning}", "`radiusd2fa audit verify` says more")
        for one in audit.findings
    ]


def _show(found: list[Fault]) -> None:
    if not found:
        typer.echo("the store is whole: file, tables, seals, moving factors, grants and audit")
        return
    for one in found[:_MOST_SHOWN]:
        typer.echo(f"{one.where}: {one.what}\n    {one.remedy}")
    if len(found) > _MOST_SHOWN:
        typer.echo(f"and {several(len(found) - _MOST_SHOWN, 'fault')} more; --json has them all")
