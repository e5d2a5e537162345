"""How the words about security keys are read: relying party, origin, host names, models, devices.

Nothing is guessed: an origin that no browser and no key would agree with is refused here, not at the first login.
WebAuthn 5.1.2 (RP ID), 13.4.9 (origin); RFC 1123 2.1 (host names); RFC 4122 (AAGUIDs are written as UUIDs).
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Final

from pydantic import ValidationInfo

from radiusd2fa.core.names import canonical_host
from radiusd2fa.settings.words import Surroundings, a_text, refused, surroundings
from radiusd2fa.settings.yaml_lines import Word

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# RFC 1123 2.1: "at least the highest-level component label will be alphabetic"; what ends in digits is an IPv4 address
_HIGHEST: Final = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_HIGHEST}")
_ORIGIN: Final = re.compile(r"https://([^:/]+)(?::([1-9][0-9]{0,4}))?")
_AAGUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


# --- the relying party -----------------------------------------------------------------------------------------------


def an_rp_id(word: Word, _: Surroundings) -> str:
    """Read the RP ID: a domain name, lower case, without scheme and port."""
    if _is_address(word):
        raise refused("is an address", "write a domain name, as in auth.example.org: WebAuthn knows no other RP IDs")
    if not _DOMAIN.fullmatch(word):
        remedy = "write it as auth.example.org: lower case, without https://, without a port or a dot at the end"
        raise refused("is no domain name", remedy)
    return str(word)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def an_origin(word: Word, _: Surroundings) -> str:
    """Read the origin that keys sign: https, a host, perhaps a port, and nothing else."""
    found = _ORIGIN.fullmatch(word)
    if found is None or not _DOMAIN.fullmatch(found[1]) or int(found[2] or 0) > 65535:
        remedy = 'write it as "https://auth.example.org": https, lower case, no user, no path, no slash at the end'
        raise refused("is no origin", remedy)
    if found[2] == "443":
        raise refused("names the port that https has anyway", "delete :443, because an origin is signed without it")
    return str(word)


def of_the_rp_id(origin: str, rp_id: str | None) -> str:
    """Return the origin, or the usual one when none is written; refuse one that the RP ID is no suffix of."""
    if rp_id is None:  # it was refused, which is fault enough
        return origin
    found = _ORIGIN.fullmatch(origin)
    host = rp_id if found is None else found[1]
    if host != rp_id and not host.endswith(f".{rp_id}"):
        raise refused("is not of this rp_id", "write https:// and the rp_id, or a host below it")
    if host != rp_id and "." not in rp_id:
        raise refused("is below an rp_id of one word", "write https:// and the rp_id: browsers accept no host below it")
    return origin or f"https://{rp_id}"


# --- hosts, models, files, devices -----------------------------------------------------------------------------------


def a_host_name(word: Word, _: Surroundings) -> str:
    """Read what people type behind ``ssh``, in the form in which a key signs it."""
    name = canonical_host(word)
    if name is None:
        remedy = "write what people type behind `ssh`, as in bastion.example.org: no user, no port, no brackets"
        raise refused("is no host name", remedy)
    return name


def an_aaguid(word: Word, around: Surroundings) -> str:
    """Read the id of a key model."""
    text = a_text(word, around)
    if not _AAGUID.fullmatch(text):
        raise refused("is no AAGUID", "write it as hardware/keys.yaml does: 32 hexadecimal digits in five groups")
    return text.lower()


def a_file(word: Word, around: Surroundings) -> Path:
    """Read the path of a file that must be there. Whether it can be read is for those to find out who register keys."""
    path = Path(os.path.normpath(around.folder / a_text(word, around)))
    try:
        found = path.is_file()
    except OSError:
        found = False
    if not found:
        raise refused("names no file", "write the path of one; a relative path begins beside this file")
    return path


def a_device(word: Word, around: Surroundings) -> Path:
    """Read the path of a USB key, which need not be plugged in now."""
    text = a_text(word, around)
    if not text.startswith("/"):
        raise refused("is no device path", "write it as /dev/hidraw0; `radiusd2fa key stations` shows what is there")
    path = Path(os.path.normpath(text))
    around.only_once("USB key", path, word.line)
    return path


def a_reader(word: Word, around: Surroundings) -> str:
    """Read how the name of an NFC reader begins, which need not be plugged in now."""
    name = a_text(word, around)
    around.only_once("reader", name, word.line)
    return name


# --- words of their own ----------------------------------------------------------------------------------------------


def none_or_section(raw: object) -> object:
    """``none`` is a word like any other here."""
    if isinstance(raw, Word) and raw == "none":
        return None
    if isinstance(raw, Word) and raw:
        raise refused("is neither none nor a set of keys", "write none, or {aaguids: [...], roots: [FILE.pem]}")
    return raw


def a_possible_factor(factor: str, info: ValidationInfo) -> str:
    """Refuse security keys where no relying party is set up."""
    if factor == "fido" and not surroundings(info).has_fido:
        raise refused("needs the section fido:", "add fido: {rp_id: auth.example.org}")
    return factor
