"""Cards on a reader: what there is where PC/SC is missing, and all of nfc_inside.py with the real pcscd.

pcscd and its virtual reader run in a network and mount namespace that ends with the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.keys import nfc
from radiusd2fa.keys.asking import FoundKey
from tests.keys.scene import UNKNOWN, asked, reason_of, to_sign

pytestmark = pytest.mark.usefixtures("nothing_left_behind")

CARD: Final = FoundKey("Some Reader 00 00", "card", "nfc")
INSIDE: Final = Path(__file__).with_name("nfc_inside.py")
_ENTER: Final = 'mount -t tmpfs none /run && mkdir -p /run/pcscd && exec "$@"'


@pytest.fixture
def fresh_library() -> Iterator[None]:
    """Have pyscard looked for anew, in this test and after it."""
    nfc._scard.cache_clear()
    yield
    nfc._scard.cache_clear()


@pytest.mark.usefixtures("fresh_library")
def test_without_pyscard_there_is_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyscard is not installed there is no reader and no key, nothing is raised, and the trouble says so."""
    monkeypatch.setitem(sys.modules, "smartcard", None)
    assert (nfc.readers(), nfc.find_keys()) == ([], [])
    assert nfc.wait_for_card(None, 0.01, threading.Event()) is None
    assert "NFC needs pyscard" in str(nfc.trouble())
    answer = asked(CARD, to_sign(UNKNOWN))
    assert reason_of(answer) == "no-key"
    assert "NFC needs pyscard" in str(answer)


def test_pyscard_is_not_loaded_before_it_is_needed() -> None:
    """Importing the module loads neither pyscard nor python-fido2's part for it."""
    program = "import sys, radiusd2fa.keys.nfc; print(sorted({'smartcard', 'fido2'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"


def test_user_whom_pcscd_does_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where polkit keeps us from pcscd, that is told from a missing reader."""
    scard = pytest.importorskip("smartcard.scard", reason="needs pyscard")
    monkeypatch.setattr(scard, "SCardEstablishContext", lambda _scope: (scard.SCARD_W_SECURITY_VIOLATION, 0))
    assert nfc.readers() == []
    assert "polkit rule" in str(nfc.trouble())
    assert reason_of(asked(CARD, to_sign(UNKNOWN))) == "not-permitted"


def test_pcscd_without_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pcscd runs and has no reader, the trouble says what may be missing."""
    scard = pytest.importorskip("smartcard.scard", reason="needs pyscard")
    monkeypatch.setattr(scard, "SCardEstablishContext", lambda _scope: (scard.SCARD_S_SUCCESS, 0))
    monkeypatch.setattr(scard, "SCardReleaseContext", lambda _context: scard.SCARD_S_SUCCESS)
    monkeypatch.setattr(scard, "SCardListReaders", lambda _context, _groups: (scard.SCARD_E_NO_READERS_AVAILABLE, []))
    assert nfc.readers() == []
    assert "libccid" in str(nfc.trouble())


def _why_not_inside() -> str | None:
    if shutil.which("pcscd") is None:
        return "needs the Debian package pcscd"
    if not Path("/etc/reader.conf.d/vpcd").exists():
        return "needs the Debian package vsmartcard-vpcd"
    if (
        os.geteuid() != 0
        or subprocess.run(["unshare", "-n", "-m", "true"], check=False, capture_output=True).returncode
    ):
        return "needs root, and the right to make namespaces"
    return None


def test_cards_on_the_real_pcscd() -> None:
    """Everything that nfc_inside.py states holds, with the real pcscd and real pyscard."""
    pytest.importorskip("smartcard.scard", reason="needs pyscard")
    if why_not := _why_not_inside():
        pytest.skip(why_not)
    inside = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INSIDE)]
    command = ["unshare", "-n", "-m", "sh", "-c", _ENTER, "sh", *inside]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, cwd=INSIDE.parents[2])
    assert said.returncode == 0, said.stdout + said.stderr
    assert "skipped" not in said.stdout
