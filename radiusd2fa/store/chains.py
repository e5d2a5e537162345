"""The hash chains of the audit as they are written: each writer has a chain of its own, whose end is a row.

Whoever writes reads the end within the transaction that moves it, so two writers of one name cannot fork it. It never
looks at the rows before. What a link covers: core.chain; no RFC speaks here.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Select, select, update

from radiusd2fa.core.chain import START, Checkpoint, end_octets, link
from radiusd2fa.core.model import Event
from radiusd2fa.store.checkpoints import put_checkpoint, sign
from radiusd2fa.store.dialects import insert_on
from radiusd2fa.store.schema import chains, meta
from radiusd2fa.store.statements import Row
from radiusd2fa.vault import Vault

ADMINISTRATION: Final = "administration"
"""The chain of the command line where nobody says on which node."""
BEFORE: Final = "before-0005"
"""The chain of the rows that are older than chains: a migration has no vault, and leaves its end unsealed."""
_ROSTER: Final = "audit_chains"


def administration_of(node: str) -> str:
    """Return the chain of the command line on a node; its daemon's is called as the node is."""
    return f"{node}/{ADMINISTRATION}"


class Chain:
    """The end of one chain within an open transaction."""

    __slots__ = ("hash", "name", "sequence", "time")

    def __init__(self, name: str, end: Row | None) -> None:
        """``end`` is what LOAD_CHAIN has found: sequence and hash, or None for a chain that begins."""
        self.name = name
        self.sequence, self.hash = (0, START) if end is None else (int(end[0]), bytes(end[1]))
        self.time = 0.0
        """Of the row that was appended last."""

    def link(self, event: Event) -> Row:
        """Append a row; returns chain, sequence and hash as EVENT takes them after the event's own columns."""
        self.sequence += 1
        self.hash = link(self.hash, self.name, self.sequence, event)
        self.time = event.time
        return self.name, self.sequence, self.hash

    def mark(self) -> tuple[int, bytes]:
        """Where it ends now, for ``back_to``."""
        return self.sequence, self.hash

    def back_to(self, mark: tuple[int, bytes]) -> None:
        """Take back what was appended since, because the rows were undone."""
        self.sequence, self.hash = mark

    def end(self, vault: Vault) -> Row:
        """Return the parameters of SAVE_CHAIN, sealed: who lacks the vault key cannot cut rows off and say so here."""
        return self.name, self.sequence, self.hash, vault.vouch(end_octets(self.name, self.sequence, self.hash))


def load_chain(connection: Connection, name: str) -> Chain:
    """Read where a chain ends, within the transaction that will move it on, and keep others from doing the same."""
    found = connection.execute(_end_of(name)).first()
    if found is None:
        begins = insert_on(connection, chains).values(name=name, sequence=0, hash=START)
        connection.execute(begins.on_conflict_do_nothing())
        found = connection.execute(_end_of(name)).one()  # somebody else may have begun it meanwhile
    return Chain(name, tuple(found))


def save_chain(connection: Connection, chain: Chain, vault: Vault) -> Checkpoint:
    """Write down where it ends now, and sign that; to be told once it is committed."""
    name, sequence, digest, seal = chain.end(vault)
    end = insert_on(connection, chains).values(name=name, sequence=sequence, hash=digest, seal=seal)
    moved = {column: end.excluded[column] for column in ("sequence", "hash", "seal")}
    connection.execute(end.on_conflict_do_update(index_elements=[chains.c.name], set_=moved))
    reseal(connection, vault)
    signed = sign(vault, name, sequence, digest, chain.time)
    put_checkpoint(connection, signed)
    return signed


def reseal(connection: Connection, vault: Vault) -> None:
    """Seal under the key of today what an older key has sealed, and the end that a migration has left.

    And keep the list of all chains, so that none can vanish unseen. A seal that does not hold stays as it is, for
    ``audit verify`` to find.
    """
    names = set(roster(connection, vault) or ())
    for one in connection.execute(select(chains)).all():
        names.add(one.name)
        octets = end_octets(one.name, one.sequence, bytes(one.hash))
        holds = one.name == BEFORE if one.seal is None else vault.vouches(octets, bytes(one.seal))
        if holds and (seal := vault.vouch(octets)) != one.seal:
            same = (chains.c.name == one.name, chains.c.sequence == one.sequence)
            connection.execute(update(chains).where(*same).values(seal=seal))
    text = "\n".join(sorted(names))
    value = f"{text}\n{vault.vouch(_listed(text)).hex()}"
    if value != connection.execute(select(meta.c.value).where(meta.c.key == _ROSTER)).scalar():
        listed = insert_on(connection, meta).values(key=_ROSTER, value=value)
        connection.execute(listed.on_conflict_do_update(index_elements=[meta.c.key], set_={"value": value}))


def roster(connection: Connection, vault: Vault) -> frozenset[str] | None:
    """Return all chains that there have been, or None where the list is not there or not this vault's."""
    value = connection.execute(select(meta.c.value).where(meta.c.key == _ROSTER)).scalar()
    text, _, seal = str(value or "").rpartition("\n")
    try:
        holds = vault.vouches(_listed(text), bytes.fromhex(seal))
    except ValueError:
        holds = False
    return frozenset(text.split("\n")) if holds else None


def _listed(text: str) -> bytes:
    return b"chains " + text.encode()


def _end_of(name: str) -> Select[tuple[int, bytes]]:
    return select(chains.c.sequence, chains.c.hash).where(chains.c.name == name).with_for_update()
