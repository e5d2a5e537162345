"""What every command needs of the site: its settings, its vault, its registry, and who is asking.

It prints nothing but errors, and an error says whose fault it is and what to do. Exit codes: 1 refused, 2 wrong usage
or wrong settings.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import typer

from radiusd2fa.cli.acting import Administrator as Administrator
from radiusd2fa.cli.acting import administrator as administrator
from radiusd2fa.cli.acting import is_behind_sudo, may_have_written, out_of_reach
from radiusd2fa.cli.announcing import announced

if TYPE_CHECKING:  # loaded when a command runs, so that `--help` stays quick
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.administration import Administration
    from radiusd2fa.store.archiving import Archiving
    from radiusd2fa.store.figures import Figures
    from radiusd2fa.store.keyring import Keyring
    from radiusd2fa.store.registry import Registry

DEFAULT_CONFIG: Final = Path("/etc/radiusd2fa/radiusd2fa.yaml")

Desk = TypeVar("Desk", bound="Administration")

REFUSED: Final = 1
WRONG_USAGE: Final = 2

_MAX_REASON: Final = 200


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

    if is_behind_sudo() and path.exists():
        kept = out_of_reach(path)
        if kept is None:
            wrong_usage(
                f"{path}: with sudo, a configuration counts only where every folder above it is root's, or that of the "
                "account that you act as, and nobody else can write there; leave out -c"
            )
        path = kept
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
def site_figures(path: Path) -> Iterator[Figures]:
    """Open the store to count what is in it."""
    from radiusd2fa.store.figures import Figures

    with _opened(Figures, path) as figures:
        yield figures


@contextmanager
def site_audit(path: Path) -> Iterator[Archiving]:
    """Open the store to look at its audit, or to rotate it."""
    from radiusd2fa.store.archiving import Archiving

    with _opened(Archiving, path) as audit:
        yield audit


@contextmanager
def _opened(kind: type[Desk], path: Path) -> Iterator[Desk]:
    """Open the store for administration; refusals end the command with 1, a broken site with 2."""
    from sqlalchemy.exc import DBAPIError

    from radiusd2fa import vault
    from radiusd2fa.cli import roles
    from radiusd2fa.store.address import address
    from radiusd2fa.store.administration import RefusedError
    from radiusd2fa.store.chains import administration_of
    from radiusd2fa.store.connecting import one_line
    from radiusd2fa.store.errors import StoreError, StoreUnavailableError

    settings = site_settings(path)
    who, command = administrator(settings), _command()
    _refuse_foreign_configuration(settings, who)
    why = roles.refusal(settings.administrators, who, command)
    try:
        key, store = vault.load(settings.vault_key), address(settings.store)
        chain = administration_of(settings.node)
        with announced(settings.syslog) as tell, kind(store, key, who.name, chain=chain, tell=tell) as desk:
            if why is not None:
                desk.refused(command, now())
                refuse(why)
            yield desk
    except (RefusedError, StoreUnavailableError) as error:
        refuse(str(error))
    except DBAPIError as error:
        refuse(f"the database could not do it: {one_line(error.orig)}; is the disk full, or another change at work?")
    except (StoreError, vault.VaultError) as error:
        wrong_usage(str(error))


def permitted(settings: Settings) -> None:
    """End the command if whoever gives it has not the role for it: before all else, or where no store is opened."""
    from radiusd2fa.cli import roles

    who, command = administrator(settings), _command()
    _refuse_foreign_configuration(settings, who)
    if (why := roles.refusal(settings.administrators, who, command)) is not None:
        _write_down(settings, who, command)
        refuse(why)


def _write_down(settings: Settings, who: Administrator, command: str) -> None:
    """Keep in the audit that somebody was refused, where there is a store that takes it."""
    from sqlalchemy.exc import DBAPIError

    from radiusd2fa import vault
    from radiusd2fa.store.address import address
    from radiusd2fa.store.administration import Administration
    from radiusd2fa.store.chains import administration_of
    from radiusd2fa.store.errors import StoreError

    with suppress(StoreError, vault.VaultError, DBAPIError), announced(settings.syslog) as tell:
        key, chain = vault.load(settings.vault_key), administration_of(settings.node)
        with Administration(address(settings.store), key, who.name, chain=chain, tell=tell) as desk:
            desk.refused(command, now())


def _command() -> str:
    """Return the command that was given, without the program's name and without what follows: ``token assign``."""
    # typer brings click along, under click's own name or, lately, another; it has no word of its own for this
    click = typer.Context.__bases__[0].__module__.rpartition(".")[0]
    context = import_module(f"{click}.globals").get_current_context(silent=True)
    return "" if context is None else str(context.command_path).partition(" ")[2]


def _refuse_foreign_configuration(settings: Settings, who: Administrator) -> None:
    if settings.path != DEFAULT_CONFIG and may_have_written(settings, who):
        wrong_usage(
            f"{settings.path}: with sudo, a configuration counts only if nobody but root or the owner of its database "
            f"can write it; leave out -c, or as root: chown root {settings.path} && chmod go-w {settings.path}"
        )


def program(ctx: typer.Context) -> str:
    """Return how to call the program again about the same site, for a hint that can be pasted."""
    return f"radiusd2fa -c {shlex.quote(str(ctx.obj))}" if ctx.obj != DEFAULT_CONFIG else "radiusd2fa"


def reason(settings: Settings, given: str | None, what: str, *, always: bool = False) -> str:
    """Return why something is weakened, in one clean line; empty where nobody has said so and nobody must.

    It must be said where the site has ``administrators``, and for what ``always`` needs it: then it is asked for on a
    terminal, and the command ends without one. ``what`` completes "why do you ...": ``enable alice``.
    """
    text = _cleaned(given or "")
    if text or not (always or settings.administrators is not None):
        return text
    if given is None and sys.stdin.isatty():
        text = _cleaned(typer.prompt(f"Why do you {what}?", default="", show_default=False, prompt_suffix=" "))
    if not text:
        wrong_usage(f'say why you {what}: --reason "..." (it stays in the audit)')
    return text


def _cleaned(typed: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in typed).split())
    if len(text) > _MAX_REASON:
        wrong_usage(f"--reason has at most {_MAX_REASON} characters; this one has {len(text)}")
    return text


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
