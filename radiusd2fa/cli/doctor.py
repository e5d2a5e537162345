"""`radiusd2fa doctor`: what is wrong between a client and the daemon, and what to write so that it works.

It looks at what the daemon has noted of the last packets, sends none, and changes nothing. What it says about them is
core.diagnosis's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radiusd2fa.cli.site import REFUSED, refuse, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import moment, show_facts, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from radiusd2fa.core.diagnosis import Advice, Device, Summary
    from radiusd2fa.core.seen import Seen
    from radiusd2fa.settings import ClientSettings, Settings
    from radiusd2fa.settings.profiles import Profile


@dataclass(frozen=True, slots=True)
class _Visit:
    """One client, looked at."""

    device: Device
    profile: Profile | None
    summary: Summary
    advice: tuple[Advice, ...]

    @property
    def faults(self) -> list[Advice]:
        return [one for one in self.advice if one.gravity == "fault"]


def doctor(
    ctx: typer.Context,
    client: Annotated[
        str | None,
        typer.Argument(metavar="CLIENT", help="An entry of `clients:`; without one, all.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at the last packets of a client, and say what is wrong and what to write.

    Exit code: 0 nothing is wrong, 1 something is, 2 wrong usage or wrong configuration.
    """
    settings, noted = site_settings(ctx.obj), _noted(ctx)
    entries = [entry for entry in settings.clients if client in {None, entry.nas.name}]
    if client is not None and not entries:
        wrong_usage(f"there is no client {client}; clients: {', '.join(one.nas.name for one in settings.clients)}")
    strangers = noted.get("", [])
    visits = [_visit(entry, settings, noted, strangers) for entry in entries]
    match client, as_json:
        case None, True:
            show_json({"clients": [_for_programs(visit) for visit in visits], "strangers": _by_source(strangers)})
        case None, False:
            _show_all(visits, strangers)
        case _, True:
            show_json(_for_programs(visits[0]))
        case _:
            _show(visits[0])
    if any(visit.faults for visit in visits):
        raise typer.Exit(REFUSED)


def _noted(ctx: typer.Context) -> dict[str, list[Seen]]:
    from radiusd2fa.sightings import read_sightings

    with site_registry(ctx.obj) as registry:
        rows = registry.sightings()
    try:
        return {client: read_sightings(text) for client, _, text in rows}
    except ValueError as error:
        refuse(f"what the daemon has noted cannot be read: {error}; its next notes replace it")


# --- looking ---------------------------------------------------------------------------------------------------------


def _visit(entry: ClientSettings, settings: Settings, noted: dict[str, list[Seen]], strangers: list[Seen]) -> _Visit:
    from radiusd2fa.core.diagnosis import Advice, Gravity, diagnose, summary

    device = _device(entry, settings)
    seen = noted.get(device.name, [])
    advice = diagnose(seen, device, strangers)
    if not noted:
        problem, remedy = "the daemon has noted no packet at all", "start it; it notes what comes every few seconds"
        advice = [Advice("nothing_noted", Gravity.FAULT, problem, remedy)]
    return _Visit(device, entry.profile, summary(seen), tuple(advice))


def _device(entry: ClientSettings, settings: Settings) -> Device:
    from radiusd2fa.core.diagnosis import Device
    from radiusd2fa.settings.profiles import mschap_remedy

    profile = entry.profile
    return Device(
        name=entry.nas.name,
        profile=None if profile is None else profile.name,
        flow=entry.nas.flow,
        require_message_authenticator=entry.require_message_authenticator,
        sign_replies=entry.sign_replies,
        reject_delay=entry.reject_delay,
        strip_realm=entry.nas.strip_realm,
        networks=tuple(map(str, entry.networks)),
        timeout=None if profile is None else profile.timeout,
        asks_at=() if profile is None else profile.ports,
        listening=tuple(dict.fromkeys(endpoint.port for endpoint in settings.listen if endpoint.port)),
        mschap_remedy=mschap_remedy(profile),
    )


def _by_source(strangers: Sequence[Seen]) -> list[dict[str, Any]]:
    """Each address that is no client's, with the number of its packets and the time of the last."""
    last = {one.source: one.time for one in sorted(strangers, key=lambda one: one.time)}
    return [
        {"source": source, "packets": sum(1 for one in strangers if one.source == source), "last": time}
        for source, time in sorted(last.items(), key=lambda entry: -entry[1])
    ]


# --- showing ---------------------------------------------------------------------------------------------------------


def _for_programs(visit: _Visit) -> dict[str, Any]:
    return {
        "client": visit.device.name,
        "profile": visit.device.profile,
        **asdict(visit.summary),
        "findings": [asdict(one) for one in visit.advice],
        "notes": [] if visit.profile is None else list(visit.profile.notes),
    }


def _show(visit: _Visit) -> None:
    from radiusd2fa.log import visible

    summary = visit.summary
    show_facts(
        {
            "client": visit.device.name,
            "profile": visit.device.profile or "-",
            "packets": f"{summary.packets}, from {moment(summary.first)} to {moment(summary.last)}",
            "outcome": f"{summary.accepted} accepted, {summary.challenged} asked for more, {summary.rejected} refused, "
            f"{summary.unanswered} unanswered",
            "median time": _time(summary.latency),
        }
    )
    for one in visit.advice:
        colour = typer.colors.RED if one.gravity == "fault" else typer.colors.YELLOW
        typer.secho(f"{one.gravity}: ", fg=colour, nl=False)
        typer.echo(visible(one.problem))
        if one.remedy:
            typer.echo(f"  {visible(one.remedy)}")
    if not visit.faults:
        typer.echo(f"nothing is wrong with {visit.device.name}")
    if visit.profile is not None:
        typer.echo(f"about {visit.profile.product}:")
        for note in visit.profile.notes:
            typer.echo(f"  {note}")


def _show_all(visits: Sequence[_Visit], strangers: Sequence[Seen]) -> None:
    from radiusd2fa.log import visible

    show_table(
        ("client", "profile", "packets", "last", "accepted", "asked", "refused", "unanswered", "median", "faults"),
        [_row(visit) for visit in visits],
        nothing="there are no clients",
    )
    for one in _by_source(strangers):
        times = "once" if one["packets"] == 1 else f"{one['packets']} times"
        typer.echo(f"no client's: {visible(one['source'])} has asked {times}, last at {moment(one['last'])}")


def _row(visit: _Visit) -> tuple[str, ...]:
    summary = visit.summary
    numbers = (summary.accepted, summary.challenged, summary.rejected, summary.unanswered)
    return (
        visit.device.name,
        visit.device.profile or "-",
        str(summary.packets),
        moment(summary.last),
        *map(str, numbers),
        _time(summary.latency),
        " ".join(one.word for one in visit.faults) or "-",
    )


def _time(latency: float | None) -> str:
    return "-" if latency is None else f"{latency * 1000:.1f} ms"
