"""`radiusd2fa token list`, `show` and `history`: where the tokens are, what ends when, and who had them before.

It changes nothing, and shows no seed. What the database can decide it decides, so that a hundred thousand tokens are
no trouble. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.site import canonical_name, now, site_registry, site_settings
from radiusd2fa.cli.tables import moment, show_facts, show_json, show_table
from radiusd2fa.cli.when import day, duration_of
from radiusd2fa.core.model import TokenState
from radiusd2fa.core.sheets import BREAK_GLASS, SHEETS

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.inventory import TokenRecord

Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The token's serial number.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class AnyKind(StrEnum):
    """All kinds of tokens, sheets of codes among them."""

    HOTP = "hotp"
    TOTP = "totp"
    YUBICO = "yubico"
    FIDO = "fido"
    RECOVERY = "recovery"
    TEMPORARY = "temporary"
    BREAKGLASS = "breakglass"


_A_YEAR: Final = 365.25 * 86_400
_PRETTY: Final = 500
"""Rows up to which a table is drawn; more are for a pager or another program, and are printed at once."""
_WRITTEN: Final = ("label", "model", "batch", "box")
_LISTED: Final = ("label", "batch", "box")
"""Columns for where any of the tokens has something to show in them; then what it computes with has no room."""


def list_tokens(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Only this person's.", show_default=False)] = None,
    unassigned: Annotated[bool, typer.Option("--unassigned", help="Only those that can be handed out.")] = False,
    state: Annotated[
        TokenState | None,
        typer.Option(help="Only those in this state; expired is whatever is past its validity.", show_default=False),
    ] = None,
    kind: Annotated[AnyKind | None, typer.Option(help="Only this kind.", show_default=False)] = None,
    batch: Annotated[str | None, typer.Option(metavar="B", help="Only this batch.", show_default=False)] = None,
    box: Annotated[str | None, typer.Option(metavar="B", help="Only what is in this box.", show_default=False)] = None,
    stale: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only those in hands that nobody has used for so long, as in 90d.",
            show_default=False,
        ),
    ] = None,
    expiring: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only those of which validity, time for the first code, or battery ends within, as in 60d.",
            show_default=False,
        ),
    ] = None,
    never_used: Annotated[bool, typer.Option("--never-used", help="Only those not used since handed out.")] = False,
    sheets: Annotated[bool, typer.Option("--sheets", help="Sheets of codes too; --user and --kind find them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show all tokens, or those that all the options fit."""
    from radiusd2fa.store.selecting import Selection

    at = now()
    unused_since = None if stale is None else at - duration_of(stale, "--stale")
    ends_before = None if expiring is None else at + duration_of(expiring, "--expiring")
    with site_registry(ctx.obj) as registry:
        chosen = Selection(
            now=at,
            user=None if user is None else registry.user(canonical_name(user)).name,
            unassigned=unassigned,
            state=state,
            kind=None if kind is None else kind.value,
            batch=batch,
            box=box,
            unused_since=unused_since,
            ends_before=ends_before,
            batteries=_batteries() if ends_before is not None else {},
            never_used=never_used,
            sheets=sheets,
        )
        found = registry.selected(chosen)
    if as_json:
        show_json([for_programs(one, at) for one in found])
        return
    plain = chosen == Selection(now=at)
    columns, rows = _table(found, site_settings(ctx.obj), at, ends=ends_before is not None)
    nothing = "no tokens; `radiusd2fa token add --user NAME --kind hotp` adds one" if plain else "no token is like that"
    if len(rows) > _PRETTY:
        _print_long(columns, rows)
    else:
        show_table(columns, rows, nothing=nothing)


def show(ctx: typer.Context, serial: Serial, as_json: AsJson = False) -> None:
    """Show one token, all but its seed."""
    with site_registry(ctx.obj) as registry:
        record = registry.token(serial)
    if as_json:
        show_json(for_programs(record, now()))
    else:
        show_facts(_facts(record, site_settings(ctx.obj), now()))


def history(
    ctx: typer.Context,
    serial: Serial,
    logins: Annotated[bool, typer.Option("--logins", help="Each login with it too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what has become of one token: who handed it out and when, its first code, and every change since."""
    with site_registry(ctx.obj) as registry:
        events = registry.history(serial, logins=logins)
    if as_json:
        show_json([{one.name: getattr(event, one.name) for one in fields(event)} for event in events])
        return
    show_table(
        ("when", "what", "user", "by", "reason"),
        [(moment(e.time), e.name, e.user or "-", e.actor or e.nas or "-", e.reason or "-") for e in events],
        nothing=f"the audit knows nothing of {serial}",
    )


def for_programs(record: TokenRecord, at: float) -> dict[str, object]:
    """Return all that is known of a token, and what follows from it now."""
    from radiusd2fa.store.inventory import can_log_in

    return {
        **{one.name: getattr(record, one.name) for one in fields(record)},
        "shown": _shown(record, at, None),
        "can_log_in": can_log_in(record, at),
        "battery_end": _battery_end(record.model, record.delivered),
    }


# --- in words ---------------------------------------------------------------------------------------------------------


def _shown(record: TokenRecord, at: float, settings: Settings | None) -> str:
    """Say where a token is in its life; with the settings also until when."""
    ended = record.valid_until is not None and record.valid_until <= at
    if record.kind == BREAK_GLASS.kind and record.state is TokenState.ACTIVE:
        return "sealed" if ended else "open"
    if record.state is TokenState.ACTIVE and ended:
        return "expired"
    words = [str(record.state)]
    if record.state is TokenState.ASSIGNED and record.activate_by is not None:
        if record.activate_by <= at:
            words.append("too late")
        elif settings is not None:
            words = [f"assigned (until {day(record.activate_by, settings)})"]
    if ended and record.state not in (TokenState.REVOKED, TokenState.EXPIRED):
        words.append("expired")
    elif record.valid_from > at:
        words.append("not yet valid")
    return ", ".join(words)


def _table(
    found: Sequence[TokenRecord], settings: Settings, at: float, *, ends: bool
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the columns that have something to say, and the rows."""
    written = [name for name in _LISTED if any(getattr(one, name) for one in found)]
    left = any(one.left is not None for one in found)
    computes = [] if written or left or ends else ["digits", "algorithm"]
    columns = ["serial", "kind", "user", "state", *computes, "last used", *written, *["left"] * left, *["ends"] * ends]
    rows = []
    for one in found:
        row = [one.serial, one.kind, one.user or "-", _shown(one, at, settings)]
        if computes:
            row += [str(one.digits or "-"), _algorithm(one)]
        row += ["-" if one.last_used is None else day(one.last_used, settings)]
        row += [getattr(one, name) or "-" for name in written]
        if left:
            row.append("-" if one.left is None else str(one.left))
        if ends:
            row.append(_next_end(one, settings))
        rows.append(tuple(row))
    return columns, rows


def _algorithm(record: TokenRecord) -> str:
    """Return the hash, or the signature, that a token computes; a sheet computes nothing, a Yubico OTP is AES."""
    return "-" if record.kind in SHEETS or record.kind == "yubico" else record.algorithm


def _next_end(record: TokenRecord, settings: Settings) -> str:
    """Say what of a token ends first."""
    ends = {
        "validity": record.valid_until,
        "first code": record.activate_by if record.state is TokenState.ASSIGNED else None,
        "battery": _battery_end(record.model, record.delivered),
    }
    what, when = min(((what, when) for what, when in ends.items() if when is not None), key=lambda end: end[1])
    return f"{what} {day(when, settings)}"


def _facts(record: TokenRecord, settings: Settings, at: float) -> dict[str, str]:
    facts = {
        "serial": record.serial,
        "kind": record.kind,
        "user": record.user or "-",
        "state": _shown(record, at, settings),
        "digits": str(record.digits or "-"),
        "algorithm": _algorithm(record),
        **{name: getattr(record, name) for name in _WRITTEN if getattr(record, name)},
        "added": moment(record.created),
    }
    if record.delivered is not None:
        facts["delivered"] = _delivered(record, record.delivered, settings, at)
    if record.handed_at is not None:
        facts["handed out"] = moment(record.handed_at) + (f" by {record.handed_by}" if record.handed_by else "")
    if record.valid_from or record.valid_until is not None:
        facts["valid"] = f"{moment(record.valid_from)} to {moment(record.valid_until)}"
    return {**facts, "last used": moment(record.last_used), **_place(record)}


def _delivered(record: TokenRecord, delivered: float, settings: Settings, at: float) -> str:
    end = _battery_end(record.model, delivered)
    battery = "" if end is None else f"; its battery should last until {day(end, settings)}"
    return f"{day(delivered, settings)}, {max(0.0, at - delivered) / _A_YEAR:.1f} years ago{battery}"


def _battery_end(model: str, delivered: float | None) -> float | None:
    """Return until when the battery of such a token should last; None when nobody knows."""
    lasts = _batteries().get(model.lower()) if model and delivered is not None else None
    return None if lasts is None or delivered is None else delivered + lasts


@cache
def _batteries() -> dict[str, float]:
    """Return the seconds that batteries last by what a model may be called; a broken catalogue is said once."""
    from radiusd2fa.hardware import CatalogueError, battery_years

    try:
        return {model: years * _A_YEAR for model, years in battery_years().items()}
    except CatalogueError as error:
        typer.secho("warning: ", fg=typer.colors.YELLOW, err=True, nl=False)
        typer.echo(f"nothing is known of batteries: {error}", err=True)
        return {}


def _place(record: TokenRecord) -> dict[str, str]:
    """Say how far a token has moved on, as its kind counts."""
    if record.kind in SHEETS:
        return {"codes left": "unknown: its seal does not open" if record.left is None else str(record.left)}
    match record.kind:
        case "hotp":
            return {"next counter": str(record.moving_factor)}
        case "fido":
            return {"has counted to": str(record.moving_factor)}
        case "yubico":
            session, use = divmod(record.moving_factor, 256)
            return {"last use": f"session {session}, use {use}" if record.moving_factor else "-"}
        case _:
            return {
                "step": f"{record.step} s",
                "last step used": str(record.moving_factor or "-"),
                "drift": f"{record.drift:+d} steps ({record.drift * record.step:+d} s)",
            }


def _print_long(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from radiusd2fa.log import visible

    seen = [columns, *([visible(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*seen, strict=True)]
    for row in seen:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
