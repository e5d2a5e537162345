"""Attributes by their names: what an Access-Accept says, what a request must say, and what goes to an upstream.

The dictionaries are read only when some key needs them. Which attributes a site may set, and how, is ``radius.reply``'s
business; RFC 2865 5.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from pydantic import PlainValidator, ValidationError
from pydantic_core import InitErrorDetails

from radiusd2fa.core.attributes import AttributeCondition, ReplyAttribute
from radiusd2fa.radius.condition import compile_condition
from radiusd2fa.radius.data_types import AttributeFault
from radiusd2fa.radius.reply import compile_reply, said_twice
from radiusd2fa.settings.words import Surroundings, refused
from radiusd2fa.settings.yaml_lines import Tree, Word

VENDOR_SPECIFIC: Final = 26
_GROUP: Final = "%{group}"

T = TypeVar("T")
V = TypeVar("V")

Pairs = tuple[tuple[str, tuple[str, ...]], ...]
"""Names with their values, not looked up yet."""


def pairs(raw: object) -> Pairs:
    """Read a set of names, each with one value or a list of them."""
    if isinstance(raw, tuple):
        return raw
    if not isinstance(raw, dict):
        raise refused("is not a set of attributes", "write names with values, as in {Service-Type: Login-User}")
    if not raw:
        raise refused("is empty", "write at least one attribute, or delete the line")
    return tuple(zip(map(str, raw), _each(raw.items(), _values), strict=True))


def _values(_: str, raw: Tree) -> tuple[str, ...]:
    words = raw if isinstance(raw, list) else [raw]
    if not words or not all(isinstance(word, Word) and word for word in words):
        raise AttributeFault("has no value", "write one, or a list of them")
    texts = tuple(map(str, words))  # a number may stand without quotes: the dictionary says of what kind it is
    if not all(text.isprintable() for text in texts):
        raise AttributeFault("holds a character that cannot be printed", "write octets as 0x and hexadecimal digits")
    return texts


written: Final = PlainValidator(pairs)


def replies(
    written_down: Pairs, around: Surroundings, rule_groups: Collection[str] | None
) -> tuple[ReplyAttribute, ...]:
    """Look up what an Access-Accept is to say, and check each value; without groups it is not a rule that says it."""

    def compiled(name: str, values: tuple[str, ...]) -> list[ReplyAttribute]:
        if rule_groups is None and any(_GROUP in value for value in values):
            raise AttributeFault(f"holds {_GROUP}, which only a rule knows", "say it in a rule for these groups")
        groups = rule_groups or ()
        made = [compile_reply(around.dictionary(), name, value, rule_groups=groups) for value in values]
        if said_twice(made):
            raise AttributeFault("an Access-Accept holds one of it at most", "keep one of the values")
        return made

    return tuple(one for made in _each(written_down, compiled) for one in made)


def conditions(written_down: Pairs, around: Surroundings) -> tuple[AttributeCondition, ...]:
    """Look up what a request must say."""
    return tuple(_each(written_down, lambda name, values: compile_condition(around.dictionary(), name, values)))


def _each(named: Iterable[tuple[str, V]], read: Callable[[str, V], T]) -> list[T]:
    """Read each value, or refuse all that cannot be used, each under its own name."""
    done: list[T] = []
    faults: list[InitErrorDetails] = []
    for name, value in named:
        try:
            done.append(read(name, value))
        except AttributeFault as fault:
            faults.append({"type": refused(fault.problem, fault.remedy), "loc": (name,), "input": None})
    if faults:
        raise ValidationError.from_exception_data("attributes", faults)
    return done


def a_number(word: Word, around: Surroundings) -> int:
    """Look up the number of one attribute."""
    dictionary = around.dictionary()
    found = dictionary.find(word)
    if found is None:
        meant = " or ".join(dictionary.closest(word))
        remedy = f"did you mean {meant}?" if meant else "write its name, as in NAS-Port-Type"
        raise refused("is no attribute of the dictionaries", remedy)
    return VENDOR_SPECIFIC if found.vendor else found.path[0]
