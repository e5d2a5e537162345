"""The configuration files that travel with the program: they load, they are complete, and they show the true defaults.

Nothing is mocked: each file is copied into a site of its own, with the secret files that it names beside it.
Answers to no RFC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from radiusd2fa.core.rules import FidoRules, Station
from radiusd2fa.settings import (
    LdapSettings,
    PamSettings,
    RadiusSettings,
    Settings,
    StationSettings,
    UpstreamServer,
)
from radiusd2fa.settings.sentences import LATER, known_keys
from radiusd2fa.settings.yaml_lines import read_yaml
from tests.directory.certificates import Authority

from .conftest import Site, minimal

CONFIG = Path(__file__).parents[2] / "config"
REFERENCE = CONFIG / "radiusd2fa.yaml"
SHIPPED = [REFERENCE, *sorted((CONFIG / "examples").glob("*.yaml"))]


def load(site: Site, text: str) -> Settings:
    """Load a text, after making the files that it names."""
    for name in re.findall(r"_file: ([a-z.-]+\.(?:secret|password)(?:\.old)?)", text):
        site.put(name, f"the secret in {name}, of enough characters\n")
    for name in re.findall(r"[a-z-]+\.(?:pem|key|jwt)\b", text):
        site.put(name, "a certificate\n")
    if re.search(r"(?m)^ +kind: ldap", text):  # there certificates are looked into
        authority = Authority.make(site.folder / "authority")
        client = authority.pair("client", "localhost")
        files = {"ca.pem": authority.file, "company-ca.pem": authority.file}
        for name, made in {**files, "client.pem": client.certificate, "client.key": client.key}.items():
            site.put(name, made.read_bytes())
    site.put("my-vendor.dictionary", "ATTRIBUTE My-Attribute 250 string\n")
    return site.load(text, mode=0o600 if 'secret: "' in text or 'password: "' in text else 0o644)


def uncommented(text: str) -> str:
    """Turn every option on: each # that stands directly before something is removed."""
    return re.sub(r"(?m)^( *)#(?=\S)", r"\1", text)


def prose(text: str, name: str) -> list[str]:
    """Return the sections of that name that the prose shows because they have no default, or several forms."""
    found = re.findall(rf"(?m)^#   {name}:.*\n(?:#(?:    .*)?\n)*", text)
    return [re.sub(r"(?m)^#(?:   )?", "", section) for section in found]


def section_in_prose(text: str, name: str) -> str:
    """Return a section that has no default, and what belongs into it further down."""
    found = re.search(rf"(?m)^#   {name}:.*\n(?:#.*\n)+", text)
    assert found is not None
    return "".join(f"{line}\n" for line in re.findall(r"(?m)^#   (.*)$", found[0]))


def client_in_prose(text: str) -> dict[str, str]:
    """Return the options of a client that the prose shows, each with the first value that it gives."""
    return dict(re.findall(r"(?m)^    #   ([a-z_]+): (\S+(?: \S+)*)", text))


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_a_shipped_file_loads(site: Site, file: Path) -> None:
    """Every file under config/ loads as it is, and is warned about what its comments say themselves."""
    loaded = load(site, file.read_text(encoding="utf-8"))

    assert loaded.clients
    assert len(loaded.warnings) == len(WARNED[file.stem])
    assert all(map(str.startswith, loaded.warnings, WARNED[file.stem]))


UNSIGNED = "its requests are answered without a Message-Authenticator"
WARNED = {
    "radiusd2fa": (),
    "bastion": (f"client bastion: {UNSIGNED}",),
    "keys": (f"client bastion: {UNSIGNED}", f"client consoles: {UNSIGNED}"),
    "switch": (f"client access: {UNSIGNED}",),
    "vpn": ("line 32: rule vpn: until 2027-06-30 people who have never had a token get in with their password alone",),
}


def test_the_examples_are_there() -> None:
    """There is one example each for a VPN, a bastion, the same with security keys, and a switch."""
    assert [file.stem for file in SHIPPED] == ["radiusd2fa", "bastion", "keys", "switch", "vpn"]


def without_lines(loaded: Settings) -> Settings:
    """Forget on which line each rule stands."""
    rules = tuple(replace(rule, line=0) for rule in loaded.rules.rules)
    return replace(loaded, rules=replace(loaded.rules, rules=rules))


def test_the_reference_shows_the_defaults(site: Site) -> None:
    """With every option turned on the reference is what it is with none: the defaults of the program."""
    text = REFERENCE.read_text(encoding="utf-8")
    assert uncommented(text) != text

    shown = without_lines(load(site, uncommented(text)))
    assert shown == load(site, text)
    bare = site.load(minimal())
    assert (shown.vault_key, shown.primary, shown.rules, shown.syslog, shown.log) == (
        bare.vault_key,
        bare.primary,
        bare.rules,
        bare.syslog,
        bare.log,
    )


# --- what the prose shows -----------------------------------------------------------------------------------


def backends_in_prose(text: str) -> dict[str, str]:
    """Return each kind of backend that the prose shows, as the section ``primary``."""
    return {found[1]: section for section in prose(text, "primary") if (found := re.search(r"kind: (\w+)", section))}


BACKENDS: dict[str, LdapSettings | RadiusSettings | PamSettings] = {
    "ldap": LdapSettings(
        "ldap",
        ("ldaps://dc1.example.org", "ldaps://dc2.example.org"),
        ca_file=Path("ca.pem"),
        certificate=Path("client.pem"),
        certificate_key=Path("client.key"),
        bind_template="uid={name},ou=people,dc=example,dc=org",
        search_base="dc=example,dc=org",
        search_user="cn=radius,ou=services,dc=example,dc=org",
        search_password=b"the secret in ldap.password, of enough characters",
        group_base="ou=groups,dc=example,dc=org",
    ),
    "radius": RadiusSettings(
        "radius",
        (UpstreamServer("192.0.2.40", 1812, b"the secret in nps.secret, of enough characters"),),
        pass_back=(25, 11),
    ),
    "pam": PamSettings("pam"),
}


@pytest.mark.parametrize("kind", BACKENDS)
def test_each_backend_in_prose_shows_its_defaults(site: Site, kind: str) -> None:
    """A backend can be turned on as the prose shows it, and has its defaults wherever it has any."""
    text = REFERENCE.read_text(encoding="utf-8")
    loaded = load(site, text + backends_in_prose(text)[kind]).primary
    shown = {field.name: getattr(loaded, field.name) for field in fields(loaded)}
    usual = {field.name: getattr(BACKENDS[kind], field.name) for field in fields(BACKENDS[kind])}

    assert shown == {name: site.folder / one if isinstance(one, Path) else one for name, one in usual.items()}


def turned_on(site: Site, text: str) -> set[tuple[str, ...]]:
    """Turn everything on that the prose shows, in as many files as that takes; return all places that were written."""
    written: set[tuple[str, ...]] = set()

    def tried(variant: str, *kind: str) -> None:
        load(site, variant)
        for path in read_yaml(variant).lines:
            where = tuple(map(generic, path))
            written.add((where[0], *kind, *where[1:]) if where[:1] == ("primary",) and len(where) > 1 else where)

    tried(uncommented(text), "<local>")
    sections = [
        *prose(text, "dictionaries"),
        *prose(text, "backends"),
        *prose(text, "networks"),
        *prose(text, "time_zone"),
        *prose(text, "node"),
    ]
    options = client_in_prose(text)
    shown = [f"    {key}: {value}\n" for key, value in options.items() if key not in ("secret", "secret_old")]
    client = "    secret_file: lab.secret\n"
    assert client in text
    tried(
        text.replace(client, "".join(shown).replace("secret_file: FILE", "secret_file: lab.secret"))
        + "".join([*sections, *prose(text, "languages"), *prose(text, "rules"), *prose(text, "fido")])
        + section_in_prose(text, "stations")
        + section_in_prose(text, "administrators")
    )
    tried(text.replace(client, f"    secret: {options['secret']}\n    secret_old: {options['secret_old']}\n"))
    models = section_in_prose(text, "fido").replace("attestation: none ", "attestation:")
    tried(text + models)
    nobody = "primary: {kind: none}\n"  # has no other key
    for kind, section in {**backends_in_prose(text), "none": nobody}.items():
        assert re.search(rf"(?m)^#   {kind} +\w", text)
        tried(text + section, f"<{kind}>")
        inside = re.sub(r"[a-z_]+_file: \S+ +# or ([a-z_]+: \"in quotes\")", r"\1", section)
        tried(text + inside, f"<{kind}>")
    return written


def test_the_reference_has_every_option_at_its_place(site: Site) -> None:
    """Each key that can be written is in the reference: as an option, or in prose that loads when it is turned on."""
    text = REFERENCE.read_text(encoding="utf-8")
    written = turned_on(site, text)

    for place, keys in known_keys().items():
        for key in keys:
            where = (*place, key)
            if place[:1] == ("backends",):  # written as `primary` is
                assert ("backends", "*") in written
                where = ("primary", *where[2:])
            elif place[:2] == ("rules", "*") and place[2:] in WINDOWS:  # written as for the whole site
                assert place in written
                where = where[2:]
            assert where in written, where
    assert not [key for key in LATER if re.search(rf"(?m)^ *#? *{key}:", text)]


WINDOWS = {("hotp",), ("totp",), ("throttle",), ("challenge",)}


def test_the_rules_in_prose_mean_what_is_said_of_them(site: Site) -> None:
    """The examples of rules are loaded with what they name, and no rule hides another."""
    text = REFERENCE.read_text(encoding="utf-8")
    tags = re.sub(r"(?m)^    #   (tags: .*)$", r"    \1", text)
    named = "".join(section for name in ("backends", "networks", "languages", "rules") for section in prose(text, name))
    loaded = load(site, tags + named)

    assert [rule.name for rule in loaded.rules.rules] == ["admins", "nights", "movers", "everybody"]
    assert not [said for said in loaded.warnings if "never" in said and "never had" not in said]


def test_the_sections_in_prose_load(site: Site) -> None:
    """What the prose shows of security keys can be written as it stands: with attestation, and without."""
    text = REFERENCE.read_text(encoding="utf-8")
    fido, stations = section_in_prose(text, "fido"), section_in_prose(text, "stations")
    without, nothing, rest = fido.partition("attestation: none")
    comment, models = rest.split("\n", 1)
    assert "aaguids" in models

    loaded = load(site, f"{text}{without}{nothing}{comment}\n{stations}")
    assert loaded.rules.fido == FidoRules("auth.example.org", "https://auth.example.org")
    assert loaded.attestation is None
    assert loaded.stations == (StationSettings("lobby-1", Path("/dev/hidraw0"), "ACS ACR122U"),)
    assert loaded.rules.rules[0].factors == ("fido", "yubico", "totp", "hotp", "recovery")
    attestation = load(site, f"{text}{without}attestation:\n{models}{stations}").attestation
    assert attestation is not None
    assert attestation.metadata_root == site.folder / "metadata-root.pem"


def test_the_host_names_in_prose_load(site: Site) -> None:
    """The example of host names can be written as it stands, and is in the form that keys sign."""
    text = REFERENCE.read_text(encoding="utf-8")
    names = load(site, re.sub(r"(?m)^    #   (host_names: .*)$", r"    \1", text)).clients[0].nas.host_names

    assert names == ("bastion.example.org", "bastion", "192.0.2.20", "2001:db8::20")


def test_the_example_with_keys_lets_each_group_in_its_own_way(site: Site) -> None:
    """Administrators need a verified key, everybody else may have a fob; ssh and the station each serve a client."""
    rules = load(site, (CONFIG / "examples/keys.yaml").read_text(encoding="utf-8")).rules
    admins, staff = rules.rules

    assert (admins.factors, admins.user_verification, admins.lock_clones) == (("fido",), True, True)
    assert (staff.factors, staff.user_verification, staff.lock_clones) == (("fido", "totp", "hotp"), False, False)
    assert rules.stations == (Station("machine-room", frozenset({"consoles"})),)


def generic(part: str | int) -> str:
    """Name a step of a path without the client, the station, the language, the network or the position."""
    return "*" if part in ("lab", "lobby-1", "de", "office", "old-otp") or isinstance(part, int) else part


def test_each_option_alone_can_be_turned_on(site: Site) -> None:
    """An option and the heading of its section, without all others, load to the same settings."""
    text = REFERENCE.read_text(encoding="utf-8")
    whole = load(site, text)

    tried = 0
    for variant in one_at_a_time(text.splitlines()):
        assert without_lines(load(site, variant)) == whole
        tried += 1
    assert tried > 30


def one_at_a_time(lines: list[str]) -> Iterator[str]:
    """Yield the file once for each turned-off option of a section, with that option and its headings turned on."""
    headings: set[int] = set()
    for number, line in enumerate(lines):
        if re.match(r"#\S", line):
            headings = {number}
        elif re.match(r" +#- ", line):
            headings |= {number}
        elif line == "clients:":
            headings = set()
        elif re.match(r" +#[a-z]", line):
            on = {number, *headings}
            yield "\n".join(uncommented(other) if index in on else other for index, other in enumerate(lines))


def test_no_line_of_a_shipped_file_is_too_wide_for_a_terminal() -> None:
    """The files are read in an editor over ssh: 120 columns, no tabs, no trailing spaces."""
    for file in SHIPPED:
        for line in file.read_text(encoding="utf-8").splitlines():
            assert len(line) <= 120, line
            assert line == line.rstrip().expandtabs(), line
