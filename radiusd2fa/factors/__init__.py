"""Second factors, one file each: pure functions over core.model, found by the factor's name.

Each module offers KIND and ``find(token, answer, now, rules) -> Finding``. No clock, no randomness, no file here.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from radiusd2fa.core.finding import Find


def find_functions(kinds: Iterable[str]) -> dict[str, Find]:
    """Load the ``find`` function of each factor by its kind."""
    return {kind: import_module(f"radiusd2fa.factors.{kind}").find for kind in kinds}
