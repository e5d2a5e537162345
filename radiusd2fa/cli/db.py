"""`radiusd2fa db`: the life of the database as a whole.

It changes the schema and nothing that stands in it, and it is the only command that does.
"""

from __future__ import annotations

import typer

from radiusd2fa.cli.site import site_settings, wrong_usage

app = typer.Typer(no_args_is_help=True, help="The database as a whole.")


@app.callback()
def _noun() -> None:
    pass


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring an older database to the schema of this version. Stop the daemon, and copy the file, first."""
    from radiusd2fa.store.sqlite import StoreError, database_path
    from radiusd2fa.store.upgrade import bring_up_to_date

    path = database_path(site_settings(ctx.obj).store)
    try:
        before, after = bring_up_to_date(path)
    except StoreError as error:
        wrong_usage(str(error))
    typer.echo(f"{path}: schema {before} became {after}" if before != after else f"{path}: has schema {after} already")
