"""`radiusd2fa db copy`: moves a site from its SQLite file to a server of PostgreSQL, or to another file.

The old file is closed before the first row is copied and stays closed: nobody can log in by both. It goes one way only;
what it does is store.moving's. No RFC speaks of this.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.db_ground import Ground, agreed, ground, several
from radiusd2fa.cli.site import now, program, reason, refuse, wrong_usage
from radiusd2fa.cli.tables import show_json

if TYPE_CHECKING:
    from radiusd2fa.store.address import SqliteFile
    from radiusd2fa.store.moving import Closing


def copy(
    ctx: typer.Context,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="postgresql://USER@HOST/DATABASE, or sqlite:////FILE."),
    ] = None,
    open_again: Annotated[
        bool, typer.Option("--reopen", help="Open the old file again, if the copy was not completed.")
    ] = False,
    given: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move the site from its SQLite file to PostgreSQL. The file is closed first: until it is done, nobody logs in.

    The database on the server must be there, and empty. All rows are compared at the end; audit and sealed seeds stay
    as they are. Ended in the middle, the same command goes on. Then `store:` has to name the new place.
    """
    if (to is None) is not open_again:
        wrong_usage("say where to with --to URL, or --reopen to stay where the site is")
    with ground(ctx.obj) as site:
        source = _file_of(site)
        why = reason(site.settings, given, "move the site" if to else "open the old file again")
        if to is None:
            _reopen(site, source, why)
        else:
            _copy(ctx, site, source, to, why=why, yes=yes, as_json=as_json)


def _reopen(site: Ground, source: SqliteFile, why: str) -> None:
    from radiusd2fa.store.moving import reopen

    reopen(source, lambda: _closing(site, source), now(), why)
    typer.echo(f"{source}: open again; a daemon that runs needs no restart. What was copied of it can never be used.")


def _copy(
    ctx: typer.Context, site: Ground, source: SqliteFile, url: str, *, why: str, yes: bool, as_json: bool
) -> None:
    from radiusd2fa.store.address import address
    from radiusd2fa.store.moving import is_moving, move

    written = _read(url, site)
    target = address(written)
    if target == source:
        wrong_usage(f"{source}: that is where the site is")
    if not is_moving(source):
        agreed(
            f"{source} is closed now, also to a daemon that runs: until its copy in {target} is complete and the "
            "daemon works there, nobody logs in.",
            yes=yes,
        )
    with bars() as bar:
        rows = move(source, target, lambda: _closing(site, source), now(), bar, why)
    if as_json:
        show_json({"store": written, "rows": rows})
        return
    typer.echo(
        f"copied and compared: {several(rows['users'], 'user')}, {several(rows['tokens'], 'token')}, "
        f"{several(rows['events'], 'audit row')}"
    )
    typer.echo(f"\nnext: write into {site.settings.path}\n        store: {written}")
    typer.echo(f"      {program(ctx)} check\n      and restart the daemon; {source} stays closed")


def _closing(site: Ground, source: SqliteFile) -> Closing:
    from radiusd2fa.store.moving import Closing

    return Closing(source, site.vault, site.actor, chain=site.chain, tell=site.tell)


def _file_of(site: Ground) -> SqliteFile:
    from radiusd2fa.store.address import SqliteFile

    if not isinstance(site.address, SqliteFile):
        refuse(
            f"{site.address} is no SQLite file, and a copy goes one way only; `radiusd2fa db backup` writes a file "
            "that `db restore` takes"
        )
    return site.address


def _read(url: str, site: Ground) -> str:
    """Read an address as the settings would, relative paths beside the configuration."""
    from pydantic_core import PydanticCustomError

    from radiusd2fa.settings.stores import a_store
    from radiusd2fa.settings.words import Surroundings
    from radiusd2fa.settings.yaml_lines import Word

    folder = Path(site.settings.path).absolute().parent
    try:
        return a_store(Word(url, 0, '"'), Surroundings(folder))
    except PydanticCustomError as error:
        said = error.context or {}
        wrong_usage(f"--to: {said.get('problem')}; {said.get('remedy')}")
