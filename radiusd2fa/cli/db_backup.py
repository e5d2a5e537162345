"""`radiusd2fa db backup`: writes the store into one file, while logins go on.

It never overwrites anything, and the vault key is not in the file: who finds the one must not have the other.
No RFC speaks of this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiusd2fa import __version__
from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.db_ground import ground, several
from radiusd2fa.cli.site import now
from radiusd2fa.cli.tables import show_json


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes; must not be there.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the store, as it is at this moment, into one file. Logins go on meanwhile and wait for nothing.

    The file is of mode 0600 and was read back. The vault key is not in it: keep a copy of that elsewhere, for without
    it the backup opens nothing. `db restore FILE` puts it back; copied into place by hand, no daemon takes it.
    """
    from radiusd2fa.store.backup import Maker, back_up

    with ground(ctx.obj) as site:
        with bars() as bar:
            made = back_up(site.address, site.vault, file.absolute(), Maker(site.actor, __version__, now()), bar)
        octets = file.stat().st_size
        if as_json:
            show_json(
                {"file": str(file), "octets": octets, "vault_key": made.vault_key_id, "made": made.made} | made.counts
            )
            return
        holds = ", ".join(several(made.counts[name], name[:-1]) for name in ("users", "tokens", "events"))
        typer.echo(f"{file}: {octets:,} octets; {holds}; schema {made.schema}")
        typer.echo(f"The vault key ({made.vault_key_id}) is not in it: keep a copy of {site.settings.vault_key} apart.")
