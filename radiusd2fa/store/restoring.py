"""Puts a backup back into a store, in one transaction, with the gap: no code that was ever used is accepted again.

The store may be in use: its guards decide before and after, and nothing stands between. What it knows besides makes the
result stricter, never less so, and its audit goes on. It never changes the backup: it works on a copy.
RFC 4226 7.2 and RFC 6238 5.2.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, func, select, update

from radiusd2fa.core.model import Event
from radiusd2fa.core.record import record
from radiusd2fa.store import carrying, stricter
from radiusd2fa.store.address import Address, SqliteFile
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.backup import About, about, flush, put_in_place, reading
from radiusd2fa.store.carrying import Fate
from radiusd2fa.store.checkpoints import former_keys, public_keys
from radiusd2fa.store.connecting import How, open_engine, transaction
from radiusd2fa.store.copying import copy
from radiusd2fa.store.gap import RESTORED, Closed, Gap, force_gap, jump
from radiusd2fa.store.keyring import RP_ID
from radiusd2fa.store.patience import Patient
from radiusd2fa.store.rotation import FEW, OPENABLE, keep_audit_keys, set_meta
from radiusd2fa.store.schema import (
    challenges,
    events,
    grants,
    invitations,
    meta,
    requests,
    stations,
    tokens,
    users,
)
from radiusd2fa.store.sealing import owner_in_seal
from radiusd2fa.store.sqlite import StoreError
from radiusd2fa.store.stricter import Differing
from radiusd2fa.store.upgrade import bring_up_to_date, create, is_there
from radiusd2fa.vault import Vault, VaultError

Progress = Callable[[str, int, int], None]
"""Hears what is being done, how far it is, and how far it goes."""

_SKEW = 300.0
_COPIED = (users, tokens, grants, requests)
_LEFT_OUT = (challenges, invitations, stations)


@record
class Source:
    """A backup that is to be restored: a copy of it, in today's schema."""

    about: About
    copy: SqliteFile
    vault: Vault
    """Opens what is sealed in it, and marks seeds as it does."""

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """Read it."""
        engine = open_engine(self.copy)
        try:
            with engine.connect() as connection, transaction(connection, How.LOOKING):
                yield connection
        finally:
            engine.dispose()


@record
class Restored:
    """What a restore, or the gap alone, has done."""

    closed: Closed
    differing: tuple[Differing, ...] = ()
    rows: int = 0
    """Audit rows that came from the backup."""
    forked: tuple[str, ...] = ()
    """Chains whose rows in the backup are not those of the store: they stay in the backup alone."""


@contextmanager
def opened(path: Path, vault: Vault, keys: Vault | None = None, folder: Path | None = None) -> Iterator[Source]:
    """Copy a backup into ``folder``, bring the copy to today's schema, and see that the vault is its own.

    ``keys`` are those of before, where the vault key was exchanged since. StoreError says what is wrong with it.
    """
    with TemporaryDirectory(prefix=".radiusd2fa-restore-", dir=folder) as temporary:
        working = SqliteFile(Path(temporary, "backup.db"))
        with reading(path) as backup:
            said = about(backup, path)
            _copy_of(backup, working.path, said, path)
        more = () if keys is None else tuple(key for key in keys.keys if key.id not in vault.key_ids)
        theirs = Vault((*vault.keys, *more))
        if not theirs.fits(said.vault_key_id, said.fingerprint_key):
            raise StoreError(
                f"{path}: sealed under vault key {said.vault_key_id or 'unknown'}, and this is none of "
                f"{', '.join(key.id.hex() for key in theirs.keys)}; give the copy of the key file that you have kept "
                "with it: --vault-key FILE"
            )
        bring_up_to_date(working)
        yield Source(said, working, theirs)


def _copy_of(backup: sqlite3.Connection, to: Path, said: About, path: Path) -> None:
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(to, isolation_level=None)) as working:
            backup.backup(working)
            wrong = [text for (text,) in working.execute("PRAGMA integrity_check(3)") if text != "ok"]
            if wrong:
                raise StoreError(f"{path}: is damaged ({wrong[0]}); take another backup")
            working.execute("UPDATE alembic_version SET version_num = ?", (said.schema,))
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read ({error}); take another backup") from error


@contextmanager
def store_for(address: Address, vault: Vault) -> Iterator[Address]:
    """Give the store to restore into: the one that is there, or a new one, which gets its name when all is done."""
    if is_there(address):
        yield address
        return
    if not isinstance(address, SqliteFile):
        create(address, vault)
        yield address
        return
    path = address.path
    for name in (f"{path.name}-wal", f"{path.name}-shm"):
        if path.with_name(name).exists():
            raise StoreError(f"{path.with_name(name)}: belongs to a database that is gone; move it away first")
    new = SqliteFile(path.with_name(f".{path.name}.restoring"))
    _remove(new.path)
    try:
        create(new, vault)
        yield new
        with closing(sqlite3.connect(new.path, isolation_level=None)) as database:
            if database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise StoreError(f"{new}: somebody has opened it; give the command again")
        try:
            put_in_place(new.path, path)
        except FileExistsError as error:
            raise RefusedError(f"{path}: somebody has made a database meanwhile; give the command again") from error
        flush(path.parent)
    finally:
        _remove(new.path)


class Restoring(Patient):
    """An open store that a backup is restored into, or that has lost what came last."""

    def force_gap(self, gap: Gap, now: float, reason: str) -> Restored:
        """Let no code count that may have been used since the store was as it is now."""
        with self._transaction() as connection:
            now = _not_before_the_last(connection, now)
            closed = force_gap(connection, gap, now, self._actor)
            self._say_so(connection, carrying.names(connection), now, reason)
        return Restored(closed)

    def restore(self, source: Source, gap: Gap, now: float, reason: str, progress: Progress) -> Restored:
        """Put the backup into the store's place. ``gap`` is how far moving factors go forward."""
        with source.looking() as backup, self._transaction() as connection:
            now = _not_before_the_last(backup, now, source.about.made)
            now = _not_before_the_last(connection, now)
            fates = carrying.fates(backup, connection)
            stricter.set_aside(connection)
            for table in (*_LEFT_OUT, *reversed(_COPIED)):
                connection.execute(table.delete())
            copy(backup, connection, _COPIED, lambda table, done, of: progress(f"copying {table}", done, of))
            self._keep_meta(backup, connection, source.vault)
            self._seal_anew(connection, source.vault, progress)
            closed = force_gap(connection, gap, now, self._actor)
            continued = bool(fates) and all(fate is Fate.KNOWN for fate in fates.values())
            differing = stricter.lay_over(connection, source.vault, continued=continued)
            stricter.forget(connection)
            taken = [name for name, fate in fates.items() if fate is Fate.TAKEN]
            rows = carrying.take(backup, connection, taken)
            self._say_so(connection, taken, now, reason)
        forked = tuple(name for name, fate in fates.items() if fate is Fate.FORKED)
        return Restored(closed, tuple(differing), rows, forked)

    def _keep_meta(self, backup: Connection, connection: Connection, theirs: Vault) -> None:
        """The database keeps its key, and takes over by what seeds are told apart and checkpoints are verified."""
        set_meta(connection, "fingerprint_key", theirs.fingerprint_key())
        keep_audit_keys(connection, self._vault, [*former_keys(backup, theirs), *public_keys(theirs)[1:]])
        relying_party = backup.execute(select(meta.c.value).where(meta.c.key == RP_ID)).scalar()
        if relying_party is not None:
            set_meta(connection, RP_ID, relying_party)

    def _seal_anew(self, connection: Connection, theirs: Vault, progress: Progress) -> None:
        """Seal what is under another key than the one that seals here; what opens no more stays as it is."""
        wanted = select(tokens.c.id, tokens.c.kind, tokens.c.sealed, users.c.name.label("user")).select_from(
            tokens.outerjoin(users)
        )
        wanted = wanted.where(OPENABLE, func.substr(tokens.c.sealed, 1, 4) != self._vault.key_id)
        of = connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
        last = done = 0
        while rows := connection.execute(wanted.where(tokens.c.id > last).order_by(tokens.c.id).limit(FEW)).all():
            last = rows[-1].id
            for row in rows:
                owner = owner_in_seal(row.kind, row.user)
                with contextlib.suppress(VaultError):
                    sealed = self._vault.seal(row.id, theirs.open(row.id, bytes(row.sealed), owner), owner)
                    connection.execute(update(tokens).where(tokens.c.id == row.id).values(sealed=sealed))
            done += len(rows)
            progress("sealing anew", done, of)

    def _say_so(self, connection: Connection, names: list[str], now: float, reason: str) -> None:
        """One row in this command's chain, and in each chain that goes on from an end which may not be its last."""
        row = Event(now, RESTORED, "", "", "", outcome="done", reason=reason, actor=self._actor)
        others = [name for name in names if name != self._chain_name]
        self._written += carrying.go_on(connection, others, row, self._vault)
        if len(others) < len(names):
            jump(self._end_of_chain(connection), now)
        self._note(connection, RESTORED, now, reason=reason)


def _not_before_the_last(connection: Connection, now: float, made: float = 0.0) -> float:
    """Return the later of now and what was written down last: steps of TOTP that were used must not count.

    Other nodes' clocks may be a little ahead, and logins go on while a command waits for its turn.
    """
    latest = max(made, connection.execute(select(func.max(events.c.time))).scalar() or 0.0)
    if now < latest - _SKEW:
        raise RefusedError(
            f"the clock of this machine is {latest - now:,.0f} seconds behind what was written down last; set it "
            "(timedatectl), and give the command again"
        )
    return max(now, latest)


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
