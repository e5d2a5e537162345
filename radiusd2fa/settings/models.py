"""The shape of the YAML file: one pydantic model per section, each key with its bounds and its default.

Models live only while a file is read; the program sees the frozen values of ``values`` and ``core.rules`` instead.
Primary backends, rules and windows have files of their own; RFC 2865 3 says what a client is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from radiusd2fa.core.attributes import ReplyAttribute
from radiusd2fa.core.model import Flow, Nas
from radiusd2fa.core.rules import MAX_PROMPT_LENGTH
from radiusd2fa.radius.dictionary import DictionaryFault
from radiusd2fa.settings import attributes, calendar, keys, places, stores
from radiusd2fa.settings.backends import KINDS, AnyBackend
from radiusd2fa.settings.custody import AdministratorsSection, TokensSection, somebody
from radiusd2fa.settings.dictionaries import SHIPPED, load_dictionaries
from radiusd2fa.settings.node import a_node
from radiusd2fa.settings.places import FACILITIES, Destination
from radiusd2fa.settings.profiles import PROFILES, Profile
from radiusd2fa.settings.rules import RuleSection
from radiusd2fa.settings.section import Section, each_once, one_of_two, some
from radiusd2fa.settings.values import ClientSettings, Endpoint, LogSettings, Network, SyslogSettings
from radiusd2fa.settings.windows import ChallengeSection, HotpSection, LanguageSection, ThrottleSection, TotpSection
from radiusd2fa.settings.words import (
    Surroundings,
    a_name,
    choice,
    duration,
    reader,
    refused,
    surroundings,
    whole,
    yes_no,
)
from radiusd2fa.settings.yaml_lines import Word

SYSLOG: Final = SyslogSettings()
LOG: Final = LogSettings()
CLIENT: Final = ClientSettings(Nas(""), (), ())
NOT_WRITTEN: Final = Path()
MAX_STATION_NAME: Final = 32
MAX_HOST_NAMES: Final = 12
MAX_WORKERS: Final = 64
SHORTEST_PROMPT: Final = 20
_ENDINGS: Final = {"colon": ": ", "line": "\n", "none": ""}


def _few_enough(host_names: tuple[str, ...]) -> tuple[str, ...]:
    if len(host_names) > MAX_HOST_NAMES:  # each costs a signature check for each wrong response
        raise refused(f"holds more than {MAX_HOST_NAMES} names", "split the client, each with its own hosts")
    return host_names


def _client_name(word: Word, around: Surroundings) -> str:
    return a_name("client")(word, around)


SecretFile = Annotated[bytes | None, reader(places.a_secret_file)]
Secret = Annotated[bytes | None, reader(places.a_secret)]


class ListenSection(Section):
    """``listen:``."""

    udp: Annotated[tuple[Annotated[Endpoint, reader(places.an_endpoint)], ...], AfterValidator(some)]


class VaultSection(Section):
    """``vault:``."""

    key_file: Annotated[Path, reader(places.a_key_file)] = Field(default=NOT_WRITTEN, validate_default=True)

    @field_validator("key_file")
    @classmethod
    def _default(cls, path: Path, info: ValidationInfo) -> Path:
        return places.default_key_file(surroundings(info)) if path == NOT_WRITTEN else path


class ClientSection(Section):
    """One entry of ``clients:``."""

    networks: Annotated[tuple[Annotated[Network, reader(places.a_network)], ...], AfterValidator(some)]
    secret: Secret = Field(default=None, repr=False)
    secret_file: SecretFile = Field(default=None, repr=False, validate_default=True)
    secret_old: Secret = Field(default=None, repr=False)
    secret_old_file: SecretFile = Field(default=None, repr=False, validate_default=True)
    profile: Annotated[Profile | None, choice(PROFILES)] = None
    tags: Annotated[
        tuple[Annotated[str, reader(a_name("tag"))], ...], AfterValidator(some), AfterValidator(each_once)
    ] = ()
    flow: Annotated[Flow | None, choice({flow.value: flow for flow in Flow})] = None
    message_authenticator: Annotated[
        Literal["required", "observe"] | None, choice({word: word for word in ("required", "observe")})
    ] = None
    sign_replies: Annotated[bool, yes_no] = True
    reject_delay: Annotated[float | None, duration(0, 10)] = None
    prompt_length: Annotated[int | None, whole(SHORTEST_PROMPT, MAX_PROMPT_LENGTH)] = None
    prompt_ending: Annotated[str | None, choice(_ENDINGS)] = None
    prompt_attribute: Annotated[bool | None, yes_no] = None
    state_length: Annotated[int | None, choice({"32": 32, "22": 22})] = None
    max_reply: Annotated[int | None, whole(256, 4096)] = None
    timeout: Annotated[float | None, duration(0.1, 60)] = None
    max_pps: Annotated[int, whole(0, 1_000_000)] = CLIENT.max_pps
    reply: Annotated[attributes.Pairs, attributes.written] = Field(default=(), validate_default=True)
    password_encoding: Annotated[str | None, reader(places.an_encoding)] = None
    strip_realm: Annotated[bool | None, yes_no] = None
    host_names: Annotated[
        tuple[Annotated[str, reader(keys.a_host_name)], ...],
        AfterValidator(some),
        AfterValidator(each_once),
        AfterValidator(_few_enough),
    ] = ()

    @field_validator("secret_file")
    @classmethod
    def _one_secret(cls, secret_file: bytes | None, info: ValidationInfo) -> bytes | None:
        if "secret" not in info.data:  # it was refused, which is fault enough
            return secret_file
        if secret_file is None and info.data["secret"] is None:
            raise refused("is missing", 'add secret: "..." or secret_file: FILE', key="secret")
        return one_of_two(secret_file, info.data["secret"], "secret")

    @field_validator("secret_old_file")
    @classmethod
    def _one_old_secret(cls, secret_file: bytes | None, info: ValidationInfo) -> bytes | None:
        return one_of_two(secret_file, info.data.get("secret_old"), "secret_old")

    @field_validator("reply")
    @classmethod
    def _known_attributes(cls, written: attributes.Pairs, info: ValidationInfo) -> tuple[ReplyAttribute, ...]:
        """Look them up; those of the profile are said too, unless the same attribute is written."""
        profile = info.data.get("profile")
        usual: Sequence[tuple[str, str]] = () if profile is None else profile.reply
        names = {name.lower() for name, _ in written}
        added = tuple((name, (value,)) for name, value in usual if name.lower() not in names)
        return attributes.replies((*added, *written), surroundings(info), None)

    def secrets(self) -> tuple[bytes, ...]:
        """Return the secrets that are valid, the present one first."""
        candidates = (self.secret, self.secret_file, self.secret_old, self.secret_old_file)
        return tuple(dict.fromkeys(secret for secret in candidates if secret is not None))


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


class AttestationSection(Section):
    """``fido.attestation:`` when it is more than none."""

    aaguids: Annotated[
        tuple[Annotated[str, reader(keys.an_aaguid)], ...], AfterValidator(some), AfterValidator(each_once)
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


KnownClients = Annotated[tuple[Annotated[str, reader(places.a_known_client)], ...], AfterValidator(some)]
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


def _backend_name(word: Word, around: Surroundings) -> str:
    name = a_name("backend")(word, around)
    if name in KINDS:
        raise refused("is the name of a kind of backend", "choose a name of your own, as in corp or old-otp")
    return name


def _network_name(word: Word, around: Surroundings) -> str:
    name = a_name("network")(word, around)
    if places.as_network(name) is not None:
        raise refused("is a network itself", "choose a word, as in office")
    return name


def _readable(files: tuple[Path, ...]) -> tuple[Path, ...]:
    if files:
        try:
            load_dictionaries([SHIPPED, *files])
        except DictionaryFault as fault:
            raise refused(f"cannot be read: {fault}", "mend that file, or leave it out") from None
    return files


NamedNetworks = Annotated[tuple[Annotated[Network, reader(places.some_addresses)], ...], AfterValidator(some)]


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
    store: Annotated[str, reader(stores.a_store)]
    node: Annotated[str | None, reader(a_node)] = None
    vault: VaultSection
    workers: Annotated[int, whole(1, MAX_WORKERS)] = 1
    dictionaries: Annotated[tuple[Annotated[Path, reader(keys.a_file)], ...], AfterValidator(_readable)] = ()
    time_zone: Annotated[str | None, reader(calendar.a_zone)] = None
    networks: dict[Annotated[str, reader(_network_name)], NamedNetworks] = Field(default_factory=dict)
    clients: Annotated[dict[Annotated[str, reader(_client_name)], ClientSection], AfterValidator(some)]
    primary: AnyBackend
    backends: dict[Annotated[str, reader(_backend_name)], AnyBackend] = Field(default_factory=dict)
    languages: dict[Annotated[str, reader(a_name("language"))], LanguageSection] = Field(default_factory=dict)
    rules: Annotated[tuple[RuleSection, ...] | None, AfterValidator(some)] = None
    fido: FidoSection | None = None
    stations: dict[Annotated[str, reader(_station_name)], StationSection] = Field(default_factory=dict)
    hotp: HotpSection
    totp: TotpSection
    throttle: ThrottleSection
    challenge: ChallengeSection
    tokens: TokensSection
    administrators: Annotated[AdministratorsSection | None, AfterValidator(somebody)] = None
    syslog: Annotated[SyslogSection | None, BeforeValidator(_off_or_section)]
    log: LogSection


NEEDED: Final = ("listen", "store", "clients")
