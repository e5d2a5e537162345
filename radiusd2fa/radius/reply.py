"""Reply attributes: what a site writes under ``reply:``, checked once at start and encoded for each Access-Accept.

Nothing is cut to fit or left out: what a login would make unsayable is an UnsayableReply, and must end in a refusal.
RFC 2865 5 and 5.26, RFC 2868 3, RFC 8044 3.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

from radiusd2fa.core.attributes import Person, ReplyAttribute, Substitution
from radiusd2fa.core.names import canonical_group
from radiusd2fa.radius.data_types import AttributeFault, DataType, encode_text, encode_value, is_printable, is_text
from radiusd2fa.radius.dictionary import AttributeType, Dictionary
from radiusd2fa.radius.lookup import Place, look_up
from radiusd2fa.radius.occurrence import is_single, refuse_in_accept
from radiusd2fa.radius.wrapping import capacity, hidden_octets, hide, salt_of, wrap

_HEADER: Final = 2
_LONGEST_NAME: Final = 253
_AS_PASSWORD, _WITH_SALT, _ASCEND = 1, 2, 3

_SUBSTITUTION: Final = re.compile(r"%(?:(%)|\{([a-z]+)\})?")
_DIVIDERS: Final = frozenset(';,=|&"<>*')
"""What divides values inside an attribute (``Class: group1;group2``, ``Cisco-AVPair``): no name may bring its own."""
_WHOLE_NAMES: Final = frozenset({1, 89})
"""User-Name and Chargeable-User-Identity hold a name and nothing else."""


class UnsayableReply(ValueError):  # noqa: N818  what it is, not that it is an error
    """An attribute cannot hold what this login would put into it. The text names the attribute, never the value."""


# --- at start --------------------------------------------------------------------------------------------------------


def compile_reply(dictionary: Dictionary, name: str, value: str, *, rule_groups: Collection[str]) -> ReplyAttribute:
    """Check one attribute against the dictionary and make it ready. AttributeFault says what is wrong, never the value.

    ``rule_groups`` are the groups that the rule names, spelled as the NAS shall read them; ``%{group}`` makes one
    attribute for each of them that the person is in, in the order of the alphabet.
    """
    place = look_up(dictionary, name)
    refuse_in_accept(place.kind)
    _refuse_encryption(place.kind)
    template = _template(place, value)
    single = is_single(place.kind)
    made = partial(
        ReplyAttribute,
        name=name,
        number=place.number,
        vendor=place.vendor,
        vendor_type=place.vendor_type,
        layout=place.layout,
        tag=_tag_octet(place),
        salted=place.kind.encryption == _WITH_SALT,
        groups=_groups(rule_groups, single=single) if Substitution.GROUP in template else (),
        single=single,
    )
    attribute = made(template=template)
    _refuse_what_never_fits(attribute)
    if attribute.salted or not _is_fixed(template):
        return attribute
    return made(pair=(place.number, wrap(attribute, _fill(attribute, {}))))


def longest(attributes: Sequence[ReplyAttribute]) -> int:
    """How many octets these take in a packet at most, whoever logs in."""
    return sum(_longest(attribute) for attribute in attributes)


def _longest(attribute: ReplyAttribute) -> int:
    if attribute.pair is not None:
        return _HEADER + len(attribute.pair[1])
    octets = 0
    for words in _known_words(attribute):
        value = sum(
            len(part) if isinstance(part, bytes) else len(words[part].encode()) if part in words else _LONGEST_NAME
            for part in attribute.template
        )
        value = min(value, capacity(attribute))
        if attribute.salted:
            value = hidden_octets(value)
        octets += _HEADER + len(wrap(attribute, bytes(value)))
    return octets


def said_twice(attributes: Sequence[ReplyAttribute]) -> tuple[str, ...]:
    """Return the names of those that come more than once and may not (RFC 2865 5.44)."""
    seen: dict[int, int] = {}
    for attribute in attributes:
        if attribute.single:
            seen[attribute.number] = seen.get(attribute.number, 0) + 1
    return tuple({entry.name: 0 for entry in attributes if entry.single and seen[entry.number] > 1})


def _refuse_encryption(kind: AttributeType) -> None:
    if kind.encryption == _AS_PASSWORD:
        raise AttributeFault("it is hidden as a User-Password is, which replies cannot do", "leave it out")
    if kind.encryption == _ASCEND:
        raise AttributeFault("it is hidden in a way of Ascend's that is not supported", "leave it out")


def _tag_octet(place: Place) -> int | None:
    """The octet in front of the value, if there is one."""
    if not place.kind.tagged:
        return None
    if place.tag is None and place.kind.kind is DataType.STRING and place.kind.encryption != _WITH_SALT:
        # RFC 2868 3.3: "If the Tag field is greater than 0x1F, it SHOULD be interpreted as the first byte of the
        # following String field." So text needs none, and switches that know nothing of tags read it right.
        return None
    # RFC 2868 3.1: "If the Tag field is unused, it MUST be zero (0x00)."
    return place.tag or 0


def _template(place: Place, value: str) -> tuple[bytes | Substitution, ...]:
    """What the value is made of: octets and substitutions."""
    kind = place.kind
    if not is_text(kind.kind, value) or kind.size is not None:
        octets = encode_value(kind.kind, value, kind.values, tagged=kind.tagged)
        if kind.size is not None and len(octets) != kind.size:
            raise AttributeFault("the value has another length", f"write {kind.size} octets")
        return (octets,)
    encode_text(value)
    return _parts(value)


def _parts(value: str) -> tuple[bytes | Substitution, ...]:
    parts: list[bytes | Substitution] = []
    plain, at = "", 0
    for found in _SUBSTITUTION.finditer(value):
        plain += value[at : found.start()]
        at = found.end()
        if found[1]:
            plain += "%"
            continue
        if found[2] not in set(Substitution):
            known = ", ".join(f"%{{{word}}}" for word in Substitution)
            raise AttributeFault("a percent sign stands before something unknown", f"write %% for it, or {known}")
        if plain:
            parts.append(plain.encode())
            plain = ""
        parts.append(Substitution(found[2]))
    plain += value[at:]
    return (*parts, plain.encode()) if plain else tuple(parts)


def _groups(rule_groups: Collection[str], *, single: bool) -> tuple[tuple[str, str], ...]:
    groups = {canonical_group(group) or group: group for group in sorted(rule_groups)}
    if not groups:
        raise AttributeFault(
            "%{group} stands for the groups that the rule names, and it names none",
            "say under when: which groups the rule is for",
        )
    if single and len(groups) > 1:
        raise AttributeFault(
            "an Access-Accept holds one of it at most, and %{group} makes one for each group",
            "write a rule for each group",
        )
    return tuple(groups.items())


def _refuse_what_never_fits(attribute: ReplyAttribute) -> None:
    room = capacity(attribute)
    for words in _known_words(attribute):
        least = sum(
            len(part) if isinstance(part, bytes) else len(words.get(part, "").encode()) for part in attribute.template
        )
        if least > room:
            raise AttributeFault("the value is too long for one attribute", f"write {room} octets at most")


def _known_words(attribute: ReplyAttribute) -> list[Mapping[Substitution, str]]:
    """What is known of the substitutions before anybody logs in, once for each attribute that may come of it."""
    return [{Substitution.GROUP: sent} for _, sent in attribute.groups] or [{}]


def _is_fixed(template: tuple[bytes | Substitution, ...]) -> bool:
    return all(isinstance(part, bytes) for part in template)


# --- for each login --------------------------------------------------------------------------------------------------


def encode(
    attributes: Sequence[ReplyAttribute],
    person: Person,
    secret: bytes,
    authenticator: bytes,
    salts: bytes,
) -> tuple[tuple[int, bytes], ...]:
    """Type and value of each attribute of an Access-Accept to the request with this authenticator.

    ``salts`` are unpredictable octets, at least two, however much there is to hide. Raises UnsayableReply.
    """
    pairs: list[tuple[int, bytes]] = []
    hidden = 0
    for attribute in attributes:
        if attribute.pair is not None:
            pairs.append(attribute.pair)
            continue
        for words in _words(attribute, person):
            value = _fill(attribute, words)
            if attribute.salted:
                value = hide(value, salt_of(salts, hidden), secret, authenticator)
                hidden += 1
            pairs.append((attribute.number, wrap(attribute, value)))
    return tuple(pairs)


def _words(attribute: ReplyAttribute, person: Person) -> list[Mapping[Substitution, str]]:
    """What the substitutions stand for, once for each attribute that comes of it."""
    names = {Substitution.USER: person.user, Substitution.NAME: person.name, Substitution.REALM: person.realm}
    if attribute.vendor or attribute.number not in _WHOLE_NAMES:
        for part in attribute.template:
            if not isinstance(part, bytes) and not _DIVIDERS.isdisjoint(names.get(part, "")):
                raise UnsayableReply(f"{attribute.name}: the {part} has a character that divides values")
    if not attribute.groups:
        return [names]
    return [names | {Substitution.GROUP: sent} for group, sent in attribute.groups if group in person.groups]


def _fill(attribute: ReplyAttribute, words: Mapping[Substitution, str]) -> bytes:
    """The value in the clear."""
    value = b"".join(
        [part if isinstance(part, bytes) else _word(attribute, words[part]) for part in attribute.template]
    )
    # RFC 2865 5: "Text of length zero (0) MUST NOT be sent; omit the entire attribute instead." To leave out what a
    # rule says would let somebody in under other terms.
    if not value:
        raise UnsayableReply(f"{attribute.name}: nothing is left to say")
    if len(value) > capacity(attribute):
        raise UnsayableReply(f"{attribute.name}: {len(value)} octets are too long for one attribute")
    return value


def _word(attribute: ReplyAttribute, word: str) -> bytes:
    if not is_printable(word):
        raise UnsayableReply(f"{attribute.name}: a name has control or invisible characters")
    return word.encode()
