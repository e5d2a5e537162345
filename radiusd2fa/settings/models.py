"""The shape of the YAML file: one pydantic model per section, each key with its bounds and its default.

Models live only while a file is read; the program sees the frozen values of ``values`` and ``core.rules`` instead.
The windows are those of RFC 4226 7.2 and 7.4 and RFC 6238 5.2 and 6, capped by ``core.rules``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from radiusd2fa.core.model import Flow
from radiusd2fa.core.rules import (
    CEREMONIES,
    FACTORS,
    MAX_LOOK_AHEAD,
    MAX_RESYNC_STEPS,
    MAX_RESYNC_WINDOW,
    MAX_STEPS_EITHER_SIDE,
    ChallengeRules,
    HotpRules,
    Rule,
    ThrottleRules,
    TotpRules,
)
from radiusd2fa.settings import keys, places
from radiusd2fa.settings.places import FACILITIES, Destination
from radiusd2fa.settings.values import Endpoint, LogSettings, Network, PrimarySettings, SyslogSettings
from radiusd2fa.settings.words import (
    Surroundings,
    a_name,
    a_prompt,
    a_text,
    choice,
    duration,
    reader,
    refused,
    surroundings,
    whole,
    yes_no,
)
from radiusd2fa.settings.yaml_lines import Word

T = TypeVar("T")

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
MAX_DRIFT: Final = 1000
LATER_FACTORS: Final = ("yubico", "recovery")
LATER_PRIMARIES: Final = ("ldap", "radius", "pam")

HOTP: Final = HotpRules()
TOTP: Final = TotpRules()
THROTTLE: Final = ThrottleRules()
CHALLENGE: Final = ChallengeRules()
RULE: Final = Rule("")
PRIMARY: Final = PrimarySettings()
SYSLOG: Final = SyslogSettings()
LOG: Final = LogSettings()
NOT_WRITTEN: Final = Path()
MAX_STATION_NAME: Final = 32
MAX_HOST_NAMES: Final = 12


def _some(items: T) -> T:
    """Refuse an empty list: where a list narrows something, it would mean everything."""
    if not items:
        raise refused("is empty", "name at least one")
    return items


def _each_once(items: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(items)) < len(items):
        raise refused("names one of them twice", "keep one of the two")
    return items


def _few_enough(host_names: tuple[str, ...]) -> tuple[str, ...]:
    if len(host_names) > MAX_HOST_NAMES:  # each costs a signature check for each wrong response
        raise refused(f"holds more than {MAX_HOST_NAMES} names", "split the client, each with its own hosts")
    return host_names


def _client_name(word: Word, around: Surroundings) -> str:
    return a_name("client")(word, around)


def _rule_name(word: Word, around: Surroundings) -> str:
    name = a_name("rule")(word, around)
    around.only_once("rule name", name, word.line)
    return name


Prompt = Annotated[str, reader(a_prompt)]
SecretFile = Annotated[bytes | None, reader(places.a_secret_file)]
Secret = Annotated[bytes | None, reader(places.a_secret)]
Factor = Annotated[
    str, choice({name: name for name in FACTORS}, later=LATER_FACTORS), AfterValidator(keys.a_possible_factor)
]
Ceremony = Annotated[str, choice({name: name for name in CEREMONIES})]


class Section(BaseModel):
    """A set of keys, of which no other is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ListenSection(Section):
    """``listen:``."""

    udp: Annotated[tuple[Annotated[Endpoint, reader(places.an_endpoint)], ...], AfterValidator(_some)]


class VaultSection(Section):
    """``vault:``."""

    key_file: Annotated[Path, reader(places.a_key_file)] = Field(default=NOT_WRITTEN, validate_default=True)

    @field_validator("key_file")
    @classmethod
    def _default(cls, path: Path, info: ValidationInfo) -> Path:
        return places.default_key_file(surroundings(info)) if path == NOT_WRITTEN else path


class ClientSection(Section):
    """One entry of ``clients:``."""

    networks: Annotated[tuple[Annotated[Network, reader(places.a_network)], ...], AfterValidator(_some)]
    secret: Secret = Field(default=None, repr=False)
    secret_file: SecretFile = Field(default=None, repr=False, validate_default=True)
    secret_old: Secret = Field(default=None, repr=False)
    secret_old_file: SecretFile = Field(default=None, repr=False, validate_default=True)
    flow: Annotated[Flow, choice({flow.value: flow for flow in Flow})] = Flow.CHALLENGE
    message_authenticator: Annotated[
        Literal["required", "observe"], choice({word: word for word in ("required", "observe")})
    ] = "required"
    sign_replies: Annotated[bool, yes_no] = True
    reject_delay: Annotated[float, duration(0, 10)] = 1.0
    password_encoding: Annotated[str | None, reader(places.an_encoding)] = None
    strip_realm: Annotated[bool, yes_no] = False
    host_names: Annotated[
        tuple[Annotated[str, reader(keys.a_host_name)], ...],
        AfterValidator(_some),
        AfterValidator(_each_once),
        AfterValidator(_few_enough),
    ] = ()

    @field_validator("secret_file")
    @classmethod
    def _one_secret(cls, secret_file: bytes | None, info: ValidationInfo) -> bytes | None:
        if "secret" not in info.data:  # it was refused, which is fault enough
            return secret_file
        if secret_file is None and info.data["secret"] is None:
            raise refused("is missing", 'add secret: "..." or secret_file: FILE', key="secret")
        return _not_both(secret_file, info.data["secret"], "secret")

    @field_validator("secret_old_file")
    @classmethod
    def _one_old_secret(cls, secret_file: bytes | None, info: ValidationInfo) -> bytes | None:
        return _not_both(secret_file, info.data.get("secret_old"), "secret_old")

    def secrets(self) -> tuple[bytes, ...]:
        """Return the secrets that are valid, the present one first."""
        candidates = (self.secret, self.secret_file, self.secret_old, self.secret_old_file)
        return tuple(dict.fromkeys(secret for secret in candidates if secret is not None))


def _not_both(from_file: bytes | None, inline: bytes | None, key: str) -> bytes | None:
    if from_file is not None and inline is not None:
        raise refused(f"stands beside {key}", "keep one of the two")
    return from_file


class PrimarySection(Section):
    """``primary:``."""

    kind: Annotated[
        Literal["local", "none"], choice({word: word for word in ("local", "none")}, later=LATER_PRIMARIES)
    ] = PRIMARY.kind
    memory_kib: Annotated[int, whole(64, 4 * 1024 * 1024)] = PRIMARY.memory_kib
    passes: Annotated[int, whole(1, 100)] = PRIMARY.passes
    workers: Annotated[int, whole(1, 64)] = PRIMARY.workers
    queue: Annotated[int, whole(1, 10_000)] = PRIMARY.queue


class HotpSection(Section):
    """``hotp:``."""

    look_ahead: Annotated[int, whole(0, MAX_LOOK_AHEAD)] = HOTP.look_ahead
    resync_window: Annotated[int, whole(0, MAX_RESYNC_WINDOW)] = Field(HOTP.resync_window, validate_default=True)

    @field_validator("resync_window")
    @classmethod
    def _beyond_the_window(cls, resync_window: int, info: ValidationInfo) -> int:
        return _at_least("look_ahead", resync_window, info)


class TotpSection(Section):
    """``totp:``."""

    steps_either_side: Annotated[int, whole(0, MAX_STEPS_EITHER_SIDE)] = TOTP.steps_either_side
    resync_steps: Annotated[int, whole(0, MAX_RESYNC_STEPS)] = Field(TOTP.resync_steps, validate_default=True)
    max_drift: Annotated[int, whole(0, MAX_DRIFT)] = TOTP.max_drift
    widen_every: Annotated[float, duration(1, 3650 * DAY, or_never=True)] = TOTP.widen_every
    widen_at_most: Annotated[int, whole(0, MAX_STEPS_EITHER_SIDE)] = Field(TOTP.widen_at_most, validate_default=True)

    @field_validator("resync_steps")
    @classmethod
    def _beyond_the_window(cls, resync_steps: int, info: ValidationInfo) -> int:
        return _at_least("steps_either_side", resync_steps, info)

    @field_validator("widen_at_most")
    @classmethod
    def _within_the_cap(cls, widen_at_most: int, info: ValidationInfo) -> int:
        left = MAX_STEPS_EITHER_SIDE - info.data.get("steps_either_side", 0)
        if info.data.get("widen_every") and widen_at_most > left:
            problem = f"widens the window to more than {MAX_STEPS_EITHER_SIDE} steps either side"
            raise refused(problem, f"write {left} or less, or a smaller steps_either_side")
        return widen_at_most


class ThrottleSection(Section):
    """``throttle:``."""

    max_failures: Annotated[int, whole(1, 1000)] = THROTTLE.max_failures
    first_lock: Annotated[float, duration(1, DAY)] = THROTTLE.first_lock
    max_lock: Annotated[float, duration(1, 30 * DAY)] = Field(THROTTLE.max_lock, validate_default=True)
    caller_max_failures: Annotated[int, whole(1, 1_000_000)] = THROTTLE.caller_max_failures
    caller_window: Annotated[float, duration(1, DAY)] = THROTTLE.caller_window

    @field_validator("max_lock")
    @classmethod
    def _grows(cls, max_lock: float, info: ValidationInfo) -> float:
        return _at_least("first_lock", max_lock, info)


class ChallengeSection(Section):
    """``challenge:``."""

    lifetime: Annotated[float, duration(2, 10 * MINUTE)] = CHALLENGE.lifetime
    tries: Annotated[int, whole(1, 10)] = CHALLENGE.tries
    code_prompt: Prompt = CHALLENGE.code_prompt
    next_code_prompt: Prompt = CHALLENGE.next_code_prompt
    password_prompt: Prompt = CHALLENGE.password_prompt
    resync_lifetime: Annotated[float, duration(2, HOUR)] = CHALLENGE.resync_lifetime


class SyslogSection(Section):
    """``syslog:``."""

    to: Annotated[Destination, reader(places.a_destination)] = Destination()
    facility: Annotated[int, choice(FACILITIES)] = SYSLOG.facility


class LogSection(Section):
    """``log:``."""

    format: Annotated[Literal["console", "json"], choice({word: word for word in ("console", "json")})] = LOG.format
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        choice({word: word for word in ("debug", "info", "warning", "error")}),
    ] = LOG.level


class WhenSection(Section):
    """``when:`` of a rule. A key that is not written fits everybody."""

    clients: Annotated[tuple[Annotated[str, reader(places.a_known_client)], ...] | None, AfterValidator(_some)] = None
    users: Annotated[tuple[Annotated[str, reader(places.a_user)], ...] | None, AfterValidator(_some)] = None
    groups: Annotated[tuple[Annotated[str, reader(a_text)], ...] | None, AfterValidator(_some)] = None


class RuleSection(Section):
    """One entry of ``rules:``."""

    name: Annotated[str, reader(_rule_name)]
    when: WhenSection = WhenSection()
    factors: Annotated[tuple[Factor, ...], AfterValidator(_some), AfterValidator(_each_once)] = FACTORS
    ceremonies: Annotated[tuple[Ceremony, ...], AfterValidator(_some), AfterValidator(_each_once)] = RULE.ceremonies
    user_verification: Annotated[bool, choice({"discouraged": False, "required": True})] = RULE.user_verification
    on_clone: Annotated[bool, choice({"refuse": False, "lock": True})] = RULE.lock_clones


class AttestationSection(Section):
    """``fido.attestation:`` when it is more than none."""

    aaguids: Annotated[
        tuple[Annotated[str, reader(keys.an_aaguid)], ...], AfterValidator(_some), AfterValidator(_each_once)
    ]
    roots: tuple[Annotated[Path, reader(keys.a_file)], ...] = ()
    metadata: Annotated[Path | None, reader(keys.a_file)] = None
    metadata_root: Annotated[Path | None, reader(keys.a_file)] = Field(default=None, validate_default=True)

    @field_validator("metadata_root")
    @classmethod
    def _roots_somewhere(cls, metadata_root: Path | None, info: ValidationInfo) -> Path | None:
        if "metadata" not in info.data:  # it was refused, which is fault enough
            return metadata_root
        metadata = info.data["metadata"]
        if metadata is None and not info.data.get("roots", True):
            raise refused("are missing", "add roots: [FILE.pem], or metadata and metadata_root", key="roots")
        if (metadata is None) != (metadata_root is None):
            raise refused("goes together with metadata", "write both, or neither")
        return metadata_root


class FidoSection(Section):
    """``fido:``."""

    rp_id: Annotated[str, reader(keys.an_rp_id)]
    origin: Annotated[str, reader(keys.an_origin)] = Field(default="", validate_default=True)
    attestation: Annotated[AttestationSection | None, BeforeValidator(keys.none_or_section)] = None

    @field_validator("origin")
    @classmethod
    def _of_the_rp_id(cls, origin: str, info: ValidationInfo) -> str:
        return keys.of_the_rp_id(origin, info.data.get("rp_id"))


KnownClients = Annotated[tuple[Annotated[str, reader(places.a_known_client)], ...], AfterValidator(_some)]
Device = Annotated[Path | None, reader(keys.a_device)]
ReaderName = Annotated[str | None, reader(keys.a_reader)]


class StationSection(Section):
    """One entry of ``stations:``."""

    clients: KnownClients
    usb: Device = None
    reader: ReaderName = None


def _station_name(word: Word, around: Surroundings) -> str:
    name = a_name("station")(word, around)
    if len(name) > MAX_STATION_NAME:
        raise refused("is too long for a prompt", f"write at most {MAX_STATION_NAME} characters")
    return name


def _off_or_section(raw: object) -> object:
    """YAML 1.1 would make False of ``off``; here it is a word like any other."""
    if isinstance(raw, Word) and raw == "off":
        return None
    if isinstance(raw, Word) and raw:
        raise refused("is neither off nor a set of keys", "write off, or {to: unix:/dev/log, facility: authpriv}")
    return raw


class Root(Section):
    """The whole file."""

    listen: ListenSection
    store: Annotated[str, reader(places.a_store)]
    vault: VaultSection
    clients: Annotated[dict[Annotated[str, reader(_client_name)], ClientSection], AfterValidator(_some)]
    primary: PrimarySection
    rules: Annotated[tuple[RuleSection, ...] | None, AfterValidator(_some)] = None
    fido: FidoSection | None = None
    stations: dict[Annotated[str, reader(_station_name)], StationSection] = Field(default_factory=dict)
    hotp: HotpSection
    totp: TotpSection
    throttle: ThrottleSection
    challenge: ChallengeSection
    syslog: Annotated[SyslogSection | None, BeforeValidator(_off_or_section)]
    log: LogSection


NEEDED: Final = ("listen", "store", "clients")


def _at_least(other: str, value: T, info: ValidationInfo) -> T:
    """Refuse a value smaller than that of another key of the section. (An invalid other key is fault enough.)"""
    bound = info.data.get(other)
    if bound is not None and value < bound:
        raise refused(f"is less than {other}", f"write at least as much as {other}, or make that smaller")
    return value
