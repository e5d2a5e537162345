"""Seeds that make the same codes have one mark, however they are written; and those of older versions get theirs.

On the real database, and with HMAC itself as the judge. RFC 2104 2: what is longer than a block is hashed first.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import AdvanceMovingFactor, Token
from radiusd2fa.core.sheets import RECOVERY
from radiusd2fa.store import connecting, marking
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.marking import mark_all
from radiusd2fa.store.sealing import what_makes_codes
from radiusd2fa.store.sqlite import StoreError, StoreUnavailableError
from radiusd2fa.vault import VaultError

from .conftest import NOW, Site, hotp
from .delivered import a_seed, take_in
from .inventory_tokens import a_sheet

LATER: Final = NOW + 100
BLOCKS: Final = {"sha1": 64, "sha256": 64, "sha512": 128}
LONG: Final = bytes(range(1, 101))


def fob(serial: str, seed: bytes, algorithm: str = "sha1", counter: int = 0) -> Token:
    """A fob of that hash."""
    return replace(hotp(serial, seed, counter=counter), algorithm=algorithm)


def no_mark(site: Site) -> list[str]:
    """The serials of the fobs without a mark."""
    rows = site.sql("SELECT serial FROM tokens WHERE fingerprint IS NULL AND kind = 'hotp' ORDER BY serial")
    return [str(serial) for (serial,) in rows]


def mark(site: Site) -> int:
    """Mark all, as `db upgrade` does where every seed opens."""

    def fail(error: VaultError) -> None:
        raise error

    return mark_all(site.address, site.vault, lambda _done, _of: None, fail)


# --- one key of HMAC, one mark ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", BLOCKS)
def test_a_seed_longer_than_a_block_is_its_digest(site: Site, algorithm: str) -> None:
    """Nobody gets both, in whatever order they come: one code would count twice."""
    block = BLOCKS[algorithm]
    seed = bytes(n % 251 + 1 for n in range(block + 1))
    digest = hashlib.new(algorithm, seed).digest()
    assert hmac.digest(seed, b"counter", algorithm) == hmac.digest(digest, b"counter", algorithm)
    for first, second in ((seed, digest), (digest, seed)):
        site.sql("DELETE FROM tokens WHERE serial LIKE 'X%'")
        with site.registry() as registry:
            registry.add_token(fob("X1", first, algorithm), "alice", NOW)
            with pytest.raises(RefusedError, match="as token X1"):
                registry.add_token(fob("X2", second, algorithm), "alice", NOW)


@pytest.mark.parametrize("algorithm", BLOCKS)
@pytest.mark.parametrize("octets", [10, 20, 64, 65, 127, 128, 129])
def test_marks_are_the_same_where_the_codes_are(site: Site, algorithm: str, octets: int) -> None:
    """And nowhere else: HMAC itself says so, of each seed, its digest, and both with zero octets behind them."""
    seed = bytes(n % 251 + 1 for n in range(octets))
    digest = hashlib.new(algorithm, seed).digest()
    spellings = [seed, digest, seed + b"\0", seed + bytes(70), digest + bytes(9), seed[:-1]]
    marks = [site.vault.fingerprint(what_makes_codes("hotp", one, algorithm)) for one in spellings]
    codes = [hmac.digest(one, b"counter", algorithm) for one in spellings]
    assert [marks.index(one) for one in marks] == [codes.index(one) for one in codes]


def test_what_is_no_hmac_key_is_left_as_it_is() -> None:
    """A key's public key and a sheet are longer than a block and are not hashed; of a Yubico OTP the id is cut off."""
    assert what_makes_codes("fido", LONG, "sha1") == LONG
    assert what_makes_codes(RECOVERY.kind, LONG, "sha256") == LONG
    assert what_makes_codes("yubico", LONG[:28], "sha1") == LONG[:22]


@pytest.mark.parametrize("seeds", [(LONG, hashlib.sha1(LONG).digest()), (hashlib.sha1(LONG).digest(), LONG)])  # noqa: S324
def test_a_delivery_sees_such_a_twin(site: Site, seeds: tuple[bytes, bytes]) -> None:
    """In the store, among the rows of an older version, and within one file."""
    here, comes = seeds
    with site.registry() as registry:
        registry.add_token(fob("X1", here), None, NOW)
    (flaw,) = take_in(site, [a_seed("N1", secret=comes)]).faults
    assert "as token X1" in flaw.problem
    site.sql("UPDATE tokens SET fingerprint = NULL")
    (flaw,) = take_in(site, [a_seed("N1", secret=comes)], dry_run=True).faults
    assert "as token X1" in flaw.problem
    site.sql("DELETE FROM tokens WHERE serial = 'X1'")
    (flaw,) = take_in(site, [a_seed("N1", 2, secret=here), a_seed("N2", 3, secret=comes)]).faults
    assert "that of N1 in line 2" in flaw.problem


def test_such_a_twin_of_before_is_not_handed_out_to_the_same_person(site: Site) -> None:
    """A row without a mark is opened, and compared by what makes its codes."""
    with site.registry() as registry:
        registry.add_token(fob("X1", LONG), "bob", NOW)
        registry.add_token(fob("X2", hashlib.sha1(LONG).digest()), None, NOW)  # noqa: S324
        site.sql("UPDATE tokens SET fingerprint = NULL")
        with pytest.raises(RefusedError, match="as token X1"):
            registry.assign("X2", "bob", LATER)


# --- rows of an older version ----------------------------------------------------------------------------------------


def test_twins_of_before_one_after_the_other(site: Site) -> None:
    """The second goes on where the first was: each is marked when it is handled, and then its twin is seen."""
    with site.registry() as registry:
        registry.add_token(fob("X1", LONG), "bob", NOW)
        registry.add_token(fob("X2", LONG), None, NOW)
        desk = site.desk()
        assert desk.commit(AdvanceMovingFactor(desk.token("X1", "bob").id, 2, 80, 0, LATER)) is True
        desk.store.close()
        site.sql("UPDATE tokens SET fingerprint = NULL")
        registry.unassign("X1", LATER)
        registry.assign("X2", "bob", LATER)
        assert registry.token("X2").moving_factor == 80


def test_twins_of_before_of_somebody_removed(site: Site) -> None:
    """Likewise where nobody handled the first but whoever removed its owner."""
    with site.registry() as registry:
        registry.add_token(fob("X1", LONG), "bob", NOW)
        registry.add_token(fob("X2", LONG), None, NOW)
        site.sql("UPDATE tokens SET fingerprint = NULL")
        site.sql("UPDATE tokens SET moving_factor = 70 WHERE serial = 'X1'")
        registry.remove_user("bob", LATER)
        registry.assign("X2", "alice", LATER)
        assert registry.token("X2").moving_factor == 70


def test_a_row_that_does_not_open_can_still_be_put_away(site: Site) -> None:
    """Nobody can log in with it, and nobody must keep it for that."""
    site.sql("UPDATE tokens SET fingerprint = NULL, sealed = ? WHERE serial = 'H2'", b"\0")
    with site.registry() as registry:
        registry.unassign("H2", LATER)
    assert no_mark(site) == ["H2"]


def test_another_vault_marks_nothing(site: Site, tmp_path: Path) -> None:
    """Marks under another key would match none of those that come."""
    site.sql("UPDATE tokens SET fingerprint = NULL")
    another = vault.create(tmp_path / "another.key")
    with pytest.raises(StoreError, match=r"vault\.key_file"):
        mark_all(site.address, another, lambda _done, _of: None, lambda _: None)
    assert len(no_mark(site)) == 2


def test_a_database_that_another_command_holds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that the same command may go through later."""
    monkeypatch.setattr(connecting, "PATIENCE", 0.01)
    site.sql("UPDATE tokens SET fingerprint = NULL")
    with site.held(), pytest.raises(StoreUnavailableError, match="try again"):
        mark(site)


def test_marks_are_those_that_new_tokens_have(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few in each transaction, all in the end, whatever is a person's for good left out; a second time none."""
    monkeypatch.setattr(marking, "FEW", 2)
    with site.registry() as registry:
        registry.add_token(a_sheet(RECOVERY), "alice", NOW)
        registry.add_token(fob("X2", LONG), None, NOW)
    of_fobs = "SELECT serial, fingerprint FROM tokens WHERE kind <> 'recovery' ORDER BY serial"
    before = site.sql(of_fobs)
    site.sql("UPDATE tokens SET fingerprint = NULL")
    told: list[tuple[int, int]] = []
    assert mark_all(site.address, site.vault, lambda done, of: told.append((done, of)), lambda _: None) == len(before)
    assert site.sql(of_fobs) == before
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert mark(site) == 0
