"""The command line's root: where the configuration is, and which commands there are.

It holds no logic of its own; each noun has its file. Heavy imports happen inside the commands, so that help is quick.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from radiusd2fa import __version__
from radiusd2fa.cli import audit, breakglass, db, grant, key, recovery, report, token, user
from radiusd2fa.cli.check import check
from radiusd2fa.cli.demo import demo
from radiusd2fa.cli.doctor import doctor
from radiusd2fa.cli.fob import fob
from radiusd2fa.cli.init import init
from radiusd2fa.cli.login import login
from radiusd2fa.cli.serve import serve
from radiusd2fa.cli.site import DEFAULT_CONFIG
from radiusd2fa.cli.softkey import softkey
from radiusd2fa.cli.station import station

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"radiusd2fa {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    config: Annotated[
        Path, typer.Option("-c", "--config", metavar="FILE", help="The configuration file; may stand anywhere.")
    ] = DEFAULT_CONFIG,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A RADIUS server that puts a hardware token behind every login.

    Begin with `radiusd2fa init`, then `user add`, `token add`, `serve`, and try it with `login`.
    Exit code: 0 done, 1 refused, 2 wrong usage or wrong configuration.
    """
    ctx.obj = config


for command in (init, serve, check, doctor, login, station, fob, softkey, demo):
    app.command()(command)
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
app.add_typer(key.app, name="key")
app.add_typer(recovery.app, name="recovery")
app.add_typer(grant.app, name="grant")
app.add_typer(breakglass.app, name="breakglass")
app.add_typer(report.app, name="report")
app.add_typer(audit.app, name="audit")
app.add_typer(db.app, name="db")


def main() -> None:
    """Run the command line."""
    app(_config_first(sys.argv[1:]), prog_name="radiusd2fa")


def _config_first(arguments: list[str]) -> list[str]:
    """Move ``-c FILE`` to the front from wherever it stands, so that people need not remember where it goes."""
    front: list[str] = []
    rest: list[str] = []
    coming = iter(arguments)
    for argument in coming:
        if argument == "--":
            rest += [argument, *coming]
        elif argument.startswith("--config="):
            front.append(argument)
        elif argument in {"-c", "--config"} and (file := next(coming, None)) is not None:
            front += [argument, file]
        else:
            rest.append(argument)
    return front + rest


if __name__ == "__main__":
    main()
