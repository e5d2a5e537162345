"""What a site may choose about a login: windows, throttle, texts, and what counts where and for whom.

Values only, already checked by the settings; no file, no clock. Which rule speaks about a login is choosing.py's
business. The hard bounds are here because the settings and the documentation both quote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from radiusd2fa.core.attributes import AttributeCondition, ReplyAttribute
from radiusd2fa.core.choosing import Chooser, Circumstances
from radiusd2fa.core.model import Flow
from radiusd2fa.core.sheets import BREAK_GLASS, TEMPORARY

MAX_LOOK_AHEAD: Final = 50
MAX_RESYNC_WINDOW: Final = 1000
MAX_STEPS_EITHER_SIDE: Final = 10
MAX_RESYNC_STEPS: Final = 200
MAX_PROMPT_LENGTH: Final = 200
MAX_PROMPT_OCTETS: Final = 253
"""What one Reply-Message holds (RFC 2865 5.18)."""
MINUTES_A_WEEK: Final = 7 * 24 * 60

FACTORS: Final = ("fido", "yubico", "totp", "hotp", "recovery")
"""What a rule may name as factors, in the order in which they are tried."""
GRANTS: Final = ("temporary", "skip")
"""What administrators may grant for a while where a rule lets them: codes of a sheet, or that no code is asked for."""
CEREMONIES: Final = ("ssh", "paste", "station")
"""The ways in which a security key can answer."""

Network = IPv4Network | IPv6Network


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
    """How long a challenge lives (seconds), how many answers it takes, and what it says.

    Where a security key may answer, the question is put together from the ways: ``{places}``, ``{code}`` and ``{nas}``
    stand for what the login brings.
    """

    lifetime: float = 120.0
    tries: int = 3
    code_prompt: str = "Enter the code from your token: "
    next_code_prompt: str = "Enter the next code: "
    password_prompt: str = "Enter your password: "
    token_prompt: str = "Enter the serial number on your new token, a space, and the code it shows: "
    code_way: str = "enter the code from your token"
    next_code_way: str = "enter the next code"
    station_way: str = "touch your key at {places} (code {code}), then press Enter"
    key_way: str = "use your security key for {nas} {code}"
    short_key_way: str = "use your security key {code}"
    some_station: str = "a station"
    between_stations: str = " or "
    between_ways: str = ", or "
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
class Backend:
    """A primary backend, as far as a decision must know it."""

    name: str
    checks: bool = True
    """False: it passes every password, so nothing that it says is a proof."""
    looks_up: bool = False
    """Whether it can say without a password if an account is still there and may log in."""
    accounts_of: str = ""
    """What its accounts have as their source, if not its name: all local passwords are those of the store."""

    @property
    def source(self) -> str:
        """What accounts from here have as their source."""
        return self.accounts_of or self.name


LOCAL_ACCOUNTS: Final = "local"
LOCAL: Final = Backend(LOCAL_ACCOUNTS)
NOBODY: Final = Backend("none", checks=False)
"""``primary: {kind: none}``: the NAS, or nobody, checks the password."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What becomes of somebody who has never had a token."""

    required: bool = True
    """False: the password is enough for them."""
    upstream: str | None = None
    """The backend of another authentication system, which decides alone about them."""
    until: float | None = None
    """When either ends, in seconds since 1970; None: never."""

    def lasts(self, now: float) -> bool:
        """Whether it has not ended yet."""
        return self.until is None or now < self.until


class BreakGlass(StrEnum):
    """What emergency codes are good for, once two administrators have opened them."""

    OFF = "off"
    WITH_PASSWORD = "with_password"
    """In the place of a second factor."""
    ALONE = "alone"
    """In the place of the password too, typed where it is asked for: that works while the directory is down."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Networks from which the password is enough, for a while."""

    networks: tuple[Network, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Rule:
    """Which factors count for whom, and how. Empty conditions fit everybody."""

    name: str
    factors: tuple[str, ...] = ("totp", "hotp")
    line: int = 0
    """Where it stands in the file; 0: nowhere."""
    clients: frozenset[str] = frozenset()
    """Those of the tags that the rule names among them."""
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    realms: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    """Where the caller is (Calling-Station-Id)."""
    hours: tuple[tuple[int, int], ...] = ()
    """Parts of the week in the site's own time: minutes since Monday 00:00, the end not included."""
    attributes: tuple[AttributeCondition, ...] = ()
    flow: Flow | None = None
    """None: the client's."""
    primary: str | None = None
    """The name of a backend; None: what another rule says, or the site's."""
    ceremonies: tuple[str, ...] = ("ssh", "station")
    """How a key may answer. ``paste`` stops no live relay, so it is allowed only where it is named."""
    user_verification: bool = False
    """Whether a key must verify its user, by PIN or fingerprint."""
    lock_clones: bool = False
    """Whether a key whose counter has not grown is disabled until an administrator has looked at it."""
    enrolment: Enrolment = Enrolment()
    skip: Skip | None = None
    grants: frozenset[str] = frozenset(GRANTS)
    """Which of the GRANTS count here."""
    break_glass: BreakGlass = BreakGlass.OFF
    self_assign: bool = False
    """Whether people without a token may take one out of the stock: password, its serial, and its code."""
    ask_always: bool = False
    """Whether the code is asked for even after a wrong password, and both are judged at the end."""
    reply: tuple[ReplyAttribute, ...] = ()
    """What an Access-Accept carries."""
    hotp: HotpRules | None = None
    """None, here and below: the site's."""
    totp: TotpRules | None = None
    throttle: ThrottleRules | None = None
    challenge: ChallengeRules | None = None
    kinds: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """All kinds of tokens whose answers count: the factors, then the sheets that are allowed besides."""

    def __post_init__(self) -> None:
        """Put together once what each login asks for."""
        temporary = (TEMPORARY.kind,) if TEMPORARY.kind in self.grants else ()
        emergency = () if self.break_glass is BreakGlass.OFF else (BREAK_GLASS.kind,)
        object.__setattr__(self, "kinds", (*self.factors, *temporary, *emergency))


NO_RULE: Final = Rule(name="", factors=(), grants=frozenset())
"""For whom no rule fits: no factor counts."""


def _monday(_: float) -> int:
    return 0


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
    primary: Backend = LOCAL
    """Who checks a password where no rule names somebody else."""
    backends: Mapping[str, Backend] = field(default_factory=dict)
    """All others that a rule may name, or that accounts may come from."""
    minute_of_week: Callable[[float], int] = _monday
    """Takes seconds since 1970 to minutes since Monday 00:00 in the site's own time."""
    _chooser: Chooser[Rule] = field(init=False, repr=False, compare=False)
    _asked_about: frozenset[int] = field(init=False, repr=False, compare=False)
    _waives: bool = field(init=False, repr=False, compare=False)
    _named: Mapping[str, tuple[Rule, Rules]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare what is asked for at every login."""
        object.__setattr__(self, "_chooser", Chooser(self.rules, self.minute_of_week))
        asked_about = frozenset(condition.number for rule in self.rules for condition in rule.attributes)
        object.__setattr__(self, "_asked_about", asked_about)
        object.__setattr__(self, "_waives", any(map(_waives, self.rules)))
        named = {rule.name: (rule, self._under(rule)) for rule in self.rules if _changes(rule)}
        object.__setattr__(self, "_named", {rule.name: (rule, self) for rule in self.rules} | named)

    def for_login(self, circumstances: Circumstances) -> Rule:
        """The first rule that fits, or NO_RULE: then nobody gets in."""
        return self._chooser.first(circumstances) or NO_RULE

    def named(self, name: str) -> Rule:
        """The rule of that name, under which a question was put; NO_RULE when there is none any more."""
        return self._named[name][0] if name in self._named else NO_RULE

    def under(self, rule: Rule) -> Rules:
        """The same with the windows, the throttle and the texts of that rule."""
        return self._named[rule.name][1] if rule.name in self._named else self

    def backend(self, name: str) -> Backend | None:
        """The backend of that name, or None."""
        return self.primary if name == self.primary.name else self.backends.get(name)

    def backend_for(self, circumstances: Circumstances) -> Backend:
        """Who checks the password: the first rule that names a backend and fits, or the site's.

        Rules that name one do not look at groups, which only the backend knows.
        """
        if not self._chooser.names_backends:
            return self.primary
        rule = self._chooser.first_naming_a_backend(circumstances)
        backend = None if rule is None or rule.primary is None else self.backend(rule.primary)
        return backend or self.primary

    def may_waive(self) -> bool:
        """Whether some rule lets some people in with a password alone."""
        return self._waives

    def looked_at(self, attributes: tuple[tuple[int, bytes], ...]) -> tuple[tuple[int, bytes], ...]:
        """Return those attributes of a request that some rule asks about."""
        return tuple([one for one in attributes if one[0] in self._asked_about]) if self._asked_about else ()

    def for_anybody(self, client: str) -> Rule:
        """What that client's people are offered before they have proved anything: all that some rule allows there."""
        rules = [rule for rule in self.rules if not rule.clients or client in rule.clients]
        keys = [rule for rule in rules if "fido" in rule.factors]
        return Rule(
            name="",
            factors=tuple({factor for rule in rules for factor in rule.factors}),
            grants=frozenset().union(*(rule.grants for rule in rules)),
            ceremonies=tuple({ceremony for rule in keys for ceremony in rule.ceremonies}),
            user_verification=any(rule.user_verification for rule in keys),
        )

    def factors(self) -> tuple[str, ...]:
        """All factors that some rule allows, and that of the work done for nobody."""
        wanted = {kind for rule in self.rules for kind in rule.kinds} | {"hotp"}
        return tuple(kind for kind in (*FACTORS, TEMPORARY.kind, BREAK_GLASS.kind) if kind in wanted)

    def _under(self, rule: Rule) -> Rules:
        return replace(
            self,
            rules=(),  # chosen already
            hotp=rule.hotp or self.hotp,
            totp=rule.totp or self.totp,
            throttle=rule.throttle or self.throttle,
            challenge=rule.challenge or self.challenge,
        )


def _waives(rule: Rule) -> bool:
    return not rule.enrolment.required or rule.enrolment.upstream is not None or rule.skip is not None


def _changes(rule: Rule) -> bool:
    return any(part is not None for part in (rule.hotp, rule.totp, rule.throttle, rule.challenge))
