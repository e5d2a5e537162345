"""What is in force from one reading of the configuration to the next: rules, clients, factors and opened backends.

It decides nothing and reads no file. A login keeps the regime that it began under, so that a reload never changes what
a login in flight is judged by; a challenge is answered under the regime of its answer. No RFC speaks of this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from radiusd2fa.clients import ClientTable
from radiusd2fa.core.finding import Find
from radiusd2fa.core.rules import Rules
from radiusd2fa.listeners.udp import UdpListener
from radiusd2fa.primary import Primary
from radiusd2fa.radius.admission import Rate
from radiusd2fa.settings import Settings


@dataclass(eq=False, slots=True)
class Regime:
    """One reading of the configuration, and the logins that are in work under it."""

    rules: Rules
    clients: ClientTable
    factors: Mapping[str, Find]
    primaries: Mapping[str, Primary]
    rates: Mapping[str, Rate]
    """How much of each client is let in, by its name."""
    in_work: int = 0
    leaving: list[UdpListener] = field(default_factory=list)
    """Sockets that take nothing in any more, and are closed after the last reply of this regime."""


def make_regime(settings: Settings, factors: Mapping[str, Find], primaries: Mapping[str, Primary]) -> Regime:
    """Prepare what the settings say; ``primaries`` are opened already, by their names."""
    rates = {client.nas.name: Rate(client.max_pps) for client in settings.clients}
    return Regime(settings.rules, ClientTable(settings.clients), factors, primaries, rates)


class Retired:
    """Regimes that are over, the oldest first, each until its last login has ended."""

    def __init__(self) -> None:
        self._regimes: deque[Regime] = deque()

    def add(self, over: Regime) -> None:
        """Take a regime that no new login will begin under."""
        self._regimes.append(over)

    def close_what_is_idle(self, current: Regime) -> bool:
        """Close backends and sockets that nobody needs any more; whether a regime has gone.

        In their order: a login of an older regime may still answer through a socket that a younger one gave up.
        """
        gone = False
        while self._regimes and not self._regimes[0].in_work:
            over = self._regimes.popleft()
            _close_but(over.primaries.values(), (*self._regimes, current))
            for listener in over.leaving:
                listener.close()
            gone = True
        return gone

    def close(self, current: Regime) -> None:
        """Close everything, logins in work or not."""
        while self._regimes:
            self._regimes[0].in_work = 0
            self.close_what_is_idle(current)


def _close_but(primaries: Iterable[Primary], later: Iterable[Regime]) -> None:
    """Close those that no later regime has taken over."""
    needed = {id(primary) for regime in later for primary in regime.primaries.values()}
    for primary in primaries:
        if id(primary) not in needed:
            primary.close()
