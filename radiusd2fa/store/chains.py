"""The hash chains of the audit as they are written: each writer has a chain of its own, whose end is a row.

Whoever writes reads the end within the transaction that moves it, so two writers of one name cannot fork it. It never
looks at the rows before. What a link covers: core.chain; no RFC speaks here.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, insert, select, update

from radiusd2fa.core.chain import START, link
from radiusd2fa.core.model import Event
from radiusd2fa.store.schema import chains
from radiusd2fa.store.statements import Row
from radiusd2fa.vault import Vault

ADMINISTRATION: Final = "administration"
"""The chain of the command line; a node's daemon writes its own (``node:`` in the settings)."""


class Chain:
    """The end of one chain within an open transaction."""

    __slots__ = ("hash", "name", "sequence")

    def __init__(self, name: str, end: Row | None) -> None:
        """``end`` is what LOAD_CHAIN has found: sequence and hash, or None for a chain that begins."""
        self.name = name
        self.sequence, self.hash = (0, START) if end is None else (int(end[0]), bytes(end[1]))

    def link(self, event: Event) -> Row:
        """Append a row; returns chain, sequence and hash as EVENT takes them after the event's own columns."""
        self.sequence += 1
        self.hash = link(self.hash, self.name, self.sequence, event)
        return self.name, self.sequence, self.hash

    def mark(self) -> tuple[int, bytes]:
        """Where it ends now, for ``back_to``."""
        return self.sequence, self.hash

    def back_to(self, mark: tuple[int, bytes]) -> None:
        """Take back what was appended since, because the rows were undone."""
        self.sequence, self.hash = mark

    def end(self, vault: Vault) -> Row:
        """Return the parameters of SAVE_CHAIN, sealed: who lacks the vault key cannot cut rows off and say so here."""
        seal = vault.vouch(end_octets(self.name, self.sequence, self.hash))
        return self.name, self.sequence, self.hash, seal


def end_octets(name: str, sequence: int, digest: bytes) -> bytes:
    """What the vault vouches for, and a checkpoint signs."""
    return b"%d %b %b" % (sequence, digest.hex().encode(), name.encode())


def load_chain(connection: Connection, name: str) -> Chain:
    """Read where a chain ends, within the transaction that will move it on."""
    end = connection.execute(select(chains.c.sequence, chains.c.hash).where(chains.c.name == name)).first()
    return Chain(name, None if end is None else tuple(end))


def save_chain(connection: Connection, chain: Chain, vault: Vault) -> None:
    """Write down where it ends now."""
    name, sequence, digest, seal = chain.end(vault)
    end = {"sequence": sequence, "hash": digest, "seal": seal}
    if connection.execute(update(chains).where(chains.c.name == name).values(end)).rowcount == 0:
        connection.execute(insert(chains).values(name=name, **end))
