"""`radiusd2fa check`: says whether the site is in order, and which rule decides a given login.

It changes nothing and starts nothing. What it prints about guessing is core.risk's arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from radiusd2fa.cli.site import canonical_name, now, permitted, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import show_json

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings
    from radiusd2fa.settings.coverage import Coverage

_NOBODY: Final = "nobody-is-called-so"
"""A name to look up when only the answering matters."""


def check(
    ctx: typer.Context,
    client: Annotated[
        str | None, typer.Option(metavar="C", help="An entry of `clients:`; with --user.", show_default=False)
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="U", help="A user name; with --client.", show_default=False)
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="As if it were then, e.g. 2027-01-31T08:00.", show_default=False)
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="As if the person were there.", show_default=False)
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="As if the request said so; may be given again.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check configuration, vault key and database; with --client and --user say what applies to that login, and why.

    Exit code: 0 in order, 1 that login cannot succeed, 2 something is wrong with the site.
    """
    if (client is None) != (user is None):
        wrong_usage("--client and --user go together")
    if client is None and (at is not None or from_ is not None or attribute):
        wrong_usage("--at, --from and --attribute are about one login: add --client and --user")
    settings = site_settings(ctx.obj)
    permitted(settings)
    _check_store(settings)
    if client is not None and user is not None:
        from radiusd2fa.cli.explain import explain_login

        told = (at, from_, attribute or [])
        explain_login(ctx, settings, client, canonical_name(user), told=told, as_json=as_json)
        return
    counted = _coverage(ctx, settings)
    if as_json:
        show_json(_site_for_programs(settings, counted))
    else:
        _show_site(settings, counted)


def _check_store(settings: Settings) -> None:
    from radiusd2fa import vault
    from radiusd2fa.store.address import address
    from radiusd2fa.store.errors import StoreError
    from radiusd2fa.store.keyring import Keyring, another_relying_party

    try:
        key = vault.load(settings.vault_key)
        with Keyring(address(settings.store), key, "") as keyring:
            registered_for = keyring.belongs_to()
    except (StoreError, vault.VaultError) as error:
        wrong_usage(str(error))
    fido = settings.rules.fido
    if fido is not None and registered_for is not None and registered_for != fido.rp_id:
        wrong_usage(another_relying_party(fido.rp_id, registered_for))


def _coverage(ctx: typer.Context, settings: Settings) -> tuple[Coverage, ...]:
    """Count what people have, of those who may log in."""
    from radiusd2fa.settings.coverage import Holder, coverage
    from radiusd2fa.store.inventory import can_log_in

    with site_registry(ctx.obj) as registry:
        people, tokens = registry.users(), registry.tokens()
    kinds: dict[str | None, set[str]] = {}
    at = now()
    for token in tokens:
        if can_log_in(token, at):
            kinds.setdefault(token.user, set()).add(token.kind)
    holders = [
        Holder(one.name, one.groups, one.enrolled, frozenset(kinds.get(one.name, ()))) for one in people if one.enabled
    ]
    return coverage(settings.rules.rules, holders)


# --- the site --------------------------------------------------------------------------------------------------------


def _site_for_programs(settings: Settings, counted: Sequence[Coverage]) -> dict[str, Any]:
    from radiusd2fa.settings.coverage import lets_newcomers_in

    fido = settings.rules.fido
    return {
        "ok": True,
        "warnings": _warnings(settings, counted),
        "yearly_guessing_risk": _risks(settings),
        "enrolment": [
            {
                "rule": one.rule.name,
                "line": one.rule.line,
                "until": one.rule.enrolment.until,
                "people": one.people,
                "without_token": one.without_token,
            }
            for one in counted
            if lets_newcomers_in(one.rule)
        ],
        "directories": _directories(settings),
        "clients": [client.nas.name for client in settings.clients],
        "primary": settings.primary.kind,
        "backends": {backend.name: backend.kind for backend in settings.backends},
        "rp_id": None if fido is None else fido.rp_id,
        "stations": [station.name for station in settings.stations],
    }


def _show_site(settings: Settings, counted: Sequence[Coverage]) -> None:
    from radiusd2fa.settings.coverage import about_coverage

    for warning in _warnings(settings, counted):
        _warn(warning)
    for sentence in about_coverage(counted, settings.zone()):
        typer.echo(sentence)
    for what, risk in _risks(settings).items():
        _show_risk(what, risk)
    for name, trouble in _directories(settings).items():
        if trouble is None:
            typer.echo(f"{name} answers")
        else:
            _warn(f"{trouble}; nobody can log in with a password from there until it can")
    typer.echo("MS-CHAPv2 is not offered: set PAP on the NAS (its User-Password is what a code can travel in)")
    facts = f"clients: {len(settings.clients)}, primary: {settings.primary.kind}"
    if settings.rules.fido is not None:
        facts += f", RP ID: {settings.rules.fido.rp_id}, stations: {len(settings.stations)}"
    typer.echo(f"{settings.path} is in order; {facts}")


def _directories(settings: Settings) -> dict[str, str | None]:
    """Ask each directory that can be asked without a password; say why one does not answer."""
    from radiusd2fa.cli.directories import NoAnswerError, asking, directories_of

    troubles: dict[str, str | None] = {}
    for directory in directories_of(settings):
        troubles[directory.name] = None
        try:
            with asking(directory) as people:
                people.by_name(_NOBODY)
        except NoAnswerError as error:
            troubles[directory.name] = str(error)
    return troubles


def _warnings(settings: Settings, counted: Sequence[Coverage]) -> list[str]:
    from radiusd2fa.settings.advice import about_paste
    from radiusd2fa.settings.coverage import about_the_unable
    from radiusd2fa.settings.rule_advice import about_emergencies, about_ended

    return [
        *settings.warnings,
        *about_paste(settings.rules.rules),
        *about_emergencies(settings.rules),
        *about_ended(settings.rules, settings.zone(), now()),
        *about_the_unable(counted),
        *_about_administrators(settings),
    ]


def _about_administrators(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each group of the settings that this host does not know, or in which nobody is."""
    from radiusd2fa.cli.roles import empty_groups, missing_groups

    if settings.administrators is None:
        return
    for group in missing_groups(settings.administrators):
        yield f"administrators: this host has no group {group}, so it gives nobody a role; mind its spelling"
    for group in empty_groups(settings.administrators):
        yield f"administrators: nobody seems to be in the group {group}; add people to it, or leave it out"
    if not settings.administrators.admin:
        yield "administrators: no group has the role admin, so what needs it is left to root; write admin: [GROUP]"


def _risks(settings: Settings) -> dict[str, float]:
    """How easily a code is guessed, under the rule that makes it easiest."""
    from radiusd2fa.core.risk import yearly_risk

    risks: dict[str, float] = {}
    for kind in ("hotp", "totp"):
        allowing = [settings.rules.under(rule) for rule in settings.rules.rules if kind in rule.factors]
        if allowing:
            risks[f"{kind} with 6 digits"] = max(yearly_risk(kind, 6, rules) for rules in allowing)
    return risks


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
