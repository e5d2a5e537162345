"""One person, one name, and one host, one name: canonical forms, computed once and used for everything.

A name is refused rather than repaired; what cannot be a name is nobody's name. Tokens, locks, challenges and
audit rows are all keyed by the canonical form (RFC 8265 in spirit: NFC, case-folded, no controls). Security keys sign
the canonical form of a host (RFC 1123 2.1, RFC 5952).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

MAX_OCTETS: Final = 253
"""A User-Name attribute holds no more (RFC 2865 5.1)."""

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_HOST: Final = 253

_PLAIN: Final = r"[a-z0-9._-]+"
_ONE_READING: Final = re.compile(rf"{_PLAIN}|{_PLAIN}@{_PLAIN}|{_PLAIN}\\{_PLAIN}")
_NEVER_IN_A_NAME: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def canonical(raw: bytes) -> str | None:
    """Return the canonical name, or None when these octets can be nobody's name."""
    if len(raw) > MAX_OCTETS:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if text.isascii() and text.isalnum():  # the everyday name takes the short way
        return text.lower()
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    if not folded or folded != folded.strip() or any(map(_is_never_in_a_name, folded)):
        return None
    if len(folded.encode()) > MAX_OCTETS:  # folding can make a name longer
        return None
    return folded


def read_name(raw: bytes, *, strip_realm: bool) -> tuple[str | None, str]:
    """Return the canonical name, or None, and the realm that was typed with it, or "".

    ``strip_realm`` lets ``DOMAIN\\user`` and ``user@realm`` both mean ``user``.
    """
    name = canonical(raw)
    if name is None or name.isalnum():
        return name, ""
    user = bare(name)
    return (canonical(user.encode()) if strip_realm and user != name else name), split_realm(name)[1]


def bare(name: str) -> str:
    """Return a canonical name without all that could be a realm: what a backend may make of each of its spellings."""
    return name.rpartition("\\")[2].partition("@")[0]


def has_one_reading(name: str) -> bool:
    """Whether every system reads this name alike: plain ASCII, and no more than one realm, whichever side it is on."""
    return _ONE_READING.fullmatch(name) is not None


def canonical_group(text: str) -> str | None:
    """Return the one spelling of a group's name, or None: directories do not tell case, so neither do the rules."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return folded if folded and folded == folded.strip() and not any(map(_is_never_in_a_name, folded)) else None


def split_realm(name: str) -> tuple[str, str]:
    """Take a canonical name apart: ``user@realm`` and ``realm\\user`` are (user, realm); without one the realm is "".

    Of ``realm\\user@other`` both go, and the realm is the first. The last ``@`` counts: a realm holds none.
    """
    domain, backslash, user = name.partition("\\")
    if not backslash:
        user = name
    before, at, realm = user.rpartition("@")
    return before if at else user, domain if backslash else realm if at else ""


def _is_never_in_a_name(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _NEVER_IN_A_NAME or (category == "Zs" and character != " ")


# --- hosts -----------------------------------------------------------------------------------------------------------


def canonical_host(text: str) -> str | None:
    """Return the one spelling of what people type behind ``ssh``, or None when no host can be called that.

    The key's side and ours must spell a host alike, for the key signs it: names are lower case and lose one dot at the
    end, IPv4 addresses stay as they are, IPv6 addresses take the form of RFC 5952. Brackets and ports are refused, and
    so are zones: ``fe80::1%eth0`` is another host in each network.
    """
    if not text.isascii():
        return None
    if ":" in text:
        return _ipv6(text)
    name = text.lower().removesuffix(".")
    return name if len(name) <= _LONGEST_HOST and _HOST.fullmatch(name) else None


def _ipv6(text: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    if address.scope_id is not None:
        return None
    # RFC 5952 5: "mixed notation"; Python itself writes it so only since 3.13, and both sides need not run the same one
    return str(address) if address.ipv4_mapped is None else f"::ffff:{address.ipv4_mapped}"
