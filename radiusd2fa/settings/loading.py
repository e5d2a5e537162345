"""The way from a path to Settings: read, parse, check, convert; or one SettingsError with everything that is wrong.

Nothing is started, created or changed here, and what is read is not remembered: each call reads anew (SIGHUP).
Answers to no RFC.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from radiusd2fa.core.model import Nas
from radiusd2fa.core.rules import (
    ChallengeRules,
    FidoRules,
    HotpRules,
    Rule,
    Rules,
    Station,
    ThrottleRules,
    TotpRules,
)
from radiusd2fa.settings import advice
from radiusd2fa.settings.faults import Fault, SettingsError, dotted
from radiusd2fa.settings.files import credentials_folder, open_to_others, read_small_file
from radiusd2fa.settings.models import NEEDED, ClientSection, FidoSection, Root, RuleSection, SyslogSection
from radiusd2fa.settings.sentences import as_flaws
from radiusd2fa.settings.values import (
    AttestationSettings,
    ClientSettings,
    LogSettings,
    PrimarySettings,
    Settings,
    StationSettings,
    SyslogSettings,
)
from radiusd2fa.settings.words import Surroundings
from radiusd2fa.settings.yaml_lines import Document, Flaw, Tree, read_yaml

MAX_FILE: Final = 1024 * 1024

_NO_DEFAULT: Final = (*NEEDED, "rules", "fido", "stations")
_DEFAULT_SECTIONS: Final[dict[str, Tree]] = {key: {} for key in Root.model_fields if key not in _NO_DEFAULT}


def load_settings(path: Path) -> Settings:
    """Read the configuration file, or raise a SettingsError that names all its faults."""
    document, mode = _read(path)
    root = _check(document, _surroundings(path, mode, document))
    if root is None or document.flaws:
        raise _error(path, document.flaws)
    return _settings(path, root)


def _error(path: Path, flaws: list[Flaw]) -> SettingsError:
    # a place that the parser has refused already is not refused a second time for what then became of it
    first = {(flaw.line, flaw.path): flaw for flaw in reversed(flaws)}.values()
    return SettingsError([Fault(path, flaw.line, dotted(flaw.path), flaw.problem, flaw.remedy) for flaw in first])


def _read(path: Path) -> tuple[Document, int]:
    """Return the document and the mode of its file. The text stays in here: no traceback of ours can show it."""
    try:
        opened = read_small_file(path, MAX_FILE)
        return read_yaml(opened.content.decode("utf-8-sig")), opened.mode
    except FileNotFoundError:
        flaw = Flaw(1, (), "there is no such file", "name one with -c FILE, or make one with `radiusd2fa init`")
    except OSError as error:
        flaw = Flaw(1, (), f"cannot be read ({error.strerror})", "name a file that this user can read with -c FILE")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        flaw = Flaw(line, (), "is not UTF-8", "save the file as UTF-8")
    return Document(flaws=[flaw]), 0


def _surroundings(path: Path, mode: int, document: Document) -> Surroundings:
    absolute, credentials = path.absolute(), credentials_folder()
    root = document.root if isinstance(document.root, dict) else {}
    clients = next((value for key, value in root.items() if key == "clients"), None)
    return Surroundings(
        folder=absolute.parent,
        readable_by_others=open_to_others(absolute, mode, credentials),
        credentials=credentials,
        clients=frozenset(map(str, clients)) if isinstance(clients, dict) else frozenset(),
        has_fido="fido" in root,
    )


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


def _settings(path: Path, root: Root) -> Settings:
    clients = tuple(_client(name, section) for name, section in root.clients.items())
    primary = PrimarySettings(**dict(root.primary))
    rules = Rules(
        rules=tuple(_rule(section, root.fido) for section in root.rules or (RuleSection(name="all"),)),
        fido=None if root.fido is None else FidoRules(root.fido.rp_id, root.fido.origin),
        stations=tuple(Station(name, frozenset(section.clients)) for name, section in root.stations.items()),
        hotp=HotpRules(**dict(root.hotp)),
        totp=TotpRules(**dict(root.totp)),
        throttle=ThrottleRules(**dict(root.throttle)),
        challenge=ChallengeRules(**dict(root.challenge)),
        primary_checks=primary.kind != "none",
    )
    warnings = [
        sentence for client in clients for sentence in advice.about_client(client, has_fido=root.fido is not None)
    ]
    warnings += advice.about_prompts(rules.challenge)
    warnings += advice.about_hashing(primary)
    stations = tuple(StationSettings(name, one.usb, one.reader) for name, one in root.stations.items())
    warnings += advice.about_keys(clients, rules)
    warnings += advice.about_stations(stations)
    warnings += advice.about_rules(rules.rules, clients)
    return Settings(
        path=path.absolute(),
        listen=root.listen.udp,
        store=root.store,
        vault_key=root.vault.key_file,
        clients=clients,
        primary=primary,
        rules=rules,
        syslog=_syslog(root.syslog) if root.syslog else None,
        log=LogSettings(**dict(root.log)),
        attestation=_attestation(root.fido),
        stations=stations,
        warnings=tuple(warnings),
    )


def _client(name: str, section: ClientSection) -> ClientSettings:
    return ClientSettings(
        nas=Nas(name, section.flow, section.password_encoding, section.strip_realm, section.host_names),
        networks=section.networks,
        secrets=section.secrets(),
        require_message_authenticator=section.message_authenticator == "required",
        sign_replies=section.sign_replies,
        reject_delay=section.reject_delay,
    )


def _rule(section: RuleSection, fido: FidoSection | None) -> Rule:
    when = section.when
    return Rule(
        name=section.name,
        factors=tuple(factor for factor in section.factors if factor != "fido" or fido is not None),
        ceremonies=section.ceremonies,
        user_verification=section.user_verification,
        lock_clones=section.on_clone,
        clients=frozenset(when.clients or ()),
        users=frozenset(when.users or ()),
        groups=frozenset(when.groups or ()),
    )


def _attestation(fido: FidoSection | None) -> AttestationSettings | None:
    if fido is None or fido.attestation is None:
        return None
    section = fido.attestation
    return AttestationSettings(frozenset(section.aaguids), section.roots, section.metadata, section.metadata_root)


def _syslog(section: SyslogSection) -> SyslogSettings:
    to = section.to
    return SyslogSettings(to.scheme, to.path, to.host, to.port, section.facility)
