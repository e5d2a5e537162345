"""pydantic's errors told as faults: the line, the key as it stands in the file, and a plain sentence with a remedy.

pydantic's own text never gets out, because it quotes what it was given.
Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from pydantic import Tag, ValidationError
from pydantic_core import ErrorDetails

from radiusd2fa.settings.backends import KINDS, TAGS
from radiusd2fa.settings.models import Root
from radiusd2fa.settings.section import Section
from radiusd2fa.settings.words import REFUSED, alternatives, closest
from radiusd2fa.settings.yaml_lines import Document, Flaw, Path, Word

LATER: Final = frozenset({"portal", "tls"})
"""Keys of the design that this version does not have."""

_HOW_TO_WRITE: Final = {
    "listen": 'add listen: {udp: ["0.0.0.0:1812", "[::]:1812"]}',
    "udp": 'add udp: ["0.0.0.0:1812"]',
    "store": "add store: sqlite:///radiusd2fa.db",
    "clients": 'add clients: {NAME: {networks: [192.0.2.10], secret: "..."}}',
    "networks": "add networks: [192.0.2.10]",
    "name": "add name: and a word for the log",
    "stations.clients": "add clients: and the names of those whose logins may be answered there",
    "<ldap>.servers": 'add servers: ["ldaps://dc1.example.org"]',
    "<radius>.servers": "add servers: [{address: 192.0.2.40, secret_file: FILE}]",
    "address": "add address: 192.0.2.40",
    "until": "add until: 2027-01-31, the last day on which it holds",
    "rp_id": "add rp_id: auth.example.org",
    "aaguids": "add aaguids: and a list of key models, or write attestation: none",
}


def known_keys() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return every place of the file with the keys that it knows; ``*`` stands for a name or a list position."""
    return dict(_KEYS)


def as_flaws(error: ValidationError, document: Document) -> list[Flaw]:
    """Tell each error of a validation as a flaw of the document."""
    return [_as_flaw(details, document) for details in error.errors(include_url=False)]


def _as_flaw(details: ErrorDetails, document: Document) -> Flaw:
    path: Path = tuple(part for part in details["loc"] if part != "[key]")
    problem, remedy = "is not accepted here", "compare it with config/radiusd2fa.yaml"
    match details["type"]:
        case _ if details["type"] == REFUSED:
            context = details["ctx"]
            problem, remedy = context["problem"], context["remedy"]
            if context["key"]:
                path = (*path[:-1], context["key"])
        case "union_tag_invalid":
            path = (*path, "kind")
            problem, remedy = "is not one of the choices", _kind_meant(details["input"])
        case "missing":
            problem = "is missing"
            names = (".".join(map(str, path[-2:])), f"{path[0]}.{path[-1]}", str(path[-1]))
            remedy = next((_HOW_TO_WRITE[name] for name in names if name in _HOW_TO_WRITE), "add it")
        case "extra_forbidden":
            problem, remedy = _unknown_key(path)
            if details["input"] == "":  # in `{secret, abc}` the forgotten colon makes the secret a key
                path = (*path[:-1], "?")
        case "model_type" | "dict_type" | "model_attributes_type":
            problem, remedy = "is not a set of keys", "write its keys below it, each with a value"
            if isinstance(details["input"], Word) and not details["input"]:
                problem, remedy = "has no keys", "write some below it, or delete the line"
        case "tuple_type":
            problem, remedy = "is not a list", "write it in brackets, as in [first, second]"
    path = tuple(part for part in path if part not in TAGS)
    return Flaw(document.line_of(path), path, problem, remedy)


def _kind_meant(backend: object) -> str:
    kind = backend.get("kind") if isinstance(backend, dict) else None
    meant = closest(kind, KINDS) if isinstance(kind, Word) else None
    return f"did you mean {meant}?" if meant else f"write {alternatives(KINDS)}"


def _unknown_key(path: Path) -> tuple[str, str]:
    key = str(path[-1])
    if key in LATER:
        return "is not in this version", "delete it"
    if ":" in key:
        return "is not a known key", "leave a space after the colon"
    kinds = [kind for kind in KINDS if key in _KEYS["primary", f"<{kind}>"]]
    if kinds and path[-2] in TAGS:
        return f"is not a key of kind: {str(path[-2])[1:-1]}", f"it belongs to kind: {alternatives(kinds)}"
    siblings = next((keys for pattern, keys in _KEYS.items() if _fits(path[:-1], pattern)), ())
    if meant := closest(key, siblings):
        return "is not a known key", f"did you mean {meant}?"
    if key in _KEYS[()] and len(path) > 1:
        return "is not a key of this place", "it is a section of its own: write it without an indent"
    if homes := [place for place, keys in _KEYS.items() if key in keys]:
        home = ".".join(part for part in min(homes, key=len) if part not in TAGS)
        return "is not a key of this place", f"it belongs under {home.replace('*', 'NAME')}"
    return "is not a known key", f"known here: {', '.join(siblings)}"


def _sections(section: type[Section], place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    yield place, tuple(section.model_fields)
    for key, field in section.model_fields.items():
        yield from _below(field.annotation, (*place, key))


def _below(annotation: object, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    for tag in getattr(annotation, "__metadata__", ()):
        if isinstance(tag, Tag):
            place = (*place, tag.tag)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield from _sections(annotation, place)
    for argument in get_args(annotation):
        many = getattr(annotation, "__origin__", None) in (dict, tuple)
        yield from _below(argument, (*place, "*") if many else place)


def _fits(path: Path, pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(part in ("*", name) for name, part in zip(path, pattern, strict=True))


_KEYS: Final = dict(_sections(Root, ()))
