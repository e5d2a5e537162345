"""How one word of the file becomes something outside it: an address, a network, a file, a shared secret.

Only files of secrets are opened here; no name is resolved, no socket bound.
RFC 2865 3 (clients are known by source address and shared secret), RFC 5424 6.2.1 (facilities).
"""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Final, Literal, cast

from radiusd2fa.core.names import canonical
from radiusd2fa.settings.files import mode_of, open_to_others, read_small_file
from radiusd2fa.settings.values import Endpoint, Network
from radiusd2fa.settings.words import Surroundings, a_text, closest, refused
from radiusd2fa.settings.yaml_lines import Word

MAX_SECRET: Final = 1024
DEFAULT_KEY_FILE: Final = "vault.key"

_SYSTEM_FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news"),
    *("uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock"),
)
FACILITIES: Final = {
    **dict(zip(_SYSTEM_FACILITIES, range(16), strict=True)),
    **{f"local{number}": 16 + number for number in range(8)},
}

_ENDPOINT: Final = re.compile(r"(?:\[([^\]\[]+)\]|([^:\]\[]+)):([0-9]{1,5})")
_SYSLOG: Final = re.compile(r"(udp|tcp)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_IPV4_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_ONE_CHARACTER_PER_OCTET: Final = re.compile(r"iso8859-(?:[1-9]|1[0-6])|cp125[0-8]|cp437|cp850|koi8-[ru]")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where syslog goes: a path, or a host and a port."""

    scheme: Literal["unix", "udp", "tcp"] = "unix"
    path: str = "/dev/log"
    host: str = ""
    port: int = 0


# --- addresses -------------------------------------------------------------------------------------------------------


def an_endpoint(word: Word, around: Surroundings) -> Endpoint:
    """Read an address and a port to listen on."""
    examples = 'write an address and a port, as in "0.0.0.0:1812" or "[::]:1812"'
    found = _ENDPOINT.fullmatch(word)
    if found is None:
        raise refused("is not an address with a port", examples)
    six, four, port = found[1], found[2], int(found[3])
    try:
        address = ip_address(six or four)
    except ValueError:
        raise refused("is not an IP address with a port", examples) from None
    if (address.version == 6) != (six is not None):
        raise refused("has its brackets in the wrong place", examples)
    if port > 65535:
        raise refused("has a port above 65535", examples)
    endpoint = Endpoint(str(address), port)
    if port:
        around.only_once("address", endpoint, word.line)
    return endpoint


def a_network(word: Word, around: Surroundings) -> Network:
    """Read a client's address, or network in CIDR notation; no two clients have the same."""
    network = some_addresses(word, around)
    around.only_once("network", network, word.line)
    return network


def some_addresses(word: Word, _: Surroundings) -> Network:
    """Read an address, or a network in CIDR notation."""
    network = as_network(word)
    if network is None:
        raise refused("is not a network", "write it as 192.0.2.10, 192.0.2.0/24 or 2001:db8::/64")
    if ip_interface(str(word)).ip != ip_interface(str(word)).network.network_address:
        raise refused("has host bits beyond its prefix", f"write {network}, or the address alone")
    return network


def as_network(text: str) -> Network | None:
    """Read an address or a network; an IPv4 network mapped into IPv6 becomes IPv4 again. None when it is neither."""
    try:
        network = ip_interface(str(text)).network
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    return network


def a_destination(word: Word, around: Surroundings) -> Destination:
    """Read where syslog messages go."""
    text = a_text(word, around)
    examples = "write unix:/dev/log, udp://HOST:514 or tcp://HOST:514"
    scheme, _, path = text.partition(":")
    if scheme == "unix" and path and not path.startswith("//"):
        return Destination("unix", path=str(_absolute(path, around)))
    found = _SYSLOG.fullmatch(text)
    if found is None or not 1 <= int(found[4]) <= 65535:
        raise refused("is not a place for syslog", examples)
    return Destination(cast("Literal['udp', 'tcp']", found[1]), path="", host=found[2] or found[3], port=int(found[4]))


# --- the vault -------------------------------------------------------------------------------------------------------


def a_key_file(word: Word, around: Surroundings) -> Path:
    """Read where the vault key lies."""
    return closed_key_file(_absolute(a_text(word, around), around), around)


def default_key_file(around: Surroundings) -> Path:
    """Return systemd's credential where there is one, else the file beside the configuration."""
    if around.credentials is not None and (credential := around.credentials / DEFAULT_KEY_FILE).exists():
        return closed_key_file(credential, around)
    return closed_key_file(around.folder / DEFAULT_KEY_FILE, around)


def closed_key_file(path: Path, around: Surroundings) -> Path:
    """Pass a key file on unless others can open it. Whether there is one is for the vault to find out."""
    mode = mode_of(path)
    if mode is not None and open_to_others(path, mode, around.credentials):
        raise refused("names a key file that others than its owner can open", "run chmod 600 on it")
    return path


def _absolute(path: str, around: Surroundings) -> Path:
    return Path(os.path.normpath(around.folder / path))


# --- shared secrets --------------------------------------------------------------------------------------------------


def a_secret(word: Word, around: Surroundings) -> bytes:
    """Read a shared secret that stands in the file."""
    if word.style not in ('"', "'"):
        raise refused("is not in quotes", "put the secret in quotes, so that no digit and no # in it is lost")
    if not word:
        raise refused("is empty", "write a secret of 16 characters or more")
    if not word.isprintable():
        raise refused("holds a character that cannot be printed", "put such a secret into a file: secret_file")
    secret = word.encode()
    if len(secret) > MAX_SECRET:
        raise refused("is too long", f"write at most {MAX_SECRET} octets")
    if around.readable_by_others:
        remedy = "run chmod 600 on this file, or move the secret into a secret_file"
        raise refused("is a secret in a file that others than its owner can open", remedy)
    return secret


def a_secret_file(word: Word, around: Surroundings) -> bytes:
    """Read a shared secret from a file of its own. One line end after it is not part of it."""
    path = _absolute(a_text(word, around), around)
    try:
        opened = read_small_file(path, MAX_SECRET + 2)
    except OSError as error:
        remedy = "name a file that holds the secret alone, with a path that begins beside this file or with /"
        raise refused(f"names a file that cannot be read ({error.strerror})", remedy) from None
    if open_to_others(path, opened.mode, around.credentials):
        raise refused("names a file that others than its owner can open", "run chmod 600 on it")
    content = opened.content
    secret = content.removesuffix(b"\r\n" if content.endswith(b"\r\n") else b"\n")
    if not secret:
        raise refused("names an empty file", "put a secret of 16 characters or more into it")
    if b"\n" in secret:
        raise refused("names a file of more than one line", "leave the secret alone in it")
    if len(secret) > MAX_SECRET:
        raise refused("names a file that is too long for a secret", f"write at most {MAX_SECRET} octets")
    return secret


# --- names -----------------------------------------------------------------------------------------------------------


def a_user(word: Word, around: Surroundings) -> str:
    """Read a user name in the form in which the daemon knows users."""
    name = canonical(a_text(word, around).encode())
    if name is None:
        raise refused("can be nobody's name", "write it without spaces at its ends, in 253 octets or less")
    return name


def a_known_client(word: Word, around: Surroundings) -> str:
    """Read the name of a client of this file."""
    name = a_text(word, around)
    if name not in around.clients:
        meant = closest(name, around.clients)
        hint = f"did you mean {meant}?" if meant else "write one of the names under `clients:`"
        raise refused("is not a client of this file", hint)
    return name


def an_encoding(word: Word, around: Surroundings) -> str | None:
    """Read the encoding to try when a password is not UTF-8; ``utf-8`` means none.

    Only encodings with one character per octet: others have several spellings of one password.
    """
    try:
        name = codecs.lookup(a_text(word, around)).name
    except LookupError:
        name = ""
    if name == "utf-8":
        return None
    if not _ONE_CHARACTER_PER_OCTET.fullmatch(name):
        raise refused("is not an encoding for passwords", "write latin-1, cp1252 or another single-octet one, or utf-8")
    return name
