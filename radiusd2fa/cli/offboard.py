"""`radiusd2fa user offboard`: somebody leaves, and nothing that was theirs lets anybody in from the next packet on.

All of it is one transaction, with an audit row for each thing that has ended; the person stays in the list, disabled.
Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.grant import named
from radiusd2fa.cli.site import canonical_name, now, reason, site_registry, site_settings
from radiusd2fa.cli.tables import show_json

if TYPE_CHECKING:
    from radiusd2fa.store.people import Offboarded, Revoked


def offboard(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="USER", help="Who leaves.", show_default=False)],
    given: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Revoke all tokens, keys and codes of somebody, close their grants, drop what waits, and disable the account."""
    user = canonical_name(name)
    why = reason(site_settings(ctx.obj), given, f"offboard {user}")
    with site_registry(ctx.obj) as registry:
        live = registry.user(user).live
        if not yes:
            what = f" and revoke {' '.join(live)}" if live else ""
            typer.confirm(f"Disable {user}{what}? Nothing of it comes back.", abort=True, err=as_json)
        done = registry.offboard(user, now(), why)
    if as_json:
        show_json({"user": user, **asdict(done), "collect": [one.serial for one in _to_collect(done)]})
        return
    typer.echo(f"offboarded {user}:")
    for line in _told(done):
        typer.echo(f"  {line}")
    collect = _to_collect(done)
    if collect:
        typer.echo(f"still to collect from {user}: {', '.join(f'{one.serial} ({one.kind})' for one in collect)}")


def _told(done: Offboarded) -> list[str]:
    lines = ["account disabled" if done.was_enabled else "account was disabled already"]
    lines += [f"revoked {one.serial} ({one.kind})" for one in done.revoked]
    lines += [f"closed grant {one.id} ({named(one)})" for one in done.grants]
    counted = (
        (done.requests, "request for emergency codes"),
        (done.invitations, "invitation to register a key"),
        (done.questions, "login half-way in"),
    )
    return lines + [f"dropped {count} {what if count == 1 else _several(what)}" for count, what in counted if count]


def _several(what: str) -> str:
    noun, space, rest = what.partition(" ")
    return f"{noun}s{space}{rest}"


def _to_collect(done: Offboarded) -> list[Revoked]:
    """Return what can be held in a hand, and is not lost."""
    from radiusd2fa.core.model import TokenState
    from radiusd2fa.core.sheets import SHEETS

    return [one for one in done.revoked if one.kind not in SHEETS and one.state is not TokenState.LOST]
