"""Who checks the password, as the file says it: one section per kind of primary backend.

Nothing is connected here, and a password never goes over a wire in the clear: that is refused, not warned about.
RFC 4511 and 4516 (LDAP and its URLs), RFC 2865 (an upstream RADIUS server), pam_start(3).
"""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from radiusd2fa.directory.dn import is_dn
from radiusd2fa.directory.filters import Filter, compared_with, parse_filter
from radiusd2fa.radius.upstream import NEVER_BACK, NEVER_ON
from radiusd2fa.settings import attributes, keys, places
from radiusd2fa.settings.section import Section, one_of_two, some
from radiusd2fa.settings.values import (
    BackendSettings,
    LdapSettings,
    LocalSettings,
    NoneSettings,
    PamSettings,
    RadiusSettings,
    UpstreamServer,
)
from radiusd2fa.settings.words import (
    Surroundings,
    a_text,
    alternatives,
    choice,
    duration,
    reader,
    refused,
    whole,
    yes_no,
)
from radiusd2fa.settings.yaml_lines import Word

KINDS: Final = ("local", "none", "ldap", "radius", "pam")
TAGS: Final = frozenset(f"<{kind}>" for kind in KINDS)
"""What pydantic puts into the place of an error besides the keys of the file."""

LOCAL: Final = LocalSettings()
LDAP: Final = LdapSettings("", ())
RADIUS: Final = RadiusSettings("", ())
PAM: Final = PamSettings()
MAX_GROUP_DEPTH: Final = 10

_PEOPLE: Final = frozenset({"user", "name", "realm"})
_TELLING: Final = frozenset({"user", "name"})
_PLACEHOLDER: Final = re.compile(r"\{[^}]*\}?")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}|[0-9]+(?:\.[0-9]+)+")
_NO_IDS: Final = "none"
_SERVICE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Directory = Literal["openldap", "active_directory", "freeipa", "389ds"]

_DIRECTORIES: Final[dict[str, dict[str, str]]] = {
    "openldap": {"filter": "(uid={name})", "id_attribute": "entryUUID", "groups": "member_of"},
    "active_directory": {
        "filter": "(&(objectCategory=person)(objectClass=user)(sAMAccountName={name}))",
        "id_attribute": "objectGUID",
        "groups": "nested",
    },
    "freeipa": {"filter": "(uid={name})", "id_attribute": "ipaUniqueID", "groups": "member_of"},
    "389ds": {"filter": "(uid={name})", "id_attribute": "nsUniqueId", "groups": "member_of"},
}


# --- how the words are read -------------------------------------------------------------------------------------------


def _ldap_url(word: Word, around: Surroundings) -> str:
    text = a_text(word, around)
    remedy = "write ldaps://dc1.example.org, or ldap://dc1.example.org with start_tls: yes"
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise refused("is no URL of a directory", remedy) from None
    if url.scheme not in ("ldaps", "ldap") or not url.hostname or port == 0:
        raise refused("is no URL of a directory", remedy)
    if url.username is not None or url.path not in ("", "/") or url.query or url.fragment:
        raise refused("says more than a host and a port", remedy)
    return text.rstrip("/")


def _known_places(text: str, known: frozenset[str]) -> str:
    """Refuse a text with placeholders of other names, or with none that tells one person from another."""
    for found in _PLACEHOLDER.findall(text):
        if found[1:-1] not in known:
            raise refused(
                "holds a placeholder that means nothing",
                f"write {alternatives(f'{{{name}}}' for name in sorted(known))}",
            )
    return text


def _bind_template(word: Word, around: Surroundings) -> str:
    text = _known_places(a_text(word, around), _PEOPLE)
    if not any(f"{{{name}}}" in text for name in _TELLING):
        raise refused("is the same for everybody", "put {name} where the name of the person belongs")
    return text


def _search_filter(word: Word, around: Surroundings) -> str:
    text, found = _filter(word, around, _PEOPLE)
    if not any(compared_with(found, _TELLING)):
        raise refused("compares nothing with the name of the person", 'write it as in "(uid={name})"')
    return text


def _group_filter(word: Word, around: Surroundings) -> str:
    text, _ = _filter(word, around, _PEOPLE | {"dn"})
    if not any(f"{{{name}}}" in text for name in (*_TELLING, "dn")):
        raise refused("is the same for everybody", "put {dn} where the name of the person's entry belongs")
    return text


def _filter(word: Word, around: Surroundings, known: frozenset[str]) -> tuple[str, Filter]:
    text = _known_places(a_text(word, around), known)
    try:
        return text, parse_filter(text, known)
    except ValueError as error:
        raise refused(f"is no filter: {error}", 'write it in quotes and brackets, as in "(uid={name})"') from None


def _id_attribute(word: Word, around: Surroundings) -> str:
    text = a_text(word, around)
    if not _ATTRIBUTE.fullmatch(text):
        raise refused("is no name of an attribute", "write one as in entryUUID, or none")
    return text


def _upstream_address(word: Word, _: Surroundings) -> tuple[str, int]:
    text, port = str(word), 1812
    remedy = 'write an address, as in 192.0.2.5 or "192.0.2.5:1812" or "[2001:db8::5]:1812"'
    found = re.fullmatch(r"\[([^\]]+)\]:([0-9]{1,5})|([0-9.]+):([0-9]{1,5})", text)
    if found is not None:
        text, port = found[1] or found[3], int(found[2] or found[4])
    try:
        address = str(ip_address(text))
    except ValueError:
        raise refused("is no address", remedy) from None
    if not 1 <= port <= 65535:
        raise refused("has no port from 1 to 65535", remedy)
    return address, port


def _service(word: Word, around: Surroundings) -> str:
    name = a_text(word, around)
    if not _SERVICE.fullmatch(name):
        raise refused("is no name of a PAM service", "write the name of a file in /etc/pam.d")
    return name


Path_ = Annotated[Path | None, reader(keys.a_file)]
Secret = Annotated[bytes | None, reader(places.a_secret)]
SecretFile = Annotated[bytes | None, reader(places.a_secret_file)]
Text = Annotated[str | None, reader(a_text)]


def _passable(never: frozenset[int], why: str) -> object:
    """Read the number of an attribute that may pass through us."""

    def read(word: Word, around: Surroundings) -> int:
        number = attributes.a_number(word, around)
        if number in never:
            raise refused(f"never goes through: {why}", "leave it out")
        return number

    return reader(read)


PassedOn = Annotated[int, _passable(NEVER_ON, "it belongs to us and the device")]
PassedBack = Annotated[int, _passable(NEVER_BACK, "it belongs to us and that server, or is encrypted for us alone")]


# --- the sections -----------------------------------------------------------------------------------------------------


class LocalSection(Section):
    """Passwords of our own."""

    kind: Annotated[Literal["local"], choice({"local": "local"})] = "local"
    memory_kib: Annotated[int, whole(64, 4 * 1024 * 1024)] = LOCAL.memory_kib
    passes: Annotated[int, whole(1, 100)] = LOCAL.passes
    workers: Annotated[int, whole(1, 64)] = LOCAL.workers
    queue: Annotated[int, whole(1, 10_000)] = LOCAL.queue

    def values(self, name: str) -> LocalSettings:
        """Return what the program sees."""
        return LocalSettings(name, "local", self.memory_kib, self.passes, self.workers, self.queue)


class NoneSection(Section):
    """Nobody."""

    kind: Annotated[Literal["none"], choice({"none": "none"})] = "none"

    def values(self, name: str) -> NoneSettings:
        """Return what the program sees."""
        return NoneSettings(name)


class LdapSection(Section):
    """A directory."""

    kind: Annotated[Literal["ldap"], choice({"ldap": "ldap"})] = "ldap"
    servers: Annotated[tuple[Annotated[str, reader(_ldap_url)], ...], AfterValidator(some)]
    start_tls: Annotated[bool, yes_no] = Field(default=False, validate_default=True)
    ca_file: Path_ = None
    certificate: Path_ = None
    certificate_key: Path_ = Field(default=None, validate_default=True)
    directory: Annotated[Directory, choice({name: name for name in _DIRECTORIES})] = "openldap"
    bind_template: Annotated[str | None, reader(_bind_template)] = None
    base: Text = Field(default=None, validate_default=True)
    filter: Annotated[str | None, reader(_search_filter)] = None
    search_user: Text = None
    search_password: Secret = Field(default=None, repr=False)
    search_password_file: SecretFile = Field(default=None, repr=False, validate_default=True)
    id_attribute: Annotated[str | None, reader(_id_attribute)] = None
    group_base: Text = None
    groups: Annotated[
        Literal["none", "member_of", "search", "nested"] | None,
        choice({word: word for word in ("none", "member_of", "search", "nested")}),
    ] = Field(default=None, validate_default=True)
    group_filter: Annotated[str, reader(_group_filter)] = LDAP.group_filter
    group_name: Annotated[Literal["cn", "dn"], choice({"cn": "cn", "dn": "dn"})] = LDAP.group_name
    group_depth: Annotated[int, whole(1, MAX_GROUP_DEPTH)] = LDAP.group_depth
    connect_timeout: Annotated[float, duration(0.1, 5)] = LDAP.connect_timeout
    timeout: Annotated[float, duration(0.1, 5)] = LDAP.timeout
    calls: Annotated[int, whole(1, 256)] = LDAP.calls
    queue: Annotated[int, whole(1, 10_000)] = LDAP.queue
    retry_after: Annotated[float, duration(1, 3600)] = LDAP.retry_after

    @field_validator("start_tls")
    @classmethod
    def _never_in_the_clear(cls, start_tls: bool, info: ValidationInfo) -> bool:
        for server in info.data.get("servers", ()):
            url = urlsplit(server)
            if start_tls and url.scheme == "ldaps":
                raise refused("is for ldap:// servers", "delete start_tls: ldaps:// has TLS from its first octet")
            if not start_tls and url.scheme == "ldap" and not _is_this_host(url.hostname or ""):
                raise refused(
                    "is needed: passwords would go over the wire in the clear",
                    "write start_tls: yes, or ldaps:// in servers",
                )
        return start_tls

    @field_validator("certificate_key")
    @classmethod
    def _both(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "certificate" in info.data and (key is None) != (info.data["certificate"] is None):
            raise refused("goes together with certificate", "write both, or neither")
        return key

    @field_validator("base")
    @classmethod
    def _somewhere(cls, base: str | None, info: ValidationInfo) -> str | None:
        if base is None and "bind_template" in info.data and info.data["bind_template"] is None:
            raise refused("is missing", "write base: dc=example,dc=org to search for people, or a bind_template")
        return base

    @field_validator("search_password_file")
    @classmethod
    def _one_password(cls, password: bytes | None, info: ValidationInfo) -> bytes | None:
        password = one_of_two(password, info.data.get("search_password"), "search_password")
        given = password is not None or info.data.get("search_password") is not None
        if "search_user" in info.data and "search_password" in info.data:
            if info.data["search_user"] is None and given:
                raise refused("is missing", "write the DN that searches with that password", key="search_user")
            if info.data["search_user"] is not None and not given:
                raise refused("is missing", "write search_password_file: FILE for search_user")
        return password

    @field_validator("groups")
    @classmethod
    def _readable(cls, groups: str | None, info: ValidationInfo) -> str | None:
        """What stands in an entry, or is searched for, must be somewhere."""
        if not {"base", "bind_template", "directory", "id_attribute", "group_base"} <= info.data.keys():
            return groups
        base, template = info.data["base"], info.data["bind_template"]
        if base is not None or template is None:
            return groups
        usual = _DIRECTORIES[info.data["directory"]]
        where = groups or usual["groups"]
        if where in ("search", "nested") and info.data["group_base"] is None:
            remedy = "write base: dc=example,dc=org to search for groups, or groups: none"
            raise refused("is missing", remedy, key="base")
        if not is_dn(template) and (where == "member_of" or info.data["id_attribute"] != _NO_IDS):
            remedy = "write base: dc=example,dc=org to read people's entries, or id_attribute: none and groups: none"
            raise refused("is missing", remedy, key="base")
        return groups

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        """Try what the backend will try: a filter, a template or a certificate that makes no sense is found here."""
        from radiusd2fa.directory.asking import Asking
        from radiusd2fa.directory.dialling import target, tls_context

        settings = self.values("ldap")
        try:
            Asking(settings)
            for server in settings.servers:
                target(server)
        except ValueError as error:
            raise refused(f"cannot work: {error}", "compare it with config/radiusd2fa.yaml") from None
        anonymous = replace(settings, certificate=None, certificate_key=None)
        for key, named, tried in (
            ("ca_file", settings.ca_file, anonymous),
            ("certificate", settings.certificate, settings),
        ):
            if named is None:
                continue  # there is no file to try, and to read the system's authorities takes a while
            try:
                tls_context(tried)
            except OSError as error:
                why = getattr(error, "reason", None) or error.strerror
                raise refused(
                    f"cannot be used ({why})", "name files that this user can read, in PEM", key=key
                ) from None
        return self

    def values(self, name: str) -> LdapSettings:
        """Return what the program sees."""
        usual = _DIRECTORIES[self.directory]
        groups = self.groups or usual["groups"]
        return LdapSettings(
            name=name,
            servers=self.servers,
            start_tls=self.start_tls,
            ca_file=self.ca_file,
            certificate=self.certificate,
            certificate_key=self.certificate_key,
            bind_template=self.bind_template,
            search_base=self.base,
            search_filter=self.filter or usual["filter"],
            search_user=self.search_user,
            search_password=self.search_password or self.search_password_file,
            id_attribute=None if self.id_attribute == _NO_IDS else self.id_attribute or usual["id_attribute"],
            groups=groups,  # type: ignore[arg-type]  # one of its words, both by the section and by the table
            group_base=self.group_base or (self.base if groups in ("search", "nested") else None),
            group_filter=self.group_filter,
            group_name=self.group_name,
            group_depth=self.group_depth,
            connect_timeout=self.connect_timeout,
            timeout=self.timeout,
            calls=self.calls,
            queue=self.queue,
            retry_after=self.retry_after,
        )


def _is_this_host(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


class UpstreamSection(Section):
    """One entry of ``servers:`` of a RADIUS backend."""

    address: Annotated[tuple[str, int], reader(_upstream_address)]
    secret: Secret = Field(default=None, repr=False)
    secret_file: SecretFile = Field(default=None, repr=False, validate_default=True)

    @field_validator("secret_file")
    @classmethod
    def _one_secret(cls, secret_file: bytes | None, info: ValidationInfo) -> bytes | None:
        if "secret" in info.data and secret_file is None and info.data["secret"] is None:
            raise refused("is missing", 'add secret: "..." or secret_file: FILE', key="secret")
        return one_of_two(secret_file, info.data.get("secret"), "secret")


class RadiusSection(Section):
    """Another RADIUS server."""

    kind: Annotated[Literal["radius"], choice({"radius": "radius"})] = "radius"
    servers: Annotated[tuple[UpstreamSection, ...], AfterValidator(some)]
    message_authenticator: Annotated[
        Literal["required", "observe"], choice({word: word for word in ("required", "observe")})
    ] = "required"
    timeout: Annotated[float, duration(0.1, 5)] = RADIUS.timeout
    tries: Annotated[int, whole(1, 5)] = RADIUS.tries
    calls: Annotated[int, whole(1, 4096)] = RADIUS.calls
    retry_after: Annotated[float, duration(1, 3600)] = RADIUS.retry_after
    nas_identifier: Annotated[str, reader(a_text)] = RADIUS.nas_identifier
    pass_on: tuple[PassedOn, ...] = RADIUS.pass_on
    pass_back: tuple[PassedBack, ...] = RADIUS.pass_back
    strip_realm: Annotated[bool, yes_no] = RADIUS.strip_realm

    def values(self, name: str) -> RadiusSettings:
        """Return what the program sees."""
        return RadiusSettings(
            name=name,
            servers=tuple(
                UpstreamServer(*server.address, server.secret or server.secret_file or b"") for server in self.servers
            ),
            require_message_authenticator=self.message_authenticator == "required",
            timeout=self.timeout,
            tries=self.tries,
            calls=self.calls,
            retry_after=self.retry_after,
            nas_identifier=self.nas_identifier,
            pass_on=self.pass_on,
            pass_back=self.pass_back,
            strip_realm=self.strip_realm,
        )


class PamSection(Section):
    """The host's PAM."""

    kind: Annotated[Literal["pam"], choice({"pam": "pam"})] = "pam"
    service: Annotated[str, reader(_service)] = PAM.service
    timeout: Annotated[float, duration(0.1, 5)] = PAM.timeout
    calls: Annotated[int, whole(1, 64)] = PAM.calls
    queue: Annotated[int, whole(1, 10_000)] = PAM.queue
    strip_realm: Annotated[bool, yes_no] = PAM.strip_realm

    def values(self, name: str) -> PamSettings:
        """Return what the program sees."""
        return PamSettings(
            name,
            service=self.service,
            timeout=self.timeout,
            calls=self.calls,
            queue=self.queue,
            strip_realm=self.strip_realm,
        )


def _kind(raw: object) -> str:
    kind = raw.get("kind", "local") if isinstance(raw, dict) else getattr(raw, "kind", "local")
    return f"<{kind}>"


AnyBackend = Annotated[
    Annotated[LocalSection, Tag("<local>")]
    | Annotated[NoneSection, Tag("<none>")]
    | Annotated[LdapSection, Tag("<ldap>")]
    | Annotated[RadiusSection, Tag("<radius>")]
    | Annotated[PamSection, Tag("<pam>")],
    Discriminator(_kind),
]


def looks_up(settings: BackendSettings) -> bool:
    """Whether the backend can say without a password if somebody is still there."""
    if isinstance(settings, LdapSettings):
        template = settings.bind_template
        finds = settings.search_base is not None or (template is not None and is_dn(template))
        return finds and (settings.search_user is not None or template is None)
    return isinstance(settings, PamSettings)
