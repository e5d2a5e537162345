"""`radiusd2fa token assign`, `return`, `lost` and the like: in whose hands a token is.

Each command is one change, audited with whoever gives it, and effective on the next packet. No command lowers a
counter or shows a seed. Answers to no RFC; RFC 4226 7.2 is why counters only grow.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.site import (
    canonical_name,
    now,
    program,
    reason,
    site_registry,
    site_settings,
    wrong_usage,
)
from radiusd2fa.cli.token_lists import Serial
from radiusd2fa.cli.when import A_DAY, day, duration_of

if TYPE_CHECKING:
    from radiusd2fa.store.inventory import TokenRecord

Why = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
]


def assign(
    ctx: typer.Context,
    serial: Annotated[
        str | None, typer.Argument(metavar="[SERIAL]", help="The token's serial number.", show_default=False)
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Who gets it.", show_default=False)] = None,
    serial_option: Annotated[
        str | None, typer.Option("--serial", metavar="SERIAL", help="The same as SERIAL.", show_default=False)
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long it waits for its first code, as 14d; else what the site says.",
            show_default=False,
        ),
    ] = None,
    active: Annotated[
        bool, typer.Option("--active", help="It logs its owner in for good, without a first code in time.")
    ] = False,
    why: Why = None,
) -> None:
    """Hand a token out of the stock to a person. It becomes active with its first good code, if that comes in time."""
    which = serial if serial is not None else serial_option
    if which is None or user is None or None not in (serial, serial_option):
        wrong_usage("say which token and who gets it: token assign --user NAME --serial SERIAL")
    if active and within is not None:
        wrong_usage("--active and --within exclude each other")
    settings, owner, at = site_settings(ctx.obj), canonical_name(user), now()
    said = reason(settings, why, f"hand out {which} as active") if active else ""
    if why is not None and not active:
        wrong_usage("--reason is for --active")
    waits = settings.activation if within is None else duration_of(within, "--within", least=60, most=3650 * A_DAY)
    with site_registry(ctx.obj) as registry:
        registry.assign(which, owner, at, activate_by=None if active else at + waits, reason=said)
    until = "" if active else f"; it becomes active with its first good code, until {day(at + waits, settings)}"
    typer.echo(f"assigned {which} to {owner}{until}")


def unassign(ctx: typer.Context, serial: Serial) -> None:
    """Take a token back into the stock."""
    with site_registry(ctx.obj) as registry:
        registry.unassign(serial, now())
    typer.echo(f"took {serial} back into the stock")


def give_back(ctx: typer.Context, serial: Serial) -> None:
    """Note that a token was given back, or found again. It is nobody's then, and waits to be looked at."""
    with site_registry(ctx.obj) as registry:
        registry.take_back(serial, now())
    typer.echo(f"{serial} was given back; once it is looked at: {program(ctx)} token restock {shlex.quote(serial)}")


def restock(ctx: typer.Context, serial: Serial) -> None:
    """Put a token that was given back into the stock, from where it can be handed out again."""
    with site_registry(ctx.obj) as registry:
        registry.restock(serial, now())
    typer.echo(f"put {serial} into the stock")


def lost(ctx: typer.Context, serial: Serial) -> None:
    """Refuse a token that somebody has lost, from the next packet on; and say what to do next."""
    from radiusd2fa.core.model import TokenState

    with site_registry(ctx.obj) as registry:
        registry.set_state(serial, TokenState.LOST, now())
        record = registry.token(serial)
    typer.echo(f"{serial} is lost: refused from the next packet on")
    for when, command in _after_a_loss(record).items():
        typer.echo(f"  {when}: {program(ctx)} {command}")


def _after_a_loss(record: TokenRecord) -> dict[str, str]:
    """Return what to do then, by when."""
    steps = {}
    is_key = record.kind == "fido"
    if record.user is not None:
        whom = shlex.quote(record.user)
        codes = f"grant temporary {whom} --lost {shlex.quote(record.serial)} --hours 8"
        steps["until there is another"] = f"{codes} --reason {shlex.quote(f'lost {record.serial}')}"
        steps["another one"] = f"key register {whom}" if is_key else f"token assign --user {whom} --serial …"
    if not is_key:
        steps["when it is found"] = f"token return {shlex.quote(record.serial)}"
    return steps


def enable(ctx: typer.Context, serial: Serial, why: Why = None) -> None:
    """Let a disabled token log its owner in again."""
    _set_state(ctx, serial, "active", reason(site_settings(ctx.obj), why, f"enable {serial}"))
    typer.echo(f"enabled {serial}")


def disable(ctx: typer.Context, serial: Serial) -> None:
    """Refuse a token from the next packet on; `enable` brings it back."""
    _set_state(ctx, serial, "disabled")
    typer.echo(f"disabled {serial}")


def revoke(ctx: typer.Context, serial: Serial) -> None:
    """Refuse a token for ever, from the next packet on."""
    _set_state(ctx, serial, "revoked")
    typer.echo(f"revoked {serial}")


def _set_state(ctx: typer.Context, serial: str, state: str, why: str = "") -> None:
    from radiusd2fa.core.model import TokenState

    with site_registry(ctx.obj) as registry:
        registry.set_state(serial, TokenState(state), now(), why)
