"""The list that Microsoft Entra ID takes, which Token2, Deepnet and others send with their fobs; all of it is TOTP.

It reads a file's seeds as base32, as Entra asks, or all of them as hex, as Deepnet also sends them, and never some as
the one and some as the other. It answers to no RFC; the columns are those of Microsoft's "Upload hardware OATH tokens
in CSV format", of which vendors leave out ``upn`` (whose token it is) where nobody has it yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import BinaryIO, Final

from radiusd2fa.imports.fields import SecretReader, seeds_of
from radiusd2fa.imports.secrets_text import base32_seed, hex_seed
from radiusd2fa.imports.seeds import Entry, How
from radiusd2fa.imports.spreadsheet import with_zeros_missed
from radiusd2fa.imports.table import NamedRow, first_row, named_rows, names_in

NAME: Final = "entra"
TITLE: Final = "Microsoft Entra ID, Token2, Deepnet (CSV)"
_MEANINGS: Final = {
    "upn": "user",
    "serial number": "serial",
    "secret key": "secret",
    "time interval": "step",
    "manufacturer": "manufacturer",
    "model": "model",
}
_NEEDED: Final = ("serial number", "secret key", "time interval")
_TELLING: Final = frozenset({"upn", "serialnumber", "secretkey", "timeinterval"})
_SAMPLE: Final = 1000


def sniff(head: bytes) -> bool:
    """Whether the first line names two of the columns that nobody else calls so."""
    return len(_TELLING & {*names_in(first_row(head))}) > 1


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield one entry for each line below the header."""
    rows = named_rows(file, _MEANINGS, _NEEDED)
    sample = list(islice(rows, _SAMPLE))
    reader = _reader([row.values["secret"] for row in sample if isinstance(row, NamedRow)])
    yield from with_zeros_missed(seeds_of(chain(sample, rows), replace(how, kind="totp"), reader))


def _reader(secrets: list[str]) -> SecretReader:
    """Hex only where it is hex throughout, and no base32."""
    some_hex = any(base32_seed(secret) is None for secret in secrets if secret)
    return hex_seed if some_hex and all(hex_seed(secret) for secret in secrets if secret) else base32_seed
