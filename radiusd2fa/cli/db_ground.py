"""What the commands about the database as a whole stand on: the store's address, its vault, and who is asking.

Unlike other commands they may find a store that is damaged, or none. Errors end them as they end all others: 1 refused,
2 wrong usage or a broken site. No RFC speaks of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from radiusd2fa.cli.announcing import announced
from radiusd2fa.cli.site import administrator, permitted, refuse, site_settings, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.core.chain import Checkpoint
    from radiusd2fa.core.model import Event
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.address import Address
    from radiusd2fa.store.restoring import Restoring
    from radiusd2fa.store.rotation import Rotation
    from radiusd2fa.vault import Vault


@dataclass(frozen=True, slots=True)
class Ground:
    """A site, before its store is opened."""

    settings: Settings
    address: Address
    vault: Vault
    actor: str
    chain: str
    tell: Callable[[Event | Checkpoint], object]

    def restoring(self, address: Address | None = None) -> Restoring:
        """Open the store, or another in its place, to restore into it."""
        from radiusd2fa.store.restoring import Restoring

        return Restoring(address or self.address, self.vault, self.actor, chain=self.chain, tell=self.tell)

    def rotation(self, vault: Vault) -> Rotation:
        """Open the store to exchange its vault key."""
        from radiusd2fa.store.rotation import Rotation

        return Rotation(self.address, vault, self.actor, chain=self.chain, tell=self.tell)


@contextmanager
def ground(path: Path) -> Iterator[Ground]:
    """Find out where everything is; whoever may not give this command is refused before anything is opened."""
    from sqlalchemy.exc import DBAPIError

    from radiusd2fa import vault
    from radiusd2fa.store.address import address
    from radiusd2fa.store.administration import RefusedError
    from radiusd2fa.store.chains import administration_of
    from radiusd2fa.store.connecting import one_line
    from radiusd2fa.store.errors import StoreError, StoreUnavailableError

    settings = site_settings(path)
    permitted(settings)
    try:
        key, store = vault.load(settings.vault_key), address(settings.store)
        chain = administration_of(settings.node)
        with announced(settings.syslog) as tell:
            yield Ground(settings, store, key, administrator(settings).name, chain, tell)
    except (RefusedError, StoreUnavailableError) as error:
        refuse(str(error))
    except DBAPIError as error:
        refuse(f"the database could not do it: {one_line(error.orig)}; `radiusd2fa db verify` says whether it is whole")
    except (StoreError, vault.VaultError) as error:
        wrong_usage(str(error))


def agreed(question: str, *, yes: bool) -> None:
    """Ask, unless it was answered on the command line; whoever does not type yes has ended the command."""
    if yes:
        return
    typed: str = typer.prompt(f"{question}\nType yes to go on", default="no", show_default=False, prompt_suffix=": ")
    if typed.strip().lower() != "yes":
        refuse("nothing was changed")


def several(count: int, noun: str) -> str:
    """Say how many there are."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"
