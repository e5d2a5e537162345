"""What one entry says about a person: who it is for ever, what they are called here, which groups they are in.

An id that was promised in the settings and cannot be read is trouble and never an account without one: tokens are tied
to it. RFC 4530 (entryUUID); objectGUID is a GUID whose first three parts are little-endian ([MS-DTYP] 2.3.4.2).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from radiusd2fa.core.names import canonical, canonical_group
from radiusd2fa.directory import dn, filters
from radiusd2fa.directory.filters import Comparison
from radiusd2fa.directory.messages import Entry
from radiusd2fa.directory.trouble import UnfitError

MOST_GROUPS: Final = 1000
_WINDOWS_GUID: Final = "objectguid"
_GUID_OCTETS: Final = 16
_HEX: Final = "hex:"
_WITHOUT_CASE: Final = frozenset({"entryuuid", "ipauniqueid", "nsuniqueid"})


def id_of(entry: Entry, attribute: str | None) -> str | None:
    """Return what stays the same when the person is renamed; None when the settings want no such thing."""
    if attribute is None:
        return None
    values = entry.attributes.get(attribute.lower(), ())
    if len(values) != 1 or not values[0]:
        raise UnfitError(f"{len(values) or 'no'} {attribute} can be read where one was expected (id_attribute)")
    return _id_text(attribute.lower(), values[0])


def id_octets(attribute: str, text: str) -> bytes:
    """Return what such an id is in the directory. ValueError: it is none."""
    if attribute.lower() == _WINDOWS_GUID:
        return uuid.UUID(text).bytes_le
    return bytes.fromhex(text.removeprefix(_HEX)) if text.startswith(_HEX) else text.encode()


def _id_text(attribute: str, value: bytes) -> str:
    if attribute == _WINDOWS_GUID:
        if len(value) != _GUID_OCTETS:
            raise UnfitError(f"an objectGUID of {len(value)} octets")
        return str(uuid.UUID(bytes_le=value))
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return _HEX + value.hex()
    if not text.isprintable() or text.startswith(_HEX):
        return _HEX + value.hex()
    return text.lower() if attribute in _WITHOUT_CASE else text


def is_called(entry: Entry, compared: Sequence[Comparison], names: filters.Names) -> bool:
    """Tell whether an entry that was found by a name has that very name.

    Directories find ``alice`` for ``al\u0131ce``-like twins too: other widths, accents, blanks. One person would have
    several names here, and tokens under one of them only (CVE-2020-12812 was of that kind).
    """
    seen = False
    for one in compared:
        wanted = canonical(filters.fill(one.value, names))
        for value in entry.attributes.get(one.attribute.lower(), ()):
            seen = True
            if wanted is not None and canonical(value) == wanted:
                return True
    if not seen:
        described = ", ".join(sorted({one.attribute for one in compared}))
        raise UnfitError(f"the attribute that holds the name ({described}) may not be read")
    return False


def name_of(entry: Entry, compared: Sequence[Comparison]) -> str | None:
    """Return what somebody has to type to be this entry."""
    for one in compared:
        take = filters.taking(one)
        for text in entry.texts(one.attribute):
            taken = take(text)
            if taken and (name := canonical(taken.encode())):
                return name
    return None


def group_names(dns: Iterable[str], *, whole: bool) -> tuple[str, ...]:
    """Return the canonical names of groups, sorted; a name that can be no group's is left out."""
    named = {canonical_group(dn.canonical(one) if whole else dn.own_name(one)) for one in dns}
    return tuple(sorted(name for name in named if name))


def member_of(entry: Entry) -> list[str]:
    """Return the groups that an entry itself names."""
    if any(attribute.startswith("memberof;range=") for attribute in entry.attributes):
        raise UnfitError(f"somebody is in more groups than can be read at once (at most {MOST_GROUPS})")
    found = entry.texts("memberOf")
    if len(found) > MOST_GROUPS:
        raise UnfitError(f"somebody is in more than {MOST_GROUPS} groups")
    return found
