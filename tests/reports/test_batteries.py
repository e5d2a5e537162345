"""How long batteries last, as the catalogue says: read from hardware/devices.yaml, and refused where it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from radiusd2fa import hardware
from radiusd2fa.hardware import CatalogueError, battery_years

A_DEVICE = "devices:\n  fob:\n    name: Fob\n    maker: Acme\n"


def of(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Read a catalogue with this file in it."""
    (folder / "devices.yaml").write_text(text)
    monkeypatch.setattr(hardware, "folder", lambda: folder)
    return dict(battery_years.__wrapped__())


@pytest.mark.parametrize("years", ["many", "-1", "1.5", "4 years", "²"])
def test_years_that_are_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: str) -> None:
    """The file, the device and the key are named."""
    with pytest.raises(CatalogueError, match=r"devices\.yaml: fob: battery_years: must be a number of years, or none"):
        of(f"{A_DEVICE}    battery_years: {years}\n", tmp_path, monkeypatch)


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do."""
    monkeypatch.setattr(hardware, "folder", lambda: tmp_path)
    with pytest.raises(CatalogueError, match="install the package again"):
        battery_years.__wrapped__()


@pytest.mark.parametrize("line", ["", "    battery_years: none\n"])
def test_nobody_promises_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Then the device is not there."""
    assert of(A_DEVICE + line, tmp_path, monkeypatch) == {}


def test_a_device_by_each_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small letters: what it is called here, its name, and its maker's name before that."""
    found = of(f"{A_DEVICE}    battery_years: 5\n", tmp_path, monkeypatch)
    assert found == {"fob": 5.0, "acme fob": 5.0}


def test_the_catalogue_as_it_is_shipped() -> None:
    """It can be read, and somebody promises something."""
    assert battery_years()["oath hotp hardware token"] == 4.0
