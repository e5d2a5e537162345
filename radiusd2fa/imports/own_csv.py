"""Our own list of tokens: a CSV file whose first line names the columns, in any order.

It guesses at nothing that it is not told, and takes no column that it does not know. It answers to no RFC; what the
columns hold is said below, and in the numbers of RFC 4226 and RFC 6238.

- ``serial``: what is printed on the token; 1 to 64 printable ASCII characters without spaces.
- ``kind``: ``hotp``, ``totp`` or ``yubico``; where it is missing, what ``--kind`` says.
- ``secret``: hex or base32, spaces and dashes and small letters allowed; what can be read as both is hex. Of a Yubico
  OTP the AES key, the private id and the public id one behind the other, in hex.
- ``digits`` (6), ``algorithm`` (sha1), ``step`` (30 seconds): what is meant where they are missing or empty.
- ``counter``: of a hotp token the next counter, of the others the last one used. A hotp or yubico token with a user
  needs it: 0 where nobody has ever used the token.
- ``user``: who has it; ``label``, ``model``: remarks.
- ``valid_from``, ``valid_until``: ``2027-12-31`` or ``2027-12-31T18:00:00Z``; a day alone is valid to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from radiusd2fa.imports.fields import seeds_of
from radiusd2fa.imports.seeds import Entry, How
from radiusd2fa.imports.spreadsheet import with_zeros_missed
from radiusd2fa.imports.table import first_row, named_rows, names_in

NAME: Final = "own"
TITLE: Final = "our own list (CSV)"
COLUMNS: Final = (
    "serial",
    "kind",
    "secret",
    "digits",
    "algorithm",
    "step",
    "counter",
    "user",
    "label",
    "model",
    "valid_from",
    "valid_until",
)
_NAMES: Final = frozenset(names_in(COLUMNS))
_NEEDED: Final = ("serial", "secret")


def sniff(head: bytes) -> bool:
    """Whether the first line names columns of ours, two at least, and nothing else."""
    names = [name for name in names_in(first_row(head)) if name]
    return len(names) > 1 and _NAMES.issuperset(names) and bool({*_NEEDED} & {*names})


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield one entry for each line below the header."""
    return with_zeros_missed(seeds_of(named_rows(file, {name: name for name in COLUMNS}, _NEEDED), how))
