"""`radiusd2fa check`: says whether the site is in order, and which rule decides a given login.

It changes nothing and starts nothing. What it prints about guessing is core.risk's arithmetic.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radiusd2fa.cli.site import canonical_name, complain, refuse, site_settings, wrong_usage
from radiusd2fa.cli.tables import show_facts, show_json, user_state

if TYPE_CHECKING:
    from radiusd2fa.core.model import Nas
    from radiusd2fa.core.rules import Rule, Rules
    from radiusd2fa.settings import Settings
    from radiusd2fa.settings.advice import Obstacle


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
    if as_json:
        show_json(_site_for_programs(settings))
    else:
        _show_site(settings)


def _check_store(settings: Settings) -> None:
    from radiusd2fa import vault
    from radiusd2fa.store.engine import check_vault
    from radiusd2fa.store.keyring import RP_ID, another_relying_party
    from radiusd2fa.store.sqlite import StoreError, connect, database_path

    try:
        key = vault.load(settings.vault_key)
        path = database_path(settings.store)
        connection = connect(path, busy_timeout=1.0)
        try:
            check_vault(connection, key, path)
            registered_for = connection.execute("SELECT value FROM meta WHERE key = ?", (RP_ID,)).fetchone()
        finally:
            connection.close()
    except (StoreError, vault.VaultError) as error:
        wrong_usage(str(error))
    fido = settings.rules.fido
    if fido is not None and registered_for is not None and registered_for[0] != fido.rp_id:
        wrong_usage(another_relying_party(fido.rp_id, registered_for[0]))


# --- the site --------------------------------------------------------------------------------------------------------


def _site_for_programs(settings: Settings) -> dict[str, Any]:
    fido = settings.rules.fido
    return {
        "ok": True,
        "warnings": _warnings(settings),
        "yearly_guessing_risk": _risks(settings),
        "clients": [client.nas.name for client in settings.clients],
        "primary": settings.primary.kind,
        "rp_id": None if fido is None else fido.rp_id,
        "stations": [station.name for station in settings.stations],
    }


def _show_site(settings: Settings) -> None:
    for warning in _warnings(settings):
        _warn(warning)
    for what, risk in _risks(settings).items():
        _show_risk(what, risk)
    typer.echo("MS-CHAPv2 is not offered: set PAP on the NAS (its User-Password is what a code can travel in)")
    facts = f"clients: {len(settings.clients)}, primary: {settings.primary.kind}"
    if settings.rules.fido is not None:
        facts += f", RP ID: {settings.rules.fido.rp_id}, stations: {len(settings.stations)}"
    typer.echo(f"{settings.path} is in order; {facts}")


def _warnings(settings: Settings) -> list[str]:
    from radiusd2fa.settings.advice import about_paste

    return [*settings.warnings, *about_paste(settings.rules.rules)]


def _risks(settings: Settings) -> dict[str, float]:
    from radiusd2fa.core.risk import yearly_risk

    allowed = {factor for rule in settings.rules.rules for factor in rule.factors}
    kinds = [kind for kind in ("hotp", "totp") if kind in allowed]
    return {f"{kind} with 6 digits": yearly_risk(kind, 6, settings.rules) for kind in kinds}


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


# --- one login -------------------------------------------------------------------------------------------------------


def _explain(ctx: typer.Context, settings: Settings, client: str, user: str, *, as_json: bool) -> None:
    from radiusd2fa.cli.site import site_registry
    from radiusd2fa.settings.advice import Obstacle

    entry = next((entry for entry in settings.clients if entry.nas.name == client), None)
    if entry is None:
        refuse(f"there is no client {client}; clients: {', '.join(entry.nas.name for entry in settings.clients)}")
    with site_registry(ctx.obj) as registry:
        person = registry.user(user)
        tokens = registry.tokens(user)
    rule = settings.rules.for_login(client, user, person.groups)
    ways = {} if rule is None else _ways_for_keys(rule, entry.nas, settings.rules)
    some_way = any(not isinstance(way, Obstacle) for way in ways.values())
    allowed = [token for token in tokens if token.state == "active" and rule and token.kind in rule.factors]
    able = [token.serial for token in allowed if token.kind != "fido" or some_way]
    if as_json:
        shown = None if rule is None else {**asdict(rule), **_sorted_sets(rule)}
        facts = {"client": client, "user": user, "flow": entry.nas.flow, "rule": shown}
        show_json({**facts, "ceremonies": {name: _way_for_programs(way) for name, way in ways.items()}, "tokens": able})
    else:
        unable = "none that can be used here" if allowed else "none that this rule allows"
        show_facts(
            {
                "client": client,
                "flow": entry.nas.flow,
                "primary": settings.primary.kind,
                "signed requests": "required" if entry.require_message_authenticator else "observed",
                "rule": "none fits: nobody gets in" if rule is None else rule.name,
                "factors": "-" if rule is None else " ".join(rule.factors),
                **({} if rule is None else _facts_about_keys(rule, ways)),
                "user": user,
                "state": user_state(person),
                "tokens": " ".join(able) or unable,
            }
        )
    if not able or user_state(person) != "enabled":
        complain(f"{user} cannot log in at {client}")
        raise typer.Exit(1)


def _sorted_sets(rule: Rule) -> dict[str, list[str]]:
    return {name: sorted(getattr(rule, name)) for name in ("clients", "users", "groups")}


def _ways_for_keys(rule: Rule, nas: Nas, rules: Rules) -> dict[str, Obstacle | tuple[str, ...]]:
    """Return for each ceremony the names of the hosts or stations where a key can answer, or why it cannot."""
    from radiusd2fa.core.rules import CEREMONIES
    from radiusd2fa.settings.advice import obstacle

    if "fido" not in rule.factors:
        return {}
    stations = tuple(station.name for station in rules.stations if nas.name in station.clients)
    places = {"ssh": nas.host_names, "station": stations}
    return {
        ceremony: obstacle(ceremony, rule, nas, rules.stations) or places.get(ceremony, ()) for ceremony in CEREMONIES
    }


def _facts_about_keys(rule: Rule, ways: dict[str, Obstacle | tuple[str, ...]]) -> dict[str, str]:
    facts = {f"key by {ceremony}": _way_for_people(way) for ceremony, way in ways.items()}
    if ways:
        facts["key must"] = "know its user: PIN or fingerprint" if rule.user_verification else "be touched"
    return facts


def _way_for_people(way: Obstacle | tuple[str, ...]) -> str:
    if isinstance(way, tuple):
        return f"yes, at {' or '.join(way)}" if way else "yes"
    return f"no: {way}"


def _way_for_programs(way: Obstacle | tuple[str, ...]) -> dict[str, object]:
    return {"possible": True, "at": way} if isinstance(way, tuple) else {"possible": False, **asdict(way)}
