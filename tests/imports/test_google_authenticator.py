"""~/.google_authenticator: written by its own program, used through its own PAM module, and damaged by hand.

What pam_google_authenticator has taken counts here no more. RFC 4226 7.2, RFC 6238 5.2.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path
from typing import ClassVar, Final

import pytest

from radiusd2fa.imports import google_authenticator
from radiusd2fa.imports.seeds import Flaw, How, LeftOut, Seed
from tests.clients.oathtool import hotp, needs_oathtool, totp

from .pam_services import lets_in, needs_module, service
from .spent import counts, is_next
from .tables import HERE, HOW, NOW, entries, flaw, in_base32, left_out, refusal, seeds

PROGRAM: Final = shutil.which("google-authenticator")
SEED: Final = in_base32(1)
CODES: Final = "12345678\n23456789\n"


def written(*options: str, first: str = SEED, codes: str = "") -> str:
    """A file with these options."""
    return f"{first}\n" + "".join(f'" {option}\n' for option in options) + codes


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (written("TOTP_AUTH", first="not base32 at all!"), "no seed"),
        (written("TOTP_AUTH", first=SEED[:8]), "no seed"),
        (written("HOTP_COUNTER"), "HOTP_COUNTER is no number"),
        (written("HOTP_COUNTER -1"), "HOTP_COUNTER is no number"),
        (written("HOTP_COUNTER 7", "HOTP_COUNTER 3"), "twice"),
        (written("TOTP_AUTH", "STEP_SIZE x"), "STEP_SIZE is no number"),
        (written("TOTP_AUTH", "STEP_SIZE 0"), "step of 0"),
        (written("TOTP_AUTH", "STEP_SIZE 10"), "step of 10"),
        (written("TOTP_AUTH", "WINDOW_SIZE 1000000"), "WINDOW_SIZE is no number"),
        (written("TOTP_AUTH", "TIME_SKEW soon"), "TIME_SKEW is no number"),
        (written("TOTP_AUTH", "TIME_SKEW 9999999"), "off by more than a day"),
        (written("TOTP_AUTH", "DISALLOW_REUSE 1 x"), "DISALLOW_REUSE is no number"),
        (written("TOTP_AUTH", "DISALLOW_REUSE 9999999999"), "days to come"),
        (written("TOTP_AUTH", "DISALLOW_REUSE 1", "DISALLOW_REUSE 2"), "twice"),
        (written("TOTP_AUTH") + "1234\n", "neither an option nor a scratch code"),
        (written("HOTP_COUNTER 12").removesuffix("\n"), "no end"),
        (f"==> /home/a/.google_authenticator <==\n{written('HOTP_COUNTER 1')[:-1]}\n==> b <==\n", "no end"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(text: str, problem: str) -> None:
    """A wrong seed, number or option is a flaw, and so is an end at which a counter may be cut."""
    assert problem in flaw(google_authenticator, text).problem


def test_a_seed_that_lets_nobody_in_is_left_out() -> None:
    """Without TOTP_AUTH and HOTP_COUNTER only scratch codes count there."""
    assert "TOTP_AUTH" in left_out(google_authenticator, written()).what


def test_what_is_no_text_is_refused() -> None:
    """UTF-16 is no such file."""
    refusal(google_authenticator, written("TOTP_AUTH").encode("utf-16"))


# --- what was used stays used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "spent", "drift"),
    [
        (("DISALLOW_REUSE",), HERE + 2, 0),
        ((f"DISALLOW_REUSE {HERE + 1} {HERE + 7} {HERE - 3}",), HERE + 7, 0),
        (("DISALLOW_REUSE", "TIME_SKEW 5"), HERE + 7, 5),
        (("DISALLOW_REUSE", "TIME_SKEW -5"), HERE + 2, -5),
        (("WINDOW_SIZE 17",), HERE + 10, 0),
        ((), HERE + 3, 0),
    ],
)
def test_every_step_that_may_be_used_is_spent(options: tuple[str, ...], spent: int, drift: int) -> None:
    """The list of used steps counts; where none is kept, the window's codes ahead of time may all have been used."""
    (token,) = seeds(google_authenticator, written("TOTP_AUTH", *options))
    assert (token.moving_factor, token.drift) == (spent, drift)


def test_a_counter_is_the_next_one() -> None:
    """HOTP_COUNTER makes it HOTP, whatever else is said, and is the counter that is taken next."""
    (token,) = seeds(google_authenticator, written("RATE_LIMIT 3 30 1", "HOTP_COUNTER 42", "TOTP_AUTH"))
    assert (token.kind, token.moving_factor, token.digits) == ("hotp", 42, 6)


# --- taken -----------------------------------------------------------------------------------------------------------


def test_scratch_codes_stay_behind() -> None:
    """They are counted and not shown: recovery codes are issued anew."""
    token, codes = entries(google_authenticator, written("TOTP_AUTH", codes=CODES))
    assert isinstance(token, Seed)
    assert isinstance(codes, LeftOut)
    assert (codes.line, codes.what) == (3, "2 scratch codes")
    assert "12345678" not in repr(codes)


def test_a_file_alone_names_nobody_and_has_the_same_serial_each_time() -> None:
    """The serial is a digest, so that the same file read twice is known; another seed has another."""
    (one,), (again,) = (seeds(google_authenticator, written("TOTP_AUTH")) for _ in range(2))
    (other,) = seeds(google_authenticator, written("TOTP_AUTH", first=in_base32(2)))
    assert one.user is None
    assert one.serial == again.serial != other.serial
    assert one.secret.hex()[:8] not in one.serial


def test_many_files_under_their_paths_name_their_people() -> None:
    """``tail -v -n +1 /home/*/.google_authenticator`` is one file with everybody in it."""
    text = f"==> /home/alice/.google_authenticator <==\n{written('TOTP_AUTH', codes=CODES)}\n"
    text += f"==> /var/lib/google/bob <==\n{written('HOTP_COUNTER 3', first=in_base32(2))}"
    assert google_authenticator.sniff(text.encode())
    alice, _, bob = entries(google_authenticator, text)
    assert isinstance(alice, Seed)
    assert isinstance(bob, Seed)
    assert [(each.line, each.user, each.serial) for each in (alice, bob)] == [
        (2, "alice", "alice-totp"),
        (8, "bob", "bob-hotp"),
    ]


def test_the_same_seed_for_two_people_is_refused() -> None:
    """A copied file is one token with two owners."""
    text = "".join(f"==> /home/{who}/.google_authenticator <==\n{written('TOTP_AUTH')}\n" for who in ("alice", "bob"))
    assert [type(entry) for entry in entries(google_authenticator, text)] == [Seed, Flaw]


def test_the_sample_is_recognised_and_read() -> None:
    """The file in hardware/samples is one of these; a list of serials is none."""
    sample = Path("hardware/samples/google_authenticator").read_bytes()
    assert google_authenticator.sniff(sample[:4096])
    assert [type(entry) for entry in entries(google_authenticator, sample, HOW)] == [Seed, LeftOut]
    assert not google_authenticator.sniff(f"{SEED}\nserial,secret\n".encode())


# --- libpam-google-authenticator itself ------------------------------------------------------------------------------


@pytest.mark.skipif(PROGRAM is None, reason="needs Debian package libpam-google-authenticator")
class TestItself:
    """The program writes the file, the module takes a code, and the file is read as it stands then."""

    pytestmark: ClassVar = [
        *needs_module("pam_google_authenticator.so", "libpam-google-authenticator"),
        needs_oathtool,
    ]

    def test_a_counted_code_counts_no_more(self, tmp_path: Path) -> None:
        """The counter in the file is the next one, here as there."""
        file = _made(tmp_path, "--counter-based")
        secret = _seed_of(file)
        used, following = hotp(secret, 1, 6, "sha1"), hotp(secret, 2, 6, "sha1")
        with service(_module(file)) as name:
            assert lets_in(name, "root", used)
            token = _token(file, NOW)
            assert token.moving_factor == 2
            assert not counts(token, used, NOW)
            assert is_next(token, following, NOW)
            assert lets_in(name, "root", following)

    @pytest.mark.parametrize("reuse", ["--disallow-reuse", "--allow-reuse"])
    def test_a_code_taken_before_its_time_counts_no_more(self, tmp_path: Path, reuse: str) -> None:
        """A window of 17 takes codes eight steps early, and with or without a list of them they are spent here."""
        file = _made(tmp_path, "--time-based", reuse)
        now = time.time()
        early = totp(_seed_of(file), now + 30 * 6, 6, "sha1")
        with service(_module(file)) as name:
            assert lets_in(name, "root", early)
        token = _token(file, now)
        assert not counts(token, early, now + 30 * 6)
        later = now + 30 * 11
        assert counts(token, totp(_seed_of(file), later, 6, "sha1"), later)


def _made(folder: Path, *options: str) -> Path:
    assert PROGRAM is not None
    file = folder / "google_authenticator"
    command = [PROGRAM, "--force", "--quiet", "--no-rate-limit", "--no-confirm", "--qr-mode=none"]
    command += ["--window-size=17", f"--secret={file}", *options]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
    return file


def _module(file: Path) -> str:
    return f"pam_google_authenticator.so secret={file} user=root"


def _seed_of(file: Path) -> bytes:
    letters = file.read_text().splitlines()[0]
    return base64.b32decode(letters + "=" * (-len(letters) % 8))


def _token(file: Path, now: float) -> Seed:
    token, codes = entries(google_authenticator, file.read_bytes(), How(now=now))
    assert isinstance(token, Seed)
    assert isinstance(codes, LeftOut)
    return token
