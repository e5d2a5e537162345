"""How long it takes to find the rule for a login among two hundred, at a site with a thousand clients.

The rules are what large sites write: about devices, people, groups, realms, networks, hours and attributes of the
request, in every mixture. Nothing is started and no packet sent; no RFC says how many rules a site may have.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from radiusd2fa.core.attributes import AttributeCondition
from radiusd2fa.core.choosing import Circumstances
from radiusd2fa.core.rules import MINUTES_A_WEEK, Rule, Rules

RULES: Final = 200
CLIENTS: Final = 1_000
PEOPLE: Final = 20_000
LOGINS: Final = 4_000
WANTED: Final = 5.0
"""Microseconds for one choice."""

TYPICAL: Final = "each about clients and up to two more things"
"""What a site with a thousand clients writes."""

_KINDS: Final = ("clients", "users", "groups", "realms", "networks", "hours", "attributes")
_NOW: Final = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What one site's rules cost."""

    site: str
    first_us: float
    """The mean of logins whose caller has never been seen before."""
    us: float
    """The mean of logins whose caller has been seen before, in the best of several runs."""
    worst_us: float
    """The dearest of those."""
    unfit: int
    """Logins that no rule fits, of LOGINS."""


def measure() -> list[Choice]:
    """Measure rules about one thing each, then the mixtures."""
    sites: list[tuple[str, Sequence[tuple[str, ...]]]] = [(f"all about {kind}", [(kind,)] * RULES) for kind in _KINDS]
    draw = random.Random(4)
    mixed = [tuple(draw.sample(_KINDS, draw.randint(1, 3))) for _ in range(RULES)]
    named = [("clients", *draw.sample(_KINDS[1:], draw.randint(0, 2))) for _ in range(RULES)]
    sites += [(TYPICAL, named), ("each about one to three things", mixed)]
    return [_measured(name, conditions) for name, conditions in sites]


def _measured(name: str, conditions: Sequence[tuple[str, ...]]) -> Choice:
    draw = random.Random(name)
    rules = Rules(
        tuple(_rule(number, kinds, draw) for number, kinds in enumerate(conditions)),
        minute_of_week=lambda now: int(now // 60) % MINUTES_A_WEEK,
    )
    logins = [_login(draw) for _ in range(LOGINS)]
    first = _timed(rules, logins)
    unfit = sum(not rules.for_login(login).name for login in logins)
    runs = [_timed(rules, logins) for _ in range(7)]
    each = [min(_timed(rules, [login]) for _ in range(5)) for login in logins]
    return Choice(name, first, min(runs), max(each), unfit)


def _timed(rules: Rules, logins: Sequence[Circumstances]) -> float:
    choose = rules.for_login
    began = time.perf_counter()
    for login in logins:
        choose(login)
    return (time.perf_counter() - began) / len(logins) * 1e6


def _rule(number: int, kinds: tuple[str, ...], draw: random.Random) -> Rule:
    begin = draw.randrange(MINUTES_A_WEEK - 600)
    said = AttributeCondition("NAS-Identifier", 32, values=frozenset({f"site-{draw.randrange(100)}".encode()}))
    conditions: dict[str, object] = {
        "clients": frozenset(_client(draw) for _ in range(draw.randint(1, 20))),
        "users": frozenset(_person(draw) for _ in range(draw.randint(1, 50))),
        "groups": frozenset(_group(draw) for _ in range(draw.randint(1, 5))),
        "realms": frozenset({_realm(draw)}),
        "networks": tuple(_network(draw) for _ in range(draw.randint(1, 5))),
        "hours": ((begin, begin + 600),),
        "attributes": (said,),
    }
    return Rule(f"r{number}", **{kind: conditions[kind] for kind in kinds})  # type: ignore[arg-type]


def _login(draw: random.Random) -> Circumstances:
    return Circumstances(
        client=_client(draw),
        user=_person(draw),
        realm=_realm(draw),
        groups=tuple(_group(draw) for _ in range(8)),
        caller=f"10.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(256)}",
        now=_NOW + draw.randrange(7 * 86400),
        attributes=(
            (1, b"somebody"),
            (4, bytes(4)),
            (5, bytes(4)),
            (32, f"site-{draw.randrange(100)}".encode()),
            (61, bytes(4)),
        ),
    )


def _client(draw: random.Random) -> str:
    return f"client-{draw.randrange(CLIENTS)}"


def _person(draw: random.Random) -> str:
    return f"user{draw.randrange(PEOPLE):07}"


def _group(draw: random.Random) -> str:
    return f"group {draw.randrange(300)}"


def _realm(draw: random.Random) -> str:
    return f"realm-{draw.randrange(50)}.example"


def _network(draw: random.Random) -> IPv4Network | IPv6Network:
    if draw.random() < 0.2:
        return ip_network(f"2001:db8:{draw.randrange(65536):x}::/48")
    return ip_network(f"10.{draw.randrange(256)}.{draw.randrange(256)}.0/24")
