"""Where the files are found that come with the package, in a checkout and out of one.

The package's own file is loaded from a tree like that of an installation. No RFC speaks of this.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from radiusd2fa import shipped

ROOT = Path(__file__).parents[1]
NAMES = ("hardware/keys.yaml", "config/dictionaries/dictionary", "config/radiusd2fa.yaml")


def _installed(prefix: Path) -> ModuleType:
    """Load the module as if it had been installed below that prefix."""
    module = prefix / "lib/python3.11/site-packages/radiusd2fa/shipped.py"
    module.parent.mkdir(parents=True)
    shutil.copy(shipped.__file__, module)
    spec = importlib.util.spec_from_file_location("installed_shipped", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("name", NAMES)
def test_a_checkout_has_them_beside_the_package(name: str) -> None:
    """What is worked on is what is used."""
    assert shipped.find(name) == ROOT / name


@pytest.mark.parametrize("name", NAMES)
def test_an_installed_package_finds_them_below_its_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever the prefix is; and when they are nowhere, a place that a message can name is returned all the same."""
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path / "elsewhere"))
    installed = _installed(tmp_path)
    assert installed.find(name) == tmp_path / "elsewhere/share/radiusd2fa" / name
    there = tmp_path / "share/radiusd2fa" / name
    there.parent.mkdir(parents=True)
    shutil.copy(ROOT / name, there)
    assert installed.find(name) == there
