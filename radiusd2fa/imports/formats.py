"""The formats there are, by their names, and which of them a file is in.

It opens no file and judges by the beginning alone; a file that could be two is neither. Answers to no RFC: each format
says which it follows.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from radiusd2fa import imports
from radiusd2fa.imports.seeds import Format, UnreadableError
from radiusd2fa.imports.text_lines import BYTE_ORDER_MARK, other_than_text

HEAD_OCTETS: Final = 4096
"""How much of a file shows what it is."""
WITHOUT_NAMES: Final = "columns"
"""The format for lists whose columns the administrator names."""

_OFFERED: Final = ("NAME", "TITLE", "sniff", "read")


@cache
def formats() -> Mapping[str, Format]:
    """Return all formats by their names: each module of this folder that offers what Format asks for is one."""
    names = sorted(found.name for found in pkgutil.iter_modules(imports.__path__))
    modules: list[Any] = [import_module(f"{imports.__name__}.{name}") for name in names]
    return {module.NAME: module for module in modules if all(hasattr(module, name) for name in _OFFERED)}


def recognised(head: bytes, known: Mapping[str, Format]) -> Format:
    """Return the one format of a file that begins like this; UnreadableError when it is none of them, or may be two."""
    beginning = head[:HEAD_OCTETS].removeprefix(BYTE_ORDER_MARK)
    fitting = [one for one in known.values() if one.sniff(beginning)]
    match fitting:
        case [one]:
            return one
        case []:
            raise other_than_text(head) or UnreadableError(
                0,
                "this is no seed file that is known here",
                f"say what it is with --format ({', '.join(sorted(known))}), or name its columns with --columns",
            )
        case _:
            names = " or ".join(sorted(f"--format {one.NAME} ({one.TITLE})" for one in fitting))
            raise UnreadableError(0, "this may be a file of more than one kind", f"say which: {names}")
