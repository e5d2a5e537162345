"""`radiusd2fa init`: makes a site, which is a configuration file, a vault key and an empty database.

It overwrites nothing: what is there stays, what is missing is made. The shared secret that it makes up is random.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from radiusd2fa.cli.site import DEFAULT_CONFIG, complain, refuse, site_settings, wrong_usage
from radiusd2fa.shipped import find

_CONFIGURATION: Final = """\
# radiusd2fa: what this site has chosen. Every option, at its default and explained, is shown in
# {reference}
# After a change: radiusd2fa -c THIS-FILE check

listen: {{udp: ["{listen}"]}}
store: {store}
# vault: {{key_file: vault.key}}           # beside this file, or the systemd credential of that name;
                                          # keep a copy elsewhere: without it every token is lost

clients:                                  # the RADIUS clients (NAS) that may ask
  lab:
    networks: [127.0.0.1/32, "::1/128"]
    secret: "{secret}"
    flow: challenge                       # or append, prepend, code-only, auto
    message_authenticator: required       # observe for clients that cannot send it (Debian 12's pam_radius)

primary: {{kind: local}}                    # passwords of our own; none when the NAS checks them
"""

DEFAULT_LISTEN: Final = "127.0.0.1:1812"


def init(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Option("--dir", metavar="D", help="Where configuration, vault key and database go.")
    ] = DEFAULT_CONFIG.parent,
    store: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="The database, or postgresql://...", show_default="radiusd2fa.db in D"),
    ] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the daemon will listen.")] = DEFAULT_LISTEN,
) -> None:
    """Make a site: configuration, vault key and an empty database. What is there already stays.

    On a server of PostgreSQL the database itself must be there, and empty.
    """
    from radiusd2fa import vault
    from radiusd2fa.store.address import address
    from radiusd2fa.store.errors import StoreError
    from radiusd2fa.store.upgrade import create, is_there

    config = directory / "radiusd2fa.yaml"
    if ctx.obj not in (DEFAULT_CONFIG, config):
        wrong_usage("-c is a site that is there already; say with --dir where the new one goes")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_missing(
            "configuration", config, config.exists(), lambda: _write_configuration(config, listen, _url(store))
        )
        settings = site_settings(config)
        key_file, database = settings.vault_key, address(settings.store)
        there = is_there(database)
        if there and not key_file.exists():
            refuse(f"{key_file}: gone, and a new one cannot open {database}; restore the key from your copy")
        _make_missing("vault key", key_file, key_file.exists(), lambda: vault.create(key_file))
        key = vault.load(key_file)
        _make_missing("database", database, there, lambda: create(database, key))
    except OSError as error:
        complain(f"{error.filename or directory}: {error.strerror}")
        raise typer.Exit(1) from None
    except StoreError as error:
        refuse(str(error))
    except vault.VaultError as error:
        wrong_usage(str(error))
    option = "" if config == DEFAULT_CONFIG else f" -c {shlex.quote(str(config))}"
    typer.echo(f"\nnext: radiusd2fa{option} user add NAME\n      radiusd2fa{option} token add --user NAME --kind totp")
    typer.echo(f"      radiusd2fa{option} serve")


def _make_missing(what: str, where: object, there: bool, make: Callable[[], object]) -> None:
    if not there:
        make()
    typer.echo(f"{'kept' if there else 'made'} {what:<13}  {where}")


def _url(store: str | None) -> str:
    """A relative URL is relative to the configuration file, so an own choice of a file is written out."""
    if store is None:
        return "sqlite:///radiusd2fa.db            # beside this file"
    return store if "://" in store else f"sqlite:///{Path(store).absolute()}"


def _write_configuration(path: Path, listen: str, store: str) -> None:
    text = _CONFIGURATION.format(
        reference=find("config/radiusd2fa.yaml"), listen=listen, store=store, secret=secrets.token_urlsafe(24)
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        site_settings(path)
    except typer.Exit:
        path.unlink()  # it would be kept as if somebody had written it
        raise
