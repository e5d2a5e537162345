"""Codes as people read them off a screen, a page or a file; and whether such a code would let somebody in.

A login is the real one: the factor finds the code, the engine spends it. Answers to no RFC.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from radiusd2fa import vault
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.engine import Store
from tests.store.conftest import Desk
from tests.store.paper import lets_in

from .conftest import Shell

CODE = re.compile(r"\b(?:[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2,3}|[0-9]{5}-[0-9]{5})\b")
RULE = "rules: [{name: all, factors: [totp, hotp]}]"
"""A rule that counts neither recovery nor emergency codes."""


def codes_in(text: str) -> list[str]:
    """All codes of a sheet, in the order in which they stand."""
    return CODE.findall(text)


@contextmanager
def desk(shell: Shell) -> Iterator[Desk]:
    """The hot side of that site."""
    store = Store(SqliteFile(shell.folder / "radiusd2fa.db"), vault.load(shell.folder / "vault.key"), print)
    yield Desk(store)
    store.close()


def good(shell: Shell, code: str, user: str = "alice", at: float | None = None) -> bool:
    """Whether a login with that code, just as it was read, is let in now; it is spent by it."""
    with desk(shell) as daemon:
        return lets_in(daemon, code, time.time() if at is None else at, user)


def rows(shell: Shell) -> list[tuple[str, str, str, str]]:
    """The audit: name, user, serial and reason."""
    return [(event.name, event.user, event.serial, event.reason) for event in shell.events()]


def add_rule(shell: Shell, rule: str = RULE) -> None:
    """Write a rule into the configuration."""
    shell.change("syslog: off", f"syslog: off\n{rule}")
