"""`radiusd2fa db restore` and `db gap`: back in time, and no code that was ever used is accepted again.

They ask first, say what people will notice, and do all in one transaction; a backup is checked before anything is
asked. What they do is store.restoring's and store.gap's; promise P16. No RFC speaks of this.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.bars import Bar, bars
from radiusd2fa.cli.db_ground import Ground, agreed, ground, several
from radiusd2fa.cli.site import now, reason, refuse, wrong_usage
from radiusd2fa.cli.tables import moment

if TYPE_CHECKING:
    from radiusd2fa.store.gap import Closed, Gap
    from radiusd2fa.store.restoring import Restored, Restoring, Source

_A_DAY: Final = 86_400.0
_A_MONTH: Final = 30 * _A_DAY
_MOST_NAMES: Final = 20

More = Annotated[
    int,
    typer.Option(
        "--gap", metavar="N", min=0, help="Skip N codes of each HOTP fob, and N sessions of each Yubico OTP key."
    ),
]
Why = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `db backup` has written.", show_default=False)],
    more: More = 0,
    old_key: Annotated[
        Path | None,
        typer.Option(
            "--vault-key",
            metavar="FILE",
            help="The key file of then, if the key was changed since.",
            show_default=False,
        ),
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Restore a backup that has faults, too.")] = False,
    given: Why = None,
    yes: Yes = False,
) -> None:
    """Put a backup back. Codes that were used since then stay used; the daemon may run.

    Moving factors go forward by more than people can have used: by the look-ahead window and one, or by --gap N.
    Choose N greater than the number of times that anybody has logged in with one fob since the backup.
    Where the store can still be read, what it knows besides is kept: used codes, revoked tokens, disabled people.
    """
    with ground(ctx.obj) as site:
        from radiusd2fa import vault
        from radiusd2fa.store.address import SqliteFile
        from radiusd2fa.store.gap import gap_of
        from radiusd2fa.store.restoring import opened

        why = ": ".join(filter(None, (file.name, reason(site.settings, given, f"restore {file.name}"))))
        gap = gap_of(site.settings.rules, more)
        folder = site.address.path.parent if isinstance(site.address, SqliteFile) else None
        keys = None if old_key is None else vault.load(old_key)
        with opened(file, site.vault, keys, folder) as source:
            with bars() as bar:
                _refuse_faults(source, file, bar, anyway=anyway)
            _introduce(source, file, site, gap, there=_is_there(site))
            agreed(f"Restore {file} into {site.address}?", yes=yes)
            with bars() as bar, _target(site) as target:
                done = target.restore(source, gap, now(), why, bar)
    typer.echo(f"restored {file} into {site.address}")
    _report(done, gap)


def gap(ctx: typer.Context, more: More = 0, given: Why = None, yes: Yes = False) -> None:
    """Let no code count that may have been used and forgotten: after a fail-over that has lost what came last.

    It is the half of `db restore` that needs no backup. The daemons may run.
    """
    with ground(ctx.obj) as site:
        from radiusd2fa.store.gap import gap_of

        why = reason(site.settings, given, "force the gap")
        wide = gap_of(site.settings.rules, more)
        if not yes:
            _say_what_comes(wide)
        agreed(f"Force the gap in {site.address}?", yes=yes)
        with site.restoring() as store:
            done = store.force_gap(wide, now(), why)
    typer.echo(f"forced the gap in {site.address}")
    _report(done, wide)


# --- before -----------------------------------------------------------------------------------------------------------


def _is_there(site: Ground) -> bool:
    """Whether the store is there and can be read; the command ends where it is there and cannot."""
    from radiusd2fa.store.address import SqliteFile
    from radiusd2fa.store.errors import StoreError, StoreUnavailableError
    from radiusd2fa.store.upgrade import is_there

    if not is_there(site.address):
        return False
    try:
        with site.restoring():
            return True
    except StoreUnavailableError:
        raise
    except StoreError as error:
        if isinstance(site.address, SqliteFile):
            name = shlex.quote(str(site.address.path))
            wrong_usage(
                f"{error}\nif it is beyond help, stop the daemon, move it away and give the command again: "
                f"for e in '' -wal -shm; do mv {name}$e {name}.damaged$e; done"
            )
        raise


@contextmanager
def _target(site: Ground) -> Iterator[Restoring]:
    from radiusd2fa.store.restoring import store_for

    with store_for(site.address, site.vault) as address, site.restoring(address) as store:
        yield store


def _refuse_faults(source: Source, file: Path, bar: Bar, *, anyway: bool) -> None:
    from radiusd2fa.store.auditing import verify
    from radiusd2fa.store.verifying import faults

    with source.looking() as backup:
        found = [f"{one.where} {one.what}" for one in faults(backup, source.vault, now(), bar)]
        audit = verify(backup, source.vault, progress=lambda done, of: bar("reading the audit", done, of))
        found += [f"audit, chain {one.chain}: {one.fault}, {one.meaning}" for one in audit.findings]
    if found and not anyway:
        some = "\n".join(f"{file}: {one}" for one in found[:_MOST_NAMES])
        refuse(
            f"{some}\n{file}: {several(len(found), 'fault')}; take another backup, or restore this one with --anyway"
        )


def _introduce(source: Source, file: Path, site: Ground, gap: Gap, *, there: bool) -> None:
    said = source.about
    holds = ", ".join(several(said.counts[name], name[:-1]) for name in ("users", "tokens", "events"))
    made = f"made {moment(said.made)} of {said.of} by {said.by}" if said.made else "a plain copy of a database"
    typer.echo(f"{file}: {made}; {holds}; schema {said.schema}")
    if there:
        typer.echo(
            f"{site.address} is there, and what it knows of used codes, revoked tokens and disabled people stays."
        )
    else:
        typer.echo(f"{site.address} is not there, and is made: nobody knows what was used, revoked or changed since.")
        _advise(source, gap)
    _say_what_comes(gap)


def _advise(source: Source, gap: Gap) -> None:
    """Say how far the gap should go, by how often people log in."""
    from radiusd2fa.store.gap import busiest

    at = now()
    made = source.about.made or at
    with source.looking() as backup:
        daily = busiest(backup, made - _A_MONTH)
    wanted = daily * math.ceil(max(at - made, 0.0) / _A_DAY + 1)
    if wanted > gap.codes:
        typer.echo(
            f"warning: the busiest fob was used {daily} times on one day of the month before, so up to {wanted} of its "
            f"codes may have been used since; --gap {wanted} is sure to skip them, this gap skips {gap.codes}",
            err=True,
        )


def _say_what_comes(gap: Gap) -> None:
    typer.echo(
        f"""\
What people will notice:
  HOTP fobs       no code counts until the button was pressed {gap.codes} times more than the store remembers
  TOTP fobs       no code counts for some minutes
  Yubico OTP      no code counts until the key was plugged in {gap.codes} times more
  security keys   nothing
  sheets of codes recovery, temporary and emergency codes are revoked; hand out new ones
  grants          skips and what two persons have opened are closed, requests and invitations dropped
  logins half-way begin again"""
    )


# --- afterwards -------------------------------------------------------------------------------------------------------


def _report(done: Restored, gap: Gap) -> None:
    for line in _told(done.closed, gap):
        typer.echo(f"  {line}")
    for one in done.differing:
        names = ", ".join(one.names[:_MOST_NAMES]) + (", ..." if len(one.names) > _MOST_NAMES else "")
        typer.echo(f"  {one.what} ({len(one.names):,}): {names}" + (f"; {one.remedy}" if one.remedy else ""))
    if done.rows:
        typer.echo(f"  {several(done.rows, 'audit row')} came back with the backup")
    if done.forked:
        typer.echo(
            f"  the store's own audit stays for {', '.join(done.forked)}; keep the backup: its rows of then are others"
        )


def _told(closed: Closed, gap: Gap) -> list[str]:
    fobs = (
        (closed.hotp, "HOTP fob", f"press the button {gap.codes} times, and type the code after that"),
        (closed.totp, "TOTP fob", f"codes count again within {math.ceil(max(closed.wait, 0.0) / 60)} minutes"),
        (closed.yubico, "Yubico OTP key", f"plug it in {gap.codes} times, and touch it then"),
        (closed.sheets, "sheet|of codes", "revoked; `radiusd2fa recovery issue USER` makes new ones"),
        (closed.grants, "open grant", "closed"),
        (closed.requests, "request|for emergency codes", "dropped"),
        (closed.invitations, "invitation|to register a key", "dropped"),
        (closed.questions, "login|half-way in", "begins again"),
    )
    return [f"{_counted(count, what)}: {then}" for count, what, then in fobs if count]


def _counted(count: int, what: str) -> str:
    """Say how many, where the noun that is counted may have more behind it."""
    noun, bar, rest = what.partition("|")
    return f"{several(count, noun)}{' ' if bar else ''}{rest}"
