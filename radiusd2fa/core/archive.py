"""An archive of audit rows as text: one JSON object on each line, rows between the anchors where they begin and end.

It decides nothing and opens no file. A line is a row as ``audit list --json`` shows it, or an anchor with all that
verifies it; RFC 8259.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from radiusd2fa.core.chain import Checkpoint, microseconds
from radiusd2fa.core.chain_findings import Linked
from radiusd2fa.core.model import Event

_TEXTS: Final = (
    *("name", "login", "nas", "user", "caller", "factor", "serial", "outcome", "reason", "actor"),
    *("chain",),
)
_ANCHOR: Final = "anchor"
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str).encode


def shown(row: Linked) -> dict[str, object]:
    """Return a row for programs, with its place in its chain."""
    e = row.event
    return {
        "id": row.id,
        "chain": row.chain,
        "sequence": row.sequence,
        "time": e.time,
        "name": e.name,
        "login": e.login,
        "nas": e.nas,
        "user": e.user,
        "caller": e.caller,
        "factor": e.factor,
        "serial": e.serial,
        "outcome": e.outcome,
        "reason": e.reason,
        "latency": e.latency,
        "actor": e.actor,
        "hash": row.hash.hex(),
    }


def row_line(row: Linked) -> str:
    """Write a row, with the end of its line."""
    return _encode(shown(row)) + "\n"


def anchor_line(signed: Checkpoint) -> str:
    """Write an anchor, with the end of its line."""
    anchor = {
        "chain": signed.chain,
        "sequence": signed.sequence,
        "hash": signed.hash.hex(),
        "signed_at": microseconds(signed.time),
        "key_id": signed.key,
        "signature": b64encode(signed.signature).decode(),
    }
    return _encode({_ANCHOR: anchor}) + "\n"


def read_line(line: str) -> Linked | Checkpoint:
    """Read a row or an anchor; ValueError when it is neither."""
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - a text may hold anything
    anchor = found.get(_ANCHOR)
    try:
        return _row(found) if anchor is None else _anchor(anchor)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("neither a row nor an anchor") from error


def _row(found: Mapping[str, Any]) -> Linked:
    texts = {name: found[name] for name in _TEXTS}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError
    chain = texts.pop("chain")
    event = Event(time=float(found["time"]), latency=float(found["latency"]), **texts)
    return Linked(_whole(found["id"]), event, chain, _whole(found["sequence"]), bytes.fromhex(found["hash"]))


def _anchor(found: Mapping[str, Any]) -> Checkpoint:
    if not isinstance(found["chain"], str) or not isinstance(found["key_id"], str):
        raise TypeError
    return Checkpoint(
        found["chain"],
        _whole(found["sequence"]),
        bytes.fromhex(found["hash"]),
        _whole(found["signed_at"]) / 1_000_000,
        found["key_id"],
        b64decode(found["signature"], validate=True),
        archived=True,
    )


def _whole(number: object) -> int:
    if type(number) is not int:
        raise TypeError
    return number
