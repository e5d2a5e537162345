"""From an open seed file to its entries: which format it is in, with a bar, and the key asked for where one is wanted.

It judges no token: that is for the formats and the store. A file that makes no sense as a whole ends the command, and
nothing of it is taken. Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import typer

from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.seed_file import SeedFile, parsed_key, password_of
from radiusd2fa.cli.site import refuse, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.imports.seeds import Flaw, Format, How, LeftOut, LockedError, Seed

_EVERY: Final = 250
"""Entries between two looks at how far the file is read."""
_ENTRIES_A_TOKEN: Final = 3
"""Some formats say of each token what of it is left out."""


@dataclass(slots=True)
class Contents:
    """What stands in a seed file."""

    format: str
    seeds: list[Seed] = field(default_factory=list)
    faults: list[Flaw] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def __len__(self) -> int:
        """How many entries there are, of whatever sort."""
        return len(self.seeds) + len(self.faults) + len(self.left_out)


def contents_of(source: SeedFile, format_name: str, how: How, *, quiet: bool) -> Contents:
    """Read all of a file. Whoever sits at a terminal is asked, unseen, for a key or password that it wants."""
    from radiusd2fa.imports.seeds import LockedError, UnreadableError
    from radiusd2fa.log import visible

    try:
        chosen = _format(source, format_name, how)
        try:
            return _read(source, chosen, how, quiet=quiet)
        except LockedError as error:
            if not source.somebody_watches():
                wrong_usage(visible(f"{source.name}: {error} ({_options(error)})"))
            typer.echo(visible(f"{source.name}: {error}"), err=True)
            return _read(source, chosen, _asked(error, how), quiet=quiet)
    except UnreadableError as error:
        refuse(visible(f"{source.name}: {error}; nothing was taken in"))


def _format(source: SeedFile, name: str, how: How) -> Format:
    from radiusd2fa.imports.formats import HEAD_OCTETS, WITHOUT_NAMES, formats, recognised

    known = formats()
    if how.columns and name not in ("auto", WITHOUT_NAMES):
        wrong_usage(f"--columns is for a list that says nothing itself, and not for --format {name}")
    if how.columns:
        return known[WITHOUT_NAMES]
    if name == "auto":
        head = source.file.read(HEAD_OCTETS)
        source.file.seek(0)
        return recognised(head, known)
    if name == WITHOUT_NAMES:
        wrong_usage("--format columns needs --columns: what stands in the first, the second ... of them")
    if name not in known:
        names = "\n".join(f"{one.NAME}: {one.TITLE}" for _, one in sorted(known.items()))
        wrong_usage(f"there is no format {name}; there are:\n{names}")
    return known[name]


def _read(source: SeedFile, chosen: Format, how: How, *, quiet: bool) -> Contents:
    from radiusd2fa.imports.seeds import Flaw, Seed
    from radiusd2fa.store.deliveries import MOST_AT_ONCE

    found = Contents(chosen.NAME)
    source.file.seek(0)
    with bars(quiet=quiet) as bar:
        for entry in chosen.read(source.file, how):
            match entry:
                case Seed():
                    found.seeds.append(entry)
                case Flaw():
                    found.faults.append(entry)
                case _:
                    found.left_out.append(entry)
            if len(found) % _EVERY == 0:
                bar(f"reading {source.name}", source.file.tell(), source.octets)
            if len(found.seeds) > MOST_AT_ONCE or len(found) > _ENTRIES_A_TOKEN * MOST_AT_ONCE:
                refuse(
                    f"{source.name}: there are more than {MOST_AT_ONCE:,} tokens in it, and logins would have to wait "
                    "for so many; split it into parts"
                )
    return found


def _asked(error: LockedError, how: How) -> How:
    """Ask for what opens the file."""
    if error.password:
        return replace(how, password=password_of(_typed_unseen("Password")))
    return replace(how, key=parsed_key(_typed_unseen("Key of the file (hex or base64)"), "what was typed"))


def _typed_unseen(prompt: str) -> bytes:
    typed: str = typer.prompt(prompt, hide_input=True)
    return typed.encode()


def _options(error: LockedError) -> str:
    return "--password-stdin" if error.password else "--key-file or --key-stdin"
