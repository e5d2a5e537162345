"""The way from a path to Settings: read, parse, check, convert; or one SettingsError with everything that is wrong.

Nothing is started, created or changed here, and what is read is not remembered: each call reads anew (SIGHUP).
Answers to no RFC.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from radiusd2fa.core.model import Nas
from radiusd2fa.core.names import canonical_group
from radiusd2fa.core.rules import (
    LOCAL_ACCOUNTS,
    Backend,
    ChallengeRules,
    Enrolment,
    FidoRules,
    HotpRules,
    Rule,
    Rules,
    Skip,
    Station,
    ThrottleRules,
    TotpRules,
)
from radiusd2fa.radius.dictionary import Dictionary, DictionaryFault
from radiusd2fa.settings import advice
from radiusd2fa.settings.backends import looks_up
from radiusd2fa.settings.calendar import is_a_zone, minutes_of_week, parts_of_week
from radiusd2fa.settings.dictionaries import SHIPPED, load_dictionaries, shipped_dictionary
from radiusd2fa.settings.faults import Fault, SettingsError, dotted
from radiusd2fa.settings.files import credentials_folder, open_to_others, read_small_file
from radiusd2fa.settings.models import ClientSection, FidoSection, Root, SyslogSection
from radiusd2fa.settings.node import this_host
from radiusd2fa.settings.places import as_network
from radiusd2fa.settings.profiles import Profile
from radiusd2fa.settings.rules import GraceSection, RuleSection
from radiusd2fa.settings.sentences import as_flaws
from radiusd2fa.settings.values import (
    AttestationSettings,
    BackendSettings,
    ClientSettings,
    LocalSettings,
    LogSettings,
    Network,
    NoneSettings,
    Settings,
    StationSettings,
    SyslogSettings,
)
from radiusd2fa.settings.windows import HotpSection, ThrottleSection, TotpSection, merged
from radiusd2fa.settings.words import Surroundings
from radiusd2fa.settings.yaml_lines import Document, Flaw, Tree, Word, read_yaml

T = TypeVar("T")

MAX_FILE: Final = 1024 * 1024

_SECTIONS: Final = ("vault", "primary", "hotp", "totp", "throttle", "challenge", "tokens", "syslog", "log")
_DEFAULT_SECTIONS: Final[dict[str, Tree]] = {key: {} for key in _SECTIONS}
_GENERIC: Final = Profile(name="", product="", timeout=3.0, tries=3, mschap_hint="", notes=())
"""What a client is like of whose product nothing is said."""


def load_settings(path: Path) -> Settings:
    """Read the configuration file, or raise a SettingsError that names all its faults."""
    document, mode, writer = _read(path)
    around = _surroundings(path, mode, document)
    root = _check(document, around)
    if root is None or document.flaws:
        raise _error(path, document.flaws)
    return replace(_settings(path, root, around, document), writer=writer)


def _error(path: Path, flaws: list[Flaw]) -> SettingsError:
    # a place that the parser has refused already is not refused a second time for what then became of it
    first = {(flaw.line, flaw.path): flaw for flaw in reversed(flaws)}.values()
    return SettingsError([Fault(path, flaw.line, dotted(flaw.path), flaw.problem, flaw.remedy) for flaw in first])


def _read(path: Path) -> tuple[Document, int, int | None]:
    """Return the document, its mode, and who alone can write it. The text stays in here: no traceback can show it."""
    try:
        opened = read_small_file(path, MAX_FILE)
        return read_yaml(opened.content.decode("utf-8-sig")), opened.mode, opened.writer
    except FileNotFoundError:
        flaw = Flaw(1, (), "there is no such file", "name one with -c FILE, or make one with `radiusd2fa init`")
    except OSError as error:
        flaw = Flaw(1, (), f"cannot be read ({error.strerror})", "name a file that this user can read with -c FILE")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        flaw = Flaw(line, (), "is not UTF-8", "save the file as UTF-8")
    return Document(flaws=[flaw]), 0, None


def _surroundings(path: Path, mode: int, document: Document) -> Surroundings:
    """Look through the file for what its parts say to each other."""
    absolute, credentials = path.absolute(), credentials_folder()
    root = document.root if isinstance(document.root, dict) else {}
    sections = {str(key): value for key, value in root.items()}
    zone = sections.get("time_zone")
    return Surroundings(
        folder=absolute.parent,
        readable_by_others=open_to_others(absolute, mode, credentials),
        credentials=credentials,
        clients=frozenset(_entries(sections, "clients")),
        has_fido="fido" in sections,
        tags=_tags(_entries(sections, "clients")),
        networks=_ranges(_entries(sections, "networks")),
        backends=_backends(sections),
        no_password_anywhere=_checks_nothing(sections),
        languages=frozenset(_entries(sections, "languages")),
        windows=_windows(sections),
        time_zone=str(zone) if isinstance(zone, Word) and is_a_zone(zone) else None,
        dictionary=cache(partial(_dictionary, absolute.parent, sections.get("dictionaries"))),
    )


def _entries(sections: dict[str, Tree], key: str) -> dict[str, Tree]:
    section = sections.get(key)
    return {str(name): entry for name, entry in section.items()} if isinstance(section, dict) else {}


def _kind(backend: Tree | None) -> str:
    kind = _entries({"backend": backend or {}}, "backend").get("kind")
    return str(kind) if isinstance(kind, Word) else LocalSettings().kind


def _backends(sections: dict[str, Tree]) -> dict[str, str]:
    own = {name: _kind(entry) for name, entry in _entries(sections, "backends").items()}
    primary = _kind(sections.get("primary"))
    return {**own, **{kind: kind for kind in (primary, LocalSettings().kind, NoneSettings().kind)}}


def _checks_nothing(sections: dict[str, Tree]) -> bool:
    """Whether neither the site nor any rule names somebody who checks passwords."""
    rules, kinds = sections.get("rules"), _backends(sections)
    named = [_entries({"rule": rule}, "rule").get("primary") for rule in (rules if isinstance(rules, list) else ())]
    return _kind(sections.get("primary")) == "none" and all(kinds.get(str(one)) == "none" for one in named if one)


def _windows(sections: dict[str, Tree]) -> dict[str, dict[str, Tree]]:
    """Return what the site writes about windows; what is wrong with that is said where it stands, and there alone."""
    found = {}
    for name, section in (("hotp", HotpSection), ("totp", TotpSection), ("throttle", ThrottleSection)):
        with suppress(ValidationError):
            section.model_validate(_entries(sections, name))
            found[name] = _entries(sections, name)
    return found


def _tags(clients: dict[str, Tree]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, entry in clients.items():
        tags = _entries({name: entry}, name).get("tags")
        for tag in tags if isinstance(tags, list) else ():
            found.setdefault(str(tag), set()).add(name)
    return {tag: frozenset(names) for tag, names in found.items()}


def _ranges(networks: dict[str, Tree]) -> dict[str, tuple[Network, ...]]:
    """Read the named networks; what is wrong with them is found again, and said, where they stand."""
    return {
        name: tuple(network for word in entry if (network := as_network(str(word))) is not None)
        for name, entry in networks.items()
        if isinstance(entry, list)
    }


def _dictionary(folder: Path, files: Tree | None) -> Dictionary:
    own = [folder / str(file) for file in files] if isinstance(files, list) else []
    if not own:
        return shipped_dictionary()
    try:
        return load_dictionaries([SHIPPED, *own])
    except (DictionaryFault, OSError):
        return shipped_dictionary()  # the fault is said where the files are named


def _check(document: Document, around: Surroundings) -> Root | None:
    """Hold the document against the model; what does not fit becomes flaws of the document."""
    if not isinstance(document.root, dict):
        if not document.flaws:
            remedy = 'begin with listen: {udp: ["0.0.0.0:1812"]}'
            document.flaws.append(Flaw(1, (), "is not a set of keys", remedy))
        return None
    try:
        return Root.model_validate({**_DEFAULT_SECTIONS, **document.root}, context=around)
    except ValidationError as error:
        document.flaws.extend(as_flaws(error, document))
    # outside the `except`, so that no traceback of ours drags pydantic's error along, which quotes its input
    return None


# --- from the model to the values ------------------------------------------------------------------------------------


def _settings(path: Path, root: Root, around: Surroundings, document: Document) -> Settings:
    clients = tuple(_client(name, section) for name, section in root.clients.items())
    primary = root.primary.values(root.primary.kind)
    backends = [section.values(name) for name, section in root.backends.items()]
    known = {one.name: one for one in (LocalSettings(), NoneSettings(), *backends, primary)}
    rules = _rules(root, primary, tuple(known.values()), around, document)
    named = {rule.primary for rule in rules.rules} | {rule.enrolment.upstream for rule in rules.rules}
    used = tuple(one for one in known.values() if one is primary or one in backends or one.name in named)
    stations = tuple(StationSettings(name, one.usb, one.reader) for name, one in root.stations.items())
    settings = Settings(
        path=path.absolute(),
        listen=root.listen.udp,
        workers=root.workers,
        store=root.store,
        node=root.node or this_host(),
        vault_key=root.vault.key_file,
        clients=clients,
        primary=primary,
        backends=used,
        rules=rules,
        syslog=_syslog(root.syslog) if root.syslog else None,
        log=LogSettings(**dict(root.log)),
        attestation=_attestation(root.fido),
        stations=stations,
        time_zone=root.time_zone,
        activation=root.tokens.activation,
        administrators=root.administrators.values() if root.administrators else None,
        dictionaries=root.dictionaries,
    )
    return replace(settings, warnings=tuple(advice.about_site(settings)))


def _rules(
    root: Root,
    primary: BackendSettings,
    backends: tuple[BackendSettings, ...],
    around: Surroundings,
    document: Document,
) -> Rules:
    site = Rules(
        rules=(),
        fido=None if root.fido is None else FidoRules(root.fido.rp_id, root.fido.origin),
        stations=tuple(Station(name, frozenset(section.clients)) for name, section in root.stations.items()),
        hotp=merged(root.hotp, HotpRules()),
        totp=merged(root.totp, TotpRules()),
        throttle=merged(root.throttle, ThrottleRules()),
        challenge=merged(root.challenge, ChallengeRules()),
        primary=_backend(primary),
        backends={one.name: _backend(one) for one in backends},
        minute_of_week=minutes_of_week(None if root.time_zone is None else ZoneInfo(root.time_zone)),
    )
    sections = root.rules or (RuleSection(name="all"),)
    lines = [document.line_of(("rules", at)) if root.rules else 0 for at in range(len(sections))]
    made = [_rule(section, line, root, site, around) for section, line in zip(sections, lines, strict=True)]
    return replace(site, rules=tuple(made))


def _backend(settings: BackendSettings) -> Backend:
    return Backend(
        settings.name,
        checks=settings.kind != "none",
        looks_up=looks_up(settings),
        accounts_of=LOCAL_ACCOUNTS if settings.kind == "local" and settings.name != LOCAL_ACCOUNTS else "",
    )


def _client(name: str, section: ClientSection) -> ClientSettings:
    profile = section.profile or _GENERIC
    written = {key: value for key, value in dict(section).items() if value is not None}

    def chosen(key: str) -> Any:  # noqa: ANN401 - each key of a kind of its own
        return written.get(key, getattr(profile, key))

    return ClientSettings(
        nas=Nas(
            name,
            chosen("flow"),
            section.password_encoding,
            chosen("strip_realm"),
            section.host_names,
            chosen("prompt_length"),
            chosen("prompt_ending"),
        ),
        networks=section.networks,
        secrets=section.secrets(),
        require_message_authenticator=chosen("message_authenticator") == "required",
        sign_replies=section.sign_replies,
        reject_delay=chosen("reject_delay"),
        profile=section.profile,
        tags=frozenset(section.tags),
        prompt_attribute=chosen("prompt_attribute"),
        state_length=chosen("state_length"),
        max_reply=chosen("max_reply"),
        reply=section.reply,  # type: ignore[arg-type]  # looked up by the section itself
        timeout=chosen("timeout"),
        tries=profile.tries,
        max_pps=section.max_pps,
    )


def _rule(section: RuleSection, line: int, root: Root, site: Rules, around: Surroundings) -> Rule:
    when = section.when
    return Rule(
        name=section.name,
        line=line,
        factors=tuple(factor for factor in section.factors if factor != "fido" or root.fido is not None),
        clients=when.all_clients(around),
        users=frozenset(when.users or ()),
        groups=frozenset(canonical_group(group) or group for group in when.groups or ()),
        realms=frozenset(when.realms or ()),
        networks=_flat(when.networks),
        hours=parts_of_week(_flat(when.days), when.hours or ()) if when.days or when.hours else (),
        attributes=when.attributes,  # type: ignore[arg-type]  # looked up by the section itself
        flow=section.flow,
        primary=section.primary,
        ceremonies=section.ceremonies,
        user_verification=section.user_verification,
        lock_clones=section.on_clone,
        enrolment=_enrolment(section.enrolment),
        skip=None if section.skip is None else Skip(_flat(section.skip.networks), section.skip.until),
        grants=frozenset(section.grants),
        break_glass=section.break_glass,
        self_assign=section.self_assign,
        ask_always=section.ask_code,
        reply=section.reply,  # type: ignore[arg-type]  # looked up by the section itself
        hotp=None if section.hotp is None else merged(section.hotp, site.hotp),
        totp=None if section.totp is None else merged(section.totp, site.totp),
        throttle=None if section.throttle is None else merged(section.throttle, site.throttle),
        challenge=_texts(section, root, site),
    )


def _flat(lists: tuple[tuple[T, ...], ...] | None) -> tuple[T, ...]:
    return tuple(item for items in lists or () for item in items)


def _enrolment(section: GraceSection | None) -> Enrolment:
    if section is None:
        return Enrolment()
    if section.upstream is not None:
        return Enrolment(upstream=section.upstream, until=section.until)
    return Enrolment(required=False, until=section.grace_until)


def _texts(section: RuleSection, root: Root, site: Rules) -> ChallengeRules | None:
    """What a rule says otherwise about questions: the language first, then what it writes itself."""
    if section.language is None and section.challenge is None:
        return None
    language = None if section.language is None else root.languages[section.language]
    return merged(section.challenge, merged(language, site.challenge))


def _attestation(fido: FidoSection | None) -> AttestationSettings | None:
    if fido is None or fido.attestation is None:
        return None
    section = fido.attestation
    return AttestationSettings(frozenset(section.aaguids), section.roots, section.metadata, section.metadata_root)


def _syslog(section: SyslogSection) -> SyslogSettings:
    to = section.to
    return SyslogSettings(to.scheme, to.path, to.host, to.port, section.facility)
