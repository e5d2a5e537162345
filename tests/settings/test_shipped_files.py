"""The configuration files that travel with the program: they load, they are complete, and they show the true defaults.

Nothing is mocked: each file is copied into a site of its own, with the secret files that it names beside it.
Answers to no RFC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from radiusd2fa.core.rules import FidoRules, Station
from radiusd2fa.settings import Settings, StationSettings
from radiusd2fa.settings.sentences import LATER, known_keys
from radiusd2fa.settings.yaml_lines import read_yaml

from .conftest import Site, minimal

CONFIG = Path(__file__).parents[2] / "config"
REFERENCE = CONFIG / "radiusd2fa.yaml"
SHIPPED = [REFERENCE, *sorted((CONFIG / "examples").glob("*.yaml"))]


def load(site: Site, text: str) -> Settings:
    """Load a text, after making the files that it names."""
    for name in re.findall(r"(?m)^\s*secret(?:_old)?_file: (\S+)", text):
        site.put(name, f"the secret in {name}, of enough characters\n")
    for name in re.findall(r"[a-z-]+\.(?:pem|jwt)", text):
        site.put(name, "a certificate\n")
    return site.load(text, mode=0o644)


def uncommented(text: str) -> str:
    """Turn every option on: each # that stands directly before something is removed."""
    return re.sub(r"(?m)^( *)#(?=\S)", r"\1", text)


def section_in_prose(text: str, name: str) -> str:
    """Return a section that has no default, out of the prose that shows it, and what belongs into it further down."""
    found = re.search(rf"(?m)^#   {name}:.*\n(?:#.*\n)+", text)
    assert found is not None
    return "".join(f"{line}\n" for line in re.findall(r"(?m)^#   (.*)$", found[0]))


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_a_shipped_file_loads(site: Site, file: Path) -> None:
    """Every file under config/ loads as it is, and only its observed clients are warned about."""
    loaded = load(site, file.read_text(encoding="utf-8"))

    assert loaded.clients
    assert all("Message-Authenticator" in warning for warning in loaded.warnings)


def test_the_examples_are_there() -> None:
    """There is one example each for a VPN, a bastion, the same with security keys, and a switch."""
    assert [file.stem for file in SHIPPED] == ["radiusd2fa", "bastion", "keys", "switch", "vpn"]


def test_the_reference_shows_the_defaults(site: Site) -> None:
    """With every option turned on the reference is what it is with none: the defaults of the program."""
    text = REFERENCE.read_text(encoding="utf-8")
    assert uncommented(text) != text

    shown = load(site, uncommented(text))
    assert shown == load(site, text)
    bare = site.load(minimal())
    assert (shown.vault_key, shown.primary, shown.rules, shown.syslog, shown.log) == (
        bare.vault_key,
        bare.primary,
        bare.rules,
        bare.syslog,
        bare.log,
    )


def test_the_reference_has_every_option_at_its_place() -> None:
    """Each key that can be written is in the reference: as an option, or in the prose where it has no default."""
    text = REFERENCE.read_text(encoding="utf-8")
    fido = section_in_prose(text, "fido").replace("attestation: none", "attestation:")
    shown = uncommented(text) + fido + section_in_prose(text, "stations")
    written = {tuple(map(generic, path)) for path in read_yaml(shown).lines}

    for place, keys in known_keys().items():
        for key in keys:
            where = tuple(map(generic, (*place, key)))
            assert where in written or (where in WITHOUT_DEFAULT and f" {key}: " in text.replace("{", " ")), where
    assert not [key for key in LATER if re.search(rf"(?m)^ *#?{key}:", text)]


WITHOUT_DEFAULT = {
    *(("clients", "*", key) for key in ("secret", "secret_old", "secret_old_file", "host_names")),
    *(("rules", "*", "when", key) for key in ("clients", "users", "groups")),
}


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
    assert loaded.rules.rules[0].factors == ("fido", "totp", "hotp")
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
    """Name a step of a path without the client, the station or the position."""
    return "*" if part in ("lab", "lobby-1") or isinstance(part, int) else part


def test_each_option_alone_can_be_turned_on(site: Site) -> None:
    """An option and the heading of its section, without all others, load to the same settings."""
    text = REFERENCE.read_text(encoding="utf-8")
    whole = load(site, text)

    tried = 0
    for variant in one_at_a_time(text.splitlines()):
        assert load(site, variant) == whole
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
