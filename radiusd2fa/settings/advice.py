"""What the settings allow although it is weaker than it should be, or although it can never work: one sentence each.

Advice never refuses anything and never shows a secret, nor how long it is. All of it is said at every start and by
``check``, but for what a site may well have chosen with its eyes open: that only ``check`` says.
RFC 3579 3.2 (Message-Authenticator), RFC 2865 3 (secrets of 16 octets or more), CVE-2024-3596.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from radiusd2fa.core.model import Flow, Nas
from radiusd2fa.core.rules import ChallengeRules, Rule, Rules, Station
from radiusd2fa.radius.packet import REPLY_OVERHEAD
from radiusd2fa.radius.reply import longest
from radiusd2fa.settings.rule_advice import (
    about_asking,
    about_grants,
    about_nobody,
    about_open_doors,
    about_realms,
    about_realms_in_replies,
    about_rules,
    about_taking,
    is_for,
    place_of,
)
from radiusd2fa.settings.values import (
    PATIENCE,
    BackendSettings,
    ClientSettings,
    LdapSettings,
    LocalSettings,
    RadiusSettings,
    Settings,
    StationSettings,
)

# RFC 2865 3: "preferred that the secret be at least 16 octets"
ENOUGH_SECRET: Final = 16

_ABOUT_ASCII: Final = "and some devices show such characters wrongly; try it on each device, or write it in ASCII"
_ASKS_NOTHING: Final = frozenset({Flow.APPEND, Flow.PREPEND})


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a security key cannot answer in one of its ways, and what to write so that it can."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


def obstacle(ceremony: str, rule: Rule, nas: Nas, stations: tuple[Station, ...]) -> Obstacle | None:
    """Return what keeps a key from answering at that client in this way; None when nothing does."""
    flow = rule.flow or nas.flow
    if flow in _ASKS_NOTHING:
        return Obstacle(f"its flow {flow} asks no question that a key could answer", "write flow: auto")
    if ceremony not in rule.ceremonies:
        return Obstacle("the rule does not allow it", f"add {ceremony} to its ceremonies")
    if ceremony == "ssh" and not nas.host_names:
        return Obstacle("the client has no host_names", "write the names that people type behind `ssh`")
    if ceremony == "station" and not any(nas.name in station.clients for station in stations):
        return Obstacle("no station serves this client", "name it under the clients of a station")
    return None


def about_client(client: ClientSettings, *, has_fido: bool) -> Iterator[str]:
    """Yield what should be changed about one client, or about the device behind it."""
    who = f"client {client.nas.name}"
    if min(map(len, client.secrets)) < ENOUGH_SECRET:
        yield (
            f"{who}: its secret is shorter than {ENOUGH_SECRET} characters, so one recorded packet is enough to guess "
            "it; set a longer one on both sides, e.g. from `openssl rand -base64 24`"
        )
    if not client.require_message_authenticator:
        yield (
            f"{who}: its requests are answered without a Message-Authenticator, so whoever sits between can forge an "
            "Access-Accept (CVE-2024-3596); let the device send one, then write message_authenticator: required"
        )
    if not client.sign_replies:
        yield (
            f"{who}: replies to it carry no Message-Authenticator, so whoever sits between can forge an Access-Accept "
            "(CVE-2024-3596); update the device, then write sign_replies: yes"
        )
    if client.nas.host_names and not has_fido:
        yield f"{who}: host_names are for security keys, and there is no section fido:; add one, or delete host_names"
    if any(network.prefixlen == 0 for network in client.networks):
        yield (
            f"{who}: its network is the whole internet, so only the secret keeps strangers out; "
            "write the addresses that the device really has"
        )


def about_prompts(rules: Rules) -> Iterator[str]:
    """Yield a sentence for each question that not every client can show."""
    foreign = _texts_beyond_ascii(rules.challenge)
    for key in foreign:
        yield f"challenge.{key}: it is not plain ASCII, {_ABOUT_ASCII}"
    for rule in rules.rules:
        if rule.challenge is not None and (own := _texts_beyond_ascii(rule.challenge) - foreign):
            yield f"{place_of(rule)}: what it asks is not plain ASCII ({', '.join(sorted(own))}), {_ABOUT_ASCII}"


def _texts_beyond_ascii(challenge: ChallengeRules) -> set[str]:
    return {key for key, text in asdict(challenge).items() if isinstance(text, str) and not text.isascii()}


def about_hashing(primary: BackendSettings) -> Iterator[str]:
    """Yield a sentence when a stolen store would be cheap to search for passwords."""
    usual = LocalSettings()
    if isinstance(primary, LocalSettings) and primary.memory_kib * primary.passes < usual.memory_kib * usual.passes:
        yield (
            "primary: its password hashes cost less than the default, so passwords are easier to find in a stolen "
            "store; delete memory_kib and passes"
        )


def about_keys(clients: tuple[ClientSettings, ...], rules: Rules) -> Iterator[str]:
    """Yield a sentence for each rule that lets keys in where no key can answer."""
    if rules.fido is None and rules.stations:
        yield "stations: they are for security keys, and there is no section fido:; add one, or delete stations"
    for rule in rules.rules:
        if "fido" in rule.factors:
            yield from _about_rule_for_keys(rule, [one.nas for one in clients if is_for(rule, one)], rules.stations)


def _about_rule_for_keys(rule: Rule, devices: list[Nas], stations: tuple[Station, ...]) -> Iterator[str]:
    barred: dict[str, list[str]] = {}
    for nas in devices:
        obstacles = [obstacle(ceremony, rule, nas, stations) for ceremony in rule.ceremonies]
        found = dict.fromkeys(one for one in obstacles if one is not None)
        if None not in obstacles:
            why = f"{', and '.join(one.problem for one in found)}; {', or '.join(one.remedy for one in found)}"
            barred.setdefault(why, []).append(nas.name)
    # where codes count as well, a client that is no place for keys is nothing unusual, as long as there is another
    needed = rule.factors == ("fido",) or rule.ceremonies == ("station",)
    hopeless = barred if needed or sum(map(len, barred.values())) == len(devices) else {}
    for why, names in hopeless.items():
        yield f"{place_of(rule)}: no security key can answer at {' and '.join(names)}: {why}"
    if not hopeless and "ssh" in rule.ceremonies and not any(nas.host_names for nas in devices):
        yield (
            f"{place_of(rule)}: it allows ssh, and none of its clients has host_names; write the names that people "
            "type behind `ssh`, or leave ssh out of its ceremonies"
        )


def about_stations(stations: tuple[StationSettings, ...]) -> Iterator[str]:
    """Yield a sentence when several stations would take the same key for theirs."""
    greedy = [station.name for station in stations if station.usb is None and station.reader is None]
    if len(greedy) > 1:
        yield (
            f"stations {' and '.join(greedy)}: each takes whatever key it finds, so on one host they would take each "
            "other's; give each its usb or its reader"
        )


def about_paste(rules: tuple[Rule, ...]) -> Iterator[str]:
    """Yield a sentence for each rule under which a response is bound to no host. For ``check`` alone."""
    for rule in rules:
        if "fido" in rule.factors and "paste" in rule.ceremonies:
            yield (
                f"{place_of(rule)}: it allows paste, so whoever passes our prompt on to a person can use the response; "
                "keep it to clients where neither ssh nor a station can be used"
            )


def about_backends(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each directory that cannot say whether somebody is still in it."""
    for backend in settings.backends:
        if isinstance(backend, LdapSettings) and not settings.rules.backends[backend.name].looks_up:
            yield (
                f"{backend.name}: it has no search_user, so where no password is checked (flow: code-only) a person "
                "who has left can still log in with a token; write search_user and search_password_file"
            )
        if isinstance(backend, LdapSettings) and backend.id_attribute is None:
            yield (
                f"{backend.name}: tokens are tied to names alone, so whoever gets the name of somebody who has left "
                "gets their tokens too; write an id_attribute"
            )
        if isinstance(backend, RadiusSettings) and min(len(one.secret) for one in backend.servers) < ENOUGH_SECRET:
            yield (
                f"{backend.name}: a secret of its servers is shorter than {ENOUGH_SECRET} characters, so one recorded "
                "packet is enough to guess it, and to forge their answers; set a longer one on both sides"
            )
        if isinstance(backend, RadiusSettings) and backend.timeout * backend.tries * len(backend.servers) > PATIENCE:
            yield (
                f"{backend.name}: all tries at all of its servers take longer than the {PATIENCE:g} s after which a "
                "login is given up; write a shorter timeout or fewer tries"
            )
        if isinstance(backend, RadiusSettings) and not backend.require_message_authenticator:
            yield (
                f"{backend.name}: replies without a Message-Authenticator are believed, so whoever sits between can "
                "forge one (CVE-2024-3596); update that server, then delete message_authenticator"
            )


def about_replies(settings: Settings) -> Iterator[str]:
    """Yield a sentence where an Access-Accept would be longer than the device reads."""
    for client in settings.clients:
        for rule in settings.rules.rules:
            if is_for(rule, client) and REPLY_OVERHEAD + longest([*client.reply, *rule.reply]) > client.max_reply:
                yield (
                    f"{place_of(rule)}: at {client.nas.name} an Access-Accept can be longer than the "
                    f"{client.max_reply} octets that are read there, and such a login is refused; reply with less"
                )


def about_site(settings: Settings) -> Iterator[str]:
    """Yield everything that should be said at every start."""
    rules, clients = settings.rules, settings.clients
    for client in clients:
        yield from about_client(client, has_fido=rules.fido is not None)
    yield from about_prompts(rules)
    for backend in settings.backends:
        yield from about_hashing(backend)
    yield from about_keys(clients, rules)
    yield from about_stations(settings.stations)
    yield from about_rules(rules.rules, clients)
    yield from about_open_doors(rules, clients, settings.zone())
    yield from about_grants(rules)
    yield from about_taking(rules, clients)
    yield from about_nobody(settings)
    yield from about_realms(rules, clients)
    yield from about_asking(rules)
    yield from about_realms_in_replies(rules, clients)
    yield from about_backends(settings)
    yield from about_replies(settings)
