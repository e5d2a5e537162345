"""Finds the audit's checkpoints in what a syslog collector has written: RFC 5424, JSON, or a line with the words alone.

It believes nothing that it finds, for signatures are verified later, and passes over every other line. What a
checkpoint says is in core.chain.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Final

from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.record import record

EVENT: Final = "audit.checkpoint"

_SHAPES: Final = {
    "chain": "[a-z0-9][a-z0-9./-]*",
    "sequence": "[0-9]{1,18}",
    "hash": "[0-9a-f]{64}",
    "signed_at": "[0-9]{1,18}",
    "archived": "true|false",
    "key_id": "[0-9a-f]{16}",
    "signature": "[A-Za-z0-9+/]{86}==",
}
_FIELDS: Final = {name: re.compile(rf'(?<![A-Za-z0-9_]){name}"?[=:] ?"?({shape})') for name, shape in _SHAPES.items()}


@record
class Heard:
    """What a file has said."""

    checkpoints: tuple[tuple[int, Checkpoint], ...]
    """Each with the number of its line; one that has come twice counts once."""
    unreadable: tuple[int, ...]
    """Lines that speak of a checkpoint and hold none, as when they were cut short."""


def checkpoints_in(lines: Iterable[str]) -> Heard:
    """Read the lines of a collector's file."""
    found: dict[Checkpoint, int] = {}
    unreadable: list[int] = []
    for number, line in _about_checkpoints(lines):
        signed = _read(line)
        if signed is None:
            unreadable.append(number)
        else:
            found.setdefault(signed, number)
    return Heard(tuple((number, signed) for signed, number in found.items()), tuple(unreadable))


def _about_checkpoints(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if EVENT in line)


def _read(line: str) -> Checkpoint | None:
    # in JSON, a message of RFC 5424 may stand inside a text; some writers escape the slash besides
    plain = line.replace('\\"', '"').replace("\\/", "/")
    values = {name: found[1] for name, field in _FIELDS.items() if (found := field.search(plain))}
    if values.keys() != _FIELDS.keys():
        return None
    return Checkpoint(
        values["chain"],
        int(values["sequence"]),
        bytes.fromhex(values["hash"]),
        int(values["signed_at"]) / 1_000_000,
        values["key_id"],
        b64decode(values["signature"]),
        values["archived"] == "true",
    )
