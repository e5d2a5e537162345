"""Whether a vault's key file and a database belong together, by the two rows of ``meta`` that say so.

It opens neither. No RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from radiusd2fa.store.errors import StoreError
from radiusd2fa.vault import Vault


def check_vault(rows: Iterable[tuple[Any, ...]], vault: Vault, where: object) -> None:
    """Refuse a key file that does not belong to this database; ``rows`` are those of the statement VAULT."""
    found = {str(row[0]): str(row[1]) for row in rows}
    if not vault.fits(found.get("vault_key_id"), found.get("fingerprint_key")):
        raise StoreError(
            f"{where}: sealed under vault key {found.get('vault_key_id', 'unknown')}, but vault.key_file holds "
            f"{vault.key_id.hex()}; restore the key file that belongs to this database"
        )
