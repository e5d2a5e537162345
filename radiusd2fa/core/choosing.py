"""Which rule speaks about a login: the first that fits, found without looking at all of them.

Pure: time and network of the caller are handed in. A condition about something that the login does not say is not met.
Calling-Station-Id is RFC 2865 5.31; what products write into it was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Generic, Protocol, TypeVar

from radiusd2fa.core.attributes import AttributeCondition
from radiusd2fa.core.model import NO_CALLER
from radiusd2fa.core.record import record

Address = IPv4Address | IPv6Address

_MOST_REMEMBERED: Final = 4096
_WITH_PORT: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)\[[0-9]{1,5}\]|([0-9.]+):[0-9]{1,5}"
)


@record
class Circumstances:
    """What the choice of a rule looks at."""

    client: str
    user: str
    realm: str = ""
    groups: tuple[str, ...] = ()
    caller: str = NO_CALLER
    """Calling-Station-Id."""
    now: float = 0.0
    attributes: Sequence[tuple[int, bytes]] = field(default=(), repr=False)
    """Those of the request."""


class Network(Protocol):
    """What ``ipaddress`` calls a network."""

    def __contains__(self, address: object) -> bool:
        """Whether the address is in it."""


class Conditional(Protocol):
    """What a rule says about whom it is for. Empty conditions fit everybody."""

    @property
    def clients(self) -> frozenset[str]: ...  # noqa: D102 - core.rules.Rule explains them all
    @property
    def users(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def groups(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def realms(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def networks(self) -> Sequence[Network]: ...  # noqa: D102
    @property
    def hours(self) -> Sequence[tuple[int, int]]: ...  # noqa: D102
    @property
    def attributes(self) -> Sequence[AttributeCondition]: ...  # noqa: D102
    @property
    def primary(self) -> str | None: ...  # noqa: D102


R = TypeVar("R", bound=Conditional)
_Remembered = dict[tuple[int, str, int], list[tuple[int, R]]]
"""By shelf, caller and minute: the rules that may fit."""


def misfit(rule: Conditional, at: Circumstances, minute_of_week: Callable[[float], int]) -> str | None:
    """Return the first condition that is not met, as the settings call it; None when the rule fits."""
    if rule.clients and at.client not in rule.clients:
        return "clients"
    if rule.users and at.user not in rule.users:
        return "users"
    if rule.groups and rule.groups.isdisjoint(at.groups):
        return "groups"
    if rule.realms and at.realm not in rule.realms:
        return "realms"
    if rule.networks and not within(at.caller, rule.networks):
        return "networks"
    if rule.hours and not _is_within_hours(rule.hours, minute_of_week(at.now)):
        return "hours"
    if rule.attributes and not all(condition.fits(at.attributes) for condition in rule.attributes):
        return "attributes"
    return None


def _is_within_hours(hours: Sequence[tuple[int, int]], minute: int) -> bool:
    return any(begin <= minute < end for begin, end in hours)


def within(caller: str, networks: Sequence[Network]) -> bool:
    """Whether the caller's address is known and in one of the networks."""
    address = address_of(caller)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def address_of(caller: str) -> Address | None:
    """Return the IP address in a Calling-Station-Id, or None: many products send a MAC address or a telephone number.

    ``192.0.2.1``, ``192.0.2.1:4500``, ``192.0.2.1[4500]``, ``2001:db8::1``, ``[2001:db8::1]:4500``; an IPv4 address
    mapped into IPv6 is IPv4 again, as it is among the settings' networks.
    """
    found = _WITH_PORT.fullmatch(caller)
    try:
        address = ip_address(next(filter(None, found.groups())) if found else caller)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id is not None else address.ipv4_mapped or address
    return address


class Chooser(Generic[R]):
    """Rules in their order, indexed by what most rules ask for: the client, the user, the group."""

    def __init__(self, rules: Sequence[R], minute_of_week: Callable[[float], int]) -> None:
        self._minute_of_week = minute_of_week
        everywhere = [entry for entry in enumerate(rules) if not entry[1].clients]
        clients = {client for rule in rules for client in rule.clients}
        remembered: _Remembered[R] = {}
        self._for_other_clients = _Shelf(everywhere, minute_of_week, remembered)
        self._by_client = {
            client: _Shelf(
                [entry for entry in enumerate(rules) if not entry[1].clients or client in entry[1].clients],
                minute_of_week,
                remembered,
            )
            for client in clients
        }
        self._naming_a_backend = [rule for rule in rules if rule.primary is not None]

    def first(self, at: Circumstances) -> R | None:
        """The first rule that fits, or None."""
        shelf = self._by_client.get(at.client, self._for_other_clients)
        if shelf.for_everybody is not None:
            return shelf.for_everybody
        for rule in shelf.candidates(at):
            if misfit(rule, at, self._minute_of_week) is None:
                return rule
        return None

    @property
    def names_backends(self) -> bool:
        """Whether some rule names a primary backend."""
        return bool(self._naming_a_backend)

    def first_naming_a_backend(self, at: Circumstances) -> R | None:
        """The first rule that names a primary backend and fits, or None."""
        for rule in self._naming_a_backend:
            if misfit(rule, at, self._minute_of_week) is None:
                return rule
        return None


class _Shelf(Generic[R]):
    """The rules of one client, each under the first of its conditions that can be looked up, and the rest."""

    def __init__(
        self, entries: Sequence[tuple[int, R]], minute_of_week: Callable[[float], int], remembered: _Remembered[R]
    ) -> None:
        self._users: dict[str, list[tuple[int, R]]] = {}
        self._groups: dict[str, list[tuple[int, R]]] = {}
        self._realms: dict[str, list[tuple[int, R]]] = {}
        self._attributes: dict[tuple[int, bytes], list[tuple[int, R]]] = {}
        self._somewhere: list[tuple[int, R]] = []
        self._sometimes: list[tuple[int, R]] = []
        self._rest: list[tuple[int, R]] = []
        self._minute_of_week = minute_of_week
        self._remembered = remembered
        self.for_everybody = entries[0][1] if entries and _is_for_everybody(entries[0][1]) else None
        """The first rule, if it fits whoever comes: then nothing needs to be looked at."""
        for entry in entries:
            rule = entry[1]
            for index, keys in ((self._users, rule.users), (self._groups, rule.groups), (self._realms, rule.realms)):
                if keys:
                    for key in keys:
                        index.setdefault(key, []).append(entry)
                    break
            else:
                exact = next((pairs for condition in rule.attributes if (pairs := condition.exact())), ())
                for pair in exact:
                    self._attributes.setdefault(pair, []).append(entry)
                if not exact:
                    rest = self._somewhere if rule.networks else self._sometimes if rule.hours else self._rest
                    rest.append(entry)

    def candidates(self, at: Circumstances) -> Iterable[R]:
        """Return the rules that may fit, in their order."""
        rest = self._here_and_now(at) if self._somewhere or self._sometimes else self._rest
        named = list(self._users.get(at.user, ()))
        if self._groups:
            for group in at.groups:
                named += self._groups.get(group, ())
        if self._realms:
            named += self._realms.get(at.realm, ())
        if self._attributes:
            for pair in at.attributes:
                named += self._attributes.get(pair, ())
        return map(_rule, sorted([*named, *rest], key=_position) if named else rest)

    def _here_and_now(self, at: Circumstances) -> list[tuple[int, R]]:
        """The rest, and the rules about the place and the time; remembered, for people come again."""
        minute = self._minute_of_week(at.now) if self._sometimes else 0
        key = (id(self), at.caller if self._somewhere else NO_CALLER, minute)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            here = [entry for entry in self._somewhere if within(at.caller, entry[1].networks)]
            now = [entry for entry in self._sometimes if _is_within_hours(entry[1].hours, minute)]
            found = self._remembered[key] = sorted([*here, *now, *self._rest], key=_position)
        return found


def _is_for_everybody(rule: Conditional) -> bool:
    conditions = (rule.users, rule.groups, rule.realms, rule.networks, rule.hours, rule.attributes)
    return not any(conditions)


def _position(entry: tuple[int, object]) -> int:
    return entry[0]


def _rule(entry: tuple[int, R]) -> R:
    return entry[1]
