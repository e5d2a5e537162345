"""What is said about rules: those that can never fit, and those under which a password, or a guess, is enough.

Advice never refuses anything; each sentence says the line and the name of the rule. Only ``about_ended`` is told the
time, so ``check`` alone says it. Answers to no RFC; what a rule means is ``core.rules``' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Final

from radiusd2fa.core.attributes import Substitution
from radiusd2fa.core.model import Flow, Nas
from radiusd2fa.core.names import split_realm
from radiusd2fa.core.rules import GRANTS, BreakGlass, Enrolment, Rule, Rules, Skip
from radiusd2fa.settings.calendar import last_day_before
from radiusd2fa.settings.values import BackendSettings, ClientSettings, LdapSettings, RadiusSettings, Settings

_ASKS_FOR_NO_TOKEN: Final = frozenset({Flow.APPEND, Flow.PREPEND, Flow.CODE_ONLY})


def place_of(rule: Rule) -> str:
    """Return how a rule is called in a sentence."""
    return f"line {rule.line}: rule {rule.name}" if rule.line else f"rule {rule.name}"


def is_for(rule: Rule, client: ClientSettings) -> bool:
    """Whether a rule can decide about logins at that client."""
    return not rule.clients or client.nas.name in rule.clients


def about_rules(rules: Sequence[Rule], clients: Sequence[ClientSettings]) -> Iterator[str]:
    """Yield a sentence for each rule that an earlier one hides, and for each client that no rule speaks of."""
    for client in clients:
        if not any(is_for(rule, client) for rule in rules):
            yield (
                f"client {client.nas.name}: no rule fits it, so nobody gets in there; "
                "end the rules with one for everybody, such as {name: all}"
            )
    for index, rule in enumerate(rules):
        hiding = next((before for before in rules[:index] if _hides(before, rule) and _takes_over(before, rule)), None)
        if hiding is not None:
            everybody = "everybody" if not _narrow(hiding) else "everybody that it is for"
            yield (
                f"{place_of(rule)}: it never applies, because rule {hiding.name} above it fits {everybody}; "
                "move it up, or delete it"
            )


def _narrow(rule: Rule) -> bool:
    sets = (rule.clients, rule.users, rule.groups, rule.realms)
    return any(sets) or bool(rule.networks or rule.hours or rule.attributes)


def _hides(before: Rule, rule: Rule) -> bool:
    """Whether whoever fits the second rule fits the first one too."""
    sets = [(getattr(before, key), getattr(rule, key)) for key in ("clients", "users", "groups", "realms")]
    same = all(
        not getattr(before, key) or getattr(before, key) == getattr(rule, key)
        for key in ("networks", "hours", "attributes")
    )
    return same and all(not wide or (narrow and narrow <= wide) for wide, narrow in sets)


def _takes_over(before: Rule, rule: Rule) -> bool:
    """Whether nothing is left for the second rule, not even to say who checks the password (Rules.backend_for)."""
    return rule.primary is None or before.primary is not None


def about_open_doors(rules: Rules, clients: Sequence[ClientSettings], zone: tzinfo | None) -> Iterator[str]:
    """Yield a sentence for each rule under which a password alone is enough, for some or for a while."""
    for rule in rules.rules:
        doors = [*_doors_of_newcomers(rule.enrolment, zone), *_doors_of_networks(rule.skip, zone)]
        yield from (f"{place_of(rule)}: {door}" for door in doors)
        if doors and not rule.enrolment.upstream:
            yield from _about_nobody_checking(rule, rules, clients)


def _doors_of_newcomers(enrolment: Enrolment, zone: tzinfo | None) -> Iterator[str]:
    who = "people who have never had a token"
    if enrolment.upstream is not None and enrolment.until is not None:
        until = last_day_before(enrolment.until, zone)
        yield f"until {until} {enrolment.upstream} decides alone about {who}; hand tokens out before then"
    elif not enrolment.required and enrolment.until is not None:
        until = last_day_before(enrolment.until, zone)
        yield f"until {until} {who} get in with their password alone; hand tokens out before then"
    elif not enrolment.required:
        yield f"{who} get in with their password alone; write enrolment: {{grace_until: DATE}} as soon as you can"


def _doors_of_networks(skip: Skip | None, zone: tzinfo | None) -> Iterator[str]:
    if skip is not None:
        until = last_day_before(skip.until, zone)
        where = "everywhere" if any(network.prefixlen == 0 for network in skip.networks) else "on some networks"
        yield f"until {until} a password is enough {where}; delete skip as soon as you can"


def about_grants(rules: Rules) -> Iterator[str]:
    """Yield a sentence for each rule that wants keys which cannot be phished, and lets a person's word replace them."""
    ways = {
        "temporary": "a temporary code from the helpdesk counts as well",
        "skip": "an administrator can let people skip them",
    }
    for rule in rules.rules:
        around = [ways[grant] for grant in GRANTS if grant in rule.grants]
        if rule.factors == ("fido",) and around:
            yield f"{place_of(rule)}: only security keys are wanted, but {', and '.join(around)}; write grants: off"


def about_emergencies(rules: Rules) -> Iterator[str]:
    """Yield a sentence for each rule under which a code opens the door alone. For ``check`` alone."""
    for rule in rules.rules:
        if rule.break_glass is BreakGlass.ALONE:
            yield (
                f"{place_of(rule)}: an emergency code that two administrators have opened needs no password there; "
                "keep it to the few accounts and clients that must work while the directory is down"
            )


def about_taking(rules: Rules, clients: Sequence[ClientSettings]) -> Iterator[str]:
    """Yield a sentence where nobody can take a token out of the stock, although the rule would let them."""
    for rule in (one for one in rules.rules if one.self_assign):
        flows = {one.nas.name: rule.flow or one.nas.flow for one in clients if is_for(rule, one)}
        names = [name for name, flow in flows.items() if flow in _ASKS_FOR_NO_TOKEN]
        if names:
            yield (
                f"{place_of(rule)}: at {' and '.join(names)} nobody can take a token, because nothing is asked for "
                "after the password there; write flow: challenge or auto, or delete self_assign"
            )


def about_ended(rules: Rules, zone: tzinfo | None, now: float) -> Iterator[str]:
    """Yield a sentence for each date that has passed. For ``check`` alone, which knows the time."""
    for rule in rules.rules:
        enrolment, skip = rule.enrolment, rule.skip
        if enrolment.until is not None and enrolment.until <= now:
            ended = last_day_before(enrolment.until, zone)
            yield f"{place_of(rule)}: the time of its enrolment ended with {ended}; delete enrolment"
        if skip is not None and skip.until <= now:
            ended = last_day_before(skip.until, zone)
            yield f"{place_of(rule)}: the time of its skip ended with {ended}; delete skip"


def _about_nobody_checking(rule: Rule, rules: Rules, clients: Sequence[ClientSettings]) -> Iterator[str]:
    names = [one.nas.name for one in clients if is_for(rule, one) and (rule.flow or one.nas.flow) is Flow.CODE_ONLY]
    backend = rules.backend(rule.primary or rules.primary.name)
    if backend is not None and not backend.checks:
        yield (
            f"{place_of(rule)}: nobody checks a password there, so everybody still needs a code; "
            "delete enrolment and skip"
        )
    elif names:
        yield (
            f"{place_of(rule)}: at {' and '.join(names)} no password is asked for (flow: code-only), so everybody "
            "still needs a code there; write another flow, or delete enrolment and skip"
        )


def about_nobody(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each rule whose conditions hardly anybody can meet, or that comes too late."""
    asked = [backend for backend in settings.backends if backend.name in _backends_asked(settings)]
    groupless = " and ".join(one.name for one in asked) if not any(map(_knows_groups, asked)) else ""
    for rule in settings.rules.rules:
        if rule.groups and groupless:
            yield (
                f"{place_of(rule)}: it is for groups, of which {groupless} tells us none, "
                "so it fits only people to whom `user add --group` gave them; let a backend tell them, or name users"
            )
        elif rule.groups and rule.enrolment.upstream and settings.primary.kind != "local":
            yield (
                f"{place_of(rule)}: the groups of newcomers are known only after {settings.primary.name} has let them "
                f"in, so {rule.enrolment.upstream} is never asked about them; choose them by users or clients"
            )
        if (
            rule.users
            and rule.realms
            and not any(_can_be(rule, one.nas) for one in settings.clients if is_for(rule, one))
        ):
            yield (
                f"{place_of(rule)}: none of its users has one of its realms, so it can never fit; "
                "write users as alice@realm, or delete the realms"
            )


def _knows_groups(backend: BackendSettings) -> bool:
    if isinstance(backend, LdapSettings):
        return backend.groups != "none"
    return not isinstance(backend, RadiusSettings)


def _backends_asked(settings: Settings) -> frozenset[str]:
    named = {rule.primary for rule in settings.rules.rules if rule.primary is not None}
    return frozenset({settings.primary.name, *named})


def _can_be(rule: Rule, nas: Nas) -> bool:
    """Whether somebody whom the rule names can have typed one of its realms at that client."""
    return nas.strip_realm or any(split_realm(user)[1] in rule.realms for user in rule.users)


def about_realms(rules: Rules, clients: Sequence[ClientSettings]) -> Iterator[str]:
    """Yield a sentence where people could choose their rule by what they type."""
    choosing = [rule for rule in rules.rules if rule.realms]
    for client in clients:
        names = [rule.name for rule in choosing if is_for(rule, client)] if client.nas.strip_realm else []
        if names:
            yield (
                f"client {client.nas.name}: it strips realms, so alice and alice@realm are one person, who may choose "
                f"by what they type whether rule {' or '.join(names)} applies; delete strip_realm, or those realms"
            )


def about_realms_in_replies(rules: Rules, clients: Sequence[ClientSettings]) -> Iterator[str]:
    """Yield a sentence where people could write what they like into a reply."""
    for rule in rules.rules:
        says_realm = any(Substitution.REALM in attribute.template for attribute in rule.reply)
        strips = [one.nas.name for one in clients if one.nas.strip_realm and is_for(rule, one)]
        if says_realm and strips and not rule.realms:
            yield (
                f"{place_of(rule)}: its reply says %{{realm}}, and at {' and '.join(strips)} people may type any; "
                "name the realms under when, or leave it out of the reply"
            )


def about_asking(rules: Rules) -> Iterator[str]:
    """Yield a sentence where asking for a code after every password would tell who is who."""
    for rule in rules.rules:
        if rule.ask_always and (rule.users or rule.groups):
            yield (
                f"{place_of(rule)}: it asks for a code even after a wrong password, but only people whom we know are "
                "in its users and groups, so strangers can tell who is; choose it by clients instead"
            )
