"""The configuration files that travel with the program: they load, they are complete, and they show the true defaults.

Nothing is mocked: each file is copied into a site of its own, with the secret files that it names beside it.
Answers to no RFC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from radiusd2fa.settings import Settings
from radiusd2fa.settings.sentences import LATER, known_keys
from radiusd2fa.settings.yaml_lines import read_yaml

from .conftest import Site, minimal

CONFIG = Path(__file__).parents[2] / "config"
REFERENCE = CONFIG / "radiusd2fa.yaml"
SHIPPED = [REFERENCE, *sorted((CONFIG / "examples").glob("*.yaml"))]


def load(site: Site, text: str) -> Settings:
    """Load a text, after making the secret files that it names."""
    for name in re.findall(r"(?m)^\s*secret(?:_old)?_file: (\S+)", text):
        site.put(name, f"the secret in {name}, of enough characters\n")
    return site.load(text, mode=0o644)


def uncommented(text: str) -> str:
    """Turn every option on: each # that stands directly before something is removed."""
    return re.sub(r"(?m)^( *)#(?=\S)", r"\1", text)


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_a_shipped_file_loads(site: Site, file: Path) -> None:
    """Every file under config/ loads as it is, and only its observed clients are warned about."""
    loaded = load(site, file.read_text(encoding="utf-8"))

    assert loaded.clients
    assert all("Message-Authenticator" in warning for warning in loaded.warnings)


def test_the_examples_are_there() -> None:
    """There is one example each for a VPN, a bastion and a switch."""
    assert [file.stem for file in SHIPPED] == ["radiusd2fa", "bastion", "switch", "vpn"]


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
    written = {tuple(map(generic, path)) for path in read_yaml(uncommented(text)).lines}

    for place, keys in known_keys().items():
        for key in keys:
            where = tuple(map(generic, (*place, key)))
            assert where in written or (where in WITHOUT_DEFAULT and f" {key}: " in text.replace("{", " ")), where
    assert not [key for key in LATER if re.search(rf"(?m)^ *#?{key}:", text)]


WITHOUT_DEFAULT = {
    *(("clients", "*", key) for key in ("secret", "secret_old", "secret_old_file")),
    *(("rules", "*", "when", key) for key in ("clients", "users", "groups")),
}


def generic(part: str | int) -> str:
    """Name a step of a path without the client or the position."""
    return "*" if part == "lab" or isinstance(part, int) else part


def test_each_option_alone_can_be_turned_on(site: Site) -> None:
    """An option and the heading of its section, without all others, load to the same settings."""
    text = REFERENCE.read_text(encoding="utf-8")
    whole = load(site, text)

    tried = 0
    for variant in one_at_a_time(text.splitlines()):
        assert load(site, variant) == whole
        tried += 1
    assert tried > 25


def one_at_a_time(lines: list[str]) -> Iterator[str]:
    """Yield the file once for each turned-off option of a section, with that option and its heading turned on."""
    heading = -1
    for number, line in enumerate(lines):
        if re.match(r"#\S", line):
            heading = number
        elif re.match(r" +#[a-z]", line) and not re.match(r" +#(?:when|factors)", line):
            on = {number} if line.startswith("    ") else {number, heading}
            yield "\n".join(uncommented(other) if index in on else other for index, other in enumerate(lines))


def test_no_line_of_a_shipped_file_is_too_wide_for_a_terminal() -> None:
    """The files are read in an editor over ssh: 120 columns, no tabs, no trailing spaces."""
    for file in SHIPPED:
        for line in file.read_text(encoding="utf-8").splitlines():
            assert len(line) <= 120, line
            assert line == line.rstrip().expandtabs(), line
