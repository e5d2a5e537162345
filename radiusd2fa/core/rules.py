"""What a site may choose about a login: windows, throttle, challenge texts, and which factors count where.

Values only, already checked by the settings; no file, no clock. The first rule that fits decides.
The hard bounds are here because the settings and the documentation both quote them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_LOOK_AHEAD: Final = 50
MAX_RESYNC_WINDOW: Final = 1000
MAX_STEPS_EITHER_SIDE: Final = 10
MAX_RESYNC_STEPS: Final = 200
MAX_PROMPT_LENGTH: Final = 200

FACTORS: Final = ("fido", "totp", "hotp")
"""Factors of this version, in the order in which they are tried."""
CEREMONIES: Final = ("ssh", "paste", "station")
"""The ways in which a security key can answer."""


@dataclass(frozen=True, slots=True)
class HotpRules:
    """RFC 4226 7.2 and 7.4, in counts."""

    look_ahead: int = 10
    resync_window: int = 100


@dataclass(frozen=True, slots=True)
class TotpRules:
    """RFC 6238 5.2 and 6, in steps."""

    steps_either_side: int = 1
    resync_steps: int = 20
    max_drift: int = 100
    """The learned drift never leaves +-max_drift."""
    widen_every: float = 0.0
    """Seconds without use after which one more step is allowed on either side; 0 never widens."""
    widen_at_most: int = 2


@dataclass(frozen=True, slots=True)
class ThrottleRules:
    """How guessing is slowed. Times in seconds."""

    max_failures: int = 10
    first_lock: float = 60.0
    max_lock: float = 43200.0
    caller_max_failures: int = 100
    caller_window: float = 600.0


@dataclass(frozen=True, slots=True)
class ChallengeRules:
    """How long a challenge lives (seconds), how many answers it takes, and what it says."""

    lifetime: float = 120.0
    tries: int = 3
    code_prompt: str = "Enter the code from your token: "
    next_code_prompt: str = "Enter the next code: "
    password_prompt: str = "Enter your password: "
    resync_lifetime: float = 300.0
    """How long a code beyond the window waits for its successor."""


@dataclass(frozen=True, slots=True)
class FidoRules:
    """The relying party that all security keys are registered with (WebAuthn 5.4.2). Another one voids every key."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Station:
    """A place with a key reader of ours, and the clients at whose logins it asks for a touch."""

    name: str
    clients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Which factors count for whom, and how. Empty sets fit everybody."""

    name: str
    factors: tuple[str, ...] = ("totp", "hotp")
    clients: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    ceremonies: tuple[str, ...] = ("ssh", "station")
    """How a key may answer. ``paste`` stops no live relay, so it is allowed only where it is named."""
    user_verification: bool = False
    """Whether a key must verify its user, by PIN or fingerprint."""
    lock_clones: bool = False
    """Whether a key whose counter has not grown is disabled until an administrator has looked at it."""

    def fits(self, client: str, user: str, groups: tuple[str, ...]) -> bool:
        """Whether this rule speaks about that user at that client."""
        return (
            (not self.clients or client in self.clients)
            and (not self.users or user in self.users)
            and (not self.groups or not self.groups.isdisjoint(groups))
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that a site chooses and a decision needs."""

    rules: tuple[Rule, ...] = (Rule(name="all"),)
    hotp: HotpRules = HotpRules()
    totp: TotpRules = TotpRules()
    throttle: ThrottleRules = ThrottleRules()
    challenge: ChallengeRules = ChallengeRules()
    fido: FidoRules | None = None
    """None: no security keys here."""
    stations: tuple[Station, ...] = ()
    primary_checks: bool = True
    """False for ``primary: {kind: none}``: the NAS, or nobody, has checked the password."""

    def for_login(self, client: str, user: str, groups: tuple[str, ...]) -> Rule | None:
        """The first rule that fits, or None: then nobody gets in."""
        return next((rule for rule in self.rules if rule.fits(client, user, groups)), None)

    def for_anybody(self, client: str) -> Rule:
        """What that client's people are offered before they have proved anything: all that some rule allows there."""
        rules = [rule for rule in self.rules if not rule.clients or client in rule.clients]
        keys = [rule for rule in rules if "fido" in rule.factors]
        return Rule(
            name="",
            factors=tuple({factor for rule in rules for factor in rule.factors}),
            ceremonies=tuple({ceremony for rule in keys for ceremony in rule.ceremonies}),
            user_verification=any(rule.user_verification for rule in keys),
        )

    def factors(self) -> tuple[str, ...]:
        """All factors that some rule allows, and that of the work done for nobody."""
        wanted = {factor for rule in self.rules for factor in rule.factors}
        return tuple(factor for factor in FACTORS if factor in wanted or factor == "hotp")
