"""The codes themselves: the tables of the RFCs, and the same codes from two other programs.

Nothing here looks at windows or accepts anything; it is about octets in, digits out.
RFC 4226 Appendix D, RFC 6238 Appendix B.
"""

from __future__ import annotations

import base64
import hashlib
import random
import shutil
import subprocess
from typing import Final

import pyotp
import pytest

from radiusd2fa.factors.hotp import ALGORITHMS, code_maker
from radiusd2fa.factors.totp import step_at

from .reference import code_of

HOTP_SECRET: Final = b"12345678901234567890"
HOTP_TABLE: Final = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")

TOTP_SECRETS: Final = {
    "sha1": b"12345678901234567890",
    "sha256": b"12345678901234567890123456789012",
    "sha512": b"1234567890123456789012345678901234567890123456789012345678901234",
}
TOTP_TABLE: Final = (
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

needs_oathtool = pytest.mark.skipif(shutil.which("oathtool") is None, reason="needs the Debian package oathtool")


@pytest.mark.parametrize(("counter", "code"), list(enumerate(HOTP_TABLE)))
def test_rfc_4226_appendix_d(counter: int, code: str) -> None:
    """The ten HOTP values of RFC 4226 come out, and the tests' own reference agrees."""
    assert code_maker(HOTP_SECRET, "sha1", 6)(counter) == code.encode()
    assert code_of(HOTP_SECRET, counter) == code.encode()


@pytest.mark.parametrize(("now", "algorithm", "code"), TOTP_TABLE)
def test_rfc_6238_appendix_b(now: int, algorithm: str, code: str) -> None:
    """The eighteen TOTP values of RFC 6238 come out, for all three hashes, with eight digits."""
    secret, step = TOTP_SECRETS[algorithm], step_at(now, 30)
    assert code_maker(secret, algorithm, 8)(step) == code.encode()
    assert code_of(secret, step, 8, algorithm) == code.encode()


def test_the_program_knows_exactly_the_hashes_of_the_rfc() -> None:
    """SHA-1, SHA-256 and SHA-512, and no other hash."""
    assert ALGORITHMS == ("sha1", "sha256", "sha512")
    with pytest.raises(KeyError):
        code_maker(HOTP_SECRET, "md5", 6)


def _fobs(count: int, shortest: int) -> list[tuple[bytes, int, int, str]]:
    """Seeds of every length up to 64 octets, counters of every size, always the same ones."""
    dice = random.Random(4226)
    return [
        (
            dice.randbytes(shortest + number % (65 - shortest)),
            dice.getrandbits(dice.choice((1, 8, 20, 31, 33, 47))),
            dice.choice((6, 7, 8)),
            dice.choice(ALGORITHMS),
        )
        for number in range(count)
    ]


@needs_oathtool
def test_oathtool_agrees_on_hotp() -> None:
    """Another maker's HOTP gives the same codes, for seeds of 10 to 64 octets."""
    for secret, counter, digits, _ in _fobs(55, 10):
        command = ["oathtool", "--hotp", f"--counter={counter}", f"--digits={digits}", "--window=3", secret.hex()]
        said = subprocess.run(command, capture_output=True, check=True).stdout.split()
        code = code_maker(secret, "sha1", digits)
        assert said == [code(counter + ahead) for ahead in range(4)]


@needs_oathtool
def test_oathtool_agrees_on_totp() -> None:
    """Another maker's TOTP gives the same codes with all three hashes and with steps of 15 to 120 seconds."""
    for number, (secret, counter, digits, algorithm) in enumerate(_fobs(55, 10)):
        now, step = counter % 2**33, 15 + number * 2 % 106
        command = ["oathtool", f"--totp={algorithm}", f"--time-step-size={step}s", f"--now=@{now}"]
        command += [f"--digits={digits}", "--window=3", secret.hex()]
        said = subprocess.run(command, capture_output=True, check=True).stdout.split()
        code = code_maker(secret, algorithm, digits)
        assert said == [code(step_at(now, step) + ahead) for ahead in range(4)]


def test_pyotp_agrees() -> None:
    """A third implementation gives the same codes, for the seeds of 14 to 64 octets that it takes."""
    digests = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}
    for secret, counter, digits, algorithm in _fobs(300, 14):
        other = pyotp.HOTP(base64.b32encode(secret).decode(), digits=digits, digest=digests[algorithm])
        assert code_maker(secret, algorithm, digits)(counter) == other.at(counter).encode()


def test_any_length_of_seed_that_a_token_may_have() -> None:
    """Seeds of 10 to 128 octets give the reference's codes: shorter and longer than the hash's block alike."""
    for length in range(10, 129):
        secret = random.Random(length).randbytes(length)
        for algorithm in ALGORITHMS:
            assert code_maker(secret, algorithm, 7)(length) == code_of(secret, length, 7, algorithm)
