"""`radiusd2fa db rotate-key`: exchanges the vault key while logins go on, and goes on from wherever it was ended.

Three steps: the new key joins the old one in the key file, all rows are sealed anew, the old key leaves the file. It
never shows a key. NIST SP 800-57 part 1, 5.3 (cryptoperiods).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.db_ground import Ground, agreed, ground, several
from radiusd2fa.cli.site import now, refuse
from radiusd2fa.cli.tables import show_json

if TYPE_CHECKING:
    from radiusd2fa.store.rotation import Standing
    from radiusd2fa.vault import Vault

CREDENTIALS: Final = Path("/run/credentials")
"""Where systemd keeps what LoadCredential= has read, a folder for each service."""


def rotate_key(
    ctx: typer.Context,
    status: Annotated[bool, typer.Option("--status", help="Only say how far it is.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: the key file was copied, and every daemon reads it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --status: print JSON.")] = False,
) -> None:
    """Exchange the vault key: every seed is sealed anew under a new one. Logins go on; ended, give it again.

    First the key file gets a second line; then all daemons must know it, which those that read this very file do by
    themselves, and those to whom systemd gives a copy after a restart; then all rows are sealed anew, and the old line
    leaves the file. Backups of before need the old key: keep a copy of the key file with them.
    """
    with ground(ctx.obj) as site:
        if status:
            with site.rotation(site.vault) as rotation:
                _show(rotation.standing(), as_json=as_json)
            return
        _rotate(site, yes=yes)


def _rotate(site: Ground, *, yes: bool) -> None:
    from radiusd2fa import key_file, vault

    path = site.settings.vault_key
    with key_file.alone(path):
        key = vault.load(path)
        with site.rotation(key) as rotation:
            database = rotation.standing().database
            if len(key.keys) == 1:
                _refuse_read_only(path)
                agreed(_FIRST.format(path=path, id=key.key_id.hex()), yes=yes)
                key = key_file.add_key(path)
        with site.rotation(key) as rotation:
            if database != key.key_id.hex():
                typer.echo(f"1/3 {path} holds two keys: {key.key_id.hex()} seals from now on")
                _refuse_stale_copies(key, path)
                agreed(_SECOND.format(path=path), yes=yes)
                if key.key_id.hex() not in rotation.standing().rows:
                    rotation.begun(now())
                _seal_anew(site, key)
        key_file.drop_old_key(path)
        typer.echo(f"3/3 the old key has left {path}; keep a copy of it, and of the old one with the backups of before")


def _seal_anew(site: Ground, key: Vault) -> None:
    with site.rotation(key) as rotation:
        with bars() as bar:
            unopened = rotation.seal_anew(lambda done, of: bar("sealing anew", done, of))
        rotation.finish(now())
        typer.echo(f"2/3 everything is sealed under {key.key_id.hex()}")
    for error in unopened:
        typer.echo(f"warning: {error}; it opened before no more than now: `radiusd2fa db verify`", err=True)


def _refuse_read_only(path: Path) -> None:
    from radiusd2fa import key_file

    if not key_file.can_be_replaced(path):
        refuse(
            f"{path}: this folder cannot be written here, as that of a systemd credential; give the command as root "
            "outside the service, where vault.key_file names the file that LoadCredential= reads"
        )


def _refuse_stale_copies(key: Vault, path: Path) -> None:
    """A daemon with a copy of before could not open what is sealed from now on."""
    from radiusd2fa import vault

    for copy in sorted(CREDENTIALS.glob(f"*/{path.name}")):
        try:
            knows = key.key_id in vault.load(copy).key_ids
        except vault.VaultError:
            continue  # no key of ours, or not ours to read
        if not knows:
            service = copy.parent.name
            refuse(
                f"{service} has a copy of the key file as it was before: systemctl restart {service}; then give this "
                "command again"
            )


def _show(standing: Standing, *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(standing) | {"at_rest": standing.is_at_rest})
        return
    for key, count in sorted(standing.rows.items()):
        where = "seals" if key == standing.sealing else "opens" if key in standing.live else "is not in the key file"
        typer.echo(f"{key} ({where}): {several(count, 'row')}")
    if standing.is_at_rest:
        typer.echo("no exchange is under way")
    elif standing.live == (standing.database,):
        typer.echo("a row is sealed under a key that is not there: `radiusd2fa db verify` names it")
    elif standing.database == standing.sealing:
        typer.echo("all but done: `radiusd2fa db rotate-key` takes the old key out of the file")
    else:
        typer.echo("under way: `radiusd2fa db rotate-key` goes on")


_FIRST: Final = """\
The vault key {id} gets a successor. Backups of before open with the old key alone: have you kept a copy of {path}?"""
_SECOND: Final = """\
{path} holds both keys now: keep a copy of it, apart from the backups. Does every daemon know it? One that reads this
very file does; where systemd gives it a copy (LoadCredential=), restart it now; on other nodes, copy the file there and
restart theirs."""
