"""The soft fob against the RFCs' own vectors, against oathtool, and against everything that could lose a press.

It never asks `radiusd2fa.factors`: the daemon's arithmetic is judged elsewhere, with this fob as one of the judges.
RFC 4226 Appendix D, RFC 6238 Appendix B.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

import pytest

from radiusd2fa.emulators.softfob import FobError, SoftFob

SEED: Final = b"12345678901234567890"
SEEDS: Final = {"sha1": SEED, "sha256": (SEED * 2)[:32], "sha512": (SEED * 4)[:64]}

RFC_4226_APPENDIX_D: Final = (
    "755224",
    "287082",
    "359152",
    "969429",
    "338314",
    "254676",
    "287922",
    "162583",
    "399871",
    "520489",
)
RFC_6238_APPENDIX_B: Final = (
    (59, "sha1", "94287082"),
    (59, "sha256", "46119246"),
    (59, "sha512", "90693936"),
    (1111111109, "sha1", "07081804"),
    (1111111109, "sha256", "68084774"),
    (1111111109, "sha512", "25091201"),
    (1111111111, "sha1", "14050471"),
    (1111111111, "sha256", "67062674"),
    (1111111111, "sha512", "99943326"),
    (1234567890, "sha1", "89005924"),
    (1234567890, "sha256", "91819424"),
    (1234567890, "sha512", "93441116"),
    (2000000000, "sha1", "69279037"),
    (2000000000, "sha256", "90698825"),
    (2000000000, "sha512", "38618901"),
    (20000000000, "sha1", "65353130"),
    (20000000000, "sha256", "77737706"),
    (20000000000, "sha512", "47863826"),
)


def test_ten_presses_give_the_ten_codes_of_rfc_4226() -> None:
    """Ten presses of a new HOTP fob show RFC 4226 Appendix D in order."""
    fob = SoftFob("hotp", SEED)
    assert tuple(fob.press(0) for _ in range(10)) == RFC_4226_APPENDIX_D
    assert fob.counter == 10


@pytest.mark.parametrize(("now", "algorithm", "code"), RFC_6238_APPENDIX_B)
def test_a_totp_fob_shows_the_codes_of_rfc_6238(now: int, algorithm: str, code: str) -> None:
    """A TOTP fob shows RFC 6238 Appendix B for each hash and moment."""
    assert SoftFob("totp", SEEDS[algorithm], digits=8, algorithm=algorithm).code(now) == code


@pytest.mark.skipif(shutil.which("oathtool") is None, reason="needs oathtool (Debian package oathtool)")
@pytest.mark.parametrize("octets", [10, 13, 14, 20, 32, 64])
def test_oathtool_agrees_for_every_hash_length_and_seed(octets: int) -> None:
    """oathtool computes the same HOTP and TOTP codes, for seeds on both sides of what pyotp takes."""
    seed = hashlib.shake_128(octets.to_bytes(2, "big")).digest(octets)
    for digits in (6, 7, 8):
        hotp = SoftFob("hotp", seed, digits=digits, counter=3)
        expected = _oathtool(seed, "--hotp", f"--digits={digits}", "--counter=3", "--window=4")
        assert [hotp.press(0) for _ in range(5)] == expected
        for algorithm in ("sha1", "sha256", "sha512"):
            for step in (30, 60):
                totp = SoftFob("totp", seed, digits=digits, algorithm=algorithm, step=step)
                flags = (f"--totp={algorithm}", f"--digits={digits}", f"--time-step-size={step}s", "--now=@1789000019")
                assert [totp.code(1789000019.9)] == _oathtool(seed, *flags)


def _oathtool(seed: bytes, *flags: str) -> list[str]:
    run = subprocess.run(["oathtool", *flags, seed.hex()], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_a_drifting_clock_shows_the_code_of_its_own_time() -> None:
    """A fob whose clock is 90 s behind shows at t what an exact one showed at t - 90."""
    exact, slow = SoftFob("totp", SEED), SoftFob("totp", SEED, clock_offset=-90)
    assert slow.code(1000) == exact.code(910) != exact.code(1000)


def test_a_code_is_shown_until_its_step_ends() -> None:
    """`seconds_left` counts down to the moment at which the code changes, by the fob's own clock."""
    fob = SoftFob("totp", SEED, clock_offset=10)
    assert fob.seconds_left(1005) == 5
    assert fob.code(1005 + 4.9) == fob.code(1005) != fob.code(1005 + 5)


def test_a_hotp_fob_shows_nothing_unpressed() -> None:
    """Asking an HOTP fob for the code of a moment is refused."""
    with pytest.raises(FobError, match="button"):
        SoftFob("hotp", SEED).code(0)


def test_the_seed_is_not_in_the_repr() -> None:
    """Neither octets nor hex of the seed appear where a fob is printed."""
    shown = repr(SoftFob("hotp", SEED))
    assert SEED.decode() not in shown
    assert SEED.hex() not in shown


def test_a_press_is_on_disk_when_it_is_seen(tmp_path: Path) -> None:
    """After each press the file, read anew, continues with the next code, and only its owner can read it."""
    path = tmp_path / "fob.json"
    SoftFob("hotp", SEED, serial="SF-1").save(path)
    assert [SoftFob.load(path).press(0) for _ in range(4)] == list(RFC_4226_APPENDIX_D[:4])
    assert json.loads(path.read_text())["counter"] == 4
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_counter_reaches_the_disk_before_the_code_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and folder are synced, in that order around the rename, before a code exists."""
    path = tmp_path / "fob.json"
    fob = SoftFob("hotp", SEED)
    fob.save(path)
    happened: list[str] = []
    fsync, replace, hotp = os.fsync, Path.replace, SoftFob._hotp

    def note_fsync(descriptor: int) -> None:
        happened.append("fsync")
        fsync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        happened.append("replace")
        return replace(self, target)

    def note_hotp(self: SoftFob, moving_factor: int) -> str:
        happened.append("code")
        return hotp(self, moving_factor)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    monkeypatch.setattr(SoftFob, "_hotp", note_hotp)
    fob.press(0)
    assert happened == ["fsync", "replace", "fsync", "code"]


def test_a_press_that_cannot_be_kept_shows_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full disk the press fails, the old file stays whole, and the next press gives the code that was due."""
    path = tmp_path / "fob.json"
    fob = SoftFob("hotp", SEED)
    fob.save(path)
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space)
        with pytest.raises(FobError, match="No space left"):
            fob.press(0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert fob.press(0) == RFC_4226_APPENDIX_D[0]


def test_a_press_goes_on_after_a_power_cut_in_the_middle_of_one(tmp_path: Path) -> None:
    """A half-written new file left beside the fob does no harm and is not taken for it."""
    path = tmp_path / "fob.json"
    SoftFob("hotp", SEED).save(path)
    (tmp_path / ".fob.json.new").write_text('{"kind": "ho')
    assert SoftFob.load(path).press(0) == RFC_4226_APPENDIX_D[0]
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    """A link planted where the new file will be is removed, and what it points to is not touched."""
    path, victim = tmp_path / "fob.json", tmp_path / "victim"
    SoftFob("hotp", SEED).save(path)
    victim.write_text("mine")
    (tmp_path / ".fob.json.new").symlink_to(victim)
    SoftFob.load(path).press(0)
    assert victim.read_text() == "mine"


PRESS_TEN_TIMES: Final = """
import pathlib, sys
from radiusd2fa.emulators.softfob import SoftFob
fob = SoftFob.load(pathlib.Path(sys.argv[1]))
print(*(fob.press(0) for _ in range(10)))
"""


def test_two_people_at_one_fob_never_see_the_same_code(tmp_path: Path) -> None:
    """Four processes pressing one file at the same time share out the codes: each counter once, none lost."""
    path = tmp_path / "fob.json"
    SoftFob("hotp", SEED, digits=8).save(path)
    people = [
        subprocess.Popen([sys.executable, "-c", PRESS_TEN_TIMES, path], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    seen = [code for person in people for code in person.communicate()[0].split()]
    apart = SoftFob("hotp", SEED, digits=8)
    assert sorted(seen) == sorted(apart.press(0) for _ in range(40))
    assert SoftFob.load(path).counter == 40


def test_a_fob_does_not_overwrite_another_one(tmp_path: Path) -> None:
    """When the file was replaced by another fob meanwhile, a press is refused and the new fob stays as it is."""
    path = tmp_path / "fob.json"
    old = SoftFob("hotp", SEED)
    old.save(path)
    SoftFob("hotp", b"another seed").save(path)
    with pytest.raises(FobError, match="another fob"):
        old.press(0)
    assert SoftFob.load(path).counter == 0


def test_a_link_to_a_fob_is_followed(tmp_path: Path) -> None:
    """A press through a symbolic link advances the fob itself, so that both names go on together."""
    path, link = tmp_path / "fob.json", tmp_path / "link.json"
    SoftFob("hotp", SEED).save(path)
    link.symlink_to(path)
    assert SoftFob.load(link).press(0) == RFC_4226_APPENDIX_D[0]
    assert SoftFob.load(path).press(0) == RFC_4226_APPENDIX_D[1]
    assert link.is_symlink()


@pytest.mark.parametrize("kind", ["hotp", "totp"])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, kind: Literal["hotp", "totp"]) -> None:
    """A fob read back is equal to the one that was saved, whatever is not at its default."""
    fob = SoftFob(kind, SEED, digits=8, algorithm="sha512", serial="SF-7 ü")
    if kind == "hotp":
        fob.counter = 12
    else:
        fob.step, fob.clock_offset = 60, -3.5
    fob.save(tmp_path / "fob.json")
    assert SoftFob.load(tmp_path / "fob.json") == fob


GOOD: Final = {"kind": "hotp", "secret": SEED.hex()}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("[" * 4000, "not a JSON object"),
        ("{" + " " * 4096 + "}", "not a JSON object"),
        (json.dumps({"kind": "hotp"}), "secret is missing"),
        (json.dumps({"secret": SEED.hex()}), "kind is missing"),
        (json.dumps(GOOD | {"colour": "blue"}), "unknown key 'colour'"),
        (json.dumps(GOOD | {"counter": "7"}), "counter must be a number"),
        (json.dumps(GOOD | {"counter": True}), "counter must be a number"),
        (json.dumps(GOOD | {"counter": 1.5}), "counter must be a number"),
        (json.dumps(GOOD | {"counter": -1}), "counter must be 0 to"),
        (json.dumps(GOOD | {"kind": "yubico"}), "kind must be"),
        (json.dumps(GOOD | {"secret": "not hex"}), "seed in hex"),
        (json.dumps(GOOD | {"secret": "00" * 9}), "at least 10 octets"),
        (json.dumps(GOOD | {"digits": 5}), "digits must be"),
        (json.dumps(GOOD | {"algorithm": "md5"}), "algorithm must be"),
        (json.dumps(GOOD | {"step": 0}), "step must be"),
        (json.dumps(GOOD | {"clock_offset": float("nan")}), "clock_offset must be"),
        (json.dumps(GOOD | {"serial": "\x1b[31m"}), "serial must be printable"),
    ],
)
def test_a_file_that_is_no_fob_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Every fault of the file is named with the file, and the seed is not repeated."""
    path = tmp_path / "fob.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(FobError) as refused:
        SoftFob.load(path)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)
    assert SEED.hex() not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_seed_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A file that group or others can open is refused, with the command that mends it."""
    path = tmp_path / "fob.json"
    path.write_text(json.dumps(GOOD))
    path.chmod(mode)
    with pytest.raises(FobError, match="chmod 600"):
        SoftFob.load(path)


def test_a_missing_fob_says_what_to_write(tmp_path: Path) -> None:
    """The message about a missing file shows what a fob file looks like."""
    with pytest.raises(FobError, match="no such file; a fob is a JSON file"):
        SoftFob.load(tmp_path / "fob.json")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe in place of the file is refused at once."""
    os.mkfifo(tmp_path / "fob.json", 0o600)
    with pytest.raises(FobError, match="not a regular file"):
        SoftFob.load(tmp_path / "fob.json")
