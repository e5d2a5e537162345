"""`radiusd2fa station`: which stations it runs, and how it ends. What it does meanwhile is in tests/keys.

It needs the configuration and the database, and no daemon.
Answers to no RFC.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from radiusd2fa.cli.station import _keys_of
from radiusd2fa.keys.model import FoundKey
from radiusd2fa.settings import StationSettings

from .conftest import Shell

USB = FoundKey("/dev/hidraw7", "a key", "usb")
PLUGGED = FoundKey("hidraw0", "the key in a station's port", "usb")
CARDS = [FoundKey("ACS ACR122U 00 00", "a card", "nfc"), FoundKey("Identiv 00 00", "another card", "nfc")]


def _with_stations(shell: Shell, *, fido: bool = True) -> None:
    (client,) = re.findall(r"^  ([\w-]+):", shell.config.read_text().partition("clients:")[2], re.MULTILINE)[:1]
    sections = ["fido: {rp_id: auth.example.org}"] if fido else []
    sections.append(f"stations: {{lobby-1: {{clients: [{client}]}}, lobby-2: {{clients: [{client}]}}}}")
    shell.config.write_text("\n".join((shell.config.read_text(), *sections, "")))


def test_a_station_that_is_not_in_the_configuration(shell: Shell) -> None:
    """A name that the configuration does not know is wrong usage; the ones that it knows are named."""
    assert "has no station lobby-1; it has none" in shell.wrong("station", "lobby-1")
    _with_stations(shell)
    assert "has no station lobby-9; it has lobby-1, lobby-2" in shell.wrong("station", "lobby-9")


def test_stations_need_a_relying_party(shell: Shell) -> None:
    """Without `fido:` there is nothing that a key could sign, and the command says what to write."""
    _with_stations(shell, fido=False)
    assert "fido: {rp_id: auth.example.org}" in shell.wrong("station", "lobby-1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_when_it_is_told_to(shell: Shell, number: signal.Signals) -> None:
    """Without a terminal, as a service runs it, a station speaks on standard error and ends well by a signal."""
    _with_stations(shell)
    with subprocess.Popen(
        [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(shell.config), "station", "lobby-1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ,
    ) as station:
        assert station.stderr is not None
        first = station.stderr.readline().decode()
        station.send_signal(number)
        rest = station.stderr.read().decode()
        code = station.wait(20)
    assert first.startswith("lobby-1: waiting for a login at ")
    assert (code, rest) == (0, "")


@pytest.mark.parametrize(
    ("usb", "reader", "found"),
    [
        (None, None, [USB, *CARDS]),
        ("hidraw0", None, [PLUGGED]),
        ("gone", None, []),
        (None, "ACS", CARDS[:1]),
        ("hidraw0", "Identiv", [PLUGGED, CARDS[1]]),
        ("gone", "Omnikey", []),
    ],
    ids=["any key", "one USB port", "an empty USB port", "one reader", "a port and a reader", "neither is there"],
)
def test_a_station_looks_at_its_own_keys_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    usb: str | None,
    reader: str | None,
    found: list[FoundKey],
) -> None:
    """`usb:` and `reader:` say which keys belong to a station; without them every key of the machine does."""
    monkeypatch.setattr("radiusd2fa.keys.usb.find_keys", lambda: [USB])
    monkeypatch.setattr("radiusd2fa.keys.nfc.find_keys", lambda: list(CARDS))
    (tmp_path / PLUGGED.path).touch()
    keys = _keys_of(StationSettings("lobby-1", None if usb is None else tmp_path / usb, reader))
    assert [Path(key.path).name for key in keys] == [Path(key.path).name for key in found]
