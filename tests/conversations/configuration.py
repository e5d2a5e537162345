"""Writes the configuration file that a conversation's head describes, and lets the program read it.

Whatever a transcript says is handed on as it stands: what is wrong with it is the program's to find.
The file is that of config/radiusd2fa.yaml; no RFC speaks of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from radiusd2fa.settings import Settings, load_settings

from .attributes import is_attribute
from .authorities import Authority
from .keychain import RP_ID
from .transcript import Setting, options

DATABASE: Final = "radiusd2fa.db"
KEY: Final = "vault.key"
OLD_SECRET: Final = b"the secret of the year before"

_LOCAL: Final = {"kind": "local", "memory_kib": "64", "passes": "1", "workers": "1"}
_CLIENT: Final = (
    *("address", "unlisted", "old_secret", "flow", "message_authenticator", "sign_replies", "reject_delay"),
    *("strip_realm", "password_encoding", "host_names", "profile", "tags", "prompt_length", "prompt_ending"),
    *("prompt_attribute", "state_length", "max_reply"),
)
_WHEN: Final = ("clients", "tags", "users", "groups", "realms", "networks", "days", "hours")
_LISTS: Final = ("factors", "grants", "ceremonies", "host_names", "tags")


@dataclass(frozen=True, slots=True)
class Device:
    """A RADIUS client as the player needs it."""

    name: str
    address: str
    secret: bytes
    signs: bool = True
    """Whether replies to it carry a Message-Authenticator."""
    state_length: int = 32


def devices_in(head: Iterable[Setting]) -> dict[str, Device]:
    """Return the RADIUS clients of a conversation, each with an address of its own."""
    devices = {}
    for number, setting in enumerate((one for one in head if one.noun == "client"), 11):
        name, *rest = setting.words
        wanted = options(tuple(word for word in rest if not is_attribute(word)), setting.line, *_CLIENT)
        devices[name] = Device(
            name,
            wanted.get("address", f"127.0.0.{number}"),
            f"the secret of {name}, of 16 octets".encode(),
            "sign_replies" not in wanted,
            int(wanted.get("state_length", "32")),
        )
    return devices


def configure(
    folder: Path, head: Iterable[Setting], devices: Mapping[str, Device], authorities: Mapping[str, Authority]
) -> Settings:
    """Write the file, and load it."""
    config = folder / "radiusd2fa.yaml"
    config.touch(0o600)
    config.write_text(_configuration(head, devices, authorities), encoding="utf-8")
    return load_settings(config)


def _configuration(head: Iterable[Setting], devices: Mapping[str, Device], authorities: Mapping[str, Authority]) -> str:
    sections = {"primary": _LOCAL}
    lists: dict[str, list[str]] = {"clients": [], "rules": [], "stations": [], "languages": [], "networks": []}
    zone = "UTC"
    for setting in head:
        name, *words = setting.words
        keys = dict(word.partition("=")[::2] for word in words)
        match setting.noun:
            case "client" if "unlisted" not in keys:
                lists["clients"].append(f"  {name}: {_client(devices[name], words)}")
            case "settings":
                sections[name] = {**sections.get(name, {}), **keys}
            case "primary":
                sections["primary"] = {**(_LOCAL if name == "local" else {}), "kind": name, **keys}
            case "rule":
                lists["rules"].append(f"  - {_rule(name, words)}")
            case "station":
                lists["stations"].append(f"  {name}: {_mapping({key: f'[{value}]' for key, value in keys.items()})}")
            case "language":
                lists["languages"].append(f"  {name}: {_mapping(keys)}")
            case "network":
                lists["networks"].append(f"  {name}: [{words[0]}]")
            case "zone":
                zone = name
        if setting.noun in {"key", "station"} or "key" in keys:
            sections.setdefault("fido", {}).setdefault("rp_id", RP_ID)
    mine = {name: one.section() for name, one in authorities.items()}
    primary = next((mine.pop(kind) for kind in ("ldap", "radius") if kind in mine), None)
    whole = {name: _mapping(keys) for name, keys in sections.items()} | ({"primary": primary} if primary else {})
    lines = [
        'listen: {udp: ["127.0.0.1:0", "[::1]:0"]}',
        f"store: sqlite:///{DATABASE}",
        f"vault: {{key_file: {KEY}}}",
        "syslog: off",
        "log: {format: json}",
        f"time_zone: {zone}",
        *(f"{name}: {section}" for name, section in whole.items()),
        *(("backends:", *(f"  {name}: {section}" for name, section in mine.items())) if mine else ()),
        *(line for name, entries in lists.items() if entries for line in (f"{name}:", *entries)),
    ]
    return "\n".join(lines) + "\n"


def _client(device: Device, words: Iterable[str]) -> str:
    given, reply = _apart(words)
    old = {"secret_old": f'"{OLD_SECRET.decode()}"'} if "old_secret" in given else {}
    network = {"networks": f'["{device.address}"]', "secret": f'"{device.secret.decode()}"'}
    said = {key: value for key, value in given.items() if key not in {"address", "old_secret"}}
    return _mapping({**network, **old, "reject_delay": "0", **_with_lists(said), **reply})


def _rule(name: str, words: Iterable[str]) -> str:
    given, reply = _apart(words)
    conditions = [value.partition(":")[::2] for key, value in _pairs(words) if key == "attr"]
    when = {key: f"[{value}]" for key, value in given.items() if key in _WHEN}
    if conditions:
        when["attributes"] = _attributes(conditions)
    said, nested = {}, dict[str, dict[str, str]]()
    for key, value in given.items():
        section, dot, inner = key.partition(".")
        if dot:
            nested.setdefault(section, {})[inner] = value
        elif key not in {*_WHEN, "attr"}:
            said[key] = value
    sections = {key: _mapping(_with_lists(keys)) for key, keys in nested.items()}
    return _mapping({"name": name, "when": _mapping(when), **_with_lists(said), **sections, **reply})


def _apart(words: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what words say, and the reply attributes among them."""
    reply = [pair for word, pair in zip(words, _pairs(words), strict=True) if is_attribute(word)]
    given = {key: value for word, (key, value) in zip(words, _pairs(words), strict=True) if not is_attribute(word)}
    return given, {"reply": _attributes(reply)} if reply else {}


def _pairs(words: Iterable[str]) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (word.partition("=") for word in words)]


def _attributes(pairs: Iterable[tuple[str, str]]) -> str:
    """Names with all their values."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value if value.startswith('"') else f'"{value}"')
    return _mapping({f'"{name}"': f"[{', '.join(all_of_it)}]" for name, all_of_it in values.items()})


def _with_lists(keys: Mapping[str, str]) -> dict[str, str]:
    lists = {*_LISTS, "networks"}
    return {key: f"[{value}]" if key in lists and value != "off" else value for key, value in keys.items()}


def _mapping(keys: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"
