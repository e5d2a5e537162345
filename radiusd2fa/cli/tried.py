"""The login that `radiusd2fa check` is told about, and which rules it tries for that one, in words.

Nothing is decided here: ``core.choosing`` chooses, and this says why. Attributes are written as in the settings.
Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Final

from radiusd2fa.cli.site import now, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.core.choosing import Circumstances
    from radiusd2fa.core.rules import Rule, Rules
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.registry import UserRecord

Told = tuple[str | None, str | None, Sequence[str]]
"""What was said of the login: --at, --from, and each --attribute."""

_CALLING_STATION_ID: Final = 31
_FEW: Final = 5
_HOW_TO_WRITE_A_TIME: Final = "--at: write a time as in 2027-01-31T08:00"


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule, and the first of its conditions that was not met; none: it fits."""

    rule: str
    line: int
    condition: str | None
    why: str | None

    def __str__(self) -> str:
        return "fits" if self.condition is None else f"no, its {self.condition}: {self.why}"


# --- the login that is meant ------------------------------------------------------------------------------------------


def circumstances_of(
    settings: Settings, client: str, name: tuple[str, str], person: UserRecord | None, told: Told
) -> Circumstances:
    """Return what the choice of a rule would look at. ``name`` is canonical, with its realm."""
    from radiusd2fa.core.choosing import Circumstances
    from radiusd2fa.core.model import NO_CALLER

    at, caller, attributes = told
    address = None if caller is None else _address(caller)
    pairs = [_attribute(written, settings) for written in attributes]
    if address is not None:
        pairs.append((_CALLING_STATION_ID, address.encode()))
    return Circumstances(
        client,
        name[0],
        realm=name[1],
        groups=person.groups if person is not None else (),
        caller=address or NO_CALLER,
        now=_moment(at, settings),
        attributes=pairs,
    )


def _moment(written: str | None, settings: Settings) -> float:
    if written is None:
        return now()
    if not written.startswith("2"):  # years that every zone can count in
        wrong_usage(_HOW_TO_WRITE_A_TIME)
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        wrong_usage(_HOW_TO_WRITE_A_TIME)
    return (read if read.tzinfo is not None else read.replace(tzinfo=settings.zone())).timestamp()


def _address(written: str) -> str:
    try:
        return str(ip_address(written))
    except ValueError:
        wrong_usage("--from: write an address, as in 192.0.2.7")


def _attribute(written: str, settings: Settings) -> tuple[int, bytes]:
    """Make an attribute of the request out of its name and value, as a NAS would send it."""
    from radiusd2fa.core.attributes import ReplyAttribute
    from radiusd2fa.radius.data_types import AttributeFault, encode_value
    from radiusd2fa.radius.lookup import look_up
    from radiusd2fa.radius.wrapping import wrap
    from radiusd2fa.settings.dictionaries import SHIPPED, load_dictionaries

    name, equals, value = written.partition("=")
    if not equals:
        wrong_usage("--attribute: write NAME=VALUE, as in NAS-Port-Type=Virtual")
    try:
        place = look_up(load_dictionaries([SHIPPED, *settings.dictionaries]), name)
        octets = encode_value(place.kind.kind, value, place.kind.values, tagged=place.kind.tagged)
    except AttributeFault as fault:
        wrong_usage(f"--attribute {name}: {fault}")
    meant = ReplyAttribute(
        name=name, number=place.number, vendor=place.vendor, vendor_type=place.vendor_type, layout=place.layout
    )
    return place.number, wrap(meant, octets)


# --- which rule, and why ----------------------------------------------------------------------------------------------


def tried_rules(rules: Rules, at: Circumstances, chosen: Rule) -> list[Tried]:
    """Say for each rule down to the one that fits which of its conditions is not met."""
    from radiusd2fa.core.choosing import misfit

    tried = []
    for rule in rules.rules:
        condition = misfit(rule, at, rules.minute_of_week)
        tried.append(Tried(rule.name, rule.line, condition, condition and _why(rule, condition, at)))
        if rule is chosen:
            break
    return tried


def _why(rule: Rule, condition: str, at: Circumstances) -> str:
    from radiusd2fa.core.choosing import address_of

    match condition:
        case "clients":
            return f"it is for {_some(sorted(rule.clients))}"
        case "users":
            return f"it is for {_some(sorted(rule.users))}"
        case "groups":
            return f"it is for {_some(sorted(rule.groups))}, and {at.user} is in {_some(at.groups) or 'no group'}"
        case "realms":
            return f"it is for {_some(sorted(rule.realms))}, and {at.realm or 'no realm'} was typed"
        case "networks" if address_of(at.caller) is None:
            return "it is not known where the person is; say so with --from"
        case "networks":
            return f"{at.caller} is not in {_some(map(str, rule.networks))}"
        case "hours":
            return "it is for other days or hours; try another time with --at"
    missing = next(one for one in rule.attributes if not one.fits(at.attributes))
    if any(kind == missing.number for kind, _ in at.attributes) and not missing.vendor:
        return f"{missing.name} has another value"
    return f"the request does not say {missing.name} as it should; say it with --attribute"


def _some(names: Iterable[str]) -> str:
    """Name a few."""
    first = list(islice(names, _FEW + 1))
    return ", ".join(first[:_FEW]) + (" and others" if len(first) > _FEW else "")
