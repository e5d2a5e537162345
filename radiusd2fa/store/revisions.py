"""What a store says of itself where its version stands, and what to do where that is not this program's.

Besides the number of a schema it may be the beginning of a copy, a database that has moved away, or a backup: none of
them may be logged in by. Nothing is read here; no RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from radiusd2fa.store.schema import REVISION

MOVING: Final = "moving"
"""Closed while it is copied; ``meta`` says where to."""
MOVED: Final = "moved"
"""Closed for good: it is copied, and all that has happened since stands in the copy."""
COPYING: Final = "copying "
"""The beginning of a copy, and behind it which."""
BACKUP: Final = "backup of "
"""And behind it the schema."""
MOVED_TO: Final = "moved_to"
"""Where ``meta`` keeps the address of the copy."""


def refusal(found: str | None, where: object, meta: Callable[[str], str | None]) -> str | None:
    """Say why a store of that version cannot be used, or None where it can; ``meta`` looks up a value of it."""
    if found == REVISION:
        return None
    if found is None:
        return (
            f"{where}: this is no database of radiusd2fa; restore your backup, or move it away and run "
            "`radiusd2fa init`"
        )
    if found in (MOVING, MOVED):
        to = meta(MOVED_TO)
        if found == MOVING:
            return f"{where}: closed, because it is being copied; give `radiusd2fa db copy --to '{to}'` again"
        return f"{where}: closed for good, because this site has moved; write into the settings: store: {to}"
    if found.startswith(COPYING):
        return f"{where}: this is the beginning of a copy; give `radiusd2fa db copy` again where it was given"
    if found.startswith(BACKUP):
        return f"{where}: this is a backup; `radiusd2fa db restore FILE` puts it back, so that used codes stay used"
    old = found < REVISION
    remedy = "run `radiusd2fa db upgrade`" if old else "a newer database needs the newer program"
    return f"{where}: the database has schema {found}, this version of radiusd2fa needs {REVISION}; {remedy}"
