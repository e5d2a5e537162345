"""Seeds to deliver, and the way into the store that a command takes.

The seeds are made from the serials, so that each is another. Answers to no RFC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from radiusd2fa.imports.seeds import Seed
from radiusd2fa.store.connecting import open_engine
from radiusd2fa.store.copying import last_ids
from radiusd2fa.store.deliveries import Step, TakenIn

from .conftest import NOW, Site

LATER: Final = NOW + 100


def a_seed(name: str, line: int = 2, **others: Any) -> Seed:  # noqa: ANN401 - fields of a Seed
    """A token of a file, with a seed made from its name."""
    return replace(Seed(line, name, "hotp", hashlib.sha256(name.encode()).digest()), **others)


def some(count: int, **others: Any) -> list[Seed]:  # noqa: ANN401 - fields of a Seed
    """So many tokens, a line each."""
    return [a_seed(f"F{number:04}", number + 2, **others) for number in range(count)]


def take_in(site: Site, seeds: Sequence[Seed], **options: Any) -> TakenIn:  # noqa: ANN401 - options of take_in
    """Take a delivery in as a command does."""
    with site.registry() as registry:
        return registry.take_in(seeds, LATER, source="seeds.xml", **options)


def everything(site: Site) -> list[list[tuple[object, ...]]]:
    """All that a delivery may change, but for the ids that were reserved."""
    return [site.sql(f"SELECT * FROM {table} ORDER BY id") for table in ("users", "tokens", "events")]  # noqa: S608


def highest_id(site: Site) -> int:
    """The highest id that a token was given, or that was reserved for one."""
    with open_engine(site.address).connect() as connection:
        return last_ids(connection)["tokens"]


def during(step: Step, act: Callable[[], object]) -> Callable[[Step, int, int], None]:
    """Do this once when the step begins."""
    waiting = [act]

    def progress(now: Step, _done: int, _of: int) -> None:
        if now is step and waiting:
            waiting.pop()()

    return progress
