"""The soft key in a file: which files it refuses, what survives, and two processes with one key.

What could go wrong with a seed file goes wrong with a key file too: each case is tried with a real one.
WebAuthn 6.1.1 (a counter must not fall), CTAP 2.1 6.5.2 (nor the tries rise).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radiusd2fa.emulators.softkey import Format, KeyFileError, PinPolicy, SoftKey, memory
from radiusd2fa.emulators.softkey.state import State

from .ceremonies import PIN, credential_of, log_in, register


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A new key's file."""
    SoftKey.make(b"file", path=tmp_path / "key.json")
    return tmp_path / "key.json"


def _rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_is_open_to_others_is_refused(file: Path, mode: int) -> None:
    """Whoever else may read or write the file has the key: it is not used until that is mended."""
    file.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        SoftKey.load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """There is no key in a file that is not there."""
    with pytest.raises(KeyFileError, match="No such file"):
        SoftKey.load(tmp_path / "none.json")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """A named pipe is no key, and nobody waits at it."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyFileError, match="not a regular file"):
        SoftKey.load(tmp_path / "pipe")


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 3000, "null", '{"a": 1}', "x" * 5000])
def test_other_content_is_refused(file: Path, content: str) -> None:
    """What is no key is not taken for one."""
    file.write_text(content)
    with pytest.raises(KeyFileError, match=r"not a JSON object|not a soft key"):
        SoftKey.load(file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wrapping_key", "00" * 31),
        ("wrapping_key", "no hex"),
        ("wrapping_key", 7),
        ("counter", -1),
        ("counter", 2**32),
        ("counter", True),
        ("counter", "1"),
        ("counts", 1),
        ("u2f_only", None),
        ("aaguid", "00"),
        ("attestation", "honest"),
        ("pin_policy", "never"),
        ("pin_hash", "00"),
        ("pin_retries", 9),
        ("pin_retries", -1),
        ("colour", "red"),
    ],
)
def test_a_field_that_cannot_be_is_refused(file: Path, name: str, value: object) -> None:
    """Each field has its type and its bounds, and there are no others; the refusal does not repeat a secret."""
    _rewrite(file, lambda content: content.update({name: value}))
    with pytest.raises(KeyFileError) as refused:
        SoftKey.load(file)
    assert str(file) in str(refused.value)
    assert "00" * 16 not in str(refused.value)


def test_a_missing_field_is_refused(file: Path) -> None:
    """Half a key is none."""
    _rewrite(file, lambda content: content.pop("counter"))
    with pytest.raises(KeyFileError, match="'counter' is missing"):
        SoftKey.load(file)


def test_a_u2f_only_key_with_a_pin_is_refused(file: Path) -> None:
    """U2F has no PIN, so a file that says both is not believed."""
    _rewrite(file, lambda content: content.update({"u2f_only": True, "pin_hash": "00" * 16}))
    with pytest.raises(KeyFileError, match="no PIN"):
        SoftKey.load(file)


def test_a_new_key_never_overwrites_a_file(file: Path) -> None:
    """A new key would void what is registered: the old file stays, octet by octet."""
    before = file.read_bytes()
    with pytest.raises(KeyFileError, match="there is a file already"):
        SoftKey.make(path=file)
    assert file.read_bytes() == before


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A key is not put where there is no folder."""
    with pytest.raises(KeyFileError, match="No such file"):
        SoftKey.make(path=tmp_path / "none" / "key.json")


def test_no_signature_without_its_count(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the counter cannot be brought to disk nothing is signed, the old file stays, and no half one is left."""
    key = SoftKey.load(file)
    device = memory.connect(key)
    credential = credential_of(register(device))
    before = file.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        log_in(device, credential)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["key.json"]


# --- kept ------------------------------------------------------------------------------------------------------------


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask says: mode 0600, and a warning inside."""
    before = os.umask(0)
    try:
        SoftKey.make(path=tmp_path / "key.json")
    finally:
        os.umask(before)
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    assert "no second factor" in (tmp_path / "key.json").read_text()


def test_a_key_survives(file: Path) -> None:
    """A credential made before the key was put away logs in afterwards, with a greater counter."""
    made = register(memory.connect(SoftKey.load(file)))
    again = log_in(memory.connect(SoftKey.load(file)), credential_of(made))
    assert again.counter > made.auth_data.counter
    assert SoftKey.load(file).state.counter == again.counter


def test_everything_is_read_back(tmp_path: Path) -> None:
    """Each field of the state comes back from the file as it was."""
    states = [
        SoftKey.make(b"1", path=tmp_path / "a", pin=PIN, pin_policy=PinPolicy.ALWAYS, aaguid=b"A" * 16).state,
        SoftKey.make(b"2", path=tmp_path / "b", u2f_only=True, counts=False, attestation=Format.SELF).state,
    ]
    assert [SoftKey.load(tmp_path / name).state for name in "ab"] == states
    assert states[0] == State(
        wrapping_key=SoftKey.make(b"1").state.wrapping_key,
        pin_policy=PinPolicy.ALWAYS,
        aaguid=b"A" * 16,
        pin_hash=states[0].pin_hash,
    )


def test_two_who_use_one_file_share_its_counter(file: Path) -> None:
    """Nobody repeats a count because another had the key in hand at the same time."""
    one, other = SoftKey.load(file), SoftKey.load(file)
    assert [key.count() for key in (one, other, one, other)] == [1, 2, 3, 4]


def test_a_link_is_followed_and_stays(file: Path, tmp_path: Path) -> None:
    """A key behind a symbolic link is kept where it lies."""
    link = tmp_path / "link.json"
    link.symlink_to(file)
    SoftKey.load(link).count()
    assert link.is_symlink()
    assert SoftKey.load(file).state.counter == 1


def test_what_a_power_cut_left_is_swept_away(file: Path) -> None:
    """Half a new file from last time is in nobody's way."""
    (file.parent / f".{file.name}.new").write_text("half")
    assert SoftKey.load(file).count() == 1
    assert [path.name for path in file.parent.iterdir()] == ["key.json"]


def test_the_counter_does_not_wrap(file: Path) -> None:
    """After 2^32 - 1 signatures the key signs no more: a counter that began anew would look like a clone."""
    key = SoftKey.load(file)
    key.place.change(lambda state: replace(state, counter=2**32 - 1))
    with pytest.raises(KeyFileError, match="counter"):
        key.count()
