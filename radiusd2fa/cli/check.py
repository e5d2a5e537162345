"""`radiusd2fa check`: says whether the site is in order, and which rule decides a given login.

It changes nothing and starts nothing. What it prints about guessing is core.risk's arithmetic.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.site import canonical_name, complain, refuse, site_settings, wrong_usage
from radiusd2fa.cli.tables import show_facts, show_json, user_state

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings


def check(
    ctx: typer.Context,
    client: Annotated[
        str | None, typer.Option(metavar="C", help="An entry of `clients:`; with --user.", show_default=False)
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="U", help="A user name; with --client.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check configuration, vault key and database; with --client and --user say what applies to that login.

    Exit code: 0 in order, 1 that login cannot succeed, 2 something is wrong with the site.
    """
    if (client is None) != (user is None):
        wrong_usage("--client and --user go together")
    settings = site_settings(ctx.obj)
    _check_store(settings)
    if client is not None and user is not None:
        _explain(ctx, settings, client, canonical_name(user), as_json=as_json)
        return
    risks = _risks(settings)
    if as_json:
        show_json({"ok": True, "warnings": list(settings.warnings), "yearly_guessing_risk": risks})
        return
    for warning in settings.warnings:
        _warn(warning)
    for what, risk in risks.items():
        _show_risk(what, risk)
    typer.echo("MS-CHAPv2 is not offered: set PAP on the NAS (its User-Password is what a code can travel in)")
    typer.echo(f"{settings.path} is in order; clients: {len(settings.clients)}, primary: {settings.primary.kind}")


def _check_store(settings: Settings) -> None:
    from radiusd2fa import vault
    from radiusd2fa.store.engine import check_vault
    from radiusd2fa.store.sqlite import StoreError, connect, database_path

    try:
        key = vault.load(settings.vault_key)
        path = database_path(settings.store)
        connection = connect(path, busy_timeout=1.0)
        try:
            check_vault(connection, key, path)
        finally:
            connection.close()
    except (StoreError, vault.VaultError) as error:
        wrong_usage(str(error))


def _explain(ctx: typer.Context, settings: Settings, client: str, user: str, *, as_json: bool) -> None:
    from radiusd2fa.cli.site import site_registry

    entry = next((entry for entry in settings.clients if entry.nas.name == client), None)
    if entry is None:
        refuse(f"there is no client {client}; clients: {', '.join(entry.nas.name for entry in settings.clients)}")
    with site_registry(ctx.obj) as registry:
        person = registry.user(user)
        tokens = registry.tokens(user)
    rule = settings.rules.for_login(client, user, person.groups)
    able = [token.serial for token in tokens if token.state == "active" and rule and token.kind in rule.factors]
    if as_json:
        shown = None if rule is None else {**asdict(rule), **_sorted_sets(rule)}
        show_json({"client": client, "user": user, "flow": entry.nas.flow, "rule": shown, "tokens": able})
    else:
        show_facts(
            {
                "client": client,
                "flow": entry.nas.flow,
                "primary": settings.primary.kind,
                "signed requests": "required" if entry.require_message_authenticator else "observed",
                "rule": "none fits: nobody gets in" if rule is None else rule.name,
                "factors": "-" if rule is None else " ".join(rule.factors),
                "user": user,
                "state": user_state(person),
                "tokens": " ".join(able) or "none that this rule allows",
            }
        )
    if rule is None or not able or user_state(person) != "enabled":
        complain(f"{user} cannot log in at {client}")
        raise typer.Exit(1)


def _sorted_sets(rule: object) -> dict[str, list[str]]:
    return {name: sorted(getattr(rule, name)) for name in ("clients", "users", "groups")}


def _risks(settings: Settings) -> dict[str, float]:
    from radiusd2fa.core.risk import yearly_risk

    return {f"{kind} with 6 digits": yearly_risk(kind, 6, settings.rules) for kind in ("hotp", "totp")}


def _show_risk(what: str, risk: float) -> None:
    from radiusd2fa.core.risk import WORTH_A_WARNING

    line = f"guessing {what} for a year: {risk:.2%}"
    if risk > WORTH_A_WARNING:
        _warn(f"{line}; tokens with 8 digits, a narrower window or a smaller throttle.max_failures make it less")
    else:
        typer.echo(line)


def _warn(text: str) -> None:
    typer.secho("warning: ", fg=typer.colors.YELLOW, nl=False)
    typer.echo(text)
