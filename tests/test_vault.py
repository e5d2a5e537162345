"""Seeds at rest: which key files are refused, and that a sealed seed opens for its own row only.

No key or seed is ever printed, and nothing here needs more than a temporary folder.
NIST SP 800-38D (AES-GCM).
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa import vault
from radiusd2fa.vault import Key, Vault, VaultError

SEED: Final = b"12345678901234567890"
KEY: Final = bytes(range(32))
PREFIX: Final = b"radiusd2fa-vault-1:"
GOOD: Final = PREFIX + base64.b64encode(KEY) + b"\n"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own systemd credentials are not looked at."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def put(path: Path, octets: bytes = GOOD, mode: int = 0o600) -> Path:
    """Write a key file."""
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    """Return why this key file is refused; it must be, and the reason must name it and hold no key."""
    with pytest.raises(VaultError) as refused:
        vault.load(path)
    text = str(refused.value)
    assert str(path) in text
    assert base64.b64encode(KEY).decode()[:8] not in text
    return text


# --- the file --------------------------------------------------------------------------------------------------------

CONTENTS: Final = {
    "empty": b"",
    "cut in the key": GOOD[:-12],
    "cut by one": GOOD[:-2],
    "one octet more": PREFIX + base64.b64encode(KEY + b"x"),
    "one octet less": PREFIX + base64.b64encode(KEY[:-1]),
    "no prefix": base64.b64encode(KEY),
    "another version": GOOD.replace(b"vault-1", b"vault-2"),
    "prefix only": PREFIX,
    "not base64": PREFIX + b"!" * 44,
    "URL-safe base64": PREFIX + base64.urlsafe_b64encode(b"\xff" * 32),
    "key in the clear": PREFIX + KEY,
    "one key twice": GOOD + GOOD,
    "three keys": GOOD + PREFIX + base64.b64encode(b"b" * 32) + b"\n" + PREFIX + base64.b64encode(b"c" * 32),
    "half a second key": GOOD + GOOD[:30],
    "an empty line before": b"\n" + GOOD,
    "NUL after": GOOD.strip() + b"\0",
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "zero-length after a crash": b"\0" * 64,
    "something large": b"x" * 100_000,
}


@pytest.mark.parametrize("octets", CONTENTS.values(), ids=CONTENTS.keys())
def test_what_is_no_key_file(tmp_path: Path, octets: bytes) -> None:
    """A file that is cut, longer, of another version or something else is refused, with what to do."""
    assert "backup" in refusal(put(tmp_path / "vault.key", octets))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o644, 0o666, 0o700 | 0o001, 0o620, 0o602, 0o610])
def test_a_file_open_to_others(tmp_path: Path, mode: int) -> None:
    """Any right of the group or of others, to read, write or execute, is too much."""
    assert "chmod 600" in refusal(put(tmp_path / "vault.key", mode=mode))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone(tmp_path: Path, mode: int) -> None:
    """What only the owner can use is taken."""
    assert vault.load(put(tmp_path / "vault.key", mode=mode)).open(1, _seal()) == SEED


def _seal() -> bytes:
    return Vault((Key.of(KEY),)).seal(1, SEED)


def _key_id() -> bytes:
    import hashlib

    return hashlib.sha256(b"radiusd2fa key id" + KEY).digest()[:4]


def test_a_symbolic_link(tmp_path: Path) -> None:
    """A link is not followed, even to a good file."""
    put(tmp_path / "real.key")
    (tmp_path / "vault.key").symlink_to(tmp_path / "real.key")
    refusal(tmp_path / "vault.key")


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    """A named pipe in the place of the file neither holds up the start nor is read."""
    os.mkfifo(tmp_path / "vault.key", 0o600)
    assert "plain file" in refusal(tmp_path / "vault.key")


def test_a_folder_and_a_device(tmp_path: Path) -> None:
    """Only a plain file can be a key file."""
    (tmp_path / "vault.key").mkdir(0o700)
    assert "plain file" in refusal(tmp_path / "vault.key")
    assert "plain file" in refusal(Path("/dev/null"))


def test_no_file(tmp_path: Path) -> None:
    """Where there is none, the text says how to make one."""
    assert "radiusd2fa init" in refusal(tmp_path / "vault.key")


def test_a_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is not root takes a key of its own user or of root, and of nobody else."""
    path = put(tmp_path / "vault.key")
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1000)
    if owner == 0:
        assert vault.load(path).key_id == _key_id()
        os.chown(path, 4711, -1)
    assert "belongs to another user" in refusal(path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid)
    assert vault.load(path).key_id == _key_id()


def test_a_systemd_credential_may_carry_an_access_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In systemd's folder the group bits are a mask and allowed; the rights of others are refused there too."""
    path = put(tmp_path / "vault.key", mode=0o440)
    refusal(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert vault.load(path).key_id == _key_id()
    path.chmod(0o444)
    refusal(path)


# --- a new one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_key_file(tmp_path: Path, umask: int) -> None:
    """It is readable by its owner alone whatever the umask, and what it seals opens after loading it again."""
    before = os.umask(umask)
    try:
        made = vault.create(tmp_path / "vault.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "vault.key").stat().st_mode) == 0o600
    assert vault.load(tmp_path / "vault.key").open(7, made.seal(7, SEED)) == SEED


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An existing file, a link and a dangling link stay as they are."""
    path = put(tmp_path / "vault.key", b"precious")
    (tmp_path / "link.key").symlink_to(path)
    (tmp_path / "dangling.key").symlink_to(tmp_path / "nowhere.key")
    for there in ("vault.key", "link.key", "dangling.key"):
        with pytest.raises(FileExistsError):
            vault.create(tmp_path / there)
    assert path.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere.key").exists()


def test_no_two_keys_are_alike(tmp_path: Path) -> None:
    """Each new file holds another key under another id."""
    keys = [vault.create(tmp_path / f"{number}.key") for number in range(20)]
    assert len({key.key_id for key in keys}) == 20
    assert len({(tmp_path / f"{number}.key").read_bytes() for number in range(20)}) == 20


# --- sealing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def one(tmp_path: Path) -> Vault:
    """A vault."""
    return vault.load(put(tmp_path / "vault.key"))


def test_a_seed_opens_for_its_own_row_only(one: Vault) -> None:
    """Moved to another token's row, a sealed seed is worth nothing."""
    sealed = one.seal(7, SEED)
    assert one.open(7, sealed) == SEED
    for other in (0, 1, 6, 8, 70, 77, -7, 7 + 2**32):
        with pytest.raises(VaultError, match="another row"):
            one.open(other, sealed)


def test_every_bit_of_a_sealed_seed_counts(one: Vault) -> None:
    """With any one bit changed, or any octet cut off or added, nothing opens."""
    sealed = one.seal(7, SEED)
    changed = [
        sealed[:at] + bytes([sealed[at] ^ 1 << bit]) + sealed[at + 1 :] for at in range(len(sealed)) for bit in range(8)
    ]
    changed += [sealed[:length] for length in range(len(sealed))]
    changed += [sealed + b"\0", b"\0" + sealed]
    for wrong in changed:
        with pytest.raises(VaultError):
            one.open(7, wrong)


def test_another_key_opens_nothing(one: Vault, tmp_path: Path) -> None:
    """The text says that it was another key, by its id."""
    other = vault.create(tmp_path / "other.key")
    with pytest.raises(VaultError, match=one.key_id.hex()):
        other.open(7, one.seal(7, SEED))


def test_no_two_sealings_are_alike(one: Vault) -> None:
    """The nonce is new each time: the same seed for the same row never looks the same."""
    sealed = {one.seal(7, SEED) for _ in range(1000)}
    assert len({octets[4:16] for octets in sealed}) == 1000


@given(seed=st.binary(max_size=200), row=st.integers(0, 2**62))
def test_what_was_sealed_opens(seed: bytes, row: int) -> None:
    """Any seed for any row comes back as it was, and is not to be seen in between."""
    one = Vault((Key.of(KEY),))
    sealed = one.seal(row, seed)
    assert one.open(row, sealed) == seed
    assert len(sealed) == 4 + 12 + len(seed) + 16
    assert len(seed) < 4 or seed not in sealed


def test_a_vault_shows_no_key(one: Vault) -> None:
    """Neither the vault nor what it says of a fault holds key or seed."""
    sealed = one.seal(7, SEED)
    with pytest.raises(VaultError) as fault:
        one.open(8, sealed)
    for shown in (repr(one), str(one), str(fault.value), repr(fault.value)):
        assert base64.b64encode(KEY).decode() not in shown
        assert KEY.hex() not in shown
        assert "AESGCM" not in shown
        assert SEED.decode() not in shown


# --- two keys --------------------------------------------------------------------------------------------------------

OTHER: Final = bytes(range(100, 132))
BOTH: Final = Key.of(OTHER).line() + GOOD


def test_the_first_line_seals_and_both_open(tmp_path: Path) -> None:
    """While a key is exchanged nothing becomes unreadable, and nothing more is sealed under the old one."""
    old, new, both = Vault((Key.of(KEY),)), Vault((Key.of(OTHER),)), vault.load(put(tmp_path / "vault.key", BOTH))
    assert both.key_id == new.key_id
    assert both.key_ids == (new.key_id, old.key_id)
    for one in (old, new):
        assert both.open(7, one.seal(7, SEED)) == SEED
        assert both.vouches(b"x", one.vouch(b"x"))
    assert new.open(7, both.seal(7, SEED)) == SEED
    with pytest.raises(VaultError):
        old.open(7, both.seal(7, SEED))
    assert not old.vouches(b"x", new.vouch(b"x"))
    assert not both.vouches(b"y", old.vouch(b"x"))


def test_it_follows_its_file(tmp_path: Path) -> None:
    """A seal of a key that it does not know makes it look at the file again, and only when that is another one."""
    path = put(tmp_path / "vault.key")
    one = vault.load(path)
    sealed = Vault((Key.of(OTHER),)).seal(7, SEED)
    with pytest.raises(VaultError, match="another vault key"):
        one.open(7, sealed)
    put(tmp_path / "new", BOTH).rename(path)
    assert one.open(7, sealed) == SEED
    assert one.key_ids[0] == sealed[:4]
    assert one.refresh() is False
    put(tmp_path / "new", Key.of(OTHER).line()).rename(path)
    assert one.refresh() is True
    with pytest.raises(VaultError):
        one.open(7, Vault((Key.of(KEY),)).seal(7, SEED))


@pytest.mark.parametrize("wrong", ["gone", "no key", "open to others"])
def test_a_file_that_cannot_be_read_now_is_no_reason_to_forget(tmp_path: Path, wrong: str) -> None:
    """Whatever happens to the file, what is open already stays open."""
    path = put(tmp_path / "vault.key")
    one = vault.load(path)
    sealed = one.seal(7, SEED)
    path.unlink()
    if wrong != "gone":
        put(path, b"no key" if wrong == "no key" else BOTH, 0o644 if wrong == "open to others" else 0o600)
    assert one.refresh() is False
    assert one.open(7, sealed) == SEED
    with pytest.raises(VaultError):
        one.open(7, Vault((Key.of(OTHER),)).seal(7, SEED))


def test_which_databases_are_its_own(tmp_path: Path) -> None:
    """Those of a key that it holds; the id of no key, half an id and somebody else's fingerprint key are refused."""
    old, both = Vault((Key.of(KEY),)), vault.load(put(tmp_path / "vault.key", BOTH))
    assert both.fits(old.key_id.hex(), None)
    assert both.fits(both.key_id.hex(), None)
    for key_id in (None, "", "00", "zz", "01020304", old.key_id.hex()[:6]):
        assert not both.fits(key_id, None)
    for fingerprint_key in ("", "00", "zz", both.wrap(b"another name", bytes(32)).hex()):
        assert not both.fits(old.key_id.hex(), fingerprint_key)


def test_fingerprints_stay_whatever_the_key(tmp_path: Path) -> None:
    """They are the first key's for ever: made of it at first, then kept sealed in the database."""
    old, both = Vault((Key.of(KEY),)), vault.load(put(tmp_path / "vault.key", BOTH))
    mark = old.fingerprint(SEED)
    assert both.fits(old.key_id.hex(), None)
    assert both.fingerprint(SEED) == mark
    kept = both.fingerprint_key()
    new = Vault((Key.of(OTHER),))
    assert new.fingerprint(SEED) != mark
    assert new.fits(new.key_id.hex(), kept)
    assert new.fingerprint(SEED) == mark
    assert not old.fits(old.key_id.hex(), kept)


def test_what_is_wrapped_opens_under_its_name_only(one: Vault) -> None:
    """Neither another name nor a token's row opens it, and no token's seal opens as such a thing."""
    wrapped = one.wrap(b"a name", b"text")
    assert one.unwrap(b"a name", wrapped) == b"text"
    for name in (b"", b"a nam", b"a name ", b"another"):
        with pytest.raises(VaultError):
            one.unwrap(name, wrapped)
    with pytest.raises(VaultError):
        one.unwrap(b"a name", one.seal(7, b"text"))


def test_derived_keys(tmp_path: Path) -> None:
    """Each purpose has its own, the same each time, and of all live keys the sealing one's comes first."""
    old, both = Vault((Key.of(KEY),)), vault.load(put(tmp_path / "vault.key", BOTH))
    assert old.derive(b"one") == old.derive(b"one")
    assert len({old.derive(b"one"), old.derive(b"two"), both.derive(b"one"), KEY, OTHER}) == 5
    assert both.derive_each(b"one") == (both.derive(b"one"), old.derive(b"one"))


def test_two_keys_are_not_shown_either(tmp_path: Path) -> None:
    """Ids alone, also of a key by itself."""
    both = vault.load(put(tmp_path / "vault.key", BOTH))
    assert repr(both) == f"Vault({both.key_ids[0].hex()}, {both.key_ids[1].hex()})"
    for key in (KEY, OTHER):
        for shown in (repr(both), repr(both.keys), repr(Key.of(key))):
            assert base64.b64encode(key).decode() not in shown
            assert repr(key) not in shown
            assert key.hex() not in shown
