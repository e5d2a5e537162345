"""Conditions of a rule on attributes of the request, checked against the dictionary once at start.

Nothing is compared here: ``core.attributes.AttributeCondition`` does it for each request, octet by octet.
RFC 2865 5.44 says what a request can hold, RFC 8044 3 how values are written.
"""

from __future__ import annotations

from collections.abc import Sequence

from radiusd2fa.core.attributes import AttributeCondition
from radiusd2fa.radius.data_types import AttributeFault, DataType, encode_text, encode_value, is_text
from radiusd2fa.radius.dictionary import Dictionary
from radiusd2fa.radius.lookup import Place, look_up
from radiusd2fa.radius.occurrence import refuse_as_condition


def compile_condition(dictionary: Dictionary, name: str, values: Sequence[str]) -> AttributeCondition:
    """Check one condition and make it ready. AttributeFault says what is wrong, never the value.

    The attribute must have one of the values; text may end with a star, for all that begins so. Case counts.
    """
    place = look_up(dictionary, name)
    refuse_as_condition(place.kind)
    if place.kind.encryption:
        raise AttributeFault("its value is hidden in packets", "leave it out")
    if place.tag is not None:
        raise AttributeFault("a condition does not look at tags", "leave out the colon and what follows it")
    if not values:
        raise AttributeFault("the condition has no value", "write one value or a list of them")
    exact: set[bytes] = set()
    prefixes: list[bytes] = []
    for value in values:
        if not is_text(place.kind.kind, value) or "*" not in value:
            exact.update(_spellings(place, value))
        elif value.index("*") < len(value) - 1:
            raise AttributeFault("a star stands elsewhere than at the end", "write one star, as the last character")
        else:
            prefixes.append(encode_text(value)[:-1])
    return AttributeCondition(
        name=name,
        number=place.number,
        vendor=place.vendor,
        vendor_type=place.vendor_type,
        layout=place.layout,
        tagged=place.kind.tagged,
        values=frozenset(exact),
        prefixes=tuple(prefixes),
    )


def _spellings(place: Place, value: str) -> list[bytes]:
    """All octets that mean the value: a NAS may send more of an IPv6 prefix than is needed (RFC 3162 2.3)."""
    kind = place.kind
    octets = encode_value(kind.kind, value, kind.values, tagged=kind.tagged)
    if kind.kind is not DataType.IPV6PREFIX:
        return [octets]
    return [octets.ljust(length, b"\0") for length in range(len(octets), 2 + 16 + 1)]
