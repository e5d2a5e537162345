"""Exchanges the vault key: every sealed row is sealed anew under the new one, a few at a time, while logins go on.

Ended at any moment it goes on from there: until the last row, both keys open, and which of them the database belongs to
changes in the transaction that finds nothing left under the old one. It changes no seed and no fingerprint, and it
never writes the key file (``key_file``). NIST SP 800-57 part 1, 5.3 (cryptoperiods).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update

from radiusd2fa.core.record import record
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.chains import reseal
from radiusd2fa.store.checkpoints import former_keys, public_keys
from radiusd2fa.store.patience import Patient
from radiusd2fa.store.schema import meta, tokens, users
from radiusd2fa.store.sealing import FOR_GOOD, owner_in_seal
from radiusd2fa.vault import Vault, VaultError

FEW: Final = 1000
"""Rows at a time: a login waits no longer than for these to be written, and they are sealed before that."""
AUDIT_KEYS: Final = "audit_keys_before"
"""Where ``meta`` keeps the public keys that verify the checkpoints of before, sealed."""
_AUDIT_KEYS: Final = b"audit keys"
_ID_OCTETS: Final = 4

OPENABLE: Final = tokens.c.user_id.is_not(None) | tokens.c.kind.not_in(sorted(FOR_GOOD))
"""What was somebody's for good opens no more once that person was removed, and need not."""
_SEALED: Final[Select[Any]] = (
    select(tokens.c.id, tokens.c.kind, tokens.c.sealed, users.c.name.label("user"))
    .select_from(tokens.outerjoin(users))
    .where(OPENABLE)
)
_SEAL: Final = (
    update(tokens)
    .where(tokens.c.id == bindparam("number"), tokens.c.sealed == bindparam("old"))
    .values(sealed=bindparam("new"))
)

Progress = Callable[[int, int], None]
"""Hears how many rows were looked at, of how many."""


@record
class Standing:
    """How far an exchange is."""

    sealing: str
    """The id of the key that seals now."""
    live: tuple[str, ...]
    """Of all keys in the key file, that one in front."""
    database: str
    """Of the key that the database belongs to."""
    rows: dict[str, int]
    """How many rows are sealed under each key."""

    @property
    def is_at_rest(self) -> bool:
        """Whether no exchange is under way."""
        return self.live == (self.database,) and set(self.rows) <= {self.database}


class Rotation(Patient):
    """An open store whose vault key is exchanged."""

    def standing(self) -> Standing:
        """Say how far it is."""
        under = func.substr(tokens.c.sealed, 1, _ID_OCTETS)
        with self._looking() as connection:
            rows = connection.execute(select(under, func.count()).where(OPENABLE).group_by(under))
            return Standing(
                sealing=self._vault.key_id.hex(),
                live=tuple(one.hex() for one in self._vault.key_ids),
                database=_value(connection, "vault_key_id"),
                rows={bytes(one).hex(): count for one, count in rows},
            )

    def begun(self, now: float) -> None:
        """Write down that there are two keys from now on."""
        old, new = self._vault.key_ids[-1].hex(), self._vault.key_id.hex()
        with self._change("vault.rotation_begun", now, reason=f"{old} becomes {new}"):
            pass

    def seal_anew(self, progress: Progress) -> list[VaultError]:
        """Seal every row under the new key; returns what is wrong with those that no key opens, which stay as ever."""
        unopened: list[VaultError] = []
        last = done = 0
        with self._looking() as connection:
            of = connection.execute(select(func.count()).select_from(tokens).where(OPENABLE)).scalar_one()
        while rows := self._next(last):
            last = rows[-1].id
            self._write(self._sealed(rows, unopened))
            done += len(rows)
            progress(done, of)
        return unopened

    def finish(self, now: float) -> None:
        """Let the database belong to the new key; RefusedError while a row is still sealed under the old one."""
        old, new = self._vault.key_ids[-1], self._vault.key_id
        with self._change("vault.rotated", now, reason=f"{old.hex()} became {new.hex()}") as connection:
            left = connection.execute(_SEALED.where(func.substr(tokens.c.sealed, 1, _ID_OCTETS) == old)).all()
            if any(self._opens(row) for row in left):
                raise RefusedError("a token was sealed under the old key meanwhile; give the command again")
            keep_audit_keys(connection, self._vault, public_keys(self._vault)[1:])
            set_meta(connection, "fingerprint_key", self._vault.fingerprint_key())
            set_meta(connection, "vault_key_id", new.hex())
            reseal(connection, self._vault)

    def seal_ends(self) -> None:
        """Seal the ends of the audit's chains that a migration has left unsealed."""
        with self._transaction() as connection:
            reseal(connection, self._vault)

    def _next(self, last: int) -> Sequence[Row[Any]]:
        with self._looking() as connection:
            return connection.execute(_SEALED.where(tokens.c.id > last).order_by(tokens.c.id).limit(FEW)).all()

    def _sealed(self, rows: Sequence[Row[Any]], unopened: list[VaultError]) -> list[tuple[int, bytes, bytes]]:
        """Return the rows under another key than the new one: id, how each was sealed, and how it will be."""
        changed = []
        for row in rows:
            if bytes(row.sealed[:_ID_OCTETS]) == self._vault.key_id:
                continue
            owner = owner_in_seal(row.kind, row.user)
            try:
                secret = self._vault.open(row.id, row.sealed, owner)
            except VaultError as error:
                unopened.append(error)
            else:
                changed.append((row.id, bytes(row.sealed), self._vault.seal(row.id, secret, owner)))
        return changed

    def _write(self, changed: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Write some rows, but for those that somebody else has sealed meanwhile, for a new owner's name."""
        if not changed:
            return
        rows = [{"number": number, "old": old, "new": new} for number, old, new in changed]
        with self._transaction() as connection:
            began = time.monotonic()
            connection.execute(_SEAL, rows)
        time.sleep(time.monotonic() - began)  # so that logins get their turn

    def _opens(self, row: Row[Any]) -> bool:
        try:
            self._vault.open(row.id, row.sealed, owner_in_seal(row.kind, row.user))
        except VaultError:
            return False
        return True


def _value(connection: Connection, key: str) -> str:
    return str(connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar() or "")


def keep_audit_keys(connection: Connection, vault: Vault, more: Iterable[bytes]) -> None:
    """Keep public keys beside those of before: the checkpoints that they verify stay."""
    keys = list(dict.fromkeys([*former_keys(connection, vault), *more]))
    if keys:
        set_meta(connection, AUDIT_KEYS, vault.wrap(_AUDIT_KEYS, "\n".join(map(bytes.hex, keys)).encode()).hex())


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Write one row of ``meta``."""
    connection.execute(delete(meta).where(meta.c.key == key))
    connection.execute(insert(meta).values(key=key, value=value))
