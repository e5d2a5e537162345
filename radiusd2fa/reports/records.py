"""What the reports count: people, what is in their hands, what was granted, and how often logins went how.

Plain values as they were at one moment, without any secret: a token's seed is left out. Whether a token works is asked
where the daemon asks (core.finding). Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from radiusd2fa.core.finding import is_usable
from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.core.record import record
from radiusd2fa.core.rules import FACTORS
from radiusd2fa.core.sheets import SHEETS

A_DAY: Final = 86400.0
A_YEAR: Final = 365 * A_DAY

PHISHING_RESISTANT: Final = "fido"
TOKENS: Final = tuple(kind for kind in FACTORS if kind not in SHEETS)
"""What people carry, the strongest first."""
IN_HANDS: Final = frozenset({TokenState.ASSIGNED, TokenState.ACTIVE})


@record
class Person:
    """Somebody whom the store knows."""

    id: int
    name: str
    enabled: bool
    groups: tuple[str, ...]
    created: float
    enrolled: bool
    """Whether they have ever had a token."""
    last_login: float | None
    """Without a token; of others their tokens know."""
    locked_until: float = 0.0
    skip_until: float = 0.0
    failures: int = 0
    source: str = "local"


@record
class Holding:
    """A token, or a sheet of codes, with where it is and has been. The seed of ``token`` is empty."""

    token: Token
    created: float
    owner: int | None = None
    user: str | None = None
    """The owner's name."""
    model: str = ""
    batch: str = ""
    box: str = ""
    delivered: float | None = None
    handed_by: str = ""
    handed_at: float | None = None
    codes: int = 0
    """Of a sheet: how many there were."""

    @property
    def is_sheet(self) -> bool:
        """Whether it is a sheet of codes, which is no token in the sense of any count."""
        return self.token.kind in SHEETS

    @property
    def codes_left(self) -> int:
        """How many codes of a sheet were not used."""
        return max(self.codes - self.token.moving_factor.bit_count(), 0)

    @property
    def since(self) -> float:
        """From when on it was in its owner's hands, as far as anybody has said."""
        return self.created if self.handed_at is None else self.handed_at

    def works(self, now: float) -> bool:
        """Whether its owner could log in with it, for all that the rules say."""
        return self.owner is not None and is_usable(self.token, now) and (not self.is_sheet or self.codes_left > 0)

    def state(self, now: float) -> TokenState:
        """Where it is in its life; whatever its time is over for counts as expired."""
        token = self.token
        over = token.valid_until is not None and token.valid_until <= now
        return TokenState.EXPIRED if over and token.state is not TokenState.REVOKED else token.state


@record
class Grant:
    """What administrators have granted for a while."""

    kind: str
    user: str
    serial: str
    reason: str
    granted_by: str
    approved_by: str
    created: float
    until: float
    closed: float | None = None
    closed_by: str = ""

    def is_open(self, now: float) -> bool:
        """Whether it still counts."""
        return self.closed is None and now < self.until


@record
class Request:
    """What one administrator has asked of another: to open somebody's emergency codes."""

    user: str
    reason: str
    requested_by: str
    created: float
    expires: float
    approved_by: str | None
    approved: float | None


@record
class Logins:
    """How many logins ended in one way at one client. ``outcome`` is accepted or rejected."""

    outcome: str
    nas: str
    factor: str
    reason: str
    count: int


@record
class Fallback:
    """How often somebody came in without their own second factor, and in which way."""

    user: str
    factor: str
    reason: str
    count: int
    last: float


@record
class Deeds:
    """How often an administrator has done one thing."""

    name: str
    actor: str
    count: int


@record
class Blocked:
    """A caller whose guesses have used up its budget."""

    nas: str
    caller: str
    until: float


def kinds_that_work(holdings: Iterable[Holding], now: float) -> dict[int, frozenset[str]]:
    """Return for each person, by id, the kinds of tokens and sheets that they could log in with now."""
    kinds: dict[int, set[str]] = {}
    for holding in holdings:
        if holding.owner is not None and holding.works(now):
            kinds.setdefault(holding.owner, set()).add(holding.token.kind)
    return {owner: frozenset(theirs) for owner, theirs in kinds.items()}


def by_owner(holdings: Iterable[Holding]) -> dict[int, list[Holding]]:
    """Return each person's holdings, by the person's id."""
    theirs: dict[int, list[Holding]] = {}
    for holding in holdings:
        if holding.owner is not None:
            theirs.setdefault(holding.owner, []).append(holding)
    return theirs


def last_login(person: Person, theirs: Sequence[Holding]) -> float | None:
    """Return when somebody has last logged in, with a token or without; None: never."""
    moments = (person.last_login, *(holding.token.last_used for holding in theirs))
    return max((moment for moment in moments if moment is not None), default=None)


def days_between(earlier: float, later: float) -> int:
    """Return whole days."""
    return max(int((later - earlier) // A_DAY), 0)


def counted(words: Iterable[str]) -> Mapping[str, int]:
    """Return how often each word is there."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts
