"""The key file while its key is exchanged: another file takes its place, whole, of the same owner and mode.

Killed at any moment it is the old one or the new one (tests/store/test_rotation.py has the rest). rename(2).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from radiusd2fa import key_file, vault
from radiusd2fa.vault import VaultError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key file with one key."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    vault.create(tmp_path / "vault.key")
    return tmp_path / "vault.key"


def test_a_key_joins_and_a_key_leaves(path: Path) -> None:
    """The new one stands in front; the old one is the one that leaves, and nothing is left beside the file."""
    old = vault.load(path)
    both = key_file.add_key(path)
    assert both.keys[1:] == old.keys
    assert vault.load(path).keys == both.keys
    assert key_file.drop_old_key(path).keys == both.keys[:1]
    assert vault.load(path).keys == both.keys[:1]
    assert [one.name for one in path.parent.iterdir()] == ["vault.key"]


def test_no_third_key(path: Path) -> None:
    """What the oldest has sealed would not open any more."""
    both = key_file.add_key(path)
    with pytest.raises(VaultError, match="two keys"):
        key_file.add_key(path)
    assert vault.load(path).keys == both.keys


def test_mode_and_owner_stay(path: Path) -> None:
    """Whoever could read the file still can, and nobody else."""
    if os.geteuid() == 0:
        os.chown(path, 4711, 4712)
    before = path.stat()
    key_file.add_key(path)
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode & 0o777) == (before.st_uid, before.st_gid, 0o600)
    assert after.st_ino != before.st_ino


def test_what_somebody_has_left_is_in_nobodys_way(path: Path) -> None:
    """The part of one that was killed goes; a link in its place is not followed."""
    precious = path.with_name("precious")
    precious.write_text("precious")
    path.with_name(".vault.key.new").symlink_to(precious)
    key_file.add_key(path)
    assert precious.read_text() == "precious"
    assert len(vault.load(path).keys) == 2


def test_a_folder_that_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is named, and stays as it is; so does a full disk's."""
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VaultError, match="No space left"):
        key_file.add_key(path)
    assert path.read_bytes() == before
    assert key_file.can_be_replaced(path)
    assert not key_file.can_be_replaced(path.parent / "nowhere" / "vault.key")
