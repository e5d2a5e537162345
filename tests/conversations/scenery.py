"""Builds the site that a conversation's head describes: vault key, people and tokens.

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
from radiusd2fa.core.sheets import SHEETS, make, octets_wanted
from radiusd2fa.emulators.softfob import SoftFob
from radiusd2fa.primary.local import hasher
from radiusd2fa.settings import LocalSettings, Settings
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.keyring import Keyring
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.upgrade import create
from tests.factors.yubikey import YubiKey

from .authorities import Authority, authorities_in
from .configuration import DATABASE, KEY, Device, configure, devices_in
from .keychain import make_key
from .pocket import Pocket
from .transcript import Conversation, Line, Setting, Words, octets, options, seconds

START: Final = "2026-03-02 09:00:10"
"""When a conversation begins unless it says otherwise: ten seconds into a TOTP step."""

_CHEAP: Final = LocalSettings(memory_kib=64, passes=1)
_USER: Final = ("password", "groups", "skip", "hash", "disabled", "source", "id", "token", "key")
_TOKEN: Final = ("hotp", "totp", "yubico", "user", "digits", "algorithm", "step", "counter", "octets")
_KEY: Final = ("user", "u2f", "eddsa", "es384", "pin", "counter", "uncounted")
_SHEET: Final = ("user", "codes", *SHEETS)
_MOMENTS: Final = ("valid_from", "valid_until", "activate_by")
_ROW: Final = ("state", *_MOMENTS)


@dataclass(slots=True)
class Site:
    """A folder with everything that a daemon needs, and what the people in the conversation have."""

    folder: Path
    now: float
    head: tuple[Setting, ...]
    devices: dict[str, Device]
    settings: Settings
    vault: vault.Vault
    authorities: dict[str, Authority] = field(default_factory=dict)
    """Directories and upstream servers, by their names."""
    pocket: Pocket = field(default_factory=Pocket)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / DATABASE

    def registry(self) -> Registry:
        """Open the store for administration."""
        return Registry(SqliteFile(self.database), self.vault, "conversation")

    def keyring(self) -> Keyring:
        """Open it to register keys."""
        return Keyring(SqliteFile(self.database), self.vault, "conversation")


@dataclass(slots=True)
class Template:
    """A vault key and databases made under it, to be copied: many conversations begin with the same people."""

    folder: Path
    pockets: dict[str, Pocket] = field(default_factory=dict)
    """What the people of each database have, by the name of its file."""


def make_template(folder: Path) -> Template:
    """Make a vault key and an empty database."""
    create(SqliteFile(folder / DATABASE), vault.create(folder / KEY))
    return Template(folder)


def build(conversation: Conversation, template: Template, folder: Path) -> Site:
    """Make the site of one conversation in ``folder``."""
    shutil.copy(template.folder / KEY, folder / KEY)
    head = conversation.head
    devices, authorities = devices_in(head), authorities_in(head)
    clock = next((" ".join(setting.words) for setting in head if setting.noun == "clock"), START)
    now = datetime.fromisoformat(clock).replace(tzinfo=UTC).timestamp()
    settings = configure(folder, head, devices, authorities)
    site = Site(folder, now, head, devices, settings, vault.load(folder / KEY), authorities)
    people = [setting for setting in head if setting.noun in {"user", "token", "key", "sheet"}]
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
                case "sheet":
                    _add_sheet(site, registry, setting.line, name, tuple(words))
                case "key":
                    _add_key(site, keyring, setting.line, name, tuple(words))


def reconfigure(site: Site, change: Setting) -> None:
    """Write another line into the configuration file; who and what is in the store stays."""
    about = (change.noun, change.words[0] if change.noun != "primary" else "")
    kept = [one for one in site.head if (one.noun, one.words[0] if about[1] else "") != about]
    place = next((number for number, one in enumerate(site.head) if one not in kept), len(kept))
    site.head = (*kept[:place], change, *kept[place:])
    site.settings = configure(site.folder, site.head, site.devices, site.authorities)


# --- people and tokens -----------------------------------------------------------------------------------------------


def _add_user(site: Site, registry: Registry, keyring: Keyring, setting: Setting) -> None:
    raw, *rest = setting.words
    words, name = tuple(rest), canonical(octets(raw))
    if name is None:
        raise setting.line.fault("this can be nobody's name")
    wanted = options(words, setting.line, *_USER, *_TOKEN, *_ROW)
    hashed = wanted.get("hash")
    if "password" in wanted:
        local = next((one for one in site.settings.backends if isinstance(one, LocalSettings)), _CHEAP)
        hashed = hasher(local).hash(octets(wanted["password"]))
    groups = tuple(filter(None, wanted.get("groups", "").split(",")))
    source = wanted.get("source", "local")
    registry.add_user(name, hashed, groups, site.now, source=source, directory_id=wanted.get("id"))
    if "disabled" in wanted:
        registry.set_enabled(name, site.now, enabled=False)
    if "skip" in wanted:
        _write_row(site.database, "users", ("name", name), {"skip_until": _moment(site, wanted["skip"])})
    if "token" in wanted:
        about = tuple(word for word in words if word.partition("=")[0] in {*_TOKEN, *_ROW})
        _add_token(site, registry, setting.line, wanted["token"], (*about, f"user={name}"))
    if "key" in wanted:
        _add_key(site, keyring, setting.line, wanted["key"], (f"user={name}",))


def _add_token(site: Site, registry: Registry, line: Line, serial: str, words: tuple[str, ...]) -> None:
    """Give a token to the store and its fob to the person."""
    wanted = options(words, line, *_TOKEN, *_ROW)
    if "yubico" in wanted:
        _add_yubikey(site, registry, serial, wanted)
        return
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
    _write_row(site.database, "tokens", ("serial", serial), _row(site, wanted))


def _add_yubikey(site: Site, registry: Registry, serial: str, wanted: Words) -> None:
    octets = hashlib.sha512(serial.encode()).digest()
    key = YubiKey(octets[:16], octets[16:22], octets[22:28])
    site.pocket.yubikeys[serial] = key
    token = Token(id=0, serial=serial, kind="yubico", moving_factor=0, secret=key.secret, digits=key.digits)
    registry.add_token(token, wanted.get("user"), site.now)
    _write_row(site.database, "tokens", ("serial", serial), _row(site, wanted))


def _add_sheet(site: Site, registry: Registry, line: Line, serial: str, words: tuple[str, ...]) -> None:
    """Put a sheet of codes into somebody's drawer."""
    wanted = options(words, line, *_SHEET, *_ROW)
    sheet = next(SHEETS[kind] for kind in SHEETS if kind in wanted)
    count = int(wanted.get("codes", "3"))
    made = make(sheet, count, hashlib.shake_256(serial.encode()).digest(octets_wanted(sheet, count)))
    site.pocket.sheets[serial] = [sheet.spelled(code) for code in made.codes]
    token = Token(id=0, serial=serial, kind=sheet.kind, moving_factor=0, secret=made.secret, digits=sheet.length)
    registry.add_token(token, wanted["user"], site.now)
    _write_row(site.database, "tokens", ("serial", serial), _row(site, wanted))


def _add_key(site: Site, keyring: Keyring, line: Line, serial: str, words: tuple[str, ...]) -> None:
    """Register a key as somebody's, and put it on the ring."""
    wanted = options(words, line, *_KEY, *_ROW)
    key = make_key(serial, wanted["user"], wanted)
    site.pocket.keychain.keys[serial] = key
    token = Token(id=0, serial=serial, kind="fido", moving_factor=key.counter, secret=bytes(key.credential), digits=0)
    keyring.add(key.owner, token, "", site.now)
    _write_row(site.database, "tokens", ("serial", serial), _row(site, wanted))


def _row(site: Site, wanted: Words) -> dict[str, str | float]:
    """What no command can write: a state, and the first and the last moment of a token."""
    row: dict[str, str | float] = {"state": wanted["state"]} if "state" in wanted else {}
    return row | {key: _moment(site, wanted[key]) for key in _MOMENTS if key in wanted}


def _moment(site: Site, shift: str) -> float:
    """Read +1h or -1h, counted from the beginning of the conversation."""
    return site.now + int(shift[0] + "1") * seconds(shift[1:])


def _write_row(database: Path, table: str, which: tuple[str, str], row: dict[str, str | float]) -> None:
    connection = sqlite3.connect(database)
    try:
        with connection:
            for key, value in row.items():
                statement = f"UPDATE {table} SET {key} = ? WHERE {which[0]} = ?"  # noqa: S608 - our keys
                connection.execute(statement, (value, which[1]))
    finally:
        connection.close()
