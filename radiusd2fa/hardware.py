"""What is known of devices: a key's model by its AAGUID, a reader's troubles by its name, how long a battery lasts.

Nothing here opens a device, and nothing that is decided may depend on it: a name is for people to read.
WebAuthn 6.5.2 says what an AAGUID is; the facts, each with its source, stand in hardware/*.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeVar, cast
from uuid import UUID

import yaml

from radiusd2fa.shipped import places

Transport = Literal["usb", "nfc", "ble"]
Tree = str | dict[str, "Tree"] | list["Tree"]
Entry = TypeVar("Entry")

TRANSPORTS: Final[tuple[Transport, ...]] = ("usb", "nfc", "ble")
USB_NUMBERS: Final = re.compile("[0-9a-f]{4}:[0-9a-f]{4}")
NO_AAGUID: Final = UUID(int=0)
"""What a key without a model of its own sends: one that speaks U2F only, or whose attestation was taken out."""


class CatalogueError(Exception):
    """A file of the catalogue is missing or broken; the text says which, where, and what to do."""


@dataclass(frozen=True, slots=True)
class KeyModel:
    """One model of security key. ``transports`` is empty where nobody could be quoted."""

    ident: str
    name: str
    maker: str
    aaguids: tuple[UUID, ...]
    source: tuple[str, ...]
    tested: bool
    transports: tuple[Transport, ...] = ()
    fingerprint: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong with some readers: how it shows, and what to do or to run."""

    ident: str
    sign: str
    remedy: str
    source: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """One model of NFC reader. What nobody could be quoted for is empty, None or False."""

    ident: str
    name: str
    maker: str
    source: tuple[str, ...]
    tested: bool
    usb: str = ""
    """Vendor and product as lsusb shows them, such as 072f:2200."""
    pcsc_name: str = ""
    """How the name begins under which pcscd lists it."""
    apdu: Literal["", "short", "extended"] = ""
    message_octets: int | None = None
    fido: bool = False
    """Somebody reports a security key over it."""
    troubles: tuple[Trouble, ...] = ()
    note: str = ""


# --- what can be asked ------------------------------------------------------------------------------------------------


def key_model(aaguid: UUID) -> KeyModel | None:
    """Return the model with this AAGUID, or None. Raises CatalogueError where the catalogue cannot be read."""
    return None if aaguid == NO_AAGUID else key_models().get(aaguid)


def reader_named(pcsc_name: str) -> Reader | None:
    """Return the reader that pcscd lists under this name, slot number and all, or None."""
    fitting = [reader for reader in readers() if reader.pcsc_name and pcsc_name.startswith(reader.pcsc_name)]
    return max(fitting, key=lambda reader: len(reader.pcsc_name), default=None)


def reader_at(vid: int, pid: int) -> Reader | None:
    """Return the reader with these USB numbers, or None: for one that is plugged in and that pcscd does not list."""
    return next((reader for reader in readers() if reader.usb == f"{vid:04x}:{pid:04x}"), None)


@cache
def key_models() -> Mapping[UUID, KeyModel]:
    """Return all known models by AAGUID; read once."""
    return read_keys(folder() / "keys.yaml")


@cache
def readers() -> tuple[Reader, ...]:
    """Return all known readers; read once."""
    return read_readers(folder() / "readers.yaml")


@cache
def battery_years() -> Mapping[str, float]:
    """Return the years that makers promise of a battery, by what people call the device, in small letters."""
    path = folder() / "devices.yaml"
    promised: dict[str, float] = {}
    for years, names in _Map(_load(path), str(path)).entries("devices", _battery):
        promised |= dict.fromkeys(names, years) if years is not None else {}
    return promised


@cache
def folder() -> Path:
    """Return where the catalogue and the rule files lie: in a checkout, or where the package has put its data."""
    catalogues = places("hardware/keys.yaml")
    for catalogue in catalogues:
        if catalogue.is_file():
            return catalogue.parent
    looked = ", ".join(str(catalogue.parent) for catalogue in catalogues)
    raise CatalogueError(f"keys.yaml is in none of {looked}; install the package again")


# --- the files --------------------------------------------------------------------------------------------------------


def read_keys(path: Path) -> dict[UUID, KeyModel]:
    """Read a file such as hardware/keys.yaml. Raises CatalogueError with the entry that is wrong."""
    top = _Map(_load(path), str(path))
    top.keep_to("sources", "keys")
    sources = top.texts_by_name("sources")
    models: dict[UUID, KeyModel] = {}
    for model in top.entries("keys", lambda entry: _key_model(entry, sources)):
        for aaguid in model.aaguids:
            if aaguid in models:
                raise CatalogueError(f"{path}: {model.ident}: {aaguid} belongs to {models[aaguid].ident} already")
            models[aaguid] = model
    return models


def read_readers(path: Path) -> tuple[Reader, ...]:
    """Read a file such as hardware/readers.yaml. Raises CatalogueError with the entry that is wrong."""
    top = _Map(_load(path), str(path))
    top.keep_to("sources", "troubles", "readers")
    sources = top.texts_by_name("sources")
    troubles = {trouble.ident: trouble for trouble in top.entries("troubles", lambda entry: _trouble(entry, sources))}
    return tuple(top.entries("readers", lambda entry: _reader(entry, sources, troubles)))


def _battery(entry: _Map) -> tuple[float | None, tuple[str, ...]]:
    name, years = entry.text("name"), entry.text("battery_years", otherwise="none")
    if years != "none" and not (years.isascii() and years.isdecimal()):
        raise entry.wrong("battery_years", "must be a number of years, or none")
    names = (entry.ident, name, f"{entry.text('maker')} {name}")
    return None if years == "none" else float(years), tuple(one.casefold() for one in names)


def _key_model(entry: _Map, sources: Mapping[str, str]) -> KeyModel:
    entry.keep_to("name", "maker", "aaguids", "source", "tested", "transports", "fingerprint", "note")
    transports = entry.words("transports", TRANSPORTS)
    return KeyModel(
        ident=entry.ident,
        name=entry.text("name"),
        maker=entry.text("maker"),
        aaguids=tuple(entry.aaguid(text) for text in entry.some("aaguids")),
        source=entry.sources(sources),
        tested=entry.truth("tested"),
        transports=cast("tuple[Transport, ...]", transports),
        fingerprint=entry.truth("fingerprint", otherwise=False),
        note=entry.text("note", otherwise=""),
    )


def _trouble(entry: _Map, sources: Mapping[str, str]) -> Trouble:
    entry.keep_to("sign", "remedy", "source")
    return Trouble(entry.ident, entry.text("sign"), entry.text("remedy"), entry.sources(sources))


def _reader(entry: _Map, sources: Mapping[str, str], troubles: Mapping[str, Trouble]) -> Reader:
    known = ("name", "maker", "usb", "pcsc_name", "apdu", "message_octets", "fido", "troubles")
    entry.keep_to(*known, "source", "tested", "note")
    apdu = entry.text("apdu", otherwise="")
    if apdu not in {"", "short", "extended"}:
        raise entry.wrong("apdu", "must be short or extended")
    usb = entry.text("usb", otherwise="")
    if usb and not USB_NUMBERS.fullmatch(usb):
        raise entry.wrong("usb", "must be vendor and product in small letters, such as 072f:2200")
    octets = entry.text("message_octets", otherwise="")
    if octets and not (octets.isascii() and octets.isdigit()):
        raise entry.wrong("message_octets", "must be a number")
    return Reader(
        ident=entry.ident,
        name=entry.text("name"),
        maker=entry.text("maker"),
        source=entry.sources(sources),
        tested=entry.truth("tested"),
        usb=usb,
        pcsc_name=entry.text("pcsc_name", otherwise=""),
        apdu=cast("Literal['', 'short', 'extended']", apdu),
        message_octets=int(octets) if octets else None,
        fido=entry.truth("fido", otherwise=False),
        troubles=tuple(troubles[name] for name in entry.words("troubles", tuple(troubles))),
        note=entry.text("note", otherwise=""),
    )


def _load(path: Path) -> Tree:
    # The base loader leaves every value the text that it was: no octal numbers, no truth values, no objects.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return cast("Tree", yaml.load(path.read_text(encoding="utf-8"), Loader=loader))  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise CatalogueError(f"{path}: {fault}; install the package again") from None


@dataclass(frozen=True, slots=True)
class _Map:
    """A part of a file: a map whose values are asked for by name and type. Each fault names file, entry and key."""

    tree: Tree
    file: str
    ident: str = ""

    def wrong(self, key: str, why: str) -> CatalogueError:
        return CatalogueError(": ".join(part for part in (self.file, self.ident, key, why) if part))

    def _all(self) -> dict[str, Tree]:
        if not isinstance(self.tree, dict):
            raise self.wrong("", "must be a map of names")
        return self.tree

    def keep_to(self, *known: str) -> None:
        for key in self._all():
            if key not in known:
                raise self.wrong(key, f"is not a key; known are {', '.join(known)}")

    def text(self, key: str, *, otherwise: str | None = None) -> str:
        value = self._all().get(key, otherwise)
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str) or (not value and otherwise is None):
            raise self.wrong(key, "must be a text")
        return value

    def truth(self, key: str, *, otherwise: bool | None = None) -> bool:
        value = self.text(key, otherwise=None if otherwise is None else str(otherwise).lower())
        if value not in {"true", "false"}:
            raise self.wrong(key, "must be true or false")
        return value == "true"

    def some(self, key: str) -> tuple[str, ...]:
        """Return a list of at least one text, none of them twice; nothing where the key is missing."""
        if key not in self._all():
            raise self.wrong(key, "is missing")
        value = self._all()[key]
        texts = [item for item in value if isinstance(item, str) and item] if isinstance(value, list) else []
        if not texts or len(texts) != len(set(texts)) or not isinstance(value, list) or len(texts) != len(value):
            raise self.wrong(key, "must be a list of texts, none of them twice")
        return tuple(texts)

    def words(self, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of known words; an empty one where the key is missing."""
        found = self.some(key) if key in self._all() else ()
        if unknown := [word for word in found if word not in known]:
            raise self.wrong(key, f"{unknown[0]} is unknown; known are {', '.join(known)}")
        return found

    def aaguid(self, text: str) -> UUID:
        try:
            aaguid = UUID(text)
        except ValueError:
            raise self.wrong("aaguids", f"{text} is not a UUID") from None
        if str(aaguid) != text or aaguid == NO_AAGUID:
            raise self.wrong("aaguids", f"{text} must be a UUID in small letters, and not zero")
        return aaguid

    def sources(self, known: Mapping[str, str]) -> tuple[str, ...]:
        """Return addresses, or paths of files in this project."""
        names = self.some("source")
        for name in names:
            if name not in known and "/" not in name:
                raise self.wrong("source", f"{name} is not in the list of sources")
        return tuple(known.get(name, name) for name in names)

    def texts_by_name(self, key: str) -> dict[str, str]:
        inner = _Map(self._all().get(key, {}), self.file, key)
        return {name: inner.text(name) for name in inner._all()}

    def entries(self, key: str, make: Callable[[_Map], Entry]) -> list[Entry]:
        inner = _Map(self._all().get(key, {}), self.file, key)
        return [make(_Map(tree, self.file, name)) for name, tree in inner._all().items()]
