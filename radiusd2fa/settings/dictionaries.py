"""The dictionaries of a site: those that come with the package, then its own files.

Files are read here and understood in ``radius.dictionary``; nothing is looked for beyond what is named or included.
The format is that of FreeRADIUS 3, dictionary(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from radiusd2fa.radius.dictionary import Dictionary, DictionaryFault, read_dictionary
from radiusd2fa.settings.files import read_small_file
from radiusd2fa.shipped import find

INDEX: Final = "dictionary"
"""The file of a folder that includes the others."""
LARGEST: Final = 4 * 1024 * 1024
"""Octets of one file."""


def load_dictionaries(places: Sequence[Path]) -> Dictionary:
    """Read files, or folders with a file ``dictionary`` in each, in their order. Raises DictionaryFault.

    What is defined twice means what the later one says.
    """
    return read_dictionary(_texts(places), _include)


@cache
def shipped_dictionary() -> Dictionary:
    """Return what comes with the package; read once. Raises DictionaryFault."""
    return load_dictionaries([SHIPPED])


SHIPPED: Final = find(f"config/dictionaries/{INDEX}").parent
"""Where the dictionaries of the package lie: in a checkout, or where its data was put."""


def _texts(places: Iterable[Path]) -> Iterable[tuple[str, str]]:
    for place in places:
        path = place / INDEX if place.is_dir() else place
        try:
            yield str(path), _read(path)
        except OSError as fault:
            raise DictionaryFault(str(path), 0, f"it cannot be read ({fault.strerror or fault})") from None


def _include(file: str, written: str) -> tuple[str, str]:
    path = Path(file).parent / written
    return str(path), _read(path)


def _read(path: Path) -> str:
    # Comments are in whatever encoding their author had; a name that is not ASCII is refused all the same.
    return read_small_file(path, LARGEST).content.decode("utf-8", "replace")
