"""`radiusd2fa db`: the life of the database as a whole. Here is `upgrade`; each of the others has its file.

It changes the schema and marks the seeds of older versions, nothing else that stands in it, and it is the only command
that does. No RFC speaks of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.db_backup import backup
from radiusd2fa.cli.db_copy import copy
from radiusd2fa.cli.db_restore import gap, restore
from radiusd2fa.cli.db_rotate import rotate_key
from radiusd2fa.cli.db_verify import verify
from radiusd2fa.cli.site import permitted, site_settings, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.address import Address
    from radiusd2fa.vault import VaultError

app = typer.Typer(no_args_is_help=True, help="The database as a whole: backup, restore, keys, verification, upgrade.")
for command in (backup, restore, gap, verify, rotate_key, copy):
    app.command()(command)


@app.callback()
def _noun() -> None:
    pass


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring an older database to the schema of this version. Stop the daemon, and copy the file, first.

    Tokens of an older version are marked besides, so that a seed which comes twice is seen. That needs the vault key.
    """
    from radiusd2fa.store.address import address
    from radiusd2fa.store.errors import StoreError
    from radiusd2fa.store.upgrade import bring_up_to_date

    settings = site_settings(ctx.obj)
    permitted(settings)
    store = address(settings.store)
    try:
        before, after = bring_up_to_date(store)
    except StoreError as error:
        wrong_usage(str(error))
    typer.echo(
        f"{store}: schema {before} became {after}" if before != after else f"{store}: has schema {after} already"
    )
    _mark_seeds(settings, store)


def _mark_seeds(settings: Settings, store: Address) -> None:
    """Mark the tokens of an older version. What cannot be marked now is said, and left for the next time."""
    from radiusd2fa import vault
    from radiusd2fa.store.chains import administration_of
    from radiusd2fa.store.errors import StoreError
    from radiusd2fa.store.marking import mark_all
    from radiusd2fa.store.rotation import Rotation

    unopened: list[VaultError] = []
    try:
        key = vault.load(settings.vault_key)
        with bars() as bar:
            marked = mark_all(store, key, lambda done, of: bar("marking seeds", done, of), unopened.append)
        with Rotation(store, key, "", chain=administration_of(settings.node)) as desk:
            desk.seal_ends()  # a migration has no vault, and leaves the audit's old chain unsealed
    except (StoreError, vault.VaultError) as error:
        _warn(f"seeds of older versions were not marked: {error}; then give the command again")
        return
    if marked:
        typer.echo(f"{store}: marked {marked:,} {'seed' if marked == 1 else 'seeds'} of an older version")
    if unopened:
        others = "" if len(unopened) == 1 else f", and {len(unopened) - 1:,} more like it"
        _warn(f"a seed was not marked: {unopened[0]}{others}")


def _warn(text: str) -> None:
    typer.secho("warning: ", fg=typer.colors.YELLOW, err=True, nl=False)
    typer.echo(text, err=True)
