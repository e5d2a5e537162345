"""Builds the site that a conversation's head describes: configuration file, vault key, people and tokens.

It uses the program's own settings and registry; only what no command can do (a lost token, a broken hash) is written
into the table directly. No RFC speaks of this.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from radiusd2fa import vault
from radiusd2fa.core.model import Token
from radiusd2fa.core.names import canonical
from radiusd2fa.emulators.softfob import SoftFob
from radiusd2fa.primary.local import hasher
from radiusd2fa.settings import Settings, load_settings
from radiusd2fa.store.keyring import Keyring
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.upgrade import create

from .keychain import RP_ID, make_key
from .pocket import Pocket
from .transcript import Conversation, Line, Setting, Words, octets, options, seconds

DATABASE: Final = "radiusd2fa.db"
KEY: Final = "vault.key"
START: Final = "2026-03-02 09:00:10"
"""When a conversation begins unless it says otherwise: ten seconds into a TOTP step."""

OLD_SECRET: Final = b"the secret of the year before"
_PROGRAM: Final = {
    "primary": {"kind": "local", "memory_kib": "64", "passes": "1", "workers": "1"},
}
_CLIENT: Final = (
    *("address", "unlisted", "old_secret", "flow", "message_authenticator", "sign_replies", "reject_delay"),
    *("strip_realm", "password_encoding", "host_names"),
)
_RULE: Final = ("factors", "ceremonies", "user_verification", "on_clone")
"""What a rule says about a login; everything else in it says whose."""
_TOKEN: Final = ("hotp", "totp", "user", "digits", "algorithm", "step", "counter", "octets")
_KEY: Final = ("user", "u2f", "eddsa", "es384", "pin", "counter", "uncounted")
_ROW: Final = ("state", "valid_from", "valid_until")


@dataclass(frozen=True, slots=True)
class Device:
    """A RADIUS client as the player needs it."""

    name: str
    address: str
    secret: bytes
    signs: bool = True
    """Whether replies to it carry a Message-Authenticator."""


@dataclass(slots=True)
class Site:
    """A folder with everything that a daemon needs, and what the people in the conversation have."""

    folder: Path
    now: float
    head: tuple[Setting, ...]
    devices: dict[str, Device]
    settings: Settings
    vault: vault.Vault
    pocket: Pocket = field(default_factory=Pocket)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / DATABASE

    def registry(self) -> Registry:
        """Open the store for administration."""
        return Registry(self.database, self.vault, "conversation")

    def keyring(self) -> Keyring:
        """Open it to register keys."""
        return Keyring(self.database, self.vault, "conversation")


@dataclass(slots=True)
class Template:
    """A vault key and databases made under it, to be copied: many conversations begin with the same people."""

    folder: Path
    pockets: dict[str, Pocket] = field(default_factory=dict)
    """What the people of each database have, by the name of its file."""


def make_template(folder: Path) -> Template:
    """Make a vault key and an empty database."""
    create(folder / DATABASE, vault.create(folder / KEY))
    return Template(folder)


def build(conversation: Conversation, template: Template, folder: Path) -> Site:
    """Make the site of one conversation in ``folder``."""
    shutil.copy(template.folder / KEY, folder / KEY)
    head = conversation.head
    devices = _devices(head)
    clock = next((" ".join(setting.words) for setting in head if setting.noun == "clock"), START)
    now = datetime.fromisoformat(clock).replace(tzinfo=UTC).timestamp()
    site = Site(folder, now, head, devices, _configure(folder, head, devices), vault.load(folder / KEY))
    people = [setting for setting in head if setting.noun in {"user", "token", "key"}]
    who = repr((now, [(setting.noun, setting.words) for setting in people]))
    name = f"{hashlib.sha256(who.encode()).hexdigest()}.db"
    if name not in template.pockets:
        shutil.copy(template.folder / DATABASE, site.database)
        _populate(site, people)
        shutil.copy(site.database, template.folder / name)
        template.pockets[name] = site.pocket
    shutil.copy(template.folder / name, site.database)
    site.pocket = deepcopy(template.pockets[name])
    return site


def _populate(site: Site, people: Iterable[Setting]) -> None:
    with site.registry() as registry, site.keyring() as keyring:
        for setting in people:
            name, *words = setting.words
            match setting.noun:
                case "user":
                    _add_user(site, registry, keyring, setting)
                case "token":
                    _add_token(site, registry, setting.line, name, tuple(words))
                case "key":
                    _add_key(site, keyring, setting.line, name, tuple(words))


def reconfigure(site: Site, change: Setting) -> None:
    """Write another line into the configuration file; who and what is in the store stays."""
    about = (change.noun, change.words[0] if change.noun in {"client", "settings", "rule", "station"} else "")
    kept = [one for one in site.head if (one.noun, one.words[0] if about[1] else "") != about]
    place = next((number for number, one in enumerate(site.head) if one not in kept), len(kept))
    site.head = (*kept[:place], change, *kept[place:])
    site.settings = _configure(site.folder, site.head, site.devices)


# --- the configuration file ------------------------------------------------------------------------------------------


def _configure(folder: Path, head: Iterable[Setting], devices: dict[str, Device]) -> Settings:
    config = folder / "radiusd2fa.yaml"
    config.touch(0o600)
    config.write_text(_configuration(head, devices), encoding="utf-8")
    return load_settings(config)


def _devices(head: Iterable[Setting]) -> dict[str, Device]:
    devices = {}
    for number, setting in enumerate((one for one in head if one.noun == "client"), 11):
        name, *rest = setting.words
        wanted = options(tuple(rest), setting.line, *_CLIENT)
        address = wanted.get("address", f"127.0.0.{number}")
        devices[name] = Device(
            name, address, f"the secret of {name}, of 16 octets".encode(), "sign_replies" not in wanted
        )
    return devices


def _configuration(head: Iterable[Setting], devices: dict[str, Device]) -> str:
    sections = {name: dict(keys) for name, keys in _PROGRAM.items()}
    clients, rules, stations = [], [], []
    for setting in head:
        name = setting.words[0]
        keys = dict(word.partition("=")[::2] for word in setting.words[1:])
        match setting.noun:
            case "client" if "unlisted" not in keys:
                clients.append(f"  {name}: {_client(devices[name], keys)}")
            case "settings":
                sections.setdefault(name, {}).update(keys)
            case "primary":
                sections["primary"]["kind"] = name
            case "rule":
                rules.append(f"  - {_rule(name, keys)}")
            case "station":
                stations.append(f"  {name}: {_flow_mapping({key: f'[{value}]' for key, value in keys.items()})}")
        if setting.noun in {"key", "station"} or "key" in keys:
            sections.setdefault("fido", {}).setdefault("rp_id", RP_ID)
    lines = [
        'listen: {udp: ["127.0.0.1:0", "[::1]:0"]}',
        f"store: sqlite:///{DATABASE}",
        f"vault: {{key_file: {KEY}}}",
        "syslog: off",
        "log: {format: json}",
        *(f"{name}: {_flow_mapping(keys)}" for name, keys in sections.items()),
        "clients:",
        *clients,
        *(("rules:", *rules) if rules else ()),
        *(("stations:", *stations) if stations else ()),
    ]
    return "\n".join(lines) + "\n"


def _client(device: Device, keys: dict[str, str]) -> str:
    given = {key: value for key, value in keys.items() if key not in {"address", "old_secret"}}
    if "host_names" in given:
        given["host_names"] = f"[{given['host_names']}]"
    old = {"secret_old": f'"{OLD_SECRET.decode()}"'} if "old_secret" in keys else {}
    network = {"networks": f'["{device.address}"]', "secret": f'"{device.secret.decode()}"'}
    return _flow_mapping({**network, **old, "reject_delay": "0", **given})


def _rule(name: str, keys: dict[str, str]) -> str:
    said = {
        key: value if key in {"user_verification", "on_clone"} else f"[{value}]"
        for key, value in keys.items()
        if key in _RULE
    }
    when = {key: f"[{value}]" for key, value in keys.items() if key not in _RULE}
    return _flow_mapping({"name": name, "when": _flow_mapping(when), **said})


def _flow_mapping(keys: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


# --- people and tokens -----------------------------------------------------------------------------------------------


def _add_user(site: Site, registry: Registry, keyring: Keyring, setting: Setting) -> None:
    raw, *rest = setting.words
    words, name = tuple(rest), canonical(octets(raw))
    if name is None:
        raise setting.line.fault("this can be nobody's name")
    wanted = options(words, setting.line, "password", "groups", "hash", "disabled", "token", "key", *_TOKEN, *_ROW)
    hashed = wanted.get("hash")
    if "password" in wanted:
        hashed = hasher(site.settings.primary).hash(octets(wanted["password"]))
    registry.add_user(name, hashed, tuple(filter(None, wanted.get("groups", "").split(","))), site.now)
    if "disabled" in wanted:
        registry.set_enabled(name, site.now, enabled=False)
    if "token" in wanted:
        about = tuple(word for word in words if word.partition("=")[0] in {*_TOKEN, *_ROW})
        _add_token(site, registry, setting.line, wanted["token"], (*about, f"user={name}"))
    if "key" in wanted:
        _add_key(site, keyring, setting.line, wanted["key"], (f"user={name}",))


def _add_token(site: Site, registry: Registry, line: Line, serial: str, words: tuple[str, ...]) -> None:
    """Give a token to the store and its fob to the person."""
    wanted = options(words, line, *_TOKEN, *_ROW)
    fob = SoftFob(
        kind="totp" if "totp" in wanted else "hotp",
        secret=hashlib.sha512(serial.encode()).digest()[: int(wanted.get("octets", "20"))],
        digits=int(wanted.get("digits", "6")),
        algorithm=wanted.get("algorithm", "sha1"),
        step=int(wanted.get("step", "30")),
        counter=int(wanted.get("counter", "0")),
        serial=serial,
    )
    owner = wanted.get("user")
    site.pocket.fobs[serial] = fob
    site.pocket.owners[serial] = owner or ""
    token = Token(
        id=0,
        serial=serial,
        kind=fob.kind,
        moving_factor=fob.counter,
        secret=fob.secret,
        digits=fob.digits,
        algorithm=fob.algorithm,
        step=fob.step,
    )
    registry.add_token(token, owner, site.now)
    _write_row(site.database, serial, _row(site, wanted))


def _add_key(site: Site, keyring: Keyring, line: Line, serial: str, words: tuple[str, ...]) -> None:
    """Register a key as somebody's, and put it on the ring."""
    wanted = options(words, line, *_KEY, *_ROW)
    key = make_key(serial, wanted["user"], wanted)
    site.pocket.keychain.keys[serial] = key
    token = Token(id=0, serial=serial, kind="fido", moving_factor=key.counter, secret=bytes(key.credential), digits=0)
    keyring.add(key.owner, token, "", site.now)
    _write_row(site.database, serial, _row(site, wanted))


def _row(site: Site, wanted: Words) -> dict[str, str | float]:
    """What no command can write: a state, and the first and the last moment of a token."""
    row: dict[str, str | float] = {"state": wanted["state"]} if "state" in wanted else {}
    for key in ("valid_from", "valid_until"):
        if key in wanted:  # +1h or -1h, counted from the beginning of the conversation
            row[key] = site.now + int(wanted[key][0] + "1") * seconds(wanted[key][1:])
    return row


def _write_row(database: Path, serial: str, row: dict[str, str | float]) -> None:
    connection = sqlite3.connect(database)
    try:
        with connection:
            for key, value in row.items():
                connection.execute(f"UPDATE tokens SET {key} = ? WHERE serial = ?", (value, serial))  # noqa: S608 - our keys
    finally:
        connection.close()
