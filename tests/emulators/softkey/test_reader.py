"""The soft key in a real smart-card daemon: pcscd, vpcd, pyscard and python-fido2, each as it is shipped.

Everything happens in network and mount namespaces of the test's own (in_reader.py); nothing of the machine is touched.
CTAP 2.1 11.3 (NFC).
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from .in_reader import DRIVER

PROJECT: Final = Path(__file__).parents[3]


def _missing() -> str | None:
    """Why pcscd cannot be tried here."""
    for tool, package in (("pcscd", "pcscd"), ("unshare", "util-linux"), ("ip", "iproute2")):
        if shutil.which(tool) is None:
            return f"{tool} is missing: apt-get install {package}"
    if not DRIVER.exists():
        return "vpcd is missing: apt-get install vsmartcard-vpcd"
    if importlib.util.find_spec("smartcard") is None:
        return "pyscard is missing: .ci/nfc compiles it"
    allowed = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False)
    return None if allowed.returncode == 0 else "namespaces of one's own are for root here"


@pytest.fixture(scope="module")
def seen() -> Any:  # noqa: ANN401 it is JSON
    """What was seen in the reader."""
    if reason := _missing():
        pytest.skip(reason)
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, "-m", "tests.emulators.softkey.in_reader"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_withdrawn_card_is_an_error_of_the_reader(seen: Any) -> None:  # noqa: ANN401
    """The key leaves the reader before its answer: pyscard's CardConnectionException, not a ClientError."""
    assert seen["withdrawn"] == {"error": "CardConnectionException"}


def test_a_cancelled_wait_ends(seen: Any) -> None:  # noqa: ANN401
    """The client gives up while the card says "not yet": TIMEOUT."""
    assert seen["cancelled"] == {"code": "TIMEOUT"}


def test_ctap2(seen: Any) -> None:  # noqa: ANN401
    """Both algorithms register and log in through pcscd, and afterwards by USB, under one growing counter."""
    assert seen["ctap2"]["version"] == 2
    assert seen["ctap2"]["formats"] == ["packed", "packed"]
    counters = seen["ctap2"]["counters"]
    assert len(counters) == 7
    assert counters == sorted(set(counters))


def test_u2f(seen: Any) -> None:  # noqa: ANN401
    """A U2F-only card registers with fido-u2f attestation and logs in."""
    assert seen["u2f"] == {"version": 1, "format": "fido-u2f", "flags": 0x01}


def test_pin_with_a_late_touch(seen: Any) -> None:  # noqa: ANN401
    """PIN and keep-alives go through the reader: UV is said twice, and a touch was asked for each time."""
    assert seen["pin"] == {"flags": [0x45, 0x05], "touches": 2}
