"""What every command needs of the site: its settings, its vault, its registry, and who is asking.

It prints nothing but errors, and an error says whose fault it is and what to do. Exit codes: 1 refused, 2 wrong usage
or wrong settings.
"""

from __future__ import annotations

import os
import pwd
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import typer

if TYPE_CHECKING:  # loaded when a command runs, so that `--help` stays quick
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.administration import Administration
    from radiusd2fa.store.keyring import Keyring
    from radiusd2fa.store.registry import Registry

DEFAULT_CONFIG: Final = Path("/etc/radiusd2fa/radiusd2fa.yaml")

Desk = TypeVar("Desk", bound="Administration")

REFUSED: Final = 1
WRONG_USAGE: Final = 2


def complain(text: str) -> None:
    """Say on standard error what went wrong; each line stands for one fault."""
    for line in text.splitlines():
        typer.secho("error: ", fg=typer.colors.RED, err=True, nl=False)
        typer.echo(line, err=True)


def refuse(text: str) -> NoReturn:
    """End the command: what was asked cannot be done."""
    complain(text)
    raise typer.Exit(REFUSED)


def wrong_usage(text: str) -> NoReturn:
    """End the command: it was not told what it needs."""
    complain(text)
    raise typer.Exit(WRONG_USAGE)


def site_settings(path: Path) -> Settings:
    """Read the configuration file; every fault is shown, and the command ends with 2 if there is one."""
    from radiusd2fa.settings import SettingsError, load_settings

    try:
        return load_settings(path)
    except SettingsError as error:
        wrong_usage(str(error))


@contextmanager
def site_registry(path: Path) -> Iterator[Registry]:
    """Open the store to administer people and tokens."""
    from radiusd2fa.store.registry import Registry

    with _opened(Registry, path) as registry:
        yield registry


@contextmanager
def site_keyring(path: Path) -> Iterator[Keyring]:
    """Open the store to administer security keys."""
    from radiusd2fa.store.keyring import Keyring

    with _opened(Keyring, path) as keyring:
        yield keyring


@contextmanager
def _opened(kind: type[Desk], path: Path) -> Iterator[Desk]:
    """Open the store for administration; refusals end the command with 1, a broken site with 2."""
    from sqlalchemy.exc import DBAPIError

    from radiusd2fa import vault
    from radiusd2fa.store.administration import RefusedError
    from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError, database_path

    settings = site_settings(path)
    try:
        with kind(database_path(settings.store), vault.load(settings.vault_key), acting_administrator()) as desk:
            yield desk
    except (RefusedError, StoreUnavailableError) as error:
        refuse(str(error))
    except DBAPIError as error:
        refuse(f"the database could not do it: {error.orig}; is the disk full, or another change at work?")
    except (StoreError, vault.VaultError) as error:
        wrong_usage(str(error))


def program(ctx: typer.Context) -> str:
    """Return how to call the program again about the same site, for a hint that can be pasted."""
    return f"radiusd2fa -c {shlex.quote(str(ctx.obj))}" if ctx.obj != DEFAULT_CONFIG else "radiusd2fa"


def acting_administrator() -> str:
    """Return the operating system user who runs the command, and whom sudo did it for; never what the shell claims."""
    uid = os.getuid()
    name = _account(uid)
    behind = os.environ.get("SUDO_UID", "")
    return f"{_account(int(behind))} as {name}" if uid == 0 and behind.isdecimal() and behind != "0" else name


def canonical_name(typed: str) -> str:
    """Return the one spelling of a user name, or end the command."""
    from radiusd2fa.core.names import canonical

    name = canonical(typed.encode("utf-8", errors="surrogateescape"))
    if name is None:
        wrong_usage("this cannot be a user name: no control characters, no spaces at the ends, at most 253 octets")
    return name


def read_secret(prompt: str, *, from_stdin: bool, option: str, confirm: bool = False) -> bytes:
    """Return one secret, from the first line of standard input or typed unseen; never from the arguments."""
    if from_stdin:
        return sys.stdin.buffer.readline().rstrip(b"\r\n")
    if not sys.stdin.isatty():
        wrong_usage(f"there is no terminal to ask on; give it on standard input with {option}")
    typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm)
    return typed.encode()


def now() -> float:
    """Seconds since 1970."""
    return time.time()


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
