"""oathtool as the fob: another maker's HOTP and TOTP, with each of the three hashes.

Its HOTP knows SHA-1 only; a clock that ticks once a second and is set to the count makes HOTP of its TOTP, because
TOTP is HOTP over the number of the step (RFC 6238 4.2).
"""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

import pytest

OATHTOOL: Final = shutil.which("oathtool")
needs_oathtool = pytest.mark.skipif(OATHTOOL is None, reason="needs Debian package oathtool")


def hotp(seed: bytes, count: int, digits: int, algorithm: str) -> str:
    """The code of a fob with a button."""
    if algorithm == "sha1":
        return _oathtool(seed, digits, "--hotp", f"--counter={count}")
    return _oathtool(seed, digits, f"--totp={algorithm.upper()}", "--time-step-size=1s", f"--now=@{count}")


def totp(seed: bytes, now: float, digits: int, algorithm: str, step: int = 30) -> str:
    """The code of a fob with a clock."""
    return _oathtool(seed, digits, f"--totp={algorithm.upper()}", f"--time-step-size={step}s", f"--now=@{int(now)}")


def _oathtool(seed: bytes, digits: int, *arguments: str) -> str:
    assert OATHTOOL is not None
    command = [OATHTOOL, *arguments, f"--digits={digits}", "-"]
    done = subprocess.run(command, input=seed.hex(), capture_output=True, text=True, check=True)
    return done.stdout.strip()
