"""Checkpoints: when one is due, that the daemon writes and tells them, and whose signature is believed.

The keys are real ones, made from a vault; time is handed in. RFC 8032 (Ed25519), RFC 7468 (PEM).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from radiusd2fa import vault
from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.chain_findings import Fault
from radiusd2fa.store.auditing import Auditing
from radiusd2fa.store.chains import Chain
from radiusd2fa.store.checkpoints import (
    ROWS,
    SECONDS,
    PublicKeys,
    Signatory,
    Verdict,
    former_keys,
    public_keys,
    read_pem,
    sign,
)
from radiusd2fa.store.engine import Store
from radiusd2fa.vault import Vault, VaultError

from .attacker import CHAIN, a_row, drop_triggers, write
from .conftest import NOW, Site, an_event


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """A vault."""
    return vault.create(tmp_path_factory.mktemp("vault") / "vault.key")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """Somebody else's."""
    return vault.create(tmp_path_factory.mktemp("stranger") / "vault.key")


# --- whose signature it is --------------------------------------------------------------------------------------------

CHANGED: Final = {
    "chain": {"chain": "vpn2"},
    "sequence": {"sequence": 8},
    "hash": {"hash": bytes(31) + b"x"},
    "time": {"time": NOW + 1},
    "archived": {"archived": True},
    "signature": {"signature": bytes(64)},
    "length": {"signature": b""},
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_checkpoint_is_believed_by_nobody(key: Vault, what: str) -> None:
    """With anything in it changed its signature does not hold."""
    signed = sign(key, CHAIN, 7, bytes(32), NOW)
    keys = PublicKeys(public_keys(key))
    assert keys.judge(signed) is Verdict.GOOD
    assert keys.judge(replace(signed, **CHANGED[what])) is Verdict.BAD  # type: ignore[arg-type]


def test_a_strangers_checkpoint_is_of_an_unknown_key(key: Vault, stranger: Vault) -> None:
    """Nor does it help to call one's own key as ours is called."""
    keys = PublicKeys(public_keys(key))
    theirs = sign(stranger, CHAIN, 7, bytes(32), NOW)
    ours = sign(key, CHAIN, 7, bytes(32), NOW)
    assert keys.judge(theirs) is Verdict.UNKNOWN
    assert keys.judge(replace(theirs, key=ours.key)) is Verdict.BAD


def test_the_key_says_nothing_about_the_vaults(key: Vault) -> None:
    """Whoever has the public key, or the vault's seals, cannot sign; the same vault always has the same one."""
    (public,) = public_keys(key)
    assert public == public_keys(key)[0]
    assert key.keys[0].octets not in (public, key.derive(b"radiusd2fa checkpoints"))


def test_public_keys_travel_as_pem(key: Vault, stranger: Vault) -> None:
    """Several in one file, with their ids between them, come back as they were."""
    both = [*public_keys(key), *public_keys(stranger)]
    text = PublicKeys(both).pem()
    assert list(read_pem(text.encode())) == both
    assert text.splitlines()[0] == sign(key, CHAIN, 1, bytes(32), NOW).key


WRONG_FILES: Final = {
    "nothing": (b"", "no public key"),
    "a text": (b"hello", "no public key"),
    "another kind of key": (
        generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "another kind",
    ),
    "a damaged one": (b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "."),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_file_without_such_a_key_is_refused(name: str) -> None:
    """What is no key for Ed25519 is not taken for one."""
    text, why = WRONG_FILES[name]
    with pytest.raises(ValueError, match=why):
        read_pem(text)


def test_former_keys_are_believed_if_this_vault_has_kept_them(site: Site, stranger: Vault) -> None:
    """After the vault key was exchanged old checkpoints hold; a list that somebody else has written does not."""
    write(site)
    lines = b"\n".join(one.hex().encode() for one in public_keys(site.vault))
    kept = stranger.wrap(b"audit keys", lines).hex()
    site.sql("INSERT INTO meta (key, value) VALUES ('audit_keys_before', ?)", kept)
    with Auditing(site.address, site.vault, "nobody") as desk:
        with desk._looking() as connection:
            assert former_keys(connection, stranger) == public_keys(site.vault)
            with pytest.raises(VaultError):
                former_keys(connection, site.vault)
        for forged in ("", "zz", lines.hex(), kept[:-2] + "00"):
            site.sql("UPDATE meta SET value = ? WHERE key = 'audit_keys_before'", forged)
            with desk._looking() as connection, pytest.raises(VaultError):
                former_keys(connection, stranger)


# --- when one is due --------------------------------------------------------------------------------------------------


def chain_at(sequence: int) -> Chain:
    """A chain that has got to there."""
    return Chain(CHAIN, (sequence, bytes(32)))


def signatory(key: Vault, told: list[Checkpoint] | None = None) -> Signatory:
    """One that has signed row 100 at NOW."""
    one = Signatory(key, ([] if told is None else told).append)
    first = one.due(chain_at(100), NOW)
    assert first is not None
    one.committed(first)
    return one


DUE: Final = {
    "nothing new": (100, NOW + 3600, False),
    "one row soon": (101, NOW + SECONDS - 1, False),
    "one row late": (101, NOW + SECONDS, True),
    "many rows soon": (99 + ROWS, NOW + 1, False),
    "enough rows": (100 + ROWS, NOW + 1, True),
    "a clock that was set back": (101, NOW - 1, True),
    "a chain that was taken back": (50, NOW + 1, True),
}


@pytest.mark.parametrize("case", DUE)
def test_a_checkpoint_is_due_by_rows_and_by_time(key: Vault, case: str) -> None:
    """After so many rows, or when a row has waited a minute; never where nothing has come."""
    sequence, now, due = DUE[case]
    assert (signatory(key).due(chain_at(sequence), now) is not None) is due


def test_the_first_row_and_the_last_are_signed(key: Vault) -> None:
    """A run begins with a checkpoint, and ends with one if there was news."""
    assert Signatory(key, print).due(chain_at(0), NOW) is None
    assert Signatory(key, print).due(chain_at(1), NOW) is not None
    assert signatory(key).due(chain_at(101), NOW, anyway=True) is not None
    assert signatory(key).due(chain_at(100), NOW, anyway=True) is None


def test_what_was_not_committed_is_due_again_and_not_told(key: Vault) -> None:
    """A transaction that failed has signed nothing."""
    told: list[Checkpoint] = []
    one = Signatory(key, told.append)
    assert one.due(chain_at(1), NOW) is not None
    again = one.due(chain_at(1), NOW)
    assert again is not None
    assert told == []
    one.committed(again)
    assert told == [again]


def test_rows_that_nobody_follows_wait_for_a_minute(key: Vault) -> None:
    """Where no login comes to write a checkpoint along, the timer is told that one is due."""
    one = signatory(key)
    assert not one.waits(NOW + 3600)
    one.due(chain_at(101), NOW + 10)
    one.due(chain_at(102), NOW + 20)
    assert not one.waits(NOW + 10 + SECONDS - 1)
    assert one.waits(NOW + 10 + SECONDS)
    assert one.waits(NOW)
    signed = one.due(chain_at(102), NOW + 10 + SECONDS)
    assert signed is not None
    one.committed(signed)
    assert not one.waits(NOW + 7200)


# --- the daemon's -----------------------------------------------------------------------------------------------------


@pytest.mark.both_stores
def test_the_daemon_signs_its_first_row_and_its_last(site: Site) -> None:
    """Each checkpoint is told once it is on the disk, and is the one that is there."""
    told: list[Checkpoint] = []
    store = Store(site.address, site.vault, print, CHAIN, told.append)
    for number in range(3):
        store.commit([], an_event(now=NOW + number), lambda _: None)
        store.flush()
    store.close(NOW + 3)
    assert [one.sequence for one in told] == [1, 3]
    assert all(PublicKeys(public_keys(site.vault)).judge(one) is Verdict.GOOD for one in told)
    kept = site.sql("SELECT sequence, signature FROM checkpoints WHERE chain = ? ORDER BY id", CHAIN)
    assert [(sequence, bytes(signature)) for sequence, signature in kept] == [
        (one.sequence, one.signature) for one in told
    ]


@pytest.mark.both_stores
def test_a_quiet_daemon_signs_within_a_minute(site: Site) -> None:
    """The timer's question costs nothing until a row has waited long enough."""
    told: list[Checkpoint] = []
    store = Store(site.address, site.vault, print, CHAIN, told.append)
    for number in range(2):
        store.commit([], an_event(now=NOW + number), lambda _: None)
        store.flush()
    store.sign_end(NOW + 30)
    assert [one.sequence for one in told] == [1]
    store.sign_end(NOW + 1 + SECONDS)
    assert [one.sequence for one in told] == [1, 2]
    store.close(NOW + 90)
    assert [one.sequence for one in told] == [1, 2]


def test_a_run_begins_where_the_last_one_was_cut_off(site: Site, tmp_path: Path) -> None:
    """Rows that were taken away while nobody wrote are missed, even though the next run signs anew."""
    write(site)
    drop_triggers(site)
    site.sql("DELETE FROM events WHERE chain = ? AND sequence > 25", CHAIN)
    store = Store(site.address, site.vault, print, CHAIN)
    store.commit([], a_row(31), lambda _: None)
    store.flush()
    store.close(NOW + 99)
    with Auditing(site.address, site.vault, "nobody") as desk:
        found = {(one.fault, one.sequence) for one in desk.verify().findings}
    assert found == {(Fault.MISSING, 26)}
