"""Distinguished names as text (RFC 4514): written with names of people in them, read, and compared.

Nothing here asks whether there is such an entry, and nothing is sent. Comparing folds case and blanks, as directories
do for nearly every attribute: two spellings that are the same here are the same entry there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

_SPECIAL: Final = frozenset('"+,;<>\\=')
_PLACE: Final = re.compile(r"\{([a-z]+)\}")
_TYPE: Final = re.compile(r" *([A-Za-z][A-Za-z0-9-]*|(?:OID\.)?\d+(?:\.\d+)+) *= *", re.IGNORECASE)
_ESCAPED: Final = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)
_VALUE: Final = re.compile(r'(?:\\.|[^\\,+;"])*', re.DOTALL)
_FIRST_PRINTABLE: Final = 0x20

Rdn = tuple[tuple[str, str], ...]
"""One step of a name: types in lower case with their values."""


def escape(value: str) -> str:
    """Return a value as it must stand in a distinguished name (RFC 4514 2.4)."""
    escaped = []
    for index, character in enumerate(value):
        at_an_end = index in {0, len(value) - 1}
        if ord(character) < _FIRST_PRINTABLE:
            escaped.append(f"\\{ord(character):02x}")
        elif character in _SPECIAL or (character == " " and at_an_end) or (character == "#" and index == 0):
            escaped.append("\\" + character)
        else:
            escaped.append(character)
    return "".join(escaped)


def is_dn(template: str) -> bool:
    """Tell whether a bind template is a distinguished name, and not a userPrincipalName or ``DOMAIN\\name``."""
    return _TYPE.match(template) is not None


def places(template: str) -> frozenset[str]:
    """Return the names of the places in a template."""
    return frozenset(_PLACE.findall(template))


def fill(template: str, names: Mapping[str, str], *, escaped: bool) -> str:
    """Put names into their places."""
    return _PLACE.sub(lambda place: escape(names[place[1]]) if escaped else names[place[1]], template)


def parse(dn: str) -> tuple[Rdn, ...]:
    """Take a distinguished name apart. ValueError: it is none."""
    if not dn:
        return ()
    steps: list[Rdn] = []
    step: list[tuple[str, str]] = []
    at = 0
    while True:
        kind = _TYPE.match(dn, at)
        if kind is None:
            raise ValueError("not a distinguished name")
        value = _VALUE.match(dn, kind.end())
        if value is None:  # pragma: no cover  # the pattern fits nothing as well
            raise ValueError("not a distinguished name")
        step.append((kind[1].lower(), _unescape(value[0])))
        at = value.end()
        if at == len(dn):
            return (*steps, tuple(step))
        if dn[at] in ",;":
            steps.append(tuple(step))
            step = []
        elif dn[at] != "+":
            raise ValueError("not a distinguished name")
        at += 1


def canonical(dn: str) -> str:
    """Return one spelling for all the ways to write a name; what cannot be read stays as it is, folded."""
    try:
        steps = parse(dn)
    except ValueError:
        return _fold(dn)
    return ",".join("+".join(sorted(f"{kind}={escape(_fold(value))}" for kind, value in step)) for step in steps)


def is_below(dn: str, base: str) -> bool:
    """Whether an entry stands below another one; what cannot be read stands nowhere."""
    try:
        return parse(canonical(dn))[-len(parse(base)) :] == parse(canonical(base))
    except ValueError:
        return False


def own_name(dn: str) -> str:
    """Return the value that an entry has below its parent, ``cn`` before others; nothing for what cannot be read."""
    try:
        step = dict(parse(dn)[0])
    except (ValueError, IndexError):
        return ""
    return step.get("cn") or next(iter(step.values()))


def _unescape(value: str) -> str:
    # blanks before the next separator mean nothing, unless the last of them is escaped
    trimmed = value.rstrip(" ")
    if trimmed.endswith("\\") and (len(trimmed) - len(trimmed.rstrip("\\"))) % 2:
        trimmed += " "
    octets = _ESCAPED.sub(_octet, trimmed.encode())
    return octets.decode(errors="replace")


def _octet(escaped: re.Match[bytes]) -> bytes:
    text = escaped[1]
    return bytes.fromhex(text.decode()) if len(text) > 1 else text


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())
