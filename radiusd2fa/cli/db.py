"""`radiusd2fa db`: the life of the database as a whole.

It changes the schema and marks the seeds of older versions, nothing else that stands in it, and it is the only command
that does. No RFC speaks of this.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.site import permitted, site_settings, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings
    from radiusd2fa.vault import VaultError

app = typer.Typer(no_args_is_help=True, help="The database as a whole.")


@app.callback()
def _noun() -> None:
    pass


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring an older database to the schema of this version. Stop the daemon, and copy the file, first.

    Tokens of an older version are marked besides, so that a seed which comes twice is seen. That needs the vault key.
    """
    from radiusd2fa.store.sqlite import StoreError, database_path
    from radiusd2fa.store.upgrade import bring_up_to_date

    settings = site_settings(ctx.obj)
    permitted(settings)
    path = database_path(settings.store)
    try:
        before, after = bring_up_to_date(path)
    except StoreError as error:
        wrong_usage(str(error))
    typer.echo(f"{path}: schema {before} became {after}" if before != after else f"{path}: has schema {after} already")
    _mark_seeds(settings, path)


def _mark_seeds(settings: Settings, path: Path) -> None:
    """Mark the tokens of an older version. What cannot be marked now is said, and left for the next time."""
    from radiusd2fa import vault
    from radiusd2fa.store.marking import mark_all
    from radiusd2fa.store.sqlite import StoreError

    unopened: list[VaultError] = []
    try:
        with bars() as bar:
            marked = mark_all(
                path,
                vault.load(settings.vault_key),
                lambda done, of: bar("marking seeds", done, of),
                unopened.append,
            )
    except (StoreError, vault.VaultError) as error:
        _warn(f"seeds of older versions were not marked: {error}; then give the command again")
        return
    if marked:
        typer.echo(f"{path}: marked {marked:,} {'seed' if marked == 1 else 'seeds'} of an older version")
    if unopened:
        others = "" if len(unopened) == 1 else f", and {len(unopened) - 1:,} more like it"
        _warn(f"a seed was not marked: {unopened[0]}{others}")


def _warn(text: str) -> None:
    typer.secho("warning: ", fg=typer.colors.YELLOW, err=True, nl=False)
    typer.echo(text, err=True)
