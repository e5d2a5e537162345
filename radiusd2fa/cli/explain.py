"""What `radiusd2fa check --client C --user U` says: which rule decides a login, why, and what that means.

It changes nothing and asks no backend; what it says of a directory is what was seen at the last login from there.
It answers to no RFC; the words are those of the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import typer

from radiusd2fa.cli.exceptions import (
    exceptions_of,
    facts_about_grants,
    grant_for_programs,
    may_take,
    until_when_skipping,
)
from radiusd2fa.cli.site import complain, program, refuse, site_registry
from radiusd2fa.cli.tables import moment, show_facts, show_json, user_state
from radiusd2fa.cli.tried import Told, circumstances_of, tried_rules

if TYPE_CHECKING:
    from radiusd2fa.core.choosing import Circumstances
    from radiusd2fa.core.model import Nas
    from radiusd2fa.core.rules import Rule, Rules
    from radiusd2fa.settings import ClientSettings, Settings
    from radiusd2fa.settings.advice import Obstacle
    from radiusd2fa.store.endings import GrantRecord
    from radiusd2fa.store.registry import UserRecord

_SHOWN_OTHERWISE: Final = frozenset(
    {"networks", "attributes", "reply", "skip", "hotp", "totp", "throttle", "challenge", "kinds"}
)


def explain_login(ctx: typer.Context, settings: Settings, client: str, user: str, *, told: Told, as_json: bool) -> None:
    """Print what applies to one login; the command ends with 1 when it cannot succeed."""
    from radiusd2fa.core.model import Flow
    from radiusd2fa.core.names import read_name
    from radiusd2fa.core.rules import NO_RULE
    from radiusd2fa.settings.advice import Obstacle
    from radiusd2fa.store.inventory import can_log_in

    entry = next((entry for entry in settings.clients if entry.nas.name == client), None)
    if entry is None:
        refuse(f"there is no client {client}; clients: {', '.join(entry.nas.name for entry in settings.clients)}")
    name, realm = read_name(user.encode(), strip_realm=entry.nas.strip_realm)
    if name is None:
        refuse(f"nobody is left of {user} at {client}, which strips realms")
    with site_registry(ctx.obj) as registry:
        person = next((one for one in registry.users() if one.name == name), None)
        tokens = registry.tokens(name)
        at = circumstances_of(settings, client, (name, realm), person, told)
        granted = [grant for grant in registry.grants(open_at=at.now) if grant.user == name]
    groups, doubt = _groups_now(settings, name, person)
    at = replace(at, groups=groups)
    rule = settings.rules.for_login(at)
    backend = _who_checks(settings.rules, rule, person, at)
    if person is None and _kind(settings, backend) in ("local", "none"):
        refuse(f"there is no user {name}; `{program(ctx)} user list` shows who there is")
    ways = {} if rule is NO_RULE else _ways_for_keys(rule, entry.nas, settings.rules)
    some_way = any(not isinstance(way, Obstacle) for way in ways.values())
    usable = [token for token in tokens if can_log_in(token, at.now)]
    allowed = [token for token in usable if token.kind in rule.kinds]
    able = [token.serial for token in allowed if token.kind != "fido" or some_way]
    asked = settings.rules.backend_for(at).checks and (rule.flow or entry.nas.flow) is not Flow.CODE_ONLY
    waiver = _without_a_token(rule, person, at, granted, asked=asked)
    takes = asked and may_take(rule, entry.nas, usable)
    tried = tried_rules(settings.rules, at, rule)
    if as_json:
        shown = None if rule is NO_RULE else _rule_for_programs(rule)
        facts = {"client": client, "user": name, "flow": rule.flow or entry.nas.flow, "rule": shown}
        keys = {way: _way_for_programs(found) for way, found in ways.items()}
        show_json(
            {
                **facts,
                "tried": [asdict(one) for one in tried],
                "primary": backend,
                "groups": groups,
                "groups_in_doubt": doubt,
                "password_is_enough": waiver,
                "grants": [grant_for_programs(grant, rule) for grant in granted],
                "may_take_a_token": takes,
                "ceremonies": keys,
                "tokens": able,
            }
        )
    else:
        unable = "none that can be used here" if allowed else "none that this rule allows"
        if takes:
            unable += ", but may take one out of the stock"
        show_facts(
            {
                "client": client,
                "flow": rule.flow or entry.nas.flow,
                "primary": backend,
                "signed requests": "required" if entry.require_message_authenticator else "observed",
                **{f"rule {one.rule}{_line(one.line)}": str(one) for one in tried if one.condition is not None},
                "rule": "none fits: nobody gets in" if rule is NO_RULE else f"{rule.name}{_line(rule.line)}",
                "factors": " ".join(rule.factors) or "-",
                **_facts_about_keys(rule, ways),
                **_facts_about_rule(rule, entry),
                "user": name,
                "groups": doubt or ", ".join(groups) or "-",
                "state": "not seen yet" if person is None else user_state(person),
                "source": "-" if person is None else person.source,
                **facts_about_grants(granted, rule, tokens, at.now),
                "tokens": " ".join(able) or (waiver or unable),
            }
        )
    if not (able or waiver or takes) or (person is not None and user_state(person) != "enabled"):
        complain(f"{name} cannot log in at {client}")
        raise typer.Exit(1)


def _line(line: int) -> str:
    return f" (line {line})" if line else ""


# --- who checks, and when a password is enough ------------------------------------------------------------------------


def _who_checks(rules: Rules, rule: Rule, person: UserRecord | None, at: Circumstances) -> str:
    upstream = rule.enrolment.upstream
    if upstream is not None and _is_unenrolled(person) and rule.enrolment.lasts(at.now):
        return upstream
    return rules.backend_for(at).name


def _kind(settings: Settings, backend: str) -> str:
    return next((one.kind for one in settings.backends if one.name == backend), settings.primary.kind)


def _is_unenrolled(person: UserRecord | None) -> bool:
    return person is None or not person.enrolled


def _groups_now(settings: Settings, name: str, person: UserRecord | None) -> tuple[tuple[str, ...], str | None]:
    """Return the groups that a login would bring, and why they may be others; a directory is asked for today's."""
    from radiusd2fa.cli.directories import NoAnswerError, asking, directories_of

    seen = () if person is None else person.groups
    source = settings.primary.name if person is None else person.source
    if source in ("local", "none"):
        return seen, None
    directory = next((one for one in directories_of(settings) if one.name == source), None)
    if directory is None:
        return seen, None if seen else f"not known before the first login: {source} is asked with the password only"
    try:
        with asking(directory) as people:
            found = people.by_name(name)
    except NoAnswerError as error:
        return seen, f"{' '.join(seen) or 'not known'}, as last seen: {error}"
    return (seen, f"{source} knows nobody of that name") if found is None else (found.groups, None)


def _without_a_token(
    rule: Rule, person: UserRecord | None, at: Circumstances, granted: Sequence[GrantRecord], *, asked: bool
) -> str | None:
    """Say why the password will be enough, or None; ``asked``: whether anybody asks for one, and checks it."""
    from radiusd2fa.core.choosing import within

    enrolment, skip = rule.enrolment, rule.skip
    for_newcomers = _is_unenrolled(person) and rule.enrolment.lasts(at.now)
    if enrolment.upstream is not None and for_newcomers:
        return f"{enrolment.upstream} decides alone until {moment(enrolment.until)}"
    if not asked:
        return None
    if (skipping := until_when_skipping(granted, rule)) is not None:
        return f"none is needed until {moment(skipping)}, by a grant"
    if not enrolment.required and for_newcomers:
        return "none is needed yet" if enrolment.until is None else f"none is needed until {moment(enrolment.until)}"
    if skip is not None and at.now < skip.until and within(at.caller, skip.networks):
        return f"none is needed from there until {moment(skip.until)}"
    return None


def _facts_about_rule(rule: Rule, entry: ClientSettings) -> dict[str, str]:
    facts = {}
    if rule.skip is not None:
        networks = " ".join(map(str, rule.skip.networks))
        facts["no token needed"] = f"from {networks} until {moment(rule.skip.until)}"
    facts |= exceptions_of(rule)
    if rule.ask_always:
        facts["code"] = "asked for even after a wrong password"
    reply = [attribute.name for attribute in (*entry.reply, *rule.reply)]
    if reply:
        facts["reply"] = " ".join(dict.fromkeys(reply))
    return facts


def _rule_for_programs(rule: Rule) -> dict[str, Any]:
    shown = {key: value for key, value in asdict(rule).items() if key not in _SHOWN_OTHERWISE}
    sets = {key: sorted(getattr(rule, key)) for key in ("clients", "users", "groups", "realms", "grants")}
    networks = {"networks": [str(network) for network in rule.networks]}
    skip = rule.skip
    return {
        **shown,
        **sets,
        **networks,
        "attributes": [condition.name for condition in rule.attributes],
        "reply": [attribute.name for attribute in rule.reply],
        "skip": None if skip is None else {"networks": [str(one) for one in skip.networks], "until": skip.until},
    }


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
