"""OATH CSV, the list without a header that many vendors send: serial, seed, kind, digits, step, algorithm.

Only the first two are needed, and it takes no order of them but this one. It answers to no RFC; the format is what
LinOTP and privacyIDEA read, whose rule for a missing algorithm is kept: seeds of 32 octets are for SHA-256, of 64 for
SHA-512. A seed is hex or base32, and what can be both is hex.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from radiusd2fa.factors.hotp import MIN_SEED_OCTETS
from radiusd2fa.imports.fields import seeds_of
from radiusd2fa.imports.secrets_text import hex_or_base32
from radiusd2fa.imports.seeds import Entry, Flaw, How
from radiusd2fa.imports.spreadsheet import with_zeros_missed
from radiusd2fa.imports.table import NamedRow, Row, first_row, rows

NAME: Final = "oath-csv"
TITLE: Final = "OATH CSV"
COLUMNS: Final = ("serial", "secret", "kind", "digits", "step", "algorithm")
_KINDS: Final = ("", "hotp", "totp", "ocra", "ocra2")
_USUAL_KIND: Final = "hotp"
_BY_LENGTH: Final = {32: "sha256", 64: "sha512"}


def sniff(head: bytes) -> bool:
    """Whether the first line is a serial and a seed, and then at most kind, digits, step and algorithm."""
    fields = first_row(head)
    if not 2 <= len(fields) <= len(COLUMNS) or not fields[0]:
        return False
    kind = fields[2].casefold() if len(fields) > 2 else ""
    return kind in _KINDS and len(hex_or_base32(fields[1]) or b"") >= MIN_SEED_OCTETS


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield one entry for each line."""
    return with_zeros_missed(seeds_of(_named(file, how), how, kind=_USUAL_KIND))


def _named(file: BinaryIO, how: How) -> Iterator[NamedRow | Flaw]:
    before = 0
    for row in rows(file):
        if isinstance(row, Flaw):
            yield row
            continue
        here = len(row.fields)
        if here < 2 or (not row.ended and (here < before or not row.fields[-1])):
            yield Flaw(row.line, "the line is cut off", "take it anew from the vendor's file")
        elif any(row.fields[len(COLUMNS) :]):
            yield Flaw(
                row.line,
                f"the line has {here} fields, and OATH CSV at most {len(COLUMNS)}",
                "say with --columns what they are",
            )
        else:
            yield _with_algorithm(row, how)
        before = here


def _with_algorithm(row: Row, how: How) -> NamedRow:
    values = dict(zip(COLUMNS, row.fields, strict=False))
    if values.get("kind", "").casefold().startswith("ocra"):
        values.pop("digits", None)  # it is the suite
    if not values.get("algorithm") and how.algorithm is None:
        values["algorithm"] = _BY_LENGTH.get(len(hex_or_base32(values["secret"]) or b""), "sha1")
    return NamedRow(row.line, values, COLUMNS[min(len(row.fields), len(COLUMNS)) - 1], row.ended)
