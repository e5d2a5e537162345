"""Where the files lie that come with the package: config, hardware and systemd, in a checkout or installed.

Nothing is read here. Answers to no RFC.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path


def places(name: str) -> list[Path]:
    """Return where ``name`` may be, as in ``config/dictionaries``: beside the package first, then among its data."""
    package = Path(__file__).resolve().parent
    # an installed package is PREFIX/lib/python3.N/site-packages/radiusd2fa, whatever the prefix
    prefixes = [*package.parents[3:4], Path(sysconfig.get_path("data"))]
    return [package.parent / name, *(prefix / "share/radiusd2fa" / name for prefix in prefixes)]


def find(name: str) -> Path:
    """Return the first of the places where it is; the last one when it is nowhere."""
    looked = places(name)
    return next((place for place in looked if place.exists()), looked[-1])
